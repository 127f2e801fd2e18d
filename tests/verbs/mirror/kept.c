// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* One change of the address space between two operations. */
#include <sys/mman.h>

#include "mirror.h"

#define LEN (16 * HT_PAGE)

/*
 * Page by page from the end: a page fault brings in the rest of an operation, which
 * would hide a stale entry behind the first missing one.
 */
static void rdma(struct mirror_rig *m, enum ibv_wr_opcode op)
{
	for (size_t at = MIRROR_LEN; at; at -= HT_PAGE)
		ht_rdma(m->rig.a, op, &m->rig.mr[0], m->rig.p[0] + at - HT_PAGE, HT_PAGE, &m->mr,
			m->stage + at - HT_PAGE);
}

static void remap_read(const void *arg)
{
	static struct mirror_rig m;

	mirror_get(&m);
	for (int i = 0; i < 2; i++)
		ht_fill(m.pool[i], MIRROR_LEN, 500 + i, 0);
	for (int round = 0; round < 4; round++) {
		mirror_show(&m, round % 2);
		rdma(&m, IBV_WR_RDMA_READ);
		ht_check_fill(m.rig.p[0], MIRROR_LEN, 500 + round % 2, 0,
			      "READ after an mmap over the region");
	}
}

static void remap_write(const void *arg)
{
	static struct mirror_rig m;

	mirror_get(&m);
	mirror_show(&m, 0);
	ht_fill(m.rig.p[0], MIRROR_LEN, 510, 0);
	rdma(&m, IBV_WR_RDMA_WRITE);
	ht_check_fill(m.pool[0], MIRROR_LEN, 510, 0, "the first pages");
	ht_sys(munmap(m.stage, MIRROR_LEN));
	mirror_show(&m, 1);
	ht_fill(m.rig.p[0], MIRROR_LEN, 511, 0);
	rdma(&m, IBV_WR_RDMA_WRITE);
	ht_check_fill(m.pool[0], MIRROR_LEN, 510, 0, "pages that were unmapped");
	ht_check_fill(m.pool[1], MIRROR_LEN, 511, 0, "pages in their place");
}

/* The pages move elsewhere and stay in use. */
static void moved(const void *arg)
{
	static struct mirror_rig m;
	uint8_t *to;

	mirror_get(&m);
	mirror_show(&m, 0);
	ht_fill(m.rig.p[0], MIRROR_LEN, 520, 0);
	rdma(&m, IBV_WR_RDMA_WRITE);
	to = ht_reserve(MIRROR_LEN, 0, HT_HUGE);
	ht_true(mremap(m.stage, MIRROR_LEN, MIRROR_LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	mirror_show(&m, 1);
	ht_fill(m.rig.p[0], MIRROR_LEN, 521, 0);
	rdma(&m, IBV_WR_RDMA_WRITE);
	ht_check_fill(to, MIRROR_LEN, 520, 0, "pages that were moved");
	ht_check_fill(m.stage, MIRROR_LEN, 521, 0, "pages in their place");
}

struct twins {
	uint8_t *p;
	int go[2];
};

static void child_looks(void *arg)
{
	struct twins *t = arg;
	char c;

	ht_eq(read(t->go[0], &c, 1), 1);
	ht_check_fill(t->p, LEN, 530, 0, "the child's pages after a WRITE to the parent's");
}

/* The entry is writable when the process forks; the page is shared then. */
static void forked(const void *arg)
{
	static struct ht_rig r;
	struct twins t;
	pid_t pid;

	ht_rig_get(&r, NULL, LEN);
	if (!ht_mr_is_odp(ht_best_mr(r.b->dev)))
		ht_skip("a pinned page is copied for the child at fork");
	ht_fill(r.p[0], LEN, 530, 0);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, LEN, 0);
	t.p = r.p[1];
	ht_sys(pipe(t.go));
	pid = ht_fork(child_looks, &t);
	ht_fill(r.p[0], LEN, 531, 0);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, LEN, 0);
	ht_eq(write(t.go[1], "", 1), 1);
	ht_join(pid);
	ht_check_fill(r.p[1], LEN, 531, 0, "the parent's pages");
}

/*
 * MADV_FREE leaves pages writable and clean, and reclaim drops them unless they are
 * written. A WRITE counts, though the CPU's page table does not show it.
 */
static void lazyfree(const void *arg)
{
	static struct ht_rig r;
	size_t gone = 0;

	ht_rig_get(&r, NULL, 2 * LEN);
	for (int again = 0; again < 2; again++) {
		ht_fill(r.p[1], 2 * LEN, 540, 0);
		ht_sys(madvise(r.p[1], 2 * LEN, MADV_FREE));
		ht_fill(r.p[0], LEN, 541 + again, 0);
		ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, LEN, 0);
		ht_sys(madvise(r.p[1], 2 * LEN, MADV_PAGEOUT));
		for (size_t i = LEN; i < 2 * LEN; i += HT_PAGE)
			gone += !ht_present(r.p[1] + i);
		ht_check_fill(r.p[1], LEN, 541 + again, 0, "a WRITE after MADV_FREE");
	}
	ht_note("of %lu pages that nobody wrote, %zu were dropped", 2 * LEN / HT_PAGE, gone);
	/* Otherwise the case proves nothing. */
	ht_check(gone, "MADV_PAGEOUT dropped no page after MADV_FREE");
}

const struct ht_case mirror_kept[] = {
	{ "mirror-remap-read", "a READ sees what is mapped now", remap_read },
	{ "mirror-remap-write", "a WRITE never reaches pages that were unmapped", remap_write },
	{ "mirror-moved", "a WRITE never follows pages that were moved", moved },
	{ "mirror-forked", "a WRITE to the parent's pages spares the child's", forked },
	{ "mirror-lazyfree", "reclaim treats a WRITE as modified data", lazyfree },
	{},
};
