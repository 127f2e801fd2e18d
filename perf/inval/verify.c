// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Did the device notice?
 *
 * An on-demand region must show what the CPU's page table says now: so the
 * device READs the range after the event, before the CPU touches it again, and
 * WRITEs into it where it may.  A pinned region must show the pages that it
 * pinned, whatever became of the mapping.
 *
 * Page by page: a device that moves wrong bytes in longer messages is the
 * business of odp_lat; here it is about the mirror.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "inval.h"

/* --- what the device sees and does ----------------------------------------- */

static int device(struct tools *t, enum ibv_wr_opcode opcode, size_t at)
{
	return perf_probe_do(&t->probe, opcode, t->v.p + at, t->v.mr->rkey,
			     PERF_PAGE);
}

enum {
	OLD = 1, /* the bytes from before */
	ZERO = 2,
};

/* Each page of [from, to) must be one of @allowed. */
static const char *reads(struct tools *t, size_t from, size_t to, uint64_t seed,
			 int allowed)
{
	for (size_t at = from; at < to; at += PERF_PAGE) {
		size_t wrong;
		int status;

		memset(t->probe.p, 0xee, PERF_PAGE);
		status = device(t, IBV_WR_RDMA_READ, at);
		if (status)
			return perf_say("a READ at %zu of the range: %s", at,
					perf_status(status));
		if (allowed & ZERO && !perf_nonzero(t->probe.p, PERF_PAGE))
			continue;
		wrong = perf_wrong(t->probe.p, PERF_PAGE, seed + at);
		if (wrong || !(allowed & OLD))
			return perf_say("a READ at %zu of the range gave %s",
					at,
					!wrong ? "bytes that are gone" :
					perf_nonzero(t->probe.p, PERF_PAGE) ?
						 "bytes that never were there" :
						 "zeros");
	}
	return NULL;
}

static const char *writes(struct tools *t, uint64_t seed)
{
	for (size_t at = 0; at < t->v.size; at += PERF_PAGE) {
		int status;

		perf_fill(t->probe.p, PERF_PAGE, seed + at);
		status = device(t, IBV_WR_RDMA_WRITE, at);
		if (status)
			return perf_say("a WRITE at %zu of the range: %s", at,
					perf_status(status));
	}
	return NULL;
}

static const char *holds(const uint8_t *p, size_t len, uint64_t seed,
			 const char *what)
{
	size_t wrong = victim_wrong(p, len, seed);

	return wrong ? perf_say("%zu of %zu bytes are wrong: %s", wrong, len,
				what) :
		       NULL;
}

/* Test a page at either end: each refusal costs a queue pair. */
static const char *refuses(struct tools *t, enum ibv_wr_opcode opcode)
{
	size_t ends[] = { 0, t->v.size - PERF_PAGE };

	for (int i = 0; i < 2; i++) {
		int status = device(t, opcode, ends[i]);

		if (status != IBV_WC_REM_ACCESS_ERR)
			return perf_say(
				"a %s at %zu of the range was not refused "
				"as a remote access error: %s",
				opcode == IBV_WR_RDMA_READ ? "READ" : "WRITE",
				ends[i], perf_status(status));
	}
	return NULL;
}

/* --- after each event --------------------------------------------------------- */

static const char *is_gone(struct tools *t)
{
	struct victim *v = &t->v;
	const char *why = refuses(t, IBV_WR_RDMA_READ);

	if (why)
		return why;
	/* New pages at the same place belong to the region again. */
	why = victim_map(v);
	if (why)
		return why;
	victim_fill(v->p, v->map, SEED_ANEW);
	return reads(t, 0, v->map, SEED_ANEW, OLD);
}

static const char *is_read_only(struct tools *t)
{
	const char *why = reads(t, 0, t->v.size, SEED_BEFORE, OLD);

	if (!why)
		why = refuses(t, IBV_WR_RDMA_WRITE);
	if (!why)
		why = holds(t->v.p, t->v.size, SEED_BEFORE,
			    "a refused WRITE changed them");
	return why;
}

static const char *is_there(struct tools *t, enum then then)
{
	struct victim *v = &t->v;
	const char *why;

	why = reads(t, 0, v->size, SEED_BEFORE,
		    then == THEN_KEPT ? OLD :
		    then == THEN_ZERO ? ZERO :
					OLD | ZERO);
	if (!why)
		why = writes(t, SEED_AFTER);
	/* After a write the pages may not be dropped any more. */
	if (!why && then == THEN_FREED && madvise(v->p, v->size, MADV_PAGEOUT))
		why = perf_say("MADV_PAGEOUT: %s", strerror(errno));
	if (!why)
		why = holds(v->p, v->size, SEED_AFTER,
			    "what the device wrote after the event is lost");
	return why;
}

static const char *mirror(struct tools *t, enum then then)
{
	struct victim *v = &t->v;
	const char *why;

	/* The rest of a huge page, outside the event. */
	if (v->size < v->map) {
		why = reads(t, v->size, v->map, SEED_BEFORE, OLD);
		if (why)
			return why;
	}
	switch (then) {
	case THEN_GONE:
		return is_gone(t);
	case THEN_READ_ONLY:
		return is_read_only(t);
	default:
		return is_there(t, then);
	}
}

static const char *effect(struct tools *t, const struct event *e, double *hits)
{
	struct victim *v = &t->v;

	*hits = -1;
	if (!e->hits)
		return NULL;
	*hits = (double)e->hits(v) / (v->size / PERF_PAGE);
	/* Pinned pages stay where they are, as their row expects. */
	if (!*hits && v->reg != REG_PINNED)
		return "the event had no effect on any page";
	return NULL;
}

static const char *look(struct tools *t, const struct event *e, double *hits)
{
	struct victim *v = &t->v;
	bool file = v->mem.fd >= 0;
	enum then then = file ? e->then_file : e->then;
	const char *why = effect(t, e, hits);

	if (why || v->reg == REG_NONE)
		return why;
	/*
	 * Check the moved bytes at their new place first, before the device is
	 * asked.
	 */
	if (e->fire && !strcmp(e->name, "mremap"))
		why = holds(v->spare, v->size, SEED_BEFORE, "they were moved");
	if (why)
		return why;
	if (v->reg != REG_PINNED)
		return mirror(t, then);
	/* A page cut off a file may be cleared before it is dropped. */
	return reads(t, 0, v->map, SEED_BEFORE,
		     file && then != THEN_KEPT ? OLD | ZERO : OLD);
}

/* A READ of pages that the device has mapped needs no page fault. */
static const char *is_known(struct tools *t)
{
	uint64_t before, after;
	const char *why;

	if (!perf_dev_faults(t->dev.far, &before))
		return NULL;
	why = victim_known(t);
	if (!why && perf_dev_faults(t->dev.far, &after) && after != before)
		why = perf_say(
			"%lu page faults in a READ of pages that the device "
			"had used before",
			after - before);
	return why;
}

static const char *prepare(struct tools *t)
{
	struct victim *v = &t->v;
	const char *why = victim_make(t, SEED_BEFORE);

	if (!why && v->mem.kind == PERF_THP && huge_pages(v) == 0)
		why = "the kernel gave no huge page: free some memory";
	return !why && v->reg == REG_ODP ? is_known(t) : why;
}

const char *verify(struct tools *t, const struct event *e, double *hits)
{
	struct victim *v = &t->v;
	bool forks = !strcmp(e->name, "fork");
	const char *why;
	int err;

	*hits = -1;
	v->hold_child = forks;
	for (int tries = 0; tries < TRIES; tries++) {
		why = prepare(t);
		if (why)
			return why;
		err = e->before ? e->before(v) : 0;
		if (!err)
			err = e->fire(v);
		if (err != EAGAIN || !e->again)
			break;
	}
	why = err ? perf_say("%s: %s", e->name, strerror(err)) :
		    look(t, e, hits);
	if (forks && v->hold_child) {
		bool right = child_verdict(v);

		if (!why && !right && v->mem.fd < 0)
			why = "what the device wrote is in the child, too";
	}
	if (e->after)
		e->after(v);
	return why;
}
