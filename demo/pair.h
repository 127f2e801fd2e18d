/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A pair: two RC queue pairs of one process on one device, connected to each
 * other.  It is all that the demo and the cost bench need of verbs: side 0
 * asks, side 1 answers.
 *
 * What cannot go on (no such device, no GID) ends the program with status 2
 * and one line on stderr.  What a program wants to look at is returned.
 */
#ifndef DEMO_PAIR_H
#define DEMO_PAIR_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct pair {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_qp *qp[2];
	struct ibv_device_attr_ex attr;
	struct ibv_port_attr port;
	union ibv_gid gid;
	int gid_index;
};

#define PAIR_ACCESS                                         \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | \
	 IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC)
#define PAIR_ODP (PAIR_ACCESS | IBV_ACCESS_ON_DEMAND)

/* End the program unless @ok: "PROGRAM: WHAT: strerror(errno)", status 2. */
void need(bool ok, const char *what);

/* Open @device, take its IPv4 GID (RoCEv2) and connect.  Port 1. */
void pair_open(struct pair *p, const char *device);

/* Begin anew with fresh queue pairs, whatever became of the old ones. */
void pair_connect(struct pair *p);

void pair_close(struct pair *p);

/* One RDMA request from @local to @remote on side 0; -errno or 0. */
int pair_post(struct pair *p, enum ibv_wr_opcode opcode, void *local,
	      const struct ibv_mr *lmr, uint64_t remote, uint32_t rkey,
	      uint32_t length);

/*
 * Wait for one completion, giving way between polls: on two CPUs a spinning
 * process starves the kernel workers that are to complete its request.
 * Returns a wc status, or -ETIMEDOUT after ten seconds.
 */
int pair_wait(struct pair *p, struct ibv_wc *wc);

/* pair_post(), then pair_wait(). */
int pair_rdma(struct pair *p, enum ibv_wr_opcode opcode, void *local,
	      const struct ibv_mr *lmr, uint64_t remote, uint32_t rkey,
	      uint32_t length);

/* A status of pair_wait() or pair_post() in words. */
const char *pair_status(int status);

/* Memory of our own, page-aligned, not yet touched. */
void *map_anonymous(size_t length);

/* How many of @length bytes differ. */
size_t wrong_bytes(const void *got, const void *want, size_t length);

/*
 * Bytes which depend on their place and on @seed, so that data of another
 * place, of another transfer, or of nowhere at all is seen.  Never zero.
 */
void fill_pattern(void *buf, size_t length, uint64_t seed);

/* A repeatable generator: the same @state gives the same numbers. */
uint64_t next_random(uint64_t *state);

uint64_t now_ns(void);

#endif
