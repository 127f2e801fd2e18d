// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs: two sides in one process, or one side here and one elsewhere
 * (struct ht_addr travels by whatever pipe the test has).
 *
 * With -p the second side lives on another device, and all that is sent goes
 * over the wire. Without, both sides are on one device, and in one context
 * unless ht_conf.two_contexts asks for two.
 */
#include "ht.h"

/* --- defaults -------------------------------------------------------------------- */

static int number(int v, int dflt)
{
	return v == HT_NONE ? 0 : v ? v : dflt;
}

static void fill_conf(struct ht_conf *to, const struct ht_conf *from)
{
	*to = from ? *from : (struct ht_conf){ 0 };
	if (to->filled)
		return;
	to->filled = true;
	if (!to->type)
		to->type = ht_opt.type ? ht_opt.type : IBV_QPT_RC;
	if (!to->depth)
		to->depth = 64;
	if (!to->sge)
		to->sge = 4;
	if (!to->cq_depth)
		to->cq_depth = 4 * to->depth;
	if (!to->srq_sge)
		to->srq_sge = 1;
	to->timeout = number(to->timeout, 18);
	to->retry = number(to->retry, 7);
	to->rnr_retry = number(to->rnr_retry, 7);
	to->rnr_timer = number(to->rnr_timer, 1);
	to->access = number(to->access, IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ |
						IBV_ACCESS_REMOTE_ATOMIC);
}

static int rd_atomic(const struct ht_side *s, const struct ht_conf *c, bool dest)
{
	int have = dest ? s->dev->attr.orig_attr.max_qp_rd_atom :
			  s->dev->attr.orig_attr.max_qp_init_rd_atom;

	return HT_MIN(c->rd_atomic ? c->rd_atomic : 16, have);
}

/* --- objects --------------------------------------------------------------------- */

static struct ibv_qp *create_extended(struct ht_side *s, struct ht_conf *c,
				      struct ibv_qp_init_attr *init)
{
	struct ibv_qp_init_attr_ex ex = {
		.qp_context = s,
		.send_cq = s->scq,
		.recv_cq = s->rcq,
		.srq = init->srq,
		.cap = init->cap,
		.qp_type = init->qp_type,
		.sq_sig_all = init->sq_sig_all,
		.pd = s->pd,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = IBV_QP_EX_WITH_SEND | IBV_QP_EX_WITH_SEND_WITH_IMM | c->more_ops,
	};

	if (c->type != IBV_QPT_UD)
		ex.send_ops_flags |= IBV_QP_EX_WITH_RDMA_WRITE | IBV_QP_EX_WITH_RDMA_WRITE_WITH_IMM;
	if (c->type == IBV_QPT_RC)
		ex.send_ops_flags |= IBV_QP_EX_WITH_RDMA_READ | IBV_QP_EX_WITH_ATOMIC_CMP_AND_SWP |
				     IBV_QP_EX_WITH_ATOMIC_FETCH_AND_ADD;
	return ibv_create_qp_ex(s->dev->ctx, &ex);
}

static struct ibv_cq *create_cq(struct ht_side *s, const struct ht_conf *c, int i)
{
	struct ibv_cq *cq;

	if (c->channel) {
		s->chan[i] = ibv_create_comp_channel(s->dev->ctx);
		ht_check(s->chan[i], "ibv_create_comp_channel: %s", strerror(errno));
	}
	cq = ibv_create_cq(s->dev->ctx, c->cq_depth, s, s->chan[i], 0);
	ht_check(cq, "ibv_create_cq of %d: %s", c->cq_depth, strerror(errno));
	return cq;
}

void ht_side_create(struct ht_side *s, const struct ht_conf *conf, int which)
{
	struct ibv_qp_init_attr init;
	struct ibv_srq *srq;
	struct ht_conf c;

	fill_conf(&c, conf);
	srq = which ? c.srq : NULL;
	if (!s->scq) {
		s->scq = create_cq(s, &c, 0);
		s->rcq = create_cq(s, &c, 1);
	}
	init = (struct ibv_qp_init_attr){
		.qp_context = s, .send_cq = s->scq, .recv_cq = s->rcq,
		.srq = srq, .qp_type = c.type,
		.sq_sig_all = c.sig_all,
		.cap = {
			.max_send_wr = c.depth,
			.max_recv_wr = srq ? 0 : c.depth,
			.max_send_sge = c.sge,
			.max_recv_sge = srq ? 0 : c.sge,
			.max_inline_data = c.inl,
		},
	};
	s->qp = c.extended ? create_extended(s, &c, &init) : ibv_create_qp(s->pd, &init);
	if (!s->qp && c.extended && (errno == EOPNOTSUPP || errno == ENOSYS))
		ht_require(s->dev, false, "no ibv_wr_* API");
	ht_check(s->qp, "creating a QP (depth %d, %d SGEs, inline %d): %s", c.depth, c.sge, c.inl,
		 strerror(errno));
	s->psn = (s->qp->qp_num * 0x9e3779 + 0x5a5a5a) & 0xffffff;
}

void ht_side_clone(struct ht_side *to, const struct ht_side *from, const struct ht_conf *conf)
{
	*to = *from;
	ht_side_create(to, conf, 0);
}

void ht_side_put(struct ht_side *s)
{
	if (s->qp)
		ht_ok(ibv_destroy_qp(s->qp));
	s->qp = NULL;
}

static void create_srq(struct ht_pair *p)
{
	struct ibv_srq_init_attr init = {
		.attr = { .max_wr = p->conf.srq_wr, .max_sge = p->conf.srq_sge },
	};

	p->conf.srq = ibv_create_srq(p->s[1].pd, &init);
	ht_check(p->conf.srq, "ibv_create_srq: %s", strerror(errno));
	ht_true(init.attr.max_wr >= (uint32_t)p->conf.srq_wr);
	ht_true(init.attr.max_sge >= (uint32_t)p->conf.srq_sge);
}

void ht_pair_open(struct ht_pair *p, const struct ht_conf *conf)
{
	bool other = strcmp(ht_opt.dev, ht_opt.peer);

	memset(p, 0, sizeof(*p));
	fill_conf(&p->conf, conf);
	ht_open(&p->dev[0], ht_opt.dev);
	if (other || p->conf.two_contexts)
		ht_open(&p->dev[1], ht_opt.peer);
	for (int i = 0; i < 2; i++) {
		p->s[i].dev = p->dev[i].ctx ? &p->dev[i] : &p->dev[0];
		p->s[i].pd = i && p->conf.one_pd ? p->s[0].pd : ibv_alloc_pd(p->s[i].dev->ctx);
		ht_check(p->s[i].pd, "ibv_alloc_pd: %s", strerror(errno));
	}
	if (!p->conf.mtu)
		p->conf.mtu = HT_MIN(p->s[0].dev->port.active_mtu, p->s[1].dev->port.active_mtu);
	if (p->conf.srq_wr)
		create_srq(p);
}

void ht_pair_create(struct ht_pair *p)
{
	for (int i = 0; i < 2; i++)
		ht_side_create(&p->s[i], &p->conf, i);
}

void ht_pair_get(struct ht_pair *p, const struct ht_conf *conf)
{
	ht_pair_open(p, conf);
	ht_pair_create(p);
	ht_pair_connect(p);
}

void ht_pair_put(struct ht_pair *p)
{
	for (int i = 0; i < 2; i++) {
		struct ht_side *s = &p->s[i];

		ht_side_put(s);
		ht_ok(ibv_destroy_cq(s->scq));
		ht_ok(ibv_destroy_cq(s->rcq));
		for (int k = 0; k < 2; k++) {
			if (s->chan[k])
				ht_ok(ibv_destroy_comp_channel(s->chan[k]));
		}
	}
	if (p->conf.srq)
		ht_ok(ibv_destroy_srq(p->conf.srq));
	for (int i = 0; i < 2 - p->conf.one_pd; i++)
		ht_ok(ibv_dealloc_pd(p->s[i].pd));
	for (int i = 0; i < 2; i++) {
		if (p->dev[i].ctx)
			ht_close(&p->dev[i]);
	}
}

/* --- states ---------------------------------------------------------------------- */

void ht_addr_of(struct ht_addr *a, const struct ht_side *s)
{
	*a = (struct ht_addr){
		.qpn = s->qp->qp_num,
		.psn = s->psn,
		.gid = s->dev->gid,
		.mtu = s->dev->port.active_mtu,
	};
}

void ht_ah_attr(struct ibv_ah_attr *ah, const struct ht_side *s, const union ibv_gid *dgid)
{
	*ah = (struct ibv_ah_attr){
		.is_global = 1, .port_num = 1,
		.grh = {
			.dgid = *dgid, .sgid_index = s->dev->gid_index,
			.hop_limit = 64,
		},
	};
}

struct ibv_ah *ht_ah(const struct ht_side *s, const union ibv_gid *dgid)
{
	struct ibv_ah_attr attr;
	struct ibv_ah *ah;

	ht_ah_attr(&attr, s, dgid);
	ah = ibv_create_ah(s->pd, &attr);
	ht_check(ah, "ibv_create_ah: %s", strerror(errno));
	return ah;
}

int ht_to_init(const struct ht_side *s, const struct ht_conf *conf)
{
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_INIT, .port_num = 1 };
	int mask = IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT;
	struct ht_conf c;

	fill_conf(&c, conf);
	if (c.type == IBV_QPT_UD) {
		a.qkey = HT_QKEY;
		mask |= IBV_QP_QKEY;
	} else {
		a.qp_access_flags = c.access;
		mask |= IBV_QP_ACCESS_FLAGS;
	}
	return ibv_modify_qp(s->qp, &a, mask);
}

int ht_to_rtr(const struct ht_side *s, const struct ht_conf *conf, const struct ht_addr *peer)
{
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_RTR };
	int mask = IBV_QP_STATE;
	struct ht_conf c;

	fill_conf(&c, conf);
	if (c.type != IBV_QPT_UD) {
		a.path_mtu = c.mtu ? c.mtu : s->dev->port.active_mtu;
		a.dest_qp_num = peer->qpn;
		a.rq_psn = peer->psn;
		ht_ah_attr(&a.ah_attr, s, &peer->gid);
		a.ah_attr.grh.traffic_class = c.tclass;
		mask |= IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN;
	}
	if (c.type == IBV_QPT_RC) {
		a.max_dest_rd_atomic = rd_atomic(s, &c, true);
		a.min_rnr_timer = c.rnr_timer;
		mask |= IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER;
	}
	return ibv_modify_qp(s->qp, &a, mask);
}

/* A slow kernel takes longer to answer: double a short ACK timeout with each step. */
static int patient(int timeout)
{
	for (double p = ht_opt.patience; p > 1 && timeout && timeout < 18; p /= 2)
		timeout++;
	return timeout;
}

int ht_to_rts(const struct ht_side *s, const struct ht_conf *conf)
{
	struct ibv_qp_attr a = { .qp_state = IBV_QPS_RTS, .sq_psn = s->psn };
	int mask = IBV_QP_STATE | IBV_QP_SQ_PSN;
	struct ht_conf c;

	fill_conf(&c, conf);
	if (c.type == IBV_QPT_RC) {
		a.timeout = patient(c.timeout);
		a.retry_cnt = c.retry;
		a.rnr_retry = c.rnr_retry;
		a.max_rd_atomic = rd_atomic(s, &c, false);
		mask |= IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
			IBV_QP_MAX_QP_RD_ATOMIC;
	}
	return ibv_modify_qp(s->qp, &a, mask);
}

int ht_to(const struct ht_side *s, enum ibv_qp_state state)
{
	struct ibv_qp_attr a = { .qp_state = state };

	return ibv_modify_qp(s->qp, &a, IBV_QP_STATE);
}

enum ibv_qp_state ht_state(const struct ht_side *s)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr a;

	ht_ok(ibv_query_qp(s->qp, &a, IBV_QP_STATE, &init));
	return a.qp_state;
}

void ht_connect(const struct ht_side *s, const struct ht_conf *c, const struct ht_addr *peer)
{
	ht_ok(ht_to_init(s, c));
	ht_ok(ht_to_rtr(s, c, peer));
	ht_ok(ht_to_rts(s, c));
}

void ht_connect_two(const struct ht_side *x, const struct ht_side *y, const struct ht_conf *c)
{
	struct ht_addr to_x, to_y;

	ht_addr_of(&to_x, x);
	ht_addr_of(&to_y, y);
	ht_connect(x, c, &to_y);
	ht_connect(y, c, &to_x);
}

void ht_pair_connect(struct ht_pair *p)
{
	ht_connect_two(&p->s[0], &p->s[1], &p->conf);
}

void ht_second_pair(struct ht_side to[2], const struct ht_pair *p, const struct ht_conf *conf)
{
	struct ht_conf c;

	fill_conf(&c, conf);
	if (!c.mtu)
		c.mtu = p->conf.mtu;
	for (int i = 0; i < 2; i++) {
		to[i] = p->s[i];
		to[i].scq = NULL;
		ht_side_create(&to[i], &c, i);
	}
	ht_connect_two(&to[0], &to[1], &c);
}

void ht_side_drain(struct ht_side *s)
{
	struct ibv_wc wc;

	while (ibv_poll_cq(s->scq, 1, &wc) > 0)
		;
	while (ibv_poll_cq(s->rcq, 1, &wc) > 0)
		;
}

void ht_pair_reconnect(struct ht_pair *p)
{
	for (int i = 0; i < 2; i++)
		ht_ok(ht_to(&p->s[i], IBV_QPS_RESET));
	for (int i = 0; i < 2; i++)
		ht_side_drain(&p->s[i]);
	ht_pair_connect(p);
}
