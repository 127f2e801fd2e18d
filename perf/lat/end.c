// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * One end. It executes calls one at a time. What it cannot do it answers with
 * an errno and a sentence, and the client decides what that means for its row.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shared.h"

/* Seeds of what is around an operation's bytes; cases use smaller ones. */
#define GUARD_SEED (1ULL << 40)

void end_open(struct end *e, const struct perf_options *o, const char *device)
{
	int depth = end_depth;

	memset(e, 0, sizeof(*e));
	e->o = o;
	e->mem.fd = -1;
	perf_dev_open_one(&e->dev, o, device);
	if (depth > e->dev.attr.orig_attr.max_qp_wr)
		depth = e->dev.attr.orig_attr.max_qp_wr;
	e->depth = depth;
	e->cq = ibv_create_cq(e->dev.ctx, 2 * depth, NULL, NULL, 0);
	perf_need(e->cq, "ibv_create_cq");
}

static void drop(struct end *e)
{
	if (e->mr)
		perf_need(!(errno = ibv_dereg_mr(e->mr)), "ibv_dereg_mr");
	e->mr = NULL;
	e->lost = false;
	e->len = 0;
	perf_mem_put(&e->mem);
}

static void drop_qp(struct end *e)
{
	struct ibv_wc wc;

	if (e->qp)
		perf_need(!(errno = perf_qp_destroy(e->qp)), "ibv_destroy_qp");
	e->qp = NULL;
	while (ibv_poll_cq(e->cq, 1, &wc) > 0)
		;
}

void end_close(struct end *e)
{
	drop_qp(e);
	drop(e);
	ibv_destroy_cq(e->cq);
	perf_dev_close(&e->dev);
}

static int fail(struct message *m, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct message *m, int err, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(m->why, sizeof(m->why), format, ap);
	va_end(ap);
	return err;
}

static int call_hello(struct end *e, struct message *m)
{
	if (m->w[0] != VERSION || m->w[1] != (uint64_t)end_depth)
		return fail(m, EPROTO,
			    "the server is another program, or another version "
			    "of it: start the same on both sides");
	m->w[HELLO_GENERAL] = e->dev.attr.odp_caps.general_caps;
	m->w[HELLO_RC] = e->dev.attr.odp_caps.per_transport_caps.rc_odp_caps;
	m->w[HELLO_GUID] = e->dev.attr.orig_attr.node_guid;
	m->w[HELLO_ATOMIC] = e->dev.attr.orig_attr.atomic_cap;
	return 0;
}

static int call_qp(struct end *e, struct message *m)
{
	struct perf_qp_address a;

	drop_qp(e);
	e->qp = perf_qp_make(&e->dev, e->cq, e->depth);
	if (!e->qp)
		return fail(m, errno, "ibv_create_qp: %s", strerror(errno));
	perf_qp_address(&e->dev, e->qp, &a);
	wire_put_address(m, &a);
	return 0;
}

static int call_connect(struct end *e, struct message *m)
{
	struct perf_qp_address a;
	int err;

	wire_get_address(m, &a);
	err = perf_qp_connect(&e->dev, e->qp, &a, e->asks);
	return err ? fail(m, err, "connecting a queue pair: %s",
			  strerror(err)) :
		     0;
}

/* What an errno of a registration means, where it is a known one. */
static const char *reg_hint(const struct end *e, enum reg reg, int err)
{
	if (reg == REG_PINNED && e->mem.kind >= PERF_FILE)
		return ": the kernel does not let pages of such a file be "
		       "pinned for long";
	if (reg == REG_PINNED && err == ENOMEM)
		return ": raise ulimit -l";
	return "";
}

static int call_region(struct end *e, struct message *m)
{
	enum perf_mem_kind kind = m->w[0];
	enum reg reg = m->w[1];
	int access = PERF_ACCESS |
		     (reg == REG_PINNED ? 0 : IBV_ACCESS_ON_DEMAND);
	const char *missing;
	int err;

	drop(e);
	if (kind >= PERF_MEM_KINDS || reg >= REGS)
		return fail(m, EPROTO, "another version of this program");
	missing = perf_mem_try(&e->mem, e->o, kind, m->w[2]);
	if (missing)
		return fail(m, EOPNOTSUPP, "%s", missing);
	e->len = m->w[2];
	if (reg == REG_IMPLICIT)
		e->mr = ibv_reg_mr(e->dev.pd, NULL, SIZE_MAX, access);
	else
		e->mr = ibv_reg_mr(e->dev.pd, e->mem.p, e->len, access);
	if (!e->mr) {
		err = errno;
		fail(m, err, "registering %s memory (%s): %s%s",
		     perf_mem_names[kind], reg_names[reg], strerror(err),
		     reg_hint(e, reg, err));
		/* A file that cannot be pinned is not supported, not failed. */
		if (reg == REG_PINNED && kind >= PERF_FILE)
			err = EOPNOTSUPP;
		drop(e);
		return err;
	}
	m->w[0] = (uintptr_t)e->mem.p;
	m->w[1] = e->mr->rkey;
	m->w[2] = e->mr->lkey;
	return 0;
}

static int prefetch(struct end *e, struct message *m, size_t len)
{
	struct ibv_sge sge = { (uintptr_t)e->mem.p, len, e->mr->lkey };
	int err;

	/* FLUSH: the call returns when the pages are there. */
	err = ibv_advise_mr(e->dev.pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
			    IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
	return err ? fail(m, err, "ibv_advise_mr: %s", strerror(err)) : 0;
}

static int call_prepare(struct end *e, struct message *m)
{
	enum reg reg = m->w[0];
	size_t len = m->w[1];
	int err;

	if (!e->mr || len > e->len)
		return fail(m, EINVAL, "no region of that length");
	if (is_fleeting(reg)) {
		err = perf_mem_cold(&e->mem, len);
		if (err)
			return fail(m, err, "MADV_DONTNEED: %s", strerror(err));
		e->lost = e->mem.fd < 0;
	}
	if (reg == REG_TOUCHED)
		perf_mem_touch(&e->mem, len);
	if (reg == REG_PREFETCHED) {
		err = prefetch(e, m, len);
		if (err)
			return err;
	}
	m->w[0] = e->lost;
	return 0;
}

/* --- known bytes ---------------------------------------------------------------- */

static bool shape_fits(const struct end *e, const struct shape *s)
{
	return e->mr && s->count && s->size && s->size <= s->stride &&
	       s->off <= e->len && s->stride <= e->len &&
	       s->count <= e->len && /* no overflow below */
	       s->off + (s->count - 1) * s->stride + s->size <= e->len;
}

static struct shape shape_of(const struct message *m)
{
	return (struct shape){ m->w[0], m->w[1], m->w[2], m->w[3] };
}

/* Call @each for all bytes of the region: guards, pieces, and gaps. */
static size_t walk(struct end *e, const struct shape *s, uint64_t seed,
		   size_t (*each)(struct end *e, uint8_t *p, size_t len,
				  uint64_t seed))
{
	size_t at = 0, n = 0;

	for (uint64_t i = 0; i < s->count; i++) {
		size_t piece = s->off + i * s->stride;

		n += each(e, e->mem.p + at, piece - at, GUARD_SEED + i);
		n += each(e, e->mem.p + piece, s->size, seed + i);
		at = piece + s->size;
	}
	return n + each(e, e->mem.p + at, e->len - at, GUARD_SEED + s->count);
}

static size_t paint_one(struct end *e, uint8_t *p, size_t len, uint64_t seed)
{
	perf_fill(p, len, seed);
	return 0;
}

static size_t check_one(struct end *e, uint8_t *p, size_t len, uint64_t seed)
{
	/* Guards hold what the end wrote, pieces what the caller says. */
	bool zero = seed >= GUARD_SEED ? e->lost : e->piece_zero;

	return zero ? perf_nonzero(p, len) : perf_wrong(p, len, seed);
}

static int call_paint(struct end *e, struct message *m)
{
	struct shape s = shape_of(m);

	if (!shape_fits(e, &s))
		return fail(m, EINVAL, "no region for that shape");
	walk(e, &s, m->w[4], paint_one);
	e->lost = false;
	return 0;
}

static int call_check(struct end *e, struct message *m)
{
	struct shape s = shape_of(m);

	if (!shape_fits(e, &s))
		return fail(m, EINVAL, "no region for that shape");
	e->piece_zero = m->w[5];
	m->w[0] = walk(e, &s, m->w[4], check_one);
	return 0;
}

static int call_word(struct end *e, struct message *m)
{
	if (!e->mr || m->w[0] > e->len - 8)
		return fail(m, EINVAL, "no region of that length");
	if (m->call == CALL_POKE)
		memcpy(e->mem.p + m->w[0], &m->w[1], 8);
	else
		memcpy(&m->w[0], e->mem.p + m->w[0], 8);
	return 0;
}

/* --- receives -------------------------------------------------------------------- */

/* Take the completions that are there; remember the last. */
static uint64_t drain(struct end *e, struct ibv_wc *last)
{
	struct ibv_wc wc;
	uint64_t n = 0;

	while (ibv_poll_cq(e->cq, 1, &wc) > 0) {
		*last = wc;
		n++;
	}
	return n;
}

static int call_receive(struct end *e, struct message *m)
{
	struct shape s = shape_of(m);
	uint64_t times = m->w[4];
	struct ibv_wc last;
	int err = 0;

	if (!shape_fits(e, &s) || times > (uint64_t)e->depth / s.count)
		return fail(m, EINVAL, "no region or queue for that shape");
	drain(e, &last);
	for (uint64_t i = 0; i < s.count * times && !err; i++) {
		struct ibv_sge sge = { (uintptr_t)e->mem.p + s.off +
					       i % s.count * s.stride,
				       s.size, e->mr->lkey };
		struct ibv_recv_wr *bad, wr = { .sg_list = &sge, .num_sge = 1 };

		err = ibv_post_recv(e->qp, &wr, &bad);
	}
	return err ? fail(m, err, "ibv_post_recv: %s", strerror(err)) : 0;
}

static int call_received(struct end *e, struct message *m)
{
	struct ibv_wc last = {};
	uint64_t n = 0;
	int status = 0;

	/* The sender's completion may come before the receiver's. */
	while (n < m->w[0] && !status) {
		status = perf_wait(e->cq, &last, e->o->timeout);
		n++;
	}
	if (status)
		return fail(m, EIO, "receive %lu: %s", n, perf_status(status));
	m->w[0] = n + drain(e, &last);
	m->w[1] = last.opcode;
	m->w[2] = last.byte_len;
	m->w[3] = last.wc_flags & IBV_WC_WITH_IMM ? be32toh(last.imm_data) : 0;
	return 0;
}

/* --- counters ---------------------------------------------------------------------- */

static int call_count(struct end *e, struct message *m)
{
	bool of_device = m->w[0];
	struct rusage use;

	if (of_device)
		return perf_dev_faults(&e->dev, &m->w[0]) ? 0 : EOPNOTSUPP;
	getrusage(RUSAGE_SELF, &use);
	m->w[0] = use.ru_minflt + use.ru_majflt;
	return 0;
}

static int dispatch(struct end *e, struct message *m)
{
	switch ((enum call)m->call) {
	case CALL_HELLO:
		return call_hello(e, m);
	case CALL_QP:
		return call_qp(e, m);
	case CALL_CONNECT:
		return call_connect(e, m);
	case CALL_REGION:
		return call_region(e, m);
	case CALL_DROP:
		drop(e);
		return 0;
	case CALL_TOUCH:
		perf_mem_touch(&e->mem, e->len);
		return 0;
	case CALL_PREPARE:
		return call_prepare(e, m);
	case CALL_PAINT:
		return call_paint(e, m);
	case CALL_CHECK:
		return call_check(e, m);
	case CALL_PEEK:
	case CALL_POKE:
		return call_word(e, m);
	case CALL_RECEIVE:
		return call_receive(e, m);
	case CALL_RECEIVED:
		return call_received(e, m);
	case CALL_COUNT:
		return call_count(e, m);
	case CALL_HUGE:
		m->w[0] = perf_mem_huge(&e->mem);
		return 0;
	case CALL_BYE:
		return 0;
	}
	return fail(m, EPROTO, "another version of this program");
}

void end_call(struct end *e, struct message *m)
{
	*m->why = 0;
	m->err = dispatch(e, m);
}

void end_serve(const struct perf_options *o, int sock)
{
	struct message m;
	struct end e;
	bool open = false, bye = false;
	int err;

	while (!bye && wire_receive(sock, &m)) {
		/*
		 * Not earlier: the client reports what is wrong with the
		 * device.
		 */
		if (!open)
			end_open(&e, o, o->peer ? o->peer : o->device);
		open = true;
		bye = m.call == CALL_BYE;
		end_call(&e, &m);
		if (!wire_send(sock, &m))
			break;
	}
	err = errno;
	if (open)
		end_close(&e);
	close(sock);
	/* The parent has reported the reason. */
	if (!bye && o->server)
		perf_die("the client has gone: %s: start both sides again",
			 strerror(err));
}

int end_server(const struct perf_options *o)
{
	struct perf_dev d;

	/*
	 * Open the device before a client comes, so that its errors show at
	 * once.
	 */
	perf_dev_open(&d, o);
	perf_dev_close(&d);
	end_serve(o, wire_accept(o));
	return PERF_OK;
}
