// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion queues (layer 2).
 *
 * Model: a CQ is one ring whose producer is the kernel.  A process polls its
 * ring by itself and calls the kernel only to arm it; a kernel consumer polls
 * through hodp_cq_poll().  In both cases the kernel keeps the producer index,
 * and the consumer index is in the ring's header.  If a process maps the ring,
 * hodp_ring_room() checks the consumer index; otherwise it is trusted.
 *
 * Language: *armed*: the consumer wants one event, for the next entry or for
 * the next solicited entry.  *Overrun*: an entry was pushed while the ring was
 * full or the consumer index impossible.  The CQ is then dead (IBTA 11.6.3.1):
 * it accepts no more entries, and every QP that pushes to it fails.
 *
 * Invariants: an entry is complete before the producer index covers it.  Arming
 * and pushing exclude each other, so an entry is either seen by the poll that
 * follows arming, or raises the event.  No QP outlives its CQs (the core counts
 * the references), so nothing pushes to a CQ that is being destroyed.
 *
 * Not supported: IB_UVERBS_CQ_FLAGS_IGNORE_OVERRUN, moderation, and resizing
 * a kernel consumer's CQ.
 */
#include <linux/ktime.h>
#include "cq.h"

static_assert(HODP_NET_IPV4 == RDMA_NETWORK_IPV4);
static_assert(HODP_NET_IPV6 == RDMA_NETWORK_IPV6);

/* For a kernel consumer's ring: index of the first entry not polled yet. */
static u32 hodp_cq_first(const struct hodp_cq *cq)
{
	return READ_ONCE(cq->q.ring.hdr->cons);
}

int hodp_cq_alloc_ring(struct hodp_queue *q, u32 cqe, struct ib_ucontext *uctx)
{
	if (!cqe || cqe > HODP_MAX_CQE)
		return -EINVAL;
	return hodp_queue_alloc(q, cqe, sizeof(struct hodp_cqe), uctx);
}

int hodp_cq_init(struct hodp_cq *cq, const struct ib_cq_init_attr *attr,
		 struct ib_ucontext *uctx)
{
	struct hodp_device *dev = to_hodp_device(cq->ibcq.device);
	int ret;

	if (attr->flags & ~IB_UVERBS_CQ_FLAGS_TIMESTAMP_COMPLETION)
		return -EOPNOTSUPP;
	cq->timestamps = attr->flags & IB_UVERBS_CQ_FLAGS_TIMESTAMP_COMPLETION;
	mutex_init(&cq->resize_lock);
	spin_lock_init(&cq->lock);

	ret = ida_alloc_range(&dev->cqns, 1, HODP_MAX_CQ, GFP_KERNEL);
	if (ret < 0)
		return -ENOMEM;
	cq->cqn = ret;

	ret = hodp_cq_alloc_ring(&cq->q, attr->cqe, uctx);
	if (ret) {
		ida_free(&dev->cqns, cq->cqn);
		return ret;
	}
	cq->ibcq.cqe = cq->q.ring.mask + 1;
	return 0;
}

void hodp_cq_destroy(struct hodp_cq *cq)
{
	hodp_queue_free(&cq->q);
	ida_free(&to_hodp_device(cq->ibcq.device)->cqns, cq->cqn);
	mutex_destroy(&cq->resize_lock);
}

/* Entries copied at a time, with the lock held and interrupts off. */
#define HODP_CQ_MOVE_BATCH 1024

/*
 * Copy one batch of the outstanding entries, which start at @first in @from, to
 * the end of @to.  Return: 0: all entries are copied; 1: more are left;
 * -EINVAL, -EPROTO as hodp_cq_swap().
 */
static int hodp_cq_move(struct hodp_ring *to, const struct hodp_ring *from,
			u32 first)
{
	u32 n = from->own - first, batch;

	if (n > from->mask + 1)
		return -EPROTO;
	if (n > to->mask + 1)
		return -EINVAL;
	batch = min_t(u32, n - to->own, HODP_CQ_MOVE_BATCH);
	while (batch--) {
		memcpy(hodp_ring_at(to, to->own),
		       hodp_ring_at(from, first + to->own), to->stride);
		hodp_ring_produce(to);
	}
	return to->own != n;
}

static int hodp_cq_replace(struct hodp_cq *cq, struct hodp_queue *q)
{
	unsigned long flags;
	u32 first;
	int ret;

	lockdep_assert_held(&cq->resize_lock);
	/* The process must not poll meanwhile, so its index is the start.
	 * Pairs with the process's release store of cons.
	 */
	first = smp_load_acquire(&cq->q.ring.hdr->cons);
	do {
		spin_lock_irqsave(&cq->lock, flags);
		ret = hodp_cq_move(&q->ring, &cq->q.ring, first);
		if (!ret) {
			swap(cq->q, *q);
			cq->ibcq.cqe = cq->q.ring.mask + 1;
		}
		spin_unlock_irqrestore(&cq->lock, flags);
		cond_resched();
	} while (ret > 0);
	return ret;
}

int hodp_cq_swap(struct hodp_cq *cq, struct hodp_queue *q)
{
	int ret;

	/* The core lets several threads of a process resize a CQ concurrently.
	 * Without the lock, the ring being copied could be freed, or its
	 * consumer index applied to another ring.
	 */
	mutex_lock(&cq->resize_lock);
	ret = hodp_cq_replace(cq, q);
	mutex_unlock(&cq->resize_lock);
	return ret;
}

/* Store @cqe as the ring's next entry. */
static void hodp_cq_store(struct hodp_cq *cq, const struct hodp_cqe *cqe)
{
	struct hodp_ring *ring = &cq->q.ring;
	struct hodp_cqe *slot = hodp_ring_at(ring, ring->own);

	lockdep_assert_held(&cq->lock);
	/* Set @kernel separately: a kernel pointer must never be in memory that
	 * a process maps, not even briefly.
	 */
	memcpy(slot, cqe, offsetof(struct hodp_cqe, kernel));
	slot->timestamp = cq->timestamps ? ktime_get_ns() : 0;
	slot->kernel = hodp_queue_is_user(&cq->q) ? 0 : cqe->kernel;
	hodp_ring_produce(ring);
}

/* Is an event due for this entry?  Disarms the CQ if so. */
static bool hodp_cq_disarm(struct hodp_cq *cq, bool solicited)
{
	lockdep_assert_held(&cq->lock);
	if (likely(!cq->armed))
		return false;
	if (cq->armed == IB_CQ_SOLICITED && !solicited)
		return false;
	cq->armed = 0;
	return true;
}

/* The CQ has overrun: count it and raise the event. */
static void hodp_cq_raise_overrun(struct hodp_cq *cq)
{
	struct ib_event event = {
		.device = cq->ibcq.device,
		.element.cq = &cq->ibcq,
		.event = IB_EVENT_CQ_ERR,
	};

	hodp_count(to_hodp_device(cq->ibcq.device), HODP_CNT_CQ_OVERRUNS, 1);
	if (cq->ibcq.event_handler)
		cq->ibcq.event_handler(&event, cq->ibcq.cq_context);
}

int hodp_cq_push(struct hodp_cq *cq, const struct hodp_cqe *cqe, bool solicited)
{
	bool notify = false, died = false;
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&cq->lock, flags);
	if (likely(!cq->overrun && hodp_ring_room(&cq->q.ring) > 0)) {
		hodp_cq_store(cq, cqe);
		/* Every error is solicited. */
		solicited |= cqe->status != IB_WC_SUCCESS;
		notify = hodp_cq_disarm(cq, solicited);
	} else {
		died = !cq->overrun;
		cq->overrun = true;
		ret = -ENOSPC;
	}
	spin_unlock_irqrestore(&cq->lock, flags);

	if (notify && cq->ibcq.comp_handler)
		cq->ibcq.comp_handler(&cq->ibcq, cq->ibcq.cq_context);
	if (unlikely(died))
		hodp_cq_raise_overrun(cq);
	return ret;
}

void hodp_cq_forget_qp(struct hodp_cq *cq, const struct ib_qp *qp)
{
	struct hodp_ring *ring = &cq->q.ring;
	const struct hodp_cqe *cqe;
	unsigned long flags;
	u32 from, to;

	if (WARN_ON_ONCE(hodp_queue_is_user(&cq->q)))
		return;
	spin_lock_irqsave(&cq->lock, flags);
	to = hodp_cq_first(cq);
	for (from = to; from != ring->own; from++) {
		cqe = hodp_ring_at(ring, from);
		if (cqe->kernel == (uintptr_t)qp)
			continue;
		if (to != from)
			memcpy(hodp_ring_at(ring, to), cqe, ring->stride);
		to++;
	}
	ring->own = to;
	WRITE_ONCE(ring->hdr->prod, to);
	spin_unlock_irqrestore(&cq->lock, flags);
}

static void hodp_cq_fill_wc(struct ib_wc *wc, const struct hodp_cqe *cqe)
{
	*wc = (struct ib_wc){
		.wr_id = cqe->wr_id,
		.status = cqe->status,
		.opcode = cqe->opcode,
		.vendor_err = cqe->vendor_err,
		.byte_len = cqe->byte_len,
		.qp = (struct ib_qp *)(uintptr_t)cqe->kernel,
		.src_qp = cqe->src_qp,
		.pkey_index = cqe->pkey_index,
		.port_num = HODP_PORT,
	};
	if (cqe->wc_flags & HODP_WC_WITH_IMM) {
		wc->wc_flags |= IB_WC_WITH_IMM;
		wc->ex.imm_data = (__force __be32)cqe->imm_inv;
	}
	if (cqe->wc_flags & HODP_WC_WITH_INV) {
		wc->wc_flags |= IB_WC_WITH_INVALIDATE;
		wc->ex.invalidate_rkey = cqe->imm_inv;
	}
	if (cqe->wc_flags & HODP_WC_GRH) {
		wc->wc_flags |= IB_WC_GRH | IB_WC_WITH_NETWORK_HDR_TYPE;
		wc->network_hdr_type = cqe->network_hdr_type;
	}
}

int hodp_cq_poll(struct ib_cq *ibcq, int num, struct ib_wc *wc)
{
	struct hodp_cq *cq = to_hodp_cq(ibcq);
	struct hodp_ring *ring = &cq->q.ring;
	unsigned long flags;
	u32 cons;
	int n;

	/* A process polls its ring itself. */
	if (WARN_ON_ONCE(hodp_queue_is_user(&cq->q)))
		return -EINVAL;

	spin_lock_irqsave(&cq->lock, flags);
	cons = hodp_cq_first(cq);
	for (n = 0; n < num && cons != ring->own; n++)
		hodp_cq_fill_wc(&wc[n], hodp_ring_at(ring, cons++));
	WRITE_ONCE(ring->hdr->cons, cons);
	spin_unlock_irqrestore(&cq->lock, flags);
	return n;
}

int hodp_cq_arm(struct ib_cq *ibcq, enum ib_cq_notify_flags flags)
{
	struct hodp_cq *cq = to_hodp_cq(ibcq);
	u32 want = flags & IB_CQ_SOLICITED_MASK;
	unsigned long irq;
	int room, ret = 0;

	spin_lock_irqsave(&cq->lock, irq);
	/* NEXT_COMP includes SOLICITED; a weaker request does not disarm it. */
	if (cq->armed != IB_CQ_NEXT_COMP)
		cq->armed = want;
	if (flags & IB_CQ_REPORT_MISSED_EVENTS) {
		room = hodp_ring_room(&cq->q.ring);
		ret = room >= 0 && room <= cq->q.ring.mask;
	}
	spin_unlock_irqrestore(&cq->lock, irq);
	return ret;
}
