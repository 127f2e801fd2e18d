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
 * packet or its acknowledgment is lost, the operation never completes: the consumer
 * has asked to do without the timer that would notice.
 */
u64 hodp_rc_timeout(const struct hodp_qp *qp)
{
	u8 timeout = READ_ONCE(qp->attr.timeout);

	return timeout ? max(4096ULL << timeout, HODP_RC_LEAST_TIMEOUT) : 0;
}

/* Wait for an answer, as long as the attributes say. */
void hodp_rc_arm(struct hodp_qp *qp)
{
	u64 timeout = hodp_rc_timeout(qp);

	if (!timeout || qp->rc->req.una == qp->rc->req.next)
		hodp_deadline_clear(&qp->due, HODP_DUE_TIMEOUT);
	else
		hodp_deadline_set(&qp->due, HODP_DUE_TIMEOUT, timeout);
}

void hodp_rc_progressed(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	req->rnr_left = READ_ONCE(qp->attr.rnr_retry);
	req->retry_left = READ_ONCE(qp->attr.retry_cnt);
	hodp_rc_arm(qp);
}

/* Everything before @psn was answered. */
void hodp_rc_answered(struct hodp_qp *qp, u32 psn)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	if (psn == req->una)
		return;
	/* What is answered is not sent again.  Neither is the rest, if the peer
	 * has more than the probe.
	 */
	if (req->probe && psn != req->again)
		req->again = req->next;
	else if (hodp_psn_before(req->again, psn))
		req->again = psn;
	req->probe = false;
	req->una = psn;
	req->lost_until = 0;
	hodp_rc_progressed(qp);
}
/* Send everything from the oldest unanswered PSN again.  After a NAK or a lost
 * response at once; else only the first packet.
 */
void hodp_rc_go_back(struct hodp_qp *qp, enum hodp_rc_again why)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	bool probe = why == HODP_AGAIN_RNR || why == HODP_AGAIN_TIMEOUT;

	trace_hodp_retransmit(qp->ibqp.qp_num, req->una, req->next, why);
	req->again = req->una;
	req->probe = probe;
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
