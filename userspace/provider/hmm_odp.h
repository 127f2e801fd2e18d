/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * hmm_odp provider: the objects, and what one room calls of another.
 *
 *   hmm_odp.c  device, context, protection and thread domains, regions, AHs
 *   cq.c       completion queues
 *   srq.c      receive queues, shared or a QP's own
 *   qp.c       queue pairs
 *   send.c     ibv_post_send()
 *   wr.c       ibv_wr_*()
 *   ring.h     one ring; hmm_odp-abi.h the answers of the kernel
 *   core.h     versions of libibverbs
 *
 * Nothing here calls the kernel on the data path but for the send doorbell,
 * the receive doorbell where the kernel asks for it, and arming a CQ.
 *
 * Lock order: sq.lock, rq.lock, CQ lock.  No lock is held across a doorbell:
 * the kernel may run the whole operation in it.
 */
#ifndef HODP_H
#define HODP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <infiniband/driver.h>
#include <util/compiler.h>

#include "hmm_odp-abi.h"
#include "ring.h"

/* A parameter that the verbs interface has and we have no use for. */
#define HODP_UNUSED __attribute__((unused))

/**
 * struct hodp_lock - a spinlock that a thread domain makes unnecessary
 * @spin: the lock
 * @needed: false: the application promised to be single-threaded (immutable)
 */
struct hodp_lock {
	pthread_spinlock_t spin;
	bool needed;
};

/**
 * struct hodp_context - an open device
 * @vctx: libibverbs's part
 * @max_inline: bytes, the largest that a QP can be given (immutable)
 * @doorbell_fd: file that rings a QP by its number (immutable)
 */
struct hodp_context {
	struct verbs_context vctx;
	uint32_t max_inline;
	int doorbell_fd;
};

/**
 * struct hodp_td - a thread domain: its objects are used by one thread at a
 * time, says the application, and need no locks
 * @td: libibverbs's part
 * @refs: 1, and one for each parent domain that holds it
 */
struct hodp_td {
	struct ibv_td td;
	atomic_int refs;
};

/**
 * struct hodp_pd - a protection domain, or a parent domain around one
 * @pd: libibverbs's part; a parent domain shares the handle of @base
 * @base: the protection domain inside a parent domain, else NULL (immutable)
 * @td: the parent domain's thread domain, or NULL (immutable)
 * @refs: 1, and one for each parent domain around it
 */
struct hodp_pd {
	struct ibv_pd pd;
	struct hodp_pd *base;
	struct hodp_td *td;
	atomic_int refs;
};

/**
 * struct hodp_ah - an address handle
 * @ah: libibverbs's part
 * @ahn: what a send WQE carries (immutable)
 */
struct hodp_ah {
	struct ibv_ah ah;
	uint32_t ahn;
};

/**
 * struct hodp_cq - a completion queue
 * @vcq: libibverbs's part
 * @lock: guards what follows; held from start_poll to end_poll
 * @ring: the process is its consumer
 * @cqe: entry that an ibv_cq_ex poller looks at, not yet given back, or NULL
 * @batch: entries from own up to @cqe: polled, but not given back yet
 */
struct hodp_cq {
	struct verbs_cq vcq;
	struct hodp_lock lock;
	struct hodp_ring ring;
	const struct hodp_cqe *cqe;
	uint32_t batch;
};

/**
 * struct hodp_rq - a receive queue
 * @lock: guards @ring
 * @ring: the process is its producer; absent beside an SRQ
 * @max_sge: per entry (immutable)
 */
struct hodp_rq {
	struct hodp_lock lock;
	struct hodp_ring ring;
	uint32_t max_sge;
};

/**
 * struct hodp_srq - a shared receive queue
 * @vsrq: libibverbs's part
 * @rq: the queue
 */
struct hodp_srq {
	struct verbs_srq vsrq;
	struct hodp_rq rq;
};

/**
 * struct hodp_sq - a send queue
 * @lock: guards what follows; held from wr_start to wr_complete or wr_abort
 * @ring: the process is its producer
 * @max_sge: per entry (immutable)
 * @max_inline: bytes (immutable)
 * @next: where the batch between wr_start and wr_complete goes on; what lies
 *        between @ring.own and it is written, but nobody knows
 * @err: first error of that batch, an errno
 * @wqe: the entry that setters work on; NULL after an error
 * @lacks_ah: @wqe is a UD entry without an address yet
 */
struct hodp_sq {
	struct hodp_lock lock;
	struct hodp_ring ring;
	uint32_t max_sge;
	uint32_t max_inline;
	uint32_t next;
	int err;
	struct hodp_send_wqe *wqe;
	bool lacks_ah;
};

/**
 * struct hodp_qp - a queue pair
 * @vqp: libibverbs's part
 * @sq: send queue
 * @rq: own receive queue
 */
struct hodp_qp {
	struct verbs_qp vqp;
	struct hodp_sq sq;
	struct hodp_rq rq;
};

/* Where a send opcode's operands go in the WQE. */
enum hodp_form {
	HODP_FORM_NONE, /* opcode not supported */
	HODP_FORM_SEND,
	HODP_FORM_RDMA,
	HODP_FORM_ATOMIC,
	HODP_FORM_LOCAL, /* no data, no remote address */
};

/**
 * struct hodp_op - what the send side has to know of an opcode
 * @form: layout of the operands
 * @qp_types: bit per enum ibv_qp_type that may post it
 * @send_op: bit that asks for its ibv_wr_ builder
 * @imm: carries immediate data or a key to invalidate
 * @inlines: may carry its data in the WQE
 */
struct hodp_op {
	enum hodp_form form;
	uint32_t qp_types;
	uint64_t send_op;
	bool imm;
	bool inlines;
};

static inline struct hodp_context *to_hodp_context(struct ibv_context *ctx)
{
	return container_of(ctx, struct hodp_context, vctx.context);
}

static inline struct hodp_td *to_hodp_td(struct ibv_td *td)
{
	return container_of(td, struct hodp_td, td);
}

static inline struct hodp_pd *to_hodp_pd(struct ibv_pd *pd)
{
	return container_of(pd, struct hodp_pd, pd);
}

static inline struct hodp_ah *to_hodp_ah(struct ibv_ah *ah)
{
	return container_of(ah, struct hodp_ah, ah);
}

static inline struct hodp_cq *to_hodp_cq(struct ibv_cq *cq)
{
	return container_of(cq, struct hodp_cq, vcq.cq);
}

static inline struct hodp_cq *to_hodp_cq_ex(struct ibv_cq_ex *cq)
{
	return container_of(cq, struct hodp_cq, vcq.cq_ex);
}

static inline struct hodp_srq *to_hodp_srq(struct ibv_srq *srq)
{
	return container_of(srq, struct hodp_srq, vsrq.srq);
}

static inline struct hodp_qp *to_hodp_qp(struct ibv_qp *qp)
{
	return container_of(qp, struct hodp_qp, vqp.qp);
}

static inline struct hodp_qp *to_hodp_qp_ex(struct ibv_qp_ex *qp)
{
	return container_of(qp, struct hodp_qp, vqp.qp_ex);
}

static inline void hodp_lock_init(struct hodp_lock *lock, bool needed)
{
	pthread_spin_init(&lock->spin, PTHREAD_PROCESS_PRIVATE);
	lock->needed = needed;
}

static inline void hodp_lock_destroy(struct hodp_lock *lock)
{
	pthread_spin_destroy(&lock->spin);
}

static inline void hodp_lock(struct hodp_lock *lock)
{
	if (lock->needed)
		pthread_spin_lock(&lock->spin);
}

static inline void hodp_unlock(struct hodp_lock *lock)
{
	if (lock->needed)
		pthread_spin_unlock(&lock->spin);
}

/* Do objects that are made with @pd need locks? */
static inline bool hodp_pd_needs_locks(struct ibv_pd *pd)
{
	return !to_hodp_pd(pd)->td;
}

/**
 * hodp_ring_map - map a ring that the kernel made
 * @ctx: whose command fd to map
 * @info: the kernel's answer; all zero: the queue does not exist
 * @min_stride: bytes of an entry that are going to be used
 * @ring: to fill in; hodp_ring_unmap() undoes it
 *
 * Return: 0 or an errno: EPROTO where kernel and provider disagree about the
 * layout, what mmap() says otherwise.
 */
int hodp_ring_map(struct ibv_context *ctx, const struct hodp_ring_info *info,
		  size_t min_stride, struct hodp_ring *ring);

/* Harmless where there is no mapping. */
void hodp_ring_unmap(struct hodp_ring *ring);

/**
 * hodp_qp_bell - ring a QP's doorbell
 * @ibqp: queue pair
 * @which: HODP_IOCTL_RING_SEND or HODP_IOCTL_RING_RECV
 *
 * Interruption is repeated: a doorbell can be rung twice.
 * Return: 0 or an errno: EINVAL when the device is gone.
 */
int hodp_qp_bell(struct ibv_qp *ibqp, unsigned long which);

/**
 * hodp_command - execute a plain uverbs command, an SRQ's doorbell
 * @ctx: open device
 * @cmd: the command, its header included
 * @size: bytes of @cmd
 *
 * libibverbs offers these commands only together with work requests in its own
 * format.  Interruption is repeated here, too.
 *
 * Return: 0 or an errno.
 */
int hodp_command(struct ibv_context *ctx, const void *cmd, size_t size);

/* cq.c */
struct ibv_cq *hodp_create_cq(struct ibv_context *ctx, int cqe,
			      struct ibv_comp_channel *channel,
			      int comp_vector);
struct ibv_cq_ex *hodp_create_cq_ex(struct ibv_context *ctx,
				    struct ibv_cq_init_attr_ex *attr);
int hodp_poll_cq(struct ibv_cq *ibcq, int num, struct ibv_wc *wc);
int hodp_resize_cq(struct ibv_cq *ibcq, int cqe);
int hodp_destroy_cq(struct ibv_cq *ibcq);

/* Drop what @ibcq still holds of a QP that is gone or was reset. */
void hodp_cq_forget_qp(struct ibv_cq *ibcq, uint32_t qp_num);

/* srq.c */
size_t hodp_recv_stride(uint32_t max_sge);

/**
 * hodp_rq_post - add receive requests
 * @rq: receive queue
 * @wr: list
 * @bad_wr: set to the first that was not taken
 * @bell: set if the kernel wants its doorbell rung for those that were
 *
 * Return: 0, EINVAL (too many SGEs), ENOMEM (full).
 */
int hodp_rq_post(struct hodp_rq *rq, struct ibv_recv_wr *wr,
		 struct ibv_recv_wr **bad_wr, bool *bell);
int hodp_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr,
		   struct ibv_recv_wr **bad_wr);
struct ibv_srq *hodp_create_srq(struct ibv_pd *pd,
				struct ibv_srq_init_attr *attr);
int hodp_modify_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr, int mask);
int hodp_query_srq(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr);
int hodp_destroy_srq(struct ibv_srq *ibsrq);
int hodp_get_srq_num(struct ibv_srq *ibsrq, uint32_t *srq_num);
int hodp_post_srq_recv(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr,
		       struct ibv_recv_wr **bad_wr);

/* qp.c */
struct ibv_qp *hodp_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr);
struct ibv_qp *hodp_create_qp_ex(struct ibv_context *ctx,
				 struct ibv_qp_init_attr_ex *attr);
int hodp_query_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask,
		  struct ibv_qp_init_attr *init_attr);
int hodp_modify_qp(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask);
int hodp_destroy_qp(struct ibv_qp *ibqp);

/* send.c */

/* The row of @opcode, or NULL where a QP of type @type cannot post it. */
const struct hodp_op *hodp_op(enum ibv_wr_opcode opcode, enum ibv_qp_type type);

/* All builders that a QP of type @type can have: IBV_QP_EX_WITH_ bits. */
uint64_t hodp_send_ops(enum ibv_qp_type type);

/* Flags that a send request may carry. */
#define HODP_SEND_FLAGS                                            \
	(IBV_SEND_FENCE | IBV_SEND_SIGNALED | IBV_SEND_SOLICITED | \
	 IBV_SEND_INLINE)

static inline struct hodp_sge *hodp_wqe_sge(struct hodp_send_wqe *wqe)
{
	return (struct hodp_sge *)(wqe + 1);
}

static inline uint8_t *hodp_wqe_inline(struct hodp_send_wqe *wqe)
{
	return (uint8_t *)(wqe + 1);
}

/*
 * May the send queue take requests?  Before RTS it may not (IBTA 10.3.1), and
 * the answer must come before anything is in the ring: what is there, runs.
 * libibverbs keeps ibv_qp.state; only modify_qp leads to these states.
 */
static inline bool hodp_sq_is_open(const struct hodp_qp *qp)
{
	return qp->vqp.qp.state >= IBV_QPS_RTS &&
	       hodp_ring_exists(&qp->sq.ring);
}

/*
 * Tell the kernel that the send ring has new entries.  Return: 0 or an errno.
 * On failure the entries stay where they are; they run with the next doorbell,
 * if there is one.
 */
static inline int hodp_sq_bell(struct ibv_qp *ibqp)
{
	return hodp_qp_bell(ibqp, HODP_IOCTL_RING_SEND);
}

int hodp_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr,
		   struct ibv_send_wr **bad_wr);

/* wr.c: fill in the ibv_wr_ functions that @send_ops asks for. */
void hodp_wr_init(struct ibv_qp_ex *qp, uint64_t send_ops);

#endif /* HODP_H */
