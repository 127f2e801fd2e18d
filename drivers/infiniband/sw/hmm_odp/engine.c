// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The engine: takes operations off a send queue and gives them to a transport.
 *
 * It runs in process context, in one of
 *   doorbell   a process's post_send: operations on mapped memory are executed
 *              before it returns, up to a budget; the work item does the rest
 *   work item  for kernel consumers (they post from any context), for work
 *              handed over, for timers and for flushing
 *   fault      the work item of a page fault continues the operation that
 *              waited for it, without another hand-over
 *
 * A requester that cannot continue stalls (enum hodp_stall): it keeps its
 * operation and drops every reference to memory and peer.  Each event that can
 * end a stall kicks the runner: the end of the fault, a deadline, a posted
 * receive request, a state change.
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include "aeth.h"
#include "ah.h"
#include "complete.h"
#include "engine.h"
#include "fault.h"
#include "flight.h"
#include "job.h"
#include "respond.h"
#include "roce.h"
#include "trace.h"
#include "transport.h"

/* Operations, or pieces of 256 KiB, that a doorbell executes itself. */
#define HODP_DOORBELL_STEPS 64
/* How often to check the peer, in ns, if the timeout is 0 (infinite) and during
 * a page fault on the peer's side.
 */
#define HODP_PATIENCE (100 * NSEC_PER_MSEC)
/* The shortest local ACK timeout, in ns.  IBTA 9.7.6.1.3 allows a longer one
 * than requested; a peer on the same machine may have to wait for the CPU.
 */
#define HODP_LEAST_TIMEOUT (4 * NSEC_PER_MSEC)

/* ---- stalls ---- */

static void hodp_engine_stall(struct hodp_qp *qp, enum hodp_stall why)
{
	static const char *const names[] = {
		[HODP_STALL_FAULT] = "fault",
		[HODP_STALL_RNR] = "rnr",
		[HODP_STALL_TIMEOUT] = "timeout",
		[HODP_STALL_MEMORY] = "memory",
		[HODP_STALL_WINDOW] = "window",
	};

	qp->stall = why;
	trace_hodp_stall(qp->ibqp.qp_num, names[why], qp->op.done,
			 qp->op.total);
}

static void hodp_engine_sleep(struct hodp_qp *qp, enum hodp_stall why,
			      enum hodp_due due, u64 ns)
{
	hodp_engine_stall(qp, why);
	hodp_deadline_set(&qp->due, due, ns);
}

static void hodp_engine_rnr(struct hodp_qp *qp)
{
	u64 usecs = hodp_aeth_rnr_usecs(qp->op.rnr_timer & 31);

	hodp_count(hodp_qp_dev(qp), HODP_CNT_RNR, 1);
	if (READ_ONCE(qp->attr.rnr_retry) != 7) {
		if (!qp->rnr_left) {
			hodp_complete_send(qp, IB_WC_RNR_RETRY_EXC_ERR);
			return;
		}
		qp->rnr_left--;
	}
	hodp_engine_sleep(qp, HODP_STALL_RNR, HODP_DUE_RNR,
			  usecs * NSEC_PER_USEC);
}

static void hodp_engine_timeout(struct hodp_qp *qp)
{
	u8 timeout = READ_ONCE(qp->attr.timeout);
	u64 delay = HODP_PATIENCE;

	hodp_count(hodp_qp_dev(qp), HODP_CNT_RETRIES, 1);
	if (timeout) {
		if (!qp->retry_left) {
			hodp_complete_send(qp, IB_WC_RETRY_EXC_ERR);
			return;
		}
		qp->retry_left--;
		delay = max(4096ULL << timeout, HODP_LEAST_TIMEOUT);
	}
	hodp_engine_sleep(qp, HODP_STALL_TIMEOUT, HODP_DUE_TIMEOUT, delay);
}

/* During a fault on the peer's side: give up if the peer is gone. */
static bool hodp_engine_peer_gone(struct hodp_qp *qp)
{
	if (qp->op.fault_local ||
	    !hodp_deadline_passed(&qp->due, HODP_DUE_PEER))
		return false;
	if (qp->transport->reachable(qp)) {
		hodp_deadline_set(&qp->due, HODP_DUE_PEER, HODP_PATIENCE);
		return false;
	}
	hodp_fault_drop(&qp->req);
	return true;
}

/* Is the requester still stalled? */
static bool hodp_engine_stalled(struct hodp_qp *qp)
{
	int err;

	switch (qp->stall) {
	case HODP_RUN:
		return false;
	case HODP_STALL_FAULT:
		err = hodp_fault_finish(&qp->req);
		if (err == -EINPROGRESS) {
			if (!hodp_engine_peer_gone(qp))
				return true;
			break;
		}
		qp->op.fault_err = err;
		if (!qp->op.fault_local)
			hodp_deadline_clear(&qp->due, HODP_DUE_PEER);
		break;
	case HODP_STALL_RNR:
		if (!xchg(&qp->recv_posted, false) &&
		    !hodp_deadline_passed(&qp->due, HODP_DUE_RNR))
			return true;
		hodp_deadline_clear(&qp->due, HODP_DUE_RNR);
		break;
	case HODP_STALL_TIMEOUT:
		if (!hodp_deadline_passed(&qp->due, HODP_DUE_TIMEOUT))
			return true;
		break;
	case HODP_STALL_MEMORY:
		if (!hodp_deadline_passed(&qp->due, HODP_DUE_MEMORY))
			return true;
		break;
	case HODP_STALL_WINDOW:
		/* If it is full, this asks for a kick: another cause than the
		 * flight may have begun the stall.
		 */
		if (qp->flight) {
			if (!hodp_flight_take(qp->flight))
				return true;
			hodp_flight_give_back(qp->flight);
		}
		break;
	}
	qp->stall = HODP_RUN;
	return false;
}

/* ---- the requester ---- */

/* Does the payload fit into a packet?  Two QPs of one device could exchange
 * more, but a program that works here must also work on a wire.
 */
static bool hodp_engine_fits(struct hodp_qp *qp)
{
	enum ib_mtu mtu = hodp_active_mtu(hodp_qp_dev(qp)->ndev);

	return qp->op.total <= ib_mtu_enum_to_int(mtu);
}

static enum hodp_verdict hodp_engine_datagram(struct hodp_qp *qp)
{
	struct hodp_device *dev = hodp_qp_dev(qp);
	struct hodp_op *op = &qp->op;
	struct hodp_av av;

	if (!hodp_ah_copy(dev, op->wqe.ud.ahn, qp->ibqp.pd, &av))
		return hodp_op_end(op, IB_WC_LOC_QP_OP_ERR);
	/* IBTA C10-93.1.1: send no packet and report no error. */
	if (unlikely(!hodp_engine_fits(qp))) {
		hodp_count(dev, HODP_CNT_UD_DROPS, 1);
		return hodp_op_end(op, IB_WC_SUCCESS);
	}
	return av.transport->datagram(qp, &av);
}

/* REG_MR, LOCAL_INV: executed here, without a transport, and in order. */
static enum hodp_verdict hodp_engine_local_op(struct hodp_qp *qp)
{
	struct hodp_device *dev = hodp_qp_dev(qp);
	const struct hodp_send_wqe *wqe = &qp->op.wqe;
	int ret;

	if (hodp_outstanding_num(&qp->out))
		return HODP_V_WINDOW;
	if (wqe->opcode == IB_WR_REG_MR)
		ret = hodp_mr_fast_reg(dev, qp->ibqp.pd, wqe->reg.lkey,
				       wqe->reg.key, wqe->reg.access);
	else
		ret = hodp_mr_invalidate(dev, qp->ibqp.pd, wqe->imm_inv, false);
	return hodp_op_end(&qp->op, ret ? IB_WC_MW_BIND_ERR : IB_WC_SUCCESS);
}

/* Continue the operation: bind its own memory, then call the transport. */
static enum hodp_verdict hodp_engine_execute(struct hodp_qp *qp)
{
	struct hodp_op *op = &qp->op;
	enum hodp_verdict verdict;

	if (unlikely(op->ended))
		return HODP_V_DONE;
	if (unlikely(op->row->flags & HODP_OP_LOCAL))
		return hodp_engine_local_op(qp);
	if (unlikely(op->fault_err && op->fault_local))
		return hodp_op_end(op, hodp_op_status(op->fault_err));
	if (!qp->payload.bound &&
	    unlikely(hodp_op_bind(op, &qp->payload, qp->ibqp.pd)))
		return hodp_op_end(op, IB_WC_LOC_PROT_ERR);
	if (likely(hodp_qp_service(qp)->connected))
		verdict = qp->transport->execute(qp);
	else
		verdict = hodp_engine_datagram(qp);
	/* Dereg waits for spans, so hold none while the operation waits. */
	if (verdict != HODP_V_DONE)
		hodp_payload_unbind(&qp->payload);
	return verdict;
}

/* Fetch the next operation.  Return: false: there is none. */
static bool hodp_engine_fetch(struct hodp_qp *qp)
{
	int ret = hodp_op_fetch(&qp->op, &qp->payload, &qp->sq);

	if (!ret)
		return false;
	if (ret == -EPROTO) {
		hodp_qp_error(qp, IB_EVENT_QP_FATAL);
		return false;
	}
	hodp_count(hodp_qp_dev(qp), HODP_CNT_OPS, 1);
	WRITE_ONCE(qp->recv_posted, false);
	qp->rnr_left = READ_ONCE(qp->attr.rnr_retry);
	qp->retry_left = READ_ONCE(qp->attr.retry_cnt);
	if (ret < 0) {
		qp->op.ended = true;
		qp->op.status = ret == -EMSGSIZE ? IB_WC_LOC_LEN_ERR :
						   IB_WC_LOC_QP_OP_ERR;
	}
	return true;
}

/* The operation has ended.  It completes after the outstanding ones. */
static void hodp_engine_ended(struct hodp_qp *qp)
{
	if (likely(!hodp_outstanding_num(&qp->out))) {
		hodp_complete_send(qp, qp->op.status);
		return;
	}
	hodp_payload_unbind(&qp->payload);
	qp->op.ended = true;
	hodp_engine_stall(qp, HODP_STALL_WINDOW);
}

/* The operation was sent, and waits for its acknowledgment. */
static void hodp_engine_sent(struct hodp_qp *qp)
{
	struct hodp_outstanding *out = &qp->out;

	*hodp_outstanding_at(out, out->end) = qp->op;
	out->end++;
	qp->op.active = false;
}

static void hodp_engine_verdict(struct hodp_qp *qp, enum hodp_verdict verdict)
{
	switch (verdict) {
	case HODP_V_DONE:
		hodp_engine_ended(qp);
		break;
	case HODP_V_MORE:
		break;
	case HODP_V_SENT:
		hodp_engine_sent(qp);
		break;
	case HODP_V_FAULT:
		hodp_engine_stall(qp, HODP_STALL_FAULT);
		if (!qp->op.fault_local)
			hodp_deadline_set(&qp->due, HODP_DUE_PEER,
					  HODP_PATIENCE);
		break;
	case HODP_V_RNR:
		hodp_engine_rnr(qp);
		break;
	case HODP_V_TIMEOUT:
		hodp_engine_timeout(qp);
		break;
	case HODP_V_PAUSE:
		hodp_engine_sleep(qp, HODP_STALL_MEMORY, HODP_DUE_MEMORY,
				  HODP_PAUSE);
		break;
	case HODP_V_WINDOW:
		hodp_engine_stall(qp, HODP_STALL_WINDOW);
		break;
	}
}

/* May the requester execute operations in this state?  If not, *@more says
 * whether there is more to flush.
 */
static bool hodp_engine_may_send(struct hodp_qp *qp, bool *more)
{
	u32 left;

	*more = false;
	switch (READ_ONCE(qp->state)) {
	case IB_QPS_RTS:
		qp->drained = false;
		if (likely(!qp->flush_left))
			return true;
		hodp_complete_flush_send(qp, &qp->flush_left);
		qp->flush_left = 0;
		return true;
	case IB_QPS_SQD:
		if (qp->op.active || hodp_outstanding_num(&qp->out))
			return true;
		if (!qp->drained) {
			qp->drained = true;
			if (READ_ONCE(qp->attr.en_sqd_async_notify))
				hodp_qp_event(qp, IB_EVENT_SQ_DRAINED);
		}
		return false;
	case IB_QPS_ERR:
	case IB_QPS_SQE:
		if (qp->out.op)
			qp->transport->stop(qp);
		left = qp->sq.q.ring.mask + 1;
		hodp_complete_flush_send(qp, &left);
		*more = !left;
		return false;
	default:
		return false;
	}
}

/* The payload may be that of an operation that was sent again. */
static void hodp_engine_restore(struct hodp_qp *qp)
{
	struct hodp_op *op = &qp->op;

	hodp_payload_unbind(&qp->payload);
	if (!op->active || op->ended || qp->payload.index == op->index ||
	    !hodp_op_reload(op, &qp->payload, &qp->sq))
		return;
	op->ended = true;
	op->status = IB_WC_LOC_QP_OP_ERR;
}

/* Handle the responses to what was sent.  Return: false: send nothing now. */
static bool hodp_engine_progress(struct hodp_qp *qp, int *budget)
{
	for (;;) {
		switch (qp->transport->progress(qp)) {
		case HODP_V_MORE:
			if (--*budget <= 0)
				return false;
			cond_resched();
			break;
		case HODP_V_DONE:
			hodp_engine_restore(qp);
			/* In SQD, no new operation begins. */
			return qp->op.active ||
			       READ_ONCE(qp->state) == IB_QPS_RTS;
		case HODP_V_PAUSE:
			hodp_deadline_set(&qp->due, HODP_DUE_MEMORY,
					  HODP_PAUSE);
			return false;
		default:
			return false;
		}
	}
}

/* Has the send queue just been drained (SQD), or the QP failed? */
static bool hodp_engine_is_idle(const struct hodp_qp *qp)
{
	return READ_ONCE(qp->state) != IB_QPS_RTS && !qp->op.active &&
	       !hodp_outstanding_num(&qp->out);
}

/* hodp_runner_ops.step of the requester; a step is an operation or a piece. */
static bool hodp_engine_requester(struct hodp_runner *r, int *budget)
{
	struct hodp_qp *qp = container_of(r, struct hodp_qp, req);
	bool more = false;

	while (!READ_ONCE(qp->dying) && hodp_engine_may_send(qp, &more)) {
		if (unlikely(qp->out.op) && !hodp_engine_progress(qp, budget)) {
			hodp_payload_unbind(&qp->payload);
			/* Look at the state again: drained, or failed. */
			if (*budget > 0 && hodp_engine_is_idle(qp))
				continue;
			return *budget <= 0;
		}
		if (hodp_engine_stalled(qp))
			break;
		if (!qp->op.active && !hodp_engine_fetch(qp)) {
			/* A corrupt ring has just failed the QP: flush it. */
			if (READ_ONCE(qp->state) == IB_QPS_ERR)
				continue;
			return false;
		}
		if (qp->op.active)
			hodp_engine_verdict(qp, hodp_engine_execute(qp));
		if (--*budget <= 0)
			return true;
		/* A response or a free slot will kick. */
		if (qp->stall == HODP_STALL_WINDOW)
			break;
	}
	return more;
}

/* hodp_deadlines.expired */
static void hodp_engine_due(struct hodp_deadlines *d, unsigned long causes)
{
	struct hodp_qp *qp = container_of(d, struct hodp_qp, due);

	const unsigned long rx = BIT(HODP_DUE_RX) | BIT(HODP_DUE_HELD_REQUESTS);

	if (causes & rx)
		hodp_runner_kick(&qp->rx);
	if (causes & ~rx)
		hodp_runner_kick(&qp->req);
}

/* ---- the receiver ---- */

/* hodp_runner_ops.step of the receiver; a step is a datagram. */
static bool hodp_engine_receiver(struct hodp_runner *r, int *budget)
{
	struct hodp_qp *qp = container_of(r, struct hodp_qp, rx);

	if (READ_ONCE(qp->dying))
		return false;
	if (qp->transport && qp->transport->receive &&
	    hodp_qp_service(qp)->connected &&
	    qp->transport->receive(qp, budget))
		return true;
	if (READ_ONCE(qp->state) == IB_QPS_ERR)
		return !hodp_complete_flush_recv(qp);
	return !hodp_qp_service(qp)->connected &&
	       hodp_respond_dgrams(qp, budget);
}

/* ---- verbs ---- */

static bool hodp_engine_hold_req(struct hodp_runner *r)
{
	return hodp_qp_hold(container_of(r, struct hodp_qp, req));
}

static void hodp_engine_put_req(struct hodp_runner *r)
{
	hodp_qp_put(container_of(r, struct hodp_qp, req));
}

static bool hodp_engine_hold_rx(struct hodp_runner *r)
{
	return hodp_qp_hold(container_of(r, struct hodp_qp, rx));
}

static void hodp_engine_put_rx(struct hodp_runner *r)
{
	hodp_qp_put(container_of(r, struct hodp_qp, rx));
}

static const struct hodp_runner_ops hodp_engine_req_ops = {
	.step = hodp_engine_requester,
	.hold = hodp_engine_hold_req,
	.put = hodp_engine_put_req,
};

static const struct hodp_runner_ops hodp_engine_rx_ops = {
	.step = hodp_engine_receiver,
	.hold = hodp_engine_hold_rx,
	.put = hodp_engine_put_rx,
};

void hodp_engine_attach(struct hodp_qp *qp)
{
	hodp_runner_init(&qp->req, &hodp_engine_req_ops);
	hodp_runner_init(&qp->rx, &hodp_engine_rx_ops);
	hodp_deadline_init(&qp->due, hodp_engine_due);
}

/* Encode a kernel consumer's list of work requests into its ring. */
static int hodp_engine_enqueue(struct hodp_qp *qp, const struct ib_send_wr *wr,
			       const struct ib_send_wr **bad)
{
	struct hodp_ring *ring = &qp->sq.q.ring;
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&qp->sq.lock, flags);
	for (; wr; wr = wr->next) {
		u32 prod = ring->hdr->prod;

		/* Pairs with the release in hodp_ring_release(). */
		if (prod - smp_load_acquire(&ring->hdr->cons) > ring->mask)
			ret = -ENOMEM;
		else
			ret = hodp_op_from_wr(&qp->sq, wr,
					      hodp_ring_at(ring, prod));
		if (ret) {
			*bad = wr;
			break;
		}
		/* Pairs with the acquire in hodp_ring_pending(). */
		smp_store_release(&ring->hdr->prod, prod + 1);
	}
	spin_unlock_irqrestore(&qp->sq.lock, flags);
	return ret;
}

void hodp_engine_ring_send(struct hodp_qp *qp)
{
	hodp_runner_run(&qp->req, HODP_DOORBELL_STEPS);
}

int hodp_engine_post_send(struct ib_qp *ibqp, const struct ib_send_wr *wr,
			  const struct ib_send_wr **bad)
{
	struct hodp_qp *qp = to_hodp_qp(ibqp);
	int ret;

	if (!wr) {
		hodp_engine_ring_send(qp);
		return 0;
	}
	if (hodp_queue_is_user(&qp->sq.q) ||
	    READ_ONCE(qp->state) < IB_QPS_RTS) {
		*bad = wr;
		return -EINVAL;
	}
	ret = hodp_engine_enqueue(qp, wr, bad);
	hodp_runner_kick(&qp->req);
	return ret;
}

/* A receive request was posted: end the peer's RNR wait, or flush it. */
void hodp_engine_ring_recv(struct hodp_qp *qp)
{
	/* Pairs with the acquire of prod after rnr_waiter was set. */
	smp_mb();
	if (READ_ONCE(qp->state) == IB_QPS_ERR)
		hodp_runner_kick(&qp->rx);
	/* Only a peer that has entered sets it, so there is a transport. */
	if (READ_ONCE(qp->rnr_waiter))
		qp->transport->posted_recv(qp);
}

int hodp_engine_post_recv(struct ib_qp *ibqp, const struct ib_recv_wr *wr,
			  const struct ib_recv_wr **bad)
{
	struct hodp_qp *qp = to_hodp_qp(ibqp);
	int ret = 0;

	if (wr && (qp->srq || hodp_queue_is_user(&qp->rq.q) ||
		   READ_ONCE(qp->state) == IB_QPS_RESET)) {
		*bad = wr;
		return -EINVAL;
	}
	if (wr)
		ret = hodp_rq_post(&qp->rq, wr, bad);
	hodp_engine_ring_recv(qp);
	return ret;
}

int hodp_engine_post_srq_recv(struct ib_srq *ibsrq, const struct ib_recv_wr *wr,
			      const struct ib_recv_wr **bad)
{
	struct hodp_srq *srq = to_hodp_srq(ibsrq);

	if (!wr)
		return 0;
	if (hodp_queue_is_user(&srq->rq.q)) {
		*bad = wr;
		return -EINVAL;
	}
	return hodp_rq_post(&srq->rq, wr, bad);
}

/* ---- module ---- */

int hodp_engine_start(void)
{
	int ret = hodp_runner_start();

	if (ret)
		return ret;
	ret = hodp_jobs_start();
	if (ret)
		goto err_runner;
	ret = hodp_udp_start(hodp_roce_receive);
	if (ret)
		goto err_jobs;
	hodp_transport_add(&hodp_local_transport);
	hodp_transport_add(&hodp_roce_transport);
	return 0;

err_jobs:
	hodp_jobs_stop();
err_runner:
	hodp_runner_stop();
	return ret;
}

void hodp_engine_stop(void)
{
	hodp_udp_stop();
	hodp_flights_stop();
	hodp_jobs_stop();
	hodp_runner_stop();
	/* Wait for call_rcu() of chunks, regions and address handles. */
	rcu_barrier();
}
