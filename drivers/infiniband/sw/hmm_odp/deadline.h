/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Deadlines: what an activity waits for by the clock, each cause for itself, on
 * one timer (layer 1).
 *
 * A cause is a number below HODP_MAX_CAUSES.  Its deadline is set, and either
 * cleared or passed; setting it anew forgets both.  So what was meant for an
 * earlier wait never ends a later one of another cause.
 */
#ifndef HODP_DEADLINE_H
#define HODP_DEADLINE_H

#include <linux/hrtimer.h>
#include <linux/spinlock.h>

#define HODP_MAX_CAUSES 8

/**
 * struct hodp_deadlines - the deadlines of one object
 * @lock: guards @at; taken in softirq, too
 * @at: by cause: CLOCK_MONOTONIC ns; 0: not set
 * @passed: by cause, a bit: it is over, and nobody has asked yet
 * @timer: for the earliest
 * @expired: some passed.  Context: softirq (immutable)
 */
struct hodp_deadlines {
	spinlock_t lock; /* @at */
	u64 at[HODP_MAX_CAUSES];
	unsigned long passed;
	struct hrtimer timer;
	void (*expired)(struct hodp_deadlines *d, unsigned long causes);
};

void hodp_deadline_init(struct hodp_deadlines *d,
			void (*expired)(struct hodp_deadlines *d,
					unsigned long causes));

/* @cause is over in @ns from now.  Context: process. */
void hodp_deadline_set(struct hodp_deadlines *d, u32 cause, u64 ns);

/* Nobody waits for @cause any more.  Context: process. */
void hodp_deadline_clear(struct hodp_deadlines *d, u32 cause);

/* Has @cause passed?  Told once.  Context: any. */
static inline bool hodp_deadline_passed(struct hodp_deadlines *d, u32 cause)
{
	return test_and_clear_bit(cause, &d->passed);
}

/* @expired does not run any more; the caller sees to it that nothing is set.
 * Context: process.
 */
void hodp_deadline_stop(struct hodp_deadlines *d);

#endif /* HODP_DEADLINE_H */
