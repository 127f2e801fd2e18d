// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The send side: the table of opcodes, ibv_post_send() and the doorbell.
 *
 * A list is checked and written entry by entry, published with one store, and
 * announced with one doorbell.  Entries before a bad one are posted, as the
 * verbs require.  Entries that the kernel may have seen are never taken back.
 *
 * The kernel checks lengths, keys and alignment: it must check its copy of the
 * entry anyway, and the verbs allow completions for these errors.
 *
 * Not supported: memory window binding, TSO, FLUSH, ATOMIC_WRITE.
 */
#include <errno.h>
#include <string.h>

#include "hmm_odp.h"

/* An entry has the kernel's numbers. */
#define SAME_OPCODE(name)                                        \
	static_assert((int)IBV_WR_##name == IB_UVERBS_WR_##name, \
		      "opcode " #name)
SAME_OPCODE(RDMA_WRITE);
SAME_OPCODE(RDMA_WRITE_WITH_IMM);
SAME_OPCODE(SEND);
SAME_OPCODE(SEND_WITH_IMM);
SAME_OPCODE(RDMA_READ);
SAME_OPCODE(ATOMIC_CMP_AND_SWP);
SAME_OPCODE(ATOMIC_FETCH_AND_ADD);
SAME_OPCODE(LOCAL_INV);
SAME_OPCODE(SEND_WITH_INV);

/* The values of the kernel's enum ib_send_flags, which is not in uapi. */
static_assert(IBV_SEND_FENCE == 1 && IBV_SEND_SIGNALED == 2 &&
		      IBV_SEND_SOLICITED == 4 && IBV_SEND_INLINE == 8,
	      "send flags");

#define RC (1U << IBV_QPT_RC)
#define UC (1U << IBV_QPT_UC)
#define UD (1U << IBV_QPT_UD)

/* One row per opcode: operands, QP types, immediate or key, inline data. */
#define HODP_OP(name, operands, types, imm, inlines)     \
	[IBV_WR_##name] = { HODP_FORM_##operands, types, \
			    IBV_QP_EX_WITH_##name, imm, inlines }

static const struct hodp_op hodp_ops[] = {
	HODP_OP(RDMA_WRITE, RDMA, RC | UC, false, true),
	HODP_OP(RDMA_WRITE_WITH_IMM, RDMA, RC | UC, true, true),
	HODP_OP(SEND, SEND, RC | UC | UD, false, true),
	HODP_OP(SEND_WITH_IMM, SEND, RC | UC | UD, true, true),
	HODP_OP(SEND_WITH_INV, SEND, RC, true, true),
	HODP_OP(RDMA_READ, RDMA, RC, false, false),
	HODP_OP(ATOMIC_CMP_AND_SWP, ATOMIC, RC, false, false),
	HODP_OP(ATOMIC_FETCH_AND_ADD, ATOMIC, RC, false, false),
	HODP_OP(LOCAL_INV, LOCAL, RC | UC, true, false),
};

#define HODP_OPS (sizeof(hodp_ops) / sizeof(hodp_ops[0]))

/* IBV_QPT_DRIVER is too large for a bit, but no row has it. */
static uint32_t hodp_type_bit(enum ibv_qp_type type)
{
	return (uint32_t)type < 32 ? 1U << type : 0;
}

const struct hodp_op *hodp_op(enum ibv_wr_opcode opcode, enum ibv_qp_type type)
{
	if ((uint32_t)opcode >= HODP_OPS ||
	    !(hodp_ops[opcode].qp_types & hodp_type_bit(type)))
		return NULL;
	return &hodp_ops[opcode];
}

uint64_t hodp_send_ops(enum ibv_qp_type type)
{
	uint64_t ops = 0;
	size_t i;

	for (i = 0; i < HODP_OPS; i++) {
		if (hodp_ops[i].qp_types & hodp_type_bit(type))
			ops |= hodp_ops[i].send_op;
	}
	return ops;
}

/* Copy the data into the entry.  Return: 0, or EINVAL: too long. */
static int hodp_send_inline(const struct hodp_sq *sq,
			    const struct ibv_send_wr *wr,
			    struct hodp_send_wqe *wqe)
{
	uint8_t *to = (uint8_t *)(wqe + 1);
	uint32_t room = sq->max_inline;
	int i;

	for (i = 0; i < wr->num_sge; i++) {
		const struct ibv_sge *sge = &wr->sg_list[i];

		if (sge->length > room)
			return EINVAL;
		if (sge->length)
			memcpy(to, (const void *)(uintptr_t)sge->addr,
			       sge->length);
		to += sge->length;
		room -= sge->length;
	}
	wqe->inline_len = sq->max_inline - room;
	return 0;
}

/* Write one entry, which is not published yet.  Return: 0 or EINVAL. */
static int hodp_send_fill(struct hodp_qp *qp, const struct ibv_send_wr *wr,
			  struct hodp_send_wqe *wqe)
{
	const struct hodp_op *op = hodp_op(wr->opcode, qp->vqp.qp.qp_type);

	if (!op || wr->send_flags & ~HODP_SEND_FLAGS ||
	    (uint32_t)wr->num_sge > qp->sq.max_sge)
		return EINVAL;

	*wqe = (struct hodp_send_wqe){
		.wr_id = wr->wr_id,
		.opcode = wr->opcode,
		.send_flags = wr->send_flags,
		.imm_inv = op->imm ? wr->invalidate_rkey : 0,
	};

	switch (op->form) {
	case HODP_FORM_SEND:
		if (qp->vqp.qp.qp_type != IBV_QPT_UD)
			break;
		if (!wr->wr.ud.ah)
			return EINVAL;
		wqe->ud.ahn = to_hodp_ah(wr->wr.ud.ah)->ahn;
		wqe->ud.dest_qpn = wr->wr.ud.remote_qpn;
		wqe->ud.qkey = wr->wr.ud.remote_qkey;
		break;
	case HODP_FORM_RDMA:
		wqe->rdma.remote_addr = wr->wr.rdma.remote_addr;
		wqe->rdma.rkey = wr->wr.rdma.rkey;
		break;
	case HODP_FORM_ATOMIC:
		wqe->atomic.remote_addr = wr->wr.atomic.remote_addr;
		wqe->atomic.compare_add = wr->wr.atomic.compare_add;
		wqe->atomic.swap = wr->wr.atomic.swap;
		wqe->atomic.rkey = wr->wr.atomic.rkey;
		break;
	default:
		/* These opcodes have no data, so ignore the scatter list. */
		return wr->send_flags & IBV_SEND_INLINE ? EINVAL : 0;
	}

	if (wr->send_flags & IBV_SEND_INLINE)
		return op->inlines ? hodp_send_inline(&qp->sq, wr, wqe) :
				     EINVAL;
	hodp_copy_sges((void *)(wqe + 1), wr->sg_list, wr->num_sge);
	wqe->num_sge = wr->num_sge;
	return 0;
}

int hodp_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr,
		   struct ibv_send_wr **bad_wr)
{
	struct hodp_qp *qp = to_hodp_qp(ibqp);
	struct hodp_ring *ring = &qp->sq.ring;
	struct ibv_send_wr *first = wr;
	int err = 0, bell_err = 0;
	uint32_t next;
	bool bell;

	hodp_lock(&qp->sq.lock);
	next = ring->own;
	if (!hodp_sq_is_open(qp)) {
		err = EINVAL;
		*bad_wr = wr;
		wr = NULL;
	}
	for (; wr; wr = wr->next) {
		if (!hodp_ring_has_room(ring, next))
			err = ENOMEM;
		else
			err = hodp_send_fill(qp, wr, hodp_ring_at(ring, next));
		if (err) {
			*bad_wr = wr;
			break;
		}
		next++;
	}
	bell = next != ring->own;
	if (bell)
		hodp_ring_publish(ring, next);
	hodp_unlock(&qp->sq.lock);

	if (bell)
		bell_err = hodp_qp_bell(ibqp, HODP_IOCTL_RING_SEND);
	if (bell_err) {
		*bad_wr = first;
		return bell_err;
	}
	return err;
}
