/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Completion queues (layer 2).  The model is at the top of cq.c. */
#ifndef HODP_CQ_H
#define HODP_CQ_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include "dev.h"
#include "queue.h"

/**
 * struct hodp_cq - a completion queue
 * @ibcq: embedded core object
 * @cqn: number (immutable)
 * @timestamps: completions carry the time (immutable)
 * @resize_lock: one resize at a time, and so the ring stays while one is moved;
 *        taken before @lock
 * @lock: guards everything below; irq-safe, because kernel consumers poll and
 *        arm from any context
 * @q: the ring; the kernel is its producer
 * @armed: IB_CQ_SOLICITED or IB_CQ_NEXT_COMP while an event is owed, else 0
 * @overrun: the CQ took no further entries; the event was raised
 */
struct hodp_cq {
	struct ib_cq ibcq;
	u32 cqn;
	bool timestamps;
	struct mutex resize_lock; /* see above */
	spinlock_t lock; /* see above */
	struct hodp_queue q;
	u32 armed;
	bool overrun;
};

static inline struct hodp_cq *to_hodp_cq(struct ib_cq *ibcq)
{
	return container_of(ibcq, struct hodp_cq, ibcq);
}

/**
 * hodp_cq_init - allocate the ring of a new CQ
 * @cq: zeroed by the core
 * @attr: size, 1..HODP_MAX_CQE, and flags
 * @uctx: the process's context, or NULL
 *
 * Sets @cq->ibcq.cqe to what there is.
 * Context: process.
 * Return: 0, -EINVAL (size), -EOPNOTSUPP (flags), -ENOMEM.
 */
int hodp_cq_init(struct hodp_cq *cq, const struct ib_cq_init_attr *attr,
		 struct ib_ucontext *uctx);
void hodp_cq_destroy(struct hodp_cq *cq);

/**
 * hodp_cq_alloc_ring - a ring for a CQ, not in use yet
 * @q: result; hodp_queue_free() gives it back
 * @cqe: wanted entries, 1..HODP_MAX_CQE
 * @uctx: the process's context, or NULL
 *
 * Context: process.  Return: 0, -EINVAL, -ENOMEM.
 */
int hodp_cq_alloc_ring(struct hodp_queue *q, u32 cqe, struct ib_ucontext *uctx);

/**
 * hodp_cq_swap - replace the ring, keeping what was not polled yet
 * @cq: a CQ that a process maps
 * @q: the new ring; afterwards the one to free: the old on success, the new
 *     on failure
 *
 * The entries that are kept begin at index 0 of the new ring, where its
 * consumer index stands.  The process must not poll meanwhile; if it does, or
 * resizes the CQ in several threads, only its own completions suffer.
 *
 * Context: process.
 * Return: 0, -EINVAL (more entries are outstanding than the new ring has),
 * -EPROTO (the process corrupted its index).
 */
int hodp_cq_swap(struct hodp_cq *cq, struct hodp_queue *q);

/**
 * hodp_cq_push - add a completion and raise the event that is owed
 * @cq: completion queue
 * @cqe: copied; @cqe->kernel is stored only where no process maps the ring,
 *       and @cqe->timestamp is ignored: it is now, or 0
 * @solicited: counts for IB_CQ_SOLICITED (also every error does)
 *
 * Context: any up to softirq; takes @cq->lock; calls comp_handler outside it.
 * Return: 0, or -ENOSPC: overrun; IB_EVENT_CQ_ERR was raised once, and the
 * caller moves its QP to the error state.
 */
int hodp_cq_push(struct hodp_cq *cq, const struct hodp_cqe *cqe,
		 bool solicited);

/**
 * hodp_cq_forget_qp - drop a dying kernel QP's entries
 * @cq: a kernel consumer's CQ (a process's provider does this itself)
 * @qp: value of hodp_cqe.kernel
 *
 * Afterwards no entry of the ring refers to @qp.
 */
void hodp_cq_forget_qp(struct hodp_cq *cq, const struct ib_qp *qp);

/* ib_device_ops */
int hodp_cq_poll(struct ib_cq *ibcq, int num, struct ib_wc *wc);
int hodp_cq_arm(struct ib_cq *ibcq, enum ib_cq_notify_flags flags);

#endif /* HODP_CQ_H */
