// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Receive queues: a QP's own and the shared ones (layer 2).
 *
 * Model: a receive queue is a ring of requests whose consumer is the kernel.
 * A process adds entries by itself.  A kernel consumer calls hodp_rq_post(),
 * which keeps the producer index in the header (trusted in this case).  A
 * shared receive queue is a receive queue with a number, a low-water mark and
 * an event.
 *
 * Hostile input: the process may rewrite an entry at any time, so an entry is
 * read once into a struct hodp_recv, and that copy is checked.  With an
 * impossible index the contents of the ring are meaningless: a shared queue is
 * then dead (IB_EVENT_SRQ_ERR); for a QP's own queue, the QP handles the error.
 *
 * Not supported: resizing; XRC and tag matching.
 */
#include "srq.h"

static_assert(sizeof(struct hodp_recv_wqe) % 16 == 0);
static_assert(sizeof(struct hodp_sge) == 16);

int hodp_rq_init(struct hodp_rq *rq, u32 max_wr, u32 max_sge,
		 struct ib_ucontext *uctx)
{
	max_sge = max(max_sge, 1U);
	if (!max_wr || max_sge > HODP_MAX_SGE)
		return -EINVAL;
	spin_lock_init(&rq->lock);
	rq->max_sge = max_sge;
	return hodp_queue_alloc(&rq->q, max_wr,
				sizeof(struct hodp_recv_wqe) +
					max_sge * sizeof(struct hodp_sge),
				uctx);
}

void hodp_rq_destroy(struct hodp_rq *rq)
{
	hodp_queue_free(&rq->q);
}

/* Take the oldest entry.  Return: as hodp_rq_pop(). */
static int hodp_rq_take(struct hodp_rq *rq, struct hodp_recv *recv)
{
	struct hodp_ring *ring = &rq->q.ring;
	const struct hodp_recv_wqe *wqe;
	int ret = hodp_ring_pending(ring);

	lockdep_assert_held(&rq->lock);
	if (ret <= 0) {
		recv->wr_id = 0;
		recv->num_sge = 0;
		return ret;
	}

	wqe = hodp_ring_head(ring);
	recv->wr_id = READ_ONCE(wqe->wr_id);
	recv->num_sge = READ_ONCE(wqe->num_sge);
	if (unlikely(recv->num_sge > rq->max_sge || READ_ONCE(wqe->reserved))) {
		recv->num_sge = 0;
		ret = -EINVAL;
	} else {
		memcpy(recv->sge, wqe + 1,
		       recv->num_sge * sizeof(recv->sge[0]));
		ret = 1;
	}
	hodp_ring_consume(ring);
	return ret;
}

int hodp_rq_pop(struct hodp_rq *rq, struct hodp_recv *recv)
{
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&rq->lock, flags);
	ret = hodp_rq_take(rq, recv);
	spin_unlock_irqrestore(&rq->lock, flags);
	return ret;
}

u32 hodp_rq_posted(struct hodp_rq *rq)
{
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&rq->lock, flags);
	ret = hodp_ring_pending(&rq->q.ring);
	spin_unlock_irqrestore(&rq->lock, flags);
	return ret < 0 ? 0 : ret;
}

int hodp_srq_init(struct hodp_srq *srq, struct ib_srq_attr *attr,
		  struct ib_ucontext *uctx)
{
	struct hodp_device *dev = to_hodp_device(srq->ibsrq.device);
	int ret;

	if (attr->max_wr > HODP_MAX_SRQ_WR || attr->srq_limit > attr->max_wr)
		return -EINVAL;
	ret = ida_alloc_range(&dev->srqns, 1, HODP_MAX_SRQ, GFP_KERNEL);
	if (ret < 0)
		return -ENOMEM;
	srq->srqn = ret;

	ret = hodp_rq_init(&srq->rq, attr->max_wr, attr->max_sge, uctx);
	if (ret) {
		ida_free(&dev->srqns, srq->srqn);
		return ret;
	}
	srq->max_wr = srq->rq.q.ring.mask + 1;
	srq->limit = attr->srq_limit;
	attr->max_wr = srq->max_wr;
	attr->max_sge = srq->rq.max_sge;
	return 0;
}

void hodp_srq_destroy(struct hodp_srq *srq)
{
	hodp_rq_destroy(&srq->rq);
	ida_free(&to_hodp_device(srq->ibsrq.device)->srqns, srq->srqn);
}

int hodp_srq_arm(struct hodp_srq *srq, u32 limit)
{
	unsigned long flags;

	if (limit > srq->max_wr)
		return -EINVAL;
	spin_lock_irqsave(&srq->rq.lock, flags);
	WRITE_ONCE(srq->limit, limit);
	spin_unlock_irqrestore(&srq->rq.lock, flags);
	return 0;
}

u32 hodp_srq_limit(struct hodp_srq *srq)
{
	return READ_ONCE(srq->limit);
}

static void hodp_srq_event(struct hodp_srq *srq, enum ib_event_type type)
{
	struct ib_event event = {
		.device = srq->ibsrq.device,
		.element.srq = &srq->ibsrq,
		.event = type,
	};

	if (srq->ibsrq.event_handler)
		srq->ibsrq.event_handler(&event, srq->ibsrq.srq_context);
}

/* After an entry was taken: has the low-water mark been passed?  Reports once,
 * because it disarms the limit.
 */
static bool hodp_srq_disarm(struct hodp_srq *srq)
{
	lockdep_assert_held(&srq->rq.lock);
	if (likely(!srq->limit) ||
	    hodp_ring_pending(&srq->rq.q.ring) >= (int)srq->limit)
		return false;
	WRITE_ONCE(srq->limit, 0);
	return true;
}

int hodp_srq_pop(struct hodp_srq *srq, struct hodp_recv *recv)
{
	bool low = false, died = false;
	unsigned long flags;
	int ret;

	spin_lock_irqsave(&srq->rq.lock, flags);
	ret = hodp_rq_take(&srq->rq, recv);
	if (likely(ret > 0)) {
		low = hodp_srq_disarm(srq);
	} else if (ret < 0 && hodp_ring_pending(&srq->rq.q.ring) < 0) {
		died = !srq->error;
		srq->error = true;
	}
	spin_unlock_irqrestore(&srq->rq.lock, flags);

	if (unlikely(low))
		hodp_srq_event(srq, IB_EVENT_SRQ_LIMIT_REACHED);
	if (unlikely(died))
		hodp_srq_event(srq, IB_EVENT_SRQ_ERR);
	return ret;
}

/* Store @wr at the producer index; the header is not mapped, so trusted. */
static int hodp_rq_put(struct hodp_rq *rq, const struct ib_recv_wr *wr)
{
	struct hodp_ring *ring = &rq->q.ring;
	struct hodp_recv_wqe *wqe;
	struct hodp_sge *sge;
	u32 prod;
	int i;

	lockdep_assert_held(&rq->lock);
	if (wr->num_sge < 0 || wr->num_sge > rq->max_sge)
		return -EINVAL;
	if (hodp_ring_pending(ring) > ring->mask)
		return -ENOMEM;

	prod = READ_ONCE(ring->hdr->prod);
	wqe = hodp_ring_at(ring, prod);
	wqe->wr_id = wr->wr_id;
	wqe->num_sge = wr->num_sge;
	wqe->reserved = 0;
	sge = (struct hodp_sge *)(wqe + 1);
	for (i = 0; i < wr->num_sge; i++)
		sge[i] = (struct hodp_sge){
			.addr = wr->sg_list[i].addr,
			.length = wr->sg_list[i].length,
			.lkey = wr->sg_list[i].lkey,
		};
	/* Pairs with the acquire in hodp_ring_pending(). */
	smp_store_release(&ring->hdr->prod, prod + 1);
	return 0;
}

int hodp_rq_post(struct hodp_rq *rq, const struct ib_recv_wr *wr,
		 const struct ib_recv_wr **bad)
{
	unsigned long flags;
	int ret = 0;

	if (WARN_ON_ONCE(hodp_queue_is_user(&rq->q))) {
		*bad = wr;
		return -EINVAL;
	}
	spin_lock_irqsave(&rq->lock, flags);
	for (; wr; wr = wr->next) {
		ret = hodp_rq_put(rq, wr);
		if (ret) {
			*bad = wr;
			break;
		}
	}
	spin_unlock_irqrestore(&rq->lock, flags);
	return ret;
}

void hodp_rq_want_doorbell(struct hodp_rq *rq, bool want)
{
	WRITE_ONCE(rq->q.ring.hdr->flags, want ? HODP_RING_NEED_DOORBELL : 0);
	if (!want)
		return;
	/* Pairs with the producer's barrier between its store of prod and its
	 * test of the flag: either it sees the flag, or we see its entry.
	 */
	smp_mb();
}
