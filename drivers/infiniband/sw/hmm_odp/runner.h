/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Runners: serialised activities that any context may ask for (layer 1).
 *
 * A runner has one owner at a time, the holder of its baton (baton.h).  The
 * owner calls @step until there is nothing to do, or until its budget is used
 * up; then a work item goes on, as the owner.  So nobody works for others
 * without end, however fast they ask.
 */
#ifndef HODP_RUNNER_H
#define HODP_RUNNER_H

#include <linux/wait.h>
#include <linux/workqueue.h>
#include "baton.h"

struct hodp_fault;
struct hodp_runner;

/* What a work item does before it lets others have the worker, in steps. */
#define HODP_WORK_STEPS 1024

/**
 * struct hodp_runner_ops - what a runner is part of
 * @step: does a bounded piece of work and takes its steps off *@budget.
 *        Return: true: there is more, but the budget is used up.  Called by the
 *        owner.  Context: process.
 * @hold: take a reference to the object; false: it is dying.  Context: any
 * @put: the other half
 */
struct hodp_runner_ops {
	bool (*step)(struct hodp_runner *r, int *budget);
	bool (*hold)(struct hodp_runner *r);
	void (*put)(struct hodp_runner *r);
};

/**
 * struct hodp_runner - one serialised activity
 * @baton: whoever holds it owns the runner
 * @handoff: the owner passed the baton on to @work
 * @wanted: somebody waits for the baton in hodp_runner_own(); one at a time
 * @drain: where
 * @wq: where work items of it run: its user's, so that nobody else's runners
 *      wait when those of a user sleep for memory
 * @work: asks for a run, or goes on with one
 * @ops: whose it is (immutable)
 * @fault: the page fault that the activity waits for, or NULL; the owner's
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

/* Before it runs: where.  The default is for kernel consumers, whom memory
 * reclaim may wait for.
 */
void hodp_runner_set_wq(struct hodp_runner *r, struct workqueue_struct *wq);

/**
 * hodp_runner_run - do what there is to do, or make the owner look again
 * @budget: steps before a work item goes on
 *
 * Context: process, no locks; the caller keeps the runner alive.
 */
void hodp_runner_run(struct hodp_runner *r, int budget);

/* The same from any context: a work item does it. */
void hodp_runner_kick(struct hodp_runner *r);

/* Wait until the caller is the owner, for one budget at most.  One caller at a
 * time.  Context: process.
 */
void hodp_runner_own(struct hodp_runner *r);

/* Undo it: whatever was asked for meanwhile is done by a work item. */
void hodp_runner_disown(struct hodp_runner *r);

/* The caller is the owner for good: no work item runs on return. */
void hodp_runner_cancel(struct hodp_runner *r);

/* The workqueue of kernel consumers: module init (0, -ENOMEM) and exit. */
int hodp_runner_start(void);
void hodp_runner_stop(void);

#endif /* HODP_RUNNER_H */
