/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Deadlines: an object's timeouts, one per cause, on a single timer (layer 1).
 *
 * A cause is a number below HODP_MAX_CAUSES.  Its deadline is set, and then
 * either cleared or passed; setting it again clears the old state.  As each
 * cause has its own deadline, a stale one cannot end a wait for another cause.
 */
#ifndef HODP_DEADLINE_H
#define HODP_DEADLINE_H

#include <linux/hrtimer.h>
#include <linux/spinlock.h>

#define HODP_MAX_CAUSES 8

/**
 * struct hodp_deadlines - the deadlines of one object
 * @lock: guards @at; also taken in softirq
 * @at: by cause: CLOCK_MONOTONIC ns; 0: not set
 * @passed: bit mask of causes whose passing was not reported yet
 * @timer: expires at the earliest deadline
 * @expired: called when deadlines pass.  Context: softirq (immutable)
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

/* Set the deadline of @cause to @ns from now.  Context: process or softirq. */
void hodp_deadline_set(struct hodp_deadlines *d, u32 cause, u64 ns);

/* Clear the deadline of @cause.  Context: process or softirq. */
void hodp_deadline_clear(struct hodp_deadlines *d, u32 cause);

/* Has @cause passed?  Returns true once per deadline.  Context: any. */
static inline bool hodp_deadline_passed(struct hodp_deadlines *d, u32 cause)
{
	return test_and_clear_bit(cause, &d->passed);
}

/* On return @expired does not run any more.  The caller must make sure that no
 * deadline is set again.  Context: process.
 */
void hodp_deadline_stop(struct hodp_deadlines *d);

#endif /* HODP_DEADLINE_H */
