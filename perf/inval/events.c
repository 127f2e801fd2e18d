// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The system calls that take pages or rights away, one row each.
 *
 * migrate wants two NUMA nodes: on one, move_pages() leaves every page where it
 * is, and nothing else in the kernel moves the pages of a given range without
 * doing more than that.  collapse moves small pages into a huge one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inval.h"

#define BIT(kind) (1u << (kind))
#define ANONS (BIT(PERF_ANON) | BIT(PERF_THP))
#define FILES (BIT(PERF_TMPFS) | BIT(PERF_FILE) | BIT(PERF_FSDAX))
#define ALL (ANONS | FILES | BIT(PERF_HUGETLB))

/* --- what became of the pages ------------------------------------------------ */

/* Pages of the range that are of all of @categories; -1: cannot be known. */
static long count_pages(const struct victim *v, uint64_t categories)
{
	struct page_region regions[64];
	uint64_t at = (uintptr_t)v->p, end = at + v->size;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	long pages = 0;

	while (fd >= 0 && at < end) {
		struct pm_scan_arg arg = {
			.size = sizeof(arg),
			.start = at,
			.end = end,
			.vec = (uintptr_t)regions,
			.vec_len = 64,
			.category_mask = categories,
			.return_mask = categories,
		};
		int n = ioctl(fd, PAGEMAP_SCAN, &arg);

		if (n < 0) {
			close(fd);
			return -1;
		}
		for (int i = 0; i < n; i++)
			pages +=
				(regions[i].end - regions[i].start) / PERF_PAGE;
		at = arg.walk_end;
	}
	if (fd < 0)
		return -1;
	close(fd);
	return pages;
}

long huge_pages(const struct victim *v)
{
	return count_pages(v, PAGE_IS_HUGE);
}

static size_t hits_absent(const struct victim *v)
{
	long present = count_pages(v, PAGE_IS_PRESENT);

	/* If it cannot be known, do not claim it. */
	return present < 0 ? 0 : v->size / PERF_PAGE - present;
}

static size_t hits_huge(const struct victim *v)
{
	long huge = huge_pages(v);

	return huge < 0 ? 0 : huge;
}

/* --- madvise ------------------------------------------------------------------ */

static int advise(struct victim *v, int advice)
{
	return madvise(v->p, v->size, advice) ? errno : 0;
}

static int fire_dontneed(struct victim *v)
{
	return advise(v, MADV_DONTNEED);
}

static int fire_free(struct victim *v)
{
	return advise(v, MADV_FREE);
}

static int fire_pageout(struct victim *v)
{
	return advise(v, MADV_PAGEOUT);
}

static int fire_collapse(struct victim *v)
{
	return advise(v, MADV_COLLAPSE);
}

/* khugepaged could be first, but it looks only every ten seconds. */
static int before_collapse(struct victim *v)
{
	return advise(v, MADV_HUGEPAGE);
}

static const char *pageout_missing(const struct victim *v)
{
	return v->mem.kind == PERF_FILE || perf_has_swap() ?
		       NULL :
		       "there is no swap to page out to: swapon some";
}

static const char *collapse_missing(const struct victim *v)
{
	return access("/sys/kernel/mm/transparent_hugepage", F_OK) ?
		       "this kernel has no transparent huge pages" :
		       NULL;
}

/* --- the mapping ---------------------------------------------------------------- */

static int fire_munmap(struct victim *v)
{
	return munmap(v->p, v->size) ? errno : 0;
}

static int fire_read_only(struct victim *v)
{
	return mprotect(v->p, v->size, PROT_READ) ? errno : 0;
}

static int fire_no_access(struct victim *v)
{
	return mprotect(v->p, v->size, PROT_NONE) ? errno : 0;
}

static int fire_mremap(struct victim *v)
{
	return mremap(v->p, v->size, v->size, MREMAP_MAYMOVE | MREMAP_FIXED,
		      v->spare) == MAP_FAILED ?
		       errno :
		       0;
}

static void after_mremap(struct victim *v)
{
	/* Address space again, so that nobody else gets it. */
	mmap(v->spare, v->map, PROT_NONE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

/* --- fork ----------------------------------------------------------------- */

/* The child of verify() lives until its parent has closed the pipe, or died. */
static int before_fork(struct victim *v)
{
	/*
	 * A child that preempts its parent would be part of the measured time.
	 */
	sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){ 0 });
	return v->hold_child && pipe2(v->child_pipe, O_CLOEXEC) ? errno : 0;
}

static void child(const struct victim *v)
{
	char c;

	if (!v->hold_child)
		_exit(0);
	close(v->child_pipe[1]);
	while (read(v->child_pipe[0], &c, 1) < 0 && errno == EINTR)
		;
	_exit(victim_wrong(v->p, v->map, SEED_BEFORE) != 0);
}

static int fire_fork(struct victim *v)
{
	pid_t pid = fork();

	if (!pid)
		child(v);
	v->child = pid > 0 ? pid : 0;
	return pid < 0 ? errno : 0;
}

bool child_verdict(struct victim *v)
{
	int status = -1;

	for (int i = 0; i < 2 && v->hold_child; i++)
		close(v->child_pipe[i]);
	v->hold_child = false;
	while (v->child && waitpid(v->child, &status, 0) < 0 && errno == EINTR)
		;
	v->child = 0;
	return !status;
}

static void after_fork(struct victim *v)
{
	sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){ 0 });
	child_verdict(v);
}

/* --- files ---------------------------------------------------------------- */

static int fire_truncate(struct victim *v)
{
	return ftruncate(v->mem.fd, ZONE) ? errno : 0;
}

static int fire_punch(struct victim *v)
{
	return fallocate(v->mem.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 ZONE, v->size) ?
		       errno :
		       0;
}

/* --- migration ------------------------------------------------------------ */

/* What move_pages() takes; made by before_migrate() for the range. */
static struct {
	size_t n, room;
	void **page;
	int *to, *status;
} migration;

static const char *migrate_missing(const struct victim *v)
{
	int nodes[2];

	return perf_nodes(nodes, 2) == 2 ?
		       NULL :
		       "pages migrate between NUMA nodes, and one only has "
		       "memory: boot with numa=fake=2";
}

static int move(int *to)
{
	long left = syscall(SYS_move_pages, 0, migration.n, migration.page, to,
			    migration.status, 2 /* MPOL_MF_MOVE */);

	return left < 0 ? errno : 0;
}

static int before_migrate(struct victim *v)
{
	size_t step = v->mem.page;
	int nodes[2], err;

	migration.n = (v->size + step - 1) / step;
	if (migration.n > migration.room) {
		migration.room = migration.n;
		migration.page = realloc(migration.page, 8 * migration.n);
		migration.to = realloc(migration.to, 4 * migration.n);
		migration.status = realloc(migration.status, 4 * migration.n);
		perf_need(migration.page && migration.to && migration.status,
			  "memory for addresses");
	}
	for (size_t i = 0; i < migration.n; i++)
		migration.page[i] = v->p + i * step;
	perf_nodes(nodes, 2);
	err = move(NULL); /* where are they? */
	for (size_t i = 0; i < migration.n; i++)
		migration.to[i] = migration.status[i] == nodes[0] ? nodes[1] :
								    nodes[0];
	return err;
}

static int fire_migrate(struct victim *v)
{
	return move(migration.to);
}

static size_t hits_migrate(const struct victim *v)
{
	size_t moved = 0, pages = v->size / PERF_PAGE;

	for (size_t i = 0; i < migration.n; i++)
		moved += migration.status[i] == migration.to[i];
	moved *= v->mem.page / PERF_PAGE;
	return moved < pages ? moved : pages;
}

/* --- the table ------------------------------------------------------------ */

const struct event events[] = {
	{ "dontneed", ALL, PERF_PAGE, THEN_ZERO, THEN_KEPT,
	  .fire = fire_dontneed },
	{ "free", ANONS, PERF_PAGE, THEN_FREED, .fire = fire_free },
	{ "pageout", ANONS | BIT(PERF_TMPFS) | BIT(PERF_FILE), PERF_PAGE,
	  THEN_KEPT, THEN_KEPT, .missing = pageout_missing,
	  .fire = fire_pageout, .hits = hits_absent },
	{ "munmap", ALL, PERF_PAGE, THEN_GONE, THEN_GONE, .fire = fire_munmap },
	{ "mprotect-ro", ALL, PERF_PAGE, THEN_READ_ONLY, THEN_READ_ONLY,
	  .fire = fire_read_only },
	{ "mprotect-none", ALL, PERF_PAGE, THEN_GONE, THEN_GONE,
	  .fire = fire_no_access },
	{ "mremap", ALL, PERF_PAGE, THEN_GONE, THEN_GONE, .fire = fire_mremap,
	  .after = after_mremap },
	{ "fork", ALL, PERF_PAGE, THEN_KEPT, THEN_KEPT, .before = before_fork,
	  .fire = fire_fork, .after = after_fork },
	{ "truncate", FILES, PERF_PAGE, .then_file = THEN_GONE,
	  .fire = fire_truncate },
	{ "punch", FILES, PERF_PAGE, .then_file = THEN_ZERO,
	  .fire = fire_punch },
	{ "migrate", ALL & ~BIT(PERF_FSDAX), PERF_PAGE, THEN_KEPT, THEN_KEPT,
	  .missing = migrate_missing, .before = before_migrate,
	  .fire = fire_migrate, .hits = hits_migrate },
	{ "collapse", BIT(PERF_ANON) | BIT(PERF_TMPFS), PERF_HUGE, THEN_KEPT,
	  THEN_KEPT, .missing = collapse_missing, .before = before_collapse,
	  .fire = fire_collapse, .again = true, .fresh = true,
	  .hits = hits_huge },
	{ NULL },
};

bool event_fits(const struct event *e, enum perf_mem_kind kind, size_t size)
{
	size_t page = kind == PERF_HUGETLB ? PERF_HUGE : PERF_PAGE;

	return e->mems & BIT(kind) && !(size % e->granule) && !(size % page);
}
