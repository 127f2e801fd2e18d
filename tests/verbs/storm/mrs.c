// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Regions that are registered and deregistered under traffic.
 *
 * An access is served completely or fails with a remote access error. After dereg
 * has returned, no byte changes and the old key is invalid.
 */
#include "storm.h"

#define REGIONS 6
#define LEN (8 * HT_PAGE)
#define AT 700
#define PIECE (LEN - 2 * AT)

struct region {
	struct ht_side s[2];
	uint8_t *p[2]; /* local, in a region that stays; remote */
	pthread_mutex_t bytes; /* held by the current owner */
	_Atomic(uint32_t) rkey, old_rkey;
	struct ht_mr mr;
	long good, late, stale;
};

static struct fleet f;
static struct region reg[REGIONS];
static struct ht_mem mem[2];
static struct ht_mr local;
static atomic_bool over;

static void *registrar(void *arg)
{
	static uint8_t before[LEN];
	long *rounds = arg, n = ht_count(40);

	while (n-- > 0) {
		for (int i = 0; i < REGIONS; i++) {
			struct region *g = &reg[i];

			pthread_mutex_lock(&g->bytes);
			ht_mr_put(&g->mr);
			memcpy(before, g->p[1], LEN);
			for (int k = 0; k < 8; k++)
				ht_yield();
			ht_check_bytes(g->p[1], before, LEN, "memory after dereg has returned");
			pthread_mutex_unlock(&g->bytes);
			for (int k = 0; k < 8; k++)
				ht_yield();
			ht_mr_get(&g->mr, f.pair.s[1].pd, g->p[1], LEN, HT_ODP, HT_ACCESS_ALL);
			atomic_store(&g->old_rkey, atomic_load(&g->rkey));
			atomic_store(&g->rkey, g->mr.mr->rkey);
			++*rounds;
			ht_yield();
		}
	}
	atomic_store(&over, true);
	return NULL;
}

static void again(struct region *g)
{
	struct ht_conf conf = { .sge = 1, .mtu = f.pair.conf.mtu };

	for (int i = 0; i < 2; i++)
		ht_ok(ht_to(&g->s[i], IBV_QPS_RESET));
	ht_connect_two(&g->s[0], &g->s[1], &conf);
}

static void access_once(struct region *g, struct ht_rng *r)
{
	enum ibv_wr_opcode op = ht_below(r, 2) ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ;
	bool stale = !ht_below(r, 8) && atomic_load(&g->old_rkey);
	int from = op == IBV_WR_RDMA_READ;
	uint64_t seed = ht_rand(r) << 1;
	struct ht_wr w = {
		.id = seed,
		.op = op,
		.len = PIECE,
		.lkey = local.mr->lkey,
		.addr = ht_iova(&local, g->p[0] + AT),
		.raddr = (uintptr_t)g->p[1] + AT,
	};
	struct ibv_wc wc;

	pthread_mutex_lock(&g->bytes);
	ht_fill(g->p[from], LEN, seed, 0);
	ht_fill(g->p[!from], LEN, seed + 1, 0);
	pthread_mutex_unlock(&g->bytes);
	w.rkey = atomic_load(stale ? &g->old_rkey : &g->rkey);
	/* Give the registrar time to get ahead. */
	if (ht_below(r, 2))
		ht_yield();
	ht_post(g->s[0].qp, &w);
	ht_next_wc(g->s[0].scq, &wc, "of an access to a region that comes and goes");
	ht_eq(wc.wr_id, seed);
	pthread_mutex_lock(&g->bytes);
	ht_check_fill(g->p[from], LEN, seed, 0, "the source");
	ht_check_fill(g->p[!from], AT, seed + 1, 0, "the bytes before");
	ht_check_fill(g->p[!from] + AT + PIECE, AT, seed + 1, AT + PIECE, "the bytes behind");
	if (wc.status == IBV_WC_SUCCESS) {
		ht_check(!stale, "a key opens a region after dereg");
		ht_check_fill(g->p[!from] + AT, PIECE, seed, AT, "the bytes of an access");
		g->good++;
	} else if (stale) {
		ht_check_fill(g->p[!from], LEN, seed + 1, 0, "what an old key named");
		g->stale++;
	} else {
		g->late++;
	}
	pthread_mutex_unlock(&g->bytes);
	if (wc.status != IBV_WC_SUCCESS) {
		ht_check(wc.status == IBV_WC_REM_ACCESS_ERR, "an access to a region that goes: %s",
			 ibv_wc_status_str(wc.status));
		again(g);
	}
}

static void *accessor(void *arg)
{
	struct region *g = arg;
	struct ht_rng r = { ht_seed("accessor") + (g - reg) };

	while (!atomic_load(&over))
		access_once(g, &r);
	return NULL;
}

static void prepare(void)
{
	struct ht_conf conf = { .sge = 1 };

	for (int i = 0; i < 2; i++)
		ht_mem_get(&mem[i], HT_ANON, REGIONS * LEN, 0);
	ht_mr_get(&local, f.pair.s[0].pd, mem[0].p, mem[0].len, HT_ODP, HT_ACCESS_ALL);
	for (int k = 0; k < REGIONS; k++) {
		struct region *g = &reg[k];

		pthread_mutex_init(&g->bytes, NULL);
		for (int i = 0; i < 2; i++)
			g->p[i] = mem[i].p + k * LEN;
		ht_second_pair(g->s, &f.pair, &conf);
		ht_mr_get(&g->mr, f.pair.s[1].pd, g->p[1], LEN, HT_ODP, HT_ACCESS_ALL);
		g->rkey = g->mr.mr->rkey;
	}
}

static void mrs_storm(const void *arg)
{
	pthread_t thread[REGIONS], storm;
	long rounds = 0, good = 0, late = 0, stale = 0;

	fleet_get(&f, 16, HT_ANON, MANY_MRS, OTHER_PAGES);
	ht_need_mr(f.pair.s[0].dev, HT_ODP);
	prepare();
	fleet_sail(&f, ht_count(20));
	ht_ok(pthread_create(&storm, NULL, registrar, &rounds));
	for (int i = 0; i < REGIONS; i++)
		ht_ok(pthread_create(&thread[i], NULL, accessor, &reg[i]));
	storm_thread_join(storm, "the registrar");
	for (int i = 0; i < REGIONS; i++) {
		storm_thread_join(thread[i], "an accessor");
		good += reg[i].good;
		late += reg[i].late;
		stale += reg[i].stale;
	}
	fleet_home(&f);
	ht_note("%ld registrations; %ld accesses served, %ld too late, %ld with old keys", rounds,
		good, late, stale);
	ht_check(good && late && stale, "the storm was no storm");
}

const struct ht_case storm_mrs[] = {
	{ "storm-mrs", "an access to a region that comes and goes is whole or refused", mrs_storm,
	  NULL, 150 },
	{},
};
