// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * dax_story DEVICE FILE EXPECTED: a file of a DAX filesystem as RDMA memory.
 * DEVICE may be "NEAR,FAR", two devices with a network between them: the file is at
 * the far end.
 *
 * FILE is made, mapped, registered, written and read by RDMA, truncated and
 * extended; after each step read(2) says what is really in it.  EXPECTED, on
 * another filesystem, gets what the file must hold in the end, so that the two
 * can be compared after a remount.  Prints one JSON object.
 *
 * Results: ok | wrong (success was reported, the bytes are others) | failed.
 * After a wrong step the file is put right, so that each step tells its own
 * tale.
 */
#include "pair.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define SIZE ((size_t)1024 * 1024)
#define SHORT ((size_t)8192)
#define CHUNK ((size_t)10000)

static struct ht_pair pair;
static uint8_t *map; /* the file */
static uint8_t *want; /* what it should hold */
static uint8_t *mem; /* ordinary memory, pinned: the other side */
static uint8_t *scratch;
static struct ht_mr map_mr, mem_mr;
static int fd;
static bool first_step = true;

static void step(const char *what, const char *result, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void step(const char *what, const char *result, const char *fmt, ...)
{
	char detail[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	printf("%s\n  {\"step\": \"%s\", \"result\": \"%s\", \"detail\": \"%s\"}",
	       first_step ? "" : ",", what, result, detail);
	fflush(stdout);
	first_step = false;
}

static void make_file(const char *path)
{
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	need(fd >= 0, path);
	ht_fill(want, SIZE, 1, 0);
	need(pwrite(fd, want, SIZE, 0) == SIZE, "pwrite");
	need(!fsync(fd), "fsync");
	/* MAP_SYNC is granted on DAX files only. */
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
		   MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	need(map != MAP_FAILED, "mmap with MAP_SYNC");
	step("make a file of 1 MiB and map it (MAP_SYNC)", "ok", "done");
}

static void register_pinned(void)
{
	const char *what = "register it pinned (must be refused)";
	struct ht_mr mr;
	int err = ht_mr_try(&mr, pair.s[1].pd, map, SIZE, HT_PINNED,
			    HT_ACCESS_ALL);

	if (!err) {
		step(what, "failed", "it was granted; EOPNOTSUPP is due");
		ht_mr_put(&mr);
	} else {
		step(what, err == EOPNOTSUPP ? "ok" : "failed", "refused: %s%s",
		     strerrorname_np(err),
		     err == EOPNOTSUPP ? ", as is due" : "");
	}
}

static bool register_odp(void)
{
	int err = ht_mr_try(&map_mr, pair.s[1].pd, map, SIZE, HT_ODP,
			    HT_ACCESS_ALL);

	step("register it with ODP", err ? "failed" : "ok", "%s",
	     err ? strerrorname_np(err) : "done");
	return !err;
}

/* read(2) the file and compare all of it with what it should hold. */
static void compare(const char *what, int status, size_t length)
{
	size_t wrong;

	if (status != IBV_WC_SUCCESS) {
		step(what, "failed", "%s", demo_status(status));
		demo_reconnect(&pair);
		return;
	}
	need(pread(fd, scratch, length, 0) == (ssize_t)length, "pread");
	wrong = ht_wrong(scratch, want, length);
	step(what, wrong ? "wrong" : "ok", "read(2): %zu of %zu bytes wrong",
	     wrong, length);
	if (wrong)
		need(pwrite(fd, want, length, 0) == (ssize_t)length, "pwrite");
}

static int write_at(size_t offset, uint64_t seed)
{
	struct ht_wr w = ht_rdma_wr(0, IBV_WR_RDMA_WRITE, &mem_mr, mem, CHUNK,
				    &map_mr, map + offset);

	ht_fill(mem, CHUNK, seed, 0);
	return demo_do(&pair, &w);
}

static void write_and_read(void)
{
	size_t offset = 5003;
	struct ht_wr w;
	size_t wrong;
	int status;

	status = write_at(offset, 2);
	memcpy(want + offset, mem, CHUNK);
	compare("RDMA WRITE of 10,000 bytes at offset 5,003", status, SIZE);

	offset = 300001;
	w = ht_rdma_wr(0, IBV_WR_RDMA_READ, &mem_mr, mem, CHUNK, &map_mr,
		       map + offset);
	status = demo_do(&pair, &w);
	wrong = ht_wrong(mem, want + offset, CHUNK);
	if (status == IBV_WC_SUCCESS) {
		step("RDMA READ of 10,000 bytes at offset 300,001",
		     wrong ? "wrong" : "ok", "%zu of %zu bytes wrong", wrong,
		     CHUNK);
	} else {
		step("RDMA READ of 10,000 bytes at offset 300,001", "failed",
		     "%s", demo_status(status));
		demo_reconnect(&pair);
	}
}

/* The page is gone: the request must fail, and nothing else. */
static void truncate_file(void)
{
	const char *what = "truncate to 8 KiB, WRITE at 64 KiB (must fail)";
	struct stat st;
	bool wrong;
	int status;

	need(!ftruncate(fd, SHORT), "ftruncate");
	status = write_at(65536, 3);
	need(!fstat(fd, &st), "fstat");
	if (status == IBV_WC_SUCCESS)
		step(what, "wrong", "reported success beyond the end");
	else if (status != IBV_WC_REM_ACCESS_ERR && status != IBV_WC_REM_OP_ERR)
		step(what, "failed", "%s", demo_status(status));
	else
		step(what, "ok", "clean error: %s", demo_status(status));
	demo_reconnect(&pair);
	memset(want + SHORT, 0, SIZE - SHORT);

	need(pread(fd, scratch, SIZE, 0) == st.st_size, "pread");
	wrong = ht_wrong(scratch, want, SHORT) || st.st_size != SHORT;
	step("the 8 KiB that are left", wrong ? "wrong" : "ok",
	     "read(2): %zu bytes, %zu of them wrong", (size_t)st.st_size,
	     ht_wrong(scratch, want, SHORT));
}

static void extend_file(void)
{
	size_t offset = 65536 + 1001;
	int status;

	need(!ftruncate(fd, SIZE), "ftruncate");
	status = write_at(offset, 4);
	memcpy(want + offset, mem, CHUNK);
	compare("extend to 1 MiB again, same key, WRITE at 66,537", status,
		SIZE);
}

static void save_expected(const char *path)
{
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	need(out >= 0 && write(out, want, SIZE) == (ssize_t)SIZE, path);
	close(out);
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: %s DEVICE FILE EXPECTED\n", argv[0]);
		return 2;
	}
	want = ht_map(SIZE, PROT_READ | PROT_WRITE);
	scratch = ht_map(SIZE, PROT_READ | PROT_WRITE);
	mem = ht_map(CHUNK, PROT_READ | PROT_WRITE);
	demo_open(&pair, argv[1]);
	ht_mr_get(&mem_mr, pair.s[0].pd, mem, CHUNK, HT_PINNED, HT_ACCESS_ALL);

	printf("{\"device\": \"%s\", \"steps\": [", argv[1]);
	make_file(argv[2]);
	register_pinned();
	if (register_odp()) {
		write_and_read();
		truncate_file();
		extend_file();
		ht_mr_put(&map_mr);
	}
	need(!fsync(fd), "fsync");
	save_expected(argv[3]);
	printf("]}\n");

	ht_mr_put(&mem_mr);
	ht_pair_put(&pair);
	return 0;
}
