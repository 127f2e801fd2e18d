/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Of hrtimers, what deadline.c takes: the test owns the clock. */
#ifndef FAKE_HRTIMER_H
#define FAKE_HRTIMER_H

#include "kernel_shim.h"

#define CLOCK_MONOTONIC 1
#define HRTIMER_MODE_ABS_SOFT 0

enum hrtimer_restart { HRTIMER_NORESTART };

struct hrtimer {
	enum hrtimer_restart (*fn)(struct hrtimer *timer);
	u64 at; /* 0: not queued */
};

static u64 fake_now;

#define ktime_get_ns() (fake_now)
#define ns_to_ktime(ns) (ns)
#define hrtimer_setup(t, f, clock, mode) ((t)->fn = (f))
#define hrtimer_start(t, when, mode) ((t)->at = (when))
#define hrtimer_cancel(t) ((t)->at = 0)

/* The clock goes on to @now, and what is due rings. */
static inline void fake_clock(struct hrtimer *t, u64 now)
{
	while (t->at && t->at <= now) {
		fake_now = t->at;
		t->at = 0;
		t->fn(t);
	}
	fake_now = now;
}

#endif /* FAKE_HRTIMER_H */
