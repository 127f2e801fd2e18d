// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_caps DEVICE DIRECTORY [TRY...]: what a device says of its On-Demand
 * Paging, and what comes of it.  Each try registers some kind of memory, moves
 * bytes into it with one RDMA request, and compares them.  Prints one JSON
 * object.
 *
 * Results: works | wrong (success was reported, the bytes are others) |
 * unsupported (refused at registration) | error (the request failed) |
 * crashed (not tried: it is one of TRY).
 *
 * The kernel's log is told of each try before it is begun, for one that the
 * kernel does not outlive.
 */
#define _GNU_SOURCE
#include "pair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define GIB (KIB * KIB * KIB)
#define LARGEST (64 * KIB)

static struct pair pair;
static uint8_t *src;
static struct ibv_mr *src_mr;
static const char *directory;
static bool first_try = true;
static char **arguments;

static void report(const char *what, const char *result, const char *detail)
{
	printf("%s\n  {\"what\": \"%s\", \"result\": \"%s\", \"detail\": \"%s\"}",
	       first_try ? "" : ",", what, result, detail);
	first_try = false;
}

static void tell_kernel(const char *what)
{
	FILE *log = fopen("/dev/kmsg", "w");

	if (!log)
		return;
	fprintf(log, "odp_caps: %s: %s\n", arguments[1], what);
	fclose(log);
}

/* False: another kernel has not outlived it. */
static bool begin(const char *what)
{
	for (char **crashed = arguments + 3; *crashed; crashed++) {
		if (!strcmp(*crashed, what)) {
			report(what, "crashed", "the guest's kernel crashed");
			return false;
		}
	}
	tell_kernel(what);
	return true;
}

static void report_refused(const char *what)
{
	char detail[128];

	snprintf(detail, sizeof(detail), "%s", strerrorname_np(errno));
	report(what, "unsupported", detail);
}

/* What an RDMA request with @status left at @got, where @want should be. */
static void judge(const char *what, int status, const void *got,
		  const void *want, size_t length)
{
	char detail[128];
	size_t wrong;

	if (status != IBV_WC_SUCCESS) {
		report(what, "error", pair_status(status));
		pair_connect(&pair);
		return;
	}
	wrong = wrong_bytes(got, want, length);
	snprintf(detail, sizeof(detail), "%zu of %zu bytes wrong", wrong,
		 length);
	report(what, wrong ? "wrong" : "works", wrong ? detail : "");
}

/* WRITE @length bytes to @dst, which the peer knows as @remote. */
static void try_write(const char *what, void *dst, uint64_t remote,
		      const struct ibv_mr *mr, uint32_t length)
{
	int status;

	if (!begin(what))
		return;
	fill_pattern(src, length, remote + length);
	status = pair_rdma(&pair, IBV_WR_RDMA_WRITE, src, src_mr, remote,
			   mr->rkey, length);
	judge(what, status, dst, src, length);
}

static void try_explicit(void)
{
	uint8_t *dst = map_anonymous(2 * LARGEST);
	struct ibv_mr *mr = ibv_reg_mr(pair.pd, dst, 2 * LARGEST, PAIR_ODP);

	if (!mr) {
		report_refused("WRITE to ODP memory");
		return;
	}
	try_write("WRITE 4 KiB, page-aligned", dst, (uintptr_t)dst, mr,
		  4 * KIB);
	try_write("WRITE 4 KiB at an odd address", dst + 4097,
		  (uintptr_t)dst + 4097, mr, 4 * KIB);
	try_write("WRITE 64 KiB in one message", dst, (uintptr_t)dst, mr,
		  LARGEST);
	need(!ibv_dereg_mr(mr), "dereg_mr");
	munmap(dst, 2 * LARGEST);
}

static void try_fetch_add(void)
{
	const char *what = "atomic fetch-and-add on ODP memory";
	uint64_t *word = map_anonymous(4 * KIB);
	struct ibv_mr *mr = ibv_reg_mr(pair.pd, word, 4 * KIB, PAIR_ODP);
	struct ibv_sge sge = { (uintptr_t)src, 8, src_mr->lkey };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
		.send_flags = IBV_SEND_SIGNALED,
	};
	uint64_t got[2], want[2] = { 40, 42 };
	struct ibv_wc wc;
	int status;

	if (!mr) {
		report_refused(what);
		return;
	}
	if (!begin(what))
		return;
	word[9] = 40;
	wr.wr.atomic.remote_addr = (uintptr_t)&word[9];
	wr.wr.atomic.rkey = mr->rkey;
	wr.wr.atomic.compare_add = 2;
	status = -ibv_post_send(pair.qp[0], &wr, &bad);
	if (!status)
		status = pair_wait(&pair, &wc);
	memcpy(&got[0], src, sizeof(got[0]));
	got[1] = word[9];
	judge(what, status, got, want, sizeof(want));
	need(!ibv_dereg_mr(mr), "dereg_mr");
	munmap(word, 4 * KIB);
}

static void try_prefetch(void)
{
	const char *what = "prefetch (ibv_advise_mr)";
	uint8_t *dst = map_anonymous(LARGEST);
	struct ibv_mr *mr = ibv_reg_mr(pair.pd, dst, LARGEST, PAIR_ODP);
	struct ibv_sge sge = { (uintptr_t)dst, LARGEST, 0 };
	int err;

	if (!mr) {
		report_refused(what);
		return;
	}
	sge.lkey = mr->lkey;
	err = ibv_advise_mr(pair.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			    IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
	if (err) {
		errno = err;
		report_refused(what);
	} else {
		try_write(what, dst, (uintptr_t)dst, mr, 4 * KIB);
	}
	need(!ibv_dereg_mr(mr), "dereg_mr");
	munmap(dst, LARGEST);
}

static void try_iova(void)
{
	const char *what = "a key whose addresses are not the process's (iova)";
	const uint64_t iova = 0x10000000;
	uint8_t *dst = map_anonymous(LARGEST);
	struct ibv_mr *mr;

	mr = ibv_reg_mr_iova(pair.pd, dst, LARGEST, iova, PAIR_ODP);
	if (!mr) {
		report_refused(what);
		return;
	}
	try_write(what, dst + 4096, iova + 4096, mr, 4 * KIB);
	need(!ibv_dereg_mr(mr), "dereg_mr");
	munmap(dst, LARGEST);
}

static void try_huge(void)
{
	const char *what = "64 GiB of reserved address space";
	uint8_t *dst = map_anonymous(64 * GIB);
	struct ibv_mr *mr = ibv_reg_mr(pair.pd, dst, 64 * GIB, PAIR_ODP);

	if (!mr) {
		report_refused(what);
	} else {
		uint8_t *end = dst + 64 * GIB - 4 * KIB;

		try_write(what, end, (uintptr_t)end, mr, 4 * KIB);
		need(!ibv_dereg_mr(mr), "dereg_mr");
	}
	munmap(dst, 64 * GIB);
}

static void try_implicit(void)
{
	const char *what = "the whole address space by one key (implicit ODP)";
	struct ibv_mr *mr = ibv_reg_mr(pair.pd, NULL, SIZE_MAX, PAIR_ODP);
	uint8_t *dst;

	if (!mr) {
		report_refused(what);
		return;
	}
	/* Mapped after it was registered. */
	dst = map_anonymous(LARGEST);
	try_write(what, dst + 4096, (uintptr_t)dst + 4096, mr, 4 * KIB);
	munmap(dst, LARGEST);
	need(!ibv_dereg_mr(mr), "dereg_mr");
}

/* A file outside DAX; read(2) must see what RDMA wrote, also after fsync. */
static void try_page_cache(void)
{
	const char *what = "file in the page cache, small WRITE after fsync";
	static uint8_t got[100];
	char path[4096];
	struct ibv_mr *mr;
	uint8_t *dst;
	int fd;

	snprintf(path, sizeof(path), "%s/odp_caps.XXXXXX", directory);
	fd = mkstemp(path);
	need(fd >= 0, path);
	need(!unlink(path) && !ftruncate(fd, LARGEST), "ftruncate");
	dst = mmap(NULL, LARGEST, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(dst != MAP_FAILED, "mmap of a file");
	mr = ibv_reg_mr(pair.pd, dst, LARGEST, PAIR_ODP);
	if (!mr) {
		report_refused(what);
	} else if (begin(what)) {
		/* The first one makes the page known to the device. */
		pair_rdma(&pair, IBV_WR_RDMA_WRITE, src, src_mr, (uintptr_t)dst,
			  mr->rkey, 4 * KIB);
		need(!fsync(fd), "fsync");
		fill_pattern(src, sizeof(got), 77);
		int status = pair_rdma(&pair, IBV_WR_RDMA_WRITE, src, src_mr,
				       (uintptr_t)dst, mr->rkey, sizeof(got));

		/* Out of the cache and in again: only what was dirty lives. */
		need(!ibv_dereg_mr(mr), "dereg_mr");
		munmap(dst, LARGEST);
		need(!fsync(fd), "fsync");
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		need(pread(fd, got, sizeof(got), 0) == sizeof(got), "pread");
		judge(what, status, got, src, sizeof(got));
	}
	close(fd);
}

static void print_transport(const char *name, uint32_t bits)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} ops[] = {
		{ IBV_ODP_SUPPORT_SEND, "send" },
		{ IBV_ODP_SUPPORT_RECV, "recv" },
		{ IBV_ODP_SUPPORT_WRITE, "write" },
		{ IBV_ODP_SUPPORT_READ, "read" },
		{ IBV_ODP_SUPPORT_ATOMIC, "atomic" },
		{ IBV_ODP_SUPPORT_SRQ_RECV, "srq" },
	};
	const char *comma = "";

	printf(",\n \"%s\": [", name);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (bits & ops[i].bit) {
			printf("%s\"%s\"", comma, ops[i].name);
			comma = ", ";
		}
	}
	printf("]");
}

static void print_capabilities(const char *device)
{
	const struct ibv_odp_caps *odp = &pair.attr.odp_caps;

	printf("{\"device\": \"%s\",\n \"gid_index\": %d,\n \"mtu\": %d",
	       device, pair.gid_index, 128 << pair.port.active_mtu);
	printf(",\n \"explicit\": %s,\n \"implicit\": %s",
	       odp->general_caps & IBV_ODP_SUPPORT ? "true" : "false",
	       odp->general_caps & IBV_ODP_SUPPORT_IMPLICIT ? "true" : "false");
	print_transport("rc", odp->per_transport_caps.rc_odp_caps);
	print_transport("uc", odp->per_transport_caps.uc_odp_caps);
	print_transport("ud", odp->per_transport_caps.ud_odp_caps);
	print_transport("xrc", pair.attr.xrc_odp_caps);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s DEVICE DIRECTORY [TRY...]\n",
			argv[0]);
		return 2;
	}
	arguments = argv;
	directory = argv[2];
	pair_open(&pair, argv[1]);
	print_capabilities(argv[1]);

	src = map_anonymous(LARGEST);
	src_mr = ibv_reg_mr(pair.pd, src, LARGEST, PAIR_ACCESS);
	need(src_mr, "reg_mr, pinned");
	printf(",\n \"tries\": [");
	try_explicit();
	try_fetch_add();
	try_prefetch();
	try_iova();
	try_huge();
	try_implicit();
	try_page_cache();
	printf("]}\n");
	tell_kernel("done");

	need(!ibv_dereg_mr(src_mr), "dereg_mr");
	pair_close(&pair);
	return 0;
}
