// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_bw: how much a window of operations moves in a second.
 *
 * A sample is a batch: operations on pieces of the region one after the other,
 * as many of them outstanding as the window has, from the first post to the
 * last completion.  States that do not last (cold, touched, prefetched) are
 * made for the whole region before each batch, so every operation of a batch
 * meets pages in that state; a batch is shorter where 16 MiB hold fewer pieces.
 */
#include <stdlib.h>

#include "shared.h"

#define ENOUGH 5
#define AT_ONCE 16 /* completions by one poll */

#define DEPTH 256

const int end_depth = DEPTH;

static int window_max = 16, batch = 64;
static long window;
static uint64_t *samples;

/*
 * Completions: their number; or the first bad status, as of perf_wait(), with
 * @bad set.
 */
static int poll_some(struct rig *g, bool *bad)
{
	struct ibv_wc wc[AT_ONCE];
	int n = perf_poll(g->near.cq, wc, AT_ONCE, g->o->timeout);

	*bad = n < 0;
	for (int i = 0; i < n; i++) {
		if (wc[i].status) {
			*bad = true;
			return wc[i].status;
		}
	}
	return n;
}

static int operate(struct rig *g, const struct a_case *c)
{
	long posted = 0, done = 0, count = c->shape.count;
	struct ibv_send_wr wr, *bad_wr;
	struct ibv_sge sge;
	bool bad = false;
	int n;

	case_request(g, c, &wr, &sge);
	while (done < count) {
		while (posted < count && posted - done < window) {
			case_aim(c, &wr, posted);
			n = ibv_post_send(g->near.qp, &wr, &bad_wr);
			if (n)
				return -n;
			posted++;
		}
		n = poll_some(g, &bad);
		if (bad)
			return n;
		done += n;
	}
	return 0;
}

/* One batch; its time, or 0: the row says what went wrong. */
static uint64_t one_batch(struct rig *g, struct a_case *c)
{
	uint64_t begin, ns, cost = perf_clock_cost();
	bool lost[2];
	int status;

	if (is_fleeting(c->reg) &&
	    !case_prepare(g, c, c->reg, case_span(c), lost))
		return 0;
	if (!case_receive(g, c, 1))
		return 0;
	begin = perf_now();
	status = operate(g, c);
	ns = perf_now() - begin;
	if (status) {
		case_failed(g, c, status);
		return 0;
	}
	return ns > cost ? ns - cost : 1;
}

/* In bytes per second. */
static long sample(struct rig *g, struct a_case *c)
{
	const struct perf_options *o = g->o;
	long count = c->shape.count, n = 0;
	long batches = (o->iterations + count - 1) / count;
	long warmup = (o->warmup + count - 1) / count;
	uint64_t start = perf_now();

	if (!warmup)
		warmup = 1;
	for (long i = -warmup; i < batches; i++) {
		uint64_t ns = one_batch(g, c);

		if (!ns)
			return -1;
		if (i < 0)
			continue;
		samples[n++] = c->shape.size * count * 1e9 / ns;
		if (n >= ENOUGH &&
		    perf_now() - start > grid.row_time * 1000000000ULL)
			break;
	}
	return n;
}

static void measure(struct rig *g, struct a_case *c)
{
	long n = row_work(g, c, operate, sample);

	if (n < 0)
		return;
	c->row.scale = 1e-6;
	perf_row_samples(&c->row, samples, n);
	perf_row_extra(&c->row, "ops_per_s",
		       (double)c->row.stats.median / c->shape.size);
	perf_row_extra(&c->row, "ops_per_batch", c->shape.count);
}

static const struct perf_option own_options[] = {
	{ "window", .number = &window_max, .min = 1, .max = DEPTH },
	{ "batch", .number = &batch, .min = 1, .max = DEPTH },
	{},
};

static const struct perf_program program = {
	.name = "odp_bw",
	.summary = "Throughput of operations, by what is known of their "
		   "memory.",
	.help = GRID_HELP
	"  --window N       operations outstanding at a time (16)\n"
	"  --batch N        operations of a sample (64)\n",
	.options = grid_options,
	.more_options = own_options,
	.peers = true,
	.two_devices = true,
};

int main(int argc, char **argv)
{
	struct perf_options o;
	struct rig g;

	perf_options(&o, &program, argc, argv);
	if (o.server)
		return end_server(&o);
	samples = calloc(o.iterations, sizeof(*samples));
	perf_need(samples, "memory for samples");
	rig_open(&g, &o);
	/* The device may have shorter queues. */
	window = window_max < g.near.depth ? window_max : g.near.depth;
	if (batch > g.near.depth)
		batch = g.near.depth;
	perf_report_open(&o, &program, &g.near.dev, argc, argv);
	grid_run(&g, PERF_MBPS, batch, measure);
	rig_close(&g);
	free(samples);
	return perf_report_close();
}
