// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The transfers of a case: lengths around the packet size, odd places. */
#include "interop.h"

static void plan_lengths(struct interop *t)
{
	size_t mtu = 128UL << t->pair.conf.mtu;
	const size_t lengths[] = {
		0, 1, 2, 3, 63, mtu - 1, mtu, mtu + 1, 2 * mtu + 1, 5001, 64 * HT_KIB + 77,
	};

	if (interop_is_atomic(t->op)) {
		t->xfers = 8;
		for (int i = 0; i < t->xfers; i++)
			t->x[i].len = 8;
		return;
	}
	for (size_t i = 0; i < HT_LEN(lengths); i++) {
		if (t->op->type == IBV_QPT_UD && lengths[i] > mtu)
			continue;
		t->x[t->xfers++].len = lengths[i];
	}
}

/* An odd place for @len bytes after *@end, on both sides of which bytes are free. */
static size_t place(const struct interop_side *s, size_t *end, size_t len, size_t gap)
{
	size_t off = (*end + gap) | 1;

	*end = off + len;
	ht_true(*end + INTEROP_GUARD < s->mem.len);
	return off;
}

void interop_plan(struct interop *t)
{
	size_t end[2] = { INTEROP_GUARD, INTEROP_GUARD };

	plan_lengths(t);
	for (int i = 0; i < t->xfers; i++) {
		struct interop_xfer *x = &t->x[i];

		if (t->op->type == IBV_QPT_UD)
			x->grh = place(&t->side[1], &end[1], HT_GRH, 9);
		x->off[0] = place(&t->side[0], &end[0], x->len, 37);
		x->off[1] = place(&t->side[1], &end[1], x->len, 101);
		/* The target of an atomic operation is aligned. */
		if (interop_is_atomic(t->op))
			x->off[1] &= ~7UL;
	}
}

static void move_atomic(struct interop *t, const struct interop_xfer *x)
{
	uint64_t old, new;

	memcpy(&old, t->side[1].shadow + x->off[1], 8);
	if (t->op->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD)
		new = old + x->add;
	else
		new = old == x->add ? x->swap : old;
	memcpy(t->side[0].shadow + x->off[0], &old, 8);
	memcpy(t->side[1].shadow + x->off[1], &new, 8);
}

void interop_move_shadow(struct interop *t, const struct interop_xfer *x)
{
	int from = t->op->opcode == IBV_WR_RDMA_READ;

	if (interop_is_atomic(t->op))
		move_atomic(t, x);
	else
		memcpy(t->side[!from].shadow + x->off[!from], t->side[from].shadow + x->off[from],
		       x->len);
}
