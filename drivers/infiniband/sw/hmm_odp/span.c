// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Copies and atomics on checked memory.
 *
 * Language
 *   span   a range of one region whose key, bounds and rights were checked
 *   look   the kernel address of bytes in a span, valid until it is closed; for
 *          on-demand memory it is a view of the mirror and holds its lock
 *   piece  what is copied under one hold of the locks, at most HODP_PIECE
 *
 * Nothing here faults.  Memory that is not in the mirror is reported as a miss,
 * and the caller (the engine) faults it in and tries again.  The positions of
 * the lists record the progress, so nothing is copied twice.
 *
 * Source pages are read with copy_mc_to_kernel(), so a poisoned page ends the
 * operation and does not crash the machine.  Atomics have no such variant, so
 * their eight bytes are read that way first.  Stores to poison raise no machine
 * check.
 */
#include <linux/atomic.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include "span.h"

/**
 * struct hodp_look - see the language above
 * @span: the span
 * @off: offset in @span of the byte at @kaddr
 * @kaddr, @len: contiguous bytes
 * @write: the look is for writing
 * @view: on-demand memory: holds the chunk's lock
 * @used: the region whose hodp_mr.use this look holds, or NULL
 *
 * A closed look has neither @view.chunk nor @used.
 *
 * Every operation opens two.  To clear them first, as the compiler does with
 * local variables, would cost more than to open them, so they are declared
 * __uninitialized: hodp_look_init() sets what hodp_look_open() does not.
 */
struct hodp_look {
	const struct hodp_span *span;
	u64 off;
	void *kaddr;
	u64 len;
	bool write;
	struct hodp_view view;
	struct hodp_mr *used;
};

int hodp_span_get(struct hodp_device *dev, const struct ib_pd *pd, u32 key,
		  u64 addr, u64 len, int access, struct hodp_span *span)
{
	struct hodp_mr *mr = hodp_mr_find(dev, key);
	int ret;

	if (unlikely(!mr))
		return -EINVAL;
	/* Pairs with the release in hodp_mr_fast_reg().  The fields below are
	 * of this generation, or of a later one, which makes the span stale.
	 */
	span->gen = smp_load_acquire(&mr->gen);
	/* Pairs with the release in hodp_mr_fast_reg(); orders the fields read
	 * below.
	 */
	if (unlikely(!smp_load_acquire(&mr->valid) ||
		     READ_ONCE(mr->key) != key))
		ret = -EINVAL;
	else if (unlikely(READ_ONCE(mr->ibmr.pd) != pd))
		ret = -EXDEV;
	else if (unlikely((READ_ONCE(mr->access) & access) != access))
		ret = -EACCES;
	else if (unlikely(addr < mr->iova || len > mr->length ||
			  addr - mr->iova > mr->length - len))
		ret = -ERANGE;
	else
		ret = 0;
	if (unlikely(ret)) {
		hodp_mr_put(mr);
		return ret;
	}
	span->mr = mr;
	span->va = addr - mr->iova + mr->va;
	span->len = len;
	return 0;
}

void hodp_span_kernel(struct hodp_span *span, void *addr, u64 len)
{
	span->gen = 0;
	span->mr = NULL;
	span->va = (unsigned long)addr;
	span->len = len;
}

void hodp_span_put(struct hodp_span *span)
{
	if (span->mr)
		hodp_mr_put(span->mr);
	span->mr = NULL;
}

void hodp_sgl_put(struct hodp_sgl *sgl)
{
	struct hodp_span *span = sgl->span;
	const struct hodp_span *end = span + sgl->num;

	for (; span < end; span++)
		hodp_span_put(span);
	sgl->num = 0;
	sgl->at = 0;
	sgl->off = 0;
}

void hodp_sgl_seek(struct hodp_sgl *sgl, u64 pos)
{
	const struct hodp_span *span = sgl->span;
	const struct hodp_span *end = span + sgl->num;

	for (; span < end && pos >= span->len; span++)
		pos -= span->len;
	sgl->at = span - sgl->span;
	sgl->off = pos;
}

/* The span at the position, which has bytes left; NULL at the end. */
static struct hodp_span *hodp_sgl_here(struct hodp_sgl *sgl)
{
	while (sgl->at < sgl->num) {
		struct hodp_span *span = &sgl->span[sgl->at];

		if (sgl->off < span->len)
			return span;
		sgl->at++;
		sgl->off = 0;
	}
	return NULL;
}

/* Make a closed look. */
static void hodp_look_init(struct hodp_look *l, const struct hodp_span *span,
			   u64 off, bool write)
{
	l->span = span;
	l->off = off;
	l->write = write;
	l->view.chunk = NULL;
	l->used = NULL;
}

static inline void hodp_look_table(struct hodp_look *l, u64 len)
{
	const struct hodp_mr *mr = l->span->mr;
	u64 va = l->span->va + l->off;
	u64 page = 1ULL << mr->page_shift;

	/* A pinned region's table never changes. */
	if (!mr->umem)
		lockdep_assert_held(&mr->use);
	l->kaddr = mr->table[va >> mr->page_shift] + (va & (page - 1));
	l->len = min(len, page - (va & (page - 1)));
}

/* Keep a REG_MR region from being invalidated while the look is open. */
static int hodp_look_use(struct hodp_look *l, const struct hodp_look *other)
{
	struct hodp_mr *mr = l->span->mr;

	if (mr->umem)
		return 0;
	/* If the other look is at the same region, it holds the lock for both. */
	if (!other || other->used != mr) {
		/* The second lock is only tried, as in hodp_mirror_view(). */
		if (!other || (!other->used && !other->view.chunk))
			read_lock(&mr->use);
		else if (!read_trylock(&mr->use))
			return -EBUSY;
		l->used = mr;
	}
	if (likely(mr->valid && mr->gen == l->span->gen))
		return 0;
	if (l->used)
		read_unlock(&mr->use);
	l->used = NULL;
	return -EACCES;
}

/* Find the bytes at @l->off, inside rcu_read_lock().  Return: as
 * hodp_mirror_view(), or -EACCES: the region was invalidated.
 */
static int hodp_look_open(struct hodp_look *l, u64 len,
			  const struct hodp_look *other)
{
	const struct hodp_span *span = l->span;
	u64 va = span->va + l->off;
	int ret;

	if (!span->mr || span->mr->kind == HODP_MR_DMA) {
		l->kaddr = (void *)(unsigned long)va;
		l->len = len;
		return 0;
	}
	if (span->mr->kind == HODP_MR_TABLE) {
		ret = hodp_look_use(l, other);
		if (!ret)
			hodp_look_table(l, len);
		return ret;
	}
	ret = hodp_mirror_view(span->mr->mirror, va, len, l->write,
			       other ? &other->view : NULL, &l->view);
	if (unlikely(ret))
		return ret;
	l->kaddr = l->view.kaddr;
	l->len = l->view.len;
	return 0;
}

/* Move the look to the bytes that follow, if the locks held cover them. */
static bool hodp_look_next(struct hodp_look *l, u64 len)
{
	if (!len)
		return false;
	if (l->view.chunk) {
		if (l->write)
			hodp_mirror_wrote(&l->view);
		if (!hodp_mirror_view_next(&l->view, len, l->write))
			return false;
		l->kaddr = l->view.kaddr;
		l->len = l->view.len;
		return true;
	}
	/* A look at kernel memory covers all of it; a table has more pages. */
	if (!l->span->mr || l->span->mr->kind != HODP_MR_TABLE)
		return false;
	hodp_look_table(l, len);
	return true;
}

/* Close a look; @wrote: if it is for writing, its current bytes were written. */
static void hodp_look_close(struct hodp_look *l, bool wrote)
{
	if (l->used)
		read_unlock(&l->used->use);
	l->used = NULL;
	if (!l->view.chunk)
		return;
	if (wrote && l->write)
		hodp_mirror_wrote(&l->view);
	hodp_mirror_unview(&l->view);
}

/*
 * Copy @n bytes.  Aligned words are stored whole, because applications poll
 * them.  Return: bytes that could not be read because of poison.
 */
static __always_inline unsigned long hodp_copy_bytes(void *dst, const void *src,
						     size_t n)
{
	unsigned long both = (unsigned long)dst | (unsigned long)src;
	unsigned long left;
	u64 word;

	if (n == 8 && !(both & 7)) {
		left = copy_mc_to_kernel(&word, src, 8);
		if (likely(!left))
			WRITE_ONCE(*(u64 *)dst, word);
		return left;
	}
	if (n == 4 && !(both & 3)) {
		u32 half;

		left = copy_mc_to_kernel(&half, src, 4);
		if (likely(!left))
			WRITE_ONCE(*(u32 *)dst, half);
		return left;
	}
	return copy_mc_to_kernel(dst, src, n);
}

/* Did a copy with this result touch its destination? */
static bool hodp_wrote(long ret)
{
	return ret > 0 || ret == -EHWPOISON;
}

/* Copy between two open looks until one of them ends; both stay open. */
static long hodp_piece_copy(struct hodp_look *d, struct hodp_look *s, u64 len)
{
	u64 done = 0;

	for (;;) {
		u64 n = min3(d->len, s->len, len - done);

		if (hodp_copy_bytes(d->kaddr, s->kaddr, n))
			return done ? (long)done : -EHWPOISON;
		done += n;
		if (done == len)
			return done;
		d->off += n;
		d->kaddr += n;
		d->len -= n;
		s->off += n;
		s->kaddr += n;
		s->len -= n;
		if ((!d->len && !hodp_look_next(d, len - done)) ||
		    (!s->len && !hodp_look_next(s, len - done)))
			return done;
	}
}

/*
 * One piece.  Return: bytes, -EAGAIN with @miss, -EHWPOISON.
 *
 * The second lock is only tried.  If that fails, the next round takes that lock
 * first and waits for it.  Retrying in a loop could spin forever against a
 * holder that this CPU keeps from running (PREEMPT_RT).
 */
static long hodp_span_copy_piece(struct hodp_look *d, struct hodp_look *s,
				 u64 len, struct hodp_miss *miss)
{
	u64 want = min_t(u64, len, HODP_PIECE);
	struct hodp_look *first = d, *second = s, *missed = NULL;
	long ret;

	rcu_read_lock();
	for (;;) {
		missed = first;
		ret = hodp_look_open(first, want, NULL);
		if (ret)
			break;
		missed = second;
		ret = hodp_look_open(second, want, first);
		if (ret != -EBUSY)
			break;
		hodp_look_close(first, false);
		swap(first, second);
	}
	if (!ret)
		ret = hodp_piece_copy(d, s, want);
	/* Close the second first: it may share the lock of the first. */
	hodp_look_close(second, hodp_wrote(ret));
	hodp_look_close(first, hodp_wrote(ret));
	rcu_read_unlock();

	if (ret == -EAGAIN || ret == -EACCES) {
		miss->mr = missed->span->mr;
		miss->va = missed->span->va + missed->off;
		miss->len = missed->span->len - missed->off;
		miss->write = missed->write;
		miss->source = missed == s;
	}
	return ret;
}

long hodp_sgl_copy(struct hodp_sgl *dst, struct hodp_sgl *src, u64 len,
		   u64 rest, struct hodp_miss *miss)
{
	u64 done = 0;

	while (done < len) {
		const struct hodp_span *to = hodp_sgl_here(dst);
		const struct hodp_span *from = hodp_sgl_here(src);
		struct hodp_look d __uninitialized, s __uninitialized;
		u64 n;
		long ret;

		if (WARN_ON_ONCE(!to || !from))
			return -EINVAL;
		hodp_look_init(&d, to, dst->off, true);
		hodp_look_init(&s, from, src->off, false);
		n = min3(len - done, to->len - d.off, from->len - s.off);
		ret = hodp_span_copy_piece(&d, &s, n, miss);
		if (ret < 0) {
			miss->len = min(miss->len, rest);
			return done ? (long)done : ret;
		}
		dst->off += ret;
		src->off += ret;
		done += ret;
		if (done < len)
			cond_resched();
	}
	return done;
}

/* ---- without waiting ---- */

/* Copy between @kaddr and @buf.  Return: bytes, or 0 if there is poison. */
static u64 hodp_try_bytes(void *kaddr, void *buf, u64 len, bool write)
{
	return hodp_copy_bytes(write ? kaddr : buf, write ? buf : kaddr, len) ?
		       0 :
		       len;
}

/* One page of a table.  Return: bytes, or 0. */
static u64 hodp_try_table(const struct hodp_span *span, u64 off, void *buf,
			  u64 len, bool write)
{
	struct hodp_mr *mr = span->mr;
	struct hodp_look l __uninitialized;
	u64 n = 0;

	hodp_look_init(&l, span, off, write);
	if (!mr->umem && !read_trylock(&mr->use))
		return 0;
	if (mr->umem || (mr->valid && mr->gen == span->gen)) {
		hodp_look_table(&l, len);
		n = hodp_try_bytes(l.kaddr, buf, l.len, write);
	}
	if (!mr->umem)
		read_unlock(&mr->use);
	return n;
}

/* Return: bytes, or 0. */
static u64 hodp_try_span(const struct hodp_span *span, u64 off, void *buf,
			 u64 len, bool write)
{
	u64 va = span->va + off;
	struct hodp_view v;
	u64 n;

	if (!span->mr || span->mr->kind == HODP_MR_DMA)
		return hodp_try_bytes((void *)(unsigned long)va, buf, len,
				      write);
	if (span->mr->kind == HODP_MR_TABLE)
		return hodp_try_table(span, off, buf, len, write);
	if (!hodp_mirror_try_view(span->mr->mirror, va, len, write, &v))
		return 0;
	n = hodp_try_bytes(v.kaddr, buf, v.len, write);
	hodp_mirror_try_unview(&v);
	return n;
}

u64 hodp_sgl_try_copy(struct hodp_sgl *sgl, void *buf, u64 len, bool write)
{
	u64 done = 0;

	rcu_read_lock();
	while (done < len) {
		const struct hodp_span *span = hodp_sgl_here(sgl);
		u64 n;

		if (WARN_ON_ONCE(!span))
			break;
		n = min(len - done, span->len - sgl->off);
		n = hodp_try_span(span, sgl->off, buf + done, n, write);
		if (!n)
			break;
		sgl->off += n;
		done += n;
	}
	rcu_read_unlock();
	return done;
}

int hodp_span_atomic(const struct hodp_span *span,
		     const struct hodp_atomic *what, u64 *old,
		     struct hodp_miss *miss)
{
	struct hodp_look l __uninitialized;
	u64 seen;
	int ret;

	hodp_look_init(&l, span, 0, true);
	rcu_read_lock();
	ret = hodp_look_open(&l, 8, NULL);
	if (!ret && (l.len < 8 || !IS_ALIGNED((unsigned long)l.kaddr, 8))) {
		ret = -EINVAL;
	} else if (!ret && copy_mc_to_kernel(&seen, l.kaddr, 8)) {
		ret = -EHWPOISON;
	} else if (!ret) {
		if (what->cmp_swap)
			*old = cmpxchg((u64 *)l.kaddr, what->compare_add,
				       what->swap);
		else
			*old = atomic64_fetch_add(what->compare_add,
						  (atomic64_t *)l.kaddr);
	}
	hodp_look_close(&l, !ret);
	rcu_read_unlock();

	if (ret == -EAGAIN) {
		miss->mr = span->mr;
		miss->va = span->va;
		miss->len = span->len;
		miss->write = true;
		/* The old value is read there, so it counts as the source. */
		miss->source = true;
	}
	return ret;
}
