/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef INTEROP_H
#define INTEROP_H

#include "hodp_test.h"

/* Two devices: the first one posts. */
struct interop_pair {
	const char *name;
	bool rxe[2]; /* rdma_rxe's; its memory is pinned */
};

struct interop_op {
	const char *name;
	enum ibv_qp_type type;
	enum ibv_wr_opcode opcode;
	enum ibv_wc_opcode wc; /* the receiver's completion; for those with one */
	bool receives; /* takes a receive request … */
	bool sends; /* … and puts the bytes there */
	bool imm;
	bool only_to_rxe; /* hmm_odp has no memory windows to invalidate */
};

/* How memory is at an hmm_odp device's end. */
struct interop_memory {
	const char *name;
	enum ht_mem_kind mem;
	enum ht_mr_kind mr;
	bool hot; /* mapped by the device before each round */
	bool cold; /* its pages are dropped before each transfer */
};

struct interop_case {
	const struct interop_pair *pair;
	const struct interop_op *op;
	const struct interop_memory *memory;
	enum ibv_mtu mtu;
	int gid; /* HT_GID_… */
};

#define INTEROP_MOST 16 /* transfers of a round */
#define INTEROP_GUARD 123 /* bytes at the ends of a buffer, in no region */

struct interop_xfer {
	uint64_t id;
	size_t len;
	size_t off[2]; /* in the buffers */
	size_t grh; /* UD: in the receiver's */
	uint64_t add; /* atomics */
	uint64_t swap;
	struct ibv_mw *window; /* SEND_INV */
	uint32_t key;
};

struct interop_side {
	struct ht_side *s;
	struct ht_mem mem;
	struct ht_mr mr;
	uint8_t *shadow; /* what the buffer must hold */
	const struct interop_memory *memory;
};

struct interop {
	const struct interop_case *c;
	const struct interop_op *op;
	struct ht_pair pair;
	struct interop_side side[2]; /* 0 posts */
	struct interop_xfer x[INTEROP_MOST];
	int xfers;
	struct ibv_ah *ah; /* UD */
	uint64_t round;
	uint64_t *before[2]; /* counters of hmm_odp devices */
};

static inline bool interop_is_atomic(const struct interop_op *op)
{
	return op->opcode == IBV_WR_ATOMIC_CMP_AND_SWP || op->opcode == IBV_WR_ATOMIC_FETCH_AND_ADD;
}

void interop_run(const void *arg);

/* plan.c: the transfers of a case, and what they do to the shadows */
void interop_plan(struct interop *t);
void interop_move_shadow(struct interop *t, const struct interop_xfer *x);

/* post.c: one transfer */
void interop_receive(struct interop *t, const struct interop_xfer *x);
void interop_post(struct interop *t, struct interop_xfer *x);
void interop_wait(struct interop *t, const struct interop_xfer *x);
/* Memory windows at the receiver: all of them; a fresh key for one. */
void interop_windows(struct interop *t, bool make);
void interop_bind(struct interop *t, struct interop_xfer *x);

/* counters.c: what the network did meanwhile */
void interop_count(struct interop *t);
void interop_check_counters(struct interop *t);

#endif /* INTEROP_H */
