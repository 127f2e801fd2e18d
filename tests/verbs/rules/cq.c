// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Completion queues: armed twice, overrun, very large. */
#include "rules.h"

#define LEN (16 * HT_KIB)

static struct ht_rig r;

static void want_event(const struct ht_side *s, const char *what)
{
	struct ibv_cq *cq;
	void *context;

	ht_check(ht_poll_fd(s->chan[1]->fd, HT_PATIENCE_MS), "no event: %s", what);
	ht_ok(ibv_get_cq_event(s->chan[1], &cq, &context));
	ht_true(cq == s->rcq);
	ibv_ack_cq_events(cq, 1);
}

/* Armed for the next and for the next solicited one, in both orders. */
static void cq_arm_both(const void *arg)
{
	struct ht_conf conf = { .channel = true };
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	w = ht_rig_wr(&r, IBV_WR_SEND, 0, 8, 0);
	for (int first = 0; first < 2; first++) {
		ht_recv(r.b, first, &r.mr[1], r.p[1], 8);
		ht_ok(ibv_req_notify_cq(r.b->rcq, first));
		ht_ok(ibv_req_notify_cq(r.b->rcq, !first));
		ht_do(r.a, &w);
		want_event(r.b, first ? "solicited, then any" : "any, then solicited");
		ht_want_wc(r.b->rcq, &wc, first, IBV_WC_SUCCESS);
		ht_check(!ht_poll_fd(r.b->chan[1]->fd, 20), "two events of one completion");
	}
	ht_rig_put(&r);
}

/* A CQ that overran takes nothing more, even after it is emptied: its QPs stop. */
static void cq_dead(const void *arg)
{
	struct ht_conf conf = { .depth = 64, .cq_depth = 8 };
	struct ht_side two[2];
	struct ibv_wc wc;
	struct ht_wr w;
	int n, got = 0;

	ht_rig_get(&r, &conf, LEN);
	n = r.a->scq->cqe;
	ht_true(n < 64);
	/* A second pair; its requester completes to the same CQ. */
	for (int i = 0; i < 2; i++)
		ht_side_clone(&two[i], &r.pair.s[i], &conf);
	ht_connect_two(&two[0], &two[1], &r.pair.conf);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 8, 0);
	for (int i = 0; i <= n; i++)
		ht_post(r.a->qp, &w);
	ht_wait_until(ht_state(r.a) == IBV_QPS_ERR, "the QP that overran its CQ to be in ERR");
	while (ibv_poll_cq(r.a->scq, 1, &wc) > 0) {
		ht_eq(wc.status, IBV_WC_SUCCESS);
		got++;
	}
	ht_eq(got, n);
	ht_eq(ht_state(&two[0]), IBV_QPS_RTS);
	ht_post(two[0].qp, &w);
	ht_no_wc(r.a->scq, 50);
	ht_wait_until(ht_state(&two[0]) == IBV_QPS_ERR, "the other QP of a dead CQ to be in ERR");
	/* Only the CQ is dead: the peers' CQs go on. */
	ht_eq(ht_state(r.b), IBV_QPS_RTS);
	ht_eq(ht_state(&two[1]), IBV_QPS_RTS);
}

/* Thousands of entries are moved, each once, in order, and nothing else. */
static void cq_resize_many(const void *arg)
{
	enum { N = 3000 };
	struct ht_conf conf = { .depth = 4096, .cq_depth = 8192 };
	struct ibv_wc wc;
	struct ht_wr w;
	int err;

	ht_rig_get(&r, &conf, LEN);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 1, 0);
	/* The entries neither begin at the ring's start nor end there. */
	for (int i = 0; i < 100; i++)
		ht_do(r.a, &w);
	for (int i = 0; i < N; i++) {
		w.id = i;
		ht_post(r.a->qp, &w);
	}
	/* When the last byte has arrived, everything handed over is done. */
	memset(r.p[0], 0x77, 2);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 1, 1, 1);
	w.flags = HT_QUIET;
	ht_post(r.a->qp, &w);
	ht_wait_until(*(volatile uint8_t *)(r.p[1] + 1) == 0x77, "the last WRITE");
	err = ibv_resize_cq(r.a->scq, N / 2);
	ht_check(err, "a CQ that holds %d entries was cut to %d", N, r.a->scq->cqe);
	ht_ok(ibv_resize_cq(r.a->scq, N));
	for (int i = 0; i < N; i++)
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
	ht_no_wc(r.a->scq, 5);
	ht_rig_put(&r);
}

/* As many entries as fit the new size are kept; one more is too many. */
static void cq_resize_exact(const void *arg)
{
	struct ht_conf conf = { .depth = 128, .cq_depth = 256 };
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	for (int more = 0; more < 2; more++) {
		for (int i = 0; i < 64 + more; i++) {
			w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 1, 0);
			w.id = i;
			ht_post(r.a->qp, &w);
		}
		ht_sleep_ms(30);
		if (more)
			ht_check(ibv_resize_cq(r.a->scq, 64) != 0, "65 entries fit into 64");
		else
			ht_ok(ibv_resize_cq(r.a->scq, 64));
		for (int i = 0; i < 64 + more; i++)
			ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
		ht_no_wc(r.a->scq, 5);
		ht_ok(ibv_resize_cq(r.a->scq, 256));
	}
	ht_rig_put(&r);
}

const struct ht_case rules_cq[] = {
	{ "cq-arm-both", "arming for solicited events keeps an arming for all", cq_arm_both },
	{ "cq-dead", "an overrun CQ takes nothing more and stops its QPs", cq_dead },
	{ "cq-resize-many", "a resize moves thousands of entries", cq_resize_many },
	{ "cq-resize-exact", "a resize keeps as many entries as fit, to the last",
	  cq_resize_exact },
	{},
};
