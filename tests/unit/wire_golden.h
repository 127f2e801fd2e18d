/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The bytes of every packet's headers, written down from IBTA volume 1 (table 38,
 * 9.2 to 9.3, annexes A17 and A19), not by the module's writer.
 */
#ifndef WIRE_GOLDEN_H
#define WIRE_GOLDEN_H

#include "wire.h"

/* What the packets contain, as far as their headers have it. */
static const struct hodp_wire_packet golden_packet = {
	.dest_qp = 0x123456,
	.psn = 0xabcdef,
	.solicited = true,
	.ack_req = true,
	.syndrome = 0x1f,
	.placement = 2,
	.selectivity = 1,
	.qkey = 0x89abcdef,
	.src_qp = 0xfedcba,
	.va = 0x1122334455667788,
	.rkey = 0x99aabbcc,
	.length = 0x0a0b0c0d,
	.swap_add = 0x2122232425262728,
	.compare = 0x3132333435363738,
	.original = 0x4142434445464748,
	.msn = 0xc0ffee,
	/* In network byte order already. */
	.imm = 0xa4a3a2a1,
	.inv_rkey = 0xb1b2b3b4,
};

/* P_Key; FECN, BECN, reserved; destination; A, reserved; PSN. */
#define REST " ffff 00 123456 80 abcdef"
/* Q_Key; reserved; source. */
#define DETH " 89abcdef 00 fedcba"
/* Reserved, selectivity, placement. */
#define FETH " 00000012"
/* Address; key; length. */
#define RETH " 1122334455667788 99aabbcc 0a0b0c0d"
/* Address; key; swap or add; compare. */
#define ATOMIC " 1122334455667788 99aabbcc 2122232425262728 3132333435363738"
/* Syndrome; MSN. */
#define AETH " 1f c0ffee"
#define ORIGINAL " 4142434445464748"
#define IMM " a1a2a3a4"
#define IETH " b1b2b3b4"

/**
 * struct golden - one opcode
 * @name: name of its row
 * @service, @kind, @place: as in its row
 * @payload: bytes of payload; those of first and middle packets are full
 * @headers: opcode; SE, M, pad count, version; and the others, in hexadecimal
 */
struct golden {
	const char *name;
	u8 service;
	u8 kind;
	u8 place;
	u32 payload;
	const char *headers;
};

static const struct golden golden[] = {
	{ "RC_SEND_FIRST", HODP_WIRE_RC, HODP_WIRE_SEND, HODP_WIRE_FIRST, 256,
	  "00 c0" REST },
	{ "RC_SEND_MIDDLE", HODP_WIRE_RC, HODP_WIRE_SEND, HODP_WIRE_MIDDLE, 256,
	  "01 c0" REST },
	{ "RC_SEND_LAST", HODP_WIRE_RC, HODP_WIRE_SEND, HODP_WIRE_LAST, 37,
	  "02 f0" REST },
	{ "RC_SEND_LAST_IMM", HODP_WIRE_RC, HODP_WIRE_SEND, HODP_WIRE_LAST, 37,
	  "03 f0" REST IMM },
	{ "RC_SEND_ONLY", HODP_WIRE_RC, HODP_WIRE_SEND, HODP_WIRE_ONLY, 37,
	  "04 f0" REST },
	{ "RC_SEND_ONLY_IMM", HODP_WIRE_RC, HODP_WIRE_SEND, HODP_WIRE_ONLY, 37,
	  "05 f0" REST IMM },
	{ "RC_WRITE_FIRST", HODP_WIRE_RC, HODP_WIRE_WRITE, HODP_WIRE_FIRST, 256,
	  "06 c0" REST RETH },
	{ "RC_WRITE_MIDDLE", HODP_WIRE_RC, HODP_WIRE_WRITE, HODP_WIRE_MIDDLE,
	  256, "07 c0" REST },
	{ "RC_WRITE_LAST", HODP_WIRE_RC, HODP_WIRE_WRITE, HODP_WIRE_LAST, 38,
	  "08 e0" REST },
	{ "RC_WRITE_LAST_IMM", HODP_WIRE_RC, HODP_WIRE_WRITE, HODP_WIRE_LAST,
	  38, "09 e0" REST IMM },
	{ "RC_WRITE_ONLY", HODP_WIRE_RC, HODP_WIRE_WRITE, HODP_WIRE_ONLY, 38,
	  "0a e0" REST RETH },
	{ "RC_WRITE_ONLY_IMM", HODP_WIRE_RC, HODP_WIRE_WRITE, HODP_WIRE_ONLY,
	  38, "0b e0" REST RETH IMM },
	{ "RC_READ", HODP_WIRE_RC, HODP_WIRE_READ, HODP_WIRE_ONLY, 0,
	  "0c c0" REST RETH },
	{ "RC_READ_RESPONSE_FIRST", HODP_WIRE_RC, HODP_WIRE_READ_RESPONSE,
	  HODP_WIRE_FIRST, 256, "0d c0" REST AETH },
	{ "RC_READ_RESPONSE_MIDDLE", HODP_WIRE_RC, HODP_WIRE_READ_RESPONSE,
	  HODP_WIRE_MIDDLE, 256, "0e c0" REST },
	{ "RC_READ_RESPONSE_LAST", HODP_WIRE_RC, HODP_WIRE_READ_RESPONSE,
	  HODP_WIRE_LAST, 39, "0f d0" REST AETH },
	{ "RC_READ_RESPONSE_ONLY", HODP_WIRE_RC, HODP_WIRE_READ_RESPONSE,
	  HODP_WIRE_ONLY, 39, "10 d0" REST AETH },
	{ "RC_ACK", HODP_WIRE_RC, HODP_WIRE_ACK, HODP_WIRE_ONLY, 0,
	  "11 c0" REST AETH },
	{ "RC_ATOMIC_ACK", HODP_WIRE_RC, HODP_WIRE_ATOMIC_ACK, HODP_WIRE_ONLY,
	  0, "12 c0" REST AETH ORIGINAL },
	{ "RC_CMP_SWAP", HODP_WIRE_RC, HODP_WIRE_CMP_SWAP, HODP_WIRE_ONLY, 0,
	  "13 c0" REST ATOMIC },
	{ "RC_FETCH_ADD", HODP_WIRE_RC, HODP_WIRE_FETCH_ADD, HODP_WIRE_ONLY, 0,
	  "14 c0" REST ATOMIC },
	{ "RC_SEND_LAST_INV", HODP_WIRE_RC, HODP_WIRE_SEND, HODP_WIRE_LAST, 40,
	  "16 c0" REST IETH },
	{ "RC_SEND_ONLY_INV", HODP_WIRE_RC, HODP_WIRE_SEND, HODP_WIRE_ONLY, 0,
	  "17 c0" REST IETH },
	{ "RC_FLUSH", HODP_WIRE_RC, HODP_WIRE_FLUSH, HODP_WIRE_ONLY, 0,
	  "1c c0" REST FETH RETH },
	{ "RC_ATOMIC_WRITE", HODP_WIRE_RC, HODP_WIRE_ATOMIC_WRITE,
	  HODP_WIRE_ONLY, 8, "1d c0" REST RETH },
	{ "UC_SEND_FIRST", HODP_WIRE_UC, HODP_WIRE_SEND, HODP_WIRE_FIRST, 256,
	  "20 c0" REST },
	{ "UC_SEND_MIDDLE", HODP_WIRE_UC, HODP_WIRE_SEND, HODP_WIRE_MIDDLE, 256,
	  "21 c0" REST },
	{ "UC_SEND_LAST", HODP_WIRE_UC, HODP_WIRE_SEND, HODP_WIRE_LAST, 37,
	  "22 f0" REST },
	{ "UC_SEND_LAST_IMM", HODP_WIRE_UC, HODP_WIRE_SEND, HODP_WIRE_LAST, 37,
	  "23 f0" REST IMM },
	{ "UC_SEND_ONLY", HODP_WIRE_UC, HODP_WIRE_SEND, HODP_WIRE_ONLY, 37,
	  "24 f0" REST },
	{ "UC_SEND_ONLY_IMM", HODP_WIRE_UC, HODP_WIRE_SEND, HODP_WIRE_ONLY, 37,
	  "25 f0" REST IMM },
	{ "UC_WRITE_FIRST", HODP_WIRE_UC, HODP_WIRE_WRITE, HODP_WIRE_FIRST, 256,
	  "26 c0" REST RETH },
	{ "UC_WRITE_MIDDLE", HODP_WIRE_UC, HODP_WIRE_WRITE, HODP_WIRE_MIDDLE,
	  256, "27 c0" REST },
	{ "UC_WRITE_LAST", HODP_WIRE_UC, HODP_WIRE_WRITE, HODP_WIRE_LAST, 38,
	  "28 e0" REST },
	{ "UC_WRITE_LAST_IMM", HODP_WIRE_UC, HODP_WIRE_WRITE, HODP_WIRE_LAST,
	  38, "29 e0" REST IMM },
	{ "UC_WRITE_ONLY", HODP_WIRE_UC, HODP_WIRE_WRITE, HODP_WIRE_ONLY, 38,
	  "2a e0" REST RETH },
	{ "UC_WRITE_ONLY_IMM", HODP_WIRE_UC, HODP_WIRE_WRITE, HODP_WIRE_ONLY,
	  38, "2b e0" REST RETH IMM },
	{ "UD_SEND", HODP_WIRE_UD, HODP_WIRE_SEND, HODP_WIRE_ONLY, 37,
	  "64 f0" REST DETH },
	{ "UD_SEND_IMM", HODP_WIRE_UD, HODP_WIRE_SEND, HODP_WIRE_ONLY, 37,
	  "65 f0" REST DETH IMM },
};

/* With BECN, and without solicited event, migration, acknowledgement and PSN. */
static const char golden_cnp[] = "81 00 ffff 40 123456 00 000000 "
				 "00000000 00000000 00000000 00000000";

#endif /* WIRE_GOLDEN_H */
