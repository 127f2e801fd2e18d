/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Memory that one allocates for another: a worker for a process, a sender for
 * the receiver.  It is charged to the memory cgroup of whom it is for.  Any
 * room may include this.
 */
#ifndef HODP_CHARGE_H
#define HODP_CHARGE_H

#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

/**
 * hodp_charge_zalloc - kzalloc() at somebody's charge
 * @memcg: whose, held by the caller; NULL (a kernel consumer): nobody's in a
 *         worker, else the calling process's
 *
 * Context: process.
 */
static inline void *hodp_charge_zalloc(struct mem_cgroup *memcg, size_t size,
				       gfp_t gfp)
{
	struct mem_cgroup *old = set_active_memcg(memcg);
	void *p = kzalloc(size, gfp | __GFP_ACCOUNT);

	set_active_memcg(old);
	return p;
}

#endif /* HODP_CHARGE_H */
