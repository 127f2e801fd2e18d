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
 * A fault in flight holds the module, and no device: a link can be deleted, and
 * the module says that it is in use, while somebody's handler sleeps.
 *
 * Transient failures (-EBUSY: invalidations won every race; -ENOMEM; -EINTR)
 * are tried again with growing pauses for as long as somebody waits.
 */
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include "fault.h"

#define HODP_FAULT_PAUSE_MAX (HZ / 10)
/* Faults of one mirror that run at a time: the rest of the workers is for
 * other processes.
 */
#define HODP_FAULT_RUNNING_MAX 256

/**
 * struct hodp_fault - one page fault
 * @work: does it
 * @wait: in the mirror's gate while it has no place
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
	struct list_head wait;
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

/* Try again later, if somebody still waits. */
static bool hodp_fault_again(struct hodp_fault *f)
{
	bool again;

	spin_lock(&f->lock);
	again = f->runner;
	if (again) {
		hodp_count(hodp_qp_dev(f->runner->qp), HODP_CNT_FAULT_RETRIES,
			   1);
		f->pause = min(f->pause * 2 + 1, HODP_FAULT_PAUSE_MAX);
		/* Under the lock: hodp_fault_drop() expedites it. */
		queue_delayed_work(hodp_fault_wq, &f->work, f->pause);
	}
	spin_unlock(&f->lock);
	return again;
}

/* Give the place at the gate to the next that waits. */
static void hodp_fault_pass(struct hodp_gate *gate)
{
	struct hodp_fault *next;

	spin_lock(&gate->lock);
	next = list_first_entry_or_null(&gate->waiting, struct hodp_fault,
					wait);
	if (next)
		list_del(&next->wait);
	else
		gate->running--;
	spin_unlock(&gate->lock);
	if (next)
		queue_delayed_work(hodp_fault_wq, &next->work, 0);
}

static void hodp_fault_tell(struct hodp_fault *f, long ret)
{
	struct hodp_qp *qp = hodp_fault_waiter(f);
	struct hodp_runner *r = READ_ONCE(f->runner);

	if (!qp)
		return;
	if (ret < 0)
		hodp_count(hodp_qp_dev(qp), HODP_CNT_FAULT_ERRORS, 1);
	f->err = min(ret, 0L);
	/* Pairs with the acquire in hodp_fault_finish(). */
	smp_store_release(&f->done, true);
	if (r)
		r->run(r);
	hodp_qp_put(qp);
}

static void hodp_fault_work(struct work_struct *work)
{
	struct hodp_fault *f =
		container_of(to_delayed_work(work), struct hodp_fault, work);
	long ret = -EFAULT;

	/* Nobody waits: there is nothing to do but to go. */
	if (READ_ONCE(f->runner))
		ret = hodp_mirror_fault(f->mirror, f->va, f->len, f->write);
	if (hodp_fault_is_transient(ret) && hodp_fault_again(f))
		return;
	hodp_fault_pass(hodp_mirror_gate(f->mirror));
	hodp_fault_tell(f, ret);
	hodp_mirror_put(f->mirror);
	hodp_fault_put(f);
	/* Module exit waits for the workqueue, hence for what is left of us. */
	module_put(THIS_MODULE);
}

/* Start @f, or let it wait for its mirror's other faults. */
static void hodp_fault_enqueue(struct hodp_fault *f)
{
	struct hodp_gate *gate = hodp_mirror_gate(f->mirror);
	bool run;

	spin_lock(&gate->lock);
	run = gate->running < HODP_FAULT_RUNNING_MAX;
	if (run)
		gate->running++;
	else
		list_add_tail(&f->wait, &gate->waiting);
	spin_unlock(&gate->lock);
	if (run)
		queue_delayed_work(hodp_fault_wq, &f->work, 0);
}

int hodp_fault_begin(struct hodp_runner *r, const struct hodp_miss *miss)
{
	struct hodp_fault *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);

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
	__module_get(THIS_MODULE);
	hodp_fault_enqueue(f);
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
	/* Between two tries: let it go now. */
	if (cancel_delayed_work(&f->work))
		queue_delayed_work(hodp_fault_wq, &f->work, 0);
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
