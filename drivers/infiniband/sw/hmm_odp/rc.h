/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * RC over RoCEv2 (layer 4): a connection's state.  rc.c has the model.
 */
#ifndef HODP_RC_H
#define HODP_RC_H

#include <linux/skbuff.h>
#include "ah.h"
#include "message.h"
#include "pace.h"
#include "qp.h"
#include "respond.h"
#include "udp.h"

struct hodp_flight;

/* Packets of one direction that may wait at a QP. */
#define HODP_RC_QUEUE_MAX 512
/* Packets of one direction that are kept while one before them is missing: those of
 * so many PSNs behind it.
 */
#define HODP_RC_HELD_MAX 128
/* Without progress, nothing is kept for longer, in ns. */
#define HODP_RC_HELD_TIME (4 * NSEC_PER_SEC)
/* READ and atomic requests that a responder can answer again. */
#define HODP_RC_REPLAY HODP_MAX_RD_ATOM

/**
 * struct hodp_rc_held - packets that wait for a missing one (rc_held.c)
 * @list: in the order of PSNs
 * @psn: the PSN that was missing when @due was set
 * @alive: the peer has given a sign of life since then
 * @due: when it passes without progress, @list is dropped (immutable)
 */
struct hodp_rc_held {
	struct sk_buff_head list;
	u32 psn;
	bool alive;
	enum hodp_due due;
};

/**
 * struct hodp_rc_requester - the sending half
 *
 * Owned by the QP's requester.
 *
 * @next: PSN of the next packet that was never sent
 * @una: oldest PSN that was not answered; == @next: none
 * @again: PSN of the next packet to send again; == @next: none
 * @asked: PSN behind the last packet sent that asks for an answer
 * @round: when this PSN is answered, a round of @pace ends
 * @probe: one packet only is sent again, until there is an answer
 * @naked: because of a NAK
 * @hole: what is missing before the responses in @held is requested again
 * @ends: PSNs modulo HODP_PACE_MAX at which an outstanding READ request ends
 * @hole_end: everything before it was requested again, or was not missed
 * @held: responses behind a missing one
 * @started: @next and the others are valid
 * @reads: outstanding READ requests and atomics
 * @lost_until: the responses from @una to @hole_end were lost, and were requested
 *              again; until then (CLOCK_MONOTONIC ns), ignore that others say so
 * @pace: window and waiting times
 * @rtt_psn, @rtt_start: PSN of a packet whose answer is timed, and when it was
 *                       sent (CLOCK_MONOTONIC ns); 0: none
 * @ssn: number of messages that were begun, modulo 2^24
 * @lsn: the last of them for which the peer has a receive request, if it needs one
 * @limited: @lsn is a limit; the peer may say that there is none
 * @credit_wait: the next message waits for credits until HODP_DUE_CREDIT
 * @rnr: the peer was not ready: send nothing until HODP_DUE_RNR
 * @faulting: the requester's fault is for a response or for a packet that is
 *            sent again; also read in softirq
 * @fault_psn: PSN of that response or packet
 * @fault_err: result of that fault
 * @rnr_left, @retry_left: retries left since the last progress
 */
struct hodp_rc_requester {
	u32 next;
	u32 una;
	u32 again;
	u32 asked;
	u32 round;
	u32 reads;
	u32 hole_end;
	DECLARE_BITMAP(ends, HODP_PACE_MAX);
	u64 lost_until;
	struct hodp_pace pace;
	u64 rtt_start;
	u32 rtt_psn;
	u32 ssn;
	u32 lsn;
	struct hodp_rc_held held;
	bool started;
	bool probe;
	bool naked;
	bool hole;
	bool limited;
	bool credit_wait;
	bool rnr;
	bool faulting;
	u32 fault_psn;
	int fault_err;
	u8 rnr_left;
	u8 retry_left;
};

/**
 * struct hodp_rc_done - a READ or atomic that was executed
 * @psn, @end: its PSNs, from @psn up to but without @end; equal: no entry
 * @kind: enum hodp_wire_kind
 * @original: atomic: its result
 */
struct hodp_rc_done {
	u32 psn;
	u32 end;
	u8 kind;
	u64 original;
};

/**
 * struct hodp_rc_responder - the receiving half
 *
 * Owned by the QP's receiver.
 *
 * @peer: identity of the requester
 * @message: place in the sequence of requests
 * @msn: messages completed, for the AETH
 * @k: the request packet being executed, while @skb
 * @skb: that packet, or NULL
 * @req: the request that is being executed
 * @addr, @rkey: WRITE: remote memory of the open message
 * @psn: of the next reply to @req; READ: of the next response packet
 * @replay: the READ was executed before: the sequence of requests does not move
 * @reading: a READ of more than one response is being answered
 * @read_psn, @read_end: its PSNs; @k begins later after a rewind
 * @rewind, @rewind_psn: it was requested again, from this PSN on.  These five, and
 *                       @k while @reading, are written under the QP's @rx_lock
 * @nak_sent: a NAK or RNR NAK was sent, and the packet it asks for is not here
 * @held: packets behind a missing one
 * @ack_due: packets were executed that are not acknowledged
 * @broke: the last acknowledgment said that there is no receive request
 * @quick: the owner of the receiver is a softirq
 * @faulting: written by the receiver, read in softirq: waits for a page fault
 * @resends: how often the requester has sent again what waits for that fault;
 *           written under the QP's @rx_lock
 * @heard: as many of them as were answered
 * @sign: time between signs of life during that fault, in ns
 * @flight: response packets in the network stack
 * @reads: READs and atomics that have arrived and are not answered; without those
 *         that were sent again
 * @newest: PSN after the newest of those; under the QP's @rx_lock
 * @done: the last READs and atomics, a ring
 * @done_at: index in @done of the next one
 */
struct hodp_rc_responder {
	struct hodp_peer peer;
	struct hodp_message message;
	u32 msn;
	struct hodp_wire_packet k;
	struct sk_buff *skb;
	struct hodp_request req;
	u64 addr;
	u32 rkey;
	u32 psn;
	bool replay;
	bool reading;
	bool rewind;
	u32 read_psn;
	u32 read_end;
	u32 rewind_psn;
	bool nak_sent;
	bool ack_due;
	bool broke;
	bool quick;
	bool faulting;
	struct hodp_rc_held held;
	u32 resends;
	u32 heard;
	u64 sign;
	struct hodp_flight *flight;
	atomic_t reads;
	u32 newest;
	struct hodp_rc_done done[HODP_RC_REPLAY];
	u32 done_at;
};

/**
 * struct hodp_rc - a connected QP's transport state, from RTR to reset
 * @av: addresses of both ends; changed in SQD, under the QP's @rx_lock, by who owns
 *      both runners
 * @sport: UDP source port; goes with @av
 * @mtu: path MTU in bytes (immutable)
 * @requests, @responses: packets that have arrived, at most HODP_RC_QUEUE_MAX
 *                        each; guarded by the QP's @rx_lock
 * @marked: a mark (pace.h) has arrived that the requester has not seen
 * @cnp_due: a CNP must be sent
 * @cnp_at: when that was found out the last time, CLOCK_MONOTONIC ns; guarded by
 *          the QP's @rx_lock
 * @route: [0] for requests, owned by the requester; [1] for responses, owned by
 *         the receiver
 * @req: sending half
 * @resp: receiving half
 */
struct hodp_rc {
	struct hodp_av av;
	u16 sport;
	u32 mtu;
	struct sk_buff_head requests;
	struct sk_buff_head responses;
	bool marked;
	bool cnp_due;
	u64 cnp_at;
	struct hodp_udp_route route[2];
	struct hodp_rc_requester req;
	struct hodp_rc_responder resp;
};

/* skb->cb of a packet in a queue. */
struct hodp_rc_cb {
	u32 body; /* offset of the body from skb->data */
	u32 len; /* length of the body, including the ICRC */
	bool counted; /* in hodp_rc_responder.reads */
	bool excess; /* one READ or atomic more than max_dest_rd_atomic */
	bool charged; /* it is a copy that is charged to the QP's creator */
	u32 psn; /* while it is held */
};

static inline struct hodp_rc_cb *hodp_rc_cb(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct hodp_rc_cb) > sizeof(skb->cb));
	return (void *)skb->cb;
}

static inline u8 *hodp_rc_body(struct sk_buff *skb)
{
	return skb->data + hodp_rc_cb(skb)->body;
}

/* What softirq has made of a packet, as the owner of a runner. */
enum hodp_rc_quick {
	HODP_RC_QUICK_DONE, /* it is finished */
	HODP_RC_QUICK_MORE, /* it is finished, and the runner has more to do */
	HODP_RC_QUICK_HELD, /* the runner must finish it; it is in resp.skb */
	HODP_RC_QUICK_NOT, /* the runner must take it from the queue's head */
};

/* ---- rc.c ---- */

/* hodp_transport.attach, .readdress and .detach. */
int hodp_rc_attach(struct hodp_qp *qp, const struct ib_qp_attr *attr);
int hodp_rc_readdress(struct hodp_qp *qp, const struct ib_qp_attr *attr);
void hodp_rc_detach(struct hodp_qp *qp);

/**
 * hodp_rc_input - take a packet for a connected QP
 * @qp: the caller has a reference
 * @packet: whole packet, with a good ICRC
 * @k: its headers
 *
 * A packet that is not from the peer is dropped and counted.
 * Context: softirq.  Return: true: packet->skb is consumed.
 */
bool hodp_rc_input(struct hodp_qp *qp, const struct hodp_udp_packet *packet,
		   struct hodp_wire_packet *k);

/* Drop all packets that wait; the QP takes no more, and the caller owns the
 * receiver.
 */
void hodp_rc_drop(struct hodp_qp *qp);

/* ---- rc.c, also for UC ---- */

/* Is the packet from the destination of @av, and to its source? */
bool hodp_rc_from_peer(const struct hodp_av *av,
		       const struct hodp_udp_packet *packet);

/* Say where the body of @skb is. */
void hodp_rc_locate(struct sk_buff *skb, const struct hodp_udp_packet *packet);

/* Keep @skb, but nothing of the stack and the namespace. */
void hodp_rc_keep(struct sk_buff *skb);

/**
 * hodp_rc_charge - a copy of a packet that is charged to the QP's creator
 * @qp: receiver of the packet
 * @skb: has struct hodp_rc_cb; consumed unless this returns NULL
 *
 * For packets that wait for longer than it takes to run the QP.
 * Context: any.  Return: @skb itself if it is such a copy; NULL: no memory.
 */
struct sk_buff *hodp_rc_charge(const struct hodp_qp *qp, struct sk_buff *skb);

/* Take the packet at the head of a queue, and its headers; NULL: there is none. */
struct sk_buff *hodp_rc_dequeue(struct hodp_qp *qp, struct sk_buff_head *queue,
				struct hodp_wire_packet *k);

/* The packet needs no answer any more: drop it, and if it was a READ or an atomic,
 * the requester may have another one outstanding.
 */
void hodp_rc_finish(struct hodp_rc *rc, struct sk_buff *skb);

/**
 * hodp_rc_alloc - allocate a packet, charged to the QP's creator
 * @qp: sender
 * @row: its opcode
 * @payload: bytes of payload, at hodp_wire_headers(@row) of skb->data
 * @quick: the caller is a softirq
 *
 * Context: process, or softirq if @quick.  Return: NULL if there is no memory.
 */
struct sk_buff *hodp_rc_alloc(const struct hodp_qp *qp,
			      const struct hodp_wire_row *row, u32 payload,
			      bool quick);

/**
 * hodp_rc_send - write a packet's headers and send it
 * @qp: sender
 * @skb: from hodp_rc_alloc(), with its payload; consumed
 * @k: headers; @dest_qp is filled in
 * @flight: holds a place for the packet; NULL: none
 *
 * Context: process or softirq.
 */
void hodp_rc_send(struct hodp_qp *qp, struct sk_buff *skb,
		  struct hodp_wire_packet *k, struct hodp_flight *flight);

/* ---- rc_credit.c: end-to-end flow control ---- */

/* The syndrome of an acknowledgment, with the QP's credits.  Context: the owner
 * of the receiver.
 */
u8 hodp_rc_good(struct hodp_qp *qp);

/* Receive requests may have been posted after an acknowledgment without
 * credits: send one that has some.  Context: the owner of the receiver.
 */
void hodp_rc_refill(struct hodp_qp *qp);

/* A response from the peer may have credits.  Context: the owner of the
 * requester.
 */
void hodp_rc_take_credits(struct hodp_qp *qp, const struct hodp_wire_packet *k);

/* Must the current operation, which was not begun, wait for credits?  Context: the
 * owner of the requester.
 */
bool hodp_rc_lacks_credit(const struct hodp_qp *qp);

/**
 * hodp_rc_may_begin - do credits allow to begin the current operation?
 *
 * If not, the requester is kicked when it may.
 * Context: the owner of the requester.
 */
bool hodp_rc_may_begin(struct hodp_qp *qp);

/* ---- rc_mark.c: congestion ---- */

/**
 * hodp_rc_look - look for a mark in a packet that the QP will take
 *
 * A marked packet with payload makes a CNP due, at most one per HODP_RC_CNP_GAP.  A
 * marked READ response also slows the QP itself down.
 * Context: softirq, @qp->rx_lock.
 */
void hodp_rc_look(struct hodp_qp *qp, const struct hodp_udp_packet *packet,
		  const struct hodp_wire_packet *k);

/* A CNP from the peer.  Context: softirq, @qp->rx_lock. */
void hodp_rc_notified(struct hodp_qp *qp);

/* Obey the marks since the last call.  Context: the owner of the requester. */
static inline void hodp_rc_obey_marks(struct hodp_rc *rc)
{
	if (unlikely(READ_ONCE(rc->marked)) && xchg(&rc->marked, false))
		hodp_pace_mark(&rc->req.pace);
}

/* Must a CNP be sent, once?  Context: the owner of the receiver. */
static inline bool hodp_rc_owes_cnp(struct hodp_rc *rc)
{
	return unlikely(READ_ONCE(rc->cnp_due)) && xchg(&rc->cnp_due, false);
}

/* ---- rc_held.c: packets that wait for a missing one ---- */

static inline bool hodp_rc_holds(const struct hodp_rc_held *held)
{
	return unlikely(!skb_queue_empty(&held->list));
}

void hodp_rc_held_init(struct hodp_rc_held *held, enum hodp_due due);

/**
 * hodp_rc_hold - keep a packet until those before it are here
 * @qp: its receiver
 * @held: where
 * @missing: PSN of the first missing packet, which is before that of @k
 * @skb: has struct hodp_rc_cb; consumed
 * @k: its headers
 *
 * It is dropped, and counted, if it is too far behind, if it is here already, or if
 * there is no memory.
 * Context: the owner of @held.
 */
void hodp_rc_hold(struct hodp_qp *qp, struct hodp_rc_held *held, u32 missing,
		  struct sk_buff *skb, const struct hodp_wire_packet *k);

/**
 * hodp_rc_release - take a packet that was held
 * @qp: its receiver
 * @held: where
 * @psn: the packet with this PSN; all before it are dropped, they came twice
 * @k: its headers
 *
 * Context: the owner of @held.  Return: the packet, or NULL.
 */
struct sk_buff *hodp_rc_release(struct hodp_qp *qp, struct hodp_rc_held *held,
				u32 psn, struct hodp_wire_packet *k);

/* Drop everything.  Context: the owner of @held. */
void hodp_rc_unhold(struct hodp_qp *qp, struct hodp_rc_held *held);

/* If @missing has not come for HODP_RC_HELD_TIME, drop everything: nothing is kept
 * for a peer that is silent.  @here: it has come, and waits.  Something is held.
 * Context: the owner of @held.
 */
void hodp_rc_check_held(struct hodp_qp *qp, struct hodp_rc_held *held,
			u32 missing, bool here);

/* ---- the requester: rc_req.h ---- */

/* hodp_transport.execute, .progress and .stop. */
enum hodp_verdict hodp_rc_execute(struct hodp_qp *qp);
enum hodp_verdict hodp_rc_progress(struct hodp_qp *qp);
void hodp_rc_stop(struct hodp_qp *qp);

/* Handle a response in softirq, if that takes no waiting; no other one waits.
 * Context: the owner of the requester.
 */
enum hodp_rc_quick hodp_rc_progress_quick(struct hodp_qp *qp,
					  struct sk_buff *skb,
					  struct hodp_wire_packet *k);

/* ---- the responder: rc_resp.h ---- */

/* hodp_transport.receive. */
bool hodp_rc_receive(struct hodp_qp *qp, int *budget);

/* Execute a request in softirq, if that takes no waiting; no other one waits.
 * Context: the owner of the receiver.
 */
enum hodp_rc_quick hodp_rc_receive_quick(struct hodp_qp *qp,
					 struct sk_buff *skb,
					 const struct hodp_wire_packet *k);

/* Is @k a request for the rest of the READ that is being answered (rc_read.c)?  If
 * so, nothing else is to be done about it.  Context: softirq, under the QP's
 * @rx_lock.
 */
bool hodp_rc_read_again(struct hodp_qp *qp, const struct hodp_wire_packet *k);

#endif /* HODP_RC_H */
