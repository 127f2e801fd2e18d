// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_lat: how long one operation takes, from ibv_post_send() to its completion
 * polled, in every state of the memory of either end.
 */
#include <stdlib.h>

#include "shared.h"

/* A row may end after --row-time when it has as many. */
#define ENOUGH 20

const int end_depth = 64;

static uint64_t *samples;

static int post_and_wait(struct rig *g, struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;
	struct ibv_wc wc;
	int err = ibv_post_send(g->near.qp, wr, &bad);

	return err ? -err : perf_wait(g->near.cq, &wc, g->o->timeout);
}

static int operate(struct rig *g, const struct a_case *c)
{
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	case_request(g, c, &wr, &sge);
	return post_and_wait(g, &wr);
}

/* As many receives as fit the queue and operations remain. */
static bool refill(struct rig *g, struct a_case *c, long left, long *credits)
{
	if (*credits || !receives(c->op))
		return true;
	*credits = left < end_depth ? left : end_depth;
	return case_receive(g, c, *credits);
}

static long sample(struct rig *g, struct a_case *c)
{
	const struct perf_options *o = g->o;
	/* Hot memory must have been used before. */
	long warmup = o->warmup ? o->warmup : 1, credits = 0, n = 0;
	uint64_t cost = perf_clock_cost(), start = perf_now();
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	bool lost[2];

	case_request(g, c, &wr, &sge);
	for (long i = -warmup; i < o->iterations; i++) {
		uint64_t begin, end;
		int status;

		if (is_fleeting(c->reg) &&
		    !case_prepare(g, c, c->reg, case_span(c), lost))
			return -1;
		if (!refill(g, c, o->iterations - i, &credits))
			return -1;
		begin = perf_now();
		status = post_and_wait(g, &wr);
		end = perf_now();
		if (status) {
			case_failed(g, c, status);
			return -1;
		}
		if (receives(c->op))
			credits--;
		if (i < 0)
			continue;
		samples[n++] = end - begin > cost ? end - begin - cost : 0;
		if (n >= ENOUGH && end - start > grid.row_time * 1000000000ULL)
			break;
	}
	/* Receives that are left over point into this row's memory. */
	if (credits)
		rig_reconnect(g);
	return n;
}

static void measure(struct rig *g, struct a_case *c)
{
	long n = row_work(g, c, operate, sample);

	if (n >= 0)
		perf_row_samples(&c->row, samples, n);
}

static const struct perf_program program = {
	.name = "odp_lat",
	.summary = "Latency of operations, by what is known of their memory.",
	.help = GRID_HELP,
	.options = grid_options,
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
	perf_report_open(&o, &program, &g.near.dev, argc, argv);
	grid_run(&g, PERF_NS, 1, measure);
	rig_close(&g);
	free(samples);
	return perf_report_close();
}
