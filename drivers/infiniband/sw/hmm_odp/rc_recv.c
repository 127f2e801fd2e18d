// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: the responder (IBTA 9.7.4, 9.7.5.1).
 *
 * It runs in the QP's receiver and executes one packet after the other:
 * message.c says whether a packet is the next one, respond.c moves its bytes.
 *
 *   next       executed; acknowledged if the requester asks, at the latest when
 *              no more packets wait
 *   duplicate  acknowledged again; a READ is executed again, an atomic's result
 *              is taken from the last HODP_RC_REPLAY ones
 *   gap        a NAK, once until the missing packet is here.  The packet is kept
 *              (IBTA would drop it), so that only the missing one need be sent
 *              again: it is executed when those before it were
 *
 * A page fault holds its packet and all behind it.  Most faults are over long
 * before the requester misses the acknowledgment; rc_wait.c is about the others.
 *
 * Softirq executes what needs no waiting (rc.c): SENDs, WRITEs, and READs of one
 * packet.  Its owner is @quick; what it cannot finish stays in @skb.
 *
 * No packet is executed unless the flight has a slot for its reply.  A READ's
 * responses are sent as slots become free; packets behind it wait.
 */
#include "fault.h"
#include "flight.h"
#include "rc_resp.h"

/* What became of a packet. */
enum hodp_rc_step {
	HODP_RC_DONE, /* it is finished */
	HODP_RC_MORE, /* call again */
	HODP_RC_WAIT, /* the receiver will be kicked */
};

static bool hodp_rc_is_atomic(const struct hodp_wire_packet *k)
{
	return k->row->kind == HODP_WIRE_CMP_SWAP ||
	       k->row->kind == HODP_WIRE_FETCH_ADD;
}

/* Return: true: execute the duplicate, a READ. */
static bool hodp_rc_duplicate(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	const struct hodp_wire_packet *k = &resp->k;
	const struct hodp_rc_done *d;

	hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_DUPLICATES, 1);
	if (k->row->kind != HODP_WIRE_READ && !hodp_rc_is_atomic(k)) {
		resp->ack_due = true;
		return false;
	}
	d = hodp_rc_recall(resp, k);
	if (!d)
		return false;
	if (k->row->kind == HODP_WIRE_READ)
		return true;
	hodp_rc_reply(qp, HODP_WIRE_ATOMIC_ACK, k->psn, hodp_rc_good(qp),
		      d->original);
	return false;
}

/* ---- the request of a packet ---- */

/* FLUSH and ATOMIC WRITE are not supported: an invalid request. */
static bool hodp_rc_supports(const struct hodp_wire_packet *k)
{
	return k->row->kind <= HODP_WIRE_FETCH_ADD;
}

static u32 hodp_rc_opcode(const struct hodp_wire_packet *k)
{
	bool imm = k->row->headers & HODP_HAS_IMM;

	switch (k->row->kind) {
	case HODP_WIRE_SEND:
		if (k->row->headers & HODP_HAS_IETH)
			return IB_WR_SEND_WITH_INV;
		return imm ? IB_WR_SEND_WITH_IMM : IB_WR_SEND;
	case HODP_WIRE_WRITE:
		return imm ? IB_WR_RDMA_WRITE_WITH_IMM : IB_WR_RDMA_WRITE;
	case HODP_WIRE_READ:
		return IB_WR_RDMA_READ;
	case HODP_WIRE_CMP_SWAP:
		return IB_WR_ATOMIC_CMP_AND_SWP;
	default:
		return IB_WR_ATOMIC_FETCH_AND_ADD;
	}
}

/* The first packet of a message, or a duplicate READ. */
static void hodp_rc_new_request(struct hodp_rc_responder *resp)
{
	const struct hodp_wire_packet *k = &resp->k;
	bool cmp_swap = k->row->kind == HODP_WIRE_CMP_SWAP;

	resp->psn = k->psn;
	resp->req = (struct hodp_request){
		.addr = k->va,
		.rkey = k->rkey,
		.total = k->length,
	};
	if (!hodp_rc_is_atomic(k))
		return;
	resp->req.total = 8;
	resp->req.atomic = (struct hodp_atomic){
		.cmp_swap = cmp_swap,
		.compare_add = cmp_swap ? k->compare : k->swap_add,
		.swap = k->swap_add,
	};
}

/* Prepare the request for the packet, which is the next one. */
static void hodp_rc_prepare(struct hodp_rc_responder *resp)
{
	const struct hodp_wire_packet *k = &resp->k;
	struct hodp_request *req = &resp->req;
	u32 before = 0;

	if (k->row->place & HODP_WIRE_FIRST) {
		hodp_rc_new_request(resp);
		resp->addr = k->va;
		resp->rkey = k->rkey;
	} else {
		before = resp->message.got;
		*req = (struct hodp_request){
			.addr = resp->addr,
			.rkey = resp->rkey,
			.total = resp->message.length,
		};
	}
	req->row = hodp_opcode_row(hodp_rc_opcode(k));
	req->done = before;
	req->avail = before + k->payload;
	req->more = !(k->row->place & HODP_WIRE_LAST);
	req->solicited = k->solicited;
	req->imm_inv = k->row->headers & HODP_HAS_IETH ? k->inv_rkey : k->imm;
	if (k->row->kind == HODP_WIRE_SEND)
		req->total = req->avail;
	if (hodp_rc_is_atomic(k))
		req->avail = req->total;
}

/* Ask for the expected packet, once. */
static void hodp_rc_missing(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;

	if (!resp->nak_sent)
		resp->nak_sent = hodp_rc_nak(qp, resp->message.expected,
					     HODP_NAK_SEQUENCE);
}

/* Return: true: execute the packet; false: it is answered or held.  Drop it then,
 * unless it is held: @resp->skb is NULL.
 */
static bool hodp_rc_accept(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	u32 expected = resp->message.expected;
	enum hodp_message_rc what =
		hodp_message_check_rc(&resp->message, &resp->k, qp->rc->mtu);

	if (what == HODP_RC_NEXT &&
	    (!hodp_rc_supports(&resp->k) || hodp_rc_cb(resp->skb)->excess))
		what = HODP_RC_INVALID;
	resp->replay = false;
	switch (what) {
	case HODP_RC_NEXT:
		resp->nak_sent = false;
		hodp_rc_prepare(resp);
		return true;
	case HODP_RC_DUPLICATE:
		if (!hodp_rc_duplicate(qp))
			return false;
		resp->replay = true;
		hodp_rc_new_request(resp);
		resp->req.row = hodp_opcode_row(IB_WR_RDMA_READ);
		return true;
	case HODP_RC_GAP:
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_GAPS, 1);
		hodp_rc_missing(qp);
		hodp_rc_hold(qp, &resp->held, expected, resp->skb, &resp->k);
		resp->skb = NULL;
		return false;
	case HODP_RC_INVALID:
		hodp_rc_nak(qp, expected, HODP_NAK_INVALID);
		hodp_qp_error(qp, IB_EVENT_QP_REQ_ERR);
		return false;
	}
	return false;
}

/* ---- executing ---- */

/* The requester may have another READ or atomic outstanding. */
static void hodp_rc_uncount(struct hodp_rc_responder *resp)
{
	struct hodp_rc_cb *cb = hodp_rc_cb(resp->skb);

	if (cb->counted)
		atomic_dec(&resp->reads);
	cb->counted = false;
}

/* The packet is finished. */
static void hodp_rc_consume(struct hodp_rc_responder *resp)
{
	hodp_rc_finish(container_of(resp, struct hodp_rc, resp), resp->skb);
	resp->skb = NULL;
}

/* The packet was executed.  If it has a response, its last packet was not sent. */
static void hodp_rc_executed(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;

	hodp_rc_uncount(resp);
	if (resp->replay)
		return;
	hodp_message_take(&resp->message, &resp->k, qp->rc->mtu);
	if (resp->k.row->place & HODP_WIRE_LAST)
		resp->msn = hodp_psn_add(resp->msn, 1);
	if (resp->k.row->kind == HODP_WIRE_READ || hodp_rc_is_atomic(&resp->k))
		hodp_rc_remember(resp, resp->message.expected);
	else if (resp->k.ack_req)
		resp->ack_due = true;
}

static enum hodp_rc_step hodp_rc_miss(struct hodp_qp *qp,
				      const struct hodp_miss *miss)
{
	if (hodp_fault_begin(&qp->rx, qp->memcg, miss))
		hodp_deadline_set(&qp->due, HODP_DUE_RX, HODP_PAUSE);
	else
		hodp_rc_wait_begin(qp);
	return HODP_RC_WAIT;
}

/* One call of the responder.  @data is positioned, or resp->req.try is set. */
static enum hodp_reply hodp_rc_respond(struct hodp_qp *qp,
				       struct hodp_sgl *data,
				       enum hodp_rc_step *step)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	enum hodp_reply reply;
	struct hodp_miss miss;

	*step = HODP_RC_DONE;
	resp->req.data = data;
	reply = hodp_respond(qp, &resp->req, &miss);
	resp->req.fault_err = 0;
	switch (reply) {
	case HODP_R_ACK:
	case HODP_R_NEXT:
		break;
	case HODP_R_MORE:
		*step = HODP_RC_MORE;
		break;
	case HODP_R_MISS:
		*step = hodp_rc_miss(qp, &miss);
		break;
	case HODP_R_RNR:
		resp->nak_sent = hodp_rc_not_ready(qp, resp->message.expected);
		break;
	case HODP_R_INV_REQ:
		hodp_rc_nak(qp, resp->psn, HODP_NAK_INVALID);
		break;
	case HODP_R_REM_ACCESS:
		hodp_rc_nak(qp, resp->psn, HODP_NAK_ACCESS);
		break;
	case HODP_R_DATA:
		/* The packet itself is in bad memory. */
		hodp_qp_error(qp, IB_EVENT_QP_FATAL);
		fallthrough;
	case HODP_R_REM_OP:
		hodp_rc_nak(qp, resp->psn, HODP_NAK_OPERATION);
		break;
	}
	resp->req.data = NULL;
	return reply;
}

/* The packet's payload from @pos on, for one call of the responder. */
static void hodp_rc_data(struct hodp_rc_responder *resp, struct hodp_sgl *data,
			 void *at, u64 len, u64 pos)
{
	resp->req.try = resp->quick ? at + pos : NULL;
	if (resp->quick)
		return;
	data->num = 0;
	if (len)
		hodp_span_kernel(&data->span[data->num++], at, len);
	hodp_sgl_seek(data, pos);
}

/* SEND and WRITE: the packet's payload. */
static enum hodp_rc_step hodp_rc_run_data(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	struct hodp_request *req = &resp->req;
	u64 before = req->avail - resp->k.payload;
	enum hodp_rc_step step;
	enum hodp_reply reply;
	struct hodp_sgl data;

	resp->psn = resp->k.psn;
	hodp_rc_data(resp, &data, hodp_rc_body(resp->skb) + resp->k.at,
		     resp->k.payload, req->done - before);
	reply = hodp_rc_respond(qp, &data, &step);
	if (reply == HODP_R_ACK || reply == HODP_R_NEXT)
		hodp_rc_executed(qp);
	return step;
}

static enum hodp_rc_step hodp_rc_run_atomic(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	enum hodp_rc_step step;
	struct hodp_sgl data;
	u64 result;

	hodp_rc_data(resp, &data, &result, sizeof(result), resp->req.done);
	if (hodp_rc_respond(qp, &data, &step) != HODP_R_ACK)
		return step;
	hodp_rc_executed(qp);
	resp->ack_due = false;
	hodp_rc_reply(qp, HODP_WIRE_ATOMIC_ACK, resp->k.psn, hodp_rc_good(qp),
		      resp->req.atomic_old);
	return step;
}

/* See hodp_rc_read_rewind(). */
static bool hodp_rc_rewind(struct hodp_qp *qp, bool sent)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;

	if (!hodp_rc_read_rewind(qp, sent))
		return false;
	hodp_rc_new_request(resp);
	resp->req.row = hodp_opcode_row(IB_WR_RDMA_READ);
	return true;
}

/* Fill the next packet of a READ's response.  Return: as hodp_respond(). */
static enum hodp_reply hodp_rc_fill(struct hodp_qp *qp, void *to, u32 len,
				    enum hodp_rc_step *step)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	struct hodp_request *req = &resp->req;
	u64 begin = req->done;
	enum hodp_reply reply;
	struct hodp_sgl data;

	req->avail = begin + len;
	req->more = req->avail < req->total;
	do {
		hodp_rc_data(resp, &data, to, len, req->done - begin);
		reply = hodp_rc_respond(qp, &data, step);
	} while (reply == HODP_R_MORE && !resp->quick);
	/* The packet goes; after a fault it is filled from its beginning. */
	if (reply != HODP_R_ACK && reply != HODP_R_NEXT)
		req->done = begin;
	return reply;
}

/* READ: one packet of the response.  The caller has taken a slot for it. */
static enum hodp_rc_step hodp_rc_run_read(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	struct hodp_request *req = &resp->req;
	u32 len = min_t(u64, req->total - req->done, qp->rc->mtu);
	u8 place = (req->done ? 0 : HODP_WIRE_FIRST) |
		   (req->done + len == req->total ? HODP_WIRE_LAST : 0);
	struct hodp_wire_packet k = {
		.row = hodp_wire_find(HODP_WIRE_RC, HODP_WIRE_READ_RESPONSE,
				      place, 0),
		.psn = resp->psn,
		.payload = len,
		.syndrome = hodp_rc_good(qp),
	};
	struct sk_buff *skb = hodp_rc_alloc(qp, k.row, len, resp->quick);
	enum hodp_rc_step step = HODP_RC_WAIT;
	enum hodp_reply reply;

	if (!skb) {
		hodp_flight_give_back(resp->flight);
		hodp_deadline_set(&qp->due, HODP_DUE_RX, HODP_PAUSE);
		return step;
	}
	reply = hodp_rc_fill(qp, skb->data + hodp_wire_headers(k.row), len,
			     &step);
	if (reply != HODP_R_ACK && reply != HODP_R_NEXT) {
		hodp_flight_give_back(resp->flight);
		kfree_skb(skb);
		return step;
	}
	resp->psn = hodp_psn_add(resp->psn, 1);
	if (reply == HODP_R_ACK) {
		hodp_rc_executed(qp);
		/* It acknowledges what is before it. */
		if (!resp->replay)
			resp->ack_due = false;
	}
	k.msn = resp->msn;
	hodp_rc_send(qp, skb, &k, resp->flight);
	if (reply != HODP_R_ACK)
		return HODP_RC_MORE;
	resp->replay = true;
	return hodp_rc_rewind(qp, true) ? HODP_RC_MORE : HODP_RC_DONE;
}

static enum hodp_rc_step hodp_rc_run(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	bool read = resp->k.row->kind == HODP_WIRE_READ;
	enum hodp_rc_step step;

	if (read && !hodp_flight_take(resp->flight))
		return HODP_RC_WAIT;
	if (hodp_qp_enter(qp, &resp->peer)) {
		if (read)
			hodp_flight_give_back(resp->flight);
		/* It does not receive any more. */
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_FLUSHED, 1);
		return HODP_RC_DONE;
	}
	if (read) {
		hodp_rc_rewind(qp, false);
		step = hodp_rc_run_read(qp);
	} else if (hodp_rc_is_atomic(&resp->k)) {
		step = hodp_rc_run_atomic(qp);
	} else {
		step = hodp_rc_run_data(qp);
	}
	hodp_respond_release(qp);
	hodp_qp_leave(qp);
	return step;
}

/* May softirq execute the packet?  It is the next one. */
static bool hodp_rc_is_quick(const struct hodp_wire_packet *k, u32 mtu)
{
	switch (k->row->kind) {
	case HODP_WIRE_SEND:
		return !(k->row->headers & HODP_HAS_IETH);
	case HODP_WIRE_WRITE:
		return true;
	case HODP_WIRE_READ:
		return k->length <= mtu;
	default:
		return false;
	}
}

/* Execute @resp->skb.  Return: true: it is finished. */
static bool hodp_rc_run_quick(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	enum hodp_rc_step step;

	resp->quick = true;
	if (resp->k.row->kind != HODP_WIRE_READ)
		step = hodp_rc_run_data(qp);
	else if (hodp_flight_take(resp->flight))
		step = hodp_rc_run_read(qp);
	else
		step = HODP_RC_WAIT;
	hodp_respond_release(qp);
	if (step == HODP_RC_DONE)
		hodp_rc_ack(qp);
	resp->quick = false;
	return step == HODP_RC_DONE;
}

enum hodp_rc_quick hodp_rc_receive_quick(struct hodp_qp *qp,
					 struct sk_buff *skb,
					 const struct hodp_wire_packet *k)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	u32 mtu = qp->rc->mtu;

	/* The first packet goes to the receiver, which enters the QP.  So does one
	 * that others wait for: they come next.
	 */
	if (resp->skb || qp->rx.fault || hodp_rc_holds(&resp->held) ||
	    !hodp_rc_is_quick(k, mtu) || hodp_rc_cb(skb)->excess ||
	    !hodp_qp_is_entered(qp, &resp->peer) ||
	    hodp_message_check_rc(&resp->message, k, mtu) != HODP_RC_NEXT ||
	    !hodp_rc_has_slot(qp))
		return HODP_RC_QUICK_NOT;
	resp->skb = skb;
	resp->k = *k;
	resp->replay = false;
	resp->nak_sent = false;
	hodp_rc_prepare(resp);
	if (!hodp_rc_run_quick(qp))
		return HODP_RC_QUICK_HELD;
	resp->skb = NULL;
	return resp->ack_due ? HODP_RC_QUICK_MORE : HODP_RC_QUICK_DONE;
}

/* Take the next packet: @resp->skb, unless it needs no more than an answer.
 * Return: false: there is none, or no slot for a reply.
 */
static bool hodp_rc_next(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;

	if (!hodp_rc_has_slot(qp))
		return false;
	resp->skb = hodp_rc_release(qp, &resp->held, resp->message.expected,
				    &resp->k);
	if (!resp->skb)
		resp->skb = hodp_rc_dequeue(qp, &qp->rc->requests, &resp->k);
	if (!resp->skb) {
		/* Behind the packet that was missing, another one is. */
		if (hodp_rc_holds(&resp->held))
			hodp_rc_missing(qp);
		return false;
	}
	if (!hodp_rc_accept(qp)) {
		if (resp->skb)
			hodp_rc_consume(resp);
	} else if (resp->k.row->kind == HODP_WIRE_READ) {
		hodp_rc_read_begin(qp);
	}
	return true;
}

/* Execute the packet.  Return: false: it waits. */
static bool hodp_rc_step(struct hodp_qp *qp)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	enum hodp_rc_step step = hodp_rc_run(qp);

	if (step == HODP_RC_DONE)
		hodp_rc_consume(resp);
	cond_resched();
	return step != HODP_RC_WAIT;
}

bool hodp_rc_receive(struct hodp_qp *qp, int *budget)
{
	struct hodp_rc_responder *resp;
	int err;

	if (!qp->rc)
		return false;
	if (!hodp_qp_receives(qp)) {
		hodp_rc_drop(qp);
		return false;
	}
	resp = &qp->rc->resp;
	if (hodp_rc_owes_cnp(qp->rc))
		hodp_rc_notify(qp);
	if (unlikely(resp->broke))
		hodp_rc_refill(qp);
	err = hodp_fault_finish(&qp->rx);
	if (err == -EINPROGRESS) {
		hodp_rc_ack(qp);
		hodp_rc_wait(qp);
		return false;
	}
	if (resp->faulting)
		hodp_rc_wait_end(qp);
	resp->req.fault_err = err;
	if (hodp_rc_holds(&resp->held))
		hodp_rc_check_held(qp, &resp->held, resp->message.expected,
				   resp->skb);
	while (hodp_qp_receives(qp) && (*budget)-- > 0) {
		if (!resp->skb && !hodp_rc_next(qp))
			break;
		if (resp->skb && !hodp_rc_step(qp))
			break;
	}
	hodp_rc_ack(qp);
	return *budget < 0;
}
