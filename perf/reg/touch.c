// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Whether a region works, and not only its registration: pages to and fro
 * through it.  Page by page, as a device that moves wrong bytes in longer
 * messages is the business of odp_lat.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "reg.h"

#define SEED 0x5eed0000

static int device(enum ibv_wr_opcode opcode, struct ibv_mr *mr, uint8_t *p)
{
	return perf_probe_do(&t.probe, opcode, p, mr->rkey, PERF_PAGE);
}

static const char *touch_page(struct ibv_mr *mr, uint8_t *p, size_t at)
{
	int status;

	perf_fill(t.probe.p, PERF_PAGE, SEED + at);
	status = device(IBV_WR_RDMA_WRITE, mr, p + at);
	if (status)
		return perf_say("a WRITE at %zu of the region: %s", at,
				perf_status(status));
	if (perf_wrong(p + at, PERF_PAGE, SEED + at))
		return perf_say(
			"a WRITE at %zu of the region put wrong bytes there",
			at);
	perf_fill(p + at, PERF_PAGE, SEED + at + 1);
	status = device(IBV_WR_RDMA_READ, mr, p + at);
	if (status)
		return perf_say("a READ at %zu of the region: %s", at,
				perf_status(status));
	if (perf_wrong(t.probe.p, PERF_PAGE, SEED + at + 1))
		return perf_say("a READ at %zu of the region gave wrong bytes",
				at);
	return NULL;
}

const char *touch_ends(struct ibv_mr *mr, uint8_t *p, size_t length)
{
	size_t pages = length / PERF_PAGE;
	const char *why = touch_page(mr, p, 0);

	if (!why)
		why = touch_page(mr, p, pages / 2 * PERF_PAGE);
	if (!why)
		why = touch_page(mr, p, (pages - 1) * PERF_PAGE);
	return why;
}

const char *touch_all(struct ibv_mr *mr, uint8_t *p, size_t length,
		      uint64_t seed)
{
	for (size_t at = 0; at < length; at += PERF_PAGE) {
		int status;
		bool right;

		memset(t.probe.p, 0xee, PERF_PAGE);
		status = device(IBV_WR_RDMA_READ, mr, p + at);
		if (status)
			return perf_say("a READ at %zu of the region: %s", at,
					perf_status(status));
		right = seed ? !perf_wrong(t.probe.p, PERF_PAGE, seed + at) :
			       !perf_nonzero(t.probe.p, PERF_PAGE);
		if (!right)
			return perf_say(
				"a READ at %zu of the region gave wrong "
				"bytes",
				at);
	}
	return NULL;
}
