/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Page faults of runners (layer 1): model in fault.c. */
#ifndef HODP_FAULT_H
#define HODP_FAULT_H

#include "runner.h"
#include "span.h"

struct mem_cgroup;

/**
 * hodp_fault_begin - start to fault in what an operation missed
 * @r: the runner that waits; the caller owns it, and it has no fault yet
 * @memcg: memory cgroup to charge; NULL for a kernel consumer
 * @miss: what to fault in; its span still holds the region
 *
 * When the fault is done, its work item runs @r again.
 * Context: process.  Return: 0, -ENOMEM.
 */
int hodp_fault_begin(struct hodp_runner *r, struct mem_cgroup *memcg,
		     const struct hodp_miss *miss);

/**
 * hodp_fault_finish - collect the result of a runner's fault
 * @r: runner that the caller owns
 *
 * Return: 0 (also if there was no fault), -EINPROGRESS, or the error of
 * hodp_mirror_fault() if it is permanent.
 */
int hodp_fault_finish(struct hodp_runner *r);

/* Drop the runner's fault, if any: cancel its job, which will not run @r. */
void hodp_fault_drop(struct hodp_runner *r);

#endif /* HODP_FAULT_H */
