// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Peers that are destroyed while others send to them.
 *
 * A target lives for a few operations, and another thread destroys it in the middle
 * of them. An operation that succeeded has arrived completely; one that failed did
 * so because the peer did not answer, and left the bytes around its target alone.
 */
#include "storm.h"

#define TARGETS 8
#define OPS 6
#define PIECE 6000
#define ROOM (PIECE + 128)

enum phase { IDLE, ARMED, GONE };

struct target {
	struct ht_side a, b;
	uint8_t *p[2];
	_Atomic(int) phase;
};

static struct fleet f; /* the bystanders */
static struct target t[TARGETS];
static struct ht_mem mem;
static struct ht_mr mr[2];
static atomic_bool over;
static long good, bad;

static const struct ht_conf conf = {
	.depth = 16,
	.sge = 1,
	.timeout = 1,
	.retry = 1,
	.rnr_retry = HT_NONE,
};

static void *destroyer(void *arg)
{
	struct ht_rng r = { ht_seed("destroyer") };

	while (!atomic_load(&over)) {
		for (int i = 0; i < TARGETS; i++) {
			if (atomic_load(&t[i].phase) != ARMED || ht_below(&r, 3))
				continue;
			ht_side_put(&t[i].b);
			atomic_store(&t[i].phase, GONE);
		}
		ht_yield();
	}
	return NULL;
}

static void rise(struct target *g, const struct ht_side *cqs, bool first)
{
	if (first)
		ht_side_clone(&g->a, cqs, &conf);
	else
		ht_ok(ht_to(&g->a, IBV_QPS_RESET));
	ht_side_clone(&g->b, &cqs[1], &conf);
	ht_connect_two(&g->b, &g->a, &conf);
}

/* WRITEs and SENDs alternate; all their bytes differ from what is there. */
static void shoot(struct target *g, int index, uint64_t seed)
{
	ht_fill(g->p[0], OPS * ROOM, seed, 0);
	ht_fill(g->p[1], OPS * ROOM, seed + 1, 0);
	for (int k = 1; k < OPS; k += 2)
		ht_recv(&g->b, index * OPS + k, &mr[1], g->p[1] + k * ROOM + 64, PIECE);
	atomic_store(&g->phase, ARMED);
	for (int k = 0; k < OPS; k++) {
		struct ht_wr w =
			ht_rdma_wr(index * OPS + k, k % 2 ? IBV_WR_SEND : IBV_WR_RDMA_WRITE, &mr[0],
				   g->p[0] + k * ROOM + 64, PIECE, &mr[1], g->p[1] + k * ROOM + 64);

		ht_post(g->a.qp, &w);
	}
}

static void look(struct target *g, uint64_t seed, const bool *ok)
{
	for (int k = 0; k < OPS; k++) {
		const uint8_t *p = g->p[1] + k * ROOM;

		ht_check_fill(p, 64, seed + 1, k * ROOM, "before a target's bytes");
		ht_check_fill(p + 64 + PIECE, 64, seed + 1, k * ROOM + 64 + PIECE,
			      "behind a target's bytes");
		if (ok[k])
			ht_check_fill(p + 64, PIECE, seed, k * ROOM + 64,
				      "what a target got before it went");
	}
	ht_check_fill(g->p[0], OPS * ROOM, seed, 0, "what was sent");
}

static void one_life(struct target *g, int index, const struct ht_side *cqs, uint64_t seed,
		     bool first)
{
	bool ok[OPS] = { false }, failed = false;
	struct ibv_wc wc;

	rise(g, cqs, first);
	shoot(g, index, seed);
	for (int k = 0; k < OPS; k++) {
		ht_next_wc(cqs->scq, &wc, "of a request to a peer that goes");
		ht_eq(wc.wr_id, index * OPS + k);
		ok[k] = wc.status == IBV_WC_SUCCESS;
		if (ok[k]) {
			ht_check(!failed, "request %d succeeds after one that failed", k);
			good++;
			continue;
		}
		ht_check(wc.status == (failed ? IBV_WC_WR_FLUSH_ERR : IBV_WC_RETRY_EXC_ERR),
			 "request %d to a peer that goes: %s", k, ibv_wc_status_str(wc.status));
		failed = true;
		bad++;
	}
	ht_wait_until(atomic_load(&g->phase) == GONE, "the end of a target");
	look(g, seed, ok);
	/* Its receives are flushed or lost; neither matters here. */
	while (ibv_poll_cq(cqs[1].rcq, 1, &wc) > 0)
		;
	atomic_store(&g->phase, IDLE);
}

static void qps_storm(const void *arg)
{
	struct ht_rng r = { ht_seed("lives") };
	long lives = ht_count(25);
	struct ht_side cqs[2];
	pthread_t thread;

	fleet_get(&f, 16, HT_ANON, ONE_MR, OTHER_PAGES);
	ht_mem_get(&mem, HT_ANON, 2 * TARGETS * OPS * ROOM, 0);
	for (int i = 0; i < 2; i++) {
		ht_mr_get(&mr[i], f.pair.s[i].pd, mem.p, mem.len, HT_ODP, HT_ACCESS_ALL);
		cqs[i] = f.pair.s[i];
		ht_side_create(&cqs[i], NULL, 0);
	}
	for (int i = 0; i < TARGETS; i++)
		for (int side = 0; side < 2; side++)
			t[i].p[side] = mem.p + (2 * i + side) * OPS * ROOM;
	fleet_sail(&f, lives);
	ht_ok(pthread_create(&thread, NULL, destroyer, NULL));
	for (long n = 0; n < lives; n++)
		for (int i = 0; i < TARGETS; i++)
			one_life(&t[i], i, cqs, ht_rand(&r) << 1, !n);
	atomic_store(&over, true);
	storm_thread_join(thread, "the destroyer");
	fleet_home(&f);
	ht_note("%ld requests served, %ld too late", good, bad);
}

/* Several threads create and destroy QPs in all states. */
static void *churn_qps(void *arg)
{
	struct ht_rng r = { ht_seed("churn") + (uintptr_t)arg };
	long n = ht_count(60);
	struct ht_side base = f.pair.s[0], s[4] = { 0 };
	struct ht_addr nobody;

	ht_side_create(&base, NULL, 0);
	ht_addr_of(&nobody, &base);
	for (long i = 0; i < n; i++) {
		struct ht_side *x = &s[ht_below(&r, 4)];
		int state = ht_below(&r, 4);

		if (x->qp)
			ht_side_put(x);
		ht_side_clone(x, &base, NULL);
		if (state > 0)
			ht_ok(ht_to_init(x, NULL));
		if (state > 1)
			ht_ok(ht_to_rtr(x, NULL, &nobody));
		if (state > 2)
			ht_ok(ht_to_rts(x, NULL));
		ht_eq(ht_state(x), state == 0 ? IBV_QPS_RESET :
				   state == 1 ? IBV_QPS_INIT :
				   state == 2 ? IBV_QPS_RTR :
						IBV_QPS_RTS);
		ht_yield();
	}
	for (int i = 0; i < 4; i++)
		ht_side_put(&s[i]);
	ht_side_put(&base);
	return NULL;
}

static void qps_churn(const void *arg)
{
	pthread_t thread[3];

	fleet_get(&f, 32, HT_ANON, ONE_MR, 0);
	fleet_sail(&f, ht_count(30));
	for (uintptr_t i = 0; i < HT_LEN(thread); i++)
		ht_ok(pthread_create(&thread[i], NULL, churn_qps, (void *)i));
	for (size_t i = 0; i < HT_LEN(thread); i++)
		storm_thread_join(thread[i], "a thread that makes QPs");
	fleet_home(&f);
}

const struct ht_case storm_qps[] = {
	{ "storm-qps-targets", "a peer that is destroyed in mid-traffic is a clean error",
	  qps_storm, NULL, 150 },
	{ "storm-qps-churn", "creating and destroying QPs in all states disturbs no other",
	  qps_churn, NULL, 120 },
	{},
};
