// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Pages go away: MADV_DONTNEED, munmap, a new mapping at the same place.
 *
 * A middle piece of the target changes; the pieces beside it stay, are hot
 * before and must be right, and unharmed, afterwards. Kinds of memory are
 * variants of each case.
 */
#include <sys/mman.h>

#include "inval.h"

static struct iv v;

/* The middle piece [FROM, TO), in whole pages of the kind. */
static size_t from, to;

static void setup(const void *arg)
{
	const enum ht_mem_kind *kind = arg;

	iv_get(&v, *kind, IV_LEN);
	from = v.m.page > HT_PAGE ? v.m.page : 37 * HT_PAGE;
	to = v.m.page > HT_PAGE ? v.len : 900 * HT_PAGE;
	iv_fill(&v, 0, v.len, 1);
	/* Make all of it hot, for reading and for writing. */
	iv_read(&v, 0, v.len, 1, "before");
	iv_write(&v, 1, v.len - 1, 2);
	iv_write(&v, 0, 1, 2);
	iv_check(&v, 0, v.len, 2, "after the first WRITE");
}

static void beside(uint64_t seed)
{
	iv_check(&v, 0, from, seed, "the piece before");
	iv_check(&v, to, v.len - to, seed, "the piece behind");
	if (from)
		iv_read(&v, 0, from, seed, "the piece before, read");
	if (to < v.len)
		iv_read(&v, to, v.len - to, seed, "the piece behind, read");
}

static void dontneed(const void *arg)
{
	size_t n;

	setup(arg);
	n = to - from;
	for (uint64_t round = 10; round < 13; round++) {
		ht_sys(madvise(v.p + from, n, MADV_DONTNEED));
		/* RDMA first: the CPU must not have faulted the pages in yet. */
		if (ht_mem_persists(v.m.kind))
			iv_read(&v, from, n, round == 10 ? 2 : round + 99, "after DONTNEED");
		else
			iv_read_value(&v, from, n, 0, "after DONTNEED");
		iv_fill(&v, from, n, round);
		iv_read(&v, from, n, round, "the CPU's new bytes");
		ht_sys(madvise(v.p + from, n, MADV_DONTNEED));
		iv_store(&v, from + 1, n - 2, round + 100, "WRITE into absent pages");
		ht_eq(v.p[from], ht_mem_persists(v.m.kind) ? ht_byte(round, from) : 0);
		iv_write(&v, from, n, round + 100);
		beside(2);
	}
	ht_checked();
}

/* Unmapped: an error at the right end. Mapped again: the same region works. */
static void unmap(const void *arg)
{
	struct ht_mem again;
	size_t n;

	setup(arg);
	n = to - from;
	ht_sys(munmap(v.p + from, n));
	iv_status(&v, from, n, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	iv_status(&v, from - 5, 10, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	/* … and as local memory. */
	ht_eq(ht_rdma_status(v.r.a, IBV_WR_RDMA_WRITE, &v.lmr, v.p + from, n, &v.r.mr[1], v.r.p[1]),
	      IBV_WC_LOC_PROT_ERR);
	ht_pair_reconnect(&v.r.pair);
	/* The first bytes of the WRITE that ran into the hole may be there. */
	iv_fill(&v, 0, from, 2);
	beside(2);
	if (v.m.fd >= 0) {
		ht_true(mmap(v.p + from, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, v.m.fd,
			     v.m.off + from) == v.p + from);
		iv_read(&v, from, n, 2, "the file, mapped again");
	} else {
		ht_mem_get(&again, v.m.kind, n, 0);
		ht_fill(again.p, n, 3, from);
		ht_true(mremap(again.p, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, v.p + from) ==
			v.p + from);
		iv_read(&v, from, n, 3, "other memory, moved there");
	}
	iv_store(&v, from, n, 4, "WRITE after the way back");
	beside(2);
}

/* Other memory at the same address: the old pages must not be touched again. */
static void remap(const void *arg)
{
	uint8_t *old;
	size_t n;

	setup(arg);
	n = to - from;
	if (v.m.fd >= 0) {
		/* Another mapping keeps the old pages visible. */
		old = mmap(NULL, n, PROT_READ, MAP_SHARED, v.m.fd, v.m.off + from);
		ht_true(old != MAP_FAILED);
	} else {
		/* Move the old pages elsewhere with their mapping. */
		old = ht_reserve(n, 0, HT_HUGE);
		ht_true(mremap(v.p + from, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, old) == old);
	}
	ht_true(mmap(v.p + from, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0) == v.p + from);
	iv_read_value(&v, from, n, 0, "READ of the new pages");
	iv_store(&v, from, n, 5, "WRITE to the new pages");
	ht_check_fill(old, n, 2, from, "the old pages");
	beside(2);
}

/* mremap: the memory moves, the region stays at its address. */
static void moved(const void *arg)
{
	uint8_t *elsewhere;
	size_t n;

	setup(arg);
	n = to - from;
	elsewhere = ht_reserve(n, 0, HT_HUGE);
	ht_true(mremap(v.p + from, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) == elsewhere);
	iv_status(&v, from, n, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	ht_check_fill(elsewhere, n, 2, from, "the memory that moved");
	ht_true(mremap(elsewhere, n, n, MREMAP_MAYMOVE | MREMAP_FIXED, v.p + from) == v.p + from);
	iv_read(&v, from, n, 2, "after the way back");
	iv_store(&v, from + 3, n - 3, 6, "WRITE after the way back");
	beside(2);
}

/* A read fault leaves a page that must not be written; a WRITE needs another fault. */
static void upgrade(const void *arg)
{
	const enum ht_mem_kind *kind = arg;

	iv_get(&v, *kind, IV_LEN);
	iv_read_value(&v, 0, v.len, 0, "memory that nobody has touched");
	iv_store(&v, 5, v.len - 9, 7, "WRITE after READ");
	ht_check_value(v.p, 5, 0, "before it");
	ht_check_value(v.p + v.len - 4, 4, 0, "behind it");
	/* The CPU reads first, then RDMA writes. */
	ht_sys(madvise(v.p, v.len, MADV_DONTNEED));
	for (size_t i = 0; i < v.len; i += HT_PAGE)
		*(volatile uint8_t *)(v.p + i);
	iv_store(&v, 5, v.len - 9, 8, "WRITE after the CPU's read");
	iv_read(&v, 5, v.len - 9, 8, "READ back");
}

/* Many small pieces in random order, each checked by RDMA at once. */
static void scatter(const void *arg)
{
	struct ht_rng g = { ht_seed("scatter") };
	long n = ht_count(150);
	uint64_t *seeds;
	size_t pages;

	setup(arg);
	pages = v.len / v.m.page;
	seeds = calloc(pages, sizeof(*seeds));
	for (size_t i = 0; i < pages; i++)
		seeds[i] = 2;
	for (long i = 0; i < n; i++) {
		size_t k = ht_below(&g, pages), off = k * v.m.page;

		if (ht_mem_persists(v.m.kind))
			iv_read(&v, off, v.m.page, seeds[k], "before");
		ht_sys(madvise(v.p + off, v.m.page, MADV_DONTNEED));
		seeds[k] = 1000 + i;
		switch (ht_below(&g, 3)) {
		case 0: iv_store(&v, off, v.m.page, seeds[k], "WRITE"); break;
		case 1:
			iv_fill(&v, off, v.m.page, seeds[k]);
			iv_read(&v, off, v.m.page, seeds[k], "READ");
			break;
		default:
			/* The target as local memory: READ into it. */
			ht_fill(v.r.p[1], v.m.page, seeds[k], off);
			ht_rdma(v.r.a, IBV_WR_RDMA_READ, &v.lmr, v.p + off, v.m.page, &v.r.mr[1],
				v.r.p[1]);
			iv_check(&v, off, v.m.page, seeds[k], "READ into it");
		}
	}
	for (size_t k = 0; k < pages; k++)
		iv_check(&v, k * v.m.page, v.m.page, seeds[k], "a page at the end");
}

/* Kinds of memory, without those that cannot. */
#define NO_HUGETLB (HT_ALL_KINDS & ~HT_BIT(HT_HUGETLB))
#define NO_DEVDAX (HT_ALL_KINDS & ~HT_BIT(HT_DEVDAX))

const struct ht_case inval_zap[] = {
	{ "dontneed", "after MADV_DONTNEED, RDMA and the CPU see the same new pages", dontneed,
	  .kinds = HT_ALL_KINDS },
	{ "unmap", "unmapped memory is an error, mapped again it works with the same region", unmap,
	  .kinds = NO_HUGETLB },
	{ "remap", "after a new mapping at the same place the old pages stay unchanged", remap,
	  .kinds = NO_HUGETLB & NO_DEVDAX },
	{ "moved", "the region stays at its address when the memory moves", moved,
	  .kinds = NO_DEVDAX },
	{ "upgrade", "a WRITE to pages that were only read gets write permission", upgrade,
	  .kinds = NO_DEVDAX },
	{ "scatter", "single pages change in random order, RDMA follows at once", scatter,
	  .kinds = HT_ALL_KINDS },
	{},
};
