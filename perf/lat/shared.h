/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * odp_lat and odp_bw: one operation between two ends, in every state that the
 * memory of either end can be in.
 *
 *   end    device, memory, region and queue pair of one process.  It does what
 *          a call says (end.c); the far one gets its calls through a socket
 *          (wire.c), the near one directly.
 *   rig    the two ends, connected
 *   case   what a row measures: operation, state, memory, side, size (case.c)
 *   shape  where in a region the operation's bytes are
 *   lost   of memory without a file: its pages were taken away, so it reads as
 *          zeros now
 *
 * Who measures is the near end: from ibv_post_send() to the completion polled.
 * The far end sleeps in the socket meanwhile.
 */
#ifndef LAT_H
#define LAT_H

#include <sys/types.h>

#include "perf.h"

/* Around the bytes of an operation, to see what it should not have touched. */
#define GUARD (3 * PERF_PAGE)

enum op { OP_SEND, OP_WRITE, OP_WRITE_IMM, OP_READ, OP_FAA, OP_CAS, OPS };
enum reg {
	REG_PINNED,
	REG_HOT,
	REG_COLD,
	REG_TOUCHED,
	REG_PREFETCHED,
	REG_IMPLICIT,
	REGS,
};
enum side { SIDE_LOCAL, SIDE_REMOTE, SIDE_BOTH, SIDES };

/* @count pieces of @size bytes, @stride apart, the first at @off. */
struct shape {
	uint64_t off, stride, size, count;
};

/* ---- wire.c: calls through a socket ---- */

enum call {
	CALL_HELLO = 1, /* version, depth -> enum hello */
	CALL_QP, /* -> struct perf_qp_address; the old one is destroyed */
	CALL_CONNECT, /* struct perf_qp_address -> */
	CALL_REGION, /* memory, reg, length -> address, rkey */
	CALL_DROP, /* the region, if there is one */
	CALL_TOUCH, /* all pages, for CPU and hot state */
	CALL_PREPARE, /* reg, length: its state before an operation -> lost */
	CALL_PAINT, /* shape, seed: known bytes everywhere */
	CALL_CHECK, /* shape, seed, lost: -> wrong bytes */
	CALL_PEEK, /* offset -> 64 bits */
	CALL_POKE, /* offset, 64 bits -> */
	CALL_RECEIVE, /* shape -> after all earlier ones are forgotten */
	CALL_RECEIVED, /* -> completions, status, bytes, immediate of the last */
	CALL_COUNT, /* which -> faults of the device, or of the process */
	CALL_HUGE, /* -> bytes of the region on huge pages */
	CALL_BYE,
};

#define WORDS 8
#define VERSION 3

enum hello { HELLO_GENERAL, HELLO_RC, HELLO_GUID, HELLO_ATOMIC };

/* A call going there, its answer coming back in the same place. */
struct message {
	uint64_t call;
	uint64_t err; /* an errno; @why says more */
	uint64_t w[WORDS];
	char why[200];
};

/* False: the other one has gone, or does not answer; errno says which. */
bool wire_send(int sock, const struct message *m);
bool wire_receive(int sock, struct message *m);

/* The words of CALL_QP's answer, and of CALL_CONNECT. */
void wire_put_address(struct message *m, const struct perf_qp_address *a);
void wire_get_address(const struct message *m, struct perf_qp_address *a);

/* A connected socket to the far end, a child if @o names no host. */
int wire_connect(const struct perf_options *o, pid_t *child,
		 void (*serve)(const struct perf_options *o, int sock));
/* Wait for a client. */
int wire_accept(const struct perf_options *o);

/* ---- end.c ---- */

/* Operations that one queue takes; each program has its own. */
extern const int end_depth;

struct end {
	const struct perf_options *o;
	struct perf_dev dev;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	int depth;
	struct perf_mem mem;
	struct ibv_mr *mr;
	size_t len; /* of the region */
	bool asks; /* it is the near one */
	bool lost;
	bool piece_zero; /* CALL_CHECK: the pieces are to be zero */
};

/* On @device. */
void end_open(struct end *e, const struct perf_options *o, const char *device);
void end_close(struct end *e);

/* Do what @m says; the answer is in @m. */
void end_call(struct end *e, struct message *m);

/* Be the far end until the client says goodbye. */
void end_serve(const struct perf_options *o, int sock);

/* --server: be it for one client.  The program's exit status. */
int end_server(const struct perf_options *o);

/* ---- rig.c ---- */

struct rig {
	const struct perf_options *o;
	struct end near;
	int sock;
	pid_t child; /* 0: the far end is not ours */
	uint64_t far[WORDS]; /* what it said to CALL_HELLO */
	bool one_device; /* both ends are on it: count its faults once */
};

void rig_open(struct rig *g, const struct perf_options *o);
void rig_close(struct rig *g);

/* Anew, after an error; perf_die() if that fails, too. */
void rig_reconnect(struct rig *g);

/* A call to one end: SIDE_LOCAL or SIDE_REMOTE.  0 or errno. */
int rig_call(struct rig *g, enum side at, struct message *m);

/* ---- case.c ---- */

extern const char *const op_names[OPS + 1], *const reg_names[REGS + 1];

/* Bits of the enums above, and of enum perf_mem_kind. */
struct grid {
	uint32_t ops, regs, mems, sides;
	int row_time; /* seconds after which a row has enough samples */
};

extern struct grid grid;

/* The options of a grid, and their help. */
extern const struct perf_option grid_options[];

#define GRID_HELP                                                                  \
	"  --op LIST        SEND,WRITE,WRITE_WITH_IMM,READ,FAA,CAS (WRITE,READ)\n" \
	"  --reg LIST       pinned,hot,cold,touched,prefetched,implicit\n"         \
	"                   (pinned,hot,cold)\n"                                   \
	"  --mem LIST       anon,thp,hugetlb,tmpfs,file,fsdax (anon)\n"            \
	"  --side LIST      whose memory that is: local,remote,both (remote)\n"    \
	"  --row-time S     after S seconds 20 samples are enough for a row (5)\n"

struct a_case {
	enum op op;
	enum reg reg;
	enum perf_mem_kind mem;
	enum side side;
	struct shape shape; /* without its offset: of both ends */
	uint64_t off[2]; /* of the first piece, by side */
	uint64_t address[2], key[2]; /* of the regions, by side */
	size_t len; /* of each region */
	uint64_t add, compare, swap; /* of atomics */
	struct perf_row row;
};

/*
 * One operation per piece of @c, from post to completion; the receives are
 * there.  What perf_wait() returns, or a negative errno.
 */
typedef int (*operate_fn)(struct rig *g, const struct a_case *c);

static inline bool is_atomic(enum op op)
{
	return op == OP_FAA || op == OP_CAS;
}

static inline bool receives(enum op op)
{
	return op == OP_SEND || op == OP_WRITE_IMM;
}

/* Has the state to be made again before each operation? */
static inline bool is_fleeting(enum reg reg)
{
	return reg == REG_COLD || reg == REG_TOUCHED || reg == REG_PREFETCHED;
}

static inline bool has_state(const struct a_case *c, enum side at)
{
	return c->side == at || c->side == SIDE_BOTH;
}

/* The bytes from the first piece to the last. */
static inline size_t case_span(const struct a_case *c)
{
	return (c->shape.count - 1) * c->shape.stride + c->shape.size;
}

/*
 * Begin a row for each case of the grid, of at most @pieces_max pieces, open
 * its regions, let @measure do the row's work, and end it.  Cases that cannot
 * be have their row without @measure.
 */
void grid_run(struct rig *g, enum perf_unit unit, size_t pieces_max,
	      void (*measure)(struct rig *g, struct a_case *c));

/*
 * Bring @len bytes of each region with a state into @reg's.  False: the row
 * says why.
 */
bool case_prepare(struct rig *g, struct a_case *c, enum reg reg, size_t len,
		  bool lost[2]);

/* Receives at the far end for @times operate()s, if @c takes any. */
bool case_receive(struct rig *g, struct a_case *c, uint64_t times);

/*
 * The row failed, or is not supported: @status is perf_wait()'s, or a negative
 * errno.  Reconnects.
 */
void case_failed(struct rig *g, struct a_case *c, int status);

/* @wr for piece 0; case_aim() for another one. */
void case_request(const struct rig *g, const struct a_case *c,
		  struct ibv_send_wr *wr, struct ibv_sge *sge);

static inline void case_aim(const struct a_case *c, struct ibv_send_wr *wr,
			    uint64_t piece)
{
	uint64_t at = piece * c->shape.stride;
	uint64_t far = c->address[SIDE_REMOTE] + c->off[SIDE_REMOTE] + at;

	wr->sg_list->addr = c->address[SIDE_LOCAL] + c->off[SIDE_LOCAL] + at;
	if (is_atomic(c->op))
		wr->wr.atomic.remote_addr = far;
	else
		wr->wr.rdma.remote_addr = far;
}

/* ---- verify.c ---- */

/* What comes with a WRITE_WITH_IMM. */
#define IMMEDIATE 0x0dd9a9e5u

/*
 * Are all bytes right, of the operation and around it?  At the row's own place,
 * with @odd also at others.  False: the row says what is wrong.
 */
bool verify(struct rig *g, struct a_case *c, operate_fn operate, bool odd);

/* ---- faults.c ---- */

/* Faults per operation into the row, of a few more operations. */
bool count_faults(struct rig *g, struct a_case *c, operate_fn operate);

/* ---- row.c ---- */

/* Takes samples; their number, or -1: the row says what went wrong. */
typedef long (*sample_fn)(struct rig *g, struct a_case *c);

/* All of a row's work but the figures; returns what @sample does, or -1. */
long row_work(struct rig *g, struct a_case *c, operate_fn operate,
	      sample_fn sample);

#endif /* LAT_H */
