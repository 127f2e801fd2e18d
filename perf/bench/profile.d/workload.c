// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * profile_workload -d DEVICE: the operations that perf/bench/profile takes
 * apart, each between marks that plugin.c looks for.
 *
 * Prints "phase N REPEATS INSTRUCTIONS NAME" for each: how often it was done,
 * and what one took by the clock of the guest, where a nanosecond is an
 * instruction.  The marks count the same span, so the two are each other's
 * check.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pair.h"

#define REPEATS 200
#define WARM_UP 20
#define LENGTH PERF_HUGE
#define ODP (PERF_ACCESS | IBV_ACCESS_ON_DEMAND)

/* The marks: addresses that the plugin knows. */
#define MARK __attribute__((noinline, noclone, externally_visible))
MARK void mark_on(void);
MARK void mark_off(void);
MARK void mark_next(void);

void mark_on(void)
{
	__asm__ volatile("");
}

void mark_off(void)
{
	__asm__ volatile("nop");
}

void mark_next(void)
{
	__asm__ volatile("nop; nop");
}

static struct {
	struct perf_dev dev;
	struct perf_pair pair;
	struct perf_mem local, remote;
	struct ibv_mr *lmr, *rmr;
	uint64_t took[REPEATS];
	int phase;
} w;

static void transfer(size_t size)
{
	struct ibv_sge sge = { (uintptr_t)w.local.p, size, w.lmr->lkey };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { (uintptr_t)w.remote.p, w.rmr->rkey },
	};
	struct ibv_wc wc;
	int status;

	if (ibv_post_send(w.pair.qp[0], &wr, &bad))
		perf_die("ibv_post_send() failed: look at the kernel log");
	status = perf_wait(w.pair.cq, &wc, 10);
	if (status)
		perf_die("a WRITE failed: %s", perf_status(status));
}

static void write_8(void)
{
	transfer(8);
}

static void write_4k(void)
{
	transfer(4096);
}

static void drop(void)
{
	perf_need(!madvise(w.remote.p, LENGTH, MADV_DONTNEED), "madvise");
}

static void touch(void)
{
	perf_mem_touch(&w.remote, LENGTH);
}

/* The device knows all pages: a READ has them faulted in and mapped. */
static void populate(void)
{
	struct ibv_sge sge = { (uintptr_t)w.remote.p, LENGTH, w.rmr->lkey };

	touch();
	if (ibv_advise_mr(w.dev.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			  IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1))
		perf_die("ibv_advise_mr() failed: the device has no prefetch");
}

static void nothing(void)
{
}

static void phase(const char *name, void (*before)(void), void (*run)(void))
{
	struct perf_stats s;

	for (int i = -WARM_UP; i < REPEATS; i++) {
		uint64_t begin;

		before();
		if (i < 0) {
			run();
			continue;
		}
		begin = perf_now();
		mark_on();
		run();
		mark_off();
		w.took[i] = perf_now() - begin - perf_clock_cost();
	}
	perf_stats(w.took, REPEATS, &s);
	printf("phase %d %d %.0f %lu %s\n", w.phase++, REPEATS, s.mean,
	       (unsigned long)s.median, name);
	fflush(stdout);
	mark_next();
}

static void prepare(const struct perf_options *o)
{
	perf_dev_open(&w.dev, o);
	if (perf_pair_make(&w.pair, &w.dev, NULL, 4))
		perf_die("the queue pairs cannot be connected");
	perf_mem_get(&w.local, o, PERF_ANON, LENGTH);
	perf_mem_get(&w.remote, o, PERF_ANON, LENGTH);
	perf_mem_touch(&w.local, LENGTH);
	touch();
}

/* Where the libraries are, for who reads the counts. */
static void print_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];

	perf_need(f, "/proc/self/maps");
	while (fgets(line, sizeof(line), f))
		if (strstr(line, " r-xp "))
			printf("map %s", line);
	fclose(f);
}

static const struct perf_program program = {
	.name = "profile_workload",
	.summary = "Operations for perf/bench/profile to count.",
	.help = "",
};

int main(int argc, char **argv)
{
	struct perf_options o;

	perf_options(&o, &program, argc, argv);
	prepare(&o);
	print_maps();
	phase("nothing", nothing, nothing);
	phase("madvise 2 MiB, not registered", touch, drop);
	w.lmr = ibv_reg_mr(w.dev.pd, w.local.p, LENGTH, ODP);
	w.rmr = ibv_reg_mr(w.dev.pd, w.remote.p, LENGTH, ODP);
	perf_need(w.lmr && w.rmr, "ibv_reg_mr, on demand");
	phase("WRITE 8 B, hot", nothing, write_8);
	phase("WRITE 4 KiB, hot", nothing, write_4k);
	phase("WRITE 4 KiB, cold", drop, write_4k);
	phase("madvise 2 MiB, mirrored", populate, drop);
	phase("madvise 2 MiB, registered, no page known", touch, drop);
	ibv_dereg_mr(w.lmr);
	ibv_dereg_mr(w.rmr);
	perf_pair_break(&w.pair);
	perf_mem_put(&w.local);
	perf_mem_put(&w.remote);
	perf_dev_close(&w.dev);
	return 0;
}
