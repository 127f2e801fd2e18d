// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Data transfers of kernel memory, by the PD's keys for all of it. */
#include "ktest.h"

static const u32 kt_sizes[] = { 1, 8, 511, 4095, 4096, 4097, 20001 };

/* SEND: the bytes of several SGEs arrive in those of the receive. */
static void kt_send_recv(struct kt *t)
{
	struct kt_mem *src = &t->mem[0], *dst = &t->mem[1];
	int i;

	for (i = 0; i < ARRAY_SIZE(kt_sizes); i++) {
		u32 len = kt_sizes[i];
		struct kt_wr *s = kt_wr(t, IB_WR_SEND), *r = kt_recv(t);

		kt_sge(s, src, 3, len);
		kt_sge(s, src, 30001 + i, len / 3);
		kt_sge(r, dst, 50001, len / 2);
		kt_sge(r, dst, 7, 30000);
		kt_post_recv(t, &t->main.b, r);
		kt_do(t, &t->main.a, s, IB_WC_SUCCESS);
		kt_expect(t, r, IB_WC_SUCCESS);
		KT_CHECK(t,
			 r->wc.byte_len == len + len / 3 &&
				 r->wc.opcode == IB_WC_RECV && !r->wc.wc_flags,
			 "%u bytes, opcode %d, flags %x", r->wc.byte_len,
			 r->wc.opcode, r->wc.wc_flags);
		KT_CHECK(t,
			 s->wc.opcode == IB_WC_SEND &&
				 s->wc.qp == t->main.a.qp &&
				 r->wc.qp == t->main.b.qp,
			 "opcode %d, or the wrong QP", s->wc.opcode);
		kt_moved(dst, 50001, src, 3, len / 2);
		kt_moved(dst, 7, src, 3 + len / 2, len - len / 2);
		kt_moved(dst, 7 + len - len / 2, src, 30001 + i, len / 3);
	}
}

/* A SEND of no bytes completes a receive with and without SGEs. */
static void kt_send_nothing(struct kt *t)
{
	int i;

	for (i = 0; i < 2; i++) {
		struct kt_wr *s = kt_wr(t, IB_WR_SEND), *r = kt_recv(t);

		if (i)
			kt_sge(r, &t->mem[1], 1, 100);
		kt_post_recv(t, &t->main.b, r);
		kt_do(t, &t->main.a, s, IB_WC_SUCCESS);
		kt_expect(t, r, IB_WC_SUCCESS);
		KT_CHECK(t, !r->wc.byte_len, "%u bytes", r->wc.byte_len);
	}
}

/* Inline data is taken when it is posted, not when it is sent. */
static void kt_send_inline(struct kt *t)
{
	struct kt_wr *s = kt_wr(t, IB_WR_SEND), *r;
	struct kt_mem *src = &t->mem[0], *dst = &t->mem[1];

	/* The key is not checked. */
	kt_sge_key(s, (uintptr_t)src->p + 5, 13, 0xdeadbeef);
	kt_sge_key(s, (uintptr_t)src->p + 100, 20, 0);
	s->send.send_flags |= IB_SEND_INLINE;
	kt_post(t, &t->main.a, s);
	kt_moved(dst, 9, src, 5, 13);
	kt_moved(dst, 9 + 13, src, 100, 20);
	memset(src->p, 0xee, 200);
	memset(src->want, 0xee, 200);
	r = kt_recv_mem(t, &t->main.b, dst, 9, 33);
	kt_expect(t, s, IB_WC_SUCCESS);
	kt_expect(t, r, IB_WC_SUCCESS);
}

/* Immediate data: of a SEND, and of WRITEs with and without bytes. */
static void kt_immediate(struct kt *t)
{
	static const enum ib_wr_opcode op[] = { IB_WR_SEND_WITH_IMM,
						IB_WR_RDMA_WRITE_WITH_IMM,
						IB_WR_RDMA_WRITE_WITH_IMM };
	struct kt_mem *src = &t->mem[0], *dst = &t->mem[1];
	int i;

	for (i = 0; i < ARRAY_SIZE(op); i++) {
		u32 len = i == 2 ? 0 : 5000;
		struct kt_wr *s = kt_rdma_mem(t, op[i], dst, 9);
		struct kt_wr *r = kt_recv_mem(t, &t->main.b, dst, 9, 5000);

		s->send.ex.imm_data = cpu_to_be32(0x12345678 + i);
		if (len)
			kt_sge(s, src, 77 + i, len);
		kt_do(t, &t->main.a, s, IB_WC_SUCCESS);
		kt_expect(t, r, IB_WC_SUCCESS);
		KT_CHECK(t,
			 r->wc.wc_flags == IB_WC_WITH_IMM &&
				 r->wc.ex.imm_data == s->send.ex.imm_data &&
				 r->wc.byte_len == len &&
				 r->wc.opcode == (i ? IB_WC_RECV_RDMA_WITH_IMM :
						      IB_WC_RECV),
			 "%d: flags %x, data %x, %u bytes, opcode %d", i,
			 r->wc.wc_flags, be32_to_cpu(r->wc.ex.imm_data),
			 r->wc.byte_len, r->wc.opcode);
		kt_moved(dst, 9, src, 77 + i, len);
	}
}

/* RDMA WRITE gathers, READ scatters, at odd places and of odd lengths. */
static void kt_write_read(struct kt *t)
{
	struct kt_mem *src = &t->mem[0], *dst = &t->mem[1], *back = &t->mem[2];
	int i;

	for (i = 0; i < ARRAY_SIZE(kt_sizes); i++) {
		u32 len = kt_sizes[i];
		struct kt_wr *w;

		w = kt_rdma_mem(t, IB_WR_RDMA_WRITE, dst, 4093);
		kt_sge(w, src, 3 * i + 1, len);
		kt_sge(w, src, 40001, 0);
		kt_sge(w, src, 40001, len / 2);
		kt_do(t, &t->main.a, w, IB_WC_SUCCESS);
		KT_CHECK(t, w->wc.opcode == IB_WC_RDMA_WRITE, "opcode %d",
			 w->wc.opcode);
		kt_moved(dst, 4093, src, 3 * i + 1, len);
		kt_moved(dst, 4093 + len, src, 40001, len / 2);

		w = kt_rdma_mem(t, IB_WR_RDMA_READ, dst, 4093);
		kt_sge(w, back, 11, len / 2);
		kt_sge(w, back, 30003, len);
		kt_do(t, &t->main.a, w, IB_WC_SUCCESS);
		KT_CHECK(t, w->wc.opcode == IB_WC_RDMA_READ, "opcode %d",
			 w->wc.opcode);
		kt_moved(back, 11, dst, 4093, len / 2);
		kt_moved(back, 30003, dst, 4093 + len / 2, len);
	}
}

/* Zero bytes: neither address nor key is checked (IBTA C9-88). */
static void kt_rdma_nothing(struct kt *t)
{
	kt_do(t, &t->main.a, kt_rdma(t, IB_WR_RDMA_WRITE, 1, 2), IB_WC_SUCCESS);
	kt_do(t, &t->main.a, kt_rdma(t, IB_WR_RDMA_READ, 1, 2), IB_WC_SUCCESS);
}

static struct kt_wr *kt_atomic(struct kt *t, enum ib_wr_opcode op, u64 addr,
			       u32 rkey, u64 compare_add, u64 swap)
{
	struct kt_wr *w = kt_wr(t, op);

	w->atomic.remote_addr = addr;
	w->atomic.rkey = rkey;
	w->atomic.compare_add = compare_add;
	w->atomic.swap = swap;
	kt_sge(w, &t->mem[0], 17, 8);
	return w;
}

static void kt_atomic_check(struct kt *t, struct kt_wr *w, u64 *word, u64 next)
{
	kt_do(t, &t->main.b, w, IB_WC_SUCCESS);
	memcpy(t->mem[0].want + 17, word, 8);
	*word = next;
}

/* Atomics on a region: the old value comes back; odd addresses are refused. */
static void kt_atomics(struct kt *t)
{
	/* A word in the region's third piece, whose IOVA is aligned. */
	u32 off = 4096 - 123 + 4096 + 16;
	struct kt_region *r = &t->region;
	struct kt_wr *w;
	u64 addr, old, *word;

	kt_region_reg(t, &t->main.a, r, &t->mem[1],
		      KT_RW | IB_ACCESS_REMOTE_ATOMIC);
	addr = r->mr->iova + off;
	word = (u64 *)(t->mem[1].want + kt_region_at(r, off));
	old = *word;
	w = kt_atomic(t, IB_WR_ATOMIC_FETCH_AND_ADD, addr, r->mr->rkey, 5, 0);
	kt_atomic_check(t, w, word, old + 5);
	w = kt_atomic(t, IB_WR_ATOMIC_CMP_AND_SWP, addr, r->mr->rkey, old, 1);
	kt_atomic_check(t, w, word, old + 5);
	w = kt_atomic(t, IB_WR_ATOMIC_CMP_AND_SWP, addr, r->mr->rkey, old + 5,
		      99);
	kt_atomic_check(t, w, word, 99);
	w = kt_atomic(t, IB_WR_ATOMIC_FETCH_AND_ADD, addr + 4, r->mr->rkey, 1,
		      0);
	kt_do(t, &t->main.b, w, IB_WC_REM_INV_REQ_ERR);
	kt_pair_died(t, &t->main);
}

/* An invalid local key, or one of another PD, is the requester's error. */
static void kt_local_key(struct kt *t)
{
	static const enum ib_wr_opcode op[] = { IB_WR_RDMA_WRITE,
						IB_WR_RDMA_READ };
	u32 key[] = { 0xffffff00, t->pd2->local_dma_lkey };
	int i, j;

	for (i = 0; i < ARRAY_SIZE(key); i++) {
		for (j = 0; j < ARRAY_SIZE(op); j++) {
			struct kt_wr *w = kt_rdma_mem(t, op[j], &t->mem[1], 0);

			kt_sge_key(w, t->mem[0].dma, 100, key[i]);
			kt_do(t, &t->main.a, w, IB_WC_LOC_PROT_ERR);
			KT_CHECK(t,
				 kt_end_state(&t->main.a) == IB_QPS_ERR &&
					 kt_end_state(&t->main.b) == IB_QPS_RTS,
				 "states %d, %d", kt_end_state(&t->main.a),
				 kt_end_state(&t->main.b));
			kt_pair_reconnect(t, &t->main);
		}
	}
}

/* A SEND that is too long: an invalid request there, a length error here. */
static void kt_send_too_long(struct kt *t)
{
	struct kt_wr *r = kt_recv_mem(t, &t->main.b, &t->mem[1], 0, 100);
	struct kt_wr *s = kt_wr(t, IB_WR_SEND);

	kt_sge(s, &t->mem[0], 0, 101);
	kt_do(t, &t->main.a, s, IB_WC_REM_INV_REQ_ERR);
	kt_expect(t, r, IB_WC_LOC_LEN_ERR);
	kt_pair_died(t, &t->main);
}

const struct kt_case kt_data_cases[] = {
	{ "send-recv-direct", kt_send_recv, { IB_POLL_DIRECT } },
	{ "send-recv-softirq", kt_send_recv, { IB_POLL_SOFTIRQ } },
	{ "send-recv-workqueue", kt_send_recv, { IB_POLL_WORKQUEUE } },
	{ "send-nothing", kt_send_nothing, { IB_POLL_SOFTIRQ } },
	{ "send-inline", kt_send_inline, { IB_POLL_SOFTIRQ } },
	{ "immediate", kt_immediate, { IB_POLL_SOFTIRQ } },
	{ "write-read-direct", kt_write_read, { IB_POLL_DIRECT } },
	{ "write-read-softirq", kt_write_read, { IB_POLL_SOFTIRQ } },
	{ "write-read-workqueue", kt_write_read, { IB_POLL_WORKQUEUE } },
	{ "rdma-nothing", kt_rdma_nothing, { IB_POLL_SOFTIRQ } },
	{ "atomics", kt_atomics, { IB_POLL_SOFTIRQ } },
	{ "local-key", kt_local_key, { IB_POLL_SOFTIRQ } },
	{ "send-too-long", kt_send_too_long, { IB_POLL_SOFTIRQ } },
	{}
};
