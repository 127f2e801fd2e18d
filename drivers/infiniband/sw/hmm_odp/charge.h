/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Allocation on behalf of another process: a worker allocates for a process, a
 * sender for the receiver.  The memory is charged to the memory cgroup that it
 * is for.  Any file may include this.
 */
#ifndef HODP_CHARGE_H
#define HODP_CHARGE_H

#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

/**
 * hodp_charge_zalloc - kzalloc() charged to a given memory cgroup
 * @memcg: held by the caller; NULL for a kernel consumer: not charged in a
 *         worker, else charged to the calling process
 *
 * Context: process or softirq, as @gfp allows.
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
