// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Order and length of packets: model in message.h. */
#include "message.h"

/* ---- requests ---- */

/* Is this opcode allowed after the packet before it? (IBTA 9.7.4.1) */
static bool hodp_message_follows(const struct hodp_message *m,
				 const struct hodp_wire_row *row)
{
	if (hodp_wire_is_response(row))
		return false;
	if (m->open)
		return !(row->place & HODP_WIRE_FIRST) && row->kind == m->kind;
	return row->place & HODP_WIRE_FIRST;
}

/* Does the packet agree with the length of its message? */
static bool hodp_message_length_fits(const struct hodp_message *m,
				     const struct hodp_wire_packet *k)
{
	bool first = k->row->place & HODP_WIRE_FIRST;
	u32 length = first ? k->length : m->length;
	u32 got = (first ? 0 : m->got) + k->payload;

	switch (k->row->kind) {
	case HODP_WIRE_SEND:
		return got <= HODP_WIRE_MESSAGE_MAX;
	case HODP_WIRE_WRITE:
		if (length > HODP_WIRE_MESSAGE_MAX)
			return false;
		/* A packet that is not the last leaves bytes for it. */
		return k->row->place & HODP_WIRE_LAST ? got == length :
							got < length;
	case HODP_WIRE_READ:
		return length <= HODP_WIRE_MESSAGE_MAX;
	case HODP_WIRE_ATOMIC_WRITE:
		/* oA19-28 */
		return k->payload == sizeof(u64) && length == sizeof(u64);
	default:
		return true;
	}
}

/* Everything except for the PSN. */
static bool hodp_message_valid(const struct hodp_message *m,
			       const struct hodp_wire_packet *k, u32 mtu)
{
	return hodp_message_follows(m, k->row) &&
	       hodp_wire_payload_fits(k->row, k->payload, mtu) &&
	       hodp_message_length_fits(m, k);
}

enum hodp_message_rc hodp_message_check_rc(const struct hodp_message *m,
					   const struct hodp_wire_packet *k,
					   u32 mtu)
{
	s32 diff = hodp_psn_diff(k->psn, m->expected);

	if (diff < 0)
		return HODP_RC_DUPLICATE;
	if (diff > 0)
		return HODP_RC_GAP;
	return hodp_message_valid(m, k, mtu) ? HODP_RC_NEXT : HODP_RC_INVALID;
}

enum hodp_message_uc hodp_message_check_uc(const struct hodp_message *m,
					   const struct hodp_wire_packet *k,
					   u32 mtu)
{
	const struct hodp_message none = { .open = false };

	if (m->open && k->psn == m->expected && hodp_message_valid(m, k, mtu))
		return HODP_UC_NEXT;
	/* The first packet of a message is welcome, whatever its PSN. */
	if (!hodp_message_valid(&none, k, mtu))
		return HODP_UC_DROP;
	return m->open ? HODP_UC_RESTART : HODP_UC_NEXT;
}

void hodp_message_take(struct hodp_message *m, const struct hodp_wire_packet *k,
		       u32 mtu)
{
	if (k->row->place & HODP_WIRE_FIRST) {
		m->kind = k->row->kind;
		m->got = 0;
		m->length = k->row->headers & HODP_HAS_RETH ? k->length : 0;
	}
	m->got += k->payload;
	m->open = !(k->row->place & HODP_WIRE_LAST);
	m->expected = hodp_psn_add(k->psn, hodp_message_psns(k, mtu));
}

/* ---- responses ---- */

enum hodp_response_check hodp_response_check(const struct hodp_response *r,
					     const struct hodp_wire_packet *k,
					     u32 mtu)
{
	s32 diff = hodp_psn_diff(k->psn, r->next);
	bool first = k->row->place & HODP_WIRE_FIRST;
	bool last = k->row->place & HODP_WIRE_LAST;
	bool ends = r->left <= mtu;

	if (k->row->kind != HODP_WIRE_READ_RESPONSE)
		return HODP_RESPONSE_BAD;
	if (diff < 0)
		return HODP_RESPONSE_STALE;
	if (diff > 0)
		return HODP_RESPONSE_LOST;
	if (last != ends || k->payload != (ends ? r->left : mtu))
		return HODP_RESPONSE_BAD;
	/* A late packet of an earlier response has the same bytes, but is a
	 * middle one where the response to the last request begins.
	 */
	if (r->next == r->start ? !first && !r->again : first)
		return HODP_RESPONSE_BAD;
	return HODP_RESPONSE_NEXT;
}
