// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Signalling, fences, order and receiver-not-ready. */
#include <endian.h>

#include "basic.h"

#define LEN (64 * HT_KIB)

/* Unsignalled requests free their slots when a later one completes. */
static void queue_unsignalled(const void *arg)
{
	struct ht_conf conf = { .depth = 16 };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 16; i++) {
			uint64_t v = 0xabcd000000000000ULL + round * 100 + i;

			memcpy(r.p[0] + i * 8, &v, 8);
			w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, i * 8, 8, i * 16 + 1);
			w.flags = i == 15 ? 0 : HT_QUIET;
			ht_post(r.a->qp, &w);
		}
		ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
		for (int i = 0; i < 16; i++)
			ht_check_bytes(r.p[1] + i * 16 + 1, r.p[0] + i * 8, 8, "unsignalled word");
	}
	ht_no_wc(r.a->scq, 10);
	ht_rig_put(&r);
}

/* With sq_sig_all every request is signalled, asked for or not. */
static void queue_sig_all(const void *arg)
{
	struct ht_conf conf = { .sig_all = true };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	for (int i = 0; i < 10; i++) {
		w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 9, 0);
		w.flags = HT_QUIET;
		ht_post(r.a->qp, &w);
		ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
	}
	ht_rig_put(&r);
}

/* The send queue holds what was asked for, then post_send returns ENOMEM. */
static void queue_full(const void *arg)
{
	struct ht_conf conf = { .depth = 16, .rnr_retry = 7, .rnr_timer = 10 };
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;
	int n, err;

	ht_rig_get(&r, &conf, LEN);
	ht_ok(ibv_query_qp(r.a->qp, &attr, IBV_QP_CAP, &init));
	ht_true(init.cap.max_send_wr >= 16);
	/* No receive is posted: the first SEND waits, the queue fills up. */
	for (n = 0;; n++) {
		w = ht_rig_wr(&r, IBV_WR_SEND, n % 64, 1, 0);
		w.id = n;
		r.p[0][n % 64] = n;
		err = ht_post_try(r.a->qp, &w);
		if (err)
			break;
		ht_check(n < 100000, "the send queue never fills up");
	}
	ht_check(err == ENOMEM, "a full send queue: %d (%s), not ENOMEM", err, strerror(err));
	ht_check(n >= 16, "only %d requests fit, not 16", n);
	ht_check(n <= (int)init.cap.max_send_wr, "%d requests fit, the cap is %u", n,
		 init.cap.max_send_wr);
	for (int i = 0; i < n; i++) {
		ht_recv(r.b, i, &r.mr[1], r.p[1] + i, 1);
		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_SUCCESS);
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
	}
	ht_check_bytes(r.p[1], r.p[0], HT_MIN(n, 64), "one byte per request");
	ht_rig_put(&r);
}

/* READ into a buffer, then a fenced WRITE out of it: it sends what was read. */
static void queue_fence(const void *arg)
{
	enum { N = 8 * HT_KIB };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, NULL, LEN);
	for (long i = 0; i < ht_count(50); i++) {
		ht_fill(r.p[1], N, 900 + i, 0);
		memset(r.p[0], 0, N);
		w = ht_rig_wr(&r, IBV_WR_RDMA_READ, 3, N - 3, 0);
		w.flags = HT_QUIET;
		ht_post(r.a->qp, &w);
		w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 3, N - 3, 2 * N + 1);
		w.flags = IBV_SEND_FENCE;
		ht_post(r.a->qp, &w);
		ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
		ht_check_fill(r.p[1] + 2 * N + 1, N - 3, 900 + i, 0, "fenced WRITE of read data");
	}
	ht_rig_put(&r);
}

/* WRITE then SEND: when the SEND arrives, the WRITE's bytes are there. */
static void queue_order(const void *arg)
{
	enum { N = 9000 };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, NULL, LEN);
	for (long i = 0; i < ht_count(50); i++) {
		ht_recv(r.b, i, &r.mr[1], r.p[1], 1);
		ht_fill(r.p[0], N, i, 0);
		w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, N, 4097);
		w.flags = HT_QUIET;
		ht_post(r.a->qp, &w);
		w = ht_rig_wr(&r, IBV_WR_SEND, 0, 1, 0);
		ht_post(r.a->qp, &w);
		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_SUCCESS);
		ht_check_fill(r.p[1] + 4097, N, i, 0, "WRITE before SEND");
		ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
	}
	ht_rig_put(&r);
}

/* --- receiver not ready -------------------------------------------------------------- */

static void rnr_give_up(const void *arg)
{
	struct ht_conf conf = { .rnr_retry = HT_NONE };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	w = ht_rig_wr(&r, IBV_WR_SEND, 0, 100, 0);
	ht_post(r.a->qp, &w);
	ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_RNR_RETRY_EXC_ERR);
	ht_eq(ht_state(r.a), IBV_QPS_ERR);
	/* An RNR error fails the requester only; the responder goes on. */
	ht_eq(ht_state(r.b), IBV_QPS_RTS);
	ht_rig_put(&r);
}

static void rnr_wait(const void *arg)
{
	const int *retries = arg;
	struct ht_conf conf = { .rnr_retry = *retries, .rnr_timer = 14 /* 1 ms */ };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	ht_fill(r.p[0], 5000, 31, 0);
	w = ht_rig_wr(&r, IBV_WR_SEND, 0, 5000, 0);
	ht_post(r.a->qp, &w);
	ht_no_wc(r.a->scq, 60);
	ht_recv(r.b, 1, &r.mr[1], r.p[1] + 7, 5000);
	ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
	ht_check_fill(r.p[1] + 7, 5000, 31, 0, "message after RNR");
	ht_rig_put(&r);
}

/* WRITE_WITH_IMM needs a receive; RNR must not write twice or out of order. */
static void rnr_write_imm(const void *arg)
{
	struct ht_conf conf = { .rnr_timer = 14 };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w, w2;

	ht_rig_get(&r, &conf, LEN);
	ht_fill(r.p[0], 20000, 33, 0);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE_WITH_IMM, 0, 20000, 3);
	w.imm = htobe32(0x1234567);
	ht_post(r.a->qp, &w);
	w2 = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 5, 30000);
	ht_post(r.a->qp, &w2);
	ht_no_wc(r.a->scq, 30);
	ht_recv(r.b, 2, &r.mr[1], r.p[1], 0);
	ht_want_wc(r.b->rcq, &wc, 2, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, 20000);
	ht_eq(be32toh(wc.imm_data), 0x1234567);
	ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
	ht_want_wc(r.a->scq, &wc, w2.id, IBV_WC_SUCCESS);
	ht_check_fill(r.p[1] + 3, 20000, 33, 0, "WRITE_WITH_IMM after RNR");
	ht_check_fill(r.p[1] + 30000, 5, 33, 0, "WRITE behind it");
	ht_rig_put(&r);
}

static const int seven = 7;

const struct ht_case basic_queues[] = {
	{ "queue-unsignalled", "unsignalled requests complete nothing and free their slots",
	  queue_unsignalled },
	{ "queue-sig-all", "sq_sig_all signals every request", queue_sig_all },
	{ "queue-full", "a full send queue is ENOMEM, and the rest is executed", queue_full },
	{ "queue-fence", "a fenced WRITE sends what the READ before it fetched", queue_fence },
	{ "queue-order", "a SEND arrives after the WRITE that was posted before it", queue_order },
	{ "rnr-give-up", "rnr_retry 0: no receive is IBV_WC_RNR_RETRY_EXC_ERR", rnr_give_up },
	{ "rnr-wait-7", "rnr_retry 7: the SEND waits until a receive is posted", rnr_wait, &seven },
	{ "rnr-write-imm", "a WRITE_WITH_IMM that met RNR is written once and in order",
	  rnr_write_imm },
	{},
};
