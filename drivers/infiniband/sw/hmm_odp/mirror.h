/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The mirror of a process's address space (layer 1).  mirror.c has the model
 * and the locking.
 */
#ifndef HODP_MIRROR_H
#define HODP_MIRROR_H

#include <linux/types.h>
#include "view.h"

struct hodp_device;
struct hodp_mirror;
struct hodp_mirrors;
struct hodp_gate;

/* Maximum bytes that one fault brings in. */
#define HODP_FAULT_MAX (4UL << 20)

/* The shared state of a device's mirrors, with one reference, or NULL. */
struct hodp_mirrors *hodp_mirrors_alloc(void);
void hodp_mirrors_put(struct hodp_mirrors *ms);

/* The gate of the mirror's process (job.h). */
struct hodp_gate *hodp_mirror_gate(struct hodp_mirror *m);

/* True if the address space has no users left, so that a fault would return
 * -EFAULT.  Context: any.
 */
bool hodp_mirror_is_dead(const struct hodp_mirror *m);

/* Is this the mirror of the calling process? */
bool hodp_mirror_is_current(const struct hodp_mirror *m);

/**
 * hodp_mirror_get - find or create the calling process's mirror on a device
 * @dev: device
 *
 * O(1): walks nothing, and creates no window.
 * Context: process; current->mm is the address space.
 * Return: a reference, or ERR_PTR(-ENOMEM).
 */
struct hodp_mirror *hodp_mirror_get(struct hodp_device *dev);

/* Take another reference to a mirror that the caller already holds. */
struct hodp_mirror *hodp_mirror_ref(struct hodp_mirror *m);

/* Context: process, may sleep: the last put removes the notifiers. */
void hodp_mirror_put(struct hodp_mirror *m);

/* Number of entries that invalidations have dropped in the whole mirror. */
u64 hodp_mirror_invalidated(const struct hodp_mirror *m);

/* Count a failed page fault, which will be tried @again or is permanent. */
void hodp_mirror_count_failure(struct hodp_mirror *m, bool again);

/**
 * hodp_mirror_fault - bring pages in and commit them to the mirror
 * @m: mirror
 * @va: first byte
 * @len: bytes; one call may commit fewer, but at least one
 * @write: the pages must be writable
 *
 * One call stops at the end of a window, after HODP_FAULT_MAX bytes, and at the
 * first page that an invalidation took away during the fault.  The pages before
 * that are committed, and the caller continues after them.  A range that keeps
 * losing against invalidations is halved, down to one page.
 *
 * Context: process, sleeps, no locks held.  The fault may wait without limit
 * for swap, a file system or a userfaultfd handler, and returns early if the
 * calling task is killed.
 * Return: bytes committed from @va, or, if none were,
 *   -EFAULT     not mapped or not readable, or outside the kernel's direct
 *               map, or the process is gone
 *   -EHWPOISON  the page is present but poisoned (the kernel unmaps most
 *               poisoned pages, which gives -EFAULT)
 *   -EPERM      not writable; includes shadow stacks, which HMM reports as
 *               writable
 *   -EBUSY      invalidations won every race, even for a single page
 *   -ENOMEM, -EINTR
 * The last three are transient: try again later.
 */
long hodp_mirror_fault(struct hodp_mirror *m, u64 va, u64 len, bool write);

/**
 * hodp_mirror_snapshot - commit the pages that are present, without faulting
 *
 * Absent pages are not an error.  Unmapped ranges of any length are skipped in
 * one step and cost no memory.
 * Context and errors: as hodp_mirror_fault().
 */
long hodp_mirror_snapshot(struct hodp_mirror *m, u64 va, u64 len);

/**
 * hodp_mirror_view - access mirrored memory if it is present
 * @m: mirror
 * @va: first byte
 * @len: bytes wanted, at least 1
 * @write: entries must be writable
 * @other: a view that the caller already holds, or NULL
 * @v: result
 *
 * Context: process, inside rcu_read_lock().  On success a chunk's read lock is
 * held: do not sleep before hodp_mirror_unview().  A second view of the same
 * chunk shares the lock; a view of another chunk only tries the lock, so that
 * two lockers cannot deadlock.
 * Return: 0; -EAGAIN: not present, fault it in; -EBUSY: drop @other and retry.
 */
int hodp_mirror_view(struct hodp_mirror *m, u64 va, u64 len, bool write,
		     const struct hodp_view *other, struct hodp_view *v);

/**
 * hodp_mirror_try_view - access mirrored memory if that takes no waiting
 *
 * The chunk's lock is only tried, and there must be nothing to tell the mm: an
 * entry for writing is marked dirty already, and the chunk's recency is known.
 * So it may interrupt a thread that holds the chunk's lock.
 * Context: process or softirq, inside rcu_read_lock().
 * Return: true: @v is valid until hodp_mirror_try_unview(); false: use
 * hodp_mirror_view(), in process context.
 */
bool hodp_mirror_try_view(struct hodp_mirror *m, u64 va, u64 len, bool write,
			  struct hodp_view *v);

#endif /* HODP_MIRROR_H */
