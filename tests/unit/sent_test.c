// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the module's sent.c, and of the responses in message.c, in user
 * space: what a response means for the operations that wait for one.
 */
#include "kernel_shim.h"
#include "message.h"
#include "sent.h"
#include "unit.h"

#define MTU 256U

static struct hodp_wire_packet packet(u8 opcode, u32 psn, u32 payload)
{
	struct hodp_wire_packet k = {
		.row = hodp_wire_row(opcode),
		.psn = psn,
		.payload = payload,
	};

	return k;
}

static int response(const struct hodp_response *r, u8 opcode, u32 psn,
		    u32 payload)
{
	struct hodp_wire_packet k = packet(opcode, psn, payload);

	return hodp_response_check(r, &k, MTU);
}

static void take(struct hodp_response *r, u8 opcode, u32 psn, u32 payload)
{
	struct hodp_wire_packet k = packet(opcode, psn, payload);

	CHECK(hodp_response_check(r, &k, MTU) == HODP_RESPONSE_NEXT);
	hodp_response_take(r, &k);
}

static void test_response(void)
{
	struct hodp_response r = { .start = 0xfffffe,
				   .next = 0xfffffe,
				   .left = 3 * MTU + 1 };
	struct hodp_response one = { .left = MTU }, none = { .left = 0 };

	CHECK(response(&r, 0x0e, 0xfffffe, MTU) == HODP_RESPONSE_BAD);
	CHECK(response(&r, 0x10, 0xfffffe, MTU) == HODP_RESPONSE_BAD);
	CHECK(response(&r, 0x0d, 0xfffffe, MTU - 1) == HODP_RESPONSE_BAD);
	take(&r, 0x0d, 0xfffffe, MTU);
	CHECK(response(&r, 0x0d, 0xfffffe, MTU) == HODP_RESPONSE_STALE);
	CHECK(response(&r, 0x0e, 0, MTU) == HODP_RESPONSE_LOST);
	CHECK(response(&r, 0x0d, 0xffffff, MTU) == HODP_RESPONSE_BAD);
	CHECK(response(&r, 0x0f, 0xffffff, MTU) == HODP_RESPONSE_BAD);
	take(&r, 0x0e, 0xffffff, MTU);
	take(&r, 0x0e, 0, MTU);
	CHECK(response(&r, 0x0f, 1, 0) == HODP_RESPONSE_BAD);
	CHECK(response(&r, 0x0f, 1, 2) == HODP_RESPONSE_BAD);
	CHECK(response(&r, 0x0e, 1, MTU) == HODP_RESPONSE_BAD);
	CHECK(response(&r, 0x12, 1, 1) == HODP_RESPONSE_BAD);
	take(&r, 0x0f, 1, 1);
	CHECK(r.left == 0);
	CHECK(response(&one, 0x0d, 0, MTU) == HODP_RESPONSE_BAD);
	take(&one, 0x10, 0, MTU);
	CHECK(response(&none, 0x10, 0, 1) == HODP_RESPONSE_BAD);
	take(&none, 0x10, 0, 0);
}

/* The response to a repeated request, and late packets of the first one. */
static void test_response_again(void)
{
	struct hodp_response r = { .start = 5, .next = 5, .left = 4 * MTU };

	take(&r, 0x0d, 5, MTU);
	CHECK(response(&r, 0x0e, 7, MTU) == HODP_RESPONSE_LOST);
	hodp_response_again(&r);
	CHECK(response(&r, 0x0d, 6, MTU) == HODP_RESPONSE_NEXT);
	take(&r, 0x0e, 6, MTU);
	CHECK(response(&r, 0x0d, 6, MTU) == HODP_RESPONSE_STALE);
	CHECK(response(&r, 0x0d, 7, MTU) == HODP_RESPONSE_BAD);
	take(&r, 0x0e, 7, MTU);
	hodp_response_again(&r);
	CHECK(response(&r, 0x10, 8, MTU) == HODP_RESPONSE_NEXT);
	take(&r, 0x0f, 8, MTU);
}

/* Two SENDs of two packets, a READ of three, an atomic, a WRITE: 0xfffffc to 5. */
static const struct hodp_sent sent[] = {
	{ 0xfffffc, 0xfffffd, HODP_WIRE_ACK },
	{ 0xfffffe, 0xffffff, HODP_WIRE_ACK },
	{ 0, 2, HODP_WIRE_READ_RESPONSE },
	{ 3, 3, HODP_WIRE_ATOMIC_ACK },
	{ 4, 5, HODP_WIRE_ACK },
};

/* What a response means, plus ten times the number of completed operations. */
static int answer(u32 from, u8 opcode, u8 syndrome, u32 psn)
{
	struct hodp_wire_packet k = packet(opcode, psn, 0);
	u32 done = 99;
	int got;

	k.syndrome = syndrome;
	got = hodp_sent_answered(sent + from, ARRAY_LEN(sent) - from, 6, &k,
				 &done);
	return done * 10 + got;
}

static void test_ack(void)
{
	CHECK(answer(0, 0x11, 0x1f, 0xfffffb) == HODP_SENT_STALE);
	/* In the middle of an operation, at its end, at the end of the next. */
	CHECK(answer(0, 0x11, 0x1f, 0xfffffc) == HODP_SENT_ACK);
	CHECK(answer(0, 0x11, 0x1f, 0xfffffd) == 10 + HODP_SENT_ACK);
	CHECK(answer(0, 0x11, 0x1f, 0xfffffe) == 10 + HODP_SENT_ACK);
	CHECK(answer(0, 0x11, 0x1f, 0xffffff) == 20 + HODP_SENT_ACK);
	/* An ACK never completes a READ; a later one shows that it was lost. */
	CHECK(answer(0, 0x11, 0x1f, 2) == 20 + HODP_SENT_ACK);
	CHECK(answer(0, 0x11, 0x1f, 5) == 20 + HODP_SENT_LOST);
	CHECK(answer(3, 0x11, 0x1f, 3) == HODP_SENT_ACK);
	CHECK(answer(4, 0x11, 0x1f, 5) == 10 + HODP_SENT_ACK);
	/* What was not sent cannot be acknowledged. */
	CHECK(answer(0, 0x11, 0x1f, 6) == HODP_SENT_STALE);
	CHECK(answer(5, 0x11, 0x1f, 5) == HODP_SENT_STALE);
}

/* An operation that is longer than what was sent of it. */
static void test_ack_early(void)
{
	const struct hodp_sent op = { 10, 19, HODP_WIRE_ACK };
	struct hodp_wire_packet k = packet(0x11, 15, 0);
	u32 done;

	CHECK(hodp_sent_answered(&op, 1, 15, &k, &done) == HODP_SENT_STALE);
	CHECK(hodp_sent_answered(&op, 1, 16, &k, &done) == HODP_SENT_ACK);
	CHECK(done == 0);
	CHECK(hodp_sent_answered(&op, 1, 10, &k, &done) == HODP_SENT_STALE);
}

/* Whatever a response says, only what it covers is complete. */
static void test_covers(void)
{
	static const u8 opcodes[] = { 0x04, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12 };

	for (u32 n = 0; n < ARRAY_LEN(opcodes) * 256 * 16; n++) {
		u8 opcode = opcodes[n / 4096];
		u32 psn = hodp_psn_add(0xfffff8, n % 16);

		for (u32 from = 0; from < ARRAY_LEN(sent); from++) {
			int got = answer(from, opcode, n / 16 % 256, psn);
			u32 done = got / 10;

			CHECK(from + done <= ARRAY_LEN(sent));
			for (u32 i = from; i < from + done; i++) {
				CHECK(sent[i].answer == HODP_WIRE_ACK);
				CHECK(!hodp_psn_after(sent[i].last_psn, psn));
			}
			if (got % 10 == HODP_SENT_STALE)
				CHECK(!done);
		}
	}
}

static void test_nak(void)
{
	/* Everything before it has arrived. */
	CHECK(answer(0, 0x11, 0x60, 0xfffffc) == HODP_SENT_NAK);
	CHECK(answer(0, 0x11, 0x60, 0xffffff) == 10 + HODP_SENT_NAK);
	CHECK(answer(0, 0x11, 0x2e, 0xfffffe) == 10 + HODP_SENT_NAK);
	CHECK(answer(0, 0x11, 0x62, 0) == 20 + HODP_SENT_NAK);
	CHECK(answer(0, 0x11, 0x63, 2) == 20 + HODP_SENT_NAK);
	CHECK(answer(0, 0x11, 0x61, 4) == 20 + HODP_SENT_LOST);
	/* Reserved codes and types, and NAKs that carry data. */
	CHECK(answer(0, 0x11, 0x64, 0xfffffc) == HODP_SENT_BAD);
	CHECK(answer(0, 0x11, 0x7f, 0xfffffc) == HODP_SENT_BAD);
	CHECK(answer(0, 0x11, 0x40, 0xfffffc) == HODP_SENT_BAD);
	CHECK(answer(2, 0x0d, 0x60, 0) == HODP_SENT_BAD);
	CHECK(answer(3, 0x12, 0x2e, 3) == HODP_SENT_BAD);
	CHECK(answer(0, 0x11, 0x60, 6) == HODP_SENT_STALE);
}

static void test_data(void)
{
	/* A READ's response acknowledges what was sent before it. */
	CHECK(answer(0, 0x0d, 0x1f, 0) == 20 + HODP_SENT_DATA);
	CHECK(answer(2, 0x0d, 0x1f, 0) == HODP_SENT_DATA);
	/* The syndrome of a middle packet is not there. */
	CHECK(answer(2, 0x0e, 0xff, 1) == HODP_SENT_LOST);
	CHECK(answer(2, 0x0e, 0xff, 0) == HODP_SENT_DATA);
	CHECK(answer(2, 0x0d, 0x1f, 0xffffff) == HODP_SENT_STALE);
	/* The atomic's response before the READ's: that was lost. */
	CHECK(answer(0, 0x12, 0x1f, 3) == 20 + HODP_SENT_LOST);
	CHECK(answer(3, 0x12, 0x1f, 3) == HODP_SENT_DATA);
	/* Of another kind than asked for. */
	CHECK(answer(2, 0x12, 0x1f, 0) == HODP_SENT_BAD);
	CHECK(answer(3, 0x10, 0x1f, 3) == HODP_SENT_BAD);
	CHECK(answer(0, 0x10, 0x1f, 0xfffffd) == HODP_SENT_BAD);
	CHECK(answer(0, 0x04, 0x1f, 0xfffffd) == HODP_SENT_BAD);
}

static const struct unit_case cases[] = {
	{ "READ responses come in order and at their length", test_response },
	{ "a READ continues where its response broke off",
	  test_response_again },
	{ "an ACK completes what is before it, except for READs", test_ack },
	{ "an ACK of what was not sent is ignored", test_ack_early },
	{ "only what a response covers is complete", test_covers },
	{ "a NAK is about the operation of its PSN", test_nak },
	{ "data are for the operation that asked for them", test_data },
};

int main(void)
{
	unit_cases(cases, ARRAY_LEN(cases));
	return unit_end();
}
