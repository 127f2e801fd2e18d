// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Changes of the address space beside the traffic: on the pages being transferred
 * only those that keep their bytes and rights, on the churn pages between them all
 * kinds.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "storm.h"

#define RW (PROT_READ | PROT_WRITE)

static void map_churn(uint8_t *p, int prot)
{
	ht_true(mmap(p, HT_PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
}

/* The owner writes a churn page after each change and finds its bytes unchanged. */
static void gust_churn(struct fleet *f, struct ht_rng *r)
{
	struct ht_mem *m = &f->mem[ht_below(r, 2)];
	int slot = ht_below(r, f->lanes);
	uint8_t *p = m->p + slot * SLOT + CELLS * CELL;
	uint64_t seed = ht_rand(r);

	if (m->fd < 0)
		switch (ht_below(r, 3)) {
		case 0: ht_sys(madvise(p, HT_PAGE, MADV_DONTNEED)); break;
		case 1:
			ht_sys(mprotect(p, HT_PAGE, PROT_NONE));
			ht_yield();
			ht_sys(mprotect(p, HT_PAGE, RW));
			break;
		default:
			/* Unmapped, but reserved: other threads map, too. */
			map_churn(p, PROT_NONE);
			ht_yield();
			map_churn(p, RW);
			ht_check_value(p, HT_PAGE, 0, "a new churn page");
		}
	ht_fill(p, HT_PAGE, seed, 0);
	ht_yield();
	ht_check_fill(p, HT_PAGE, seed, 0, "a churn page");
}

static void range(struct fleet *f, struct ht_rng *r, struct ht_mem **m, size_t *off, size_t *len)
{
	size_t pages;

	*m = &f->mem[ht_below(r, 2)];
	pages = (*m)->len / (*m)->page;
	*off = ht_below(r, pages) * (*m)->page;
	*len = (1 + ht_below(r, HT_MIN(pages - *off / (*m)->page, 64))) * (*m)->page;
}

static void gust_rights(struct fleet *f, struct ht_rng *r)
{
	struct ht_mem *m;
	size_t off, len;

	range(f, r, &m, &off, &len);
	ht_sys(mprotect(m->p + off, len, RW | PROT_EXEC));
	ht_yield();
	ht_sys(mprotect(m->p + off, len, RW));
}

static void gust_remap(struct fleet *f, struct ht_rng *r)
{
	struct ht_mem *m;
	size_t off, len;

	range(f, r, &m, &off, &len);
	if (ht_below(r, 2))
		ht_sys(madvise(m->p + off, len, MADV_DONTNEED));
	else
		ht_true(mmap(m->p + off, len, RW, MAP_SHARED | MAP_FIXED, m->fd, m->off + off) ==
			m->p + off);
}

static void gust_fork(void)
{
	pid_t pid = fork();
	int status;

	ht_check(pid >= 0, "fork: %s", strerror(errno));
	if (!pid)
		_exit(0);
	ht_sys(waitpid(pid, &status, 0));
	ht_eq(status, 0);
}

void *storm_run(void *arg)
{
	struct fleet *f = arg;
	struct ht_rng r = { ht_seed("storm") };

	while (!atomic_load(&f->over)) {
		for (int i = 0; f->weather & OTHER_PAGES && i < 4; i++)
			gust_churn(f, &r);
		if (f->weather & RIGHTS)
			gust_rights(f, &r);
		if (f->weather & REMAP)
			gust_remap(f, &r);
		if (f->weather & FORKS)
			gust_fork();
		f->gusts++;
		ht_yield();
	}
	return NULL;
}
