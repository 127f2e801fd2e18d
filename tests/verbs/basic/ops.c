// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every RC and UC operation, at an odd place, over several packets, with guard bytes.
 *
 * Buffers are filled completely before each operation; afterwards the target's
 * range must hold the source's bytes and everything else what it held before.
 */
#include <endian.h>

#include "basic.h"

#define LEN (64 * HT_KIB)
#define OFF (HT_PAGE - 37) /* odd, and different on each side */
#define ROFF (3 * HT_PAGE - 5)
#define MSG (3 * HT_PAGE + 11) /* several packets at any MTU */

static struct ht_rig rig;
static uint8_t shadow[2][LEN];

static void prepare(void)
{
	for (int i = 0; i < 2; i++) {
		ht_fill(rig.p[i], LEN, ht_seed("ops") + i, 0);
		memcpy(shadow[i], rig.p[i], LEN);
	}
}

static void verify(void)
{
	ht_rig_settle(&rig);
	ht_check_bytes(rig.p[0], shadow[0], LEN, "requester's buffer");
	ht_check_bytes(rig.p[1], shadow[1], LEN, "responder's buffer");
}

static void setup(void)
{
	ht_rig_get(&rig, NULL, LEN);
	prepare();
}

static void op_send(const void *arg)
{
	const enum ibv_wr_opcode *op = arg;
	struct ht_wr w;
	struct ibv_wc wc;

	setup();
	ht_recv(rig.b, 77, &rig.mr[1], rig.p[1] + ROFF, MSG + 100);
	w = ht_rig_wr(&rig, *op, OFF, MSG, 0);
	w.imm = htobe32(0xdec0de01);
	ht_do(rig.a, &w);
	ht_want_wc(rig.b->rcq, &wc, 77, IBV_WC_SUCCESS);
	ht_eq(wc.opcode, IBV_WC_RECV);
	ht_eq(wc.byte_len, MSG);
	ht_eq(wc.qp_num, rig.b->qp->qp_num);
	ht_eq(!!(wc.wc_flags & IBV_WC_WITH_IMM), *op == IBV_WR_SEND_WITH_IMM);
	if (*op == IBV_WR_SEND_WITH_IMM)
		ht_eq(be32toh(wc.imm_data), 0xdec0de01);
	memcpy(shadow[1] + ROFF, shadow[0] + OFF, MSG);
	verify();
	ht_rig_put(&rig);
}

static void op_write(const void *arg)
{
	setup();
	ht_rig_do(&rig, IBV_WR_RDMA_WRITE, OFF, MSG, ROFF);
	memcpy(shadow[1] + ROFF, shadow[0] + OFF, MSG);
	verify();
	ht_no_wc(rig.b->rcq, 5);
	ht_rig_put(&rig);
}

static void op_write_imm(const void *arg)
{
	struct ht_wr w;
	struct ibv_wc wc;

	setup();
	/* The receive is consumed, its buffer is not touched. */
	ht_recv(rig.b, 78, &rig.mr[1], rig.p[1] + 16, 100);
	w = ht_rig_wr(&rig, IBV_WR_RDMA_WRITE_WITH_IMM, OFF, MSG, ROFF);
	w.imm = htobe32(0x80000001);
	ht_do(rig.a, &w);
	ht_want_wc(rig.b->rcq, &wc, 78, IBV_WC_SUCCESS);
	ht_eq(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	ht_eq(wc.byte_len, MSG);
	ht_true(wc.wc_flags & IBV_WC_WITH_IMM);
	ht_eq(be32toh(wc.imm_data), 0x80000001);
	memcpy(shadow[1] + ROFF, shadow[0] + OFF, MSG);
	verify();
	ht_rig_put(&rig);
}

static void op_read(const void *arg)
{
	setup();
	ht_rig_do(&rig, IBV_WR_RDMA_READ, OFF, MSG, ROFF);
	memcpy(shadow[0] + OFF, shadow[1] + ROFF, MSG);
	verify();
	ht_rig_put(&rig);
}

/* One atomic; the shadow is computed here, by the definition. */
static void atomic(enum ibv_wr_opcode op, size_t loff, size_t roff, uint64_t add, uint64_t swap)
{
	struct ht_wr w = ht_rig_wr(&rig, op, loff, 8, roff);
	uint64_t old, new;

	w.add = add;
	w.swap = swap;
	ht_do(rig.a, &w);
	memcpy(&old, shadow[1] + roff, 8);
	if (op == IBV_WR_ATOMIC_FETCH_AND_ADD)
		new = old + add;
	else
		new = old == add ? swap : old;
	memcpy(shadow[0] + loff, &old, 8);
	memcpy(shadow[1] + roff, &new, 8);
	verify();
}

static void op_fetch_add(const void *arg)
{
	setup();
	atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, OFF, 8, 1, 0);
	atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, OFF + 9, 8, UINT64_MAX, 0);
	/* A carry through all 64 bits, in the last word of a page. */
	memset(rig.p[1] + HT_PAGE - 8, 0xff, 8);
	memset(shadow[1] + HT_PAGE - 8, 0xff, 8);
	atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, HT_PAGE - 3, HT_PAGE - 8, 2, 0);
	atomic(IBV_WR_ATOMIC_FETCH_AND_ADD, 0, HT_PAGE, 0, 0);
	ht_rig_put(&rig);
}

static void op_cmp_swap(const void *arg)
{
	uint64_t old;

	setup();
	memcpy(&old, rig.p[1] + 64, 8);
	atomic(IBV_WR_ATOMIC_CMP_AND_SWP, OFF, 64, old + 1, 0x1122334455667788);
	atomic(IBV_WR_ATOMIC_CMP_AND_SWP, OFF, 64, old, 0x1122334455667788);
	atomic(IBV_WR_ATOMIC_CMP_AND_SWP, OFF, 64, 0x1122334455667788, 0);
	/* Only one half is equal: no swap. */
	atomic(IBV_WR_ATOMIC_CMP_AND_SWP, OFF, 64, 0x100000000, 7);
	atomic(IBV_WR_ATOMIC_CMP_AND_SWP, HT_PAGE - 4, 2 * HT_PAGE - 8, 1, 2);
	ht_rig_put(&rig);
}

/* Four scattered pieces, one of them empty. */
static void op_sges(const void *arg)
{
	const enum ibv_wr_opcode *op = arg;
	static const uint32_t part[4] = { 1, HT_PAGE + 3, 0, 2 * HT_PAGE - 1 };
	static const size_t at[4] = { 5, 2 * HT_PAGE - 2, 77, 6 * HT_PAGE + 1 };
	uint32_t done = 0;
	struct ibv_sge sge[4];
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	for (int i = 0; i < 4; i++) {
		sge[i] = ht_sge(&rig.mr[0], rig.p[0] + at[i], part[i]);
		/* An SGE of zero bytes is skipped; its key is not checked. */
		if (!part[i])
			sge[i].lkey = 0xdeadbeef;
		if (*op == IBV_WR_RDMA_READ)
			memcpy(shadow[0] + at[i], shadow[1] + ROFF + done, part[i]);
		else
			memcpy(shadow[1] + ROFF + done, shadow[0] + at[i], part[i]);
		done += part[i];
	}
	w = ht_rig_wr(&rig, *op, 0, 1, ROFF);
	w.sgl = sge;
	w.num_sge = 4;
	if (*op == IBV_WR_SEND)
		ht_recv(rig.b, 79, &rig.mr[1], rig.p[1] + ROFF, done);
	ht_do(rig.a, &w);
	if (*op == IBV_WR_SEND)
		ht_want_wc(rig.b->rcq, &wc, 79, IBV_WC_SUCCESS);
	verify();
	ht_rig_put(&rig);
}

/* A message that fills the first pieces of a receive and part of the third. */
static void op_recv_sges(const void *arg)
{
	static const uint32_t part[4] = { 3, HT_PAGE + 1, 0, 4 * HT_PAGE };
	static const size_t at[4] = { 1, HT_PAGE - 1, 9, 4 * HT_PAGE - 3 };
	struct ibv_sge sge[4];
	uint32_t done = 0;
	struct ibv_wc wc;

	setup();
	for (int i = 0; i < 4; i++) {
		uint32_t n = HT_MIN(part[i], MSG - done);

		sge[i] = ht_sge(&rig.mr[1], rig.p[1] + at[i], part[i]);
		if (!part[i])
			sge[i].lkey = 0;
		memcpy(shadow[1] + at[i], shadow[0] + OFF + done, n);
		done += n;
	}
	ht_ok(ht_recv_try(rig.b->qp, NULL, 80, sge, 4));
	ht_rig_do(&rig, IBV_WR_SEND, OFF, MSG, 0);
	ht_want_wc(rig.b->rcq, &wc, 80, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, MSG);
	verify();
	ht_rig_put(&rig);
}

/* Inline data is taken at post time: overwriting the source changes nothing. */
static void op_inline(const void *arg)
{
	const enum ibv_wr_opcode *op = arg;
	struct ht_conf conf = { .inl = 60 };
	struct ibv_sge sge[2];
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&rig, &conf, LEN);
	prepare();
	for (uint32_t n = 0; n <= 60; n += n < 50 ? 7 : 1) {
		uint8_t copy[60];

		ht_fill(copy, n, ht_seed("inline"), n * 64);
		memcpy(shadow[1] + ROFF, copy, n);
		sge[0] = (struct ibv_sge){ (uintptr_t)copy, n / 3, 0 };
		sge[1] = (struct ibv_sge){ (uintptr_t)copy + n / 3, n - n / 3, 1 };
		w = ht_rig_wr(&rig, *op, 0, 1, ROFF);
		w.sgl = sge;
		w.num_sge = 2;
		w.flags = IBV_SEND_INLINE;
		if (*op == IBV_WR_SEND)
			ht_recv(rig.b, n, &rig.mr[1], rig.p[1] + ROFF, 60);
		ht_post(rig.a->qp, &w);
		memset(copy, 0xee, sizeof(copy));
		ht_want_wc(rig.a->scq, &wc, w.id, IBV_WC_SUCCESS);
		if (*op == IBV_WR_SEND) {
			ht_want_wc(rig.b->rcq, &wc, n, IBV_WC_SUCCESS);
			ht_eq(wc.byte_len, n);
		}
		verify();
	}
	ht_rig_put(&rig);
}

/* Zero bytes: no memory is touched, the keys need not exist, it completes. */
static void op_zero(const void *arg)
{
	const enum ibv_wr_opcode *op = arg;
	bool recv = *op == IBV_WR_SEND || *op == IBV_WR_SEND_WITH_IMM ||
		    *op == IBV_WR_RDMA_WRITE_WITH_IMM;
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	for (int i = 0; i < 3; i++) {
		w = ht_rig_wr(&rig, *op, 0, 0, 0);
		if (i == 1) {
			w.raddr = 0;
			w.rkey = 0;
		}
		if (i == 2) {
			w.no_sge = false;
			w.addr = ht_iova(&rig.mr[0], rig.p[0] + LEN);
		}
		if (recv)
			ht_recv(rig.b, 90 + i, &rig.mr[1], rig.p[1], i * 100);
		ht_do(rig.a, &w);
		if (recv) {
			ht_want_wc(rig.b->rcq, &wc, 90 + i, IBV_WC_SUCCESS);
			ht_eq(wc.byte_len, 0);
		}
	}
	verify();
	ht_rig_put(&rig);
}

static const enum ibv_wr_opcode send_ = IBV_WR_SEND;
static const enum ibv_wr_opcode send_imm = IBV_WR_SEND_WITH_IMM;
static const enum ibv_wr_opcode write_ = IBV_WR_RDMA_WRITE;
static const enum ibv_wr_opcode write_imm = IBV_WR_RDMA_WRITE_WITH_IMM;
static const enum ibv_wr_opcode read_ = IBV_WR_RDMA_READ;

const struct ht_case basic_ops[] = {
	{ "op-send", "a SEND of several packets lands in the receive's buffer", op_send, &send_ },
	{ "op-send-imm", "a SEND_WITH_IMM also delivers the immediate", op_send, &send_imm },
	{ "op-write", "an RDMA WRITE changes its range and tells nobody", op_write },
	{ "op-write-imm", "WRITE_WITH_IMM consumes a receive, not its buffer", op_write_imm },
	{ "op-sges-send", "a SEND gathers its SGEs in order, empty ones included", op_sges,
	  &send_ },
	{ "op-sges-write", "a WRITE gathers its SGEs in order, empty ones included", op_sges,
	  &write_ },
	{ "op-recv-sges", "a receive scatters into its SGEs and leaves the rest alone",
	  op_recv_sges },
	{ "op-inline-send", "inline SEND data is taken at post time", op_inline, &send_ },
	{ "op-inline-write", "inline WRITE data is taken at post time", op_inline, &write_ },
	{ "op-zero-send", "a SEND of zero bytes completes and touches nothing", op_zero, &send_ },
	{ "op-zero-send-imm", "a SEND_WITH_IMM of zero bytes completes", op_zero, &send_imm },
	{ "op-zero-write", "a WRITE of zero bytes needs no valid rkey", op_zero, &write_ },
	{ "op-zero-write-imm", "a WRITE_WITH_IMM of zero bytes consumes a receive", op_zero,
	  &write_imm },
	{},
};

const struct ht_case basic_ops_rc[] = {
	{ "op-read", "an RDMA READ fetches its range into an odd place", op_read },
	{ "op-fetch-add", "FETCH_ADD adds modulo 2^64 and returns the old value", op_fetch_add },
	{ "op-cmp-swap", "CMP_SWP swaps on equality of all 64 bits only", op_cmp_swap },
	{ "op-sges-read", "a READ scatters into its SGEs in order, empty ones included", op_sges,
	  &read_ },
	{ "op-zero-read", "a READ of zero bytes needs no valid rkey", op_zero, &read_ },
	{},
};
