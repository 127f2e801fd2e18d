// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* One transfer: its receive request, its work request, its completions. */
#include <endian.h>

#include "interop.h"

static uint8_t *at(const struct interop *t, const struct interop_xfer *x, int i)
{
	return t->side[i].mem.p + x->off[i];
}

void interop_receive(struct interop *t, const struct interop_xfer *x)
{
	const struct interop_side *s = &t->side[1];
	struct ibv_sge sge[2];
	int n = 0;

	if (!t->op->receives)
		return;
	if (t->op->type == IBV_QPT_UD)
		sge[n++] = ht_sge(&s->mr, s->mem.p + x->grh, HT_GRH);
	if (t->op->sends && x->len)
		sge[n++] = ht_sge(&s->mr, at(t, x, 1), x->len);
	ht_ok(ht_recv_try(s->s->qp, NULL, ~x->id, sge, n));
}

void interop_post(struct interop *t, struct interop_xfer *x)
{
	const struct interop_side *a = &t->side[0], *b = &t->side[1];
	struct ht_wr w;

	if (t->op->type == IBV_QPT_UD)
		w = ht_ud_wr(x->id, &a->mr, at(t, x, 0), x->len, t->ah, b->s->qp->qp_num);
	else if (t->op->sends)
		w = ht_send_wr(x->id, &a->mr, at(t, x, 0), x->len);
	else
		w = ht_rdma_wr(x->id, t->op->opcode, &a->mr, at(t, x, 0), x->len, &b->mr,
			       at(t, x, 1));
	w.op = t->op->opcode;
	w.add = x->add;
	w.swap = x->swap;
	/* The immediate value and the key share their place in a work request. */
	w.imm = t->op->imm ? htobe32(x->id) : x->key;
	ht_post(a->s->qp, &w);
}

/* The kernel's receiver puts the IP header there: with the right addresses? */
static void check_grh(struct interop *t, const struct interop_xfer *x)
{
	const uint8_t *grh = t->side[1].mem.p + x->grh;
	const uint8_t *from = t->pair.dev[0].gid.raw, *to = t->pair.dev[1].gid.raw;

	if (t->c->gid == HT_GID_IPV6) {
		ht_check_bytes(grh + 8, from, 16, "the source address in the GRH");
		ht_check_bytes(grh + 24, to, 16, "the destination address in the GRH");
	} else {
		ht_check_bytes(grh + 32, from + 12, 4, "the source address in the GRH");
		ht_check_bytes(grh + 36, to + 12, 4, "the destination address in the GRH");
	}
	memcpy(t->side[1].shadow + x->grh, grh, HT_GRH);
}

void interop_wait(struct interop *t, const struct interop_xfer *x)
{
	const struct ht_side *a = t->side[0].s, *b = t->side[1].s;
	bool ud = t->op->type == IBV_QPT_UD;
	struct ibv_wc wc;

	ht_want_wc(a->scq, &wc, x->id, IBV_WC_SUCCESS);
	if (!t->op->receives)
		return;
	ht_want_wc(b->rcq, &wc, ~x->id, IBV_WC_SUCCESS);
	ht_eq(wc.opcode, t->op->wc);
	ht_eq(wc.byte_len, x->len + (ud ? HT_GRH : 0));
	ht_eq(!!(wc.wc_flags & IBV_WC_WITH_IMM), t->op->imm);
	if (t->op->imm)
		ht_eq(be32toh(wc.imm_data), (uint32_t)x->id);
	/* rxe sets the kernel's IB_WC_WITH_INVALIDATE, which is another bit here. */
	if (x->window)
		ht_eq(wc.invalidated_rkey, x->key);
	else
		ht_eq(wc.wc_flags & IBV_WC_WITH_INV, 0);
	if (ud) {
		ht_true(wc.wc_flags & IBV_WC_GRH);
		ht_eq(wc.src_qp, a->qp->qp_num);
		check_grh(t, x);
	}
}

/* --- memory windows ------------------------------------------------------------------ */

void interop_windows(struct interop *t, bool make)
{
	for (int i = 0; i < t->xfers; i++) {
		struct interop_xfer *x = &t->x[i];

		if (!make) {
			ht_ok(ibv_dealloc_mw(x->window));
			continue;
		}
		x->window = ibv_alloc_mw(t->side[1].s->pd, IBV_MW_TYPE_2);
		ht_check(x->window, "ibv_alloc_mw: %s", strerror(errno));
	}
}

/* Fails if the window's last key is still valid. */
void interop_bind(struct interop *t, struct interop_xfer *x)
{
	const struct interop_side *s = &t->side[1];
	struct ibv_send_wr wr, *bad;
	struct ibv_wc wc;

	x->key = ibv_inc_rkey(x->window->rkey);
	wr = (struct ibv_send_wr){
		.wr_id = x->id,
		.opcode = IBV_WR_BIND_MW,
		.send_flags = IBV_SEND_SIGNALED,
		.bind_mw = {
			.mw = x->window,
			.rkey = x->key,
			.bind_info = {
				.mr = s->mr.mr,
				.addr = ht_iova(&s->mr, at(t, x, 1)),
				.length = 100,
				.mw_access_flags = IBV_ACCESS_REMOTE_WRITE,
			},
		},
	};
	ht_ok(ibv_post_send(s->s->qp, &wr, &bad));
	ht_want_wc(s->s->scq, &wc, x->id, IBV_WC_SUCCESS);
	x->window->rkey = x->key;
}
