// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Transparent huge pages are collapsed and split under a hot region. */
#include <sys/mman.h>

#include "inval.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static struct iv v;

/* KiB of huge pages in the mapping at @p. */
static long huge_kib(const void *p)
{
	unsigned long from, to;
	char line[400];
	bool here = false;
	long kib = -1;
	FILE *f = fopen("/proc/self/smaps", "r");

	ht_true(f != NULL);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (uintptr_t)p && (uintptr_t)p < to;
		else if (here && sscanf(line, "AnonHugePages: %ld", &kib) == 1)
			break;
	}
	fclose(f);
	return kib;
}

static void split(const void *arg)
{
	iv_get(&v, HT_THP, IV_LEN);
	iv_fill(&v, 0, v.len, 1);
	ht_eq(huge_kib(v.p), IV_LEN / HT_KIB);
	iv_write(&v, 0, v.len, 2);
	/* By a hole … */
	ht_sys(madvise(v.p + 100 * HT_PAGE, HT_PAGE, MADV_DONTNEED));
	iv_read_value(&v, 100 * HT_PAGE, HT_PAGE, 0, "the hole");
	iv_read(&v, 0, 100 * HT_PAGE, 2, "before the hole");
	iv_read(&v, 101 * HT_PAGE, v.len - 101 * HT_PAGE, 2, "behind the hole");
	iv_store(&v, 99 * HT_PAGE + 1, 2 * HT_PAGE, 3, "WRITE across the hole");
	/* … by another right … */
	ht_sys(mprotect(v.p + 700 * HT_PAGE, HT_PAGE, PROT_READ));
	iv_read(&v, 600 * HT_PAGE, 400 * HT_PAGE, 2, "around a read-only page");
	iv_status(&v, 700 * HT_PAGE, 1, IBV_WC_REM_ACCESS_ERR, IBV_WC_SUCCESS);
	ht_sys(mprotect(v.p + 700 * HT_PAGE, HT_PAGE, PROT_READ | PROT_WRITE));
	iv_store(&v, 699 * HT_PAGE, 3 * HT_PAGE, 4, "WRITE after the split");
	/* Split a huge page by dropping its first and its last page. */
	ht_sys(munmap(v.p + 512 * HT_PAGE, HT_PAGE));
	ht_sys(munmap(v.p + 1023 * HT_PAGE, HT_PAGE));
	iv_status(&v, 512 * HT_PAGE, 1, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	iv_status(&v, 1024 * HT_PAGE - 1, 1, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	iv_read(&v, 513 * HT_PAGE, 100 * HT_PAGE, 2, "between them");
}

/* A collapse replaces the small pages: nothing may go to the old ones. */
static void collapse(const void *arg)
{
	iv_get_hot(&v, HT_ANON);
	ht_sys(madvise(v.p, v.len, MADV_HUGEPAGE));
	for (uint64_t round = 0; round < 4; round++) {
		if (madvise(v.p, v.len, MADV_COLLAPSE)) {
			if (errno == EINVAL)
				ht_skip("no MADV_COLLAPSE");
			ht_fail("MADV_COLLAPSE: %s", strerror(errno));
		}
		ht_eq(huge_kib(v.p), IV_LEN / HT_KIB);
		iv_read(&v, 0, v.len, 2 + round, "READ after the collapse");
		iv_write(&v, 1, v.len - 1, 3 + round);
		iv_write(&v, 0, 1, 3 + round);
		iv_check(&v, 0, v.len, 3 + round, "WRITE after the collapse");
		/* Apart again. */
		ht_sys(madvise(v.p, v.len, MADV_NOHUGEPAGE));
		ht_sys(mprotect(v.p + HT_PAGE * 3, HT_PAGE, PROT_READ));
		ht_sys(mprotect(v.p + HT_PAGE * 3, HT_PAGE, PROT_READ | PROT_WRITE));
		ht_sys(madvise(v.p + HT_HUGE, HT_PAGE, MADV_DONTNEED));
		iv_read_value(&v, HT_HUGE, HT_PAGE, 0, "the hole");
		iv_write(&v, HT_HUGE, HT_PAGE, 3 + round);
		ht_sys(madvise(v.p, v.len, MADV_HUGEPAGE));
	}
}

/* Part of a huge page is moved; the rest stays in the region. */
static void part_moves(const void *arg)
{
	uint8_t *to;

	iv_get(&v, HT_THP, IV_LEN);
	iv_fill(&v, 0, v.len, 1);
	ht_eq(huge_kib(v.p), IV_LEN / HT_KIB);
	iv_write(&v, 0, v.len, 2);
	to = ht_reserve(HT_PAGE * 16, 0, HT_PAGE);
	ht_true(mremap(v.p + 40 * HT_PAGE, 16 * HT_PAGE, 16 * HT_PAGE,
		       MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	iv_status(&v, 40 * HT_PAGE, 16 * HT_PAGE, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	iv_write(&v, 0, 40 * HT_PAGE, 3);
	iv_write(&v, 56 * HT_PAGE, v.len - 56 * HT_PAGE, 3);
	iv_check(&v, 0, 40 * HT_PAGE, 3, "before what moved");
	iv_check(&v, 56 * HT_PAGE, v.len - 56 * HT_PAGE, 3, "behind what moved");
	ht_check_fill(to, 16 * HT_PAGE, 2, 40 * HT_PAGE, "what moved");
}

/*
 * A huge page that is mapped page by page is one entry of the device, but its pages
 * are dropped one at a time, and the event names only the one that goes. The case
 * drops the first page, one in the middle and the last, each of another huge page.
 */
static void by_pages(const void *arg)
{
	static const size_t gone[] = { 100, 512, 1535 };
	uint64_t before;

	iv_get(&v, HT_THP, 2 * IV_LEN);
	iv_fill(&v, 0, v.len, 1);
	ht_eq(huge_kib(v.p), v.len / HT_KIB);
	/* Changing a right and back splits the mapping, not the page. */
	for (size_t i = 0; i < v.len; i += HT_HUGE) {
		ht_sys(mprotect(v.p + i + 3 * HT_PAGE, HT_PAGE, PROT_READ));
		ht_sys(mprotect(v.p + i + 3 * HT_PAGE, HT_PAGE, PROT_READ | PROT_WRITE));
	}
	/* khugepaged must not collapse them again. */
	ht_sys(madvise(v.p, v.len, MADV_NOHUGEPAGE));
	iv_fill(&v, 0, v.len, 2);
	ht_eq(huge_kib(v.p), 0);
	ht_prefetch(&v.mr, v.p, v.len);
	for (size_t i = 0; i < HT_LEN(gone); i++) {
		size_t off = gone[i] * HT_PAGE, chunk = off / HT_HUGE * HT_HUGE;

		before = v.r.b->dev->is_hodp ? ht_counter(v.r.b->dev, "page_invalidations") : 0;
		ht_sys(madvise(v.p + off, HT_PAGE, MADV_DONTNEED));
		/*
		 * Otherwise the case proves nothing: it must have been one entry.
		 * The port's counters are cached for a while.
		 */
		if (v.r.b->dev->is_hodp) {
			ht_wait_until(ht_counter(v.r.b->dev, "page_invalidations") != before,
				      "an invalidation");
			/* Pages beside it may be dropped as well; a lone page is one. */
			ht_true(ht_counter(v.r.b->dev, "page_invalidations") - before >=
				(long)(HT_HUGE / HT_PAGE));
		}
		iv_read_value(&v, off, HT_PAGE, 0, "the page that went");
		iv_store(&v, off, HT_PAGE, 3, "WRITE to the page in its place");
		iv_read(&v, chunk, off - chunk, 2, "the pages before it");
		iv_read(&v, off + HT_PAGE, chunk + HT_HUGE - off - HT_PAGE, 2,
			"the pages behind it");
	}
}

const struct ht_case inval_huge[] = {
	{ "huge-by-pages", "a huge page that is mapped page by page loses one page", by_pages },
	{ "huge-split", "a huge page is split, RDMA follows", split },
	{ "huge-collapse", "pages are collapsed into a huge one, RDMA follows", collapse },
	{ "huge-part-moves", "a piece of a huge page is moved, the rest works", part_moves },
	{},
};
