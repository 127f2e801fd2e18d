// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Two connected queue pairs in one process, on one device or on two. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

void perf_pair_break(struct perf_pair *p)
{
	for (int i = 0; i < 2; i++) {
		if (p->qp[i])
			perf_qp_destroy(p->qp[i]);
	}
	if (p->far_cq)
		ibv_destroy_cq(p->far_cq);
	if (p->cq && p->own_cq)
		ibv_destroy_cq(p->cq);
	memset(p, 0, sizeof(*p));
}

/* 0 or errno */
static int make_cqs(struct perf_pair *p, struct perf_dev *d, struct ibv_cq *cq,
		    int depth)
{
	p->own_cq = !cq;
	p->cq = cq ? cq : ibv_create_cq(d->ctx, 2 * depth, NULL, NULL, 0);
	if (!p->cq)
		return errno;
	if (!perf_two_devices(d))
		return 0;
	p->far_cq = ibv_create_cq(d->far->ctx, depth, NULL, NULL, 0);
	return p->far_cq ? 0 : errno;
}

int perf_pair_make(struct perf_pair *p, struct perf_dev *d, struct ibv_cq *cq,
		   int depth)
{
	struct perf_dev *end[2] = { d, d->far };
	struct perf_qp_address address[2];
	int err;

	memset(p, 0, sizeof(*p));
	err = make_cqs(p, d, cq, depth);
	for (int i = 0; i < 2 && !err; i++) {
		struct ibv_cq *own = i && p->far_cq ? p->far_cq : p->cq;

		p->qp[i] = perf_qp_make(end[i], own, depth);
		if (p->qp[i])
			perf_qp_address(end[i], p->qp[i], &address[i]);
		else
			err = errno;
	}
	for (int i = 0; i < 2 && !err; i++)
		err = perf_qp_connect(end[i], p->qp[i], &address[!i], !i);
	if (err)
		perf_pair_break(p);
	return err;
}

int perf_pair_post(struct perf_pair *p, enum ibv_wr_opcode opcode, void *local,
		   uint32_t lkey, const void *remote, uint32_t rkey,
		   uint32_t len, uint64_t wr_id)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)local,
		.length = len,
		.lkey = lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.wr_id = wr_id,
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = (uintptr_t)remote, .rkey = rkey },
	};

	return ibv_post_send(p->qp[0], &wr, &bad);
}

int perf_pair_do(struct perf_pair *p, enum ibv_wr_opcode opcode, void *local,
		 uint32_t lkey, const void *remote, uint32_t rkey, uint32_t len,
		 int timeout_s)
{
	struct ibv_wc wc;
	int err;

	err = perf_pair_post(p, opcode, local, lkey, remote, rkey, len, 0);
	return err ? -err : perf_wait(p->cq, &wc, timeout_s);
}

static void renew(struct perf_probe *p)
{
	perf_pair_break(&p->pair);
	errno = perf_pair_make(&p->pair, p->dev, NULL, 4);
	perf_need(!errno, "a new queue pair");
}

void perf_probe_open(struct perf_probe *p, struct perf_dev *d, size_t len,
		     int timeout_s)
{
	p->dev = d;
	p->timeout_s = timeout_s;
	p->p = aligned_alloc(PERF_PAGE, len);
	perf_need(p->p, "memory for transfers");
	p->mr = ibv_reg_mr(d->pd, p->p, len, PERF_SINK);
	perf_need(p->mr, "ibv_reg_mr of pinned memory");
	renew(p);
}

int perf_probe_do(struct perf_probe *p, enum ibv_wr_opcode opcode,
		  const void *remote, uint32_t rkey, uint32_t len)
{
	int status = perf_pair_do(&p->pair, opcode, p->p, p->mr->lkey, remote,
				  rkey, len, p->timeout_s);

	if (status)
		renew(p);
	return status;
}
