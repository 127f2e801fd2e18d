// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over RoCEv2: a connection, and the packets on their way into it.
 *
 * Model: softirq parses a packet, checks the ICRC and the peer's addresses, and
 * puts it into one of two bounded queues: requests for the QP's receiver
 * (rc_recv.c), responses for its requester (rc_send.c).  The two runners do the
 * rest in process context, because memory may have to be faulted in.  A packet
 * that does not fit into its queue is lost, as it would be in a switch.  Packets
 * that arrive during a page fault, or while one before them is missing
 * (rc_held.c), are copied, and charged to the QP's creator.
 *
 * Quick path: waking a worker costs more than most packets do.  So if a packet's
 * queue is empty and its runner has no owner, softirq becomes the owner and
 * handles the packet itself, on these conditions:
 *
 *   order   the queue is looked at, and the runner taken, under @rx_lock.  So no
 *           packet is before this one: not in the queue, and not in the hands of
 *           an owner.  Those that come later are queued, and make this owner look
 *           again: its hodp_runner_disown() leaves them to a work item.  If
 *           packets are held for a missing one, this one is left to the work
 *           item, too, because they come next.
 *   waits   softirq may have interrupted the holder of any lock that it does not
 *           disable softirqs for: chunk locks, hodp_mr.use, in_lock.  It tries
 *           the first two and never takes the third.  It does not fault, mark a
 *           folio, or allocate with reclaim.  If any of this is needed, the
 *           packet and the runner are passed to a work item, which goes on where
 *           softirq has stopped.
 *   bounds  one packet, at most HODP_WIRE_MTU_MAX bytes, and at most one reply
 *           without a loop.  A response never causes a packet to be sent, so
 *           output that comes back as input on the same stack does not nest.
 *
 * If the runner has an owner already, mostly the doorbell whose own packet this
 * softirq carries, the packet is queued and the owner looks again.
 *
 * Lifetime: struct hodp_rc lives from RTR until the QP's reset or destroy.  The
 * runners own its halves; softirq uses it under the QP's @rx_lock, and as the
 * owner of a runner: detach owns both.
 */
#include <linux/netfilter.h>
#include "charge.h"
#include "flight.h"
#include "rc.h"
#include "trace.h"

/* ---- receiving ---- */

static bool hodp_rc_same_address(const union ib_gid *gid, const u8 *ip,
				 u32 ip_len)
{
	if (ip_len == HODP_WIRE_IPV4)
		return ipv6_addr_v4mapped((const void *)gid->raw) &&
		       !memcmp(gid->raw + 12, ip, 4);
	return !memcmp(gid->raw, ip, sizeof(gid->raw));
}

bool hodp_rc_from_peer(const struct hodp_av *av,
		       const struct hodp_udp_packet *packet)
{
	bool ipv4 = packet->ip_len == HODP_WIRE_IPV4;
	const u8 *source = packet->ip + (ipv4 ? 12 : 8);
	const u8 *dest = packet->ip + (ipv4 ? 16 : 24);

	return hodp_rc_same_address(&av->dgid, source, packet->ip_len) &&
	       hodp_rc_same_address(&av->sgid, dest, packet->ip_len);
}

void hodp_rc_locate(struct sk_buff *skb, const struct hodp_udp_packet *packet)
{
	u32 headers = packet->ip_len + HODP_WIRE_UDP;

	*hodp_rc_cb(skb) = (struct hodp_rc_cb){
		.body = packet->ip + headers - skb->data,
		.len = packet->len - HODP_WIRE_UDP,
	};
}

void hodp_rc_keep(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb_ext_reset(skb);
	skb->dev = NULL;
}

/* IBTA 9.7.4.1.4: a requester has at most max_dest_rd_atomic READs and atomics
 * outstanding.  One that it sends again is no new one, and is not counted, so a
 * requester that counts right is never refused.
 */
static void hodp_rc_count_read(struct hodp_qp *qp, struct sk_buff *skb,
			       const struct hodp_wire_packet *k)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	struct hodp_rc_cb *cb = hodp_rc_cb(skb);

	lockdep_assert_held(&qp->rx_lock);
	if (!hodp_wire_is_read(k->row) || hodp_psn_before(k->psn, resp->newest))
		return;
	resp->newest = hodp_psn_add(k->psn, hodp_message_psns(k, qp->rc->mtu));
	cb->counted = true;
	cb->excess = atomic_inc_return(&resp->reads) >
		     READ_ONCE(qp->attr.max_dest_rd_atomic);
}

/* Does the runner that the packet is for wait for a page fault? */
static bool hodp_rc_waits(const struct hodp_rc *rc,
			  const struct hodp_wire_packet *k)
{
	return hodp_wire_is_response(k->row) ? READ_ONCE(rc->req.faulting) :
					       READ_ONCE(rc->resp.faulting);
}

struct sk_buff *hodp_rc_charge(const struct hodp_qp *qp, struct sk_buff *skb)
{
	u32 len = hodp_rc_cb(skb)->len;
	struct mem_cgroup *old;
	struct sk_buff *copy;

	if (hodp_rc_cb(skb)->charged)
		return skb;
	old = set_active_memcg(qp->memcg);
	copy = alloc_skb(len, GFP_NOWAIT | __GFP_ACCOUNT | __GFP_NOWARN);
	set_active_memcg(old);
	if (!copy)
		return NULL;
	skb_put_data(copy, hodp_rc_body(skb), len);
	*hodp_rc_cb(copy) = *hodp_rc_cb(skb);
	hodp_rc_cb(copy)->body = 0;
	hodp_rc_cb(copy)->charged = true;
	consume_skb(skb);
	return copy;
}

void hodp_rc_finish(struct hodp_rc *rc, struct sk_buff *skb)
{
	if (hodp_rc_cb(skb)->counted)
		atomic_dec(&rc->resp.reads);
	consume_skb(skb);
}

/* Is it sent again, while the receiver waits for a page fault for it?  A READ may
 * be sent again from its first missing response on.
 */
static bool hodp_rc_hurries(const struct hodp_rc_responder *resp,
			    const struct hodp_wire_packet *k)
{
	u32 psn = READ_ONCE(resp->k.psn);

	return READ_ONCE(resp->faulting) &&
	       hodp_psn_within(k->psn, psn,
			       hodp_psn_add(READ_ONCE(resp->psn), 1));
}

/* A request that needs no place in the queue, because its first copy is being
 * executed.
 */
static bool hodp_rc_repeated(struct hodp_qp *qp,
			     const struct hodp_wire_packet *k)
{
	struct hodp_rc_responder *resp = &qp->rc->resp;
	bool hurries = hodp_rc_hurries(resp, k);

	if (hurries)
		WRITE_ONCE(resp->resends, resp->resends + 1);
	if (!hodp_rc_read_again(qp, k) && !hurries)
		return false;
	hodp_runner_kick(&qp->rx);
	return true;
}

/* A response to a QP that has never sent anything.  No requester would read it. */
static bool hodp_rc_unasked(const struct hodp_qp *qp,
			    const struct hodp_wire_packet *k)
{
	return hodp_wire_is_response(k->row) &&
	       READ_ONCE(qp->state) == IB_QPS_RTR;
}

/* Is it of a service that connections have? */
static bool hodp_rc_is_ours(const struct hodp_wire_row *row)
{
	return row->service == HODP_WIRE_RC || row->service == HODP_WIRE_CNP;
}

/* Return: the queue for the packet, or NULL: it is counted, drop it. */
static struct sk_buff_head *hodp_rc_queue(struct hodp_qp *qp,
					  const struct hodp_udp_packet *packet,
					  const struct hodp_wire_packet *k)
{
	struct hodp_rc *rc = qp->rc;
	struct sk_buff_head *queue;

	lockdep_assert_held(&qp->rx_lock);
	if (!rc || !hodp_rc_is_ours(k->row) || !hodp_qp_receives(qp) ||
	    !hodp_rc_from_peer(&rc->av, packet) || hodp_rc_unasked(qp, k)) {
		hodp_count(packet->dev, HODP_CNT_RX_STRANGER, 1);
		return NULL;
	}
	if (unlikely(k->row->kind == HODP_WIRE_NOTIFY)) {
		hodp_rc_notified(qp);
		return NULL;
	}
	hodp_rc_look(qp, packet, k);
	queue = hodp_wire_is_response(k->row) ? &rc->responses : &rc->requests;
	if (queue == &rc->requests && hodp_rc_repeated(qp, k)) {
		hodp_count(packet->dev, HODP_CNT_RX_DUPLICATES, 1);
		return NULL;
	}
	if (skb_queue_len(queue) >= HODP_RC_QUEUE_MAX) {
		hodp_count(packet->dev, HODP_CNT_RX_QUEUE_FULL, 1);
		return NULL;
	}
	return queue;
}

/* Put the packet into its queue.  Return: false: there is no memory, drop it. */
static bool hodp_rc_enqueue(struct hodp_qp *qp, struct sk_buff_head *queue,
			    const struct hodp_udp_packet *packet,
			    const struct hodp_wire_packet *k)
{
	struct sk_buff *skb = packet->skb;

	lockdep_assert_held(&qp->rx_lock);
	hodp_rc_locate(skb, packet);
	hodp_rc_keep(skb);
	if (unlikely(hodp_rc_waits(qp->rc, k)))
		skb = hodp_rc_charge(qp, skb);
	if (!skb) {
		hodp_count(packet->dev, HODP_CNT_RX_NO_MEMORY, 1);
		return false;
	}
	hodp_rc_count_read(qp, skb, k);
	__skb_queue_tail(queue, skb);
	return true;
}

/* Handle the packet as the owner of @r.  Return: as hodp_rc_input(). */
static bool hodp_rc_input_quick(struct hodp_qp *qp, struct hodp_runner *r,
				struct sk_buff_head *queue,
				const struct hodp_udp_packet *packet,
				struct hodp_wire_packet *k)
{
	struct sk_buff *skb = packet->skb;
	enum hodp_rc_quick what;

	what = r == &qp->req ? hodp_rc_progress_quick(qp, skb, k) :
			       hodp_rc_receive_quick(qp, skb, k);
	switch (what) {
	case HODP_RC_QUICK_DONE:
		hodp_runner_disown(r);
		return false;
	case HODP_RC_QUICK_MORE:
		break;
	case HODP_RC_QUICK_HELD:
		hodp_rc_keep(skb);
		break;
	case HODP_RC_QUICK_NOT:
		hodp_rc_keep(skb);
		spin_lock(&qp->rx_lock);
		__skb_queue_head(queue, skb);
		spin_unlock(&qp->rx_lock);
		break;
	}
	hodp_runner_pass(r);
	return what != HODP_RC_QUICK_MORE;
}

bool hodp_rc_input(struct hodp_qp *qp, const struct hodp_udp_packet *packet,
		   struct hodp_wire_packet *k)
{
	bool quick = false, consumed = false;
	struct sk_buff_head *queue;
	struct hodp_runner *r;

	r = hodp_wire_is_response(k->row) ? &qp->req : &qp->rx;
	spin_lock(&qp->rx_lock);
	queue = hodp_rc_queue(qp, packet, k);
	if (queue) {
		quick = skb_queue_empty(queue) && !hodp_rc_waits(qp->rc, k) &&
			hodp_runner_try(r);
		if (quick) {
			hodp_rc_locate(packet->skb, packet);
			hodp_rc_count_read(qp, packet->skb, k);
		} else {
			consumed = hodp_rc_enqueue(qp, queue, packet, k);
		}
	}
	spin_unlock(&qp->rx_lock);
	if (quick)
		return hodp_rc_input_quick(qp, r, queue, packet, k);
	if (consumed)
		hodp_runner_poke(r);
	return consumed;
}

/* Drop packets that wait, including those of the receiver: the one that is being
 * executed, and those that are held.
 */
static void hodp_rc_flush(struct hodp_qp *qp, struct hodp_rc *rc,
			  struct sk_buff_head *list)
{
	skb_queue_splice_init(&rc->resp.held.list, list);
	hodp_count(hodp_qp_dev(qp), HODP_CNT_RX_FLUSHED,
		   skb_queue_len(list) + !!rc->resp.skb);
	__skb_queue_purge(list);
	kfree_skb(rc->resp.skb);
	rc->resp.skb = NULL;
}

void hodp_rc_drop(struct hodp_qp *qp)
{
	struct hodp_rc *rc = qp->rc;
	struct sk_buff_head list;

	__skb_queue_head_init(&list);
	spin_lock_bh(&qp->rx_lock);
	skb_queue_splice_init(&rc->requests, &list);
	skb_queue_splice_init(&rc->responses, &list);
	spin_unlock_bh(&qp->rx_lock);
	hodp_rc_flush(qp, rc, &list);
}

struct sk_buff *hodp_rc_dequeue(struct hodp_qp *qp, struct sk_buff_head *queue,
				struct hodp_wire_packet *k)
{
	struct sk_buff *skb;

	spin_lock_bh(&qp->rx_lock);
	skb = __skb_dequeue(queue);
	spin_unlock_bh(&qp->rx_lock);
	/* It was parsed before, so it is well-formed. */
	if (skb)
		hodp_wire_parse(hodp_rc_body(skb), hodp_rc_cb(skb)->len, k);
	return skb;
}

/* ---- sending ---- */

struct sk_buff *hodp_rc_alloc(const struct hodp_qp *qp,
			      const struct hodp_wire_row *row, u32 payload,
			      bool quick)
{
	/* Softirq does not go over the limit: a work item can reclaim. */
	return hodp_udp_alloc(qp->memcg, hodp_wire_len(row, payload),
			      quick ? GFP_NOWAIT : GFP_KERNEL);
}

void hodp_rc_send(struct hodp_qp *qp, struct sk_buff *skb,
		  struct hodp_wire_packet *k, struct hodp_flight *flight)
{
	struct hodp_rc *rc = qp->rc;
	u32 pad = hodp_wire_pad(k->payload);

	k->dest_qp = qp->attr.dest_qp_num;
	hodp_wire_put(skb->data, k);
	memset(skb->data + skb->len - HODP_WIRE_ICRC - pad, 0, pad);
	trace_hodp_send(qp->ibqp.qp_num, skb->data, skb->len);
	if (flight)
		hodp_flight_board(flight, skb);
	hodp_udp_send(hodp_qp_dev(qp), &rc->av, rc->sport, skb,
		      &rc->route[hodp_wire_is_response(k->row)]);
}

/* ---- connection ---- */

static void hodp_rc_free(struct hodp_qp *qp, struct hodp_rc *rc)
{
	if (rc) {
		hodp_rc_flush(qp, rc, &rc->requests);
		hodp_rc_flush(qp, rc, &rc->responses);
		hodp_rc_flush(qp, rc, &rc->req.held.list);
		hodp_flight_end(rc->resp.flight);
		hodp_udp_forget(hodp_qp_dev(qp), &rc->route[0]);
		hodp_udp_forget(hodp_qp_dev(qp), &rc->route[1]);
	}
	kfree(rc);
	kfree(qp->out.op);
	qp->out.op = NULL;
}

static u16 hodp_rc_sport(const struct hodp_qp *qp, const struct hodp_av *av,
			 u32 dest_qp)
{
	return rdma_get_udp_sport(av->flow_label, qp->ibqp.qp_num, dest_qp);
}

/* A state that hodp_rc_free() can free, or NULL. */
static struct hodp_rc *hodp_rc_new(const struct hodp_qp *qp)
{
	struct hodp_rc *rc =
		hodp_charge_zalloc(qp->memcg, sizeof(*rc), GFP_KERNEL);

	if (!rc)
		return NULL;
	__skb_queue_head_init(&rc->requests);
	__skb_queue_head_init(&rc->responses);
	hodp_rc_held_init(&rc->req.held, HODP_DUE_HELD_RESPONSES);
	hodp_rc_held_init(&rc->resp.held, HODP_DUE_HELD_REQUESTS);
	return rc;
}

/* The addresses of a connection.  It obeys marks.  Return: as hodp_av_init(). */
static int hodp_rc_av_init(struct hodp_qp *qp, const struct ib_qp_attr *attr,
			   struct hodp_av *av)
{
	int ret = hodp_av_init(hodp_qp_dev(qp), &attr->ah_attr, av);

	if (!ret)
		av->traffic_class = hodp_wire_ect(av->traffic_class);
	return ret;
}

static int hodp_rc_init(struct hodp_qp *qp, struct hodp_rc *rc,
			const struct ib_qp_attr *attr)
{
	enum ib_mtu active = hodp_active_mtu(hodp_qp_dev(qp)->ndev);
	int ret = hodp_rc_av_init(qp, attr, &rc->av);

	if (ret)
		return ret;
	if (attr->path_mtu > active)
		return -EINVAL;
	rc->mtu = ib_mtu_enum_to_int(attr->path_mtu);
	rc->sport = hodp_rc_sport(qp, &rc->av, attr->dest_qp_num);
	rc->resp.message.expected = attr->rq_psn & HODP_PSN_MASK;
	rc->resp.newest = rc->resp.message.expected;
	rc->resp.peer = (struct hodp_peer){
		.via = &hodp_roce_transport,
		.qpn = attr->dest_qp_num,
		.psn = rc->resp.message.expected,
		.life = 1, /* addresses and PSN are all that packets tell */
	};
	return 0;
}

int hodp_rc_attach(struct hodp_qp *qp, const struct ib_qp_attr *attr)
{
	struct hodp_rc *rc = hodp_rc_new(qp);
	int ret = -ENOMEM;

	qp->out.op = hodp_charge_zalloc(qp->memcg,
					array_size(HODP_MAX_OUTSTANDING,
						   sizeof(*qp->out.op)),
					GFP_KERNEL);
	if (rc && qp->out.op)
		ret = hodp_rc_init(qp, rc, attr);
	if (!ret && !qp->flight)
		qp->flight = hodp_flight_new(&qp->req, qp->memcg);
	if (!ret)
		rc->resp.flight = hodp_flight_new(&qp->rx, qp->memcg);
	if (!ret && (!qp->flight || !rc->resp.flight))
		ret = -ENOMEM;
	if (ret) {
		hodp_rc_free(qp, rc);
		return ret;
	}
	hodp_qp_reincarnate(qp);
	spin_lock_bh(&qp->rx_lock);
	qp->rc = rc;
	spin_unlock_bh(&qp->rx_lock);
	return 0;
}

int hodp_rc_readdress(struct hodp_qp *qp, const struct ib_qp_attr *attr)
{
	struct hodp_rc *rc = qp->rc;
	struct hodp_av av;
	int ret = hodp_rc_av_init(qp, attr, &av);

	if (ret)
		return ret;
	/* Softirq compares the addresses of packets with it. */
	spin_lock_bh(&qp->rx_lock);
	rc->av = av;
	rc->sport = hodp_rc_sport(qp, &av, qp->attr.dest_qp_num);
	spin_unlock_bh(&qp->rx_lock);
	hodp_udp_forget(hodp_qp_dev(qp), &rc->route[0]);
	hodp_udp_forget(hodp_qp_dev(qp), &rc->route[1]);
	return 0;
}

void hodp_rc_detach(struct hodp_qp *qp)
{
	struct hodp_rc *rc;

	spin_lock_bh(&qp->rx_lock);
	rc = qp->rc;
	qp->rc = NULL;
	spin_unlock_bh(&qp->rx_lock);
	hodp_rc_free(qp, rc);
	hodp_qp_forget_peer(qp);
}
