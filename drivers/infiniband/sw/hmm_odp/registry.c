// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The registry of a device's mirrors (layer 1): their shared state, look-up and
 * lifetime.  mirror.c has the contents of a mirror.
 *
 * The shared state is reference-counted, because a mirror with a sleeping page
 * fault can outlive the device.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "mirror.h"
#include "mirror_priv.h"

struct hodp_mirrors *hodp_mirrors_alloc(void)
{
	struct hodp_mirrors *ms = kzalloc_obj(*ms, GFP_KERNEL);

	if (!ms)
		return NULL;
	ms->counters = alloc_percpu(struct hodp_counters);
	if (!ms->counters) {
		kfree(ms);
		return NULL;
	}
	refcount_set(&ms->refs, 1);
	mutex_init(&ms->lock);
	hash_init(ms->by_mm);
	return ms;
}

void hodp_mirrors_put(struct hodp_mirrors *ms)
{
	if (!refcount_dec_and_test(&ms->refs))
		return;
	free_percpu(ms->counters);
	kfree(ms);
}

/* A mirror of the calling process, not published yet. */
static struct hodp_mirror *hodp_mirror_new(struct hodp_mirrors *ms)
{
	struct hodp_mirror *m = kzalloc_obj(*m, GFP_KERNEL_ACCOUNT);

	if (!m)
		return NULL;
	if (hodp_gate_init(&m->gate)) {
		kfree(m);
		return NULL;
	}
	refcount_inc(&ms->refs);
	m->shared = ms;
	m->mm = current->mm;
	mmgrab(m->mm);
	refcount_set(&m->refs, 1);
	xa_init(&m->windows);
	mutex_init(&m->window_lock);
	return m;
}

/* Free a mirror without windows that can no longer be found. */
static void hodp_mirror_free(struct hodp_mirror *m)
{
	xa_destroy(&m->windows);
	hodp_gate_exit(&m->gate);
	mmdrop(m->mm);
	hodp_mirrors_put(m->shared);
	kfree(m);
}

/* The calling process's mirror, with a reference, or NULL. */
static struct hodp_mirror *hodp_mirror_find(struct hodp_mirrors *ms)
{
	struct hodp_mirror *m;

	lockdep_assert_held(&ms->lock);
	hash_for_each_possible(ms->by_mm, m, link, (unsigned long)current->mm)
		if (m->mm == current->mm && refcount_inc_not_zero(&m->refs))
			return m;
	return NULL;
}

struct hodp_mirror *hodp_mirror_get(struct hodp_device *dev)
{
	struct hodp_mirrors *ms = dev->mirrors;
	struct hodp_mirror *m, *new;

	mutex_lock(&ms->lock);
	m = hodp_mirror_find(ms);
	mutex_unlock(&ms->lock);
	if (m)
		return m;

	/* Allocate without the lock: all processes share it, and a charged
	 * allocation may wait for reclaim.
	 */
	new = hodp_mirror_new(ms);
	if (!new)
		return ERR_PTR(-ENOMEM);
	mutex_lock(&ms->lock);
	m = hodp_mirror_find(ms);
	if (!m)
		hash_add(ms->by_mm, &new->link, (unsigned long)new->mm);
	mutex_unlock(&ms->lock);
	if (!m)
		return new;
	hodp_mirror_free(new);
	return m;
}

struct hodp_gate *hodp_mirror_gate(struct hodp_mirror *m)
{
	return &m->gate;
}

struct hodp_mirror *hodp_mirror_ref(struct hodp_mirror *m)
{
	refcount_inc(&m->refs);
	return m;
}

void hodp_mirror_put(struct hodp_mirror *m)
{
	might_sleep();
	if (!refcount_dec_and_test(&m->refs))
		return;
	mutex_lock(&m->shared->lock);
	hash_del(&m->link);
	mutex_unlock(&m->shared->lock);
	hodp_mirror_drop_windows(m);
	hodp_mirror_free(m);
}

void hodp_mirror_count_failure(struct hodp_mirror *m, bool again)
{
	hodp_mirror_count(
		m, again ? HODP_CNT_FAULT_RETRIES : HODP_CNT_FAULT_ERRORS, 1);
}

u64 hodp_mirror_invalidated(const struct hodp_mirror *m)
{
	return atomic64_read(&m->dropped);
}
