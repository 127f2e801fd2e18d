// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How pages are taken away from outside.
 *
 *   pageout   process_madvise(MADV_PAGEOUT): reclaim, as under memory pressure.
 *             Memory without a file goes to swap.  Pages of files must be clean
 *             first, so they are written back before the event.
 *   punch     fallocate(PUNCH_HOLE): the bytes are lost.
 *   migrate   move_pages(): to the next NUMA node, and so around.
 *   collapse  process_madvise(MADV_COLLAPSE): small pages become huge ones.
 *             What is huge already does not move, so it is split before the
 *             event.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "evictor.h"

const char *const evictor_how_names[EVICTOR_HOWS + 1] = {
	[EVICTOR_PAGEOUT] = "pageout",
	[EVICTOR_PUNCH] = "punch",
	[EVICTOR_MIGRATE] = "migrate",
	[EVICTOR_COLLAPSE] = "collapse",
};

/* --- what is missing ------------------------------------------------------ */

static const char *pageout_missing(const struct evictor_target *t)
{
	switch (t->backing) {
	case EVICTOR_ANON:
	case EVICTOR_SHMEM:
		if (perf_has_swap())
			return NULL;
		return "memory without a file goes to swap, and there is none: "
		       "make some with mkswap and swapon, or take --file";
	case EVICTOR_DAX:
		return "a DAX file has no pages to reclaim: use --how punch";
	case EVICTOR_HUGETLB:
		return "hugetlb pages are never reclaimed: use memory of "
		       "another kind";
	default:
		return NULL;
	}
}

static const char *punch_missing(const struct evictor_target *t)
{
	if (!t->file)
		return "punching destroys bytes of a file: name it with --file";
	return NULL;
}

static const char *migrate_missing(const struct evictor_target *t)
{
	int nodes[2];

	if (!t->pid)
		return "pages are moved in a process: name it with --pid";
	if (t->backing == EVICTOR_DAX)
		return "a DAX file has no pages that move: use --how punch";
	if (perf_nodes(nodes, 2) < 2)
		return "there is one NUMA node only: boot the kernel with "
		       "numa=fake=2, or use --how collapse";
	return NULL;
}

static const char *collapse_missing(const struct evictor_target *t)
{
	if (!t->pid)
		return "pages are collapsed in a process: name it with --pid";
	switch (t->backing) {
	case EVICTOR_ANON:
	case EVICTOR_SHMEM:
		return NULL;
	default:
		return "only anonymous memory and tmpfs collapse: use --how "
		       "migrate or punch";
	}
}

const char *evictor_how_missing(enum evictor_how how,
				const struct evictor_target *t)
{
	switch (how) {
	case EVICTOR_PAGEOUT:
		if (!t->pid)
			return "pages are reclaimed from a process: name it "
			       "with --pid";
		return pageout_missing(t);
	case EVICTOR_PUNCH:
		return punch_missing(t);
	case EVICTOR_MIGRATE:
		return migrate_missing(t);
	default:
		return collapse_missing(t);
	}
}

/* --- doing it ------------------------------------------------------------- */

static int advise(const struct evictor_target *t,
		  const struct evictor_range *pieces, int n, int advice)
{
	struct iovec iov[EVICTOR_RANGES];

	for (int i = 0; i < n; i++) {
		iov[i].iov_base = (void *)pieces[i].start;
		iov[i].iov_len = pieces[i].len;
	}
	if (process_madvise(t->pidfd, iov, n, advice, 0) >= 0)
		return 0;
	/* The mapping has changed since it was looked up. */
	return errno == ENOMEM && advice == MADV_PAGEOUT ? ENODATA : errno;
}

static int punch(const struct evictor_target *t,
		 const struct evictor_range *pieces, int n)
{
	for (int i = 0; i < n; i++) {
		if (fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      pieces[i].offset, pieces[i].len))
			return errno;
	}
	return 0;
}

static int other_node(int node, const int *nodes, int n)
{
	int i;

	for (i = 0; i < n && nodes[i] != node; i++)
		;
	return nodes[(i + 1) % n];
}

/* Every page of @r goes to the node after the one where it is. */
static int migrate_range(const struct evictor_target *t,
			 const struct evictor_range *r, const int *nodes,
			 int nnodes)
{
	size_t n = 0, pages = r->len / PERF_PAGE;
	void **at = calloc(pages, sizeof(*at));
	int *where = calloc(pages, sizeof(*where));
	int *to = calloc(pages, sizeof(*to));
	int err = 0;

	perf_need(at && where && to, "memory for move_pages");
	for (size_t i = 0; i < pages; i++)
		at[i] = (void *)(r->start + i * PERF_PAGE);
	if (syscall(SYS_move_pages, t->pid, pages, at, NULL, where, 0) < 0)
		err = errno;
	for (size_t i = 0; i < pages; i++) {
		if (where[i] < 0)
			continue; /* not present */
		at[n] = at[i];
		to[n++] = other_node(where[i], nodes, nnodes);
	}
	if (!err && n &&
	    syscall(SYS_move_pages, t->pid, n, at, to, where,
		    MPOL_MF_MOVE_ALL) < 0)
		err = errno;
	free(at);
	free(where);
	free(to);
	return err;
}

static int migrate(const struct evictor_target *t,
		   const struct evictor_range *pieces, int n)
{
	int nodes[64], nnodes = perf_nodes(nodes, 64), err = 0;

	if (!nnodes)
		return ENODEV; /* memory hotplug has taken them */
	for (int i = 0; i < n && !err; i++)
		err = migrate_range(t, &pieces[i], nodes, nnodes);
	return err;
}

/*
 * The whole huge pages that can be in @r, which may be none.  Those of a file
 * lie at the file's own multiples of 2 MiB.
 */
static struct evictor_range huge_part(const struct evictor_target *t,
				      const struct evictor_range *r)
{
	uint64_t from = (r->start + PERF_HUGE - 1) / PERF_HUGE * PERF_HUGE;
	uint64_t to = (r->start + r->len) / PERF_HUGE * PERF_HUGE;

	if (from >= to ||
	    (t->backing != EVICTOR_ANON && (r->start - r->offset) % PERF_HUGE))
		return (struct evictor_range){ 0 };
	return (struct evictor_range){ .start = from, .len = to - from };
}

/* ENODATA if nothing there could be huge. */
static int collapse(const struct evictor_target *t,
		    const struct evictor_range *pieces, int n)
{
	struct evictor_range huge[EVICTOR_RANGES];
	int nhuge = 0;

	for (int i = 0; i < n; i++) {
		huge[nhuge] = huge_part(t, &pieces[i]);
		nhuge += huge[nhuge].len != 0;
	}
	return nhuge ? advise(t, huge, nhuge, MADV_COLLAPSE) : ENODATA;
}

/*
 * MADV_COLD of a part of a huge page splits it, unless somebody has pinned it.
 * Of a small page it says that it was not used lately.
 */
static void split(const struct evictor_target *t,
		  const struct evictor_range *pieces, int n)
{
	for (int i = 0; i < n; i++) {
		struct evictor_range huge = huge_part(t, &pieces[i]);

		for (uint64_t at = 0; at < huge.len; at += PERF_HUGE) {
			struct evictor_range page = { huge.start + at,
						      PERF_PAGE, 0 };

			advise(t, &page, 1, MADV_COLD);
		}
	}
}

const char *evictor_how_lacks(enum evictor_how how,
			      const struct evictor_target *t,
			      const struct evictor_range *pieces, int n)
{
	bool large = false;

	if (how != EVICTOR_COLLAPSE)
		return NULL;
	for (int i = 0; i < n; i++) {
		if (huge_part(t, &pieces[i]).len)
			return NULL;
		large = large || pieces[i].len >= 2 * PERF_HUGE;
	}
	if (large && t->backing == EVICTOR_SHMEM)
		return "tmpfs memory collapses where its mapping is aligned as "
		       "the file is: mount the tmpfs with -o huge=advise";
	return "memory collapses where a mapping holds an aligned 2 MiB, and "
	       "none does: use a larger buffer";
}

/*
 * A page that has just been brought back waits in a list of the CPU that did it
 * before reclaim sees it, and MADV_PAGEOUT empties the list of its own CPU only.
 * move_pages() empties those of all, even if it has nothing to move.  Where it
 * is not there, fewer pages go.
 */
static void empty_cpu_lists(void)
{
	int node = 0;

	syscall(SYS_move_pages, 0, 0UL, NULL, &node, NULL, MPOL_MF_MOVE);
}

int evictor_how_before(enum evictor_how how, const struct evictor_target *t,
		       const struct evictor_range *pieces, int n)
{
	if (how == EVICTOR_COLLAPSE)
		split(t, pieces, n);
	if (how != EVICTOR_PAGEOUT)
		return 0;
	empty_cpu_lists();
	if (t->fd < 0 || t->backing != EVICTOR_PAGE_CACHE)
		return 0;
	for (int i = 0; i < n; i++) {
		if (sync_file_range(t->fd, pieces[i].offset, pieces[i].len,
				    SYNC_FILE_RANGE_WAIT_BEFORE |
					    SYNC_FILE_RANGE_WRITE |
					    SYNC_FILE_RANGE_WAIT_AFTER))
			return errno;
	}
	return 0;
}

int evictor_how_take(enum evictor_how how, const struct evictor_target *t,
		     const struct evictor_range *pieces, int n)
{
	switch (how) {
	case EVICTOR_PAGEOUT:
		return advise(t, pieces, n, MADV_PAGEOUT);
	case EVICTOR_PUNCH:
		return punch(t, pieces, n);
	case EVICTOR_MIGRATE:
		return migrate(t, pieces, n);
	default:
		return collapse(t, pieces, n);
	}
}
