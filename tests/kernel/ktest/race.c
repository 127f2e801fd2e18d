// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invalidation against traffic.
 *
 * One thread writes to a region by its key, as fast as it can, with the key of
 * now or the one before.  The other registers now this memory, now that, always
 * at the same IOVA, and takes the key back.  When that is complete, no byte of
 * the memory may change any more, and none outside the region ever.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kthread.h>
#include "ktest.h"

#define KT_RACE_TIME (HZ + HZ / 2)
/* The lowest bits are the memory's. */
#define KT_RACE_IOVA 0x4000000000ULL

struct kt_race {
	struct kt *t;
	struct kt_region r;
	struct kt_wr *w;
	u32 key;
	int written;
	int refused;
	bool destroys;
};

/* One WRITE of all the region, of bytes that were never there. */
static void kt_race_write(struct kt_race *race)
{
	struct kt *t = race->t;
	struct kt_wr *w = race->w;

	memset(t->mem[0].p, race->written + race->refused, KT_REGION_BYTES);
	reinit_completion(&w->done);
	atomic_set(&w->calls, 0);
	w->rdma.rkey = READ_ONCE(race->key);
	kt_post(t, &t->main.b, w);
	if (!KT_CHECK(t, kt_wait(t, w), "a WRITE does not end"))
		return;
	if (w->wc.status == IB_WC_SUCCESS) {
		race->written++;
	} else if (KT_CHECK(t, w->wc.status == IB_WC_REM_ACCESS_ERR,
			    "WRITE: %s", ib_wc_status_msg(w->wc.status))) {
		race->refused++;
		kt_pair_reconnect(t, &t->main);
	}
}

static int kt_race_writer(void *arg)
{
	struct kt_race *race = arg;

	while (!kthread_should_stop()) {
		if (race->t->failed)
			usleep_range(1000, 2000);
		else
			kt_race_write(race);
	}
	return 0;
}

/* Register @mem for a moment. */
static void kt_race_round(struct kt_race *race, struct kt_mem *mem, int i)
{
	struct kt *t = race->t;
	struct kt_region *r = &race->r;

	if (race->destroys && !r->mr && !kt_region_alloc(t, r, t->pd))
		return;
	kt_region_map_usual(t, r, mem);
	r->mr->iova = KT_RACE_IOVA + 123;
	kt_do(t, &t->other.a, kt_region_wr(t, r, KT_RW), IB_WC_SUCCESS);
	WRITE_ONCE(race->key, r->mr->rkey);
	usleep_range(200 + i % 7 * 300, 300 + i % 7 * 300);
	if (race->destroys)
		kt_region_free(t, r);
	else
		kt_region_inv(t, &t->other.a, r);
}

/* It was registered: see what came to be in the region, and nowhere else. */
static void kt_race_settle(struct kt *t, const struct kt_region *r,
			   struct kt_mem *mem)
{
	u32 i;

	for (i = 0; i < KT_REGION_PIECES; i++) {
		const struct kt_piece *p = &kt_region_pieces[i];

		memcpy(mem->want + p->off, mem->p + p->off, p->len);
	}
	kt_mem_check(t, mem);
}

static void kt_race_run(struct kt *t, bool destroys)
{
	struct kt_race race = { .t = t, .destroys = destroys };
	unsigned long end = jiffies + KT_RACE_TIME;
	struct task_struct *writer;
	int i, wrs;

	if (!kt_region_alloc(t, &race.r, t->pd))
		return;
	kt_pair_open(t, &t->other, t->pd, (struct kt_opts){ IB_POLL_SOFTIRQ });
	race.w = kt_rdma(t, IB_WR_RDMA_WRITE, KT_RACE_IOVA + 123, 0);
	kt_sge(race.w, &t->mem[0], 0, KT_REGION_BYTES);
	wrs = t->wrs;
	writer = kthread_run(kt_race_writer, &race, "hodp_ktest");
	if (!KT_CHECK(t, !IS_ERR(writer), "kthread: %pe", writer))
		goto out;
	for (i = 0; !t->failed && time_before(jiffies, end); i++) {
		/* What was registered the last time has had time to change. */
		kt_mem_check(t, &t->mem[1 + i % 2]);
		kt_race_round(&race, &t->mem[1 + i % 2], i);
		kt_race_settle(t, &race.r, &t->mem[1 + i % 2]);
		t->wrs = wrs;
	}
	kthread_stop(writer);
	memcpy(t->mem[0].want, t->mem[0].p, KT_REGION_BYTES);
	pr_info("# %d regions, %d writes, %d refused\n", i, race.written,
		race.refused);
	KT_CHECK(t, i >= 10 && race.written >= 10 && race.refused >= 10,
		 "%d regions, %d writes, %d refused are no race", i,
		 race.written, race.refused);
out:
	kt_region_free(t, &race.r);
}

/* LOCAL_INV and REG_MR of other memory, while a peer writes by the rkey. */
static void kt_race_inval(struct kt *t)
{
	kt_race_run(t, false);
}

/* The same, but that the region is destroyed each time. */
static void kt_race_destroy(struct kt *t)
{
	kt_race_run(t, true);
}

const struct kt_case kt_race_cases[] = { { "race-inval", kt_race_inval },
					 { "race-destroy", kt_race_destroy },
					 {} };
