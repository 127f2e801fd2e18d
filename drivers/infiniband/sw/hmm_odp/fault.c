// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Page faults of queue pairs.
 *
 * A fault can last as long as the slowest thing behind it: a disk, a file
 * system, a userfaultfd handler that never answers.  So it is an object of its
 * own that holds the mirror and nothing else: the QP that waits for it, its
 * regions and its peer can be destroyed meanwhile, and no other QP notices.
 *
 * Lifetime: one reference for the runner that waits, one for the work item.
 * @runner is cleared under @lock when the QP forgets the fault; while it is
 * set under @lock the QP is alive, so the work item can take a reference to it
 * there.
 *
 * Transient failures (-EBUSY: invalidations won every race; -ENOMEM; -EINTR)
 * are tried again with growing pauses for as long as somebody waits.
 */
#include <linux/refcount.h>
#include <linux/slab.h>
#include "fault.h"

#define HODP_FAULT_PAUSE_MAX (HZ / 10)

/**
 * struct hodp_fault - one page fault
 * @work: does it
 * @refs: see above
 * @lock: guards @runner
 * @runner: who waits, or NULL
 * @mirror: held (immutable)
 * @va, @len, @write: what (immutable)
 * @pause: jiffies before the next try; owned by @work
 * @err: result; stored before @done
 * @done: released by @work, acquired by hodp_fault_finish()
 */
struct hodp_fault {
	struct delayed_work work;
	refcount_t refs;
	spinlock_t lock; /* @runner */
	struct hodp_runner *runner;
	struct hodp_mirror *mirror;
	u64 va;
	u64 len;
	bool write;
	unsigned long pause;
	int err;
	bool done;
};

static struct workqueue_struct *hodp_fault_wq;

static void hodp_fault_put(struct hodp_fault *f)
{
	if (refcount_dec_and_test(&f->refs))
		kfree(f);
}

/* The QP that waits, with a reference, or NULL. */
static struct hodp_qp *hodp_fault_waiter(struct hodp_fault *f)
{
	struct hodp_qp *qp = NULL;

	spin_lock(&f->lock);
	if (f->runner && hodp_qp_hold(f->runner->qp))
		qp = f->runner->qp;
	spin_unlock(&f->lock);
	return qp;
}

static bool hodp_fault_is_transient(long ret)
{
	return ret == -EBUSY || ret == -ENOMEM || ret == -EINTR;
}

static void hodp_fault_work(struct work_struct *work)
{
	struct hodp_fault *f =
		container_of(to_delayed_work(work), struct hodp_fault, work);
	long ret = hodp_mirror_fault(f->mirror, f->va, f->len, f->write);
	struct hodp_qp *qp = hodp_fault_waiter(f);

	if (qp && hodp_fault_is_transient(ret)) {
		hodp_count(hodp_qp_dev(qp), HODP_CNT_FAULT_RETRIES, 1);
		f->pause = min(f->pause * 2 + 1, HODP_FAULT_PAUSE_MAX);
		queue_delayed_work(hodp_fault_wq, &f->work, f->pause);
		hodp_qp_put(qp);
		return;
	}
	if (qp) {
		struct hodp_runner *r = READ_ONCE(f->runner);

		if (ret < 0)
			hodp_count(hodp_qp_dev(qp), HODP_CNT_FAULT_ERRORS, 1);
		f->err = min(ret, 0L);
		/* Pairs with the acquire in hodp_fault_finish(). */
		smp_store_release(&f->done, true);
		if (r)
			r->run(r);
		hodp_qp_put(qp);
	}
	hodp_mirror_put(f->mirror);
	hodp_fault_put(f);
}

int hodp_fault_begin(struct hodp_runner *r, const struct hodp_miss *miss)
{
	struct hodp_fault *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return -ENOMEM;
	INIT_DELAYED_WORK(&f->work, hodp_fault_work);
	refcount_set(&f->refs, 2);
	spin_lock_init(&f->lock);
	f->runner = r;
	f->mirror = hodp_mirror_ref(miss->mr->mirror);
	f->va = miss->va;
	f->len = miss->len;
	f->write = miss->write;
	atomic64_inc(&miss->mr->stats.faults);
	r->fault = f;
	queue_delayed_work(hodp_fault_wq, &f->work, 0);
	return 0;
}

int hodp_fault_finish(struct hodp_runner *r)
{
	int err;

	if (!r->fault)
		return 0;
	/* Pairs with the release in hodp_fault_work(). */
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
	spin_lock(&f->lock);
	WRITE_ONCE(f->runner, NULL);
	spin_unlock(&f->lock);
	r->fault = NULL;
	hodp_fault_put(f);
}

int hodp_fault_start(void)
{
	/* Each may sleep for long: none may keep another from starting. */
	hodp_fault_wq =
		alloc_workqueue("hodp-fault", WQ_UNBOUND, WQ_MAX_ACTIVE);
	return hodp_fault_wq ? 0 : -ENOMEM;
}

void hodp_fault_stop(void)
{
	destroy_workqueue(hodp_fault_wq);
}

void hodp_fault_flush(void)
{
	flush_workqueue(hodp_fault_wq);
}
