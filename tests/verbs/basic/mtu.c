// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Datagrams and the active MTU, to one QP and to a multicast group: what fits
 * arrives, one byte more does not, and is no error (IBTA C10-93.1.1). The MTU
 * is the netdev's, so the case makes a netdev and a device of its own.
 */
#include "basic.h"

#define LEN (8 * HT_PAGE)
#define DEV "hodpmtu"

static struct ht_pair p;
static struct ht_mr mr[2];
static uint8_t *buf[2];

static void make_device(void)
{
	struct ht_dev d;

	ht_open(&d, ht_opt.dev);
	if (!d.is_hodp)
		ht_skip("rdma link add makes hmm_odp devices only here");
	ht_close(&d);
	ht_device_make(DEV, 90);
}

static struct ht_wr datagram(struct ibv_ah *ah, uint32_t qpn, uint64_t id, uint32_t len)
{
	return ht_ud_wr(id, &mr[0], buf[0], len, ah, qpn);
}

/* One datagram that fits and one that does not; then the receive lengths likewise. */
static void edge(struct ibv_ah *ah, uint32_t qpn, uint32_t mtu, uint64_t seed)
{
	struct ibv_port_attr port;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_ok(ibv_query_port(p.s[0].dev->ctx, 1, &port));
	ht_eq(128U << port.active_mtu, mtu);
	ht_fill(buf[0], LEN, seed, 0);
	memset(buf[1], 0x77, LEN);
	ht_recv(&p.s[1], seed, &mr[1], buf[1], LEN);
	w = datagram(ah, qpn, 1, mtu + 1);
	ht_do(&p.s[0], &w);
	ht_no_wc(p.s[1].rcq, 20);
	ht_check_value(buf[1], LEN, 0x77, "memory, after a datagram above the MTU");
	w = datagram(ah, qpn, 2, mtu);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, seed, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, HT_GRH + mtu);
	ht_check_fill(buf[1] + HT_GRH, mtu, seed, 0, "a datagram of a whole MTU");
	ht_check_value(buf[1] + HT_GRH + mtu, LEN - HT_GRH - mtu, 0x77, "memory behind it");
	ht_eq(ht_state(&p.s[0]), IBV_QPS_RTS);
	ht_eq(ht_state(&p.s[1]), IBV_QPS_RTS);
}

static void ud_mtu(const void *arg)
{
	static const struct {
		int netdev;
		uint32_t active;
	} rows[] = {
		{ 9000, 4096 }, { 1500, 1024 }, { 2500, 2048 }, { 4200, 4096 }, { 700, 512 },
	};
	struct ht_conf conf = { .type = IBV_QPT_UD };
	struct ibv_ah *ah[2];
	union ibv_gid group = { .raw = { 0xff, 0x0e, [10] = 0xff, 0xff, 239, 1, 2, 3 } };

	make_device();
	ht_pair_get(&p, &conf);
	for (int i = 0; i < 2; i++) {
		buf[i] = aligned_alloc(HT_PAGE, LEN);
		ht_fill(buf[i], LEN, 0, 0);
		ht_mr_get(&mr[i], p.s[i].pd, buf[i], LEN, HT_ODP, IBV_ACCESS_LOCAL_WRITE);
	}
	ht_ok(ibv_attach_mcast(p.s[1].qp, &group, 0));
	for (int i = 0; i < 2; i++)
		ah[i] = ht_ah(&p.s[0], i ? &group : &p.s[1].dev->gid);
	for (size_t i = 0; i < HT_LEN(rows); i++) {
		ht_shell("ip link set " DEV "-net mtu %d", rows[i].netdev);
		edge(ah[0], p.s[1].qp->qp_num, rows[i].active, 500 + i);
		edge(ah[1], 0xffffff, rows[i].active, 600 + i);
	}
	ht_ok(ibv_detach_mcast(p.s[1].qp, &group, 0));
	for (int i = 0; i < 2; i++) {
		ht_ok(ibv_destroy_ah(ah[i]));
		ht_mr_put(&mr[i]);
	}
	ht_pair_put(&p);
	ht_device_drop(DEV);
}

const struct ht_case basic_mtu[] = {
	{ "ud-mtu", "the active MTU is the longest datagram, to one and to many", ud_mtu },
	{},
};
