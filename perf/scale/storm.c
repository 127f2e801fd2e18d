// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A thread that takes pages away, plot after plot.
 *
 * Beside the slots the CPU writes the pages first, so that there is something
 * to take: the invalidation meets the regions' locks and trees, but the device
 * does not hold the pages.  In the slots themselves it does, and its next
 * operation there needs page faults; their bytes are lost.
 */
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

#include "scale.h"

static int one_event(struct storm_thread *s)
{
	struct plots *p = s->plots;
	uint8_t *at = plots_remote(p, s->events % p->n);
	size_t len = p->slot;

	if (s->kind == STORM_BESIDE) {
		at += p->slot;
		len = STORM_PAGES * PERF_PAGE;
		for (size_t i = 0; i < len; i += PERF_PAGE)
			*(volatile uint8_t *)(at + i) = 1;
	}
	return madvise(at, len, MADV_DONTNEED) ? errno : 0;
}

static void *run(void *arg)
{
	struct storm_thread *s = arg;
	uint64_t next = perf_now();

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE) && !s->err) {
		struct timespec at;

		s->err = one_event(s);
		s->events++;
		if (!set.rate) {
			sched_yield();
			continue;
		}
		/*
		 * Do not catch up after a late wake-up; that would be a burst.
		 */
		next += 1000000000 / set.rate;
		if (next < perf_now())
			next = perf_now();
		at.tv_sec = next / 1000000000;
		at.tv_nsec = next % 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
	}
	return NULL;
}

void storm_start(struct storm_thread *s, struct plots *p, enum storm kind)
{
	*s = (struct storm_thread){ .plots = p, .kind = kind };
	if (kind != STORM_OFF)
		perf_need(!(errno = pthread_create(&s->thread, NULL, run, s)),
			  "a thread for the storm");
}

void storm_stop(struct storm_thread *s)
{
	if (s->kind == STORM_OFF)
		return;
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	pthread_join(s->thread, NULL);
}
