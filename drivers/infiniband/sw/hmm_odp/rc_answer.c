// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: what a requester does with the responses to it (IBTA 9.7.5.1).
 * Model in rc_send.c; sent.c says what a response means.
 */
#include "aeth.h"
#include "complete.h"
#include "fault.h"
#include "rc_req.h"
#include "sent.h"
#include "trace.h"

/* Instead of an infinite timeout, in ns, where one is needed. */
#define HODP_RC_PATIENCE (100 * NSEC_PER_MSEC)

static void hodp_rc_complete(struct hodp_qp *qp, u32 num)
{
	while (num--) {
		struct hodp_op *op = hodp_outstanding_oldest(&qp->out);

		hodp_rc_answered(qp, op->end);
		hodp_complete_oldest(qp, IB_WC_SUCCESS);
	}
}

/* enum hodp_wire_kind of the response to the operation. */
static u8 hodp_rc_answer_kind(const struct hodp_op *op)
{
	if (hodp_rc_is_read(op))
		return HODP_WIRE_READ_RESPONSE;
	return hodp_rc_wants_data(op) ? HODP_WIRE_ATOMIC_ACK : HODP_WIRE_ACK;
}

/* What was sent, for hodp_sent_answered().  Return: number of operations. */
static u32 hodp_rc_list(struct hodp_qp *qp, struct hodp_sent *sent)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_op *current_op = hodp_rc_current(qp);
	u32 num = hodp_outstanding_num(&qp->out) + !!current_op;
	u32 i;

	for (i = 0; i < num; i++) {
		const struct hodp_op *op =
			i < hodp_outstanding_num(&qp->out) ?
				hodp_outstanding_at(&qp->out,
						    qp->out.first + i) :
				current_op;

		sent[i].first_psn = i ? op->psn : req->una;
		sent[i].last_psn = hodp_psn_add(op->end, HODP_PSN_MASK);
		sent[i].answer = hodp_rc_answer_kind(op);
	}
	return num;
}

static enum hodp_verdict hodp_rc_rnr(struct hodp_qp *qp, u8 timer)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	/* Nothing was sent since the last one, so it is a duplicate. */
	if (req->rnr) {
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_STALE, 1);
		return HODP_V_MORE;
	}
	hodp_count(hodp_qp_dev(qp), HODP_CNT_RNR, 1);
	if (READ_ONCE(qp->attr.rnr_retry) != 7) {
		if (!req->rnr_left)
			return hodp_rc_fail(qp, IB_WC_RNR_RETRY_EXC_ERR);
		req->rnr_left--;
	}
	req->rnr = true;
	req->again = req->una;
	hodp_rc_begin_wait(qp);
	hodp_deadline_clear(&qp->due, HODP_DUE_TIMEOUT);
	hodp_deadline_set(&qp->due, HODP_DUE_RNR,
			  (u64)hodp_aeth_rnr_usecs(timer) * NSEC_PER_USEC);
	return HODP_V_MORE;
}

/* A NAK; everything before its PSN was answered. */
static enum hodp_verdict hodp_rc_naked(struct hodp_qp *qp, u8 syndrome)
{
	trace_hodp_nak_receive(qp->ibqp.qp_num, qp->rc->req.una, syndrome);
	if (hodp_aeth_type(syndrome) == HODP_AETH_RNR)
		return hodp_rc_rnr(qp, hodp_aeth_value(syndrome));
	switch (hodp_aeth_value(syndrome)) {
	case HODP_NAK_SEQUENCE:
		hodp_count(hodp_qp_dev(qp), HODP_CNT_NAKS_RECEIVED, 1);
		hodp_pace_loss(&qp->rc->req.pace);
		return hodp_rc_retry(qp, HODP_AGAIN_NAK);
	case HODP_NAK_INVALID:
		return hodp_rc_fail(qp, IB_WC_REM_INV_REQ_ERR);
	case HODP_NAK_ACCESS:
		return hodp_rc_fail(qp, IB_WC_REM_ACCESS_ERR);
	default:
		return hodp_rc_fail(qp, IB_WC_REM_OP_ERR);
	}
}

/* Are there responses behind a missing one, which must come first? */
static bool hodp_rc_sees_hole(struct hodp_qp *qp)
{
	const struct hodp_op *op = hodp_rc_oldest(qp);

	return hodp_rc_has_hole(&qp->rc->req, qp->rc->req.una) && op &&
	       hodp_rc_wants_data(op);
}

/* Keep a response behind a lost one, unless it contradicts its operation or, as an
 * ACK in the middle of a READ, says nothing.
 */
static void hodp_rc_hold_response(struct hodp_qp *qp, struct sk_buff **skb,
				  const struct hodp_wire_packet *k)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	u8 kind = hodp_rc_answer_kind(hodp_rc_op_of(qp, k->psn));
	bool nak = k->row->kind == HODP_WIRE_ACK &&
		   hodp_aeth_type(k->syndrome) != HODP_AETH_ACK;

	if (k->row->kind != kind && !nak)
		return;
	hodp_rc_hold(qp, &req->held, req->una, *skb, k);
	*skb = NULL;
}

/* A response shows that the one for the oldest unanswered PSN was lost: a NAK that
 * is implied.  The responses that follow it say the same, so believe them only if
 * they still do after a part of the timeout.
 */
static enum hodp_verdict hodp_rc_lost(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	u64 timeout = hodp_rc_timeout(qp);
	u64 patience = max((timeout ?: HODP_RC_PATIENCE) / 4,
			   hodp_pace_early(&req->pace, timeout));
	u64 now = ktime_get_ns();

	hodp_count(hodp_qp_dev(qp), HODP_CNT_LOST_RESPONSES, 1);
	if (hodp_rc_is_resending(req) || now < req->lost_until)
		return HODP_V_MORE;
	req->lost_until = now + patience;
	hodp_pace_loss(&req->pace);
	return hodp_rc_retry(qp, HODP_AGAIN_LOST);
}

/* A response contradicts its request. */
static enum hodp_verdict hodp_rc_bad_response(struct hodp_qp *qp)
{
	hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_BAD_RESPONSE, 1);
	return hodp_rc_fail(qp, IB_WC_BAD_RESP_ERR);
}

/* The response's data go to the oldest operation.  Return: 0, or why not. */
static long hodp_rc_store(struct hodp_qp *qp, const struct hodp_op *op,
			  struct sk_buff *skb, struct hodp_wire_packet *k,
			  struct hodp_miss *miss)
{
	u64 pos = (u64)hodp_psn_diff(k->psn, op->psn) * qp->rc->mtu;

	if (!hodp_rc_is_read(op))
		return hodp_rc_copy(qp, op, &k->original, 8, 0, miss);
	if (k->payload != min_t(u64, op->total - pos, qp->rc->mtu))
		return -EBADMSG;
	return hodp_rc_copy(qp, op, hodp_rc_body(skb) + k->at, k->payload, pos,
			    miss);
}

/* The data of the oldest operation's response with @psn are in place. */
static void hodp_rc_stored(struct hodp_qp *qp, const struct hodp_op *op,
			   u32 psn)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	if (hodp_rc_ends(req, psn))
		req->reads--;
	hodp_rc_answered(qp, hodp_psn_add(psn, 1));
	if (req->una == op->end && op != &qp->op)
		hodp_complete_oldest(qp, IB_WC_SUCCESS);
}

static void hodp_rc_put_back(struct hodp_qp *qp, struct sk_buff *skb)
{
	spin_lock_bh(&qp->rx_lock);
	__skb_queue_head(&qp->rc->responses, skb);
	spin_unlock_bh(&qp->rx_lock);
}

/* Data for the oldest operation, whose first unanswered PSN is that of @k.
 * *@skb: set to NULL if the packet must be handled again.
 */
static enum hodp_verdict hodp_rc_data_arrived(struct hodp_qp *qp,
					      struct sk_buff **skb,
					      struct hodp_wire_packet *k)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_op *op = hodp_rc_oldest(qp);
	struct hodp_miss miss;
	long ret = hodp_rc_faulted(req, k->psn);

	if (!ret)
		ret = hodp_rc_load(qp, op) ?
			      -EACCES :
			      hodp_rc_store(qp, op, *skb, k, &miss);
	if (ret == -EAGAIN) {
		hodp_rc_put_back(qp, *skb);
		*skb = NULL;
		return hodp_rc_fault(qp, k->psn, &miss);
	}
	if (ret == -EBADMSG)
		return hodp_rc_bad_response(qp);
	if (ret)
		return hodp_rc_fail(qp, hodp_op_status(ret));
	hodp_rc_stored(qp, op, k->psn);
	return HODP_V_MORE;
}

/* Nothing is outstanding that it answers.  If it repeats the last answer, it is a
 * sign of life: the peer has the next request, and needs more time (rc_wait.c).
 */
static void hodp_rc_stale(struct hodp_qp *qp, const struct hodp_wire_packet *k)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	bool good = !(k->row->headers & HODP_HAS_AETH) ||
		    hodp_aeth_type(k->syndrome) == HODP_AETH_ACK;

	hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_STALE, 1);
	if (!good || req->rnr || req->una == req->next ||
	    hodp_psn_add(k->psn, 1) != req->una)
		return;
	req->retry_left = READ_ONCE(qp->attr.retry_cnt);
	req->held.alive = true;
	/* Its page fault is no part of a round trip. */
	req->rtt_start = 0;
	hodp_pace_sign(&req->pace, hodp_rc_timeout(qp));
	hodp_rc_arm(qp);
}

/* What the response says about the requests that the peer has. */
static void hodp_rc_hear(struct hodp_qp *qp, const struct hodp_wire_packet *k,
			 enum hodp_sent_answer answer)
{
	if (answer == HODP_SENT_NAK)
		hodp_rc_heard(qp, k->psn);
	else if (answer != HODP_SENT_STALE && answer != HODP_SENT_BAD)
		hodp_rc_heard(qp, hodp_psn_add(k->psn, 1));
}

/* Handle one response.  *@skb: set to NULL if it is kept. */
static enum hodp_verdict hodp_rc_response(struct hodp_qp *qp,
					  struct sk_buff **skb,
					  struct hodp_wire_packet *k)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_sent sent[HODP_MAX_OUTSTANDING + 1];
	u32 num = hodp_rc_list(qp, sent);
	enum hodp_sent_answer answer;
	u32 done;

	hodp_rc_take_credits(qp, k);
	answer = hodp_sent_answered(sent, num, req->next, k, &done);
	hodp_rc_hear(qp, k, answer);
	hodp_rc_complete(qp, done);
	switch (answer) {
	case HODP_SENT_STALE:
		hodp_rc_stale(qp, k);
		return HODP_V_MORE;
	case HODP_SENT_ACK:
		if (done < num && sent[done].answer == HODP_WIRE_ACK)
			hodp_rc_answered(qp, hodp_psn_add(k->psn, 1));
		return HODP_V_MORE;
	case HODP_SENT_DATA:
		return hodp_rc_data_arrived(qp, skb, k);
	case HODP_SENT_NAK:
		if (sent[done].answer == HODP_WIRE_ACK)
			hodp_rc_answered(qp, k->psn);
		return hodp_rc_naked(qp, k->syndrome);
	case HODP_SENT_LOST:
		hodp_rc_hold_response(qp, skb, k);
		return hodp_rc_lost(qp);
	case HODP_SENT_BAD:
		return hodp_rc_bad_response(qp);
	}
	return HODP_V_MORE;
}

/* As hodp_rc_data_arrived().  Return: false: nothing has changed. */
static bool hodp_rc_data_quick(struct hodp_qp *qp, struct sk_buff *skb,
			       struct hodp_wire_packet *k)
{
	struct hodp_op *op = hodp_rc_oldest(qp);

	if (hodp_rc_load(qp, op) || hodp_rc_store(qp, op, skb, k, NULL))
		return false;
	hodp_rc_stored(qp, op, k->psn);
	return true;
}

/* May the operation that waits go on?  If it lacks credits and nothing else brings
 * some, it must begin to wait for them.
 */
static bool hodp_rc_may_go_on(const struct hodp_qp *qp)
{
	const struct hodp_rc_requester *req = &qp->rc->req;
	const struct hodp_op *op = &qp->op;

	if (!op->active)
		return false;
	if (!op->begun && !op->ended && hodp_rc_lacks_credit(qp))
		return req->una == req->next && !req->credit_wait;
	return !hodp_rc_window_is_full(qp);
}

enum hodp_rc_quick hodp_rc_progress_quick(struct hodp_qp *qp,
					  struct sk_buff *skb,
					  struct hodp_wire_packet *k)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_sent sent[HODP_MAX_OUTSTANDING + 1];
	enum hodp_rc_quick ret = HODP_RC_QUICK_DONE;
	enum hodp_sent_answer answer;
	u32 num, done;

	if (!req->started || READ_ONCE(qp->state) != IB_QPS_RTS ||
	    READ_ONCE(qp->dying) || req->faulting || req->fault_err ||
	    req->rnr || req->again != req->next || hodp_rc_holds(&req->held))
		return HODP_RC_QUICK_NOT;
	hodp_rc_obey_marks(qp->rc);
	hodp_rc_take_credits(qp, k);
	num = hodp_rc_list(qp, sent);
	answer = hodp_sent_answered(sent, num, req->next, k, &done);
	hodp_rc_hear(qp, k, answer);
	switch (answer) {
	case HODP_SENT_STALE:
		hodp_rc_stale(qp, k);
		break;
	case HODP_SENT_ACK:
		hodp_rc_complete(qp, done);
		if (done < num && sent[done].answer == HODP_WIRE_ACK)
			hodp_rc_answered(qp, hodp_psn_add(k->psn, 1));
		break;
	case HODP_SENT_DATA:
		hodp_rc_complete(qp, done);
		if (!hodp_rc_data_quick(qp, skb, k))
			ret = HODP_RC_QUICK_NOT;
		break;
	default:
		return HODP_RC_QUICK_NOT;
	}
	hodp_payload_unbind(&qp->payload);
	if (ret == HODP_RC_QUICK_DONE && hodp_rc_may_go_on(qp))
		ret = HODP_RC_QUICK_MORE;
	return ret;
}

/* The next response: one that was held, if what was missing before it is here. */
static struct sk_buff *hodp_rc_next_response(struct hodp_qp *qp,
					     struct hodp_wire_packet *k)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct sk_buff *held = skb_peek(&req->held.list);

	if (likely(!held) || hodp_rc_sees_hole(qp))
		return hodp_rc_dequeue(qp, &qp->rc->responses, k);
	return hodp_rc_release(qp, &req->held, hodp_rc_cb(held)->psn, k);
}

void hodp_rc_stop(struct hodp_qp *qp)
{
	if (hodp_rc_holds(&qp->rc->req.held))
		hodp_rc_unhold(qp, &qp->rc->req.held);
}

static void hodp_rc_start(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	req->started = true;
	req->next = qp->attr.sq_psn;
	req->una = req->next;
	req->again = req->next;
	req->hole_end = req->next;
	req->asked = req->next;
	req->round = req->next;
	req->limited = true;
	hodp_pace_init(&req->pace);
	hodp_rc_progressed(qp);
}

/* Send what must be sent again.  Return: as hodp_rc_progress(). */
static enum hodp_verdict hodp_rc_send_again(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	if (req->again == req->next) {
		/* Behind the responses that were missing, others are. */
		if (unlikely(hodp_rc_sees_hole(qp)) &&
		    req->hole_end == req->una && !req->lost_until)
			return hodp_rc_lost(qp);
		return HODP_V_DONE;
	}
	/* The probe is on its way. */
	if (req->probe && req->again != req->una)
		return HODP_V_WINDOW;
	return hodp_rc_resend(qp);
}

enum hodp_verdict hodp_rc_progress(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	bool faulted = req->faulting;
	struct hodp_wire_packet k;
	enum hodp_verdict verdict;
	struct sk_buff *skb;

	if (unlikely(!req->started))
		hodp_rc_start(qp);
	hodp_rc_obey_marks(qp->rc);
	if (faulted) {
		int err = hodp_fault_finish(&qp->req);

		if (err == -EINPROGRESS)
			return HODP_V_WINDOW;
		WRITE_ONCE(req->faulting, false);
		req->fault_err = err;
	}
	if (hodp_rc_holds(&req->held))
		hodp_rc_check_held(qp, &req->held, req->una, faulted);
	skb = hodp_rc_next_response(qp, &k);
	if (skb) {
		verdict = hodp_rc_response(qp, &skb, &k);
		consume_skb(skb);
		return verdict;
	}
	if (req->rnr) {
		if (!hodp_deadline_passed(&qp->due, HODP_DUE_RNR))
			return HODP_V_WINDOW;
		req->rnr = false;
		hodp_rc_go_back(qp, HODP_AGAIN_RNR);
	}
	if (hodp_deadline_passed(&qp->due, HODP_DUE_TIMEOUT) &&
	    req->una != req->next)
		return hodp_rc_silence(qp);
	return hodp_rc_send_again(qp);
}
