// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Which bytes to move.
 *
 * Uniformly random places find boundary errors rarely: most transfers here
 * begin or end within a few bytes of a multiple of the packet, page or chunk
 * size, or at an end of the region.
 */
#include "bytes.h"

/* Mostly small; one in 16 is large, one in 64 crosses a chunk boundary. */
size_t bytes_length(struct ht_rng *r)
{
	static const size_t units[] = { 8, 256, 1024, HT_PAGE, 4 * HT_PAGE };
	size_t unit;

	if (ht_below(r, 64) == 0)
		return HT_HUGE + ht_below(r, BYTES_MAX - HT_HUGE);
	if (ht_below(r, 16) == 0)
		return ht_below(r, 256 * HT_KIB);
	if (ht_below(r, 12) == 0)
		return ht_below(r, 3);
	unit = units[ht_below(r, HT_LEN(units))];
	if (ht_below(r, 2))
		return ht_below(r, 2 * unit) + 1;
	/* a multiple, or one byte beside it */
	return unit * (1 + ht_below(r, 3)) + ht_below(r, 3) - 1;
}

size_t bytes_place(struct ht_rng *r, const struct ht_mem *m, size_t len)
{
	static const size_t units[] = { 64, 1024, HT_PAGE, HT_HUGE, HT_HUGE };
	size_t lo = BYTES_GUARD, hi = m->len - BYTES_GUARD - len;
	uintptr_t base = (uintptr_t)m->p, at;
	size_t unit, off;

	switch (ht_below(r, 16)) {
	case 0: return lo;
	case 1: return hi;
	case 2: return lo + ht_below(r, hi - lo + 1);
	}
	unit = units[ht_below(r, HT_LEN(units))];
	at = (base + lo + ht_below(r, hi - lo + 1)) / unit * unit;
	/* The boundary is near the beginning, near the end, or in the middle. */
	switch (ht_below(r, 3)) {
	case 0: off = at - base; break;
	case 1: off = at - base - len; break;
	default: off = at - base - ht_below(r, len + 1); break;
	}
	off += ht_below(r, 9) - 4;
	if ((ssize_t)off < (ssize_t)lo)
		return lo;
	return HT_MIN(off, hi);
}

/*
 * Cut @len bytes into up to @most pieces at separate places. The pieces of one
 * transfer must not overlap: a scatter into overlapping SGEs is undefined.
 */
void bytes_split(struct bytes_state *t, struct bytes_side *s, size_t len, int most)
{
	int n = most > 1 && ht_below(&t->rng, 3) == 0 ? 2 + ht_below(&t->rng, most - 1) : 1;
	size_t room = (s->mem.len - 2 * BYTES_GUARD) / n, left = len;

	if (n > 1 && len > room)
		n = 1;
	s->pieces = n;
	if (n == 1) {
		s->piece[0].len = len;
		s->piece[0].off = bytes_place(&t->rng, &s->mem, len);
		return;
	}
	for (int i = 0; i < n; i++) {
		size_t part = i == n - 1 ? left : ht_below(&t->rng, left + 1);
		size_t slack = room - part;

		s->piece[i].len = part;
		s->piece[i].off = BYTES_GUARD + i * room + ht_below(&t->rng, slack + 1);
		left -= part;
	}
}
