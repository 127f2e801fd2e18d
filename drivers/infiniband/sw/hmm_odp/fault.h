/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Page faults of runners (layer 1): model in fault.c. */
#ifndef HODP_FAULT_H
#define HODP_FAULT_H

#include "runner.h"
#include "span.h"

struct mem_cgroup;

/**
 * hodp_fault_begin - bring in what an operation missed
 * @r: runner that waits: the caller owns it, and it has no fault
 * @memcg: who pays, or NULL: a kernel consumer's
 * @miss: what; its span still holds the region
 *
 * When it is done, @r is run again, from the fault's own work item.
 * Context: process.  Return: 0, -ENOMEM.
 */
int hodp_fault_begin(struct hodp_runner *r, struct mem_cgroup *memcg,
		     const struct hodp_miss *miss);

/**
 * hodp_fault_finish - collect the result
 * @r: runner that the caller owns
 *
 * Return: 0 (or there was no fault), -EINPROGRESS, -EFAULT, -EPERM.
 */
int hodp_fault_finish(struct hodp_runner *r);

/* Forget a fault, if there is one: its job is cancelled, and wakes nobody. */
void hodp_fault_drop(struct hodp_runner *r);

#endif /* HODP_FAULT_H */
