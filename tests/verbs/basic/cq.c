// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Completion queues: events, resize, overrun. */
#include "basic.h"

#define LEN (16 * HT_KIB)

static bool event_within(const struct ht_side *s, int which, unsigned int ms)
{
	struct ibv_cq *cq;
	void *context;

	if (!ht_poll_fd(s->chan[which]->fd, ms))
		return false;
	ht_ok(ibv_get_cq_event(s->chan[which], &cq, &context));
	ht_check(cq == (which ? s->rcq : s->scq), "the event is of another CQ");
	ht_check(context == s || context, "the event has no context");
	ibv_ack_cq_events(cq, 1);
	return true;
}

/* No event without arming; one event per arming; later ones need a new arming. */
static void cq_event(const void *arg)
{
	struct ht_conf conf = { .channel = true };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 8, 0);
	ht_do(r.a, &w);
	ht_check(!event_within(r.a, 0, 50), "an event of a CQ that was not armed");
	for (int i = 0; i < 3; i++) {
		ht_ok(ibv_req_notify_cq(r.a->scq, 0));
		ht_no_wc(r.a->scq, 5);
		ht_post(r.a->qp, &w);
		ht_check(event_within(r.a, 0, HT_PATIENCE_MS), "no event of an armed CQ");
		ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
		ht_do(r.a, &w);
		ht_check(!event_within(r.a, 0, 30), "two events of one arming");
	}
	ht_rig_put(&r);
}

/*
 * Arming a CQ that holds a completion: the caller must arm, then poll again, and
 * that poll must find it. No event is due. See ibv_req_notify_cq(3).
 */
static void cq_arm_late(const void *arg)
{
	struct ht_conf conf = { .channel = true };
	static struct ht_rig r;
	struct ibv_wc wc;
	long n = ht_count(200);

	ht_rig_get(&r, &conf, LEN);
	for (long i = 0; i < n; i++) {
		struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 8, 0);
		int got;

		ht_post(r.a->qp, &w);
		ht_ok(ibv_req_notify_cq(r.a->scq, 0));
		got = ibv_poll_cq(r.a->scq, 1, &wc);
		if (!got) {
			ht_check(event_within(r.a, 0, HT_PATIENCE_MS),
				 "round %ld: neither a completion nor an event", i);
			ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
		} else {
			ht_eq(got, 1);
			ht_eq(wc.status, IBV_WC_SUCCESS);
			/* The arming may or may not have been used up. */
			while (ht_poll_fd(r.a->chan[0]->fd, 0))
				event_within(r.a, 0, 0);
		}
	}
	ht_rig_put(&r);
}

static void cq_solicited(const void *arg)
{
	struct ht_conf conf = { .channel = true };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	for (int i = 0; i < 4; i++)
		ht_recv(r.b, i, &r.mr[1], r.p[1], 100);
	ht_ok(ibv_req_notify_cq(r.b->rcq, 1));
	w = ht_rig_wr(&r, IBV_WR_SEND, 0, 10, 0);
	ht_do(r.a, &w);
	ht_check(!event_within(r.b, 1, 50), "an event of a SEND that is not solicited");
	w.flags = IBV_SEND_SOLICITED;
	ht_do(r.a, &w);
	ht_check(event_within(r.b, 1, HT_PATIENCE_MS), "no event of a solicited SEND");
	for (int i = 0; i < 2; i++)
		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_SUCCESS);
	/* An error completion counts as solicited. */
	ht_ok(ibv_req_notify_cq(r.b->rcq, 1));
	ht_ok(ht_to(r.b, IBV_QPS_ERR));
	ht_check(event_within(r.b, 1, HT_PATIENCE_MS), "no event of a flushed receive");
	for (int i = 2; i < 4; i++)
		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_WR_FLUSH_ERR);
	ht_rig_put(&r);
}

/* Two CQs on one channel: each event names its CQ. */
static void cq_shared_channel(const void *arg)
{
	struct ibv_comp_channel *chan;
	struct ibv_cq *cq[2], *ev;
	struct ht_pair p;
	struct ibv_wc wc;
	struct ht_wr w = { .op = IBV_WR_RDMA_WRITE, .no_sge = true };
	void *context;
	int seen = 0;

	ht_pair_open(&p, NULL);
	chan = ibv_create_comp_channel(p.s[0].dev->ctx);
	ht_true(chan != NULL);
	for (int i = 0; i < 2; i++) {
		cq[i] = ibv_create_cq(p.s[0].dev->ctx, 16, &cq[i], chan, 0);
		ht_true(cq[i] != NULL);
		ht_ok(ibv_req_notify_cq(cq[i], 0));
	}
	if (p.s[1].dev != p.s[0].dev)
		ht_skip("needs both sides on one device");
	for (int i = 0; i < 2; i++) {
		p.s[i].scq = cq[i];
		p.s[i].rcq = cq[i];
	}
	ht_pair_create(&p);
	ht_pair_connect(&p);
	for (int i = 0; i < 2; i++)
		ht_post(p.s[i].qp, &w);
	while (seen != 3) {
		ht_check(ht_poll_fd(chan->fd, HT_PATIENCE_MS), "events seen: mask %d", seen);
		ht_ok(ibv_get_cq_event(chan, &ev, &context));
		ht_check(ev == cq[0] || ev == cq[1], "an event of an unknown CQ");
		ht_check(context == (ev == cq[0] ? &cq[0] : &cq[1]), "the context of another CQ");
		seen |= ev == cq[0] ? 1 : 2;
		ht_want_wc(ev, &wc, 0, IBV_WC_SUCCESS);
		ibv_ack_cq_events(ev, 1);
	}
}

/* A resize, up or down, keeps the entries that wait in the CQ. */
static void cq_resize(const void *arg)
{
	enum { N = 40 };
	struct ht_conf conf = { .depth = 128, .cq_depth = 64 };
	static struct ht_rig r;
	struct ht_wr w[N];
	struct ibv_wc wc;
	int err;

	ht_rig_get(&r, &conf, LEN);
	for (int round = 0; round < 3; round++) {
		static const int sizes[3] = { 500, 48, 64 };

		for (int i = 0; i < N; i++) {
			w[i] = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, i, 1, i);
			ht_post(r.a->qp, &w[i]);
		}
		/* All entries must be in the CQ before the resize, and none may be polled. */
		ht_wait_until(r.p[1][N - 1] == r.p[0][N - 1] || round, "the last WRITE");
		ht_sleep_ms(20);
		err = ibv_resize_cq(r.a->scq, sizes[round]);
		if (round == 0)
			ht_require(r.a->dev, !err, "ibv_resize_cq: %s", strerror(err));
		ht_ok(err);
		ht_true(r.a->scq->cqe >= sizes[round]);
		for (int i = 0; i < N; i++)
			ht_want_wc(r.a->scq, &wc, w[i].id, IBV_WC_SUCCESS);
		ht_no_wc(r.a->scq, 5);
	}
	/* Too small for the entries: refused, and nothing is lost. */
	for (int i = 0; i < N; i++) {
		w[i] = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, i, 1, i);
		ht_post(r.a->qp, &w[i]);
	}
	ht_sleep_ms(50);
	err = ibv_resize_cq(r.a->scq, 4);
	ht_check(err || r.a->scq->cqe >= N, "a CQ with %d entries was cut to %d", N, r.a->scq->cqe);
	for (int i = 0; i < N; i++)
		ht_want_wc(r.a->scq, &wc, w[i].id, IBV_WC_SUCCESS);
	ht_rig_put(&r);
}

/* Resizing under traffic loses and repeats nothing. */
static void cq_resize_busy(const void *arg)
{
	struct ht_conf conf = { .depth = 64, .cq_depth = 128 };
	long n = ht_count(300), sent = 0, done = 0;
	static struct ht_rig r;
	struct ibv_wc wc;

	ht_rig_get(&r, &conf, LEN);
	while (done < n) {
		while (sent < n && sent - done < 60) {
			struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 8, 0);

			w.id = sent++;
			ht_post(r.a->qp, &w);
		}
		if (done % 10 == 0) {
			int err = ibv_resize_cq(r.a->scq, 64 + done % 7 * 64);

			if (done == 0)
				ht_require(r.a->dev, !err, "ibv_resize_cq: %s", strerror(err));
			ht_ok(err);
		}
		ht_want_wc(r.a->scq, &wc, done, IBV_WC_SUCCESS);
		done++;
	}
	ht_rig_put(&r);
}

/* More completions than a CQ holds: the CQ says so and its QPs stop. */
static void cq_overrun(const void *arg)
{
	struct ht_conf conf = { .depth = 256, .cq_depth = 8 }, c2 = { .cq_depth = 64 };
	static struct ht_rig r;
	struct ibv_async_event ev;
	struct ht_side s2[2];
	struct ht_wr w;
	int err = 0, n;

	ht_rig_get(&r, &conf, LEN);
	n = r.a->scq->cqe;
	if (n >= 256)
		ht_skip("the smallest CQ has %d places", n);
	for (int i = 0; i <= n && !err; i++) {
		w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 8, 0);
		err = ht_post_try(r.a->qp, &w);
	}
	/* Its QP may fail first, which raises an event as well. */
	do {
		ht_check(ht_poll_fd(r.a->dev->ctx->async_fd, HT_PATIENCE_MS),
			 "no IBV_EVENT_CQ_ERR after %d completions in a CQ of %d", n + 1, n);
		ht_ok(ibv_get_async_event(r.a->dev->ctx, &ev));
		ht_check(ev.event_type == IBV_EVENT_CQ_ERR || ev.event_type == IBV_EVENT_QP_FATAL,
			 "event \"%s\"", ibv_event_type_str(ev.event_type));
		ibv_ack_async_event(&ev);
	} while (ev.event_type != IBV_EVENT_CQ_ERR);
	ht_check(ev.element.cq == r.a->scq, "the event is of another CQ");
	/* Nothing else is harmed. */
	ht_eq(r.p[1][0], r.p[0][0]);
	ht_second_pair(s2, &r.pair, &c2);
	ht_fill(r.p[0], 100, 120, 0);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 100, 1);
	ht_do(&s2[0], &w);
	ht_check_fill(r.p[1] + 1, 100, 120, 0, "a WRITE on another CQ");
}

static void cq_bad_sizes(const void *arg)
{
	struct ibv_cq *cq;
	struct ht_dev d;

	ht_open(&d, ht_opt.dev);
	ht_check(!ibv_create_cq(d.ctx, d.attr.orig_attr.max_cqe + 1, NULL, NULL, 0),
		 "a CQ of max_cqe + 1 entries");
	ht_check(!ibv_create_cq(d.ctx, 0, NULL, NULL, 0), "a CQ of 0 entries");
	ht_check(!ibv_create_cq(d.ctx, -1, NULL, NULL, 0), "a CQ of -1 entries");
	ht_check(!ibv_create_cq(d.ctx, 1, NULL, NULL, d.ctx->num_comp_vectors),
		 "a completion vector that there is not");
	cq = ibv_create_cq(d.ctx, 1, NULL, NULL, 0);
	ht_check(cq && cq->cqe >= 1, "no CQ of 1 entry");
	ht_ok(ibv_destroy_cq(cq));
	ht_close(&d);
}

/* Objects in use stay. */
static void cq_busy(const void *arg)
{
	static struct ht_rig r;

	ht_rig_get(&r, NULL, LEN);
	ht_errno(ibv_destroy_cq(r.a->scq), EBUSY);
	ht_errno(ibv_destroy_cq(r.b->rcq), EBUSY);
	ht_errno(ibv_dealloc_pd(r.a->pd), EBUSY);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, 8, 0);
	ht_rig_put(&r);
}

const struct ht_case basic_cq[] = {
	{ "cq-event", "one arming gives one event", cq_event },
	{ "cq-arm-late", "arm then poll never misses a completion", cq_arm_late },
	{ "cq-solicited", "a solicited-only arming waits for the right SEND or an error",
	  cq_solicited },
	{ "cq-shared-channel", "events on a shared channel name their CQ", cq_shared_channel },
	{ "cq-resize", "a resize keeps the entries that wait", cq_resize },
	{ "cq-resize-busy", "a resize under traffic loses nothing", cq_resize_busy },
	{ "cq-overrun", "an overrun is an event, and others go on", cq_overrun },
	{ "cq-bad-sizes", "impossible CQs are refused", cq_bad_sizes },
	{ "cq-busy", "a CQ or PD in use cannot be destroyed", cq_busy },
	{},
};
