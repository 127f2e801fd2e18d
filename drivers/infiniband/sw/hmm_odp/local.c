// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The same-device transport: one call executes requester and responder, with
 * one copy and no packets.
 *
 * RC: the requester's runner enters the peer, lets respond.c move one bounded
 * piece from memory to memory, and leaves again.  A page fault on either side
 * stalls only this requester.
 *
 * UC: the same, but a request that RC would refuse, or repeat, is lost: the
 * requester completes with success, and the receiver knows nothing.
 *
 * UD: the payload is gathered into a buffer and queued at the destination,
 * whose own receiver delivers it.  So a receiver's page fault does not stall
 * the sender, at the cost of another copy of at most 4 KiB.  The buffer is
 * charged to the receiver, which may leave it in the queue for a long time.
 * Datagrams to a group come from roce.c, which sends them to the network as well.
 */
#include <rdma/ib_cache.h>
#include "ah.h"
#include "dgram.h"
#include "fault.h"
#include "local.h"
#include "mcast.h"
#include "respond.h"
#include "transport.h"

/* Datagrams that a sender delivers at a QP, including other senders'. */
#define HODP_DELIVER_STEPS 16

static enum hodp_verdict hodp_local_miss(struct hodp_qp *qp,
					 const struct hodp_miss *miss)
{
	struct hodp_op *op = &qp->op;
	bool incoming = op->row->flags & (HODP_OP_READ | HODP_OP_ATOMIC);

	op->fault_local = miss->source != incoming;
	return hodp_fault_begin(&qp->req, qp->memcg, miss) ? HODP_V_PAUSE :
							     HODP_V_FAULT;
}

static void hodp_local_request(const struct hodp_op *op,
			       struct hodp_request *req, struct hodp_sgl *data)
{
	*req = (struct hodp_request){
		.row = op->row,
		.addr = op->wqe.rdma.remote_addr,
		.rkey = op->wqe.rdma.rkey,
		.total = op->total,
		.avail = op->total,
		.done = op->done,
		.imm_inv = op->wqe.imm_inv,
		.solicited = op->wqe.send_flags & IB_SEND_SOLICITED,
		.begun = op->begun,
		.fault_err = op->fault_err,
		.atomic_old = op->atomic_old,
		.data = data,
	};
	if (!(op->row->flags & HODP_OP_ATOMIC))
		return;
	req->rkey = op->wqe.atomic.rkey;
	req->atomic.cmp_swap = op->wqe.opcode == IB_WR_ATOMIC_CMP_AND_SWP;
	req->atomic.compare_add = op->wqe.atomic.compare_add;
	req->atomic.swap = op->wqe.atomic.swap;
}

/* The peer does not take the request. */
static enum hodp_verdict hodp_local_lost(struct hodp_qp *qp)
{
	hodp_count(hodp_qp_dev(qp), HODP_CNT_UC_DROPS, 1);
	return hodp_op_end(&qp->op, IB_WC_SUCCESS);
}

/* The reply is @verdict, with @status if it ends the operation. */
static enum hodp_verdict hodp_local_refused(struct hodp_qp *qp,
					    enum hodp_verdict verdict,
					    enum ib_wc_status status)
{
	if (!hodp_qp_service(qp)->reliable)
		return hodp_local_lost(qp);
	qp->op.status = status;
	return verdict;
}

/* One piece, inside hodp_qp_enter() and hodp_qp_leave(). */
static enum hodp_verdict hodp_local_piece(struct hodp_qp *qp,
					  struct hodp_qp *peer)
{
	struct hodp_op *op = &qp->op;
	enum hodp_verdict verdict = HODP_V_DONE;
	struct hodp_request req;
	struct hodp_miss miss;

	hodp_local_request(op, &req, &qp->payload.sgl);
	switch (hodp_respond(peer, &req, &miss)) {
	case HODP_R_ACK:
		op->status = IB_WC_SUCCESS;
		break;
	case HODP_R_MORE:
	case HODP_R_NEXT:
		verdict = HODP_V_MORE;
		break;
	case HODP_R_MISS:
		verdict = hodp_local_miss(qp, &miss);
		break;
	case HODP_R_RNR:
		op->rnr_timer = req.rnr_timer;
		verdict = hodp_local_refused(qp, HODP_V_RNR, op->status);
		break;
	case HODP_R_INV_REQ:
		hodp_local_refused(qp, verdict, IB_WC_REM_INV_REQ_ERR);
		break;
	case HODP_R_REM_ACCESS:
		hodp_local_refused(qp, verdict, IB_WC_REM_ACCESS_ERR);
		break;
	case HODP_R_REM_OP:
		hodp_local_refused(qp, verdict, IB_WC_REM_OP_ERR);
		break;
	case HODP_R_DATA:
		op->status = hodp_op_status(req.data_err);
		break;
	}
	op->done = req.done;
	op->begun = req.begun;
	op->atomic_old = req.atomic_old;
	op->fault_err = 0;
	hodp_respond_release(peer);
	return verdict;
}

/* Describe @qp's requester to the peer. */
static void hodp_local_self(const struct hodp_qp *qp, struct hodp_peer *self)
{
	self->via = &hodp_local_transport;
	self->qpn = qp->ibqp.qp_num;
	self->psn = qp->attr.sq_psn;
	self->life = READ_ONCE(qp->incarnation);
	self->knows = qp->peer;
}

/* The peer cannot be entered. */
static enum hodp_verdict hodp_local_no_answer(struct hodp_qp *qp)
{
	return hodp_qp_service(qp)->reliable ? HODP_V_TIMEOUT :
					       hodp_local_lost(qp);
}

static enum hodp_verdict hodp_local_execute(struct hodp_qp *qp)
{
	enum hodp_verdict verdict;
	struct hodp_peer self;
	struct hodp_qp *peer;

	peer = hodp_qp_get(hodp_qp_dev(qp), qp->attr.dest_qp_num);
	if (unlikely(!peer))
		return hodp_local_no_answer(qp);
	hodp_local_self(qp, &self);
	if (unlikely(hodp_qp_enter(peer, &self))) {
		hodp_qp_put(peer);
		return hodp_local_no_answer(qp);
	}
	qp->peer = self.knows;
	verdict = hodp_local_piece(qp, peer);
	hodp_qp_leave(peer);
	hodp_qp_put(peer);
	return verdict;
}

/* ---- datagrams ---- */

/* Queue @d at @to, or drop it. */
static void hodp_local_deliver(struct hodp_qp *qp, struct hodp_qp *to,
			       struct hodp_dgram *d)
{
	if (!to) {
		hodp_count(hodp_qp_dev(qp), HODP_CNT_UD_DROPS, 1);
		kfree(d);
	} else if (hodp_dgram_enqueue(to, hodp_dgram_qkey(qp), d)) {
		/* Deliver to mapped memory now, as a doorbell does. */
		hodp_runner_run(&to->rx, HODP_DELIVER_STEPS);
	}
}

static void hodp_local_describe(struct hodp_qp *qp, const struct hodp_av *av,
				struct hodp_dgram *d)
{
	const struct hodp_op *op = &qp->op;

	d->len = op->total;
	d->src_qp = qp->ibqp.qp_num;
	d->solicited = op->wqe.send_flags & IB_SEND_SOLICITED;
	d->net_type = hodp_av_grh(av, op->total, d->grh);
	if (op->row->flags & HODP_OP_IMM) {
		d->imm = op->wqe.imm_inv;
		d->wc_flags = HODP_WC_WITH_IMM;
	}
}

void hodp_local_multicast(struct hodp_qp *qp, const struct hodp_av *av,
			  const void *data)
{
	struct hodp_device *dev = hodp_qp_dev(qp);
	u32 qpns[HODP_MCAST_COPIES];
	u32 i, num = hodp_mcast_members(dev, &av->dgid, qpns);

	for (i = 0; i < num; i++) {
		struct hodp_dgram *d;
		struct hodp_qp *to;

		if (qpns[i] == qp->ibqp.qp_num)
			continue;
		to = hodp_qp_get(dev, qpns[i]);
		if (!to)
			continue;
		d = hodp_dgram_alloc(to, qp->op.total, GFP_KERNEL);
		if (d) {
			hodp_local_describe(qp, av, d);
			memcpy(d->data, data, d->len);
			hodp_local_deliver(qp, to, d);
		} else {
			hodp_count(dev, HODP_CNT_UD_DROPS, 1);
		}
		hodp_qp_put(to);
	}
}

/* Gather and deliver to @to, or, if @to is NULL, to no QP. */
static enum hodp_verdict hodp_local_send(struct hodp_qp *qp,
					 const struct hodp_av *av,
					 struct hodp_qp *to)
{
	struct hodp_op *op = &qp->op;
	struct hodp_dgram *d =
		hodp_dgram_alloc(to ?: qp, op->total, GFP_KERNEL);
	struct hodp_miss miss;
	long ret;

	if (!d) {
		if (!to)
			return HODP_V_PAUSE;
		hodp_count(hodp_qp_dev(qp), HODP_CNT_UD_DROPS, 1);
		return hodp_op_end(op, IB_WC_SUCCESS);
	}
	ret = hodp_dgram_gather(qp, d->data, 0, op->total, &miss);
	if (ret) {
		kfree(d);
		return hodp_dgram_failed(qp, ret, &miss);
	}
	hodp_local_describe(qp, av, d);
	hodp_local_deliver(qp, to, d);
	return hodp_op_end(op, IB_WC_SUCCESS);
}

static enum hodp_verdict hodp_local_datagram(struct hodp_qp *qp,
					     const struct hodp_av *av)
{
	struct hodp_qp *to =
		hodp_qp_get(hodp_qp_dev(qp), qp->op.wqe.ud.dest_qpn);
	enum hodp_verdict verdict = hodp_local_send(qp, av, to);

	if (to)
		hodp_qp_put(to);
	return verdict;
}

/* ---- the contract ---- */

static bool hodp_local_reaches(struct hodp_device *dev, const union ib_gid *gid)
{
	const struct ib_gid_attr *attr;

	attr = rdma_find_gid_by_port(
		&dev->ibdev, gid, IB_GID_TYPE_ROCE_UDP_ENCAP, HODP_PORT, NULL);
	if (IS_ERR(attr))
		return false;
	rdma_put_gid_attr(attr);
	return true;
}

static int hodp_local_attach(struct hodp_qp *qp, const struct ib_qp_attr *attr)
{
	hodp_qp_reincarnate(qp);
	return 0;
}

static void hodp_local_detach(struct hodp_qp *qp)
{
	hodp_qp_forget_peer(qp);
}

/* End the peer's wait for a receive request. */
static void hodp_local_posted_recv(struct hodp_qp *qp)
{
	struct hodp_qp *peer;

	peer = hodp_qp_get(hodp_qp_dev(qp), qp->attr.dest_qp_num);
	if (!peer)
		return;
	/* Check the incarnation, because QPNs are reused. */
	if (READ_ONCE(qp->in_peer) == READ_ONCE(peer->incarnation))
		hodp_qp_recv_posted(peer);
	hodp_qp_put(peer);
}

static bool hodp_local_reachable(struct hodp_qp *qp)
{
	struct hodp_peer self;
	struct hodp_qp *peer;
	bool ok;

	peer = hodp_qp_get(hodp_qp_dev(qp), qp->attr.dest_qp_num);
	if (!peer)
		return false;
	hodp_local_self(qp, &self);
	ok = hodp_qp_would_enter(peer, &self);
	hodp_qp_put(peer);
	return ok;
}

const struct hodp_transport hodp_local_transport = {
	.name = "local",
	.reaches = hodp_local_reaches,
	.attach = hodp_local_attach,
	.detach = hodp_local_detach,
	.execute = hodp_local_execute,
	.datagram = hodp_local_datagram,
	.posted_recv = hodp_local_posted_recv,
	.reachable = hodp_local_reachable,
};
