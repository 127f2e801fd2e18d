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
#include "pair.h"

#include <fcntl.h>
#include <sys/mman.h>

#define RW (PROT_READ | PROT_WRITE)
#define LARGEST (64 * HT_KIB)

static struct ht_pair pair;
static uint8_t *src;
static struct ht_mr src_mr;
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

/* False: it crashed the kernel of an earlier guest. */
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

/* Register memory for ODP; false and reported if the device refuses it. */
static bool try_register(struct ht_mr *mr, const char *what, void *p,
			 size_t length, enum ht_mr_kind kind)
{
	int err = ht_mr_try(mr, pair.s[0].pd, p, length, kind, HT_ACCESS_ALL);

	if (err)
		report(what, "unsupported", strerrorname_np(err));
	return !err;
}

/* Report an RDMA request that ended with @status: compare @got with @want. */
static void judge(const char *what, int status, const void *got,
		  const void *want, size_t length)
{
	char detail[128];
	size_t wrong;

	if (status != IBV_WC_SUCCESS) {
		report(what, "error", demo_status(status));
		demo_reconnect(&pair);
		return;
	}
	wrong = ht_wrong(got, want, length);
	snprintf(detail, sizeof(detail), "%zu of %zu bytes wrong", wrong,
		 length);
	report(what, wrong ? "wrong" : "works", wrong ? detail : "");
}

static int write_to(void *dst, const struct ht_mr *mr, uint32_t length)
{
	struct ht_wr w =
		ht_rdma_wr(0, IBV_WR_RDMA_WRITE, &src_mr, src, length, mr, dst);

	return demo_do(&pair, &w);
}

static void try_write(const char *what, void *dst, const struct ht_mr *mr,
		      uint32_t length)
{
	if (!begin(what))
		return;
	ht_fill(src, length, (uintptr_t)dst + length, 0);
	judge(what, write_to(dst, mr, length), dst, src, length);
}

static void try_explicit(void)
{
	uint8_t *dst = ht_map(2 * LARGEST, RW);
	struct ht_mr mr;

	if (!try_register(&mr, "WRITE to ODP memory", dst, 2 * LARGEST, HT_ODP))
		return;
	try_write("WRITE 4 KiB, page-aligned", dst, &mr, 4 * HT_KIB);
	try_write("WRITE 4 KiB at an odd address", dst + 4097, &mr, 4 * HT_KIB);
	try_write("WRITE 64 KiB in one message", dst, &mr, LARGEST);
	ht_mr_put(&mr);
	munmap(dst, 2 * LARGEST);
}

static void try_fetch_add(void)
{
	const char *what = "atomic fetch-and-add on ODP memory";
	uint64_t *word = ht_map(4 * HT_KIB, RW);
	uint64_t got[2], want[2] = { 40, 42 };
	struct ht_mr mr;
	struct ht_wr w;
	int status;

	if (!try_register(&mr, what, word, 4 * HT_KIB, HT_ODP) || !begin(what))
		return;
	word[9] = 40;
	w = ht_rdma_wr(0, IBV_WR_ATOMIC_FETCH_AND_ADD, &src_mr, src, 8, &mr,
		       &word[9]);
	w.add = 2;
	status = demo_do(&pair, &w);
	memcpy(&got[0], src, sizeof(got[0]));
	got[1] = word[9];
	judge(what, status, got, want, sizeof(want));
	ht_mr_put(&mr);
	munmap(word, 4 * HT_KIB);
}

static void try_prefetch(void)
{
	const char *what = "prefetch (ibv_advise_mr)";
	uint8_t *dst = ht_map(LARGEST, RW);
	struct ibv_sge sge = { (uintptr_t)dst, LARGEST, 0 };
	struct ht_mr mr;
	int err;

	if (!try_register(&mr, what, dst, LARGEST, HT_ODP))
		return;
	sge.lkey = mr.mr->lkey;
	err = ibv_advise_mr(pair.s[0].pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			    IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
	if (err)
		report(what, "unsupported", strerrorname_np(err));
	else
		try_write(what, dst, &mr, 4 * HT_KIB);
	ht_mr_put(&mr);
	munmap(dst, LARGEST);
}

/* WRITE 4 KiB at @offset of a region of its own. */
static void try_region(const char *what, size_t length, enum ht_mr_kind kind,
		       size_t offset)
{
	uint8_t *dst = ht_map(length, RW);
	struct ht_mr mr;

	if (try_register(&mr, what, dst, length, kind)) {
		try_write(what, dst + offset, &mr, 4 * HT_KIB);
		ht_mr_put(&mr);
	}
	munmap(dst, length);
}

static void try_implicit(void)
{
	const char *what = "the whole address space by one key (implicit ODP)";
	struct ht_mr mr;
	uint8_t *dst;

	if (!try_register(&mr, what, NULL, 0, HT_ODP_IMPLICIT))
		return;
	/* Mapped after it was registered. */
	dst = ht_map(LARGEST, RW);
	try_write(what, dst + 4096, &mr, 4 * HT_KIB);
	munmap(dst, LARGEST);
	ht_mr_put(&mr);
}

/* A file outside DAX; read(2) must see what RDMA wrote, also after fsync. */
static void try_page_cache(void)
{
	const char *what = "file in the page cache, small WRITE after fsync";
	static uint8_t got[100];
	char path[4096];
	struct ht_mr mr;
	uint8_t *dst;
	int fd, status;

	snprintf(path, sizeof(path), "%s/odp_caps.XXXXXX", directory);
	fd = mkstemp(path);
	need(fd >= 0, path);
	need(!unlink(path) && !ftruncate(fd, LARGEST), "ftruncate");
	dst = mmap(NULL, LARGEST, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(dst != MAP_FAILED, "mmap of a file");
	if (try_register(&mr, what, dst, LARGEST, HT_ODP) && begin(what)) {
		/* The first WRITE makes the device map the page. */
		write_to(dst, &mr, 4 * HT_KIB);
		need(!fsync(fd), "fsync");
		ht_fill(src, sizeof(got), 77, 0);
		status = write_to(dst, &mr, sizeof(got));

		/* Drop the page and read it again: only dirty data survives. */
		ht_mr_put(&mr);
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
	const struct ht_dev *dev = pair.s[0].dev;
	const struct ibv_odp_caps *odp = &dev->attr.odp_caps;

	printf("{\"device\": \"%s\",\n \"gid_index\": %d,\n \"mtu\": %d",
	       device, dev->gid_index, 128 << dev->port.active_mtu);
	printf(",\n \"explicit\": %s,\n \"implicit\": %s",
	       odp->general_caps & IBV_ODP_SUPPORT ? "true" : "false",
	       odp->general_caps & IBV_ODP_SUPPORT_IMPLICIT ? "true" : "false");
	print_transport("rc", odp->per_transport_caps.rc_odp_caps);
	print_transport("uc", odp->per_transport_caps.uc_odp_caps);
	print_transport("ud", odp->per_transport_caps.ud_odp_caps);
	print_transport("xrc", dev->attr.xrc_odp_caps);
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
	demo_open(&pair, argv[1]);
	print_capabilities(argv[1]);

	src = ht_map(LARGEST, RW);
	ht_mr_get(&src_mr, pair.s[0].pd, src, LARGEST, HT_PINNED,
		  HT_ACCESS_ALL);
	printf(",\n \"tries\": [");
	try_explicit();
	try_fetch_add();
	try_prefetch();
	try_region("a key whose addresses are not the process's (iova)",
		   LARGEST, HT_ODP_IOVA0, 4 * HT_KIB);
	try_region("64 GiB of reserved address space", 64 * HT_GIB, HT_ODP,
		   64 * HT_GIB - 4 * HT_KIB);
	try_implicit();
	try_page_cache();
	printf("]}\n");
	tell_kernel("done");

	ht_mr_put(&src_mr);
	ht_pair_put(&pair);
	return 0;
}
