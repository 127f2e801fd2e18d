// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of runner.c in user space: the owner of a runner stops after its
 * budget, whatever others request meanwhile, and the rest is done later.
 */
#include <pthread.h>
#include <stdlib.h>

#include "runner.c"
#include "unit.h"

#define BUDGET 16

static struct hodp_runner r;
static long work; /* steps that are left */
static long done; /* steps */
static long looks; /* calls of step() */
static bool nag; /* somebody kicks while it looks */
static bool poke; /* somebody pokes it once while it looks, and has work */

static bool step(struct hodp_runner *runner, int *budget)
{
	looks++;
	if (nag)
		CHECK(!hodp_baton_take(&runner->baton));
	if (poke) {
		poke = false;
		hodp_runner_poke(runner);
		work++;
		return false;
	}
	while (work) {
		if (--*budget < 0)
			return true;
		work--;
		done++;
	}
	return false;
}

static const struct hodp_runner_ops ops = { .step = step };

static void begin(long steps)
{
	hodp_runner_start();
	hodp_runner_init(&r, &ops);
	r.work.pending = false;
	r.handoff = false;
	r.wanted = false;
	work = steps;
	done = 0;
	looks = 0;
	nag = false;
	poke = false;
}

/* The workqueue's turn. */
static bool turn(void)
{
	if (!__atomic_exchange_n(&r.work.pending, false, __ATOMIC_SEQ_CST))
		return false;
	r.work.func(&r.work);
	return true;
}

static bool idle(void)
{
	return r.baton.state.counter == HODP_BATON_IDLE;
}

static void test_little(void)
{
	begin(BUDGET - 1);
	hodp_runner_run(&r, BUDGET);
	CHECK(done == BUDGET - 1 && idle() && !r.work.pending);
}

static void test_much(void)
{
	begin(BUDGET + 1);
	hodp_runner_run(&r, BUDGET);
	CHECK(done == BUDGET && r.work.pending && !idle());
	/* Somebody else finds an owner. */
	hodp_runner_run(&r, BUDGET);
	CHECK(done == BUDGET);
	CHECK(turn() && done == BUDGET + 1);
	CHECK(turn() || idle());
	CHECK(idle());
	begin(10L * HODP_WORK_STEPS);
	hodp_runner_run(&r, BUDGET);
	while (turn())
		CHECK(done <= 10L * HODP_WORK_STEPS);
	CHECK(done == 10L * HODP_WORK_STEPS && idle());
}

/* A doorbell that others keep ringing finds nothing to do: it ends. */
static void test_asked(void)
{
	begin(0);
	nag = true;
	hodp_runner_run(&r, BUDGET);
	CHECK(looks <= BUDGET + 1 && r.work.pending && !idle());
	nag = false;
	CHECK(turn() && idle());
}

static void test_kick(void)
{
	begin(1);
	hodp_runner_kick(&r);
	CHECK(!done && turn() && done == 1 && idle());
}

/* Without an owner, a poke is a kick; with one, it wakes nobody. */
static void test_poke(void)
{
	begin(1);
	hodp_runner_poke(&r);
	CHECK(!done && !idle() && turn() && done == 1 && idle());
	begin(0);
	poke = true;
	hodp_runner_run(&r, BUDGET);
	CHECK(looks == 2 && done == 1 && !r.work.pending && idle());
}

/* An owner that cannot do the work itself, because it is a softirq. */
static void test_try(void)
{
	begin(1);
	CHECK(hodp_runner_try(&r) && !hodp_runner_try(&r));
	hodp_runner_poke(&r);
	CHECK(!r.work.pending);
	hodp_runner_disown(&r);
	CHECK(!idle() && !hodp_runner_try(&r));
	CHECK(turn() && done == 1 && idle());
	begin(1);
	CHECK(hodp_runner_try(&r));
	hodp_runner_pass(&r);
	CHECK(!hodp_runner_try(&r) && turn() && done == 1 && idle());
	begin(1);
	CHECK(hodp_runner_try(&r));
	hodp_runner_disown(&r);
	CHECK(idle() && !r.work.pending && !done);
}

/* What was requested while somebody owned the runner is done afterwards. */
static void test_own(void)
{
	begin(0);
	hodp_runner_own(&r);
	work = 1;
	hodp_runner_run(&r, BUDGET);
	CHECK(!done);
	hodp_runner_disown(&r);
	CHECK(!done && turn() && done == 1 && idle());
}

static bool owned;

static void *own(void *arg)
{
	(void)arg;
	hodp_runner_own(&r);
	__atomic_store_n(&owned, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/* A runner with endless work goes to a waiter for the time of one budget. */
static void test_yield(void)
{
	pthread_t thread;

	begin(1L << 40);
	hodp_runner_run(&r, BUDGET);
	if (pthread_create(&thread, NULL, own, NULL))
		abort();
	while (!__atomic_load_n(&r.wanted, __ATOMIC_SEQ_CST))
		sched_yield();
	turn();
	pthread_join(thread, NULL);
	CHECK(owned && done <= BUDGET + HODP_WORK_STEPS);
	/* The rest is not forgotten: it kicks, and gets the runner later. */
	CHECK(turn());
	hodp_runner_disown(&r);
	CHECK(turn() && done > BUDGET + HODP_WORK_STEPS);
	work = 0;
	while (turn())
		;
	CHECK(idle());
}

static const struct unit_case cases[] = {
	{ "what fits the budget is done at once", test_little },
	{ "what does not, a work item goes on with, as the owner", test_much },
	{ "being asked without end uses the budget up", test_asked },
	{ "a kick is done by the work item", test_kick },
	{ "a poke makes the owner look again, and wakes no other", test_poke },
	{ "an owner that only tries loses no request", test_try },
	{ "what was asked for while it was owned is done afterwards",
	  test_own },
	{ "who waits to own it gets it after one budget", test_yield },
};

int main(void)
{
	unit_cases(cases, ARRAY_SIZE(cases));
	return unit_end();
}
