// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Turn a ring entry into an operation.
 *
 * A process may rewrite an entry while it is being read.  So copy the header
 * once and never read it from the ring again; check the lengths in the copy;
 * then use them to copy the rest of the entry.  All later code works on struct
 * hodp_op and struct hodp_payload.
 */
#include <linux/string.h>
#include "ah.h"
#include "op.h"

#define HODP_SEND_FLAGS \
	(IB_SEND_FENCE | IB_SEND_SIGNALED | IB_SEND_SOLICITED | IB_SEND_INLINE)

/* Small enough for a QP to have many of them in flight. */
static_assert(sizeof(struct hodp_op) <= 128);

static int hodp_op_copy_inline(struct hodp_op *op, struct hodp_payload *p,
			       const struct hodp_sq *sq, const void *tail)
{
	if (!(op->row->flags & HODP_OP_INLINE) || op->wqe.num_sge ||
	    op->wqe.inline_len > sq->max_inline)
		return -EINVAL;
	memcpy(p->data, tail, op->wqe.inline_len);
	barrier();
	op->total = op->wqe.inline_len;
	return 0;
}

static int hodp_op_copy_sges(struct hodp_op *op, struct hodp_payload *p,
			     const struct hodp_sq *sq, const void *tail)
{
	const struct hodp_sge *from = tail, *end;
	struct hodp_sge *sge = p->sge;

	if (op->wqe.num_sge > sq->max_sge || op->wqe.inline_len)
		return -EINVAL;
	end = from + op->wqe.num_sge;
	for (; from < end; from++, sge++) {
		*sge = *from;
		barrier();
		op->total += sge->length;
	}
	return 0;
}

/* A datagram larger than the MTU is no error: see hodp_engine_datagram(). */
static int hodp_op_check_length(const struct hodp_op *op)
{
	if (op->row->flags & HODP_OP_ATOMIC)
		return op->total == 8 ? 0 : -EMSGSIZE;
	return op->total <= HODP_MAX_MSG ? 0 : -EMSGSIZE;
}

/* OR of all bits that this opcode does not use; the entry is invalid unless
 * they are 0.
 */
static u64 hodp_op_reserved(const struct hodp_op *op, const struct hodp_sq *sq)
{
	const struct hodp_send_wqe *wqe = &op->wqe;
	u64 rest = wqe->reserved;

	if (!(op->row->flags & (HODP_OP_IMM | HODP_OP_INV)))
		rest |= wqe->imm_inv;
	if (op->row->flags & HODP_OP_ATOMIC)
		return rest | wqe->atomic.reserved;
	rest |= wqe->raw[2] | wqe->raw[3];
	if (op->row->flags & (HODP_OP_WRITE | HODP_OP_READ))
		return rest | wqe->rdma.reserved;
	if (!sq->service->connected)
		return rest | wqe->ud.reserved;
	if (op->row->flags & HODP_OP_KERNEL)
		return rest | wqe->reg.reserved;
	return rest | wqe->raw[0] | wqe->raw[1];
}

/* Validate the copied header, and copy and validate the rest of the entry. */
static int hodp_op_decode(struct hodp_op *op, struct hodp_payload *p,
			  const struct hodp_sq *sq, const void *tail)
{
	int ret;

	op->row = hodp_opcode_row(op->wqe.opcode);
	if (!op->row || !(op->row->qps & sq->service->qps) ||
	    (op->wqe.send_flags & ~HODP_SEND_FLAGS))
		return -EINVAL;
	if ((op->row->flags & HODP_OP_KERNEL) && hodp_queue_is_user(&sq->q))
		return -EINVAL;
	if (unlikely(hodp_op_reserved(op, sq)))
		return -EINVAL;
	if (op->row->flags & HODP_OP_LOCAL)
		return op->wqe.num_sge || op->wqe.inline_len ||
				       op->wqe.send_flags & IB_SEND_INLINE ?
			       -EINVAL :
			       0;
	if (op->wqe.send_flags & IB_SEND_INLINE)
		ret = hodp_op_copy_inline(op, p, sq, tail);
	else
		ret = hodp_op_copy_sges(op, p, sq, tail);
	return ret ?: hodp_op_check_length(op);
}

int hodp_op_fetch(struct hodp_op *op, struct hodp_payload *p,
		  struct hodp_sq *sq)
{
	struct hodp_ring *ring = &sq->q.ring;
	const struct hodp_send_wqe *slot;
	int ret = hodp_ring_pending(ring);

	if (ret <= 0)
		return ret;
	slot = hodp_ring_head(ring);
	memcpy(&op->wqe, slot, sizeof(op->wqe));
	barrier(); /* from here on the compiler must use the copy */
	op->active = true;
	op->ended = false;
	op->begun = false;
	op->done = 0;
	op->total = 0;
	op->fault_err = 0;
	ret = hodp_op_decode(op, p, sq, slot + 1);
	/* The entry's place is freed when the operation completes, so that at
	 * most max_wr requests are outstanding.
	 */
	op->index = ring->own;
	p->index = op->index;
	hodp_ring_take(ring);
	return ret ?: 1;
}

int hodp_op_reload(const struct hodp_op *op, struct hodp_payload *p,
		   const struct hodp_sq *sq)
{
	const struct hodp_send_wqe *slot = hodp_ring_at(&sq->q.ring, op->index);
	struct hodp_op copy = *op;
	int ret;

	copy.total = 0;
	/* Until it is valid, it is the payload of no operation: not taken yet. */
	p->index = sq->q.ring.own;
	if (op->wqe.send_flags & IB_SEND_INLINE)
		ret = hodp_op_copy_inline(&copy, p, sq, slot + 1);
	else
		ret = hodp_op_copy_sges(&copy, p, sq, slot + 1);
	if (ret || copy.total != op->total)
		return -EINVAL;
	p->index = op->index;
	return 0;
}

int hodp_op_bind(const struct hodp_op *op, struct hodp_payload *p,
		 const struct ib_pd *pd)
{
	struct hodp_device *dev = to_hodp_device(pd->device);
	struct hodp_sgl *sgl = &p->sgl;
	int access = 0;
	u32 i;
	int ret;

	sgl->num = 0;
	if (op->row->flags & (HODP_OP_READ | HODP_OP_ATOMIC))
		access = IB_ACCESS_LOCAL_WRITE;
	if (op->wqe.send_flags & IB_SEND_INLINE) {
		if (op->total)
			hodp_span_kernel(&sgl->span[sgl->num++], p->data,
					 op->total);
		goto out;
	}
	if (op->row->flags & HODP_OP_LOCAL)
		goto out;
	for (i = 0; i < op->wqe.num_sge; i++) {
		const struct hodp_sge *sge = &p->sge[i];

		if (!sge->length)
			continue;
		ret = hodp_span_get(dev, pd, sge->lkey, sge->addr, sge->length,
				    access, &sgl->span[sgl->num]);
		if (ret) {
			hodp_sgl_put(sgl);
			return ret;
		}
		sgl->num++;
	}
out:
	p->bound = true;
	hodp_sgl_seek(sgl, op->done);
	return 0;
}

void hodp_payload_unbind(struct hodp_payload *p)
{
	if (p->bound)
		hodp_sgl_put(&p->sgl);
	p->bound = false;
}

/* ---- encoding for kernel consumers ---- */

static int hodp_op_encode_data(const struct hodp_sq *sq,
			       const struct ib_send_wr *wr,
			       struct hodp_send_wqe *wqe)
{
	struct hodp_sge *sge = (struct hodp_sge *)(wqe + 1);
	int i;

	if (wr->num_sge < 0 || wr->num_sge > sq->max_sge)
		return -EINVAL;
	if (wr->send_flags & IB_SEND_INLINE) {
		u8 *data = (u8 *)(wqe + 1);

		for (i = 0; i < wr->num_sge; i++) {
			const struct ib_sge *s = &wr->sg_list[i];

			if (s->length > sq->max_inline - wqe->inline_len)
				return -EMSGSIZE;
			memcpy(data + wqe->inline_len,
			       (void *)(unsigned long)s->addr, s->length);
			wqe->inline_len += s->length;
		}
		return 0;
	}
	wqe->num_sge = wr->num_sge;
	for (i = 0; i < wr->num_sge; i++) {
		sge[i].addr = wr->sg_list[i].addr;
		sge[i].length = wr->sg_list[i].length;
		sge[i].lkey = wr->sg_list[i].lkey;
	}
	return 0;
}

static void hodp_op_encode_target(const struct ib_send_wr *wr,
				  const struct hodp_opcode *row,
				  struct hodp_send_wqe *wqe)
{
	if (row->flags & HODP_OP_ATOMIC) {
		wqe->atomic.remote_addr = atomic_wr(wr)->remote_addr;
		wqe->atomic.compare_add = atomic_wr(wr)->compare_add;
		wqe->atomic.swap = atomic_wr(wr)->swap;
		wqe->atomic.rkey = atomic_wr(wr)->rkey;
	} else if (row->flags & (HODP_OP_WRITE | HODP_OP_READ)) {
		wqe->rdma.remote_addr = rdma_wr(wr)->remote_addr;
		wqe->rdma.rkey = rdma_wr(wr)->rkey;
	} else if (wr->opcode == IB_WR_REG_MR) {
		wqe->reg.lkey = reg_wr(wr)->mr->lkey;
		wqe->reg.key = reg_wr(wr)->key;
		wqe->reg.access = reg_wr(wr)->access;
	}
}

int hodp_op_from_wr(const struct hodp_sq *sq, const struct ib_send_wr *wr,
		    void *slot)
{
	const struct hodp_opcode *row = hodp_opcode_row(wr->opcode);
	struct hodp_send_wqe *wqe = slot;

	if (!row)
		return -EINVAL;
	memset(wqe, 0, sizeof(*wqe));
	wqe->wr_id = wr->wr_id;
	wqe->opcode = wr->opcode;
	wqe->send_flags = wr->send_flags;
	if (row->flags & (HODP_OP_IMM | HODP_OP_INV))
		wqe->imm_inv = (__force u32)wr->ex.imm_data;
	if (!sq->service->connected) {
		wqe->ud.ahn = to_hodp_ah(ud_wr(wr)->ah)->ahn;
		wqe->ud.dest_qpn = ud_wr(wr)->remote_qpn;
		wqe->ud.qkey = ud_wr(wr)->remote_qkey;
	} else {
		hodp_op_encode_target(wr, row, wqe);
	}
	if (row->flags & HODP_OP_LOCAL)
		return 0;
	return hodp_op_encode_data(sq, wr, wqe);
}
