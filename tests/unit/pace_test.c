// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the module's pace.c in user space: the window under marks, losses
 * and silence, whether two senders share a link, and how long a requester waits.
 */
#include "kernel_shim.h"
#include "pace.h"
#include "unit.h"

#define MS 1000000ULL

static struct hodp_pace fresh(void)
{
	struct hodp_pace p;

	hodp_pace_init(&p);
	return p;
}

static void rounds(struct hodp_pace *p, u32 num, bool limited)
{
	while (num--) {
		p->limited = limited;
		hodp_pace_round(p);
	}
}

/* ---- the window ---- */

static void test_full(void)
{
	struct hodp_pace p = fresh();

	CHECK(p.window == HODP_PACE_MAX);
	rounds(&p, 1000, true);
	CHECK(p.window == HODP_PACE_MAX);
}

static void test_mark(void)
{
	struct hodp_pace p = fresh();

	/* The first mark halves it, the others of the round do nothing. */
	for (int i = 0; i < 100; i++)
		hodp_pace_mark(&p);
	CHECK(p.window == HODP_PACE_MAX / 2);
	hodp_pace_loss(&p);
	CHECK(p.window == HODP_PACE_MAX / 2);
	hodp_pace_round(&p);
	CHECK(p.window == HODP_PACE_MAX / 2);
	hodp_pace_mark(&p);
	CHECK(p.window == HODP_PACE_MAX / 4);
}

/* The rarer marks are, the less one of them does. */
static void test_alpha(void)
{
	struct hodp_pace p = fresh();
	u32 least = HODP_PACE_MAX, often;

	for (int i = 0; i < 200; i++) {
		if (i % 2 == 0)
			hodp_pace_mark(&p);
		rounds(&p, 1, false);
	}
	often = p.alpha;
	CHECK(often > HODP_PACE_ALPHA_ONE / 3);
	CHECK(often < HODP_PACE_ALPHA_ONE * 2 / 3);
	p = fresh();
	rounds(&p, 200, false);
	CHECK(p.alpha < HODP_PACE_ALPHA_ONE / 32);
	hodp_pace_mark(&p);
	least = p.window;
	CHECK(least < HODP_PACE_MAX && least > HODP_PACE_MAX * 7 / 8);
	/* Always marked: alpha comes back to 1, and never passes it. */
	for (int i = 0; i < 200; i++) {
		hodp_pace_mark(&p);
		hodp_pace_round(&p);
		CHECK(p.alpha <= HODP_PACE_ALPHA_ONE);
	}
	CHECK(p.alpha > HODP_PACE_ALPHA_ONE * 15 / 16);
}

/* Whatever comes, one packet may be sent. */
static void test_least(void)
{
	struct hodp_pace p = fresh();

	for (int i = 0; i < 1000; i++) {
		hodp_pace_mark(&p);
		hodp_pace_loss(&p);
		hodp_pace_silence(&p);
		CHECK(p.window >= 1);
		hodp_pace_round(&p);
	}
	CHECK(p.window == 1);
	/* And it comes back. */
	rounds(&p, HODP_PACE_MAX, true);
	CHECK(p.window == HODP_PACE_MAX);
}

static void test_loss(void)
{
	struct hodp_pace p = fresh();

	for (int i = 0; i < 10; i++)
		hodp_pace_loss(&p);
	CHECK(p.window == HODP_PACE_MAX - HODP_PACE_MAX / 8);
	for (int i = 0; i < 1000; i++) {
		hodp_pace_loss(&p);
		hodp_pace_round(&p);
	}
	CHECK(p.window == HODP_PACE_LOSSY);
	/* Below it, a loss changes nothing. */
	while (p.window > 8)
		hodp_pace_silence(&p);
	hodp_pace_round(&p);
	hodp_pace_loss(&p);
	CHECK(p.window == 8);
}

static void test_grow(void)
{
	struct hodp_pace p = fresh();
	u32 was;

	hodp_pace_mark(&p);
	was = p.window;
	rounds(&p, 1, true);
	CHECK(p.window == was);
	rounds(&p, 1, true);
	CHECK(p.window == was + 1);
	/* A window that is not used says nothing about the network. */
	rounds(&p, 100, false);
	CHECK(p.window == was + 1);
}

/* Two senders share a link whose queue marks beyond @limit packets. */
static void share(u32 limit, u32 first)
{
	struct hodp_pace p[2] = { fresh(), fresh() };
	u64 sum[2] = { 0, 0 };
	u32 most = 0;

	p[1].window = first;
	for (int i = 0; i < 4000; i++) {
		u32 all = p[0].window + p[1].window;

		for (int s = 0; s < 2; s++) {
			if (all > limit)
				hodp_pace_mark(&p[s]);
			if (i >= 1000)
				sum[s] += p[s].window;
		}
		if (i >= 1000 && all > most)
			most = all;
		rounds(&p[0], 1, true);
		rounds(&p[1], 1, true);
	}
	CHECK(sum[0] * 4 <= sum[1] * 5 && sum[1] * 4 <= sum[0] * 5);
	/* The link is used, and the queue stays short. */
	CHECK((sum[0] + sum[1]) / 3000 >= limit * 3 / 4);
	CHECK(most <= limit + 2);
}

static void test_share(void)
{
	share(40, 1);
	share(100, 4);
	share(200, 1);
}

static void test_ask(void)
{
	struct hodp_pace p = fresh();

	CHECK(hodp_pace_ack_every(&p) == HODP_PACE_ACK_EVERY);
	for (p.window = 1; p.window <= HODP_PACE_MAX; p.window++) {
		u32 every = hodp_pace_ack_every(&p);

		CHECK(every >= 1 && every <= p.window);
		CHECK(p.window < 4 || every * 4 <= p.window);
	}
}

/* ---- time ---- */

static void test_rtt(void)
{
	struct hodp_pace p = fresh();

	hodp_pace_sample(&p, 20 * MS);
	CHECK(p.rtt == 20 * MS && hodp_pace_early(&p, 67 * MS) == 80 * MS);
	/* One late answer counts an eighth. */
	hodp_pace_sample(&p, 100 * MS);
	CHECK(p.rtt == 30 * MS);
	for (int i = 0; i < 200; i++)
		hodp_pace_sample(&p, 1 * MS);
	CHECK(p.rtt < 2 * MS &&
	      hodp_pace_early(&p, 20 * MS) == HODP_PACE_EARLY_LEAST);
}

/* Who has asked for a long timeout has a slow peer. */
static void test_early(void)
{
	struct hodp_pace p = fresh();

	CHECK(hodp_pace_early(&p, 4 * MS) == 8 * MS);
	CHECK(hodp_pace_early(&p, 24 * MS) == 8 * MS);
	CHECK(hodp_pace_early(&p, 30 * MS) == 10 * MS);
	CHECK(hodp_pace_early(&p, 3000 * MS) == 1000 * MS);
	CHECK(hodp_pace_early(&p, 100000 * MS) == 1400 * MS);
	CHECK(hodp_pace_early(&p, 0) == 1400 * MS);
	hodp_pace_sample(&p, 100 * MS);
	CHECK(hodp_pace_early(&p, 30 * MS) == 400 * MS);
}

static void test_wait(void)
{
	static const u64 timeouts[] = { 17, 20, 67, 100, 1073, 0 };

	for (size_t i = 0; i < ARRAY_LEN(timeouts); i++) {
		struct hodp_pace p = fresh();
		u64 timeout = timeouts[i] * MS, sum = 0;
		u32 early = 0;

		hodp_pace_begin(&p, timeout, true);
		CHECK(p.wait == hodp_pace_early(&p, timeout));
		for (;;) {
			u64 wait = p.wait;

			CHECK(wait > 0);
			sum += wait;
			if (hodp_pace_passed(&p, timeout))
				break;
			CHECK(p.wait >= wait && p.wait <= 2 * wait);
			if (++early == 100)
				break;
		}
		/* A retry takes as long as without the early packets. */
		CHECK(timeout ? sum == timeout && early < 9 : early == 100);
	}
}

static void test_wait_not_early(void)
{
	struct hodp_pace p = fresh();

	hodp_pace_begin(&p, 67 * MS, false);
	CHECK(p.wait == 67 * MS && hodp_pace_passed(&p, 67 * MS));
	/* No time for it. */
	hodp_pace_begin(&p, 9 * MS, true);
	CHECK(p.wait == 9 * MS && hodp_pace_passed(&p, 9 * MS));
	hodp_pace_sample(&p, 100 * MS);
	hodp_pace_begin(&p, 67 * MS, true);
	CHECK(p.wait == 67 * MS);
	/* Infinite. */
	hodp_pace_begin(&p, 0, false);
	CHECK(!p.wait);
	/* A wait begins anew with each answer. */
	p = fresh();
	hodp_pace_begin(&p, 100 * MS, true);
	CHECK(!hodp_pace_passed(&p, 100 * MS) && p.waited);
	hodp_pace_begin(&p, 100 * MS, true);
	CHECK(!p.waited && p.wait == 100 * MS / 3);
}

/* After a sign of life, nothing is sent early, and all of the timeout is left. */
static void test_sign(void)
{
	struct hodp_pace p = fresh();

	hodp_pace_begin(&p, 67 * MS, true);
	CHECK(!hodp_pace_passed(&p, 67 * MS) && p.wait < 67 * MS && p.waited);
	hodp_pace_sign(&p, 67 * MS);
	CHECK(p.wait == 67 * MS && !p.waited);
	CHECK(hodp_pace_passed(&p, 67 * MS));
	/* An answer makes it early again. */
	hodp_pace_begin(&p, 67 * MS, true);
	CHECK(p.wait == 67 * MS / 3);
	/* With an infinite timeout, it still asks now and then, if it may. */
	hodp_pace_begin(&p, 0, true);
	hodp_pace_sign(&p, 0);
	CHECK(p.wait == HODP_PACE_PATIENCE);
	CHECK(!hodp_pace_passed(&p, 0) && p.wait == HODP_PACE_PATIENCE);
	hodp_pace_begin(&p, 0, false);
	hodp_pace_sign(&p, 0);
	CHECK(!p.wait);
}

static const struct unit_case cases[] = {
	{ "without marks and losses the window is full", test_full },
	{ "a window shrinks once a round", test_mark },
	{ "rare marks shrink a window less", test_alpha },
	{ "one packet is always in the window", test_least },
	{ "losses alone leave a part of the window", test_loss },
	{ "only a window that was used grows", test_grow },
	{ "two senders share a link", test_share },
	{ "each window asks for an acknowledgment", test_ask },
	{ "round trips are smoothed", test_rtt },
	{ "the early time is a part of the timeout", test_early },
	{ "waits double until the timeout is over", test_wait },
	{ "nothing is sent early that must not be", test_wait_not_early },
	{ "a peer that gives a sign of life is not asked early", test_sign },
};

int main(void)
{
	unit_cases(cases, ARRAY_LEN(cases));
	return unit_end();
}
