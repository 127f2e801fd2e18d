// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Deadlines (layer 1); deadline.h has the model. */
#include "deadline.h"

/* The earliest deadline that is set, or 0. */
static u64 hodp_deadline_next(const struct hodp_deadlines *d)
{
	u64 next = 0;
	u32 i;

	lockdep_assert_held(&d->lock);
	for (i = 0; i < HODP_MAX_CAUSES; i++)
		if (d->at[i] && (!next || d->at[i] < next))
			next = d->at[i];
	return next;
}

static enum hrtimer_restart hodp_deadline_timer(struct hrtimer *timer)
{
	struct hodp_deadlines *d =
		container_of(timer, struct hodp_deadlines, timer);
	unsigned long causes = 0;
	u64 now = ktime_get_ns();
	u64 next;
	u32 i;

	spin_lock(&d->lock);
	for (i = 0; i < HODP_MAX_CAUSES; i++) {
		if (!d->at[i] || d->at[i] > now)
			continue;
		d->at[i] = 0;
		set_bit(i, &d->passed);
		causes |= BIT(i);
	}
	next = hodp_deadline_next(d);
	if (next)
		hrtimer_start(timer, ns_to_ktime(next), HRTIMER_MODE_ABS_SOFT);
	spin_unlock(&d->lock);
	if (causes)
		d->expired(d, causes);
	return HRTIMER_NORESTART;
}

void hodp_deadline_init(struct hodp_deadlines *d,
			void (*expired)(struct hodp_deadlines *d,
					unsigned long causes))
{
	spin_lock_init(&d->lock);
	hrtimer_setup(&d->timer, hodp_deadline_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS_SOFT);
	d->expired = expired;
}

void hodp_deadline_set(struct hodp_deadlines *d, u32 cause, u64 ns)
{
	u64 at = ktime_get_ns() + ns;

	spin_lock_bh(&d->lock);
	clear_bit(cause, &d->passed);
	d->at[cause] = at;
	if (hodp_deadline_next(d) == at)
		hrtimer_start(&d->timer, ns_to_ktime(at),
			      HRTIMER_MODE_ABS_SOFT);
	spin_unlock_bh(&d->lock);
}

/* The timer may still expire for this deadline; it then finds nothing to do. */
void hodp_deadline_clear(struct hodp_deadlines *d, u32 cause)
{
	spin_lock_bh(&d->lock);
	d->at[cause] = 0;
	clear_bit(cause, &d->passed);
	spin_unlock_bh(&d->lock);
}

void hodp_deadline_stop(struct hodp_deadlines *d)
{
	hrtimer_cancel(&d->timer);
}
