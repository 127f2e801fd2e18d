// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Runners (layer 1); runner.h has the model.
 *
 * Lifetime: the callers of hodp_runner_run() and hodp_runner_kick() keep the
 * object that contains the runner alive.  To end a runner, call
 * hodp_runner_own(), make sure that no new request can come, and call
 * hodp_runner_cancel().
 */
#include "runner.h"

static struct workqueue_struct *hodp_runner_wq;

int hodp_runner_start(void)
{
	/* Storage consumers do writeback through us, so reclaim may wait. */
	hodp_runner_wq =
		alloc_workqueue("hodp-run", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return hodp_runner_wq ? 0 : -ENOMEM;
}

void hodp_runner_stop(void)
{
	destroy_workqueue(hodp_runner_wq);
}

static bool hodp_runner_leave(struct hodp_runner *r)
{
	if (!hodp_baton_drop(&r->baton))
		return false;
	/* The drop is a full barrier and pairs with prepare_to_wait().  The
	 * waiter is in hodp_runner_own().
	 */
	if (unlikely(READ_ONCE(r->wanted)))
		wake_up_all(&r->drain);
	return true;
}

void hodp_runner_pass(struct hodp_runner *r)
{
	/* Read by xchg() in the work item; queue_work() is a full barrier. */
	WRITE_ONCE(r->handoff, true);
	queue_work(r->wq, &r->work);
}

/* There is more work, but a thread waits to own the runner: let it go first. */
static void hodp_runner_yield(struct hodp_runner *r)
{
	while (!hodp_runner_leave(r))
		;
	hodp_runner_kick(r);
}

/* The owner's loop.  Each new request costs a step too, so the loop ends. */
static void hodp_runner_loop(struct hodp_runner *r, int budget)
{
	do {
		if (!r->ops->step(r, &budget) && --budget >= 0)
			continue;
		if (READ_ONCE(r->wanted))
			hodp_runner_yield(r);
		else
			hodp_runner_pass(r);
		return;
	} while (!hodp_runner_leave(r));
}

void hodp_runner_run(struct hodp_runner *r, int budget)
{
	if (hodp_baton_take(&r->baton))
		hodp_runner_loop(r, budget);
}

static void hodp_runner_work(struct work_struct *work)
{
	struct hodp_runner *r = container_of(work, struct hodp_runner, work);

	if (xchg(&r->handoff, false))
		hodp_runner_loop(r, HODP_WORK_STEPS);
	else
		hodp_runner_run(r, HODP_WORK_STEPS);
}

void hodp_runner_kick(struct hodp_runner *r)
{
	queue_work(r->wq, &r->work);
}

void hodp_runner_poke(struct hodp_runner *r)
{
	/* A failed take makes the owner look again, whoever it is: a thread in
	 * its loop, one that will call hodp_runner_disown(), or a work item that
	 * is queued.
	 */
	if (hodp_baton_take(&r->baton))
		hodp_runner_pass(r);
}

void hodp_runner_own(struct hodp_runner *r)
{
	if (hodp_baton_take(&r->baton))
		return;
	WRITE_ONCE(r->wanted, true);
	wait_event(r->drain, hodp_baton_try(&r->baton));
	WRITE_ONCE(r->wanted, false);
}

void hodp_runner_disown(struct hodp_runner *r)
{
	if (!hodp_runner_leave(r))
		hodp_runner_pass(r);
}

void hodp_runner_cancel(struct hodp_runner *r)
{
	cancel_work_sync(&r->work);
}

void hodp_runner_init(struct hodp_runner *r, const struct hodp_runner_ops *ops)
{
	hodp_baton_init(&r->baton);
	init_waitqueue_head(&r->drain);
	INIT_WORK(&r->work, hodp_runner_work);
	r->wq = hodp_runner_wq;
	r->ops = ops;
}

void hodp_runner_set_wq(struct hodp_runner *r, struct workqueue_struct *wq)
{
	r->wq = wq;
}
