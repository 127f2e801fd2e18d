// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Registration against the number of regions that there are already, and
 * against the number of processes that register at the same time.
 *
 * All regions here are of one page, each on a page of its own.
 */
#include <errno.h>
#include <stdlib.h>

#include "../lib/crew.h"
#include "reg.h"

#define STEP_S 60
/*
 * The kernel's memory is that of the second half of the regions: the first one
 * fills the free places that earlier ones have left in its slabs.  Of fewer
 * regions than these it is lost in the noise.
 */
#define KMEM_LEAST 4000

/* --- regions ------------------------------------------------------------------ */

/* Register regions @from to @to into @mr; returns the first that failed. */
static size_t make_many(struct ibv_pd *pd, enum reg reg, uint8_t *p,
			struct ibv_mr **mr, size_t from, size_t to)
{
	size_t i;

	for (i = from; i < to; i++) {
		mr[i] = make_mr(pd, reg, p + i * PERF_PAGE, PERF_PAGE);
		if (!mr[i])
			break;
	}
	return i;
}

static void drop_many(struct ibv_mr **mr, size_t n)
{
	while (n--)
		ibv_dereg_mr(mr[n]);
}

/* Register one more beside the @key->mrs existing ones. */
static void measure_beside(struct key key, uint8_t *one_more, uint64_t growth)
{
	if (rows_of_times(&key, one_more, PERF_PAGE) && key.mrs >= KMEM_LEAST)
		row_bytes(&key, growth / (key.mrs - key.mrs / 2));
}

static void beside(struct key key)
{
	enum reg reg = key.reg;
	size_t n = key.mrs;
	struct ibv_mr **mr = calloc(n, sizeof(*mr));
	uint64_t before, after;
	struct perf_mem mem;
	size_t made;
	int err;

	perf_need(mr, "memory for regions");
	perf_mem_get(&mem, &t.o, PERF_ANON, (n + 1) * PERF_PAGE);
	/* The pages themselves are not counted. */
	if (reg == REG_PINNED)
		perf_mem_touch(&mem, mem.len);
	made = make_many(t.dev.pd, reg, mem.p, mr, 0, n / 2);
	before = made == n / 2 ? kmem_settled() : 0;
	if (made == n / 2)
		made = make_many(t.dev.pd, reg, mem.p, mr, made, n);
	err = errno;
	after = kmem_now();
	if (made < n) {
		key.what = "reg";
		row_errno(&key, err, "ibv_reg_mr before there were as many");
	} else {
		measure_beside(key, mem.p + n * PERF_PAGE,
			       after > before ? after - before : 0);
	}
	drop_many(mr, made);
	perf_mem_put(&mem);
	free(mr);
}

/* Pinned pages must be there; the others are only address space. */
static struct key key_of(const char *sweep, enum reg reg, size_t mrs, int procs)
{
	return (struct key){
		.sweep = sweep,
		.what = "reg",
		.reg = reg,
		.pages = reg == REG_PINNED ? PAGES_PRESENT : PAGES_RESERVED,
		.length = PERF_PAGE,
		.mrs = mrs,
		.procs = procs,
	};
}

void sweep_mrs(enum reg reg)
{
	if (reg == REG_IMPLICIT)
		return; /* there is one, or none */
	for (int i = 0; i < t.mrs.n; i++) {
		struct key key = key_of("mrs", reg, t.mrs.v[i], 1);
		const char *why = reg_missing(reg, key.mrs * PERF_PAGE);

		if (!why && key.mrs >= (size_t)t.dev.attr.orig_attr.max_mr)
			why = "the device has fewer regions (max_mr)";
		if (why)
			row_why(&key, PERF_ROW_UNSUPPORTED, why);
		else
			beside(key);
	}
}

/* --- processes -------------------------------------------------------------------- */

struct shared {
	int err; /* of a registration */
	uint64_t samples[]; /* registrations of each process, deregistrations */
};

struct procs {
	enum reg reg;
	int procs;
	struct shared *shared;
};

static void time_own(struct ibv_pd *pd, const struct procs *p, uint8_t *mem,
		     struct ibv_mr **mr, uint64_t *samples, int from, int to)
{
	uint64_t clock = perf_clock_cost();

	for (int i = from; i < to; i++) {
		uint64_t begin = perf_now(), end;

		mr[i] = make_mr(pd, p->reg, mem + i * PERF_PAGE, PERF_PAGE);
		end = perf_now();
		if (!mr[i]) {
			p->shared->err = errno;
			return;
		}
		samples[i] = end - begin > clock ? end - begin - clock : 0;
	}
}

static bool own_drop(struct ibv_mr **mr, uint64_t *samples)
{
	uint64_t clock = perf_clock_cost();

	for (int i = 0; i < t.per_proc; i++) {
		uint64_t begin = perf_now(), end;

		if (!mr[i] || ibv_dereg_mr(mr[i]))
			return false;
		end = perf_now();
		samples[i] = end - begin > clock ? end - begin - clock : 0;
	}
	return true;
}

static bool member(int index, int fd, void *arg)
{
	struct procs *p = arg;
	struct ibv_mr **mr = calloc(t.per_proc, sizeof(*mr));
	uint64_t *samples = p->shared->samples + index * t.per_proc;
	struct perf_mem mem;
	struct perf_dev dev;

	perf_need(mr, "memory for regions");
	/* The parent's context is bound to the parent's address space. */
	perf_dev_open(&dev, &t.o);
	perf_mem_get(&mem, &t.o, PERF_ANON, t.per_proc * PERF_PAGE);
	if (p->reg == REG_PINNED)
		perf_mem_touch(&mem, mem.len);
	perf_clock_cost();
	for (int half = 0; half < 2; half++) {
		int from = half * (t.per_proc / 2);
		int to = half ? t.per_proc : t.per_proc / 2;

		if (!perf_crew_ready(fd))
			return false;
		time_own(dev.pd, p, mem.p, mr, samples, from, to);
	}
	if (!perf_crew_ready(fd))
		return false;
	if (!own_drop(mr, samples + p->procs * t.per_proc))
		return false;
	perf_dev_close(&dev);
	return true;
}

static void rows_of_procs(struct key key, struct procs *p, uint64_t growth)
{
	size_t n = (size_t)p->procs * t.per_proc;

	key.what = "reg";
	row_samples(&key, p->shared->samples, n, NULL);
	key.what = "dereg";
	row_samples(&key, p->shared->samples + n, n, NULL);
	key.what = "kernel_memory";
	if (n >= KMEM_LEAST)
		row_bytes(&key,
			  growth / p->procs / (t.per_proc - t.per_proc / 2));
}

static void at_once(struct key key)
{
	size_t n = (size_t)key.procs * t.per_proc;
	size_t len = sizeof(struct shared) + 2 * n * sizeof(uint64_t);
	struct procs p = { key.reg, key.procs, perf_crew_shared(len) };
	uint64_t before = 0, after = 0;
	struct perf_crew crew;
	bool ok = true;

	/*
	 * Touch their pages now, so that they do not count as the kernel's
	 * memory.
	 */
	for (size_t i = 0; i < 2 * n; i++)
		p.shared->samples[i] = 0;
	perf_crew_start(&crew, p.procs, member, &p);
	for (int half = 0; half < 2 && ok; half++) {
		ok = perf_crew_step(&crew, STEP_S);
		before = half && ok ? kmem_settled() : 0;
		if (ok)
			perf_crew_go(&crew);
	}
	ok = ok && perf_crew_step(&crew, STEP_S);
	if (ok) {
		after = kmem_now();
		perf_crew_go(&crew);
	}
	ok = perf_crew_end(&crew, STEP_S) && ok;
	if (p.shared->err)
		row_errno(&key, p.shared->err, "ibv_reg_mr");
	else if (!ok)
		row_why(&key, PERF_ROW_FAILED,
			"a process ended early, or did not end");
	else
		rows_of_procs(key, &p, after > before ? after - before : 0);
	perf_crew_unshare(p.shared, len);
}

void sweep_procs(enum reg reg)
{
	if (reg == REG_IMPLICIT)
		return;
	for (int i = 0; i < t.procs.n; i++) {
		struct key key = key_of("procs", reg, t.per_proc, t.procs.v[i]);
		const char *why =
			reg_missing(reg, key.procs * key.mrs * PERF_PAGE);

		if (why)
			row_why(&key, PERF_ROW_UNSUPPORTED, why);
		else
			at_once(key);
	}
}
