// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Wrong receives: both ends get an error, each its own. */
#include "errors.h"

#define LEN (64 * HT_KIB)

static struct ht_rig r;
static uint8_t *shadow[2];

static void setup(void)
{
	ht_rig_get(&r, NULL, LEN);
	ht_rig_fill(&r, 230, shadow);
}

static void finish(void)
{
	ht_eq(ht_state(r.a), IBV_QPS_ERR);
	ht_wait_until(ht_state(r.b) == IBV_QPS_ERR, "the receiver's QP to be in ERR");
	ht_check_bytes(r.p[0], shadow[0], LEN, "sender's memory");
	ht_pair_reconnect(&r.pair);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, 100, 0);
	ht_check_bytes(r.p[1], shadow[0], 100, "a good WRITE afterwards");
}

/* One byte too small, in one packet and in many. */
static void receive_small(const void *arg)
{
	static const uint32_t sizes[] = { 1, 100, 4096, 4097, 20000 };
	struct ibv_wc wc;

	for (size_t i = 0; i < HT_LEN(sizes); i++) {
		struct ht_wr w;
		uint32_t n = sizes[i], off = HT_PAGE + 3;

		setup();
		ht_recv(r.b, 1, &r.mr[1], r.p[1] + off, n - 1);
		ht_recv(r.b, 2, &r.mr[1], r.p[1] + off, LEN - off);
		w = ht_rig_wr(&r, IBV_WR_SEND, 0, n, 0);
		ht_do_status(r.a, &w, IBV_WC_REM_INV_REQ_ERR);
		ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_LOC_LEN_ERR);
		ht_want_wc(r.b->rcq, &wc, 2, IBV_WC_WR_FLUSH_ERR);
		/* The part that fits may be there, nothing else. */
		ht_check_bytes(r.p[1], shadow[1], off, "before the receive");
		ht_check_bytes(r.p[1] + off + n - 1, shadow[1] + off + n - 1, LEN - off - n + 1,
			       "behind the receive");
		finish();
		ht_rig_put(&r);
	}
}

enum how { WRONG_KEY, BEHIND, NO_LOCAL_WRITE, OTHER_PD, GONE };

struct row {
	const char *name;
	enum how how;
};

static void receive_bad(const void *arg)
{
	const struct row *row = arg;
	struct ibv_pd *pd;
	struct ht_mr region;
	struct ibv_sge sge;
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	pd = row->how == OTHER_PD ? ibv_alloc_pd(r.b->dev->ctx) : r.b->pd;
	ht_mr_get(&region, pd, r.p[1] + 777, 9000, ht_best_mr(r.b->dev),
		  row->how == NO_LOCAL_WRITE ? IBV_ACCESS_REMOTE_READ : HT_ACCESS_ALL);
	sge = ht_sge(&region, r.p[1] + 777, 9000);
	if (row->how == WRONG_KEY)
		sge.lkey ^= 1;
	if (row->how == BEHIND)
		sge.addr += 1;
	if (row->how == GONE)
		ht_mr_put(&region);
	ht_ok(ht_recv_try(r.b->qp, NULL, 5, &sge, 1));
	w = ht_rig_wr(&r, IBV_WR_SEND, 0, 9000, 0);
	ht_do_status(r.a, &w, IBV_WC_REM_OP_ERR);
	ht_want_wc(r.b->rcq, &wc, 5, IBV_WC_LOC_PROT_ERR);
	/* Packets before the bad byte may have been stored. */
	if (row->how == BEHIND) {
		ht_check_bytes(r.p[1], shadow[1], 777, "before the region");
		ht_check_bytes(r.p[1] + 9777, shadow[1] + 9777, LEN - 9777, "behind the region");
	} else {
		ht_check_bytes(r.p[1], shadow[1], LEN, "receiver's memory");
	}
	finish();
}

static const struct row rows[] = {
	{ "wrong-key", WRONG_KEY }, { "behind", BEHIND },     { "no-local-write", NO_LOCAL_WRITE },
	{ "other-pd", OTHER_PD },   { "deregistered", GONE },
};

static const struct ht_case cases[] = {
	{ "receive-too-small", "LOC_LEN_ERR at the receiver, REM_INV_REQ_ERR at the sender",
	  receive_small },
	{},
};

void errors_receive(void)
{
	ht_add(cases);
	for (size_t i = 0; i < HT_LEN(rows); i++)
		ht_addf(receive_bad, &rows[i], 0,
			"LOC_PROT_ERR at the receiver, REM_OP_ERR at the sender", "receive-%s",
			rows[i].name);
}
