// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The range that events happen to.
 *
 * It is made anew before each event: a fresh mapping, because munmap, mprotect
 * or a split huge page leave one that is another; then the CPU gives it its
 * pages; then, for REG_ODP, the device READs all of it, so that its page table
 * holds them.  A pinned region would go on with the pages that it once pinned,
 * so it is registered anew, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inval.h"

#define ACCESS                                              \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | \
	 IBV_ACCESS_REMOTE_READ)

const char *const reg_names[REGS + 1] = {
	[REG_NONE] = "none",
	[REG_PINNED] = "pinned",
	[REG_EMPTY] = "odp-empty",
	[REG_ODP] = "odp",
};

void victim_fill(uint8_t *p, size_t len, uint64_t seed)
{
	for (size_t at = 0; at < len; at += PERF_PAGE)
		perf_fill(p + at, PERF_PAGE, seed + at);
}

size_t victim_wrong(const uint8_t *p, size_t len, uint64_t seed)
{
	size_t wrong = 0;

	for (size_t at = 0; at < len; at += PERF_PAGE)
		wrong += perf_wrong(p + at, PERF_PAGE, seed + at);
	return wrong;
}

const char *victim_get(struct tools *t, enum perf_mem_kind kind, size_t size)
{
	struct victim *v = &t->v;
	const char *missing;
	void *spare;

	memset(v, 0, sizeof(*v));
	missing = perf_mem_try(&v->mem, &t->o, kind, ZONE + size);
	if (missing)
		return missing;
	v->p = v->mem.p + ZONE;
	v->size = size;
	v->map = v->mem.len - ZONE;
	/* The spare has the same offset in a huge page as the range. */
	spare = mmap(NULL, v->map + PERF_HUGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	perf_need(spare != MAP_FAILED, "address space for mremap");
	v->spare = (void *)(((uintptr_t)spare + PERF_HUGE - 1) &
			    ~(uintptr_t)(PERF_HUGE - 1));
	perf_mem_touch(&v->mem, ZONE_PAGES * PERF_PAGE);
	return NULL;
}

static void unregister(struct tools *t)
{
	if (t->v.mr)
		ibv_dereg_mr(t->v.mr);
	t->v.mr = NULL;
}

void victim_put(struct tools *t)
{
	unregister(t);
	perf_mem_put(&t->v.mem);
	/* The spare's edges stay; they are only address space. */
	munmap(t->v.spare, t->v.map);
}

const char *victim_map(struct victim *v)
{
	bool file = v->mem.fd >= 0;
	int err;

	if (file && v->fresh && ftruncate(v->mem.fd, ZONE))
		return perf_say("ftruncate: %s", strerror(errno));
	if (file && ftruncate(v->mem.fd, ZONE + v->map))
		return perf_say("ftruncate: %s", strerror(errno));
	err = file ? posix_fallocate(v->mem.fd, ZONE, v->map) : 0;
	if (err)
		return perf_say("fallocate: %s", strerror(err));
	return perf_mem_map(&v->mem, ZONE, v->map);
}

const char *victim_known(struct tools *t)
{
	struct victim *v = &t->v;

	for (size_t at = 0; at < v->map; at += SCRATCH) {
		size_t len = v->map - at < SCRATCH ? v->map - at : SCRATCH;
		int status = perf_probe_do(&t->probe, IBV_WR_RDMA_READ,
					   v->p + at, v->mr->rkey, len);

		if (status)
			return perf_say("a READ of the range: %s",
					perf_status(status));
	}
	return NULL;
}

const char *victim_make(struct tools *t, uint64_t seed)
{
	struct victim *v = &t->v;
	const char *why;

	if (v->reg == REG_PINNED)
		unregister(t);
	why = victim_map(v);
	if (why)
		return why;
	if (seed)
		victim_fill(v->p, v->map, seed);
	else
		for (size_t at = 0; at < v->map; at += PERF_PAGE)
			__atomic_fetch_or(v->p + at, 0, __ATOMIC_RELAXED);
	if (v->reg != REG_NONE && !v->mr) {
		v->mr = ibv_reg_mr(t->dev.far->pd, v->mem.p, ZONE + v->map,
				   v->reg == REG_PINNED ?
					   ACCESS :
					   ACCESS | IBV_ACCESS_ON_DEMAND);
	}
	if (v->reg != REG_NONE && !v->mr) {
		/* Pages of a shared file must not be pinned for writing. */
		v->refused = errno == EOPNOTSUPP ||
			     (v->reg == REG_PINNED && v->mem.fd >= 0);
		return perf_say("ibv_reg_mr, %s: %s", reg_names[v->reg],
				strerrorname_np(errno));
	}
	return v->reg == REG_ODP ? victim_known(t) : NULL;
}
