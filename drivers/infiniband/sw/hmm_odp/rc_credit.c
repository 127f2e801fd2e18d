// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: end-to-end flow control (IBTA 9.7.7.2).
 *
 * Language: a message's *SSN* is its number at the requester, its *MSN* the same
 * number at the responder, which has completed all up to the MSN of its AETH.  A
 * *credit* is a posted receive request; MSN + credits is the *LSN*, the last
 * message for which there is one, if each one needs one.
 *
 * Responder: every AETH has the receive requests of the QP's own queue, or that
 * there is no limit, if the QP has an SRQ.  After an AETH without credits it
 * asks the process for a doorbell and then sends an unsolicited acknowledgment.
 *
 * Requester: a message behind the LSN that needs a receive request waits for the
 * answers to those before it.  If there are none, it waits for an unsolicited
 * acknowledgment, but only for HODP_RC_CREDIT_WAIT, because a peer need not send
 * any; then the message is sent nevertheless, as IBTA allows for one.  At the
 * beginning of a connection nothing is known, so the first message goes at once
 * and alone.
 */
#include "aeth.h"
#include "rc.h"

/* How long to wait for credits that a peer need not send, in ns. */
#define HODP_RC_CREDIT_WAIT (4 * NSEC_PER_MSEC)

/* ---- the responder ---- */

/* There are no credits: ask to be told of the next.  Return: the credits now. */
static u32 hodp_rc_ask_for_receives(struct hodp_qp *qp)
{
	qp->rc->resp.broke = true;
	if (READ_ONCE(qp->rnr_waiter))
		return 0;
	WRITE_ONCE(qp->rnr_waiter, true);
	if (hodp_queue_is_user(&qp->rq.q))
		hodp_rq_want_doorbell(&qp->rq, true);
	/* Pairs with the barrier in hodp_engine_ring_recv(): either it sees the
	 * waiter, or we see the request.
	 */
	smp_mb();
	return hodp_rq_posted(&qp->rq);
}

u8 hodp_rc_good(struct hodp_qp *qp)
{
	u32 credits;

	if (qp->srq || !hodp_queue_exists(&qp->rq.q))
		return hodp_aeth_syndrome(HODP_AETH_ACK, HODP_AETH_NO_LIMIT);
	qp->rc->resp.broke = false;
	credits = hodp_rq_posted(&qp->rq);
	if (unlikely(!credits))
		credits = hodp_rc_ask_for_receives(qp);
	return hodp_aeth_syndrome(HODP_AETH_ACK,
				  hodp_aeth_credit_code(credits));
}

void hodp_rc_refill(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;

	/* A NAK that was sent is the last word until it is obeyed. */
	if (resp->nak_sent || !hodp_rq_posted(&qp->rq))
		return;
	resp->ack_due = true;
	WRITE_ONCE(qp->rnr_waiter, false);
	if (hodp_queue_is_user(&qp->rq.q))
		hodp_rq_want_doorbell(&qp->rq, false);
}

/* ---- the requester ---- */

void hodp_rc_take_credits(struct hodp_qp *qp, const struct hodp_wire_packet *k)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	u8 code = hodp_aeth_value(k->syndrome);
	u32 lsn;

	if (!(k->row->headers & HODP_HAS_AETH) ||
	    hodp_aeth_type(k->syndrome) != HODP_AETH_ACK)
		return;
	lsn = k->msn;
	req->limited = code != HODP_AETH_NO_LIMIT;
	if (req->limited)
		lsn = hodp_psn_add(lsn, hodp_aeth_credits(code));
	/* Posted requests stay, so a limit that is behind is an old one. */
	if (hodp_psn_after(lsn, req->lsn))
		req->lsn = lsn;
}

bool hodp_rc_lacks_credit(const struct hodp_qp *qp)
{
	const struct hodp_rc_requester *req = &qp->rc->req;

	return unlikely(req->limited) &&
	       (qp->op.row->flags & (HODP_OP_SEND | HODP_OP_IMM)) &&
	       hodp_psn_after(hodp_psn_add(req->ssn, 1), req->lsn);
}

bool hodp_rc_may_begin(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	if (likely(!hodp_rc_lacks_credit(qp))) {
		req->credit_wait = false;
		return true;
	}
	/* The answers to those before it may bring some. */
	if (req->una != req->next)
		return false;
	/* The first message: nothing is known yet. */
	if (!req->ssn)
		return true;
	if (!req->credit_wait) {
		req->credit_wait = true;
		hodp_deadline_set(&qp->due, HODP_DUE_CREDIT,
				  HODP_RC_CREDIT_WAIT);
		return false;
	}
	if (!hodp_deadline_passed(&qp->due, HODP_DUE_CREDIT))
		return false;
	req->credit_wait = false;
	return true;
}
