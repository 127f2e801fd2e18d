// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Page faults of runners.
 *
 * A fault can take as long as whatever it waits for: a disk, a file system, a
 * userfaultfd handler that never answers.  So it is a separate object, a job
 * (job.h) that holds the mirror and nothing else.  The QP that waits for it,
 * the regions and the peer can all be destroyed meanwhile.
 *
 * Lifetime: the waiting runner holds one reference, the job another.  @runner
 * is cleared under @lock when the runner drops the fault.  While @runner is set
 * and @lock is held, the object that contains the runner is alive, so the job
 * can take a reference to it there.
 *
 * A fault in flight holds the module but no device: while a userfaultfd handler
 * sleeps, the link can be deleted, but the module cannot be unloaded.
 *
 * Transient failures (-EBUSY: invalidations won every race; -ENOMEM; -EINTR)
 * are retried with growing pauses for as long as a runner waits.
 */
#include <linux/refcount.h>
#include "charge.h"
#include "fault.h"
#include "job.h"

/**
 * struct hodp_fault - one page fault
 * @job: the job that runs the fault
 * @refs: see above
 * @lock: guards @runner; the user's lock (job.c) nests inside
 * @runner: the runner that waits, or NULL
 * @mirror: held until the job is done (immutable)
 * @va, @len, @write: what to fault in (immutable)
 * @err: result; stored before @done
 * @done: the job has ended; set under @lock, acquired by hodp_fault_finish()
 */
struct hodp_fault {
	struct hodp_job job;
	refcount_t refs;
	spinlock_t lock; /* @runner */
	struct hodp_runner *runner;
	struct hodp_mirror *mirror;
	u64 va;
	u64 len;
	bool write;
	int err;
	bool done;
};

static struct hodp_fault *to_hodp_fault(const struct hodp_job *job)
{
	return container_of(job, struct hodp_fault, job);
}

static void hodp_fault_put(struct hodp_fault *f)
{
	if (refcount_dec_and_test(&f->refs))
		kfree(f);
}

static void hodp_fault_tell(struct hodp_fault *f, long ret)
{
	struct hodp_runner *r;

	spin_lock(&f->lock);
	f->err = min(ret, 0L);
	/* Pairs with the acquire in hodp_fault_finish(). */
	smp_store_release(&f->done, true);
	r = f->runner;
	if (r && !r->ops->hold(r))
		r = NULL;
	spin_unlock(&f->lock);
	if (!r)
		return;
	hodp_runner_run(r, HODP_WORK_STEPS);
	r->ops->put(r);
}

/* hodp_job.run */
static long hodp_fault_run(struct hodp_job *job)
{
	struct hodp_fault *f = to_hodp_fault(job);
	long ret = hodp_mirror_fault(f->mirror, f->va, f->len, f->write);

	if (ret >= 0)
		return ret;
	if (ret == -EBUSY || ret == -ENOMEM || ret == -EINTR)
		ret = -EAGAIN;
	hodp_mirror_count_failure(f->mirror, ret == -EAGAIN);
	return ret;
}

/* hodp_job.done */
static void hodp_fault_done(struct hodp_job *job, long ret)
{
	struct hodp_fault *f = to_hodp_fault(job);

	hodp_fault_tell(f, ret);
	hodp_mirror_put(f->mirror);
	hodp_fault_put(f);
}

/* hodp_job.gone */
static bool hodp_fault_gone(const struct hodp_job *job)
{
	return hodp_mirror_is_dead(to_hodp_fault(job)->mirror);
}

int hodp_fault_begin(struct hodp_runner *r, struct mem_cgroup *memcg,
		     const struct hodp_miss *miss)
{
	struct hodp_fault *f;
	int ret;

	f = hodp_charge_zalloc(memcg, sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	refcount_set(&f->refs, 2);
	spin_lock_init(&f->lock);
	f->runner = r;
	f->mirror = hodp_mirror_ref(miss->mr->mirror);
	f->va = miss->va;
	f->len = miss->len;
	f->write = miss->write;
	f->job.kind = HODP_JOB_FAULT;
	f->job.run = hodp_fault_run;
	f->job.done = hodp_fault_done;
	f->job.gone = hodp_fault_gone;
	atomic64_inc(&miss->mr->stats.faults);
	r->fault = f;
	ret = hodp_job_start(&f->job, hodp_mirror_gate(f->mirror), NULL);
	if (ret) {
		r->fault = NULL;
		hodp_mirror_put(f->mirror);
		kfree(f);
	}
	return ret;
}

int hodp_fault_finish(struct hodp_runner *r)
{
	int err;

	if (!r->fault)
		return 0;
	/* Pairs with the release in hodp_fault_tell(). */
	if (!smp_load_acquire(&r->fault->done))
		return -EINPROGRESS;
	err = r->fault->err;
	hodp_fault_drop(r);
	return err;
}

void hodp_fault_drop(struct hodp_runner *r)
{
	struct hodp_fault *f = r->fault;

	if (!f)
		return;
	r->fault = NULL;
	spin_lock(&f->lock);
	f->runner = NULL;
	/* Once it is done, its mirror and the mirror's gate may be gone. */
	if (!f->done)
		hodp_job_cancel(&f->job);
	spin_unlock(&f->lock);
	hodp_fault_put(f);
}
