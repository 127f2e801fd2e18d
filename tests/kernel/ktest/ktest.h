/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The kernel's verbs, tested as a kernel consumer uses them.
 *
 * Language
 *   mem      kernel memory, and @want, what must be in it.  A case notes in
 *            @want what it moves; after each case all of it is compared, so
 *            every byte that is not named is a guard byte
 *   wr       a work request, its SGEs and its completion, from a pool that
 *            outlives the QPs: a late completion never hits a dead stack
 *   pair     two connected RC QPs of one device
 *   region   memory that REG_MR gives a key to: pieces of one mem, in order
 *
 * A check that fails says so and the case goes on: no wait is without an end,
 * and what the case made is taken down by the runner (main.c).
 */
#ifndef KTEST_H
#define KTEST_H

#include <linux/completion.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <rdma/ib_verbs.h>

#define KT_MEM_BYTES SZ_64K /* of those that each case has */
#define KT_MEMS 4
#define KT_WRS 192
#define KT_SGES 4
#define KT_DEPTH 64
#define KT_PIECES 8
#define KT_PATIENCE (20 * HZ)
#define KT_QP_ACCESS                                      \
	(IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_READ | \
	 IB_ACCESS_REMOTE_ATOMIC)
#define KT_RW \
	(IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_WRITE)

struct kt;

struct kt_mem {
	u8 *p;
	u8 *want;
	u32 len;
	int id;
	u64 dma;
};

/**
 * struct kt_wr - a work request
 * @receives: it is a receive request
 * @then: called from the completion, in the CQ's context
 * @calls: completions that it got
 * @order: its place among all completions of the case
 */
struct kt_wr {
	struct ib_cqe cqe;
	struct kt *t;
	bool receives;
	void (*then)(struct kt_wr *w);
	struct completion done;
	struct ib_wc wc;
	atomic_t calls;
	int order;
	struct ib_sge sge[KT_SGES];
	union {
		struct ib_send_wr send;
		struct ib_rdma_wr rdma;
		struct ib_atomic_wr atomic;
		struct ib_reg_wr reg;
		struct ib_recv_wr recv;
	};
};

struct kt_end {
	struct ib_qp *qp;
	struct ib_cq *scq;
	struct ib_cq *rcq;
};

/* How a pair is made. */
struct kt_opts {
	enum ib_poll_context poll;
	bool srq;
	bool signal_all;
};

/**
 * struct kt_pair - two connected QPs
 * @srq: where @b receives, if it is asked for
 * @srq_low: events for the SRQ's limit
 */
struct kt_pair {
	struct ib_pd *pd;
	struct kt_opts opts;
	struct kt_end a;
	struct kt_end b;
	struct ib_srq *srq;
	atomic_t srq_low;
};

struct kt_piece {
	u32 off;
	u32 len;
};

struct kt_region {
	struct ib_mr *mr;
	struct kt_mem *mem;
	struct scatterlist sg[KT_PIECES];
	struct kt_piece piece[KT_PIECES];
	u32 num;
};

/**
 * struct kt - the case that runs
 * @pd: with a key for all memory; @pd2: another one
 * @main: a pair of @pd, there when a case begins
 * @other: a second pair, for the cases that open one
 * @region: a region of @pd, there when a case begins, never mapped
 * @foreign: a region of @pd2, for the cases that open one
 * @seed: of the bytes in @mem
 * @mems: how many there were, of whatever case
 */
struct kt {
	struct ib_device *dev;
	const void *arg;
	struct ib_pd *pd;
	struct ib_pd *pd2;
	struct kt_mem mem[KT_MEMS];
	struct kt_pair main;
	struct kt_pair other;
	struct kt_region region;
	struct kt_region foreign;
	struct kt_wr wr[KT_WRS];
	int wrs;
	atomic_t clock;
	u8 key;
	u32 seed;
	int mems;
	bool failed;
};

/**
 * struct kt_case - a case
 * @arg: what its function finds in kt.arg
 */
struct kt_case {
	const char *name;
	void (*run)(struct kt *t);
	struct kt_opts opts;
	const void *arg;
};

/* Report @cond if it does not hold. Value: whether it does. */
#define KT_CHECK(t, cond, fmt, ...) \
	kt_passed((cond) || kt_fail(t, __func__, __LINE__, fmt, ##__VA_ARGS__))

/* A value that may be left unused. */
static inline bool kt_passed(bool passed)
{
	return passed;
}

/* main.c: a diagnosis, and the case has failed.  Return: false. */
__printf(4, 5) bool kt_fail(struct kt *t, const char *where, int line,
			    const char *fmt, ...);

/* rig.c: memory */
/* Return: 0, -ENOMEM, -EIO; kt_mem_free() in any case. */
int kt_mem_alloc(struct kt *t, struct kt_mem *mem, u32 len);
void kt_mem_free(struct kt *t, struct kt_mem *mem);
/* Filled with bytes that no other mem has. */
void kt_mem_fill(struct kt *t, struct kt_mem *mem);
/* All of @mem is as it must be. */
void kt_mem_check(struct kt *t, const struct kt_mem *mem);
/* Note that @len bytes move from one place to the other. */
void kt_moved(struct kt_mem *to, u32 to_off, const struct kt_mem *from,
	      u32 from_off, u32 len);

/* rig.c: pairs */
void kt_pair_open(struct kt *t, struct kt_pair *p, struct ib_pd *pd,
		  struct kt_opts opts);
void kt_pair_close(struct kt *t, struct kt_pair *p);
/* To RESET and back to RTS, whatever the states are. */
void kt_pair_reconnect(struct kt *t, struct kt_pair *p);
int kt_end_reset(struct kt_end *e);
int kt_end_init(struct kt_end *e);
int kt_end_rtr(struct kt *t, struct kt_end *e, const struct kt_end *peer);
enum ib_qp_state kt_end_state(struct kt_end *e);
/* Both QPs must be in the error state by now; connect them again. */
void kt_pair_died(struct kt *t, struct kt_pair *p);

/* rig.c: work requests */
/* Requests made one after the other are neighbours in the pool. */
struct kt_wr *kt_wr(struct kt *t, enum ib_wr_opcode op);
struct kt_wr *kt_rdma(struct kt *t, enum ib_wr_opcode op, u64 addr, u32 rkey);
/* To or from this place, by the PD's key for all memory. */
struct kt_wr *kt_rdma_mem(struct kt *t, enum ib_wr_opcode op,
			  const struct kt_mem *mem, u32 off);
struct kt_wr *kt_inv(struct kt *t, enum ib_wr_opcode op, u32 key);
struct kt_wr *kt_recv(struct kt *t);
void kt_sge(struct kt_wr *w, const struct kt_mem *mem, u32 off, u32 len);
void kt_sge_key(struct kt_wr *w, u64 addr, u32 len, u32 lkey);
void kt_link(struct kt_wr *first, struct kt_wr *second);
void kt_post(struct kt *t, struct kt_end *e, struct kt_wr *w);
/* Post to the SRQ of the QP, if it has one.  Return: as ib_post_recv(). */
int kt_try_recv(struct kt_end *e, struct kt_wr *w,
		const struct ib_recv_wr **bad);
void kt_post_recv(struct kt *t, struct kt_end *e, struct kt_wr *w);
/* Post a receive into this place. */
struct kt_wr *kt_recv_mem(struct kt *t, struct kt_end *e,
			  const struct kt_mem *mem, u32 off, u32 len);
bool kt_wait(struct kt *t, struct kt_wr *w);
void kt_expect(struct kt *t, struct kt_wr *w, enum ib_wc_status status);
/* Post it and expect its completion. */
void kt_do(struct kt *t, struct kt_end *e, struct kt_wr *w,
	   enum ib_wc_status status);
/* Time for something that must not happen. */
void kt_settle(struct kt *t);

/* region.c */
#define KT_REGION_BYTES (4096 - 123 + 4096 + 4096 + 777)

bool kt_region_alloc(struct kt *t, struct kt_region *r, struct ib_pd *pd,
		     u32 pages);
/* Make the region and the pair of the second PD. Return: are they there? */
bool kt_foreign_open(struct kt *t);
void kt_region_free(struct kt *t, struct kt_region *r);
/* Return: as ib_map_mr_sg(), which needs exclusive use of the region. */
int kt_region_map(struct kt_region *r, struct kt_mem *mem,
		  const struct kt_piece *piece, u32 num, u32 *offset,
		  u32 page_size);
/* Map the usual part of @mem, and check that all of it was taken. */
void kt_region_map_usual(struct kt *t, struct kt_region *r, struct kt_mem *mem);
/* A REG_MR request with the next key; not posted. */
struct kt_wr *kt_region_wr(struct kt *t, struct kt_region *r, int access);
/* Map and register, through @e. */
void kt_region_reg(struct kt *t, struct kt_end *e, struct kt_region *r,
		   struct kt_mem *mem, int access);
/* LOCAL_INV through @e. */
void kt_region_inv(struct kt *t, struct kt_end *e, struct kt_region *r);
/* The place in the mem of the region's byte @off. */
u32 kt_region_at(const struct kt_region *r, u32 off);
void kt_region_moved_in(struct kt_region *r, u32 off, const struct kt_mem *from,
			u32 from_off, u32 len);
void kt_region_moved_out(struct kt_mem *to, u32 to_off,
			 const struct kt_region *r, u32 off, u32 len);
/* WRITE from mem 0 to a region by key; as it must be if it succeeds. */
void kt_region_write(struct kt *t, struct kt_pair *p, struct kt_region *r,
		     u32 off, u32 len);
/* A WRITE of a byte by this key must be refused, and kill both QPs. */
void kt_key_refused(struct kt *t, struct kt_pair *p, u64 addr, u32 key);

/* Each file's cases, an entry without a name last. */
extern const struct kt_case kt_data_cases[];
extern const struct kt_case kt_post_cases[];
extern const struct kt_case kt_reg_cases[];
extern const struct kt_case kt_inval_cases[];
extern const struct kt_case kt_drain_cases[];
extern const struct kt_case kt_race_cases[];

#endif /* KTEST_H */
