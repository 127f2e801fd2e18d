/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Jobs: work that may sleep without end for a process (layer 1).
 *
 * Language
 *   job    a page fault of an operation, or one range of a prefetch
 *   place  what a job needs to run: a worker for as long as it sleeps
 *   gate   one process's share of the places; part of its mirror
 *   user   who owns the process: the account that bounds all its gates
 *
 * job.c has the rules.
 */
#ifndef HODP_JOB_H
#define HODP_JOB_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/workqueue.h>

struct task_struct;
struct hodp_user;

enum hodp_job_kind {
	HODP_JOB_FAULT,
	HODP_JOB_PREFETCH,
	HODP_JOB_KINDS,
};

/**
 * struct hodp_gate - one process's share of its user's places
 * @user: (immutable)
 * @lane: for each kind of job, under the user's lock:
 *        @running: jobs with a place
 *        @waiting: jobs without one, oldest first
 *        @ready: in the user's list while a job waits that may get a place
 */
struct hodp_gate {
	struct hodp_user *user;
	struct {
		unsigned int running;
		struct list_head waiting;
		struct list_head ready;
	} lane[HODP_JOB_KINDS];
};

/* The account that the calling process counts for; job.c has the rule. */
kuid_t hodp_user_uid(void);
/* The calling process's user, with a reference, or NULL: no memory.  Context:
 * process, sleeps.
 */
struct hodp_user *hodp_user_get(void);
/* Context: process, from a job's @done and the user's own work items too. */
void hodp_user_put(struct hodp_user *user);
/* Whatever works for the user works there: it takes nobody else's workers. */
struct workqueue_struct *hodp_user_wq(struct hodp_user *user);

/* For the calling process.  Context: process, sleeps.  Return: 0, -ENOMEM. */
int hodp_gate_init(struct hodp_gate *gate);
/* No job of it is left.  Context: process, from a job's @done too. */
void hodp_gate_exit(struct hodp_gate *gate);

enum hodp_job_state {
	HODP_JOB_WAITS, /* for a place */
	HODP_JOB_PLACED, /* queued or running */
	HODP_JOB_PAUSED, /* keeps its place, between two tries */
};

/**
 * struct hodp_job - see above
 * @work: runs it
 * @link: in the gate's waiting jobs, or in the user's that have a place
 * @member: in the group that it was started with
 * @gate: (immutable)
 * @kind: (immutable)
 * @state, @cancelled, @worker: under the user's lock; @worker is the task inside
 *        @run
 * @pause: jiffies before the next try; the worker's
 * @run: the work.  Context: process, sleeps; SIGKILL ends its sleep.  Return: a
 *       result for @done, or -EAGAIN: try again after a pause, longer each time
 * @done: called once, last: the job is the callee's.  Result -ECANCELED: it was
 *        cancelled.  Context: process, sleeps
 * @gone: does nobody live in the address space any more?  Then what @run waits
 *        for is ended, and @run is called again, to say so.  Context: atomic
 */
struct hodp_job {
	struct delayed_work work;
	struct list_head link;
	struct list_head member;
	struct hodp_gate *gate;
	enum hodp_job_kind kind;
	enum hodp_job_state state;
	bool cancelled;
	struct task_struct *worker;
	unsigned long pause;
	long (*run)(struct hodp_job *job);
	void (*done)(struct hodp_job *job, long ret);
	bool (*gone)(const struct hodp_job *job);
};

/**
 * hodp_job_start - run a job, now or when it gets a place
 * @job: @kind, @run, @done and @gone are set, the rest is zero
 * @gate: its process's; stays until @done
 * @group: a list for hodp_job_cancel_group(), or NULL
 *
 * The module stays until @done has returned.
 * Context: process, no locks.  Return: 0, or -ENOMEM: the user has too many
 * jobs of this kind, and @done is not called.
 */
int hodp_job_start(struct hodp_job *job, struct hodp_gate *gate,
		   struct list_head *group);

/**
 * hodp_job_cancel - end a job as soon as can be
 * @job: was started; the caller keeps it from being freed
 *
 * One that waits is done at once, one that sleeps is woken with SIGKILL.  This
 * waits for neither.  Context: process.
 */
void hodp_job_cancel(struct hodp_job *job);

/* All jobs that were started with @group, which may go afterwards. */
void hodp_job_cancel_group(struct hodp_gate *gate, struct list_head *group);

/* Module init (0, -ENOMEM) and exit: no gate is left. */
int hodp_jobs_start(void);
void hodp_jobs_stop(void);

#endif /* HODP_JOB_H */
