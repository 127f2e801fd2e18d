// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Every operation in one packet and in several, so that each opcode is on the wire
 * once: for whoever looks at the packets (tests/verbs/wire/tshark).
 */
#include <endian.h>

#include "wire.h"

#define LEN (16 * HT_KIB)
#define OFF 37
#define ROFF 301
#define IMM 0xdec0de01

/* One packet, and a first, a middle and a last one. */
static const uint32_t lengths[] = { 5, 2 * 1024 + 7 };

static struct ht_rig r;
static uint8_t *shadow[2];
static const struct ht_conf conf = { .mtu = IBV_MTU_1024 };

static void setup(void)
{
	ht_rig_get(&r, &conf, LEN);
	for (int i = 0; i < 2; i++)
		shadow[i] = malloc(LEN);
}

static void check(void)
{
	for (int i = 0; i < 2; i++)
		ht_check_bytes(r.p[i], shadow[i], LEN, i ? "responder" : "requester");
}

/* The bytes [OFF, OFF + len) of side @from are at ROFF or OFF of the other side. */
static void moved(int from, uint32_t len)
{
	memcpy(shadow[!from] + (from ? OFF : ROFF), shadow[from] + (from ? ROFF : OFF), len);
}

static void one(enum ibv_wr_opcode op, uint32_t len)
{
	struct ht_wr w = ht_rig_wr(&r, op, OFF, len, ROFF);
	bool takes_recv = op == IBV_WR_SEND || op == IBV_WR_SEND_WITH_IMM ||
			  op == IBV_WR_RDMA_WRITE_WITH_IMM;
	struct ibv_wc wc;

	ht_rig_fill(&r, op + 10, shadow);
	if (takes_recv)
		ht_recv(r.b, 7, &r.mr[1], r.p[1] + ROFF, len);
	w.imm = htobe32(IMM);
	ht_do(r.a, &w);
	if (takes_recv) {
		ht_want_wc(r.b->rcq, &wc, 7, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, len);
		if (op != IBV_WR_SEND)
			ht_eq(be32toh(wc.imm_data), IMM);
	}
	moved(op == IBV_WR_RDMA_READ, len);
	check();
}

static void wire_shapes(const void *arg)
{
	static const enum ibv_wr_opcode ops[] = { IBV_WR_SEND, IBV_WR_SEND_WITH_IMM,
						  IBV_WR_RDMA_WRITE, IBV_WR_RDMA_WRITE_WITH_IMM,
						  IBV_WR_RDMA_READ };
	uint64_t old, now;

	setup();
	for (size_t i = 0; i < HT_LEN(ops); i++)
		for (size_t n = 0; n < HT_LEN(lengths); n++)
			one(ops[i], lengths[n]);
	for (int swap = 0; swap < 2; swap++) {
		struct ht_wr w = ht_rig_wr(
			&r, swap ? IBV_WR_ATOMIC_CMP_AND_SWP : IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 8,
			64);

		memcpy(&old, r.p[1] + 64, 8);
		w.add = swap ? old : 5;
		w.swap = 0x1234567890abcdef;
		ht_do(r.a, &w);
		memcpy(&now, r.p[1] + 64, 8);
		ht_true(now == (swap ? w.swap : old + 5));
		ht_check_bytes(r.p[0], &old, 8, "the value before");
	}
	ht_rig_put(&r);
}

/* A region of a process cannot be invalidated by the peer: it is refused. */
static void wire_shapes_inv(const void *arg)
{
	setup();
	for (size_t n = 0; n < HT_LEN(lengths); n++) {
		struct ibv_sge sge = ht_sge(&r.mr[0], r.p[0] + OFF, lengths[n]);
		struct ibv_send_wr wr = { .wr_id = 3,
					  .opcode = IBV_WR_SEND_WITH_INV,
					  .send_flags = IBV_SEND_SIGNALED,
					  .sg_list = &sge,
					  .num_sge = 1,
					  .invalidate_rkey = r.mr[1].mr->rkey };
		struct ibv_send_wr *bad;
		struct ibv_wc wc;

		ht_recv(r.b, 7, &r.mr[1], r.p[1] + ROFF, lengths[n]);
		ht_ok(ibv_post_send(r.a->qp, &wr, &bad));
		ht_want_wc(r.a->scq, &wc, 3, IBV_WC_REM_ACCESS_ERR);
		ht_pair_reconnect(&r.pair);
	}
	ht_rig_put(&r);
}

static void wire_shapes_ud(const void *arg)
{
	struct ht_conf ud = { .type = IBV_QPT_UD };
	struct ibv_ah *ah;
	struct ibv_wc wc;

	ht_rig_get(&r, &ud, LEN);
	ah = ht_ah(r.a, &r.pair.dev[1].gid);
	for (int imm = 0; imm < 2; imm++) {
		struct ht_wr w = ht_ud_wr(1, &r.mr[0], r.p[0] + OFF, 777, ah, r.b->qp->qp_num);

		for (int i = 0; i < 2; i++)
			ht_fill(r.p[i], LEN, 20 + i + imm, 0);
		ht_recv(r.b, 7, &r.mr[1], r.p[1] + ROFF, HT_GRH + 777);
		if (imm) {
			w.op = IBV_WR_SEND_WITH_IMM;
			w.imm = htobe32(IMM);
		}
		ht_do(r.a, &w);
		ht_want_wc(r.b->rcq, &wc, 7, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, HT_GRH + 777);
		ht_eq(!!(wc.wc_flags & IBV_WC_WITH_IMM), imm);
		ht_check_bytes(r.p[1] + ROFF + HT_GRH, r.p[0] + OFF, 777, "the datagram");
		ht_check_fill(r.p[1] + ROFF + HT_GRH + 777, 100, 21 + imm, ROFF + HT_GRH + 777,
			      "bytes behind it");
	}
	ht_ok(ibv_destroy_ah(ah));
	ht_rig_put(&r);
}

const struct ht_case wire_shapes_cases[] = {
	{ "wire-shapes", "every operation in one packet and in several", wire_shapes },
	{ "wire-shapes-inv", "a SEND that asks for too much is refused", wire_shapes_inv },
	{ "wire-shapes-ud", "both kinds of datagram", wire_shapes_ud },
	{},
};
