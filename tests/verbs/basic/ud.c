// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unreliable datagrams. A receive buffer begins with 40 bytes of GRH; with an
 * IPv4 GID the last 20 of them are the IPv4 header of the packet.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/ip.h>

#include "basic.h"

#define LEN	(32 * HT_KIB)
#define QKEY	0x11111111
#define GRH	40

static struct ht_pair p;
static struct ht_mr mr[2];
static uint8_t *buf[2];
static struct ibv_ah *ah;

static void setup(void)
{
	struct ht_conf conf = { .type = IBV_QPT_UD, .inl = 64 };
	struct ibv_ah_attr attr;

	ht_pair_get(&p, &conf);
	for (int i = 0; i < 2; i++) {
		buf[i] = aligned_alloc(HT_PAGE, LEN);
		ht_fill(buf[i], LEN, 110 + i, 0);
		ht_mr_get(&mr[i], p.s[i].pd, buf[i], LEN,
			  ht_best_mr(p.s[i].dev), IBV_ACCESS_LOCAL_WRITE);
	}
	ht_ah_attr(&attr, &p.s[0], &p.s[1].dev->gid);
	attr.grh.traffic_class = 0x20;
	ah = ibv_create_ah(p.s[0].pd, &attr);
	ht_check(ah, "ibv_create_ah: %s", strerror(errno));
}

static struct ht_wr datagram(uint64_t id, size_t off, uint32_t len)
{
	return (struct ht_wr){
		.id = id, .op = IBV_WR_SEND, .len = len, .lkey = mr[0].mr->lkey,
		.addr = ht_iova(&mr[0], buf[0] + off), .ah = ah,
		.qpn = p.s[1].qp->qp_num, .qkey = QKEY, .no_sge = !len,
	};
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
		ht_recv(&p.s[1], i, &mr[1], at, GRH + sizes[i] + 7);
		w = datagram(i, 3, sizes[i]);
		if (i % 2) {
			w.op = IBV_WR_SEND_WITH_IMM;
			w.imm = htobe32(0xfeed0000 + i);
		}
		ht_do(&p.s[0], &w);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, GRH + sizes[i]);
		ht_eq(wc.opcode, IBV_WC_RECV);
		ht_true(wc.wc_flags & IBV_WC_GRH);
		ht_eq(wc.src_qp, p.s[0].qp->qp_num);
		ht_eq(wc.pkey_index, 0);
		ht_eq(!!(wc.wc_flags & IBV_WC_WITH_IMM), i % 2);
		if (i % 2)
			ht_eq(be32toh(wc.imm_data), 0xfeed0000 + i);
		check_grh(at, sizes[i]);
		ht_check_fill(at + GRH, sizes[i], 110, 3, "datagram");
		ht_check_fill(at + GRH + sizes[i], 200, 111,
			      at + GRH + sizes[i] - buf[1], "bytes behind it");
		ht_check_fill(buf[1], at - buf[1], 111, 0, "bytes before it");
	}
	teardown();
}

/* The answer goes to an address handle made from the completion. */
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
	w = (struct ht_wr){
		.id = 4, .op = IBV_WR_SEND, .len = 99, .lkey = mr[1].mr->lkey,
		.addr = ht_iova(&mr[1], buf[1] + 5000), .ah = back,
		.qpn = wc.src_qp, .qkey = QKEY,
	};
	ht_do(&p.s[1], &w);
	ht_want_wc(p.s[0].rcq, &wc, 2, IBV_WC_SUCCESS);
	ht_eq(wc.src_qp, p.s[1].qp->qp_num);
	ht_check_fill(buf[0] + 8192 + GRH, 99, 111, 5000, "the answer");
	ht_ok(ibv_destroy_ah(back));
	teardown();
}

/* Wrong Q_Key, no receive, a QP that is not there: lost, and nobody is hurt. */
static void ud_lost(const void *arg)
{
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	w = datagram(1, 0, 50);
	ht_do(&p.s[0], &w);	/* no receive */
	ht_recv(&p.s[1], 9, &mr[1], buf[1], 1000);
	w.qkey = QKEY + 1;
	w.id = 2;
	ht_do(&p.s[0], &w);
	w.qkey = QKEY;
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
	ht_check_fill(buf[1] + GRH, 50, 110, 7, "the datagram that was in order");
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
	ht_check_fill(buf[1] + GRH, sizeof(small), 112, 0, "inline datagram");
	teardown();
}

/* What does not fit into one packet is not sent. */
static void ud_too_long(const void *arg)
{
	struct ibv_wc wc;
	uint32_t mtu;
	struct ht_wr w;
	int err;

	setup();
	mtu = 128U << p.s[0].dev->port.active_mtu;
	ht_recv(&p.s[1], 1, &mr[1], buf[1], 3 * HT_PAGE);
	w = datagram(2, 0, mtu);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_check_fill(buf[1] + GRH, mtu, 110, 0, "a datagram of a whole MTU");
	ht_recv(&p.s[1], 3, &mr[1], buf[1] + 4 * HT_PAGE, 3 * HT_PAGE);
	w = datagram(4, 0, mtu + 1);
	err = ht_post_try(p.s[0].qp, &w);
	if (!err) {
		ht_next_wc(p.s[0].scq, &wc, "of a datagram that is too long");
		ht_check(wc.status == IBV_WC_LOC_LEN_ERR, "status %s, not a length error",
			 ibv_wc_status_str(wc.status));
	}
	ht_no_wc(p.s[1].rcq, 20);
	ht_check_fill(buf[1] + 4 * HT_PAGE, 3 * HT_PAGE, 111, 4 * HT_PAGE, "its receive");
	teardown();
}

/* Datagrams are not requests to memory. */
static void ud_no_rdma(const void *arg)
{
	static const enum ibv_wr_opcode ops[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD,
	};
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

/* A receive that is too small for the datagram is an error of the receiver. */
static void ud_small_receive(const void *arg)
{
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	ht_recv(&p.s[1], 1, &mr[1], buf[1], GRH + 10);
	w = datagram(2, 0, 100);
	ht_do(&p.s[0], &w);
	if (ibv_poll_cq(p.s[1].rcq, 1, &wc) || (ht_sleep_ms(50), ibv_poll_cq(p.s[1].rcq, 1, &wc)))
		ht_check(wc.status != IBV_WC_SUCCESS,
			 "a datagram of 100 bytes fits into 10");
	ht_check_fill(buf[1] + GRH + 10, LEN - GRH - 10, 111, GRH + 10, "behind the receive");
	teardown();
}

static const struct ht_case cases[] = {
	{ "ud-send", "datagrams of every length arrive with a true GRH", ud_send },
	{ "ud-answer", "an address handle made from a completion reaches the sender", ud_answer },
	{ "ud-lost", "undeliverable datagrams vanish and hurt nobody", ud_lost },
	{ "ud-inline", "an inline datagram is taken at post time", ud_inline },
	{ "ud-too-long", "the MTU is the longest datagram", ud_too_long },
	{ "ud-no-rdma", "RDMA operations on a UD QP fail and touch nothing", ud_no_rdma },
	{ "ud-small-receive", "a datagram never writes behind its receive", ud_small_receive },
};

void basic_ud(void)
{
	ht_add_all(cases, HT_LEN(cases));
}
