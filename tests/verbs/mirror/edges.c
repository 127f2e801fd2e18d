// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Where an invalidation begins and ends: at, before and behind each boundary in the
 * mirror (page, 2 MiB chunk, 1 GiB window), and across them. The stage lies around
 * a multiple of 1 GiB, so its middle is a boundary of all three.
 */
#include <sys/mman.h>

#include "mirror.h"

#define HALF (4 * HT_MIB)
#define LEN (2 * HALF)
#define SEED 700

static struct ht_rig r;
static struct ht_mr mr;
static uint8_t *stage;
static int fd;
/* What each page of the stage shows: pool 0 or pool 1. */
static uint8_t shows[LEN / HT_PAGE];

static void show(size_t from, size_t to, int pool)
{
	ht_true(mmap(stage + from, to - from, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		     pool * LEN + from) == stage + from);
	memset(shows + from / HT_PAGE, pool, (to - from) / HT_PAGE);
}

static void look(size_t off, const char *what)
{
	if (off >= LEN)
		return;
	ht_rdma(r.a, IBV_WR_RDMA_READ, &r.mr[0], r.p[0], HT_PAGE, &mr, stage + off);
	ht_check_fill(r.p[0], HT_PAGE, SEED + shows[off / HT_PAGE], off, what);
}

/* The pages at both ends of [from, to), inside and outside. */
static void look_around(size_t from, size_t to)
{
	look(to - HT_PAGE, "the last page that changed");
	look(to, "the page behind it");
	look(from, "the first page that changed");
	look(from - HT_PAGE, "the page before it");
	look((from + to) / 2 / HT_PAGE * HT_PAGE, "a page in the middle");
}

static void setup(void)
{
	uint8_t *pools;

	ht_rig_get(&r, NULL, HT_PAGE);
	if (!ht_mr_is_odp(ht_best_mr(r.b->dev)))
		ht_skip("pinned regions keep their pages by design");
	fd = ht_sys(memfd_create("pools", MFD_CLOEXEC));
	ht_sys(ftruncate(fd, 2 * LEN));
	pools = mmap(NULL, 2 * LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ht_true(pools != MAP_FAILED);
	for (int i = 0; i < 2; i++)
		ht_fill(pools + i * LEN, LEN, SEED + i, 0);
	stage = ht_reserve(LEN, HALF, HT_GIB);
	show(0, LEN, 0);
	ht_mr_get(&mr, r.b->pd, stage, LEN, HT_ODP, HT_ACCESS_ALL);
}

/* Ranges between any two of these places: a page, a chunk or two, the window's edge. */
static void edges(const void *arg)
{
	static const size_t at[] = { 0,
				     HT_PAGE,
				     HALF - HT_HUGE - HT_PAGE,
				     HALF - HT_HUGE,
				     HALF - HT_PAGE,
				     HALF,
				     HALF + HT_PAGE,
				     HALF + HT_HUGE,
				     HALF + HT_HUGE + HT_PAGE,
				     LEN - HT_PAGE,
				     LEN };

	setup();
	ht_eq((uintptr_t)(stage + HALF) % HT_GIB, 0);
	for (size_t i = 0; i < HT_LEN(at); i++) {
		for (size_t k = i + 1; k < HT_LEN(at); k++) {
			ht_prefetch(&mr, stage, LEN);
			show(at[i], at[k], 1);
			look_around(at[i], at[k]);
			ht_prefetch(&mr, stage, LEN);
			show(at[i], at[k], 0);
			look_around(at[i], at[k]);
		}
	}
}

/* Windows that share a slot of the mirror's short list are not confused. */
static void far_windows(const void *arg)
{
	static const int apart[] = { 1, 2, 8, 31, 32, 33, 64, 65 };
	uint8_t *first, *p[HT_LEN(apart) + 1];
	struct ht_mr far[HT_LEN(apart) + 1];

	ht_rig_get(&r, NULL, HT_PAGE);
	if (!ht_mr_is_odp(ht_best_mr(r.b->dev)))
		ht_skip("a pinned region has no windows");
	first = ht_reserve(66 * HT_GIB, 0, HT_GIB);
	for (size_t i = 0; i < HT_LEN(p); i++) {
		p[i] = first + (i ? apart[i - 1] * HT_GIB : 0) + 5 * HT_PAGE;
		ht_sys(mprotect(p[i], HT_PAGE, PROT_READ | PROT_WRITE));
		ht_fill(p[i], HT_PAGE, SEED + i, 0);
		ht_mr_get(&far[i], r.b->pd, p[i], HT_PAGE, HT_ODP, HT_ACCESS_ALL);
	}
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < HT_LEN(p); i++) {
			ht_rdma(r.a, IBV_WR_RDMA_READ, &r.mr[0], r.p[0], HT_PAGE, &far[i], p[i]);
			ht_check_fill(r.p[0], HT_PAGE, SEED + i + round * 100, 0, "READ");
			ht_fill(r.p[0], HT_PAGE, SEED + i + (round + 1) * 100, 0);
			ht_rdma(r.a, IBV_WR_RDMA_WRITE, &r.mr[0], r.p[0], HT_PAGE, &far[i], p[i]);
			ht_check_fill(p[i], HT_PAGE, SEED + i + (round + 1) * 100, 0, "WRITE");
		}
	}
}

const struct ht_case mirror_edges[] = {
	{ "mirror-edges", "changes are seen at every edge of page, chunk and window", edges, NULL,
	  180 },
	{ "mirror-far-windows", "pages many GiB apart are not taken for each other", far_windows },
	{},
};
