// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* How QPs end: errors, flushing, draining, destroying; and SRQs. */
#include <rdma/ib_verbs.h>
#include "ktest.h"

#define KT_OUT 20

struct kt_queue {
	struct kt_wr *send[KT_OUT];
	struct kt_wr *recv[KT_OUT];
};

/* Sends that nobody receives, receives that nobody sends to: all on A. */
static void kt_fill(struct kt *t, struct kt_queue *q)
{
	int i;

	for (i = 0; i < KT_OUT; i++) {
		q->send[i] = kt_wr(t, IB_WR_SEND);
		kt_sge(q->send[i], &t->mem[0], i, 1000);
		/* Flushed requests complete, signalled or not. */
		q->send[i]->send.send_flags = i & 1 ? IB_SEND_SIGNALED : 0;
		kt_post(t, &t->main.a, q->send[i]);
		q->recv[i] =
			kt_recv_mem(t, &t->main.a, &t->mem[1], i * 1000, 1000);
	}
}

static void kt_flushed(struct kt *t, struct kt_wr *const wr[KT_OUT])
{
	int i;

	for (i = 0; i < KT_OUT; i++) {
		KT_CHECK(t, atomic_read(&wr[i]->calls) == 1,
			 "request %d has %d completions", i,
			 atomic_read(&wr[i]->calls));
		KT_CHECK(t, wr[i]->wc.status == IB_WC_WR_FLUSH_ERR,
			 "request %d: %s", i,
			 ib_wc_status_msg(wr[i]->wc.status));
		KT_CHECK(t, !i || wr[i]->order > wr[i - 1]->order,
			 "request %d overtook another", i);
	}
}

/* When ib_drain_qp() returns, each request has its flush error, in order. */
static void kt_drain_qp(struct kt *t)
{
	struct kt_queue q;

	kt_fill(t, &q);
	ib_drain_qp(t->main.a.qp);
	kt_flushed(t, q.send);
	kt_flushed(t, q.recv);
	ib_drain_qp(t->main.b.qp);
}

/* ib_drain_sq() and ib_drain_rq(), one after the other, and again. */
static void kt_drain_queues(struct kt *t)
{
	struct kt_queue q;

	kt_fill(t, &q);
	ib_drain_rq(t->main.a.qp);
	kt_flushed(t, q.recv);
	ib_drain_sq(t->main.a.qp);
	kt_flushed(t, q.send);
	ib_drain_sq(t->main.a.qp);
	ib_drain_rq(t->main.a.qp);
}

/* The same with transfers under way: each one is done or flushed, in order. */
static void kt_drain_busy(struct kt *t)
{
	struct kt_wr *w[KT_DEPTH - 1];
	int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(w); i++) {
		w[i] = kt_rdma_mem(t, IB_WR_RDMA_WRITE, &t->mem[1], i * 1000);
		kt_sge(w[i], &t->mem[0], i * 900, 1000);
		if (i)
			kt_link(w[i - 1], w[i]);
	}
	kt_post(t, &t->main.a, w[0]);
	kt_expect(t, w[0], IB_WC_SUCCESS);
	ib_drain_qp(t->main.a.qp);
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		enum ib_wc_status status = w[i]->wc.status;

		KT_CHECK(t, atomic_read(&w[i]->calls) == 1,
			 "%d: not one completion", i);
		if (status == IB_WC_SUCCESS && n == i)
			n++;
		else
			KT_CHECK(t, status == IB_WC_WR_FLUSH_ERR, "%d: %s", i,
				 ib_wc_status_msg(status));
	}
	for (i = 0; i < n; i++)
		kt_moved(&t->mem[1], i * 1000, &t->mem[0], i * 900, 1000);
	/* One may have been half done: it is flushed, and has written. */
	if (n < ARRAY_SIZE(w))
		memcpy(t->mem[1].want + n * 1000, t->mem[1].p + n * 1000, 1000);
}

/* A QP destroyed with requests in it drops them without a completion. */
static void kt_destroy(struct kt *t)
{
	struct kt_queue q;
	int i, ret;

	kt_fill(t, &q);
	ret = ib_destroy_qp(t->main.a.qp);
	KT_CHECK(t, !ret, "destroy: %d", ret);
	t->main.a.qp = NULL;
	kt_settle(t);
	for (i = 0; i < KT_OUT; i++)
		KT_CHECK(t,
			 !atomic_read(&q.send[i]->calls) &&
				 !atomic_read(&q.recv[i]->calls),
			 "request %d completed", i);
}

/* A transfer under way when its QP is destroyed ends with it. */
static void kt_destroy_busy(struct kt *t)
{
	bool target = false;
	int i, round;

	for (round = 0; round < 10; round++, target = !target) {
		struct kt_end *gone = target ? &t->main.b : &t->main.a;
		struct kt_wr *first, *w;
		int wrs = t->wrs;

		for (i = 0; i < KT_DEPTH; i++) {
			w = kt_rdma_mem(t, IB_WR_RDMA_WRITE, &t->mem[1], 1);
			kt_sge(w, &t->mem[0], 1 + i, 65000);
			w->send.send_flags = i ? 0 : IB_SEND_SIGNALED;
			if (i)
				kt_link(w - 1, w);
		}
		first = w - (KT_DEPTH - 1);
		kt_post(t, &t->main.a, first);
		kt_wait(t, first);
		ib_destroy_qp(gone->qp);
		gone->qp = NULL;
		/* From now on nothing changes it. */
		memcpy(t->mem[1].want + 1, t->mem[1].p + 1, 65000);
		kt_settle(t);
		kt_mem_check(t, &t->mem[1]);
		kt_pair_close(t, &t->main);
		t->wrs = wrs;
		kt_pair_open(t, &t->main, t->pd, (struct kt_opts){});
		if (t->failed)
			return;
	}
}

/* After a refused WRITE all is flushed on both sides, later requests too. */
static void kt_error_flush(struct kt *t)
{
	struct kt_wr *w, *s[3], *in[4], *out[2];
	int i;

	for (i = 0; i < 4; i++)
		in[i] = kt_recv_mem(t, i & 1 ? &t->main.a : &t->main.b,
				    &t->mem[1], i * 100, 100);
	w = kt_rdma(t, IB_WR_RDMA_WRITE, t->mem[1].dma, 0x7fffff00);
	kt_sge(w, &t->mem[0], 0, 1);
	for (i = 0; i < 3; i++) {
		s[i] = kt_wr(t, IB_WR_SEND);
		s[i]->send.send_flags = 0;
		kt_link(i ? s[i - 1] : w, s[i]);
	}
	kt_do(t, &t->main.a, w, IB_WC_REM_ACCESS_ERR);
	for (i = 0; i < 3; i++)
		kt_expect(t, s[i], IB_WC_WR_FLUSH_ERR);
	for (i = 0; i < 4; i++)
		kt_expect(t, in[i], IB_WC_WR_FLUSH_ERR);
	KT_CHECK(t,
		 w->order < s[0]->order && s[0]->order < s[1]->order &&
			 s[1]->order < s[2]->order,
		 "flushed in another order");

	for (i = 0; i < 2; i++) {
		struct kt_end *e = i ? &t->main.a : &t->main.b;

		out[i] = kt_wr(t, IB_WR_SEND);
		in[i] = kt_recv(t);
		kt_do(t, e, out[i], IB_WC_WR_FLUSH_ERR);
		kt_post_recv(t, e, in[i]);
		kt_expect(t, in[i], IB_WC_WR_FLUSH_ERR);
	}
	kt_pair_died(t, &t->main);
}

/* An SRQ: messages take its requests in order; the limit event comes once. */
static void kt_srq(struct kt *t)
{
	struct ib_srq_attr attr = { .srq_limit = 5 };
	struct kt_wr *in[10], *s;
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(in); i++) {
		in[i] = kt_recv(t);
		kt_sge(in[i], &t->mem[1], i * 2000 + 1, 700);
		kt_sge(in[i], &t->mem[2], i * 2000 + 1, 700);
		kt_post_recv(t, &t->main.b, in[i]);
	}
	ret = ib_modify_srq(t->main.srq, &attr, IB_SRQ_LIMIT);
	KT_CHECK(t, !ret, "modify_srq: %d", ret);
	for (i = 0; i < ARRAY_SIZE(in); i++) {
		s = kt_wr(t, IB_WR_SEND);
		kt_sge(s, &t->mem[0], i, 1001);
		kt_do(t, &t->main.a, s, IB_WC_SUCCESS);
		kt_expect(t, in[i], IB_WC_SUCCESS);
		KT_CHECK(t,
			 in[i]->wc.byte_len == 1001 &&
				 in[i]->wc.qp == t->main.b.qp,
			 "%u bytes, or the QP", in[i]->wc.byte_len);
		kt_moved(&t->mem[1], i * 2000 + 1, &t->mem[0], i, 700);
		kt_moved(&t->mem[2], i * 2000 + 1, &t->mem[0], i + 700, 301);
		KT_CHECK(t, atomic_read(&t->main.srq_low) == (i >= 5),
			 "%d events after %d messages",
			 atomic_read(&t->main.srq_low), i + 1);
	}
}

/* A QP of an SRQ drains; what is in the SRQ stays there for the next QP. */
static void kt_srq_drain(struct kt *t)
{
	struct kt_wr *in = kt_recv_mem(t, &t->main.b, &t->mem[1], 1, 700);
	struct kt_wr *s = kt_wr(t, IB_WR_SEND);

	ib_drain_qp(t->main.b.qp);
	KT_CHECK(t, !atomic_read(&in->calls), "the SRQ was flushed");
	kt_pair_reconnect(t, &t->main);
	kt_sge(s, &t->mem[0], 1, 700);
	kt_do(t, &t->main.a, s, IB_WC_SUCCESS);
	kt_expect(t, in, IB_WC_SUCCESS);
	kt_moved(&t->mem[1], 1, &t->mem[0], 1, 700);
}

const struct kt_case kt_drain_cases[] = {
	{ "drain-qp-direct", kt_drain_qp, { IB_POLL_DIRECT } },
	{ "drain-qp-softirq", kt_drain_qp, { IB_POLL_SOFTIRQ } },
	{ "drain-qp-workqueue", kt_drain_qp, { IB_POLL_WORKQUEUE } },
	{ "drain-queues", kt_drain_queues },
	{ "drain-busy", kt_drain_busy },
	{ "destroy", kt_destroy },
	{ "destroy-direct", kt_destroy, { IB_POLL_DIRECT } },
	{ "destroy-busy", kt_destroy_busy },
	{ "error-flush", kt_error_flush },
	{ "srq", kt_srq, { .srq = true } },
	{ "srq-drain", kt_srq_drain, { .srq = true } },
	{}
};
