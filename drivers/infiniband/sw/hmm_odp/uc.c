// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * UC over RoCEv2 (IBTA 9.8.2): messages of several packets, without answers.
 *
 * The requester cuts a message into packets.  The operation completes when the last
 * one was given to the network stack; nothing is kept.  If it fails in the middle,
 * the receiver finds out by the next message.
 *
 * The responder executes a message from its first packet on, whatever the PSN.  A
 * packet that is not the expected one, or cannot be executed, ends the message:
 * the rest of it is dropped, nothing completes, and its receive request waits for
 * the next SEND.  What was written before stays written.  respond.c has the errors
 * that fail the QP nevertheless.
 *
 * Softirq executes what needs no waiting, on the conditions of rc.c; there is never
 * a reply.  Otherwise packets wait at the QP for its receiver, HODP_RC_QUEUE_MAX at
 * most.  A page fault holds its packet and those behind it.  Nobody tells the sender,
 * also not one on this host: what does not fit into the queue is lost.
 *
 * Congestion: no answer slows the requester down, so its packets are not ECN-capable,
 * whatever the traffic class says (RFC 3168, 5).  A CNP is a stranger.  A mark on a
 * packet from elsewhere is not looked at.
 *
 * Lifetime: struct hodp_uc lives from RTR until the QP's reset or destroy.  The
 * receiver owns its half; softirq uses it under the QP's @rx_lock, and as the owner
 * of the receiver.
 */
#include "charge.h"
#include "dgram.h"
#include "fault.h"
#include "flight.h"
#include "rc.h"
#include "trace.h"
#include "uc.h"

/**
 * struct hodp_uc - transport state of a UC QP
 * @av: addresses of both ends; changed in SQD, under the QP's @rx_lock, by who owns
 *      both runners
 * @sport: UDP source port; goes with @av
 * @mtu: path MTU in bytes (immutable)
 * @route: of the packets that are sent; owned by the requester
 * @peer: identity of the requester
 * @packets: packets that have arrived, at most HODP_RC_QUEUE_MAX; under the QP's
 *           @rx_lock
 * @message: place in the sequence of packets
 * @skb: the packet being executed, or NULL
 * @k: its headers
 * @req: the request that is being executed
 * @addr, @rkey: WRITE: remote memory of the open message
 * @faulting: written by the receiver, read in softirq: waits for a page fault
 *
 * From @peer on, but for @packets, owned by the QP's receiver.
 */
struct hodp_uc {
	struct hodp_av av;
	u16 sport;
	u32 mtu;
	struct hodp_udp_route route;
	struct hodp_peer peer;
	struct sk_buff_head packets;
	struct hodp_message message;
	struct sk_buff *skb;
	struct hodp_wire_packet k;
	struct hodp_request req;
	u64 addr;
	u32 rkey;
	bool faulting;
};

/* ---- sending ---- */

/* Describe the operation's next packet.  Return: its position in the message. */
static u64 hodp_uc_describe(const struct hodp_qp *qp,
			    struct hodp_wire_packet *k)
{
	const struct hodp_op *op = &qp->op;
	bool write = op->row->flags & HODP_OP_WRITE;
	u64 pos = op->done;
	u32 len = min_t(u64, op->total - pos, qp->uc->mtu);
	bool last = pos + len == op->total;

	*k = (struct hodp_wire_packet){
		.row = hodp_wire_find(
			HODP_WIRE_UC, write ? HODP_WIRE_WRITE : HODP_WIRE_SEND,
			(pos ? 0 : HODP_WIRE_FIRST) |
				(last ? HODP_WIRE_LAST : 0),
			op->row->flags & HODP_OP_IMM ? HODP_HAS_IMM : 0),
		.dest_qp = qp->attr.dest_qp_num,
		.psn = hodp_psn_add(qp->attr.sq_psn, qp->sent),
		.solicited = last && (op->wqe.send_flags & IB_SEND_SOLICITED),
		.imm = op->wqe.imm_inv,
		.va = op->wqe.rdma.remote_addr,
		.rkey = op->wqe.rdma.rkey,
		.length = op->total,
		.payload = len,
	};
	return pos;
}

/* Write the headers and send.  The caller has taken a slot in the flight. */
static void hodp_uc_send(struct hodp_qp *qp, struct sk_buff *skb,
			 const struct hodp_wire_packet *k)
{
	struct hodp_uc *uc = qp->uc;
	u32 pad = hodp_wire_pad(k->payload);

	hodp_wire_put(skb->data, k);
	memset(skb->data + skb->len - HODP_WIRE_ICRC - pad, 0, pad);
	trace_hodp_send(qp->ibqp.qp_num, skb->data, skb->len);
	hodp_flight_board(qp->flight, skb);
	hodp_udp_send(hodp_qp_dev(qp), &uc->av, uc->sport, skb, &uc->route);
}

enum hodp_verdict hodp_uc_execute(struct hodp_qp *qp)
{
	struct hodp_op *op = &qp->op;
	struct hodp_wire_packet k;
	struct hodp_miss miss;
	struct sk_buff *skb;
	long ret;
	u64 pos;

	if (!hodp_flight_take(qp->flight))
		return HODP_V_WINDOW;
	pos = hodp_uc_describe(qp, &k);
	skb = hodp_rc_alloc(qp, k.row, k.payload, false);
	if (!skb) {
		hodp_flight_give_back(qp->flight);
		return HODP_V_PAUSE;
	}
	ret = hodp_dgram_gather(qp, skb->data + hodp_wire_headers(k.row), pos,
				k.payload, &miss);
	if (ret) {
		hodp_flight_give_back(qp->flight);
		kfree_skb(skb);
		return hodp_dgram_failed(qp, ret, &miss);
	}
	hodp_uc_send(qp, skb, &k);
	qp->sent++;
	op->done = pos + k.payload;
	return op->done == op->total ? hodp_op_end(op, IB_WC_SUCCESS) :
				       HODP_V_MORE;
}

/* ---- executing ---- */

/* The open message, or the one that @uc->k begins, is lost. */
static void hodp_uc_lost(struct hodp_qp *qp)
{
	hodp_message_abandon(&qp->uc->message);
	hodp_count(hodp_qp_dev(qp), HODP_CNT_UC_DROPS, 1);
}

static u32 hodp_uc_opcode(const struct hodp_wire_row *row)
{
	bool imm = row->headers & HODP_HAS_IMM;

	if (row->kind == HODP_WIRE_SEND)
		return imm ? IB_WR_SEND_WITH_IMM : IB_WR_SEND;
	return imm ? IB_WR_RDMA_WRITE_WITH_IMM : IB_WR_RDMA_WRITE;
}

/* Prepare the request for the packet, which is the next one. */
static void hodp_uc_prepare(struct hodp_uc *uc)
{
	const struct hodp_wire_packet *k = &uc->k;
	bool first = k->row->place & HODP_WIRE_FIRST;
	u32 before = first ? 0 : uc->message.got;
	bool write = k->row->kind == HODP_WIRE_WRITE;

	if (first) {
		uc->addr = k->va;
		uc->rkey = k->rkey;
	}
	uc->req = (struct hodp_request){
		.row = hodp_opcode_row(hodp_uc_opcode(k->row)),
		.addr = uc->addr,
		.rkey = uc->rkey,
		.total = before + k->payload,
		.avail = before + k->payload,
		.done = before,
		.more = !(k->row->place & HODP_WIRE_LAST),
		.imm_inv = k->imm,
		.solicited = k->solicited,
	};
	if (write)
		uc->req.total = first ? k->length : uc->message.length;
}

/* Is @uc->k the next packet?  If so it is prepared; if not, it is counted. */
static bool hodp_uc_accept(struct hodp_qp *qp)
{
	struct hodp_uc *uc = qp->uc;
	enum hodp_message_uc what =
		hodp_message_check_uc(&uc->message, &uc->k, uc->mtu);

	if (what != HODP_UC_NEXT && uc->message.open)
		hodp_uc_lost(qp);
	if (what == HODP_UC_DROP) {
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_GAPS, 1);
		return false;
	}
	hodp_uc_prepare(uc);
	return true;
}

static void hodp_uc_miss(struct hodp_qp *qp, const struct hodp_miss *miss)
{
	if (hodp_fault_begin(&qp->rx, qp->memcg, miss))
		hodp_deadline_set(&qp->due, HODP_DUE_RX, HODP_PAUSE);
	else
		WRITE_ONCE(qp->uc->faulting, true);
}

/* Execute the packet.  @quick: in softirq.  Return: MORE: call again, in process
 * context; MISS: it waits; otherwise it is finished.
 */
static enum hodp_reply hodp_uc_run(struct hodp_qp *qp, bool quick)
{
	struct hodp_uc *uc = qp->uc;
	u32 before = uc->req.avail - uc->k.payload;
	u64 pos = uc->req.done - before;
	u8 *payload = hodp_rc_body(uc->skb) + uc->k.at;
	struct hodp_sgl data;
	enum hodp_reply reply;
	struct hodp_miss miss;

	uc->req.try = quick ? payload + pos : NULL;
	if (!quick) {
		data.num = 0;
		if (uc->k.payload)
			hodp_span_kernel(&data.span[data.num++], payload,
					 uc->k.payload);
		hodp_sgl_seek(&data, pos);
		uc->req.data = &data;
	}
	reply = hodp_respond(qp, &uc->req, &miss);
	uc->req.fault_err = 0;
	uc->req.data = NULL;
	switch (reply) {
	case HODP_R_ACK:
	case HODP_R_NEXT:
		hodp_message_take(&uc->message, &uc->k, uc->mtu);
		break;
	case HODP_R_MORE:
		break;
	case HODP_R_MISS:
		hodp_uc_miss(qp, &miss);
		break;
	case HODP_R_DATA:
		/* The packet itself is in bad memory. */
		hodp_qp_error(qp, IB_EVENT_QP_FATAL);
		fallthrough;
	default:
		hodp_uc_lost(qp);
		break;
	}
	return reply;
}

/* The packet is finished. */
static void hodp_uc_consume(struct hodp_uc *uc)
{
	consume_skb(uc->skb);
	uc->skb = NULL;
}

/* Take the next packet.  Return: false: there is none. */
static bool hodp_uc_next(struct hodp_qp *qp)
{
	struct hodp_uc *uc = qp->uc;

	uc->skb = hodp_rc_dequeue(qp, &uc->packets, &uc->k);
	if (!uc->skb)
		return false;
	if (!hodp_uc_accept(qp))
		hodp_uc_consume(uc);
	return true;
}

/* Execute the packet, or a piece of it.  Return: false: it waits. */
static bool hodp_uc_step(struct hodp_qp *qp)
{
	struct hodp_uc *uc = qp->uc;
	enum hodp_reply reply = HODP_R_ACK;

	if (!hodp_qp_enter(qp, &uc->peer)) {
		reply = hodp_uc_run(qp, false);
		hodp_respond_release(qp);
		hodp_qp_leave(qp);
	} else {
		/* It does not receive any more. */
		hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_FLUSHED, 1);
	}
	cond_resched();
	if (reply == HODP_R_MORE || reply == HODP_R_MISS)
		return reply == HODP_R_MORE;
	hodp_uc_consume(uc);
	return true;
}

/* Drop packets that wait, including the one that is being executed. */
static void hodp_uc_flush(struct hodp_qp *qp, struct hodp_uc *uc,
			  struct sk_buff_head *list)
{
	hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_FLUSHED,
		   skb_queue_len(list) + !!uc->skb);
	__skb_queue_purge(list);
	kfree_skb(uc->skb);
	uc->skb = NULL;
}

/* Drop all packets that wait; the caller owns the receiver. */
static void hodp_uc_drop(struct hodp_qp *qp)
{
	struct sk_buff_head list;

	__skb_queue_head_init(&list);
	spin_lock_bh(&qp->rx_lock);
	skb_queue_splice_init(&qp->uc->packets, &list);
	spin_unlock_bh(&qp->rx_lock);
	hodp_uc_flush(qp, qp->uc, &list);
}

bool hodp_uc_receive(struct hodp_qp *qp, int *budget)
{
	struct hodp_uc *uc = qp->uc;
	int err;

	if (!uc)
		return false;
	if (!hodp_qp_receives(qp)) {
		hodp_uc_drop(qp);
		return false;
	}
	err = hodp_fault_finish(&qp->rx);
	if (err == -EINPROGRESS)
		return false;
	WRITE_ONCE(uc->faulting, false);
	uc->req.fault_err = err;
	while (hodp_qp_receives(qp) && (*budget)-- > 0) {
		if (!uc->skb && !hodp_uc_next(qp))
			break;
		if (uc->skb && !hodp_uc_step(qp))
			break;
	}
	return *budget < 0;
}

/* ---- packets that arrive ---- */

/* May the packet be taken?  If not, it is counted. */
static bool hodp_uc_accepts(struct hodp_qp *qp,
			    const struct hodp_udp_packet *packet)
{
	struct hodp_uc *uc = qp->uc;

	lockdep_assert_held(&qp->rx_lock);
	if (!uc || !hodp_qp_receives(qp) ||
	    !hodp_rc_from_peer(&uc->av, packet)) {
		hodp_count(packet->dev, HODP_CNT_RX_STRANGER, 1);
		return false;
	}
	if (skb_queue_len(&uc->packets) >= HODP_RC_QUEUE_MAX) {
		hodp_count(packet->dev, HODP_CNT_RX_QUEUE_FULL, 1);
		return false;
	}
	return true;
}

/* Put the packet into the queue.  Return: false: there is no memory, drop it. */
static bool hodp_uc_enqueue(struct hodp_qp *qp,
			    const struct hodp_udp_packet *packet)
{
	struct sk_buff *skb = packet->skb;

	lockdep_assert_held(&qp->rx_lock);
	hodp_rc_keep(skb);
	if (unlikely(READ_ONCE(qp->uc->faulting)))
		skb = hodp_rc_charge(qp, skb);
	if (!skb) {
		hodp_count(packet->dev, HODP_CNT_RX_NO_MEMORY, 1);
		return false;
	}
	__skb_queue_tail(&qp->uc->packets, skb);
	return true;
}

/* Handle the packet in softirq, as the owner of the receiver, if that takes no
 * waiting; no other one waits.
 */
static enum hodp_rc_quick
hodp_uc_receive_quick(struct hodp_qp *qp, struct sk_buff *skb,
		      const struct hodp_wire_packet *k)
{
	struct hodp_uc *uc = qp->uc;
	enum hodp_reply reply;

	/* The first packet goes to the receiver, which enters the QP. */
	if (uc->skb || qp->rx.fault || !hodp_qp_is_entered(qp, &uc->peer))
		return HODP_RC_QUICK_NOT;
	uc->k = *k;
	if (!hodp_uc_accept(qp))
		return HODP_RC_QUICK_DONE;
	uc->skb = skb;
	reply = hodp_uc_run(qp, true);
	hodp_respond_release(qp);
	if (reply == HODP_R_MORE)
		return HODP_RC_QUICK_HELD;
	uc->skb = NULL;
	return HODP_RC_QUICK_DONE;
}

/* As the owner of the receiver.  Return: as hodp_uc_input(). */
static bool hodp_uc_input_quick(struct hodp_qp *qp, struct sk_buff *skb,
				const struct hodp_wire_packet *k)
{
	enum hodp_rc_quick what = hodp_uc_receive_quick(qp, skb, k);

	if (what == HODP_RC_QUICK_DONE) {
		hodp_runner_disown(&qp->rx);
		return false;
	}
	hodp_rc_keep(skb);
	if (what == HODP_RC_QUICK_NOT) {
		spin_lock(&qp->rx_lock);
		__skb_queue_head(&qp->uc->packets, skb);
		spin_unlock(&qp->rx_lock);
	}
	hodp_runner_pass(&qp->rx);
	return true;
}

bool hodp_uc_input(struct hodp_qp *qp, const struct hodp_udp_packet *packet,
		   const struct hodp_wire_packet *k)
{
	bool quick = false, consumed = false;

	spin_lock(&qp->rx_lock);
	if (hodp_uc_accepts(qp, packet)) {
		hodp_rc_locate(packet->skb, packet);
		quick = skb_queue_empty(&qp->uc->packets) &&
			!READ_ONCE(qp->uc->faulting) &&
			hodp_runner_try(&qp->rx);
		if (!quick)
			consumed = hodp_uc_enqueue(qp, packet);
	}
	spin_unlock(&qp->rx_lock);
	if (quick)
		return hodp_uc_input_quick(qp, packet->skb, k);
	if (consumed)
		hodp_runner_poke(&qp->rx);
	return consumed;
}

/* ---- connection ---- */

static u16 hodp_uc_sport(const struct hodp_qp *qp, const struct hodp_av *av,
			 u32 dest_qp)
{
	return rdma_get_udp_sport(av->flow_label, qp->ibqp.qp_num, dest_qp);
}

/* The addresses of a connection.  Return: as hodp_av_init(). */
static int hodp_uc_av_init(struct hodp_qp *qp, const struct ib_qp_attr *attr,
			   struct hodp_av *av)
{
	int ret = hodp_av_init(hodp_qp_dev(qp), &attr->ah_attr, av);

	if (!ret)
		av->traffic_class = hodp_wire_not_ect(av->traffic_class);
	return ret;
}

static int hodp_uc_init(struct hodp_qp *qp, struct hodp_uc *uc,
			const struct ib_qp_attr *attr)
{
	int ret = hodp_uc_av_init(qp, attr, &uc->av);

	if (ret)
		return ret;
	if (attr->path_mtu > hodp_active_mtu(hodp_qp_dev(qp)->ndev))
		return -EINVAL;
	uc->mtu = ib_mtu_enum_to_int(attr->path_mtu);
	uc->sport = hodp_uc_sport(qp, &uc->av, attr->dest_qp_num);
	__skb_queue_head_init(&uc->packets);
	uc->message.expected = attr->rq_psn & HODP_PSN_MASK;
	uc->peer = (struct hodp_peer){
		.via = &hodp_roce_transport,
		.qpn = attr->dest_qp_num,
		.life = 1, /* addresses are all that packets tell */
	};
	if (!qp->flight)
		qp->flight = hodp_flight_new(&qp->req, qp->memcg);
	return qp->flight ? 0 : -ENOMEM;
}

int hodp_uc_attach(struct hodp_qp *qp, const struct ib_qp_attr *attr)
{
	struct hodp_uc *uc =
		hodp_charge_zalloc(qp->memcg, sizeof(*uc), GFP_KERNEL);
	int ret = uc ? hodp_uc_init(qp, uc, attr) : -ENOMEM;

	if (ret) {
		kfree(uc);
		return ret;
	}
	hodp_qp_reincarnate(qp);
	spin_lock_bh(&qp->rx_lock);
	qp->uc = uc;
	spin_unlock_bh(&qp->rx_lock);
	return 0;
}

int hodp_uc_readdress(struct hodp_qp *qp, const struct ib_qp_attr *attr)
{
	struct hodp_uc *uc = qp->uc;
	struct hodp_av av;
	int ret = hodp_uc_av_init(qp, attr, &av);

	if (ret)
		return ret;
	/* Softirq compares the addresses of packets with it. */
	spin_lock_bh(&qp->rx_lock);
	uc->av = av;
	uc->sport = hodp_uc_sport(qp, &av, qp->attr.dest_qp_num);
	spin_unlock_bh(&qp->rx_lock);
	hodp_udp_forget(hodp_qp_dev(qp), &uc->route);
	return 0;
}

void hodp_uc_detach(struct hodp_qp *qp)
{
	struct hodp_uc *uc;

	spin_lock_bh(&qp->rx_lock);
	uc = qp->uc;
	qp->uc = NULL;
	spin_unlock_bh(&qp->rx_lock);
	if (uc) {
		hodp_uc_flush(qp, uc, &uc->packets);
		hodp_udp_forget(hodp_qp_dev(qp), &uc->route);
	}
	kfree(uc);
	hodp_qp_forget_peer(qp);
}
