// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The QP state machine, and what modify and query say. */
#include "basic.h"

#define LEN (16 * HT_KIB)

static const char *const names[] = {
	"RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR",
};

/* legal[from] is a mask of states; SQE is entered by an error, not by modify. */
#define S(x) (1U << IBV_QPS_##x)
static const unsigned int legal[IBV_QPS_ERR + 1] = {
	[IBV_QPS_RESET] = S(RESET) | S(INIT),
	[IBV_QPS_INIT] = S(RESET) | S(INIT) | S(RTR) | S(ERR),
	[IBV_QPS_RTR] = S(RESET) | S(RTS) | S(ERR),
	[IBV_QPS_RTS] = S(RESET) | S(RTS) | S(SQD) | S(ERR),
	[IBV_QPS_SQD] = S(RESET) | S(RTS) | S(SQD) | S(ERR),
	[IBV_QPS_ERR] = S(RESET) | S(ERR),
};

static void bring_to(const struct ht_side *s, const struct ht_conf *c, const struct ht_addr *peer,
		     enum ibv_qp_state state)
{
	enum ibv_qp_state now = ht_state(s);

	ht_check(!ht_to(s, IBV_QPS_RESET), "%s to RESET does not work", names[now]);
	if (state == IBV_QPS_RESET)
		return;
	ht_ok(ht_to_init(s, c));
	if (state >= IBV_QPS_RTR && state != IBV_QPS_ERR)
		ht_ok(ht_to_rtr(s, c, peer));
	if (state == IBV_QPS_RTS || state == IBV_QPS_SQD)
		ht_ok(ht_to_rts(s, c));
	if (state == IBV_QPS_SQD || state == IBV_QPS_ERR)
		ht_ok(ht_to(s, state));
	ht_eq(ht_state(s), state);
}

static int try_to(const struct ht_side *s, const struct ht_conf *c, const struct ht_addr *peer,
		  enum ibv_qp_state from, enum ibv_qp_state to)
{
	switch (to) {
	case IBV_QPS_INIT: return ht_to_init(s, c);
	case IBV_QPS_RTR: return ht_to_rtr(s, c, peer);
	case IBV_QPS_RTS: return from == IBV_QPS_RTR ? ht_to_rts(s, c) : ht_to(s, to);
	default: return ht_to(s, to);
	}
}

/* Every pair of states: what the table allows works, all else is EINVAL. */
static void states_all(const void *arg)
{
	const enum ibv_qp_type *type = arg;
	struct ht_conf conf = { .type = *type };
	struct ht_addr peer;
	struct ht_pair p;

	ht_pair_open(&p, &conf);
	ht_pair_create(&p);
	ht_addr_of(&peer, &p.s[1]);
	for (int from = 0; from <= IBV_QPS_ERR; from++) {
		if (from == IBV_QPS_SQE)
			continue;
		for (int to = 0; to <= IBV_QPS_ERR; to++) {
			bool ok = legal[from] & (1U << to);
			int err;

			bring_to(&p.s[0], &p.conf, &peer, from);
			err = try_to(&p.s[0], &p.conf, &peer, from, to);
			ht_check(err == (ok ? 0 : EINVAL), "%s to %s: %d (%s)", names[from],
				 names[to], err, strerror(err));
			ht_eq(ht_state(&p.s[0]), ok ? to : from);
		}
	}
	ht_pair_put(&p);
}

/* Each required attribute, left out, makes the step EINVAL. */
static void states_missing(const void *arg)
{
	static const struct {
		enum ibv_qp_state from, to;
		int mask;
	} steps[] = {
		{ IBV_QPS_RESET, IBV_QPS_INIT,
		  IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS },
		{ IBV_QPS_INIT, IBV_QPS_RTR,
		  IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
			  IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER },
		{ IBV_QPS_RTR, IBV_QPS_RTS,
		  IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
			  IBV_QP_MAX_QP_RD_ATOMIC },
	};
	struct ht_addr peer;
	struct ht_pair p;

	ht_pair_open(&p, NULL);
	ht_pair_create(&p);
	ht_addr_of(&peer, &p.s[1]);
	for (size_t i = 0; i < HT_LEN(steps); i++) {
		struct ibv_qp_attr a = {
			.qp_state = steps[i].to,
			.port_num = 1,
			.path_mtu = IBV_MTU_1024,
			.dest_qp_num = peer.qpn,
		};

		ht_ah_attr(&a.ah_attr, &p.s[0], &peer.gid);
		bring_to(&p.s[0], &p.conf, &peer, steps[i].from);
		for (int bit = 0; bit < 24; bit++) {
			if (!(steps[i].mask & 1 << bit))
				continue;
			ht_errno(ibv_modify_qp(p.s[0].qp, &a,
					       IBV_QP_STATE | (steps[i].mask & ~(1 << bit))),
				 EINVAL);
			ht_eq(ht_state(&p.s[0]), steps[i].from);
		}
		/* One that does not belong there is refused as well. */
		ht_errno(ibv_modify_qp(p.s[0].qp, &a, IBV_QP_STATE | steps[i].mask | IBV_QP_QKEY),
			 EINVAL);
		ht_ok(ibv_modify_qp(p.s[0].qp, &a, IBV_QP_STATE | steps[i].mask));
	}
	ht_pair_put(&p);
}

static void states_bad_values(const void *arg)
{
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_RTS, .cur_qp_state = IBV_QPS_SQD };
	struct ht_conf c;
	struct ht_addr peer;
	struct ht_pair p;

	ht_pair_get(&p, NULL);
	ht_addr_of(&peer, &p.s[1]);
	ht_errno(ibv_modify_qp(p.s[0].qp, &a, IBV_QP_STATE | IBV_QP_CUR_STATE), EINVAL);
	a.cur_qp_state = IBV_QPS_RTS;
	ht_ok(ibv_modify_qp(p.s[0].qp, &a, IBV_QP_STATE | IBV_QP_CUR_STATE));
	bring_to(&p.s[0], &p.conf, &peer, IBV_QPS_RESET);
	a = (struct ibv_qp_attr){ .qp_state = IBV_QPS_INIT, .port_num = 2 };
	ht_errno(ibv_modify_qp(p.s[0].qp, &a,
			       IBV_QP_STATE | IBV_QP_PORT | IBV_QP_PKEY_INDEX |
				       IBV_QP_ACCESS_FLAGS),
		 EINVAL);
	bring_to(&p.s[0], &p.conf, &peer, IBV_QPS_INIT);
	c = p.conf;
	c.mtu = 6;
	ht_check(ht_to_rtr(&p.s[0], &c, &peer) == EINVAL, "path MTU 6 was accepted");
	ht_eq(ht_state(&p.s[0]), IBV_QPS_INIT);
	ht_ok(ht_to_rtr(&p.s[0], &p.conf, &peer));
	ht_pair_put(&p);
}

/* Asking for path migration is refused; not asking for it is fine. */
static void states_migration(const void *arg)
{
	static const enum ibv_mig_state states[] = { IBV_MIG_REARM, IBV_MIG_ARMED, 7 };
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_RTS, .alt_port_num = 1, .alt_timeout = 14 };
	struct ibv_qp_init_attr init;
	static struct ht_rig r;

	ht_rig_get(&r, NULL, LEN);
	if (!r.a->dev->is_hodp)
		ht_skip("this device may migrate");
	ht_ah_attr(&a.alt_ah_attr, r.a, &r.b->dev->gid);
	ht_errno(ibv_modify_qp(r.a->qp, &a, IBV_QP_STATE | IBV_QP_ALT_PATH), EINVAL);
	for (size_t i = 0; i < HT_LEN(states); i++) {
		a.path_mig_state = states[i];
		ht_errno(ibv_modify_qp(r.a->qp, &a, IBV_QP_STATE | IBV_QP_PATH_MIG_STATE), EINVAL);
	}
	a.path_mig_state = IBV_MIG_MIGRATED;
	ht_ok(ibv_modify_qp(r.a->qp, &a, IBV_QP_STATE | IBV_QP_PATH_MIG_STATE));
	ht_ok(ibv_query_qp(r.a->qp, &a, 0x1fffff, &init));
	ht_eq(a.path_mig_state, IBV_MIG_MIGRATED);
	ht_fill(r.p[0], LEN, 133, 0);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, LEN, 0);
	ht_check_bytes(r.p[1], r.p[0], LEN, "a WRITE afterwards");
	ht_rig_put(&r);
}

/* Without responder resources READs and atomics fail; WRITE and SEND work. */
static void states_no_resources(const void *arg)
{
	static const enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_READ, IBV_WR_ATOMIC_FETCH_AND_ADD,
						  IBV_WR_ATOMIC_CMP_AND_SWP };
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_RTR };
	static struct ht_rig r;
	struct ht_addr ad[2];
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, NULL, LEN);
	for (int i = 0; i < 2; i++)
		ht_addr_of(&ad[i], &r.pair.s[i]);
	for (size_t i = 0; i < HT_LEN(ops); i++) {
		for (int k = 0; k < 2; k++)
			ht_ok(ht_to(&r.pair.s[k], IBV_QPS_RESET));
		ht_connect(r.a, &r.pair.conf, &ad[1]);
		ht_ok(ht_to_init(r.b, &r.pair.conf));
		a.path_mtu = r.pair.conf.mtu;
		a.dest_qp_num = ad[0].qpn;
		a.rq_psn = ad[0].psn;
		ht_ah_attr(&a.ah_attr, r.b, &ad[0].gid);
		ht_ok(ibv_modify_qp(r.b->qp, &a,
				    IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
					    IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC |
					    IBV_QP_MIN_RNR_TIMER));
		ht_ok(ht_to_rts(r.b, &r.pair.conf));
		ht_rig_fill(&r, 134, NULL);
		ht_rig_do(&r, IBV_WR_RDMA_WRITE, 64, 64, 64);
		ht_check_fill(r.p[1] + 64, 64, 134, 64, "a WRITE");
		ht_recv(r.b, 1, &r.mr[1], r.p[1] + 256, 64);
		ht_rig_do(&r, IBV_WR_SEND, 256, 64, 0);
		ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_SUCCESS);
		ht_check_fill(r.p[1] + 256, 64, 134, 256, "a SEND");
		w = ht_rig_wr(&r, ops[i], 0, 8, 0);
		w.swap = 7;
		ht_do_status(r.a, &w, IBV_WC_REM_INV_REQ_ERR);
		ht_check_fill(r.p[0], LEN, 134, 0, "the requester's memory");
		ht_check_fill(r.p[1], 64, 135, 0, "the responder's memory");
	}
	ht_rig_put(&r);
}

/* query_qp reports what modify_qp and create_qp set. */
static void states_query(const void *arg)
{
	struct ht_conf conf = {
		.mtu = IBV_MTU_512,
		.timeout = 19,
		.retry = 5,
		.rnr_retry = 3,
		.rnr_timer = 9,
		.rd_atomic = 1,
		.depth = 21,
		.sge = 3,
		.inl = 33,
		.access = IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE,
	};
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr a;
	struct ht_pair p;

	ht_pair_get(&p, &conf);
	ht_ok(ibv_query_qp(p.s[0].qp, &a, 0x1fffff, &init));
	ht_eq(a.qp_state, IBV_QPS_RTS);
	ht_eq(a.cur_qp_state, IBV_QPS_RTS);
	ht_eq(a.path_mtu, IBV_MTU_512);
	ht_eq(a.timeout, 19);
	ht_eq(a.retry_cnt, 5);
	ht_eq(a.rnr_retry, 3);
	ht_eq(a.min_rnr_timer, 9);
	ht_eq(a.max_rd_atomic, 1);
	ht_eq(a.max_dest_rd_atomic, 1);
	ht_eq(a.port_num, 1);
	ht_eq(a.pkey_index, 0);
	ht_eq(a.dest_qp_num, p.s[1].qp->qp_num);
	ht_eq(a.qp_access_flags & HT_ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE,
	      IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE);
	ht_eq(a.ah_attr.grh.sgid_index, p.s[0].dev->gid_index);
	ht_check_bytes(a.ah_attr.grh.dgid.raw, p.s[1].dev->gid.raw, 16, "dgid");
	ht_true(a.ah_attr.is_global);
	ht_eq(a.rq_psn, p.s[1].psn);
	ht_eq(a.sq_psn, p.s[0].psn);
	ht_true(init.cap.max_send_wr >= 21 && init.cap.max_recv_wr >= 21);
	ht_true(init.cap.max_send_sge >= 3 && init.cap.max_recv_sge >= 3);
	ht_true(init.cap.max_inline_data >= 33);
	ht_eq(init.qp_type, IBV_QPT_RC);
	ht_true(init.send_cq == p.s[0].scq && init.recv_cq == p.s[0].rcq);
	ht_eq(init.sq_sig_all, 0);
	/* RTS to RTS may change the RNR timer and the access rights. */
	a = (struct ibv_qp_attr){ .qp_state = IBV_QPS_RTS, .min_rnr_timer = 2 };
	ht_ok(ibv_modify_qp(p.s[0].qp, &a,
			    IBV_QP_STATE | IBV_QP_MIN_RNR_TIMER | IBV_QP_ACCESS_FLAGS));
	ht_ok(ibv_query_qp(p.s[0].qp, &a, 0x1fffff, &init));
	ht_eq(a.min_rnr_timer, 2);
	ht_eq(a.qp_access_flags & HT_ACCESS_ALL & ~IBV_ACCESS_LOCAL_WRITE, 0);
	ht_pair_put(&p);
}

/* --- draining ------------------------------------------------------------------- */

static void states_sqd(const void *arg)
{
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1 };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w, w2;
	int done;

	ht_rig_get(&r, NULL, LEN);
	ht_fill(r.p[0], LEN, 130, 0);
	for (int i = 0; i < 20; i++) {
		w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, i * 64, 64, i * 64);
		w.id = i;
		ht_post(r.a->qp, &w);
	}
	ht_ok(ibv_modify_qp(r.a->qp, &a, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY));
	ht_want_event(r.a->dev->ctx, IBV_EVENT_SQ_DRAINED, r.a->qp);
	/* IBTA 10.3.1.5: requests that have begun finish, the rest wait for RTS. */
	done = 0;
	while (ibv_poll_cq(r.a->scq, 1, &wc) > 0) {
		ht_eq(wc.status, IBV_WC_SUCCESS);
		ht_eq(wc.wr_id, done);
		done++;
	}
	ht_check_fill(r.p[1], done * 64, 130, 0, "what had begun before SQD");
	/* Posted now, executed later; the receive side is not drained. */
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 8192, 100, 8192);
	ht_post(r.a->qp, &w);
	ht_recv(r.a, 77, &r.mr[0], r.p[0] + 12288, 100);
	memset(r.p[1] + 8192, 0x5e, 1000);
	w2 = ht_send_wr(5, &r.mr[1], r.p[1] + 8192, 50);
	ht_do(r.b, &w2);
	ht_want_wc(r.a->rcq, &wc, 77, IBV_WC_SUCCESS);
	ht_check_value(r.p[0] + 12288, 50, 0x5e, "received in SQD");
	ht_no_wc(r.a->scq, 40);
	ht_check_value(r.p[1] + 8192, 1000, 0x5e, "a WRITE posted in SQD");
	ht_ok(ht_to(r.a, IBV_QPS_RTS));
	for (int i = done; i < 20; i++)
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
	ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
	ht_check_fill(r.p[1], 20 * 64, 130, 0, "what was posted before SQD");
	ht_check_fill(r.p[1] + 8192, 100, 130, 8192, "the WRITE after SQD");
	ht_rig_put(&r);
}

/* --- posting in the wrong state ---------------------------------------------------- */

static void states_posting(const void *arg)
{
	static const enum ibv_qp_state before[] = { IBV_QPS_RESET, IBV_QPS_INIT, IBV_QPS_RTR };
	struct ht_addr peer;
	static struct ht_rig r;
	struct ht_wr w;
	int err;

	ht_rig_get(&r, NULL, LEN);
	ht_addr_of(&peer, r.b);
	ht_fill(r.p[1], LEN, 131, 0);
	for (size_t i = 0; i < HT_LEN(before); i++) {
		bring_to(r.a, &r.pair.conf, &peer, before[i]);
		w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 8, 0);
		err = ht_post_try(r.a->qp, &w);
		ht_check(err == EINVAL, "post_send in %s: %d (%s)", names[before[i]], err,
			 strerror(err));
	}
	bring_to(r.a, &r.pair.conf, &peer, IBV_QPS_RESET);
	err = ht_recv_try(r.a->qp, NULL, 1, NULL, 0);
	ht_check(err == EINVAL, "post_recv in RESET: %d (%s)", err, strerror(err));
	bring_to(r.a, &r.pair.conf, &peer, IBV_QPS_INIT);
	ht_ok(ht_recv_try(r.a->qp, NULL, 1, NULL, 0));
	ht_no_wc(r.a->scq, 5);
	ht_check_fill(r.p[1], LEN, 131, 0, "the peer's memory");
	ht_rig_put(&r);
}

/* A message to a QP in RTR is accepted, and an event tells that it came. */
static void states_comm_est(const void *arg)
{
	static struct ht_rig r;
	struct ht_addr a[2];
	struct ibv_wc wc;

	ht_rig_get(&r, NULL, LEN);
	ht_fill(r.p[0], LEN, 132, 0);
	for (int i = 0; i < 2; i++) {
		ht_addr_of(&a[i], &r.pair.s[i]);
		ht_ok(ht_to(&r.pair.s[i], IBV_QPS_RESET));
	}
	ht_connect(r.a, &r.pair.conf, &a[1]);
	ht_ok(ht_to_init(r.b, &r.pair.conf));
	ht_recv(r.b, 1, &r.mr[1], r.p[1] + 5, 100);
	ht_ok(ht_to_rtr(r.b, &r.pair.conf, &a[0]));
	ht_rig_do(&r, IBV_WR_SEND, 0, 100, 0);
	ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_check_fill(r.p[1] + 5, 100, 132, 0, "received in RTR");
	ht_want_event(r.b->dev->ctx, IBV_EVENT_COMM_EST, r.b->qp);
	ht_ok(ht_to_rts(r.b, &r.pair.conf));
	ht_rig_put(&r);
}

static const enum ibv_qp_type rc = IBV_QPT_RC, ud = IBV_QPT_UD;

const struct ht_case basic_states[] = {
	{ "states-rc", "RC: legal state changes work, all others are EINVAL", states_all, &rc },
	{ "states-ud", "UD: legal state changes work, all others are EINVAL", states_all, &ud },
	{ "states-missing", "a missing or a foreign attribute is EINVAL", states_missing },
	{ "states-bad-values", "wrong values are EINVAL and change nothing", states_bad_values },
	{ "states-migration", "an alternate path is refused, not forgotten", states_migration },
	{ "states-no-resources", "max_dest_rd_atomic 0 refuses READs and atomics",
	  states_no_resources },
	{ "states-query", "query_qp reports what was set", states_query },
	{ "states-sqd", "SQD drains and holds the send queue, RTS resumes it", states_sqd },
	{ "states-posting", "posting too early is EINVAL", states_posting },
	{ "states-comm-est", "a QP in RTR receives and raises an event", states_comm_est },
	{},
};
