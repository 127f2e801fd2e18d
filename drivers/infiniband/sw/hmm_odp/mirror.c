// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The mirror: a process's page tables as a device may use them.
 *
 * Terms
 *   mirror  one per (device, mm), shared by all on-demand MRs of that mm; it
 *           holds an mmgrab reference, so the mm may exit while it exists
 *   window  1 GiB of addresses with one interval notifier.  A fault that first
 *           touches it makes it; it lives as long as the mirror
 *   chunk   2 MiB of a window: either one huge entry or a table of small ones.
 *           The first fault makes it; it is freed once all of it was dropped, or
 *           once it is empty and its addresses were unmapped
 *   entry   kernel address of a page in the direct map | HODP_E_* bits, or 0
 *   view    a read hold on a chunk for one bounded copy
 *
 * A chunk is in one of these states:
 *   absent  the window has no pointer to it
 *   live    reachable; entries come and go under its lock
 *   dead    dropped as a whole: unreachable, empty, freed after a grace period
 *
 * Invariants
 *  1. An entry exists only while the CPU's page table maps the same page with
 *     at least the same permission, or while the invalidation that is about to
 *     remove it waits for the chunk's lock.  No page reference is held; only
 *     this invariant keeps the page.
 *  2. Entries are read, and memory is copied, with the chunk's lock held for
 *     read; entries change with it held for write.  A reader copies at most
 *     HODP_PIECE bytes per hold, so an invalidation waits for one bounded copy
 *     at most.  An invalidation never sleeps, never allocates, and takes no
 *     other lock under the chunk's, so it never refuses a non-blockable event.
 *  3. HODP_E_DIRTIED means that the folio was marked dirty after the first write
 *     through this entry, under the same hold of the lock.  The page table's
 *     dirty bit is not enough: HMM reports WRITE for entries that are writable
 *     but clean (MADV_FREE, read swap-in, shmem read fault).  Dropping or
 *     downgrading an entry clears the bit, so the next write marks the folio
 *     again.  Marking takes locks of the mm that a softirq must not, so a
 *     softirq writes through entries that have the bit only.
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
 *
 * Lock order: chunk lock -> window's seq_lock, and
 *             chunk lock -> (mm's own: i_pages, LRU; inside folio_mark_*).
 * The chunk lock is taken inside mmu_notifier_invalidate_range_start(), that is
 * under mmap_lock, i_mmap_rwsem and folio locks, so nothing under it may wait for
 * those.  With two chunks, the second lock is only tried (hodp_mirror_view()).
 *
 * Not supported: memory outside the direct map (memfd_secret: the entry is
 * refused), VM_IO and VM_PFNMAP (HMM refuses them), device-private pages (HMM
 * migrates them back to system memory).
 */
#include <linux/hmm.h>
#include <linux/memcontrol.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "chunk.h"
#include "dev.h"
#include "mirror.h"
#include "mirror_priv.h"
#include "trace.h"
#include "vma.h"

#define HODP_WINDOW_SHIFT 30
#define HODP_WINDOW_SIZE ((unsigned long)SZ_1G)
#define HODP_CHUNKS (1U << (HODP_WINDOW_SHIFT - HODP_CHUNK_SHIFT))

/*
 * How long a fault may lose against invalidations, and how often it may start
 * over.  Each time it halves its range: when memory is short, fewer pages stay in
 * for long enough.
 */
#define HODP_FAULT_TIMEOUT (HZ / 50 + 1)
#define HODP_FAULT_TRIES 32
/* Page arrays up to this size are on the stack. */
#define HODP_FAULT_ONSTACK 16

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

/* ---- windows and their chunks ---- */

static struct hodp_window *hodp_mirror_find_window(struct hodp_mirror *m,
						   u64 va)
{
	unsigned long idx = va >> HODP_WINDOW_SHIFT;
	struct hodp_window *w = READ_ONCE(m->near[idx % HODP_WINDOWS_NEAR]);

	if (likely(w && w->base == idx << HODP_WINDOW_SHIFT))
		return w;
	return xa_load(&m->windows, idx);
}

/* The chunk of @va, or NULL.  Inside rcu_read_lock(). */
static struct hodp_chunk *hodp_window_chunk(struct hodp_window *w,
					    unsigned long va)
{
	return rcu_dereference(w->chunk[(va - w->base) >> HODP_CHUNK_SHIFT]);
}

/* Create the chunk of @va if it does not exist; it may be gone again.  Sleeps. */
static int hodp_window_make_chunk(struct hodp_window *w, unsigned long va)
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

/* Was anything in the window invalidated since @seq?  Under a chunk's lock. */
static bool hodp_window_changed(struct hodp_window *w, unsigned long seq)
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

/* Find or create the window of @va.  Sleeps; the mm is alive (mmget). */
static struct hodp_window *hodp_mirror_make_window(struct hodp_mirror *m,
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
	w = kzalloc_obj(*w, GFP_KERNEL_ACCOUNT);
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

/*
 * When the last task leaves an address space, mm->owner becomes NULL.  mm_users
 * does not tell, because every running fault holds one.
 */
bool hodp_mirror_is_dead(const struct hodp_mirror *m)
{
	return !READ_ONCE(m->mm->owner);
}

bool hodp_mirror_is_current(const struct hodp_mirror *m)
{
	return m->mm == current->mm;
}

/* ---- faults ---- */

static bool hodp_pfns_any(const unsigned long *pfns, unsigned int n)
{
	while (n--)
		if (pfns[n] & HMM_PFN_VALID)
			return true;
	return false;
}

/* Does one page table entry map the whole chunk? */
static bool hodp_pfns_one_map(const unsigned long *pfns)
{
	return (pfns[0] & HMM_PFN_VALID) &&
	       hmm_pfn_to_map_order(pfns[0]) >= HODP_CHUNK_ORDER;
}

/*
 * Is the whole chunk backed by one folio that is mapped page by page with the
 * same permission?  Reads the folio, so the caller holds the chunk's lock and has
 * checked the sequence.
 */
static bool hodp_pfns_one_folio(const unsigned long *pfns, unsigned int n,
				unsigned int idx)
{
	struct page *page;
	unsigned int i;

	if (idx || n < HODP_CHUNK_PAGES || !(pfns[0] & HMM_PFN_VALID))
		return false;
	for (i = 1; i < HODP_CHUNK_PAGES; i++)
		if (pfns[i] != pfns[0] + i)
			return false;
	page = hmm_pfn_to_page(pfns[0]);
	return folio_nr_pages(page_folio(page)) >= HODP_CHUNK_PAGES &&
	       page_folio(page) == page_folio(page + HODP_CHUNK_PAGES - 1);
}

/*
 * Turn HMM's result into entries, in place.  The kernel unmaps a bad page, and a
 * fault there fails; but it maps the bad page of a devdax mapping again, hence
 * the look for poison here.
 * Return: 0; -EFAULT: outside the direct map; -EHWPOISON: the folio has a bad
 * page.
 */
static int hodp_pfns_convert(unsigned long *pfns, unsigned int n)
{
	struct folio *seen = NULL;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct page *page;

		if (!(pfns[i] & HMM_PFN_VALID)) {
			pfns[i] = 0;
			continue;
		}
		page = hmm_pfn_to_page(pfns[i]);
		if (page_folio(page) != seen) {
			seen = page_folio(page);
			if (!hodp_folio_reachable(seen))
				return -EFAULT;
			if (folio_contain_hwpoisoned_page(seen))
				return -EHWPOISON;
		}
		pfns[i] = hodp_entry(page, pfns[i] & HMM_PFN_WRITE);
	}
	return 0;
}

/* Store HMM's result for the pages [idx, idx + n) of the chunk.  Lock held. */
static int hodp_chunk_take(struct hodp_chunk *c, unsigned long *pfns,
			   unsigned int n, unsigned int idx)
{
	bool huge = hodp_pfns_one_map(pfns) ||
		    hodp_pfns_one_folio(pfns, n, idx);
	int ret;

	ret = hodp_pfns_convert(pfns, n);
	if (ret)
		return ret;
	hodp_chunk_fill(c, pfns, n, idx,
			huge ? pfns[0] - ((unsigned long)idx << PAGE_SHIFT) :
			       0);
	return 0;
}

/* Commit a fault in one chunk.  Return: 0, -EBUSY (lost a race), errno. */
static int hodp_chunk_commit(struct hodp_window *w,
			     const struct hmm_range *range)
{
	unsigned long va = range->start, *pfns = range->hmm_pfns;
	unsigned int idx = (va & (HODP_CHUNK_SIZE - 1)) >> PAGE_SHIFT;
	unsigned int n = (range->end - va) >> PAGE_SHIFT;
	bool huge = hodp_pfns_one_map(pfns);
	unsigned long *table = NULL;
	struct hodp_chunk *c;
	int ret;

	/* Allocate nothing if there is nothing to store. */
	if (!hodp_pfns_any(pfns, n))
		return 0;
	ret = hodp_window_make_chunk(w, va);
	if (ret)
		return ret;

	/* A table may be needed: allocate it before the lock is taken. */
	rcu_read_lock();
	c = hodp_window_chunk(w, va);
	if (c && !huge && !READ_ONCE(c->table)) {
		rcu_read_unlock();
		table = kzalloc_objs(*table, HODP_CHUNK_PAGES,
				     GFP_KERNEL_ACCOUNT);
		if (!table)
			return -ENOMEM;
		rcu_read_lock();
		c = hodp_window_chunk(w, va);
	}
	if (!c) {
		ret = -EBUSY;
		goto out;
	}
	write_lock(&c->lock);
	if (!c->table && table) {
		WRITE_ONCE(c->table, table);
		table = NULL;
	}
	if (c->dead || hodp_window_changed(w, range->notifier_seq))
		ret = -EBUSY;
	else if (!c->table && !huge)
		ret = -EBUSY;
	else
		ret = hodp_chunk_take(c, pfns, n, idx);
	write_unlock(&c->lock);
out:
	rcu_read_unlock();
	kfree(table);
	return ret;
}

/*
 * Check HMM's result against the mappings, see vma.c.  A mapping that changed
 * after HMM looked does no harm: its pages went too, and the commit notices.
 * Only munmap() removes the mapping before the pages, hence -EBUSY.
 * Cuts @range short before a shadow stack if the fault is for writing.
 * Return: 0, -EBUSY, -EPERM, -EINTR.
 */
static int hodp_pfns_judge(struct hmm_range *range)
{
	bool write = range->default_flags & HMM_PFN_REQ_WRITE;
	unsigned long *pfns = range->hmm_pfns;
	struct mm_struct *mm = range->notifier->mm;
	unsigned long at, stop;
	int ret;

	ret = mmap_read_lock_killable(mm);
	if (ret)
		return ret;
	for (at = range->start; at < range->end; at = stop) {
		enum hodp_vma_kind kind =
			hodp_vma_at(mm, at, range->end, &stop);
		unsigned int i, n = (stop - at) >> PAGE_SHIFT;

		if (kind == HODP_VMA_HOLE && hodp_pfns_any(pfns, n)) {
			ret = -EBUSY;
			break;
		}
		if (kind == HODP_VMA_SHADOW && write) {
			ret = at == range->start ? -EPERM : 0;
			range->end = at;
			break;
		}
		for (i = 0; kind == HODP_VMA_SHADOW && i < n; i++)
			pfns[i] &= ~HMM_PFN_WRITE;
		pfns += n;
	}
	mmap_read_unlock(mm);
	return ret;
}

/*
 * Fault in @range, which lies in one chunk, or its beginning.
 * Return: bytes from its start, or errno.
 */
static long hodp_mirror_fault_range(struct hodp_window *w,
				    struct hmm_range *range)
{
	int tries = HODP_FAULT_TRIES;
	unsigned long pages;
	int ret;

	do {
		if (fatal_signal_pending(current))
			return -EINTR;
		pages = (range->end - range->start) >> PAGE_SHIFT;
		memset(range->hmm_pfns, 0, pages * sizeof(*range->hmm_pfns));
		ret = hmm_range_fault_unlocked_timeout(range,
						       HODP_FAULT_TIMEOUT);
		if (!ret)
			ret = hodp_pfns_judge(range);
		if (!ret)
			ret = hodp_chunk_commit(w, range);
		if (!ret)
			return range->end - range->start;
		range->end = range->start + ((pages + 1) / 2 << PAGE_SHIFT);
	} while (ret == -EBUSY && --tries);
	return ret;
}

/*
 * Fault in [va, va + len), a chunk at a time, so that no more than a chunk has to
 * be in memory at once.
 * Return: bytes from @va, or errno.
 */
static long hodp_mirror_fault_chunks(struct hodp_window *w,
				     struct hmm_range *range, u64 va, u64 len)
{
	u64 done = 0;

	while (done < len) {
		unsigned long at = va + done;
		unsigned long stop = min((at | (HODP_CHUNK_SIZE - 1)) + 1,
					 PAGE_ALIGN(va + len));
		long ret;

		range->start = at & PAGE_MASK;
		range->end = stop;
		ret = hodp_mirror_fault_range(w, range);
		if (ret < 0)
			return done ? (long)done : ret;
		done = min(range->start + ret - va, len);
		if (range->start + ret < stop)
			break;
	}
	return done;
}

/*
 * Before a window is made for @va: can there be pages at all?
 * Return: 0, errno, or, for a snapshot, how many of the @len bytes to skip.
 */
static long hodp_mirror_worth(struct hodp_mirror *m, u64 va, u64 len,
			      unsigned long flags)
{
	unsigned long stop;
	enum hodp_vma_kind kind;
	int ret;

	ret = mmap_read_lock_killable(m->mm);
	if (ret)
		return ret;
	kind = hodp_vma_at(m->mm, va, va + len, &stop);
	mmap_read_unlock(m->mm);
	if (!(flags & HMM_PFN_REQ_FAULT))
		return kind <= HODP_VMA_EMPTY ? (long)(stop - va) : 0;
	if (kind <= HODP_VMA_REFUSED)
		return -EFAULT;
	if ((flags & HMM_PFN_REQ_WRITE) &&
	    (kind == HODP_VMA_READONLY || kind == HODP_VMA_SHADOW))
		return -EPERM;
	return 0;
}

/*
 * Fault in [va, va + len), or only what is present, up to the end of the window
 * and HODP_FAULT_MAX.  The caller holds the mm, and has made its memory cgroup
 * the one to charge.
 */
static long hodp_mirror_bring_charged(struct hodp_mirror *m, u64 va, u64 len,
				      unsigned long flags)
{
	unsigned long onstack[HODP_FAULT_ONSTACK];
	struct hmm_range range = { .default_flags = flags,
				   .hmm_pfns = onstack };
	struct hodp_window *w;
	unsigned long npages;
	long ret;

	if (va >= m->mm->task_size)
		return -EFAULT;
	len = min(len, m->mm->task_size - va);
	if (!(flags & HMM_PFN_REQ_FAULT) ||
	    !xa_load(&m->windows, va >> HODP_WINDOW_SHIFT)) {
		ret = hodp_mirror_worth(m, va, len, flags);
		if (ret)
			return ret;
	}
	w = hodp_mirror_make_window(m, va);
	if (IS_ERR(w))
		return PTR_ERR(w);
	len = min3(len, (u64)HODP_FAULT_MAX,
		   (u64)(w->base + HODP_WINDOW_SIZE - va));
	range.notifier = &w->ni;
	npages = min((PAGE_ALIGN(va + len) - (va & PAGE_MASK)) >> PAGE_SHIFT,
		     HODP_CHUNK_PAGES);
	if (npages > HODP_FAULT_ONSTACK) {
		range.hmm_pfns = kmalloc_objs(*range.hmm_pfns, npages,
					      GFP_KERNEL_ACCOUNT);
		if (!range.hmm_pfns)
			return -ENOMEM;
	}
	ret = hodp_mirror_fault_chunks(w, &range, va, len);
	trace_hodp_fault(va, len, flags & HMM_PFN_REQ_WRITE, (int)min(ret, 0L));
	if (ret > 0) {
		npages = (PAGE_ALIGN(va + ret) - (va & PAGE_MASK)) >>
			 PAGE_SHIFT;
		hodp_mirror_count(m, HODP_CNT_FAULTS, 1);
		hodp_mirror_count(m, HODP_CNT_FAULT_PAGES, npages);
	}
	if (range.hmm_pfns != onstack)
		kfree(range.hmm_pfns);
	return ret;
}

static long hodp_mirror_bring(struct hodp_mirror *m, u64 va, u64 len,
			      unsigned long flags)
{
	struct mem_cgroup *memcg, *old;
	long ret;

	might_sleep();
	if (hodp_mirror_is_dead(m) || !mmget_not_zero(m->mm))
		return -EFAULT;
	/* This may be a kworker: charge the process that is mirrored. */
	memcg = get_mem_cgroup_from_mm(m->mm);
	old = set_active_memcg(memcg);
	ret = hodp_mirror_bring_charged(m, va, len, flags);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	mmput(m->mm);
	return ret;
}

long hodp_mirror_fault(struct hodp_mirror *m, u64 va, u64 len, bool write)
{
	unsigned long flags = HMM_PFN_REQ_FAULT;

	if (write)
		flags |= HMM_PFN_REQ_WRITE;
	return hodp_mirror_bring(m, va, len, flags);
}

long hodp_mirror_snapshot(struct hodp_mirror *m, u64 va, u64 len)
{
	return hodp_mirror_bring(m, va, len, 0);
}

/* ---- views ---- */

int hodp_mirror_view(struct hodp_mirror *m, u64 va, u64 len, bool write,
		     const struct hodp_view *other, struct hodp_view *v)
{
	struct hodp_window *w = hodp_mirror_find_window(m, va);
	struct hodp_chunk *c;

	v->chunk = NULL;
	if (unlikely(!w))
		return -EAGAIN;
	c = hodp_window_chunk(w, va);
	if (unlikely(!c))
		return -EAGAIN;
	v->owner = !other || other->chunk != c;
	if (!other || !other->chunk)
		read_lock(&c->lock);
	else if (v->owner && !read_trylock(&c->lock))
		return -EBUSY;
	v->chunk = c;
	v->va = va;
	/* A dead chunk is empty, so hodp_view_fill() finds nothing. */
	if (unlikely(!hodp_view_fill(v, va, len, write))) {
		if (v->owner)
			read_unlock(&c->lock);
		v->chunk = NULL;
		return -EAGAIN;
	}
	return 0;
}

bool hodp_mirror_try_view(struct hodp_mirror *m, u64 va, u64 len, bool write,
			  struct hodp_view *v)
{
	struct hodp_window *w = hodp_mirror_find_window(m, va);
	struct hodp_chunk *c = w ? hodp_window_chunk(w, va) : NULL;

	if (unlikely(!c || !read_trylock(&c->lock)))
		return false;
	v->chunk = c;
	v->va = va;
	v->owner = true;
	if (likely(hodp_view_fill(v, va, len, write) &&
		   hodp_view_is_quiet(v, write)))
		return true;
	hodp_mirror_try_unview(v);
	return false;
}
