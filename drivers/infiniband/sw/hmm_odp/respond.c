// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The responder's half of every operation.
 *
 * This is the only file that turns an errno from the memory layer into a NAK:
 * hodp_respond_nak().  A call moves at most HODP_RESPOND_PIECE bytes, so that
 * the caller can check states and yield the CPU.  It never waits.
 *
 * Checks, in this order (IBTA 9.7.4.1.5 ff.), and the reply if one fails:
 *   the QP allows the operation           invalid request
 *   the atomic is aligned                 invalid request
 *   there is a receive request            RNR
 *   it is long enough                     invalid request, and the receive
 *                                         completes with a length error
 *   its keys are valid for the length     remote operational error
 *   of the message
 *   rkey, bounds, rights, PD              remote access error
 *   a page fault on the memory succeeds   remote access error
 *
 * An unreliable service (UC) has the same checks.  The reply only tells the
 * transport that the message is lost (IBTA 9.8.2.2, 9.9.3: class D1): the QP goes
 * on, and the receive request waits for the next message.  IBTA has it completed
 * with an error if it is from an SRQ (class E); not so here, as for datagrams,
 * because any lost packet would then fail the QP.  An error that is the QP's own,
 * in its receive request or by poison, is of class A and fails it.
 */
#include <linux/slab.h>
#include "complete.h"
#include "fault.h"
#include "respond.h"

#define HODP_RESPOND_PIECE (256 * 1024)

/* The request is to blame.  If a reply says so, the QP fails as well. */
static void hodp_respond_refuse(struct hodp_qp *qp, enum ib_event_type event)
{
	if (hodp_qp_service(qp)->reliable)
		hodp_qp_error(qp, event);
}

/* The reply to a memory error on the responder's side. */
static enum hodp_reply hodp_respond_nak(struct hodp_qp *qp, int err)
{
	if (err == -EHWPOISON) {
		hodp_qp_error(qp, IB_EVENT_QP_FATAL);
		return HODP_R_REM_OP;
	}
	hodp_respond_refuse(qp, IB_EVENT_QP_ACCESS_ERR);
	return HODP_R_REM_ACCESS;
}

static enum hodp_reply hodp_respond_invalid(struct hodp_qp *qp)
{
	hodp_respond_refuse(qp, IB_EVENT_QP_REQ_ERR);
	return HODP_R_INV_REQ;
}

/* The receive request is bad: complete it with an error, and fail the QP.  Out of
 * line, so that other messages need no stack frame for @info.
 */
static noinline enum hodp_reply hodp_respond_bad_recv(struct hodp_qp *qp,
						      enum ib_wc_status status)
{
	const struct hodp_recv_info info = { .opcode = IB_WC_RECV };
	bool failed = hodp_qp_fail(qp, IB_QPS_ERR);

	hodp_complete_recv(qp, &qp->in, status, &info);
	if (failed)
		hodp_qp_flush(qp);
	return status == IB_WC_LOC_LEN_ERR ? HODP_R_INV_REQ : HODP_R_REM_OP;
}

/* The message is longer than the receive request. */
static enum hodp_reply hodp_respond_too_long(struct hodp_qp *qp)
{
	if (!hodp_qp_service(qp)->reliable)
		return HODP_R_INV_REQ;
	return hodp_respond_bad_recv(qp, IB_WC_LOC_LEN_ERR);
}

static bool hodp_respond_allowed(const struct hodp_qp *qp,
				 const struct hodp_opcode *row)
{
	/* IBTA 9.7.4.1.4: READs and atomics need responder resources. */
	if ((row->flags & (HODP_OP_READ | HODP_OP_ATOMIC)) &&
	    !READ_ONCE(qp->attr.max_dest_rd_atomic))
		return false;
	return (READ_ONCE(qp->attr.qp_access_flags) & row->remote_access) ==
	       row->remote_access;
}

/* A copy failed: the reply depends on whose memory caused it. */
static enum hodp_reply hodp_respond_bad_copy(struct hodp_qp *qp,
					     struct hodp_request *req,
					     bool source, int err)
{
	bool to_requester = req->row->flags & (HODP_OP_READ | HODP_OP_ATOMIC);

	if (source != to_requester) {
		req->data_err = err;
		return HODP_R_DATA;
	}
	if (!req->row->remote_access)
		return hodp_respond_bad_recv(qp, IB_WC_LOC_PROT_ERR);
	return hodp_respond_nak(qp, err);
}

/* Move what can be moved without waiting, between @req->try and @qp->in.sgl. */
static enum hodp_reply hodp_respond_try(struct hodp_qp *qp,
					struct hodp_request *req, u64 len)
{
	u64 n = hodp_sgl_try_copy(&qp->in.sgl, req->try, len,
				  !(req->row->flags & HODP_OP_READ));

	req->done += n;
	if (n < len)
		return HODP_R_MORE;
	return req->more ? HODP_R_NEXT : HODP_R_ACK;
}

/* Move the next piece between @req->data and @qp->in.sgl. */
static enum hodp_reply hodp_respond_move(struct hodp_qp *qp,
					 struct hodp_request *req,
					 struct hodp_miss *miss)
{
	bool to_requester = req->row->flags & (HODP_OP_READ | HODP_OP_ATOMIC);
	u64 rest = req->total - req->done;
	u64 len = min_t(u64, req->avail - req->done, HODP_RESPOND_PIECE);
	long n;

	if (!len)
		return req->more ? HODP_R_NEXT : HODP_R_ACK;
	if (req->try)
		return hodp_respond_try(qp, req, len);
	if (to_requester)
		n = hodp_sgl_copy(req->data, &qp->in.sgl, len, rest, miss);
	else
		n = hodp_sgl_copy(&qp->in.sgl, req->data, len, rest, miss);
	if (n == -EAGAIN)
		return HODP_R_MISS;
	/* Poison is always found in the source. */
	if (n < 0)
		return hodp_respond_bad_copy(qp, req,
					     n != -EACCES || miss->source, n);
	req->done += n;
	if (req->done < req->avail)
		return HODP_R_MORE;
	return unlikely(req->more) ? HODP_R_NEXT : HODP_R_ACK;
}

/* Bind @qp->in.sgl to the remote memory that @req names. */
static int hodp_respond_bind_remote(struct hodp_qp *qp,
				    const struct hodp_request *req)
{
	struct hodp_sgl *sgl = &qp->in.sgl;
	int ret;

	sgl->num = 0;
	ret = hodp_span_get(hodp_qp_dev(qp), qp->ibqp.pd, req->rkey, req->addr,
			    req->total, req->row->remote_access, &sgl->span[0]);
	if (ret)
		return ret;
	sgl->num = 1;
	qp->in.bound = true;
	hodp_sgl_seek(sgl, req->done);
	return 0;
}

/* Take a receive request; if there is none and the requester will wait for one, ask
 * for a doorbell for the next.
 */
static int hodp_respond_pop(struct hodp_qp *qp)
{
	bool ask = !qp->srq && hodp_queue_is_user(&qp->rq.q);
	int ret = hodp_qp_take_recv(qp, &qp->in);

	if (ret || qp->srq || !hodp_qp_service(qp)->reliable)
		goto out;
	WRITE_ONCE(qp->rnr_waiter, true);
	if (ask)
		hodp_rq_want_doorbell(&qp->rq, true);
	/* Pairs with the barrier in hodp_engine_ring_recv(): either it sees the
	 * waiter, or we see the request.
	 */
	smp_mb();
	ret = hodp_qp_take_recv(qp, &qp->in);
out:
	if (ret && unlikely(READ_ONCE(qp->rnr_waiter))) {
		WRITE_ONCE(qp->rnr_waiter, false);
		if (ask)
			hodp_rq_want_doorbell(&qp->rq, false);
	}
	return ret;
}

/* Return: ACK: @qp->in has a receive request; RNR: there is none; else the
 * reply for a corrupt receive queue.
 */
static enum hodp_reply hodp_respond_take_recv(struct hodp_qp *qp)
{
	int ret;

	if (qp->in.active)
		return HODP_R_ACK;
	ret = hodp_respond_pop(qp);
	if (likely(ret > 0))
		return HODP_R_ACK;
	if (!ret)
		return HODP_R_RNR;
	if (ret == -EINVAL) {
		qp->in.active = true;
		return hodp_respond_bad_recv(qp, IB_WC_LOC_QP_OP_ERR);
	}
	hodp_qp_error(qp, IB_EVENT_QP_FATAL);
	return HODP_R_REM_OP;
}

static u64 hodp_inbound_room(const struct hodp_inbound *in)
{
	u64 room = 0;
	u32 i;

	for (i = 0; i < in->recv.num_sge; i++)
		room += in->recv.sge[i].length;
	return room;
}

static void hodp_respond_received(struct hodp_qp *qp,
				  const struct hodp_request *req)
{
	struct hodp_recv_info info = {
		.opcode = req->row->recv_wc,
		.byte_len = req->total,
		.imm_inv = req->imm_inv,
		.solicited = req->solicited,
	};

	if (req->row->flags & HODP_OP_IMM)
		info.wc_flags = HODP_WC_WITH_IMM;
	else if (req->row->flags & HODP_OP_INV)
		info.wc_flags = HODP_WC_WITH_INV;
	hodp_complete_recv(qp, &qp->in, IB_WC_SUCCESS, &info);
}

static enum hodp_reply hodp_respond_send(struct hodp_qp *qp,
					 struct hodp_request *req,
					 struct hodp_miss *miss)
{
	enum hodp_reply reply = hodp_respond_take_recv(qp);

	if (reply != HODP_R_ACK)
		return reply;
	if (req->fault_err)
		return hodp_respond_bad_recv(qp, IB_WC_LOC_PROT_ERR);
	if (req->total > hodp_inbound_room(&qp->in))
		return hodp_respond_too_long(qp);
	if (!qp->in.bound && req->total) {
		if (hodp_inbound_bind(qp, &qp->in, req->total))
			return hodp_respond_bad_recv(qp, IB_WC_LOC_PROT_ERR);
		hodp_sgl_seek(&qp->in.sgl, req->done);
	}
	reply = hodp_respond_move(qp, req, miss);
	if (reply != HODP_R_ACK)
		return reply;
	if ((req->row->flags & HODP_OP_INV) &&
	    hodp_mr_invalidate(hodp_qp_dev(qp), qp->ibqp.pd, req->imm_inv,
			       true))
		return hodp_respond_nak(qp, -EINVAL);
	hodp_respond_received(qp, req);
	return HODP_R_ACK;
}

static enum hodp_reply hodp_respond_rdma(struct hodp_qp *qp,
					 struct hodp_request *req,
					 struct hodp_miss *miss)
{
	enum hodp_reply reply;
	int ret;

	if (!hodp_respond_allowed(qp, req->row))
		return hodp_respond_invalid(qp);
	if (req->row->flags & HODP_OP_IMM) {
		reply = hodp_respond_take_recv(qp);
		if (reply != HODP_R_ACK)
			return reply;
	}
	if (req->fault_err)
		return hodp_respond_nak(qp, req->fault_err);
	/* C9-88: the rkey of a zero-length request is not checked. */
	if (!qp->in.bound && req->total) {
		ret = hodp_respond_bind_remote(qp, req);
		if (ret)
			return hodp_respond_nak(qp, ret);
	}
	reply = hodp_respond_move(qp, req, miss);
	if (reply == HODP_R_ACK && (req->row->flags & HODP_OP_IMM))
		hodp_respond_received(qp, req);
	return reply;
}

static enum hodp_reply hodp_respond_atomic(struct hodp_qp *qp,
					   struct hodp_request *req,
					   struct hodp_miss *miss)
{
	int ret = 0;

	if (!req->begun) {
		if (!hodp_respond_allowed(qp, req->row) ||
		    !IS_ALIGNED(req->addr, 8))
			return hodp_respond_invalid(qp);
		if (req->fault_err)
			return hodp_respond_nak(qp, req->fault_err);
		ret = hodp_respond_bind_remote(qp, req);
		if (ret)
			return hodp_respond_nak(qp, ret);
		ret = hodp_span_atomic(&qp->in.sgl.span[0], &req->atomic,
				       &req->atomic_old, miss);
		if (ret == -EAGAIN)
			return HODP_R_MISS;
		hodp_inbound_unbind(&qp->in);
		if (ret)
			return ret == -EINVAL ? hodp_respond_invalid(qp) :
						hodp_respond_nak(qp, ret);
		req->begun = true;
	}
	/* Copy the result from kernel memory to the requester. */
	hodp_inbound_unbind(&qp->in);
	hodp_span_kernel(&qp->in.sgl.span[0], &req->atomic_old, 8);
	qp->in.sgl.num = 1;
	qp->in.bound = true;
	hodp_sgl_seek(&qp->in.sgl, req->done);
	return hodp_respond_move(qp, req, miss);
}

enum hodp_reply hodp_respond(struct hodp_qp *qp, struct hodp_request *req,
			     struct hodp_miss *miss)
{
	enum hodp_reply reply;

	if (req->row->flags & HODP_OP_SEND)
		reply = hodp_respond_send(qp, req, miss);
	else if (req->row->flags & HODP_OP_ATOMIC)
		reply = hodp_respond_atomic(qp, req, miss);
	else
		reply = hodp_respond_rdma(qp, req, miss);
	if (unlikely(reply == HODP_R_RNR))
		req->rnr_timer = READ_ONCE(qp->attr.min_rnr_timer);
	return reply;
}

void hodp_respond_release(struct hodp_qp *qp)
{
	hodp_inbound_unbind(&qp->in);
}

/* ---- datagrams ---- */

static struct hodp_dgram *hodp_dgram_next(struct hodp_qp *qp)
{
	struct hodp_dgram *d;

	spin_lock_bh(&qp->rx_lock);
	d = list_first_entry_or_null(&qp->rx_list, struct hodp_dgram, link);
	if (d) {
		list_del(&d->link);
		WRITE_ONCE(qp->rx_len, qp->rx_len - 1);
	}
	spin_unlock_bh(&qp->rx_lock);
	return d;
}

static void hodp_dgram_finish(struct hodp_qp *qp, enum ib_wc_status status)
{
	struct hodp_dgram *d = qp->rx_cur;
	const struct hodp_recv_info info = {
		.opcode = IB_WC_RECV,
		.byte_len = sizeof(d->grh) + d->len,
		.imm_inv = d->imm,
		.src_qp = d->src_qp,
		.wc_flags = d->wc_flags | HODP_WC_GRH,
		.net_type = d->net_type,
		.solicited = d->solicited,
	};
	bool failed;

	failed = status != IB_WC_SUCCESS && hodp_qp_fail(qp, IB_QPS_ERR);
	hodp_complete_recv(qp, &qp->rx_in, status, &info);
	if (failed)
		hodp_qp_flush(qp);
	kfree(d);
	qp->rx_cur = NULL;
}

/* Drop the current datagram. */
static void hodp_dgram_drop(struct hodp_qp *qp)
{
	hodp_count(hodp_qp_dev(qp), HODP_CNT_UD_DROPS, 1);
	kfree(qp->rx_cur);
	qp->rx_cur = NULL;
}

/* Take a receive request for the current datagram.  Return: false: there is no
 * usable request, and the datagram is gone.
 */
static bool hodp_dgram_take_recv(struct hodp_qp *qp)
{
	int ret;

	if (qp->rx_in.active)
		return true;
	ret = hodp_qp_take_recv(qp, &qp->rx_in);
	if (ret > 0)
		return true;
	if (ret == -EINVAL) {
		qp->rx_in.active = true;
		hodp_dgram_finish(qp, IB_WC_LOC_QP_OP_ERR);
		return false;
	}
	if (ret < 0)
		hodp_qp_error(qp, IB_EVENT_QP_FATAL);
	hodp_dgram_drop(qp);
	return false;
}

/* Copy the rest of the datagram.  Return: 0, or as hodp_sgl_copy(). */
static long hodp_dgram_copy(struct hodp_qp *qp, struct hodp_miss *miss)
{
	struct hodp_dgram *d = qp->rx_cur;
	u32 total = sizeof(d->grh) + d->len;
	struct hodp_sgl src;
	long n = 0;

	hodp_span_kernel(&src.span[0], d->grh, total);
	src.num = 1;
	hodp_sgl_seek(&src, d->done);
	hodp_sgl_seek(&qp->rx_in.sgl, d->done);
	while (d->done < total) {
		n = hodp_sgl_copy(&qp->rx_in.sgl, &src, total - d->done,
				  total - d->done, miss);
		if (n < 0)
			return n;
		d->done += n;
	}
	return 0;
}

/* Return: true: done with the datagram; false: it waits for a page fault or for
 * memory.
 */
static bool hodp_dgram_deliver(struct hodp_qp *qp)
{
	struct hodp_dgram *d = qp->rx_cur;
	u64 total = sizeof(d->grh) + d->len;
	struct hodp_miss miss;
	long ret;

	/* IBTA class D: drop a datagram that is too long and keep the request
	 * for the next one.  The same with an SRQ, although class E would fail
	 * the QP: any sender that knows the Q_Key could then kill the QP.
	 */
	if (total > hodp_inbound_room(&qp->rx_in)) {
		hodp_dgram_drop(qp);
		return true;
	}
	if (hodp_inbound_bind(qp, &qp->rx_in, total)) {
		hodp_dgram_finish(qp, IB_WC_LOC_PROT_ERR);
		return true;
	}
	ret = hodp_dgram_copy(qp, &miss);
	if (ret == -EAGAIN) {
		/* If out of memory, a timer retries. */
		if (hodp_fault_begin(&qp->rx, qp->memcg, &miss))
			hodp_deadline_set(&qp->due, HODP_DUE_RX, HODP_PAUSE);
		hodp_inbound_unbind(&qp->rx_in);
		return false;
	}
	hodp_dgram_finish(qp, ret ? IB_WC_LOC_PROT_ERR : IB_WC_SUCCESS);
	return true;
}

bool hodp_respond_dgrams(struct hodp_qp *qp, int *budget)
{
	int err = hodp_fault_finish(&qp->rx);

	if (err == -EINPROGRESS)
		return false;
	/* After a failure the loop ends, and the flush drops the rest. */
	while (hodp_qp_receives(qp)) {
		if (!qp->rx_cur)
			qp->rx_cur = hodp_dgram_next(qp);
		if (!qp->rx_cur)
			return false;
		if (--*budget < 0)
			return true;
		if (!hodp_dgram_take_recv(qp))
			continue;
		if (err)
			hodp_dgram_finish(qp, IB_WC_LOC_PROT_ERR);
		else if (!hodp_dgram_deliver(qp))
			return false;
		err = 0;
		cond_resched();
	}
	return false;
}
