/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* An operation: a send queue entry, copied and validated once (layer 2). */
#ifndef HODP_OP_H
#define HODP_OP_H

#include "opcode.h"
#include "queue.h"
#include "service.h"
#include "span.h"
#include "transport.h"

/**
 * struct hodp_sq - a send queue
 * @lock: serialises posting by kernel consumers; irq-safe, because they post
 *        from any context
 * @q: the ring
 * @service: row of the QP's type, which decides the valid opcodes (immutable)
 * @sig_all: every request is signalled (immutable)
 * @max_wr: entries, granted (immutable)
 * @max_sge, @max_inline: per entry, granted (immutable)
 */
struct hodp_sq {
	spinlock_t lock; /* see above */
	struct hodp_queue q;
	const struct hodp_service *service;
	bool sig_all;
	u32 max_wr;
	u32 max_sge;
	u32 max_inline;
};

/**
 * struct hodp_payload - the payload of an operation
 *
 * It is large, so a requester has only one, for the operation being executed.
 *
 * @bound: @sgl holds references
 * @index: ring index of the entry that it was copied from
 * @sge, @data: trusted copies of the part of the entry after its header
 * @sgl: spans of @sge or @data, while @bound
 */
struct hodp_payload {
	bool bound;
	u32 index;
	union {
		struct hodp_sge sge[HODP_MAX_SGE];
		u8 data[HODP_MAX_INLINE];
	};
	struct hodp_sgl sgl;
};

/**
 * struct hodp_op - an operation that a QP's requester executes
 *
 * Owned by the requester's runner.
 *
 * @active: false between operations
 * @ended: it has @status, and waits for earlier operations to complete
 * @index: ring index of its entry
 * @psn, @end: packet transports: its PSNs, from @psn up to but without @end
 * @row: row of its opcode
 * @wqe: trusted copy of the entry's header
 * @total: payload bytes
 * @done: payload bytes moved so far
 * @begun: the atomic has been performed
 * @atomic_old: result of the atomic
 * @status: enum ib_wc_status, valid once the operation has ended
 * @rnr_timer: RNR timer field of the last RNR reply (IBTA table 45)
 * @fault_err: result of the last page fault for the operation
 * @fault_local: that fault was on the requester's side
 */
struct hodp_op {
	bool active;
	bool ended;
	bool begun;
	bool fault_local;
	u8 status;
	u8 rnr_timer;
	u32 index;
	u32 psn;
	u32 end;
	const struct hodp_opcode *row;
	struct hodp_send_wqe wqe;
	u64 total;
	u64 done;
	u64 atomic_old;
	int fault_err;
};

/* Operations of a QP that wait for their acknowledgment; a power of two. */
#define HODP_MAX_OUTSTANDING 64

/**
 * struct hodp_outstanding - operations that were sent, in order
 *
 * Owned by the requester's runner.
 *
 * @first, @end: counters; the operations are those from @first to @end - 1
 * @op: by counter, modulo HODP_MAX_OUTSTANDING; NULL unless the transport
 *      needs them
 */
struct hodp_outstanding {
	u32 first;
	u32 end;
	struct hodp_op *op;
};

static inline u32 hodp_outstanding_num(const struct hodp_outstanding *out)
{
	return out->end - out->first;
}

/* The operation of counter @i, from @first to @end - 1. */
static inline struct hodp_op *
hodp_outstanding_at(const struct hodp_outstanding *out, u32 i)
{
	return &out->op[i % HODP_MAX_OUTSTANDING];
}

static inline struct hodp_op *
hodp_outstanding_oldest(const struct hodp_outstanding *out)
{
	return hodp_outstanding_at(out, out->first);
}

/**
 * hodp_op_fetch - take the oldest entry of a send queue
 * @op: result; must not be active
 * @p: payload of @op; must not be bound
 * @sq: send queue; the caller owns its runner
 *
 * Return: 1: @op is active and valid; 0: the queue is empty; -EPROTO: the
 * ring's index is corrupt; -EINVAL: @op is active but the entry is invalid
 * (complete it with IB_WC_LOC_QP_OP_ERR); -EMSGSIZE: @op is active but too long
 * (complete it with IB_WC_LOC_LEN_ERR).
 */
int hodp_op_fetch(struct hodp_op *op, struct hodp_payload *p,
		  struct hodp_sq *sq);

/**
 * hodp_op_reload - copy an operation's payload again from its entry
 * @op: active; its entry has not been given back
 * @p: result; must not be bound
 * @sq: send queue; the caller owns its runner
 *
 * For packet transports, which send packets again.  A process may have changed
 * the entry meanwhile, so it is validated anew.
 *
 * Return: 0, -EINVAL: the entry is invalid now, or of another length.
 */
int hodp_op_reload(const struct hodp_op *op, struct hodp_payload *p,
		   const struct hodp_sq *sq);

/**
 * hodp_op_bind - check the local keys and take references
 * @op: active
 * @p: its payload
 * @pd: the queue pair's
 *
 * Return: 0, or hodp_span_get()'s errors (IB_WC_LOC_PROT_ERR).
 */
int hodp_op_bind(const struct hodp_op *op, struct hodp_payload *p,
		 const struct ib_pd *pd);
void hodp_payload_unbind(struct hodp_payload *p);

/* End the operation; the result is the verdict for the caller to return. */
static inline enum hodp_verdict hodp_op_end(struct hodp_op *op,
					    enum ib_wc_status status)
{
	op->status = status;
	return HODP_V_DONE;
}

/**
 * hodp_op_status - status for an error in the requester's own memory
 * @err: error of hodp_sgl_copy() or of a page fault
 */
static inline enum ib_wc_status hodp_op_status(int err)
{
	return err == -EHWPOISON ? IB_WC_LOC_QP_OP_ERR : IB_WC_LOC_PROT_ERR;
}

/**
 * hodp_op_from_wr - encode a kernel consumer's work request as an entry
 * @slot: ring memory, one stride long
 *
 * Return: 0, -EINVAL (opcode, flags, SGEs), -EMSGSIZE (inline too long).
 */
int hodp_op_from_wr(const struct hodp_sq *sq, const struct ib_send_wr *wr,
		    void *slot);

#endif /* HODP_OP_H */
