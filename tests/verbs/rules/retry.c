// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How often a requester retries. No test looks at wall time, so the device's
 * counters are read. No other test may use the device meanwhile.
 */
#include "rules.h"

#define LEN (16 * HT_KIB)

static struct ht_rig r;

/* rnr_retry n: the first try and n retries, then the error. */
static void retry_rnr(const void *arg)
{
	static const int retries[] = { HT_NONE, 1, 3, 6 };
	struct ibv_wc wc;

	for (size_t i = 0; i < HT_LEN(retries); i++) {
		struct ht_conf conf = { .rnr_retry = retries[i], .rnr_timer = 12 };
		int n = retries[i] == HT_NONE ? 0 : retries[i];
		uint64_t before;
		struct ht_wr w;

		ht_rig_get(&r, &conf, LEN);
		before = ht_counter(r.a->dev, "rnr_nak_retry_err");
		/* The first operation does not use up the second one's retries. */
		ht_recv(r.b, 1, &r.mr[1], r.p[1], 64);
		for (int k = 0; k < 2; k++) {
			w = ht_rig_wr(&r, IBV_WR_SEND, 0, 64, 0);
			w.id = k;
			ht_post(r.a->qp, &w);
		}
		ht_want_wc(r.a->scq, &wc, 0, IBV_WC_SUCCESS);
		ht_want_wc(r.a->scq, &wc, 1, IBV_WC_RNR_RETRY_EXC_ERR);
		ht_eq(ht_counter(r.a->dev, "rnr_nak_retry_err") - before, n + 1);
		ht_rig_put(&r);
	}
}

/* Each operation has all its retries. */
static void retry_rnr_each(const void *arg)
{
	struct ht_conf conf = { .rnr_retry = 2, .rnr_timer = 14, .srq_wr = 16 };
	struct ibv_wc wc;
	struct ht_pair p;
	struct ht_wr w = { .op = IBV_WR_SEND, .no_sge = true };
	long n = ht_count(12), waited = 0;

	/* With an SRQ only the timer ends a wait, so each receive is late. */
	ht_pair_get(&p, &conf);
	/* A late worker finds the receive already there and does not wait. */
	for (long i = 0; i < n || (waited <= 3 && i < 20 * n); i++) {
		uint64_t before = ht_counter(p.s[0].dev, "rnr_nak_retry_err");

		w.id = i;
		ht_post(p.s[0].qp, &w);
		/* At least one of the two waits that it may have. */
		ht_ok(ht_recv_try(NULL, p.conf.srq, i, NULL, 0));
		ht_next_wc(p.s[0].scq, &wc, "of a SEND that met RNR");
		if (wc.status == IBV_WC_RNR_RETRY_EXC_ERR) {
			/* A slow machine: it has used up its retries. */
			ht_eq(ht_counter(p.s[0].dev, "rnr_nak_retry_err") - before, 3);
			ht_pair_reconnect(&p);
			/* The receive is still there. */
			ht_do(&p.s[0], &w);
			ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
			continue;
		}
		ht_eq(wc.status, IBV_WC_SUCCESS);
		waited += ht_counter(p.s[0].dev, "rnr_nak_retry_err") - before;
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
	}
	ht_check(waited > 3, "%ld waits are too few to tell", waited);
}

/* timeout and retry_cnt: the first try and n retries, then the error. */
static void retry_timeout(const void *arg)
{
	static const int retries[] = { HT_NONE, 1, 3, 7 };

	for (size_t i = 0; i < HT_LEN(retries); i++) {
		struct ht_conf conf = { .retry = retries[i], .timeout = 10 };
		int n = retries[i] == HT_NONE ? 0 : retries[i];
		uint64_t before;
		struct ht_wr w;

		ht_rig_get(&r, &conf, LEN);
		ht_fill(r.p[1], LEN, 450, 0);
		w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 64, 0);
		ht_ok(ht_to(r.b, IBV_QPS_RESET));
		before = ht_counter(r.a->dev, "local_ack_timeout_err");
		ht_do_status(r.a, &w, IBV_WC_RETRY_EXC_ERR);
		ht_eq(ht_counter(r.a->dev, "local_ack_timeout_err") - before, n + 1);
		ht_eq(ht_state(r.a), IBV_QPS_ERR);
		ht_check_fill(r.p[1], LEN, 450, 0, "memory of a peer that does not listen");
		ht_rig_put(&r);
	}
}

/* A request that waits for its peer arrives once the peer is there. */
static void retry_late_peer(const void *arg)
{
	struct ht_conf conf = { .retry = 7, .timeout = 20 };
	struct ht_addr ad[2];
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	for (int i = 0; i < 2; i++)
		ht_addr_of(&ad[i], &r.pair.s[i]);
	ht_fill(r.p[0], LEN, 451, 0);
	ht_ok(ht_to(r.b, IBV_QPS_RESET));
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 5, 3000, 9);
	ht_post(r.a->qp, &w);
	ht_no_wc(r.a->scq, 20);
	ht_connect(r.b, &r.pair.conf, &ad[0]);
	ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
	ht_check_fill(r.p[1] + 9, 3000, 451, 5, "a WRITE that waited for its peer");
	ht_rig_put(&r);
}

const struct ht_case rules_retry[] = {
	{ "retry-rnr", "rnr_retry is the number of retries", retry_rnr },
	{ "retry-rnr-each", "each request has all its retries", retry_rnr_each },
	{ "retry-timeout", "retry_cnt is the number of retries", retry_timeout },
	{ "retry-late-peer", "a request waits for a peer that comes late", retry_late_peer },
	{},
};
