// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: what a responder sends without payload, and the memory of what it
 * has answered.  Model in rc_recv.c.
 */
#include "flight.h"
#include "rc_resp.h"
#include "trace.h"

/* ---- replies ---- */

/* May a packet be sent?  If not, the receiver is kicked when it may. */
bool hodp_rc_has_slot(struct hodp_qp *qp)
{
	struct hodp_flight *f = qp->rc->resp.flight;

	if (!hodp_flight_take(f))
		return false;
	hodp_flight_give_back(f);
	return true;
}

bool hodp_rc_reply(struct hodp_qp *qp, u8 kind, u32 psn, u8 syndrome,
		   u64 original)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	u8 service = kind == HODP_WIRE_NOTIFY ? HODP_WIRE_CNP : HODP_WIRE_RC;
	struct hodp_wire_packet k = {
		.row = hodp_wire_find(service, kind, HODP_WIRE_ONLY, 0),
		.psn = psn,
		.syndrome = syndrome,
		.msn = resp->msn,
		.original = original,
	};
	struct sk_buff *skb;

	if (!hodp_flight_take(resp->flight))
		return false;
	skb = hodp_rc_alloc(qp, k.row, 0, resp->quick);
	if (!skb) {
		hodp_flight_give_back(resp->flight);
		hodp_deadline_set(&qp->due, HODP_DUE_RX, HODP_PAUSE);
		hodp_count(hodp_qp_dev(qp), HODP_CNT_TX_NO_MEMORY, 1);
		return false;
	}
	if (hodp_aeth_type(syndrome) != HODP_AETH_ACK)
		trace_hodp_nak_send(qp->ibqp.qp_num, psn, syndrome);
	hodp_rc_send(qp, skb, &k, resp->flight);
	return true;
}

/* Acknowledge everything before the expected PSN. */
void hodp_rc_ack(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;

	if (resp->ack_due &&
	    hodp_rc_reply(qp, HODP_WIRE_ACK,
			  hodp_psn_add(resp->message.expected, HODP_PSN_MASK),
			  hodp_rc_good(qp), 0))
		resp->ack_due = false;
}

void hodp_rc_notify(struct hodp_qp *qp)
{
	if (hodp_rc_reply(qp, HODP_WIRE_NOTIFY, 0, 0, 0))
		hodp_count(hodp_qp_dev(qp), HODP_CNT_CNP_SENT, 1);
}

/* NAKs acknowledge everything before @psn.  Return: true: it was sent; if not, the
 * requester will send again.
 */
bool hodp_rc_nak(struct hodp_qp *qp, u32 psn, enum hodp_aeth_nak code)
{
	static const enum hodp_counter counters[] = {
		[HODP_NAK_SEQUENCE] = HODP_CNT_NAKS_SENT,
		[HODP_NAK_INVALID] = HODP_CNT_INVALID_SENT,
		[HODP_NAK_ACCESS] = HODP_CNT_ACCESS_SENT,
		[HODP_NAK_OPERATION] = HODP_CNT_OP_SENT,
	};

	if (!hodp_rc_reply(qp, HODP_WIRE_ACK, psn,
			   hodp_aeth_syndrome(HODP_AETH_NAK, code), 0))
		return false;
	qp->rc->resp.ack_due = false;
	hodp_count(hodp_qp_dev(qp), counters[code], 1);
	return true;
}

bool hodp_rc_not_ready(struct hodp_qp *qp, u32 psn)
{
	u8 timer = READ_ONCE(qp->attr.min_rnr_timer);

	if (!hodp_rc_reply(qp, HODP_WIRE_ACK, psn,
			   hodp_aeth_syndrome(HODP_AETH_RNR, timer), 0))
		return false;
	qp->rc->resp.ack_due = false;
	hodp_count(hodp_qp_dev(qp), HODP_CNT_RNR_SENT, 1);
	return true;
}

/* ---- what was executed before ---- */

void hodp_rc_remember(struct hodp_rc_responder *resp, u32 end)
{
	struct hodp_rc_done *d = &resp->done[resp->done_at];

	resp->done_at = (resp->done_at + 1) % HODP_RC_REPLAY;
	*d = (struct hodp_rc_done){
		.psn = resp->reading ? resp->read_psn : resp->k.psn,
		.end = end,
		.kind = resp->k.row->kind,
		.original = resp->req.atomic_old,
	};
}

/* The READ or atomic that a duplicate repeats, or a part of it; or NULL.  The
 * newest first: an old one may have the same PSN, after a wrap.
 */
const struct hodp_rc_done *hodp_rc_recall(const struct hodp_rc_responder *resp,
					  const struct hodp_wire_packet *k)
{
	u32 i;

	for (i = 1; i <= HODP_RC_REPLAY; i++) {
		const struct hodp_rc_done *d =
			&resp->done[(resp->done_at + HODP_RC_REPLAY - i) %
				    HODP_RC_REPLAY];

		if (d->kind == k->row->kind &&
		    hodp_psn_within(k->psn, d->psn, d->end))
			return d;
	}
	return NULL;
}
