// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_scale: throughput against the number of queue pairs, regions, threads and
 * processes, with and without a storm of invalidations beside it.
 *
 * Each pair of queue pairs moves bytes of its own: after a repetition they are
 * compared, and once more after an operation of each pair that nothing
 * disturbed.  One byte that is wrong, and there is no figure.
 *
 * The work is a number of operations per pair, so that instruction counts
 * repeat; --seconds makes it a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scale.h"

#define STEP_S 3600 /* enough; threads give up long before */
#define END_S 60
#define MOST_REPEAT 1000

static const char *const mrs_names[] = { "one", "many", NULL };
static const char *const storm_names[] = { "off", "beside", "same", NULL };
static const char *const op_names[] = { "WRITE", "READ", NULL };
static const char *const reg_names[] = { "odp", "pinned", NULL };

struct settings set = { .depth = 4, .repeat = 3, .rate = 1000 };

static struct perf_list qps = { 5, { 1, 4, 16, 64, 256 } };
static struct perf_list threads = { 1, { 1 } }, procs = { 1, { 1 } };
static uint32_t want_mrs = ~0u, want_storms = 1 << STORM_OFF | 1 << STORM_SAME;
static uint32_t want_ops = 1, want_regs = 1;

static const char *want_seconds;

static double seconds(const char *text)
{
	char *end;
	double s = strtod(text, &end);

	if (end == text || *end || !(s >= 0.001 && s <= 3600))
		perf_die("--seconds %s: give a time from 0.001 to 3600", text);
	return s;
}

static const struct perf_option own_options[] = {
	{ "qps", .list = &qps, .max = 100000 },
	{ "mrs", .set = &want_mrs, .names = mrs_names },
	{ "threads", .list = &threads, .max = 1000 },
	{ "procs", .list = &procs, .max = 1000 },
	{ "storm", .set = &want_storms, .names = storm_names },
	{ "op", .set = &want_ops, .names = op_names },
	{ "reg", .set = &want_regs, .names = reg_names },
	{ "depth", .number = &set.depth, .min = 1, .max = 1024 },
	{ "repeat", .number = &set.repeat, .min = 1, .max = MOST_REPEAT },
	{ "storm-rate", .number = &set.rate, .max = 1000000 },
	{ "seconds", .text = &want_seconds },
	{},
};

static const struct perf_program program = {
	.name = "odp_scale",
	.summary = "Throughput against queue pairs, regions, threads and "
		   "processes.",
	.help = "      --qps LIST          pairs of queue pairs, in all "
		"(1,4,16,64,256)\n"
		"      --mrs LIST          one,many: a region per process, or "
		"per pair (both)\n"
		"      --threads LIST      of each process (1)\n"
		"      --procs LIST        processes (1)\n"
		"      --storm LIST        off,beside,same: pages taken away "
		"meanwhile (off,same)\n"
		"      --storm-rate N      times a second; 0: as often as it "
		"goes (1000)\n"
		"      --op LIST           WRITE,READ (WRITE)\n"
		"      --reg LIST          odp,pinned (odp)\n"
		"      --depth N           operations of a pair under way (4)\n"
		"      --repeat N          samples of each row (3)\n"
		"      --seconds S         so long instead of -n operations of "
		"each pair\n",
	.options = own_options,
	.iterations = 100,
	.warmup = 4,
	.sizes = "4k",
	.two_devices = true,
};

static struct perf_dev dev;

/* --- a row ------------------------------------------------------------------ */

/* What one end's device lacks; both ends' if there is only one device. */
static const char *lacks(const struct perf_dev *d, const struct cell *c)
{
	const struct ibv_device_attr *a = &d->attr.orig_attr;
	int each = perf_two_devices(&dev) ? 1 : 2;

	if (!c->pinned && !perf_dev_has_odp(d, false))
		return "the device has no on-demand paging";
	if (each * c->qps > a->max_qp)
		return perf_say("the device has %d queue pairs", a->max_qp);
	if (c->many && each * c->qps > a->max_mr)
		return perf_say("the device has %d regions", a->max_mr);
	return NULL;
}

static const char *lacking(const struct cell *c)
{
	const char *why;

	if (c->pinned && c->storm == STORM_SAME)
		return "a pinned region keeps the pages that the process loses";
	why = lacks(&dev, c);
	return why ? why : lacks(dev.far, c);
}

/*
 * Operations per second of all processes, from the first start to the last end.
 */
static uint64_t rate(const struct cell *c, const struct outcome *out,
		     double *events)
{
	uint64_t begin = out->begin, end = out->end, ops = 0, taken = 0;

	for (int i = 0; i < c->procs; i++) {
		begin = out[i].begin < begin ? out[i].begin : begin;
		end = out[i].end > end ? out[i].end : end;
		ops += out[i].ops;
		taken += out[i].events;
	}
	end = end > begin ? end : begin + 1;
	*events = taken * 1e9 / (end - begin);
	return ops * 1000000000.0 / (end - begin) + 0.5;
}

/* @samples; false: a process has ended. */
static bool repetitions(const struct cell *c, struct work *w, uint64_t *samples,
			double *events)
{
	struct perf_crew crew;
	bool ok = true;

	perf_crew_start(&crew, c->procs, worker, w);
	/* Ready after one repetition means ready for the next as well. */
	for (int r = 0; r <= set.repeat && ok; r++) {
		ok = perf_crew_step(&crew, STEP_S);
		if (ok && r)
			samples[r - 1] = rate(c, w->out, events);
		if (ok)
			perf_crew_go(&crew);
	}
	return perf_crew_end(&crew, END_S) && ok;
}

static void fill_row(struct perf_row *r, const struct cell *c)
{
	static uint64_t samples[MOST_REPEAT];
	size_t len = c->procs * sizeof(struct outcome), wrong = 0;
	struct work w = { c, perf_crew_shared(len) };
	const char *why = NULL;
	bool ok, lacks = false;
	double events = 0;

	ok = repetitions(c, &w, samples, &events);
	for (int i = 0; i < c->procs; i++) {
		wrong += w.out[i].wrong;
		lacks = lacks || w.out[i].lacks;
		if (*w.out[i].why && !why)
			why = w.out[i].why;
	}
	if (!ok) {
		perf_row_status(r,
				lacks ? PERF_ROW_UNSUPPORTED : PERF_ROW_FAILED,
				"%s", why ? why : "a process ended early");
	} else {
		perf_row_samples(r, samples, set.repeat);
		perf_row_extra(r, "MBps", r->stats.median * 1e-6 * c->size);
		if (c->storm != STORM_OFF)
			perf_row_extra(r, "storm_per_s", events);
		if (wrong) {
			perf_row_extra(r, "wrong_bytes", wrong);
			perf_row_status(r, PERF_ROW_WRONG,
					"%zu bytes were wrong", wrong);
		}
	}
	perf_crew_unshare(w.out, len);
}

static void row(const struct cell *c)
{
	const char *why = lacking(c);
	struct perf_row r;

	perf_row_begin(&r, PERF_OPS);
	perf_row_key(&r, "op", op_names[c->op == IBV_WR_RDMA_READ]);
	perf_row_key(&r, "reg", reg_names[c->pinned]);
	perf_row_key_u64(&r, "size", c->size);
	perf_row_key_u64(&r, "qps", c->qps);
	perf_row_key(&r, "mrs", mrs_names[c->many]);
	perf_row_key_u64(&r, "threads", c->threads);
	perf_row_key_u64(&r, "procs", c->procs);
	perf_row_key(&r, "storm", storm_names[c->storm]);
	if (why)
		perf_row_status(&r, PERF_ROW_UNSUPPORTED, "%s", why);
	else
		fill_row(&r, c);
	perf_row_end(&r);
}

/* --- all of them ---------------------------------------------------------------- */

/* The @i-th of all combinations; false: there are no more. */
static bool nth(int i, struct cell *c)
{
#define TAKE(n) (at = i % (n), i /= (n), at)
	int at;

	c->storm = TAKE(STORMS);
	c->qps = qps.v[TAKE(qps.n)];
	c->many = TAKE(2);
	c->threads = threads.v[TAKE(threads.n)];
	c->procs = procs.v[TAKE(procs.n)];
	c->size = set.o.sizes[TAKE(set.o.nsizes)];
	c->pinned = TAKE(2);
	c->op = TAKE(2) ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE;
	return !i;
#undef TAKE
}

static bool wanted(const struct cell *c)
{
	return want_storms >> c->storm & 1 && want_mrs >> c->many & 1 &&
	       want_regs >> c->pinned & 1 &&
	       want_ops >> (c->op == IBV_WR_RDMA_READ) & 1 &&
	       !(c->qps % (c->threads * c->procs));
}

int main(int argc, char **argv)
{
	struct cell c;
	int rows = 0;

	perf_options(&set.o, &program, argc, argv);
	if (want_seconds)
		set.seconds = seconds(want_seconds);
	perf_dev_open(&dev, &set.o);
	perf_report_open(&set.o, &program, &dev, argc, argv);
	for (int i = 0; nth(i, &c); i++) {
		if (!wanted(&c))
			continue;
		row(&c);
		rows++;
	}
	if (!rows)
		perf_die("no number of queue pairs can be divided among these "
			 "threads and processes: give --qps a multiple");
	return perf_report_close();
}
