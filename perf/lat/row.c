// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The work of one row: bytes first, then the samples, then the faults, and the
 * bytes again, for the samples may have brought the device into another state.
 */
#include "shared.h"

/* What the word of an atomic must hold before the first sample. */
static bool zero_words(struct rig *g, struct a_case *c)
{
	for (uint64_t i = 0; is_atomic(c->op) && i < c->shape.count; i++) {
		struct message m = { .call = CALL_POKE,
				     .w = { i * c->shape.stride } };

		if (!rig_call(g, SIDE_REMOTE, &m))
			continue;
		perf_row_status(&c->row, PERF_ROW_FAILED, "no memory to zero");
		return false;
	}
	return true;
}

long row_work(struct rig *g, struct a_case *c, operate_fn operate,
	      sample_fn sample)
{
	long n;

	if (!verify(g, c, operate, true) || !zero_words(g, c))
		return -1;
	n = sample(g, c);
	if (n < 0 || !count_faults(g, c, operate) ||
	    !verify(g, c, operate, false))
		return -1;
	perf_row_extra(&c->row, "wrong_bytes", 0);
	return n;
}
