/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A baton: one thread at a time does the work, and nobody's request for it is
 * lost (layer 0; also compiled in user space).
 *
 * Language: whoever *takes* the baton is its *holder* and works until it can
 * *drop* it.  A take that fails makes the holder look for work once more.
 *
 * States: IDLE, nobody holds it; HELD; AGAIN: held, and somebody asked since
 * the holder last began to look.  There is no count, so nothing can wrap.
 *
 * Guarantee: what a thread stored before a take, successful or not, is seen by
 * a look for work that begins later: its own, or the holder's next one
 * (tests/litmus/baton.litmus).  Price: one atomic operation to take an idle
 * baton and one to drop it.  Duty of the holder: look for work after the take
 * and after each failed drop.
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

/* Take it if nobody holds it; the holder is not asked to look again. */
static inline bool hodp_baton_try(struct hodp_baton *b)
{
	return atomic_cmpxchg(&b->state, HODP_BATON_IDLE, HODP_BATON_HELD) ==
	       HODP_BATON_IDLE;
}

/* Return: the caller holds it now; if not, the holder looks again. */
static inline bool hodp_baton_take(struct hodp_baton *b)
{
	if (hodp_baton_try(b))
		return true;
	/* A failed cmpxchg orders nothing; this does, even where the state is
	 * AGAIN already.  Pairs with the exchanges of hodp_baton_drop().
	 */
	return atomic_xchg(&b->state, HODP_BATON_AGAIN) == HODP_BATON_IDLE;
}

/* Return: the caller let go; false: somebody asked meanwhile, look again. */
static inline bool hodp_baton_drop(struct hodp_baton *b)
{
	if (atomic_cmpxchg(&b->state, HODP_BATON_HELD, HODP_BATON_IDLE) ==
	    HODP_BATON_HELD)
		return true;
	/* Reads AGAIN: what was stored before that is seen from here on. */
	atomic_xchg(&b->state, HODP_BATON_HELD);
	return false;
}

#endif /* HODP_BATON_H */
