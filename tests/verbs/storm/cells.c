// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * One operation in a cell: fill, post, compare.
 *
 * "from" is the side whose bytes move, "to" the other: side 1 posts receives only
 * and never reads.
 */
#include <sys/mman.h>

#include "storm.h"

static const enum ibv_wr_opcode ops[] = {
	IBV_WR_RDMA_WRITE,	     IBV_WR_RDMA_READ,	       IBV_WR_SEND,
	IBV_WR_RDMA_WRITE,	     IBV_WR_RDMA_READ,	       IBV_WR_SEND,
	IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP
};

static uint8_t *cell_at(const struct lane *l, int side, int c)
{
	return l->p[side] + c * CELL;
}

static bool is_atomic(enum ibv_wr_opcode op)
{
	return op == IBV_WR_ATOMIC_FETCH_AND_ADD || op == IBV_WR_ATOMIC_CMP_AND_SWP;
}

static int from_side(const struct cell *c)
{
	return c->op == IBV_WR_RDMA_READ || is_atomic(c->op);
}

static void choose(struct lane *l, struct cell *c)
{
	struct ht_rng *r = &l->rng;

	c->op = ops[ht_below(r, HT_LEN(ops))];
	c->len = 1 + ht_below(r, ht_below(r, 4) ? 2 * HT_PAGE : 200);
	c->loff = 1 + ht_below(r, CELL - c->len - 2);
	c->roff = 1 + ht_below(r, CELL - c->len - 2);
	if (is_atomic(c->op)) {
		c->len = 8;
		c->loff = c->loff / 8 * 8;
		c->roff = HT_MIN(c->roff / 8 * 8, CELL - 16);
	}
	c->seed = (uint64_t)(l->index + 1) << 40 | ht_below(r, 1ULL << 38) << 1;
	c->waits = c->op == IBV_WR_SEND ? 2 : 1;
}

/* Fill both cells again; their old pages may be dropped first. */
static void prepare(const struct fleet *f, struct lane *l, struct cell *c, int i)
{
	int from = from_side(c);

	for (int side = 0; side < 2; side++) {
		uint8_t *p = cell_at(l, side, i);

		if (f->weather & OWNER && ht_below(&l->rng, 2))
			ht_sys(madvise(p, CELL, MADV_DONTNEED));
		ht_fill(p, CELL, c->seed + (side != from), 0);
	}
	memcpy(&c->old, cell_at(l, 1, i) + c->roff, 8);
}

static void start(struct fleet *f, struct lane *l, int i)
{
	struct cell *c = &l->cell[i];
	struct ht_wr w;

	choose(l, c);
	prepare(f, l, c, i);
	w = ht_rdma_wr(l->index * CELLS + i, c->op, l->mr[0], cell_at(l, 0, i) + c->loff, c->len,
		       l->mr[1], cell_at(l, 1, i) + c->roff);
	if (c->op == IBV_WR_ATOMIC_FETCH_AND_ADD) {
		w.add = c->seed;
	} else if (c->op == IBV_WR_ATOMIC_CMP_AND_SWP) {
		/* Every second one must not match. */
		w.add = c->old + (c->loff / 8 % 2);
		w.swap = c->seed;
	} else if (c->op == IBV_WR_SEND) {
		ht_recv(&l->s[1], w.id, l->mr[1], cell_at(l, 1, i) + c->roff, c->len);
	}
	ht_post(l->s[0].qp, &w);
	l->todo--;
}

static void compare_atomic(struct lane *l, struct cell *c, int i)
{
	const uint8_t *local = cell_at(l, 0, i), *remote = cell_at(l, 1, i);
	uint64_t want = c->old, got;

	if (c->op == IBV_WR_ATOMIC_FETCH_AND_ADD)
		want += c->seed;
	else if (!(c->loff / 8 % 2))
		want = c->seed;
	memcpy(&got, remote + c->roff, 8);
	ht_check(got == want, "lane %d: an atomic (%d) left 0x%" PRIx64 ", not 0x%" PRIx64,
		 l->index, c->op, got, want);
	memcpy(&got, local + c->loff, 8);
	ht_check(got == c->old, "lane %d: an atomic (%d) fetched 0x%" PRIx64 ", not 0x%" PRIx64,
		 l->index, c->op, got, c->old);
	ht_check_fill(remote, c->roff, c->seed, 0, "before an atomic's operand");
	ht_check_fill(remote + c->roff + 8, CELL - c->roff - 8, c->seed, c->roff + 8,
		      "behind an atomic's operand");
	ht_check_fill(local, c->loff, c->seed + 1, 0, "before an atomic's result");
	ht_check_fill(local + c->loff + 8, CELL - c->loff - 8, c->seed + 1, c->loff + 8,
		      "behind an atomic's result");
}

static void compare(struct lane *l, int i)
{
	struct cell *c = &l->cell[i];
	int from = from_side(c);
	const uint8_t *src = cell_at(l, from, i), *dst = cell_at(l, !from, i);
	size_t soff = from ? c->roff : c->loff, doff = from ? c->loff : c->roff;

	if (is_atomic(c->op)) {
		compare_atomic(l, c, i);
		return;
	}
	ht_check_fill(src, CELL, c->seed, 0, "the source of a transfer");
	ht_check_fill(dst, doff, c->seed + 1, 0, "the bytes before a transfer");
	ht_check_fill(dst + doff, c->len, c->seed, soff, "the bytes of a transfer");
	ht_check_fill(dst + doff + c->len, CELL - doff - c->len, c->seed + 1, doff + c->len,
		      "the bytes behind a transfer");
}

/* True when there was something. */
static bool take(struct crew *crew, struct ibv_cq *cq)
{
	struct ibv_wc wc;
	int n = ibv_poll_cq(cq, 1, &wc), lane;
	struct cell *c;
	struct lane *l;

	ht_check(n >= 0, "ibv_poll_cq returned %d", n);
	if (!n)
		return false;
	lane = wc.wr_id / CELLS - crew->lane->index;
	ht_check(lane >= 0 && lane < crew->lanes, "a completion of lane %d, of another crew",
		 (int)(wc.wr_id / CELLS));
	l = &crew->lane[lane];
	c = &l->cell[wc.wr_id % CELLS];
	ht_check(wc.status == IBV_WC_SUCCESS, "lane %d: opcode %d, %u bytes: %s", l->index, c->op,
		 c->len, ibv_wc_status_str(wc.status));
	ht_eq(wc.qp_num, l->s[cq == l->s[1].rcq].qp->qp_num);
	if (cq == l->s[1].rcq)
		ht_eq(wc.byte_len, c->len);
	ht_check(c->waits > 0, "lane %d: one completion too many", l->index);
	if (--c->waits)
		return true;
	compare(l, wc.wr_id % CELLS);
	crew->done++;
	return true;
}

void *crew_run(void *arg)
{
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);
	struct crew *crew = arg;
	bool busy = true;

	while (busy) {
		bool some = take(crew, crew->lane->s[0].scq);

		some |= take(crew, crew->lane->s[1].rcq);
		busy = false;
		for (int k = 0; k < crew->lanes; k++) {
			struct lane *l = &crew->lane[k];

			for (int i = 0; i < CELLS; i++) {
				if (!l->cell[i].waits && l->todo > 0)
					start(crew->f, l, i);
				busy |= l->cell[i].waits;
			}
		}
		if (some)
			deadline = ht_deadline(HT_PATIENCE_MS);
		else if (busy && ht_over(deadline))
			ht_fail("lanes %d to %d: no completion comes", crew->lane->index,
				crew->lane->index + crew->lanes - 1);
		ht_yield();
	}
	return NULL;
}
