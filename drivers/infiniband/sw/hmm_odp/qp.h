/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Queue pairs (layer 2): qp.c has the model, the lifetimes and the lock order,
 * qp_state.c the modify and query verbs, qp_inbound.c the entry for peers.
 */
#ifndef HODP_QP_H
#define HODP_QP_H

#include <linux/completion.h>
#include <linux/wait.h>
#include "cq.h"
#include "deadline.h"
#include "op.h"
#include "runner.h"
#include "srq.h"

struct hodp_flight;
struct hodp_rc;
struct hodp_transport;
struct hodp_uc;
struct hodp_user;

/* Why a requester cannot continue. */
enum hodp_stall {
	HODP_RUN = 0,
	HODP_STALL_FAULT, /* until the fault job runs it again */
	HODP_STALL_RNR, /* until the RNR timer or a posted receive */
	HODP_STALL_TIMEOUT, /* until the transport timer */
	HODP_STALL_MEMORY, /* out of memory, for HODP_PAUSE */
	HODP_STALL_WINDOW, /* until a packet leaves the network stack */
};

/* The deadlines of a QP: causes of hodp_qp.due. */
enum hodp_due {
	HODP_DUE_RNR, /* @req: the responder's RNR timer */
	HODP_DUE_TIMEOUT, /* @req: the local ACK timeout */
	HODP_DUE_MEMORY, /* @req: out of memory, try again */
	HODP_DUE_PEER, /* @req: check whether the peer is still reachable */
	HODP_DUE_RX, /* @rx: out of memory, try again */
	HODP_DUE_HELD_REQUESTS, /* @rx: wait no longer for a missing one */
	HODP_DUE_HELD_RESPONSES, /* @req: the same */
	HODP_DUE_CREDIT, /* @req: wait no longer for credits */
	HODP_DUE_NUM
};

static_assert(HODP_DUE_NUM <= HODP_MAX_CAUSES);

/* After running out of memory, try again after this many ns. */
#define HODP_PAUSE (10 * NSEC_PER_MSEC)

/**
 * struct hodp_dgram - a datagram on its way to a receive buffer
 * @link: in hodp_qp.rx_list
 * @len: payload bytes
 * @done: bytes of @grh and @data that were delivered
 * @src_qp, @imm, @wc_flags, @net_type, @solicited: for the CQE
 * @grh, @data: bytes to deliver, contiguous
 */
struct hodp_dgram {
	struct list_head link;
	u32 len;
	u32 done;
	u32 src_qp;
	u32 imm;
	u32 wc_flags;
	u8 net_type;
	bool solicited;
	u8 grh[40];
	u8 data[];
};

/**
 * struct hodp_inbound - the message that a QP is receiving
 * @active: a receive request was taken for it
 * @bound: @sgl holds references
 * @recv: trusted copy of the request
 * @sgl: its spans, while @bound
 */
struct hodp_inbound {
	bool active;
	bool bound;
	struct hodp_recv recv;
	struct hodp_sgl sgl;
};

/**
 * struct hodp_peer - identity of a requester; a QPN alone is not enough
 * @via: the transport, which has checked the address
 * @qpn: QPN of the requester
 * @psn: PSN of its first request
 * @life: incarnation of its QP; a wire transport uses whatever tells two
 *        incarnations apart
 * @knows: incarnation of the QP that it is connected to; 0: not connected yet
 */
struct hodp_peer {
	const struct hodp_transport *via;
	u32 qpn;
	u32 psn;
	u64 life;
	u64 knows;
};

/**
 * struct hodp_qp_handle - what the QPN table holds
 *
 * The core frees a QP right after destroy, without a grace period.  Look-ups
 * touch this part before they hold a reference, so it is freed after one.
 *
 * @refs: 1 while published, + 1 per look-up; destroy waits for it to reach 0
 * @qp: alive while @refs is not 0
 * @rcu: look-ups run under RCU
 */
struct hodp_qp_handle {
	refcount_t refs;
	struct hodp_qp *qp;
	struct rcu_head rcu;
};

/**
 * struct hodp_qp - a queue pair
 * @ibqp: embedded core object; qp_num is the QPN
 * @handle: see above (immutable)
 * @gone: completed by the last put
 * @modify_lock: serialises transitions, also while one waits for runners
 * @lock: guards writes to @state and @attr; also taken in softirq
 * @state: written under @lock, read anywhere
 * @dying: destroy has begun: nothing new may start
 * @attr: set by modify.  Attributes set before RTR or RTS are read without
 *        @lock by code that has seen that state.  Those that may change later
 *        are read with READ_ONCE() where the old value is as good as the new
 *        one
 * @user: its creator, held; NULL for a kernel consumer (immutable)
 * @memcg: memory cgroup to charge for the QP, held; NULL for a kernel consumer
 * @transport: transport to the peer, from RTR on; NULL: none yet
 * @sq: send queue, consumed by the @req runner
 * @max_recv_wr: granted (immutable)
 * @rq: receive queue, unless @srq
 * @srq: shared receive queue, or NULL (immutable)
 * @send_cq, @recv_cq: (immutable)
 * @req: requester: executes the send queue
 * @rx: receiver: delivers datagrams, flushes the receive queue
 * @op: current operation; owned by @req
 * @out: operations sent before @op that are not acknowledged; owned by @req
 * @payload: of @op, or of one in @out that is sent again; owned by @req
 * @stall, @rnr_left, @retry_left: owned by @req
 * @recv_posted: the peer has posted a receive, which ends HODP_STALL_RNR
 * @due: deadlines, by enum hodp_due
 * @sent: datagrams, or packets of UC, sent since the last reset, for their PSN;
 *        owned by @req
 * @flight: packets in the network stack; NULL before the first; owned by @req
 * @rc, @uc: transport state of an RC or UC QP over the wire, or NULL; written
 *           under @rx_lock while both runners are owned
 * @in_lock: guards @in_busy; plain spinlock, process context
 * @in_busy: a connected requester executes a message into this QP
 * @in: owned by the requester that has set @in_busy, else by the flush in @rx
 * @rnr_waiter: the connected peer waits for a receive request, or will; racy hint
 * @rx_lock: guards @rx_list, @rx_len; also taken in softirq
 * @rx_list, @rx_len: datagrams not delivered yet, and their number
 * @rx_cur: datagram being delivered; owned by @rx
 * @rx_in: receive request for @rx_cur; owned by @rx
 * @drain, @draining: wait queue for the end of @in_busy, and whether it is used
 * @comm_est: IB_EVENT_COMM_EST was raised; under @in_lock
 * @last_wqe: IB_EVENT_QP_LAST_WQE_REACHED was raised; under @lock
 * @drained: IB_EVENT_SQ_DRAINED was raised in this SQD state; owned by @req
 * @flush_left: number of entries of @sq posted before SQE -> RTS, which are
 *              flushed before later ones are executed; owned by @req
 * @incarnation: unique number of the QP's current life, from RTR to its reset;
 *               0: none; under @in_lock
 * @in_peer: incarnation of the QP whose requester executes messages here; 0:
 *           none yet; under @in_lock
 * @peer: incarnation of the QP that executes our messages; 0: none yet; owned
 *        by @req
 */
struct hodp_qp {
	struct ib_qp ibqp;
	struct hodp_qp_handle *handle;
	struct completion gone;

	struct mutex modify_lock; /* transitions */
	spinlock_t lock; /* @state, @attr */
	enum ib_qp_state state;
	bool dying;
	bool comm_est;
	bool last_wqe;
	struct ib_qp_attr attr;
	struct hodp_user *user;
	struct mem_cgroup *memcg;
	const struct hodp_transport *transport;

	struct hodp_sq sq;
	u32 max_recv_wr;
	struct hodp_rq rq;
	struct hodp_srq *srq;
	struct hodp_cq *send_cq;
	struct hodp_cq *recv_cq;

	struct hodp_runner req;
	struct hodp_runner rx;
	struct hodp_op op;
	struct hodp_outstanding out;
	struct hodp_payload payload;
	enum hodp_stall stall;
	u32 rnr_left;
	u32 retry_left;
	bool drained;
	u32 flush_left;
	u64 peer;
	bool recv_posted;
	struct hodp_deadlines due;
	u32 sent;
	struct hodp_flight *flight;
	struct hodp_rc *rc;
	struct hodp_uc *uc;

	spinlock_t in_lock; /* @in_busy, @incarnation, @in_peer */
	bool in_busy;
	u64 incarnation;
	u64 in_peer;
	bool rnr_waiter;
	struct hodp_inbound in;

	spinlock_t rx_lock; /* @rx_list */
	struct list_head rx_list;
	u32 rx_len;
	struct hodp_dgram *rx_cur;
	struct hodp_inbound rx_in;

	wait_queue_head_t drain;
	bool draining;
};

static inline struct hodp_qp *to_hodp_qp(struct ib_qp *ibqp)
{
	return container_of(ibqp, struct hodp_qp, ibqp);
}

static inline struct hodp_device *hodp_qp_dev(const struct hodp_qp *qp)
{
	return to_hodp_device(qp->ibqp.device);
}

static inline const struct hodp_service *
hodp_qp_service(const struct hodp_qp *qp)
{
	return qp->sq.service;
}

/**
 * hodp_qp_init - build and publish a QP
 * @qp: zeroed by the core, @qp->ibqp filled in by the core
 * @init: attributes; the capabilities are updated to what was granted
 * @uctx: the process's context, or NULL for a kernel consumer
 *
 * Context: process.
 * Return: 0, -EINVAL (capabilities above the device's), -EOPNOTSUPP (type,
 * create flags), -ENOMEM.
 */
int hodp_qp_init(struct hodp_qp *qp, struct ib_qp_init_attr *init,
		 struct ib_ucontext *uctx);

/* On return nothing refers to the QP.  Cannot fail. */
void hodp_qp_destroy(struct hodp_qp *qp);

/**
 * hodp_qp_modify - the modify verb; checks against the IBTA state table
 *
 * Context: process.  Return: 0, -EINVAL, -EOPNOTSUPP (attribute mask),
 * -EHOSTUNREACH (no transport reaches the destination GID).
 */
int hodp_qp_modify(struct hodp_qp *qp, struct ib_qp_attr *attr, int mask);

/* The query verb; fills in all attributes. */
void hodp_qp_query(struct hodp_qp *qp, struct ib_qp_attr *attr,
		   struct ib_qp_init_attr *init);

/**
 * hodp_qp_fail - move a QP to an error state without flushing it
 * @to: IB_QPS_ERR or IB_QPS_SQE
 *
 * For callers that push a completion with the cause of the error.  The order
 * is: change the state, so that a consumer that sees the completion also sees
 * the state; push the completion; call hodp_qp_flush().  Flushing earlier would
 * let another CPU push flushed completions ahead of the cause.
 *
 * Context: process or softirq, no lock of the QP held.
 * Return: true if the state changed; the caller must then call hodp_qp_flush().
 */
bool hodp_qp_fail(struct hodp_qp *qp, enum ib_qp_state to);
void hodp_qp_flush(struct hodp_qp *qp);

/**
 * hodp_qp_error - move a QP to the error state and flush it
 * @event: affiliated asynchronous event to raise, or -1
 *
 * Kicks both runners, which do the flushing.
 * Context: process or softirq, no lock of the QP held.
 */
void hodp_qp_error(struct hodp_qp *qp, int event);

/* As hodp_qp_get(), but in any table of struct hodp_qp_handle. */
struct hodp_qp *hodp_qp_find(struct xarray *table, unsigned long qpn);

/**
 * hodp_qp_get - look a QP up by number
 *
 * Context: any.  Return: a reference (hodp_qp_put()), or NULL.
 */
static inline struct hodp_qp *hodp_qp_get(struct hodp_device *dev, u32 qpn)
{
	return hodp_qp_find(&dev->qps, qpn);
}

void hodp_qp_put(struct hodp_qp *qp);
/* Take a reference to a QP that is known to be alive; false: it is dying. */
bool hodp_qp_hold(struct hodp_qp *qp);

/* Raise an affiliated asynchronous event. */
void hodp_qp_event(struct hodp_qp *qp, enum ib_event_type event);

/* Is the QP in a state in which it accepts messages? */
bool hodp_qp_receives(const struct hodp_qp *qp);

/**
 * hodp_qp_enter - begin to execute a message from @from in @qp, an RC QP
 * @from: the requester; the first message sets its @knows
 *
 * Context: process.
 * Return: 0: the caller owns @qp->in until hodp_qp_leave(); -ENOTCONN: not
 * connected to @from, or not ready to receive; -EBUSY: try again.
 */
int hodp_qp_enter(struct hodp_qp *qp, struct hodp_peer *from);
/* Would @qp accept a message from @from, now or when it is not busy? */
bool hodp_qp_would_enter(struct hodp_qp *qp, const struct hodp_peer *from);
/**
 * hodp_qp_is_entered - has @from entered @qp before, and may it again?
 * @from: the requester of a packet transport
 *
 * For a packet transport, the owner of @qp->rx is the only one that enters, and
 * connections begin and end with @qp->rx owned.  So the owner may use @qp->in
 * without hodp_qp_enter() while this is true; it takes no lock.
 * Context: the owner of @qp->rx; process or softirq.
 */
bool hodp_qp_is_entered(const struct hodp_qp *qp, const struct hodp_peer *from);
/* End hodp_qp_enter(); kicks @qp->rx if the QP must be flushed by now. */
void hodp_qp_leave(struct hodp_qp *qp);
/* For a QP that no longer accepts messages: has the last requester left it?  If
 * not, it kicks @qp->rx when it leaves.
 */
bool hodp_qp_is_left(struct hodp_qp *qp);
/* Wait until hodp_qp_is_left().  Context: process. */
void hodp_qp_wait_left(struct hodp_qp *qp);

/* Take a receive request for @in.  Return: as hodp_rq_pop(). */
int hodp_qp_take_recv(struct hodp_qp *qp, struct hodp_inbound *in);

/**
 * hodp_inbound_bind - check the keys of a receive request and take references
 * @total: bytes of the message, which fit into the request
 *
 * Checks only the first @total bytes of the request's entries: consumers post
 * entries that extend beyond their region if no message is that long.
 * Return: as hodp_span_get().
 */
int hodp_inbound_bind(struct hodp_qp *qp, struct hodp_inbound *in, u64 total);
void hodp_inbound_unbind(struct hodp_inbound *in);

/* The peer has posted a receive: end the RNR wait of @qp.  Context: any. */
void hodp_qp_recv_posted(struct hodp_qp *qp);

/* Drop all work that is in progress; the caller owns both runners. */
void hodp_qp_abandon(struct hodp_qp *qp);

/* End the connection to the peer; the caller owns both runners, and no
 * requester is in the QP.
 */
void hodp_qp_detach(struct hodp_qp *qp);

/* Drop all waiting datagrams; the caller owns @qp->rx. */
void hodp_qp_drop_dgrams(struct hodp_qp *qp);

/* Begin a new incarnation without a peer; end the current incarnation. */
void hodp_qp_reincarnate(struct hodp_qp *qp);
void hodp_qp_forget_peer(struct hodp_qp *qp);

#endif /* HODP_QP_H */
