/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Jobs: work on behalf of a process that may sleep without limit (layer 1).
 *
 * Language
 *   job    a page fault of an operation, or one range of a prefetch
 *   place  the right of a job to occupy a worker, also while it sleeps
 *   gate   one process's share of the places; part of its mirror
 *   user   the account that owns the process and limits all its gates
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
 *        @running: number of jobs with a place
 *        @waiting: jobs without a place, oldest first
 *        @ready: in the user's list while jobs wait and the process is below
 *                its own limit
 */
struct hodp_gate {
	struct hodp_user *user;
	struct {
		unsigned int running;
		struct list_head waiting;
		struct list_head ready;
	} lane[HODP_JOB_KINDS];
};

/* The account that the calling process belongs to; job.c has the rule. */
kuid_t hodp_user_uid(void);
/* The calling process's user, with a reference, or NULL (no memory).  Context:
 * process, sleeps.
 */
struct hodp_user *hodp_user_get(void);
/* Context: process, including a job's @done and the user's own work items. */
void hodp_user_put(struct hodp_user *user);
/* The workqueue for all of the user's work, separate from other users'. */
struct workqueue_struct *hodp_user_wq(struct hodp_user *user);

/* Initialise the calling process's gate.  Context: process, sleeps.
 * Return: 0, -ENOMEM.
 */
int hodp_gate_init(struct hodp_gate *gate);
/* The gate has no jobs left.  Context: process, including a job's @done. */
void hodp_gate_exit(struct hodp_gate *gate);

enum hodp_job_state {
	HODP_JOB_WAITS, /* waits for a place */
	HODP_JOB_PLACED, /* queued or running */
	HODP_JOB_PAUSED, /* between two tries; keeps its place */
};

/**
 * struct hodp_job - see above
 * @work: runs the job
 * @link: in the gate's list of waiting jobs or the user's list of placed jobs
 * @member: in the group that the job was started with
 * @gate: (immutable)
 * @kind: (immutable)
 * @state, @cancelled, @worker: under the user's lock; @worker is the task that
 *        executes @run
 * @pause: jiffies before the next try; owned by the worker
 * @run: the work.  Context: process, sleeps; SIGKILL ends its sleep.  Return: a
 *       result for @done, or -EAGAIN: retry after a pause that grows each time
 * @done: called exactly once, last; takes ownership of the job.  The result is
 *        -ECANCELED if the job was cancelled.  Context: process, sleeps
 * @gone: has the address space lost all its users?  If so, @run is woken, and a
 *        retry of @run reports it.  Context: atomic
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
 * @gate: gate of the process; must stay until @done
 * @group: a list for hodp_job_cancel_group(), or NULL
 *
 * Holds the module until @done has returned.
 * Context: process, no locks.  Return: 0, or -ENOMEM: the user has too many
 * jobs of this kind; @done is then not called.
 */
int hodp_job_start(struct hodp_job *job, struct hodp_gate *gate,
		   struct list_head *group);

/**
 * hodp_job_cancel - end a job as soon as possible
 * @job: was started; the caller keeps it from being freed
 *
 * A job without a place is queued at once to call @done; a sleeping job is
 * woken with SIGKILL.  Does not wait for either.  Context: process.
 */
void hodp_job_cancel(struct hodp_job *job);

/* Cancel all jobs started with @group, which may be freed afterwards. */
void hodp_job_cancel_group(struct hodp_gate *gate, struct list_head *group);

/* Module init (0, -ENOMEM) and exit; no gate is left at exit. */
int hodp_jobs_start(void);
void hodp_jobs_stop(void);

#endif /* HODP_JOB_H */
