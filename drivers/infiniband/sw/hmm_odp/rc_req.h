/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * RC over RoCEv2: the files of the requester among themselves (layer 4).  The
 * model is in rc_send.c.  The caller of each function owns the requester.
 */
#ifndef HODP_RC_REQ_H
#define HODP_RC_REQ_H

#include "rc.h"

/* Why packets are sent again; also in trace.h. */
enum hodp_rc_again {
	HODP_AGAIN_NAK,
	HODP_AGAIN_RNR,
	HODP_AGAIN_TIMEOUT,
	HODP_AGAIN_LOST,
	HODP_AGAIN_EARLY, /* before the timeout: pace.h */
};

static inline bool hodp_rc_is_read(const struct hodp_op *op)
{
	return op->row->flags & HODP_OP_READ;
}

/* Is the operation answered by data? */
static inline bool hodp_rc_wants_data(const struct hodp_op *op)
{
	return op->row->flags & (HODP_OP_READ | HODP_OP_ATOMIC);
}

/* The operation of which packets were sent last, if it is not outstanding yet. */
static inline struct hodp_op *hodp_rc_current(struct hodp_qp *qp)
{
	return qp->op.active && qp->op.begun ? &qp->op : NULL;
}

/* The oldest operation that has PSNs, or NULL. */
static inline struct hodp_op *hodp_rc_oldest(struct hodp_qp *qp)
{
	if (hodp_outstanding_num(&qp->out))
		return hodp_outstanding_oldest(&qp->out);
	return hodp_rc_current(qp);
}

/* The operation that @psn belongs to; @psn was sent and is not answered. */
struct hodp_op *hodp_rc_op_of(struct hodp_qp *qp, u32 psn);

/* ---- rc_retry.c ---- */

/* The local ACK timeout in ns; 0: infinite. */
u64 hodp_rc_timeout(const struct hodp_qp *qp);
/* Wait for an answer, for req.pace.wait. */
void hodp_rc_arm(struct hodp_qp *qp);
/* The next hodp_rc_arm() is the first wait for an answer. */
void hodp_rc_begin_wait(struct hodp_qp *qp);
/* A wait is over without an answer.  Return: the verdict of hodp_rc_progress(). */
enum hodp_verdict hodp_rc_silence(struct hodp_qp *qp);
/* The peer has answered something new. */
void hodp_rc_progressed(struct hodp_qp *qp);
/* A new packet was sent: the first one of a round trip is timed. */
void hodp_rc_time(struct hodp_rc_requester *req, u32 psn);
/* A response shows that the peer has all requests before @psn.  Call this before
 * hodp_rc_answered() for any of them.
 */
void hodp_rc_heard(struct hodp_qp *qp, u32 psn);
/* Everything before @psn was answered. */
void hodp_rc_answered(struct hodp_qp *qp, u32 psn);
/* Are there responses behind a missing one, if everything before @psn was
 * answered?
 */
bool hodp_rc_has_hole(const struct hodp_rc_requester *req, u32 psn);
/* Is something being sent again, or will be? */
bool hodp_rc_is_resending(const struct hodp_rc_requester *req);
/* Send the packet of the oldest unanswered PSN again: if responses were lost, as a
 * hole, else as a probe.
 */
void hodp_rc_go_back(struct hodp_qp *qp, enum hodp_rc_again why);
/* The same if there is a retry left; else the oldest operation fails.  Return: the
 * verdict of hodp_rc_progress().
 */
enum hodp_verdict hodp_rc_retry(struct hodp_qp *qp, enum hodp_rc_again why);
/* The oldest operation fails.  Return: the verdict of hodp_rc_progress(): the
 * caller must look at the QP's state before it does anything else.
 */
enum hodp_verdict hodp_rc_fail(struct hodp_qp *qp, enum ib_wc_status status);

/* ---- rc_send.c ---- */

/* Make @qp->payload that of @op, and bind it.  Return: 0, or an errno. */
int hodp_rc_load(struct hodp_qp *qp, const struct hodp_op *op);
/**
 * hodp_rc_copy - copy between a packet and the loaded payload
 * @op: of the payload
 * @packet: bytes of the packet
 * @len: their number
 * @pos: their position in the payload
 * @miss: the page that is missing, if it returns -EAGAIN; NULL: the caller is a
 *        softirq
 *
 * Return: 0, or an errno of hodp_sgl_copy(), in softirq -EAGAIN only.
 */
long hodp_rc_copy(struct hodp_qp *qp, const struct hodp_op *op, void *packet,
		  u32 len, u64 pos, struct hodp_miss *miss);
/* Does an outstanding READ or atomic request end with @psn? */
bool hodp_rc_ends(const struct hodp_rc_requester *req, u32 psn);
/* Does the window keep the operation from sending?  It has its PSNs. */
bool hodp_rc_window_is_full(const struct hodp_qp *qp);
/* Wait for a fault: for the response or the resend of @psn.  Return: the verdict of
 * hodp_rc_progress().
 */
enum hodp_verdict hodp_rc_fault(struct hodp_qp *qp, u32 psn,
				const struct hodp_miss *miss);
/* The error of the last fault, if that was for @psn. */
int hodp_rc_faulted(struct hodp_rc_requester *req, u32 psn);
/* Send the next packet again.  Return: the verdict of hodp_rc_progress(). */
enum hodp_verdict hodp_rc_resend(struct hodp_qp *qp);

#endif /* HODP_RC_REQ_H */
