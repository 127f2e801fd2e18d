// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The grid of cases: operation, state, memory, side and size.
 *
 * An end without a state (of --side) has pinned anonymous memory, so that what
 * a row shows is the other end's.  Regions are made anew for each row: no row
 * finds what another one left.
 */
#include <endian.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "shared.h"

/* Limit of all pieces together; a single piece may be longer. */
#define SPAN_MAX ((size_t)16 << 20)

const char *const op_names[OPS + 1] = { "SEND", "WRITE", "WRITE_WITH_IMM",
					"READ", "FAA",	 "CAS" };
const char *const reg_names[REGS + 1] = { "pinned",  "hot",	   "cold",
					  "touched", "prefetched", "implicit" };
static const char *const side_names[SIDES + 1] = { "local", "remote", "both" };

struct grid grid = {
	.ops = 1 << OP_WRITE | 1 << OP_READ,
	.regs = 1 << REG_PINNED | 1 << REG_HOT | 1 << REG_COLD,
	.mems = 1 << PERF_ANON,
	.sides = 1 << SIDE_REMOTE,
	.row_time = 5,
};

const struct perf_option grid_options[] = {
	{ "op", .set = &grid.ops, .names = op_names },
	{ "reg", .set = &grid.regs, .names = reg_names },
	{ "mem", .set = &grid.mems, .names = perf_mem_names },
	{ "side", .set = &grid.sides, .names = side_names },
	{ "row-time", .number = &grid.row_time, .min = 1, .max = 86400 },
	{},
};

/* --- what cannot be -------------------------------------------------------------- */

/* The capability that an end's ODP region needs. */
static uint32_t odp_bit(enum op op, enum side at)
{
	switch (op) {
	case OP_SEND:
		return at == SIDE_LOCAL ? IBV_ODP_SUPPORT_SEND :
					  IBV_ODP_SUPPORT_RECV;
	case OP_READ:
		return IBV_ODP_SUPPORT_READ;
	case OP_FAA:
	case OP_CAS:
		return IBV_ODP_SUPPORT_ATOMIC;
	default:
		return IBV_ODP_SUPPORT_WRITE;
	}
}

static const char *lacks(const struct rig *g, const struct a_case *c,
			 enum side at)
{
	const struct ibv_odp_caps *near = &g->near.dev.attr.odp_caps;
	uint64_t general = at == SIDE_LOCAL ? near->general_caps :
					      g->far[HELLO_GENERAL];
	uint64_t rc = at == SIDE_LOCAL ? near->per_transport_caps.rc_odp_caps :
					 g->far[HELLO_RC];

	if (c->reg == REG_PINNED || !has_state(c, at))
		return NULL;
	if (!(general & IBV_ODP_SUPPORT))
		return "the device has no ODP";
	if (c->reg == REG_IMPLICIT && !(general & IBV_ODP_SUPPORT_IMPLICIT))
		return "the device has no implicit ODP";
	if (!(rc & odp_bit(c->op, at)))
		return "the device has no ODP for this operation";
	return NULL;
}

static const char *why_not(const struct rig *g, const struct a_case *c)
{
	const char *why = lacks(g, c, SIDE_LOCAL);

	if (!why)
		why = lacks(g, c, SIDE_REMOTE);
	if (!why && is_atomic(c->op) && g->far[HELLO_ATOMIC] == IBV_ATOMIC_NONE)
		why = "the device has no atomics";
	if (!why && c->op == OP_WRITE_IMM && g->near.dev.iwarp)
		why = "iWARP (RFC 5040) has no WRITE with immediate data";
	if (!why && c->shape.size > g->near.dev.port.max_msg_sz)
		why = "the device has no messages of that size";
	return why;
}

/* False: an end refused; the row says so. */
static bool call(struct rig *g, struct a_case *c, enum side at,
		 struct message *m)
{
	int err = rig_call(g, at, m);
	bool lacking = err == EOPNOTSUPP || err == ENOSYS;

	if (!err)
		return true;
	perf_row_status(&c->row,
			lacking ? PERF_ROW_UNSUPPORTED : PERF_ROW_FAILED, "%s",
			*m->why ? m->why : strerror(err));
	return false;
}

void case_failed(struct rig *g, struct a_case *c, int status)
{
	perf_row_status(&c->row, PERF_ROW_FAILED, "%s of %lu bytes: %s",
			op_names[c->op], c->shape.size, perf_status(status));
	rig_reconnect(g);
}

/* --- states ------------------------------------------------------------------------ */

bool case_prepare(struct rig *g, struct a_case *c, enum reg reg, size_t len,
		  bool lost[2])
{
	for (enum side at = SIDE_LOCAL; at <= SIDE_REMOTE; at++) {
		struct message m = { .call = CALL_PREPARE, .w = { reg, len } };

		lost[at] = false;
		if (!has_state(c, at))
			continue;
		if (!call(g, c, at, &m))
			return false;
		lost[at] = m.w[0];
	}
	/*
	 * Let the far end go to sleep in its socket first: on one CPU its
	 * remaining work would count as the operation's.
	 */
	if (has_state(c, SIDE_REMOTE)) {
		sched_yield();
		sched_yield();
	}
	return true;
}

bool case_receive(struct rig *g, struct a_case *c, uint64_t times)
{
	struct message m = {
		.call = CALL_RECEIVE,
		.w = { c->off[SIDE_REMOTE], c->shape.stride, c->shape.size,
		       c->shape.count, times },
	};

	if (!receives(c->op))
		return true;
	if (!call(g, c, SIDE_REMOTE, &m))
		return false;
	sched_yield();
	sched_yield();
	return true;
}

void case_request(const struct rig *g, const struct a_case *c,
		  struct ibv_send_wr *wr, struct ibv_sge *sge)
{
	static const enum ibv_wr_opcode opcodes[OPS] = {
		[OP_SEND] = IBV_WR_SEND,
		[OP_WRITE] = IBV_WR_RDMA_WRITE,
		[OP_WRITE_IMM] = IBV_WR_RDMA_WRITE_WITH_IMM,
		[OP_READ] = IBV_WR_RDMA_READ,
		[OP_FAA] = IBV_WR_ATOMIC_FETCH_AND_ADD,
		[OP_CAS] = IBV_WR_ATOMIC_CMP_AND_SWP,
	};

	memset(wr, 0, sizeof(*wr));
	memset(sge, 0, sizeof(*sge));
	sge->length = c->shape.size;
	sge->lkey = g->near.mr->lkey;
	wr->sg_list = sge;
	wr->num_sge = 1;
	wr->opcode = opcodes[c->op];
	wr->send_flags = IBV_SEND_SIGNALED;
	wr->imm_data = htobe32(IMMEDIATE);
	if (is_atomic(c->op)) {
		wr->wr.atomic.rkey = c->key[SIDE_REMOTE];
		wr->wr.atomic.compare_add = c->op == OP_FAA ? c->add :
							      c->compare;
		wr->wr.atomic.swap = c->swap;
	} else {
		wr->wr.rdma.rkey = c->key[SIDE_REMOTE];
	}
	case_aim(c, wr, 0);
}

/* --- one case ----------------------------------------------------------------------- */

static bool open_region(struct rig *g, struct a_case *c, enum side at)
{
	bool state = has_state(c, at);
	struct message m = {
		.call = CALL_REGION,
		.w = { state ? c->mem : PERF_ANON, state ? c->reg : REG_PINNED,
		       c->len },
	};
	struct message touch = { .call = CALL_TOUCH };

	if (!call(g, c, at, &m))
		return false;
	c->address[at] = m.w[0];
	c->key[at] = m.w[1];
	return call(g, c, at, &touch);
}

/* "thp" is only a hint: report it if not all of the memory is on huge pages. */
static void tell_huge(struct rig *g, struct a_case *c)
{
	double huge = 0, all = 0;

	for (enum side at = SIDE_LOCAL; at <= SIDE_REMOTE; at++) {
		struct message m = { .call = CALL_HUGE };

		if (!has_state(c, at) || rig_call(g, at, &m))
			continue;
		huge += m.w[0];
		all += (c->len + PERF_HUGE - 1) / PERF_HUGE * PERF_HUGE;
	}
	if (huge < all)
		perf_row_extra(&c->row, "huge_share", huge / all);
}

static void one_case(struct rig *g, struct a_case *c,
		     void (*measure)(struct rig *g, struct a_case *c))
{
	struct message drop = { .call = CALL_DROP };
	const char *why = why_not(g, c);

	if (why)
		perf_row_status(&c->row, PERF_ROW_UNSUPPORTED, "%s", why);
	else if (open_region(g, c, SIDE_LOCAL) &&
		 open_region(g, c, SIDE_REMOTE))
		measure(g, c);
	if (c->mem == PERF_THP && c->row.status == PERF_ROW_OK)
		tell_huge(g, c);
	rig_call(g, SIDE_LOCAL, &drop);
	rig_call(g, SIDE_REMOTE, &drop);
	perf_row_end(&c->row);
}

static void begin_case(struct a_case *c, size_t size, size_t pieces_max,
		       enum perf_unit unit)
{
	struct shape *s = &c->shape;

	s->size = size;
	s->stride = (size + PERF_PAGE - 1) / PERF_PAGE * PERF_PAGE;
	s->count = SPAN_MAX / s->stride;
	if (s->count > pieces_max)
		s->count = pieces_max;
	if (!s->count)
		s->count = 1;
	c->len = s->count * s->stride + GUARD;
	c->add = 1; /* CAS: 0 to 0 succeeds every time */
	perf_row_begin(&c->row, unit);
	perf_row_key(&c->row, "op", op_names[c->op]);
	perf_row_key(&c->row, "reg", reg_names[c->reg]);
	perf_row_key(&c->row, "mem", perf_mem_names[c->mem]);
	perf_row_key(&c->row, "side", side_names[c->side]);
	perf_row_key_u64(&c->row, "size", size);
}

#define IN(set, i) ((set) >> (i) & 1)

static void all_sizes(struct rig *g, const struct a_case *like,
		      enum perf_unit unit, size_t pieces_max,
		      void (*measure)(struct rig *g, struct a_case *c))
{
	const struct perf_options *o = g->o;
	/* Atomics have one size. */
	int n = is_atomic(like->op) ? 1 : o->nsizes;

	for (int i = 0; i < n; i++) {
		struct a_case c = *like;

		begin_case(&c, is_atomic(c.op) ? 8 : o->sizes[i], pieces_max,
			   unit);
		one_case(g, &c, measure);
	}
}

void grid_run(struct rig *g, enum perf_unit unit, size_t pieces_max,
	      void (*measure)(struct rig *g, struct a_case *c))
{
	int total = OPS * REGS * PERF_MEM_KINDS * SIDES;

	for (int i = 0; i < total; i++) {
		int n = i;
		struct a_case c = {};

		/* The side varies fastest, the operation slowest. */
		c.side = n % SIDES;
		n /= SIDES;
		c.mem = n % PERF_MEM_KINDS;
		n /= PERF_MEM_KINDS;
		c.reg = n % REGS;
		c.op = n / REGS;
		if (IN(grid.ops, c.op) && IN(grid.regs, c.reg) &&
		    IN(grid.mems, c.mem) && IN(grid.sides, c.side))
			all_sizes(g, &c, unit, pieces_max, measure);
	}
}
