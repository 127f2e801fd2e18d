// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Unit test of the provider: creation, state and end of objects. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "provider_test.h"

static void match(void)
{
	struct verbs_sysfs_dev dev = {};

	fake.hca_type = "hmm_odp";
	CHECK(fake.dev_ops->match_device(&dev));
	fake.hca_type = "hmm_odp2";
	CHECK(!fake.dev_ops->match_device(&dev));
	fake.hca_type = NULL;
	CHECK(!fake.dev_ops->match_device(&dev));
	CHECK(fake.dev_ops->match_table && !fake.dev_ops->match_table->kind);
	/*
	 * rxe's provider takes ABI versions 1 and 2 of any device named rxe...:
	 * see there.
	 */
	CHECK(fake.dev_ops->match_min_abi_version == 4801 &&
	      fake.dev_ops->match_max_abi_version == 4801);
}

static void no_context(void)
{
	struct ibv_device_attr_ex attr;
	struct ibv_context *ctx;

	fake.fail = EMFILE;
	CHECK(!fake_open() && errno == EMFILE);
	ctx = fake_open();
	CHECK(!fake.ops->query_device_ex(ctx, NULL, &attr, sizeof(attr)));
	CHECK(!strcmp(attr.orig_attr.fw_ver, "1.2.3"));
	fake_close(ctx);
}

/* Contradictory answers. */
#define SPOIL(name, change)                                   \
	static void spoil_##name(struct hodp_ring_info *info) \
	{                                                     \
		info->change;                                 \
	}
SPOIL(zero, entries = 0)
SPOIL(odd, entries = RIG_ENTRIES - 1)
SPOIL(many, entries = 1U << 31)
SPOIL(stride, stride = 8)
SPOIL(alignment, stride += 4)
SPOIL(wide, stride = UINT32_MAX - 7)
SPOIL(offset, mmap_offset = 1ULL << 63)
SPOIL(place, mmap_offset += 16)

static void bad_rings(void)
{
	static void (*const spoils[])(struct hodp_ring_info *) = {
		spoil_zero, spoil_odd,	     spoil_many,  spoil_stride,
		spoil_wide, spoil_alignment, spoil_place, spoil_offset,
	};
	struct ibv_srq_init_attr srq_attr = { .attr = { .max_wr = 4 } };
	struct rig r = rig_up(IBV_QPT_RC);
	int objects = fake.objects;
	size_t i;

	for (i = 0; i < ARRAY_LEN(spoils); i++) {
		fake.spoil = spoils[i];
		CHECK(!fake.ops->create_cq(r.ctx, 4, NULL, 0));
		CHECK(errno == EPROTO ||
		      (errno == EINVAL && spoils[i] == spoil_place));
		fake.spoil = spoils[i];
		CHECK(!fake.ops->create_srq(r.pd, &srq_attr));
		fake.spoil = spoils[i];
		CHECK(!fake.ops->create_qp(r.pd, &r.qp_attr));
		CHECK(fake.objects == objects);
	}
	rig_down(&r);
}

static void refused(void)
{
	struct ibv_srq_init_attr srq_attr = { .attr = { .max_wr = 4 } };
	struct ibv_ah_attr ah_attr = {};
	struct rig r = rig_up(IBV_QPT_RC);

#define REFUSED(call)                              \
	do {                                       \
		fake.fail = ENFILE;                \
		errno = 0;                         \
		CHECK(!(call) && errno == ENFILE); \
	} while (0)
	REFUSED(fake.ops->alloc_pd(r.ctx));
	REFUSED(fake.ops->reg_mr(r.pd, NULL, 1, 0, 0));
	REFUSED(fake.ops->create_cq(r.ctx, 4, NULL, 0));
	REFUSED(fake.ops->create_srq(r.pd, &srq_attr));
	REFUSED(fake.ops->create_qp(r.pd, &r.qp_attr));
	REFUSED(fake.ops->create_ah(r.pd, &ah_attr));
	rig_down(&r);
}

static void qp_attrs(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_qp_init_attr_ex attr = {
		.qp_type = IBV_QPT_RC,
		.pd = r.pd,
		.send_cq = r.cq,
		.recv_cq = r.cq,
		.comp_mask = IBV_QP_INIT_ATTR_PD,
	};
	struct ibv_qp *qp;

#define NOT(what, err)                                         \
	do {                                                   \
		struct ibv_qp_init_attr_ex save = attr;        \
		what;                                          \
		CHECK(!fake.ops->create_qp_ex(r.ctx, &attr) && \
		      errno == (err));                         \
		attr = save;                                   \
	} while (0)
	NOT(attr.qp_type = IBV_QPT_RAW_PACKET, EOPNOTSUPP);
	NOT(attr.qp_type = IBV_QPT_DRIVER, EOPNOTSUPP);
	NOT(attr.qp_type = IBV_QPT_XRC_SEND, EOPNOTSUPP);
	NOT(attr.comp_mask |= IBV_QP_INIT_ATTR_RX_HASH, EOPNOTSUPP);
	NOT(attr.comp_mask = 0, EINVAL);
	NOT(attr.cap.max_inline_data = FAKE_MAX_INLINE + 1, EINVAL);
	attr.comp_mask |= IBV_QP_INIT_ATTR_SEND_OPS_FLAGS;
	NOT(attr.send_ops_flags = IBV_QP_EX_WITH_BIND_MW, EOPNOTSUPP);
	NOT(attr.send_ops_flags = IBV_QP_EX_WITH_TSO, EOPNOTSUPP);
	NOT(attr.qp_type = IBV_QPT_UD;
	    attr.send_ops_flags = IBV_QP_EX_WITH_RDMA_READ, EOPNOTSUPP);
	NOT(attr.comp_mask |= IBV_QP_INIT_ATTR_CREATE_FLAGS;
	    attr.create_flags = IBV_QP_CREATE_SCATTER_FCS, EOPNOTSUPP);

	attr.send_ops_flags = IBV_QP_EX_WITH_SEND;
	qp = fake.ops->create_qp_ex(r.ctx, &attr);
	CHECK(qp && to_hodp_qp(qp)->vqp.comp_mask & VERBS_QP_EX);
	CHECK(to_hodp_qp(qp)->vqp.qp_ex.wr_send &&
	      !to_hodp_qp(qp)->vqp.qp_ex.wr_rdma_read);
	CHECK(attr.cap.max_inline_data == FAKE_MAX_INLINE);
	CHECK(!fake.ops->destroy_qp(qp));
	rig_down(&r);
}

static void reset_restarts(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_RESET };
	struct ibv_send_wr wr = { .opcode = IBV_WR_SEND }, *bad;
	struct ibv_recv_wr rwr = {}, *rbad;
	int i;

	for (i = 0; i < RIG_ENTRIES; i++) {
		CHECK(!fake.ops->post_send(r.qp, &wr, &bad));
		CHECK(!fake.ops->post_recv(r.qp, &rwr, &rbad));
	}
	/* A command that fails changes nothing. */
	fake.fail = EINVAL;
	CHECK(fake.ops->modify_qp(r.qp, &attr, IBV_QP_STATE) == EINVAL);
	CHECK(fake.ops->post_send(r.qp, &wr, &bad) == ENOMEM);
	/* The kernel indexes seen so far must be forgotten as well. */
	fake_consume(&fake.sq, 5);
	fake_consume(&fake.rq, 5);
	CHECK(!fake.ops->post_send(r.qp, &wr, &bad));
	CHECK(!fake.ops->post_recv(r.qp, &rwr, &rbad));

	CHECK(!fake.ops->modify_qp(r.qp, &attr, IBV_QP_STATE));
	for (i = 0; i < RIG_ENTRIES; i++) {
		CHECK(!fake.ops->post_send(r.qp, &wr, &bad));
		CHECK(!fake.ops->post_recv(r.qp, &rwr, &rbad));
	}
	CHECK(fake.sq.hdr->prod == RIG_ENTRIES &&
	      fake.rq.hdr->prod == RIG_ENTRIES);
	CHECK(fake.ops->post_send(r.qp, &wr, &bad) == ENOMEM);
	CHECK(fake.ops->post_recv(r.qp, &rwr, &rbad) == ENOMEM);
	rig_down(&r);
}

static void with_srq(void)
{
	struct ibv_srq_init_attr srq_attr = { .attr = { .max_wr =
								RIG_ENTRIES } };
	struct ibv_srq_attr change = { .max_wr = 2 * RIG_ENTRIES };
	struct ibv_recv_wr wr = { .wr_id = 3 }, *bad = NULL;
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	uint32_t num;

	srq = fake.ops->create_srq(r.pd, &srq_attr);
	CHECK(!fake.ops->get_srq_num(srq, &num) && num == 4711);
	CHECK(fake.ops->modify_srq(srq, &change, IBV_SRQ_MAX_WR) == EOPNOTSUPP);
	r.qp_attr.srq = srq;
	qp = fake.ops->create_qp(r.pd, &r.qp_attr);
	qp->state = IBV_QPS_RTS;
	CHECK(fake.ops->post_recv(qp, &wr, &bad) == EINVAL && bad == &wr);

	CHECK(!fake.ops->post_srq_recv(srq, &wr, &bad));
	CHECK(fake.bells[FAKE_BELL_SRQ] == 0);
	fake.srq.hdr->flags = HODP_RING_NEED_DOORBELL;
	fake.interrupt = 2;
	CHECK(!fake.ops->post_srq_recv(srq, &wr, &bad));
	CHECK(!fake.interrupt);
	CHECK(fake.bells[FAKE_BELL_SRQ] == 1 && fake.rung == srq->handle);
	CHECK(fake.srq.hdr->prod == 2);
	CHECK(((struct hodp_recv_wqe *)fake_at(&fake.srq, 1))->wr_id == 3);
	fake.bell_error = EIO;
	CHECK(fake.ops->post_srq_recv(srq, &wr, &bad) == EIO && bad == &wr);
	CHECK(!fake.ops->destroy_qp(qp));
	CHECK(!fake.ops->destroy_srq(srq));
	rig_down(&r);
}

/* An imported context has a doorbell of its own, and owns no object. */
static void imports(void)
{
	struct rig r = rig_up(IBV_QPT_RC);
	int objects = fake.objects, doorbell = fake.doorbell_fd;
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_mr *mr;

	fake.fail = EMFILE;
	CHECK(!fake_import(r.ctx) && errno == EMFILE);
	ctx = fake_import(r.ctx);
	CHECK(ctx && fake.doorbell_fd != doorbell);
	CHECK(to_hodp_context(ctx)->doorbell_fd == fake.doorbell_fd);
	CHECK(to_hodp_context(ctx)->max_inline == FAKE_MAX_INLINE);

	pd = fake.ops->import_pd(ctx, r.pd->handle);
	CHECK(pd->context == ctx && pd->handle == r.pd->handle);
	CHECK(hodp_pd_needs_locks(pd));
	fake.fail = EINVAL;
	CHECK(!fake.ops->import_mr(pd, 5) && errno == EINVAL);
	mr = fake.ops->import_mr(pd, 5);
	CHECK(mr->context == ctx && mr->pd == pd && mr->handle == 5);

	fake.ops->unimport_mr(mr);
	fake.ops->unimport_pd(pd);
	fake_close(ctx);
	CHECK(fake.objects == objects);
	rig_down(&r);
}

static void domains(void)
{
	struct ibv_parent_domain_init_attr attr = {};
	struct ibv_td_init_attr td_attr = {};
	struct rig r = rig_up(IBV_QPT_RC);
	struct ibv_pd *parent, *plain;
	struct ibv_td *td;
	struct ibv_qp *qp;

	td = fake.ops->alloc_td(r.ctx, &td_attr);
	CHECK(!fake.ops->alloc_parent_domain(r.ctx, &attr) && errno == EINVAL);
	attr.pd = r.pd;
	attr.comp_mask = IBV_PARENT_DOMAIN_INIT_ATTR_ALLOCATORS;
	CHECK(!fake.ops->alloc_parent_domain(r.ctx, &attr) &&
	      errno == EOPNOTSUPP);
	attr.comp_mask = 0;
	plain = fake.ops->alloc_parent_domain(r.ctx, &attr);
	attr.td = td;
	parent = fake.ops->alloc_parent_domain(r.ctx, &attr);
	CHECK(parent->handle == r.pd->handle && parent->context == r.ctx);
	attr.pd = parent;
	CHECK(!fake.ops->alloc_parent_domain(r.ctx, &attr) && errno == EINVAL);

	qp = fake.ops->create_qp(parent, &r.qp_attr);
	CHECK(!to_hodp_qp(qp)->sq.lock.needed &&
	      !to_hodp_qp(qp)->rq.lock.needed);
	CHECK(!fake.ops->destroy_qp(qp));
	qp = fake.ops->create_qp(plain, &r.qp_attr);
	CHECK(to_hodp_qp(qp)->sq.lock.needed);
	CHECK(!fake.ops->destroy_qp(qp));

	CHECK(fake.ops->dealloc_td(td) == EBUSY &&
	      fake.ops->dealloc_pd(r.pd) == EBUSY);
	CHECK(!fake.ops->dealloc_pd(parent) && !fake.ops->dealloc_td(td));
	CHECK(fake.ops->dealloc_pd(r.pd) == EBUSY);
	CHECK(!fake.ops->dealloc_pd(plain));
	rig_down(&r);
}

const struct unit_case life_cases[] = {
	{ "the device is known by hca_type alone", match },
	{ "a context that the kernel refuses leaves nothing", no_context },
	{ "a ring that contradicts itself is not mapped, and the object goes",
	  bad_rings },
	{ "what the kernel refuses is an errno and leaves nothing", refused },
	{ "QP attributes are honoured or refused", qp_attrs },
	{ "a reset QP starts both rings again", reset_restarts },
	{ "an SRQ takes receives, and its QP does not", with_srq },
	{ "an imported context has its own doorbell and no objects", imports },
	{ "a thread domain takes the locks away, and domains outlive their users",
	  domains },
};
const size_t num_life_cases = ARRAY_LEN(life_cases);
