// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Reclaim: pages are taken away under memory pressure. What RDMA wrote is data: it
 * is in swap or in the page, never lost.
 */
#include <sys/mman.h>

#include "inval.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static struct iv v;

static bool swap_is_on(void)
{
	char line[200];
	int lines = 0;
	FILE *f = fopen("/proc/swaps", "r");

	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		fclose(f);
	return lines > 1;
}

static void need_swap(void)
{
	if (!swap_is_on())
		ht_skip("no swap in this guest (HODP_SWAP makes a swap file)");
}

/*
 * Repeat until no page is left. Reclaim misses pages that another CPU has queued
 * for the LRU; drop_caches makes all CPUs empty these queues.
 */
static void page_out(size_t off, size_t len)
{
	for (int i = 0; i < 20; i++) {
		ht_sys(madvise(v.p + off, len, MADV_PAGEOUT));
		if (!iv_present(&v, off, len))
			return;
		ht_put("/proc/sys/vm/drop_caches", "1");
	}
	ht_fail("MADV_PAGEOUT leaves %zu of %zu pages", iv_present(&v, off, len), len / HT_PAGE);
}

/*
 * MADV_FREE leaves writable but clean pages, which reclaim may drop. A WRITE
 * through an entry that the device already has makes them data again.
 */
static void lazyfree(const void *arg)
{
	const enum ht_mem_kind *kind = arg;

	iv_get(&v, *kind, IV_LEN);
	iv_fill(&v, 0, v.len, 1);
	for (uint64_t round = 2; round < 6; round++) {
		/* Hot and writable for the device … */
		iv_write(&v, 0, v.len, round);
		ht_sys(madvise(v.p, v.len, MADV_FREE));
		/* … RDMA writes first, the CPU does not touch them before reclaim. */
		iv_write(&v, 0, v.len / 2, round + 10);
		ht_sys(madvise(v.p, v.len, MADV_PAGEOUT));
		iv_check(&v, 0, v.len / 2, round + 10, "WRITEs after MADV_FREE");
		iv_fill(&v, 0, v.len, 1);
	}
	/* The CPU frees them in between and RDMA reads first: clean entries again. */
	for (uint64_t round = 30; round < 33; round++) {
		iv_fill(&v, 0, v.len, round);
		ht_sys(madvise(v.p, v.len, MADV_FREE));
		iv_read(&v, 0, v.len, round, "READ after MADV_FREE");
		iv_write(&v, 4097, v.len / 2, round + 10);
		ht_sys(madvise(v.p, v.len, MADV_PAGEOUT));
		iv_check(&v, 4097, v.len / 2, round + 10, "WRITE after READ after MADV_FREE");
	}
}

/* Out to swap and back, several times, by RDMA alone. */
static void swapped(const void *arg)
{
	const enum ht_mem_kind *kind = arg;

	need_swap();
	iv_get(&v, *kind, IV_LEN);
	iv_fill(&v, 0, v.len, 1);
	for (uint64_t round = 1; round < 4; round++) {
		page_out(0, v.len);
		iv_read(&v, 0, v.len, round, "READ from swap");
		/* Swapped in by a read: exclusive, clean, in the swap cache. */
		iv_write(&v, 0, v.len, round + 50);
		page_out(0, v.len);
		iv_check(&v, 0, v.len, round + 50, "WRITE after a read swap-in");
		page_out(0, v.len);
		iv_write(&v, 0, v.len, round + 1);
		page_out(0, v.len);
		iv_check(&v, 0, v.len, round + 1, "WRITE into swapped-out pages");
	}
}

/* Page out random pieces, transfer at random, compare with a shadow of the whole. */
static void swap_traffic(const void *arg)
{
	const enum ht_mem_kind *kind = arg;
	struct ht_rng g = { ht_seed("swap") };
	uint8_t *shadow;

	need_swap();
	iv_get(&v, *kind, IV_LEN);
	iv_fill(&v, 0, v.len, 1);
	shadow = malloc(v.len);
	memcpy(shadow, v.p, v.len);
	for (long i = 0; i < ht_count(200); i++) {
		size_t n = 1 + ht_below(&g, 40000), off = ht_below(&g, v.len - n);
		size_t at = ht_below(&g, v.len / HT_PAGE - 64) * HT_PAGE;

		ht_sys(madvise(v.p + at, 64 * HT_PAGE, MADV_PAGEOUT));
		if (ht_below(&g, 2)) {
			ht_fill(shadow + off, n, 100 + i, off);
			iv_write(&v, off, n, 100 + i);
		} else {
			ht_rdma(v.r.a, IBV_WR_RDMA_READ, &v.r.mr[0], v.r.p[0], n, &v.mr, v.p + off);
			ht_check_bytes(v.r.p[0], shadow + off, n, "READ beside reclaim");
		}
	}
	ht_check_bytes(v.p, shadow, v.len, "the target at the end");
}

/* --- a region that is larger than the memory the process may have -------------- */

static void region_in_cgroup(size_t len, size_t piece)
{
	memset(&v, 0, sizeof(v));
	ht_rig_get(&v.r, NULL, piece);
	ht_need_mr(v.r.a->dev, HT_ODP);
	ht_mem_get(&v.m, HT_ANON, len, 0);
	v.p = v.m.p;
	v.len = len;
	ht_mr_get(&v.mr, v.r.b->pd, v.p, len, HT_ODP, HT_ACCESS_ALL);
}

static void larger_than_memory(const void *arg)
{
	size_t len = 24 * HT_MIB, piece = 256 * HT_KIB;

	need_swap();
	ht_cgroup_enter("inval");
	ht_cgroup_max("inval", 14 * HT_MIB);
	region_in_cgroup(len, piece);
	for (size_t off = 0; off < len; off += piece)
		iv_write(&v, off, piece, 1);
	ht_check(iv_present(&v, 0, len) < len / HT_PAGE, "all 24 MiB are in 14 MiB of memory");
	for (size_t off = 0; off < len; off += piece)
		iv_read(&v, off, piece, 1, "a region larger than its memory");
	for (size_t off = 0; off < len; off += 3 * piece)
		iv_write(&v, off + 5, piece / 2, 2);
	for (size_t off = 0; off + 3 * piece <= len; off += 3 * piece) {
		iv_read(&v, off + 5, piece / 2, 2, "rewritten pieces");
		iv_read(&v, off + piece, piece, 1, "pieces that were not");
	}
}

/*
 * A prefetch of 6 MiB where 3 to 4 MiB are free: what it brings in pushes out what
 * it brought before, and the call ends all the same. Success means that each page
 * was there once.
 */
static void prefetch_tight(const void *arg)
{
	size_t len = 6 * HT_MIB, piece = 256 * HT_KIB, max;
	uint64_t pages;

	need_swap();
	ht_cgroup_enter("inval");
	region_in_cgroup(len, piece);
	for (size_t off = 0; off < len; off += piece)
		iv_write(&v, off, piece, 3);
	/* Everything else charged here is reclaimed first, and comes back. */
	for (max = ht_cgroup_current("inval"); iv_present(&v, 0, len) > len / HT_PAGE / 2;) {
		max -= 64 * HT_PAGE;
		ht_cgroup_max("inval", max);
	}
	max += HT_MIB;
	ht_cgroup_max("inval", max);
	for (uint64_t round = 1; round < 3; round++) {
		for (size_t off = 0; off < len; off += piece)
			iv_write(&v, off, piece, round);
		/* Other memory that is charged here may have gone meanwhile. */
		while (iv_present(&v, 0, len) > len / HT_PAGE * 3 / 4) {
			max -= 64 * HT_PAGE;
			ht_cgroup_max("inval", max);
		}
		pages = v.r.b->dev->is_hodp ? ht_counter(v.r.b->dev, "page_faults_pages") : 0;
		ht_ok(ht_advise(&v.mr, v.p, len,
				round & 1 ? IBV_ADVISE_MR_ADVICE_PREFETCH :
					    IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
				IBV_ADVISE_MR_FLAG_FLUSH));
		if (v.r.b->dev->is_hodp) {
			pages = ht_counter(v.r.b->dev, "page_faults_pages") - pages;
			ht_check(pages >= len / HT_PAGE, "%zu pages, %lu were brought in",
				 len / HT_PAGE, (unsigned long)pages);
		}
		for (size_t off = 0; off < len; off += piece)
			iv_read(&v, off, piece, round, "what was prefetched");
	}
}

/* Compaction moves pages; nobody may notice. */
static void compaction(const void *arg)
{
	iv_get(&v, HT_ANON, IV_LEN);
	iv_fill(&v, 0, v.len, 1);
	/* Free every second page, so that there is something to compact. */
	for (size_t i = 0; i < v.len; i += 4 * HT_PAGE)
		ht_sys(madvise(v.p + i, HT_PAGE, MADV_DONTNEED));
	iv_write(&v, 0, v.len, 2);
	for (uint64_t round = 2; round < 5; round++) {
		if (!ht_put("/proc/sys/vm/compact_memory", "1"))
			ht_skip("this kernel does not compact on demand");
		iv_read(&v, 0, v.len, round, "READ after compaction");
		iv_store(&v, 0, v.len, round + 1, "WRITE after compaction");
	}
}

const struct ht_case inval_reclaim[] = {
	{ "lazyfree", "a WRITE after MADV_FREE survives reclaim", lazyfree, .kinds = IV_ANON },
	{ "swap", "what RDMA wrote comes back from swap", swapped,
	  .kinds = IV_ANON | HT_BIT(HT_TMPFS) },
	{ "swap-traffic", "transfers beside MADV_PAGEOUT are right", swap_traffic,
	  .kinds = IV_ANON | HT_BIT(HT_TMPFS) },
	{ "swap-larger-than-memory", "a region may be larger than memory", larger_than_memory, NULL,
	  120 },
	{ "prefetch-tight", "a prefetch beyond memory ends with a true status", prefetch_tight,
	  NULL, 300 },
	{ "compaction", "the region follows migrated pages", compaction },
	{},
};
