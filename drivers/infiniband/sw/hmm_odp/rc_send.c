// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: the requester (IBTA 9.7.5.1, 9.9.2).
 *
 * An operation gets its PSNs when its first packet is sent.  Its packets leave
 * one by one, as the window and the flight allow; then it is *outstanding*, and
 * the next operation begins.  A response completes operations in order.
 *
 * After a NAK or a lost response, all packets from the oldest unanswered PSN on are
 * sent again, before anything new.  Their payload is read again from the entry and
 * from memory, so none of it is kept.  After a timeout or an RNR wait the peer may
 * have the others, and only be slow.  So the first one goes alone, as a probe; the
 * rest follows if the answer is that the peer has nothing behind it.
 *
 * A READ is split into requests of at most HODP_RC_READ response packets, so
 * that a requester is never sent more than it can queue.
 *
 * The requester has one page fault at a time.  If it belongs to a response,
 * @faulting is set, and nothing is sent meanwhile.
 */
#include "aeth.h"
#include "complete.h"
#include "fault.h"
#include "flight.h"
#include "rc.h"
#include "sent.h"
#include "trace.h"

/* Response packets of one READ request at most. */
#define HODP_RC_READ 64
/* Ask for an acknowledgment every so many packets. */
#define HODP_RC_ACK_EVERY 32
/* The shortest local ACK timeout, in ns; IBTA 9.7.6.1.3 allows a longer one than
 * was asked for.
 */
#define HODP_RC_LEAST_TIMEOUT (4 * NSEC_PER_MSEC)
/* Instead of an infinite timeout, in ns, where one is needed. */
#define HODP_RC_PATIENCE (100 * NSEC_PER_MSEC)

static bool hodp_rc_is_read(const struct hodp_op *op)
{
	return op->row->flags & HODP_OP_READ;
}

/* Is the operation answered by data? */
static bool hodp_rc_wants_data(const struct hodp_op *op)
{
	return op->row->flags & (HODP_OP_READ | HODP_OP_ATOMIC);
}

/* The operation of which packets were sent last, if it is not outstanding yet. */
static struct hodp_op *hodp_rc_current(struct hodp_qp *qp)
{
	return qp->op.active && qp->op.begun ? &qp->op : NULL;
}

/* The oldest operation that has PSNs, or NULL. */
static struct hodp_op *hodp_rc_oldest(struct hodp_qp *qp)
{
	if (hodp_outstanding_num(&qp->out))
		return hodp_outstanding_oldest(&qp->out);
	return hodp_rc_current(qp);
}

/* The operation that @psn belongs to; @psn was sent and is not answered. */
static struct hodp_op *hodp_rc_op_of(struct hodp_qp *qp, u32 psn)
{
	u32 i;

	for (i = qp->out.first; i != qp->out.end; i++) {
		struct hodp_op *op = hodp_outstanding_at(&qp->out, i);

		if (hodp_psn_within(psn, op->psn, op->end))
			return op;
	}
	return hodp_rc_current(qp);
}

/* ---- time ---- */

/* The local ACK timeout in ns; 0: infinite (IBTA 9.7.6.1.3).  Then, if the last
 * packet or its acknowledgment is lost, the operation never completes: the consumer
 * has asked to do without the timer that would notice.
 */
static u64 hodp_rc_timeout(const struct hodp_qp *qp)
{
	u8 timeout = READ_ONCE(qp->attr.timeout);

	return timeout ? max(4096ULL << timeout, HODP_RC_LEAST_TIMEOUT) : 0;
}

/* Wait for an answer, as long as the attributes say. */
static void hodp_rc_arm(struct hodp_qp *qp)
{
	u64 timeout = hodp_rc_timeout(qp);

	if (!timeout || qp->rc->req.una == qp->rc->req.next)
		hodp_deadline_clear(&qp->due, HODP_DUE_TIMEOUT);
	else
		hodp_deadline_set(&qp->due, HODP_DUE_TIMEOUT, timeout);
}

static void hodp_rc_progressed(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	req->rnr_left = READ_ONCE(qp->attr.rnr_retry);
	req->retry_left = READ_ONCE(qp->attr.retry_cnt);
	hodp_rc_arm(qp);
}

/* Everything before @psn was answered. */
static void hodp_rc_answered(struct hodp_qp *qp, u32 psn)
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

/* Why packets are sent again; also in trace.h. */
enum hodp_rc_again {
	HODP_AGAIN_NAK,
	HODP_AGAIN_RNR,
	HODP_AGAIN_TIMEOUT,
	HODP_AGAIN_LOST,
};

/* Send everything from the oldest unanswered PSN again.  After a NAK or a lost
 * response at once; else only the first packet.
 */
static void hodp_rc_go_back(struct hodp_qp *qp, enum hodp_rc_again why)
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
static enum hodp_verdict hodp_rc_fail(struct hodp_qp *qp,
				      enum ib_wc_status status)
{
	hodp_deadline_clear(&qp->due, HODP_DUE_TIMEOUT);
	if (hodp_outstanding_num(&qp->out))
		hodp_complete_oldest(qp, status);
	else
		hodp_complete_send(qp, status);
	return HODP_V_WINDOW;
}

static enum hodp_verdict hodp_rc_retry(struct hodp_qp *qp,
				       enum hodp_rc_again why)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	if (!req->retry_left)
		return hodp_rc_fail(qp, IB_WC_RETRY_EXC_ERR);
	req->retry_left--;
	hodp_rc_go_back(qp, why);
	return HODP_V_MORE;
}

/* ---- memory ---- */

/* Make @qp->payload that of @op, and bind it. */
static int hodp_rc_load(struct hodp_qp *qp, const struct hodp_op *op)
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
static long hodp_rc_copy(struct hodp_qp *qp, const struct hodp_op *op,
			 void *packet, u32 len, u64 pos, struct hodp_miss *miss)
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

/* The PSN after the packet or READ request that begins with @psn. */
static u32 hodp_rc_after(const struct hodp_op *op, u32 psn)
{
	u32 at = hodp_psn_diff(psn, op->psn);
	u32 left = hodp_psn_diff(op->end, psn);

	if (!hodp_rc_is_read(op))
		return hodp_psn_add(psn, 1);
	return hodp_psn_add(psn, min(left, HODP_RC_READ - at % HODP_RC_READ));
}

/* Describe the packet of @op with @psn.  Return: its position in the message. */
static u64 hodp_rc_describe(const struct hodp_qp *qp, const struct hodp_op *op,
			    u32 psn, struct hodp_wire_packet *k)
{
	u32 mtu = qp->rc->mtu;
	u64 pos = (u64)hodp_psn_diff(psn, op->psn) * mtu;
	u32 after = hodp_rc_after(op, psn);
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
		.ack_req = last || psn % HODP_RC_ACK_EVERY == 0 ||
			   qp->rc->req.probe,
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

/* Send the packet of @op with @psn.  @op is loaded.  Return: 0; -ENOSPC: the flight
 * is full; -ENOMEM; or an errno of hodp_sgl_copy().
 */
static long hodp_rc_send_psn(struct hodp_qp *qp, const struct hodp_op *op,
			     u32 psn, struct hodp_miss *miss)
{
	struct hodp_wire_packet k;
	struct sk_buff *skb;
	long ret = -ENOMEM;
	u64 pos;

	if (!hodp_flight_take(qp->flight))
		return -ENOSPC;
	pos = hodp_rc_describe(qp, op, psn, &k);
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
static bool hodp_rc_window_is_full(const struct hodp_qp *qp)
{
	const struct hodp_rc_requester *req = &qp->rc->req;
	const struct hodp_op *op = &qp->op;

	return op->begun && !op->ended &&
	       hodp_psn_diff(hodp_rc_after(op, req->next), req->una) >
		       HODP_RC_WINDOW;
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
		op->begun = true;
		op->psn = req->next;
		op->end = hodp_psn_add(op->psn, hodp_rc_psns(qp, op));
	}
	return hodp_rc_window_is_full(qp) ? HODP_V_WINDOW : HODP_V_MORE;
}

enum hodp_verdict hodp_rc_execute(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_op *op = &qp->op;
	enum hodp_verdict verdict = hodp_rc_admit(qp);
	bool idle = req->una == req->next;
	struct hodp_miss miss;
	long ret;

	if (verdict != HODP_V_MORE)
		return verdict;
	ret = hodp_rc_send_psn(qp, op, req->next, &miss);
	if (ret)
		return hodp_rc_send_failed(qp, ret, &miss);
	if (hodp_rc_wants_data(op))
		req->reads++;
	if (req->again == req->next)
		req->again = hodp_rc_after(op, req->next);
	req->next = hodp_rc_after(op, req->next);
	if (idle)
		hodp_rc_progressed(qp);
	return req->next == op->end ? HODP_V_SENT : HODP_V_MORE;
}

/* The requester waits for a fault: for the response or the resend of @psn. */
static enum hodp_verdict hodp_rc_fault(struct hodp_qp *qp, u32 psn,
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
static int hodp_rc_faulted(struct hodp_rc_requester *req, u32 psn)
{
	int err = req->fault_psn == psn ? req->fault_err : 0;

	req->fault_err = 0;
	return err;
}

/* Send the next packet again.  Return: as hodp_rc_progress(). */
static enum hodp_verdict hodp_rc_resend(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_op *op = hodp_rc_op_of(qp, req->again);
	struct hodp_miss miss;
	long ret = hodp_rc_faulted(req, req->again);

	if (!ret)
		ret = hodp_rc_load(qp, op) ?
			      -EINVAL :
			      hodp_rc_send_psn(qp, op, req->again, &miss);
	switch (ret) {
	case 0:
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RESENT, 1);
		req->again = hodp_rc_after(op, req->again);
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

/* ---- responses ---- */

static void hodp_rc_complete(struct hodp_qp *qp, u32 num)
{
	while (num--) {
		struct hodp_op *op = hodp_outstanding_oldest(&qp->out);

		hodp_rc_answered(qp, op->end);
		hodp_complete_oldest(qp, IB_WC_SUCCESS);
	}
}

/* What was sent, for hodp_sent_answered().  Return: number of operations. */
static u32 hodp_rc_list(struct hodp_qp *qp, struct hodp_sent *sent)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_op *current_op = hodp_rc_current(qp);
	u32 num = hodp_outstanding_num(&qp->out) + !!current_op;
	u32 i;

	for (i = 0; i < num; i++) {
		const struct hodp_op *op =
			i < hodp_outstanding_num(&qp->out) ?
				hodp_outstanding_at(&qp->out,
						    qp->out.first + i) :
				current_op;

		sent[i].first_psn = i ? op->psn : req->una;
		sent[i].last_psn = hodp_psn_add(op->end, HODP_PSN_MASK);
		sent[i].answer = HODP_WIRE_ACK;
		if (hodp_rc_is_read(op))
			sent[i].answer = HODP_WIRE_READ_RESPONSE;
		else if (hodp_rc_wants_data(op))
			sent[i].answer = HODP_WIRE_ATOMIC_ACK;
	}
	return num;
}

static enum hodp_verdict hodp_rc_rnr(struct hodp_qp *qp, u8 timer)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	/* Nothing was sent since the last one, so it is a duplicate. */
	if (req->rnr) {
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_STALE, 1);
		return HODP_V_MORE;
	}
	hodp_count(hodp_qp_dev(qp), HODP_CNT_RNR, 1);
	if (READ_ONCE(qp->attr.rnr_retry) != 7) {
		if (!req->rnr_left)
			return hodp_rc_fail(qp, IB_WC_RNR_RETRY_EXC_ERR);
		req->rnr_left--;
	}
	req->rnr = true;
	req->again = req->una;
	hodp_deadline_clear(&qp->due, HODP_DUE_TIMEOUT);
	hodp_deadline_set(&qp->due, HODP_DUE_RNR,
			  (u64)hodp_aeth_rnr_usecs(timer) * NSEC_PER_USEC);
	return HODP_V_MORE;
}

/* A NAK; everything before its PSN was answered. */
static enum hodp_verdict hodp_rc_naked(struct hodp_qp *qp, u8 syndrome)
{
	trace_hodp_nak_receive(qp->ibqp.qp_num, qp->rc->req.una, syndrome);
	if (hodp_aeth_type(syndrome) == HODP_AETH_RNR)
		return hodp_rc_rnr(qp, hodp_aeth_value(syndrome));
	switch (hodp_aeth_value(syndrome)) {
	case HODP_NAK_SEQUENCE:
		hodp_count(hodp_qp_dev(qp), HODP_CNT_NAKS_RECEIVED, 1);
		return hodp_rc_retry(qp, HODP_AGAIN_NAK);
	case HODP_NAK_INVALID:
		return hodp_rc_fail(qp, IB_WC_REM_INV_REQ_ERR);
	case HODP_NAK_ACCESS:
		return hodp_rc_fail(qp, IB_WC_REM_ACCESS_ERR);
	default:
		return hodp_rc_fail(qp, IB_WC_REM_OP_ERR);
	}
}

/* A response shows that the one for the oldest unanswered PSN was lost: a NAK that
 * is implied.  The responses that follow it say the same, so believe them only if
 * they still do after a part of the timeout.
 */
static enum hodp_verdict hodp_rc_lost(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	u64 patience = hodp_rc_timeout(qp) ?: HODP_RC_PATIENCE;
	u64 now = ktime_get_ns();

	hodp_count(hodp_qp_dev(qp), HODP_CNT_LOST_RESPONSES, 1);
	if (req->again != req->next || now < req->lost_until)
		return HODP_V_MORE;
	req->lost_until = now + patience / 4;
	return hodp_rc_retry(qp, HODP_AGAIN_LOST);
}

/* A response contradicts its request. */
static enum hodp_verdict hodp_rc_bad_response(struct hodp_qp *qp)
{
	hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_BAD_RESPONSE, 1);
	return hodp_rc_fail(qp, IB_WC_BAD_RESP_ERR);
}

/* The response's data go to the oldest operation.  Return: 0, or why not. */
static long hodp_rc_store(struct hodp_qp *qp, const struct hodp_op *op,
			  struct sk_buff *skb, struct hodp_wire_packet *k,
			  struct hodp_miss *miss)
{
	u64 pos = (u64)hodp_psn_diff(k->psn, op->psn) * qp->rc->mtu;

	if (!hodp_rc_is_read(op))
		return hodp_rc_copy(qp, op, &k->original, 8, 0, miss);
	if (k->payload != min_t(u64, op->total - pos, qp->rc->mtu))
		return -EBADMSG;
	return hodp_rc_copy(qp, op, hodp_rc_body(skb) + k->at, k->payload, pos,
			    miss);
}

/* The data of the oldest operation's response with @psn are in place. */
static void hodp_rc_stored(struct hodp_qp *qp, const struct hodp_op *op,
			   u32 psn)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	if (hodp_rc_after(op, psn) == hodp_psn_add(psn, 1))
		req->reads--;
	hodp_rc_answered(qp, hodp_psn_add(psn, 1));
	if (req->una == op->end && op != &qp->op)
		hodp_complete_oldest(qp, IB_WC_SUCCESS);
}

/* Data for the oldest operation, whose first unanswered PSN is that of @k.
 * *@keep: the packet must be handled again.
 */
static enum hodp_verdict hodp_rc_data_arrived(struct hodp_qp *qp,
					      struct sk_buff *skb,
					      struct hodp_wire_packet *k,
					      bool *keep)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_op *op = hodp_rc_oldest(qp);
	struct hodp_miss miss;
	long ret = hodp_rc_faulted(req, k->psn);

	if (!ret)
		ret = hodp_rc_load(qp, op) ?
			      -EACCES :
			      hodp_rc_store(qp, op, skb, k, &miss);
	if (ret == -EAGAIN) {
		*keep = true;
		return hodp_rc_fault(qp, k->psn, &miss);
	}
	if (ret == -EBADMSG)
		return hodp_rc_bad_response(qp);
	if (ret)
		return hodp_rc_fail(qp, hodp_op_status(ret));
	hodp_rc_stored(qp, op, k->psn);
	return HODP_V_MORE;
}

/* Nothing is outstanding that it answers.  If it repeats the last answer, it is a
 * sign of life: the peer has the next request, and needs more time (rc_wait.c).
 */
static void hodp_rc_stale(struct hodp_qp *qp, const struct hodp_wire_packet *k)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	bool good = !(k->row->headers & HODP_HAS_AETH) ||
		    hodp_aeth_type(k->syndrome) == HODP_AETH_ACK;

	hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_STALE, 1);
	if (!good || req->rnr || req->una == req->next ||
	    hodp_psn_add(k->psn, 1) != req->una)
		return;
	req->retry_left = READ_ONCE(qp->attr.retry_cnt);
	hodp_rc_arm(qp);
}

/* Handle one response.  *@keep: it must be handled again. */
static enum hodp_verdict hodp_rc_response(struct hodp_qp *qp,
					  struct sk_buff *skb,
					  struct hodp_wire_packet *k,
					  bool *keep)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_sent sent[HODP_MAX_OUTSTANDING + 1];
	u32 num = hodp_rc_list(qp, sent);
	enum hodp_sent_answer answer;
	u32 done;

	answer = hodp_sent_answered(sent, num, req->next, k, &done);
	hodp_rc_complete(qp, done);
	switch (answer) {
	case HODP_SENT_STALE:
		hodp_rc_stale(qp, k);
		return HODP_V_MORE;
	case HODP_SENT_ACK:
		if (done < num && sent[done].answer == HODP_WIRE_ACK)
			hodp_rc_answered(qp, hodp_psn_add(k->psn, 1));
		return HODP_V_MORE;
	case HODP_SENT_DATA:
		return hodp_rc_data_arrived(qp, skb, k, keep);
	case HODP_SENT_NAK:
		if (sent[done].answer == HODP_WIRE_ACK)
			hodp_rc_answered(qp, k->psn);
		return hodp_rc_naked(qp, k->syndrome);
	case HODP_SENT_LOST:
		return hodp_rc_lost(qp);
	case HODP_SENT_BAD:
		return hodp_rc_bad_response(qp);
	}
	return HODP_V_MORE;
}

/* As hodp_rc_data_arrived().  Return: false: nothing has changed. */
static bool hodp_rc_data_quick(struct hodp_qp *qp, struct sk_buff *skb,
			       struct hodp_wire_packet *k)
{
	struct hodp_op *op = hodp_rc_oldest(qp);

	if (hodp_rc_load(qp, op) || hodp_rc_store(qp, op, skb, k, NULL))
		return false;
	hodp_rc_stored(qp, op, k->psn);
	return true;
}

enum hodp_rc_quick hodp_rc_progress_quick(struct hodp_qp *qp,
					  struct sk_buff *skb,
					  struct hodp_wire_packet *k)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_sent sent[HODP_MAX_OUTSTANDING + 1];
	enum hodp_rc_quick ret = HODP_RC_QUICK_DONE;
	enum hodp_sent_answer answer;
	u32 num, done;

	if (!req->started || READ_ONCE(qp->state) != IB_QPS_RTS ||
	    READ_ONCE(qp->dying) || req->faulting || req->fault_err ||
	    req->rnr || req->again != req->next)
		return HODP_RC_QUICK_NOT;
	num = hodp_rc_list(qp, sent);
	answer = hodp_sent_answered(sent, num, req->next, k, &done);
	switch (answer) {
	case HODP_SENT_STALE:
		hodp_rc_stale(qp, k);
		return ret;
	case HODP_SENT_ACK:
		hodp_rc_complete(qp, done);
		if (done < num && sent[done].answer == HODP_WIRE_ACK)
			hodp_rc_answered(qp, hodp_psn_add(k->psn, 1));
		break;
	case HODP_SENT_DATA:
		hodp_rc_complete(qp, done);
		if (!hodp_rc_data_quick(qp, skb, k))
			ret = HODP_RC_QUICK_NOT;
		break;
	default:
		return HODP_RC_QUICK_NOT;
	}
	hodp_payload_unbind(&qp->payload);
	if (ret == HODP_RC_QUICK_DONE && qp->op.active &&
	    !hodp_rc_window_is_full(qp))
		ret = HODP_RC_QUICK_MORE;
	return ret;
}

static void hodp_rc_put_back(struct hodp_qp *qp, struct sk_buff *skb)
{
	spin_lock_bh(&qp->rx_lock);
	__skb_queue_head(&qp->rc->responses, skb);
	spin_unlock_bh(&qp->rx_lock);
}

static void hodp_rc_start(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;

	req->started = true;
	req->next = qp->attr.sq_psn;
	req->una = req->next;
	req->again = req->next;
	hodp_rc_progressed(qp);
}

enum hodp_verdict hodp_rc_progress(struct hodp_qp *qp)
{
	struct hodp_rc_requester *req = &qp->rc->req;
	struct hodp_wire_packet k;
	struct sk_buff *skb;
	bool keep = false;
	enum hodp_verdict verdict;

	if (unlikely(!req->started))
		hodp_rc_start(qp);
	if (req->faulting) {
		int err = hodp_fault_finish(&qp->req);

		if (err == -EINPROGRESS)
			return HODP_V_WINDOW;
		WRITE_ONCE(req->faulting, false);
		req->fault_err = err;
	}
	skb = hodp_rc_dequeue(qp, &qp->rc->responses, &k);
	if (skb) {
		verdict = hodp_rc_response(qp, skb, &k, &keep);
		if (keep)
			hodp_rc_put_back(qp, skb);
		else
			consume_skb(skb);
		return verdict;
	}
	if (req->rnr) {
		if (!hodp_deadline_passed(&qp->due, HODP_DUE_RNR))
			return HODP_V_WINDOW;
		req->rnr = false;
		hodp_rc_go_back(qp, HODP_AGAIN_RNR);
	}
	if (hodp_deadline_passed(&qp->due, HODP_DUE_TIMEOUT) &&
	    req->una != req->next) {
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RETRIES, 1);
		req->lost_until = 0;
		return hodp_rc_retry(qp, HODP_AGAIN_TIMEOUT);
	}
	if (req->again == req->next)
		return HODP_V_DONE;
	/* The probe is on its way. */
	if (req->probe && req->again != req->una)
		return HODP_V_WINDOW;
	return hodp_rc_resend(qp);
}
