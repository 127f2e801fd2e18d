// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* One end of a connection between two processes. */
#include <sys/mman.h>

#include "kill.h"

struct board *board;

void end_open(struct end *e)
{
	ht_open(&e->dev, ht_opt.dev);
	e->s.dev = &e->dev;
	e->s.pd = ibv_alloc_pd(e->dev.ctx);
	ht_true(e->s.pd != NULL);
	e->p = ht_map(END_LEN, PROT_READ | PROT_WRITE);
}

static void say(int fd, void *mine, void *other, size_t len)
{
	ht_eq(write(fd, mine, len), len);
	ht_check(ht_poll_fd(fd, HT_PATIENCE_MS), "the other process says nothing");
	ht_eq(read(fd, other, len), len);
}

void end_connect(struct end *e)
{
	struct ht_conf conf = { .timeout = 8, .retry = 2, .depth = 16 };
	char c = 'm';

	ht_side_create(&e->s, &conf, 0);
	if (!e->mr.mr)
		ht_mr_get(&e->mr, e->s.pd, e->p, END_LEN, ht_best_mr(&e->dev), HT_ACCESS_ALL);
	ht_addr_of(&e->mine, &e->s);
	e->mine.va = ht_iova(&e->mr, e->p);
	e->mine.rkey = e->mr.mr->rkey;
	say(e->fd, &e->mine, &e->other, sizeof(e->mine));
	ht_connect(&e->s, &conf, &e->other);
	say(e->fd, &c, &c, 1);
}

struct ht_wr end_wr(struct end *e, enum ibv_wr_opcode op, uint32_t len)
{
	return (struct ht_wr){
		.id = 0x4b,
		.op = op,
		.len = len,
		.addr = ht_iova(&e->mr, e->p),
		.lkey = e->mr.mr->lkey,
		.raddr = e->other.va + END_LEN / 2,
		.rkey = e->other.rkey,
		.add = 1,
	};
}

static enum ibv_wc_status act(struct end *e, const struct ht_wr *w)
{
	struct ibv_wc wc;

	ht_post(e->s.qp, w);
	ht_next_wc(e->s.scq, &wc, "of an operation towards a process that may be gone");
	return wc.status;
}

/* WRITE to the other's second half, READ it back; at times add to its counter. */
bool end_step(struct end *e, uint64_t turn)
{
	uint32_t len = 1 + turn * 7919 % (END_LEN / 2 - 64);
	struct ht_wr w = end_wr(e, IBV_WR_RDMA_WRITE, len);
	enum ibv_wc_status st;

	ht_fill(e->p, len, turn, 0);
	st = act(e, &w);
	if (st == IBV_WC_SUCCESS) {
		w.op = IBV_WR_RDMA_READ;
		memset(e->p, 0, len);
		st = act(e, &w);
		if (st == IBV_WC_SUCCESS)
			ht_check_fill(e->p, len, turn, 0, "bytes read back");
	}
	if (st == IBV_WC_SUCCESS && turn % 4 == 0) {
		w.op = IBV_WR_ATOMIC_FETCH_AND_ADD;
		w.len = 8;
		w.raddr = e->other.va + END_LEN - 8;
		st = act(e, &w);
	}
	if (st == IBV_WC_SUCCESS)
		return true;
	ht_check(st == IBV_WC_RETRY_EXC_ERR || st == IBV_WC_REM_ACCESS_ERR,
		 "towards a process that is gone: %s", ibv_wc_status_str(st));
	return false;
}

void fresh_here(void *arg)
{
	const char *when = arg;
	static struct ht_rig r;
	struct ibv_wc wc;

	ht_rig_get(&r, NULL, 16 * HT_PAGE);
	ht_fill(r.p[0], r.len, 7001, 0);
	memset(r.p[1], 0x33, r.len);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 1, 50001, 3);
	ht_check_fill(r.p[1] + 3, 50001, 7001, 1, when);
	ht_check_value(r.p[1], 3, 0x33, when);
	ht_check_value(r.p[1] + 50004, r.len - 50004, 0x33, when);
	memset(r.p[0], 0x44, r.len);
	ht_rig_do(&r, IBV_WR_RDMA_READ, 5, 40000, 3);
	ht_check_fill(r.p[0] + 5, 40000, 7001, 1, when);
	ht_recv(r.b, 5, &r.mr[1], r.p[1] + 9, 3000);
	ht_rig_do(&r, IBV_WR_SEND, 5, 3000, 0);
	ht_want_wc(r.b->rcq, &wc, 5, IBV_WC_SUCCESS);
	ht_check_fill(r.p[1] + 9, 3000, 7001, 1, when);
	ht_rig_put(&r);
}

void fresh(const char *when)
{
	ht_join(ht_fork(fresh_here, (void *)when));
}
