// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completions.
 *
 * Every operation and receive request leaves its QP through exactly one of
 * these functions.  Each clears @active before it returns, so nothing is
 * completed twice.  If the CQ has overrun and cannot take the completion, the
 * QP goes to the error state, once (IBTA 11.6.3.2).
 */
#include "complete.h"
#include "fault.h"

static void hodp_complete_push(struct hodp_qp *qp, struct hodp_cq *cq,
			       struct hodp_cqe *cqe, bool solicited)
{
	cqe->qp_num = qp->ibqp.qp_num;
	cqe->kernel = (unsigned long)&qp->ibqp;
	if (unlikely(hodp_cq_push(cq, cqe, solicited)))
		hodp_qp_error(qp, IB_EVENT_QP_FATAL);
}

static void hodp_complete_send_cqe(struct hodp_qp *qp, struct hodp_op *op,
				   enum ib_wc_status status)
{
	struct hodp_cqe cqe = {
		.wr_id = op->wqe.wr_id,
		.status = status,
		.opcode = op->row ? op->row->wc : 0,
		.byte_len = op->total,
	};

	hodp_complete_push(qp, qp->send_cq, &cqe, status != IB_WC_SUCCESS);
}

static void hodp_complete_count(struct hodp_device *dev,
				enum ib_wc_status status)
{
	static const enum hodp_counter counters[] = {
		[IB_WC_REM_INV_REQ_ERR] = HODP_CNT_REM_INVALID,
		[IB_WC_REM_ACCESS_ERR] = HODP_CNT_REM_ACCESS,
		[IB_WC_REM_OP_ERR] = HODP_CNT_REM_OP,
		[IB_WC_RETRY_EXC_ERR] = HODP_CNT_RETRIES_EXCEEDED,
		[IB_WC_RNR_RETRY_EXC_ERR] = HODP_CNT_RNR_EXCEEDED,
	};

	if (status < ARRAY_SIZE(counters) && counters[status])
		hodp_count(dev, counters[status], 1);
}

/* Out of line, so that success needs no stack frame. */
static noinline void hodp_complete_failed(struct hodp_qp *qp,
					  struct hodp_op *op,
					  enum ib_wc_status status)
{
	bool failed;

	hodp_complete_count(hodp_qp_dev(qp), status);
	failed = status != IB_WC_WR_FLUSH_ERR &&
		 hodp_qp_fail(qp, hodp_qp_service(qp)->send_failed);
	hodp_complete_send_cqe(qp, op, status);
	if (failed)
		hodp_qp_flush(qp);
}

static void hodp_complete_op(struct hodp_qp *qp, struct hodp_op *op,
			     enum ib_wc_status status)
{
	op->active = false;
	hodp_ring_release(&qp->sq.q.ring, op->index + 1);
	if (unlikely(status != IB_WC_SUCCESS)) {
		hodp_complete_failed(qp, op, status);
		return;
	}
	hodp_count(hodp_qp_dev(qp), HODP_CNT_BYTES, op->total);
	if (qp->sq.sig_all || (op->wqe.send_flags & IB_SEND_SIGNALED))
		hodp_complete_send_cqe(qp, op, status);
}

void hodp_complete_send(struct hodp_qp *qp, enum ib_wc_status status)
{
	hodp_payload_unbind(&qp->payload);
	hodp_complete_op(qp, &qp->op, status);
}

void hodp_complete_oldest(struct hodp_qp *qp, enum ib_wc_status status)
{
	struct hodp_op *op = hodp_outstanding_oldest(&qp->out);

	if (qp->payload.index == op->index)
		hodp_payload_unbind(&qp->payload);
	qp->out.first++;
	hodp_complete_op(qp, op, status);
}

void hodp_complete_recv(struct hodp_qp *qp, struct hodp_inbound *in,
			enum ib_wc_status status,
			const struct hodp_recv_info *info)
{
	struct hodp_cqe cqe = {
		.wr_id = in->recv.wr_id,
		.status = status,
		.opcode = info->opcode,
		.byte_len = info->byte_len,
		.imm_inv = info->imm_inv,
		.src_qp = info->src_qp,
		.wc_flags = info->wc_flags,
		.network_hdr_type = info->net_type,
	};

	hodp_inbound_unbind(in);
	in->active = false;
	hodp_complete_push(qp, qp->recv_cq, &cqe,
			   info->solicited || status != IB_WC_SUCCESS);
}

void hodp_complete_flush_send(struct hodp_qp *qp, u32 *left)
{
	hodp_fault_drop(&qp->req);
	qp->stall = HODP_RUN;
	for (; *left && hodp_outstanding_num(&qp->out); (*left)--)
		hodp_complete_oldest(qp, IB_WC_WR_FLUSH_ERR);
	/* Invalid entries are flushed like valid ones. */
	while (*left && !READ_ONCE(qp->dying) &&
	       (qp->op.active ||
		hodp_op_fetch(&qp->op, &qp->payload, &qp->sq) != 0)) {
		if (!qp->op.active)
			break; /* the ring's index is corrupt */
		hodp_complete_send(qp, IB_WC_WR_FLUSH_ERR);
		(*left)--;
	}
}

static void hodp_complete_flush_one(struct hodp_qp *qp, struct hodp_inbound *in)
{
	static const struct hodp_recv_info info = { .opcode = IB_WC_RECV };

	if (in->active)
		hodp_complete_recv(qp, in, IB_WC_WR_FLUSH_ERR, &info);
}

/* Flush the inbound message.  Return: false: a peer still executes it, and will
 * kick this runner when it leaves.
 */
static bool hodp_complete_flush_inbound(struct hodp_qp *qp)
{
	if (!hodp_qp_is_left(qp))
		return false;
	hodp_complete_flush_one(qp, &qp->in);
	return true;
}

/* Flush the QP's own receive queue, at most one ring's length per call. */
static bool hodp_complete_flush_rq(struct hodp_qp *qp)
{
	struct hodp_inbound *in = &qp->rx_in;
	u32 left = qp->rq.q.ring.mask + 1;

	/* A doorbell will flush receives that are posted from now on. */
	hodp_rq_want_doorbell(&qp->rq, true);
	for (;;) {
		int ret = hodp_rq_pop(&qp->rq, &in->recv);

		if (!ret || ret == -EPROTO)
			return true;
		/* An invalid entry (-EINVAL) is flushed like a valid one. */
		in->active = true;
		hodp_complete_flush_one(qp, in);
		if (!left-- || READ_ONCE(qp->dying))
			return false;
	}
}

bool hodp_complete_flush_recv(struct hodp_qp *qp)
{
	bool raise;

	hodp_fault_drop(&qp->rx);
	if (!hodp_complete_flush_inbound(qp))
		return true;
	hodp_complete_flush_one(qp, &qp->rx_in);
	hodp_qp_drop_dgrams(qp);
	if (!qp->srq)
		return hodp_complete_flush_rq(qp);
	spin_lock_bh(&qp->lock);
	raise = !qp->last_wqe;
	qp->last_wqe = true;
	spin_unlock_bh(&qp->lock);
	if (raise)
		hodp_qp_event(qp, IB_EVENT_QP_LAST_WQE_REACHED);
	return true;
}
