/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Windows of a mirror (layer 1): model in window.c. */
#ifndef HODP_WINDOW_H
#define HODP_WINDOW_H

#include <linux/mmu_notifier.h>
#include <linux/sizes.h>
#include "chunk.h"
#include "mirror_priv.h"

#define HODP_WINDOW_SHIFT 30
#define HODP_WINDOW_SIZE ((unsigned long)SZ_1G)
#define HODP_CHUNKS (1U << (HODP_WINDOW_SHIFT - HODP_CHUNK_SHIFT))
/**
 * struct hodp_window - 1 GiB of mirrored addresses
 * @ni: the notifier
 * @mirror: the mirror it belongs to (immutable)
 * @base: first address (immutable)
 * @seq_lock: held while the notifier's sequence is set or compared
 * @chunk: table of chunks; published with cmpxchg, found under RCU
 */
struct hodp_window {
	struct mmu_interval_notifier ni;
	struct hodp_mirror *mirror;
	unsigned long base;
	spinlock_t seq_lock; /* @ni's sequence */
	struct hodp_chunk __rcu *chunk[HODP_CHUNKS];
};

static inline struct hodp_window *hodp_mirror_find_window(struct hodp_mirror *m,
							  u64 va)
{
	unsigned long idx = va >> HODP_WINDOW_SHIFT;
	struct hodp_window *w = READ_ONCE(m->near[idx % HODP_WINDOWS_NEAR]);

	if (likely(w && w->base == idx << HODP_WINDOW_SHIFT))
		return w;
	return xa_load(&m->windows, idx);
}

/* The chunk of @va, or NULL.  Inside rcu_read_lock(). */
static inline struct hodp_chunk *hodp_window_chunk(struct hodp_window *w,
						   unsigned long va)
{
	return rcu_dereference(w->chunk[(va - w->base) >> HODP_CHUNK_SHIFT]);
}

/**
 * hodp_window_make_chunk - create the chunk of @va if it does not exist
 *
 * An invalidation may free the chunk again before this returns.
 * Context: process, sleeps.  Return: 0, -ENOMEM.
 */
int hodp_window_make_chunk(struct hodp_window *w, unsigned long va);

/* Was anything in the window invalidated since @seq?  Under a chunk's lock. */
bool hodp_window_changed(struct hodp_window *w, unsigned long seq);

/**
 * hodp_mirror_make_window - find or create the window of @va
 *
 * Context: process, sleeps; the mm is alive (mmget).
 * Return: the window, or ERR_PTR(-ENOMEM, -EINTR).
 */
struct hodp_window *hodp_mirror_make_window(struct hodp_mirror *m,
					    unsigned long va);

/* Free all windows and chunks of a mirror that is no longer in use.  Sleeps. */
void hodp_mirror_drop_windows(struct hodp_mirror *m);

#endif /* HODP_WINDOW_H */
