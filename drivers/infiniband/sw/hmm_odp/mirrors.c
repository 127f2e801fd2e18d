// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the mirrors of a device share (layer 1): the list of them, and the
 * counters.  A mirror whose page fault still sleeps keeps it when the device is
 * gone; the device needs no more than a reference.
 */
#include <linux/slab.h>
#include "dev.h"
#include "mirror.h"

struct hodp_mirrors *hodp_mirrors_alloc(void)
{
	struct hodp_mirrors *ms = kzalloc(sizeof(*ms), GFP_KERNEL);

	if (!ms)
		return NULL;
	ms->counters = alloc_percpu(struct hodp_counters);
	if (!ms->counters) {
		kfree(ms);
		return NULL;
	}
	refcount_set(&ms->refs, 1);
	mutex_init(&ms->lock);
	INIT_LIST_HEAD(&ms->list);
	return ms;
}

void hodp_mirrors_put(struct hodp_mirrors *ms)
{
	if (!refcount_dec_and_test(&ms->refs))
		return;
	free_percpu(ms->counters);
	kfree(ms);
}
