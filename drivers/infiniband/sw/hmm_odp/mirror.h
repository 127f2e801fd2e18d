/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The mirror of a process's address space (layer 1).  mirror.c opens with the
 * model and the locking; it alone knows HMM and mm.
 */
#ifndef HODP_MIRROR_H
#define HODP_MIRROR_H

#include <linux/types.h>
#include "view.h"

struct hodp_device;
struct hodp_mirror;
struct hodp_mirrors;
struct hodp_gate;

/* The most that one fault brings in. */
#define HODP_FAULT_MAX (4UL << 20)
/* A device's, with one reference; NULL: no memory. */
struct hodp_mirrors *hodp_mirrors_alloc(void);
void hodp_mirrors_put(struct hodp_mirrors *ms);

/* The process's share of the places for jobs (job.h). */
struct hodp_gate *hodp_mirror_gate(struct hodp_mirror *m);

/* Does nobody live in the address space any more?  A fault would end with
 * -EFAULT.  Context: any.
 */
bool hodp_mirror_is_dead(const struct hodp_mirror *m);

/* Is this the calling process's? */
bool hodp_mirror_is_current(const struct hodp_mirror *m);

/**
 * hodp_mirror_get - the calling process's mirror on a device
 * @dev: device
 *
 * O(1): nothing is walked, and no window is made before it is touched.
 * Context: process; current->mm is the address space.
 * Return: a reference, or ERR_PTR(-ENOMEM).
 */
struct hodp_mirror *hodp_mirror_get(struct hodp_device *dev);

/* One more reference to a mirror that the caller holds already. */
struct hodp_mirror *hodp_mirror_ref(struct hodp_mirror *m);

/* Context: process, may sleep: the last one removes the notifiers. */
void hodp_mirror_put(struct hodp_mirror *m);

/* Entries that invalidations dropped so far, in the whole mirror. */
u64 hodp_mirror_invalidated(const struct hodp_mirror *m);

/* Count a page fault that failed: for good, or to be tried @again. */
void hodp_mirror_count_failure(struct hodp_mirror *m, bool again);

/**
 * hodp_mirror_fault - bring pages in and commit them to the mirror
 * @m: mirror
 * @va: first byte
 * @len: bytes; it may do less, never nothing
 * @write: the pages must be writable
 *
 * What it does at a time ends at a window's end, at HODP_FAULT_MAX, and where
 * invalidations took away what the fault had found: the pages before that are
 * there, and the caller goes on behind them.  A range that loses again and again
 * is halved, down to one page.
 *
 * Context: process, sleeps, holds no lock; the page fault may wait for swap,
 * a file system or a userfaultfd handler for as long as these take, and ends
 * early when the calling task is killed.
 * Return: bytes from @va that were committed, or, where there are none,
 *   -EFAULT     nothing mapped there, or not readable, or memory that the kernel's
 *               direct map does not reach, or the process is gone
 *   -EHWPOISON  the page is there, and bad (of most kinds the kernel has taken a
 *               bad page away: -EFAULT)
 *   -EPERM      not writable; a shadow stack is not, though HMM says that it is
 *   -EBUSY      invalidations have won each race for a single page
 *   -ENOMEM, -EINTR
 * The last three are transient: try again later.
 */
long hodp_mirror_fault(struct hodp_mirror *m, u64 va, u64 len, bool write);

/**
 * hodp_mirror_snapshot - commit what is present, fault nothing
 *
 * Absent pages are no error.  Addresses that map nothing are skipped at once, the
 * whole of @len if need be, and cost no memory.
 * Context and errors as hodp_mirror_fault().
 */
long hodp_mirror_snapshot(struct hodp_mirror *m, u64 va, u64 len);

/**
 * hodp_mirror_view - look at mirrored memory if it is there
 * @m: mirror
 * @va: first byte; 0 < @len
 * @write: entries must be writable
 * @other: a view that the caller holds already, or NULL
 * @v: result
 *
 * Context: process, inside rcu_read_lock().  On success a chunk's read lock is
 * held: no sleeping until hodp_mirror_unview().  A second view of the same
 * chunk shares the lock; of another chunk it only tries it, so two lockers
 * cannot wait for each other.
 * Return: 0; -EAGAIN not mirrored, fault it in; -EBUSY drop @other, try again.
 */
int hodp_mirror_view(struct hodp_mirror *m, u64 va, u64 len, bool write,
		     const struct hodp_view *other, struct hodp_view *v);

#endif /* HODP_MIRROR_H */
