// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* ibv_advise_mr: pages are brought in before they are needed, and only those asked for. */
#include <sys/mman.h>

#include "inval.h"

static struct iv v;

static void setup(void)
{
	iv_get(&v, HT_ANON, IV_LEN);
}

static int advise(struct ibv_pd *pd, enum ibv_advise_mr_advice advice, uint32_t flags, size_t off,
		  uint32_t len, uint32_t lkey)
{
	struct ibv_sge sge = { ht_iova(&v.mr, v.p + off), len, lkey };

	return ibv_advise_mr(pd, advice, flags, &sge, 1);
}

static void need_prefetch(void)
{
	int err = advise(v.r.b->pd, IBV_ADVISE_MR_ADVICE_PREFETCH, IBV_ADVISE_MR_FLAG_FLUSH, 0, 1,
			 v.mr.mr->lkey);

	ht_require(v.r.b->dev, err != EOPNOTSUPP, "no ibv_advise_mr");
	ht_ok(err);
}

/* With FLUSH it is done when the call returns. */
static void prefetch_flush(const void *arg)
{
	const enum ibv_advise_mr_advice *advice = arg;
	size_t off = 10 * HT_PAGE + 5, len = 700 * HT_PAGE;

	setup();
	need_prefetch();
	ht_sys(madvise(v.p, v.len, MADV_DONTNEED));
	ht_eq(iv_present(&v, 0, v.len), 0);
	ht_ok(advise(v.r.b->pd, *advice, IBV_ADVISE_MR_FLAG_FLUSH, off, len, v.mr.mr->lkey));
	ht_eq(iv_present(&v, off, len), len / HT_PAGE + 1);
	/* No more than was asked for, rounded to whole pages. */
	ht_eq(iv_present(&v, 0, 10 * HT_PAGE), 0);
	ht_eq(iv_present(&v, 712 * HT_PAGE, 100 * HT_PAGE), 0);
	iv_read_value(&v, off, len, 0, "prefetched pages");
	iv_store(&v, off, len, 2, "WRITE into prefetched pages");
	/* Prefetched, then changed by the CPU and by madvise: nothing is stale. */
	ht_ok(advise(v.r.b->pd, *advice, IBV_ADVISE_MR_FLAG_FLUSH, off, len, v.mr.mr->lkey));
	iv_fill(&v, off, len, 3);
	iv_read(&v, off, len, 3, "READ of prefetched pages that the CPU has changed");
	ht_sys(madvise(v.p, v.len, MADV_DONTNEED));
	iv_read_value(&v, off, len, 0, "prefetched pages that are gone");
}

/* Without FLUSH it is done some time later. */
static void prefetch_later(const void *arg)
{
	setup();
	need_prefetch();
	ht_sys(madvise(v.p, v.len, MADV_DONTNEED));
	ht_ok(advise(v.r.b->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, 0, 0, v.len, v.mr.mr->lkey));
	ht_wait_until(iv_present(&v, 0, v.len) == v.len / HT_PAGE, "the prefetch");
	iv_store(&v, 3, v.len - 3, 4, "WRITE into prefetched pages");
}

/* NO_FAULT takes only what is mapped already. */
static void prefetch_no_fault(const void *arg)
{
	setup();
	need_prefetch();
	ht_sys(madvise(v.p, v.len, MADV_DONTNEED));
	iv_fill(&v, 0, v.len / 2, 5);
	ht_ok(advise(v.r.b->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, IBV_ADVISE_MR_FLAG_FLUSH, 0,
		     v.len, v.mr.mr->lkey));
	ht_eq(iv_present(&v, v.len / 2, v.len / 2), 0);
	iv_read(&v, 0, v.len / 2, 5, "what was mapped");
	iv_read_value(&v, v.len / 2, v.len / 2, 0, "what was not");
}

static void prefetch_errors(const void *arg)
{
	struct ht_mr ro, pinned;
	struct ibv_pd *other;
	uint32_t key;
	const uint32_t flush = IBV_ADVISE_MR_FLAG_FLUSH;
	const enum ibv_advise_mr_advice get = IBV_ADVISE_MR_ADVICE_PREFETCH,
					write = IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE;

	setup();
	need_prefetch();
	key = v.mr.mr->lkey;
	other = ibv_alloc_pd(v.r.b->dev->ctx);
	ht_true(other != NULL);
	/* Errnos as in ibv_advise_mr(3) and mlx5. */
	ht_errno(advise(v.r.b->pd, get, flush, 0, 64, key ^ 1), ENOENT);
	ht_errno(advise(other, get, flush, 0, 64, key), EPERM);
	ht_check(advise(v.r.b->pd, get, flush, v.len - 10, 11, key) > 0, "behind the end");
	ht_check(advise(v.r.b->pd, get, flush, -1, 10, key) > 0, "before the beginning");
	ht_errno(advise(v.r.b->pd, get, 1u << 20, 0, 64, key), EINVAL);
	ht_errno(advise(v.r.b->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT + 1, flush, 0, 64, key),
		 EOPNOTSUPP);
	ht_errno(advise(v.r.b->pd, 77, 0, 0, 64, key), EOPNOTSUPP);
	ht_mr_get(&ro, v.r.b->pd, v.p, v.len, HT_ODP, IBV_ACCESS_REMOTE_READ);
	ht_errno(advise(v.r.b->pd, write, flush, 0, 64, ro.mr->lkey), EPERM);
	ht_ok(advise(v.r.b->pd, get, flush, 0, 64, ro.mr->lkey));
	ht_mr_get(&pinned, v.r.b->pd, v.p, HT_PAGE, HT_PINNED, HT_ACCESS_ALL);
	ht_errno(advise(v.r.b->pd, get, flush, 0, 64, pinned.mr->lkey), EINVAL);
	/* Advice about unmapped memory fails now, or when the memory is used. */
	ht_sys(munmap(v.p + 50 * HT_PAGE, HT_PAGE));
	advise(v.r.b->pd, get, flush, 50 * HT_PAGE, HT_PAGE, key);
	advise(v.r.b->pd, write, 0, 0, v.len, key);
	iv_status(&v, 50 * HT_PAGE, 8, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	iv_store(&v, 0, 50 * HT_PAGE, 6, "WRITE before the hole");
}

/* Several pieces, of several regions, in one call; and the implicit region. */
static void prefetch_list(const void *arg)
{
	struct ibv_sge sge[3];
	struct ht_mr all;

	setup();
	need_prefetch();
	ht_need_mr(v.r.b->dev, HT_ODP_IMPLICIT);
	ht_mr_get(&all, v.r.b->pd, NULL, 0, HT_ODP_IMPLICIT, HT_ACCESS_ALL);
	ht_sys(madvise(v.p, v.len, MADV_DONTNEED));
	sge[0] = ht_sge(&v.mr, v.p, HT_PAGE);
	sge[1] = ht_sge(&all, v.p + 20 * HT_PAGE, 2 * HT_PAGE);
	sge[2] = ht_sge(&v.mr, v.p + 600 * HT_PAGE - 1, 2);
	ht_ok(ibv_advise_mr(v.r.b->pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			    IBV_ADVISE_MR_FLAG_FLUSH, sge, 3));
	ht_eq(iv_present(&v, 0, HT_PAGE), 1);
	ht_eq(iv_present(&v, 20 * HT_PAGE, 2 * HT_PAGE), 2);
	ht_eq(iv_present(&v, 599 * HT_PAGE, 2 * HT_PAGE), 2);
	ht_eq(iv_present(&v, 0, v.len), 5);
	iv_store(&v, 0, v.len, 7, "WRITE over all of it");
}

static const enum ibv_advise_mr_advice get = IBV_ADVISE_MR_ADVICE_PREFETCH,
				       write_ = IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE;

const struct ht_case inval_prefetch[] = {
	{ "prefetch-read", "a flushed PREFETCH has brought in what was asked", prefetch_flush,
	  &get },
	{ "prefetch-write", "a flushed PREFETCH_WRITE has brought in what was asked",
	  prefetch_flush, &write_ },
	{ "prefetch-later", "an unflushed PREFETCH is done later", prefetch_later },
	{ "prefetch-no-fault", "PREFETCH_NO_FAULT faults nothing in", prefetch_no_fault },
	{ "prefetch-errors", "bad advice is refused and does no harm", prefetch_errors },
	{ "prefetch-list", "a list of pieces, the implicit region among them", prefetch_list },
	{},
};
