// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: a responder that waits for a page fault.
 *
 * A fault lasts as long as it lasts: a disk, a network file system, a userfaultfd
 * handler.  It must not cost the requester its QP, whatever its timeout, retry_cnt
 * and rnr_retry are.  An RNR NAK would: with an rnr_retry of 0 the first one is
 * the end.  So the responder gives *signs of life*, a quarter of its own local ACK
 * timeout apart (both ends usually have the same), and one for each request that
 * is sent again.  A sign acknowledges what was acknowledged before: by an ACK of
 * the PSN before the request that waits (as IBTA 9.7.7.2 has it for credits), or,
 * in the middle of a READ, by the last response packet again.  It contains no
 * news, but a requester that gets it begins to wait anew.  hmm_odp does, and so
 * does rdma_rxe by its source, which would fail if an ACK came in the middle of a
 * READ.
 *
 * Others may not.  If a requester has sent again as often as our own retry_cnt
 * says, its retries are almost used up, and then it gets an RNR NAK.
 */
#include "fault.h"
#include "flight.h"
#include "rc_resp.h"

/* Between signs of life, in ns. */
#define HODP_RC_SIGN_LEAST NSEC_PER_MSEC
#define HODP_RC_SIGN_MOST NSEC_PER_SEC
/* Instead of an infinite timeout: as for attr.timeout 14, 67 ms. */
#define HODP_RC_SIGN_TIMEOUT 14
/* Before this many requests were sent again, there is no RNR NAK. */
#define HODP_RC_RESENDS_LEAST 2

void hodp_rc_wait_begin(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	u8 timeout = READ_ONCE(qp->attr.timeout) ?: HODP_RC_SIGN_TIMEOUT;

	resp->sign = clamp(4096ULL << timeout >> 2, HODP_RC_SIGN_LEAST,
			   HODP_RC_SIGN_MOST);
	resp->heard = 0;
	spin_lock_bh(&qp->rx_lock);
	resp->resends = 0;
	WRITE_ONCE(resp->faulting, true);
	spin_unlock_bh(&qp->rx_lock);
	hodp_deadline_set(&qp->due, HODP_DUE_RX, resp->sign);
}

void hodp_rc_wait_end(struct hodp_qp *qp)
{
	WRITE_ONCE(qp->rc->resp.faulting, false);
	hodp_deadline_clear(&qp->due, HODP_DUE_RX);
}

/* Copy the last response packet of the READ, if its memory is still mapped. */
static bool hodp_rc_reread(struct hodp_qp *qp, void *to)
{
	const struct hodp_request *req = &qp->rc->resp.req;
	/* Not bound while the READ waits. */
	struct hodp_sgl *from = &qp->in.sgl;
	struct hodp_sgl data = { .num = 1 };
	u32 len = qp->rc->mtu;
	struct hodp_miss miss;
	u32 done = 0;
	long n = 0;

	if (hodp_span_get(hodp_qp_dev(qp), qp->ibqp.pd, req->rkey, req->addr,
			  req->total, IB_ACCESS_REMOTE_READ, &from->span[0]))
		return false;
	from->num = 1;
	hodp_span_kernel(&data.span[0], to, len);
	hodp_sgl_seek(from, req->done - len);
	hodp_sgl_seek(&data, 0);
	for (; done < len && n >= 0; done += n)
		n = hodp_sgl_copy(&data, from, len - done, len - done, &miss);
	hodp_sgl_put(from);
	return n >= 0;
}

/* Send the last response packet of the READ again. */
static void hodp_rc_repeat(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	u32 mtu = qp->rc->mtu;
	u8 place = resp->req.done == mtu ? HODP_WIRE_FIRST : HODP_WIRE_MIDDLE;
	struct hodp_wire_packet k = {
		.row = hodp_wire_find(HODP_WIRE_RC, HODP_WIRE_READ_RESPONSE,
				      place, 0),
		.psn = hodp_psn_add(resp->psn, HODP_PSN_MASK),
		.payload = mtu,
		.syndrome = hodp_rc_good(qp),
		.msn = resp->msn,
	};
	struct sk_buff *skb;

	if (!hodp_flight_take(resp->flight))
		return;
	skb = hodp_rc_alloc(qp, k.row, mtu, false);
	if (!skb || !hodp_rc_reread(qp, skb->data + hodp_wire_headers(k.row))) {
		hodp_flight_give_back(resp->flight);
		kfree_skb(skb);
		return;
	}
	hodp_rc_send(qp, skb, &k, resp->flight);
}

static void hodp_rc_sign(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;

	if (resp->k.row->kind == HODP_WIRE_READ && resp->req.done)
		hodp_rc_repeat(qp);
	else
		hodp_rc_reply(qp, HODP_WIRE_ACK,
			      hodp_psn_add(resp->k.psn, HODP_PSN_MASK),
			      hodp_rc_good(qp), 0);
}

void hodp_rc_wait(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	u32 patience = max_t(u32, READ_ONCE(qp->attr.retry_cnt),
			     HODP_RC_RESENDS_LEAST);
	u32 resends = READ_ONCE(resp->resends);
	bool again = resends != resp->heard;

	if (!hodp_deadline_passed(&qp->due, HODP_DUE_RX) && !again)
		return;
	/* Its timeout is shorter than ours. */
	if (again)
		resp->sign = max(resp->sign / 4, HODP_RC_SIGN_LEAST);
	resp->heard = resends;
	/* For a READ, @psn is behind the responses that were sent. */
	if (again && resends >= patience)
		hodp_rc_not_ready(qp, resp->psn);
	else
		hodp_rc_sign(qp);
	hodp_deadline_set(&qp->due, HODP_DUE_RX, resp->sign);
}
