// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The memory that the mirror itself takes, and who is charged for it. */
#include <sys/mman.h>

#include "mirror.h"

static struct ht_rig r;

#define PIECE (2 * HT_GIB)
#define PIECES 256

static int advise(const struct ht_mr *mr, enum ibv_advise_mr_advice advice, uint8_t *p)
{
	static struct ibv_sge sge[PIECES];

	for (size_t i = 0; i < PIECES; i++)
		sge[i] = ht_sge(mr, p + i * PIECE, PIECE);
	return ibv_advise_mr(r.b->pd, advice, IBV_ADVISE_MR_FLAG_FLUSH, sge, PIECES);
}

/*
 * Advice about half a TiB of nothing: not mapped, mapped without rights, and mapped
 * but never touched. It would take 4 MiB if each GiB got a window.
 */
static void holes(const void *arg)
{
	size_t len = PIECES * PIECE, before;
	struct ht_mr all;
	uint8_t *p[3], *page;

	ht_rig_get(&r, NULL, HT_PAGE);
	ht_need_mr(r.b->dev, HT_ODP_IMPLICIT);
	ht_mr_get(&all, r.b->pd, NULL, 0, HT_ODP_IMPLICIT, HT_ACCESS_ALL);
	ht_cgroup_enter("mirror");
	p[0] = ht_map(len, PROT_READ | PROT_WRITE);
	p[1] = ht_map(len, PROT_NONE);
	p[2] = ht_map(len, PROT_READ);
	/* One page in the middle, which the advice is to find. */
	page = p[2] + len / 2 + HT_GIB / 2;
	ht_true(mmap(page, HT_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     -1, 0) == page);
	ht_fill(page, HT_PAGE, 740, 0);
	ht_sys(munmap(p[2], page - p[2]));
	before = ht_cgroup_stat("mirror", "slab");
	for (int i = 0; i < 3; i++) {
		size_t now;

		ht_ok(advise(&all, IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, p[i]));
		now = ht_cgroup_stat("mirror", "slab");
		ht_check(now < before + HT_MIB, "advice %d about nothing takes %zu KiB", i,
			 (now - before) / HT_KIB);
	}
	ht_rdma(r.a, IBV_WR_RDMA_READ, &r.mr[0], r.p[0], HT_PAGE, &all, page);
	ht_check_fill(r.p[0], HT_PAGE, 740, 0, "a page between holes");
	/* Asking for pages where there can be none is an error. */
	ht_errno(advise(&all, IBV_ADVISE_MR_ADVICE_PREFETCH, p[1]), EFAULT);
	ht_errno(advise(&all, IBV_ADVISE_MR_ADVICE_PREFETCH, p[2]), EFAULT);
}

/*
 * Chunks and their tables are charged to the process that they mirror, although a
 * worker allocates them: a table of 4 KiB for one page in each of 256 chunks.
 */
static void charged(const void *arg)
{
	size_t chunks = 256, before, now;
	struct ht_mr mr;
	uint8_t *p;

	ht_rig_get(&r, NULL, HT_PAGE);
	ht_need_mr(r.b->dev, HT_ODP);
	p = ht_map(chunks * HT_HUGE, PROT_READ | PROT_WRITE);
	/* Small pages: a huge one needs no table. */
	ht_sys(madvise(p, chunks * HT_HUGE, MADV_NOHUGEPAGE));
	ht_mr_get(&mr, r.b->pd, p, chunks * HT_HUGE, HT_ODP, HT_ACCESS_ALL);
	ht_cgroup_enter("mirror");
	before = ht_cgroup_stat("mirror", "slab");
	ht_fill(r.p[0], HT_PAGE, 741, 0);
	for (size_t i = 0; i < chunks; i++)
		ht_rdma(r.a, IBV_WR_RDMA_WRITE, &r.mr[0], r.p[0], HT_PAGE, &mr, p + i * HT_HUGE);
	now = ht_cgroup_stat("mirror", "slab");
	for (size_t i = 0; i < chunks; i++)
		ht_check_fill(p + i * HT_HUGE, HT_PAGE, 741, 0, "WRITE");
	ht_check(now >= before + chunks * HT_PAGE, "%zu tables of 4 KiB cost their process %zu KiB",
		 chunks, (now - before) / HT_KIB);
}

const struct ht_case mirror_memory[] = {
	{ "mirror-holes", "advice about addresses that map nothing takes no memory", holes },
	{ "mirror-charged", "the mirror's memory is charged to the process", charged },
	{},
};
