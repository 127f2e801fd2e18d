// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Jobs (layer 1); job.h has the language.
 *
 * A page fault can take as long as whatever it waits for: a disk, a file
 * system, a userfaultfd handler that never answers.  A process can have many of
 * them asleep at a time.  So their number and their lifetime are limited:
 *
 *   bound   A user's jobs run on the user's own workqueue, and hodp_job_limits
 *           bounds their number.  A user cannot take the workers that another
 *           user's faults need.
 *   share   Of these places a process gets at most its own limit, and always at
 *           least one, whatever the user's other processes do.  So a
 *           userfaultfd handler that uses the device itself can make progress
 *           and answer the faults of the others.
 *   end     A job is cancelled when its result is no longer wanted, and ended
 *           when its address space has no users left, as after SIGKILL: the job
 *           holds the address space, which holds the mappings of the rings,
 *           which hold the context.  Its worker sleeps killably and accepts
 *           SIGKILL from this module only.
 *
 * A user is a uid.  A process in a user namespace is accounted to the owner of
 * the outermost enclosing namespace that is not owned by root.
 *
 * Places.  Jobs wait in their gate, oldest first.  Gates take turns in their
 * user's list: a lane of a gate is in that list if and only if jobs wait in it
 * and it runs fewer jobs than one process may.
 *
 * Lock order: hodp_users_lock.  A user's lock is separate; only the locks of
 * queue_work() and send_sig() nest inside it.
 */
#include <linux/cred.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include "job.h"

#define HODP_JOB_PAUSE_MAX (HZ / 10)
/* How often to check whether processes with sleeping jobs are still alive. */
#define HODP_JOB_WATCH (HZ / 10)
/* How long to keep a user without objects: creating a workqueue is costly. */
#define HODP_USER_LINGER (10 * HZ)

/* Limits per user: jobs, places, and places of one process. */
static const struct {
	unsigned int jobs;
	unsigned int places;
	unsigned int share;
} hodp_job_limits[HODP_JOB_KINDS] = {
	/* The number of faults is bounded by the runners that wait for them. */
	[HODP_JOB_FAULT] = { UINT_MAX, 256, 128 },
	[HODP_JOB_PREFETCH] = { 1024, 16, 4 },
};

/**
 * struct hodp_user - an account
 * @uid: the account (immutable)
 * @link, @refs: link in hodp_users; references from gates and queue pairs;
 *               under hodp_users_lock
 * @reap: frees the user when it has been unreferenced for a while
 * @wq: runs its jobs and the runners of its queue pairs (immutable)
 * @lock: guards everything below, and all gates and jobs of the user
 * @lane: for each kind: number of @jobs, number of @running jobs, and gates
 *        that are @ready to run another
 * @placed: jobs with a place
 * @watch: ends jobs in @placed whose process is gone
 */
struct hodp_user {
	kuid_t uid;
	struct list_head link;
	unsigned int refs;
	struct delayed_work reap;
	struct workqueue_struct *wq;
	spinlock_t lock; /* see above */
	struct {
		unsigned int jobs;
		unsigned int running;
		struct list_head ready;
	} lane[HODP_JOB_KINDS];
	struct list_head placed;
	struct delayed_work watch;
};

static DEFINE_MUTEX(hodp_users_lock);
static LIST_HEAD(hodp_users);
/* For @watch and @reap; jobs run on their user's workqueue. */
static struct workqueue_struct *hodp_users_wq;

/* ---- places; the user's lock is held ---- */

static bool hodp_gate_has_share(const struct hodp_gate *gate,
				enum hodp_job_kind kind)
{
	return gate->lane[kind].running < hodp_job_limits[kind].share;
}

static bool hodp_user_has_place(const struct hodp_user *user,
				enum hodp_job_kind kind)
{
	return user->lane[kind].running < hodp_job_limits[kind].places;
}

/* Move the gate to the end of its user's list, or remove it from there. */
static void hodp_gate_update(struct hodp_gate *gate, enum hodp_job_kind kind)
{
	list_del_init(&gate->lane[kind].ready);
	if (!list_empty(&gate->lane[kind].waiting) &&
	    hodp_gate_has_share(gate, kind))
		list_add_tail(&gate->lane[kind].ready,
			      &gate->user->lane[kind].ready);
}

static void hodp_job_place(struct hodp_job *job)
{
	struct hodp_gate *gate = job->gate;
	struct hodp_user *user = gate->user;

	lockdep_assert_held(&user->lock);
	gate->lane[job->kind].running++;
	user->lane[job->kind].running++;
	job->state = HODP_JOB_PLACED;
	if (list_empty(&user->placed))
		queue_delayed_work(hodp_users_wq, &user->watch, HODP_JOB_WATCH);
	list_add(&job->link, &user->placed);
	queue_delayed_work(user->wq, &job->work, 0);
}

/* Give a place to the oldest waiting job of the gate. */
static void hodp_gate_admit(struct hodp_gate *gate, enum hodp_job_kind kind)
{
	struct hodp_job *job = list_first_entry(&gate->lane[kind].waiting,
						struct hodp_job, link);

	list_del(&job->link);
	hodp_job_place(job);
	hodp_gate_update(gate, kind);
}

/* @gate has returned a place: give it to the next job. */
static void hodp_gate_pass(struct hodp_gate *gate, enum hodp_job_kind kind)
{
	struct hodp_user *user = gate->user;

	hodp_gate_update(gate, kind);
	while (hodp_user_has_place(user, kind) &&
	       !list_empty(&user->lane[kind].ready))
		hodp_gate_admit(list_first_entry(&user->lane[kind].ready,
						 struct hodp_gate,
						 lane[kind].ready),
				kind);
	/* A process always has at least one place. */
	if (!gate->lane[kind].running && !list_empty(&gate->lane[kind].waiting))
		hodp_gate_admit(gate, kind);
}

/* ---- jobs ---- */

/* The job has ended: return its place.  Only the caller can reach it now. */
static void hodp_job_leave(struct hodp_job *job)
{
	struct hodp_gate *gate = job->gate;
	struct hodp_user *user = gate->user;

	spin_lock(&user->lock);
	list_del(&job->link);
	list_del_init(&job->member);
	gate->lane[job->kind].running--;
	user->lane[job->kind].running--;
	user->lane[job->kind].jobs--;
	hodp_gate_pass(gate, job->kind);
	spin_unlock(&user->lock);
}

/* Begin to run, unless cancelled.  From here on SIGKILL ends a sleep. */
static bool hodp_job_begin(struct hodp_job *job)
{
	struct hodp_user *user = job->gate->user;
	bool begin;

	allow_kernel_signal(SIGKILL);
	spin_lock(&user->lock);
	begin = !job->cancelled;
	job->state = HODP_JOB_PLACED;
	job->worker = begin ? current : NULL;
	spin_unlock(&user->lock);
	return begin;
}

/* Return: true: the job has ended; false: a timer will run it again. */
static bool hodp_job_end(struct hodp_job *job, long ret)
{
	struct hodp_user *user = job->gate->user;
	bool again;

	spin_lock(&user->lock);
	job->worker = NULL;
	again = ret == -EAGAIN && !job->cancelled;
	if (again) {
		job->pause = min(job->pause * 2 + 1, HODP_JOB_PAUSE_MAX);
		job->state = HODP_JOB_PAUSED;
		/* Under the lock, because hodp_job_cancel() expedites it. */
		queue_delayed_work(user->wq, &job->work, job->pause);
	}
	spin_unlock(&user->lock);
	return !again;
}

static void hodp_job_work(struct work_struct *work)
{
	struct hodp_job *job =
		container_of(to_delayed_work(work), struct hodp_job, work);
	bool over = true;
	long ret = -ECANCELED;

	if (hodp_job_begin(job)) {
		ret = job->run(job);
		over = hodp_job_end(job, ret);
	}
	/* Also drops a pending signal, which is not meant for the next job. */
	disallow_signal(SIGKILL);
	if (!over)
		return;
	if (ret == -EAGAIN)
		ret = -ECANCELED;
	hodp_job_leave(job);
	job->done(job, ret);
	/* Module exit destroys the workqueue, which waits for this function. */
	module_put(THIS_MODULE);
}

int hodp_job_start(struct hodp_job *job, struct hodp_gate *gate,
		   struct list_head *group)
{
	enum hodp_job_kind kind = job->kind;
	struct hodp_user *user = gate->user;
	int ret = 0;

	INIT_DELAYED_WORK(&job->work, hodp_job_work);
	INIT_LIST_HEAD(&job->member);
	job->gate = gate;
	spin_lock(&user->lock);
	if (user->lane[kind].jobs >= hodp_job_limits[kind].jobs) {
		ret = -ENOMEM;
		goto out;
	}
	__module_get(THIS_MODULE);
	user->lane[kind].jobs++;
	if (group)
		list_add_tail(&job->member, group);
	if (!gate->lane[kind].running || (hodp_gate_has_share(gate, kind) &&
					  hodp_user_has_place(user, kind))) {
		hodp_job_place(job);
	} else {
		job->state = HODP_JOB_WAITS;
		list_add_tail(&job->link, &gate->lane[kind].waiting);
		/* A gate that is already in the list keeps its turn. */
		if (list_empty(&gate->lane[kind].ready))
			hodp_gate_update(gate, kind);
	}
out:
	spin_unlock(&user->lock);
	return ret;
}

static void hodp_job_cancel_locked(struct hodp_job *job)
{
	struct hodp_user *user = job->gate->user;

	lockdep_assert_held(&user->lock);
	if (job->cancelled)
		return;
	job->cancelled = true;
	if (job->worker) {
		send_sig(SIGKILL, job->worker, 1);
	} else if (job->state == HODP_JOB_WAITS) {
		/* May exceed the limits, but the job only calls @done. */
		list_del(&job->link);
		hodp_job_place(job);
		hodp_gate_update(job->gate, job->kind);
	} else if (job->state == HODP_JOB_PAUSED &&
		   cancel_delayed_work(&job->work)) {
		queue_delayed_work(user->wq, &job->work, 0);
	}
}

void hodp_job_cancel(struct hodp_job *job)
{
	struct hodp_user *user = job->gate->user;

	spin_lock(&user->lock);
	hodp_job_cancel_locked(job);
	spin_unlock(&user->lock);
}

void hodp_job_cancel_group(struct hodp_gate *gate, struct list_head *group)
{
	struct hodp_job *job, *next;

	spin_lock(&gate->user->lock);
	list_for_each_entry_safe(job, next, group, member) {
		list_del_init(&job->member);
		hodp_job_cancel_locked(job);
	}
	spin_unlock(&gate->user->lock);
}

/* Wake jobs whose process is gone, so that they drop what they hold. */
static void hodp_user_watch(struct work_struct *work)
{
	struct hodp_user *user =
		container_of(to_delayed_work(work), struct hodp_user, watch);
	struct hodp_job *job;

	spin_lock(&user->lock);
	list_for_each_entry(job, &user->placed, link)
		if (job->worker && job->gone(job))
			send_sig(SIGKILL, job->worker, 1);
	if (!list_empty(&user->placed))
		queue_delayed_work(hodp_users_wq, &user->watch, HODP_JOB_WATCH);
	spin_unlock(&user->lock);
}

/* ---- users ---- */

kuid_t hodp_user_uid(void)
{
	const struct user_namespace *ns;
	kuid_t uid = current_uid();

	for (ns = current_user_ns(); ns != &init_user_ns; ns = ns->parent)
		if (!uid_eq(ns->owner, GLOBAL_ROOT_UID))
			uid = ns->owner;
	return uid;
}

static void hodp_user_free(struct hodp_user *user)
{
	cancel_delayed_work_sync(&user->watch);
	destroy_workqueue(user->wq);
	kfree(user);
}

static void hodp_user_reap(struct work_struct *work)
{
	struct hodp_user *user =
		container_of(to_delayed_work(work), struct hodp_user, reap);
	bool idle;

	mutex_lock(&hodp_users_lock);
	idle = !user->refs;
	if (idle)
		list_del(&user->link);
	mutex_unlock(&hodp_users_lock);
	if (idle)
		hodp_user_free(user);
}

static struct hodp_user *hodp_user_new(kuid_t uid)
{
	struct hodp_user *user = kzalloc_obj(*user, GFP_KERNEL);
	int i;

	if (!user)
		return NULL;
	/* The places are the limit, so the workqueue needs none of its own. */
	user->wq = alloc_workqueue("hodp-job-%u", WQ_UNBOUND, WQ_MAX_ACTIVE,
				   from_kuid(&init_user_ns, uid));
	if (!user->wq) {
		kfree(user);
		return NULL;
	}
	user->uid = uid;
	INIT_DELAYED_WORK(&user->reap, hodp_user_reap);
	INIT_DELAYED_WORK(&user->watch, hodp_user_watch);
	spin_lock_init(&user->lock);
	for (i = 0; i < HODP_JOB_KINDS; i++)
		INIT_LIST_HEAD(&user->lane[i].ready);
	INIT_LIST_HEAD(&user->placed);
	list_add(&user->link, &hodp_users);
	return user;
}

struct hodp_user *hodp_user_get(void)
{
	kuid_t uid = hodp_user_uid();
	struct hodp_user *user;

	mutex_lock(&hodp_users_lock);
	list_for_each_entry(user, &hodp_users, link)
		if (uid_eq(user->uid, uid))
			goto found;
	user = hodp_user_new(uid);
	if (!user)
		goto out;
found:
	user->refs++;
out:
	mutex_unlock(&hodp_users_lock);
	return user;
}

void hodp_user_put(struct hodp_user *user)
{
	/* This may run on the user's own workqueue, so free it from another. */
	mutex_lock(&hodp_users_lock);
	if (!--user->refs)
		mod_delayed_work(hodp_users_wq, &user->reap, HODP_USER_LINGER);
	mutex_unlock(&hodp_users_lock);
}

struct workqueue_struct *hodp_user_wq(struct hodp_user *user)
{
	return user->wq;
}

int hodp_gate_init(struct hodp_gate *gate)
{
	int i;

	gate->user = hodp_user_get();
	if (!gate->user)
		return -ENOMEM;
	for (i = 0; i < HODP_JOB_KINDS; i++) {
		INIT_LIST_HEAD(&gate->lane[i].waiting);
		INIT_LIST_HEAD(&gate->lane[i].ready);
	}
	return 0;
}

void hodp_gate_exit(struct hodp_gate *gate)
{
	hodp_user_put(gate->user);
}

/* ---- module ---- */

/* Take a user off the list and keep the reaper from it; NULL: none left. */
static struct hodp_user *hodp_user_take(void)
{
	struct hodp_user *user;

	mutex_lock(&hodp_users_lock);
	user = list_first_entry_or_null(&hodp_users, struct hodp_user, link);
	if (user) {
		list_del(&user->link);
		user->refs = 1;
	}
	mutex_unlock(&hodp_users_lock);
	return user;
}

int hodp_jobs_start(void)
{
	hodp_users_wq = alloc_workqueue("hodp-user", WQ_UNBOUND, 0);
	return hodp_users_wq ? 0 : -ENOMEM;
}

void hodp_jobs_stop(void)
{
	struct hodp_user *user;

	while ((user = hodp_user_take())) {
		cancel_delayed_work_sync(&user->reap);
		hodp_user_free(user);
	}
	/* Waits for a reaper that has taken a user off the list itself. */
	destroy_workqueue(hodp_users_wq);
}
