// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Pages that are brought in: by advice, by an operation, by a worker. */
#include <sys/mman.h>

#include "failnth.h"

#define LEN (HT_MIB)

static struct ht_rig r;
static struct ht_mem far;
static struct ht_mr far_mr;

/* A target far from everything else, so that its window of the mirror is new as well. */
static void setup(void)
{
	shot_need();
	ht_rig_get(&r, NULL, LEN);
	ht_fill(r.p[0], LEN, 480, 0);
}

static void new_target(void)
{
	static uintptr_t at = 0x100000000000UL;

	far = (struct ht_mem){ .len = LEN };
	far.p = mmap((void *)at, LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	ht_check(far.p == (void *)at, "mmap at 0x%lx: %s", (unsigned long)at, strerror(errno));
	at += 2 * HT_GIB;
	ht_mr_get(&far_mr, r.b->pd, far.p, LEN, HT_ODP, HT_ACCESS_ALL);
}

static void drop_target(void)
{
	ht_mr_put(&far_mr);
	ht_sys(munmap(far.p, LEN));
}

/* A WRITE of the whole buffer arrives, whatever happened before. */
static void all_arrives(uint64_t seed, const char *what)
{
	ht_fill(r.p[0], LEN, seed, 0);
	ht_rdma(r.a, IBV_WR_RDMA_WRITE, &r.mr[0], r.p[0], LEN, &far_mr, far.p);
	ht_check_fill(far.p, LEN, seed, 0, what);
}

static void data_prefetch(const void *arg)
{
	const int *advice = arg;
	int hits = 0, failed = 0;
	bool more = true;

	setup();
	for (int n = 1; more; n += n < 60 ? 1 : 1 + n / 20) {
		int err;

		ht_check(n < 100000, "it never ends");
		new_target();
		shot_load(1, n);
		err = ht_advise(&far_mr, far.p, LEN, *advice, IBV_ADVISE_MR_FLAG_FLUSH);
		more = shot_hit();
		hits += more;
		failed += !!err;
		ht_check(!err || (more && (err == ENOMEM || err == EFAULT || err == EAGAIN)),
			 "shot %d: %d (%s)", n, err, strerror(err));
		ht_ok(ht_advise(&far_mr, far.p, LEN, *advice, IBV_ADVISE_MR_FLAG_FLUSH));
		all_arrives(n, "a WRITE after a prefetch that was shot at");
		drop_target();
	}
	ht_note("%d allocations and copies, %d of them errors", hits, failed);
	ht_check(hits > 0, "nothing was hit");
	ht_rig_put(&r);
}

/* In the doorbell: a request that gets no memory is executed later, and nobody notices. */
static void data_doorbell(const void *arg)
{
	static const enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ };
	int hits = 0;

	setup();
	for (size_t k = 0; k < HT_LEN(ops); k++) {
		bool more = true;

		for (int n = 1; more; n++) {
			ht_check(n < 2000, "it never ends");
			new_target();
			if (k)
				ht_fill(far.p, LEN, 1000 + n, 0);
			ht_fill(r.p[0], LEN, n, 0);
			shot_load_bell(n);
			ht_rdma(r.a, ops[k], &r.mr[0], r.p[0], LEN, &far_mr, far.p);
			more = shot_hit();
			hits += more;
			ht_check_fill(far.p, LEN, k ? 1000 + n : n, 0, "the target");
			ht_check_fill(r.p[0], LEN, k ? 1000 + n : n, 0, "the requester's memory");
			drop_target();
		}
	}
	ht_note("%d allocations", hits);
	ht_check(hits > 0, "nothing was hit");
	ht_rig_put(&r);
}

/* In the kernel's workers: a fault that gets no memory tries again. */
static void data_workers(const void *arg)
{
	setup();
	for (int n = 1; n < ht_count(160); n += n < 40 ? 1 : 3) {
		new_target();
		ht_fill(r.p[0], LEN, n, 0);
		shot_workers(n);
		ht_rdma(r.a, IBV_WR_RDMA_WRITE, &r.mr[0], r.p[0], LEN, &far_mr, far.p);
		shot_workers(0);
		ht_check_fill(far.p, LEN, n, 0, "a WRITE whose page fault had no memory");
		drop_target();
	}
	ht_rig_put(&r);
}

static const int get = IBV_ADVISE_MR_ADVICE_PREFETCH, write_ = IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
		 no_fault = IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT;

const struct ht_case failnth_data[] = {
	{ "failnth-prefetch", "each allocation of a prefetch fails once", data_prefetch, &get,
	  600 },
	{ "failnth-prefetch-write", "each allocation of a prefetch fails once", data_prefetch,
	  &write_, 600 },
	{ "failnth-prefetch-no-fault", "each allocation of a prefetch fails once", data_prefetch,
	  &no_fault, 600 },
	{ "failnth-doorbell", "each allocation in the doorbell fails once", data_doorbell, NULL,
	  300 },
	{ "failnth-workers", "allocations of page faults fail, the data arrive", data_workers, NULL,
	  600 },
	{},
};
