// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Address handles and the header that a receiver finds before a datagram. */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "rules.h"

#define LEN (32 * HT_KIB)

static struct ht_pair p;
static struct ht_mr mr[2];
static uint8_t *buf[2];

static void setup(void)
{
	struct ht_conf conf = { .type = IBV_QPT_UD };

	ht_pair_get(&p, &conf);
	ht_buffers(&p, buf, mr, LEN, 420, IBV_ACCESS_LOCAL_WRITE);
}

static struct ibv_ah *new_ah(struct ibv_pd *pd)
{
	struct ht_side s = p.s[0];

	s.pd = pd;
	return ht_ah(&s, &p.s[1].dev->gid);
}

static struct ht_wr datagram(struct ibv_ah *ah, uint64_t id, uint32_t len)
{
	return ht_ud_wr(id, &mr[0], buf[0], len, ah, p.s[1].qp->qp_num);
}

/* An address handle is valid in its own protection domain only. */
static void ud_ah_other_pd(const void *arg)
{
	struct ibv_pd *pd;
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	pd = ibv_alloc_pd(p.s[0].dev->ctx);
	ht_true(pd != NULL);
	ht_recv(&p.s[1], 1, &mr[1], buf[1], 200);
	w = datagram(new_ah(pd), 2, 100);
	ht_do_status(&p.s[0], &w, IBV_WC_LOC_QP_OP_ERR);
	ht_no_wc(p.s[1].rcq, 20);
	ht_check_fill(buf[1], LEN, 421, 0, "the receive's buffer");
	ht_pair_reconnect(&p);
	ht_recv(&p.s[1], 3, &mr[1], buf[1], 200);
	w = datagram(new_ah(p.s[0].pd), 4, 100);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 3, IBV_WC_SUCCESS);
	ht_check_fill(buf[1] + HT_GRH, 100, 420, 0, "the datagram that was in order");
}

/* Numbers are given out in turn, and a freed one is not valid. */
static void ud_ah_numbers(const void *arg)
{
	const struct ht_conf conf = { .type = IBV_QPT_UD };
	struct hodp_send_wqe *e;
	struct ht_ring ring[2], sq;
	struct ht_side s;
	struct ibv_ah *ah;
	struct ibv_wc wc;
	struct ht_wr w;
	uint32_t first, last = 0;

	setup();
	if (!p.s[0].dev->is_hodp)
		ht_skip("the layout of this device's rings is another");
	ht_new_rings(NULL, 0);
	s = p.s[0];
	ht_side_create(&s, &conf, 0);
	ht_eq(ht_new_rings(ring, 2), 2);
	sq = ring[ring[0].size < ring[1].size];
	ht_connect(&s, &conf, NULL);
	for (int i = 0; i < 5; i++) {
		ah = new_ah(s.pd);
		/* Nobody receives it, but its entry shows the handle's number. */
		e = (void *)sq.entries;
		memset(sq.entries, 0, 64);
		w = datagram(ah, i, 8);
		ht_ok(ht_to(&s, IBV_QPS_ERR));
		ht_ok(ht_to(&s, IBV_QPS_RESET));
		ht_connect(&s, &conf, NULL);
		ht_do(&s, &w);
		ht_eq(e->wr_id, i);
		ht_check(e->ud.ahn && e->ud.ahn != last, "number %u is given out again", last);
		last = e->ud.ahn;
		if (!i)
			first = last;
		ht_ok(ibv_destroy_ah(ah));
	}
	/* Freed numbers are not valid. */
	ht_recv(&p.s[1], 60, &mr[1], buf[1], 200);
	e = (void *)sq.entries;
	ht_ok(ht_to(&s, IBV_QPS_ERR));
	ht_ok(ht_to(&s, IBV_QPS_RESET));
	ht_connect(&s, &conf, NULL);
	e->ud.ahn = first;
	e->wr_id = 61;
	sq.hdr->prod = 1;
	ht_ok(raw_ring_send(s.qp->qp_num));
	ht_want_wc(s.scq, &wc, 61, IBV_WC_LOC_QP_OP_ERR);
	ht_no_wc(p.s[1].rcq, 20);
}

/* The first RoCE v2 GID that is an IPv6 address of global scope. */
static int find_v6(union ibv_gid *gid)
{
	struct ibv_gid_entry e;

	for (int i = 0; i < p.s[0].dev->port.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(p.s[0].dev->ctx, 1, i, &e, 0) ||
		    e.gid_type != IBV_GID_TYPE_ROCE_V2 || e.gid.raw[0] != 0xfd)
			continue;
		*gid = e.gid;
		return i;
	}
	ht_skip("the device has no IPv6 GID");
}

static void check_v6(const uint8_t *grh, const union ibv_gid *gid, uint32_t payload)
{
	uint32_t head;
	uint16_t len;

	memcpy(&head, grh, 4);
	head = ntohl(head);
	ht_eq(head >> 28, 6);
	ht_eq(head >> 20 & 0xff, 0x68);
	ht_eq(head & 0xfffff, 0x54321);
	memcpy(&len, grh + 4, 2);
	/* UDP 8, BTH 12, DETH 8, payload padded to 4, ICRC 4 */
	ht_eq(ntohs(len), 8 + 12 + 8 + (payload + 3) / 4 * 4 + 4);
	ht_eq(grh[6], IPPROTO_UDP);
	/* The core takes the hop limit from the route. */
	ht_true(grh[7] > 0);
	ht_check_bytes(grh + 8, gid[0].raw, 16, "source address in the GRH");
	ht_check_bytes(grh + 24, gid[1].raw, 16, "destination address in the GRH");
}

static void ud_grh_v6(const void *arg)
{
	static const uint32_t sizes[] = { 1, 2, 3, 4, 5, 100, 1024 };
	struct ibv_ah_attr attr;
	union ibv_gid gid[2];
	struct ibv_ah *ah;
	struct ibv_wc wc;
	struct ht_wr w;
	int index;

	setup();
	index = find_v6(&gid[0]);
	ht_ah_attr(&attr, &p.s[0], &gid[0]);
	attr.grh.sgid_index = index;
	attr.grh.traffic_class = 0x68;
	attr.grh.flow_label = 0x54321;
	gid[1] = gid[0];
	ah = ibv_create_ah(p.s[0].pd, &attr);
	ht_check(ah, "ibv_create_ah: %s", strerror(errno));
	for (size_t i = 0; i < HT_LEN(sizes); i++) {
		ht_recv(&p.s[1], i, &mr[1], buf[1], HT_GRH + sizes[i]);
		w = datagram(ah, 10 + i, sizes[i]);
		ht_do(&p.s[0], &w);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_true(wc.wc_flags & IBV_WC_GRH);
		check_v6(buf[1], gid, sizes[i]);
		ht_check_fill(buf[1] + HT_GRH, sizes[i], 420, 0, "datagram");
	}
}

/* A Q_Key with its highest bit set stands for the sender's own. */
static void ud_controlled_qkey(const void *arg)
{
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	ht_recv(&p.s[1], 1, &mr[1], buf[1], 200);
	w = datagram(new_ah(p.s[0].pd), 2, 60);
	w.qkey = HT_QKEY ^ 1;
	ht_do(&p.s[0], &w);
	ht_no_wc(p.s[1].rcq, 10);
	w.qkey = 0x80000000;
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_check_fill(buf[1] + HT_GRH, 60, 420, 0, "datagram with the sender's own Q_Key");
}

const struct ht_case rules_ud[] = {
	{ "ud-ah-other-pd", "an address handle is valid in its own PD only", ud_ah_other_pd },
	{ "ud-ah-numbers", "a stale address handle is refused", ud_ah_numbers },
	{ "ud-grh-v6", "the GRH of an IPv6 datagram is true in every field", ud_grh_v6 },
	{ "ud-controlled-qkey", "a controlled Q_Key stands for the QP's own", ud_controlled_qkey },
	{},
};
