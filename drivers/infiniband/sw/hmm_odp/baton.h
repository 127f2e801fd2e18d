/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A baton: only one thread at a time does the work, and no request for work is
 * lost (layer 0; also compiled in user space).
 *
 * Language: the thread that *takes* the baton is its *holder* and works until
 * it can *drop* it.  A failed take makes the holder look for work again.
 *
 * States: IDLE: not held.  HELD.  AGAIN: held, and another thread has tried to
 * take it since the holder last started to look for work.  There is no counter
 * that could wrap.
 *
 * Guarantee: a thread's stores before a take, successful or not, are seen by
 * the next look for work, whether that is its own or the holder's
 * (tests/litmus/baton.litmus).  Cost: one atomic operation to take an idle
 * baton and one to drop it.  The holder must look for work after the take and
 * after each failed drop.
 */
#ifndef HODP_BATON_H
#define HODP_BATON_H

#ifdef __KERNEL__
#include <linux/atomic.h>
#include <linux/types.h>
#endif

enum {
	HODP_BATON_IDLE,
	HODP_BATON_HELD,
	HODP_BATON_AGAIN,
};

struct hodp_baton {
	atomic_t state;
};

static inline void hodp_baton_init(struct hodp_baton *b)
{
	atomic_set(&b->state, HODP_BATON_IDLE);
}

/* Take an idle baton; a failure does not make the holder look again. */
static inline bool hodp_baton_try(struct hodp_baton *b)
{
	return atomic_cmpxchg(&b->state, HODP_BATON_IDLE, HODP_BATON_HELD) ==
	       HODP_BATON_IDLE;
}

/* Return: true: the caller is the holder; false: the holder looks again. */
static inline bool hodp_baton_take(struct hodp_baton *b)
{
	if (hodp_baton_try(b))
		return true;
	/* A failed cmpxchg gives no ordering, but xchg does, even if the state
	 * is AGAIN already.  Pairs with the exchanges in hodp_baton_drop().
	 */
	return atomic_xchg(&b->state, HODP_BATON_AGAIN) == HODP_BATON_IDLE;
}

/* Return: true: dropped; false: still held, the caller must look again. */
static inline bool hodp_baton_drop(struct hodp_baton *b)
{
	if (atomic_cmpxchg(&b->state, HODP_BATON_HELD, HODP_BATON_IDLE) ==
	    HODP_BATON_HELD)
		return true;
	/* Reads AGAIN, so stores made before that are visible from here on. */
	atomic_xchg(&b->state, HODP_BATON_HELD);
	return false;
}

#endif /* HODP_BATON_H */
