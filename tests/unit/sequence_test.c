// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the module's psn.h, aeth.h and message.c in user space: sequence
 * numbers at their edges, syndromes, and which request may come next.
 */
#include "kernel_shim.h"
#include "aeth.h"
#include "message.h"
#include "unit.h"

#define MTU 256U

/* ---- PSNs ---- */

static void test_psn_diff(void)
{
	static const u32 start[] = { 0,	       1,	 0x7fffff,
				     0x800000, 0xfffffe, 0xffffff };

	for (size_t i = 0; i < ARRAY_LEN(start); i++) {
		u32 p = start[i];

		CHECK(hodp_psn_diff(p, p) == 0);
		CHECK(!hodp_psn_before(p, p) && !hodp_psn_after(p, p));
		CHECK(hodp_psn_diff(hodp_psn_add(p, 1), p) == 1);
		CHECK(hodp_psn_diff(p, hodp_psn_add(p, 1)) == -1);
		CHECK(hodp_psn_diff(hodp_psn_add(p, 0x7fffff), p) == 0x7fffff);
		CHECK(hodp_psn_after(hodp_psn_add(p, 0x7fffff), p));
		/* The farthest one is in the past, in both directions. */
		CHECK(hodp_psn_diff(hodp_psn_add(p, 0x800000), p) == -0x800000);
		CHECK(hodp_psn_before(hodp_psn_add(p, 0x800000), p));
		CHECK(hodp_psn_before(p, hodp_psn_add(p, 0x800000)));
		CHECK(hodp_psn_diff(hodp_psn_add(p, 0x800001), p) == -0x7fffff);
	}
	CHECK(hodp_psn_before(0xffffff, 0) && hodp_psn_after(0, 0xffffff));
	CHECK(hodp_psn_after(0x800000, 0x7fffff));
	CHECK(HODP_PSN_HALF == 1U << 23);
}

static void test_psn_add(void)
{
	CHECK(hodp_psn_add(0, 0) == 0);
	CHECK(hodp_psn_add(0xffffff, 1) == 0);
	CHECK(hodp_psn_add(0x7fffff, 1) == 0x800000);
	CHECK(hodp_psn_add(5, 0x1000000) == 5);
	CHECK(hodp_psn_add(0xffffff, UINT32_MAX) == 0xfffffe);
	/* One back. */
	CHECK(hodp_psn_add(0, -1) == 0xffffff);
}

static void test_psn_within(void)
{
	static const u32 start[] = { 0, 1, 0x7fffff, 0x800000, 0xffffff };

	for (size_t i = 0; i < ARRAY_LEN(start); i++) {
		u32 p = start[i], end = hodp_psn_add(p, 3);

		CHECK(!hodp_psn_within(hodp_psn_add(p, -1), p, end));
		CHECK(hodp_psn_within(p, p, end));
		CHECK(hodp_psn_within(hodp_psn_add(p, 2), p, end));
		CHECK(!hodp_psn_within(end, p, end));
		CHECK(!hodp_psn_within(p, p, p));
		/* All but one. */
		end = hodp_psn_add(p, -1);
		CHECK(hodp_psn_within(hodp_psn_add(p, -2), p, end));
		CHECK(!hodp_psn_within(end, p, end));
	}
}

/* ---- syndromes ---- */

/* IBTA tables 45 (milliseconds / 0.01) and 46, as printed there. */
static const u32 rnr[32] = {
	65536, 1,    2,	   3,	 4,    6,     8,     12,    16,	   24,	  32,
	48,    64,   96,   128,	 192,  256,   384,   512,   768,   1024,  1536,
	2048,  3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
};

static const u32 credits[31] = {
	0,    1,    2,	  3,	4,    6,     8,	    12,	   16,	  24,	32,
	48,   64,   96,	  128,	192,  256,   384,   512,   768,	  1024, 1536,
	2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768,
};

static void test_credits(void)
{
	for (u8 code = 0; code < 31; code++) {
		CHECK(hodp_aeth_credits(code) == credits[code]);
		CHECK(hodp_aeth_credit_code(credits[code]) == code);
		/* Never more than there are. */
		if (code)
			CHECK(hodp_aeth_credit_code(credits[code] - 1) ==
			      code - 1);
	}
	CHECK(hodp_aeth_credit_code(5) == 4);
	CHECK(hodp_aeth_credit_code(32769) == 30);
	CHECK(hodp_aeth_credit_code(UINT32_MAX) == 30);
}

static void test_rnr(void)
{
	for (u8 field = 0; field < 32; field++) {
		u32 usecs = 10 * rnr[field];

		CHECK(hodp_aeth_rnr_usecs(field) == usecs);
		CHECK(hodp_aeth_rnr_field(usecs) == field);
		/* Never shorter than was asked for. */
		CHECK(hodp_aeth_rnr_field(usecs - 1) == field);
		if (field)
			CHECK(hodp_aeth_rnr_field(usecs + 1) ==
			      (field + 1) % 32);
	}
	CHECK(hodp_aeth_rnr_field(0) == 1);
	CHECK(hodp_aeth_rnr_field(UINT32_MAX) == 0);
}

static void test_syndrome(void)
{
	/* As IBTA 9.7.5 has them in bits: 0 00 CCCCC, 0 01 TTTTT, 0 11 NNNNN. */
	CHECK(hodp_aeth_syndrome(HODP_AETH_ACK, HODP_AETH_NO_LIMIT) == 0x1f);
	CHECK(hodp_aeth_syndrome(HODP_AETH_RNR, 14) == 0x2e);
	CHECK(hodp_aeth_syndrome(HODP_AETH_NAK, HODP_NAK_SEQUENCE) == 0x60);
	CHECK(hodp_aeth_syndrome(HODP_AETH_NAK, HODP_NAK_INVALID) == 0x61);
	CHECK(hodp_aeth_syndrome(HODP_AETH_NAK, HODP_NAK_ACCESS) == 0x62);
	CHECK(hodp_aeth_syndrome(HODP_AETH_NAK, HODP_NAK_OPERATION) == 0x63);
	for (u32 s = 0; s < 128; s++)
		CHECK(hodp_aeth_syndrome(hodp_aeth_type(s),
					 hodp_aeth_value(s)) == s);
	CHECK(hodp_aeth_type(0x80) == HODP_AETH_ACK);
	CHECK(hodp_aeth_type(0xe3) == HODP_AETH_NAK);
}

/* ---- requests ---- */

static struct hodp_wire_packet packet(u8 opcode, u32 psn, u32 payload)
{
	struct hodp_wire_packet k = {
		.row = hodp_wire_row(opcode),
		.psn = psn,
		.payload = payload,
	};

	return k;
}

/* One packet of a conversation, and what the responder is to say. */
struct step {
	u8 opcode;
	u32 psn;
	u32 payload;
	u32 length; /* RETH */
	int want;
};

static void converse_rc(u32 expected, const struct step *step, size_t num)
{
	struct hodp_message m = { .expected = expected };

	for (size_t i = 0; i < num; i++) {
		struct hodp_wire_packet k =
			packet(step[i].opcode, step[i].psn, step[i].payload);
		struct hodp_message before = m;
		int got;

		k.length = step[i].length;
		got = hodp_message_check_rc(&m, &k, MTU);
		CHECK(!memcmp(&m, &before, sizeof(m)));
		if (got != step[i].want) {
			printf("# step %zu: %d, not %d\n", i, got,
			       step[i].want);
			unit_failed = true;
		}
		if (got == HODP_RC_NEXT)
			hodp_message_take(&m, &k, MTU);
	}
}

static void test_rc_sequence(void)
{
	static const struct step steps[] = {
		{ 0x04, 0xfffffe, 7, 0, HODP_RC_NEXT },
		{ 0x04, 0xfffffe, 7, 0, HODP_RC_DUPLICATE },
		{ 0x00, 0xffffff, 256, 0, HODP_RC_NEXT },
		{ 0x02, 1, 9, 0, HODP_RC_GAP },
		{ 0x01, 0, 256, 0, HODP_RC_NEXT },
		{ 0x00, 0xffffff, 256, 0, HODP_RC_DUPLICATE },
		{ 0x02, 1, 9, 0, HODP_RC_NEXT },
		/* A READ of three packets takes three PSNs. */
		{ 0x0c, 2, 0, 513, HODP_RC_NEXT },
		{ 0x0c, 2, 0, 513, HODP_RC_DUPLICATE },
		{ 0x0c, 4, 0, 1, HODP_RC_DUPLICATE },
		{ 0x04, 6, 0, 0, HODP_RC_GAP },
		{ 0x13, 5, 0, 0, HODP_RC_NEXT },
		{ 0x14, 6, 0, 0, HODP_RC_NEXT },
		/* And one of nothing takes one. */
		{ 0x0c, 7, 0, 0, HODP_RC_NEXT },
		{ 0x06, 8, 256, 257, HODP_RC_NEXT },
		{ 0x09, 9, 1, 0, HODP_RC_NEXT },
		/* The edges of past and future. */
		{ 0x04, 10 + 0x7fffff, 0, 0, HODP_RC_GAP },
		{ 0x04, 10 + 0x800000, 0, 0, HODP_RC_DUPLICATE },
		/* The PSN is looked at before the opcode. */
		{ 0x02, 11, 1, 0, HODP_RC_GAP },
		{ 0x02, 9, 1, 0, HODP_RC_DUPLICATE },
		{ 0x02, 10, 1, 0, HODP_RC_INVALID },
	};

	converse_rc(0xfffffe, steps, ARRAY_LEN(steps));
}

/* May @next follow the packets @before, which end in the middle of a message? */
static bool follows(u8 first, u8 next)
{
	struct hodp_message m = { .expected = 0 };
	struct hodp_wire_packet k = packet(first, 0, MTU);

	k.length = 2 * MTU;
	if (first != 0xff) {
		CHECK(hodp_message_check_rc(&m, &k, MTU) == HODP_RC_NEXT);
		hodp_message_take(&m, &k, MTU);
	}
	k = packet(next, m.expected, 0);
	if (k.row->data)
		k.payload = k.row->kind == HODP_WIRE_ATOMIC_WRITE ? 8 : MTU;
	k.length = k.payload + (k.row->place == HODP_WIRE_FIRST);
	if (k.row->place == HODP_WIRE_MIDDLE)
		m.length++;
	return hodp_message_check_rc(&m, &k, MTU) == HODP_RC_NEXT;
}

/* Every request after nothing, a first SEND and a first WRITE. */
static void test_order(void)
{
	static const u8 start[] = { 0x00, 0x04, 0x05, 0x06, 0x0a, 0x0b,
				    0x0c, 0x13, 0x14, 0x17, 0x1c, 0x1d };
	static const u8 send[] = { 0x01, 0x02, 0x03, 0x16 };
	static const u8 write[] = { 0x07, 0x08, 0x09 };
	u32 ok[3] = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(start); i++)
		CHECK(follows(0xff, start[i]));
	for (size_t i = 0; i < ARRAY_LEN(send); i++)
		CHECK(follows(0x00, send[i]));
	for (size_t i = 0; i < ARRAY_LEN(write); i++)
		CHECK(follows(0x06, write[i]));
	/* And nothing else: responses neither. */
	for (u8 op = 0; op < 0x20; op++) {
		if (!hodp_wire_row(op))
			continue;
		ok[0] += follows(0xff, op);
		ok[1] += follows(0x00, op);
		ok[2] += follows(0x06, op);
	}
	CHECK(ok[0] == ARRAY_LEN(start));
	CHECK(ok[1] == ARRAY_LEN(send));
	CHECK(ok[2] == ARRAY_LEN(write));
}

/* Payloads that a packet of an open or a new message must not have. */
static void test_payload(void)
{
	static const struct step bad[] = {
		{ 0x00, 0, 255, 0, HODP_RC_INVALID },
		{ 0x00, 0, 257, 0, HODP_RC_INVALID },
		{ 0x00, 0, 0, 0, HODP_RC_INVALID },
		{ 0x04, 0, 257, 0, HODP_RC_INVALID },
		{ 0x06, 0, 255, 300, HODP_RC_INVALID },
		{ 0x0a, 0, 257, 257, HODP_RC_INVALID },
		{ 0x0c, 0, 4, 4, HODP_RC_INVALID },
		{ 0x1d, 0, 7, 7, HODP_RC_INVALID },
		{ 0x1d, 0, 16, 16, HODP_RC_INVALID },
		{ 0x1d, 0, 8, 9, HODP_RC_INVALID },
		/* Good ones. */
		{ 0x04, 0, 0, 0, HODP_RC_NEXT },
		{ 0x04, 1, 256, 0, HODP_RC_NEXT },
		{ 0x1d, 2, 8, 8, HODP_RC_NEXT },
		{ 0x00, 3, 256, 0, HODP_RC_NEXT },
		{ 0x01, 4, 255, 0, HODP_RC_INVALID },
		{ 0x02, 4, 0, 0, HODP_RC_INVALID },
		{ 0x02, 4, 257, 0, HODP_RC_INVALID },
		{ 0x02, 4, 256, 0, HODP_RC_NEXT },
		{ 0x17, 5, 0, 0, HODP_RC_NEXT },
	};

	converse_rc(0, bad, ARRAY_LEN(bad));
}

/* A WRITE's payloads make what its RETH says, not less and not more. */
static void test_length(void)
{
	static const struct step steps[] = {
		{ 0x0a, 0, 5, 4, HODP_RC_INVALID },
		{ 0x0a, 0, 5, 6, HODP_RC_INVALID },
		{ 0x0a, 0, 0, 0, HODP_RC_NEXT },
		{ 0x0b, 1, 5, 5, HODP_RC_NEXT },
		/* A first packet leaves at least one byte. */
		{ 0x06, 2, 256, 256, HODP_RC_INVALID },
		{ 0x06, 2, 256, 0, HODP_RC_INVALID },
		{ 0x06, 2, 256, 600, HODP_RC_NEXT },
		{ 0x08, 3, 256, 0, HODP_RC_INVALID },
		{ 0x07, 3, 256, 0, HODP_RC_NEXT },
		{ 0x07, 4, 256, 0, HODP_RC_INVALID },
		{ 0x08, 4, 87, 0, HODP_RC_INVALID },
		{ 0x08, 4, 89, 0, HODP_RC_INVALID },
		{ 0x08, 4, 88, 0, HODP_RC_NEXT },
		/* A middle one, too. */
		{ 0x06, 5, 256, 512, HODP_RC_NEXT },
		{ 0x07, 6, 256, 0, HODP_RC_INVALID },
		{ 0x08, 6, 256, 0, HODP_RC_NEXT },
		/* No longer than 2^31. */
		{ 0x06, 7, 256, 0x80000001, HODP_RC_INVALID },
		{ 0x0c, 7, 0, 0x80000001, HODP_RC_INVALID },
		{ 0x0c, 7, 0, 0x80000000, HODP_RC_NEXT },
		{ 0x06, 7 + 0x800000, 256, 0x80000000, HODP_RC_NEXT },
	};
	struct hodp_message m = { .open = true, .kind = HODP_WIRE_SEND };
	struct hodp_wire_packet k = packet(0x02, 0, MTU);

	converse_rc(0, steps, ARRAY_LEN(steps));
	m.got = 0x80000000 - MTU;
	CHECK(hodp_message_check_rc(&m, &k, MTU) == HODP_RC_NEXT);
	m.got++;
	CHECK(hodp_message_check_rc(&m, &k, MTU) == HODP_RC_INVALID);
}

/* UC: a lost packet costs its message; the next message begins at any PSN. */
static void test_uc(void)
{
	static const struct step steps[] = {
		{ 0x24, 100, 7, 0, HODP_UC_NEXT },
		{ 0x20, 101, 256, 0, HODP_UC_NEXT },
		{ 0x22, 102, 1, 0, HODP_UC_NEXT },
		/* The middle is lost. */
		{ 0x20, 103, 256, 0, HODP_UC_NEXT },
		{ 0x22, 105, 1, 0, HODP_UC_DROP },
		{ 0x22, 106, 1, 0, HODP_UC_DROP },
		{ 0x26, 0xffffff, 256, 257, HODP_UC_NEXT },
		{ 0x28, 0, 1, 0, HODP_UC_NEXT },
		/* The end is lost. */
		{ 0x26, 1, 256, 257, HODP_UC_NEXT },
		{ 0x24, 3, 0, 0, HODP_UC_RESTART },
		/* Of another kind, or of the wrong length. */
		{ 0x26, 4, 256, 257, HODP_UC_NEXT },
		{ 0x22, 5, 1, 0, HODP_UC_DROP },
		{ 0x26, 6, 256, 257, HODP_UC_NEXT },
		{ 0x28, 7, 2, 0, HODP_UC_DROP },
		{ 0x26, 8, 256, 257, HODP_UC_NEXT },
		{ 0x26, 9, 256, 257, HODP_UC_RESTART },
		{ 0x2a, 10, 2, 3, HODP_UC_DROP },
		{ 0x24, 11, 257, 0, HODP_UC_DROP },
		{ 0x25, 11, 256, 0, HODP_UC_NEXT },
	};
	struct hodp_message m = { .expected = 100 };

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct hodp_wire_packet k =
			packet(steps[i].opcode, steps[i].psn, steps[i].payload);
		int got;

		k.length = steps[i].length;
		got = hodp_message_check_uc(&m, &k, MTU);
		if (got != steps[i].want) {
			printf("# step %zu: %d\n", i, got);
			unit_failed = true;
		}
		if (got != HODP_UC_NEXT)
			hodp_message_abandon(&m);
		if (got != HODP_UC_DROP)
			hodp_message_take(&m, &k, MTU);
	}
}

static void test_packets(void)
{
	CHECK(hodp_message_packets(0, 256) == 1);
	CHECK(hodp_message_packets(1, 256) == 1);
	CHECK(hodp_message_packets(256, 256) == 1);
	CHECK(hodp_message_packets(257, 256) == 2);
	CHECK(hodp_message_packets(1U << 31, 256) == 0x800000);
	CHECK(hodp_message_packets(1U << 31, 4096) == 0x80000);
	CHECK(hodp_message_packets(UINT32_MAX, 4096) == 0x100000);
}

static const struct unit_case cases[] = {
	{ "PSNs are compared across the wrap", test_psn_diff },
	{ "PSNs wrap at 24 bits", test_psn_add },
	{ "a range of PSNs has its edges", test_psn_within },
	{ "credits are encoded as in table 46, rounded down", test_credits },
	{ "RNR timers are encoded as in table 45, rounded up", test_rnr },
	{ "syndromes have the bits that the specification says",
	  test_syndrome },
	{ "RC: next, duplicate and missing packets", test_rc_sequence },
	{ "only some opcodes may follow another", test_order },
	{ "a payload fits its place in the message", test_payload },
	{ "a message is as long as its RETH says", test_length },
	{ "UC: a lost packet costs its message only", test_uc },
	{ "an operation takes as many PSNs as it has packets", test_packets },
};

int main(void)
{
	unit_cases(cases, ARRAY_LEN(cases));
	return unit_end();
}
