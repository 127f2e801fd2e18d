// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * wire_workload -d DEVICE --peer DEVICE: what an operation costs between two
 * devices of this machine, whose packets cross a network.
 *
 * One process has both ends, so that a clock that counts instructions counts both
 * and nothing else.  It prints "phase" lines as workload.c does, with the same
 * marks, for perf/bench/profile --wire; perf/bench/wire makes a table of them.
 * After each phase all bytes are compared, and those around them, too.
 */
#include <stdlib.h>
#include <string.h>

#include "pair.h"

#define REPEATS 50
#define WARM_UP 10
#define STREAM 64 /* messages */
#define DEPTH 8 /* of them at a time */
#define PIECE (64 << 10)
#define LENGTH PERF_HUGE
#define ODD 1000 /* guard bytes before the place of an operation */

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

/* One end: the near one asks, the far one answers. */
struct end {
	struct perf_dev dev;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct perf_mem mem;
	struct ibv_mr *mr;
};

static struct {
	struct end near, far;
	uint64_t took[REPEATS];
	int phase;
	enum ibv_wr_opcode opcode;
	size_t size;
} w;

static int want_odp;

static void post(size_t size, size_t at)
{
	struct ibv_sge sge = { (uintptr_t)w.near.mem.p + at, size,
			       w.near.mr->lkey };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = w.opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { (uintptr_t)w.far.mem.p + at, w.far.mr->rkey },
	};

	if (ibv_post_send(w.near.qp, &wr, &bad))
		perf_die("ibv_post_send() failed: look at the kernel log");
}

static void post_recv(void)
{
	struct ibv_sge sge = { (uintptr_t)w.far.mem.p + ODD, w.size,
			       w.far.mr->lkey };
	struct ibv_recv_wr *bad, wr = { .sg_list = &sge, .num_sge = 1 };

	if (ibv_post_recv(w.far.qp, &wr, &bad))
		perf_die("ibv_post_recv() failed: look at the kernel log");
}

static void done(struct ibv_cq *cq)
{
	struct ibv_wc wc;
	int status = perf_wait(cq, &wc, 10);

	if (status)
		perf_die("an operation failed: %s", perf_status(status));
}

static void one(void)
{
	post(w.size, ODD);
	done(w.near.cq);
}

static void stream(void)
{
	for (int i = 0; i < STREAM + DEPTH; i++) {
		if (i >= DEPTH)
			done(w.near.cq);
		if (i < STREAM)
			post(PIECE, ODD + i % 16 * PIECE);
	}
}

/* Every byte of both ends. */
static void verify(const char *name, size_t len)
{
	const uint8_t *to = w.opcode == IBV_WR_RDMA_READ ? w.near.mem.p :
							   w.far.mem.p;
	uint64_t seed = w.opcode == IBV_WR_RDMA_READ ? 2 : 1;
	static uint8_t want[LENGTH];

	perf_fill(want, LENGTH, seed == 1 ? 2 : 1);
	if (memcmp(to, want, ODD) ||
	    memcmp(to + ODD + len, want + ODD + len, LENGTH - ODD - len))
		perf_die("%s: bytes around the operation were changed", name);
	perf_fill(want, LENGTH, seed);
	if (memcmp(to + ODD, want + ODD, len))
		perf_die("%s: wrong bytes", name);
}

static void refill(void)
{
	perf_fill(w.near.mem.p, LENGTH, 1);
	perf_fill(w.far.mem.p, LENGTH, 2);
}

static void phase(const char *name, enum ibv_wr_opcode opcode, size_t size,
		  void (*run)(void), int repeats)
{
	bool send = opcode == IBV_WR_SEND;
	struct perf_stats s;

	refill();
	w.opcode = opcode;
	w.size = size;
	for (int i = -WARM_UP; i < repeats; i++) {
		uint64_t begin;

		if (send)
			post_recv();
		begin = perf_now();
		if (i >= 0)
			mark_on();
		run();
		mark_off();
		if (i >= 0)
			w.took[i] = perf_now() - begin - perf_clock_cost();
		if (send)
			done(w.far.cq);
	}
	verify(name, run == stream ? 16 * PIECE : size);
	perf_stats(w.took, repeats, &s);
	printf("phase %d %d %.0f %lu %s\n", w.phase++, repeats, s.mean,
	       (unsigned long)s.median, name);
	fflush(stdout);
	mark_next();
}

static void end_open(struct end *e, const struct perf_options *o,
		     const char *device)
{
	int access = PERF_ACCESS | (want_odp ? IBV_ACCESS_ON_DEMAND : 0);

	perf_dev_open_one(&e->dev, o, device);
	e->cq = ibv_create_cq(e->dev.ctx, 4 * DEPTH, NULL, NULL, 0);
	perf_need(e->cq, "ibv_create_cq");
	e->qp = perf_qp_make(&e->dev, e->cq, 2 * DEPTH);
	perf_need(e->qp, "a queue pair");
	perf_mem_get(&e->mem, o, PERF_ANON, LENGTH);
	perf_mem_touch(&e->mem, LENGTH);
	e->mr = ibv_reg_mr(e->dev.pd, e->mem.p, LENGTH, access);
	perf_need(e->mr, "ibv_reg_mr");
}

static void end_close(struct end *e)
{
	ibv_dereg_mr(e->mr);
	perf_qp_destroy(e->qp);
	ibv_destroy_cq(e->cq);
	perf_mem_put(&e->mem);
	perf_dev_close(&e->dev);
}

static void connect_ends(void)
{
	struct perf_qp_address near, far;

	perf_qp_address(&w.near.dev, w.near.qp, &near);
	perf_qp_address(&w.far.dev, w.far.qp, &far);
	if (perf_qp_connect(&w.far.dev, w.far.qp, &near, false) ||
	    perf_qp_connect(&w.near.dev, w.near.qp, &far, true))
		perf_die("the queue pairs cannot be connected");
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

static const struct perf_option own_options[] = {
	{ "odp", .number = &want_odp, .max = 1 },
	{},
};

static const struct perf_program program = {
	.name = "wire_workload",
	.summary = "What operations between two devices cost.",
	.help = "      --odp 1             memory on demand, and hot\n",
	.options = own_options,
	.two_devices = true,
};

int main(int argc, char **argv)
{
	struct perf_options o;

	perf_options(&o, &program, argc, argv);
	if (!o.peer)
		perf_die("--peer: which device is the other end?");
	end_open(&w.near, &o, o.device);
	end_open(&w.far, &o, o.peer);
	connect_ends();
	print_maps();
	phase("WRITE 8 B", IBV_WR_RDMA_WRITE, 8, one, REPEATS);
	phase("READ 8 B", IBV_WR_RDMA_READ, 8, one, REPEATS);
	phase("SEND 8 B", IBV_WR_SEND, 8, one, REPEATS);
	phase("WRITE 4 KiB", IBV_WR_RDMA_WRITE, 4096, one, REPEATS);
	phase("READ 4 KiB", IBV_WR_RDMA_READ, 4096, one, REPEATS);
	phase("SEND 4 KiB", IBV_WR_SEND, 4096, one, REPEATS);
	phase("WRITE 64 KiB", IBV_WR_RDMA_WRITE, PIECE, one, REPEATS);
	phase("READ 64 KiB", IBV_WR_RDMA_READ, PIECE, one, REPEATS);
	phase("WRITE 1 MiB", IBV_WR_RDMA_WRITE, 1 << 20, one, 10);
	phase("READ 1 MiB", IBV_WR_RDMA_READ, 1 << 20, one, 10);
	phase("64 WRITEs of 64 KiB, 8 at a time", IBV_WR_RDMA_WRITE, PIECE,
	      stream, 10);
	end_close(&w.near);
	end_close(&w.far);
	return 0;
}
