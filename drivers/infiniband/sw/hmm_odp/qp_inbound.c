// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The only entry to a QP's responder.
 *
 * One requester at a time executes messages in a connected QP: it enters with
 * hodp_qp_enter() and owns @in until it leaves.  Flush and reset first change
 * the state, so that no requester can enter, and then check or wait for one
 * that is still inside.
 *
 * A requester is identified by more than its QPN, because QPNs are reused after
 * their owner is gone.  The first message must come through the expected
 * transport, from the expected QPN, and with the expected PSN (IBTA 9.7.2); it
 * binds the incarnations of the two QPs to each other.  Later messages must be
 * from and to the same two incarnations.  On an unreliable service the requester
 * may begin anew at any time, with any PSN (IBTA 9.8.2.2.1).
 */
#include "qp.h"

bool hodp_qp_receives(const struct hodp_qp *qp)
{
	/* Pairs with the release in hodp_qp_transit(); orders @attr. */
	switch (smp_load_acquire(&qp->state)) {
	case IB_QPS_RTR:
	case IB_QPS_RTS:
	case IB_QPS_SQD:
	case IB_QPS_SQE:
		return !READ_ONCE(qp->dying);
	default:
		return false;
	}
}

static void hodp_qp_set_life(struct hodp_qp *qp, u64 life)
{
	spin_lock(&qp->in_lock);
	WRITE_ONCE(qp->incarnation, life);
	WRITE_ONCE(qp->in_peer, 0);
	spin_unlock(&qp->in_lock);
	qp->peer = 0;
}

void hodp_qp_reincarnate(struct hodp_qp *qp)
{
	static atomic64_t last;

	hodp_qp_set_life(qp, atomic64_inc_return(&last));
}

void hodp_qp_forget_peer(struct hodp_qp *qp)
{
	hodp_qp_set_life(qp, 0);
}

/* Is @from the requester that @qp is connected to? */
static bool hodp_qp_knows(const struct hodp_qp *qp,
			  const struct hodp_peer *from)
{
	lockdep_assert_held(&qp->in_lock);
	if (!hodp_qp_service(qp)->connected || !hodp_qp_receives(qp) ||
	    qp->transport != from->via || qp->attr.dest_qp_num != from->qpn)
		return false;
	if (unlikely(!qp->in_peer && !from->knows) &&
	    hodp_qp_service(qp)->reliable)
		return qp->attr.rq_psn == from->psn;
	return (qp->in_peer == from->life && qp->incarnation == from->knows) ||
	       !hodp_qp_service(qp)->reliable;
}

bool hodp_qp_would_enter(struct hodp_qp *qp, const struct hodp_peer *from)
{
	bool knows;

	spin_lock(&qp->in_lock);
	knows = hodp_qp_knows(qp, from);
	spin_unlock(&qp->in_lock);
	return knows;
}

int hodp_qp_enter(struct hodp_qp *qp, struct hodp_peer *from)
{
	bool established = false;
	int ret = 0;

	spin_lock(&qp->in_lock);
	if (!hodp_qp_knows(qp, from)) {
		ret = -ENOTCONN;
	} else if (qp->in_busy) {
		ret = -EBUSY;
	} else {
		if (unlikely(from->knows != qp->incarnation)) {
			WRITE_ONCE(qp->in_peer, from->life);
			from->knows = qp->incarnation;
		}
		WRITE_ONCE(qp->in_busy, true);
		established = qp->state == IB_QPS_RTR && !qp->comm_est;
		qp->comm_est |= established;
	}
	spin_unlock(&qp->in_lock);
	if (unlikely(established))
		hodp_qp_event(qp, IB_EVENT_COMM_EST);
	return ret;
}

bool hodp_qp_is_entered(const struct hodp_qp *qp, const struct hodp_peer *from)
{
	return from->knows && from->knows == READ_ONCE(qp->incarnation) &&
	       hodp_qp_receives(qp);
}

static void hodp_qp_wake_drain(struct hodp_qp *qp)
{
	/* Pairs with the barrier in the waiter's prepare_to_wait(). */
	smp_mb();
	if (unlikely(READ_ONCE(qp->draining)))
		wake_up_all(&qp->drain);
}

void hodp_qp_leave(struct hodp_qp *qp)
{
	bool flush;

	spin_lock(&qp->in_lock);
	WRITE_ONCE(qp->in_busy, false);
	flush = !hodp_qp_receives(qp);
	spin_unlock(&qp->in_lock);
	hodp_qp_wake_drain(qp);
	if (unlikely(flush))
		hodp_runner_kick(&qp->rx);
}

bool hodp_qp_is_left(struct hodp_qp *qp)
{
	bool busy;

	spin_lock(&qp->in_lock);
	busy = qp->in_busy;
	spin_unlock(&qp->in_lock);
	return !busy;
}

void hodp_qp_wait_left(struct hodp_qp *qp)
{
	WRITE_ONCE(qp->draining, true);
	/* Wait for requesters that saw the old state under the lock: after this
	 * they have set @in_busy.
	 */
	spin_lock(&qp->in_lock);
	spin_unlock(&qp->in_lock);
	wait_event(qp->drain, !READ_ONCE(qp->in_busy));
	WRITE_ONCE(qp->draining, false);
}

/* ---- receive requests ---- */

int hodp_qp_take_recv(struct hodp_qp *qp, struct hodp_inbound *in)
{
	int ret;

	if (qp->srq)
		ret = hodp_srq_pop(qp->srq, &in->recv);
	else
		ret = hodp_rq_pop(&qp->rq, &in->recv);
	if (ret > 0)
		in->active = true;
	return ret;
}

int hodp_inbound_bind(struct hodp_qp *qp, struct hodp_inbound *in, u64 total)
{
	struct hodp_device *dev = hodp_qp_dev(qp);
	const struct ib_pd *pd = qp->srq ? qp->srq->ibsrq.pd : qp->ibqp.pd;
	struct hodp_sgl *sgl = &in->sgl;
	u32 i;
	int ret;

	sgl->num = 0;
	for (i = 0; i < in->recv.num_sge && total; i++) {
		const struct hodp_sge *sge = &in->recv.sge[i];
		u64 len = min_t(u64, sge->length, total);

		if (!len)
			continue;
		ret = hodp_span_get(dev, pd, sge->lkey, sge->addr, len,
				    IB_ACCESS_LOCAL_WRITE,
				    &sgl->span[sgl->num]);
		if (ret) {
			hodp_sgl_put(sgl);
			return ret;
		}
		sgl->num++;
		total -= len;
	}
	in->bound = true;
	hodp_sgl_seek(sgl, 0);
	return 0;
}

void hodp_inbound_unbind(struct hodp_inbound *in)
{
	if (in->bound)
		hodp_sgl_put(&in->sgl);
	in->bound = false;
}
