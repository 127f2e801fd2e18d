// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Are the bytes right?
 *
 * Both regions are painted all over with bytes that depend on their place; the
 * operation is done in the row's own state; then every byte of both regions is
 * compared: the target's pieces, the source's, the gaps and the guards.
 *
 * In memory whose pages were taken away with their contents, right is zero.
 * If that is the source's memory then another pass, with the bytes put there
 * by the CPU afterwards ("touched"), sees to it that bytes are not mixed up.
 *
 * An atomic's pieces are words with one known value; what must come back and
 * what must be there afterwards is compared word by word, then the words are
 * put back for the comparison of all the rest.
 */
#include <errno.h>
#include <string.h>

#include "shared.h"

#define NEAR_SEED 0x1000ULL
#define FAR_SEED 0x200000ULL
#define OLD 0x8000000080000001ULL
#define ADD 0x80000000ffffffffULL /* carries through, and out of the word */

/* Neither even nor aligned alike, and across a page's end with 8 bytes. */
#define NEAR_ODD 5003
#define FAR_ODD 4093
#define FAR_ODD_WORD (PERF_PAGE + 8)

struct pass {
	struct rig *g;
	struct a_case *c;
	operate_fn operate;
	enum reg reg; /* the case's, or REG_TOUCHED */
	bool lost[2];
	uint64_t wrong;
};

static const uint64_t seeds[2] = { NEAR_SEED, FAR_SEED };

static bool ask(struct pass *p, enum side at, struct message *m)
{
	if (!rig_call(p->g, at, m))
		return true;
	perf_row_status(&p->c->row, PERF_ROW_FAILED, "verifying: %s", m->why);
	return false;
}

static void shape_words(const struct a_case *c, enum side at, struct message *m)
{
	m->w[0] = c->off[at];
	m->w[1] = c->shape.stride;
	m->w[2] = c->shape.size;
	m->w[3] = c->shape.count;
}

static bool paint(struct pass *p)
{
	for (enum side at = SIDE_LOCAL; at <= SIDE_REMOTE; at++) {
		struct message m = { .call = CALL_PAINT };

		shape_words(p->c, at, &m);
		m.w[4] = seeds[at];
		if (!ask(p, at, &m))
			return false;
	}
	return true;
}

static bool check(struct pass *p, enum side at, uint64_t seed, bool zero)
{
	struct message m = { .call = CALL_CHECK };

	shape_words(p->c, at, &m);
	m.w[4] = seed;
	m.w[5] = zero;
	if (!ask(p, at, &m))
		return false;
	p->wrong += m.w[0];
	return true;
}

static bool operate(struct pass *p)
{
	int status;

	if (!case_receive(p->g, p->c, 1))
		return false;
	status = p->operate(p->g, p->c);
	if (!status)
		return true;
	case_failed(p->g, p->c, status);
	return false;
}

/* Write known bytes, set the row's state; the device maps what it may. */
static bool prepare(struct pass *p, bool (*put)(struct pass *p))
{
	struct a_case *c = p->c;

	if (!is_fleeting(p->reg) && !operate(p))
		return false;
	if (p->reg == REG_TOUCHED) {
		if (!case_prepare(p->g, c, p->reg, c->len, p->lost) || !put(p))
			return false;
		p->lost[SIDE_LOCAL] = p->lost[SIDE_REMOTE] = false;
		return true;
	}
	return put(p) && case_prepare(p->g, c, p->reg, c->len, p->lost);
}

static bool received(struct pass *p)
{
	const struct a_case *c = p->c;
	struct message m = { .call = CALL_RECEIVED, .w = { c->shape.count } };
	bool imm = c->op == OP_WRITE_IMM;

	if (!receives(c->op))
		return true;
	if (!ask(p, SIDE_REMOTE, &m))
		return false;
	if (m.w[0] == c->shape.count && m.w[2] == c->shape.size &&
	    m.w[1] == (imm ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV) &&
	    (!imm || m.w[3] == IMMEDIATE))
		return true;
	perf_row_status(&p->c->row, PERF_ROW_WRONG,
			"the receiver's completions: %lu of %lu, the last of "
			"%lu bytes, opcode %lu, immediate 0x%lx",
			m.w[0], c->shape.count, m.w[2], m.w[1], m.w[3]);
	return false;
}

static bool bytes_once(struct pass *p)
{
	enum side source = p->c->op == OP_READ ? SIDE_REMOTE : SIDE_LOCAL;
	bool zero;

	if (!prepare(p, paint) || !operate(p) || !received(p))
		return false;
	zero = p->lost[source];
	return check(p, source, seeds[source], zero) &&
	       check(p, !source, seeds[source], zero);
}

static bool bytes_pass(struct pass *p)
{
	enum side source = p->c->op == OP_READ ? SIDE_REMOTE : SIDE_LOCAL;

	if (!bytes_once(p))
		return false;
	if (!p->lost[source])
		return true;
	p->reg = REG_TOUCHED;
	return bytes_once(p);
}

/* --- atomics ------------------------------------------------------------------------ */

static uint64_t word_off(const struct a_case *c, enum side at, uint64_t piece)
{
	return c->off[at] + piece * c->shape.stride;
}

static bool poke(struct pass *p, enum side at, uint64_t piece, uint64_t value)
{
	struct message m = { .call = CALL_POKE,
			     .w = { word_off(p->c, at, piece), value } };

	return ask(p, at, &m);
}

static bool put_words(struct pass *p)
{
	if (!paint(p))
		return false;
	for (uint64_t i = 0; i < p->c->shape.count; i++) {
		if (!poke(p, SIDE_REMOTE, i, OLD))
			return false;
	}
	return true;
}

/* Compare a word, then make it what was painted there. */
static bool check_word(struct pass *p, enum side at, uint64_t piece,
		       uint64_t want)
{
	struct message m = { .call = CALL_PEEK,
			     .w = { word_off(p->c, at, piece) } };
	uint64_t painted = 0;

	if (!ask(p, at, &m))
		return false;
	for (uint64_t diff = m.w[0] ^ want; diff; diff >>= 8)
		p->wrong += (diff & 0xff) != 0;
	if (!p->lost[at])
		perf_fill(&painted, 8, seeds[at] + piece);
	return poke(p, at, piece, painted);
}

/* Do it; @back must be returned, @there be stored. */
static bool atomic_once(struct pass *p, uint64_t back, uint64_t there)
{
	if (!operate(p))
		return false;
	for (uint64_t i = 0; i < p->c->shape.count; i++) {
		if (!check_word(p, SIDE_LOCAL, i, back) ||
		    !check_word(p, SIDE_REMOTE, i, there))
			return false;
	}
	return check(p, SIDE_LOCAL, NEAR_SEED, p->lost[SIDE_LOCAL]) &&
	       check(p, SIDE_REMOTE, FAR_SEED, p->lost[SIDE_REMOTE]);
}

static bool atomic_pass(struct pass *p)
{
	struct a_case *c = p->c;
	uint64_t old;
	bool ok;

	c->add = ADD;
	/* Lost memory holds zeros; make the state twice in the same way. */
	if (!prepare(p, put_words))
		return false;
	old = p->lost[SIDE_REMOTE] ? 0 : OLD;
	if (c->op == OP_FAA)
		return atomic_once(p, old, old + ADD);
	c->compare = old ^ 1;
	c->swap = ~old;
	ok = atomic_once(p, old, old) && prepare(p, put_words);
	c->compare = old;
	return ok && atomic_once(p, old, ~old);
}

/* --- all ----------------------------------------------------------------------------- */

static bool pass_at(struct rig *g, struct a_case *c, operate_fn operation,
		    uint64_t near, uint64_t far)
{
	struct pass p = { .g = g, .c = c, .operate = operation, .reg = c->reg };
	struct a_case own = *c;
	bool ok;

	c->off[SIDE_LOCAL] = near;
	c->off[SIDE_REMOTE] = far;
	ok = is_atomic(c->op) ? atomic_pass(&p) : bytes_pass(&p);
	memcpy(c->off, own.off, sizeof(c->off));
	c->add = own.add;
	c->compare = own.compare;
	c->swap = own.swap;
	if (!ok)
		return false;
	if (!p.wrong)
		return true;
	perf_row_status(&c->row, PERF_ROW_WRONG,
			"%lu bytes are wrong after %s of %lu bytes from offset "
			"%lu, at the far end %lu",
			p.wrong, op_names[c->op], c->shape.size, near, far);
	perf_row_extra(&c->row, "wrong_bytes", p.wrong);
	return false;
}

bool verify(struct rig *g, struct a_case *c, operate_fn operation, bool odd)
{
	if (!pass_at(g, c, operation, 0, 0))
		return false;
	if (!odd)
		return true;
	/* Both ends of an atomic are words. */
	if (is_atomic(c->op))
		return pass_at(g, c, operation, 8, FAR_ODD_WORD);
	return pass_at(g, c, operation, NEAR_ODD, FAR_ODD);
}
