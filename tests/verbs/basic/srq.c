// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Shared receive queues. */
#include "basic.h"

#define LEN (64 * HT_KIB)
#define WRS 16

static struct ht_pair p;
static struct ht_mr mr[2];
static uint8_t *buf[2];
static struct ibv_srq *srq;
static const struct ht_conf plain = { .srq_wr = WRS, .srq_sge = 2 };

static void setup(const struct ht_conf *conf)
{
	ht_pair_get(&p, conf);
	srq = p.conf.srq;
	ht_buffers(&p, buf, mr, LEN, 100, HT_ACCESS_ALL);
}

static void teardown(void)
{
	for (int i = 0; i < 2; i++)
		ht_mr_put(&mr[i]);
	ht_pair_put(&p);
}

static void post(uint64_t id, size_t off, uint32_t len)
{
	struct ibv_sge sge = ht_sge(&mr[1], buf[1] + off, len);

	ht_ok(ht_recv_try(NULL, srq, id, &sge, 1));
}

static void send(const struct ht_side *s, uint64_t id, size_t off, uint32_t len)
{
	struct ht_wr w = ht_send_wr(id, &mr[0], buf[0] + off, len);

	ht_post(s->qp, &w);
}

/* Two receivers take buffers from one queue, each in the queue's order. */
static void srq_two_qps(const void *arg)
{
	struct ht_side s2[2];
	struct ibv_wc wc;
	bool seen[8] = { 0 };

	setup(&plain);
	ht_side_clone(&s2[0], &p.s[0], &p.conf);
	s2[1] = p.s[1];
	ht_side_create(&s2[1], &p.conf, 1);
	ht_connect_two(&s2[0], &s2[1], &p.conf);
	for (int i = 0; i < 8; i++)
		post(i, i * 4096, 3000);
	for (int i = 0; i < 8; i++) {
		uint32_t qpn = i % 2 ? s2[1].qp->qp_num : p.s[1].qp->qp_num;

		send(i % 2 ? &s2[0] : &p.s[0], i, 1 + i, 2000 + i);
		ht_want_wc(p.s[0].scq, &wc, i, IBV_WC_SUCCESS);
		/* One at a time, so the order is known. */
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, 2000 + i);
		ht_eq(wc.qp_num, qpn);
		ht_check(!seen[wc.wr_id], "receive %d was used twice", (int)wc.wr_id);
		seen[wc.wr_id] = true;
		ht_check_fill(buf[1] + i * 4096, 2000 + i, 100, 1 + i, "message");
		ht_check_fill(buf[1] + i * 4096 + 2000 + i, 500, 101, i * 4096 + 2000 + i,
			      "bytes behind it");
	}
	ht_side_put(&s2[0]);
	ht_side_put(&s2[1]);
	teardown();
}

/* The queue has room for max_wr receives and becomes reusable. */
static void srq_full(const void *arg)
{
	struct ibv_srq_attr attr;
	struct ibv_wc wc;
	unsigned int n;

	setup(&plain);
	ht_ok(ibv_query_srq(srq, &attr));
	ht_true(attr.max_wr >= WRS);
	for (int round = 0; round < 3; round++) {
		for (n = 0; n < attr.max_wr; n++)
			post(n, n % WRS * 64, 64);
		ht_check(ht_recv_try(NULL, srq, n, NULL, 0) != 0,
			 "%u receives fit, the queue's size is %u", n + 1, attr.max_wr);
		for (n = 0; n < attr.max_wr; n++) {
			send(&p.s[0], n, n, 64);
			ht_want_wc(p.s[0].scq, &wc, n, IBV_WC_SUCCESS);
			ht_want_wc(p.s[1].rcq, &wc, n, IBV_WC_SUCCESS);
			ht_check_fill(buf[1] + n % WRS * 64, 64, 100, n, "message");
		}
	}
	teardown();
}

static void srq_limit(const void *arg)
{
	struct ibv_srq_attr attr = { .srq_limit = 4 };
	struct ibv_wc wc;
	int n = 0;

	setup(&plain);
	for (int i = 0; i < 8; i++)
		post(i, i * 64, 64);
	ht_ok(ibv_modify_srq(srq, &attr, IBV_SRQ_LIMIT));
	ht_ok(ibv_query_srq(srq, &attr));
	ht_eq(attr.srq_limit, 4);
	/* Four left is not below the limit; taking the fifth receive is. */
	for (; n < 4; n++) {
		send(&p.s[0], n, n, 8);
		ht_want_wc(p.s[1].rcq, &wc, n, IBV_WC_SUCCESS);
	}
	ht_check(!ht_poll_fd(p.s[1].dev->ctx->async_fd, 50),
		 "an event while as many receives are left as the limit says");
	send(&p.s[0], n, n, 8);
	ht_want_wc(p.s[1].rcq, &wc, n++, IBV_WC_SUCCESS);
	ht_want_event(p.s[1].dev->ctx, IBV_EVENT_SRQ_LIMIT_REACHED, srq);
	/* The event disarms it. */
	ht_ok(ibv_query_srq(srq, &attr));
	ht_eq(attr.srq_limit, 0);
	send(&p.s[0], n, n, 8);
	ht_want_wc(p.s[1].rcq, &wc, n++, IBV_WC_SUCCESS);
	ht_check(!ht_poll_fd(p.s[1].dev->ctx->async_fd, 50), "a second event without arming");
	teardown();
}

static void srq_empty(const void *arg)
{
	const bool *give_up = arg;
	struct ht_conf conf = {
		.srq_wr = WRS,
		.srq_sge = 2,
		.rnr_retry = *give_up ? HT_NONE : 7,
		.rnr_timer = 14,
	};
	struct ibv_wc wc;

	setup(&conf);
	send(&p.s[0], 1, 5, 777);
	if (*give_up) {
		ht_want_wc(p.s[0].scq, &wc, 1, IBV_WC_RNR_RETRY_EXC_ERR);
	} else {
		ht_no_wc(p.s[0].scq, 40);
		post(2, 9, 777);
		ht_want_wc(p.s[1].rcq, &wc, 2, IBV_WC_SUCCESS);
		ht_want_wc(p.s[0].scq, &wc, 1, IBV_WC_SUCCESS);
		ht_check_fill(buf[1] + 9, 777, 100, 5, "message after RNR");
	}
	teardown();
}

/* A QP in error leaves the receives in the SRQ and reports that it took its last one. */
static void srq_last_wqe(const void *arg)
{
	struct ibv_wc wc;

	setup(&plain);
	for (int i = 0; i < 3; i++)
		post(i, i * 64, 64);
	ht_ok(ht_to(&p.s[1], IBV_QPS_ERR));
	ht_want_event(p.s[1].dev->ctx, IBV_EVENT_QP_LAST_WQE_REACHED, p.s[1].qp);
	ht_no_wc(p.s[1].rcq, 30);
	/* The receives are still in the SRQ, so the QP can be used again. */
	ht_pair_reconnect(&p);
	for (int i = 0; i < 3; i++) {
		send(&p.s[0], i, i, 60);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_check_fill(buf[1] + i * 64, 60, 100, i, "message");
	}
	teardown();
}

/* An SRQ in use cannot be destroyed, nor resized below its contents. */
static void srq_busy(const void *arg)
{
	setup(&plain);
	ht_check(ibv_destroy_srq(srq) != 0, "an SRQ in use was destroyed");
	ht_check(ibv_post_recv(p.s[1].qp, &(struct ibv_recv_wr){ .wr_id = 1 },
			       &(struct ibv_recv_wr *){ NULL }) != 0,
		 "ibv_post_recv works on a QP that has an SRQ");
	teardown();
}

static void srq_resize(const void *arg)
{
	struct ibv_srq_attr attr = { .max_wr = 4 * WRS };
	struct ibv_wc wc;
	int err, n;

	setup(&plain);
	for (int i = 0; i < WRS; i++)
		post(i, i * 64, 64);
	err = ibv_modify_srq(srq, &attr, IBV_SRQ_MAX_WR);
	if (!(p.s[1].dev->attr.orig_attr.device_cap_flags & IBV_DEVICE_SRQ_RESIZE)) {
		ht_check(err, "SRQ resize works, the device says it does not");
		n = WRS;
	} else {
		ht_ok(err);
		for (n = WRS; n < 4 * WRS; n++)
			post(n, n * 64, 64);
	}
	for (int i = 0; i < n; i++) {
		send(&p.s[0], i, i, 64);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_check_fill(buf[1] + i * 64, 64, 100, i, "message");
		ht_want_wc(p.s[0].scq, &wc, i, IBV_WC_SUCCESS);
	}
	teardown();
}

static const bool yes = true, no;

const struct ht_case basic_srq[] = {
	{ "srq-two-qps", "two QPs share a receive queue, no buffer is used twice", srq_two_qps },
	{ "srq-full", "an SRQ holds as many receives as it says, repeatedly", srq_full },
	{ "srq-limit", "the limit event comes once, when fewer are left", srq_limit },
	{ "srq-empty-give-up", "an empty SRQ is RNR: give up with rnr_retry 0", srq_empty, &yes },
	{ "srq-empty-wait", "an empty SRQ is RNR: go on when a receive comes", srq_empty, &no },
	{ "srq-last-wqe", "a QP in error raises an event and leaves the SRQ's receives",
	  srq_last_wqe },
	{ "srq-busy", "an SRQ in use cannot be destroyed or bypassed", srq_busy },
	{ "srq-resize", "a resize keeps what is in the SRQ, or is refused", srq_resize },
	{},
};
