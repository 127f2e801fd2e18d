// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Another process's mappings and pages, by /proc/PID/maps and pagemap.
 *
 * The mappings are looked up before each event, because the process makes and
 * drops them as it likes.  A page is known by its pagemap word: present or not,
 * and which page frame (for those who may see it, CAP_SYS_ADMIN).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "evictor.h"

#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_FRAME ((1ULL << 55) - 1)

struct mapping {
	uint64_t start, end, offset;
	char rights[5];
	const char *name; /* "" if it has none */
};

void evictor_target_process(struct evictor_target *t, pid_t pid)
{
	char path[40];
	int fd;

	t->pid = pid;
	t->pidfd = pidfd_open(pid, 0);
	if (t->pidfd < 0)
		perf_die("process %d: %s: give the id of a process that runs",
			 pid, strerror(errno));
	fcntl(t->pidfd, F_SETFD, FD_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		perf_die("%s: %s: %s", path, strerror(errno),
			 errno == ESRCH ? "kernel threads have no memory of "
					  "their own: give another process" :
					  "run the evictor as root");
	close(fd);
}

void evictor_target_file(struct evictor_target *t, const char *file)
{
	struct stat st;

	t->file = realpath(file, NULL);
	t->fd = open(file, O_RDWR | O_CLOEXEC);
	if (!t->file || t->fd < 0 || fstat(t->fd, &st))
		perf_die("--file %s: %s: give a file that can be written", file,
			 strerror(errno));
	if (!S_ISREG(st.st_mode) || !st.st_size)
		perf_die("--file %s: give a regular file that is not empty",
			 file);
}

static bool hex_range(const char *text, struct evictor_range *r)
{
	char *end;

	if (strncmp(text, "0x", 2))
		return false;
	errno = 0;
	r->start = strtoull(text, &end, 16);
	if (errno || *end != '+' || r->start % PERF_PAGE)
		return false;
	r->len = perf_size(end + 1);
	return !(r->len % PERF_PAGE) && r->start + r->len > r->start;
}

void evictor_target_which(struct evictor_target *t, const char *which)
{
	struct evictor_range r;

	if (strcmp(which, "largest") && strcmp(which, "anonymous") &&
	    strcmp(which, "heap") && *which != '/' && !hex_range(which, &r))
		perf_die("--range %s: use largest, anonymous, heap, the path "
			 "of a mapping, or 0xSTART+LENGTH in whole pages",
			 which);
	t->which = which;
}

/* --- which mappings ------------------------------------------------------- */

static bool read_mapping(char *line, struct mapping *m)
{
	unsigned long long start, end, offset;
	int at = 0;
	size_t len;

	if (sscanf(line, "%llx-%llx %4s %llx %*s %*s %n", &start, &end,
		   m->rights, &offset, &at) != 4 ||
	    !at)
		return false;
	m->start = start;
	m->end = end;
	m->offset = offset;
	m->name = line + at;
	len = strlen(m->name);
	if (len && m->name[len - 1] == '\n')
		line[at + len - 1] = 0;
	return true;
}

static bool is_anonymous(const struct mapping *m)
{
	return !*m->name || !strcmp(m->name, "[heap]") ||
	       !strncmp(m->name, "[anon:", 6);
}

static enum evictor_backing backing_of_path(const char *path)
{
	struct statfs fs;
	struct statx stx;

	if (!strncmp(path, "/memfd:", 7) || !strncmp(path, "/SYSV", 5) ||
	    !strncmp(path, "/dev/zero", 9))
		return EVICTOR_SHMEM;
	if (!strncmp(path, "/anon_hugepage", 14))
		return EVICTOR_HUGETLB;
	if (!statfs(path, &fs)) {
		if (fs.f_type == TMPFS_MAGIC)
			return EVICTOR_SHMEM;
		if (fs.f_type == HUGETLBFS_MAGIC)
			return EVICTOR_HUGETLB;
	}
	if (!statx(AT_FDCWD, path, 0, STATX_TYPE, &stx) &&
	    stx.stx_attributes & STATX_ATTR_DAX)
		return EVICTOR_DAX;
	return EVICTOR_PAGE_CACHE;
}

/* The kernel adds " (deleted)" to the name of a file that has none any more. */
static bool same_name(const char *name, const char *path)
{
	size_t len = strlen(path);

	return !strncmp(name, path, len) &&
	       (!name[len] || !strcmp(name + len, " (deleted)"));
}

static void add_range(struct evictor_target *t, const struct mapping *m)
{
	struct evictor_range *r;

	if (t->n == EVICTOR_RANGES)
		return;
	r = &t->ranges[t->n++];
	r->start = m->start;
	r->len = m->end - m->start;
	r->offset = m->offset;
	t->total += r->len;
	t->backing = is_anonymous(m) ? EVICTOR_ANON : backing_of_path(m->name);
}

/* The whole range must lie within one mapping. */
static void consider_hex(struct evictor_target *t, const struct mapping *m,
			 const struct evictor_range *want)
{
	struct mapping part = *m;

	if (want->start < m->start || want->start + want->len > m->end)
		return;
	part.start = want->start;
	part.end = want->start + want->len;
	part.offset += want->start - m->start;
	add_range(t, &part);
}

static bool is_private_memory(const struct mapping *m)
{
	return m->rights[0] == 'r' && m->rights[1] == 'w' &&
	       m->rights[3] == 'p' && is_anonymous(m);
}

static void consider(struct evictor_target *t, const struct mapping *m,
		     const struct evictor_range *want)
{
	if (t->file) {
		if (same_name(m->name, t->file))
			add_range(t, m);
	} else if (want->len) {
		consider_hex(t, m, want);
	} else if (!strcmp(t->which, "heap")) {
		if (!strcmp(m->name, "[heap]"))
			add_range(t, m);
	} else if (*t->which == '/') {
		if (same_name(m->name, t->which))
			add_range(t, m);
	} else if (!is_private_memory(m)) {
		return;
	} else if (!strcmp(t->which, "anonymous")) {
		add_range(t, m);
	} else if (m->end - m->start > t->total) {
		t->n = 0;
		t->total = 0;
		add_range(t, m);
	}
}

static bool find_in_file(struct evictor_target *t)
{
	struct stat st;

	if (fstat(t->fd, &st) || st.st_size < (off_t)PERF_PAGE)
		return false;
	t->total = st.st_size / PERF_PAGE * PERF_PAGE;
	t->ranges[0] = (struct evictor_range){ .len = t->total };
	t->n = 1;
	t->backing = backing_of_path(t->file);
	return true;
}

bool evictor_target_find(struct evictor_target *t)
{
	struct evictor_range want = { 0 };
	struct mapping m;
	char path[40], *line = NULL;
	size_t room = 0;
	FILE *maps;

	t->n = 0;
	t->total = 0;
	if (!t->pid)
		return find_in_file(t);
	hex_range(t->which, &want);
	snprintf(path, sizeof(path), "/proc/%d/maps", t->pid);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	while (getline(&line, &room, maps) > 0) {
		if (read_mapping(line, &m))
			consider(t, &m, &want);
	}
	free(line);
	fclose(maps);
	return t->n > 0;
}

int evictor_target_next(const struct evictor_target *t, uint64_t *cursor,
			uint64_t bytes, struct evictor_range *pieces)
{
	uint64_t at, skip, left = bytes < t->total ? bytes : t->total;
	int n = 0;

	/* The target may have shrunk since the last event. */
	at = *cursor % t->total;
	*cursor = (at + left) % t->total;
	skip = at;
	/* Two rounds: the piece may begin near the end and end at the start. */
	for (int i = 0; left && i < 2 * t->n; i++) {
		const struct evictor_range *r = &t->ranges[i % t->n];
		uint64_t len;

		if (skip >= r->len) {
			skip -= r->len;
			continue;
		}
		len = r->len - skip < left ? r->len - skip : left;
		if (n == EVICTOR_RANGES)
			break;
		pieces[n++] = (struct evictor_range){
			.start = r->start ? r->start + skip : 0,
			.len = len,
			.offset = r->offset + skip,
		};
		left -= len;
		skip = 0;
	}
	return n;
}

/* --- which pages ---------------------------------------------------------- */

uint64_t *evictor_pages(const struct evictor_target *t,
			const struct evictor_range *pieces, int n,
			size_t *npages)
{
	size_t at = 0, total = 0;
	uint64_t *words;
	char path[40];
	int fd;

	for (int i = 0; i < n; i++)
		total += pieces[i].len / PERF_PAGE;
	*npages = total;
	words = calloc(total, sizeof(*words));
	perf_need(words, "memory for the pagemap");
	snprintf(path, sizeof(path), "/proc/%d/pagemap", t->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return words; /* it has just ended: nothing is present */
	for (int i = 0; i < n; i++) {
		size_t pages = pieces[i].len / PERF_PAGE;

		/* What a short read leaves out stays 0: not present. */
		if (pread(fd, words + at, pages * sizeof(*words),
			  pieces[i].start / PERF_PAGE * sizeof(*words)) < 0)
			break;
		at += pages;
	}
	close(fd);
	return words;
}

size_t evictor_gone(const uint64_t *before, const uint64_t *after,
		    size_t npages, size_t *present)
{
	size_t gone = 0;

	*present = 0;
	for (size_t i = 0; i < npages; i++) {
		if (!(before[i] & PAGEMAP_PRESENT))
			continue;
		(*present)++;
		gone += !(after[i] & PAGEMAP_PRESENT) ||
			(before[i] & PAGEMAP_FRAME) !=
				(after[i] & PAGEMAP_FRAME);
	}
	return gone;
}
