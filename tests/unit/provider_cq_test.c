// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Unit test of the provider: completion queues. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "provider_test.h"

static void complete(uint64_t wr_id, uint32_t qp_num)
{
	struct hodp_cqe cqe = { .wr_id = wr_id, .qp_num = qp_num };

	fake_complete(&cqe);
}

static void poll_fields(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct hodp_cqe cqe = {
		.wr_id = 1ULL << 40,
		.status = IBV_WC_RNR_RETRY_EXC_ERR,
		.opcode = IBV_WC_RECV_RDMA_WITH_IMM,
		.byte_len = 10,
		.imm_inv = 20,
		.qp_num = 30,
		.src_qp = 40,
		.vendor_err = 50,
		.pkey_index = 60,
		.wc_flags = HODP_WC_GRH | HODP_WC_WITH_IMM,
		.network_hdr_type = HODP_NET_IPV4,
	};
	struct ibv_wc wc;

	memset(&wc, 0xee, sizeof(wc));
	fake_complete(&cqe);
	CHECK(fake.ops->poll_cq(r.cq, 1, &wc) == 1);
	CHECK(wc.wr_id == 1ULL << 40 && wc.status == IBV_WC_RNR_RETRY_EXC_ERR);
	CHECK(wc.opcode == IBV_WC_RECV_RDMA_WITH_IMM && wc.byte_len == 10);
	CHECK(wc.imm_data == 20 && wc.qp_num == 30 && wc.src_qp == 40);
	CHECK(wc.vendor_err == 50 && wc.pkey_index == 60);
	CHECK(wc.wc_flags == (IBV_WC_GRH | IBV_WC_WITH_IMM));
	/* The packet type, with a GRH: bit 3 UDP, 2 IPv4, 1 IPv6. */
	CHECK(wc.slid == 0 && wc.sl == 10 && wc.dlid_path_bits == 0);
	cqe.network_hdr_type = HODP_NET_IPV6;
	fake_complete(&cqe);
	CHECK(fake.ops->poll_cq(r.cq, 1, &wc) == 1 && wc.sl == 9);

	/* The flag's number differs from the verbs' one. */
	cqe.wc_flags = HODP_WC_WITH_INV;
	fake_complete(&cqe);
	CHECK(fake.ops->poll_cq(r.cq, 1, &wc) == 1 &&
	      wc.wc_flags == IBV_WC_WITH_INV && wc.sl == 0);
	CHECK(wc.invalidated_rkey == 20);
	rig_down(&r);
}

static void poll_at(uint32_t index)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_wc wc[RIG_ENTRIES + 2];
	int i;

	fake_seek(&fake.cq, &to_hodp_cq(r.cq)->ring, index);
	CHECK(fake.ops->poll_cq(r.cq, 4, wc) == 0);
	for (i = 0; i < RIG_ENTRIES; i++)
		complete(i, 0);
	CHECK(fake.ops->poll_cq(r.cq, 0, wc) == 0 &&
	      fake.ops->poll_cq(r.cq, -1, wc) == 0);
	CHECK(fake.ops->poll_cq(r.cq, 3, wc) == 3);
	CHECK(fake.cq.hdr->cons == index + 3);
	CHECK(wc[0].wr_id == 0 && wc[2].wr_id == 2);
	complete(RIG_ENTRIES, 0);
	CHECK(fake.ops->poll_cq(r.cq, RIG_ENTRIES + 2, wc) == RIG_ENTRIES - 2);
	CHECK(wc[0].wr_id == 3 && wc[RIG_ENTRIES - 3].wr_id == RIG_ENTRIES);
	CHECK(fake.cq.hdr->cons == fake.cq.hdr->prod);
	rig_down(&r);
}

static void poll_order(void)
{
	poll_at(0);
	poll_at(UINT32_MAX - 4);
}

static void cqx_iterate(void)
{
	struct ibv_poll_cq_attr attr = {}, strange = { .comp_mask = 1 };
	struct rig r = rig_up(IBV_QPT_RC);
	struct hodp_cqe cqe = {
		.status = IBV_WC_LOC_LEN_ERR,
		.opcode = IBV_WC_RECV,
		.byte_len = 11,
		.imm_inv = 22,
		.qp_num = 33,
		.src_qp = 44,
		.vendor_err = 55,
		.wc_flags = HODP_WC_WITH_INV,
	};

	CHECK(ibv_start_poll(r.cqx, &strange) == EINVAL);
	/* The CQ is empty, and the lock is free again, or this would hang. */
	CHECK(ibv_start_poll(r.cqx, &attr) == ENOENT);
	CHECK(ibv_start_poll(r.cqx, &attr) == ENOENT);
	complete(1, 0);
	fake_complete(&cqe);
	CHECK(!ibv_start_poll(r.cqx, &attr));
	CHECK(r.cqx->wr_id == 1 && r.cqx->status == IBV_WC_SUCCESS);
	CHECK(!ibv_next_poll(r.cqx));
	CHECK(r.cqx->wr_id == 0 && r.cqx->status == IBV_WC_LOC_LEN_ERR);
	CHECK(ibv_wc_read_opcode(r.cqx) == IBV_WC_RECV &&
	      ibv_wc_read_byte_len(r.cqx) == 11);
	CHECK(ibv_wc_read_invalidated_rkey(r.cqx) == 22 &&
	      ibv_wc_read_qp_num(r.cqx) == 33);
	CHECK(ibv_wc_read_src_qp(r.cqx) == 44 &&
	      ibv_wc_read_vendor_err(r.cqx) == 55);
	CHECK(ibv_wc_read_wc_flags(r.cqx) == IBV_WC_WITH_INV);
	CHECK(ibv_wc_read_slid(r.cqx) == 0 && ibv_wc_read_sl(r.cqx) == 0);
	CHECK(ibv_wc_read_dlid_path_bits(r.cqx) == 0);
	CHECK(ibv_next_poll(r.cqx) == ENOENT && ibv_next_poll(r.cqx) == ENOENT);
	/* An entry that comes late belongs to the next batch. */
	complete(2, 0);
	CHECK(fake.cq.hdr->cons == 0);
	ibv_end_poll(r.cqx);
	CHECK(fake.cq.hdr->cons == 2);
	rig_down(&r);
}

static void cqx_stop_early(void)
{
	struct ibv_poll_cq_attr attr = {};
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_wc wc;
	int i;

	for (i = 1; i <= 4; i++)
		complete(i, 0);
	CHECK(!ibv_start_poll(r.cqx, &attr));
	ibv_end_poll(r.cqx);
	CHECK(fake.cq.hdr->cons == 1);
	CHECK(!ibv_start_poll(r.cqx, &attr) && r.cqx->wr_id == 2);
	CHECK(!ibv_next_poll(r.cqx) && r.cqx->wr_id == 3);
	ibv_end_poll(r.cqx);
	CHECK(fake.cq.hdr->cons == 3);
	/* The old interface continues where the new one stopped. */
	CHECK(fake.ops->poll_cq(r.cq, 1, &wc) == 1 && wc.wr_id == 4);
	rig_down(&r);
}

static void timestamps(void)
{
	struct ibv_cq_init_attr_ex attr = {
		.cqe = RIG_ENTRIES,
		.wc_flags = IBV_WC_EX_WITH_COMPLETION_TIMESTAMP,
	};
	struct ibv_values_ex now = { .comp_mask = IBV_VALUES_MASK_RAW_CLOCK |
						  8 };
	struct hodp_cqe cqe = { .timestamp = 1ULL << 50 };
	struct ibv_poll_cq_attr poll = {};
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_cq_ex *cq;

	/* The fake completes into the newest CQ. */
	cq = fake.ops->create_cq_ex(r.ctx, &attr);
	fake_complete(&cqe);
	CHECK(!ibv_start_poll(cq, &poll));
	CHECK(ibv_wc_read_completion_ts(cq) == 1ULL << 50);
	ibv_end_poll(cq);
	CHECK(!fake.ops->destroy_cq(ibv_cq_ex_to_cq(cq)));
	CHECK(!fake.ops->query_rt_values(r.ctx, &now));
	CHECK(now.comp_mask == IBV_VALUES_MASK_RAW_CLOCK);
	CHECK(now.raw_clock.tv_nsec > 0);
	rig_down(&r);
}

static void resize_keeps(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_wc wc[4];
	int i;

	for (i = 0; i < 5; i++)
		complete(i, 0);
	CHECK(fake.ops->poll_cq(r.cq, 2, wc) == 2);
	fake.entries = 4 * RIG_ENTRIES;
	CHECK(!fake.ops->resize_cq(r.cq, 4 * RIG_ENTRIES));
	complete(5, 0);
	CHECK(fake.ops->poll_cq(r.cq, 4, wc) == 4);
	CHECK(wc[0].wr_id == 2 && wc[2].wr_id == 4 && wc[3].wr_id == 5);
	CHECK(fake.cq.hdr->cons == fake.cq.hdr->prod);

	/* Refused: the old ring stays in use. */
	fake.fail = EINVAL;
	CHECK(fake.ops->resize_cq(r.cq, 1) == EINVAL);
	complete(6, 0);
	CHECK(fake.ops->poll_cq(r.cq, 4, wc) == 1 && wc[0].wr_id == 6);
	rig_down(&r);
}

static void spoil_entries(struct hodp_ring_info *info)
{
	info->entries = 3;
}

static void resize_lost(void)
{
	struct ibv_poll_cq_attr attr = {};
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_wc wc;

	fake.spoil = spoil_entries;
	CHECK(fake.ops->resize_cq(r.cq, 16) == EPROTO);
	CHECK(fake.ops->poll_cq(r.cq, 1, &wc) < 0);
	CHECK(ibv_start_poll(r.cqx, &attr) == EIO);
	rig_down(&r);
}

static void forget_at(uint32_t index)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	struct ibv_wc wc[RIG_ENTRIES];
	int i;

	fake_seek(&fake.cq, &to_hodp_cq(r.cq)->ring, index);
	for (i = 0; i < RIG_ENTRIES; i++)
		complete(i, i % 3 == 1 ? 1000 : FAKE_QPN);
	CHECK(!fake.ops->modify_qp(r.qp, &attr, IBV_QP_STATE));
	CHECK(fake.ops->poll_cq(r.cq, RIG_ENTRIES, wc) == 3);
	CHECK(wc[0].wr_id == 1 && wc[1].wr_id == 4 && wc[2].wr_id == 7);
	CHECK(fake.cq.hdr->cons == index + RIG_ENTRIES);
	rig_down(&r);
}

static void forget_qp(void)
{
	forget_at(0);
	forget_at(UINT32_MAX - 3);
}

static void cq_attrs(void)
{
	struct ibv_cq_init_attr_ex attr = { .cqe = 4 };
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_cq_ex *cq;

	attr.wc_flags = IBV_WC_EX_WITH_COMPLETION_TIMESTAMP_WALLCLOCK;
	CHECK(!fake.ops->create_cq_ex(r.ctx, &attr) && errno == EOPNOTSUPP);
	attr.wc_flags = 0;
	attr.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS;
	attr.flags = IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN;
	CHECK(!fake.ops->create_cq_ex(r.ctx, &attr) && errno == EOPNOTSUPP);
	attr.flags = IBV_CREATE_CQ_ATTR_SINGLE_THREADED;
	cq = fake.ops->create_cq_ex(r.ctx, &attr);
	CHECK(cq && !to_hodp_cq_ex(cq)->lock.needed && !cq->read_byte_len);
	CHECK(!fake.ops->destroy_cq(ibv_cq_ex_to_cq(cq)));
	attr.comp_mask = IBV_CQ_INIT_ATTR_MASK_PD;
	attr.parent_domain = r.pd;
	CHECK(!fake.ops->create_cq_ex(r.ctx, &attr) && errno == EINVAL);
	CHECK(to_hodp_cq(r.cq)->lock.needed);
	rig_down(&r);
}

const struct unit_case cq_cases[] = {
	{ "a completion carries all its fields", poll_fields },
	{ "polling keeps order and gives back what it took, also at 2^32",
	  poll_order },
	{ "an extended CQ is walked entry by entry and given back at the end",
	  cqx_iterate },
	{ "a batch that ends early keeps what was not looked at",
	  cqx_stop_early },
	{ "a completion tells its time on a CQ that asked for it", timestamps },
	{ "resizing keeps what was not polled, and goes on from the header",
	  resize_keeps },
	{ "a CQ whose new ring is unusable says so to every poller",
	  resize_lost },
	{ "a reset QP's completions vanish, those of others stay in order",
	  forget_qp },
	{ "CQ attributes are honoured or refused", cq_attrs },
};
const size_t num_cq_cases = ARRAY_LEN(cq_cases);
