// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The mirror: a process's page tables as a device may use them.
 *
 * Language
 *   mirror  one per (device, mm), shared by every on-demand MR of that mm;
 *           holds an mmgrab, so the mm may exit under it
 *   window  1 GiB of addresses with one interval notifier, made when first
 *           touched; it lives as long as the mirror
 *   chunk   2 MiB of a window: either one huge entry or a page table of small
 *           ones; made by the first fault, freed when it is empty and its
 *           addresses were unmapped, or all of it was dropped
 *   entry   kernel address of a page in the direct map | HODP_E_* bits; 0 none
 *   view    a reader's hold on a chunk for one bounded copy
 *
 * A chunk is in one of these states:
 *   absent  no pointer in the window
 *   live    reachable; entries may come and go under its lock
 *   dead    dropped as a whole: unreachable, empty, freed after a grace period
 *
 * Invariants
 *  1. An entry exists only while the CPU's page table maps the same page with
 *     at least the same permission, or while the invalidation that ends this
 *     waits for the chunk's lock.  No page reference is ever held: this
 *     invariant alone keeps the page.
 *  2. Entries are read and memory is copied under the chunk's lock held for
 *     read; entries change under the lock held for write.  A reader holds it
 *     for at most HODP_PIECE bytes, so an invalidation waits for one bounded
 *     copy at most.  It never sleeps, never allocates, never takes another
 *     lock under it, and therefore never refuses a non-blockable event.
 *  3. HODP_E_DIRTIED: the folio was marked dirty after the first write through
 *     this entry, under the same hold of the lock.  The page table's own dirty
 *     bit is not enough: HMM reports WRITE for entries that are writable but
 *     clean (MADV_FREE, read swap-in, shmem read fault).  Dropping or
 *     downgrading an entry forgets the bit, so the next write marks again.
 *
 * Commit against invalidation.  The notifier's sequence belongs to the window and
 * is set and compared under the window's @seq_lock; entries belong to the chunks
 * and are guarded by the chunk's lock:
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
 * Two orders are possible.  Commit has the window's lock first: its unlock and
 * invalidate's lock order the publication before the search, whoever published,
 * so that invalidate finds the chunk, waits for its lock, and drops what was
 * stored.  Invalidate has it first: commit sees the new sequence and gives up.
 * No barrier is needed beside the locks.  tests/litmus has both halves.
 *
 * Lock order: chunk lock -> window's seq_lock, and
 *             chunk lock -> (mm's own: i_pages, LRU; inside folio_mark_*).
 * The chunk lock is taken inside mmu_notifier_invalidate_range_start, i.e.
 * under mmap_lock, i_mmap_rwsem, folio locks: nothing that these wait for may
 * happen under it.  Two chunks: the second is only tried (hodp_mirror_view).
 *
 * Not supported: memory that the direct map does not reach (memfd_secret; the
 * entry is refused), VM_IO and VM_PFNMAP (HMM refuses them), device-private
 * pages (HMM migrates them back to memory).
 */
#include <linux/hmm.h>
#include <linux/memcontrol.h>
#include <linux/mmu_notifier.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "chunk.h"
#include "dev.h"
#include "job.h"
#include "trace.h"

#define HODP_WINDOW_SHIFT 30
#define HODP_WINDOW_SIZE ((unsigned long)SZ_1G)
#define HODP_CHUNKS (1U << (HODP_WINDOW_SHIFT - HODP_CHUNK_SHIFT))
/* Windows that are found without the xarray. */
#define HODP_WINDOWS_NEAR 8

/* How long a fault may lose against invalidations before the caller waits. */
#define HODP_FAULT_TIMEOUT HZ
#define HODP_FAULT_TRIES 64
/* Temporary arrays up to this many pages live on the stack. */
#define HODP_FAULT_ONSTACK 16

/**
 * struct hodp_window - 1 GiB of mirrored addresses
 * @ni: the notifier
 * @mirror: whose (immutable)
 * @base: first address (immutable)
 * @seq_lock: held where the notifier's sequence is set or compared
 * @chunk: published with cmpxchg, found under RCU
 */
struct hodp_window {
	struct mmu_interval_notifier ni;
	struct hodp_mirror *mirror;
	unsigned long base;
	spinlock_t seq_lock; /* @ni's sequence */
	struct hodp_chunk __rcu *chunk[HODP_CHUNKS];
};

/**
 * struct hodp_mirror - an address space as one device sees it
 * @shared: the device's (immutable)
 * @mm: address space, grabbed (immutable)
 * @refs: MRs and running faults
 * @link: in @shared->list, under its lock
 * @gate: its share of the places for jobs
 * @windows: address >> HODP_WINDOW_SHIFT -> window; looked up without a lock,
 *           because windows go only with the mirror
 * @near: windows seen lately, by the low bits of their index; likewise
 * @window_lock: serialises making a window
 * @dropped: entries that invalidations dropped
 */
struct hodp_mirror {
	struct hodp_mirrors *shared;
	struct mm_struct *mm;
	refcount_t refs;
	struct list_head link;
	struct xarray windows;
	struct hodp_window *near[HODP_WINDOWS_NEAR];
	struct mutex window_lock; /* making windows */
	atomic64_t dropped;
	struct hodp_gate gate;
};

static void hodp_mirror_count(struct hodp_mirror *m, enum hodp_counter which,
			      u64 n)
{
	this_cpu_add(m->shared->counters->v[which], n);
}

/* ---- chunks ---- */

static struct hodp_chunk *hodp_chunk_get(struct hodp_window *w,
					 unsigned long va)
{
	return rcu_dereference(w->chunk[(va - w->base) >> HODP_CHUNK_SHIFT]);
}

/* Find or make the chunk of @va.  Sleeps.  Caller: rcu_read_lock() after. */
static int hodp_chunk_make(struct hodp_window *w, unsigned long va)
{
	struct hodp_chunk __rcu **slot =
		&w->chunk[(va - w->base) >> HODP_CHUNK_SHIFT];
	struct hodp_chunk *c;

	if (rcu_access_pointer(*slot))
		return 0;
	c = hodp_chunk_alloc();
	if (!c)
		return -ENOMEM;
	/* Publishes the initialised chunk.  It may fail: another made one. */
	if (cmpxchg_release((struct hodp_chunk __force **)slot, NULL, c))
		kfree(c);
	return 0;
}

/* Was anything in the window invalidated since @seq?  Chunk lock held. */
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

static bool hodp_mirror_invalidate(struct mmu_interval_notifier *ni,
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
	trace_hodp_invalidate(range->start, range->end, range->event, n);
	if (what == HODP_INVAL_DOWNGRADE) {
		hodp_mirror_count(m, HODP_CNT_DOWNGRADES, 1);
		return true;
	}
	hodp_mirror_count(m, HODP_CNT_INVALIDATIONS, 1);
	hodp_mirror_count(m, HODP_CNT_INVAL_PAGES, n);
	atomic64_add(n, &m->dropped);
	return true;
}

static const struct mmu_interval_notifier_ops hodp_mirror_ops = {
	.invalidate = hodp_mirror_invalidate,
};

/* ---- mirrors and windows ---- */

/* A mirror of the calling process, in nobody's list yet. */
static struct hodp_mirror *hodp_mirror_new(struct hodp_mirrors *ms)
{
	struct hodp_mirror *m = kzalloc(sizeof(*m), GFP_KERNEL_ACCOUNT);

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

struct hodp_mirror *hodp_mirror_get(struct hodp_device *dev)
{
	struct hodp_mirrors *ms = dev->mirrors;
	struct hodp_mirror *m;

	mutex_lock(&ms->lock);
	list_for_each_entry(m, &ms->list, link)
		if (m->mm == current->mm && refcount_inc_not_zero(&m->refs))
			goto out;
	m = hodp_mirror_new(ms);
	if (m)
		list_add(&m->link, &ms->list);
	else
		m = ERR_PTR(-ENOMEM);
out:
	mutex_unlock(&ms->lock);
	return m;
}

struct hodp_gate *hodp_mirror_gate(struct hodp_mirror *m)
{
	return &m->gate;
}

/*
 * The last task that leaves an address space finds no other owner for it.
 * (mm_users says nothing: each running fault is one of them.)
 */
bool hodp_mirror_is_dead(const struct hodp_mirror *m)
{
	return !READ_ONCE(m->mm->owner);
}

bool hodp_mirror_is_current(const struct hodp_mirror *m)
{
	return m->mm == current->mm;
}

struct hodp_mirror *hodp_mirror_ref(struct hodp_mirror *m)
{
	refcount_inc(&m->refs);
	return m;
}

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

void hodp_mirror_put(struct hodp_mirror *m)
{
	struct hodp_window *w;
	unsigned long i;

	might_sleep();
	if (!refcount_dec_and_test(&m->refs))
		return;
	mutex_lock(&m->shared->lock);
	list_del(&m->link);
	mutex_unlock(&m->shared->lock);
	xa_for_each(&m->windows, i, w)
		hodp_window_destroy(w);
	xa_destroy(&m->windows);
	hodp_gate_exit(&m->gate);
	mmdrop(m->mm);
	hodp_mirrors_put(m->shared);
	kfree(m);
}

u64 hodp_mirror_invalidated(const struct hodp_mirror *m)
{
	return atomic64_read(&m->dropped);
}

/* Find or make the window of @va.  Sleeps; the mm is alive (mmget). */
static struct hodp_window *hodp_window_make(struct hodp_mirror *m,
					    unsigned long va)
{
	unsigned long idx = va >> HODP_WINDOW_SHIFT;
	struct hodp_window *w = xa_load(&m->windows, idx);
	int ret;

	if (w)
		return w;
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
					   HODP_WINDOW_SIZE, &hodp_mirror_ops);
	if (ret)
		goto err_free;
	ret = xa_err(xa_store(&m->windows, idx, w, GFP_KERNEL_ACCOUNT));
	if (ret)
		goto err_remove;
out:
	mutex_unlock(&m->window_lock);
	return w;

err_remove:
	mmu_interval_notifier_remove(&w->ni);
err_free:
	kfree(w);
	w = ERR_PTR(ret);
	goto out;
}

/* ---- faults ---- */

static bool hodp_pfns_any(const unsigned long *pfns, unsigned int n)
{
	while (n--)
		if (pfns[n] & HMM_PFN_VALID)
			return true;
	return false;
}

/* HMM says that one page table entry maps the whole chunk. */
static bool hodp_pfns_one_map(const unsigned long *pfns)
{
	return (pfns[0] & HMM_PFN_VALID) &&
	       hmm_pfn_to_map_order(pfns[0]) >= HODP_CHUNK_ORDER;
}

/*
 * One folio that is mapped page by page backs the whole chunk with one
 * permission.  Looks at the folio: the chunk's lock is held after the retry
 * check.
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

/* Turn HMM's result into entries, in place.  -EFAULT: memory out of reach. */
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
		if (page_folio(page) != seen &&
		    !hodp_folio_reachable(page_folio(page)))
			return -EFAULT;
		seen = page_folio(page);
		pfns[i] = hodp_entry(page, pfns[i] & HMM_PFN_WRITE);
	}
	return 0;
}

/* Store what HMM found for the chunk's pages [idx, idx + n).  Lock held. */
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

/* Commit one chunk's share of a fault.  Return: 0, -EAGAIN (lost a race). */
static int hodp_chunk_commit(struct hodp_window *w, unsigned long va,
			     unsigned long *pfns, unsigned int n,
			     unsigned long seq)
{
	unsigned int idx = (va & (HODP_CHUNK_SIZE - 1)) >> PAGE_SHIFT;
	bool huge = hodp_pfns_one_map(pfns);
	unsigned long *table = NULL;
	struct hodp_chunk *c;
	int ret;

	/* Nothing to remember is no reason for memory. */
	if (!hodp_pfns_any(pfns, n))
		return 0;
	ret = hodp_chunk_make(w, va);
	if (ret)
		return ret;

	/* A table may be needed: allocate before the lock, free if it was not. */
	rcu_read_lock();
	c = hodp_chunk_get(w, va);
	if (c && !huge && !READ_ONCE(c->table)) {
		rcu_read_unlock();
		table = kcalloc(HODP_CHUNK_PAGES, sizeof(*table),
				GFP_KERNEL_ACCOUNT);
		if (!table)
			return -ENOMEM;
		rcu_read_lock();
		c = hodp_chunk_get(w, va);
	}
	if (!c) {
		ret = -EAGAIN;
		goto out;
	}
	write_lock(&c->lock);
	if (!c->table && table) {
		WRITE_ONCE(c->table, table);
		table = NULL;
	}
	if (c->dead || hodp_window_changed(w, seq))
		ret = -EAGAIN;
	else if (!c->table && !huge)
		ret = -EAGAIN;
	else
		ret = hodp_chunk_take(c, pfns, n, idx);
	write_unlock(&c->lock);
out:
	rcu_read_unlock();
	kfree(table);
	return ret;
}

/* Commit a whole fault, chunk by chunk. */
static int hodp_mirror_commit(struct hodp_window *w,
			      const struct hmm_range *range)
{
	unsigned long va = range->start;
	unsigned int done = 0;

	while (va < range->end) {
		unsigned long stop =
			min((va | (HODP_CHUNK_SIZE - 1)) + 1, range->end);
		unsigned int n = (stop - va) >> PAGE_SHIFT;
		int ret;

		ret = hodp_chunk_commit(w, va, range->hmm_pfns + done, n,
					range->notifier_seq);
		if (ret)
			return ret;
		done += n;
		va = stop;
	}
	return 0;
}

static int hodp_mirror_fault_range(struct hodp_window *w,
				   struct hmm_range *range)
{
	size_t bytes = (range->end - range->start) >> PAGE_SHIFT;
	int tries = HODP_FAULT_TRIES;
	int ret;

	bytes *= sizeof(*range->hmm_pfns);
	do {
		memset(range->hmm_pfns, 0, bytes);
		ret = hmm_range_fault_unlocked_timeout(range,
						       HODP_FAULT_TIMEOUT);
		if (ret)
			return ret;
		ret = hodp_mirror_commit(w, range);
	} while (ret == -EAGAIN && --tries);
	return ret == -EAGAIN ? -EBUSY : ret;
}

/*
 * Fault, or only look at, [va, va + len) cut to a window and a maximum.  The
 * mm is held, and its memory cgroup is charged.
 */
static long hodp_mirror_bring_charged(struct hodp_mirror *m, u64 va, u64 len,
				      unsigned long flags)
{
	unsigned long onstack[HODP_FAULT_ONSTACK];
	struct hmm_range range = { .default_flags = flags };
	struct hodp_window *w;
	unsigned long npages;
	long ret;

	if (va >= m->mm->task_size)
		return -EFAULT;
	w = hodp_window_make(m, va);
	if (IS_ERR(w))
		return PTR_ERR(w);
	len = min3(len, (u64)HODP_FAULT_MAX,
		   (u64)(w->base + HODP_WINDOW_SIZE - va));
	range.notifier = &w->ni;
	range.start = va & PAGE_MASK;
	range.end = PAGE_ALIGN(va + len);
	npages = (range.end - range.start) >> PAGE_SHIFT;
	range.hmm_pfns = onstack;
	if (npages > HODP_FAULT_ONSTACK) {
		range.hmm_pfns = kvmalloc_array(npages, sizeof(*range.hmm_pfns),
						GFP_KERNEL_ACCOUNT);
		if (!range.hmm_pfns)
			return -ENOMEM;
	}
	ret = hodp_mirror_fault_range(w, &range);
	trace_hodp_fault(va, len, flags & HMM_PFN_REQ_WRITE, (int)ret);
	if (!ret) {
		ret = len;
		hodp_mirror_count(m, HODP_CNT_FAULTS, 1);
		hodp_mirror_count(m, HODP_CNT_FAULT_PAGES, npages);
	}
	if (range.hmm_pfns != onstack)
		kvfree(range.hmm_pfns);
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
	/* We may be a kworker: what the mirror needs is its process's. */
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

static struct hodp_window *hodp_window_find(struct hodp_mirror *m, u64 va)
{
	unsigned long idx = va >> HODP_WINDOW_SHIFT;
	struct hodp_window **near = &m->near[idx % HODP_WINDOWS_NEAR];
	struct hodp_window *w = READ_ONCE(*near);

	if (likely(w && w->base == idx << HODP_WINDOW_SHIFT))
		return w;
	w = xa_load(&m->windows, idx);
	if (!w)
		return NULL;
	/* Pairs with the dependency on READ_ONCE() above: initialised. */
	smp_store_release(near, w);
	return w;
}

int hodp_mirror_view(struct hodp_mirror *m, u64 va, u64 len, bool write,
		     const struct hodp_view *other, struct hodp_view *v)
{
	struct hodp_window *w = hodp_window_find(m, va);
	struct hodp_chunk *c;

	v->chunk = NULL;
	if (unlikely(!w))
		return -EAGAIN;
	c = hodp_chunk_get(w, va);
	if (unlikely(!c))
		return -EAGAIN;
	v->owner = !other || other->chunk != c;
	if (!other || !other->chunk)
		read_lock(&c->lock);
	else if (v->owner && !read_trylock(&c->lock))
		return -EBUSY;
	v->chunk = c;
	v->va = va;
	/* A dead chunk is empty: hodp_view_fill() finds nothing in it. */
	if (unlikely(!hodp_view_fill(v, va, len, write))) {
		if (v->owner)
			read_unlock(&c->lock);
		v->chunk = NULL;
		return -EAGAIN;
	}
	return 0;
}
