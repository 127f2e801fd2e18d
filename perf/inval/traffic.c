// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Traffic beside the events: one WRITE of 4 KiB after the other into the zone,
 * which belongs to the same region as the range.  For an unregistered range it
 * goes to pinned memory elsewhere, so that nobody mirrors anything.
 *
 * A gap is the time from one completion to the next.  The other thread makes
 * @events odd before an event and even after it; a gap in which that number
 * changed, or was odd, is one that the event fell into.  All others, with the
 * exception of those taken before any event (traffic_quiet()), are forgotten:
 * they hold the making of the next range, which nobody asked about.  Traffic is
 * paused for that anyway, since the region may change.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inval.h"

#define QUIET 1000
#define NAP_US 50
#define QUIET_NAP_US 2000 /* rarely, to disturb little */

static uint64_t get(const uint64_t *v)
{
	return __atomic_load_n(v, __ATOMIC_SEQ_CST);
}

static void keep(uint64_t **list, size_t *n, size_t *room, uint64_t gap)
{
	if (*n == *room) {
		*room = *room ? 2 * *room : 4096;
		*list = realloc(*list, *room * sizeof(**list));
		perf_need(*list, "memory for gaps");
	}
	(*list)[(*n)++] = gap;
}

/* Stay here while paused.  False: the end. */
static bool may_go(struct traffic *tr, bool *was_paused)
{
	bool go;

	pthread_mutex_lock(&tr->lock);
	*was_paused = tr->want != RUN;
	while (tr->want == PAUSE) {
		tr->paused = true;
		pthread_cond_broadcast(&tr->change);
		pthread_cond_wait(&tr->change, &tr->lock);
	}
	tr->paused = false;
	go = tr->want == RUN;
	pthread_mutex_unlock(&tr->lock);
	return go;
}

static void *run(void *arg)
{
	struct traffic *tr = arg;
	uint64_t last = 0, seen = 0;
	bool was_paused = true;

	while (may_go(tr, &was_paused)) {
		size_t at = get(&tr->done) % ZONE_PAGES * PERF_PAGE;
		uint64_t now, number;
		int status;

		status = perf_pair_do(&tr->pair, IBV_WR_RDMA_WRITE,
				      tr->source + at, tr->source_mr->lkey,
				      tr->zone + at, tr->rkey, PERF_PAGE,
				      tr->t->o.timeout);
		now = perf_now();
		number = get(&tr->events);
		if (status) {
			__atomic_store_n(&tr->status, status, __ATOMIC_SEQ_CST);
			break;
		}
		if (!was_paused && last) {
			if (tr->in_quiet)
				keep(&tr->quiet, &tr->nquiet, &tr->quiet_room,
				     now - last);
			else if (number != seen || number & 1)
				keep(&tr->gaps, &tr->ngaps, &tr->room,
				     now - last);
		}
		last = now;
		seen = number;
		__atomic_fetch_add(&tr->done, 1, __ATOMIC_SEQ_CST);
	}
	/* Whoever waits for the pause gets it. */
	pthread_mutex_lock(&tr->lock);
	tr->paused = true;
	pthread_cond_broadcast(&tr->change);
	pthread_mutex_unlock(&tr->lock);
	return NULL;
}

static const char *make_zone(struct traffic *tr)
{
	struct victim *v = &tr->t->v;

	tr->zone = v->mem.p;
	if (v->reg != REG_NONE)
		return NULL;
	perf_mem_get(&tr->apart, &tr->t->o, PERF_ANON, ZONE);
	perf_mem_touch(&tr->apart, ZONE);
	tr->zone = tr->apart.p;
	tr->apart_mr =
		ibv_reg_mr(tr->t->dev.far->pd, tr->zone, ZONE, PERF_ACCESS);
	return tr->apart_mr ? NULL :
			      perf_say("ibv_reg_mr of pinned memory: %s",
				       strerrorname_np(errno));
}

const char *traffic_start(struct traffic *tr, struct tools *t)
{
	const char *why;
	int err;

	memset(tr, 0, sizeof(*tr));
	tr->t = t;
	tr->want = PAUSE;
	tr->apart.fd = -1;
	pthread_mutex_init(&tr->lock, NULL);
	pthread_cond_init(&tr->change, NULL);
	tr->source = aligned_alloc(PERF_PAGE, ZONE_PAGES * PERF_PAGE);
	perf_need(tr->source, "memory for traffic");
	victim_fill(tr->source, ZONE_PAGES * PERF_PAGE, SEED_TRAFFIC);
	tr->source_mr = ibv_reg_mr(t->dev.pd, tr->source,
				   ZONE_PAGES * PERF_PAGE,
				   IBV_ACCESS_LOCAL_WRITE);
	perf_need(tr->source_mr, "ibv_reg_mr of pinned memory");
	why = make_zone(tr);
	if (why)
		return why;
	memset(tr->zone, 0, ZONE_PAGES * PERF_PAGE);
	err = perf_pair_make(&tr->pair, &t->dev, NULL, 4);
	if (err)
		return perf_say("a queue pair for traffic: %s", strerror(err));
	err = pthread_create(&tr->thread, NULL, run, tr);
	perf_need(!(errno = err), "a thread for traffic");
	return NULL;
}

void traffic_go(struct traffic *tr)
{
	struct ibv_mr *mr = tr->apart_mr ? tr->apart_mr : tr->t->v.mr;

	pthread_mutex_lock(&tr->lock);
	tr->rkey = mr->rkey;
	tr->want = RUN;
	pthread_cond_broadcast(&tr->change);
	pthread_mutex_unlock(&tr->lock);
}

void traffic_pause(struct traffic *tr)
{
	pthread_mutex_lock(&tr->lock);
	tr->want = PAUSE;
	while (!tr->paused)
		pthread_cond_wait(&tr->change, &tr->lock);
	pthread_mutex_unlock(&tr->lock);
}

static bool await(struct traffic *tr, uint64_t n, int nap)
{
	uint64_t until = get(&tr->done) + n;

	while (get(&tr->done) < until) {
		if (__atomic_load_n(&tr->status, __ATOMIC_SEQ_CST))
			return false;
		usleep(nap);
	}
	return true;
}

bool traffic_await(struct traffic *tr, uint64_t n)
{
	return await(tr, n, NAP_US);
}

bool traffic_quiet(struct traffic *tr)
{
	bool ok;

	tr->in_quiet = true;
	traffic_go(tr);
	ok = await(tr, ZONE_PAGES + QUIET, QUIET_NAP_US);
	traffic_pause(tr);
	tr->in_quiet = false;
	return ok;
}

const char *traffic_verify(struct traffic *tr)
{
	size_t pages = get(&tr->done), wrong;

	if (tr->status)
		return perf_say("the traffic failed: %s",
				perf_status(tr->status));
	pages = pages < ZONE_PAGES ? pages : ZONE_PAGES;
	wrong = victim_wrong(tr->zone, pages * PERF_PAGE, SEED_TRAFFIC);
	return wrong ? perf_say("%zu bytes of the traffic are wrong", wrong) :
		       NULL;
}

void traffic_stop(struct traffic *tr)
{
	if (tr->thread) {
		pthread_mutex_lock(&tr->lock);
		tr->want = STOP;
		pthread_cond_broadcast(&tr->change);
		pthread_mutex_unlock(&tr->lock);
		pthread_join(tr->thread, NULL);
	}
	perf_pair_break(&tr->pair);
	if (tr->apart_mr)
		ibv_dereg_mr(tr->apart_mr);
	if (tr->source_mr)
		ibv_dereg_mr(tr->source_mr);
	perf_mem_put(&tr->apart);
	free(tr->source);
	free(tr->gaps);
	free(tr->quiet);
	memset(tr, 0, sizeof(*tr));
}
