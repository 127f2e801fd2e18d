// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: a READ that is requested again while it is being answered.
 *
 * A requester that misses one response asks for all from there on again (IBTA
 * 9.7.5.1.2), often long before the responder has sent the last one.  The request
 * is no new one: the responder *rewinds*, so that each response is sent again at
 * most once per request.  If it waited in the queue instead, it would be answered
 * after the READ that still goes on, and all that follows would be late.
 */
#include "rc_resp.h"

void hodp_rc_read_begin(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	u32 psns = hodp_message_psns(&resp->k, qp->rc->mtu);

	/* The only response is also the last one. */
	if (psns == 1)
		return;
	spin_lock_bh(&qp->rx_lock);
	resp->reading = true;
	resp->rewind = false;
	resp->read_psn = resp->k.psn;
	resp->read_end = hodp_psn_add(resp->k.psn, psns);
	spin_unlock_bh(&qp->rx_lock);
}

bool hodp_rc_read_again(struct hodp_qp *qp, const struct hodp_wire_packet *k)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	u32 mtu = qp->rc->mtu;
	s32 skip;

	lockdep_assert_held(&qp->rx_lock);
	if (!resp->reading || k->row->kind != HODP_WIRE_READ ||
	    !hodp_psn_within(k->psn, resp->read_psn, resp->read_end) ||
	    hodp_psn_add(k->psn, hodp_message_psns(k, mtu)) != resp->read_end)
		return false;
	skip = hodp_psn_diff(k->psn, resp->k.psn);
	if (k->rkey != resp->k.rkey || k->va != resp->k.va + (s64)skip * mtu ||
	    k->length != resp->k.length - skip * mtu)
		return false;
	resp->rewind_psn = k->psn;
	WRITE_ONCE(resp->rewind, true);
	return true;
}

bool hodp_rc_read_rewind(struct hodp_qp *qp, bool sent)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	u32 mtu = qp->rc->mtu;
	bool again;
	s32 skip;

	if (likely(sent ? !resp->reading : !READ_ONCE(resp->rewind)))
		return false;
	spin_lock_bh(&qp->rx_lock);
	/* What is still to come needs no rewinding. */
	again = resp->rewind && hodp_psn_before(resp->rewind_psn, resp->psn);
	resp->rewind = false;
	if (again) {
		skip = hodp_psn_diff(resp->rewind_psn, resp->k.psn);
		resp->k.psn = resp->rewind_psn;
		resp->k.va += (s64)skip * mtu;
		resp->k.length -= skip * mtu;
	} else if (sent) {
		resp->reading = false;
	}
	spin_unlock_bh(&qp->rx_lock);
	return again;
}
