// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The RoCEv2 transport: packets to and from other devices (layer 4).
 *
 * This file carries datagrams, those of UD QPs and of the CM (GSI), and takes all
 * packets from the network; rc.c carries RC, uc.c UC.
 *
 * Sending gathers the payload directly into the packet.  If a page is missing,
 * the packet is freed, the sender stalls, and starts again after the fault.  At
 * most HODP_FLIGHT_MAX packets of a QP are in the stack; then it stalls.  A
 * datagram is unreliable, so a packet that cannot be sent is lost and counted.
 *
 * A datagram to a multicast group goes to the members on this device at once, and
 * to the network.  The IP stack may loop it back; udp.c does not take it then.
 *
 * Receiving happens in softirq, with a bounded amount of work per packet: parse,
 * check the ICRC, find the QP, and copy once into a buffer that is charged to
 * the receiver.  The receiver's runner delivers it (respond.c), and may fault.
 * A datagram to a group is copied for each member.
 * A packet that is dropped is only counted, by reason: no reply, no log message.
 */
#include "ah.h"
#include "dgram.h"
#include "flight.h"
#include "local.h"
#include "mcast.h"
#include "rc.h"
#include "roce.h"
#include "trace.h"
#include "transport.h"
#include "uc.h"

/* ---- sending ---- */

static const struct hodp_wire_row *hodp_roce_row(const struct hodp_op *op)
{
	return hodp_wire_row(op->row->flags & HODP_OP_IMM ?
				     HODP_WIRE_UD_SEND_IMM :
				     HODP_WIRE_UD_SEND);
}

/* The destination QPN.  That of a group is fixed (IBTA 10.5.2). */
static u32 hodp_roce_dest(const struct hodp_qp *qp, const struct hodp_av *av)
{
	return hodp_gid_is_mcast(&av->dgid) ? IB_MULTICAST_QPN :
					      qp->op.wqe.ud.dest_qpn & 0xffffff;
}

/* Write the headers and the padding. */
static void hodp_roce_frame(struct hodp_qp *qp, const struct hodp_av *av,
			    struct sk_buff *skb)
{
	const struct hodp_op *op = &qp->op;
	const struct hodp_wire_packet k = {
		.row = hodp_roce_row(op),
		.dest_qp = hodp_roce_dest(qp, av),
		.src_qp = qp->ibqp.qp_num,
		.psn = (qp->attr.sq_psn + qp->sent++) & 0xffffff,
		.qkey = hodp_dgram_qkey(qp),
		.imm = op->wqe.imm_inv,
		.solicited = op->wqe.send_flags & IB_SEND_SOLICITED,
		.payload = op->total,
	};

	hodp_wire_put(skb->data, &k);
	memset(skb->data + skb->len - HODP_WIRE_ICRC - hodp_wire_pad(op->total),
	       0, hodp_wire_pad(op->total));
	trace_hodp_send(qp->ibqp.qp_num, skb->data, skb->len);
}

static u16 hodp_roce_sport(const struct hodp_qp *qp, const struct hodp_av *av)
{
	return rdma_get_udp_sport(av->flow_label, qp->ibqp.qp_num,
				  hodp_roce_dest(qp, av));
}

/* Build and send a packet.  The caller has taken a slot in @f. */
static enum hodp_verdict hodp_roce_send(struct hodp_qp *qp,
					const struct hodp_av *av,
					struct hodp_flight *f)
{
	struct hodp_op *op = &qp->op;
	u32 len = hodp_wire_len(hodp_roce_row(op), op->total);
	struct sk_buff *skb = hodp_udp_alloc(qp->memcg, len, GFP_KERNEL);
	struct hodp_miss miss;
	long ret;

	if (!skb) {
		hodp_flight_give_back(f);
		return HODP_V_PAUSE;
	}
	ret = hodp_dgram_gather(
		qp, skb->data + hodp_wire_headers(hodp_roce_row(op)), 0,
		op->total, &miss);
	if (ret) {
		hodp_flight_give_back(f);
		kfree_skb(skb);
		return hodp_dgram_failed(qp, ret, &miss);
	}
	if (hodp_gid_is_mcast(&av->dgid))
		hodp_local_multicast(
			qp, av,
			skb->data + hodp_wire_headers(hodp_roce_row(op)));
	hodp_roce_frame(qp, av, skb);
	hodp_flight_board(f, skb);
	hodp_udp_send(hodp_qp_dev(qp), av, hodp_roce_sport(qp, av), skb, NULL);
	return hodp_op_end(op, IB_WC_SUCCESS);
}

/* A group's address as it is in packets from @av's source. */
static void hodp_roce_group(struct hodp_av *av)
{
	if (!hodp_gid_is_mcast(&av->dgid))
		return;
	if (av->net_type == RDMA_NETWORK_IPV4)
		hodp_mcast_to_ipv4(&av->dgid);
	/* As sockets have it. */
	if (!av->hop_limit)
		av->hop_limit = 1;
}

static enum hodp_verdict hodp_roce_datagram(struct hodp_qp *qp,
					    const struct hodp_av *to)
{
	struct hodp_av av = *to;

	if (unlikely(!qp->flight))
		qp->flight = hodp_flight_new(&qp->req, qp->memcg);
	if (unlikely(!qp->flight))
		return HODP_V_PAUSE;
	if (!hodp_flight_take(qp->flight))
		return HODP_V_WINDOW;
	hodp_roce_group(&av);
	/* The stack holds packets until their neighbour answers.  One that never
	 * does must not take all slots, or the others would wait with it.
	 */
	if (unlikely(hodp_flight_is_crowded(qp->flight)) &&
	    !hodp_udp_is_resolved(hodp_qp_dev(qp), &av,
				  hodp_roce_sport(qp, &av))) {
		hodp_flight_give_back(qp->flight);
		hodp_count(hodp_qp_dev(qp), HODP_CNT_TX_NO_NEIGHBOUR, 1);
		return hodp_op_end(&qp->op, IB_WC_SUCCESS);
	}
	return hodp_roce_send(qp, &av, qp->flight);
}

/* ---- receiving ---- */

/* The 40 bytes before the payload: the packet's IP header, at the end. */
static void hodp_roce_grh(struct hodp_dgram *d, const u8 *ip, u32 ip_len)
{
	memset(d->grh, 0, sizeof(d->grh));
	memcpy(d->grh + sizeof(d->grh) - ip_len, ip, ip_len);
	d->net_type = ip_len == HODP_WIRE_IPV4 ? RDMA_NETWORK_IPV4 :
						 RDMA_NETWORK_IPV6;
}

static void hodp_roce_deliver(struct hodp_qp *to, const u8 *ip, u32 ip_len,
			      const struct hodp_wire_packet *k,
			      const u8 *payload)
{
	struct hodp_dgram *d = NULL;

	/* Who does not know the Q_Key does not make us copy, once per member. */
	if (hodp_dgram_fits(to, k->qkey))
		d = hodp_dgram_alloc(to, k->payload, GFP_NOWAIT);
	if (!d) {
		hodp_count(hodp_qp_dev(to), HODP_CNT_UD_DROPS, 1);
		return;
	}
	hodp_roce_grh(d, ip, ip_len);
	memcpy(d->data, payload, k->payload);
	d->len = k->payload;
	d->src_qp = k->src_qp;
	d->solicited = k->solicited;
	if (k->row->headers & HODP_HAS_IMM) {
		d->imm = k->imm;
		d->wc_flags = HODP_WC_WITH_IMM;
	}
	if (hodp_dgram_enqueue(to, k->qkey, d))
		hodp_runner_kick(&to->rx);
}

/* A datagram to a group.  Members that do not accept it count it. */
static void hodp_roce_deliver_all(const struct hodp_udp_packet *packet,
				  const struct hodp_wire_packet *k,
				  const u8 *payload)
{
	struct hodp_device *dev = packet->dev;
	u32 qpns[HODP_MCAST_COPIES];
	u32 i, num = 0;

	if (k->row->service == HODP_WIRE_UD && k->dest_qp == IB_MULTICAST_QPN)
		num = hodp_mcast_members(dev, packet->mgid, qpns);
	if (!num)
		hodp_count(dev, HODP_CNT_RX_NO_QP, 1);
	for (i = 0; i < num; i++) {
		struct hodp_qp *to = hodp_qp_get(dev, qpns[i]);

		if (!to)
			continue;
		hodp_roce_deliver(to, packet->ip, packet->ip_len, k, payload);
		hodp_qp_put(to);
	}
}

static const enum hodp_counter hodp_roce_bad[] = {
	[HODP_WIRE_SHORT] = HODP_CNT_RX_BAD_SHORT,
	[HODP_WIRE_VERSION] = HODP_CNT_RX_BAD_VERSION,
	[HODP_WIRE_OPCODE] = HODP_CNT_RX_BAD_OPCODE,
	[HODP_WIRE_PAD] = HODP_CNT_RX_BAD_PAD,
	[HODP_WIRE_PKEY_BAD] = HODP_CNT_RX_BAD_PKEY,
	[HODP_WIRE_LONG] = HODP_CNT_RX_BAD_LONG,
};

static_assert(ARRAY_SIZE(hodp_roce_bad) == HODP_WIRE_BAD_MAX);

bool hodp_roce_receive(const struct hodp_udp_packet *packet)
{
	struct hodp_device *dev = packet->dev;
	const u8 *ip = packet->ip;
	const u8 *udp = ip + packet->ip_len;
	const u8 *body = udp + HODP_WIRE_UDP;
	u32 len = packet->len - HODP_WIRE_UDP;
	struct hodp_wire_packet k;
	enum hodp_wire_bad bad;
	bool consumed = false;
	struct hodp_qp *to;

	bad = hodp_wire_parse(body, len, &k);
	if (bad != HODP_WIRE_OK) {
		hodp_count(dev, hodp_roce_bad[bad], 1);
		return false;
	}
	if (!hodp_wire_icrc_ok(ip, packet->ip_len, udp, body, len)) {
		hodp_count(dev, HODP_CNT_RX_ICRC, 1);
		return false;
	}
	trace_hodp_receive(k.dest_qp, body, len);
	if (packet->mgid) {
		hodp_roce_deliver_all(packet, &k, body + k.at);
		return false;
	}
	to = hodp_qp_get(dev, k.dest_qp);
	if (!to) {
		hodp_count(dev, HODP_CNT_RX_NO_QP, 1);
		return false;
	}
	if (k.row->service == HODP_WIRE_UD)
		hodp_roce_deliver(to, ip, packet->ip_len, &k, body + k.at);
	else if (k.row->service == HODP_WIRE_UC)
		consumed = hodp_uc_input(to, packet, &k);
	else
		consumed = hodp_rc_input(to, packet, &k);
	hodp_qp_put(to);
	return consumed;
}

/* ---- the contract ---- */

static bool hodp_roce_reaches(struct hodp_device *dev, const union ib_gid *gid)
{
	const struct in6_addr *addr = (const void *)gid->raw;
	__be32 ip = addr->s6_addr32[3];

	if (ipv6_addr_v4mapped(addr))
		return !ipv4_is_zeronet(ip) && !ipv4_is_loopback(ip) &&
		       !ipv4_is_lbcast(ip);
	return !ipv6_addr_any(addr) && !ipv6_addr_loopback(addr);
}

/* RC, or UC?  Only connected QPs call what asks. */
static bool hodp_roce_is_rc(const struct hodp_qp *qp)
{
	return hodp_qp_service(qp)->reliable;
}

static int hodp_roce_attach(struct hodp_qp *qp, const struct ib_qp_attr *attr)
{
	return hodp_roce_is_rc(qp) ? hodp_rc_attach(qp, attr) :
				     hodp_uc_attach(qp, attr);
}

static int hodp_roce_readdress(struct hodp_qp *qp,
			       const struct ib_qp_attr *attr)
{
	return hodp_roce_is_rc(qp) ? hodp_rc_readdress(qp, attr) :
				     hodp_uc_readdress(qp, attr);
}

static void hodp_roce_detach(struct hodp_qp *qp)
{
	if (hodp_roce_is_rc(qp))
		hodp_rc_detach(qp);
	else
		hodp_uc_detach(qp);
}

static enum hodp_verdict hodp_roce_execute(struct hodp_qp *qp)
{
	return hodp_roce_is_rc(qp) ? hodp_rc_execute(qp) : hodp_uc_execute(qp);
}

static bool hodp_roce_receive_requests(struct hodp_qp *qp, int *budget)
{
	return hodp_roce_is_rc(qp) ? hodp_rc_receive(qp, budget) :
				     hodp_uc_receive(qp, budget);
}

/* The peer may have no credits.  After an RNR NAK there is nothing to do: it has told
 * the peer when to try again.  The next message clears qp->rnr_waiter, and no longer
 * asks for doorbells.
 */
static void hodp_roce_posted_recv(struct hodp_qp *qp)
{
	hodp_runner_kick(&qp->rx);
}

const struct hodp_transport hodp_roce_transport = {
	.name = "roce",
	.reaches = hodp_roce_reaches,
	.attach = hodp_roce_attach,
	.readdress = hodp_roce_readdress,
	.detach = hodp_roce_detach,
	.execute = hodp_roce_execute,
	.progress = hodp_rc_progress,
	.stop = hodp_rc_stop,
	.receive = hodp_roce_receive_requests,
	.datagram = hodp_roce_datagram,
	.posted_recv = hodp_roce_posted_recv,
};
