/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Runners: serialised activities that any context may request (layer 1).
 *
 * A runner has one owner at a time, the holder of its baton (baton.h).  The
 * owner calls @step until there is nothing to do or its budget is used up; then
 * a work item takes over as the owner.  So a caller does a bounded amount of
 * work, however fast other threads make requests.
 */
#ifndef HODP_RUNNER_H
#define HODP_RUNNER_H

#include <linux/wait.h>
#include <linux/workqueue.h>
#include "baton.h"

struct hodp_fault;
struct hodp_runner;

/* Steps that a work item does before it requeues itself. */
#define HODP_WORK_STEPS 1024

/**
 * struct hodp_runner_ops - operations on the object that contains the runner
 * @step: do a bounded amount of work and subtract its steps from *@budget.
 *        Return: true: there is more, but the budget is used up.  Called by the
 *        owner.  Context: process.
 * @hold: take a reference to the object; false: it is dying.  Context: any
 * @put: drop the reference
 */
struct hodp_runner_ops {
	bool (*step)(struct hodp_runner *r, int *budget);
	bool (*hold)(struct hodp_runner *r);
	void (*put)(struct hodp_runner *r);
};

/**
 * struct hodp_runner - one serialised activity
 * @baton: its holder owns the runner
 * @handoff: the owner has passed the baton to @work
 * @wanted: a thread waits for the baton in hodp_runner_own(); one at a time
 * @drain: where that thread waits
 * @wq: workqueue for @work: the user's own, so that runners of one user that
 *      sleep for memory do not delay those of other users
 * @work: requests a run, or continues one
 * @ops: operations (immutable)
 * @fault: the page fault that the activity waits for, or NULL; owned by the
 *         owner of the runner
 */
struct hodp_runner {
	struct hodp_baton baton;
	bool handoff;
	bool wanted;
	wait_queue_head_t drain;
	struct workqueue_struct *wq;
	struct work_struct work;
	const struct hodp_runner_ops *ops;
	struct hodp_fault *fault;
};

void hodp_runner_init(struct hodp_runner *r, const struct hodp_runner_ops *ops);

/* Set the workqueue, before the first run.  The default is for kernel
 * consumers: it has a rescuer, because memory reclaim may depend on them.
 */
void hodp_runner_set_wq(struct hodp_runner *r, struct workqueue_struct *wq);

/**
 * hodp_runner_run - do the pending work, or make the current owner do it
 * @budget: steps before a work item takes over
 *
 * Context: process, no locks; the caller keeps the runner alive.
 */
void hodp_runner_run(struct hodp_runner *r, int budget);

/* The same from any context, by a work item. */
void hodp_runner_kick(struct hodp_runner *r);

/* Become the owner if there is none; never waits.  The caller keeps the runner
 * alive, and calls hodp_runner_disown() or hodp_runner_pass().  Context: any.
 */
static inline bool hodp_runner_try(struct hodp_runner *r)
{
	return hodp_baton_try(&r->baton);
}

/* The owner stops, and a work item goes on as the owner.  Context: any. */
void hodp_runner_pass(struct hodp_runner *r);

/* Make the owner look for work again, or, if there is none, a work item.  Unlike
 * hodp_runner_kick(), it wakes no worker while another thread is the owner.
 * Context: any.
 */
void hodp_runner_poke(struct hodp_runner *r);

/* Become the owner; waits for one budget at most.  One caller at a time.
 * Context: process.
 */
void hodp_runner_own(struct hodp_runner *r);

/* Stop being the owner; a work item does what was requested meanwhile.
 * Context: any.
 */
void hodp_runner_disown(struct hodp_runner *r);

/* For the final owner: on return no work item runs. */
void hodp_runner_cancel(struct hodp_runner *r);

/* The workqueue of kernel consumers: module init (0, -ENOMEM) and exit. */
int hodp_runner_start(void);
void hodp_runner_stop(void);

#endif /* HODP_RUNNER_H */
