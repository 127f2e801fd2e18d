// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: packets that wait for a missing one.
 *
 * The model of IBTA is that a receiver drops everything behind a lost packet, so
 * that one loss costs a window.  Here the receiver keeps what it can, in the
 * order of PSNs, and goes on with it when the missing packet is here.  To its
 * peer this looks like a receiver whose acknowledgments came late: one that sends
 * everything again sends duplicates.
 *
 * Bounds: who can send a packet with the peer's addresses can make the QP keep
 * it.  So only packets are kept that are at most HODP_RC_HELD_MAX PSNs behind the
 * missing one, which a peer with a larger window has to send again; one of each
 * PSN; with no more payload than the path MTU; as copies that are charged to the
 * QP's creator and have nothing of the network stack; and for HODP_RC_HELD_TIME
 * without progress.  A packet that was kept by mistake is gone when the PSNs have
 * passed it.
 */
#include "rc.h"

/* May it be one that the peer has sent together with the missing one? */
static bool hodp_rc_is_near(const struct hodp_qp *qp, u32 missing,
			    const struct hodp_wire_packet *k)
{
	s32 behind = hodp_psn_diff(k->psn, missing);

	return behind > 0 && behind <= HODP_RC_HELD_MAX &&
	       k->payload <= qp->rc->mtu;
}

/* The last packet of the list before or at @psn, or NULL.  Most come in order. */
static struct sk_buff *hodp_rc_held_before(struct sk_buff_head *list, u32 psn)
{
	struct sk_buff *at = skb_peek_tail(list);

	while (at && hodp_psn_before(psn, hodp_rc_cb(at)->psn))
		at = skb_queue_is_first(list, at) ? NULL :
						    skb_queue_prev(list, at);
	return at;
}

static void hodp_rc_held_begin(struct hodp_qp *qp, struct hodp_rc_held *held,
			       u32 missing)
{
	held->psn = missing;
	held->alive = false;
	hodp_deadline_set(&qp->due, held->due, HODP_RC_HELD_TIME);
}

void hodp_rc_held_init(struct hodp_rc_held *held, enum hodp_due due)
{
	__skb_queue_head_init(&held->list);
	held->due = due;
}

void hodp_rc_hold(struct hodp_qp *qp, struct hodp_rc_held *held, u32 missing,
		  struct sk_buff *skb, const struct hodp_wire_packet *k)
{
	struct sk_buff *at = hodp_rc_held_before(&held->list, k->psn);
	enum hodp_counter why = HODP_CNT_RX_NO_MEMORY;
	struct sk_buff *copy = NULL;

	if (!hodp_rc_is_near(qp, missing, k))
		why = HODP_CNT_RX_QUEUE_FULL;
	else if (at && hodp_rc_cb(at)->psn == k->psn)
		why = hodp_wire_is_response(k->row) ? HODP_CNT_RX_STALE :
						      HODP_CNT_RX_DUPLICATES;
	else
		copy = hodp_rc_charge(qp, skb);
	if (!copy) {
		hodp_count(hodp_qp_dev(qp), why, 1);
		hodp_rc_finish(qp->rc, skb);
		return;
	}
	hodp_rc_cb(copy)->psn = k->psn;
	if (skb_queue_empty(&held->list))
		hodp_rc_held_begin(qp, held, missing);
	if (at)
		__skb_queue_after(&held->list, at, copy);
	else
		__skb_queue_head(&held->list, copy);
}

struct sk_buff *hodp_rc_release(struct hodp_qp *qp, struct hodp_rc_held *held,
				u32 psn, struct hodp_wire_packet *k)
{
	struct sk_buff *skb;

	for (;;) {
		skb = skb_peek(&held->list);
		if (likely(!skb) || hodp_psn_after(hodp_rc_cb(skb)->psn, psn))
			return NULL;
		__skb_unlink(skb, &held->list);
		if (hodp_rc_cb(skb)->psn == psn)
			break;
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_DUPLICATES, 1);
		hodp_rc_finish(qp->rc, skb);
	}
	/* It was parsed before, so it is well-formed. */
	hodp_wire_parse(hodp_rc_body(skb), hodp_rc_cb(skb)->len, k);
	return skb;
}

void hodp_rc_unhold(struct hodp_qp *qp, struct hodp_rc_held *held)
{
	struct sk_buff *skb;

	hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_FLUSHED,
		   skb_queue_len(&held->list));
	while ((skb = __skb_dequeue(&held->list)))
		hodp_rc_finish(qp->rc, skb);
}

void hodp_rc_check_held(struct hodp_qp *qp, struct hodp_rc_held *held,
			u32 missing, bool here)
{
	if (!hodp_deadline_passed(&qp->due, held->due))
		return;
	if (!here && !held->alive && held->psn == missing)
		hodp_rc_unhold(qp, held);
	else
		hodp_rc_held_begin(qp, held, missing);
}
