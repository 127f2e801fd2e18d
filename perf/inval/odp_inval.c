// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_inval: what a mirrored range adds to the system calls that take pages or
 * rights away, and how long RDMA traffic beside them stalls.
 *
 * A row is the time of the system call alone, for one event, one registration
 * of the range, one kind of memory, one size, idle or under traffic.  The range
 * is made anew before each (victim.c).  After the row the event is done once
 * more and the device must have noticed (verify.c): if not, there is no figure.
 *
 * With --peer the range is registered with that device, and the other one asks.
 *
 * With one CPU a stall holds the event itself, since only one of the two can
 * run; stalls say something about the device with two CPUs and more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inval.h"

static const char *event_names[32]; /* of events[] */
static const char *const load_names[] = { "idle", "traffic", NULL };

static uint32_t want_events = ~0u, want_regs = ~0u, want_loads = 1;
static uint32_t want_mems = 1 << PERF_ANON | 1 << PERF_THP | 1 << PERF_TMPFS;

static const struct perf_option own_options[] = {
	{ "event", .set = &want_events, .names = event_names },
	{ "reg", .set = &want_regs, .names = reg_names },
	{ "mem", .set = &want_mems, .names = perf_mem_names },
	{ "load", .set = &want_loads, .names = load_names },
	{},
};

static const struct perf_program program = {
	.name = "odp_inval",
	.summary = "What a mirrored range adds to the system calls that take "
		   "pages or rights away.",
	.help = "      --event LIST        dontneed,free,pageout,munmap,"
		"mprotect-ro,\n"
		"                          mprotect-none,mremap,fork,truncate,"
		"punch,migrate,\n"
		"                          collapse (all)\n"
		"      --reg LIST          none,pinned,odp-empty,odp (all)\n"
		"      --mem LIST          anon,thp,hugetlb,tmpfs,file,fsdax "
		"(anon,thp,tmpfs)\n"
		"      --load LIST         idle,traffic (idle)\n",
	.options = own_options,
	.iterations = 100,
	.warmup = 5,
	.sizes = "4k,64k,2M",
	.whole_pages = true,
	.two_devices = true,
};

static struct tools t;
static uint64_t *samples;

/* --- a row ------------------------------------------------------------------ */

/* Measure into @sample, beside @tr unless that is NULL. 0 or errno */
static int fire(const struct event *e, struct traffic *tr, uint64_t *sample)
{
	uint64_t begin, end, clock = perf_clock_cost();
	int err;

	if (tr) {
		traffic_go(tr);
		if (traffic_await(tr, 2))
			__atomic_fetch_add(&tr->events, 1, __ATOMIC_SEQ_CST);
	}
	begin = perf_now();
	err = e->fire(&t.v);
	end = perf_now();
	if (tr) {
		if (tr->events & 1)
			__atomic_fetch_add(&tr->events, 1, __ATOMIC_SEQ_CST);
		traffic_await(tr, 1);
		traffic_pause(tr);
	}
	if (!err && e->after)
		e->after(&t.v);
	*sample = end - begin > clock ? end - begin - clock : 0;
	return err;
}

/* One event and what goes before it.  NULL or why not. */
static const char *once(const struct event *e, struct traffic *tr,
			uint64_t *sample)
{
	int err = 0;

	for (int tries = 0; tries < TRIES; tries++) {
		const char *why = victim_make(&t, 0);

		if (why)
			return why;
		err = e->before ? e->before(&t.v) : 0;
		if (err)
			return perf_say("before %s: %s", e->name,
					strerror(err));
		err = fire(e, tr, sample);
		if (tr && tr->status)
			return perf_say("the traffic failed: %s",
					perf_status(tr->status));
		if (err != EAGAIN || !e->again)
			break;
	}
	return err ? perf_say("%s: %s", e->name, strerrorname_np(err)) : NULL;
}

static void add_stalls(struct perf_row *r, struct traffic *tr)
{
	struct perf_stats s;

	perf_stats(tr->quiet, tr->nquiet, &s);
	perf_row_extra(r, "quiet_median", s.median);
	perf_row_extra(r, "quiet_p99", s.p99);
	perf_row_extra(r, "quiet_max", s.max);
	perf_stats(tr->gaps, tr->ngaps, &s);
	perf_row_extra(r, "stall_median", s.median);
	perf_row_extra(r, "stall_p99", s.p99);
	perf_row_extra(r, "stall_max", s.max);
}

/* The samples.  NULL or why there are none. */
static const char *measure(const struct event *e, struct traffic *tr)
{
	const char *why = NULL;
	uint64_t ignored;

	for (long i = -t.o.warmup; i < t.o.iterations && !why; i++)
		why = once(e, tr, i < 0 ? &ignored : &samples[i]);
	return why;
}

static const char *with_traffic(const struct event *e, struct perf_row *r)
{
	struct traffic tr;
	const char *why = traffic_start(&tr, &t);

	if (!why && !traffic_quiet(&tr))
		why = traffic_verify(&tr);
	if (!why)
		why = measure(e, &tr);
	if (!why)
		why = traffic_verify(&tr);
	if (!why)
		add_stalls(r, &tr);
	traffic_stop(&tr);
	return why;
}

/* Pinned pages neither migrate nor collapse; that is not an error. */
static bool cannot_move(const struct event *e)
{
	return t.v.reg == REG_PINNED && e->hits;
}

static void fill_row(const struct event *e, bool traffic, struct perf_row *r)
{
	const char *why = victim_make(&t, 0);
	double hits;

	if (!why)
		why = traffic ? with_traffic(e, r) : measure(e, NULL);
	if (why) {
		perf_row_status(r,
				t.v.refused || cannot_move(e) ?
					PERF_ROW_UNSUPPORTED :
					PERF_ROW_FAILED,
				"%s", why);
		return;
	}
	perf_row_samples(r, samples, t.o.iterations);
	why = verify(&t, e, &hits);
	if (hits >= 0)
		perf_row_extra(r, "pages_hit", hits);
	if (why)
		perf_row_status(r, PERF_ROW_WRONG, "%s", why);
}

/* Why there cannot be such a row here, or NULL. */
static const char *lacking(const struct event *e, enum reg reg)
{
	if (reg >= REG_EMPTY && !perf_dev_has_odp(t.dev.far, false))
		return "the device has no on-demand paging";
	return e->missing ? e->missing(&t.v) : NULL;
}

static void row(const struct event *e, enum reg reg, enum perf_mem_kind kind,
		bool traffic, size_t size)
{
	struct perf_row r;
	const char *why;

	perf_row_begin(&r, PERF_NS);
	perf_row_key(&r, "event", e->name);
	perf_row_key(&r, "reg", reg_names[reg]);
	perf_row_key(&r, "mem", perf_mem_names[kind]);
	perf_row_key(&r, "load", load_names[traffic]);
	perf_row_key_u64(&r, "size", size);
	why = victim_get(&t, kind, size);
	if (why) {
		perf_row_status(&r, PERF_ROW_UNSUPPORTED, "%s", why);
	} else {
		t.v.reg = reg;
		t.v.fresh = e->fresh;
		why = lacking(e, reg);
		if (why)
			perf_row_status(&r, PERF_ROW_UNSUPPORTED, "%s", why);
		else
			fill_row(e, traffic, &r);
		victim_put(&t);
	}
	perf_row_end(&r);
}

/* --- all of them -------------------------------------------------------------- */

static void get_tools(int argc, char **argv)
{
	perf_dev_open(&t.dev, &t.o);
	samples = calloc(t.o.iterations, sizeof(*samples));
	perf_need(samples, "memory for samples");
	perf_probe_open(&t.probe, &t.dev, SCRATCH, t.o.timeout);
	perf_report_open(&t.o, &program, &t.dev, argc, argv);
}

static int all_rows(const struct event *e)
{
	int rows = 0;

	for (int kind = 0; kind < PERF_MEM_KINDS; kind++)
		for (int load = 0; load < 2; load++)
			for (int s = 0; s < t.o.nsizes; s++)
				for (int reg = 0; reg < REGS; reg++) {
					size_t size = t.o.sizes[s];

					if (!(want_mems >> kind & 1) ||
					    !(want_loads >> load & 1) ||
					    !(want_regs >> reg & 1) ||
					    !event_fits(e, kind, size))
						continue;
					row(e, reg, kind, load, size);
					rows++;
				}
	return rows;
}

int main(int argc, char **argv)
{
	int rows = 0;

	for (int e = 0; events[e].name; e++)
		event_names[e] = events[e].name;
	perf_options(&t.o, &program, argc, argv);
	get_tools(argc, argv);
	for (int e = 0; events[e].name; e++) {
		if (want_events >> e & 1)
			rows += all_rows(&events[e]);
	}
	if (!rows)
		perf_die("none of these events makes sense for such memory of "
			 "these sizes: see %s --help",
			 program.name);
	return perf_report_close();
}
