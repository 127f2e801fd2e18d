/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* A mirror as an object (layer 1): for mirror.c and registry.c only. */
#ifndef HODP_MIRROR_PRIV_H
#define HODP_MIRROR_PRIV_H

#include <linux/xarray.h>
#include "dev.h"
#include "job.h"

/* Windows that are found without the xarray. */
#define HODP_WINDOWS_NEAR 32

struct hodp_window;

/**
 * struct hodp_mirror - an address space as one device sees it
 * @shared: the device's (immutable)
 * @mm: address space, grabbed (immutable)
 * @refs: MRs and running faults
 * @link: in @shared->by_mm, under its lock
 * @gate: its share of the job places
 * @windows: address >> HODP_WINDOW_SHIFT -> window; looked up without a lock,
 *           because windows live as long as the mirror
 * @near: windows that were faulted recently, by the low bits of their index;
 *        without a lock, too.  Look-ups only read it, so they share its cache
 *        lines
 * @window_lock: serialises making windows
 * @dropped: number of entries that invalidations dropped
 */
struct hodp_mirror {
	struct hodp_mirrors *shared;
	struct mm_struct *mm;
	refcount_t refs;
	struct hlist_node link;
	struct xarray windows;
	struct hodp_window *near[HODP_WINDOWS_NEAR];
	struct mutex window_lock; /* making windows */
	atomic64_t dropped;
	struct hodp_gate gate;
};

static inline void hodp_mirror_count(struct hodp_mirror *m,
				     enum hodp_counter which, u64 n)
{
	this_cpu_add(m->shared->counters->v[which], n);
}

/* Free all windows and chunks of a mirror that is no longer in use.  Sleeps. */
void hodp_mirror_drop_windows(struct hodp_mirror *m);

#endif /* HODP_MIRROR_PRIV_H */
