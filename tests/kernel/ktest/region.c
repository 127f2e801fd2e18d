// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Regions that REG_MR registers, and the expected effect of transfers. */
#include "ktest.h"

/* Four pages out of order; begins at an odd byte, ends short of a page. */
static const struct kt_piece kt_region_pieces[] = {
	{ 5 * 4096 + 123, 4096 - 123 },
	{ 2 * 4096, 4096 },
	{ 9 * 4096, 4096 },
	{ 3 * 4096, 777 },
};

bool kt_region_alloc(struct kt *t, struct kt_region *r, struct ib_pd *pd,
		     u32 pages)
{
	memset(r, 0, sizeof(*r));
	r->mr = ib_alloc_mr(pd, IB_MR_TYPE_MEM_REG, pages);
	if (KT_CHECK(t, !IS_ERR(r->mr), "ib_alloc_mr: %pe", r->mr))
		return true;
	r->mr = NULL;
	return false;
}

bool kt_foreign_open(struct kt *t)
{
	if (!kt_region_alloc(t, &t->foreign, t->pd2, KT_PIECES))
		return false;
	kt_pair_open(t, &t->other, t->pd2, (struct kt_opts){ IB_POLL_SOFTIRQ });
	return !t->failed;
}

void kt_region_free(struct kt *t, struct kt_region *r)
{
	int ret;

	if (!r->mr)
		return;
	ret = ib_dereg_mr(r->mr);
	KT_CHECK(t, !ret, "ib_dereg_mr: %d", ret);
	r->mr = NULL;
}

int kt_region_map(struct kt_region *r, struct kt_mem *mem,
		  const struct kt_piece *piece, u32 num, u32 *offset,
		  u32 page_size)
{
	u32 i;

	r->mem = mem;
	r->num = num;
	sg_init_table(r->sg, num);
	for (i = 0; i < num; i++) {
		r->piece[i] = piece[i];
		sg_set_buf(&r->sg[i], mem->p + piece[i].off, piece[i].len);
		/* Map all of the mem: what ib_dma_map_sg() sets. */
		sg_dma_address(&r->sg[i]) = mem->dma + piece[i].off;
		sg_dma_len(&r->sg[i]) = piece[i].len;
	}
	return ib_map_mr_sg(r->mr, r->sg, num, offset, page_size);
}

void kt_region_map_usual(struct kt *t, struct kt_region *r, struct kt_mem *mem)
{
	int ret = kt_region_map(r, mem, kt_region_pieces,
				ARRAY_SIZE(kt_region_pieces), NULL, SZ_4K);

	KT_CHECK(t,
		 ret == ARRAY_SIZE(kt_region_pieces) &&
			 r->mr->length == KT_REGION_BYTES,
		 "mapped %d pieces, %llu bytes", ret, (u64)r->mr->length);
	KT_CHECK(t, r->mr->iova % SZ_4K == 123, "IOVA %#llx", r->mr->iova);
}

struct kt_wr *kt_region_wr(struct kt *t, struct kt_region *r, int access)
{
	struct kt_wr *w = kt_wr(t, IB_WR_REG_MR);

	ib_update_fast_reg_key(r->mr, ++t->key);
	w->reg.mr = r->mr;
	w->reg.key = r->mr->rkey;
	w->reg.access = access;
	return w;
}

void kt_region_reg(struct kt *t, struct kt_end *e, struct kt_region *r,
		   struct kt_mem *mem, int access)
{
	kt_region_map_usual(t, r, mem);
	kt_do(t, e, kt_region_wr(t, r, access), IB_WC_SUCCESS);
}

void kt_region_inv(struct kt *t, struct kt_end *e, struct kt_region *r)
{
	struct kt_wr *w = kt_inv(t, IB_WR_LOCAL_INV, r->mr->rkey);

	kt_do(t, e, w, IB_WC_SUCCESS);
	KT_CHECK(t, w->wc.opcode == IB_WC_LOCAL_INV, "opcode %d", w->wc.opcode);
}

u32 kt_region_at(const struct kt_region *r, u32 off)
{
	u32 i;

	for (i = 0; i < r->num; i++) {
		if (off < r->piece[i].len)
			return r->piece[i].off + off;
		off -= r->piece[i].len;
	}
	return 0;
}

void kt_region_moved_in(struct kt_region *r, u32 off, const struct kt_mem *from,
			u32 from_off, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		r->mem->want[kt_region_at(r, off + i)] =
			from->want[from_off + i];
}

void kt_region_moved_out(struct kt_mem *to, u32 to_off,
			 const struct kt_region *r, u32 off, u32 len)
{
	u32 i;

	for (i = 0; i < len; i++)
		to->want[to_off + i] = r->mem->want[kt_region_at(r, off + i)];
}

void kt_region_write(struct kt *t, struct kt_pair *p, struct kt_region *r,
		     u32 off, u32 len)
{
	struct kt_wr *w =
		kt_rdma(t, IB_WR_RDMA_WRITE, r->mr->iova + off, r->mr->rkey);

	/* Another place each time: otherwise the bytes may be there already. */
	kt_sge_key(w, t->mem[0].dma + 1 + t->key, len, p->pd->local_dma_lkey);
	kt_do(t, &p->b, w, IB_WC_SUCCESS);
	kt_region_moved_in(r, off, &t->mem[0], 1 + t->key, len);
}

void kt_key_refused(struct kt *t, struct kt_pair *p, u64 addr, u32 key)
{
	struct kt_wr *w = kt_rdma(t, IB_WR_RDMA_WRITE, addr, key);

	kt_sge_key(w, t->mem[0].dma, 1, p->pd->local_dma_lkey);
	kt_do(t, &p->b, w, IB_WC_REM_ACCESS_ERR);
	kt_pair_died(t, p);
}
