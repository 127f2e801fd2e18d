// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * UC: what a message does that is not delivered, and what the type has not.
 *
 * A request completes when it was sent. So a case that expects nothing to arrive
 * waits for the counter of lost messages, or for a later message.
 */
#include <endian.h>
#include <sys/mman.h>

#include "basic.h"

#define LEN (64 * HT_KIB)
#define MSG (3 * HT_PAGE + 11) /* several packets at any MTU */

static struct ht_rig r;

static void setup(const struct ht_conf *conf)
{
	ht_rig_get(&r, conf, LEN);
	ht_rig_fill(&r, 500, NULL);
}

static uint64_t drops(void)
{
	return ht_counter(r.b->dev, "uc_drops");
}

static void wait_drops(uint64_t n)
{
	ht_wait_until(drops() == n, "the loss to be counted");
}

/* A SEND of @len bytes arrives in the receive @id, which begins at @roff. */
static void arrives(uint64_t id, size_t loff, uint32_t len, size_t roff)
{
	struct ibv_wc wc;

	ht_rig_do(&r, IBV_WR_SEND, loff, len, 0);
	ht_want_wc(r.b->rcq, &wc, id, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, len);
	ht_check_fill(r.p[1] + roff, len, 500, loff, "message");
	ht_check_fill(r.p[1] + roff + len, LEN - roff - len, 501, roff + len, "bytes behind it");
	ht_check_fill(r.p[1], roff, 501, 0, "bytes before it");
	ht_eq(ht_state(r.a), IBV_QPS_RTS);
	ht_eq(ht_state(r.b), IBV_QPS_RTS);
}

static void uc_no_receive(const void *arg)
{
	static const uint32_t len[] = { 0, 1000, MSG };
	uint64_t before;
	struct ht_wr w;

	setup(NULL);
	before = drops();
	for (size_t i = 0; i < HT_LEN(len); i++) {
		ht_rig_do(&r, IBV_WR_SEND, 3, len[i], 0);
		wait_drops(before + i + 1);
	}
	/* One packet, so nothing is written. */
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE_WITH_IMM, 3, 1000, 5);
	ht_do(r.a, &w);
	wait_drops(before + HT_LEN(len) + 1);
	ht_check_fill(r.p[1], LEN, 501, 0, "what a lost WRITE_WITH_IMM would change");
	/* Nothing was kept for this receive. */
	ht_recv(r.b, 7, &r.mr[1], r.p[1] + 99, MSG);
	ht_no_wc(r.b->rcq, 5);
	arrives(7, 11, MSG, 99);
	ht_rig_put(&r);
}

/* The receive stays for a message that fits. */
static void uc_too_long(const void *arg)
{
	static const uint32_t len[] = { 100, 101, MSG };
	uint32_t mtu;
	uint64_t before;

	setup(NULL);
	mtu = 128 << r.pair.conf.mtu;
	before = drops();
	ht_recv(r.b, 1, &r.mr[1], r.p[1] + 99, 99);
	for (size_t i = 0; i < HT_LEN(len); i++) {
		ht_rig_do(&r, IBV_WR_SEND, 3, len[i], 0);
		wait_drops(before + i + 1);
	}
	ht_no_wc(r.b->rcq, 5);
	ht_check_fill(r.p[1], LEN, 501, 0, "a receive that is too short");
	arrives(1, 5, 99, 99);
	/* It may be the second packet that does not fit. */
	ht_fill(r.p[1], LEN, 501, 0);
	ht_recv(r.b, 2, &r.mr[1], r.p[1] + 99, mtu + 1);
	ht_rig_do(&r, IBV_WR_SEND, 3, mtu + 2, 0);
	wait_drops(before + HT_LEN(len) + 1);
	ht_no_wc(r.b->rcq, 5);
	arrives(2, 7, mtu + 1, 99);
	ht_rig_put(&r);
}

/* The receive itself is wrong: that is an error of the receiver's QP. */
static void uc_bad_receive(const void *arg)
{
	struct ibv_sge sge;
	struct ibv_wc wc;

	setup(NULL);
	sge = ht_sge(&r.mr[1], r.p[1], 1000);
	sge.lkey ^= 1;
	ht_ok(ht_recv_try(r.b->qp, NULL, 1, &sge, 1));
	ht_recv(r.b, 2, &r.mr[1], r.p[1], 1000);
	ht_rig_do(&r, IBV_WR_SEND, 3, 900, 0);
	ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_LOC_PROT_ERR);
	ht_want_wc(r.b->rcq, &wc, 2, IBV_WC_WR_FLUSH_ERR);
	ht_eq(ht_state(r.b), IBV_QPS_ERR);
	ht_eq(ht_state(r.a), IBV_QPS_RTS);
	ht_rig_do(&r, IBV_WR_SEND, 3, 900, 0);
	ht_check_fill(r.p[1], LEN, 501, 0, "receiver's memory");
	ht_rig_put(&r);
}

/* A local error stops the send queue only, until it is moved to RTS. */
static void recover(void)
{
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_RTS, .cur_qp_state = IBV_QPS_SQE };

	ht_eq(ht_state(r.a), IBV_QPS_SQE);
	ht_eq(ht_state(r.b), IBV_QPS_RTS);
	ht_ok(ibv_modify_qp(r.a->qp, &a, IBV_QP_STATE | IBV_QP_CUR_STATE));
}

static void uc_local_error(const void *arg)
{
	struct ht_wr w;

	setup(NULL);
	ht_recv(r.b, 1, &r.mr[1], r.p[1] + 99, MSG);
	w = ht_rig_wr(&r, IBV_WR_SEND, 3, 900, 0);
	w.lkey ^= 1;
	ht_do_status(r.a, &w, IBV_WC_LOC_PROT_ERR);
	w.lkey ^= 1;
	ht_do_status(r.a, &w, IBV_WC_WR_FLUSH_ERR);
	recover();
	arrives(1, 9, MSG, 99);
	ht_rig_put(&r);
}

/* The sender's memory ends behind the first packets of a message. */
static void uc_broken_off(const void *arg)
{
	struct ht_wr w;

	setup(NULL);
	ht_require(r.a->dev, ht_mr_is_odp(ht_best_mr(r.a->dev)), "no memory that can go");
	ht_recv(r.b, 1, &r.mr[1], r.p[1] + 99, MSG);
	ht_sys(munmap(r.p[0] + LEN - HT_PAGE, HT_PAGE));
	w = ht_rig_wr(&r, IBV_WR_SEND, LEN - 3 * HT_PAGE - 5, MSG, 0);
	w.len = 3 * HT_PAGE;
	ht_do_status(r.a, &w, IBV_WC_LOC_PROT_ERR);
	recover();
	ht_no_wc(r.b->rcq, 5);
	/* The receive waits for the next message, which overwrites what has come. */
	arrives(1, 13, MSG, 99);
}

static void uc_peer_gone(const void *arg)
{
	struct ht_wr w;

	setup(NULL);
	ht_ok(ibv_destroy_qp(r.b->qp));
	r.b->qp = NULL;
	for (int i = 0; i < 100; i++) {
		w = ht_rig_wr(&r, i & 1 ? IBV_WR_SEND : IBV_WR_RDMA_WRITE, 3, 100 * i, 5);
		ht_do(r.a, &w);
	}
	ht_eq(ht_state(r.a), IBV_QPS_RTS);
	ht_check_fill(r.p[1], LEN, 501, 0, "memory of the QP that is gone");
	ht_rig_put(&r);
}

/* The sender may begin anew with any PSN. */
static void uc_anew(const void *arg)
{
	static const int add[] = { 0, 1, -1, 0x800000 };
	struct ht_addr b;

	setup(NULL);
	ht_addr_of(&b, r.b);
	for (size_t i = 0; i < HT_LEN(add); i++) {
		ht_fill(r.p[1], LEN, 501, 0);
		ht_recv(r.b, i, &r.mr[1], r.p[1] + 99, MSG);
		r.a->psn = (r.a->psn + add[i]) & 0xffffff;
		ht_ok(ht_to(r.a, IBV_QPS_RESET));
		ht_connect(r.a, &r.pair.conf, &b);
		arrives(i, 17, MSG, 99);
	}
	ht_rig_put(&r);
}

static void uc_not_supported(const void *arg)
{
	static const enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_READ, IBV_WR_ATOMIC_CMP_AND_SWP,
						  IBV_WR_ATOMIC_FETCH_AND_ADD,
						  IBV_WR_SEND_WITH_INV };
	struct ht_wr w;

	setup(NULL);
	for (size_t i = 0; i < HT_LEN(ops); i++) {
		w = ht_rig_wr(&r, ops[i], 0, 8, 8);
		ht_errno(ht_post_try(r.a->qp, &w), EINVAL);
	}
	ht_recv(r.b, 1, &r.mr[1], r.p[1] + 99, MSG);
	arrives(1, 3, MSG, 99);
	ht_rig_put(&r);
}

/* The attributes of answers and retries are RC's only (IBTA 11.2.5.2). */
static void uc_states(const void *arg)
{
	static const struct {
		enum ibv_qp_state to;
		int mask;
	} bad[] = {
		{ IBV_QPS_RTR, IBV_QP_MIN_RNR_TIMER }, { IBV_QPS_RTR, IBV_QP_MAX_DEST_RD_ATOMIC },
		{ IBV_QPS_RTS, IBV_QP_TIMEOUT },       { IBV_QPS_RTS, IBV_QP_RETRY_CNT },
		{ IBV_QPS_RTS, IBV_QP_RNR_RETRY },     { IBV_QPS_RTS, IBV_QP_MAX_QP_RD_ATOMIC },
		{ IBV_QPS_RTS, IBV_QP_QKEY },
	};
	static const int rtr = IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			       IBV_QP_RQ_PSN;
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_RTR, .path_mtu = IBV_MTU_1024 };
	struct ht_addr b;

	ht_rig_get(&r, NULL, LEN);
	ht_addr_of(&b, r.b);
	ht_ok(ht_to(r.a, IBV_QPS_RESET));
	ht_ok(ht_to_init(r.a, &r.pair.conf));
	ht_ah_attr(&a.ah_attr, r.a, &b.gid);
	a.dest_qp_num = b.qpn;
	a.rq_psn = b.psn;
	for (size_t i = 0; i < HT_LEN(bad); i++)
		if (bad[i].to == IBV_QPS_RTR)
			ht_errno(ibv_modify_qp(r.a->qp, &a, rtr | bad[i].mask), EINVAL);
	ht_errno(ibv_modify_qp(r.a->qp, &a, rtr & ~IBV_QP_RQ_PSN), EINVAL);
	ht_ok(ibv_modify_qp(r.a->qp, &a, rtr));
	ht_eq(ht_state(r.a), IBV_QPS_RTR);
	a.qp_state = IBV_QPS_RTS;
	a.sq_psn = r.a->psn;
	for (size_t i = 0; i < HT_LEN(bad); i++)
		if (bad[i].to == IBV_QPS_RTS)
			ht_errno(ibv_modify_qp(r.a->qp, &a,
					       IBV_QP_STATE | IBV_QP_SQ_PSN | bad[i].mask),
				 EINVAL);
	ht_ok(ibv_modify_qp(r.a->qp, &a, IBV_QP_STATE | IBV_QP_SQ_PSN));
	ht_eq(ht_state(r.a), IBV_QPS_RTS);
	ht_rig_put(&r);
}

/* The receive of a lost message stays with the QP, and out of the SRQ. */
static void uc_srq(const void *arg)
{
	struct ht_conf conf = { .srq_wr = 8 };
	uint64_t before;

	setup(&conf);
	before = drops();
	ht_recv(r.b, 1, &r.mr[1], r.p[1] + 99, 99);
	ht_rig_do(&r, IBV_WR_SEND, 3, 100, 0);
	wait_drops(before + 1);
	ht_no_wc(r.b->rcq, 5);
	arrives(1, 5, 99, 99);
	ht_rig_put(&r);
}

/* Messages of one to four packets, no more in flight than there are receives. */
static void uc_stream(const void *arg)
{
	enum { DEPTH = 16, MOST = 4 * HT_PAGE };
	long total = ht_count(400), sent = 0, done = 0, got = 0;
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, NULL, 2 * DEPTH * MOST);
	for (int i = 0; i < DEPTH; i++)
		ht_recv(r.b, i, &r.mr[1], r.p[1] + i * MOST, MOST);
	while (got < total || done < total) {
		uint32_t n = (sent * 7919) % MOST;

		if (sent < total && sent - got < DEPTH && sent - done < DEPTH) {
			ht_fill(r.p[0] + sent % DEPTH * MOST, n, sent, 0);
			w = ht_rig_wr(&r, IBV_WR_SEND_WITH_IMM, sent % DEPTH * MOST, n, 0);
			w.id = sent;
			w.imm = htobe32(sent++);
			ht_post(r.a->qp, &w);
		}
		while (ibv_poll_cq(r.a->scq, 1, &wc) == 1) {
			ht_eq(wc.status, IBV_WC_SUCCESS);
			ht_eq(wc.wr_id, done++);
		}
		if (ibv_poll_cq(r.b->rcq, 1, &wc) == 1) {
			ht_eq(wc.status, IBV_WC_SUCCESS);
			ht_eq(be32toh(wc.imm_data), got);
			ht_eq(wc.wr_id, got % DEPTH);
			ht_eq(wc.byte_len, (got * 7919) % MOST);
			ht_check_fill(r.p[1] + wc.wr_id * MOST, wc.byte_len, got, 0, "message");
			ht_recv(r.b, wc.wr_id, &r.mr[1], r.p[1] + wc.wr_id * MOST, MOST);
			got++;
		} else {
			ht_check(!ht_over(deadline), "sent %ld, completed %ld, received %ld of %ld",
				 sent, done, got, total);
			ht_yield();
		}
	}
	ht_rig_put(&r);
}

/*
 * The receiver's memory is there, so nothing waits: over the network, softirq executes
 * each packet before the sender makes another one.
 */
static void uc_burst(const void *arg)
{
	enum { DEPTH = 256, MOST = 8 * HT_PAGE };
	struct ht_conf conf = { .depth = DEPTH };
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, 2 * MOST);
	ht_rig_fill(&r, 500, NULL);
	ht_recv(r.b, DEPTH, &r.mr[1], r.p[1] + 3, MOST);
	ht_rig_do(&r, IBV_WR_SEND, 7, MOST, 0);
	ht_want_wc(r.b->rcq, &wc, DEPTH, IBV_WC_SUCCESS);
	for (int i = 0; i < DEPTH; i++)
		ht_recv(r.b, i, &r.mr[1], r.p[1] + 3, MOST);
	for (int i = 0; i < DEPTH; i++) {
		w = ht_rig_wr(&r, IBV_WR_SEND, 7, MOST, 0);
		ht_post(r.a->qp, &w);
	}
	for (int i = 0; i < DEPTH; i++) {
		ht_next_wc(r.a->scq, &wc, "of a SEND");
		ht_eq(wc.status, IBV_WC_SUCCESS);
		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, MOST);
	}
	ht_check_fill(r.p[1] + 3, MOST, 500, 7, "message");
	ht_rig_put(&r);
}

static void uc_wr_api(const void *arg)
{
	struct ht_conf conf = { .extended = true, .inl = 64 };
	struct ibv_qp_ex *q;
	struct ibv_wc wc;

	setup(&conf);
	ht_recv(r.b, 1, &r.mr[1], r.p[1] + 8 * HT_PAGE, MSG);
	ht_recv(r.b, 2, &r.mr[1], r.p[1], 0);
	q = ibv_qp_to_qp_ex(r.a->qp);
	ht_true(q != NULL);
	ibv_wr_start(q);
	q->wr_id = 1;
	q->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_rdma_write(q, r.mr[1].mr->rkey, ht_iova(&r.mr[1], r.p[1] + 5));
	ibv_wr_set_sge(q, r.mr[0].mr->lkey, ht_iova(&r.mr[0], r.p[0] + 9), MSG);
	q->wr_id = 2;
	ibv_wr_send(q);
	ibv_wr_set_sge(q, r.mr[0].mr->lkey, ht_iova(&r.mr[0], r.p[0] + 11), MSG);
	q->wr_id = 3;
	ibv_wr_rdma_write_imm(q, r.mr[1].mr->rkey, ht_iova(&r.mr[1], r.p[1] + 4 * HT_PAGE),
			      htobe32(0x12345678));
	ibv_wr_set_inline_data(q, r.p[0] + 77, 33);
	ht_ok(ibv_wr_complete(q));
	for (int i = 1; i <= 3; i++)
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
	ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, MSG);
	ht_want_wc(r.b->rcq, &wc, 2, IBV_WC_SUCCESS);
	ht_eq(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	ht_eq(be32toh(wc.imm_data), 0x12345678);
	ht_check_fill(r.p[1] + 5, MSG, 500, 9, "the WRITE");
	ht_check_fill(r.p[1] + 8 * HT_PAGE, MSG, 500, 11, "the SEND");
	ht_check_fill(r.p[1] + 4 * HT_PAGE, 33, 500, 77, "the WRITE_WITH_IMM");
	ht_check_fill(r.p[1] + 4 * HT_PAGE + 33, 100, 501, 4 * HT_PAGE + 33, "bytes behind it");
	ht_rig_put(&r);
}

const struct ht_case basic_uc[] = {
	{ "uc-no-receive", "a message without a receive is lost, and both ends go on",
	  uc_no_receive },
	{ "uc-too-long", "a message that is too long leaves the receive to the next one",
	  uc_too_long },
	{ "uc-bad-receive", "a bad receive fails the receiver's QP only", uc_bad_receive },
	{ "uc-local-error", "a local error stops the send queue until RTS", uc_local_error },
	{ "uc-broken-off", "a message that is broken off is not completed", uc_broken_off },
	{ "uc-peer-gone", "a sender does not notice that its peer is gone", uc_peer_gone },
	{ "uc-anew", "a sender may begin anew with any PSN", uc_anew },
	{ "uc-not-supported", "UC has no READs, atomics and invalidates", uc_not_supported },
	{ "uc-states", "attributes of other types are refused", uc_states },
	{ "uc-srq", "a message that is too long leaves the receive of an SRQ to the next one",
	  uc_srq },
	{ "uc-stream", "messages in flight arrive whole and in order", uc_stream },
	{ "uc-burst", "a receiver whose memory is there keeps up with its sender", uc_burst },
	{ "uc-wr-api", "the builders of ibv_wr_start() work on UC", uc_wr_api },
	{},
};
