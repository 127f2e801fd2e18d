// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Entries that the library would never write, in rings that only the kernel checks:
 * each limit, and one beyond it.
 */
#include <pthread.h>

#include "rules.h"

#define LEN (16 * HT_PAGE)
#define SGES 4
/* The kernel's number of IB_WR_REG_MR, which the library has no name for. */
#define REG_MR 0x20

static struct raw_pair p;
static uint8_t *shadow;

static void setup(void)
{
	/* Send and receive rings of different sizes: see rings.c. */
	struct ht_conf conf = { .sge = SGES };

	raw_pair_get(&p, &conf, LEN);
	ht_eq(p.cap.max_send_sge, SGES);
	ht_rig_fill(&p.r, 400, NULL);
	shadow = malloc(LEN);
	memcpy(shadow, p.r.p[1], LEN);
}

static void revive(void)
{
	ht_ok(ht_to(p.r.a, IBV_QPS_ERR));
	ht_ok(ht_to(p.r.b, IBV_QPS_ERR));
	ht_pair_reconnect(&p.r.pair);
}

/* It fails with @status, moves no byte, and the peer does not notice. */
static void refused(const struct hodp_send_wqe *wqe, const void *tail, size_t len,
		    enum ibv_wc_status status)
{
	struct ibv_wc wc;

	raw_post(&p, wqe, tail, len);
	ht_want_wc(p.r.a->scq, &wc, wqe->wr_id, status);
	ht_eq(ht_state(p.r.a), IBV_QPS_ERR);
	ht_eq(ht_state(p.r.b), IBV_QPS_RTS);
	ht_check_bytes(p.r.p[1], shadow, LEN, "the peer's memory");
	revive();
}

static void accepted(const struct hodp_send_wqe *wqe, const void *tail, size_t len)
{
	struct ibv_wc wc;

	raw_post(&p, wqe, tail, len);
	ht_want_wc(p.r.a->scq, &wc, wqe->wr_id, IBV_WC_SUCCESS);
}

static void raw_sges(const void *arg)
{
	struct hodp_sge sge[SGES + 1];
	struct hodp_send_wqe w;

	setup();
	for (int i = 0; i <= SGES; i++)
		sge[i] = raw_sge(&p, i * 100, 50);
	w = raw_write(&p, 1);
	w.num_sge = SGES + 1;
	/* The last piece lies in the next entry, where it would be valid. */
	refused(&w, sge, sizeof(sge), IBV_WC_LOC_QP_OP_ERR);
	w.num_sge = UINT32_MAX;
	refused(&w, sge, sizeof(sge), IBV_WC_LOC_QP_OP_ERR);
	w.num_sge = SGES;
	accepted(&w, sge, sizeof(sge[0]) * SGES);
	for (int i = 0; i < SGES; i++)
		memcpy(shadow + i * 50, p.r.p[0] + i * 100, 50);
	ht_check_bytes(p.r.p[1], shadow, LEN, "as many pieces as were granted");
}

static void raw_inline(const void *arg)
{
	uint32_t max;
	uint8_t text[600];
	struct hodp_send_wqe w;

	setup();
	max = p.cap.max_inline_data;
	ht_true(max >= 16 && max < sizeof(text));
	ht_fill(text, sizeof(text), 405, 0);
	w = raw_write(&p, 2);
	w.send_flags |= IBV_SEND_INLINE;
	w.num_sge = 0;
	w.inline_len = max + 1;
	refused(&w, text, max + 1, IBV_WC_LOC_QP_OP_ERR);
	w.inline_len = UINT32_MAX;
	refused(&w, text, max, IBV_WC_LOC_QP_OP_ERR);
	w.opcode = IBV_WR_RDMA_READ;
	w.inline_len = 8;
	refused(&w, text, max, IBV_WC_LOC_QP_OP_ERR);
	w.opcode = IBV_WR_RDMA_WRITE;
	w.inline_len = max;
	accepted(&w, text, max);
	memcpy(shadow, text, max);
	ht_check_bytes(p.r.p[1], shadow, LEN, "as much inline data as was granted");
}

static void raw_flags(const void *arg)
{
	struct hodp_sge sge;
	struct hodp_send_wqe w;

	setup();
	sge = raw_sge(&p, 7, 64);
	for (int bit = 5; bit < 32; bit++) {
		w = raw_write(&p, bit);
		w.send_flags |= 1U << bit;
		refused(&w, &sge, sizeof(sge), IBV_WC_LOC_QP_OP_ERR);
	}
	w = raw_write(&p, 99);
	w.send_flags |= IBV_SEND_FENCE | IBV_SEND_SOLICITED;
	accepted(&w, &sge, sizeof(sge));
	memcpy(shadow, p.r.p[0] + 7, 64);
	ht_check_bytes(p.r.p[1], shadow, LEN, "a WRITE with every flag that there is");
}

/* Opcodes for kernel consumers, and unknown ones. */
static void raw_opcodes(const void *arg)
{
	static const uint32_t ops[] = { REG_MR, REG_MR + 1, 0x40, 0x80000000, UINT32_MAX };
	struct hodp_send_wqe w;

	setup();
	for (size_t i = 0; i < HT_LEN(ops); i++) {
		w = (struct hodp_send_wqe){
			.wr_id = i,
			.opcode = ops[i],
			.send_flags = IBV_SEND_SIGNALED,
			.reg = { .lkey = p.r.mr[0].mr->lkey, .key = p.r.mr[0].mr->lkey },
		};
		refused(&w, NULL, 0, IBV_WC_LOC_QP_OP_ERR);
	}
}

static void raw_lengths(const void *arg)
{
	static const uint32_t sizes[] = { 0, 1, 4, 7, 9, 16 };
	struct hodp_sge sge[2];
	struct hodp_send_wqe w;
	uint32_t max;

	setup();
	for (size_t i = 0; i < HT_LEN(sizes); i++) {
		sge[0] = raw_sge(&p, 0, sizes[i]);
		w = raw_write(&p, i);
		w.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
		w.atomic.compare_add = 1;
		w.atomic.rkey = p.r.mr[1].mr->rkey;
		refused(&w, sge, sizeof(sge[0]), IBV_WC_LOC_LEN_ERR);
	}
	max = p.r.a->dev->port.max_msg_sz;
	sge[0] = raw_sge(&p, 0, max);
	sge[1] = raw_sge(&p, 0, 1);
	w = raw_write(&p, 100);
	w.num_sge = 2;
	refused(&w, sge, sizeof(sge), IBV_WC_LOC_LEN_ERR);
	sge[0].length = UINT32_MAX;
	refused(&w, sge, sizeof(sge), IBV_WC_LOC_LEN_ERR);
	/* The longest message is not a length error; here the region is too short. */
	sge[0].length = max - 1;
	refused(&w, sge, sizeof(sge), IBV_WC_LOC_PROT_ERR);
}

/* The kernel keeps its own index of a send queue; the header's has no effect. */
static void raw_send_index(const void *arg)
{
	struct hodp_sge sge;
	struct hodp_send_wqe w;
	struct ibv_wc wc;
	uint32_t end;

	setup();
	for (int i = 0; i < 8; i++) {
		sge = raw_sge(&p, i * 64, 64);
		w = raw_write(&p, i);
		w.rdma.remote_addr += i * 64;
		accepted(&w, &sge, sizeof(sge));
	}
	end = p.sq.hdr->prod;
	memset(p.r.p[1], 0x11, LEN);
	memset(shadow, 0x11, LEN);
	for (int back = 1; back <= 8; back++) {
		p.sq.hdr->cons = end - back;
		ht_ok(raw_ring_send(p.r.a->qp->qp_num));
		ht_no_wc(p.r.a->scq, 2);
	}
	ht_check_bytes(p.r.p[1], shadow, LEN, "after the consumer index was wound back");
	accepted(&w, &sge, sizeof(sge));
	ht_eq(p.sq.hdr->cons, end + 1);
	/* As many entries as the ring has slots are legal; one more is not. */
	for (int more = 0; more < 2; more++) {
		revive();
		for (uint32_t i = 0; i < p.sq.num; i++) {
			w = raw_write(&p, 100 + i);
			memcpy(raw_at(&p.sq, i), &w, sizeof(w));
			memcpy(raw_at(&p.sq, i) + sizeof(w), &sge, sizeof(sge));
		}
		p.sq.hdr->prod = p.sq.num + more;
		ht_ok(raw_ring_send(p.r.a->qp->qp_num));
		if (more)
			ht_want_event(p.r.a->dev->ctx, IBV_EVENT_QP_FATAL, p.r.a->qp);
		else
			for (uint32_t i = 0; i < p.sq.num; i++)
				ht_want_wc(p.r.a->scq, &wc, 100 + i, IBV_WC_SUCCESS);
		ht_no_wc(p.r.a->scq, 10);
		ht_eq(ht_state(p.r.a), more ? IBV_QPS_ERR : IBV_QPS_RTS);
	}
}

/* The same for a CQ, and what a process may see in its entries. */
static void raw_cq_index(const void *arg)
{
	static const uint32_t lies[] = { 0, 1, 5, 1000, 0x80000000, UINT32_MAX };
	struct hodp_sge sge;
	struct hodp_send_wqe w;
	const struct hodp_cqe *e;
	struct ibv_wc wc;
	uint32_t at;

	setup();
	sge = raw_sge(&p, 0, 64);
	for (size_t i = 0; i < HT_LEN(lies); i++) {
		w = raw_write(&p, 500 + i);
		at = p.scq.hdr->prod;
		p.scq.hdr->prod = at + lies[i];
		raw_post(&p, &w, &sge, sizeof(sge));
		ht_wait_until(p.scq.hdr->prod == at + 1, "the kernel's own index");
		e = raw_at(&p.scq, at);
		ht_eq(e->wr_id, 500 + i);
		ht_eq(e->status, IBV_WC_SUCCESS);
		ht_eq(e->kernel, 0);
		ht_eq(e->timestamp, 0);
		for (size_t k = 0; k < sizeof(e->reserved); k++)
			ht_eq(e->reserved[k], 0);
		ht_want_wc(p.r.a->scq, &wc, w.wr_id, IBV_WC_SUCCESS);
	}
}

/* A receive entry with one SGE more than the queue was made for. */
static void raw_recv_sges(const void *arg)
{
	struct hodp_recv_wqe *rw;
	struct hodp_sge *sge;
	struct ht_wr send;
	struct ibv_wc wc;

	setup();
	rw = raw_at(&p.rq, p.rq.hdr->prod);
	sge = (void *)(rw + 1);
	*rw = (struct hodp_recv_wqe){ .wr_id = 70, .num_sge = p.cap.max_recv_sge + 1 };
	for (uint32_t i = 0; i <= p.cap.max_recv_sge; i++)
		sge[i] = raw_sge(&p, i * 100, 10);
	__atomic_store_n(&p.rq.hdr->prod, p.rq.hdr->prod + 1, __ATOMIC_RELEASE);
	send = ht_send_wr(3, &p.r.mr[1], p.r.p[1], 50);
	ht_do_status(p.r.b, &send, IBV_WC_REM_OP_ERR);
	ht_want_wc(p.r.a->rcq, &wc, 70, IBV_WC_LOC_QP_OP_ERR);
	ht_eq(ht_state(p.r.a), IBV_QPS_ERR);
	ht_check_fill(p.r.p[0], LEN, 400, 0, "the receiver's memory");
}

/* --- an entry that changes ---------------------------------------------------- */

static volatile bool stop;
static volatile unsigned int flips;

/* An odd number of times per turn, so that each turn leaves another value with one CPU, too. */
static void *flip(void *arg)
{
	struct hodp_send_wqe *w = arg;

	while (!stop) {
		for (int i = 0; i < 51; i++)
			__atomic_store_n(&w->num_sge, flips++ % 2 ? 1 : SGES + 1, __ATOMIC_RELAXED);
		ht_yield();
	}
	return NULL;
}

/* What was checked is what is used: one SGE, or a refusal, and nothing else. */
static void raw_flip(const void *arg)
{
	struct hodp_sge sge[SGES + 1];
	struct hodp_send_wqe w;
	struct ibv_wc wc;
	pthread_t t;
	int good = 0;

	setup();
	for (int i = 0; i <= SGES; i++)
		sge[i] = raw_sge(&p, i * 100, 50);
	memcpy(shadow, p.r.p[0], 50);
	for (long i = 0; i < ht_count(60); i++) {
		w = raw_write(&p, i);
		stop = false;
		flips = 0;
		ht_ok(pthread_create(&t, NULL, flip, raw_at(&p.sq, p.sq.hdr->prod)));
		while (!flips)
			ht_yield();
		raw_post(&p, &w, sge, sizeof(sge));
		ht_next_wc(p.r.a->scq, &wc, "of an entry that changes");
		stop = true;
		pthread_join(t, NULL);
		ht_eq(wc.wr_id, i);
		if (wc.status == IBV_WC_SUCCESS) {
			ht_check_bytes(p.r.p[1], shadow, 50, "one piece");
			good++;
		} else {
			ht_eq(wc.status, IBV_WC_LOC_QP_OP_ERR);
			revive();
		}
		ht_check_bytes(p.r.p[1] + 50, shadow + 50, LEN - 50, "behind the one piece");
	}
	ht_note("%d were valid when they were read", good);
}

/* --- shared receive queues ------------------------------------------------------- */

/* An impossible index kills the queue: one event, and an error at the sender. */
static void raw_srq_index(const void *arg)
{
	struct ht_conf conf = { .srq_wr = 16 };
	struct ibv_async_event ev;
	struct ht_pair pair;
	struct ht_ring ring;
	struct ibv_wc wc;
	struct ht_wr w = { .op = IBV_WR_SEND, .no_sge = true, .id = 9 };

	ht_pair_open(&pair, &conf);
	if (!pair.s[1].dev->is_hodp)
		ht_skip("the layout of this device's rings is another");
	ht_eq(ht_new_rings(&ring, 1), 1);
	ht_pair_create(&pair);
	ht_pair_connect(&pair);
	for (int i = 0; i < 3; i++) {
		bool event = false;

		ring.hdr->prod = 0x12345678;
		ht_post(pair.s[0].qp, &w);
		ht_want_wc(pair.s[0].scq, &wc, 9, IBV_WC_REM_OP_ERR);
		while (ht_poll_fd(pair.s[1].dev->ctx->async_fd, 50)) {
			ht_ok(ibv_get_async_event(pair.s[1].dev->ctx, &ev));
			if (ev.event_type == IBV_EVENT_SRQ_ERR) {
				ht_check(!event && ev.element.srq == pair.conf.srq,
					 "another SRQ_ERR");
				event = true;
			}
			ibv_ack_async_event(&ev);
		}
		ht_check(event == !i, "round %d: %s IBV_EVENT_SRQ_ERR", i,
			 event ? "a second" : "no");
		ht_pair_reconnect(&pair);
	}
}

/* SQE to RTS flushes the entries in the ring, even if nobody rang for them. */
static void raw_sqe(const void *arg)
{
	enum { BEFORE = 20, AFTER = 20, BYTES = 100 };
	struct ht_conf conf = { .type = IBV_QPT_UD, .sge = SGES };
	struct hodp_send_wqe wqe;
	struct hodp_sge sge;
	struct ibv_wc wc;
	struct ht_wr w;

	raw_pair_get(&p, &conf, LEN);
	ht_fill(p.r.p[0], LEN, 400, 0);
	for (int n = 0; n <= AFTER; n++)
		ht_recv(p.r.b, n, &p.r.mr[1], p.r.p[1] + n * 200, HT_GRH + BYTES);
	w = ht_ud_wr(1, &p.r.mr[0], p.r.p[0], BYTES, ht_ah(p.r.a, &p.r.b->dev->gid),
		     p.r.b->qp->qp_num);
	/* The library's entry is the template for ours. */
	ht_do(p.r.a, &w);
	ht_want_wc(p.r.b->rcq, &wc, 0, IBV_WC_SUCCESS);
	memcpy(&wqe, raw_at(&p.sq, p.sq.hdr->prod - 1), sizeof(wqe));
	w.lkey ^= 0xffff00;
	ht_do_status(p.r.a, &w, IBV_WC_LOC_PROT_ERR);
	ht_eq(ht_state(p.r.a), IBV_QPS_SQE);
	for (int n = 0; n < BEFORE; n++) {
		wqe.wr_id = n;
		sge = raw_sge(&p, n, BYTES);
		raw_put(&p, &wqe, &sge, sizeof(sge));
	}
	ht_ok(ht_to(p.r.a, IBV_QPS_RTS));
	for (int n = 0; n < AFTER; n++) {
		wqe.wr_id = BEFORE + n;
		sge = raw_sge(&p, BEFORE + n, BYTES);
		raw_post(&p, &wqe, &sge, sizeof(sge));
	}
	for (int n = 0; n < BEFORE; n++)
		ht_want_wc(p.r.a->scq, &wc, n, IBV_WC_WR_FLUSH_ERR);
	for (int n = 0; n < AFTER; n++) {
		ht_want_wc(p.r.a->scq, &wc, BEFORE + n, IBV_WC_SUCCESS);
		ht_want_wc(p.r.b->rcq, &wc, n + 1, IBV_WC_SUCCESS);
		ht_check_fill(p.r.p[1] + (n + 1) * 200 + HT_GRH, BYTES, 400, BEFORE + n,
			      "a datagram after SQE");
	}
	ht_no_wc(p.r.b->rcq, 20);
}

const struct ht_case rules_raw[] = {
	{ "raw-sges", "the kernel counts a request's pieces itself", raw_sges },
	{ "raw-inline", "the kernel measures inline data itself", raw_inline },
	{ "raw-flags", "unknown flags are refused", raw_flags },
	{ "raw-opcodes", "opcodes for kernel consumers are refused", raw_opcodes },
	{ "raw-lengths", "the kernel adds up lengths itself", raw_lengths },
	{ "raw-send-index", "the kernel keeps its own index of a send queue", raw_send_index },
	{ "raw-cq-index", "the kernel keeps its own index of a CQ, and entries leak nothing",
	  raw_cq_index },
	{ "raw-recv-sges", "the kernel counts a receive's pieces itself", raw_recv_sges },
	{ "raw-flip", "what was checked of an entry is what is used", raw_flip },
	{ "raw-sqe", "SQE to RTS flushes the ring, with or without a doorbell", raw_sqe },
	{ "raw-srq-index", "a lying SRQ dies with one event", raw_srq_index },
	{},
};
