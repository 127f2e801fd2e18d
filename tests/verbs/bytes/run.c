// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* One combination: set up, transfer by transfer, compare. */
#include <endian.h>
#include <sys/mman.h>

#include "bytes.h"

enum op {
	OP_WRITE,
	OP_READ,
	OP_SEND,
	OP_WRITE_IMM,
	OP_INLINE_WRITE,
	OP_INLINE_SEND,
	OP_ADD,
	OP_SWAP,
	OPS
};

/* Packets that wait at a UC QP: HODP_RC_QUEUE_MAX of the module. */
#define UC_PACKETS 512UL

static const enum op ops_uc[] = { OP_WRITE, OP_SEND, OP_WRITE_IMM, OP_INLINE_WRITE,
				  OP_INLINE_SEND };

static const char *const op_names[OPS] = {
	"WRITE",	"READ",	       "SEND",	    "WRITE_WITH_IMM",
	"inline WRITE", "inline SEND", "FETCH_ADD", "CMP_SWP",
};

static const enum ibv_wr_opcode opcodes[OPS] = {
	IBV_WR_RDMA_WRITE,	     IBV_WR_RDMA_READ,	       IBV_WR_SEND,
	IBV_WR_RDMA_WRITE_WITH_IMM,  IBV_WR_RDMA_WRITE,	       IBV_WR_SEND,
	IBV_WR_ATOMIC_FETCH_AND_ADD, IBV_WR_ATOMIC_CMP_AND_SWP
};

/* Printed when a comparison fails. */
static void describe(const struct bytes_state *t, enum op op, size_t len, const char *cold)
{
	ht_note("transfer %" PRIu64 ": %s of %zu bytes, cold: %s", t->round, op_names[op], len,
		cold);
	for (int i = 0; i < 2; i++) {
		const struct bytes_side *s = &t->side[i];

		for (int k = 0; k < s->pieces; k++)
			ht_note("%s piece %d: %zu bytes at %p (offset %zu)", i ? "remote" : "local",
				k, s->piece[k].len, (void *)(s->mem.p + s->piece[k].off),
				s->piece[k].off);
	}
}

/* --- one transfer's parts --------------------------------------------------------- */

/* A fresh pattern in all of a side's pieces, and in the shadow. */
static void refresh(struct bytes_state *t, struct bytes_side *s)
{
	uint64_t seed = ht_seed("bytes") + t->round * 2 + 1;
	size_t at = 0;

	for (int k = 0; k < s->pieces; k++) {
		struct bytes_piece *p = &s->piece[k];

		ht_fill(s->shadow + p->off, p->len, seed, at);
		memcpy(s->mem.p + p->off, s->shadow + p->off, p->len);
		at += p->len;
	}
}

/* Drop the pages; anonymous ones are zeros from then on. */
static void make_cold(struct bytes_side *s, size_t off, size_t len)
{
	size_t from, to;

	if (!len)
		return;
	ht_mem_cold(&s->mem, off, len);
	if (ht_mem_persists(s->mem.kind))
		return;
	from = off / s->mem.page * s->mem.page;
	to = HT_MIN((off + len + s->mem.page - 1) / s->mem.page * s->mem.page, s->mem.len);
	memset(s->shadow + from, 0, to - from);
}

/*
 * A pinned region keeps its pages: dropping them from the page tables separates the
 * process from them, by design. So only ODP sides go cold.
 */
static const char *chill(struct bytes_state *t, struct bytes_side *source)
{
	static const char *const names[] = { "none", "local", "remote", "both" };
	unsigned int how = ht_below(&t->rng, 8), done = 0;

	if (how > 3)
		how = 0;
	for (int i = 0; i < 2; i++) {
		struct bytes_side *s = &t->side[i];
		bool odp = ht_mr_is_odp(i ? t->c->remote : t->c->local);

		if (!odp || !(how & (1U << i)))
			continue;
		for (int k = 0; k < s->pieces; k++)
			make_cold(s, s->piece[k].off, s->piece[k].len);
		done |= 1U << i;
	}
	/* Refill the first half of every second cold source. */
	if ((done & (source == &t->side[0] ? 1 : 2)) && ht_below(&t->rng, 2)) {
		struct bytes_piece *p = &source->piece[0];

		ht_fill(source->shadow + p->off, p->len / 2, t->round, 7);
		memcpy(source->mem.p + p->off, source->shadow + p->off, p->len / 2);
	}
	return names[done];
}

/* Shadow to shadow, piece by piece, as gather and scatter do. */
static void move_shadow(const struct bytes_side *from, struct bytes_side *to, size_t len)
{
	uint8_t *flat = malloc(len + 1);
	size_t at = 0;

	ht_check(flat, "no memory for %zu bytes", len);
	for (int k = 0; k < from->pieces; k++) {
		memcpy(flat + at, from->shadow + from->piece[k].off, from->piece[k].len);
		at += from->piece[k].len;
	}
	at = 0;
	for (int k = 0; k < to->pieces && at < len; k++) {
		size_t n = HT_MIN(to->piece[k].len, len - at);

		memcpy(to->shadow + to->piece[k].off, flat + at, n);
		at += n;
	}
	free(flat);
}

static int sgl_of(const struct bytes_side *s, struct ibv_sge *sge, bool inlined)
{
	for (int k = 0; k < s->pieces; k++) {
		uint8_t *p = s->mem.p + s->piece[k].off;

		sge[k] = (struct ibv_sge){
			inlined ? (uintptr_t)p : ht_iova(&s->mr, p),
			s->piece[k].len,
			s->mr.mr->lkey,
		};
	}
	return s->pieces;
}

/* --- operations -------------------------------------------------------------------- */

static void perform(struct bytes_state *t, struct ht_wr *w, bool recv, size_t len)
{
	struct bytes_side *a = &t->side[0], *b = &t->side[1];
	struct ibv_sge rsge[BYTES_PIECES];
	struct ibv_wc wc;

	if (recv && t->two_sided)
		ht_ok(ht_recv_try(b->s->qp, NULL, ~w->id, rsge, sgl_of(b, rsge, false)));
	else if (recv)
		ht_recv(b->s, ~w->id, &b->mr, b->mem.p, 0);
	ht_do(a->s, w);
	if (recv) {
		ht_want_wc(b->s->rcq, &wc, ~w->id, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, len);
	} else {
		ht_settle(a->s, b->s);
	}
}

/* Compare each piece and a page on either side of it. */
static void compare(struct bytes_state *t, enum op op, size_t len, const char *cold)
{
	for (int i = 0; i < 2; i++) {
		const struct bytes_side *s = &t->side[i];

		for (int k = 0; k < s->pieces; k++) {
			size_t off = s->piece[k].off, from = off > HT_PAGE ? off - HT_PAGE : 0;
			size_t n = HT_MIN(off + s->piece[k].len + HT_PAGE, s->mem.len) - from;

			if (memcmp(s->mem.p + from, s->shadow + from, n))
				describe(t, op, len, cold);
			ht_check_bytes(s->mem.p + from, s->shadow + from, n,
				       i ? "remote buffer" : "local buffer");
		}
	}
}

static void transfer_atomic(struct bytes_state *t, enum op op)
{
	struct bytes_side *a = &t->side[0], *b = &t->side[1];
	uint64_t old, new, add = ht_rand(&t->rng), swap = ht_rand(&t->rng);
	const char *cold;
	uintptr_t at;
	struct ht_wr w;

	bytes_split(t, a, 8, 1);
	bytes_split(t, b, 8, 1);
	at = ((uintptr_t)b->mem.p + b->piece[0].off) & ~7UL;
	b->piece[0].off = at - (uintptr_t)b->mem.p;
	if (b->piece[0].off < BYTES_GUARD)
		b->piece[0].off += 8;
	refresh(t, b);
	cold = chill(t, b);
	memcpy(&old, b->shadow + b->piece[0].off, 8);
	if (op == OP_SWAP && ht_below(&t->rng, 2))
		add = old;
	if (op == OP_ADD)
		new = old + add;
	else
		new = old == add ? swap : old;
	memcpy(a->shadow + a->piece[0].off, &old, 8);
	memcpy(b->shadow + b->piece[0].off, &new, 8);
	w = ht_rdma_wr(t->round, opcodes[op], &a->mr, a->mem.p + a->piece[0].off, 8, &b->mr,
		       b->mem.p + b->piece[0].off);
	w.add = add;
	w.swap = swap;
	perform(t, &w, false, 8);
	compare(t, op, 8, cold);
}

static enum op choose_op(struct bytes_state *t)
{
	if (t->pair.conf.type == IBV_QPT_UC)
		return ops_uc[ht_below(&t->rng, HT_LEN(ops_uc))];
	return ht_below(&t->rng, OPS);
}

static void transfer(struct bytes_state *t)
{
	enum op op = choose_op(t);
	bool inlined = op == OP_INLINE_WRITE || op == OP_INLINE_SEND;
	bool recv = op == OP_SEND || op == OP_INLINE_SEND || op == OP_WRITE_IMM;
	struct bytes_side *a = &t->side[0], *b = &t->side[1];
	struct bytes_side *from = op == OP_READ ? b : a;
	struct bytes_side *to = op == OP_READ ? a : b;
	struct ibv_sge sge[BYTES_PIECES];
	size_t len, extra = 0;
	const char *cold;
	struct ht_wr w;

	if (op >= OP_ADD) {
		transfer_atomic(t, op);
		return;
	}
	t->two_sided = op == OP_SEND || op == OP_INLINE_SEND;
	len = inlined ? ht_below(&t->rng, BYTES_INLINE + 1) : bytes_length(&t->rng);
	/* On UC, packets that do not fit into the queue behind a page fault are lost. */
	if (t->pair.conf.type == IBV_QPT_UC)
		len = HT_MIN(len, UC_PACKETS * (128UL << t->c->mtu));
	/* A receive may have more room than the message has bytes. */
	if (t->two_sided && ht_below(&t->rng, 2))
		extra = ht_below(&t->rng, 5000);
	bytes_split(t, a, len, BYTES_PIECES);
	bytes_split(t, b, len + extra, t->two_sided ? BYTES_PIECES : 1);
	refresh(t, from);
	cold = chill(t, from);
	move_shadow(from, to, len);
	w = (struct ht_wr){
		.id = t->round,
		.op = opcodes[op],
		.sgl = sge,
		.num_sge = sgl_of(a, sge, inlined),
		.flags = inlined ? IBV_SEND_INLINE : 0,
		.raddr = ht_iova(&b->mr, b->mem.p + b->piece[0].off),
		.rkey = b->mr.mr->rkey,
		.imm = htobe32(t->round),
	};
	perform(t, &w, recv, len);
	compare(t, op, len, cold);
}

/* --- the combination ------------------------------------------------------------------ */

static void setup_side(struct bytes_state *t, int i)
{
	struct bytes_side *s = &t->side[i];
	enum ht_mr_kind kind = i ? t->c->remote : t->c->local;

	ht_need_mr(t->pair.s[i].dev, kind);
	s->s = &t->pair.s[i];
	ht_mem_get(&s->mem, t->c->mem, 6 * HT_MIB, HT_GIB);
	s->shadow = ht_map(s->mem.len, PROT_READ | PROT_WRITE);
	ht_fill(s->shadow, s->mem.len, ht_seed("bytes") + i, 0);
	memcpy(s->mem.p, s->shadow, s->mem.len);
	ht_mr_get(&s->mr, s->s->pd, s->mem.p + BYTES_GUARD, s->mem.len - 2 * BYTES_GUARD, kind,
		  HT_ACCESS_ALL);
}

static void compare_all(const struct bytes_state *t)
{
	ht_check_bytes(t->side[0].mem.p, t->side[0].shadow, t->side[0].mem.len,
		       "local buffer, all of it");
	ht_check_bytes(t->side[1].mem.p, t->side[1].shadow, t->side[1].mem.len,
		       "remote buffer, all of it");
}

void bytes_run(const void *arg)
{
	static struct bytes_state t;
	struct ht_conf conf = { .inl = BYTES_INLINE };
	long n;

	t.c = arg;
	conf.mtu = t.c->mtu;
	t.rng.s = ht_seed(ht_mem_name(t.c->mem)) + t.c->local * 16 + t.c->remote + t.c->mtu * 256;
	n = ht_count(t.c->transfers);
	ht_pair_open(&t.pair, &conf);
	ht_require(t.pair.s[0].dev, t.pair.s[0].dev->port.active_mtu >= conf.mtu,
		   "the port's MTU is smaller");
	ht_pair_create(&t.pair);
	ht_pair_connect(&t.pair);
	setup_side(&t, 0);
	setup_side(&t, 1);
	for (t.round = 1; t.round <= (uint64_t)n; t.round++) {
		transfer(&t);
		if (t.round % 64 == 0)
			compare_all(&t);
	}
	compare_all(&t);
	for (int i = 0; i < 2; i++) {
		ht_mr_put(&t.side[i].mr);
		ht_mem_put(&t.side[i].mem);
	}
	ht_pair_put(&t.pair);
}
