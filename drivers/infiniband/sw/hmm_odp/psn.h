/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Packet sequence numbers (layer 0; also compiled in user space).
 *
 * A PSN has 24 bits and wraps.  Seen from one PSN, the 2^23 values before it are
 * in the past, the 2^23 - 1 values after it in the future (IBTA volume 1, 9.7.2).
 * So two PSNs that are 2^23 apart are each before the other; a sender never has
 * that many outstanding.  MSNs use the same arithmetic.
 *
 * PSN arguments must have 24 bits, except where noted.  Results have 24 bits.
 */
#ifndef HODP_PSN_H
#define HODP_PSN_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

#define HODP_PSN_MASK 0xffffffU
/* At most this many PSNs may be outstanding. */
#define HODP_PSN_HALF 0x800000U

/* @psn + @n; both may have 32 bits. */
static inline u32 hodp_psn_add(u32 psn, u32 n)
{
	return (psn + n) & HODP_PSN_MASK;
}

/* How many PSNs @a comes after @b, from -2^23 (before it) to 2^23 - 1. */
static inline s32 hodp_psn_diff(u32 a, u32 b)
{
	return (s32)((a - b) << 8) >> 8;
}

static inline bool hodp_psn_before(u32 a, u32 b)
{
	return hodp_psn_diff(a, b) < 0;
}

static inline bool hodp_psn_after(u32 a, u32 b)
{
	return hodp_psn_diff(a, b) > 0;
}

/* Is @psn in the range from @first up to, but without, @end?  The range is empty
 * if these are equal.
 */
static inline bool hodp_psn_within(u32 psn, u32 first, u32 end)
{
	return ((psn - first) & HODP_PSN_MASK) <
	       ((end - first) & HODP_PSN_MASK);
}

#endif /* HODP_PSN_H */
