// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The state gate: modify and query.
 *
 * The core's table (ib_modify_qp_is_ok()) says which attributes each transition
 * requires and allows (IBTA 11.2.5.2).  This file checks the values, stores
 * them, and then acts on the transition in one place:
 *
 *   any -> RESET   both runners and the inbound side are stopped, everything
 *                  in flight is dropped, the rings start from 0
 *   -> ERR         the runners are kicked; they flush
 *   -> SQD         the requester is kicked; it reports when it has drained
 *   SQD -> SQD     a new address vector is for all packets from then on
 *   RTS, SQD->RTS  the requester is kicked; it may have work
 *   SQE -> RTS     requests posted before it are flushed, later ones executed
 */
#include "mcast.h"
#include "qp.h"
#include "trace.h"
#include "transport.h"

/* Rights that a QP can grant.  Consumers also pass rights that apply to regions
 * only; these are accepted, as other devices do, and ignored.
 */
#define HODP_QP_ACCESS                                    \
	(IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE | \
	 IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_ATOMIC)

static int hodp_qp_check_av(struct hodp_qp *qp, const struct rdma_ah_attr *av)
{
	if (av->type != RDMA_AH_ATTR_TYPE_ROCE ||
	    !(rdma_ah_get_ah_flags(av) & IB_AH_GRH))
		return -EINVAL;
	if (hodp_gid_is_mcast(&av->grh.dgid) ||
	    !hodp_transport_for(hodp_qp_dev(qp), &av->grh.dgid))
		return -EHOSTUNREACH;
	return 0;
}

static int hodp_qp_check_attr(struct hodp_qp *qp, const struct ib_qp_attr *attr,
			      int mask)
{
	if ((mask & IB_QP_PORT) && attr->port_num != HODP_PORT)
		return -EINVAL;
	if ((mask & IB_QP_PKEY_INDEX) && attr->pkey_index)
		return -EINVAL;
	if ((mask & IB_QP_ACCESS_FLAGS) &&
	    (attr->qp_access_flags & ~IB_ACCESS_SUPPORTED))
		return -EINVAL;
	if ((mask & IB_QP_PATH_MTU) &&
	    (attr->path_mtu < IB_MTU_256 || attr->path_mtu > IB_MTU_4096))
		return -EINVAL;
	if ((mask & IB_QP_MAX_QP_RD_ATOMIC) &&
	    attr->max_rd_atomic > HODP_MAX_RD_ATOM)
		return -EINVAL;
	if ((mask & IB_QP_MAX_DEST_RD_ATOMIC) &&
	    attr->max_dest_rd_atomic > HODP_MAX_RD_ATOM)
		return -EINVAL;
	if ((mask & IB_QP_TIMEOUT) && attr->timeout > 31)
		return -EINVAL;
	if ((mask & IB_QP_MIN_RNR_TIMER) && attr->min_rnr_timer > 31)
		return -EINVAL;
	if (((mask & IB_QP_RETRY_CNT) && attr->retry_cnt > 7) ||
	    ((mask & IB_QP_RNR_RETRY) && attr->rnr_retry > 7))
		return -EINVAL;
	if ((mask & IB_QP_DEST_QPN) && attr->dest_qp_num > 0xffffff)
		return -EINVAL;
	/* There is no alternate path, so no migration; the core has the same
	 * rule for RoCE.
	 */
	if ((mask & IB_QP_ALT_PATH) ||
	    ((mask & IB_QP_PATH_MIG_STATE) &&
	     attr->path_mig_state != IB_MIG_MIGRATED))
		return -EINVAL;
	if (mask & IB_QP_AV)
		return hodp_qp_check_av(qp, &attr->ah_attr);
	return 0;
}

static void hodp_qp_store_attr(struct hodp_qp *qp,
			       const struct ib_qp_attr *attr, int mask)
{
	struct ib_qp_attr *a = &qp->attr;

	lockdep_assert_held(&qp->lock);
	if (mask & IB_QP_ACCESS_FLAGS)
		WRITE_ONCE(a->qp_access_flags,
			   attr->qp_access_flags & HODP_QP_ACCESS);
	if (mask & IB_QP_PKEY_INDEX)
		a->pkey_index = attr->pkey_index;
	if (mask & IB_QP_PORT)
		a->port_num = attr->port_num;
	if (mask & IB_QP_QKEY)
		WRITE_ONCE(a->qkey, attr->qkey);
	if (mask & IB_QP_AV) {
		a->ah_attr = attr->ah_attr;
		/* The core holds the GID; query needs its index only. */
		a->ah_attr.grh.sgid_attr = NULL;
	}
	if (mask & IB_QP_PATH_MTU)
		a->path_mtu = attr->path_mtu;
	if (mask & IB_QP_TIMEOUT)
		WRITE_ONCE(a->timeout, attr->timeout);
	if (mask & IB_QP_RETRY_CNT)
		WRITE_ONCE(a->retry_cnt, attr->retry_cnt);
	if (mask & IB_QP_RNR_RETRY)
		WRITE_ONCE(a->rnr_retry, attr->rnr_retry);
	if (mask & IB_QP_RQ_PSN)
		a->rq_psn = attr->rq_psn & 0xffffff;
	if (mask & IB_QP_SQ_PSN)
		a->sq_psn = attr->sq_psn & 0xffffff;
	if (mask & IB_QP_MAX_QP_RD_ATOMIC)
		WRITE_ONCE(a->max_rd_atomic, attr->max_rd_atomic);
	if (mask & IB_QP_MAX_DEST_RD_ATOMIC)
		WRITE_ONCE(a->max_dest_rd_atomic, attr->max_dest_rd_atomic);
	if (mask & IB_QP_MIN_RNR_TIMER)
		WRITE_ONCE(a->min_rnr_timer, attr->min_rnr_timer);
	if (mask & IB_QP_DEST_QPN)
		a->dest_qp_num = attr->dest_qp_num;
	if (mask & IB_QP_EN_SQD_ASYNC_NOTIFY)
		WRITE_ONCE(a->en_sqd_async_notify, attr->en_sqd_async_notify);
}

/* On the way from INIT to RTR, before the QP accepts messages. */
static int hodp_qp_attach(struct hodp_qp *qp, const struct ib_qp_attr *attr)
{
	int ret;

	lockdep_assert_held(&qp->modify_lock);
	qp->transport =
		hodp_transport_for(hodp_qp_dev(qp), &attr->ah_attr.grh.dgid);
	if (!qp->transport)
		return -EHOSTUNREACH;
	ret = qp->transport->attach(qp, attr);
	if (ret)
		qp->transport = NULL;
	return ret;
}

void hodp_qp_detach(struct hodp_qp *qp)
{
	if (qp->transport)
		qp->transport->detach(qp);
}

/* Stop everything and put the QP into the state of a new one. */
static void hodp_qp_reset(struct hodp_qp *qp)
{
	hodp_runner_own(&qp->req);
	hodp_runner_own(&qp->rx);
	hodp_qp_wait_left(qp);
	hodp_qp_abandon(qp);
	hodp_qp_detach(qp);
	hodp_queue_reset(&qp->sq.q);
	if (!qp->srq) {
		hodp_queue_reset(&qp->rq.q);
		hodp_rq_want_doorbell(&qp->rq, false);
	}
	if (!hodp_queue_is_user(&qp->sq.q)) {
		hodp_cq_forget_qp(qp->send_cq, &qp->ibqp);
		hodp_cq_forget_qp(qp->recv_cq, &qp->ibqp);
	}
	memset(&qp->attr, 0, sizeof(qp->attr));
	qp->attr.port_num = HODP_PORT;
	qp->comm_est = false;
	qp->last_wqe = false;
	qp->rnr_waiter = false;
	qp->sent = 0;
	qp->out.first = qp->out.end;
	hodp_runner_disown(&qp->rx);
	hodp_runner_disown(&qp->req);
}

static void hodp_qp_entered(struct hodp_qp *qp, enum ib_qp_state to)
{
	switch (to) {
	case IB_QPS_RESET:
		hodp_qp_reset(qp);
		break;
	case IB_QPS_ERR:
		hodp_runner_kick(&qp->rx);
		fallthrough;
	case IB_QPS_SQD:
	case IB_QPS_RTS:
		hodp_runner_kick(&qp->req);
		break;
	default:
		break;
	}
}

/* One transition.  For a transition to RTS the caller owns the requester. */
static int hodp_qp_transit(struct hodp_qp *qp, const struct ib_qp_attr *attr,
			   int mask)
{
	enum ib_qp_state from, to;
	int ret = 0;

	lockdep_assert_held(&qp->modify_lock);
	spin_lock_bh(&qp->lock);
	from = qp->state;
	if ((mask & IB_QP_CUR_STATE) && attr->cur_qp_state != from &&
	    !(attr->cur_qp_state == IB_QPS_RTS && from == IB_QPS_SQE)) {
		ret = -EINVAL;
		goto out;
	}
	to = mask & IB_QP_STATE ? attr->qp_state : from;
	if (!ib_modify_qp_is_ok(from, to, qp->ibqp.qp_type, mask)) {
		ret = -EINVAL;
		goto out;
	}
	hodp_qp_store_attr(qp, attr, mask);
	if (from != to)
		trace_hodp_qp_state(qp->ibqp.qp_num, from, to);
	if (from == IB_QPS_SQE && to == IB_QPS_RTS)
		qp->flush_left = max(hodp_ring_pending(&qp->sq.q.ring), 0);
	/* Pairs with the acquire in hodp_qp_receives(); orders @attr. */
	smp_store_release(&qp->state, to);
out:
	spin_unlock_bh(&qp->lock);
	if (!ret && (mask & IB_QP_STATE))
		hodp_qp_entered(qp, to);
	return ret;
}

/* INIT -> RTR.  A late timer or work item may run a runner even now, so own them
 * while the transport's state is made, or taken away again.
 */
static int hodp_qp_begin(struct hodp_qp *qp, const struct ib_qp_attr *attr,
			 int mask)
{
	int ret;

	lockdep_assert_held(&qp->modify_lock);
	hodp_runner_own(&qp->req);
	hodp_runner_own(&qp->rx);
	ret = hodp_qp_attach(qp, attr);
	if (!ret) {
		ret = hodp_qp_transit(qp, attr, mask);
		if (ret)
			hodp_qp_detach(qp);
	}
	hodp_runner_disown(&qp->rx);
	hodp_runner_disown(&qp->req);
	return ret;
}

static int hodp_qp_new_address(struct hodp_qp *qp,
			       const struct ib_qp_attr *attr, int mask)
{
	const struct hodp_transport *via =
		hodp_transport_for(hodp_qp_dev(qp), &attr->ah_attr.grh.dgid);

	if (READ_ONCE(qp->state) != IB_QPS_SQD ||
	    ((mask & IB_QP_STATE) && attr->qp_state != IB_QPS_SQD) ||
	    !ib_modify_qp_is_ok(IB_QPS_SQD, IB_QPS_SQD, qp->ibqp.qp_type, mask))
		return -EINVAL;
	/* The peer's QP stays the same one. */
	if (via != qp->transport)
		return -EINVAL;
	return via->readdress ? via->readdress(qp, attr) : 0;
}

/* SQD -> SQD with another address vector (IBTA table 91).  The runners use the old
 * one.
 */
static int hodp_qp_readdress(struct hodp_qp *qp, const struct ib_qp_attr *attr,
			     int mask)
{
	int ret;

	lockdep_assert_held(&qp->modify_lock);
	/* uverbs adds the port to every new address vector, but the core's table
	 * of transitions does not let a UC QP change it.  There is only one port.
	 */
	if (qp->ibqp.qp_type == IB_QPT_UC)
		mask &= ~IB_QP_PORT;
	hodp_runner_own(&qp->req);
	hodp_runner_own(&qp->rx);
	ret = hodp_qp_new_address(qp, attr, mask);
	if (!ret)
		ret = hodp_qp_transit(qp, attr, mask);
	hodp_runner_disown(&qp->rx);
	hodp_runner_disown(&qp->req);
	return ret;
}

int hodp_qp_modify(struct hodp_qp *qp, struct ib_qp_attr *attr, int mask)
{
	bool to_rts = (mask & IB_QP_STATE) && attr->qp_state == IB_QPS_RTS;
	bool begins;
	int ret;

	if (mask & ~IB_QP_ATTR_STANDARD_BITS)
		return -EOPNOTSUPP;
	ret = hodp_qp_check_attr(qp, attr, mask);
	if (ret)
		return ret;
	mutex_lock(&qp->modify_lock);
	begins = qp->state == IB_QPS_INIT && (mask & IB_QP_STATE) &&
		 attr->qp_state == IB_QPS_RTR && (mask & IB_QP_AV);
	if (begins) {
		ret = hodp_qp_begin(qp, attr, mask);
		goto out;
	}
	if (mask & IB_QP_AV) {
		ret = hodp_qp_readdress(qp, attr, mask);
		goto out;
	}
	/* Only the requester moves to SQE, so the state cannot change to SQE
	 * while we own it.
	 */
	if (to_rts)
		hodp_runner_own(&qp->req);
	ret = hodp_qp_transit(qp, attr, mask);
	if (to_rts)
		hodp_runner_disown(&qp->req);
out:
	mutex_unlock(&qp->modify_lock);
	return ret;
}

void hodp_qp_query(struct hodp_qp *qp, struct ib_qp_attr *attr,
		   struct ib_qp_init_attr *init)
{
	struct ib_qp_cap *cap = &attr->cap;

	spin_lock_bh(&qp->lock);
	*attr = qp->attr;
	attr->qp_state = qp->state;
	attr->cur_qp_state = qp->state;
	attr->sq_draining = qp->state == IB_QPS_SQD && !qp->drained;
	spin_unlock_bh(&qp->lock);
	cap->max_send_wr = qp->sq.max_wr;
	cap->max_send_sge = qp->sq.max_sge;
	cap->max_inline_data = qp->sq.max_inline;
	cap->max_recv_wr = qp->max_recv_wr;
	cap->max_recv_sge = qp->srq ? 0 : qp->rq.max_sge;

	init->event_handler = qp->ibqp.event_handler;
	init->qp_context = qp->ibqp.qp_context;
	init->send_cq = qp->ibqp.send_cq;
	init->recv_cq = qp->ibqp.recv_cq;
	init->srq = qp->ibqp.srq;
	init->cap = *cap;
	init->sq_sig_type = qp->sq.sig_all ? IB_SIGNAL_ALL_WR :
					     IB_SIGNAL_REQ_WR;
	init->qp_type = qp->ibqp.qp_type;
	init->port_num = HODP_PORT;
}
