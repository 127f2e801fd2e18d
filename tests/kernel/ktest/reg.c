// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* ib_map_mr_sg() and REG_MR: what a region is, and who may do what with it. */
#include "ktest.h"

#define KT_END KT_REGION_BYTES

/* WRITE and READ by the rkey: odd offsets, across pages, to both ends. */
static void kt_reg_bytes(struct kt *t)
{
	static const struct kt_piece at[] = {
		{ 0, 1 },	{ 0, KT_END },	   { KT_END - 1, 1 },
		{ 3970, 7 },	{ 3973, 4096 },	   { 3972, 4098 },
		{ 8068, 4096 }, { 12164, 778 },	   { 1, KT_END - 2 },
		{ 8069, 8 },	{ KT_END - 4, 4 }, { 4000, 8001 },
	};
	struct kt_region *r = &t->region;
	struct kt_wr *w;
	int i;

	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		u32 off = at[i].off, len = at[i].len, half = len / 2;

		/* Bytes that differ from those already there. */
		t->key++;
		kt_region_write(t, &t->main, r, off, len);
		w = kt_rdma(t, IB_WR_RDMA_READ, r->mr->iova + off, r->mr->rkey);
		kt_sge(w, &t->mem[2], 4000, half);
		kt_sge(w, &t->mem[2], 30001, len - half);
		kt_do(t, &t->main.b, w, IB_WC_SUCCESS);
		kt_region_moved_out(&t->mem[2], 4000, r, off, half);
		kt_region_moved_out(&t->mem[2], 30001, r, off + half,
				    len - half);
	}
}

/* The owner's SGEs may name it: as source, receive buffer, READ target. */
static void kt_reg_local(struct kt *t)
{
	struct kt_region *r = &t->region;
	struct kt_wr *w, *in;

	kt_region_reg(t, &t->main.a, r, &t->mem[1], IB_ACCESS_LOCAL_WRITE);
	in = kt_recv(t);
	kt_sge_key(in, r->mr->iova + 3900, 5000, r->mr->lkey);
	kt_post_recv(t, &t->main.a, in);
	w = kt_wr(t, IB_WR_SEND);
	kt_sge(w, &t->mem[0], 9, 4999);
	kt_do(t, &t->main.b, w, IB_WC_SUCCESS);
	kt_expect(t, in, IB_WC_SUCCESS);
	kt_region_moved_in(r, 3900, &t->mem[0], 9, 4999);

	w = kt_rdma_mem(t, IB_WR_RDMA_READ, &t->mem[0], 77);
	kt_sge_key(w, r->mr->iova + 1, 8100, r->mr->lkey);
	kt_do(t, &t->main.a, w, IB_WC_SUCCESS);
	kt_region_moved_in(r, 1, &t->mem[0], 77, 8100);

	w = kt_rdma_mem(t, IB_WR_RDMA_WRITE, &t->mem[2], 5);
	kt_sge_key(w, r->mr->iova, KT_END, r->mr->lkey);
	kt_do(t, &t->main.a, w, IB_WC_SUCCESS);
	kt_region_moved_out(&t->mem[2], 5, r, 0, KT_END);
}

/* A gap in the list ends the mapping; nothing behind it is accessible. */
static void kt_reg_gap(struct kt *t)
{
	static const struct kt_piece gap[] = {
		{ 4096 + 1, 4095 },
		{ 2 * 4096, 4096 },
		{ 5 * 4096, 100 },
		{ 7 * 4096, 4096 },
	};
	static const struct kt_piece hole[] = {
		{ 4096, 4096 },
		{ 3 * 4096 + 8, 100 },
	};
	struct kt_region *r = &t->region;
	int ret;

	ret = kt_region_map(r, &t->mem[1], hole, 2, NULL, SZ_4K);
	KT_CHECK(t, ret == 1 && r->mr->length == 4096, "hole: %d, %llu", ret,
		 (u64)r->mr->length);
	ret = kt_region_map(r, &t->mem[1], gap, 4, NULL, SZ_4K);
	KT_CHECK(t, ret == 3 && r->mr->length == 4095 + 4096 + 100,
		 "gap: %d, %llu", ret, (u64)r->mr->length);
	kt_do(t, &t->main.a, kt_region_wr(t, r, KT_RW), IB_WC_SUCCESS);
	kt_region_write(t, &t->main, r, 1, 4095 + 4096 + 99);
	kt_key_refused(t, &t->main, r->mr->iova + 4095 + 4096 + 100,
		       r->mr->rkey);
}

/*
 * As many pages as were asked for; for a longer piece the returned offset tells
 * how far (ib_sg_to_pages() leaves out the last page that it could take).
 */
static void kt_reg_full(struct kt *t)
{
	struct kt_piece piece[KT_PIECES];
	struct kt_piece whole = { 4096, 10 * 4096 };
	u32 offset = 0, len = (KT_PIECES - 1) * 4096;
	struct kt_region *r = &t->region;
	int i, ret;

	for (i = 0; i < KT_PIECES; i++)
		piece[i] = (struct kt_piece){ (15 - 2 * i) * 4096, 4096 };
	ret = kt_region_map(r, &t->mem[1], piece, KT_PIECES, &offset, SZ_4K);
	KT_CHECK(t, ret == KT_PIECES && !offset, "full: %d, %u", ret, offset);
	kt_do(t, &t->main.a, kt_region_wr(t, r, KT_RW), IB_WC_SUCCESS);
	kt_region_write(t, &t->main, r, 0, KT_PIECES * 4096);
	kt_region_inv(t, &t->main.a, r);

	offset = 33;
	ret = kt_region_map(r, &t->mem[1], &whole, 1, &offset, SZ_4K);
	KT_CHECK(t,
		 !ret && offset == len && r->mr->length == len - 33 &&
			 r->mr->iova == t->mem[1].dma + 4096 + 33,
		 "one page more: %d, offset %u, %llu bytes", ret, offset,
		 (u64)r->mr->length);
	kt_do(t, &t->main.a, kt_region_wr(t, r, KT_RW), IB_WC_SUCCESS);
	/* The region begins behind the piece's first 33 bytes. */
	r->piece[0] = (struct kt_piece){ 4096 + 33, 10 * 4096 - 33 };
	kt_region_write(t, &t->main, r, 5, len - 33 - 5);
	kt_key_refused(t, &t->main, r->mr->iova + r->mr->length, r->mr->rkey);
}

/* Pages of 64 KiB, and an IOVA of the consumer's choice (as NFS makes it). */
static void kt_reg_large_page(struct kt *t)
{
	static const struct kt_piece piece = { 4097, 50001 };
	struct kt_region *r = &t->region;
	int ret;

	ret = kt_region_map(r, &t->mem[1], &piece, 1, NULL, SZ_64K);
	KT_CHECK(t, ret == 1 && r->mr->length == 50001, "%d, %llu", ret,
		 (u64)r->mr->length);
	r->mr->iova = (r->mr->iova & U32_MAX) | 0xabcdULL << 32;
	kt_do(t, &t->main.a, kt_region_wr(t, r, KT_RW), IB_WC_SUCCESS);
	kt_region_write(t, &t->main, r, 0, 50001);
	kt_region_write(t, &t->main, r, 4095, 4097);
	kt_key_refused(t, &t->main, t->mem[1].dma + 4097, r->mr->rkey);
}

/* REG_MR fails for a region never mapped, or longer than its pages. */
static void kt_reg_unmapped(struct kt *t)
{
	struct kt_region *r = &t->region;

	kt_do(t, &t->main.a, kt_region_wr(t, r, KT_RW), IB_WC_MW_BIND_ERR);
	kt_pair_reconnect(t, &t->main);
	kt_region_map_usual(t, r, &t->mem[1]);
	/* The same length does not fit from later in the first page. */
	r->mr->iova += 3900;
	kt_do(t, &t->main.a, kt_region_wr(t, r, KT_RW), IB_WC_MW_BIND_ERR);
	kt_pair_reconnect(t, &t->main);
	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	kt_region_write(t, &t->main, r, 0, KT_REGION_BYTES);
}

/* A right that the region does not grant is a remote access error. */
static void kt_reg_rights(struct kt *t)
{
	static const struct {
		int access;
		enum ib_wr_opcode op;
		enum ib_wc_status status;
	} row[] = {
		{ IB_ACCESS_LOCAL_WRITE, IB_WR_RDMA_WRITE,
		  IB_WC_REM_ACCESS_ERR },
		{ IB_ACCESS_LOCAL_WRITE, IB_WR_RDMA_READ,
		  IB_WC_REM_ACCESS_ERR },
		{ IB_ACCESS_REMOTE_READ, IB_WR_RDMA_WRITE,
		  IB_WC_REM_ACCESS_ERR },
		{ IB_ACCESS_REMOTE_READ, IB_WR_RDMA_READ, IB_WC_SUCCESS },
		{ IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE,
		  IB_WR_RDMA_READ, IB_WC_REM_ACCESS_ERR },
		{ KT_RW, IB_WR_ATOMIC_FETCH_AND_ADD, IB_WC_REM_ACCESS_ERR },
	};
	struct kt_region *r = &t->region;
	struct kt_wr *w;
	int i;

	for (i = 0; i < ARRAY_SIZE(row); i++) {
		kt_region_reg(t, &t->main.a, r, &t->mem[1], row[i].access);
		w = kt_rdma(t, row[i].op, r->mr->iova + 5, r->mr->rkey);
		if (row[i].op == IB_WR_ATOMIC_FETCH_AND_ADD) {
			w->atomic.remote_addr = r->mr->iova + 5;
			w->atomic.compare_add = 1;
			w->atomic.rkey = r->mr->rkey;
		}
		kt_sge(w, &t->mem[0], 100, 8);
		kt_do(t, &t->main.b, w, row[i].status);
		if (row[i].status == IB_WC_SUCCESS)
			kt_region_moved_out(&t->mem[0], 100, r, 5, 8);
		else
			kt_pair_died(t, &t->main);
		kt_region_inv(t, &t->main.a, r);
	}
}

/* Without local write a region can be sent from, but not read into. */
static void kt_reg_local_rights(struct kt *t)
{
	struct kt_region *r = &t->region;
	struct kt_wr *w;

	kt_region_reg(t, &t->main.a, r, &t->mem[1], 0);
	w = kt_rdma_mem(t, IB_WR_RDMA_WRITE, &t->mem[2], 5);
	kt_sge_key(w, r->mr->iova + 7, 4096, r->mr->lkey);
	kt_do(t, &t->main.a, w, IB_WC_SUCCESS);
	kt_region_moved_out(&t->mem[2], 5, r, 7, 4096);
	w = kt_rdma_mem(t, IB_WR_RDMA_READ, &t->mem[2], 5);
	kt_sge_key(w, r->mr->iova + 7, 4096, r->mr->lkey);
	kt_do(t, &t->main.a, w, IB_WC_LOC_PROT_ERR);
}

/* A byte before the region, a byte behind it, are not in it. */
static void kt_reg_bounds(struct kt *t)
{
	static const struct {
		s32 off;
		u32 len;
	} row[] = {
		{ -1, 1 },	    { -1, 2 },	       { KT_END, 1 },
		{ KT_END - 1, 2 },  { 0, KT_END + 1 }, { 1, KT_END },
		{ -1, KT_END + 1 },
	};
	static const enum ib_wr_opcode op[] = { IB_WR_RDMA_WRITE,
						IB_WR_RDMA_READ };
	struct kt_region *r = &t->region;
	struct kt_wr *w;
	int i, j;

	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	for (i = 0; i < ARRAY_SIZE(row); i++) {
		for (j = 0; j < ARRAY_SIZE(op); j++) {
			w = kt_rdma(t, op[j], r->mr->iova + row[i].off,
				    r->mr->rkey);
			kt_sge(w, &t->mem[0], 1, row[i].len);
			kt_do(t, &t->main.b, w, IB_WC_REM_ACCESS_ERR);
			kt_pair_died(t, &t->main);
		}
	}
	kt_region_write(t, &t->main, r, 0, KT_END);
}

/* A region belongs to its PD: others neither use nor register it. */
static void kt_reg_other_pd(struct kt *t)
{
	struct kt_region *r = &t->foreign;
	struct kt_wr *w;

	if (!kt_foreign_open(t))
		return;
	kt_region_reg(t, &t->other.a, r, &t->mem[1], KT_RW);
	kt_key_refused(t, &t->main, r->mr->iova, r->mr->rkey);
	w = kt_rdma_mem(t, IB_WR_RDMA_WRITE, &t->mem[2], 0);
	kt_sge_key(w, r->mr->iova, 1, r->mr->lkey);
	kt_do(t, &t->main.a, w, IB_WC_LOC_PROT_ERR);
	kt_pair_reconnect(t, &t->main);
	kt_region_write(t, &t->other, r, 0, KT_END);

	kt_region_inv(t, &t->other.a, r);
	kt_do(t, &t->main.a, kt_region_wr(t, r, KT_RW), IB_WC_MW_BIND_ERR);
	kt_pair_reconnect(t, &t->main);
	kt_do(t, &t->other.a, kt_region_wr(t, r, KT_RW), IB_WC_SUCCESS);
	kt_region_write(t, &t->other, r, 1, KT_END - 1);
}

/* All keys that a region can have, one after the other; each alone works. */
static void kt_reg_many(struct kt *t)
{
	struct kt_region *r = &t->region;
	int i, wrs = t->wrs;

	for (i = 0; i < 300; i++) {
		kt_region_reg(t, &t->main.a, r, &t->mem[1 + i % 3], KT_RW);
		kt_region_write(t, &t->main, r, i * 31, 33);
		kt_region_inv(t, &t->main.a, r);
		t->wrs = wrs;
	}
}

/* No key of a region destroyed while valid works. */
static void kt_reg_destroyed(struct kt *t)
{
	struct kt_region *r = &t->region;
	u64 iova;
	u32 key;

	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	iova = r->mr->iova;
	key = r->mr->rkey;
	kt_region_free(t, r);
	kt_key_refused(t, &t->main, iova, key);
	if (!kt_region_alloc(t, r, t->pd, KT_PIECES))
		return;
	kt_key_refused(t, &t->main, iova, r->mr->rkey);
}

const struct kt_case kt_reg_cases[] = {
	{ "reg-bytes", kt_reg_bytes },
	{ "reg-bytes-direct", kt_reg_bytes, { IB_POLL_DIRECT } },
	{ "reg-local", kt_reg_local },
	{ "reg-gap", kt_reg_gap },
	{ "reg-full", kt_reg_full },
	{ "reg-large-page", kt_reg_large_page },
	{ "reg-unmapped", kt_reg_unmapped },
	{ "reg-rights", kt_reg_rights },
	{ "reg-local-rights", kt_reg_local_rights },
	{ "reg-bounds", kt_reg_bounds },
	{ "reg-other-pd", kt_reg_other_pd },
	{ "reg-many", kt_reg_many },
	{ "reg-destroyed", kt_reg_destroyed },
	{}
};
