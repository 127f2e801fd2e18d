// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Invalidation against traffic.
 *
 * One thread has data put into a region by its key, as fast as it can, with the
 * key of now or the one before: a WRITE of the peer, or a READ or a receive of
 * the region's own side.  The other registers now this memory, now that, always
 * at the same IOVA, and takes the key back.  When that is complete, no byte of
 * the memory may change any more, and none outside the region ever.
 *
 * The region is large, so that most invalidations find a copy under way.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/slab.h>
#include "ktest.h"

#define KT_RACE_TIME (3 * HZ)
/* A slow machine has this long to produce a race. */
#define KT_RACE_LIMIT (15 * HZ)
#define KT_RACE_ENOUGH 10
#define KT_RACE_MEM SZ_512K
/* The lowest bits are the memory's. */
#define KT_RACE_IOVA (0x4000000000ULL + 123)

/* Begins at an odd byte, ends short of a page, and memory between the pieces. */
static const struct kt_piece kt_race_pieces[] = {
	{ 3 * 4096 + 123, 30 * 4096 - 123 },
	{ 40 * 4096, 70 * 4096 },
	{ 111 * 4096, 15 * 4096 + 777 },
};

#define KT_RACE_PAGES (30 + 70 + 16)
#define KT_RACE_BYTES (115 * 4096 - 123 + 777)

/*
 * How the data gets there; how the request ends when the key is no longer
 * valid; whether the region is destroyed each time.
 */
struct kt_race_way {
	enum ib_wr_opcode op;
	bool lkey;
	enum ib_wc_status refused;
	bool destroys;
};

/* A peer writes by the rkey; the region's own side reads or receives. */
static const struct kt_race_way kt_race_by_write = { IB_WR_RDMA_WRITE, false,
						     IB_WC_REM_ACCESS_ERR };
static const struct kt_race_way kt_race_destroying = { IB_WR_RDMA_WRITE, false,
						       IB_WC_REM_ACCESS_ERR,
						       true };
static const struct kt_race_way kt_race_by_read = { IB_WR_RDMA_READ, true,
						    IB_WC_LOC_PROT_ERR };
static const struct kt_race_way kt_race_by_recv = { IB_WR_SEND, true,
						    IB_WC_REM_OP_ERR };

/**
 * struct kt_race - what both threads know
 * @mem: the memory that is registered in turn
 * @src: what is written; the writer's
 * @key: of now or of before
 * @w, @in, @written, @refused: the writer's, until it has ended; @in: the
 *	receive of a SEND
 */
struct kt_race {
	struct kt *t;
	struct kt_region r;
	struct kt_mem mem[2];
	struct kt_mem src;
	const struct kt_race_way *way;
	struct kt_wr *w;
	struct kt_wr *in;
	u32 key;
	int written;
	int refused;
};

/* Post the request that puts data into the region. */
static void kt_race_post(struct kt_race *race)
{
	u32 key = READ_ONCE(race->key);
	struct kt_wr *w = race->w, *in = race->in;
	struct kt *t = race->t;

	reinit_completion(&w->done);
	atomic_set(&w->calls, 0);
	if (in) {
		reinit_completion(&in->done);
		atomic_set(&in->calls, 0);
		in->sge[0].lkey = key;
		kt_post_recv(t, &t->main.a, in);
	} else if (race->way->lkey) {
		w->sge[0].lkey = key;
	} else {
		w->rdma.rkey = key;
	}
	kt_post(t, &t->main.b, w);
}

/* The whole region once, with other bytes than the last time. */
static void kt_race_write(struct kt_race *race)
{
	const struct kt_wr *w = race->w, *in = race->in;
	struct kt *t = race->t;
	bool done;

	memset(race->src.p, race->written + race->refused, KT_RACE_BYTES);
	kt_race_post(race);
	if (!KT_CHECK(t, kt_wait(t, race->w) && (!in || kt_wait(t, race->in)),
		      "a request does not end"))
		return;
	done = w->wc.status == IB_WC_SUCCESS;
	KT_CHECK(t, done || w->wc.status == race->way->refused, "request: %s",
		 ib_wc_status_msg(w->wc.status));
	KT_CHECK(t,
		 !in || in->wc.status ==
				 (done ? IB_WC_SUCCESS : IB_WC_LOC_PROT_ERR),
		 "receive: %s", ib_wc_status_msg(in->wc.status));
	if (done) {
		race->written++;
	} else if (!t->failed) {
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
static void kt_race_register(struct kt_race *race, struct kt_mem *mem, int i)
{
	struct kt *t = race->t;
	struct kt_region *r = &race->r;
	int ret;

	if (!r->mr && !kt_region_alloc(t, r, t->pd, KT_RACE_PAGES))
		return;
	ret = kt_region_map(r, mem, kt_race_pieces, ARRAY_SIZE(kt_race_pieces),
			    NULL, SZ_4K);
	KT_CHECK(t,
		 ret == ARRAY_SIZE(kt_race_pieces) &&
			 r->mr->length == KT_RACE_BYTES,
		 "mapped %d", ret);
	r->mr->iova = KT_RACE_IOVA;
	kt_do(t, &t->other.a, kt_region_wr(t, r, KT_RW), IB_WC_SUCCESS);
	WRITE_ONCE(race->key, r->mr->rkey);
	usleep_range(500 + i % 7 * 300, 600 + i % 7 * 300);
	if (race->way->destroys)
		kt_region_free(t, r);
	else
		kt_region_inv(t, &t->other.a, r);
}

/* It was registered: note what arrived in the region, and nowhere else. */
static void kt_race_note(struct kt *t, struct kt_mem *mem)
{
	int i;
	u32 off;

	/* Compare backwards: a copy still running would reach the end last. */
	for (i = ARRAY_SIZE(kt_race_pieces) - 1; i >= 0; i--) {
		const struct kt_piece *p = &kt_race_pieces[i];

		for (off = round_down(p->len, 512);; off -= 512) {
			memcpy(mem->want + p->off + off, mem->p + p->off + off,
			       min(p->len - off, 512));
			if (!off)
				break;
		}
	}
}

static bool kt_race_enough(const struct kt_race *race, int rounds)
{
	return rounds >= KT_RACE_ENOUGH &&
	       READ_ONCE(race->written) >= KT_RACE_ENOUGH &&
	       READ_ONCE(race->refused) >= KT_RACE_ENOUGH;
}

static bool kt_race_goes_on(const struct kt_race *race, int rounds,
			    unsigned long start)
{
	if (race->t->failed)
		return false;
	return time_before(jiffies, start + (kt_race_enough(race, rounds) ?
						     KT_RACE_TIME :
						     KT_RACE_LIMIT));
}

static void kt_race_rounds(struct kt_race *race)
{
	unsigned long start = jiffies;
	struct kt *t = race->t;
	struct task_struct *writer;
	int i, wrs = t->wrs;

	writer = kthread_run(kt_race_writer, race, "hodp_ktest");
	if (!KT_CHECK(t, !IS_ERR(writer), "kthread: %pe", writer))
		return;
	for (i = 0; kt_race_goes_on(race, i, start); i++) {
		struct kt_mem *mem = &race->mem[i & 1];

		kt_race_register(race, mem, i);
		kt_race_note(t, mem);
		/* Both: the unregistered one has had time to change. */
		kt_mem_check(t, &race->mem[~i & 1]);
		kt_mem_check(t, mem);
		t->wrs = wrs;
	}
	kthread_stop(writer);
	kt_mem_check(t, &race->mem[0]);
	kt_mem_check(t, &race->mem[1]);
	pr_info("# %d regions, %d writes, %d refused\n", i, race->written,
		race->refused);
	KT_CHECK(t, kt_race_enough(race, i), "that is no race");
}

/* The request of @race->way, and its receive. */
static void kt_race_requests(struct kt_race *race)
{
	struct kt *t = race->t;

	switch (race->way->op) {
	case IB_WR_SEND:
		race->in = kt_recv(t);
		kt_sge_key(race->in, KT_RACE_IOVA, KT_RACE_BYTES, 0);
		race->w = kt_wr(t, IB_WR_SEND);
		break;
	case IB_WR_RDMA_READ:
		race->w = kt_rdma_mem(t, IB_WR_RDMA_READ, &race->src, 0);
		kt_sge_key(race->w, KT_RACE_IOVA, KT_RACE_BYTES, 0);
		return;
	default:
		race->w = kt_rdma(t, race->way->op, KT_RACE_IOVA, 0);
	}
	kt_sge(race->w, &race->src, 0, KT_RACE_BYTES);
}

/* LOCAL_INV and REG_MR of other memory, while data is put into the region. */
static void kt_race(struct kt *t)
{
	struct kt_race *race = kzalloc_obj(*race, GFP_KERNEL);
	int i, ret;

	if (!KT_CHECK(t, race, "no memory"))
		return;
	race->t = t;
	race->way = t->arg;
	ret = kt_mem_alloc(t, &race->src, KT_RACE_MEM);
	for (i = 0; i < 2 && !ret; i++) {
		ret = kt_mem_alloc(t, &race->mem[i], KT_RACE_MEM);
		if (!ret)
			kt_mem_fill(t, &race->mem[i]);
	}
	KT_CHECK(t, !ret, "memory: %d", ret);
	if (!ret)
		kt_pair_open(t, &t->other, t->pd, (struct kt_opts){});
	if (!t->failed) {
		kt_race_requests(race);
		kt_race_rounds(race);
	}
	/* Stop everything before the memory that it writes to is freed. */
	kt_pair_close(t, &t->main);
	kt_pair_close(t, &t->other);
	kt_region_free(t, &race->r);
	for (i = 0; i < 2; i++)
		kt_mem_free(t, &race->mem[i]);
	kt_mem_free(t, &race->src);
	kfree(race);
}

const struct kt_case kt_race_cases[] = {
	{ "race-inval", kt_race, .arg = &kt_race_by_write },
	{ "race-destroy", kt_race, .arg = &kt_race_destroying },
	{ "race-inval-read", kt_race, .arg = &kt_race_by_read },
	{ "race-inval-recv", kt_race, .arg = &kt_race_by_recv },
	{}
};
