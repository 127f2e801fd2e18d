// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory of every kind that a region can lie on.
 *
 * It begins at a 2 MiB boundary, so that a huge page can be where the kind has
 * some and the same offset means the same place in a chunk in every run.
 *
 * "Taken away" is MADV_DONTNEED for all kinds: the process loses its page
 * table entries.  Memory without a file loses the pages, too; those of a file
 * stay in the page cache (or on the DAX device).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "perf.h"

#define HUGEPAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"
#define NODES "/sys/devices/system/node/has_memory"
#define THP_ENABLED "/sys/kernel/mm/transparent_hugepage/enabled"

const char *const perf_mem_names[PERF_MEM_KINDS + 1] = {
	[PERF_ANON] = "anon",	    [PERF_THP] = "thp",
	[PERF_HUGETLB] = "hugetlb", [PERF_TMPFS] = "tmpfs",
	[PERF_FILE] = "file",	    [PERF_FSDAX] = "fsdax",
};

static bool first_line(const char *path, char *line, int size)
{
	FILE *f = fopen(path, "re");
	bool ok = f && fgets(line, size, f);

	if (f)
		fclose(f);
	return ok;
}

static long free_hugetlb(void)
{
	char line[40];

	return first_line(HUGEPAGES, line, sizeof(line)) ? atol(line) : 0;
}

static const char *dir_missing(const char *dir, const char *option,
			       const char *what)
{
	struct stat st;

	if (!dir)
		return perf_say("no directory %s: give one with %s", what,
				option);
	if (stat(dir, &st))
		return perf_say("%s %s: %s: give a directory %s", option, dir,
				strerror(errno), what);
	if (!S_ISDIR(st.st_mode) || access(dir, W_OK | X_OK))
		return perf_say(
			"%s %s is not a directory to write in: give one %s",
			option, dir, what);
	return NULL;
}

/* The kernel tells by STATX_ATTR_DAX of a file whether it has DAX in effect. */
static bool fd_is_dax(int fd)
{
	struct statx stx;

	return !statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &stx) &&
	       stx.stx_attributes & STATX_ATTR_DAX;
}

static int temporary(const char *dir)
{
	char path[4096];
	int fd;

	if (snprintf(path, sizeof(path), "%s/perf.XXXXXX", dir) >=
	    (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static const char *fsdax_missing(const char *dir)
{
	const char *missing = dir_missing(
		dir, "--dax-dir", "on a file system with -o dax=always");
	int fd;

	if (missing)
		return missing;
	fd = temporary(dir);
	if (fd < 0)
		return perf_say("--dax-dir %s: %s: give one to write in", dir,
				strerror(errno));
	if (!fd_is_dax(fd))
		missing = perf_say("--dax-dir %s is not DAX: mount it with "
				   "-o dax=always on pmem",
				   dir);
	close(fd);
	return missing;
}

const char *perf_mem_missing(const struct perf_options *o,
			     enum perf_mem_kind kind)
{
	char line[80];

	switch (kind) {
	case PERF_THP:
		if (!first_line(THP_ENABLED, line, sizeof(line)))
			return "this kernel has no transparent huge pages";
		if (strstr(line, "[never]"))
			return "transparent huge pages are off: write madvise to " THP_ENABLED;
		return NULL;
	case PERF_HUGETLB:
		if (!free_hugetlb())
			return "no free 2 MiB hugetlb pages: write how many to "
			       "/proc/sys/vm/nr_hugepages";
		return NULL;
	case PERF_FILE:
		return dir_missing(o->file_dir, "--file-dir",
				   "of a file system with a page cache");
	case PERF_FSDAX:
		return fsdax_missing(o->dax_dir);
	default:
		return NULL;
	}
}

static int open_file(const struct perf_options *o, enum perf_mem_kind kind)
{
	switch (kind) {
	case PERF_TMPFS:
		return memfd_create("perf", MFD_CLOEXEC);
	case PERF_FILE:
		return temporary(o->file_dir);
	case PERF_FSDAX:
		return temporary(o->dax_dir);
	default:
		return -1;
	}
}

static bool is_file(enum perf_mem_kind kind)
{
	return kind == PERF_TMPFS || kind == PERF_FILE || kind == PERF_FSDAX;
}

static int map_flags(enum perf_mem_kind kind)
{
	if (is_file(kind))
		return MAP_SHARED;
	if (kind == PERF_HUGETLB)
		return MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
	/* Address space alone may be more than there is memory. */
	return MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
}

/* Address space at a 2 MiB boundary; what surrounds it is given back. */
static void *reserve(size_t len)
{
	size_t page_len = (len + PERF_PAGE - 1) / PERF_PAGE * PERF_PAGE;
	uintptr_t at, p;
	void *map;

	map = mmap(NULL, page_len + PERF_HUGE, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	at = (uintptr_t)map;
	p = (at + PERF_HUGE - 1) / PERF_HUGE * PERF_HUGE;
	if (p > at)
		munmap(map, p - at);
	if (at + PERF_HUGE > p)
		munmap((void *)(p + page_len), at + PERF_HUGE - p);
	return (void *)p;
}

static const char *make_file(struct perf_mem *m, const struct perf_options *o)
{
	int err;

	m->fd = open_file(o, m->kind);
	if (m->fd < 0)
		return perf_say("a file for %s memory: %s",
				perf_mem_names[m->kind], strerror(errno));
	if (ftruncate(m->fd, m->len))
		return perf_say("a file of %zu bytes for %s memory: %s", m->len,
				perf_mem_names[m->kind], strerror(errno));
	/*
	 * Allocate blocks now: a full file system is an error here and a SIGBUS
	 * later.
	 */
	err = posix_fallocate(m->fd, 0, m->len);
	if (err)
		return perf_say(
			"%zu bytes of %s memory: %s: free some, or take "
			"smaller sizes",
			m->len, perf_mem_names[m->kind], strerror(err));
	return NULL;
}

const char *perf_mem_map(struct perf_mem *m, size_t from, size_t len)
{
	void *p = m->p + from;

	if (mmap(p, len, PROT_READ | PROT_WRITE, map_flags(m->kind) | MAP_FIXED,
		 m->fd, is_file(m->kind) ? from : 0) == MAP_FAILED) {
		if (m->kind == PERF_HUGETLB && errno == ENOMEM)
			return perf_say("%zu free hugetlb pages are wanted, "
					"there are %ld: write more to "
					"/proc/sys/vm/nr_hugepages",
					len / PERF_HUGE, free_hugetlb());
		return perf_say("mmap of %zu bytes of %s: %s", len,
				perf_mem_names[m->kind], strerror(errno));
	}
	if (m->kind == PERF_THP && madvise(p, len, MADV_HUGEPAGE))
		return perf_say("MADV_HUGEPAGE: %s", strerror(errno));
	/* EINVAL: the kernel has no huge pages, which is fine. */
	if (m->kind == PERF_ANON)
		madvise(p, len, MADV_NOHUGEPAGE);
	return NULL;
}

static const char *map(struct perf_mem *m)
{
	m->p = reserve(m->len);
	if (!m->p)
		return perf_say("%zu bytes of address space: %s", m->len,
				strerror(errno));
	return perf_mem_map(m, 0, m->len);
}

const char *perf_mem_try(struct perf_mem *m, const struct perf_options *o,
			 enum perf_mem_kind kind, size_t len)
{
	const char *missing = perf_mem_missing(o, kind);

	memset(m, 0, sizeof(*m));
	m->fd = -1;
	m->kind = kind;
	m->page = kind == PERF_HUGETLB || kind == PERF_THP ? PERF_HUGE :
							     PERF_PAGE;
	m->len = (len + m->page - 1) / m->page * m->page;
	if (!missing && is_file(kind))
		missing = make_file(m, o);
	if (!missing)
		missing = map(m);
	if (missing)
		perf_mem_put(m);
	return missing;
}

void perf_mem_get(struct perf_mem *m, const struct perf_options *o,
		  enum perf_mem_kind kind, size_t len)
{
	const char *missing = perf_mem_try(m, o, kind, len);

	if (missing)
		perf_die("%s memory: %s", perf_mem_names[kind], missing);
}

void perf_mem_put(struct perf_mem *m)
{
	if (m->p)
		munmap(m->p, m->len);
	if (m->fd >= 0)
		close(m->fd);
	memset(m, 0, sizeof(*m));
	m->fd = -1;
}

static size_t whole_pages(const struct perf_mem *m, size_t len)
{
	size_t to = (len + m->page - 1) / m->page * m->page;

	return to < m->len ? to : m->len;
}

void perf_mem_touch(struct perf_mem *m, size_t len)
{
	size_t step = m->kind == PERF_HUGETLB ? PERF_HUGE : PERF_PAGE;

	/* A write that changes nothing: one fault, and the bytes stay. */
	for (size_t at = 0; at < whole_pages(m, len); at += step)
		__atomic_fetch_or(m->p + at, 0, __ATOMIC_RELAXED);
}

int perf_mem_cold(struct perf_mem *m, size_t len)
{
	return madvise(m->p, whole_pages(m, len), MADV_DONTNEED) ? errno : 0;
}

size_t perf_mem_huge(const struct perf_mem *m)
{
	uintptr_t from, to, p = (uintptr_t)m->p;
	bool inside = false;
	size_t kb, sum = 0;
	char line[600];
	FILE *f = fopen("/proc/self/smaps", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from < p + m->len && p < to;
		else if (inside && sscanf(line, "AnonHugePages: %zu", &kb) == 1)
			sum += kb << 10;
	}
	if (f)
		fclose(f);
	return sum;
}

bool perf_has_swap(void)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[300];
	int lines = 0;

	while (f && fgets(line, sizeof(line), f))
		lines++;
	if (f)
		fclose(f);
	return lines > 1; /* the first is a heading */
}

/* A list like 0-1,3. */
int perf_nodes(int *nodes, int most)
{
	char text[300] = "", *rest = text, *item;
	int n = 0, from, to;

	if (!first_line(NODES, text, sizeof(text)))
		return 0;
	while ((item = strsep(&rest, ",\n"))) {
		int got = sscanf(item, "%d-%d", &from, &to);

		if (got < 1)
			continue;
		if (got == 1)
			to = from;
		for (; from <= to && n < most; from++)
			nodes[n++] = from;
	}
	return n;
}
