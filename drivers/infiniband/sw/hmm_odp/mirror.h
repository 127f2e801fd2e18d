/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The mirror of a process's address space (layer 1).  mirror.c opens with the
 * model and the locking; it alone knows HMM and mm.
 */
#ifndef HODP_MIRROR_H
#define HODP_MIRROR_H

#include <linux/hashtable.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct hodp_device;
struct hodp_mirror;
struct hodp_chunk;
struct hodp_counters;
struct hodp_gate;

/* The most that is copied under a chunk's lock: what an invalidation waits. */
#define HODP_PIECE 16384
/* The most that one fault brings in. */
#define HODP_FAULT_MAX (4UL << 20)
/* Hash buckets of a device's mirrors: 1 << this. */
#define HODP_MIRRORS_BITS 8

/**
 * struct hodp_mirrors - what the mirrors of a device share
 * @refs: the device, and each mirror
 * @lock: guards @by_mm; everybody's, so nothing sleeps under it
 * @by_mm: struct hodp_mirror of every mm with an on-demand MR here
 * @counters: per CPU
 */
struct hodp_mirrors {
	refcount_t refs;
	struct mutex lock; /* @by_mm */
	DECLARE_HASHTABLE(by_mm, HODP_MIRRORS_BITS);
	struct hodp_counters __percpu *counters;
};

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
 * struct hodp_view - a look at mirrored memory, holding a chunk's read lock
 * @chunk: whose lock is held; NULL once released
 * @va: user address of the byte behind @kaddr
 * @slot: where the entry behind @kaddr lies
 * @kaddr: kernel address of the byte asked for
 * @len: bytes that are contiguous from there, at most HODP_PIECE
 * @owner: this view took the lock (a second view of one chunk does not)
 */
struct hodp_view {
	struct hodp_chunk *chunk;
	unsigned long va;
	unsigned long *slot;
	void *kaddr;
	unsigned int len;
	bool owner;
};

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

/**
 * hodp_mirror_view_next - go on to the bytes right behind the view
 * @len: bytes wanted from there
 *
 * The same lock stays held.  Return: false at the chunk's end or where the
 * next page is not there; the view is unchanged then.
 */
bool hodp_mirror_view_next(struct hodp_view *v, u64 len, bool write);

/* Before leaving a page that was written: mark its folio dirty, once. */
void hodp_mirror_wrote(struct hodp_view *v);

void hodp_mirror_unview(struct hodp_view *v);

#endif /* HODP_MIRROR_H */
