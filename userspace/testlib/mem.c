// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory of every kind that a region can lie on.
 *
 * A mapping is placed inside a reservation (PROT_NONE, no memory behind it), so
 * that its middle can be put on a 2 MiB or a 1 GiB boundary, and so that what
 * runs over its ends hits nothing by accident.
 *
 * Where the files live comes from the environment (guest/memory sets it):
 *   HODP_FILE_DIR   a directory on ext4, through the page cache
 *   HODP_DAX_EXT4, HODP_DAX_XFS   mount points with -o dax=always
 *   HODP_DEVDAX     a device such as /dev/dax1.0
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "ht.h"

static const char *const names[HT_MEM_KINDS] = {
	[HT_ANON] = "anon",	  [HT_THP] = "thp",	  [HT_HUGETLB] = "hugetlb",
	[HT_TMPFS] = "tmpfs",	  [HT_FILE] = "ext4",	  [HT_DAX_EXT4] = "dax-ext4",
	[HT_DAX_XFS] = "dax-xfs", [HT_DEVDAX] = "devdax",
};

const char *ht_mem_name(enum ht_mem_kind kind)
{
	return names[kind];
}

static bool is_file(enum ht_mem_kind kind)
{
	return kind >= HT_TMPFS && kind <= HT_DAX_XFS;
}

bool ht_mem_persists(enum ht_mem_kind kind)
{
	return kind >= HT_TMPFS;
}

bool ht_mem_pinnable(enum ht_mem_kind kind)
{
	/* The kernel refuses long-term pins of files that need writeback. */
	return kind <= HT_TMPFS;
}

static const char *directory(enum ht_mem_kind kind)
{
	const char *dir;

	switch (kind) {
	case HT_TMPFS: return "/dev/shm";
	case HT_FILE: dir = getenv("HODP_FILE_DIR"); return dir ? dir : "/var/tmp";
	case HT_DAX_EXT4: return getenv("HODP_DAX_EXT4");
	case HT_DAX_XFS: return getenv("HODP_DAX_XFS");
	default: return NULL;
	}
}

long ht_number(const char *path)
{
	FILE *f = fopen(path, "r");
	long n = -1;

	if (f) {
		if (fscanf(f, "%ld", &n) != 1)
			n = -1;
		fclose(f);
	}
	return n;
}

const char *ht_mem_missing(enum ht_mem_kind kind)
{
	switch (kind) {
	case HT_HUGETLB:
		return ht_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") > 0 ?
			       NULL :
			       "no free 2 MiB hugetlb pages";
	case HT_DAX_EXT4:
		return directory(kind) ? NULL : "HODP_DAX_EXT4 is not set: no pmem in this guest";
	case HT_DAX_XFS:
		return directory(kind) ? NULL : "HODP_DAX_XFS is not set: no pmem in this guest";
	case HT_DEVDAX:
		return getenv("HODP_DEVDAX") ? NULL :
					       "HODP_DEVDAX is not set: no pmem in this guest";
	default: return NULL;
	}
}

void *ht_map(size_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		ht_fail("mmap of %zu bytes: %s", len, strerror(errno));
	return p;
}

void *ht_map_shared(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		ht_fail("mmap of %zu bytes: %s", len, strerror(errno));
	return p;
}

void *ht_reserve(size_t len, size_t before, size_t multiple)
{
	uintptr_t map = (uintptr_t)ht_map(len + 2 * multiple, PROT_NONE);

	return (void *)((map + before + multiple - 1) / multiple * multiple - before);
}

int ht_file(enum ht_mem_kind kind, size_t len, char *path, size_t path_len)
{
	char own[300];
	int fd;

	if (!path) {
		path = own;
		path_len = sizeof(own);
	}
	snprintf(path, path_len, "%s/hodp-test.XXXXXX", directory(kind));
	fd = mkstemp(path);
	ht_check(fd >= 0, "cannot make %s: %s", path, strerror(errno));
	if (path == own)
		ht_sys(unlink(path));
	ht_sys(ftruncate(fd, len));
	/* Allocate blocks now: ENOSPC is an error here, and a SIGBUS later. */
	if (len)
		ht_ok(posix_fallocate(fd, 0, len));
	return fd;
}

static int map_flags(enum ht_mem_kind kind)
{
	switch (kind) {
	case HT_ANON:
	case HT_THP: return MAP_PRIVATE | MAP_ANONYMOUS;
	case HT_HUGETLB: return MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
	default: return MAP_SHARED;
	}
}

/* Half of it lies below the boundary, in whole huge pages where needed. */
static void place(struct ht_mem *m, size_t straddle)
{
	size_t unit = m->page > HT_PAGE || m->kind == HT_THP ? HT_HUGE : HT_PAGE;

	m->p = ht_reserve(m->len, m->len / 2 / unit * unit, HT_MAX(straddle, HT_HUGE));
}

/* Each mapping of a case uses another part of the device. */
static void open_devdax(struct ht_mem *m)
{
	static off_t next;

	m->fd = ht_sys(open(getenv("HODP_DEVDAX"), O_RDWR | O_CLOEXEC));
	m->off = next;
	next += m->len;
}

void ht_mem_get(struct ht_mem *m, enum ht_mem_kind kind, size_t len, size_t straddle)
{
	const char *why = ht_mem_missing(kind);
	void *p;

	if (why)
		ht_skip("%s", why);
	memset(m, 0, sizeof(*m));
	m->kind = kind;
	m->fd = -1;
	m->page = kind == HT_HUGETLB || kind == HT_DEVDAX ? HT_HUGE : HT_PAGE;
	m->len = (len + m->page - 1) / m->page * m->page;
	if (is_file(kind))
		m->fd = ht_file(kind, m->len, NULL, 0);
	else if (kind == HT_DEVDAX)
		open_devdax(m);
	place(m, straddle);
	p = mmap(m->p, m->len, PROT_READ | PROT_WRITE, map_flags(kind) | MAP_FIXED, m->fd, m->off);
	if (p == MAP_FAILED && kind == HT_HUGETLB && errno == ENOMEM)
		ht_skip("not enough hugetlb pages for %zu bytes", m->len);
	ht_check(p != MAP_FAILED, "mmap of %zu bytes of %s: %s", m->len, names[kind],
		 strerror(errno));
	if (kind == HT_THP && madvise(m->p, m->len, MADV_HUGEPAGE))
		ht_skip("no transparent huge pages: %s", strerror(errno));
	if (kind == HT_ANON && madvise(m->p, m->len, MADV_NOHUGEPAGE))
		ht_check(errno == EINVAL, "MADV_NOHUGEPAGE: %s", strerror(errno));
}

void ht_mem_put(struct ht_mem *m)
{
	if (m->p)
		ht_sys(munmap(m->p, m->len));
	if (m->fd >= 0)
		close(m->fd);
	memset(m, 0, sizeof(*m));
	m->fd = -1;
}

void ht_mem_cold(struct ht_mem *m, size_t off, size_t len)
{
	size_t from = off / m->page * m->page;
	size_t to = (off + len + m->page - 1) / m->page * m->page;

	if (to > m->len)
		to = m->len;
	ht_sys(madvise(m->p + from, to - from, MADV_DONTNEED));
}

uint64_t ht_pagemap(const void *p)
{
	int fd = ht_sys(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	uint64_t entry;

	ht_eq(pread(fd, &entry, 8, (uintptr_t)p / HT_PAGE * 8), 8);
	close(fd);
	return entry;
}

bool ht_present(const void *p)
{
	return ht_pagemap(p) >> 63;
}

int ht_uffd_missing(void *p, size_t len)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)p, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	ht_check(fd >= 0, "userfaultfd: %s", strerror(errno));
	ht_sys(ioctl(fd, UFFDIO_API, &api));
	ht_sys(madvise(p, len, MADV_NOHUGEPAGE));
	ht_sys(ioctl(fd, UFFDIO_REGISTER, &reg));
	return fd;
}

void ht_uffd_deliver(int uffd, void *to, uint64_t seed, uint64_t at)
{
	static uint8_t page[HT_PAGE] __attribute__((aligned(HT_PAGE)));
	struct uffdio_copy copy = {
		.dst = (uintptr_t)to,
		.src = (uintptr_t)page,
		.len = HT_PAGE,
	};

	ht_fill(page, HT_PAGE, seed, at);
	ht_sys(ioctl(uffd, UFFDIO_COPY, &copy));
}
