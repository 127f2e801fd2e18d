// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A case: two rounds of transfers, one at a time and all at once. */
#include "interop.h"

#define LEN (256 * HT_KIB)

/* --- set-up -------------------------------------------------------------------------- */

static const struct interop_memory rxe_memory = { "pinned", HT_ANON, HT_PINNED, false, false };

static void setup_side(struct interop *t, int i)
{
	struct interop_side *s = &t->side[i];
	bool windows = i && t->op->opcode == IBV_WR_SEND_WITH_INV;

	s->s = &t->pair.s[i];
	ht_eq(s->s->dev->is_hodp, !t->c->pair->rxe[i]);
	s->memory = t->c->pair->rxe[i] ? &rxe_memory : t->c->memory;
	ht_need_mr(s->s->dev, s->memory->mr);
	ht_mem_get(&s->mem, s->memory->mem, LEN, HT_HUGE);
	s->shadow = malloc(s->mem.len);
	ht_true(s->shadow != NULL);
	ht_mr_get(&s->mr, s->s->pd, s->mem.p + INTEROP_GUARD, s->mem.len - 2 * INTEROP_GUARD,
		  s->memory->mr, HT_ACCESS_ALL | (windows ? IBV_ACCESS_MW_BIND : 0));
}

static const char *rxe_name(void)
{
	const char *name = getenv("HODP_RXE");

	ht_check(name && *name, "HODP_RXE is not set: run by guest/namespaces 2+rxe");
	return name;
}

static void setup(struct interop *t)
{
	struct ht_conf conf = { .type = t->op->type, .timeout = 20 };
	const bool *rxe = t->c->pair->rxe;

	if (rxe[0])
		ht_opt.dev = rxe_name();
	if (rxe[1])
		ht_opt.peer = rxe_name();
	ht_opt.gid = t->c->gid;
	if (conf.type == IBV_QPT_RC)
		conf.mtu = t->c->mtu;
	ht_pair_open(&t->pair, &conf);
	for (int i = 0; i < 2; i++)
		ht_true(t->pair.dev[i].ctx && t->pair.dev[i].port.active_mtu >= t->c->mtu);
	ht_pair_create(&t->pair);
	ht_pair_connect(&t->pair);
	setup_side(t, 0);
	setup_side(t, 1);
	if (conf.type == IBV_QPT_UD)
		t->ah = ht_ah(&t->pair.s[0], &t->pair.dev[1].gid);
	interop_plan(t);
	if (t->op->opcode == IBV_WR_SEND_WITH_INV)
		interop_windows(t, true);
	interop_count(t);
}

static void teardown(struct interop *t)
{
	if (t->op->opcode == IBV_WR_SEND_WITH_INV)
		interop_windows(t, false);
	if (t->ah)
		ht_ok(ibv_destroy_ah(t->ah));
	for (int i = 0; i < 2; i++) {
		ht_mr_put(&t->side[i].mr);
		ht_mem_put(&t->side[i].mem);
	}
	ht_pair_put(&t->pair);
}

/* --- a round ------------------------------------------------------------------------- */

static void refresh(struct interop *t)
{
	struct ht_rng r = { ht_seed("interop") + t->round };

	for (int i = 0; i < 2; i++) {
		struct interop_side *s = &t->side[i];
		size_t len = s->mem.len - 2 * INTEROP_GUARD;

		ht_fill(s->shadow, s->mem.len, ht_seed("interop") + 2 * t->round + i, 0);
		memcpy(s->mem.p, s->shadow, s->mem.len);
		if (s->memory->hot)
			ht_prefetch(&s->mr, s->mem.p + INTEROP_GUARD, len);
	}
	for (int i = 0; i < t->xfers; i++) {
		struct interop_xfer *x = &t->x[i];

		x->id = t->round * 100 + i;
		x->add = ht_rand(&r);
		x->swap = ht_rand(&r);
		/* Half of the comparisons are to succeed. */
		if (t->op->opcode == IBV_WR_ATOMIC_CMP_AND_SWP && i % 2)
			memcpy(&x->add, t->side[1].shadow + x->off[1], 8);
	}
}

static void make_cold(struct interop *t, size_t off0, size_t off1, size_t len)
{
	const size_t off[] = { off0, off1 };

	for (int i = 0; i < 2 && len; i++) {
		if (t->side[i].memory->cold)
			ht_mem_cold(&t->side[i].mem, off[i], len);
	}
}

static void compare(struct interop *t, int i, size_t from, size_t len, const char *what)
{
	ht_check_bytes(t->side[i].mem.p + from, t->side[i].shadow + from, len, what);
}

static void compare_all(struct interop *t)
{
	compare(t, 0, 0, t->side[0].mem.len, "the poster's buffer, all of it");
	compare(t, 1, 0, t->side[1].mem.len, "the peer's buffer, all of it");
}

static void one(struct interop *t, struct interop_xfer *x)
{
	static const char *const names[] = { "the poster's buffer", "the peer's buffer" };

	if (x->window)
		interop_bind(t, x);
	make_cold(t, x->off[0], x->off[1], x->len);
	interop_receive(t, x);
	interop_post(t, x);
	interop_wait(t, x);
	interop_move_shadow(t, x);
	for (int i = 0; i < 2; i++) {
		size_t from = x->off[i] - 64, len = x->len + 128;

		if (memcmp(t->side[i].mem.p + from, t->side[i].shadow + from, len))
			ht_note("transfer of %zu bytes from the poster's +%zu to the peer's +%zu",
				x->len, x->off[0], x->off[1]);
		compare(t, i, from, len, names[i]);
	}
}

static void one_by_one(struct interop *t)
{
	refresh(t);
	for (int i = 0; i < t->xfers; i++)
		one(t, &t->x[i]);
	compare_all(t);
}

static void at_once(struct interop *t)
{
	refresh(t);
	for (int i = 0; i < t->xfers; i++) {
		if (t->x[i].window)
			interop_bind(t, &t->x[i]);
		interop_receive(t, &t->x[i]);
	}
	make_cold(t, 0, 0, LEN);
	for (int i = 0; i < t->xfers; i++)
		interop_post(t, &t->x[i]);
	for (int i = 0; i < t->xfers; i++) {
		interop_wait(t, &t->x[i]);
		interop_move_shadow(t, &t->x[i]);
	}
	compare_all(t);
}

void interop_run(const void *arg)
{
	static struct interop t;

	t.c = arg;
	t.op = t.c->op;
	setup(&t);
	t.round = 1;
	one_by_one(&t);
	t.round = 2;
	at_once(&t);
	interop_check_counters(&t);
	teardown(&t);
}
