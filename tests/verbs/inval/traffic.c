// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Traffic and changes of the address space at the same time.
 *
 * "mutate": two threads, each with its own QPs and slices of the target, transfer
 * and compare every byte, while the main thread makes changes that must not
 * show: pages move, are written back, swapped, split, collapsed, forked.
 *
 * "fresh": pages are taken away and written anew, generation by generation,
 * while another thread READs them. A READ that was posted after generation g
 * was complete may see later ones or the zeros in between, and never g - 1.
 *
 * "apart": a place is mapped to pool A and B in turns while another thread
 * WRITEs to it. While B is mapped, A must not change, and vice versa.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "inval.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define THREADS 2

static struct iv v;
static struct ht_side lane[THREADS][2];
static atomic_int running;
static atomic_bool stop;
static long transfers;

static void open_lanes(void)
{
	for (int t = 0; t < THREADS; t++)
		ht_second_pair(lane[t], &v.r.pair, NULL);
}

/* --- mutate ------------------------------------------------------------------------ */

/* Slices are interleaved, so both threads are in every huge page. */
#define SLICE (48 * HT_KIB + 64)

/* Fewer changes than this would test nothing. */
#define CHANGES 3

static atomic_long changes;

static void *transfer(void *arg)
{
	int t = (intptr_t)arg;
	struct ht_rng g = { ht_seed("mutate") + t };
	size_t slices = v.len / (THREADS * SLICE), local = t * (v.r.len / THREADS);
	uint8_t *shadow = calloc(slices, SLICE), *buf = v.r.p[0] + local;

	/* A change may take as long as many transfers: go on until there were enough. */
	for (long i = 0; i < transfers || atomic_load(&changes) < CHANGES; i++) {
		size_t k = ht_below(&g, slices), n = 1 + ht_below(&g, SLICE);
		size_t off = ht_below(&g, SLICE - n + 1);
		uint8_t *at = v.p + (k * THREADS + t) * SLICE + off, *sh = shadow + k * SLICE + off;

		if (ht_below(&g, 2)) {
			ht_fill(buf, n, ht_rand(&g), off);
			memcpy(sh, buf, n);
			ht_rdma(&lane[t][0], IBV_WR_RDMA_WRITE, &v.r.mr[0], buf, n, &v.mr, at);
			ht_check_bytes(at, sh, n, "WRITE under changes");
		} else {
			if (ht_below(&g, 2)) {
				ht_fill(at, n, i, off);
				memcpy(sh, at, n);
			}
			ht_rdma(&lane[t][0], IBV_WR_RDMA_READ, &v.r.mr[0], buf, n, &v.mr, at);
			ht_check_bytes(buf, sh, n, "READ under changes");
		}
	}
	for (size_t k = 0; k < slices; k++)
		ht_check_bytes(v.p + (k * THREADS + t) * SLICE, shadow + k * SLICE, SLICE,
			       "a slice at the end");
	free(shadow);
	atomic_fetch_sub(&running, 1);
	return NULL;
}

/* Not every kernel has the file; then nothing changes. */
static void put(const char *path, const char *text)
{
	if (!ht_put(path, text) && errno != ENOENT)
		ht_note("%s: %s", path, strerror(errno));
}

static void pageout(struct ht_rng *g)
{
	size_t at = ht_below(g, v.len / HT_PAGE - 128) * HT_PAGE;

	ht_sys(madvise(v.p + at, 128 * HT_PAGE, MADV_PAGEOUT));
}

static void forget(struct ht_rng *g)
{
	size_t at = ht_below(g, v.len / v.m.page) * v.m.page;

	ht_sys(madvise(v.p + at, v.m.page, MADV_DONTNEED));
}

static void writeback(struct ht_rng *g)
{
	ht_sys(fsync(v.m.fd));
	ht_sleep_ms(1);
}

static void forks(struct ht_rng *g)
{
	pid_t pid = fork();

	ht_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	ht_sys(waitpid(pid, NULL, 0));
}

static void collapse(struct ht_rng *g)
{
	size_t at = ht_below(g, v.len / HT_HUGE) * HT_HUGE;

	/* It may fail when pages are busy, but must do no harm. */
	madvise(v.p + at, HT_HUGE, MADV_COLLAPSE);
	at += ht_below(g, 512) * HT_PAGE;
	ht_sys(mprotect(v.p + at, HT_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
	ht_sys(mprotect(v.p + at, HT_PAGE, PROT_READ | PROT_WRITE));
	madvise(v.p + at, HT_PAGE, MADV_PAGEOUT);
}

static void clear_refs(struct ht_rng *g)
{
	put("/proc/self/clear_refs", ht_below(g, 2) ? "4" : "1");
}

static void compact(struct ht_rng *g)
{
	put("/proc/sys/vm/compact_memory", "1");
	ht_sleep_ms(1);
}

struct mutation {
	const char *name;
	enum ht_mem_kind kind;
	void (*fn)(struct ht_rng *g);
};

static void mutate(const void *arg)
{
	const struct mutation *m = arg;
	struct ht_rng g = { ht_seed(m->name) };
	pthread_t th[THREADS];

	iv_get(&v, m->kind, IV_LEN);
	open_lanes();
	transfers = ht_count(100);
	memset(v.p, 0, v.len);
	atomic_store(&changes, 0);
	atomic_store(&running, THREADS);
	for (intptr_t t = 0; t < THREADS; t++)
		ht_ok(pthread_create(&th[t], NULL, transfer, (void *)t));
	while (atomic_load(&running)) {
		m->fn(&g);
		atomic_fetch_add(&changes, 1);
		ht_yield();
	}
	for (int t = 0; t < THREADS; t++)
		ht_ok(pthread_join(th[t], NULL));
}

/* --- fresh --------------------------------------------------------------------------- */

#define FRESH_PAGES 64

static atomic_ulong done_gen;

static void *fresh_reader(void *arg)
{
	struct ht_rng g = { ht_seed("fresh") };
	uint8_t *buf = v.r.p[0];

	while (!atomic_load(&stop)) {
		size_t k = ht_below(&g, FRESH_PAGES - 4), n = 1 + ht_below(&g, 4);
		uint64_t floor = atomic_load(&done_gen);

		ht_rdma(&lane[0][0], IBV_WR_RDMA_READ, &v.r.mr[0], buf, n * HT_PAGE, &v.mr,
			v.p + k * HT_PAGE);
		for (size_t i = 0; i < n * HT_PAGE; i += 8) {
			uint64_t seen;

			memcpy(&seen, buf + i, 8);
			ht_check(seen == 0 || seen >= floor,
				 "byte %zu is of generation %" PRIu64 ", %" PRIu64
				 " was complete before",
				 k * HT_PAGE + i, seen, floor);
		}
	}
	return NULL;
}

static void fresh(const void *arg)
{
	const enum ht_mem_kind *kind = arg;
	pthread_t th;

	iv_get(&v, *kind, IV_LEN);
	open_lanes();
	memset(v.p, 0, v.len);
	ht_ok(pthread_create(&th, NULL, fresh_reader, NULL));
	for (uint64_t gen = 1; gen <= (uint64_t)ht_count(150); gen++) {
		ht_sys(madvise(v.p, FRESH_PAGES * HT_PAGE, MADV_DONTNEED));
		for (size_t i = 0; i < FRESH_PAGES * HT_PAGE; i += 8)
			*(volatile uint64_t *)(v.p + i) = gen;
		atomic_store(&done_gen, gen);
		ht_yield();
	}
	atomic_store(&stop, true);
	ht_ok(pthread_join(th, NULL));
}

/* --- apart --------------------------------------------------------------------------- */

#define POOL (32 * HT_PAGE)

static void *apart_writer(void *arg)
{
	struct ht_rng g = { ht_seed("apart") };
	uint64_t i = 1;

	while (!atomic_load(&stop)) {
		size_t n = 1 + ht_below(&g, POOL), off = ht_below(&g, POOL - n + 1);
		enum ibv_wc_status st;

		ht_fill(v.r.p[0], n, i++, off);
		st = ht_rdma_status(&lane[0][0], IBV_WR_RDMA_WRITE, &v.r.mr[0], v.r.p[0], n, &v.mr,
				    v.p + off);
		ht_check(st == IBV_WC_SUCCESS, "a WRITE while mappings change: %s",
			 ibv_wc_status_str(st));
	}
	return NULL;
}

static void apart(const void *arg)
{
	int fd = ht_sys(memfd_create("pools", MFD_CLOEXEC));
	uint8_t *pool, *before = malloc(POOL);
	long changed = 0;
	pthread_t th;

	ht_sys(ftruncate(fd, 2 * POOL));
	pool = mmap(NULL, 2 * POOL, PROT_READ, MAP_SHARED, fd, 0);
	ht_true(pool != MAP_FAILED);
	iv_get_at(&v, ht_reserve(POOL, POOL / 2, HT_HUGE), POOL);
	ht_true(mmap(v.p, POOL, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == v.p);
	open_lanes();
	ht_ok(pthread_create(&th, NULL, apart_writer, NULL));
	for (long i = 0; i < ht_count(400); i++) {
		int now = i & 1, old = !now;

		ht_true(mmap(v.p, POOL, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			     now * POOL) == v.p);
		/* From here on the old pool must not change. */
		memcpy(before, pool + old * POOL, POOL);
		for (int k = 0; k < 3; k++)
			ht_yield();
		ht_check_bytes(pool + old * POOL, before, POOL, "the pool that is not mapped");
		changed += memcmp(pool, pool + POOL, POOL) != 0;
	}
	atomic_store(&stop, true);
	ht_ok(pthread_join(th, NULL));
	ht_check(changed > 0, "no WRITE ever came to either pool");
}

/*
 * No "forget" for device DAX: a fault that meets MADV_DONTNEED between the two
 * looks of __handle_mm_fault() at the PMD falls back to small pages, which such a
 * device refuses. The CPU gets SIGBUS there as well, with or without this module.
 */
static const struct mutation mutations[] = {
	{ "pageout", HT_ANON, pageout },
	{ "pageout", HT_THP, pageout },
	{ "pageout", HT_TMPFS, pageout },
	{ "forget", HT_TMPFS, forget },
	{ "forget", HT_FILE, forget },
	{ "forget", HT_DAX_EXT4, forget },
	{ "writeback", HT_FILE, writeback },
	{ "writeback", HT_DAX_EXT4, writeback },
	{ "writeback", HT_DAX_XFS, writeback },
	{ "fork", HT_ANON, forks },
	{ "fork", HT_THP, forks },
	{ "collapse", HT_THP, collapse },
	{ "clear-refs", HT_ANON, clear_refs },
	{ "compact", HT_ANON, compact },
};

static const struct ht_case cases[] = {
	{ "fresh", "a READ never sees what was replaced before it was posted", fresh,
	  .kinds = IV_ANON },
	{ "apart", "a WRITE never reaches pages that are mapped no more", apart },
	{},
};

void inval_traffic(void)
{
	for (size_t i = 0; i < HT_LEN(mutations); i++)
		ht_addf(mutate, &mutations[i], 0,
			"transfers are right while the address space changes", "mutate-%s/%s",
			mutations[i].name, ht_mem_name(mutations[i].kind));
	ht_add(cases);
}
