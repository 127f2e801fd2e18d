// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_cost -d DEVICE [-n ITERATIONS]: what an operation costs, in the time of
 * CLOCK_MONOTONIC.
 *
 * Run in a guest whose clock counts instructions (tests/vm/run --icount): one
 * nanosecond is one instruction there, give or take the calibration of its
 * clock, and the counts repeat.  On any other machine the same numbers are
 * nanoseconds.
 *
 * A row is the median over the iterations, after a warm-up, less the cost of
 * reading the clock twice.
 *
 *   write, read   from ibv_post_send() to the completion polled, between two
 *                 queue pairs of one device and one process
 *     pinned      both buffers pinned
 *     hot         both buffers ODP, every page known to the device
 *     cold        ODP; the remote buffer is dropped (MADV_DONTNEED) before
 *                 each, so that the device must ask for new pages
 *   reg           ibv_reg_mr(), ODP, of address space that is reserved only
 *   limit         what the kernel takes without RDMA: a system call, a copy
 *                 between processes, the CPU's own first touch of the pages
 *
 * After each write or read row one more transfer is made and its bytes are
 * compared: "wrong" says how many of them were others.
 */
#define _GNU_SOURCE
#include "../../demo/pair.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define WARM_UP 20
#define BATCH 256 /* polls before we look at the clock */
#define TIMEOUT_NS (10 * 1000000000ULL)

static const size_t sizes[] = { 8, 4096, 65536, 1048576 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
#define LARGEST ((size_t)1048576)

static struct pair pair;
static uint8_t *local, *remote;
static int iterations = 200;
static uint64_t *samples;
static uint64_t clock_cost;
static bool first_row = true;
static FILE *table;

/* --- rows ----------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *low, uint64_t *high)
{
	qsort(samples, iterations, sizeof(*samples), by_value);
	*low = samples[iterations / 10];
	*high = samples[iterations - 1 - iterations / 10];
	return samples[iterations / 2];
}

/* An iteration's sample; the first WARM_UP ones have i < 0. */
static void sample(int i, uint64_t begin, uint64_t end)
{
	if (i >= 0)
		samples[i] =
			end - begin < clock_cost ? 0 : end - begin - clock_cost;
}

static void row_head(const char *op, const char *memory, size_t size)
{
	printf("%s\n  {\"op\": \"%s\", \"memory\": \"%s\", \"size\": %zu, ",
	       first_row ? "" : ",", op, memory, size);
	fprintf(table, "%-18s %-8s %12zu ", op, memory, size);
	first_row = false;
}

static void row(const char *op, const char *memory, size_t size, size_t wrong)
{
	uint64_t low, high, mid = median(&low, &high);

	row_head(op, memory, size);
	printf("\"median\": %lu, \"p10\": %lu, \"p90\": %lu, \"n\": %d, "
	       "\"wrong\": %zu}",
	       mid, low, high, iterations, wrong);
	fprintf(table, "%12lu %12lu %12lu", mid, low, high);
	if (wrong)
		fprintf(table, "  WRONG: %zu bytes", wrong);
	fprintf(table, "\n");
	fflush(stdout);
	fflush(table);
}

static void row_refused(const char *op, const char *memory, size_t size,
			const char *why)
{
	row_head(op, memory, size);
	printf("\"refused\": \"%s\"}", why);
	fprintf(table, "%12s  (%s)\n", "-", why);
}

/* --- RDMA ----------------------------------------------------------------- */

/* Post, then poll; a completion that never comes ends the program. */
static void transfer(struct ibv_send_wr *wr)
{
	struct ibv_send_wr *bad;
	struct ibv_wc wc;
	uint64_t end = 0;
	int polls = 0, n;

	errno = ibv_post_send(pair.qp[0], wr, &bad);
	need(!errno, "post_send");
	while (!(n = ibv_poll_cq(pair.cq, 1, &wc))) {
		if (!(++polls % BATCH)) {
			end = end ? end : now_ns() + TIMEOUT_NS;
			errno = ETIMEDOUT;
			need(now_ns() < end, "completion");
		}
		sched_yield();
	}
	errno = EIO;
	need(n == 1 && wc.status == IBV_WC_SUCCESS,
	     n == 1 ? ibv_wc_status_str(wc.status) : "poll_cq");
}

/* One more transfer, of a pattern; how many bytes of it went astray. */
static size_t verify(struct ibv_send_wr *wr, size_t size)
{
	bool is_read = wr->opcode == IBV_WR_RDMA_READ;
	uint8_t *from = is_read ? remote : local;
	uint8_t *to = is_read ? local : remote;

	fill_pattern(from, size, size);
	memset(to, 0, size);
	transfer(wr);
	return wrong_bytes(to, from, size);
}

static void measure_rdma(enum ibv_wr_opcode opcode, const char *memory,
			 const struct ibv_mr *lmr, const struct ibv_mr *rmr)
{
	bool cold = !strcmp(memory, "cold");

	for (size_t s = 0; s < SIZES; s++) {
		struct ibv_sge sge = { (uintptr_t)local, sizes[s], lmr->lkey };
		struct ibv_send_wr wr = {
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = opcode,
			.send_flags = IBV_SEND_SIGNALED,
			.wr.rdma = { (uintptr_t)remote, rmr->rkey },
		};

		for (int i = -WARM_UP; i < iterations; i++) {
			uint64_t begin;

			if (cold)
				need(!madvise(remote, LARGEST, MADV_DONTNEED),
				     "madvise");
			begin = now_ns();
			transfer(&wr);
			sample(i, begin, now_ns());
		}
		row(opcode == IBV_WR_RDMA_READ ? "read" : "write", memory,
		    sizes[s], verify(&wr, sizes[s]));
	}
}

static void measure_transfers(void)
{
	static const struct {
		const char *memory;
		int access;
	} kinds[] = {
		{ "pinned", PAIR_ACCESS },
		{ "hot", PAIR_ODP },
		{ "cold", PAIR_ODP },
	};

	for (int k = 0; k < 3; k++) {
		struct ibv_mr *lmr, *rmr;

		lmr = ibv_reg_mr(pair.pd, local, LARGEST, kinds[k].access);
		rmr = ibv_reg_mr(pair.pd, remote, LARGEST, kinds[k].access);
		need(lmr && rmr, "reg_mr");
		measure_rdma(IBV_WR_RDMA_WRITE, kinds[k].memory, lmr, rmr);
		measure_rdma(IBV_WR_RDMA_READ, kinds[k].memory, lmr, rmr);
		need(!ibv_dereg_mr(lmr) && !ibv_dereg_mr(rmr), "dereg_mr");
	}
}

static void measure_registration(void)
{
	static const size_t lengths[] = { 2UL << 20, 1UL << 30, 64UL << 30 };

	for (int l = 0; l < 3; l++) {
		uint8_t *space = map_anonymous(lengths[l]);
		struct ibv_mr *mr = NULL;

		for (int i = -WARM_UP; i < iterations; i++) {
			uint64_t begin = now_ns();

			mr = ibv_reg_mr(pair.pd, space, lengths[l], PAIR_ODP);
			sample(i, begin, now_ns());
			if (!mr)
				break;
			need(!ibv_dereg_mr(mr), "dereg_mr");
		}
		if (mr)
			row("reg", "odp", lengths[l], 0);
		else
			row_refused("reg", "odp", lengths[l],
				    strerrorname_np(errno));
		munmap(space, lengths[l]);
	}
}

/* --- limits --------------------------------------------------------------- */

static void measure_getppid(void)
{
	for (int i = -WARM_UP; i < iterations; i++) {
		uint64_t begin = now_ns();

		syscall(SYS_getppid);
		sample(i, begin, now_ns());
	}
	row("getppid", "limit", 0, 0);
}

static void measure_process_vm_writev(size_t size)
{
	struct iovec from = { local, size }, to = { remote, size };
	size_t wrong;

	for (int i = -WARM_UP; i < iterations; i++) {
		uint64_t begin = now_ns();

		need(process_vm_writev(getpid(), &from, 1, &to, 1, 0) ==
			     (ssize_t)size,
		     "process_vm_writev");
		sample(i, begin, now_ns());
	}
	fill_pattern(local, size, size);
	memset(remote, 0, size);
	process_vm_writev(getpid(), &from, 1, &to, 1, 0);
	wrong = wrong_bytes(remote, local, size);
	row("process_vm_writev", "limit", size, wrong);
}

static void measure_first_touch(size_t size)
{
	for (int i = -WARM_UP; i < iterations; i++) {
		volatile uint8_t *p = remote;
		uint64_t begin;

		need(!madvise(remote, LARGEST, MADV_DONTNEED), "madvise");
		begin = now_ns();
		for (size_t at = 0; at < size; at += 4096)
			p[at] = 1;
		sample(i, begin, now_ns());
	}
	row("first_touch", "limit", size, 0);
}

static void measure_clock(void)
{
	uint64_t low, high;

	for (int i = -WARM_UP; i < iterations; i++) {
		uint64_t begin = now_ns();

		sample(i, begin, now_ns());
	}
	clock_cost = median(&low, &high);
}

int main(int argc, char **argv)
{
	const char *device = NULL;
	int c;

	while ((c = getopt(argc, argv, "d:n:")) != -1) {
		if (c == 'd')
			device = optarg;
		else if (c == 'n')
			iterations = atoi(optarg);
		else
			device = NULL, optind = argc + 1;
	}
	if (!device || optind != argc || iterations < 1) {
		fprintf(stderr, "usage: %s -d DEVICE [-n ITERATIONS]\n",
			argv[0]);
		return 2;
	}
	/* The table for people, on stderr; JSON on stdout. */
	table = stderr;
	samples = calloc(iterations, sizeof(*samples));
	need(samples, "calloc");
	local = map_anonymous(LARGEST);
	remote = map_anonymous(LARGEST);
	/* Small pages only: a huge page would be another measurement. */
	madvise(local, LARGEST, MADV_NOHUGEPAGE);
	madvise(remote, LARGEST, MADV_NOHUGEPAGE);
	memset(local, 1, LARGEST);
	memset(remote, 1, LARGEST);
	pair_open(&pair, device);

	measure_clock();
	printf("{\"device\": \"%s\", \"clock\": %lu, \"rows\": [", device,
	       clock_cost);
	fprintf(table, "%-18s %-8s %12s %12s %12s %12s\n", device, "", "bytes",
		"median", "p10", "p90");
	measure_getppid();
	for (size_t s = 0; s < SIZES; s++)
		measure_process_vm_writev(sizes[s]);
	for (size_t s = 0; s < SIZES; s++)
		measure_first_touch(sizes[s]);
	measure_registration();
	measure_transfers();
	printf("]}\n");
	pair_close(&pair);
	return 0;
}
