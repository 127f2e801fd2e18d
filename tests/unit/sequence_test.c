// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the module's psn.h and aeth.h in user space: sequence numbers at
 * their edges, and syndromes.
 */
#include "kernel_shim.h"
#include "aeth.h"
#include "psn.h"
#include "unit.h"

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

static const struct unit_case cases[] = {
	{ "PSNs are compared across the wrap", test_psn_diff },
	{ "PSNs wrap at 24 bits", test_psn_add },
	{ "a range of PSNs has its edges", test_psn_within },
	{ "credits are encoded as in table 46, rounded down", test_credits },
	{ "RNR timers are encoded as in table 45, rounded up", test_rnr },
	{ "syndromes have the bits that the specification says",
	  test_syndrome },
};

int main(void)
{
	unit_cases(cases, ARRAY_LEN(cases));
	return unit_end();
}
