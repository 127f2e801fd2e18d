/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Completion queues (layer 2): model in cq.c. */
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
 * @timestamps: completions have timestamps (immutable)
 * @resize_lock: serialises resizes, so that the ring stays while its entries
 *        are moved; taken before @lock
 * @lock: guards everything below; irq-safe, because kernel consumers poll and
 *        arm from any context
 * @q: the ring; the kernel is its producer
 * @armed: IB_CQ_SOLICITED or IB_CQ_NEXT_COMP while an event is due, else 0
 * @overrun: the CQ has overrun: it accepts no entries, the event was raised
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
 * Sets @cq->ibcq.cqe to the actual size.
 * Context: process.
 * Return: 0, -EINVAL (size), -EOPNOTSUPP (flags), -ENOMEM.
 */
int hodp_cq_init(struct hodp_cq *cq, const struct ib_cq_init_attr *attr,
		 struct ib_ucontext *uctx);
void hodp_cq_destroy(struct hodp_cq *cq);

/**
 * hodp_cq_alloc_ring - allocate a ring for a CQ
 * @q: result; free with hodp_queue_free()
 * @cqe: wanted entries, 1..HODP_MAX_CQE
 * @uctx: the process's context, or NULL
 *
 * Context: process.  Return: 0, -EINVAL, -ENOMEM.
 */
int hodp_cq_alloc_ring(struct hodp_queue *q, u32 cqe, struct ib_ucontext *uctx);

/**
 * hodp_cq_swap - replace the ring and keep the entries that were not polled yet
 * @cq: a CQ that a process maps
 * @q: the new ring; on return the ring to free: the old one on success, the new
 *     one on failure
 *
 * The kept entries start at index 0 of the new ring, which is its consumer
 * index.  The process must not poll meanwhile.  If it does, or resizes the CQ
 * from several threads, it can only damage its own completions.
 *
 * Context: process.
 * Return: 0, -EINVAL (more entries are outstanding than the new ring has),
 * -EPROTO (the process corrupted its index).
 */
int hodp_cq_swap(struct hodp_cq *cq, struct hodp_queue *q);

/**
 * hodp_cq_push - add a completion and raise the event if one is due
 * @cq: completion queue
 * @cqe: copied; @cqe->kernel is stored only if no process maps the ring, and
 *       @cqe->timestamp is ignored and set to the current time or 0
 * @solicited: counts for IB_CQ_SOLICITED (every error does, too)
 *
 * Context: any up to softirq; takes @cq->lock; calls comp_handler outside it.
 * Return: 0, or -ENOSPC: overrun; IB_EVENT_CQ_ERR is raised once, and the
 * caller must move its QP to the error state.
 */
int hodp_cq_push(struct hodp_cq *cq, const struct hodp_cqe *cqe,
		 bool solicited);

/**
 * hodp_cq_forget_qp - drop the entries of a dying kernel QP
 * @cq: a kernel consumer's CQ (for a process the provider does this)
 * @qp: value of hodp_cqe.kernel
 *
 * On return no entry in the ring refers to @qp.
 */
void hodp_cq_forget_qp(struct hodp_cq *cq, const struct ib_qp *qp);

/* ib_device_ops */
int hodp_cq_poll(struct ib_cq *ibcq, int num, struct ib_wc *wc);
int hodp_cq_arm(struct ib_cq *ibcq, enum ib_cq_notify_flags flags);

#endif /* HODP_CQ_H */
