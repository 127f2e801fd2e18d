// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unreliable datagrams. A receive buffer begins with 40 bytes of GRH; with an IPv4
 * GID the last 20 of them are the packet's IPv4 header.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/ip.h>

#include "basic.h"

#define LEN (32 * HT_KIB)

static struct ht_pair p;
static struct ht_mr mr[2];
static uint8_t *buf[2];
static struct ibv_ah *ah;

static void setup_srq(bool shared)
{
	struct ht_conf conf = { .type = IBV_QPT_UD, .inl = 64, .srq_wr = shared ? 16 : 0 };
	struct ibv_ah_attr attr;

	ht_pair_get(&p, &conf);
	ht_buffers(&p, buf, mr, LEN, 110, IBV_ACCESS_LOCAL_WRITE);
	ht_ah_attr(&attr, &p.s[0], &p.s[1].dev->gid);
	attr.grh.traffic_class = 0x20;
	ah = ibv_create_ah(p.s[0].pd, &attr);
	ht_check(ah, "ibv_create_ah: %s", strerror(errno));
}

static void setup(void)
{
	setup_srq(false);
}

static struct ht_wr datagram(uint64_t id, size_t off, uint32_t len)
{
	return ht_ud_wr(id, &mr[0], buf[0] + off, len, ah, p.s[1].qp->qp_num);
}

static void teardown(void)
{
	ht_ok(ibv_destroy_ah(ah));
	for (int i = 0; i < 2; i++)
		ht_mr_put(&mr[i]);
	ht_pair_put(&p);
}

static uint16_t checksum(const void *head, size_t len)
{
	const uint16_t *w = head;
	uint32_t sum = 0;

	for (size_t i = 0; i < len / 2; i++)
		sum += w[i];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void check_grh(const uint8_t *grh, uint32_t payload)
{
	const struct ht_dev *a = p.s[0].dev, *b = p.s[1].dev;
	struct iphdr ip;

	memcpy(&ip, grh + 20, sizeof(ip));
	ht_eq(ip.version, 4);
	ht_eq(ip.ihl, 5);
	ht_check_bytes(&ip.saddr, a->gid.raw + 12, 4, "source address in the GRH");
	ht_check_bytes(&ip.daddr, b->gid.raw + 12, 4, "destination address in the GRH");
	ht_eq(ip.protocol, IPPROTO_UDP);
	/* The core takes the hop limit from the route. */
	ht_true(ip.ttl > 0);
	ht_eq(ip.tos & 0xfc, 0x20);
	/* UDP 8, BTH 12, DETH 8, payload padded to 4, ICRC 4 */
	ht_true(ntohs(ip.tot_len) >= 20 + 8 + 12 + 8 + payload + 4);
	ht_true(ntohs(ip.tot_len) <= 20 + 8 + 12 + 8 + 4 + (payload + 3) / 4 * 4 + 4);
	ht_check(checksum(&ip, 20) == 0, "the IPv4 header in the GRH has a wrong checksum");
}

static void ud_send(const void *arg)
{
	static const uint32_t sizes[] = { 0, 1, 2, 3, 4, 5, 63, 255, 1000, 1024 };
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	for (size_t i = 0; i < HT_LEN(sizes); i++) {
		uint8_t *at = buf[1] + HT_PAGE - 51;

		ht_fill(buf[1], LEN, 111, 0);
		ht_recv(&p.s[1], i, &mr[1], at, HT_GRH + sizes[i] + 7);
		w = datagram(i, 3, sizes[i]);
		if (i % 2) {
			w.op = IBV_WR_SEND_WITH_IMM;
			w.imm = htobe32(0xfeed0000 + i);
		}
		ht_do(&p.s[0], &w);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, HT_GRH + sizes[i]);
		ht_eq(wc.opcode, IBV_WC_RECV);
		ht_true(wc.wc_flags & IBV_WC_GRH);
		ht_eq(wc.src_qp, p.s[0].qp->qp_num);
		ht_eq(wc.pkey_index, 0);
		ht_eq(!!(wc.wc_flags & IBV_WC_WITH_IMM), i % 2);
		if (i % 2)
			ht_eq(be32toh(wc.imm_data), 0xfeed0000 + i);
		check_grh(at, sizes[i]);
		ht_check_fill(at + HT_GRH, sizes[i], 110, 3, "datagram");
		ht_check_fill(at + HT_GRH + sizes[i], 200, 111, at + HT_GRH + sizes[i] - buf[1],
			      "bytes behind it");
		ht_check_fill(buf[1], at - buf[1], 111, 0, "bytes before it");
	}
	teardown();
}

/* Reply through an address handle made from the completion. */
static void ud_answer(const void *arg)
{
	struct ibv_ah *back;
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	ht_recv(&p.s[1], 1, &mr[1], buf[1], 200);
	ht_recv(&p.s[0], 2, &mr[0], buf[0] + 8192, 200);
	w = datagram(3, 0, 100);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	back = ibv_create_ah_from_wc(p.s[1].pd, &wc, (void *)buf[1], 1);
	ht_check(back, "ibv_create_ah_from_wc: %s", strerror(errno));
	w = ht_ud_wr(4, &mr[1], buf[1] + 5000, 99, back, wc.src_qp);
	ht_do(&p.s[1], &w);
	ht_want_wc(p.s[0].rcq, &wc, 2, IBV_WC_SUCCESS);
	ht_eq(wc.src_qp, p.s[1].qp->qp_num);
	ht_check_fill(buf[0] + 8192 + HT_GRH, 99, 111, 5000, "the answer");
	ht_ok(ibv_destroy_ah(back));
	teardown();
}

/* A wrong Q_Key, no receive, or no such QP: the datagram is lost and nobody is hurt. */
static void ud_lost(const void *arg)
{
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	w = datagram(1, 0, 50);
	ht_do(&p.s[0], &w); /* no receive */
	ht_recv(&p.s[1], 9, &mr[1], buf[1], 1000);
	w.qkey = HT_QKEY + 1;
	w.id = 2;
	ht_do(&p.s[0], &w);
	w.qkey = HT_QKEY;
	w.qpn = 0xabcdef;
	w.id = 3;
	ht_do(&p.s[0], &w);
	ht_no_wc(p.s[1].rcq, 30);
	ht_check_fill(buf[1], LEN, 111, 0, "the receive's buffer");
	ht_eq(ht_state(&p.s[0]), IBV_QPS_RTS);
	ht_eq(ht_state(&p.s[1]), IBV_QPS_RTS);
	w = datagram(4, 7, 50);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 9, IBV_WC_SUCCESS);
	ht_check_fill(buf[1] + HT_GRH, 50, 110, 7, "the datagram that was in order");
	teardown();
}

static void ud_inline(const void *arg)
{
	uint8_t small[40];
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	ht_fill(small, sizeof(small), 112, 0);
	ht_recv(&p.s[1], 1, &mr[1], buf[1], 1000);
	w = datagram(2, 0, sizeof(small));
	w.addr = (uintptr_t)small;
	w.lkey = 0;
	w.flags = IBV_SEND_INLINE;
	ht_post(p.s[0].qp, &w);
	memset(small, 0, sizeof(small));
	ht_want_wc(p.s[0].scq, &wc, 2, IBV_WC_SUCCESS);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_check_fill(buf[1] + HT_GRH, sizeof(small), 112, 0, "inline datagram");
	teardown();
}

/* A message of more than one packet is not sent. */
static void ud_too_long(const void *arg)
{
	struct ibv_wc wc;
	uint32_t mtu;
	struct ht_wr w;

	setup();
	mtu = 128U << p.s[0].dev->port.active_mtu;
	ht_recv(&p.s[1], 1, &mr[1], buf[1], 3 * HT_PAGE);
	w = datagram(2, 0, mtu);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_check_fill(buf[1] + HT_GRH, mtu, 110, 0, "a datagram of a whole MTU");
	ht_recv(&p.s[1], 3, &mr[1], buf[1] + 4 * HT_PAGE, 3 * HT_PAGE);
	/* IBTA C10-93.1.1: no packet, no error, and the QP goes on. */
	for (uint32_t n = mtu + 1; n <= LEN - HT_PAGE; n += n) {
		w = datagram(4 + n, 0, n);
		ht_do(&p.s[0], &w);
	}
	ht_no_wc(p.s[1].rcq, 20);
	ht_check_fill(buf[1] + 4 * HT_PAGE, 3 * HT_PAGE, 111, 4 * HT_PAGE, "its receive");
	ht_eq(ht_state(&p.s[0]), IBV_QPS_RTS);
	w = datagram(5, 1, mtu);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 3, IBV_WC_SUCCESS);
	ht_check_fill(buf[1] + 4 * HT_PAGE + HT_GRH, mtu, 110, 1, "the next one that fits");
	teardown();
}

/* RDMA operations are refused on a UD QP. */
static void ud_no_rdma(const void *arg)
{
	static const enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
						  IBV_WR_ATOMIC_FETCH_AND_ADD };
	struct ibv_wc wc;

	setup();
	for (size_t i = 0; i < HT_LEN(ops); i++) {
		struct ht_wr w = datagram(i, 0, 8);

		w.op = ops[i];
		w.raddr = ht_iova(&mr[1], buf[1]);
		w.rkey = mr[1].mr->rkey;
		w.ah = NULL;
		if (ht_post_try(p.s[0].qp, &w)) {
			ht_checked();
			continue;
		}
		ht_next_wc(p.s[0].scq, &wc, "of an RDMA operation on a UD QP");
		ht_check(wc.status != IBV_WC_SUCCESS, "opcode %d succeeds on a UD QP", ops[i]);
		ht_pair_reconnect(&p);
	}
	ht_check_fill(buf[1], LEN, 111, 0, "the responder's memory");
	teardown();
}

/*
 * A datagram that is too long for the receive is lost (IBTA class D), and the
 * receive waits for the next one; with a shared queue, too.
 */
static void ud_small_receive(const void *arg)
{
	struct ibv_wc wc;
	struct ht_wr w;

	setup_srq(*(const bool *)arg);
	ht_recv(&p.s[1], 1, &mr[1], buf[1], HT_GRH + 10);
	w = datagram(2, 0, 11);
	ht_do(&p.s[0], &w);
	w = datagram(3, 0, 1000);
	ht_do(&p.s[0], &w);
	ht_no_wc(p.s[1].rcq, 50);
	ht_check_fill(buf[1], LEN, 111, 0, "the receiver's memory");
	ht_eq(ht_state(&p.s[1]), IBV_QPS_RTS);
	w = datagram(4, 5, 10);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, HT_GRH + 10);
	ht_check_fill(buf[1] + HT_GRH, 10, 110, 5, "the datagram that fits");
	ht_check_fill(buf[1] + HT_GRH + 10, LEN - HT_GRH - 10, 111, HT_GRH + 10,
		      "behind the receive");
	/* A waiting request is flushed like the others. */
	ht_recv(&p.s[1], 6, &mr[1], buf[1], HT_GRH + 10);
	w = datagram(7, 0, 11);
	ht_do(&p.s[0], &w);
	ht_no_wc(p.s[1].rcq, 20);
	ht_ok(ht_to(&p.s[1], IBV_QPS_ERR));
	ht_want_wc(p.s[1].rcq, &wc, 6, IBV_WC_WR_FLUSH_ERR);
	teardown();
}

/* The packet type is in wc.sl, where mlx5 puts it and UCX looks for it. */
static void ud_packet_kind(const void *arg)
{
	struct ibv_gid_entry e;
	struct ibv_ah_attr attr;
	struct ibv_cq_ex *cq;
	struct ibv_ah *to;
	struct ibv_wc wc;
	struct ht_wr w;
	int kinds = 0;

	setup();
	for (int i = 0; i < p.s[0].dev->port.gid_tbl_len; i++) {
		bool ipv4;

		if (ibv_query_gid_ex(p.s[1].dev->ctx, 1, i, &e, 0))
			continue;
		ipv4 = ht_gid_is_ipv4(&e.gid);
		if (kinds & 1 << ipv4)
			continue;
		kinds |= 1 << ipv4;
		ht_ah_attr(&attr, &p.s[0], &e.gid);
		attr.grh.sgid_index = i;
		to = ibv_create_ah(p.s[0].pd, &attr);
		ht_check(to, "ibv_create_ah: %s", strerror(errno));
		ht_recv(&p.s[1], i, &mr[1], buf[1], 1000);
		w = datagram(i, 3, 50);
		w.ah = to;
		ht_post(p.s[0].qp, &w);
		ht_want_wc(p.s[0].scq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.sl, 0);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.sl, 8 | (ipv4 ? 2 : 1));
		/* The IP version in the header agrees. */
		ht_eq(ipv4 ? buf[1][20] >> 4 : buf[1][0] >> 4, ipv4 ? 4 : 6);
		ht_check_fill(buf[1] + HT_GRH, 50, 110, 3, "datagram");
		/* The same through ibv_cq_ex: every CQ here has both interfaces. */
		cq = (struct ibv_cq_ex *)p.s[1].rcq;
		ht_recv(&p.s[1], i, &mr[1], buf[1], 1000);
		ht_post(p.s[0].qp, &w);
		ht_want_wc(p.s[0].scq, &wc, i, IBV_WC_SUCCESS);
		ht_wait_until(ibv_start_poll(cq, &(struct ibv_poll_cq_attr){ 0 }) == 0,
			      "the second datagram");
		ht_eq(ibv_wc_read_sl(cq), 8 | (ipv4 ? 2 : 1));
		ibv_end_poll(cq);
		ht_ok(ibv_destroy_ah(to));
	}
	ht_check(kinds == 3, "the device has not both kinds of GIDs: mask %d", kinds);
	teardown();
}

/* The kernel passes all 32 bits of a flow label on. */
static void ud_flow_label(const void *arg)
{
	struct ibv_gid_entry e;
	struct ibv_ah_attr attr;
	struct ibv_ah *to;
	struct ibv_wc wc;
	struct ht_wr w;
	int i = 0;

	setup();
	while (ibv_query_gid_ex(p.s[1].dev->ctx, 1, i, &e, 0) || ht_gid_is_ipv4(&e.gid))
		ht_check(++i < p.s[1].dev->port.gid_tbl_len, "there is no IPv6 GID");
	ht_ah_attr(&attr, &p.s[0], &e.gid);
	attr.grh.sgid_index = i;
	attr.grh.flow_label = ~0U;
	to = ibv_create_ah(p.s[0].pd, &attr);
	ht_check(to, "ibv_create_ah: %s", strerror(errno));
	ht_recv(&p.s[1], 1, &mr[1], buf[1], 1000);
	w = datagram(1, 3, 50);
	w.ah = to;
	ht_post(p.s[0].qp, &w);
	ht_want_wc(p.s[0].scq, &wc, 1, IBV_WC_SUCCESS);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	/* Version 6, traffic class 0, flow label. */
	ht_check_bytes(buf[1], (uint8_t[]){ 0x60, 0x0f, 0xff, 0xff }, 4,
		       "the first word of the IPv6 header");
	ht_check_fill(buf[1] + HT_GRH, 50, 110, 3, "datagram");
	ht_ok(ibv_destroy_ah(to));
	teardown();
}

static const bool yes = true, no;

const struct ht_case basic_ud[] = {
	{ "ud-send", "datagrams of every length arrive with a true GRH", ud_send },
	{ "ud-answer", "an address handle made from a completion reaches the sender", ud_answer },
	{ "ud-lost", "undeliverable datagrams vanish and hurt nobody", ud_lost },
	{ "ud-inline", "an inline datagram is taken at post time", ud_inline },
	{ "ud-too-long", "the MTU is the longest datagram", ud_too_long },
	{ "ud-no-rdma", "RDMA operations on a UD QP fail and touch nothing", ud_no_rdma },
	{ "ud-small-receive", "a datagram that is too long is lost, its receive stays",
	  ud_small_receive, &no },
	{ "ud-small-receive-srq", "the same with a shared receive queue", ud_small_receive, &yes },
	{ "ud-packet-kind", "wc.sl tells the packet type", ud_packet_kind },
	{ "ud-flow-label", "a flow label of more than 20 bits changes no other field",
	  ud_flow_label },
	{},
};
