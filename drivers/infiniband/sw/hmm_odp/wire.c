// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The table of BTH opcodes, and the parser and writer that it drives. */
#ifdef __KERNEL__
#include <linux/kernel.h>
#endif
#include "wire.h"

/* ---- the table ---- */

/* Sets of headers, and their lengths. */
enum {
	HODP_SET_BTH = 0,
	HODP_SET_DETH = HODP_HAS_DETH,
	HODP_SET_DETH_IMM = HODP_HAS_DETH | HODP_HAS_IMM,
	HODP_SET_IMM = HODP_HAS_IMM,
	HODP_SET_IETH = HODP_HAS_IETH,
	HODP_SET_RETH = HODP_HAS_RETH,
	HODP_SET_RETH_IMM = HODP_HAS_RETH | HODP_HAS_IMM,
	HODP_SET_FETH_RETH = HODP_HAS_FETH | HODP_HAS_RETH,
	HODP_SET_ATOMIC = HODP_HAS_ATOMIC,
	HODP_SET_AETH = HODP_HAS_AETH,
	HODP_SET_AETH_ATOMIC = HODP_HAS_AETH | HODP_HAS_ATOMIC_ACK,
	HODP_SET_CNP = HODP_HAS_RESERVED,
};

enum {
	HODP_LEN_BTH = HODP_WIRE_BTH,
	HODP_LEN_DETH = HODP_WIRE_BTH + HODP_WIRE_DETH,
	HODP_LEN_DETH_IMM = HODP_LEN_DETH + HODP_WIRE_IMM,
	HODP_LEN_IMM = HODP_WIRE_BTH + HODP_WIRE_IMM,
	HODP_LEN_IETH = HODP_WIRE_BTH + HODP_WIRE_IETH,
	HODP_LEN_RETH = HODP_WIRE_BTH + HODP_WIRE_RETH,
	HODP_LEN_RETH_IMM = HODP_LEN_RETH + HODP_WIRE_IMM,
	HODP_LEN_FETH_RETH = HODP_LEN_RETH + HODP_WIRE_FETH,
	HODP_LEN_ATOMIC = HODP_WIRE_BTH + HODP_WIRE_ATOMIC_ETH,
	HODP_LEN_AETH = HODP_WIRE_BTH + HODP_WIRE_AETH,
	HODP_LEN_AETH_ATOMIC = HODP_LEN_AETH + HODP_WIRE_ATOMIC_ACK_ETH,
	HODP_LEN_CNP = HODP_WIRE_BTH + HODP_WIRE_CNP_RESERVED,
};

#define HODP_ROW(n, s, k, p, d, h)        \
	{                                 \
		.name = n,                \
		.service = HODP_WIRE_##s, \
		.kind = HODP_WIRE_##k,    \
		.place = HODP_WIRE_##p,   \
		.data = d,                \
		.headers = HODP_SET_##h,  \
		.len = HODP_LEN_##h,      \
	}

/* clang-format off */
static const struct hodp_wire_row hodp_wire_rows[] = {
	[0x00] = HODP_ROW("RC_SEND_FIRST", RC, SEND, FIRST, true, BTH),
	[0x01] = HODP_ROW("RC_SEND_MIDDLE", RC, SEND, MIDDLE, true, BTH),
	[0x02] = HODP_ROW("RC_SEND_LAST", RC, SEND, LAST, true, BTH),
	[0x03] = HODP_ROW("RC_SEND_LAST_IMM", RC, SEND, LAST, true, IMM),
	[0x04] = HODP_ROW("RC_SEND_ONLY", RC, SEND, ONLY, true, BTH),
	[0x05] = HODP_ROW("RC_SEND_ONLY_IMM", RC, SEND, ONLY, true, IMM),
	[0x06] = HODP_ROW("RC_WRITE_FIRST", RC, WRITE, FIRST, true, RETH),
	[0x07] = HODP_ROW("RC_WRITE_MIDDLE", RC, WRITE, MIDDLE, true, BTH),
	[0x08] = HODP_ROW("RC_WRITE_LAST", RC, WRITE, LAST, true, BTH),
	[0x09] = HODP_ROW("RC_WRITE_LAST_IMM", RC, WRITE, LAST, true, IMM),
	[0x0a] = HODP_ROW("RC_WRITE_ONLY", RC, WRITE, ONLY, true, RETH),
	[0x0b] = HODP_ROW("RC_WRITE_ONLY_IMM", RC, WRITE, ONLY, true, RETH_IMM),
	[0x0c] = HODP_ROW("RC_READ", RC, READ, ONLY, false, RETH),
	[0x0d] = HODP_ROW("RC_READ_RESPONSE_FIRST", RC, READ_RESPONSE, FIRST, true, AETH),
	[0x0e] = HODP_ROW("RC_READ_RESPONSE_MIDDLE", RC, READ_RESPONSE, MIDDLE, true, BTH),
	[0x0f] = HODP_ROW("RC_READ_RESPONSE_LAST", RC, READ_RESPONSE, LAST, true, AETH),
	[0x10] = HODP_ROW("RC_READ_RESPONSE_ONLY", RC, READ_RESPONSE, ONLY, true, AETH),
	[0x11] = HODP_ROW("RC_ACK", RC, ACK, ONLY, false, AETH),
	[0x12] = HODP_ROW("RC_ATOMIC_ACK", RC, ATOMIC_ACK, ONLY, false, AETH_ATOMIC),
	[0x13] = HODP_ROW("RC_CMP_SWAP", RC, CMP_SWAP, ONLY, false, ATOMIC),
	[0x14] = HODP_ROW("RC_FETCH_ADD", RC, FETCH_ADD, ONLY, false, ATOMIC),
	[0x16] = HODP_ROW("RC_SEND_LAST_INV", RC, SEND, LAST, true, IETH),
	[0x17] = HODP_ROW("RC_SEND_ONLY_INV", RC, SEND, ONLY, true, IETH),
	[0x1c] = HODP_ROW("RC_FLUSH", RC, FLUSH, ONLY, false, FETH_RETH),
	[0x1d] = HODP_ROW("RC_ATOMIC_WRITE", RC, ATOMIC_WRITE, ONLY, true, RETH),

	[0x20] = HODP_ROW("UC_SEND_FIRST", UC, SEND, FIRST, true, BTH),
	[0x21] = HODP_ROW("UC_SEND_MIDDLE", UC, SEND, MIDDLE, true, BTH),
	[0x22] = HODP_ROW("UC_SEND_LAST", UC, SEND, LAST, true, BTH),
	[0x23] = HODP_ROW("UC_SEND_LAST_IMM", UC, SEND, LAST, true, IMM),
	[0x24] = HODP_ROW("UC_SEND_ONLY", UC, SEND, ONLY, true, BTH),
	[0x25] = HODP_ROW("UC_SEND_ONLY_IMM", UC, SEND, ONLY, true, IMM),
	[0x26] = HODP_ROW("UC_WRITE_FIRST", UC, WRITE, FIRST, true, RETH),
	[0x27] = HODP_ROW("UC_WRITE_MIDDLE", UC, WRITE, MIDDLE, true, BTH),
	[0x28] = HODP_ROW("UC_WRITE_LAST", UC, WRITE, LAST, true, BTH),
	[0x29] = HODP_ROW("UC_WRITE_LAST_IMM", UC, WRITE, LAST, true, IMM),
	[0x2a] = HODP_ROW("UC_WRITE_ONLY", UC, WRITE, ONLY, true, RETH),
	[0x2b] = HODP_ROW("UC_WRITE_ONLY_IMM", UC, WRITE, ONLY, true, RETH_IMM),

	[HODP_WIRE_UD_SEND] = HODP_ROW("UD_SEND", UD, SEND, ONLY, true, DETH),
	[HODP_WIRE_UD_SEND_IMM] = HODP_ROW("UD_SEND_IMM", UD, SEND, ONLY, true, DETH_IMM),

	[HODP_WIRE_CONGESTION] = HODP_ROW("CNP", CNP, NOTIFY, ONLY, false, CNP),
};

/* clang-format on */

const struct hodp_wire_row *hodp_wire_row(u8 opcode)
{
	if (opcode >= ARRAY_SIZE(hodp_wire_rows) ||
	    !hodp_wire_rows[opcode].name)
		return NULL;
	return &hodp_wire_rows[opcode];
}

/* ---- rows by contents ---- */

/* The lower five bits of opcodes by kind and place; 0x1f: there is none. */
#define HODP_NO_CODE 0x1f
#define HODP_ONLY(code) { HODP_NO_CODE, HODP_NO_CODE, HODP_NO_CODE, code }

static const u8 hodp_wire_codes[HODP_WIRE_KINDS][4] = {
	/* Middle, first, last, only. */
	[HODP_WIRE_SEND] = { 0x01, 0x00, 0x02, 0x04 },
	[HODP_WIRE_WRITE] = { 0x07, 0x06, 0x08, 0x0a },
	[HODP_WIRE_READ] = HODP_ONLY(0x0c),
	[HODP_WIRE_CMP_SWAP] = HODP_ONLY(0x13),
	[HODP_WIRE_FETCH_ADD] = HODP_ONLY(0x14),
	[HODP_WIRE_FLUSH] = HODP_ONLY(0x1c),
	[HODP_WIRE_ATOMIC_WRITE] = HODP_ONLY(0x1d),
	[HODP_WIRE_NOTIFY] = HODP_ONLY(0x01),
	[HODP_WIRE_READ_RESPONSE] = { 0x0e, 0x0d, 0x0f, 0x10 },
	[HODP_WIRE_ACK] = HODP_ONLY(0x11),
	[HODP_WIRE_ATOMIC_ACK] = HODP_ONLY(0x12),
};

const struct hodp_wire_row *hodp_wire_find(u8 service, u8 kind, u8 place,
					   u16 headers)
{
	const u16 tails = HODP_HAS_IMM | HODP_HAS_IETH;
	u16 tail = place & HODP_WIRE_LAST ? headers & tails : 0;
	u8 code = hodp_wire_codes[kind][place];
	const struct hodp_wire_row *row;

	/* With immediate data it is the next opcode. */
	if (tail == HODP_HAS_IMM)
		code++;
	else if (tail == HODP_HAS_IETH)
		code = place == HODP_WIRE_ONLY ? 0x17 : 0x16;
	row = hodp_wire_row(service << 5 | code);
	return row && row->kind == kind && (row->headers & tails) == tail ?
		       row :
		       NULL;
}

/* ---- headers ---- */

static void hodp_wire_put_bth(u8 *p, const struct hodp_wire_packet *k)
{
	const struct hodp_wire_row *row = k->row;
	bool cnp = row->kind == HODP_WIRE_NOTIFY;
	u32 flags = (k->solicited ? HODP_WIRE_SE : 0) |
		    (cnp ? 0 : HODP_WIRE_MIGRATED) |
		    hodp_wire_pad(k->payload) << HODP_WIRE_PAD_SHIFT;

	hodp_wire_put32(p, (u32)(row - hodp_wire_rows) << 24 | flags << 16 |
				   HODP_WIRE_PKEY);
	hodp_wire_put32(p + 4, (cnp ? HODP_WIRE_BECN : 0) |
				       (k->dest_qp & HODP_WIRE_24));
	hodp_wire_put32(p + 8, (k->ack_req ? HODP_WIRE_ACK_REQ : 0) |
				       (k->psn & HODP_WIRE_24));
}

/* FETH, RETH, AtomicETH.  The last two begin with an address and a key. */
static u8 *hodp_wire_put_remote(u8 *p, const struct hodp_wire_packet *k)
{
	const u16 headers = k->row->headers;

	if (headers & HODP_HAS_FETH) {
		hodp_wire_put32(p, (k->selectivity & 3) << 4 |
					   (k->placement & 15));
		p += HODP_WIRE_FETH;
	}
	hodp_wire_put64(p, k->va);
	hodp_wire_put32(p + 8, k->rkey);
	if (headers & HODP_HAS_RETH) {
		hodp_wire_put32(p + 12, k->length);
		return p + HODP_WIRE_RETH;
	}
	hodp_wire_put64(p + 12, k->swap_add);
	hodp_wire_put64(p + 20, k->compare);
	return p + HODP_WIRE_ATOMIC_ETH;
}

static const u8 *hodp_wire_get_remote(const u8 *p, struct hodp_wire_packet *k)
{
	const u16 headers = k->row->headers;

	if (headers & HODP_HAS_FETH) {
		k->selectivity = p[3] >> 4 & 3;
		k->placement = p[3] & 15;
		p += HODP_WIRE_FETH;
	}
	k->va = hodp_wire_get64(p);
	k->rkey = hodp_wire_get32(p + 8);
	if (headers & HODP_HAS_RETH) {
		k->length = hodp_wire_get32(p + 12);
		return p + HODP_WIRE_RETH;
	}
	k->swap_add = hodp_wire_get64(p + 12);
	k->compare = hodp_wire_get64(p + 20);
	return p + HODP_WIRE_ATOMIC_ETH;
}

void hodp_wire_put(u8 *p, const struct hodp_wire_packet *k)
{
	const u16 headers = k->row->headers;

	hodp_wire_put_bth(p, k);
	p += HODP_WIRE_BTH;
	if (headers & HODP_HAS_DETH) {
		hodp_wire_put32(p, k->qkey);
		hodp_wire_put32(p + 4, k->src_qp & HODP_WIRE_24);
		p += HODP_WIRE_DETH;
	}
	if (headers & (HODP_HAS_RETH | HODP_HAS_ATOMIC))
		p = hodp_wire_put_remote(p, k);
	if (headers & HODP_HAS_AETH) {
		hodp_wire_put32(p, (u32)k->syndrome << 24 |
					   (k->msn & HODP_WIRE_24));
		if (headers & HODP_HAS_ATOMIC_ACK)
			hodp_wire_put64(p + HODP_WIRE_AETH, k->original);
	}
	if (headers & HODP_HAS_IMM)
		memcpy(p, &k->imm, sizeof(k->imm));
	else if (headers & HODP_HAS_IETH)
		hodp_wire_put32(p, k->inv_rkey);
	else if (headers & HODP_HAS_RESERVED)
		memset(p, 0, HODP_WIRE_CNP_RESERVED);
}

/* Read the headers of a body that is long enough for those of @k->row. */
static void hodp_wire_get(const u8 *p, struct hodp_wire_packet *k)
{
	const u16 headers = k->row->headers;

	k->solicited = p[1] & HODP_WIRE_SE;
	k->dest_qp = hodp_wire_get24(p + 4);
	k->ack_req = hodp_wire_get32(p + 8) & HODP_WIRE_ACK_REQ;
	k->psn = hodp_wire_get24(p + 8);
	p += HODP_WIRE_BTH;
	if (headers & HODP_HAS_DETH) {
		k->qkey = hodp_wire_get32(p);
		k->src_qp = hodp_wire_get24(p + 4);
		p += HODP_WIRE_DETH;
	}
	if (headers & (HODP_HAS_RETH | HODP_HAS_ATOMIC))
		p = hodp_wire_get_remote(p, k);
	if (headers & HODP_HAS_AETH) {
		k->syndrome = p[0];
		k->msn = hodp_wire_get24(p);
		if (headers & HODP_HAS_ATOMIC_ACK)
			k->original = hodp_wire_get64(p + HODP_WIRE_AETH);
	}
	if (headers & HODP_HAS_IMM)
		memcpy(&k->imm, p, sizeof(k->imm));
	else if (headers & HODP_HAS_IETH)
		k->inv_rkey = hodp_wire_get32(p);
}

enum hodp_wire_bad hodp_wire_parse(const u8 *p, size_t len,
				   struct hodp_wire_packet *k)
{
	size_t least;
	u32 pad;

	if (len < HODP_WIRE_BTH + HODP_WIRE_ICRC)
		return HODP_WIRE_SHORT;
	if (p[1] & HODP_WIRE_TVER)
		return HODP_WIRE_VERSION;
	k->row = hodp_wire_row(p[0]);
	if (!k->row)
		return HODP_WIRE_OPCODE;
	if ((((u32)p[2] << 8 | p[3]) & HODP_WIRE_PKEY_BASE) !=
	    (HODP_WIRE_PKEY & HODP_WIRE_PKEY_BASE))
		return HODP_WIRE_PKEY_BAD;
	k->at = hodp_wire_headers(k->row);
	least = k->at + HODP_WIRE_ICRC;
	if (len < least)
		return HODP_WIRE_SHORT;
	pad = p[1] >> HODP_WIRE_PAD_SHIFT & 3;
	if (len % 4 || len - least < pad)
		return HODP_WIRE_PAD;
	if (len - least - pad > (k->row->data ? HODP_WIRE_MTU_MAX : 0))
		return HODP_WIRE_LONG;
	k->payload = len - least - pad;
	hodp_wire_get(p, k);
	return HODP_WIRE_OK;
}
