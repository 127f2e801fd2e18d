// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Rings without the library: found in /proc/self/maps, written by hand. */
#include <sys/ioctl.h>

#include "rules.h"

void raw_shape(struct ht_ring *r, uint32_t num, uint32_t stride)
{
	r->num = num;
	r->stride = stride;
	ht_true(HODP_RING_ENTRIES_OFFSET + (size_t)num * stride <= r->size);
}

int raw_ring_send(uint32_t qpn)
{
	static int bell = -1;

	if (bell < 0)
		bell = ht_doorbell_file();
	ht_check(bell >= 0, "there is no doorbell file");
	return ioctl(bell, HODP_IOCTL_RING_SEND, (unsigned long)qpn) ? errno : 0;
}

/*
 * The QP's two rings. The library maps the send queue's first, but the addresses
 * prove nothing. Both are empty; their sizes tell them apart, and are made to
 * differ.
 */
static void qp_rings(struct raw_pair *p)
{
	struct ht_ring two[2];
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	uint32_t stride;

	ht_eq(ht_new_rings(two, 2), 2);
	ht_ok(ibv_query_qp(p->r.a->qp, &attr, IBV_QP_CAP, &init));
	p->cap = init.cap;
	/* Behind the header there is space for SGEs or inline data: see the ABI. */
	stride = sizeof(struct hodp_send_wqe) + init.cap.max_inline_data;
	p->sq = two[two[0].size < two[1].size];
	p->rq = two[two[0].size >= two[1].size];
	raw_shape(&p->sq, init.cap.max_send_wr, stride);
	raw_shape(&p->rq, init.cap.max_recv_wr,
		  sizeof(struct hodp_recv_wqe) + init.cap.max_recv_sge * sizeof(struct hodp_sge));
}

void raw_pair_get(struct raw_pair *p, const struct ht_conf *conf, size_t len)
{
	struct ht_side *s;

	memset(p, 0, sizeof(*p));
	ht_pair_open(&p->r.pair, conf);
	s = &p->r.pair.s[0];
	if (!s->dev->is_hodp)
		ht_skip("the layout of this device's rings is another");
	p->r.a = s;
	p->r.b = &p->r.pair.s[1];
	ht_new_rings(NULL, 0);
	s->scq = ibv_create_cq(s->dev->ctx, p->r.pair.conf.cq_depth, s, NULL, 0);
	ht_eq(ht_new_rings(&p->scq, 1), 1);
	s->rcq = ibv_create_cq(s->dev->ctx, p->r.pair.conf.cq_depth, s, NULL, 0);
	ht_eq(ht_new_rings(&p->rcq, 1), 1);
	ht_true(s->scq && s->rcq);
	raw_shape(&p->scq, s->scq->cqe, sizeof(struct hodp_cqe));
	raw_shape(&p->rcq, s->rcq->cqe, sizeof(struct hodp_cqe));
	ht_side_create(s, &p->r.pair.conf, 0);
	qp_rings(p);
	ht_side_create(p->r.b, &p->r.pair.conf, 1);
	ht_pair_connect(&p->r.pair);
	ht_rig_mem(&p->r, len, HT_ANON, HT_ODP);
}

struct hodp_sge raw_sge(const struct raw_pair *p, size_t off, uint32_t len)
{
	return (struct hodp_sge){
		.addr = ht_iova(&p->r.mr[0], p->r.p[0] + off),
		.length = len,
		.lkey = p->r.mr[0].mr->lkey,
	};
}

struct hodp_send_wqe raw_write(const struct raw_pair *p, uint64_t id)
{
	return (struct hodp_send_wqe){
		.wr_id = id,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.num_sge = 1,
		.rdma = { .remote_addr = ht_iova(&p->r.mr[1], p->r.p[1]),
			  .rkey = p->r.mr[1].mr->rkey },
	};
}

void raw_put(struct raw_pair *p, const struct hodp_send_wqe *wqe, const void *tail, size_t len)
{
	uint32_t at = p->sq.hdr->prod;

	memcpy(raw_at(&p->sq, at), wqe, sizeof(*wqe));
	memcpy(raw_at(&p->sq, at) + sizeof(*wqe), tail, len);
	__atomic_store_n(&p->sq.hdr->prod, at + 1, __ATOMIC_RELEASE);
}

void raw_post(struct raw_pair *p, const struct hodp_send_wqe *wqe, const void *tail, size_t len)
{
	raw_put(p, wqe, tail, len);
	ht_ok(raw_ring_send(p->r.a->qp->qp_num));
}
