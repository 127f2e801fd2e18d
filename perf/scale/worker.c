// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A process of the crew: its queue pairs and the threads that use them.
 *
 * A thread has a completion queue of its own and the pairs that follow each
 * other; each pair has @depth operations under way until its number is done.
 * Whatever fails is told in the outcome, once, and ends the process.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "scale.h"

#define BATCH 16
#define LOOK 1024 /* empty polls between two looks at the clock */

struct pair {
	struct perf_pair p;
	long left; /* to be posted */
	long under_way;
};

struct timing {
	uint64_t begin, end, ops;
};

struct thread {
	struct proc *proc;
	pthread_t thread;
	struct ibv_cq *cq;
	int first, n; /* its pairs */
	uint64_t until; /* or 0: by number */
	uint64_t ops;
	bool failed;
};

struct proc {
	const struct cell *cell;
	struct outcome *out;
	struct perf_dev dev;
	struct plots plots;
	struct pair *pair;
	struct thread *thread;
	pthread_mutex_t failing;
	pthread_barrier_t begin;
};

/* --- a thread ------------------------------------------------------------- */

static void thread_fail(struct thread *t, const char *what, const char *why)
{
	pthread_mutex_lock(&t->proc->failing);
	fail(t->proc->out, "%s: %s", what, why);
	pthread_mutex_unlock(&t->proc->failing);
	t->failed = true;
}

static void post(struct thread *t, int i)
{
	struct proc *p = t->proc;
	struct pair *pair = &p->pair[i];
	struct plots *plots = &p->plots;
	int err;

	err = perf_pair_post(&pair->p, p->cell->op, plots_local(plots, i),
			     plots->local_mr[i]->lkey, plots_remote(plots, i),
			     plots->remote_mr[i]->rkey, plots->size, i);
	if (err) {
		thread_fail(t, "posting", strerror(err));
		return;
	}
	pair->under_way++;
	pair->left--;
}

static void completed(struct thread *t, const struct ibv_wc *wc)
{
	struct pair *pair = &t->proc->pair[wc->wr_id];

	if (wc->status) {
		thread_fail(t, "a completion", ibv_wc_status_str(wc->status));
		return;
	}
	pair->under_way--;
	t->ops++;
	if (t->until && perf_now() >= t->until)
		pair->left = 0;
	if (pair->left > 0)
		post(t, wc->wr_id);
}

static bool all_done(const struct thread *t)
{
	for (int i = t->first; i < t->first + t->n; i++) {
		if (t->proc->pair[i].under_way)
			return false;
	}
	return true;
}

/* Run until all of the thread's operations are done. */
static void reap(struct thread *t)
{
	uint64_t give_up = 0, polls = 0;

	while (!t->failed && !all_done(t)) {
		struct ibv_wc wc[BATCH];
		int n = ibv_poll_cq(t->cq, BATCH, wc);

		for (int i = 0; i < n && !t->failed; i++)
			completed(t, &wc[i]);
		if (n < 0)
			thread_fail(t, "ibv_poll_cq", strerror(EIO));
		if (n > 0) {
			polls = give_up = 0;
			continue;
		}
		sched_yield();
		if (++polls % LOOK)
			continue;
		if (!give_up)
			give_up = perf_now() + set.o.timeout * 1000000000ULL;
		else if (perf_now() > give_up)
			thread_fail(t, "a completion", perf_status(-ETIMEDOUT));
	}
}

static void *run(void *arg)
{
	struct thread *t = arg;

	pthread_barrier_wait(&t->proc->begin);
	for (int d = 0; d < set.depth; d++) {
		for (int i = t->first; i < t->first + t->n; i++) {
			if (t->proc->pair[i].left > 0 && !t->failed)
				post(t, i);
		}
	}
	reap(t);
	return NULL;
}

/* @ops operations of each pair, or as many as go in @seconds. */
static bool run_all(struct proc *p, long ops, double seconds,
		    struct timing *timing)
{
	int threads = p->cell->threads;
	bool ok = true;

	timing->ops = 0;
	for (int i = 0; i < p->plots.n; i++)
		p->pair[i].left = seconds ? INT32_MAX : ops;
	pthread_barrier_init(&p->begin, NULL, threads + 1);
	for (int i = 0; i < threads; i++) {
		struct thread *t = &p->thread[i];

		t->ops = 0;
		t->until = seconds ? perf_now() + seconds * 1e9 : 0;
		perf_need(!(errno = pthread_create(&t->thread, NULL, run, t)),
			  "a thread");
	}
	timing->begin = perf_now();
	pthread_barrier_wait(&p->begin);
	for (int i = 0; i < threads; i++) {
		pthread_join(p->thread[i].thread, NULL);
		timing->ops += p->thread[i].ops;
		ok = ok && !p->thread[i].failed;
	}
	timing->end = perf_now();
	pthread_barrier_destroy(&p->begin);
	return ok;
}

/* --- a process -------------------------------------------------------------- */

static bool make_pairs(struct proc *p)
{
	int each = p->plots.n / p->cell->threads, err;

	p->pair = calloc(p->plots.n, sizeof(*p->pair));
	p->thread = calloc(p->cell->threads, sizeof(*p->thread));
	perf_need(p->pair && p->thread, "memory for queue pairs");
	for (int i = 0; i < p->cell->threads; i++) {
		struct thread *t = &p->thread[i];

		t->proc = p;
		t->first = i * each;
		t->n = each;
		t->cq = ibv_create_cq(p->dev.ctx, 2 * each * set.depth, NULL,
				      NULL, 0);
		if (!t->cq) {
			fail(p->out, "ibv_create_cq of %d: %s",
			     2 * each * set.depth, strerror(errno));
			return false;
		}
	}
	for (int i = 0; i < p->plots.n; i++) {
		err = perf_pair_make(&p->pair[i].p, &p->dev,
				     p->thread[i / each].cq, set.depth);
		if (err) {
			fail(p->out, "pair %d of queue pairs: %s", i,
			     strerror(err));
			return false;
		}
	}
	return true;
}

static void drop_pairs(struct proc *p)
{
	for (int i = 0; i < p->plots.n; i++)
		perf_pair_break(&p->pair[i].p);
	for (int i = 0; i < p->cell->threads; i++)
		ibv_destroy_cq(p->thread[i].cq);
	free(p->pair);
	free(p->thread);
}

/*
 * One repetition.  Where pages that are in use were taken away only the quiet
 * pass after it can tell what the bytes must be.
 *
 * The parent reads the outcome when all are ready for the next: until then
 * nothing but this repetition's may be in it.
 */
static bool repetition(struct proc *p, int fd)
{
	struct outcome *out = p->out;
	struct timing measured, ignored;
	struct storm_thread storm;
	bool ok;

	plots_fill(&p->plots);
	if (set.o.warmup && !run_all(p, set.o.warmup, 0, &ignored))
		return false;
	if (!perf_crew_ready(fd))
		return false;
	storm_start(&storm, &p->plots, p->cell->storm);
	ok = run_all(p, set.o.iterations, set.seconds, &measured);
	storm_stop(&storm);
	if (storm.err)
		fail(out, "the storm's madvise: %s", strerror(storm.err));
	if (!ok || storm.err)
		return false;
	if (p->cell->storm != STORM_SAME)
		out->wrong += plots_wrong(&p->plots);
	plots_fill(&p->plots);
	if (!run_all(p, 1, 0, &ignored))
		return false;
	out->wrong += plots_wrong(&p->plots);
	out->begin = measured.begin;
	out->end = measured.end;
	out->ops = measured.ops;
	out->events = storm.events;
	return true;
}

bool worker(int index, int fd, void *arg)
{
	struct work *w = arg;
	struct proc p = {
		.cell = w->cell,
		.out = &w->out[index],
		.failing = PTHREAD_MUTEX_INITIALIZER,
	};
	bool ok;

	/* A context is bound to the address space that opened it. */
	perf_dev_open(&p.dev, &set.o);
	ok = plots_get(&p.plots, &p.dev, p.cell, index, p.out) &&
	     make_pairs(&p);
	for (int r = 0; ok && r < set.repeat; r++)
		ok = repetition(&p, fd);
	/* The parent reads the last outcome before it lets members go on. */
	ok = ok && perf_crew_ready(fd);
	if (!ok)
		return false; /* the kernel takes all that is left */
	drop_pairs(&p);
	plots_put(&p.plots);
	perf_dev_close(&p.dev);
	return true;
}
