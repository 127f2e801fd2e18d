// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: congestion (annex A17.9.2, A17.9.3; pace.h).
 *
 * All packets of a connection are ECN-capable.  A switch or a queue that is about
 * to be full marks them with CE instead of dropping them.  The receiver of a
 * marked packet with payload sends a CNP to the peer, in the QP's receiver.  A
 * CNP, and a READ response with CE, which this side has asked for itself, shrink
 * the requester's window.
 *
 * What is sent to us costs no more than it is worth: one CNP per HODP_RC_CNP_GAP
 * however many packets are marked, and one flag however many CNPs come, which the
 * requester believes once a round.  A CNP has no PSN, so whoever can send with the
 * peer's addresses can slow the QP down, to a window of one packet.
 *
 * Not slowed by a CNP: responses to a peer that requests more than it can take.
 */
#include "rc.h"

/* At most one CNP in this time, in ns, for each QP (A17.9.3). */
#define HODP_RC_CNP_GAP (50 * NSEC_PER_USEC)

void hodp_rc_look(struct hodp_qp *qp, const struct hodp_udp_packet *packet,
		  const struct hodp_wire_packet *k)
{
	struct hodp_rc *rc = qp->rc;
	u64 now;

	lockdep_assert_held(&qp->rx_lock);
	if (likely(hodp_wire_ecn(packet->ip, packet->ip_len) != HODP_WIRE_CE) ||
	    !k->payload)
		return;
	hodp_count(packet->dev, HODP_CNT_ECN_MARKED, 1);
	if (hodp_wire_is_response(k->row))
		WRITE_ONCE(rc->marked, true);
	now = ktime_get_ns();
	if (rc->cnp_at && now - rc->cnp_at < HODP_RC_CNP_GAP)
		return;
	rc->cnp_at = now;
	WRITE_ONCE(rc->cnp_due, true);
	hodp_runner_kick(&qp->rx);
}

void hodp_rc_notified(struct hodp_qp *qp)
{
	lockdep_assert_held(&qp->rx_lock);
	hodp_count(hodp_qp_dev(qp), HODP_CNT_CNP_HANDLED, 1);
	WRITE_ONCE(qp->rc->marked, true);
}
