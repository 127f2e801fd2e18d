// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Posting: in atomic context, in chains, too much, too early. */
#include <linux/delay.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include "ktest.h"

#define KT_CHAIN 16

/* A chain of WRITEs to separate places; only the last one is signalled. */
static struct kt_wr *kt_chain(struct kt *t, struct kt_wr **last)
{
	struct kt_wr *w;
	int i;

	for (i = 0; i < KT_CHAIN; i++) {
		w = kt_rdma_mem(t, IB_WR_RDMA_WRITE, &t->mem[1], 1 + i * 1000);
		kt_sge(w, &t->mem[0], 3 + i * 999, 900);
		w->send.send_flags = 0;
		if (i)
			kt_link(w - 1, w);
	}
	w->send.send_flags = IB_SEND_SIGNALED;
	*last = w;
	return w - (KT_CHAIN - 1);
}

static void kt_chain_expect(struct kt *t, struct kt_wr *first,
			    struct kt_wr *last)
{
	struct kt_wr *w;
	int i;

	kt_expect(t, last, IB_WC_SUCCESS);
	for (w = first; w != last; w++)
		KT_CHECK(t, !atomic_read(&w->calls),
			 "a completion that was not asked for");
	for (i = 0; i < KT_CHAIN; i++)
		kt_moved(&t->mem[1], 1 + i * 1000, &t->mem[0], 3 + i * 999,
			 900);
}

/* A chain of requests, only the last one signalled, posted with a lock held. */
static void kt_post_locked(struct kt *t)
{
	struct kt_wr *last, *first = kt_chain(t, &last);
	unsigned long flags;
	DEFINE_SPINLOCK(lock);

	spin_lock_irqsave(&lock, flags);
	kt_post(t, &t->main.a, first);
	spin_unlock_irqrestore(&lock, flags);
	kt_chain_expect(t, first, last);
}

struct kt_timer {
	struct timer_list timer;
	struct kt *t;
	struct kt_wr *first;
	struct kt_wr *recv;
	struct kt_wr *send;
	bool in_softirq;
};

static void kt_timer_fires(struct timer_list *timer)
{
	struct kt_timer *tm = container_of(timer, struct kt_timer, timer);
	struct kt *t = tm->t;

	tm->in_softirq = in_serving_softirq();
	kt_post(t, &t->main.a, tm->first);
	kt_post_recv(t, &t->main.b, tm->recv);
	kt_post(t, &t->main.a, tm->send);
}

/* Sends and receives that a timer posts, in softirq context. */
static void kt_post_timer(struct kt *t)
{
	struct kt_timer tm = { .t = t };
	struct kt_wr *last;

	tm.first = kt_chain(t, &last);
	tm.send = kt_wr(t, IB_WR_SEND);
	kt_sge(tm.send, &t->mem[0], 1, 100);
	tm.recv = kt_recv(t);
	kt_sge(tm.recv, &t->mem[2], 1, 100);
	timer_setup_on_stack(&tm.timer, kt_timer_fires, 0);
	mod_timer(&tm.timer, jiffies + 1);
	kt_chain_expect(t, tm.first, last);
	kt_expect(t, tm.send, IB_WC_SUCCESS);
	kt_expect(t, tm.recv, IB_WC_SUCCESS);
	timer_delete_sync(&tm.timer);
	timer_destroy_on_stack(&tm.timer);
	KT_CHECK(t, tm.in_softirq, "the timer ran elsewhere");
	kt_moved(&t->mem[2], 1, &t->mem[0], 1, 100);
}

#define KT_ROUNDS 300

/* The message is back, or has arrived: receive again and send on from here. */
static void kt_pong(struct kt_wr *r)
{
	struct kt *t = r->t;
	bool at_b = r->wc.qp == t->main.b.qp;
	struct kt_wr *s = &t->wr[at_b ? 2 : 3];
	struct kt_wr *last = &t->wr[4];

	if (r->wc.status != IB_WC_SUCCESS)
		return;
	if (!at_b && ++last->order == KT_ROUNDS) {
		complete(&last->done);
		return;
	}
	kt_post_recv(t, at_b ? &t->main.b : &t->main.a, r);
	kt_post(t, at_b ? &t->main.b : &t->main.a, s);
}

/* Messages bounce, each posted by the completion of the one before. */
static void kt_ping_pong(struct kt *t)
{
	struct kt_wr *w[5];
	int i;

	for (i = 0; i < 5; i++) {
		w[i] = i < 2 ? kt_recv(t) : kt_wr(t, IB_WR_SEND);
		w[i]->then = i < 2 ? kt_pong : NULL;
		if (i > 1)
			w[i]->send.send_flags = 0;
	}
	kt_sge(w[0], &t->mem[1], 1, 99);
	kt_sge(w[1], &t->mem[2], 1, 99);
	kt_sge(w[2], &t->mem[1], 1, 99);
	kt_sge(w[3], &t->mem[0], 1, 99);
	kt_post_recv(t, &t->main.b, w[0]);
	kt_post_recv(t, &t->main.a, w[1]);
	kt_post(t, &t->main.a, w[3]);
	KT_CHECK(t, kt_wait(t, w[4]), "stopped after %d of %d", w[4]->order,
		 KT_ROUNDS);
	atomic_set(&w[0]->calls, 0);
	atomic_set(&w[1]->calls, 0);
	kt_moved(&t->mem[1], 1, &t->mem[0], 1, 99);
	kt_moved(&t->mem[2], 1, &t->mem[0], 1, 99);
}

/* The requests of a chain are executed in order: the last WRITE wins. */
static void kt_order(struct kt *t)
{
	struct kt_wr *first, *w;
	int i;

	for (i = 0; i < KT_DEPTH; i++) {
		w = kt_rdma_mem(t, IB_WR_RDMA_WRITE, &t->mem[1], 4095);
		kt_sge(w, &t->mem[0], i * 100, 5000);
		if (i)
			kt_link(w - 1, w);
	}
	first = w - (KT_DEPTH - 1);
	kt_post(t, &t->main.a, first);
	kt_expect(t, w, IB_WC_SUCCESS);
	for (i = 0; i < KT_DEPTH; i++)
		KT_CHECK(t, first[i].order == i + 1, "request %d came as %d", i,
			 first[i].order);
	kt_moved(&t->mem[1], 4095, &t->mem[0], (KT_DEPTH - 1) * 100, 5000);
}

/* A bad request in a chain: what is before it is done, what follows is not. */
static void kt_bad_request(struct kt *t)
{
	struct kt_wr *last, *first = kt_chain(t, &last);
	const struct ib_send_wr *bad = NULL;
	int i, ret;

	first[5].send.send_flags = IB_SEND_SIGNALED;
	first[6].send.num_sge = 1000;
	ret = ib_post_send(t->main.a.qp, &first->send, &bad);
	KT_CHECK(t, ret == -EINVAL && bad == &first[6].send,
		 "%d, or another request is to blame", ret);
	kt_expect(t, &first[5], IB_WC_SUCCESS);
	kt_settle(t);
	KT_CHECK(t, !atomic_read(&last->calls), "the chain went on");
	for (i = 0; i < 6; i++)
		kt_moved(&t->mem[1], 1 + i * 1000, &t->mem[0], 3 + i * 999,
			 900);
}

/* On a QP with sq_sig_all, unsignalled requests complete, too. */
static void kt_signal_all(struct kt *t)
{
	struct kt_wr *last, *first = kt_chain(t, &last), *w;

	kt_post(t, &t->main.a, first);
	for (w = first; w <= last; w++)
		kt_expect(t, w, IB_WC_SUCCESS);
	for (w = first; w <= last; w++)
		atomic_set(&w->calls, 0);
	kt_chain_expect(t, first, last);
}

static void kt_refuses(struct kt *t, struct kt_end *e, int send, int recv,
		       const char *state)
{
	struct kt_wr *w = kt_rdma_mem(t, IB_WR_RDMA_WRITE, &t->mem[1], 0);
	const struct ib_send_wr *bad_send = NULL;
	const struct ib_recv_wr *bad_recv = NULL;
	struct kt_wr *r = kt_recv(t);
	int ret;

	kt_sge(w, &t->mem[0], 0, 10);
	ret = ib_post_send(e->qp, &w->send, &bad_send);
	KT_CHECK(t, ret == send && (!ret || bad_send == &w->send),
		 "post_send in %s: %d", state, ret);
	ret = kt_try_recv(e, r, &bad_recv);
	KT_CHECK(t, ret == recv && (!ret || bad_recv == &r->recv),
		 "post_recv in %s: %d", state, ret);
}

/* RESET accepts no request at all, INIT and RTR no send. */
static void kt_states(struct kt *t)
{
	int ret;

	ret = kt_end_reset(&t->main.a);
	kt_refuses(t, &t->main.a, -EINVAL, -EINVAL, "RESET");
	ret = ret ?: kt_end_init(&t->main.a);
	kt_refuses(t, &t->main.a, -EINVAL, 0, "INIT");
	ret = ret ?: kt_end_rtr(t, &t->main.a, &t->main.b);
	kt_refuses(t, &t->main.a, -EINVAL, 0, "RTR");
	KT_CHECK(t, !ret, "modify: %d", ret);
	kt_settle(t);
}

/* One request more than a queue holds is -ENOMEM; the others are done. */
static void kt_overflow_send(struct kt *t)
{
	const struct ib_send_wr *bad = NULL;
	struct kt_wr *s[KT_DEPTH + 1], *r[KT_DEPTH];
	int i, ret;

	/* Nobody receives, so nothing leaves the queue. */
	for (i = 0; i <= KT_DEPTH; i++) {
		s[i] = kt_wr(t, IB_WR_SEND);
		kt_sge(s[i], &t->mem[0], i * 7, 100);
		if (i < KT_DEPTH)
			kt_post(t, &t->main.a, s[i]);
	}
	ret = ib_post_send(t->main.a.qp, &s[KT_DEPTH]->send, &bad);
	KT_CHECK(t, ret == -ENOMEM && bad == &s[KT_DEPTH]->send,
		 "the request too many: %d", ret);
	for (i = 0; i < KT_DEPTH; i++)
		r[i] = kt_recv_mem(t, &t->main.b, &t->mem[1], i * 200 + 1, 100);
	for (i = 0; i < KT_DEPTH; i++) {
		kt_expect(t, s[i], IB_WC_SUCCESS);
		kt_expect(t, r[i], IB_WC_SUCCESS);
		kt_moved(&t->mem[1], i * 200 + 1, &t->mem[0], i * 7, 100);
	}
	kt_settle(t);
	KT_CHECK(t, !atomic_read(&s[KT_DEPTH]->calls), "it was posted");
}

/* The same for a receive queue and an SRQ. */
static void kt_overflow_recv(struct kt *t)
{
	const struct ib_recv_wr *bad = NULL;
	struct kt_pair *p = &t->main;
	struct kt_wr *r;
	int i, ret;

	for (i = 0; i < KT_DEPTH; i++)
		kt_recv_mem(t, &p->b, &t->mem[1], i * 10, 10);
	r = kt_recv(t);
	ret = kt_try_recv(&p->b, r, &bad);
	KT_CHECK(t, ret == -ENOMEM && bad == &r->recv,
		 "the request too many: %d", ret);
	for (i = 0; i < KT_DEPTH; i++) {
		struct kt_wr *s = kt_wr(t, IB_WR_SEND);

		kt_sge(s, &t->mem[0], i * 11, 10);
		kt_do(t, &p->a, s, IB_WC_SUCCESS);
		kt_moved(&t->mem[1], i * 10, &t->mem[0], i * 11, 10);
	}
	KT_CHECK(t, !atomic_read(&r->calls), "it was posted");
}

const struct kt_case kt_post_cases[] = {
	{ "post-locked", kt_post_locked, { IB_POLL_SOFTIRQ } },
	{ "post-timer", kt_post_timer, { IB_POLL_SOFTIRQ } },
	{ "ping-pong-softirq", kt_ping_pong, { IB_POLL_SOFTIRQ } },
	{ "ping-pong-workqueue", kt_ping_pong, { IB_POLL_WORKQUEUE } },
	{ "ping-pong-direct", kt_ping_pong, { IB_POLL_DIRECT } },
	{ "order", kt_order, { IB_POLL_WORKQUEUE } },
	{ "bad-request", kt_bad_request, { IB_POLL_SOFTIRQ } },
	{ "signal-all", kt_signal_all, { .signal_all = true } },
	{ "states", kt_states, { IB_POLL_SOFTIRQ } },
	{ "overflow-send", kt_overflow_send, { IB_POLL_SOFTIRQ } },
	{ "overflow-recv", kt_overflow_recv, { IB_POLL_SOFTIRQ } },
	{ "overflow-srq", kt_overflow_recv, { IB_POLL_SOFTIRQ, .srq = true } },
	{}
};
