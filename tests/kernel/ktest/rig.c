// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Memory, pairs and work requests: the building blocks of the cases. */
#include <linux/delay.h>
#include <linux/slab.h>
#include <net/ipv6.h>
#include <rdma/ib_cache.h>
#include "ktest.h"

/* ---- memory ---- */

int kt_mem_alloc(struct kt *t, struct kt_mem *mem, u32 len)
{
	u64 dma;

	/* kmalloc() up to this size is aligned to its own size. */
	mem->p = kmalloc(len, GFP_KERNEL);
	mem->want = kmalloc(len, GFP_KERNEL);
	mem->len = len;
	mem->id = t->mems++;
	if (!mem->p || !mem->want)
		return -ENOMEM;
	dma = ib_dma_map_single(t->dev, mem->p, len, DMA_BIDIRECTIONAL);
	if (ib_dma_mapping_error(t->dev, dma))
		return -EIO;
	mem->dma = dma;
	return 0;
}

void kt_mem_free(struct kt *t, struct kt_mem *mem)
{
	if (mem->dma)
		ib_dma_unmap_single(t->dev, mem->dma, mem->len,
				    DMA_BIDIRECTIONAL);
	kfree(mem->p);
	kfree(mem->want);
	*mem = (struct kt_mem){};
}

void kt_mem_fill(struct kt *t, struct kt_mem *mem)
{
	u32 i;

	for (i = 0; i < mem->len; i++) {
		t->seed = t->seed * 1103515245 + 12345;
		mem->p[i] = t->seed >> 16;
	}
	memcpy(mem->want, mem->p, mem->len);
}

void kt_mem_check(struct kt *t, const struct kt_mem *mem)
{
	u32 i, n = 0, first = 0;

	if (!memcmp(mem->p, mem->want, mem->len))
		return;
	for (i = 0; i < mem->len; i++)
		if (mem->p[i] != mem->want[i] && !n++)
			first = i;
	KT_CHECK(t, false,
		 "mem %d: %u bytes are wrong, the first at %#x: %#x, not %#x",
		 mem->id, n, first, mem->p[first], mem->want[first]);
}

void kt_moved(struct kt_mem *to, u32 to_off, const struct kt_mem *from,
	      u32 from_off, u32 len)
{
	memcpy(to->want + to_off, from->want + from_off, len);
}

/* ---- connections ---- */

int kt_end_reset(struct kt_end *e)
{
	struct ib_qp_attr attr = { .qp_state = IB_QPS_RESET };

	return ib_modify_qp(e->qp, &attr, IB_QP_STATE);
}

int kt_end_init(struct kt_end *e)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = KT_QP_ACCESS,
	};

	return ib_modify_qp(e->qp, &attr,
			    IB_QP_STATE | IB_QP_PKEY_INDEX | IB_QP_PORT |
				    IB_QP_ACCESS_FLAGS);
}

/* The device's GID for an IPv4 address; the caller puts it. */
static const struct ib_gid_attr *kt_gid(struct ib_device *dev)
{
	int i;

	for (i = 0; i < 64; i++) {
		const struct ib_gid_attr *gid = rdma_get_gid_attr(dev, 1, i);

		if (IS_ERR(gid))
			continue;
		if (gid->gid_type == IB_GID_TYPE_ROCE_UDP_ENCAP &&
		    ipv6_addr_v4mapped((const struct in6_addr *)&gid->gid))
			return gid;
		rdma_put_gid_attr(gid);
	}
	return ERR_PTR(-ENOENT);
}

int kt_end_rtr(struct kt *t, struct kt_end *e, const struct kt_end *peer)
{
	const struct ib_gid_attr *gid = kt_gid(t->dev);
	struct ib_port_attr port;
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTR,
		.dest_qp_num = peer->qp->qp_num,
		.rq_psn = peer->qp->qp_num ^ 0x5a5a5a,
		.max_dest_rd_atomic = 8,
		.min_rnr_timer = 12,
	};
	union ib_gid dgid;
	int ret;

	if (IS_ERR(gid))
		return PTR_ERR(gid);
	dgid = gid->gid;
	attr.ah_attr.type = RDMA_AH_ATTR_TYPE_ROCE;
	rdma_ah_set_port_num(&attr.ah_attr, 1);
	/* attr.ah_attr holds the reference to the GID now. */
	rdma_move_grh_sgid_attr(&attr.ah_attr, &dgid, 0, 1, 0, gid);
	ret = ib_query_port(t->dev, 1, &port);
	attr.path_mtu = port.active_mtu;
	if (!ret)
		ret = ib_modify_qp(e->qp, &attr,
				   IB_QP_STATE | IB_QP_AV | IB_QP_PATH_MTU |
					   IB_QP_DEST_QPN | IB_QP_RQ_PSN |
					   IB_QP_MAX_DEST_RD_ATOMIC |
					   IB_QP_MIN_RNR_TIMER);
	rdma_destroy_ah_attr(&attr.ah_attr);
	return ret;
}

static int kt_end_rts(struct kt_end *e)
{
	struct ib_qp_attr attr = {
		.qp_state = IB_QPS_RTS,
		.sq_psn = e->qp->qp_num ^ 0x5a5a5a,
		.timeout = 14,
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = 8,
	};

	return ib_modify_qp(e->qp, &attr,
			    IB_QP_STATE | IB_QP_SQ_PSN | IB_QP_TIMEOUT |
				    IB_QP_RETRY_CNT | IB_QP_RNR_RETRY |
				    IB_QP_MAX_QP_RD_ATOMIC);
}

enum ib_qp_state kt_end_state(struct kt_end *e)
{
	struct ib_qp_init_attr init;
	struct ib_qp_attr attr;

	if (ib_query_qp(e->qp, &attr, IB_QP_STATE, &init))
		return IB_QPS_RESET;
	return attr.qp_state;
}

void kt_pair_reconnect(struct kt *t, struct kt_pair *p)
{
	int ret;

	ret = kt_end_reset(&p->a);
	ret = ret ?: kt_end_reset(&p->b);
	ret = ret ?: kt_end_init(&p->a);
	ret = ret ?: kt_end_init(&p->b);
	ret = ret ?: kt_end_rtr(t, &p->a, &p->b);
	ret = ret ?: kt_end_rtr(t, &p->b, &p->a);
	ret = ret ?: kt_end_rts(&p->a);
	ret = ret ?: kt_end_rts(&p->b);
	KT_CHECK(t, !ret, "connect: %d", ret);
}

void kt_pair_died(struct kt *t, struct kt_pair *p)
{
	enum ib_qp_state a = kt_end_state(&p->a), b = kt_end_state(&p->b);

	KT_CHECK(t, a == IB_QPS_ERR && b == IB_QPS_ERR,
		 "states %d and %d after an error, not ERR", a, b);
	kt_pair_reconnect(t, p);
}

/* ---- pairs ---- */

static void kt_srq_event(struct ib_event *event, void *context)
{
	struct kt_pair *p = context;

	if (event->event == IB_EVENT_SRQ_LIMIT_REACHED)
		atomic_inc(&p->srq_low);
}

static void *kt_got(struct kt *t, const char *what, void *object)
{
	if (KT_CHECK(t, !IS_ERR(object), "%s: %pe", what, object))
		return object;
	return NULL;
}

static void kt_end_open(struct kt *t, struct kt_pair *p, struct kt_end *e,
			struct ib_srq *srq)
{
	struct ib_qp_init_attr init = {
		.srq = srq,
		.cap = { .max_send_wr = KT_DEPTH,
			 .max_recv_wr = KT_DEPTH,
			 .max_send_sge = KT_SGES,
			 .max_recv_sge = KT_SGES,
			 .max_inline_data = 64 },
		.sq_sig_type = p->opts.signal_all ? IB_SIGNAL_ALL_WR :
						    IB_SIGNAL_REQ_WR,
		.qp_type = IB_QPT_RC,
	};

	/* More than fit, for ib_drain_qp() and spare. */
	e->scq = kt_got(t, "send CQ",
			ib_alloc_cq(t->dev, p, 2 * KT_DEPTH, 0, p->opts.poll));
	e->rcq = kt_got(t, "receive CQ",
			ib_alloc_cq(t->dev, p, 2 * KT_DEPTH, 0, p->opts.poll));
	if (t->failed)
		return;
	init.send_cq = e->scq;
	init.recv_cq = e->rcq;
	e->qp = kt_got(t, "QP", ib_create_qp(p->pd, &init));
}

void kt_pair_open(struct kt *t, struct kt_pair *p, struct ib_pd *pd,
		  struct kt_opts opts)
{
	struct ib_srq_init_attr init = {
		.event_handler = kt_srq_event,
		.srq_context = p,
		.attr = { .max_wr = KT_DEPTH, .max_sge = KT_SGES },
		.srq_type = IB_SRQT_BASIC,
	};

	memset(p, 0, sizeof(*p));
	p->pd = pd;
	p->opts = opts;
	if (opts.srq)
		p->srq = kt_got(t, "SRQ", ib_create_srq(pd, &init));
	if (!t->failed)
		kt_end_open(t, p, &p->a, NULL);
	if (!t->failed)
		kt_end_open(t, p, &p->b, p->srq);
	if (!t->failed)
		kt_pair_reconnect(t, p);
}

static void kt_end_close(struct kt *t, struct kt_end *e)
{
	int ret;

	if (e->qp) {
		ret = ib_destroy_qp(e->qp);
		KT_CHECK(t, !ret, "destroying a QP: %d", ret);
	}
	if (e->scq)
		ib_free_cq(e->scq);
	if (e->rcq)
		ib_free_cq(e->rcq);
	*e = (struct kt_end){};
}

void kt_pair_close(struct kt *t, struct kt_pair *p)
{
	kt_end_close(t, &p->a);
	kt_end_close(t, &p->b);
	if (p->srq)
		ib_destroy_srq(p->srq);
	p->srq = NULL;
}

/* ---- work requests ---- */

static void kt_done(struct ib_cq *cq, struct ib_wc *wc)
{
	struct kt_wr *w = container_of(wc->wr_cqe, struct kt_wr, cqe);

	w->wc = *wc;
	w->order = atomic_inc_return(&w->t->clock);
	atomic_inc(&w->calls);
	if (w->then)
		w->then(w);
	complete(&w->done);
}

static struct kt_wr *kt_new(struct kt *t)
{
	struct kt_wr *w;

	if (!KT_CHECK(t, t->wrs < KT_WRS, "the pool of requests is empty"))
		t->wrs = 0;
	w = &t->wr[t->wrs++];
	memset(w, 0, sizeof(*w));
	w->t = t;
	w->cqe.done = kt_done;
	init_completion(&w->done);
	return w;
}

struct kt_wr *kt_wr(struct kt *t, enum ib_wr_opcode op)
{
	struct kt_wr *w = kt_new(t);

	w->send.wr_cqe = &w->cqe;
	w->send.opcode = op;
	w->send.send_flags = IB_SEND_SIGNALED;
	w->send.sg_list = w->sge;
	return w;
}

struct kt_wr *kt_rdma(struct kt *t, enum ib_wr_opcode op, u64 addr, u32 rkey)
{
	struct kt_wr *w = kt_wr(t, op);

	w->rdma.remote_addr = addr;
	w->rdma.rkey = rkey;
	return w;
}

struct kt_wr *kt_rdma_mem(struct kt *t, enum ib_wr_opcode op,
			  const struct kt_mem *mem, u32 off)
{
	return kt_rdma(t, op, mem->dma + off, t->pd->unsafe_global_rkey);
}

struct kt_wr *kt_inv(struct kt *t, enum ib_wr_opcode op, u32 key)
{
	struct kt_wr *w = kt_wr(t, op);

	w->send.ex.invalidate_rkey = key;
	return w;
}

struct kt_wr *kt_recv(struct kt *t)
{
	struct kt_wr *w = kt_new(t);

	w->receives = true;
	w->recv.wr_cqe = &w->cqe;
	w->recv.sg_list = w->sge;
	return w;
}

void kt_sge_key(struct kt_wr *w, u64 addr, u32 len, u32 lkey)
{
	int n = w->receives ? w->recv.num_sge++ : w->send.num_sge++;

	w->sge[n] = (struct ib_sge){ addr, len, lkey };
}

void kt_sge(struct kt_wr *w, const struct kt_mem *mem, u32 off, u32 len)
{
	kt_sge_key(w, mem->dma + off, len, w->t->pd->local_dma_lkey);
}

void kt_link(struct kt_wr *first, struct kt_wr *second)
{
	first->send.next = &second->send;
}

void kt_post(struct kt *t, struct kt_end *e, struct kt_wr *w)
{
	const struct ib_send_wr *bad = NULL;
	int ret = ib_post_send(e->qp, &w->send, &bad);

	KT_CHECK(t, !ret, "post_send of opcode %d: %d", w->send.opcode, ret);
}

int kt_try_recv(struct kt_end *e, struct kt_wr *w,
		const struct ib_recv_wr **bad)
{
	if (e->qp->srq)
		return ib_post_srq_recv(e->qp->srq, &w->recv, bad);
	return ib_post_recv(e->qp, &w->recv, bad);
}

void kt_post_recv(struct kt *t, struct kt_end *e, struct kt_wr *w)
{
	const struct ib_recv_wr *bad = NULL;
	int ret = kt_try_recv(e, w, &bad);

	KT_CHECK(t, !ret, "post_recv: %d", ret);
}

struct kt_wr *kt_recv_mem(struct kt *t, struct kt_end *e,
			  const struct kt_mem *mem, u32 off, u32 len)
{
	struct kt_wr *w = kt_recv(t);

	kt_sge(w, mem, off, len);
	kt_post_recv(t, e, w);
	return w;
}

/* Poll the CQs that nobody else polls. Return: were there any? */
static bool kt_poll_pair(struct kt_pair *p)
{
	struct ib_cq *cq[] = { p->a.scq, p->a.rcq, p->b.scq, p->b.rcq };
	int i;

	if (p->opts.poll != IB_POLL_DIRECT)
		return false;
	for (i = 0; i < ARRAY_SIZE(cq); i++)
		if (cq[i])
			ib_process_cq_direct(cq[i], -1);
	return true;
}

static bool kt_poll(struct kt *t)
{
	bool main = kt_poll_pair(&t->main);

	return kt_poll_pair(&t->other) || main;
}

bool kt_wait(struct kt *t, struct kt_wr *w)
{
	/* After a failure others may fail as well: do not wait for each. */
	unsigned long end = jiffies + (t->failed ? HZ : KT_PATIENCE);
	bool done;

	do {
		if (kt_poll(t)) {
			done = try_wait_for_completion(&w->done);
			if (!done)
				usleep_range(20, 50);
		} else {
			done = wait_for_completion_timeout(&w->done, HZ / 10);
		}
	} while (!done && time_before(jiffies, end));
	/* A later wait for it must return, too. */
	if (done)
		complete(&w->done);
	return done;
}

void kt_expect(struct kt *t, struct kt_wr *w, enum ib_wc_status status)
{
	int n = w - t->wr;

	if (!KT_CHECK(t, kt_wait(t, w), "no completion of request %d", n))
		return;
	KT_CHECK(t, w->wc.status == status, "request %d: %s, not %s", n,
		 ib_wc_status_msg(w->wc.status), ib_wc_status_msg(status));
}

void kt_do(struct kt *t, struct kt_end *e, struct kt_wr *w,
	   enum ib_wc_status status)
{
	kt_post(t, e, w);
	kt_expect(t, w, status);
}

void kt_settle(struct kt *t)
{
	int i;

	for (i = 0; i < 10; i++) {
		usleep_range(5000, 6000);
		kt_poll(t);
	}
}
