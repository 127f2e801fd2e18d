/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Receive queues: a QP's own and the shared ones (layer 2); model in srq.c. */
#ifndef HODP_SRQ_H
#define HODP_SRQ_H

#include <linux/spinlock.h>
#include "dev.h"
#include "queue.h"

/**
 * struct hodp_recv - a receive work request, copied from its ring once
 * @wr_id: chosen by the consumer
 * @num_sge: 0..HODP_MAX_SGE, checked
 * @sge: copied entries; their keys are not checked yet
 */
struct hodp_recv {
	u64 wr_id;
	u32 num_sge;
	struct hodp_sge sge[HODP_MAX_SGE];
};

/**
 * struct hodp_rq - a receive queue
 * @lock: guards @q's consumer side and, for kernel consumers, its producer
 *        side; irq-safe, because kernel consumers post from any context
 * @q: the ring
 * @max_sge: per entry, granted (immutable)
 */
struct hodp_rq {
	spinlock_t lock; /* see above */
	struct hodp_queue q;
	u32 max_sge;
};

/**
 * struct hodp_srq - a shared receive queue
 * @ibsrq: embedded core object
 * @rq: the queue
 * @limit: raise IB_EVENT_SRQ_LIMIT_REACHED when fewer are left; 0: disarmed;
 *         under @rq.lock
 * @max_wr: granted (immutable)
 * @srqn: number (immutable)
 * @error: ring corrupted, IB_EVENT_SRQ_ERR was raised; under @rq.lock
 */
struct hodp_srq {
	struct ib_srq ibsrq;
	struct hodp_rq rq;
	u32 limit;
	u32 max_wr;
	u32 srqn;
	bool error;
};

static inline struct hodp_srq *to_hodp_srq(struct ib_srq *ibsrq)
{
	return container_of(ibsrq, struct hodp_srq, ibsrq);
}

/**
 * hodp_rq_init - allocate a receive ring
 * @rq: to fill in
 * @max_wr: wanted entries (at least 1)
 * @max_sge: wanted per entry; 0 counts as 1
 * @uctx: the process's context, or NULL
 *
 * Return: 0, -EINVAL, -ENOMEM.
 */
int hodp_rq_init(struct hodp_rq *rq, u32 max_wr, u32 max_sge,
		 struct ib_ucontext *uctx);
void hodp_rq_destroy(struct hodp_rq *rq);

/**
 * hodp_srq_init - number a shared receive queue and allocate its ring
 * @srq: zeroed by the core
 * @attr: wanted; rewritten to what was granted
 * @uctx: the process's context, or NULL
 *
 * Context: process.  Return: 0, -EINVAL (beyond the device's limits), -ENOMEM.
 */
int hodp_srq_init(struct hodp_srq *srq, struct ib_srq_attr *attr,
		  struct ib_ucontext *uctx);
void hodp_srq_destroy(struct hodp_srq *srq);

/* Set the low-water mark, 0 for none.  Context: any.  Return: 0, -EINVAL. */
int hodp_srq_arm(struct hodp_srq *srq, u32 limit);
u32 hodp_srq_limit(struct hodp_srq *srq);

/**
 * hodp_rq_pop - take the oldest receive request
 * @rq: receive queue
 * @recv: filled with a validated copy
 *
 * Context: process or softirq; takes @rq->lock.
 * Return: 1: taken; 0: the queue is empty; -EINVAL: taken, but the entry is
 * corrupt and only @recv->wr_id is valid; -EPROTO: the index is corrupt,
 * nothing was taken.
 */
int hodp_rq_pop(struct hodp_rq *rq, struct hodp_recv *recv);

/* Number of requests that were posted and not taken; 0 if the index is corrupt.
 * Context: process or softirq; takes @rq->lock.
 */
u32 hodp_rq_posted(struct hodp_rq *rq);

/* As hodp_rq_pop(), but also raises the limit event if it is due, and
 * IB_EVENT_SRQ_ERR once if the index is corrupt.
 */
int hodp_srq_pop(struct hodp_srq *srq, struct hodp_recv *recv);

/**
 * hodp_rq_post - a kernel consumer adds receive requests
 * @rq: receive queue in kernel memory
 *
 * Context: any; takes @rq->lock.  Return: 0, -ENOMEM (full), -EINVAL (too many
 * SGEs); *@bad is the first request that was not accepted.
 */
int hodp_rq_post(struct hodp_rq *rq, const struct ib_recv_wr *wr,
		 const struct ib_recv_wr **bad);

/* Ask the process to ring after each post, or stop asking.  After asking, the
 * caller must check the queue again: see the barrier inside.
 */
void hodp_rq_want_doorbell(struct hodp_rq *rq, bool want);

#endif /* HODP_SRQ_H */
