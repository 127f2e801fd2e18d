// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * LOCAL_INV, SEND_WITH_INV, and REG_MR of what is registered: a key works from
 * its REG_MR to its invalidation, for the memory that REG_MR found mapped.
 */
#include "ktest.h"

/* REG_MR of a valid region fails and changes nothing of it. */
static void kt_reg_valid(struct kt *t)
{
	struct kt_wr *w, *behind;
	struct kt_region *r = &t->region;
	u32 key;

	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	key = r->mr->rkey;
	w = kt_region_wr(t, r, IB_ACCESS_LOCAL_WRITE);
	behind = kt_rdma_mem(t, IB_WR_RDMA_WRITE, &t->mem[2], 0);
	kt_sge(behind, &t->mem[0], 0, 100);
	kt_link(w, behind);
	kt_do(t, &t->main.a, w, IB_WC_MW_BIND_ERR);
	kt_expect(t, behind, IB_WC_WR_FLUSH_ERR);
	KT_CHECK(t, kt_end_state(&t->main.a) == IB_QPS_ERR, "not in ERR");
	kt_pair_reconnect(t, &t->main);

	kt_key_refused(t, &t->main, r->mr->iova, r->mr->rkey);
	ib_update_fast_reg_key(r->mr, key);
	kt_region_write(t, &t->main, r, 0, KT_REGION_BYTES);
	kt_region_inv(t, &t->main.a, r);
}

/*
 * Mapping other memory gives no access before REG_MR: consumers map before they
 * post LOCAL_INV for the old memory (rdma_rw_ctx_init()).
 */
static void kt_map_valid(struct kt *t)
{
	static const struct kt_piece more[] = {
		{ 8 * 4096, 4096 }, { 4096, 4096 },	 { 10 * 4096, 4096 },
		{ 6 * 4096, 4096 }, { 14 * 4096, 4096 },
	};
	struct kt_region *r = &t->region, old;
	struct kt_wr *w, *reg;
	u32 key;

	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	key = r->mr->rkey;
	old = *r;
	kt_region_map(r, &t->mem[2], more, ARRAY_SIZE(more), NULL, SZ_4K);

	/* The old key still gives access to the old memory, all of it. */
	w = kt_rdma(t, IB_WR_RDMA_WRITE, t->mem[1].dma + 5 * 4096 + 123, key);
	kt_sge(w, &t->mem[0], 1, KT_REGION_BYTES);
	kt_do(t, &t->main.b, w, IB_WC_SUCCESS);
	kt_region_moved_in(&old, 0, &t->mem[0], 1, KT_REGION_BYTES);

	w = kt_inv(t, IB_WR_LOCAL_INV, key);
	reg = kt_region_wr(t, r, KT_RW);
	kt_link(w, reg);
	kt_do(t, &t->main.a, w, IB_WC_SUCCESS);
	kt_expect(t, reg, IB_WC_SUCCESS);
	kt_region_write(t, &t->main, r, 3, 5 * 4096 - 3);
	kt_key_refused(t, &t->main, r->mr->iova, key);

	/* The memory mapped last can be registered again. */
	kt_region_inv(t, &t->main.a, r);
	kt_do(t, &t->main.a, kt_region_wr(t, r, KT_RW), IB_WC_SUCCESS);
	kt_region_write(t, &t->main, r, 0, 5 * 4096);
}

/* After LOCAL_INV the key is refused; the next key works, the old one not. */
static void kt_local_inv(struct kt *t)
{
	struct kt_region *r = &t->region;
	u64 iova;
	u32 key;

	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	kt_region_write(t, &t->main, r, 0, KT_REGION_BYTES);
	iova = r->mr->iova;
	key = r->mr->rkey;
	kt_region_inv(t, &t->main.a, r);
	kt_key_refused(t, &t->main, iova, key);
	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	KT_CHECK(t, r->mr->rkey != key && r->mr->rkey >> 8 == key >> 8,
		 "keys %x, %x", key, r->mr->rkey);
	kt_region_write(t, &t->main, r, 1, KT_REGION_BYTES - 2);
	kt_key_refused(t, &t->main, iova, key);
}

#define KT_BAD_KEYS 4

/* Keys that the main pair may not invalidate, and two regions, valid. */
static bool kt_bad_open(struct kt *t, u32 key[KT_BAD_KEYS])
{
	if (!kt_foreign_open(t))
		return false;
	kt_region_reg(t, &t->main.a, &t->region, &t->mem[1], KT_RW);
	kt_region_reg(t, &t->other.a, &t->foreign, &t->mem[2], KT_RW);
	key[0] = t->foreign.mr->rkey;
	key[1] = t->region.mr->rkey ^ 0x80; /* not its key of now */
	key[2] = 0x7fffff00; /* nobody's */
	key[3] = t->pd->local_dma_lkey;
	return true;
}

/* The regions are still valid. */
static void kt_bad_close(struct kt *t)
{
	kt_region_write(t, &t->main, &t->region, 0, KT_REGION_BYTES);
	kt_region_write(t, &t->other, &t->foreign, 0, KT_REGION_BYTES);
}

/* LOCAL_INV of a key that may not be invalidated here fails, no effect. */
static void kt_local_inv_bad(struct kt *t)
{
	u32 key[KT_BAD_KEYS];
	int i;

	if (!kt_bad_open(t, key))
		return;
	for (i = 0; i < KT_BAD_KEYS; i++) {
		kt_do(t, &t->main.a, kt_inv(t, IB_WR_LOCAL_INV, key[i]),
		      IB_WC_MW_BIND_ERR);
		KT_CHECK(t,
			 kt_end_state(&t->main.a) == IB_QPS_ERR &&
				 kt_end_state(&t->main.b) == IB_QPS_RTS,
			 "%d: states %d, %d", i, kt_end_state(&t->main.a),
			 kt_end_state(&t->main.b));
		kt_pair_reconnect(t, &t->main);
	}
	kt_bad_close(t);
}

/* An invalid region can be invalidated all the same. */
static void kt_local_inv_twice(struct kt *t)
{
	struct kt_region *r = &t->region;

	kt_region_inv(t, &t->main.a, r);
	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	kt_region_inv(t, &t->main.a, r);
	kt_region_inv(t, &t->main.a, r);
	kt_key_refused(t, &t->main, r->mr->iova, r->mr->rkey);
	kt_region_reg(t, &t->main.a, r, &t->mem[1], KT_RW);
	kt_region_write(t, &t->main, r, 9, 9000);
}

/* SEND_WITH_INV: the data arrives, the receiver learns which key is invalid. */
static void kt_send_inv(struct kt *t)
{
	struct kt_wr *s, *in;
	struct kt_region *r = &t->region;
	int i;

	for (i = 0; i < 3; i++) {
		u32 len = i * 4000;

		kt_region_reg(t, &t->main.b, r, &t->mem[1], KT_RW);
		in = kt_recv_mem(t, &t->main.b, &t->mem[2], 9, 9000);
		s = kt_inv(t, IB_WR_SEND_WITH_INV, r->mr->rkey);
		kt_sge(s, &t->mem[0], 30000 + i, len);
		kt_do(t, &t->main.a, s, IB_WC_SUCCESS);
		kt_expect(t, in, IB_WC_SUCCESS);
		kt_moved(&t->mem[2], 9, &t->mem[0], 30000 + i, len);
		KT_CHECK(t,
			 in->wc.opcode == IB_WC_RECV &&
				 in->wc.wc_flags == IB_WC_WITH_INVALIDATE &&
				 in->wc.ex.invalidate_rkey == r->mr->rkey &&
				 in->wc.byte_len == len &&
				 s->wc.opcode == IB_WC_SEND,
			 "opcode %d, flags %x, key %x, %u bytes", in->wc.opcode,
			 in->wc.wc_flags, in->wc.ex.invalidate_rkey,
			 in->wc.byte_len);
		kt_key_refused(t, &t->main, r->mr->iova, r->mr->rkey);
	}
}

/* SEND_WITH_INV of a bad key is a remote access error and ends both QPs. */
static void kt_send_inv_bad(struct kt *t)
{
	struct kt_wr *s, *in[2], *behind;
	u32 key[KT_BAD_KEYS];
	int i;

	if (!kt_bad_open(t, key))
		return;
	for (i = 0; i < KT_BAD_KEYS; i++) {
		in[0] = kt_recv(t);
		in[1] = kt_recv(t);
		kt_post_recv(t, &t->main.b, in[0]);
		kt_post_recv(t, &t->main.b, in[1]);
		s = kt_inv(t, IB_WR_SEND_WITH_INV, key[i]);
		behind = kt_wr(t, IB_WR_SEND);
		kt_link(s, behind);
		kt_do(t, &t->main.a, s, IB_WC_REM_ACCESS_ERR);
		kt_expect(t, behind, IB_WC_WR_FLUSH_ERR);
		kt_expect(t, in[0], IB_WC_WR_FLUSH_ERR);
		kt_expect(t, in[1], IB_WC_WR_FLUSH_ERR);
		kt_pair_died(t, &t->main);
	}
	kt_bad_close(t);
}

/* A peer may not invalidate the key of a region that gives peers no right. */
static void kt_send_inv_local(struct kt *t)
{
	struct kt_wr *in, *w;
	struct kt_region *r = &t->region;

	kt_region_reg(t, &t->main.b, r, &t->mem[1], IB_ACCESS_LOCAL_WRITE);
	in = kt_recv(t);
	kt_post_recv(t, &t->main.b, in);
	kt_do(t, &t->main.a, kt_inv(t, IB_WR_SEND_WITH_INV, r->mr->rkey),
	      IB_WC_REM_ACCESS_ERR);
	kt_expect(t, in, IB_WC_WR_FLUSH_ERR);
	kt_pair_died(t, &t->main);
	/* It is valid still. */
	w = kt_rdma_mem(t, IB_WR_RDMA_READ, &t->mem[2], 30000);
	kt_sge_key(w, r->mr->iova + 5, 9000, r->mr->lkey);
	kt_do(t, &t->main.b, w, IB_WC_SUCCESS);
	kt_region_moved_in(r, 5, &t->mem[2], 30000, 9000);
}

/* Register, use, invalidate in one post; only the last request is signalled. */
static void kt_chained(struct kt *t)
{
	static const enum ib_wr_opcode op[] = { IB_WR_RDMA_WRITE,
						IB_WR_RDMA_READ };
	struct kt_wr *reg, *w, *inv;
	struct kt_region *r = &t->region;
	int i, wrs = t->wrs;

	for (i = 0; i < 40; i++) {
		u32 off = i * 97, len = KT_REGION_BYTES - 2 * off;

		kt_region_map_usual(t, r, &t->mem[1]);
		reg = kt_region_wr(t, r, KT_RW);
		w = kt_rdma_mem(t, op[i & 1], &t->mem[2], 30000);
		kt_sge_key(w, r->mr->iova + off, len, r->mr->lkey);
		inv = kt_inv(t, IB_WR_LOCAL_INV, r->mr->rkey);
		reg->send.send_flags = 0;
		w->send.send_flags = 0;
		/* A READ may still be going on: the fence waits for it. */
		inv->send.send_flags |= IB_SEND_FENCE;
		kt_link(reg, w);
		kt_link(w, inv);
		kt_post(t, &t->main.a, reg);
		kt_expect(t, inv, IB_WC_SUCCESS);
		if (i & 1)
			kt_region_moved_in(r, off, &t->mem[2], 30000, len);
		else
			kt_region_moved_out(&t->mem[2], 30000, r, off, len);
		/* Otherwise a READ would fetch what is there already. */
		memcpy(t->mem[2].p + 30000, t->mem[0].p + i * 50, 20000);
		memcpy(t->mem[2].want + 30000, t->mem[0].want + i * 50, 20000);
		kt_mem_check(t, &t->mem[1]);
		KT_CHECK(t,
			 !atomic_read(&reg->calls) && !atomic_read(&w->calls),
			 "a completion that was not asked for");
		t->wrs = wrs;
	}
	kt_key_refused(t, &t->main, r->mr->iova, r->mr->rkey);
}

const struct kt_case kt_inval_cases[] = {
	{ "reg-valid", kt_reg_valid },
	{ "map-valid", kt_map_valid },
	{ "local-inv", kt_local_inv },
	{ "local-inv-bad", kt_local_inv_bad },
	{ "local-inv-twice", kt_local_inv_twice },
	{ "send-inv", kt_send_inv },
	{ "send-inv-direct", kt_send_inv, { IB_POLL_DIRECT } },
	{ "send-inv-srq", kt_send_inv, { .srq = true } },
	{ "send-inv-bad", kt_send_inv_bad },
	{ "send-inv-local", kt_send_inv_local },
	{ "chained", kt_chained },
	{}
};
