/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Two connected queue pairs in one process: qp[0], of the device, asks; qp[1],
 * of its far one, answers.  For programs that need a transfer and not a
 * measurement of it, and for those that make many pairs.
 */
#ifndef PERF_PAIR_H
#define PERF_PAIR_H

#include "perf.h"

struct perf_pair {
	struct ibv_cq *cq; /* both queue pairs', on one device */
	bool own_cq;
	struct ibv_cq *far_cq; /* qp[1]'s on another device, or NULL */
	struct ibv_qp *qp[2];
};

/* With @cq, or one of its own if that is NULL.  0 or errno: nothing is left. */
int perf_pair_make(struct perf_pair *p, struct perf_dev *d, struct ibv_cq *cq,
		   int depth);
void perf_pair_break(struct perf_pair *p);

/* A signaled RDMA WRITE or READ.  0 or errno */
int perf_pair_post(struct perf_pair *p, enum ibv_wr_opcode opcode, void *local,
		   uint32_t lkey, const void *remote, uint32_t rkey,
		   uint32_t len, uint64_t wr_id);

/* Post one and wait for it.  As perf_wait(); -errno if it cannot be posted. */
int perf_pair_do(struct perf_pair *p, enum ibv_wr_opcode opcode, void *local,
		 uint32_t lkey, const void *remote, uint32_t rkey, uint32_t len,
		 int timeout_s);

/*
 * A pair with pinned memory of its own, to look at other memory with.
 */
struct perf_probe {
	struct perf_dev *dev;
	struct perf_pair pair;
	uint8_t *p;
	struct ibv_mr *mr;
	int timeout_s;
};

/* With @len bytes; perf_die() if it cannot be had. */
void perf_probe_open(struct perf_probe *p, struct perf_dev *d, size_t len,
		     int timeout_s);

/*
 * As perf_pair_do() with the first @len bytes.  An error leaves new queue
 * pairs, or ends the program.
 */
int perf_probe_do(struct perf_probe *p, enum ibv_wr_opcode opcode,
		  const void *remote, uint32_t rkey, uint32_t len);

#endif /* PERF_PAIR_H */
