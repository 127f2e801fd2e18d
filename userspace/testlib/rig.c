// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The usual stage of a test: a connected pair and a registered buffer each. */
#include "ht.h"

enum ht_mr_kind ht_best_mr(const struct ht_dev *d)
{
	const char *name = getenv("HODP_MR");

	if (!name || !*name)
		return d->is_hodp ? HT_ODP : HT_PINNED;
	for (int i = 0; i < HT_MR_KINDS; i++) {
		if (!strcmp(name, ht_mr_name(i)))
			return i;
	}
	ht_fail("HODP_MR=%s: there is no such kind of region", name);
}

void ht_rig_mem(struct ht_rig *r, size_t len, enum ht_mem_kind mem, enum ht_mr_kind mr)
{
	for (int i = 0; i < 2; i++) {
		ht_mem_get(&r->mem[i], mem, len, 0);
		ht_mr_get(&r->mr[i], r->pair.s[i].pd, r->mem[i].p, r->mem[i].len, mr,
			  HT_ACCESS_ALL);
		r->p[i] = r->mem[i].p;
	}
	r->len = r->mem[0].len;
	r->a = &r->pair.s[0];
	r->b = &r->pair.s[1];
}

void ht_rig_get_kind(struct ht_rig *r, const struct ht_conf *conf, size_t len, enum ht_mem_kind mem,
		     enum ht_mr_kind mr)
{
	memset(r, 0, sizeof(*r));
	ht_pair_get(&r->pair, conf);
	ht_need_mr(r->pair.s[0].dev, mr);
	ht_rig_mem(r, len, mem, mr);
}

void ht_rig_get(struct ht_rig *r, const struct ht_conf *conf, size_t len)
{
	memset(r, 0, sizeof(*r));
	ht_pair_get(&r->pair, conf);
	ht_rig_mem(r, len, HT_ANON, ht_best_mr(r->pair.s[0].dev));
}

void ht_rig_put(struct ht_rig *r)
{
	for (int i = 0; i < 2; i++) {
		ht_mr_put(&r->mr[i]);
		ht_mem_put(&r->mem[i]);
	}
	ht_pair_put(&r->pair);
}

struct ht_wr ht_rig_wr(const struct ht_rig *r, enum ibv_wr_opcode op, size_t loff, uint32_t len,
		       size_t roff)
{
	static uint64_t next = 0x7100;

	return ht_rdma_wr(next++, op, &r->mr[0], r->p[0] + loff, len, &r->mr[1], r->p[1] + roff);
}

void ht_rig_fill(const struct ht_rig *r, uint64_t seed, uint8_t *shadow[2])
{
	for (int i = 0; i < 2; i++) {
		ht_fill(r->p[i], r->len, seed + i, 0);
		if (shadow) {
			shadow[i] = malloc(r->len);
			memcpy(shadow[i], r->p[i], r->len);
		}
	}
}

void ht_rig_do(const struct ht_rig *r, enum ibv_wr_opcode op, size_t loff, uint32_t len,
	       size_t roff)
{
	struct ht_wr w = ht_rig_wr(r, op, loff, len, roff);

	ht_do(r->a, &w);
}

void ht_settle(const struct ht_side *a, const struct ht_side *b)
{
	struct ht_wr w = { .id = 0x5e771e, .op = IBV_WR_SEND, .no_sge = true };
	struct ibv_wc wc;

	if (a->qp->qp_type != IBV_QPT_UC)
		return;
	ht_recv(b, w.id, NULL, NULL, 0);
	ht_do(a, &w);
	ht_want_wc(b->rcq, &wc, w.id, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, 0);
}

void ht_rig_settle(const struct ht_rig *r)
{
	ht_settle(r->a, r->b);
}

void ht_buffers(struct ht_pair *p, uint8_t *buf[2], struct ht_mr mr[2], size_t len, uint64_t seed,
		int access)
{
	for (int i = 0; i < 2; i++) {
		buf[i] = aligned_alloc(HT_PAGE, len);
		ht_fill(buf[i], len, seed + i, 0);
		ht_mr_get(&mr[i], p->s[i].pd, buf[i], len, ht_best_mr(p->s[i].dev), access);
	}
}
