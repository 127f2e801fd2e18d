// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the provider: its code above a fake kernel.
 *
 * Here: main, the rig, and all ways to post. provider_cq_test.c has completion
 * queues, provider_life_test.c creation and end, provider_race_test.c threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "provider_test.h"

struct rig rig_up(enum ibv_qp_type type)
{
	return rig_up_sized(type, RIG_ENTRIES);
}

struct rig rig_up_sized(enum ibv_qp_type type, uint32_t entries)
{
	struct ibv_cq_init_attr_ex cq_attr = {
		.cqe = entries,
		.wc_flags = IBV_WC_STANDARD_FLAGS,
	};
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = type,
		.comp_mask = IBV_QP_INIT_ATTR_PD |
			     IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
		.send_ops_flags = hodp_send_ops(type),
	};
	struct ibv_ah_attr ah_attr = {};
	struct rig r;

	memset(fake.bells, 0, sizeof(fake.bells));
	fake.entries = entries;
	r.ctx = fake_open();
	r.pd = fake.ops->alloc_pd(r.ctx);
	r.cqx = fake.ops->create_cq_ex(r.ctx, &cq_attr);
	r.cq = ibv_cq_ex_to_cq(r.cqx);
	attr.pd = r.pd;
	attr.send_cq = r.cq;
	attr.recv_cq = r.cq;
	r.qp = fake.ops->create_qp_ex(r.ctx, &attr);
	r.qpx = &to_hodp_qp(r.qp)->vqp.qp_ex;
	r.ah = fake.ops->create_ah(r.pd, &ah_attr);
	r.qp_attr = (struct ibv_qp_init_attr){ .send_cq = r.cq,
					       .recv_cq = r.cq,
					       .qp_type = type };
	r.qp->state = IBV_QPS_RTS;
	r.qpx->wr_flags = 0;
	return r;
}

void rig_down(struct rig *r)
{
	CHECK(!fake.ops->destroy_ah(r->ah));
	CHECK(!fake.ops->destroy_qp(r->qp));
	CHECK(!fake.ops->destroy_cq(r->cq));
	CHECK(!fake.ops->dealloc_pd(r->pd));
	fake_close(r->ctx);
	CHECK(fake.objects == 0 && fake.mappings == 0);
	CHECK(fcntl(fake.doorbell_fd, F_GETFD) < 0);
}

/* --- ibv_post_send --------------------------------------------------------- */

/* @n writes in a list, with wr_id 100 and up and one SGE each. */
static struct ibv_send_wr *writes(struct ibv_send_wr *wr, struct ibv_sge *sge,
				  int n)
{
	int i;

	for (i = 0; i < n; i++) {
		sge[i] = (struct ibv_sge){ .addr = 0x1000 * i,
					   .length = i,
					   .lkey = 7 };
		wr[i] = (struct ibv_send_wr){
			.wr_id = 100 + i,
			.next = i + 1 < n ? &wr[i + 1] : NULL,
			.sg_list = &sge[i],
			.num_sge = 1,
			.opcode = IBV_WR_RDMA_WRITE_WITH_IMM,
			.send_flags = IBV_SEND_SIGNALED,
			.imm_data = 0x11223344,
			.wr.rdma = { .remote_addr = 0xabc000 + i, .rkey = 9 },
		};
	}
	return wr;
}

static void post_list(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_send_wr wr[3], *bad = NULL;
	struct ibv_sge sge[3];
	int i;

	CHECK(!fake.ops->post_send(r.qp, writes(wr, sge, 3), &bad));
	CHECK(fake.sq.hdr->prod == 3);
	CHECK(bells() == 1);
	CHECK(fake.rung == FAKE_QPN);
	for (i = 0; i < 3; i++) {
		const struct hodp_send_wqe *wqe = sent(i);
		const struct hodp_sge *s = (const void *)(wqe + 1);

		CHECK(wqe->wr_id == 100u + i &&
		      wqe->opcode == IB_UVERBS_WR_RDMA_WRITE_WITH_IMM);
		CHECK(wqe->send_flags == IBV_SEND_SIGNALED &&
		      wqe->imm_inv == 0x11223344);
		CHECK(wqe->rdma.remote_addr == 0xabc000u + i &&
		      wqe->rdma.rkey == 9);
		CHECK(wqe->num_sge == 1 && wqe->inline_len == 0);
		CHECK(s->addr == 0x1000u * i && s->length == (uint32_t)i &&
		      s->lkey == 7);
	}
	rig_down(&r);
}

static void post_bad_middle(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_send_wr wr[3], *bad = NULL;
	struct ibv_sge sge[3];

	writes(wr, sge, 3);
	wr[1].num_sge = FAKE_MAX_SGE + 1;
	CHECK(fake.ops->post_send(r.qp, wr, &bad) == EINVAL);
	CHECK(bad == &wr[1] && fake.sq.hdr->prod == 1 && bells() == 1);
	rig_down(&r);
}

static void post_refused(void)
{
	static const struct {
		enum ibv_qp_type type;
		enum ibv_wr_opcode opcode;
		int num_sge;
		unsigned int flags;
	} bad_ones[] = {
		{ IBV_QPT_RC, IBV_WR_BIND_MW, 0, 0 },
		{ IBV_QPT_RC, IBV_WR_TSO, 0, 0 },
		{ IBV_QPT_RC, (enum ibv_wr_opcode) - 1, 0, 0 },
		{ IBV_QPT_RC, IBV_WR_SEND, -1, 0 },
		{ IBV_QPT_RC, IBV_WR_SEND, FAKE_MAX_SGE + 1, 0 },
		{ IBV_QPT_RC, IBV_WR_SEND, 0, IBV_SEND_IP_CSUM },
		{ IBV_QPT_RC, IBV_WR_RDMA_READ, 1, IBV_SEND_INLINE },
		{ IBV_QPT_RC, IBV_WR_ATOMIC_FETCH_AND_ADD, 1, IBV_SEND_INLINE },
		{ IBV_QPT_UC, IBV_WR_RDMA_READ, 1, 0 },
		{ IBV_QPT_UD, IBV_WR_RDMA_WRITE, 1, 0 },
		/* The address handle is missing. */
		{ IBV_QPT_UD, IBV_WR_SEND, 1, 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(bad_ones); i++) {
		struct rig r = rig_up(bad_ones[i].type);
		struct ibv_sge sge = { .length = 4 };
		struct ibv_send_wr *bad = NULL, wr = {
			.opcode = bad_ones[i].opcode,
			.send_flags = bad_ones[i].flags,
			.num_sge = bad_ones[i].num_sge,
			.sg_list = &sge,
		};

		CHECK(fake.ops->post_send(r.qp, &wr, &bad) == EINVAL);
		CHECK(bad == &wr && fake.sq.hdr->prod == 0 && bells() == 0);
		rig_down(&r);
	}
}

static void post_too_early(void)
{
	static const enum ibv_qp_state early[] = { IBV_QPS_RESET, IBV_QPS_INIT,
						   IBV_QPS_RTR };
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_send_wr wr, *bad;
	struct ibv_sge sge;
	size_t i;

	for (i = 0; i < ARRAY_LEN(early); i++) {
		r.qp->state = early[i];
		bad = NULL;
		CHECK(fake.ops->post_send(r.qp, writes(&wr, &sge, 1), &bad) ==
		      EINVAL);
		CHECK(bad == &wr);
		ibv_wr_start(r.qpx);
		ibv_wr_send(r.qpx);
		CHECK(ibv_wr_complete(r.qpx) == EINVAL);
	}
	CHECK(fake.sq.hdr->prod == 0 && bells() == 0);
	rig_down(&r);
}

static void post_full_at(uint32_t index)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_send_wr wr[RIG_ENTRIES + 2], *bad = NULL;
	struct ibv_sge sge[RIG_ENTRIES + 2];

	fake_seek(&fake.sq, &to_hodp_qp(r.qp)->sq.ring, index);
	writes(wr, sge, RIG_ENTRIES + 2);
	CHECK(fake.ops->post_send(r.qp, wr, &bad) == ENOMEM);
	CHECK(bad == &wr[RIG_ENTRIES] &&
	      fake.sq.hdr->prod == index + RIG_ENTRIES);
	fake_consume(&fake.sq, 1);
	CHECK(fake.ops->post_send(r.qp, &wr[RIG_ENTRIES], &bad) == ENOMEM);
	CHECK(bad == &wr[RIG_ENTRIES + 1] &&
	      fake.sq.hdr->prod == index + RIG_ENTRIES + 1);
	/* The newest took the oldest one's slot, and no other. */
	CHECK(sent(index)->wr_id == 100 + RIG_ENTRIES);
	CHECK(sent(index + 1)->wr_id == 101);
	rig_down(&r);
}

static void post_full(void)
{
	post_full_at(0);
}

static void post_full_wrapped(void)
{
	uint32_t back;

	for (back = 0; back <= RIG_ENTRIES + 1; back++)
		post_full_at(0U - back);
}

static void post_inline(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	char a[FAKE_MAX_INLINE] = "first ", b[] = "second";
	struct ibv_sge sge[2] = {
		{ .addr = (uintptr_t)a, .length = 6 },
		{ .addr = (uintptr_t)b, .length = 6 },
	};
	struct ibv_send_wr *bad = NULL, wr = {
		.opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_INLINE,
		.num_sge = 2,
		.sg_list = sge,
	};

	CHECK(!fake.ops->post_send(r.qp, &wr, &bad));
	memset(a, 'x', sizeof(a));
	CHECK(sent(0)->inline_len == 12 && sent(0)->num_sge == 0);
	CHECK(!memcmp(sent(0) + 1, "first second", 12));

	/* Exactly the limit, and one more. */
	sge[0].length = FAKE_MAX_INLINE - 6;
	CHECK(!fake.ops->post_send(r.qp, &wr, &bad));
	CHECK(sent(1)->inline_len == FAKE_MAX_INLINE);
	sge[0].length++;
	CHECK(fake.ops->post_send(r.qp, &wr, &bad) == EINVAL);
	sge[0].length = UINT32_MAX;
	CHECK(fake.ops->post_send(r.qp, &wr, &bad) == EINVAL);
	CHECK(fake.sq.hdr->prod == 2);
	rig_down(&r);
}

static void post_ud(void)
{
	struct rig r = rig_up(IBV_QPT_UD);
	struct ibv_send_wr *bad = NULL, wr = {
		.opcode = IBV_WR_SEND,
		.wr.ud = { .ah = r.ah, .remote_qpn = 12, .remote_qkey = 34 },
	};

	CHECK(!fake.ops->post_send(r.qp, &wr, &bad));
	CHECK(sent(0)->ud.ahn == 5 && sent(0)->ud.dest_qpn == 12 &&
	      sent(0)->ud.qkey == 34);
	rig_down(&r);
}

static void post_bell_errors(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_send_wr wr[2], *bad = NULL;
	struct ibv_sge sge[2];

	fake.interrupt = 3;
	CHECK(!fake.ops->post_send(r.qp, writes(wr, sge, 2), &bad));
	CHECK(bells() == 1);
	fake.bell_error = EIO;
	CHECK(fake.ops->post_send(r.qp, wr, &bad) == EIO);
	CHECK(bad == &wr[0]);
	CHECK(fake.sq.hdr->prod == 4);
	rig_down(&r);
}

/* --- ibv_wr_* ----------------------------------------------------------------- */

static void wr_batch(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_sge sge[2] = { { 1, 2, 3 }, { 4, 5, 6 } };

	ibv_wr_start(r.qpx);
	r.qpx->wr_id = 1;
	r.qpx->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_rdma_write_imm(r.qpx, 8, 0x800, 0x55);
	ibv_wr_set_sge_list(r.qpx, 2, sge);
	r.qpx->wr_id = 2;
	/* Without an inline setter this flag means nothing here. */
	r.qpx->wr_flags = IBV_SEND_INLINE | IBV_SEND_FENCE;
	ibv_wr_atomic_cmp_swp(r.qpx, 9, 0x900, 10, 11);
	ibv_wr_set_sge(r.qpx, 3, 0x100, 8);
	r.qpx->wr_flags = 0;
	ibv_wr_send_inv(r.qpx, 0x77);
	ibv_wr_set_inline_data(r.qpx, "inline", 6);
	r.qpx->wr_flags = IBV_SEND_INLINE;
	ibv_wr_rdma_read(r.qpx, 1, 2);
	CHECK(fake.sq.hdr->prod == 0 && bells() == 0);
	CHECK(!ibv_wr_complete(r.qpx));
	CHECK(fake.sq.hdr->prod == 4 && bells() == 1);

	CHECK(sent(0)->opcode == IB_UVERBS_WR_RDMA_WRITE_WITH_IMM &&
	      sent(0)->wr_id == 1);
	CHECK(sent(0)->imm_inv == 0x55 && sent(0)->rdma.rkey == 8 &&
	      sent(0)->num_sge == 2);
	CHECK(!memcmp(sent(0) + 1, sge, sizeof(sge)));
	CHECK(sent(1)->opcode == IB_UVERBS_WR_ATOMIC_CMP_AND_SWP);
	CHECK(sent(1)->send_flags == IBV_SEND_FENCE && sent(1)->num_sge == 1);
	CHECK(sent(1)->atomic.compare_add == 10 && sent(1)->atomic.swap == 11);
	CHECK(sent(1)->atomic.remote_addr == 0x900 &&
	      sent(1)->atomic.rkey == 9);
	CHECK(sent(2)->opcode == IB_UVERBS_WR_SEND_WITH_INV &&
	      sent(2)->imm_inv == 0x77);
	CHECK(sent(2)->send_flags == IBV_SEND_INLINE &&
	      sent(2)->inline_len == 6);
	CHECK(!memcmp(sent(2) + 1, "inline", 6));
	CHECK(sent(3)->send_flags == 0 && sent(3)->num_sge == 0);
	rig_down(&r);
}

static void wr_aborted(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	int i;

	for (i = 0; i < 3; i++) {
		ibv_wr_start(r.qpx);
		ibv_wr_send(r.qpx);
		ibv_wr_send(r.qpx);
		ibv_wr_abort(r.qpx);
	}
	CHECK(fake.sq.hdr->prod == 0 && bells() == 0);
	ibv_wr_start(r.qpx);
	r.qpx->wr_id = 42;
	ibv_wr_send(r.qpx);
	CHECK(!ibv_wr_complete(r.qpx));
	CHECK(fake.sq.hdr->prod == 1 && bells() == 1 && sent(0)->wr_id == 42);
	/* An empty batch does not wake the kernel. */
	ibv_wr_start(r.qpx);
	CHECK(!ibv_wr_complete(r.qpx));
	CHECK(bells() == 1);
	rig_down(&r);
}

/* Break a batch after one good entry in each way there is. */
static void wr_break(struct rig *r, int how)
{
	struct ibv_data_buf bufs[2] = { { "", 1 }, { "", SIZE_MAX } };
	struct ibv_sge sge[FAKE_MAX_SGE + 1] = {};
	int i;

	switch (how) {
	case 0:
		ibv_wr_set_sge_list(r->qpx, FAKE_MAX_SGE + 1, sge);
		break;
	case 1:
		ibv_wr_set_inline_data_list(r->qpx, 2, bufs);
		break;
	case 2:
		ibv_wr_rdma_read(r->qpx, 1, 1);
		ibv_wr_set_inline_data(r->qpx, "x", 1);
		break;
	case 3:
		r->qpx->wr_flags = IBV_SEND_IP_CSUM;
		ibv_wr_send(r->qpx);
		r->qpx->wr_flags = 0;
		break;
	case 4:
		for (i = 0; i < RIG_ENTRIES; i++)
			ibv_wr_send(r->qpx);
		break;
	}
}

static void wr_errors(void)
{
	static const int errs[] = { EINVAL, EINVAL, EINVAL, EINVAL, ENOMEM };
	struct rig r = rig_up(IBV_QPT_RC);
	size_t how;

	for (how = 0; how < ARRAY_LEN(errs); how++) {
		ibv_wr_start(r.qpx);
		ibv_wr_send(r.qpx);
		wr_break(&r, how);
		/* What follows an error is ignored, setters included. */
		ibv_wr_send(r.qpx);
		ibv_wr_set_sge(r.qpx, 1, 1, 1);
		ibv_wr_set_inline_data(r.qpx, "x", 1);
		CHECK(ibv_wr_complete(r.qpx) == errs[how]);
		CHECK(fake.sq.hdr->prod == how && bells() == (int)how);
		/* The next batch is not affected. */
		ibv_wr_start(r.qpx);
		ibv_wr_send(r.qpx);
		CHECK(!ibv_wr_complete(r.qpx));
		fake_consume(&fake.sq, 1);
	}
	rig_down(&r);
}

static void wr_ud(void)
{
	struct rig r = rig_up(IBV_QPT_UD);

	ibv_wr_start(r.qpx);
	ibv_wr_send(r.qpx);
	CHECK(ibv_wr_complete(r.qpx) == EINVAL);
	ibv_wr_start(r.qpx);
	ibv_wr_send(r.qpx);
	ibv_wr_send_imm(r.qpx, 1);
	ibv_wr_set_ud_addr(r.qpx, r.ah, 1, 2);
	CHECK(ibv_wr_complete(r.qpx) == EINVAL);
	ibv_wr_start(r.qpx);
	ibv_wr_send(r.qpx);
	ibv_wr_set_ud_addr(r.qpx, NULL, 1, 2);
	CHECK(ibv_wr_complete(r.qpx) == EINVAL);
	CHECK(fake.sq.hdr->prod == 0);
	ibv_wr_start(r.qpx);
	ibv_wr_send(r.qpx);
	ibv_wr_set_ud_addr(r.qpx, r.ah, 12, 34);
	CHECK(!ibv_wr_complete(r.qpx));
	CHECK(sent(0)->ud.ahn == 5 && sent(0)->ud.dest_qpn == 12 &&
	      sent(0)->ud.qkey == 34);
	CHECK(!r.qpx->wr_rdma_write);
	rig_down(&r);
}

/* --- receives ------------------------------------------------------------------ */

static void recv_at(uint32_t index)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_sge sge[2] = { { 1, 2, 3 }, { 4, 5, 6 } };
	struct ibv_recv_wr wr[RIG_ENTRIES + 1], *bad = NULL;
	const struct hodp_recv_wqe *wqe;
	int i;

	for (i = 0; i <= RIG_ENTRIES; i++) {
		wr[i] = (struct ibv_recv_wr){
			.wr_id = i,
			.next = i < RIG_ENTRIES ? &wr[i + 1] : NULL,
			.sg_list = sge,
			.num_sge = 2,
		};
	}
	fake_seek(&fake.rq, &to_hodp_qp(r.qp)->rq.ring, index);
	CHECK(fake.ops->post_recv(r.qp, wr, &bad) == ENOMEM);
	CHECK(bad == &wr[RIG_ENTRIES] &&
	      fake.rq.hdr->prod == index + RIG_ENTRIES);
	for (i = 0; i < RIG_ENTRIES; i++) {
		wqe = fake_at(&fake.rq, index + i);
		CHECK(wqe->wr_id == (uint64_t)i && wqe->num_sge == 2);
		CHECK(!memcmp(wqe + 1, sge, sizeof(sge)));
	}
	CHECK(fake.bells[FAKE_BELL_RECV] == 0);
	rig_down(&r);
}

static void recv_full(void)
{
	recv_at(0);
	recv_at(UINT32_MAX - 2);
}

static void recv_bell(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_recv_wr second = { .wr_id = 2 }, wr = { .next = &second },
			   *bad = NULL;
	int *rung = &fake.bells[FAKE_BELL_RECV];

	fake.rq.hdr->flags = HODP_RING_NEED_DOORBELL;
	CHECK(!fake.ops->post_recv(r.qp, &wr, &bad));
	CHECK(*rung == 1 && fake.rung == FAKE_QPN);
	/* Also for the entries before a bad one; not for none. */
	second.num_sge = -1;
	CHECK(fake.ops->post_recv(r.qp, &wr, &bad) == EINVAL);
	CHECK(bad == &second && *rung == 2 && fake.rq.hdr->prod == 3);
	CHECK(fake.ops->post_recv(r.qp, &second, &bad) == EINVAL && *rung == 2);
	fake.bell_error = EIO;
	second.num_sge = 0;
	CHECK(fake.ops->post_recv(r.qp, &wr, &bad) == EIO && bad == &wr);
	r.qp->state = IBV_QPS_RESET;
	CHECK(fake.ops->post_recv(r.qp, &wr, &bad) == EINVAL && bad == &wr);
	rig_down(&r);
}

static const struct unit_case post_cases[] = {
	{ "a list of sends is one store of prod and one doorbell", post_list },
	{ "entries before a bad one are posted, it and what follows are not",
	  post_bad_middle },
	{ "what no QP of its type can send is refused untouched",
	  post_refused },
	{ "nothing enters the ring before RTS", post_too_early },
	{ "a full send queue is ENOMEM until the kernel moves on", post_full },
	{ "the same where indexes wrap at 2^32", post_full_wrapped },
	{ "inline data are copied at once, up to the limit", post_inline },
	{ "a datagram carries the number of its address handle", post_ud },
	{ "a doorbell outlives signals, and its error names the list",
	  post_bell_errors },
	{ "a wr batch appears at once, with one doorbell", wr_batch },
	{ "an aborted wr batch leaves nothing behind", wr_aborted },
	{ "an error within a wr batch posts none of it", wr_errors },
	{ "a wr datagram needs its address", wr_ud },
	{ "a full receive queue is ENOMEM, also where indexes wrap",
	  recv_full },
	{ "receives ring only if the kernel asks", recv_bell },
};

int main(void)
{
	unit_cases(post_cases, ARRAY_LEN(post_cases));
	unit_cases(cq_cases, num_cq_cases);
	unit_cases(life_cases, num_life_cases);
	unit_cases(race_cases, num_race_cases);
	return unit_end();
}
