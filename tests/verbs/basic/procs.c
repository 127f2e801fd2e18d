// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Two processes, two contexts of the device, connected through pipes.
 *
 * Both run the same program with exchanged roles: each has its own memory and
 * compares its own bytes.
 */
#include <endian.h>
#include <sys/socket.h>

#include "basic.h"

#define LEN (256 * HT_KIB)

struct end {
	int fd; /* a socket to the other process */
	int which; /* 0 or 1 */
	struct ht_dev dev;
	struct ht_side s;
	struct ht_mem mem;
	struct ht_mr mr;
	struct ht_addr mine, other;
};

static void swap_addr(struct end *e)
{
	ht_eq(write(e->fd, &e->mine, sizeof(e->mine)), sizeof(e->mine));
	ht_check(ht_poll_fd(e->fd, HT_PATIENCE_MS), "the other process says nothing");
	ht_eq(read(e->fd, &e->other, sizeof(e->other)), sizeof(e->other));
}

static void meet(struct end *e)
{
	char c = 'm';

	ht_eq(write(e->fd, &c, 1), 1);
	ht_check(ht_poll_fd(e->fd, HT_PATIENCE_MS), "the other process does not come");
	ht_eq(read(e->fd, &c, 1), 1);
}

static void come_up(struct end *e)
{
	ht_open(&e->dev, e->which ? ht_opt.peer : ht_opt.dev);
	e->s.dev = &e->dev;
	e->s.pd = ibv_alloc_pd(e->dev.ctx);
	ht_true(e->s.pd != NULL);
	ht_side_create(&e->s, NULL, 0);
	ht_mem_get(&e->mem, HT_ANON, LEN, 0);
	ht_mr_get(&e->mr, e->s.pd, e->mem.p, LEN, ht_best_mr(&e->dev), HT_ACCESS_ALL);
	ht_addr_of(&e->mine, &e->s);
	e->mine.va = ht_iova(&e->mr, e->mem.p);
	e->mine.rkey = e->mr.mr->rkey;
	swap_addr(e);
	ht_connect(&e->s, NULL, &e->other);
	meet(e);
}

static struct ht_wr request(struct end *e, enum ibv_wr_opcode op, size_t loff, uint32_t len,
			    size_t roff)
{
	return (struct ht_wr){
		.id = loff * 7 + op,
		.op = op,
		.len = len,
		.addr = ht_iova(&e->mr, e->mem.p + loff),
		.lkey = e->mr.mr->lkey,
		.raddr = e->other.va + roff,
		.rkey = e->other.rkey,
	};
}

/* Each side writes from its own half of the buffer, [0, LEN/2); the peer writes to the rest. */
static void exchange(struct end *e, long rounds)
{
	uint64_t mine = 160 + e->which, yours = 161 - e->which;
	const size_t half = LEN / 2;
	struct ibv_wc wc;
	struct ht_wr w;

	for (long i = 0; i < rounds; i++) {
		uint32_t n = 1 + (i * 7919) % (half - 8192);

		ht_fill(e->mem.p, n, mine + i * 2, 0);
		memset(e->mem.p + half, 0, half);
		ht_recv(&e->s, i, &e->mr, e->mem.p + half + n + 100, 50);
		meet(e);
		w = request(e, IBV_WR_RDMA_WRITE, 0, n, half + 1);
		ht_do(&e->s, &w);
		w = request(e, IBV_WR_SEND_WITH_IMM, 0, HT_MIN(n, 50u), 0);
		w.imm = htobe32(i);
		ht_do(&e->s, &w);
		ht_want_wc(e->s.rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(be32toh(wc.imm_data), i);
		ht_check_fill(e->mem.p + half + 1, n, yours + i * 2, 0, "the other's WRITE");
		ht_check_fill(e->mem.p + half + n + 100, HT_MIN(n, 50u), yours + i * 2, 0,
			      "the other's SEND");
		ht_check_value(e->mem.p + half, 1, 0, "byte before it");
		meet(e);
		/* READ the half that the other process writes from. */
		w = request(e, IBV_WR_RDMA_READ, half + 5, n, 0);
		ht_do(&e->s, &w);
		ht_check_fill(e->mem.p + half + 5, n, yours + i * 2, 0, "READ from the other");
		meet(e);
	}
}

static void go_down(struct end *e)
{
	ht_mr_put(&e->mr);
	ht_side_put(&e->s);
	ht_ok(ibv_destroy_cq(e->s.scq));
	ht_ok(ibv_destroy_cq(e->s.rcq));
	ht_ok(ibv_dealloc_pd(e->s.pd));
	ht_close(&e->dev);
}

static void both_ends(void *arg)
{
	struct end *e = arg;

	come_up(e);
	exchange(e, ht_count(10));
	go_down(e);
}

static void procs_exchange(const void *arg)
{
	static struct end e[2];
	pid_t pid[2];
	int fd[2];

	ht_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	for (int i = 0; i < 2; i++) {
		e[i] = (struct end){ .fd = fd[i], .which = i };
		pid[i] = ht_fork(both_ends, &e[i]);
	}
	for (int i = 0; i < 2; i++)
		ht_join(pid[i]);
}

/* Many processes add to one counter: no addition is lost or doubled. */
#define ADDERS 4
#define ADDS 50

static void adder(void *arg)
{
	struct end *e = arg;
	uint64_t last = 0;

	come_up(e);
	for (int i = 0; i < ADDS; i++) {
		struct ht_wr w = request(e, IBV_WR_ATOMIC_FETCH_AND_ADD, 64, 8, 4096);
		uint64_t old;

		w.add = 1ULL << 32 | 1;
		ht_do(&e->s, &w);
		memcpy(&old, e->mem.p + 64, 8);
		ht_check(old >> 32 == (old & 0xffffffff), "a torn counter: 0x%" PRIx64, old);
		ht_check(!i || old > last, "the counter went from 0x%" PRIx64 " to 0x%" PRIx64,
			 last, old);
		last = old;
	}
	meet(e);
	go_down(e);
}

static void procs_atomic(const void *arg)
{
	struct end e[ADDERS] = { 0 };
	struct ht_mem mem;
	struct ht_mr mr;
	struct ht_dev dev;
	struct ibv_pd *pd;
	pid_t pid[ADDERS];
	uint64_t sum;
	int fd[2];

	/* Fork before the device is opened: children must not inherit it. */
	for (int i = 0; i < ADDERS; i++) {
		struct end child = { 0 };

		ht_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
		child.fd = fd[1];
		pid[i] = ht_fork(adder, &child);
		close(fd[1]);
		e[i].fd = fd[0];
	}
	ht_open(&dev, ht_opt.peer);
	pd = ibv_alloc_pd(dev.ctx);
	ht_mem_get(&mem, HT_ANON, LEN, 0);
	ht_mr_get(&mr, pd, mem.p, LEN, ht_best_mr(&dev), HT_ACCESS_ALL);
	for (int i = 0; i < ADDERS; i++) {
		e[i].s = (struct ht_side){ .dev = &dev, .pd = pd };
		ht_side_create(&e[i].s, NULL, 0);
		ht_addr_of(&e[i].mine, &e[i].s);
		e[i].mine.va = ht_iova(&mr, mem.p);
		e[i].mine.rkey = mr.mr->rkey;
		swap_addr(&e[i]);
		ht_connect(&e[i].s, NULL, &e[i].other);
	}
	for (int i = 0; i < ADDERS; i++)
		meet(&e[i]);
	/* The CPU adds too: atomics are atomic against it if the device reports so. */
	if (dev.attr.orig_attr.atomic_cap == IBV_ATOMIC_GLOB)
		for (int i = 0; i < 1000; i++)
			__atomic_fetch_add((uint64_t *)(mem.p + 4096), 1ULL << 32 | 1,
					   __ATOMIC_SEQ_CST);
	for (int i = 0; i < ADDERS; i++)
		meet(&e[i]);
	for (int i = 0; i < ADDERS; i++)
		ht_join(pid[i]);
	memcpy(&sum, mem.p + 4096, 8);
	ht_eq(sum & 0xffffffff,
	      ADDERS * ADDS + (dev.attr.orig_attr.atomic_cap == IBV_ATOMIC_GLOB ? 1000 : 0));
	ht_eq(sum >> 32, sum & 0xffffffff);
}

const struct ht_case basic_procs[] = {
	{ "procs-exchange", "two processes write, send to and read from each other",
	  procs_exchange },
	{ "procs-atomic", "concurrent FETCH_ADDs of processes and of the CPU all count",
	  procs_atomic },
	{},
};
