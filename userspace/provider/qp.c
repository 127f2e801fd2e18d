// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs: create, modify, query, destroy.  Posting is in send.c, wr.c and
 * srq.c.
 *
 * Types: RC, UC and UD, if the kernel supports them.  A transition to RESET
 * empties the queues: the kernel and the provider restart both rings from index
 * 0, and completions of the QP that were not polled yet are dropped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "hmm_odp.h"

static size_t hodp_send_stride(uint32_t max_sge, uint32_t max_inline)
{
	size_t sges = (size_t)max_sge * sizeof(struct hodp_sge);

	return sizeof(struct hodp_send_wqe) +
	       (sges > max_inline ? sges : max_inline);
}

static int hodp_qp_check_attr(const struct hodp_context *ctx,
			      const struct ibv_qp_init_attr_ex *attr)
{
	uint64_t ops = hodp_send_ops(attr->qp_type);

	/* An unknown type can post nothing. */
	if (!ops)
		return EOPNOTSUPP;
	if (!check_comp_mask(attr->comp_mask,
			     IBV_QP_INIT_ATTR_PD |
				     IBV_QP_INIT_ATTR_CREATE_FLAGS |
				     IBV_QP_INIT_ATTR_SEND_OPS_FLAGS))
		return EOPNOTSUPP;
	if (attr->comp_mask & IBV_QP_INIT_ATTR_CREATE_FLAGS &&
	    attr->create_flags)
		return EOPNOTSUPP;
	if (attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS &&
	    attr->send_ops_flags & ~ops)
		return EOPNOTSUPP;
	if (!(attr->comp_mask & IBV_QP_INIT_ATTR_PD) ||
	    attr->cap.max_inline_data > ctx->max_inline)
		return EINVAL;
	return 0;
}

static int hodp_qp_map(struct hodp_qp *qp,
		       const struct hodp_create_qp_resp *resp,
		       const struct ibv_qp_init_attr_ex *attr)
{
	struct ibv_context *ctx = qp->vqp.qp.context;
	bool locks = hodp_pd_needs_locks(attr->pd);
	int err;

	qp->sq.max_sge = attr->cap.max_send_sge;
	qp->sq.max_inline = attr->cap.max_inline_data;
	err = hodp_ring_map(ctx, &resp->sq,
			    hodp_send_stride(qp->sq.max_sge, qp->sq.max_inline),
			    &qp->sq.ring);
	if (err)
		return err;

	qp->rq.max_sge = attr->cap.max_recv_sge;
	if (!attr->srq)
		err = hodp_ring_map(ctx, &resp->rq,
				    hodp_recv_stride(qp->rq.max_sge),
				    &qp->rq.ring);
	if (err) {
		hodp_ring_unmap(&qp->sq.ring);
		return err;
	}
	hodp_lock_init(&qp->sq.lock, locks);
	hodp_lock_init(&qp->rq.lock, locks);
	return 0;
}

struct ibv_qp *hodp_create_qp_ex(struct ibv_context *ctx,
				 struct ibv_qp_init_attr_ex *attr)
{
	struct hodp_cmd_create_qp_resp resp = {};
	struct ibv_create_qp_ex cmd = {};
	struct hodp_qp *qp;
	int err;

	err = hodp_qp_check_attr(to_hodp_context(ctx), attr);
	if (err)
		goto fail;
	qp = calloc(1, sizeof(*qp));
	if (!qp) {
		err = ENOMEM;
		goto fail;
	}

	err = hodp_core_create_qp_ex2(ctx, &qp->vqp, attr, &cmd, sizeof(cmd),
				      &resp.ibv_resp, sizeof(resp));
	if (err)
		goto free_qp;
	attr->cap.max_inline_data = resp.drv_payload.max_inline;
	err = hodp_qp_map(qp, &resp.drv_payload, attr);
	if (err)
		goto destroy_qp;

	if (attr->comp_mask & IBV_QP_INIT_ATTR_SEND_OPS_FLAGS) {
		hodp_wr_init(&qp->vqp.qp_ex, attr->send_ops_flags);
		qp->vqp.comp_mask |= VERBS_QP_EX;
	}
	return &qp->vqp.qp;

destroy_qp:
	ibv_cmd_destroy_qp(&qp->vqp.qp);
free_qp:
	free(qp);
fail:
	errno = err;
	return NULL;
}

struct ibv_qp *hodp_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	struct ibv_qp_init_attr_ex attr_ex = {
		.qp_context = attr->qp_context,
		.send_cq = attr->send_cq,
		.recv_cq = attr->recv_cq,
		.srq = attr->srq,
		.cap = attr->cap,
		.qp_type = attr->qp_type,
		.sq_sig_all = attr->sq_sig_all,
		.comp_mask = IBV_QP_INIT_ATTR_PD,
		.pd = pd,
	};
	struct ibv_qp *qp = hodp_create_qp_ex(pd->context, &attr_ex);

	if (qp)
		attr->cap = attr_ex.cap;
	return qp;
}

int hodp_query_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask,
		  struct ibv_qp_init_attr *init_attr)
{
	struct ibv_query_qp cmd;

	return ibv_cmd_query_qp(ibqp, attr, mask, init_attr, &cmd, sizeof(cmd));
}

static void hodp_qp_forget_completions(struct ibv_qp *ibqp)
{
	hodp_cq_forget_qp(ibqp->send_cq, ibqp->qp_num);
	if (ibqp->recv_cq != ibqp->send_cq)
		hodp_cq_forget_qp(ibqp->recv_cq, ibqp->qp_num);
}

int hodp_modify_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask)
{
	struct hodp_qp *qp = to_hodp_qp(ibqp);
	struct ibv_modify_qp cmd = {};
	int err;

	if (!(mask & IBV_QP_STATE) || attr->qp_state != IBV_QPS_RESET)
		return ibv_cmd_modify_qp(ibqp, attr, mask, &cmd, sizeof(cmd));

	/*
	 * Hold the locks during the command: a thread that posts meanwhile
	 * could publish an old index in the restarted ring, and the kernel
	 * would execute all entries before it.
	 */
	hodp_lock(&qp->sq.lock);
	hodp_lock(&qp->rq.lock);
	err = ibv_cmd_modify_qp(ibqp, attr, mask, &cmd, sizeof(cmd));
	if (!err) {
		hodp_ring_restart(&qp->sq.ring);
		hodp_ring_restart(&qp->rq.ring);
		hodp_qp_forget_completions(ibqp);
	}
	hodp_unlock(&qp->rq.lock);
	hodp_unlock(&qp->sq.lock);
	return err;
}

int hodp_destroy_qp(struct ibv_qp *ibqp)
{
	struct hodp_qp *qp = to_hodp_qp(ibqp);
	int err;

	err = ibv_cmd_destroy_qp(ibqp);
	if (err)
		return err;

	/*
	 * Completions that were not polled yet stay: the operations have
	 * ended, and libfabric polls for them after this call.
	 */
	hodp_ring_unmap(&qp->sq.ring);
	hodp_ring_unmap(&qp->rq.ring);
	hodp_lock_destroy(&qp->sq.lock);
	hodp_lock_destroy(&qp->rq.lock);
	free(qp);
	return 0;
}
