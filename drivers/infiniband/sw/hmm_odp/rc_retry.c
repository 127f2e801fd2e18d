// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: a requester's time, and what is sent again (IBTA 9.7.5.1.4,
 * 9.7.6.1).  Model in rc_send.c.
 */
#include "complete.h"
#include "rc_req.h"
#include "trace.h"

/* The shortest local ACK timeout, in ns; IBTA 9.7.6.1.3 allows a longer one than
 * was asked for.
 */
#define HODP_RC_LEAST_TIMEOUT (4 * NSEC_PER_MSEC)

/* ---- time ---- */

/* The local ACK timeout in ns; 0: infinite (IBTA 9.7.6.1.3).  Then, if the last
 * packet or its acknowledgment is lost, and nothing may be sent early (pace.h), the
 * operation never completes: the consumer has asked to do without the timer that
 * would notice.
 */
u64 hodp_rc_timeout(const struct hodp_qp *qp)
{
	u8 timeout = READ_ONCE(qp->attr.timeout);

	return timeout ? max(4096ULL << timeout, HODP_RC_LEAST_TIMEOUT) : 0;
}

void hodp_rc_arm(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	if (!req->pace.wait || req->una == req->next)
		hodp_deadline_clear(&qp->due, HODP_DUE_TIMEOUT);
	else
		hodp_deadline_set(&qp->due, HODP_DUE_TIMEOUT, req->pace.wait);
}

void hodp_rc_begin_wait(struct hodp_qp *qp)
{
	/* A page fault at the peer may answer by an RNR NAK (rc_wait.c), which must
	 * not fail the QP before its timeout.
	 */
	hodp_pace_begin(&qp->rc->req.pace, hodp_rc_timeout(qp),
			READ_ONCE(qp->attr.rnr_retry) == 7);
}

void hodp_rc_progressed(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	req->rnr_left = READ_ONCE(qp->attr.rnr_retry);
	req->retry_left = READ_ONCE(qp->attr.retry_cnt);
	hodp_rc_begin_wait(qp);
	hodp_rc_arm(qp);
}

void hodp_rc_time(struct hodp_rc_requester *req, u32 psn)
{
	if (req->rtt_start)
		return;
	req->rtt_start = ktime_get_ns();
	req->rtt_psn = psn;
}

/* Everything before @psn was answered. */
static void hodp_rc_timed(struct hodp_rc_requester *req, u32 psn)
{
	if (!req->rtt_start || !hodp_psn_after(psn, req->rtt_psn))
		return;
	hodp_pace_sample(&req->pace, ktime_get_ns() - req->rtt_start);
	req->rtt_start = 0;
}

bool hodp_rc_has_hole(const struct hodp_rc_requester *req, u32 psn)
{
	struct sk_buff *held = skb_peek(&req->held.list);

	return unlikely(held) && hodp_psn_after(hodp_rc_cb(held)->psn, psn);
}

bool hodp_rc_is_resending(const struct hodp_rc_requester *req)
{
	/* A probe that is on its way covers nothing but itself. */
	return req->again != req->next &&
	       !(req->probe && req->again != req->una);
}

/* What else must be sent again after a probe?
 *
 * An acknowledgment of the probe alone says that the peer has nothing behind it:
 * the rest.  Data say nothing of what is behind.  After a timeout the peer was
 * probably slow, and has everything: nothing.  After a NAK it may have dropped what
 * was behind: when all data of the probe are here, the next one, as a probe.
 */
void hodp_rc_heard(struct hodp_qp *qp, u32 psn)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	bool data;

	if (likely(!req->probe) || !hodp_psn_after(psn, req->una))
		return;
	data = hodp_rc_wants_data(hodp_rc_oldest(qp));
	if (data && req->naked && !hodp_psn_after(psn, req->again))
		return;
	req->probe = false;
	if (data || hodp_psn_after(psn, req->again))
		req->again = req->next;
}

void hodp_rc_answered(struct hodp_qp *qp, u32 psn)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	if (psn == req->una)
		return;
	/* What is answered is not sent again. */
	if (hodp_psn_before(req->again, psn))
		req->again = req->hole && !hodp_rc_has_hole(req, psn) ?
				     req->next :
				     psn;
	if (req->again == req->next) {
		req->probe = false;
		req->hole = false;
	}
	if (!hodp_psn_before(psn, req->hole_end)) {
		req->hole_end = psn;
		req->lost_until = 0;
	}
	hodp_rc_timed(req, psn);
	if (!hodp_psn_before(psn, req->round)) {
		hodp_pace_round(&req->pace);
		req->round = req->next;
	}
	req->una = psn;
	hodp_rc_progressed(qp);
}

void hodp_rc_go_back(struct hodp_qp *qp, enum hodp_rc_again why)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	trace_hodp_retransmit(qp->ibqp.qp_num, req->una, req->next, why);
	req->again = req->una;
	req->asked = req->una;
	req->hole_end = req->una;
	req->hole = why == HODP_AGAIN_LOST;
	req->probe = !req->hole;
	req->naked = why == HODP_AGAIN_NAK;
	/* Its answer may be that to the first one. */
	req->rtt_start = 0;
	hodp_rc_arm(qp);
}

/* The oldest operation fails.  Return: the verdict of hodp_rc_progress(): the
 * caller must look at the QP's state before it does anything else.
 */
enum hodp_verdict hodp_rc_fail(struct hodp_qp *qp, enum ib_wc_status status)
{
	hodp_deadline_clear(&qp->due, HODP_DUE_TIMEOUT);
	if (hodp_outstanding_num(&qp->out))
		hodp_complete_oldest(qp, status);
	else
		hodp_complete_send(qp, status);
	return HODP_V_WINDOW;
}

enum hodp_verdict hodp_rc_retry(struct hodp_qp *qp, enum hodp_rc_again why)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	if (!req->retry_left)
		return hodp_rc_fail(qp, IB_WC_RETRY_EXC_ERR);
	req->retry_left--;
	hodp_rc_go_back(qp, why);
	return HODP_V_MORE;
}

enum hodp_verdict hodp_rc_silence(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	req->lost_until = 0;
	if (!hodp_pace_passed(&req->pace, hodp_rc_timeout(qp))) {
		hodp_pace_loss(&req->pace);
		hodp_rc_go_back(qp, HODP_AGAIN_EARLY);
		return HODP_V_MORE;
	}
	hodp_count(hodp_qp_dev(qp), HODP_CNT_RETRIES, 1);
	hodp_pace_silence(&req->pace);
	hodp_rc_begin_wait(qp);
	return hodp_rc_retry(qp, HODP_AGAIN_TIMEOUT);
}
