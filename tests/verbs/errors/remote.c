// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Requests that the responder must refuse.
 *
 * The region on the responder is the middle of a larger buffer, at an odd
 * place and with an odd length, so that neither end is a page boundary. After
 * each refusal: the requester's status and QP state, the responder's QP state
 * and event, both buffers to the byte, and a good request on the same QPs
 * after RESET.
 */
#include "errors.h"

#define LEN (64 * HT_KIB)
#define MR_OFF (HT_PAGE + 1001)
#define MR_LEN (5 * HT_PAGE + 333)

enum how {
	WRONG_KEY_BYTE, /* right index, wrong key */
	WRONG_KEY_INDEX,
	ZERO_KEY,
	BEFORE_BY_ONE,
	BEHIND_BY_ONE,
	BEGINS_BEHIND,
	FAR_AWAY,
	WRAPS,
	TOP_OF_SPACE,
	NO_RIGHT, /* of the region */
	QP_NO_RIGHT,
	OTHER_PD,
	DEREGISTERED,
	REUSED, /* deregistered, and a new region in its place */
	MISALIGNED,
};

struct row {
	const char *name;
	enum ibv_wr_opcode op;
	enum how how;
	enum ibv_wc_status status;
};

static struct ht_rig r;
static uint8_t *shadow[2];
static struct ht_mr region;

static const struct row *row;

static int rights(void)
{
	if (row->how != NO_RIGHT)
		return HT_ACCESS_ALL;
	switch (row->op) {
	case IBV_WR_RDMA_READ: return HT_ACCESS_ALL & ~IBV_ACCESS_REMOTE_READ;
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM: return HT_ACCESS_ALL & ~IBV_ACCESS_REMOTE_WRITE;
	default: return HT_ACCESS_ALL & ~IBV_ACCESS_REMOTE_ATOMIC;
	}
}

static void make_region(void)
{
	struct ibv_pd *pd = r.b->pd;

	if (row->how == OTHER_PD) {
		pd = ibv_alloc_pd(r.b->dev->ctx);
		ht_true(pd != NULL);
	}
	ht_mr_get(&region, pd, r.p[1] + MR_OFF, MR_LEN, ht_best_mr(r.b->dev), rights());
}

static struct ht_wr good_request(uint32_t len)
{
	struct ht_wr w = ht_rdma_wr(0x600d, row->op, &r.mr[0], r.p[0] + 99, len, &region,
				    r.p[1] + MR_OFF + 7);

	w.add = 1;
	return w;
}

/* Make the request wrong as the row says. */
static void spoil(struct ht_wr *w)
{
	uint64_t begin = ht_iova(&region, r.p[1] + MR_OFF);
	struct ht_mr again;

	switch (row->how) {
	case WRONG_KEY_BYTE: w->rkey ^= 1; break;
	case WRONG_KEY_INDEX: w->rkey ^= 0x00300000; break;
	case ZERO_KEY: w->rkey = 0; break;
	case BEFORE_BY_ONE: w->raddr = begin - 1; break;
	case BEHIND_BY_ONE: w->raddr = begin + MR_LEN - w->len + 1; break;
	case BEGINS_BEHIND: w->raddr = begin + MR_LEN; break;
	case FAR_AWAY: w->raddr = 0x1000; break;
	case WRAPS: w->raddr = begin - (1ULL << 63); break;
	case TOP_OF_SPACE: w->raddr = UINT64_MAX - w->len / 2; break;
	case MISALIGNED: w->raddr += 1; break;
	case DEREGISTERED: ht_mr_put(&region); break;
	case REUSED:
		ht_mr_put(&region);
		for (int i = 0; i < 16; i++) {
			ht_mr_get(&again, r.b->pd, r.p[1] + MR_OFF, MR_LEN, ht_best_mr(r.b->dev),
				  HT_ACCESS_ALL);
			ht_check(again.mr->rkey != w->rkey,
				 "a new region has the old one's rkey 0x%x", w->rkey);
		}
		break;
	case NO_RIGHT:
	case QP_NO_RIGHT:
	case OTHER_PD: break;
	}
	/* Atomics are aligned unless the row is about alignment. */
	if (row->op >= IBV_WR_ATOMIC_CMP_AND_SWP && row->how != MISALIGNED) {
		uint64_t at = w->raddr & ~7ULL;

		if (row->how == BEHIND_BY_ONE)
			at = (begin + MR_LEN - 1) & ~7ULL;
		if (row->how == BEFORE_BY_ONE)
			at = begin & ~7ULL;
		w->raddr = at;
	}
}

static void after(void)
{
	enum ibv_event_type event = row->status == IBV_WC_REM_ACCESS_ERR ? IBV_EVENT_QP_ACCESS_ERR :
									   IBV_EVENT_QP_REQ_ERR;

	ht_eq(ht_state(r.a), IBV_QPS_ERR);
	ht_wait_until(ht_state(r.b) == IBV_QPS_ERR, "the responder's QP to be in ERR");
	ht_want_event(r.b->dev->ctx, event, r.b->qp);
	for (int i = 0; i < 2; i++)
		ht_check_bytes(r.p[i], shadow[i], LEN,
			       i ? "responder's memory" : "requester's memory");
}

/* UC: the request is lost, and nobody is told. The next one is executed. */
static void lose(const struct ht_wr *w)
{
	uint64_t before = ht_counter(r.b->dev, "uc_drops");
	struct ht_wr empty = { .id = 1, .op = IBV_WR_SEND, .no_sge = true };
	struct ibv_wc wc;

	ht_do(r.a, w);
	ht_wait_until(ht_counter(r.b->dev, "uc_drops") == before + 1, "the loss to be counted");
	ht_no_wc(r.b->rcq, 5);
	ht_eq(ht_state(r.a), IBV_QPS_RTS);
	ht_eq(ht_state(r.b), IBV_QPS_RTS);
	for (int i = 0; i < 2; i++)
		ht_check_bytes(r.p[i], shadow[i], LEN,
			       i ? "responder's memory" : "requester's memory");
	/* The receive of a WRITE_WITH_IMM is there for the next message. */
	if (w->op == IBV_WR_RDMA_WRITE_WITH_IMM) {
		ht_do(r.a, &empty);
		ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_SUCCESS);
	}
	if (row->how == QP_NO_RIGHT) {
		r.pair.conf.access = HT_ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE;
		ht_pair_reconnect(&r.pair);
	}
}

static void refuse(const void *arg)
{
	struct ht_conf conf = { 0 };
	struct ibv_wc wc;
	uint32_t len;
	struct ht_wr w;

	row = arg;
	len = row->op >= IBV_WR_ATOMIC_CMP_AND_SWP ? 8 : 2 * HT_PAGE + 1;
	if (row->how == QP_NO_RIGHT)
		conf.access = HT_NONE;
	ht_rig_get(&r, &conf, LEN);
	ht_rig_fill(&r, 200, shadow);
	make_region();
	w = good_request(len);
	spoil(&w);
	if (row->op == IBV_WR_RDMA_WRITE_WITH_IMM)
		ht_recv(r.b, 1, &r.mr[1], r.p[1], 0);
	if (r.pair.conf.type == IBV_QPT_UC) {
		lose(&w);
	} else {
		ht_do_status(r.a, &w, row->status);
		if (row->op == IBV_WR_RDMA_WRITE_WITH_IMM)
			ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_WR_FLUSH_ERR);
		after();
		/* Nothing of it sticks. */
		r.pair.conf.access = HT_ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE;
		ht_pair_reconnect(&r.pair);
	}
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 99, 3000, 1);
	ht_rig_settle(&r);
	memcpy(shadow[1] + 1, shadow[0] + 99, 3000);
	ht_check_bytes(r.p[1], shadow[1], LEN, "a good WRITE afterwards");
}

#define ACC IBV_WC_REM_ACCESS_ERR
#define INV IBV_WC_REM_INV_REQ_ERR
#define W IBV_WR_RDMA_WRITE
#define R IBV_WR_RDMA_READ
#define A IBV_WR_ATOMIC_FETCH_AND_ADD
#define C IBV_WR_ATOMIC_CMP_AND_SWP
#define I IBV_WR_RDMA_WRITE_WITH_IMM

static const struct row rows[] = {
	{ "write-wrong-key", W, WRONG_KEY_BYTE, ACC },
	{ "read-wrong-key", R, WRONG_KEY_BYTE, ACC },
	{ "write-imm-wrong-key", I, WRONG_KEY_BYTE, ACC },
	{ "add-wrong-key", A, WRONG_KEY_BYTE, ACC },
	{ "write-unknown-key", W, WRONG_KEY_INDEX, ACC },
	{ "read-unknown-key", R, WRONG_KEY_INDEX, ACC },
	{ "write-key-0", W, ZERO_KEY, ACC },
	{ "write-before-by-one", W, BEFORE_BY_ONE, ACC },
	{ "read-before-by-one", R, BEFORE_BY_ONE, ACC },
	{ "add-before", A, BEFORE_BY_ONE, ACC },
	{ "write-behind-by-one", W, BEHIND_BY_ONE, ACC },
	{ "read-behind-by-one", R, BEHIND_BY_ONE, ACC },
	{ "write-imm-behind-by-one", I, BEHIND_BY_ONE, ACC },
	{ "add-behind", A, BEHIND_BY_ONE, ACC },
	{ "swap-behind", C, BEHIND_BY_ONE, ACC },
	{ "write-begins-behind", W, BEGINS_BEHIND, ACC },
	{ "read-far-away", R, FAR_AWAY, ACC },
	{ "write-wraps", W, WRAPS, ACC },
	{ "write-top-of-space", W, TOP_OF_SPACE, ACC },
	{ "read-top-of-space", R, TOP_OF_SPACE, ACC },
	{ "write-no-right", W, NO_RIGHT, ACC },
	{ "write-imm-no-right", I, NO_RIGHT, ACC },
	{ "read-no-right", R, NO_RIGHT, ACC },
	{ "add-no-right", A, NO_RIGHT, ACC },
	{ "swap-no-right", C, NO_RIGHT, ACC },
	{ "write-qp-no-right", W, QP_NO_RIGHT, INV },
	{ "read-qp-no-right", R, QP_NO_RIGHT, INV },
	{ "add-qp-no-right", A, QP_NO_RIGHT, INV },
	{ "write-other-pd", W, OTHER_PD, ACC },
	{ "read-other-pd", R, OTHER_PD, ACC },
	{ "swap-other-pd", C, OTHER_PD, ACC },
	{ "write-deregistered", W, DEREGISTERED, ACC },
	{ "read-deregistered", R, DEREGISTERED, ACC },
	{ "write-reused-key", W, REUSED, ACC },
	{ "add-misaligned", A, MISALIGNED, INV },
	{ "swap-misaligned", C, MISALIGNED, INV },
};

/* A message longer than the region, with lengths that overflow 32 bits. */
static void huge(const void *arg)
{
	const enum ibv_wr_opcode *op = arg;
	struct ibv_sge sge[4];
	struct ibv_wc wc;
	struct ht_wr w;
	int err;

	ht_rig_get(&r, NULL, LEN);
	ht_fill(r.p[1], LEN, 210, 0);
	for (int i = 0; i < 4; i++)
		sge[i] = ht_sge(&r.mr[0], r.p[0], 0x40000001 + (i == 3) * 5);
	w = ht_rig_wr(&r, *op, 0, 1, 0);
	w.sgl = sge;
	w.num_sge = 4; /* the sum is 9 modulo 2^32 */
	err = ht_post_try(r.a->qp, &w);
	if (!err) {
		ht_next_wc(r.a->scq, &wc, "of a message of 4 GiB + 9");
		ht_check(wc.status != IBV_WC_SUCCESS, "a message of 4 GiB + 9 succeeds");
		ht_check(wc.status == IBV_WC_LOC_LEN_ERR || wc.status == IBV_WC_LOC_PROT_ERR ||
				 wc.status == IBV_WC_LOC_QP_OP_ERR,
			 "status %s", ibv_wc_status_str(wc.status));
	}
	ht_check_fill(r.p[1], LEN, 210, 0, "responder's memory");
}

static const enum ibv_wr_opcode op_w = W, op_r = R, op_s = IBV_WR_SEND;

static const struct ht_case cases[] = {
	{ "remote-huge-write", "a length sum beyond 32 bits does not wrap", huge, &op_w },
	{ "remote-huge-read", "a length sum beyond 32 bits does not wrap", huge, &op_r },
	{ "remote-huge-send", "a length sum beyond 32 bits does not wrap", huge, &op_s },
	{},
};

void errors_remote(void)
{
	bool uc = ht_opt.type == IBV_QPT_UC;

	for (size_t i = 0; i < HT_LEN(rows); i++) {
		if (uc && rows[i].op != W && rows[i].op != I)
			continue;
		ht_addf(refuse, &rows[i], 0,
			uc ? "the responder drops it and goes on, no byte moves" :
			     "the responder refuses it, both ends know, no byte moves",
			"remote-%s", rows[i].name);
	}
	if (!uc)
		ht_add(cases);
}
