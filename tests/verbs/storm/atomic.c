// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Many QPs and the CPU add to one counter.
 *
 * Each addition fetches the old value. If no addition is lost, doubled or torn, the
 * values fetched are 0, 1, 2 … in some order, each once: that is more than the sum
 * tells.
 */
#include <sys/mman.h>

#include "storm.h"

#define ONE (1ULL << 32 | 1) /* both halves change, so a torn value shows */
#define DEPTH 8
#define LANES 32

struct contest {
	const char *name;
	const char *intent;
	enum ht_mem_kind kind;
	int weather;
};

static struct fleet f;
static uint64_t *counter; /* as the CPU sees it */
static atomic_uchar *seen; /* by value fetched */
static long total;

static void fetched(uint64_t old, const char *by)
{
	uint32_t n = old;

	ht_check(old >> 32 == n, "%s fetched a torn counter: 0x%" PRIx64, by, old);
	ht_check(n < total, "%s fetched %u of %ld", by, n, total);
	ht_check(!atomic_exchange(&seen[n], 1), "%s fetched %u, which was fetched before", by, n);
}

static void *cpu_adds(void *arg)
{
	for (long i = 0; i < *(long *)arg; i++) {
		fetched(__atomic_fetch_add(counter, ONE, __ATOMIC_SEQ_CST), "the CPU");
		if (i % 4 == 0)
			ht_yield();
	}
	return NULL;
}

static void add(struct lane *l, int i)
{
	struct ht_wr w = ht_rdma_wr(l->index * DEPTH + i, IBV_WR_ATOMIC_FETCH_AND_ADD, l->mr[0],
				    l->p[0] + 8 * i, 8, l->mr[1], f.mem[1].p);

	w.add = ONE;
	l->todo--;
	ht_post(l->s[0].qp, &w);
}

static void *crew_adds(void *arg)
{
	struct crew *crew = arg;
	long left = 0;
	struct ibv_wc wc;

	for (int k = 0; k < crew->lanes; k++) {
		left += crew->lane[k].todo;
		for (int i = 0; i < DEPTH && crew->lane[k].todo > 0; i++)
			add(&crew->lane[k], i);
	}
	for (; left; left--) {
		struct lane *l;
		uint64_t old;

		ht_next_wc(crew->lane->s[0].scq, &wc, "of a FETCH_ADD");
		ht_check(wc.status == IBV_WC_SUCCESS, "FETCH_ADD: %s",
			 ibv_wc_status_str(wc.status));
		l = &f.lane[wc.wr_id / DEPTH];
		memcpy(&old, l->p[0] + 8 * (wc.wr_id % DEPTH), 8);
		fetched(old, "a QP");
		if (left % 4 == 0)
			ht_yield();
		if (l->todo > 0)
			add(l, wc.wr_id % DEPTH);
	}
	return NULL;
}

/* Each lane adds @each times, as @crew does it, and the CPU @cpu times. */
static void contest(void *(*crew)(void *), const char *what, long each, long cpu)
{
	pthread_t cpu_thread;

	total = LANES * each + cpu;
	seen = calloc(total, 1);
	*counter = 0;
	for (int i = 0; i < LANES; i++)
		f.lane[i].todo = each;
	ht_ok(pthread_create(&f.storm, NULL, storm_run, &f));
	for (int i = 0; i < CREWS; i++)
		ht_ok(pthread_create(&f.crew[i].thread, NULL, crew, &f.crew[i]));
	ht_ok(pthread_create(&cpu_thread, NULL, cpu_adds, &cpu));
	storm_thread_join(cpu_thread, "the CPU's adder");
	for (int i = 0; i < CREWS; i++)
		storm_thread_join(f.crew[i].thread, what);
	atomic_store(&f.over, true);
	storm_thread_join(f.storm, "the storm");
	ht_eq(*counter & 0xffffffff, total);
	ht_eq(*counter >> 32, total);
}

static bool is_global(void)
{
	return f.pair.s[1].dev->attr.orig_attr.atomic_cap == IBV_ATOMIC_GLOB;
}

static void atomic_sum(const void *arg)
{
	const struct contest *c = arg;
	long each = ht_count(150);

	fleet_get(&f, LANES, c->kind, ONE_MR, c->weather);
	ht_require(f.pair.s[1].dev, is_global(), "no ATOMIC_GLOB");
	counter = (uint64_t *)f.mem[1].p;
	if (f.mem[1].fd >= 0) {
		/* The CPU counts through another mapping of the same page. */
		counter = mmap(NULL, HT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, f.mem[1].fd,
			       f.mem[1].off);
		ht_true(counter != MAP_FAILED);
	}
	contest(crew_adds, "a crew of adders", each, 20 * each);
	ht_eq(*(uint64_t *)f.mem[1].p, *counter);
	ht_note("%ld additions, %ld gusts", total, f.gusts);
}

/* Compare and swap, repeated with the value found, until it succeeds. */
static void *crew_swaps(void *arg)
{
	struct crew *crew = arg;
	uint64_t expect[LANES] = { 0 };
	long left = 0;

	for (int k = 0; k < crew->lanes; k++)
		left += crew->lane[k].todo;
	while (left) {
		for (int k = 0; k < crew->lanes; k++) {
			struct lane *l = &crew->lane[k];
			struct ht_wr w = ht_rdma_wr(k, IBV_WR_ATOMIC_CMP_AND_SWP, l->mr[0], l->p[0],
						    8, l->mr[1], f.mem[1].p);
			uint64_t old;

			if (!l->todo)
				continue;
			w.add = expect[k];
			w.swap = expect[k] + ONE;
			ht_do(&l->s[0], &w);
			memcpy(&old, l->p[0], 8);
			if (old == expect[k]) {
				fetched(old, "a CMP_SWP");
				l->todo--;
				left--;
				old += ONE;
			}
			expect[k] = old;
			ht_yield();
		}
	}
	return NULL;
}

static void atomic_swap(const void *arg)
{
	long each = ht_count(40);

	fleet_get(&f, LANES, HT_ANON, ONE_MR, RIGHTS);
	counter = (uint64_t *)f.mem[1].p;
	contest(crew_swaps, "a crew of swappers", each, is_global() ? 20 * each : 0);
}

static const struct contest contests[] = {
	{ "anon", "additions of 32 QPs and of the CPU all fetch different values", HT_ANON,
	  RIGHTS | OTHER_PAGES },
	{ "forks", "additions go to the parent's page through copies on write", HT_ANON, FORKS },
	{ "tmpfs", "additions through two mappings of a page, one of which comes and goes",
	  HT_TMPFS, REMAP },
};

static const struct ht_case cases[] = {
	{ "storm-atomic-swap", "CMP_SWPs of 32 QPs succeed once for each value", atomic_swap, NULL,
	  120 },
	{},
};

void storm_atomic(void)
{
	for (size_t i = 0; i < HT_LEN(contests); i++)
		ht_addf(atomic_sum, &contests[i], 120, contests[i].intent, "storm-atomic-%s",
			contests[i].name);
	ht_add(cases);
}
