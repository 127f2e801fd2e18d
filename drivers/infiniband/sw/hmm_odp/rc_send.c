// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: the requester (IBTA 9.7.5.1, 9.9.2).
 *
 * An operation gets its PSNs when its first packet is sent.  Its packets leave
 * one by one, as the window and the flight allow; then it is *outstanding*, and
 * the next operation begins.  A response completes operations in order.
 *
 * Resending begins with the oldest unanswered PSN, and goes before anything new.
 * The payload is read again from the entry and from memory, so none of it is kept.
 *
 *   probe   after a NAK, a wait or an RNR wait.  The peer may have kept the
 *           packets behind it, or only be slow.  So the first one goes alone; the
 *           rest follows if the answer is that the peer has nothing behind it
 *   hole    the response of a READ or an atomic was lost, and later ones were not.
 *           These are held (rc_held.c), and only what is missing is requested
 *           again; new requests go on meanwhile
 *
 * How long it waits for an answer: pace.h.  A probe is sent early, before the
 * timeout, only if an RNR NAK cannot fail the QP.
 *
 * A READ is split into requests of at most HODP_RC_READ response packets and half
 * the window, so that a requester is never sent more than it can queue, and the
 * window rules the responses, too.
 *
 * The requester has one page fault at a time.  If it belongs to a response,
 * @faulting is set, and nothing is sent meanwhile.
 */
#include "fault.h"
#include "flight.h"
#include "rc_req.h"

/* Response packets of one READ request at most. */
#define HODP_RC_READ 64

struct hodp_op *hodp_rc_op_of(struct hodp_qp *qp, u32 psn)
{
	u32 i;

	for (i = qp->out.first; i != qp->out.end; i++) {
		struct hodp_op *op = hodp_outstanding_at(&qp->out, i);

		if (hodp_psn_within(psn, op->psn, op->end))
			return op;
	}
	return hodp_rc_current(qp);
}

/* ---- memory ---- */

/* Make @qp->payload that of @op, and bind it. */
int hodp_rc_load(struct hodp_qp *qp, const struct hodp_op *op)
{
	struct hodp_payload *p = &qp->payload;

	if (p->index != op->index) {
		hodp_payload_unbind(p);
		if (hodp_op_reload(op, p, &qp->sq))
			return -EINVAL;
	}
	return p->bound ? 0 : hodp_op_bind(op, p, qp->ibqp.pd);
}

/* Copy between a packet and the loaded payload at @pos.  @miss: NULL: the caller is
 * a softirq.  Return: 0, or an errno of hodp_sgl_copy(), in softirq -EAGAIN only.
 */
long hodp_rc_copy(struct hodp_qp *qp, const struct hodp_op *op, void *packet,
		  u32 len, u64 pos, struct hodp_miss *miss)
{
	struct hodp_sgl *memory = &qp->payload.sgl;
	struct hodp_sgl buffer;
	u32 done;

	if (!len)
		return 0;
	hodp_sgl_seek(memory, pos);
	done = hodp_sgl_try_copy(memory, packet, len, hodp_rc_wants_data(op));
	if (likely(done == len))
		return 0;
	if (!miss)
		return -EAGAIN;
	buffer.num = 1;
	hodp_span_kernel(&buffer.span[0], packet, len);
	hodp_sgl_seek(&buffer, done);
	while (done < len) {
		u64 rest = op->total - pos - done;
		long n;

		if (hodp_rc_wants_data(op))
			n = hodp_sgl_copy(memory, &buffer, len - done, rest,
					  miss);
		else
			n = hodp_sgl_copy(&buffer, memory, len - done, rest,
					  miss);
		if (n < 0)
			return n;
		done += n;
	}
	return 0;
}

/* ---- sending ---- */

static u8 hodp_rc_kind(const struct hodp_op *op)
{
	if (op->row->flags & HODP_OP_SEND)
		return HODP_WIRE_SEND;
	if (op->row->flags & HODP_OP_WRITE)
		return HODP_WIRE_WRITE;
	if (op->row->flags & HODP_OP_READ)
		return HODP_WIRE_READ;
	return op->wqe.opcode == IB_WR_ATOMIC_CMP_AND_SWP ? HODP_WIRE_CMP_SWAP :
							    HODP_WIRE_FETCH_ADD;
}

/* PSNs that the operation takes. */
static u32 hodp_rc_psns(const struct hodp_qp *qp, const struct hodp_op *op)
{
	return op->total && !(op->row->flags & HODP_OP_ATOMIC) ?
		       DIV_ROUND_UP(op->total, qp->rc->mtu) :
		       1;
}

/* The PSN after the packet or READ request that begins with @req->next. */
static u32 hodp_rc_after_next(const struct hodp_rc_requester *req,
			      const struct hodp_op *op)
{
	u32 num = clamp(req->pace.window / 2, 1U, HODP_RC_READ);
	u32 left = hodp_psn_diff(op->end, req->next);

	return hodp_psn_add(req->next,
			    hodp_rc_is_read(op) ? min(left, num) : 1);
}

bool hodp_rc_ends(const struct hodp_rc_requester *req, u32 psn)
{
	return test_bit(psn % HODP_PACE_MAX, req->ends);
}

/* The request of a READ or an atomic from @psn up to @after is sent. */
static void hodp_rc_set_end(struct hodp_rc_requester *req, u32 psn, u32 after)
{
	/* At most HODP_PACE_MAX PSNs are outstanding. */
	for (; psn != after; psn = hodp_psn_add(psn, 1))
		__clear_bit(psn % HODP_PACE_MAX, req->ends);
	__set_bit(hodp_psn_add(after, HODP_PSN_MASK) % HODP_PACE_MAX,
		  req->ends);
}

/* The PSN after the packet, or the rest of a READ request, that is sent again
 * from @psn on.  The part of a READ that is held is not requested again.
 */
static u32 hodp_rc_after_again(const struct hodp_qp *qp,
			       const struct hodp_op *op, u32 psn)
{
	const struct hodp_rc_requester *req = &qp->rc->req;
	struct sk_buff *held = skb_peek(&req->held.list);
	u32 after = hodp_psn_add(psn, 1);

	if (!hodp_rc_is_read(op))
		return after;
	while (!hodp_rc_ends(req, hodp_psn_add(after, HODP_PSN_MASK)) &&
	       after != op->end)
		after = hodp_psn_add(after, 1);
	if (likely(!held) || !hodp_psn_within(hodp_rc_cb(held)->psn,
					      hodp_psn_add(psn, 1), after))
		return after;
	return hodp_rc_cb(held)->psn;
}

/* May packets up to @after be outstanding?  If no outstanding one asks for an
 * answer, since the window was larger when they were sent, one more may ask.
 */
static bool hodp_rc_fits(const struct hodp_rc_requester *req, u32 after)
{
	s32 num = hodp_psn_diff(after, req->una);

	return num <= (s32)req->pace.window ||
	       (num <= HODP_PACE_MAX && !hodp_psn_after(req->asked, req->una));
}

/* Must the packet from @psn up to @after ask for an answer?  It must if it is
 * the last in the window.
 */
static bool hodp_rc_must_ask(const struct hodp_rc_requester *req, u32 psn,
			     u32 after)
{
	return req->probe || psn % hodp_pace_ack_every(&req->pace) == 0 ||
	       hodp_psn_diff(after, req->una) >= (s32)req->pace.window;
}

/* Describe the packet of @op from @psn up to @after.  Return: its position in the
 * message.
 */
static u64 hodp_rc_describe(const struct hodp_qp *qp, const struct hodp_op *op,
			    u32 psn, u32 after, struct hodp_wire_packet *k)
{
	u32 mtu = qp->rc->mtu;
	u64 pos = (u64)hodp_psn_diff(psn, op->psn) * mtu;
	u64 len = min_t(u64, op->total - pos,
			(u64)hodp_psn_diff(after, psn) * mtu);
	bool last = after == op->end;
	u8 place = (psn == op->psn ? HODP_WIRE_FIRST : 0) |
		   (last ? HODP_WIRE_LAST : 0);
	u16 tail = 0;

	if (op->row->flags & HODP_OP_IMM)
		tail = HODP_HAS_IMM;
	else if (op->row->flags & HODP_OP_INV)
		tail = HODP_HAS_IETH;
	if (hodp_rc_wants_data(op))
		place = HODP_WIRE_ONLY;
	*k = (struct hodp_wire_packet){
		.row = hodp_wire_find(HODP_WIRE_RC, hodp_rc_kind(op), place,
				      tail),
		.psn = psn,
		.ack_req = last || hodp_rc_must_ask(&qp->rc->req, psn, after),
		.solicited = last && (op->wqe.send_flags & IB_SEND_SOLICITED),
		.imm = op->wqe.imm_inv,
		.inv_rkey = op->wqe.imm_inv,
	};
	if (op->row->flags & HODP_OP_ATOMIC) {
		k->va = op->wqe.atomic.remote_addr;
		k->rkey = op->wqe.atomic.rkey;
		k->compare = op->wqe.atomic.compare_add;
		k->swap_add = k->row->kind == HODP_WIRE_CMP_SWAP ?
				      op->wqe.atomic.swap :
				      op->wqe.atomic.compare_add;
	} else {
		k->va = op->wqe.rdma.remote_addr +
			(hodp_rc_is_read(op) ? pos : 0);
		k->rkey = op->wqe.rdma.rkey;
		k->length = hodp_rc_is_read(op) ? len : op->total;
	}
	k->payload = k->row->data ? len : 0;
	return pos;
}

/* Send the packet of @op from @psn up to @after.  @op is loaded.  Return: 0;
 * -ENOSPC: the flight is full; -ENOMEM; or an errno of hodp_sgl_copy().
 */
static long hodp_rc_send_psn(struct hodp_qp *qp, const struct hodp_op *op,
			     u32 psn, u32 after, struct hodp_miss *miss)
{
	struct hodp_wire_packet k;
	struct sk_buff *skb;
	long ret = -ENOMEM;
	u64 pos;

	if (!hodp_flight_take(qp->flight))
		return -ENOSPC;
	pos = hodp_rc_describe(qp, op, psn, after, &k);
	skb = hodp_rc_alloc(qp, k.row, k.payload, false);
	if (skb)
		ret = hodp_rc_copy(qp, op, skb->data + hodp_wire_headers(k.row),
				   k.payload, pos, miss);
	if (ret) {
		hodp_flight_give_back(qp->flight);
		kfree_skb(skb);
		return ret;
	}
	hodp_rc_send(qp, skb, &k, qp->flight);
	if ((k.ack_req || hodp_rc_wants_data(op)) &&
	    hodp_psn_after(after, qp->rc->req.asked))
		qp->rc->req.asked = after;
	return 0;
}

static enum hodp_verdict hodp_rc_send_failed(struct hodp_qp *qp, long err,
					     const struct hodp_miss *miss)
{
	struct hodp_op *op = &qp->op;

	switch (err) {
	case -ENOSPC:
		return HODP_V_WINDOW;
	case -ENOMEM:
		return HODP_V_PAUSE;
	case -EAGAIN:
		op->fault_local = true;
		return hodp_fault_begin(&qp->req, qp->memcg, miss) ?
			       HODP_V_PAUSE :
			       HODP_V_FAULT;
	default:
		return hodp_op_end(op, hodp_op_status(err));
	}
}

/* Does the window keep the operation from sending?  It has its PSNs. */
bool hodp_rc_window_is_full(const struct hodp_qp *qp)
{
	const struct hodp_rc_requester *req = &qp->rc->req;
	const struct hodp_op *op = &qp->op;

	return op->begun && !op->ended &&
	       !hodp_rc_fits(req, hodp_rc_after_next(req, op));
}

/* May the operation's next packet be sent?  Gives it its PSNs, if it has none. */
static enum hodp_verdict hodp_rc_admit(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_op *op = &qp->op;
	u32 reads = READ_ONCE(qp->attr.max_rd_atomic);

	if (hodp_outstanding_num(&qp->out) == HODP_MAX_OUTSTANDING ||
	    ((op->wqe.send_flags & IB_SEND_FENCE) && !op->begun && req->reads))
		return HODP_V_WINDOW;
	if (hodp_rc_wants_data(op)) {
		if (!reads)
			return hodp_op_end(op, IB_WC_LOC_QP_OP_ERR);
		if (req->reads >= reads)
			return HODP_V_WINDOW;
	}
	if (!op->begun) {
		if (!hodp_rc_may_begin(qp))
			return HODP_V_WINDOW;
		op->begun = true;
		req->ssn = hodp_psn_add(req->ssn, 1);
		op->psn = req->next;
		op->end = hodp_psn_add(op->psn, hodp_rc_psns(qp, op));
	}
	if (!hodp_rc_window_is_full(qp))
		return HODP_V_MORE;
	req->pace.limited = true;
	return HODP_V_WINDOW;
}

enum hodp_verdict hodp_rc_execute(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_op *op = &qp->op;
	enum hodp_verdict verdict = hodp_rc_admit(qp);
	bool idle = req->una == req->next;
	struct hodp_miss miss;
	u32 after;
	long ret;

	if (verdict != HODP_V_MORE)
		return verdict;
	after = hodp_rc_after_next(req, op);
	ret = hodp_rc_send_psn(qp, op, req->next, after, &miss);
	if (ret)
		return hodp_rc_send_failed(qp, ret, &miss);
	if (hodp_rc_wants_data(op)) {
		req->reads++;
		hodp_rc_set_end(req, req->next, after);
		/* To the peer, each request of a long READ is a message. */
		if (req->next != op->psn)
			req->ssn = hodp_psn_add(req->ssn, 1);
	}
	hodp_rc_time(req, req->next);
	if (req->again == req->next)
		req->again = after;
	req->next = after;
	if (idle)
		hodp_rc_progressed(qp);
	return req->next == op->end ? HODP_V_SENT : HODP_V_MORE;
}

/* The requester waits for a fault: for the response or the resend of @psn. */
enum hodp_verdict hodp_rc_fault(struct hodp_qp *qp, u32 psn,
				const struct hodp_miss *miss)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	/* The fault of the current operation comes first. */
	if (qp->req.fault)
		return HODP_V_DONE;
	if (hodp_fault_begin(&qp->req, qp->memcg, miss))
		return HODP_V_PAUSE;
	WRITE_ONCE(req->faulting, true);
	req->fault_psn = psn;
	return HODP_V_WINDOW;
}

/* The error of the last fault, if that was for @psn.  READs and atomics fault for
 * their responses only, others for their requests only, so a PSN is enough.
 */
int hodp_rc_faulted(struct hodp_rc_requester *req, u32 psn)
{
	int err = req->fault_psn == psn ? req->fault_err : 0;

	req->fault_err = 0;
	return err;
}

/* Send the next packet again.  Return: as hodp_rc_progress(). */
enum hodp_verdict hodp_rc_resend(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_op *op = hodp_rc_op_of(qp, req->again);
	u32 after = hodp_rc_after_again(qp, op, req->again);
	struct hodp_miss miss;
	long ret;

	if (!hodp_rc_fits(req, hodp_psn_add(req->again, 1)))
		return HODP_V_WINDOW;
	ret = hodp_rc_faulted(req, req->again);
	if (!ret)
		ret = hodp_rc_load(qp, op) ?
			      -EINVAL :
			      hodp_rc_send_psn(qp, op, req->again, after,
					       &miss);
	switch (ret) {
	case 0:
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RESENT, 1);
		if (hodp_rc_wants_data(op))
			req->hole_end = after;
		req->again = req->hole ? req->next : after;
		req->hole = false;
		return HODP_V_MORE;
	case -ENOSPC:
		return HODP_V_WINDOW;
	case -ENOMEM:
		return HODP_V_PAUSE;
	case -EAGAIN:
		return hodp_rc_fault(qp, req->again, &miss);
	default:
		/* Only the oldest may fail; until then nothing is sent. */
		if (op != hodp_rc_oldest(qp))
			return HODP_V_WINDOW;
		return hodp_rc_fail(qp, hodp_op_status(ret));
	}
}
