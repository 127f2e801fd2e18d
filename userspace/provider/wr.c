// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The ibv_wr_*() interface: a batch is built in the ring.
 *
 * wr_start takes the send queue's lock.  Builders write entries from own to
 * *next*, which are not published yet.  wr_complete publishes all of them with
 * one store and rings one doorbell.  wr_abort drops *next* and thereby the
 * batch.
 *
 * Only wr_complete returns errors.  The first error is recorded, makes setters
 * and later builders do nothing, and then none of the batch is posted.
 */
#include <errno.h>
#include <string.h>

#include "hmm_odp.h"

static void hodp_wr_fail(struct hodp_sq *sq, int err)
{
	if (!sq->err)
		sq->err = err;
	sq->wqe = NULL;
}

/* Begin the next entry of the batch, without operands and data; or NULL. */
static struct hodp_send_wqe *hodp_wr_build(struct ibv_qp_ex *ibqp,
					   enum ibv_wr_opcode opcode,
					   uint32_t imm_inv)
{
	struct hodp_qp *qp = to_hodp_qp_ex(ibqp);
	struct hodp_sq *sq = &qp->sq;
	struct hodp_send_wqe *wqe;

	if (sq->err)
		return NULL;
	if (sq->lacks_ah || ibqp->wr_flags & ~HODP_SEND_FLAGS) {
		hodp_wr_fail(sq, EINVAL);
		return NULL;
	}
	if (!hodp_ring_has_room(&sq->ring, sq->next)) {
		hodp_wr_fail(sq, ENOMEM);
		return NULL;
	}

	wqe = hodp_ring_at(&sq->ring, sq->next++);
	*wqe = (struct hodp_send_wqe){
		.wr_id = ibqp->wr_id,
		.opcode = opcode,
		/* The setter, not the caller's flag, decides about inline. */
		.send_flags = ibqp->wr_flags & ~IBV_SEND_INLINE,
		.imm_inv = imm_inv,
	};
	sq->wqe = wqe;
	sq->lacks_ah = qp->vqp.qp.qp_type == IBV_QPT_UD;
	return wqe;
}

static void hodp_wr_rdma(struct ibv_qp_ex *qp, enum ibv_wr_opcode opcode,
			 uint32_t imm_inv, uint32_t rkey, uint64_t remote_addr)
{
	struct hodp_send_wqe *wqe = hodp_wr_build(qp, opcode, imm_inv);

	if (wqe) {
		wqe->rdma.remote_addr = remote_addr;
		wqe->rdma.rkey = rkey;
	}
}

static void hodp_wr_rdma_read(struct ibv_qp_ex *qp, uint32_t rkey,
			      uint64_t remote_addr)
{
	hodp_wr_rdma(qp, IBV_WR_RDMA_READ, 0, rkey, remote_addr);
}

static void hodp_wr_rdma_write(struct ibv_qp_ex *qp, uint32_t rkey,
			       uint64_t remote_addr)
{
	hodp_wr_rdma(qp, IBV_WR_RDMA_WRITE, 0, rkey, remote_addr);
}

static void hodp_wr_rdma_write_imm(struct ibv_qp_ex *qp, uint32_t rkey,
				   uint64_t remote_addr, __be32 imm_data)
{
	hodp_wr_rdma(qp, IBV_WR_RDMA_WRITE_WITH_IMM, (__force uint32_t)imm_data,
		     rkey, remote_addr);
}

static void hodp_wr_atomic(struct ibv_qp_ex *qp, enum ibv_wr_opcode opcode,
			   uint32_t rkey, uint64_t remote_addr,
			   uint64_t compare_add, uint64_t swap)
{
	struct hodp_send_wqe *wqe = hodp_wr_build(qp, opcode, 0);

	if (wqe) {
		wqe->atomic.remote_addr = remote_addr;
		wqe->atomic.compare_add = compare_add;
		wqe->atomic.swap = swap;
		wqe->atomic.rkey = rkey;
	}
}

static void hodp_wr_atomic_cmp_swp(struct ibv_qp_ex *qp, uint32_t rkey,
				   uint64_t remote_addr, uint64_t compare,
				   uint64_t swap)
{
	hodp_wr_atomic(qp, IBV_WR_ATOMIC_CMP_AND_SWP, rkey, remote_addr,
		       compare, swap);
}

static void hodp_wr_atomic_fetch_add(struct ibv_qp_ex *qp, uint32_t rkey,
				     uint64_t remote_addr, uint64_t add)
{
	hodp_wr_atomic(qp, IBV_WR_ATOMIC_FETCH_AND_ADD, rkey, remote_addr, add,
		       0);
}

static void hodp_wr_send(struct ibv_qp_ex *qp)
{
	hodp_wr_build(qp, IBV_WR_SEND, 0);
}

static void hodp_wr_send_imm(struct ibv_qp_ex *qp, __be32 imm_data)
{
	hodp_wr_build(qp, IBV_WR_SEND_WITH_IMM, (__force uint32_t)imm_data);
}

static void hodp_wr_send_inv(struct ibv_qp_ex *qp, uint32_t invalidate_rkey)
{
	hodp_wr_build(qp, IBV_WR_SEND_WITH_INV, invalidate_rkey);
}

static void hodp_wr_local_inv(struct ibv_qp_ex *qp, uint32_t invalidate_rkey)
{
	hodp_wr_build(qp, IBV_WR_LOCAL_INV, invalidate_rkey);
}

/* --- setters: complete the entry that the last builder began -------------- */

static void hodp_wr_set_ud_addr(struct ibv_qp_ex *ibqp, struct ibv_ah *ah,
				uint32_t remote_qpn, uint32_t remote_qkey)
{
	struct hodp_sq *sq = &to_hodp_qp_ex(ibqp)->sq;

	if (!sq->wqe)
		return;
	if (!ah) {
		hodp_wr_fail(sq, EINVAL);
		return;
	}
	sq->wqe->ud.ahn = to_hodp_ah(ah)->ahn;
	sq->wqe->ud.dest_qpn = remote_qpn;
	sq->wqe->ud.qkey = remote_qkey;
	sq->lacks_ah = false;
}

static void hodp_wr_set_sge_list(struct ibv_qp_ex *ibqp, size_t num_sge,
				 const struct ibv_sge *sg_list)
{
	struct hodp_sq *sq = &to_hodp_qp_ex(ibqp)->sq;

	if (!sq->wqe)
		return;
	if (num_sge > sq->max_sge) {
		hodp_wr_fail(sq, EINVAL);
		return;
	}
	hodp_copy_sges((void *)(sq->wqe + 1), sg_list, num_sge);
	sq->wqe->num_sge = num_sge;
	sq->wqe->inline_len = 0;
	sq->wqe->send_flags &= ~IBV_SEND_INLINE;
}

static void hodp_wr_set_sge(struct ibv_qp_ex *qp, uint32_t lkey, uint64_t addr,
			    uint32_t length)
{
	struct ibv_sge sge = { .addr = addr, .length = length, .lkey = lkey };

	hodp_wr_set_sge_list(qp, 1, &sge);
}

static void hodp_wr_set_inline_data_list(struct ibv_qp_ex *ibqp, size_t num_buf,
					 const struct ibv_data_buf *buf_list)
{
	struct hodp_qp *qp = to_hodp_qp_ex(ibqp);
	struct hodp_sq *sq = &qp->sq;
	size_t room = sq->max_inline;
	uint8_t *to;
	size_t i;

	if (!sq->wqe)
		return;
	if (!hodp_op(sq->wqe->opcode, qp->vqp.qp.qp_type)->inlines) {
		hodp_wr_fail(sq, EINVAL);
		return;
	}
	to = (uint8_t *)(sq->wqe + 1);
	for (i = 0; i < num_buf; i++) {
		if (buf_list[i].length > room) {
			hodp_wr_fail(sq, EINVAL);
			return;
		}
		if (buf_list[i].length)
			memcpy(to, buf_list[i].addr, buf_list[i].length);
		to += buf_list[i].length;
		room -= buf_list[i].length;
	}
	sq->wqe->num_sge = 0;
	sq->wqe->inline_len = sq->max_inline - room;
	sq->wqe->send_flags |= IBV_SEND_INLINE;
}

static void hodp_wr_set_inline_data(struct ibv_qp_ex *qp, void *addr,
				    size_t length)
{
	struct ibv_data_buf buf = { .addr = addr, .length = length };

	hodp_wr_set_inline_data_list(qp, 1, &buf);
}

/* --- the batch ------------------------------------------------------------ */

static void hodp_wr_start(struct ibv_qp_ex *ibqp)
{
	struct hodp_qp *qp = to_hodp_qp_ex(ibqp);
	struct hodp_sq *sq = &qp->sq;

	hodp_lock(&sq->lock);
	sq->next = sq->ring.own;
	sq->wqe = NULL;
	sq->lacks_ah = false;
	sq->err = hodp_sq_is_open(qp) ? 0 : EINVAL;
}

static int hodp_wr_complete(struct ibv_qp_ex *ibqp)
{
	struct hodp_qp *qp = to_hodp_qp_ex(ibqp);
	struct hodp_sq *sq = &qp->sq;
	int err = sq->err;
	bool bell = false;

	if (!err && sq->lacks_ah)
		err = EINVAL;
	if (!err && sq->next != sq->ring.own) {
		hodp_ring_publish(&sq->ring, sq->next);
		bell = true;
	}
	sq->wqe = NULL;
	hodp_unlock(&sq->lock);

	return bell ? hodp_qp_bell(&qp->vqp.qp, HODP_IOCTL_RING_SEND) : err;
}

static void hodp_wr_abort(struct ibv_qp_ex *ibqp)
{
	struct hodp_sq *sq = &to_hodp_qp_ex(ibqp)->sq;

	sq->wqe = NULL;
	hodp_unlock(&sq->lock);
}

void hodp_wr_init(struct ibv_qp_ex *qp, uint64_t send_ops)
{
	if (send_ops & IBV_QP_EX_WITH_RDMA_WRITE)
		qp->wr_rdma_write = hodp_wr_rdma_write;
	if (send_ops & IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM)
		qp->wr_rdma_write_imm = hodp_wr_rdma_write_imm;
	if (send_ops & IBV_QP_EX_WITH_SEND)
		qp->wr_send = hodp_wr_send;
	if (send_ops & IBV_QP_EX_WITH_SEND_WITH_IMM)
		qp->wr_send_imm = hodp_wr_send_imm;
	if (send_ops & IBV_QP_EX_WITH_SEND_WITH_INV)
		qp->wr_send_inv = hodp_wr_send_inv;
	if (send_ops & IBV_QP_EX_WITH_RDMA_READ)
		qp->wr_rdma_read = hodp_wr_rdma_read;
	if (send_ops & IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP)
		qp->wr_atomic_cmp_swp = hodp_wr_atomic_cmp_swp;
	if (send_ops & IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD)
		qp->wr_atomic_fetch_add = hodp_wr_atomic_fetch_add;
	if (send_ops & IBV_QP_EX_WITH_LOCAL_INV)
		qp->wr_local_inv = hodp_wr_local_inv;

	qp->wr_set_ud_addr = hodp_wr_set_ud_addr;
	qp->wr_set_sge = hodp_wr_set_sge;
	qp->wr_set_sge_list = hodp_wr_set_sge_list;
	qp->wr_set_inline_data = hodp_wr_set_inline_data;
	qp->wr_set_inline_data_list = hodp_wr_set_inline_data_list;
	qp->wr_start = hodp_wr_start;
	qp->wr_complete = hodp_wr_complete;
	qp->wr_abort = hodp_wr_abort;
}
