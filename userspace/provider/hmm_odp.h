/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * hmm_odp provider: the objects, and the functions shared between files.
 *
 *   hmm_odp.c  device, context, protection and thread domains, regions, AHs
 *   cq.c       completion queues
 *   srq.c      receive queues, shared or a QP's own
 *   qp.c       queue pairs
 *   send.c     ibv_post_send()
 *   wr.c       ibv_wr_*()
 *   ring.h     a ring
 *   hmm_odp-abi.h  responses of the kernel
 *   core.h     versions of libibverbs
 *
 * The only system calls on the data path are the send doorbell, the receive
 * doorbell if the kernel asks for it, and arming a CQ.
 *
 * Lock order: sq.lock, rq.lock, CQ lock.  No lock is held across a doorbell,
 * because the kernel may execute the whole operation in it.
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

/* For parameters that the verbs interface requires and the provider ignores. */
#define HODP_UNUSED __attribute__((unused))

/**
 * struct hodp_lock - a spinlock that is skipped with a thread domain
 * @spin: the lock
 * @needed: false: the application has promised to be single-threaded
 * (immutable)
 */
struct hodp_lock {
	pthread_spinlock_t spin;
	bool needed;
};

/**
 * struct hodp_context - an open device
 * @vctx: libibverbs's part
 * @max_inline: bytes, the maximum for a QP (immutable)
 * @doorbell_fd: file for doorbell ioctls (immutable)
 */
struct hodp_context {
	struct verbs_context vctx;
	uint32_t max_inline;
	int doorbell_fd;
};

/**
 * struct hodp_td - a thread domain: the application promises that one thread at
 * a time uses its objects, so they need no locks
 * @td: libibverbs's part
 * @refs: 1, + 1 for each parent domain that holds it
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
 * @refs: 1, + 1 for each parent domain around it
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
 * @ahn: its number, used in send WQEs (immutable)
 */
struct hodp_ah {
	struct ibv_ah ah;
	uint32_t ahn;
};

/**
 * struct hodp_cq - a completion queue
 * @vcq: libibverbs's part
 * @lock: guards the fields below; held from start_poll to end_poll
 * @ring: the process is its consumer
 * @cqe: current entry of an ibv_cq_ex poller, or NULL
 * @batch: number of entries before @cqe that were polled but not given back yet
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
 * @ring: the process is its producer; does not exist if the QP has an SRQ
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
 * @lock: guards the fields below; held from wr_start to wr_complete or wr_abort
 * @ring: the process is its producer
 * @max_sge: per entry (immutable)
 * @max_inline: bytes (immutable)
 * @next: end of the batch between wr_start and wr_complete; the entries from
 *        @ring.own to here are written but not published
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

/* The layout of a send opcode's operands in the WQE. */
enum hodp_form {
	HODP_FORM_SEND,
	HODP_FORM_RDMA,
	HODP_FORM_ATOMIC,
	HODP_FORM_LOCAL, /* no data, no remote address */
};

/**
 * struct hodp_op - properties of a send opcode
 * @form: layout of the operands
 * @qp_types: bit mask of enum ibv_qp_type that may post it
 * @send_op: IBV_QP_EX_WITH_ bit of its ibv_wr_ builder
 * @imm: carries immediate data or a key to invalidate
 * @inlines: supports inline data
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

/* Do objects created with @pd need locks? */
static inline bool hodp_pd_needs_locks(struct ibv_pd *pd)
{
	return !to_hodp_pd(pd)->td;
}

/**
 * hodp_ring_map - map a ring that the kernel has allocated
 * @ctx: context whose command fd is mapped
 * @info: the kernel's response
 * @min_stride: bytes of an entry that will be used
 * @ring: result; hodp_ring_unmap() undoes it
 *
 * Return: 0 or an errno: EPROTO if kernel and provider disagree about the
 * layout, else the errno of mmap().
 */
int hodp_ring_map(struct ibv_context *ctx, const struct hodp_ring_info *info,
		  size_t min_stride, struct hodp_ring *ring);

/* Does nothing if there is no mapping. */
void hodp_ring_unmap(struct hodp_ring *ring);

/**
 * hodp_qp_bell - ring a QP's doorbell
 * @ibqp: queue pair
 * @which: HODP_IOCTL_RING_SEND or HODP_IOCTL_RING_RECV
 *
 * Retries after EINTR, because ringing twice is harmless.  On failure the entries
 * stay in the ring and run with the next doorbell.
 * Return: 0 or an errno: EINVAL if the device is gone.
 */
int hodp_qp_bell(struct ibv_qp *ibqp, unsigned long which);

/* cq.c */
struct ibv_cq *hodp_create_cq(struct ibv_context *ctx, int cqe,
			      struct ibv_comp_channel *channel,
			      int comp_vector);
struct ibv_cq_ex *hodp_create_cq_ex(struct ibv_context *ctx,
				    struct ibv_cq_init_attr_ex *attr);
int hodp_poll_cq(struct ibv_cq *ibcq, int num, struct ibv_wc *wc);
int hodp_resize_cq(struct ibv_cq *ibcq, int cqe);
int hodp_destroy_cq(struct ibv_cq *ibcq);

/* Drop the entries of a QP that was reset. */
void hodp_cq_forget_qp(struct ibv_cq *ibcq, uint32_t qp_num);

/* srq.c */
size_t hodp_recv_stride(uint32_t max_sge);
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

/* The row of @opcode, or NULL if a QP of type @type cannot post it. */
const struct hodp_op *hodp_op(enum ibv_wr_opcode opcode, enum ibv_qp_type type);

/* All builders that a QP of type @type can have: IBV_QP_EX_WITH_ bits. */
uint64_t hodp_send_ops(enum ibv_qp_type type);

/* Flags that a send request may carry. */
#define HODP_SEND_FLAGS                                            \
	(IBV_SEND_FENCE | IBV_SEND_SIGNALED | IBV_SEND_SOLICITED | \
	 IBV_SEND_INLINE)

/* Inline in each caller: the constant length of one SGE needs no loop. */
static ALWAYS_INLINE inline void
hodp_copy_sges(struct hodp_sge *to, const struct ibv_sge *from, size_t num)
{
	size_t i;

	for (i = 0; i < num; i++) {
		to[i].addr = from[i].addr;
		to[i].length = from[i].length;
		to[i].lkey = from[i].lkey;
	}
}

/*
 * May requests be posted to the send queue?  Not before RTS (IBTA 10.3.1). 
 * This must be checked before writing to the ring, because published entries
 * will be executed.  libibverbs keeps ibv_qp.state, and only modify_qp leads to
 * RTS.
 */
static inline bool hodp_sq_is_open(const struct hodp_qp *qp)
{
	return qp->vqp.qp.state >= IBV_QPS_RTS &&
	       hodp_ring_exists(&qp->sq.ring);
}

int hodp_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr,
		   struct ibv_send_wr **bad_wr);

/* wr.c: set the ibv_wr_ functions requested in @send_ops. */
void hodp_wr_init(struct ibv_qp_ex *qp, uint64_t send_ops);

#endif /* HODP_H */
