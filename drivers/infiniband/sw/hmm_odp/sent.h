/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What a response says about a requester's outstanding operations (layer 0; also
 * compiled in user space).
 *
 * Operations complete in the order of their PSNs.  A response acknowledges every
 * request before its PSN.  An operation that is answered by data (READ, atomic,
 * FLUSH, ATOMIC WRITE) is an exception: it completes with its own response only.
 * A response to a later operation shows that this response was *lost*, so that
 * the operation must be requested again (IBTA volume 1, 9.7.5.1).
 */
#ifndef HODP_SENT_H
#define HODP_SENT_H

#include "psn.h"
#include "wire.h"

/**
 * struct hodp_sent - an operation that is not complete
 * @first_psn: the first PSN for which there is no response yet
 * @last_psn: its last PSN; for a READ, of the response
 * @answer: enum hodp_wire_kind of its response: HODP_WIRE_ACK,
 *          HODP_WIRE_READ_RESPONSE or HODP_WIRE_ATOMIC_ACK
 */
struct hodp_sent {
	u32 first_psn;
	u32 last_psn;
	u8 answer;
};

/* What a response means. */
enum hodp_sent_answer {
	HODP_SENT_STALE, /* a duplicate, or of a PSN that was not sent: ignore it */
	HODP_SENT_ACK, /* it acknowledges everything up to its PSN */
	HODP_SENT_DATA, /* it is the next response of the operation after @done */
	HODP_SENT_NAK, /* it is a NAK or RNR NAK of the operation after @done */
	HODP_SENT_LOST, /* the operation after @done must be requested again */
	HODP_SENT_BAD, /* it contradicts the operation: bad response error */
};

/**
 * hodp_sent_answered - what a response means for the outstanding operations
 * @sent: operations in the order of their PSNs, without gaps
 * @num: number of operations; together at most HODP_PSN_HALF PSNs
 * @next_psn: PSN of the next request packet; sending a READ counts as sending all
 *            of its PSNs
 * @k: a response of RC
 * @done: how many operations, from the first, this response completes; the one
 *        that a DATA answers is not among them.  Set in every case.
 *
 * After HODP_SENT_ACK or HODP_SENT_NAK, the packets before (ACK: up to) @k->psn
 * have arrived, except that a READ there has no response yet.
 */
enum hodp_sent_answer hodp_sent_answered(const struct hodp_sent *sent, u32 num,
					 u32 next_psn,
					 const struct hodp_wire_packet *k,
					 u32 *done);

#endif /* HODP_SENT_H */
