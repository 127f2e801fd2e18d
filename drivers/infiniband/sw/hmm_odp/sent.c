// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Responses and outstanding operations: model in sent.h. */
#include "aeth.h"
#include "sent.h"

/* The response by its own contents, without regard to the operations. */
static enum hodp_sent_answer hodp_sent_claim(const struct hodp_wire_packet *k)
{
	u8 syndrome = k->syndrome;

	if (!hodp_wire_is_response(k->row))
		return HODP_SENT_BAD;
	if (k->row->kind != HODP_WIRE_ACK) {
		/* Only middle packets have no syndrome. */
		return k->row->headers & HODP_HAS_AETH &&
				       hodp_aeth_type(syndrome) !=
					       HODP_AETH_ACK ?
			       HODP_SENT_BAD :
			       HODP_SENT_DATA;
	}
	switch (hodp_aeth_type(syndrome)) {
	case HODP_AETH_ACK:
		return HODP_SENT_ACK;
	case HODP_AETH_RNR:
		return HODP_SENT_NAK;
	case HODP_AETH_NAK:
		return hodp_aeth_value(syndrome) < HODP_NAK_MAX ?
			       HODP_SENT_NAK :
			       HODP_SENT_BAD;
	default:
		return HODP_SENT_BAD;
	}
}

/* The response is about this operation; all before it are complete. */
static enum hodp_sent_answer hodp_sent_hit(const struct hodp_sent *op,
					   const struct hodp_wire_packet *k,
					   enum hodp_sent_answer claim)
{
	if (claim != HODP_SENT_DATA)
		return claim;
	if (op->answer != k->row->kind)
		return HODP_SENT_BAD;
	return k->psn == op->first_psn ? HODP_SENT_DATA : HODP_SENT_LOST;
}

enum hodp_sent_answer hodp_sent_answered(const struct hodp_sent *sent, u32 num,
					 u32 next_psn,
					 const struct hodp_wire_packet *k,
					 u32 *done)
{
	enum hodp_sent_answer claim = hodp_sent_claim(k);
	u32 i;

	*done = 0;
	if (!num || !hodp_psn_within(k->psn, sent[0].first_psn, next_psn))
		return HODP_SENT_STALE;
	if (claim == HODP_SENT_BAD)
		return HODP_SENT_BAD;
	for (i = 0; i < num - 1; i++) {
		if (!hodp_psn_before(sent[i].last_psn, k->psn))
			break;
		if (sent[i].answer != HODP_WIRE_ACK) {
			*done = i;
			return HODP_SENT_LOST;
		}
	}
	*done = i;
	/* An ACK of its last packet completes an operation without data. */
	if (claim == HODP_SENT_ACK && sent[i].answer == HODP_WIRE_ACK &&
	    sent[i].last_psn == k->psn)
		*done = i + 1;
	return hodp_sent_hit(&sent[i], k, claim);
}
