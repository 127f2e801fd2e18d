// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Resets of a queue pair: what happens to the connection when one end starts anew,
 * and what becomes of requests around an error that a QP survives.
 */
#include "basic.h"

#define LEN (16 * HT_KIB)

/* Reset B, expecting @psn, and connect it to A again. A is not told. */
static void begin_anew(struct ht_rig *r, uint32_t psn)
{
	struct ht_addr a;

	ht_addr_of(&a, r->a);
	a.psn = psn;
	ht_ok(ht_to(r->b, IBV_QPS_RESET));
	ht_connect(r->b, &r->pair.conf, &a);
}

static void refused(struct ht_rig *r, enum ibv_wr_opcode op, const char *what)
{
	struct ht_wr w = ht_rig_wr(r, op, 100, 1000, 200);

	ht_do_status(r->a, &w, IBV_WC_RETRY_EXC_ERR);
	ht_check_fill(r->p[0], LEN, 140, 0, what);
	ht_check_fill(r->p[1], LEN, 141, 0, what);
}

/* arg: what is added to the PSN that B expects after the reset */
static void lives_peer(const void *arg)
{
	static const enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
						  IBV_WR_SEND };
	struct ht_conf conf = { .timeout = 8, .retry = 1 };
	static struct ht_rig r;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	for (size_t i = 0; i < HT_LEN(ops); i++) {
		ht_rig_fill(&r, 140, NULL);
		w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 8, 0);
		ht_do(r.a, &w);
		ht_fill(r.p[1], LEN, 141, 0);
		begin_anew(&r, (r.a->psn + *(const int *)arg) & 0xffffff);
		ht_recv(r.b, 1, &r.mr[1], r.p[1], LEN);
		refused(&r, ops[i], "a request from the first life");
		ht_pair_reconnect(&r.pair);
	}
	ht_do(r.a, &w);
	ht_rig_put(&r);
}

/* Nothing was sent before, so the PSN alone decides whether a sender is accepted. */
static void lives_psn(const void *arg)
{
	static const int wrong[] = { 1, -1, 0x800000 };
	struct ht_conf conf = { .timeout = 8, .retry = 1 };
	static struct ht_rig r;

	ht_rig_get(&r, &conf, LEN);
	ht_rig_fill(&r, 140, NULL);
	for (size_t i = 0; i < HT_LEN(wrong); i++) {
		begin_anew(&r, (r.a->psn + wrong[i]) & 0xffffff);
		refused(&r, IBV_WR_RDMA_READ, "a request with a wrong PSN");
		ht_pair_reconnect(&r.pair);
	}
	begin_anew(&r, r.a->psn);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 100, 1000, 200);
	ht_check_fill(r.p[1], 200, 141, 0, "the bytes before");
	ht_check_fill(r.p[1] + 200, 1000, 140, 100, "a request with the right PSN");
	ht_check_fill(r.p[1] + 1200, LEN - 1200, 141, 1200, "the bytes behind");
	ht_rig_put(&r);
}

/* --- UD: after a local error the send queue stops, and goes on ----------------- */

static struct ht_wr datagram(struct ht_rig *r, struct ibv_ah *ah, uint64_t id)
{
	return ht_ud_wr(id, &r->mr[0], r->p[0] + id, 100, ah, r->b->qp->qp_num);
}

/*
 * Requests posted before the QP leaves SQE are flushed, later ones are executed,
 * however soon the application posts them.
 */
static void lives_sqe(const void *arg)
{
	enum { BEFORE = 20, AFTER = 20 };
	struct ht_conf conf = { .type = IBV_QPT_UD };
	long rounds = ht_count(60);
	static struct ht_rig r;
	struct ibv_ah *ah;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	ht_fill(r.p[0], LEN, 142, 0);
	ah = ht_ah(r.a, &r.b->dev->gid);
	for (long i = 0; i < rounds; i++) {
		for (int n = 0; n < AFTER; n++)
			ht_recv(r.b, n, &r.mr[1], r.p[1] + n * 200, 140);
		w = datagram(&r, ah, 1);
		w.lkey ^= 0xffff00;
		ht_do_status(r.a, &w, IBV_WC_LOC_PROT_ERR);
		for (int n = 0; n < BEFORE; n++) {
			w = datagram(&r, ah, n);
			ht_post(r.a->qp, &w);
		}
		ht_ok(ht_to(r.a, IBV_QPS_RTS));
		for (int n = 0; n < AFTER; n++) {
			w = datagram(&r, ah, BEFORE + n);
			ht_post(r.a->qp, &w);
		}
		for (int n = 0; n < BEFORE; n++)
			ht_want_wc(r.a->scq, &wc, n, IBV_WC_WR_FLUSH_ERR);
		for (int n = 0; n < AFTER; n++) {
			ht_want_wc(r.a->scq, &wc, BEFORE + n, IBV_WC_SUCCESS);
			ht_want_wc(r.b->rcq, &wc, n, IBV_WC_SUCCESS);
			ht_check_fill(r.p[1] + n * 200 + HT_GRH, 100, 142, BEFORE + n,
				      "a datagram after SQE");
		}
	}
	ht_eq(ht_state(r.a), IBV_QPS_RTS);
	ht_ok(ibv_destroy_ah(ah));
	ht_rig_put(&r);
}

static const int same, other = 12345;

const struct ht_case basic_lives[] = {
	{ "lives-peer-psn", "a connection does not survive a reset of the peer", lives_peer,
	  &other },
	{ "lives-peer-same", "the same if the peer expects the same PSN", lives_peer, &same },
	{ "lives-psn", "the first sender needs the PSN that the peer expects", lives_psn },
	{ "lives-sqe", "SQE to RTS flushes earlier requests and executes later ones", lives_sqe },
	{},
};
