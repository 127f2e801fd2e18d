// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of deadline.c in user space, where the test owns the clock: each
 * cause rings for itself, once, at its time, and what was cleared or set anew
 * does not ring for the time before.
 */
#include <stdlib.h>
#include <string.h>

#include "deadline.c"
#include "unit.h"

enum { A, B, LAST = HODP_MAX_CAUSES - 1 };

static struct hodp_deadlines d;
static unsigned long rung; /* causes */
static int calls;

static void expired(struct hodp_deadlines *which, unsigned long causes)
{
	CHECK(which == &d && !d.lock.held);
	rung |= causes;
	calls++;
}

static void begin(void)
{
	memset(&d, 0, sizeof(d));
	fake_now = 1000;
	rung = 0;
	calls = 0;
	hodp_deadline_init(&d, expired);
}

static void test_each(void)
{
	begin();
	hodp_deadline_set(&d, A, 100);
	hodp_deadline_set(&d, LAST, 50);
	hodp_deadline_set(&d, B, 200);
	fake_clock(&d.timer, 1049);
	CHECK(!calls);
	fake_clock(&d.timer, 1050);
	CHECK(rung == 1UL << LAST && calls == 1);
	CHECK(hodp_deadline_passed(&d, LAST));
	CHECK(!hodp_deadline_passed(&d, LAST));
	CHECK(!hodp_deadline_passed(&d, A));
	fake_clock(&d.timer, 5000);
	CHECK(calls == 3 && hodp_deadline_passed(&d, A) &&
	      hodp_deadline_passed(&d, B));
	CHECK(!d.timer.at);
}

static void test_together(void)
{
	begin();
	hodp_deadline_set(&d, A, 100);
	hodp_deadline_set(&d, B, 100);
	fake_clock(&d.timer, 1100);
	CHECK(calls == 1 && rung == (1UL << A | 1UL << B));
}

static void test_clear(void)
{
	begin();
	hodp_deadline_set(&d, A, 100);
	hodp_deadline_set(&d, B, 200);
	hodp_deadline_clear(&d, A);
	fake_clock(&d.timer, 5000);
	CHECK(!hodp_deadline_passed(&d, A) && hodp_deadline_passed(&d, B));
	CHECK(rung == 1UL << B);
	/* Passed, but nobody wants to know any more. */
	hodp_deadline_set(&d, A, 1);
	fake_clock(&d.timer, 6000);
	hodp_deadline_clear(&d, A);
	CHECK(!hodp_deadline_passed(&d, A));
}

static void test_anew(void)
{
	begin();
	hodp_deadline_set(&d, A, 100);
	fake_clock(&d.timer, 1100);
	/* That was for an earlier wait. */
	hodp_deadline_set(&d, A, 100);
	CHECK(!hodp_deadline_passed(&d, A));
	/* Later than at first, and earlier. */
	hodp_deadline_set(&d, A, 300);
	fake_clock(&d.timer, 1399);
	CHECK(!hodp_deadline_passed(&d, A));
	hodp_deadline_set(&d, A, 500);
	hodp_deadline_set(&d, A, 10);
	fake_clock(&d.timer, 1409);
	CHECK(hodp_deadline_passed(&d, A));
}

int main(void)
{
	static const struct unit_case cases[] = {
		{ "each cause rings once, at its time", test_each },
		{ "causes of one time ring together", test_together },
		{ "what was cleared does not ring", test_clear },
		{ "what is set anew rings at the new time only", test_anew },
	};

	unit_cases(cases, ARRAY_LEN(cases));
	return unit_end();
}
