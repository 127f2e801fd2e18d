// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Files: truncated, extended, with holes, written back. What RDMA wrote into a
 * mapping is in the file, however the file is read.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "inval.h"

static struct iv v;
static uint8_t *copy;

static void setup(const void *arg)
{
	iv_get_hot(&v, *(const enum ht_mem_kind *)arg);
	copy = aligned_alloc(HT_PAGE, v.len);
}

/* read(2) returns pattern @seed there. */
static void in_file(size_t off, size_t len, uint64_t seed, const char *what)
{
	ht_eq(pread(v.m.fd, copy, len, off), (ssize_t)len);
	ht_check_fill(copy, len, seed, off, what);
}

static void truncated(const void *arg)
{
	size_t half = IV_LEN / 2;

	setup(arg);
	/* All of it … */
	ht_sys(ftruncate(v.m.fd, 0));
	iv_status(&v, 0, v.len, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	iv_status(&v, 100, 8, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	ht_sys(ftruncate(v.m.fd, v.len));
	iv_read_value(&v, 0, v.len, 0, "READ after the file has grown");
	iv_write(&v, 0, v.len, 3);
	in_file(0, v.len, 3, "the file, grown and written");
	/* … the upper half … */
	ht_sys(ftruncate(v.m.fd, half));
	iv_status(&v, half, HT_PAGE, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	iv_status(&v, half - 1, 2, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	iv_write(&v, 0, half - 1, 4);
	in_file(0, half - 1, 4, "the lower half");
	/* Truncate to the middle of a page: the rest of the page is zeros after the file grows. */
	ht_sys(ftruncate(v.m.fd, 5 * HT_PAGE + 1000));
	iv_write(&v, 0, 5 * HT_PAGE + 1000, 5);
	ht_sys(ftruncate(v.m.fd, v.len));
	in_file(0, 5 * HT_PAGE + 1000, 5, "what was left");
	iv_read(&v, 0, 5 * HT_PAGE + 1000, 5, "what was left, by RDMA");
	iv_read_value(&v, 5 * HT_PAGE + 1000, 20 * HT_PAGE, 0, "what was cut off");
	iv_write(&v, 0, v.len, 6);
	in_file(0, v.len, 6, "the file at the end");
}

static void punched(const void *arg)
{
	setup(arg);
	for (int round = 0; round < 3; round++) {
		size_t off = (1 + 300 * round) * HT_PAGE, n = 250 * HT_PAGE;

		if (fallocate(v.m.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, n))
			ht_fail("punching a hole: %s", strerror(errno));
		iv_read_value(&v, off, n, 0, "READ of the hole");
		iv_read(&v, 0, HT_PAGE, 2, "before the hole");
		iv_read(&v, off + n, 20 * HT_PAGE, 2, "behind the hole");
		ht_eq(pread(v.m.fd, copy, n, off), (ssize_t)n);
		ht_check_value(copy, n, 0, "the hole in the file");
		iv_write(&v, off + 7, n - 14, 7 + round);
		in_file(off + 7, n - 14, 7 + round, "WRITE into the hole");
		iv_write(&v, off, n, 2);
		in_file(0, v.len, 2, "the file, filled again");
	}
}

/* write(2) and RDMA in turns. */
static void coherent(const void *arg)
{
	struct ht_rng g = { ht_seed("coherent") };

	setup(arg);
	for (long i = 0; i < ht_count(60); i++) {
		size_t n = 1 + ht_below(&g, 30000), off = ht_below(&g, v.len - n);

		ht_fill(copy, n, 1000 + i, off);
		ht_eq(pwrite(v.m.fd, copy, n, off), (ssize_t)n);
		iv_read(&v, off, n, 1000 + i, "what write(2) wrote");
		iv_write(&v, off, n, 2000 + i);
		in_file(off, n, 2000 + i, "what RDMA wrote");
	}
}

static void drop_caches(void)
{
	ht_true(ht_put("/proc/sys/vm/drop_caches", "3"));
}

/*
 * Writeback makes pages clean and read-only. A small WRITE after it must make
 * its page dirty again, or it is lost when the page is dropped.
 */
static void writeback(const void *arg)
{
	setup(arg);
	for (uint64_t round = 10; round < 14; round++) {
		ht_sys(fsync(v.m.fd));
		for (size_t i = 0; i < v.len; i += 64 * HT_PAGE)
			iv_write(&v, i + 11, 8, round);
		ht_sys(fsync(v.m.fd));
		/* Mapped pages are not dropped, so take them out of the page tables first. */
		ht_sys(madvise(v.p, v.len, MADV_DONTNEED));
		drop_caches();
		for (size_t i = 0; i < v.len; i += 64 * HT_PAGE)
			in_file(i + 11, 8, round, "a WRITE after writeback");
		in_file(HT_PAGE, 60 * HT_PAGE, 2, "what was not written");
	}
}

/* The same without fsync after the WRITE: the device must have marked the page dirty. */
static void writeback_late(const void *arg)
{
	setup(arg);
	ht_sys(fsync(v.m.fd));
	drop_caches();
	iv_write(&v, 4 * HT_PAGE + 1, 100, 20);
	ht_sys(madvise(v.p, v.len, MADV_DONTNEED));
	drop_caches();
	in_file(4 * HT_PAGE + 1, 100, 20, "a WRITE before drop_caches");
	iv_read(&v, 4 * HT_PAGE + 1, 100, 20, "the same, by RDMA");
	sync();
	drop_caches();
	in_file(4 * HT_PAGE + 1, 100, 20, "the same, from the disk");
	iv_write(&v, 9 * HT_PAGE, 1, 21);
	ht_sys(msync(v.p, v.len, MS_SYNC));
	ht_sys(munmap(v.p, v.len));
	drop_caches();
	in_file(9 * HT_PAGE, 1, 21, "one byte after msync and munmap");
	v.m.p = NULL;
}

/* Another descriptor of the file, which bypasses the page cache. */
static void direct(const void *arg)
{
	char path[64];
	int fd;

	setup(arg);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", v.m.fd);
	fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		ht_skip("no O_DIRECT here: %s", strerror(errno));
	for (uint64_t round = 30; round < 33; round++) {
		iv_write(&v, 8 * HT_PAGE + 77, 5000, round);
		ht_eq(pread(fd, copy, 4 * HT_PAGE, 8 * HT_PAGE), 4 * HT_PAGE);
		ht_check_fill(copy + 77, 5000, round, 8 * HT_PAGE + 77, "O_DIRECT read of a WRITE");
	}
}

#define ON_DISK (HT_BIT(HT_FILE) | HT_BIT(HT_DAX_EXT4) | HT_BIT(HT_DAX_XFS))
#define FILES (HT_BIT(HT_TMPFS) | ON_DISK)

const struct ht_case inval_file[] = {
	{ "truncate", "an access behind the end fails, and works once the file is longer",
	  truncated, .kinds = FILES },
	{ "punch-hole", "a hole reads as zeros and can be written", punched, .kinds = FILES },
	{ "coherent", "write(2) and RDMA see each other's bytes at once", coherent,
	  .kinds = FILES },
	{ "writeback", "a small WRITE after writeback is not lost", writeback, .kinds = ON_DISK },
	{ "writeback-late", "a WRITE makes its page dirty", writeback_late, .kinds = ON_DISK },
	{ "direct", "O_DIRECT reads see WRITEs", direct, .kinds = ON_DISK },
	{},
};
