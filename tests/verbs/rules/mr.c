// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Regions that are changed, and regions that are deregistered while in use. */
#include <pthread.h>

#include "rules.h"

#define LEN (64 * HT_KIB)

static struct ht_rig r;

static enum ibv_wc_status try(enum ibv_wr_opcode op, uint32_t rkey)
{
	struct ht_wr w = ht_rig_wr(&r, op, 0, 100, 4000);
	struct ibv_wc wc;

	w.rkey = rkey;
	ht_post(r.a->qp, &w);
	ht_next_wc(r.a->scq, &wc, "of an access to a region that changed");
	if (wc.status != IBV_WC_SUCCESS)
		ht_pair_reconnect(&r.pair);
	return wc.status;
}

static void rereg(struct ibv_mr *mr, int flags, struct ibv_pd *pd, void *p, size_t len, int access)
{
	int ret = ibv_rereg_mr(mr, flags, pd, p, len, access);

	ht_check(!ret, "ibv_rereg_mr: %d %s", ret, strerror(errno));
}

/* Rights can be taken away and given. */
static void mr_rereg_access(const void *arg)
{
	const int *odp = arg;
	const int base = *odp | IBV_ACCESS_LOCAL_WRITE;
	struct ibv_mr *mr;

	ht_rig_get(&r, NULL, LEN);
	ht_fill(r.p[0], LEN, 430, 0);
	mr = ibv_reg_mr(r.b->pd, r.p[1], LEN,
			base | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ);
	ht_check(mr, "ibv_reg_mr: %s", strerror(errno));
	ht_eq(try(IBV_WR_RDMA_WRITE, mr->rkey), IBV_WC_SUCCESS);
	for (int i = 0; i < 3; i++) {
		rereg(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0, base | IBV_ACCESS_REMOTE_READ);
		memset(r.p[1], 0x21, LEN);
		ht_eq(try(IBV_WR_RDMA_WRITE, mr->rkey), IBV_WC_REM_ACCESS_ERR);
		ht_check_value(r.p[1], LEN, 0x21, "a WRITE without the right that was taken");
		ht_eq(try(IBV_WR_RDMA_READ, mr->rkey), IBV_WC_SUCCESS);
		rereg(mr, IBV_REREG_MR_CHANGE_ACCESS, NULL, NULL, 0,
		      base | IBV_ACCESS_REMOTE_WRITE);
		ht_eq(try(IBV_WR_RDMA_READ, mr->rkey), IBV_WC_REM_ACCESS_ERR);
		ht_fill(r.p[0], LEN, 431 + i, 0);
		ht_eq(try(IBV_WR_RDMA_WRITE, mr->rkey), IBV_WC_SUCCESS);
		ht_check_fill(r.p[1] + 4000, 100, 431 + i, 0,
			      "a WRITE with a right that was given");
	}
}

/* Another PD: the QP of the old one is refused, the QP of the new one works. */
static void mr_rereg_pd(const void *arg)
{
	struct ibv_pd *pd;
	struct ibv_mr *mr;

	ht_rig_get(&r, NULL, LEN);
	pd = ibv_alloc_pd(r.b->dev->ctx);
	ht_true(pd != NULL);
	mr = ibv_reg_mr(r.b->pd, r.p[1], LEN, IBV_ACCESS_ON_DEMAND | HT_ACCESS_ALL);
	ht_check(mr, "ibv_reg_mr: %s", strerror(errno));
	memset(r.p[1], 0x22, LEN);
	rereg(mr, IBV_REREG_MR_CHANGE_PD, pd, NULL, 0, 0);
	ht_eq(try(IBV_WR_RDMA_WRITE, mr->rkey), IBV_WC_REM_ACCESS_ERR);
	ht_check_value(r.p[1], LEN, 0x22, "a WRITE from another PD");
	rereg(mr, IBV_REREG_MR_CHANGE_PD, r.b->pd, NULL, 0, 0);
	ht_eq(try(IBV_WR_RDMA_WRITE, mr->rkey), IBV_WC_SUCCESS);
}

/* Another range: shorter, elsewhere. The next operation uses it. */
static void mr_rereg_translation(const void *arg)
{
	struct ibv_mr *mr;

	ht_rig_get(&r, NULL, LEN);
	ht_fill(r.p[0], LEN, 440, 0);
	mr = ibv_reg_mr(r.b->pd, r.p[1], LEN, IBV_ACCESS_ON_DEMAND | HT_ACCESS_ALL);
	ht_check(mr, "ibv_reg_mr: %s", strerror(errno));
	memset(r.p[1], 0x23, LEN);
	rereg(mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, r.p[1], 4099, 0);
	ht_eq(try(IBV_WR_RDMA_WRITE, mr->rkey), IBV_WC_REM_ACCESS_ERR);
	ht_check_value(r.p[1], LEN, 0x23, "a WRITE behind the shorter region");
	rereg(mr, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, r.p[1], 4100, 0);
	ht_eq(try(IBV_WR_RDMA_WRITE, mr->rkey), IBV_WC_SUCCESS);
	ht_check_fill(r.p[1] + 4000, 100, 440, 0, "a WRITE to its last byte");
}

/* --- deregistration ------------------------------------------------------------ */

#define LARGE (12 * HT_MIB)

static struct ht_mem from, to;
static struct ht_mr from_mr;
static volatile int posted;

static void *write_all(void *arg)
{
	uint32_t rkey = *(uint32_t *)arg;
	struct ht_wr w = {
		.id = 1,
		.op = IBV_WR_RDMA_WRITE,
		.addr = ht_iova(&from_mr, from.p),
		.len = LARGE,
		.lkey = from_mr.mr->lkey,
		.raddr = (uintptr_t)to.p,
		.rkey = rkey,
	};

	posted = 1;
	ht_post(r.a->qp, &w);
	return NULL;
}

/*
 * When ibv_dereg_mr() returns, no copy through the region runs or will run: what
 * the process writes there afterwards stays.
 */
static void mr_dereg_waits(const void *arg)
{
	struct ht_rng g = { ht_seed("dereg") };
	struct ibv_wc wc;
	int cut = 0;

	ht_rig_get(&r, NULL, LEN);
	ht_mem_get(&from, HT_ANON, LARGE, 0);
	ht_mem_get(&to, HT_ANON, LARGE, 0);
	memset(from.p, 0x24, LARGE);
	ht_mr_get(&from_mr, r.a->pd, from.p, LARGE, HT_ODP, HT_ACCESS_ALL);
	for (long i = 0; i < ht_count(12); i++) {
		struct ibv_mr *mr =
			ibv_reg_mr(r.b->pd, to.p, LARGE, IBV_ACCESS_ON_DEMAND | HT_ACCESS_ALL);
		volatile uint8_t *mark;
		size_t at, step = 64;
		uint32_t rkey;
		pthread_t t;

		ht_check(mr, "ibv_reg_mr: %s", strerror(errno));
		memset(to.p, 0, LARGE);
		rkey = mr->rkey;
		posted = 0;
		ht_ok(pthread_create(&t, NULL, write_all, &rkey));
		while (!posted)
			ht_yield();
		/* Somewhere in the middle of it. */
		mark = to.p + ht_below(&g, LARGE - HT_MIB);
		while (!*mark && ibv_poll_cq(r.a->scq, 0, &wc) >= 0 && !to.p[LARGE - 1])
			ht_yield();
		ht_ok(ibv_dereg_mr(mr));
		/* The first byte not written is where the copy was cut off. */
		for (at = mark - to.p; at < LARGE && to.p[at]; at += step)
			;
		ht_sleep_ms(1);
		pthread_join(t, NULL);
		ht_next_wc(r.a->scq, &wc, "of a WRITE to a region that goes");
		if (at < LARGE) {
			ht_check_value(to.p + at, LARGE - at, 0,
				       "behind where dereg cut the WRITE");
			cut++;
		}
		if (wc.status != IBV_WC_SUCCESS) {
			ht_eq(wc.status, IBV_WC_REM_ACCESS_ERR);
			ht_pair_reconnect(&r.pair);
		}
	}
	ht_note("%d of them were cut in the middle", cut);
	ht_check(cut > 0, "no WRITE was cut in the middle");
}

static const int pinned, odp = IBV_ACCESS_ON_DEMAND;

const struct ht_case rules_mr[] = {
	{ "mr-rereg-access-pinned", "rights can be taken and given", mr_rereg_access, &pinned },
	{ "mr-rereg-access-odp", "rights can be taken and given", mr_rereg_access, &odp },
	{ "mr-rereg-pd", "a region moves to another PD", mr_rereg_pd },
	{ "mr-rereg-translation", "a region gets another translation", mr_rereg_translation },
	{ "mr-dereg-waits", "after dereg no copy runs through the region", mr_dereg_waits, NULL,
	  120 },
	{},
};
