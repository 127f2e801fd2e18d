// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What becomes of requests when a QP goes to ERR or to RESET, or is destroyed. */
#include "basic.h"

#define LEN (16 * HT_KIB)

static void flush_recv(const void *arg)
{
	static struct ht_rig r;
	struct ibv_wc wc;

	ht_rig_get(&r, NULL, LEN);
	ht_fill(r.p[1], LEN, 140, 0);
	for (int i = 0; i < 10; i++)
		ht_recv(r.b, i, &r.mr[1], r.p[1] + i * 64, 64);
	ht_ok(ht_to(r.b, IBV_QPS_ERR));
	for (int i = 0; i < 10; i++) {
		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_WR_FLUSH_ERR);
		ht_eq(wc.qp_num, r.b->qp->qp_num);
	}
	/* So are receives that are posted afterwards. */
	for (int i = 10; i < 200; i++) {
		ht_recv(r.b, i, &r.mr[1], r.p[1], 64);
		if (i % 3 == 0)
			ht_yield();
		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_WR_FLUSH_ERR);
	}
	ht_no_wc(r.b->rcq, 5);
	ht_check_fill(r.p[1], LEN, 140, 0, "flushed buffers");
	ht_rig_put(&r);
}

/* A send queue that waits (RNR) is flushed in order, unsignalled ones too. */
static void flush_send(const void *arg)
{
	struct ht_conf conf = { .rnr_timer = 14 };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	ht_fill(r.p[1], LEN, 141, 0);
	for (int i = 0; i < 8; i++) {
		w = ht_rig_wr(&r, i % 2 ? IBV_WR_RDMA_WRITE : IBV_WR_SEND, 0, 64, 0);
		w.id = i;
		w.flags = i % 3 ? HT_QUIET : 0;
		ht_post(r.a->qp, &w);
	}
	ht_no_wc(r.a->scq, 20);
	ht_ok(ht_to(r.a, IBV_QPS_ERR));
	for (int i = 0; i < 8; i++)
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_WR_FLUSH_ERR);
	for (int i = 8; i < 100; i++) {
		w.id = i;
		ht_post(r.a->qp, &w);
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_WR_FLUSH_ERR);
	}
	ht_no_wc(r.a->scq, 5);
	ht_check_fill(r.p[1], LEN, 141, 0, "the peer's memory");
	ht_rig_put(&r);
}

/* One failing request: it has the error, all behind it are flushed. */
static void flush_after_error(const void *arg)
{
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, NULL, LEN);
	ht_fill(r.p[1], LEN, 142, 0);
	ht_fill(r.p[0], LEN, 143, 0);
	ht_recv(r.b, 50, &r.mr[1], r.p[1], 64);
	for (int i = 0; i < 10; i++) {
		w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, i * 64, 64, 1024 + i * 64);
		w.id = i;
		if (i == 4)
			w.rkey ^= 0x55;
		if (i == 5)
			w.flags = HT_QUIET;
		ht_post(r.a->qp, &w);
	}
	for (int i = 0; i < 10; i++)
		ht_want_wc(r.a->scq, &wc, i,
			   i < 4  ? IBV_WC_SUCCESS :
			   i == 4 ? IBV_WC_REM_ACCESS_ERR :
				    IBV_WC_WR_FLUSH_ERR);
	ht_eq(ht_state(r.a), IBV_QPS_ERR);
	ht_check_fill(r.p[1] + 1024, 4 * 64, 143, 0, "WRITEs before the error");
	ht_check_fill(r.p[1] + 1024 + 256, 1000, 142, 1024 + 256, "WRITEs from the error on");
	/* The responder saw a protection error: its QP is in ERR as well. */
	ht_want_wc(r.b->rcq, &wc, 50, IBV_WC_WR_FLUSH_ERR);
	ht_eq(ht_state(r.b), IBV_QPS_ERR);
	ht_want_event(r.b->dev->ctx, IBV_EVENT_QP_ACCESS_ERR, r.b->qp);
	/* After RESET both work as new. */
	ht_pair_reconnect(&r.pair);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 3, 1000, 2000);
	ht_check_fill(r.p[1] + 2000, 1000, 143, 3, "WRITE after RESET");
	ht_rig_put(&r);
}

/* RESET forgets requests without a completion, and starts with empty queues. */
static void flush_reset(const void *arg)
{
	struct ht_conf conf = { .rnr_timer = 14, .depth = 16 };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	ht_fill(r.p[0], LEN, 144, 0);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 16; i++) {
			w = ht_rig_wr(&r, IBV_WR_SEND, 0, 10, 0);
			ht_post(r.a->qp, &w);
			ht_recv(r.a, i, &r.mr[0], r.p[0], 10);
		}
		ht_ok(ht_to(r.a, IBV_QPS_RESET));
		ht_eq(ht_state(r.a), IBV_QPS_RESET);
		ht_no_wc(r.a->scq, 10);
		ht_no_wc(r.a->rcq, 10);
		ht_pair_reconnect(&r.pair);
		/* After RESET all slots are free and no old request is left. */
		for (int i = 0; i < 16; i++) {
			ht_recv(r.b, i, &r.mr[1], r.p[1] + i * 100, 100);
			w = ht_rig_wr(&r, IBV_WR_SEND, i, 50, 0);
			w.id = 100 + i;
			ht_post(r.a->qp, &w);
		}
		for (int i = 0; i < 16; i++) {
			ht_want_wc(r.a->scq, &wc, 100 + i, IBV_WC_SUCCESS);
			ht_want_wc(r.b->rcq, &wc, i, IBV_WC_SUCCESS);
			ht_check_fill(r.p[1] + i * 100, 50, 144, i, "message after RESET");
		}
	}
	ht_rig_put(&r);
}

/* Destroying a QP with requests in flight does not hang and hurts nobody. */
static void flush_destroy(const void *arg)
{
	struct ht_conf conf = { .rnr_timer = 20 };

	for (long round = 0; round < ht_count(10); round++) {
		static struct ht_rig r;
		struct ht_wr w;

		ht_rig_get(&r, &conf, LEN);
		for (int i = 0; i < 30; i++) {
			w = ht_rig_wr(&r, i % 2 ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, 0, 4096,
				      4096);
			ht_post(r.a->qp, &w);
			if (i == 20)
				w.op = IBV_WR_SEND;
			ht_recv(r.b, i, &r.mr[1], r.p[1], 10);
		}
		if (round % 2)
			ht_side_put(r.b);
		ht_side_put(r.a);
		ht_rig_put(&r);
		ht_checked();
	}
}

/* Post @w and wait, without a poll, until it has completed. */
static void post_unpolled(const struct ht_side *s, const struct ht_wr *w)
{
	struct ibv_cq *cq;
	void *context;

	ht_ok(ibv_req_notify_cq(s->scq, 0));
	ht_post(s->qp, w);
	ht_check(ht_poll_fd(s->chan[0]->fd, HT_PATIENCE_MS), "no event of an armed CQ");
	ht_ok(ibv_get_cq_event(s->chan[0], &cq, &context));
	ibv_ack_cq_events(cq, 1);
}

/*
 * Completions that wait in a CQ outlive their QP. They stay in front of those of
 * the next QP on that CQ. (Devices differ in this; libfabric's provider verbs polls
 * for them after it has destroyed the QP.)
 */
static void flush_destroy_keeps(const void *arg)
{
	enum { N = 6, SIZE = 64 };
	struct ht_conf conf = { .channel = true };
	static struct ht_rig r;
	uint32_t qpn[2][2];
	struct ibv_wc wc;

	ht_rig_get(&r, &conf, LEN);
	ht_fill(r.p[0], LEN, 145, 0);
	for (int i = 0; i < 2 * N; i++) {
		struct ht_wr w = ht_rig_wr(&r, IBV_WR_SEND, i * SIZE, SIZE, 0);

		if (i == N) {
			ht_side_put(r.a);
			ht_side_put(r.b);
			ht_pair_create(&r.pair);
			ht_pair_connect(&r.pair);
		}
		qpn[i / N][0] = r.a->qp->qp_num;
		qpn[i / N][1] = r.b->qp->qp_num;
		w.id = 100 + i;
		ht_recv(r.b, i, &r.mr[1], r.p[1] + i * SIZE, SIZE);
		post_unpolled(r.a, &w);
	}
	ht_side_put(r.a);
	ht_side_put(r.b);
	for (int i = 0; i < 2 * N; i++) {
		ht_want_wc(r.a->scq, &wc, 100 + i, IBV_WC_SUCCESS);
		ht_eq(wc.qp_num, qpn[i / N][0]);
		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.qp_num, qpn[i / N][1]);
		ht_eq(wc.byte_len, SIZE);
	}
	ht_no_wc(r.a->scq, 5);
	ht_no_wc(r.b->rcq, 5);
	ht_check_fill(r.p[1], 2 * N * SIZE, 145, 0, "what the QPs have received");
	ht_rig_put(&r);
}

/* RESET drops the QP's completions from the CQ, and no other QP's. */
static void flush_reset_drops(const void *arg)
{
	enum { N = 6 };
	struct ht_conf conf = { .channel = true };
	struct ht_side other[2];
	static struct ht_rig r;
	struct ibv_wc wc;

	ht_rig_get(&r, &conf, LEN);
	ht_side_clone(&other[0], r.a, &conf);
	ht_side_clone(&other[1], r.b, &conf);
	ht_connect_two(&other[0], &other[1], &r.pair.conf);
	for (int i = 0; i < 2 * N; i++) {
		struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, i, 1, i);

		w.id = i;
		post_unpolled(i % 2 ? &other[0] : r.a, &w);
	}
	ht_ok(ht_to(r.a, IBV_QPS_RESET));
	for (int i = 1; i < 2 * N; i += 2) {
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.qp_num, other[0].qp->qp_num);
	}
	ht_no_wc(r.a->scq, 5);
	ht_side_put(&other[0]);
	ht_side_put(&other[1]);
	ht_rig_put(&r);
}

/* The peer is gone in the middle: the requester ends with an error status. */
static void flush_peer_gone(const void *arg)
{
	struct ht_conf conf = { .timeout = 8, .retry = 1 };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 8, 0);
	ht_do(r.a, &w);
	ht_side_put(r.b);
	ht_post(r.a->qp, &w);
	ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_RETRY_EXC_ERR);
	ht_eq(ht_state(r.a), IBV_QPS_ERR);
	ht_rig_put(&r);
}

const struct ht_case basic_flush[] = {
	{ "flush-recv", "ERR flushes receives in order, later ones too", flush_recv },
	{ "flush-send", "ERR flushes sends in order, unsignalled ones too", flush_send },
	{ "flush-after-error", "an error stops the queue exactly there", flush_after_error },
	{ "flush-reset", "RESET forgets everything and starts anew", flush_reset },
	{ "flush-destroy", "a QP with requests in flight can be destroyed", flush_destroy },
	{ "flush-destroy-keeps", "unpolled completions outlive their QP", flush_destroy_keeps },
	{ "flush-reset-drops", "RESET drops the QP's unpolled completions", flush_reset_drops },
	{ "flush-peer-gone", "a destroyed peer is IBV_WC_RETRY_EXC_ERR", flush_peer_gone },
	{},
};
