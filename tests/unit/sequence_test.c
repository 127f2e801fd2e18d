// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Unit test of the module's psn.h in user space: sequence numbers at their edges. */
#include "kernel_shim.h"
#include "psn.h"
#include "unit.h"

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

static const struct unit_case cases[] = {
	{ "PSNs are compared across the wrap", test_psn_diff },
	{ "PSNs wrap at 24 bits", test_psn_add },
	{ "a range of PSNs has its edges", test_psn_within },
};

int main(void)
{
	unit_cases(cases, ARRAY_LEN(cases));
	return unit_end();
}
