// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Receive queues: a QP's own and the shared ones, which differ only in their
 * doorbell.
 *
 * Posting writes to the ring.  The kernel asks for a doorbell only if it must
 * act at once: a message waits for a buffer, or the queue is in the error state
 * and new requests must be flushed.
 *
 * Not supported: resizing an SRQ (the command has no response in which the
 * kernel could return a new ring), XRC and tag matching SRQs.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "hmm_odp.h"

size_t hodp_recv_stride(uint32_t max_sge)
{
	return sizeof(struct hodp_recv_wqe) +
	       (size_t)max_sge * sizeof(struct hodp_sge);
}

static void hodp_rq_fill(struct hodp_recv_wqe *wqe,
			 const struct ibv_recv_wr *wr)
{
	*wqe = (struct hodp_recv_wqe){
		.wr_id = wr->wr_id,
		.num_sge = wr->num_sge,
	};
	hodp_copy_sges((void *)(wqe + 1), wr->sg_list, wr->num_sge);
}

/*
 * Add receive requests.  *@bell: the kernel wants a doorbell for those that
 * were accepted.  Return: 0, EINVAL (too many SGEs), ENOMEM (full).
 */
static int hodp_rq_post(struct hodp_rq *rq, struct ibv_recv_wr *wr,
			struct ibv_recv_wr **bad_wr, bool *bell)
{
	struct hodp_ring *ring = &rq->ring;
	uint32_t next;
	int err = 0;

	hodp_lock(&rq->lock);
	for (next = ring->own; wr; wr = wr->next) {
		if ((uint32_t)wr->num_sge > rq->max_sge)
			err = EINVAL;
		else if (!hodp_ring_has_room(ring, next))
			err = ENOMEM;
		if (err) {
			*bad_wr = wr;
			break;
		}
		hodp_rq_fill(hodp_ring_at(ring, next++), wr);
	}

	*bell = false;
	if (next != ring->own) {
		hodp_ring_publish(ring, next);
		*bell = hodp_ring_wants_bell(ring);
	}
	hodp_unlock(&rq->lock);
	return err;
}

/*
 * The uverbs command without work requests; libibverbs only offers it with some,
 * in its own format.  Not inline, because posting seldom needs it.
 */
static __attribute__((noinline)) int hodp_srq_bell(struct ibv_srq *ibsrq)
{
	struct ib_uverbs_post_srq_recv_resp resp;
	struct ibv_post_srq_recv cmd = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_POST_SRQ_RECV,
			.in_words = sizeof(cmd) / 4,
			.out_words = sizeof(resp) / 4,
		},
		.response = (uintptr_t)&resp,
		.srq_handle = ibsrq->handle,
		.wqe_size = sizeof(struct ib_uverbs_recv_wr),
	};
	ssize_t n;

	do
		n = write(ibsrq->context->cmd_fd, &cmd, sizeof(cmd));
	while (n < 0 && errno == EINTR);

	if (n < 0)
		return errno;
	return (size_t)n == sizeof(cmd) ? 0 : EIO;
}

int hodp_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr,
		   struct ibv_recv_wr **bad_wr)
{
	struct hodp_qp *qp = to_hodp_qp(ibqp);
	struct ibv_recv_wr *first = wr;
	int err, bell_err;
	bool bell;

	/* No posting in RESET (IBTA 10.3.1), where the ring is restarted. */
	if (ibqp->state == IBV_QPS_RESET || !hodp_ring_exists(&qp->rq.ring)) {
		*bad_wr = wr;
		return EINVAL;
	}
	err = hodp_rq_post(&qp->rq, wr, bad_wr, &bell);
	bell_err = bell ? hodp_qp_bell(ibqp, HODP_IOCTL_RING_RECV) : 0;
	if (bell_err) {
		*bad_wr = first;
		return bell_err;
	}
	return err;
}

int hodp_post_srq_recv(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr,
		       struct ibv_recv_wr **bad_wr)
{
	struct hodp_srq *srq = to_hodp_srq(ibsrq);
	struct ibv_recv_wr *first = wr;
	int err, bell_err;
	bool bell;

	err = hodp_rq_post(&srq->rq, wr, bad_wr, &bell);
	bell_err = bell ? hodp_srq_bell(ibsrq) : 0;
	if (bell_err) {
		*bad_wr = first;
		return bell_err;
	}
	return err;
}

struct ibv_srq *hodp_create_srq(struct ibv_pd *pd,
				struct ibv_srq_init_attr *attr)
{
	struct hodp_cmd_create_srq_resp resp = {};
	struct ibv_create_srq cmd;
	struct hodp_srq *srq;
	int err;

	srq = calloc(1, sizeof(*srq));
	if (!srq)
		return NULL;

	err = ibv_cmd_create_srq(pd, &srq->vsrq.srq, attr, &cmd, sizeof(cmd),
				 &resp.ibv_resp, sizeof(resp));
	if (err)
		goto free_srq;

	srq->rq.max_sge = attr->attr.max_sge;
	err = hodp_ring_map(pd->context, &resp.ring,
			    hodp_recv_stride(srq->rq.max_sge), &srq->rq.ring);
	if (err)
		goto destroy_srq;

	hodp_lock_init(&srq->rq.lock, hodp_pd_needs_locks(pd));
	srq->vsrq.srq_type = IBV_SRQT_BASIC;
	srq->vsrq.srq_num = resp.drv_payload.srqn;
	return &srq->vsrq.srq;

destroy_srq:
	ibv_cmd_destroy_srq(&srq->vsrq.srq);
free_srq:
	free(srq);
	errno = err;
	return NULL;
}

int hodp_modify_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr, int mask)
{
	struct ibv_modify_srq cmd;

	if (mask & IBV_SRQ_MAX_WR)
		return EOPNOTSUPP;
	return ibv_cmd_modify_srq(ibsrq, attr, mask, &cmd, sizeof(cmd));
}

int hodp_query_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr)
{
	struct ibv_query_srq cmd;

	return ibv_cmd_query_srq(ibsrq, attr, &cmd, sizeof(cmd));
}

int hodp_get_srq_num(struct ibv_srq *ibsrq, uint32_t *srq_num)
{
	*srq_num = to_hodp_srq(ibsrq)->vsrq.srq_num;
	return 0;
}

int hodp_destroy_srq(struct ibv_srq *ibsrq)
{
	struct hodp_srq *srq = to_hodp_srq(ibsrq);
	int err;

	err = ibv_cmd_destroy_srq(ibsrq);
	if (err)
		return err;

	hodp_ring_unmap(&srq->rq.ring);
	hodp_lock_destroy(&srq->rq.lock);
	free(srq);
	return 0;
}
