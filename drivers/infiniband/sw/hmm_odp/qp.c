// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs: lifetime and runners.
 *
 * Language
 *   requester  the @req runner: executes the send queue, one operation at a
 *              time; it owns @op and every field marked "owned by @req"
 *   receiver   the @rx runner: delivers datagrams, flushes the receive queue
 *   inbound    the message that a connected peer's requester executes here; the
 *              requester owns @in between hodp_qp_enter() and hodp_qp_leave(),
 *              see qp_inbound.c
 *
 * Runners.  No other QP waits for a runner.  A runner never sleeps for a page
 * fault (fault.c does), and it checks @dying and @state between bounded pieces
 * of work, so hodp_runner_own() takes bounded time.
 *
 * Lifetime.  qps[qpn] holds one reference, each look-up another.  Destroy marks
 * the QP dying, removes it from the table, owns both runners for good, and
 * waits for the references.  A page fault holds no reference while it sleeps.
 *
 * Lock order: modify_lock -> qp->lock; modify_lock -> in_lock -> rq.lock;
 * qp->lock, rx_lock, sq.lock, rq.lock and due.lock (deadline.c) are taken in
 * softirq, too; in_lock is not.
 * No spinlock of a QP is held when cq->lock or a chunk lock (mirror.c) is taken.
 */
#include <linux/sched.h>
#include "charge.h"
#include "fault.h"
#include "flight.h"
#include "job.h"
#include "qp.h"
#include "trace.h"

void hodp_qp_recv_posted(struct hodp_qp *qp)
{
	/* The runner reads it with xchg(); queue_work() is a full barrier. */
	WRITE_ONCE(qp->recv_posted, true);
	hodp_runner_kick(&qp->req);
}

/* ---- references and events ---- */

struct hodp_qp *hodp_qp_find(struct xarray *table, unsigned long qpn)
{
	struct hodp_qp_handle *h;
	struct hodp_qp *qp = NULL;

	rcu_read_lock();
	h = xa_load(table, qpn);
	if (h && refcount_inc_not_zero(&h->refs))
		qp = h->qp;
	rcu_read_unlock();
	return qp;
}

bool hodp_qp_hold(struct hodp_qp *qp)
{
	return refcount_inc_not_zero(&qp->handle->refs);
}

void hodp_qp_put(struct hodp_qp *qp)
{
	if (refcount_dec_and_test(&qp->handle->refs))
		complete(&qp->gone);
}

void hodp_qp_event(struct hodp_qp *qp, enum ib_event_type event)
{
	struct ib_event ev = {
		.device = qp->ibqp.device,
		.element.qp = &qp->ibqp,
		.event = event,
	};

	if (qp->ibqp.event_handler)
		qp->ibqp.event_handler(&ev, qp->ibqp.qp_context);
}

bool hodp_qp_fail(struct hodp_qp *qp, enum ib_qp_state to)
{
	bool change;

	spin_lock_bh(&qp->lock);
	change = qp->state != to && qp->state != IB_QPS_ERR &&
		 qp->state != IB_QPS_RESET && !qp->dying;
	if (change) {
		trace_hodp_qp_state(qp->ibqp.qp_num, qp->state, to);
		WRITE_ONCE(qp->state, to);
	}
	spin_unlock_bh(&qp->lock);
	return change;
}

void hodp_qp_flush(struct hodp_qp *qp)
{
	hodp_runner_kick(&qp->req);
	hodp_runner_kick(&qp->rx);
}

void hodp_qp_error(struct hodp_qp *qp, int event)
{
	if (!hodp_qp_fail(qp, IB_QPS_ERR))
		return;
	if (event >= 0)
		hodp_qp_event(qp, event);
	hodp_qp_flush(qp);
}

/* ---- creation and destruction ---- */

static int hodp_qp_check_init(const struct ib_qp_init_attr *init, bool user)
{
	const struct hodp_service *service = hodp_service_row(init->qp_type);
	const struct ib_qp_cap *cap = &init->cap;

	if (!service || (service->kernel_only && user) || init->create_flags)
		return -EOPNOTSUPP;
	if (!init->send_cq || !init->recv_cq)
		return -EINVAL;
	if (cap->max_send_wr > HODP_MAX_QP_WR ||
	    cap->max_send_sge > HODP_MAX_SGE ||
	    cap->max_inline_data > HODP_MAX_INLINE)
		return -EINVAL;
	if (!init->srq && (cap->max_recv_wr > HODP_MAX_QP_WR ||
			   cap->max_recv_sge > HODP_MAX_SGE))
		return -EINVAL;
	return 0;
}

static void hodp_qp_init_fields(struct hodp_qp *qp,
				const struct ib_qp_init_attr *init)
{
	init_completion(&qp->gone);
	mutex_init(&qp->modify_lock);
	spin_lock_init(&qp->lock);
	spin_lock_init(&qp->sq.lock);
	spin_lock_init(&qp->in_lock);
	spin_lock_init(&qp->rx_lock);
	INIT_LIST_HEAD(&qp->rx_list);
	init_waitqueue_head(&qp->drain);
	qp->state = IB_QPS_RESET;
	qp->attr.qp_state = IB_QPS_RESET;
	qp->attr.port_num = HODP_PORT;
	qp->sq.service = hodp_service_row(init->qp_type);
	qp->sq.sig_all = init->sq_sig_type == IB_SIGNAL_ALL_WR;
	qp->send_cq = to_hodp_cq(init->send_cq);
	qp->recv_cq = to_hodp_cq(init->recv_cq);
	qp->srq = init->srq ? to_hodp_srq(init->srq) : NULL;
}

/* Allocate the rings and set the capabilities to what was granted. */
static int hodp_qp_init_queues(struct hodp_qp *qp, struct ib_qp_cap *cap,
			       struct ib_ucontext *uctx)
{
	u32 sges = max(cap->max_send_sge, 1U);
	u32 tail = max_t(u32, sges * sizeof(struct hodp_sge),
			 ALIGN(cap->max_inline_data, sizeof(struct hodp_sge)));
	u32 stride = ALIGN(sizeof(struct hodp_send_wqe) + tail, 64);
	int ret;

	ret = hodp_queue_alloc(&qp->sq.q, max(cap->max_send_wr, 1U), stride,
			       uctx);
	if (ret)
		return ret;
	/* Grant all the space of an entry, for SGEs or inline data. */
	tail = stride - sizeof(struct hodp_send_wqe);
	qp->sq.max_wr = qp->sq.q.ring.mask + 1;
	qp->sq.max_sge =
		min_t(u32, tail / sizeof(struct hodp_sge), HODP_MAX_SGE);
	qp->sq.max_inline = min_t(u32, tail, HODP_MAX_INLINE);
	cap->max_send_wr = qp->sq.max_wr;
	cap->max_send_sge = qp->sq.max_sge;
	cap->max_inline_data = qp->sq.max_inline;
	if (qp->srq) {
		cap->max_recv_wr = 0;
		cap->max_recv_sge = 0;
		return 0;
	}
	ret = hodp_rq_init(&qp->rq, max(cap->max_recv_wr, 1U),
			   cap->max_recv_sge, uctx);
	if (ret) {
		hodp_queue_free(&qp->sq.q);
		return ret;
	}
	qp->max_recv_wr = qp->rq.q.ring.mask + 1;
	cap->max_recv_wr = qp->max_recv_wr;
	cap->max_recv_sge = qp->rq.max_sge;
	return 0;
}

static int hodp_qp_number(struct hodp_qp *qp)
{
	struct hodp_device *dev = hodp_qp_dev(qp);
	int ret;

	if (qp->ibqp.qp_type == IB_QPT_GSI) {
		qp->ibqp.qp_num = 1;
		ret = xa_insert_irq(&dev->qps, 1, qp->handle, GFP_KERNEL);
		return ret == -EBUSY ? -EINVAL : ret;
	}
	ret = xa_alloc_cyclic_irq(&dev->qps, &qp->ibqp.qp_num, NULL,
				  XA_LIMIT(HODP_FIRST_QPN, HODP_LAST_QPN),
				  &dev->next_qpn, GFP_KERNEL_ACCOUNT);
	if (ret < 0)
		return ret == -EBUSY ? -ENOMEM : ret;
	xa_store_irq(&dev->qps, qp->ibqp.qp_num, qp->handle, GFP_KERNEL);
	return 0;
}

static int hodp_qp_publish(struct hodp_qp *qp)
{
	int ret;

	qp->handle = kzalloc_obj(*qp->handle, GFP_KERNEL_ACCOUNT);
	if (!qp->handle)
		return -ENOMEM;
	qp->handle->qp = qp;
	refcount_set(&qp->handle->refs, 1);
	ret = hodp_qp_number(qp);
	if (ret)
		kfree(qp->handle);
	return ret;
}

/* Use the calling process's workqueue and memory cgroup for the QP. */
static int hodp_qp_set_user(struct hodp_qp *qp)
{
	qp->user = hodp_user_get();
	if (!qp->user)
		return -ENOMEM;
	hodp_runner_set_wq(&qp->req, hodp_user_wq(qp->user));
	hodp_runner_set_wq(&qp->rx, hodp_user_wq(qp->user));
	qp->memcg = get_mem_cgroup_from_mm(current->mm);
	return 0;
}

static void hodp_qp_put_user(struct hodp_qp *qp)
{
	if (!qp->user)
		return;
	mem_cgroup_put(qp->memcg);
	hodp_user_put(qp->user);
}

int hodp_qp_init(struct hodp_qp *qp, struct ib_qp_init_attr *init,
		 struct ib_ucontext *uctx)
{
	int ret = hodp_qp_check_init(init, uctx);

	if (ret)
		return ret;
	hodp_qp_init_fields(qp, init);
	ret = hodp_qp_init_queues(qp, &init->cap, uctx);
	if (ret)
		return ret;
	ret = uctx ? hodp_qp_set_user(qp) : 0;
	if (ret)
		goto err_queues;
	ret = hodp_qp_publish(qp);
	if (ret)
		goto err_user;
	return 0;

err_user:
	hodp_qp_put_user(qp);
err_queues:
	hodp_queue_free(&qp->sq.q);
	hodp_rq_destroy(&qp->rq);
	return ret;
}

void hodp_qp_drop_dgrams(struct hodp_qp *qp)
{
	struct hodp_dgram *d, *next;
	LIST_HEAD(list);

	spin_lock_bh(&qp->rx_lock);
	list_splice_init(&qp->rx_list, &list);
	WRITE_ONCE(qp->rx_len, 0);
	spin_unlock_bh(&qp->rx_lock);
	list_for_each_entry_safe(d, next, &list, link)
		kfree(d);
	kfree(qp->rx_cur);
	qp->rx_cur = NULL;
}

void hodp_qp_abandon(struct hodp_qp *qp)
{
	hodp_fault_drop(&qp->req);
	hodp_fault_drop(&qp->rx);
	hodp_payload_unbind(&qp->payload);
	qp->op.active = false;
	qp->stall = HODP_RUN;
	qp->drained = false;
	qp->flush_left = 0;
	hodp_inbound_unbind(&qp->in);
	qp->in.active = false;
	hodp_inbound_unbind(&qp->rx_in);
	qp->rx_in.active = false;
	hodp_qp_drop_dgrams(qp);
}

void hodp_qp_destroy(struct hodp_qp *qp)
{
	struct hodp_device *dev = hodp_qp_dev(qp);

	spin_lock_bh(&qp->lock);
	WRITE_ONCE(qp->dying, true);
	spin_unlock_bh(&qp->lock);
	xa_erase_irq(&dev->qps, qp->ibqp.qp_num);
	hodp_runner_own(&qp->req);
	hodp_runner_own(&qp->rx);
	hodp_fault_drop(&qp->req);
	hodp_fault_drop(&qp->rx);
	hodp_qp_put(qp);
	wait_for_completion(&qp->gone);
	/* The QP cannot be found: only work that already runs can kick it. */
	hodp_deadline_stop(&qp->due);
	hodp_flight_end(qp->flight);
	hodp_qp_abandon(qp);
	/* Before the cancel: packets in the stack kick the runners until then. */
	hodp_qp_detach(qp);
	hodp_runner_cancel(&qp->req);
	hodp_runner_cancel(&qp->rx);
	if (!hodp_queue_is_user(&qp->sq.q)) {
		hodp_cq_forget_qp(qp->send_cq, &qp->ibqp);
		hodp_cq_forget_qp(qp->recv_cq, &qp->ibqp);
	}
	hodp_queue_free(&qp->sq.q);
	hodp_rq_destroy(&qp->rq);
	hodp_qp_put_user(qp);
	kfree_rcu(qp->handle, rcu);
}
