// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs whose pages are never delivered: nobody reads the userfaultfd.
 *
 * Only the case itself delivers, when it wants to. Until then stalled queue pairs
 * stay stalled, and all others run.
 */
#include <sys/mman.h>

#include "storm.h"

enum role { TARGET, SOURCE, OPERAND, GATHER, RECEIVE, ROLES };

struct stuck {
	struct ht_pair pair;
	struct ht_mr good, bad[2];
	uint8_t *p; /* ordinary memory */
	uint8_t *q; /* the page that is not delivered */
	enum role role;
};

static struct fleet f;
static int ufd;

/* @pages pages that nobody delivers. */
static uint8_t *hopeless(size_t pages)
{
	uint8_t *p = ht_map(pages * HT_PAGE, PROT_READ | PROT_WRITE);

	ufd = ht_uffd_missing(p, pages * HT_PAGE);
	return p;
}

static void stick(struct stuck *s, uint8_t *q, enum role role)
{
	struct ht_conf conf = { .two_contexts = role % 2, .depth = 8 };
	struct ht_wr w = { .id = 0x5c, .len = 1000, .rkey = 0 };

	s->role = role;
	s->q = q;
	s->p = ht_map(HT_PAGE, PROT_READ | PROT_WRITE);
	ht_fill(s->p, HT_PAGE, 900 + role, 0);
	ht_pair_get(&s->pair, &conf);
	for (int i = 0; i < 2; i++)
		ht_mr_get(&s->bad[i], s->pair.s[i].pd, q, HT_PAGE, HT_ODP, HT_ACCESS_ALL);
	ht_mr_get(&s->good, s->pair.s[role == GATHER].pd, s->p, HT_PAGE, HT_ODP, HT_ACCESS_ALL);
	w.op = role == TARGET || role == GATHER ? IBV_WR_RDMA_WRITE :
	       role == SOURCE			? IBV_WR_RDMA_READ :
	       role == OPERAND			? IBV_WR_ATOMIC_FETCH_AND_ADD :
						  IBV_WR_SEND;
	w.addr = (uintptr_t)s->p + 96;
	w.lkey = s->good.mr->lkey;
	w.raddr = (uintptr_t)q + 96;
	w.rkey = s->bad[1].mr->rkey;
	w.add = 77;
	if (role == OPERAND)
		w.len = 8;
	if (role == GATHER) {
		w.addr = (uintptr_t)q + 96;
		w.lkey = s->bad[0].mr->lkey;
		w.raddr = (uintptr_t)s->p + 96;
		w.rkey = s->good.mr->rkey;
	}
	if (role == RECEIVE)
		ht_recv(&s->pair.s[1], 0x5d, &s->bad[1], q + 96, 1000);
	ht_post(s->pair.s[0].qp, &w);
}

static void still_stuck(struct stuck *s)
{
	ht_no_wc(s->pair.s[0].scq, 5);
	ht_no_wc(s->pair.s[1].rcq, 1);
	ht_check(!ht_present(s->q), "the page of role %d came by itself", s->role);
}

/* The page is delivered; the operation ends as if nothing had happened. */
static void free_stuck(struct stuck *s)
{
	uint64_t seed = 950 + s->role, word, was;
	struct ibv_wc wc;

	ht_uffd_deliver(ufd, s->q, seed, 0);
	ht_want_wc(s->pair.s[0].scq, &wc, 0x5c, IBV_WC_SUCCESS);
	if (s->role == RECEIVE)
		ht_want_wc(s->pair.s[1].rcq, &wc, 0x5d, IBV_WC_SUCCESS);
	switch (s->role) {
	case SOURCE:
	case GATHER:
		ht_check_fill(s->q, HT_PAGE, seed, 0, "a source that came late");
		ht_check_fill(s->p + 96, 1000, seed, 96, "bytes of a page that came late");
		ht_check_fill(s->p, 96, 900 + s->role, 0, "the bytes before");
		ht_check_fill(s->p + 1096, HT_PAGE - 1096, 900 + s->role, 1096, "the bytes behind");
		break;
	case OPERAND:
		memcpy(&word, s->q + 96, 8);
		memcpy(&was, s->p + 96, 8);
		ht_eq(word, was + 77);
		ht_check_fill(s->q, 96, seed, 0, "the bytes before");
		ht_check_fill(s->p + 104, 100, 900 + s->role, 104, "the bytes behind");
		break;
	default:
		ht_check_fill(s->q + 96, 1000, 900 + s->role, 96, "a target that came late");
		ht_check_fill(s->q, 96, seed, 0, "the bytes before");
		ht_check_fill(s->q + 1096, HT_PAGE - 1096, seed, 1096, "the bytes behind");
	}
}

/* When the last owner of its objects is gone, nothing may wait for the page. */
static void drop_stuck(struct stuck *s)
{
	ht_mr_put(&s->bad[0]);
	ht_mr_put(&s->bad[1]);
	ht_mr_put(&s->good);
	ht_pair_put(&s->pair);
}

/* Every way to wait for a page, beside a fleet that must not notice. */
static void stall_roles(const void *arg)
{
	static struct stuck s[2 * ROLES];
	uint8_t *q = hopeless(HT_LEN(s));

	fleet_get(&f, 32, HT_ANON, MANY_MRS, OWNER | OTHER_PAGES);
	for (size_t i = 0; i < HT_LEN(s); i++)
		stick(&s[i], q + i * HT_PAGE, i % ROLES);
	fleet_sail(&f, ht_count(16));
	fleet_home(&f);
	for (size_t i = 0; i < HT_LEN(s); i++)
		still_stuck(&s[i]);
	/* Half of them get their pages, the other half are destroyed while they wait. */
	fleet_sail(&f, ht_count(16));
	for (size_t i = 0; i < ROLES; i++) {
		free_stuck(&s[i]);
		drop_stuck(&s[i + ROLES]);
		drop_stuck(&s[i]);
	}
	fleet_home(&f);
}

/* More QPs wait than any pool of workers has; QPs that need no page go on. */
static void stall_many(const void *arg)
{
	enum { MANY = 40 };
	static struct stuck s[MANY];
	uint8_t *q = hopeless(MANY);

	fleet_get(&f, 16, HT_ANON, ONE_MR, 0);
	for (int i = 0; i < 2; i++) {
		memset(f.mem[i].p, 1, f.mem[i].len);
		ht_prefetch(&f.mr[i], f.mem[i].p, f.mem[i].len);
	}
	for (int i = 0; i < MANY; i++)
		stick(&s[i], q + i * HT_PAGE, i % ROLES);
	fleet_sail(&f, ht_count(16));
	fleet_home(&f);
	for (int i = 0; i < MANY; i++)
		still_stuck(&s[i]);
	/* The last one first: pages may come in any order. */
	for (int i = MANY - 1; i >= 0; i--)
		ht_uffd_deliver(ufd, s[i].q, 950 + s[i].role, 0);
	for (int i = 0; i < MANY; i++) {
		struct ibv_wc wc;

		ht_want_wc(s[i].pair.s[0].scq, &wc, 0x5c, IBV_WC_SUCCESS);
		drop_stuck(&s[i]);
	}
}

/*
 * Datagrams wait behind one whose buffer page is missing. The second one fails the
 * QP: the third is not delivered, and its receive is flushed.
 */
static void stall_datagrams(const void *arg)
{
	enum { LEN = 1000 };
	struct ht_conf conf = { .type = IBV_QPT_UD, .depth = 8 };
	uint8_t *q = hopeless(1);
	static struct ht_rig r;
	struct ibv_ah *ah;
	struct ht_mr bad;
	struct ibv_wc wc;

	ht_rig_get(&r, &conf, 8 * HT_PAGE);
	ht_rig_fill(&r, 960, NULL);
	ht_mr_get(&bad, r.b->pd, q, HT_PAGE, HT_ODP, HT_ACCESS_ALL);
	ah = ht_ah(r.a, &r.b->dev->gid);
	/* In any other state the last one would be delivered at once. */
	ht_prefetch(&r.mr[1], r.p[1], r.len);
	ht_recv(r.b, 0, &bad, q + 8, LEN + HT_GRH);
	bad.mr->lkey ^= 0xffff00;
	ht_recv(r.b, 1, &bad, q, LEN + HT_GRH);
	bad.mr->lkey ^= 0xffff00;
	ht_recv(r.b, 2, &r.mr[1], r.p[1] + 8, LEN + HT_GRH);
	for (int i = 0; i < 3; i++) {
		struct ht_wr w = ht_ud_wr(i, &r.mr[0], r.p[0] + i, LEN, ah, r.b->qp->qp_num);

		ht_do(r.a, &w);
	}
	ht_no_wc(r.b->rcq, 5);
	ht_uffd_deliver(ufd, q, 962, 0);
	ht_want_wc(r.b->rcq, &wc, 0, IBV_WC_SUCCESS);
	ht_check_fill(q + 48, LEN, 960, 0, "the datagram that waited");
	ht_check_fill(q + 48 + LEN, 100, 962, 48 + LEN, "the bytes behind");
	ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_LOC_PROT_ERR);
	ht_want_wc(r.b->rcq, &wc, 2, IBV_WC_WR_FLUSH_ERR);
	ht_check_fill(r.p[1], r.len, 961, 0, "the buffer of a receive that was flushed");
	ht_eq(ht_state(r.b), IBV_QPS_ERR);
	ht_ok(ibv_destroy_ah(ah));
	ht_mr_put(&bad);
	ht_rig_put(&r);
}

const struct ht_case storm_stall[] = {
	{ "storm-stall-roles", "QPs that wait for a page for ever stop no other, and can go",
	  stall_roles, NULL, 120 },
	{ "storm-stall-many", "40 QPs that wait for pages stop none that needs no page", stall_many,
	  NULL, 120 },
	{ "storm-stall-datagrams", "after a datagram that fails the QP no further one is delivered",
	  stall_datagrams },
	{},
};
