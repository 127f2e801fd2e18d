// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Prefetch (layer 1).
 *
 * While it runs, a range of a prefetch holds the mirror but not the region, so
 * that dereg does not wait for a page fault.  Without the FLUSH flag each range
 * is a job (job.h) on its region's list, and dereg cancels it.  With the flag
 * the caller does the work itself, and a fatal signal ends it.
 */
#include <linux/sched.h>
#include <linux/slab.h>
#include "dev.h"
#include "job.h"
#include "mirror.h"
#include "prefetch.h"
#include "span.h"

/* Give up after losing this many races in a row against invalidations. */
#define HODP_PREFETCH_TRIES 10

/**
 * struct hodp_prefetch - one range to bring in
 * @job: the job that does it, unless the caller waits
 * @span: holds the region until the job is started
 * @mirror: held (immutable)
 * @va, @len: range in bytes (immutable)
 * @advice: kind of prefetch (immutable)
 */
struct hodp_prefetch {
	struct hodp_job job;
	struct hodp_span span;
	struct hodp_mirror *mirror;
	u64 va;
	u64 len;
	enum ib_uverbs_advise_mr_advice advice;
};

static struct hodp_prefetch *to_hodp_prefetch(const struct hodp_job *job)
{
	return container_of(job, struct hodp_prefetch, job);
}

static long hodp_prefetch_step(const struct hodp_prefetch *p, u64 at)
{
	if (p->advice == IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
		return hodp_mirror_snapshot(p->mirror, p->va + at, p->len - at);
	return hodp_mirror_fault(
		p->mirror, p->va + at, p->len - at,
		p->advice == IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE);
}

/* Return: 0, or the errors of hodp_mirror_fault(). */
static long hodp_prefetch_run(struct hodp_prefetch *p)
{
	int tries = HODP_PREFETCH_TRIES;
	u64 at = 0;

	while (at < p->len) {
		long n = hodp_prefetch_step(p, at);

		cond_resched();
		if (n == -EBUSY && --tries)
			continue;
		if (n < 0)
			return n;
		tries = HODP_PREFETCH_TRIES;
		at += n;
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

static void hodp_prefetch_free(struct hodp_prefetch *p)
{
	hodp_span_put(&p->span);
	hodp_mirror_put(p->mirror);
	kfree(p);
}

/* hodp_job.run.  Errors are ignored: a later access reports them. */
static long hodp_prefetch_job_run(struct hodp_job *job)
{
	hodp_prefetch_run(to_hodp_prefetch(job));
	return 0;
}

/* hodp_job.done */
static void hodp_prefetch_job_done(struct hodp_job *job, long ret)
{
	hodp_prefetch_free(to_hodp_prefetch(job));
}

/* hodp_job.gone */
static bool hodp_prefetch_job_gone(const struct hodp_job *job)
{
	return hodp_mirror_is_dead(to_hodp_prefetch(job)->mirror);
}

static int hodp_prefetch_check(struct ib_pd *pd, const struct ib_sge *sge,
			       bool write, struct hodp_span *span)
{
	int ret = hodp_span_get(to_hodp_device(pd->device), pd, sge->lkey,
				sge->addr, sge->length,
				write ? IB_ACCESS_LOCAL_WRITE : 0, span);

	switch (ret) {
	case 0:
		break;
	case -EINVAL:
		return -ENOENT;
	case -EXDEV:
	case -EACCES:
		return -EPERM;
	default:
		return -EFAULT;
	}
	if (span->mr->kind == HODP_MR_ODP)
		return 0;
	hodp_span_put(span);
	return -EINVAL;
}

/* Check @sge and make its range, or ERR_PTR. */
static struct hodp_prefetch *
hodp_prefetch_new(struct ib_pd *pd, enum ib_uverbs_advise_mr_advice advice,
		  const struct ib_sge *sge)
{
	struct hodp_prefetch *p = kzalloc_obj(*p, GFP_KERNEL_ACCOUNT);
	int ret;

	if (!p)
		return ERR_PTR(-ENOMEM);
	ret = hodp_prefetch_check(
		pd, sge, advice == IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_WRITE,
		&p->span);
	if (ret) {
		kfree(p);
		return ERR_PTR(ret);
	}
	p->mirror = hodp_mirror_ref(p->span.mr->mirror);
	p->va = p->span.va;
	p->len = p->span.len;
	p->advice = advice;
	p->job.kind = HODP_JOB_PREFETCH;
	p->job.run = hodp_prefetch_job_run;
	p->job.done = hodp_prefetch_job_done;
	p->job.gone = hodp_prefetch_job_gone;
	return p;
}

/* Start a job for the range; consumes @p. */
static int hodp_prefetch_start(struct hodp_prefetch *p)
{
	struct hodp_span span = p->span;
	int ret;

	/* Dereg waits for the span before it cancels the region's jobs. */
	p->span.mr = NULL;
	ret = hodp_job_start(&p->job, hodp_mirror_gate(p->mirror),
			     &span.mr->prefetches);
	if (ret)
		hodp_prefetch_free(p);
	hodp_span_put(&span);
	return ret;
}

/* Do the range in the caller; dereg does not wait for it.  Consumes @p. */
static int hodp_prefetch_wait(struct hodp_prefetch *p)
{
	int ret;

	hodp_span_put(&p->span);
	ret = hodp_prefetch_run(p);
	hodp_prefetch_free(p);
	return ret;
}

int hodp_prefetch_advise(struct ib_pd *pd,
			 enum ib_uverbs_advise_mr_advice advice, bool wait,
			 const struct ib_sge *sge, u32 num_sge)
{
	struct hodp_prefetch **list, *p;
	u32 i, num = 0;
	int ret = 0;

	if (advice > IB_UVERBS_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT)
		return -EOPNOTSUPP;
	list = kzalloc_objs(*list, num_sge, GFP_KERNEL_ACCOUNT);
	if (!list)
		return -ENOMEM;
	/* Check all ranges before starting any. */
	for (i = 0; i < num_sge && !ret; i++) {
		if (!sge[i].length)
			continue;
		p = hodp_prefetch_new(pd, advice, &sge[i]);
		if (IS_ERR(p))
			ret = PTR_ERR(p);
		else
			list[num++] = p;
	}
	hodp_count(to_hodp_device(pd->device), HODP_CNT_PREFETCHES, 1);
	for (i = 0; i < num; i++) {
		p = list[i];
		if (ret) {
			hodp_prefetch_free(p);
			continue;
		}
		atomic64_inc(&p->span.mr->stats.prefetches);
		ret = wait ? hodp_prefetch_wait(p) : hodp_prefetch_start(p);
	}
	kfree(list);
	return ret;
}
