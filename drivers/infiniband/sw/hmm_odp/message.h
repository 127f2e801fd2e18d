/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Which packet may come next: the rules of order and length (layer 0; also
 * compiled in user space).
 *
 * Language: a message is *open* from its first packet until its last one.  A
 * request's *PSNs* are those that it takes from the sequence: one per packet,
 * and for a READ one per packet of the response.
 *
 * A responder has a struct hodp_message.  It *checks* a request packet, which
 * changes nothing, and *takes* it when it has executed it; in between it may find
 * that it must ask for the packet again (RNR).  A requester has a struct
 * hodp_response for each READ, with the same two steps.
 *
 * Not checked here: whether the QP has the row's service, keys, rights, and
 * addresses.  Source: IBTA volume 1, 9.7.2, 9.7.4.1 (RC), 9.8.2 (UC).
 */
#ifndef HODP_MESSAGE_H
#define HODP_MESSAGE_H

#include "psn.h"
#include "wire.h"

/**
 * struct hodp_message - a responder's place in the sequence of requests
 * @expected: PSN of the next request packet
 * @got: bytes of the open message so far
 * @length: the bytes that its RETH announced
 * @open: more packets of the message must follow
 * @kind: enum hodp_wire_kind of the open message
 *
 * Owned by the receiver's worker.  Reset: all 0, except for @expected.
 */
struct hodp_message {
	u32 expected;
	u32 got;
	u32 length;
	bool open;
	u8 kind;
};

/* What a request packet is, on RC. */
enum hodp_message_rc {
	HODP_RC_NEXT, /* the expected packet */
	HODP_RC_DUPLICATE, /* answer it again, but do not execute it again */
	HODP_RC_GAP, /* packets are missing before it: NAK, once per gap */
	HODP_RC_INVALID, /* the QP fails: NAK of an invalid request */
};

/* What a request packet is, on UC. */
enum hodp_message_uc {
	HODP_UC_NEXT, /* the expected packet, or the first one of a message */
	HODP_UC_RESTART, /* the same, but the open message was not finished */
	HODP_UC_DROP, /* part of a message that has lost a packet, or invalid */
};

/* Packets that @length bytes make with a path MTU of @mtu bytes; none make one. */
static inline u32 hodp_message_packets(u32 length, u32 mtu)
{
	return length ? (length - 1) / mtu + 1 : 1;
}

/* PSNs that a request packet takes. */
static inline u32 hodp_message_psns(const struct hodp_wire_packet *k, u32 mtu)
{
	return k->row->kind == HODP_WIRE_READ ?
		       hodp_message_packets(k->length, mtu) :
		       1;
}

/**
 * hodp_message_check_rc - may an RC responder execute this packet now?
 * @m: place in the sequence
 * @k: a packet of RC
 * @mtu: path MTU in bytes
 *
 * The PSN comes first: a duplicate may have any contents.
 */
enum hodp_message_rc hodp_message_check_rc(const struct hodp_message *m,
					   const struct hodp_wire_packet *k,
					   u32 mtu);

/**
 * hodp_message_check_uc - may a UC responder execute this packet?
 * @m: place in the sequence
 * @k: a packet of UC
 * @mtu: path MTU in bytes
 *
 * After HODP_UC_RESTART and HODP_UC_DROP the open message is lost: call
 * hodp_message_abandon(), and complete nothing for it.
 */
enum hodp_message_uc hodp_message_check_uc(const struct hodp_message *m,
					   const struct hodp_wire_packet *k,
					   u32 mtu);

/* Take a packet that the check has allowed. */
void hodp_message_take(struct hodp_message *m, const struct hodp_wire_packet *k,
		       u32 mtu);

/* The open message will not be finished. */
static inline void hodp_message_abandon(struct hodp_message *m)
{
	m->open = false;
}

/**
 * struct hodp_response - a requester's place in the response to a READ
 * @start: PSN of the first packet of the response to the last request
 * @next: PSN of the next packet
 * @left: bytes that are missing
 * @again: the request was sent more than once
 *
 * FLUSH and ATOMIC WRITE get the response of a READ of 0 bytes.
 */
struct hodp_response {
	u32 start;
	u32 next;
	u32 left;
	bool again;
};

/* What a packet of a READ response is. */
enum hodp_response_check {
	HODP_RESPONSE_NEXT, /* take it; if it is LAST or ONLY, that is the end */
	HODP_RESPONSE_STALE, /* was taken before: ignore it */
	HODP_RESPONSE_LOST, /* packets are missing before it: request again */
	HODP_RESPONSE_BAD, /* contradicts the request: bad response error */
};

/**
 * hodp_response_check - is this the next packet of a READ response?
 * @r: place in the response
 * @k: a packet of the READ's PSNs
 * @mtu: path MTU in bytes
 */
enum hodp_response_check hodp_response_check(const struct hodp_response *r,
					     const struct hodp_wire_packet *k,
					     u32 mtu);

static inline void hodp_response_take(struct hodp_response *r,
				      const struct hodp_wire_packet *k)
{
	r->next = hodp_psn_add(r->next, 1);
	r->left -= k->payload;
}

/* The READ is sent again, from @next on, for the @left bytes. */
static inline void hodp_response_again(struct hodp_response *r)
{
	r->start = r->next;
	r->again = true;
}

#endif /* HODP_MESSAGE_H */
