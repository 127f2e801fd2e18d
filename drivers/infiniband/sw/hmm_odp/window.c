// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Windows: 1 GiB of a mirror each, with one interval notifier.
 *
 * A window is created when a fault first touches its addresses, and lives as
 * long as the mirror.  It holds the table of its chunks and passes
 * invalidations on to them.
 *
 * Commit against invalidation.  The notifier's sequence belongs to the window
 * and is set and compared under the window's @seq_lock.  Entries belong to the
 * chunks and are guarded by the chunk's lock:
 *
 *   invalidate                          commit
 *   ----------                          ------
 *   lock window                         find or publish the chunk
 *     set_seq                           lock chunk
 *   unlock window                         lock window
 *   for each published chunk:               read_retry
 *     lock chunk, drop, unlock            unlock window
 *                                         changed: give up, else store
 *                                       unlock chunk
 *
 * There are two possible orders.  If commit takes the window's lock first, its
 * unlock and the lock in invalidate order the publication of the chunk (by any
 * thread) before the search: invalidate finds the chunk, waits for its lock,
 * and drops what was stored.  If invalidate takes the lock first, commit sees
 * the new sequence and gives up.  The locks are the only barriers needed.
 * tests/litmus has both halves.
 */
#include <linux/slab.h>
#include "dev.h"
#include "trace.h"
#include "window.h"

int hodp_window_make_chunk(struct hodp_window *w, unsigned long va)
{
	struct hodp_chunk __rcu **slot =
		&w->chunk[(va - w->base) >> HODP_CHUNK_SHIFT];
	struct hodp_chunk *c;

	if (rcu_access_pointer(*slot))
		return 0;
	c = hodp_chunk_alloc();
	if (!c)
		return -ENOMEM;
	/* Publish the initialised chunk, unless another thread was faster. */
	if (cmpxchg_release((struct hodp_chunk __force **)slot, NULL, c))
		kfree(c);
	return 0;
}

bool hodp_window_changed(struct hodp_window *w, unsigned long seq)
{
	bool changed;

	spin_lock(&w->seq_lock);
	changed = mmu_interval_read_retry(&w->ni, seq);
	spin_unlock(&w->seq_lock);
	return changed;
}

/* ---- invalidation ---- */

static enum hodp_inval hodp_event_inval(enum mmu_notifier_event event)
{
	switch (event) {
	case MMU_NOTIFY_PROTECTION_PAGE:
	case MMU_NOTIFY_SOFT_DIRTY:
		return HODP_INVAL_DOWNGRADE;
	case MMU_NOTIFY_UNMAP:
	case MMU_NOTIFY_RELEASE:
		return HODP_INVAL_UNMAP;
	default:
		return HODP_INVAL_DROP;
	}
}

/* For the tracepoint. */
static const char *hodp_event_name(enum mmu_notifier_event event)
{
	static const char *const names[] = {
		[MMU_NOTIFY_UNMAP] = "unmap",
		[MMU_NOTIFY_CLEAR] = "clear",
		[MMU_NOTIFY_PROTECTION_VMA] = "protection-vma",
		[MMU_NOTIFY_PROTECTION_PAGE] = "protection-page",
		[MMU_NOTIFY_SOFT_DIRTY] = "soft-dirty",
		[MMU_NOTIFY_RELEASE] = "release",
		[MMU_NOTIFY_MIGRATE] = "migrate",
		[MMU_NOTIFY_EXCLUSIVE] = "exclusive",
	};

	return event < ARRAY_SIZE(names) ? names[event] : "other";
}

static bool hodp_window_invalidate(struct mmu_interval_notifier *ni,
				   const struct mmu_notifier_range *range,
				   unsigned long cur_seq)
{
	struct hodp_window *w = container_of(ni, struct hodp_window, ni);
	struct hodp_mirror *m = w->mirror;
	enum hodp_inval what = hodp_event_inval(range->event);
	unsigned long va, end, n = 0;

	spin_lock(&w->seq_lock);
	mmu_interval_set_seq(ni, cur_seq);
	spin_unlock(&w->seq_lock);

	va = max(range->start, w->base);
	end = min(range->end - 1, w->base + HODP_WINDOW_SIZE - 1);
	rcu_read_lock();
	while (va <= end) {
		unsigned long stop = min(va | (HODP_CHUNK_SIZE - 1), end);

		n += hodp_chunk_invalidate(
			&w->chunk[(va - w->base) >> HODP_CHUNK_SHIFT],
			(va & (HODP_CHUNK_SIZE - 1)) >> PAGE_SHIFT,
			(stop & (HODP_CHUNK_SIZE - 1)) >> PAGE_SHIFT, what);
		if (stop == end)
			break;
		va = stop + 1;
	}
	rcu_read_unlock();

	if (!n)
		return true;
	trace_hodp_invalidate(range->start, range->end,
			      hodp_event_name(range->event), n);
	if (what == HODP_INVAL_DOWNGRADE) {
		hodp_mirror_count(m, HODP_CNT_DOWNGRADES, 1);
		return true;
	}
	hodp_mirror_count(m, HODP_CNT_INVALIDATIONS, 1);
	hodp_mirror_count(m, HODP_CNT_INVAL_PAGES, n);
	atomic64_add(n, &m->dropped);
	return true;
}

static const struct mmu_interval_notifier_ops hodp_window_ops = {
	.invalidate = hodp_window_invalidate,
};

/* ---- making and dropping ---- */

static void hodp_window_destroy(struct hodp_window *w)
{
	unsigned int i;

	mmu_interval_notifier_remove(&w->ni);
	for (i = 0; i < HODP_CHUNKS; i++) {
		struct hodp_chunk *c =
			rcu_dereference_protected(w->chunk[i], 1);

		if (c)
			hodp_chunk_free(c);
	}
	kfree(w);
}

void hodp_mirror_drop_windows(struct hodp_mirror *m)
{
	struct hodp_window *w;
	unsigned long i;

	xa_for_each(&m->windows, i, w)
		hodp_window_destroy(w);
}

struct hodp_window *hodp_mirror_make_window(struct hodp_mirror *m,
					    unsigned long va)
{
	unsigned long idx = va >> HODP_WINDOW_SHIFT;
	struct hodp_window *w = xa_load(&m->windows, idx);
	int ret;

	if (w)
		goto near;
	mutex_lock(&m->window_lock);
	w = xa_load(&m->windows, idx);
	if (w)
		goto out;
	w = kzalloc(sizeof(*w), GFP_KERNEL_ACCOUNT);
	if (!w) {
		w = ERR_PTR(-ENOMEM);
		goto out;
	}
	w->mirror = m;
	w->base = idx << HODP_WINDOW_SHIFT;
	spin_lock_init(&w->seq_lock);
	ret = mmu_interval_notifier_insert(&w->ni, m->mm, w->base,
					   HODP_WINDOW_SIZE, &hodp_window_ops);
	if (ret)
		goto err_free;
	ret = xa_err(xa_store(&m->windows, idx, w, GFP_KERNEL_ACCOUNT));
	if (ret)
		goto err_remove;
out:
	mutex_unlock(&m->window_lock);
near:
	if (!IS_ERR(w) && READ_ONCE(m->near[idx % HODP_WINDOWS_NEAR]) != w)
		/* Pairs with the dependency in hodp_mirror_find_window(). */
		smp_store_release(&m->near[idx % HODP_WINDOWS_NEAR], w);
	return w;

err_remove:
	mmu_interval_notifier_remove(&w->ni);
err_free:
	kfree(w);
	w = ERR_PTR(ret);
	goto out;
}
