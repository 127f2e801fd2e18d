// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Device, context, protection domains, memory regions and address handles.
 *
 * The kernel's list has no driver id for this device, and its name can be
 * anything.  The sysfs attribute hca_type identifies it.
 *
 * Not supported: memory windows, XRC, dma-buf, device memory, flow steering,
 * allocators in a parent domain.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <infiniband/cmd_ioctl.h>

#include "core.h"
#include "hmm_odp.h"

int hodp_ring_map(struct ibv_context *ctx, const struct hodp_ring_info *info,
		  size_t min_stride, struct hodp_ring *ring)
{
	off_t offset = info->mmap_offset;
	void *map;

	memset(ring, 0, sizeof(*ring));
	if (offset < 0 || (uint64_t)offset != info->mmap_offset ||
	    info->mmap_size > SIZE_MAX)
		return EPROTO;

	map = mmap(NULL, info->mmap_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   ctx->cmd_fd, offset);
	if (map == MAP_FAILED)
		return errno;

	ring->hdr = map;
	ring->size = info->mmap_size;
	if (!hodp_ring_init(ring, info, min_stride)) {
		hodp_ring_unmap(ring);
		return EPROTO;
	}
	return 0;
}

void hodp_ring_unmap(struct hodp_ring *ring)
{
	if (ring->hdr)
		munmap(ring->hdr, ring->size);
	memset(ring, 0, sizeof(*ring));
}

int hodp_qp_bell(struct ibv_qp *ibqp, unsigned long which)
{
	struct hodp_context *ctx = to_hodp_context(ibqp->context);
	int ret;

	do
		ret = ioctl(ctx->doorbell_fd, which,
			    (unsigned long)ibqp->qp_num);
	while (ret < 0 && errno == EINTR);
	return ret < 0 ? errno : 0;
}

static int hodp_query_device(struct ibv_context *ctx,
			     const struct ibv_query_device_ex_input *input,
			     struct ibv_device_attr_ex *attr, size_t attr_size)
{
	struct ib_uverbs_ex_query_device_resp resp;
	size_t resp_size = sizeof(resp);
	uint64_t ver;
	int err;

	err = ibv_cmd_query_device_any(ctx, input, attr, attr_size, &resp,
				       &resp_size);
	if (err)
		return err;

	ver = resp.base.fw_ver;
	snprintf(attr->orig_attr.fw_ver, sizeof(attr->orig_attr.fw_ver),
		 "%u.%u.%u", (unsigned int)(ver >> 32) & 0xffff,
		 (unsigned int)(ver >> 16) & 0xffff,
		 (unsigned int)ver & 0xffff);
	return 0;
}

/*
 * The clock of completion timestamps, in ticks of one nanosecond, read without
 * a system call.  In a time namespace it differs from the timestamps by the
 * offset of the namespace, which the kernel does not add to them.
 */
static int hodp_query_rt_values(struct ibv_context *ctx HODP_UNUSED,
				struct ibv_values_ex *values)
{
	struct timespec now;

	if (values->comp_mask & IBV_VALUES_MASK_RAW_CLOCK) {
		if (clock_gettime(CLOCK_MONOTONIC, &now))
			return errno;
		values->raw_clock.tv_sec = 0;
		values->raw_clock.tv_nsec =
			now.tv_sec * 1000000000L + now.tv_nsec;
	}
	values->comp_mask &= IBV_VALUES_MASK_RAW_CLOCK;
	return 0;
}

static int hodp_query_port(struct ibv_context *ctx, uint8_t port,
			   struct ibv_port_attr *attr)
{
	struct ibv_query_port cmd;

	return ibv_cmd_query_port(ctx, port, attr, &cmd, sizeof(cmd));
}

/* The kernel has refused @object. */
static void *hodp_failed(void *object, int err)
{
	free(object);
	errno = err;
	return NULL;
}

static struct ibv_pd *hodp_alloc_pd(struct ibv_context *ctx)
{
	struct ib_uverbs_alloc_pd_resp resp;
	struct ibv_alloc_pd cmd;
	struct hodp_pd *pd;
	int err;

	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;
	atomic_init(&pd->refs, 1);

	err = ibv_cmd_alloc_pd(ctx, &pd->pd, &cmd, sizeof(cmd), &resp,
			       sizeof(resp));
	if (err)
		return hodp_failed(pd, err);
	return &pd->pd;
}

static struct ibv_td *hodp_alloc_td(struct ibv_context *ctx,
				    struct ibv_td_init_attr *attr)
{
	struct hodp_td *td;

	if (attr->comp_mask) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	td = calloc(1, sizeof(*td));
	if (!td)
		return NULL;
	td->td.context = ctx;
	atomic_init(&td->refs, 1);
	return &td->td;
}

static int hodp_dealloc_td(struct ibv_td *ibtd)
{
	struct hodp_td *td = to_hodp_td(ibtd);

	if (atomic_load(&td->refs) > 1)
		return EBUSY;
	free(td);
	return 0;
}

/*
 * A parent domain is not a kernel object.  It refers to a protection domain and
 * records whether locks are needed.
 */
static struct ibv_pd *
hodp_alloc_parent_domain(struct ibv_context *ctx HODP_UNUSED,
			 struct ibv_parent_domain_init_attr *attr)
{
	struct hodp_pd *pd, *base;

	if (ibv_check_alloc_parent_domain(attr))
		return NULL;
	/* The kernel allocates the rings, so allocators are not supported. */
	if (attr->comp_mask) {
		errno = EOPNOTSUPP;
		return NULL;
	}

	base = to_hodp_pd(attr->pd);
	if (base->base) {
		errno = EINVAL;
		return NULL;
	}
	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;

	atomic_init(&pd->refs, 1);
	pd->base = base;
	atomic_fetch_add(&base->refs, 1);
	if (attr->td) {
		pd->td = to_hodp_td(attr->td);
		atomic_fetch_add(&pd->td->refs, 1);
	}
	ibv_initialize_parent_domain(&pd->pd, &base->pd);
	return &pd->pd;
}

static int hodp_dealloc_pd(struct ibv_pd *ibpd)
{
	struct hodp_pd *pd = to_hodp_pd(ibpd);
	int err;

	if (atomic_load(&pd->refs) > 1)
		return EBUSY;

	if (pd->base) {
		if (pd->td)
			atomic_fetch_sub(&pd->td->refs, 1);
		atomic_fetch_sub(&pd->base->refs, 1);
	} else {
		err = ibv_cmd_dealloc_pd(ibpd);
		if (err)
			return err;
	}
	free(pd);
	return 0;
}

/* Import a protection domain of another process or context by its handle. */
static struct ibv_pd *hodp_import_pd(struct ibv_context *ctx, uint32_t handle)
{
	struct hodp_pd *pd;

	pd = calloc(1, sizeof(*pd));
	if (!pd)
		return NULL;
	atomic_init(&pd->refs, 1);
	pd->pd.context = ctx;
	pd->pd.handle = handle;
	return &pd->pd;
}

static void hodp_unimport_pd(struct ibv_pd *ibpd)
{
	free(to_hodp_pd(ibpd));
}

static struct ibv_mr *hodp_reg_mr(struct ibv_pd *pd, void *addr, size_t length,
				  uint64_t hca_va, int access)
{
	struct ib_uverbs_reg_mr_resp resp;
	struct ibv_reg_mr cmd;
	struct verbs_mr *vmr;
	int err;

	vmr = calloc(1, sizeof(*vmr));
	if (!vmr)
		return NULL;

	err = ibv_cmd_reg_mr(pd, addr, length, hca_va, access, vmr, &cmd,
			     sizeof(cmd), &resp, sizeof(resp));
	if (err)
		return hodp_failed(vmr, err);
	return &vmr->ibv_mr;
}

static int hodp_rereg_mr(struct verbs_mr *vmr, int flags, struct ibv_pd *pd,
			 void *addr, size_t length, int access)
{
	struct ib_uverbs_rereg_mr_resp resp;
	struct ibv_rereg_mr cmd;

	return ibv_cmd_rereg_mr(vmr, flags, addr, length, (uintptr_t)addr,
				access, pd, &cmd, sizeof(cmd), &resp,
				sizeof(resp));
}

static int hodp_dereg_mr(struct verbs_mr *vmr)
{
	int err = ibv_cmd_dereg_mr(vmr);

	if (!err)
		free(vmr);
	return err;
}

static struct ibv_mr *hodp_import_mr(struct ibv_pd *pd, uint32_t handle)
{
	struct verbs_mr *vmr;
	int err;

	vmr = calloc(1, sizeof(*vmr));
	if (!vmr)
		return NULL;

	err = ibv_cmd_query_mr(pd, vmr, handle);
	if (err)
		return hodp_failed(vmr, err);
	return &vmr->ibv_mr;
}

static void hodp_unimport_mr(struct ibv_mr *mr)
{
	free(verbs_get_mr(mr));
}

/* Work requests refer to an AH by its number. */
static struct ibv_ah *hodp_create_ah(struct ibv_pd *pd,
				     struct ibv_ah_attr *attr)
{
	struct hodp_cmd_create_ah_resp resp = {};
	struct hodp_ah *ah;
	int err;

	ah = calloc(1, sizeof(*ah));
	if (!ah)
		return NULL;

	err = ibv_cmd_create_ah(pd, &ah->ah, attr, &resp.ibv_resp,
				sizeof(resp));
	if (err)
		return hodp_failed(ah, err);
	ah->ahn = resp.ahn;
	return &ah->ah;
}

static int hodp_destroy_ah(struct ibv_ah *ibah)
{
	int err = ibv_cmd_destroy_ah(ibah);

	if (!err)
		free(to_hodp_ah(ibah));
	return err;
}

static void hodp_free_context(struct ibv_context *ibctx)
{
	struct hodp_context *ctx = to_hodp_context(ibctx);

	close(ctx->doorbell_fd);
	verbs_uninit_context(&ctx->vctx);
	free(ctx);
}

static const struct verbs_context_ops hodp_context_ops = {
	.advise_mr = ibv_cmd_advise_mr,
	.alloc_parent_domain = hodp_alloc_parent_domain,
	.alloc_pd = hodp_alloc_pd,
	.alloc_td = hodp_alloc_td,
	.attach_mcast = ibv_cmd_attach_mcast,
	.create_ah = hodp_create_ah,
	.create_cq = hodp_create_cq,
	.create_cq_ex = hodp_create_cq_ex,
	.create_qp = hodp_create_qp,
	.create_qp_ex = hodp_create_qp_ex,
	.create_srq = hodp_create_srq,
	.dealloc_pd = hodp_dealloc_pd,
	.dealloc_td = hodp_dealloc_td,
	.dereg_mr = hodp_dereg_mr,
	.destroy_ah = hodp_destroy_ah,
	.destroy_cq = hodp_destroy_cq,
	.destroy_qp = hodp_destroy_qp,
	.destroy_srq = hodp_destroy_srq,
	.detach_mcast = ibv_cmd_detach_mcast,
	.free_context = hodp_free_context,
	.get_srq_num = hodp_get_srq_num,
	.import_mr = hodp_import_mr,
	.import_pd = hodp_import_pd,
	.modify_qp = hodp_modify_qp,
	.modify_srq = hodp_modify_srq,
	.poll_cq = hodp_poll_cq,
	.post_recv = hodp_post_recv,
	.post_send = hodp_post_send,
	.post_srq_recv = hodp_post_srq_recv,
	.query_device_ex = hodp_query_device,
	.query_port = hodp_query_port,
	.query_qp = hodp_query_qp,
	.query_rt_values = hodp_query_rt_values,
	.query_srq = hodp_query_srq,
	.reg_mr = hodp_reg_mr,
	.req_notify_cq = ibv_cmd_req_notify_cq,
	.rereg_mr = hodp_rereg_mr,
	.resize_cq = hodp_resize_cq,
	.unimport_mr = hodp_unimport_mr,
	.unimport_pd = hodp_unimport_pd,
};

/* Finish opening a context; @err is the result of the kernel's command. */
static struct verbs_context *hodp_opened(struct hodp_context *ctx, int err,
					 uint32_t max_inline, int doorbell_fd)
{
	if (err) {
		verbs_uninit_context(&ctx->vctx);
		free(ctx);
		errno = err;
		return NULL;
	}
	ctx->max_inline = max_inline;
	ctx->doorbell_fd = doorbell_fd;
	verbs_set_ops(&ctx->vctx, &hodp_context_ops);
	return &ctx->vctx;
}

static struct verbs_context *hodp_alloc_context(struct ibv_device *ibdev,
						int cmd_fd,
						void *private_data HODP_UNUSED)
{
	struct hodp_cmd_get_context_resp resp = {};
	struct ibv_get_context cmd = {};
	struct hodp_context *ctx;
	int err;

	ctx = verbs_init_and_alloc_context(ibdev, cmd_fd, ctx, vctx,
					   RDMA_DRIVER_UNKNOWN);
	if (!ctx)
		return NULL;

	err = hodp_core_get_context(&ctx->vctx, &cmd, sizeof(cmd),
				    &resp.ibv_resp, sizeof(resp));
	return hodp_opened(ctx, err, resp.max_inline, resp.doorbell_fd);
}

/*
 * Import a context of another process by its command fd.  It shares the objects
 * and rings in the kernel, but gets a new doorbell file.
 */
static struct verbs_context *hodp_import_context(struct ibv_device *ibdev,
						 int cmd_fd)
{
	DECLARE_COMMAND_BUFFER_LINK(attr, UVERBS_OBJECT_DEVICE,
				    UVERBS_METHOD_QUERY_CONTEXT, 1, NULL);
	struct hodp_alloc_ucontext_resp resp = {};
	struct hodp_context *ctx;
	int err;

	ctx = verbs_init_and_alloc_context(ibdev, cmd_fd, ctx, vctx,
					   RDMA_DRIVER_UNKNOWN);
	if (!ctx)
		return NULL;

	fill_attr_out_ptr(attr, HODP_ATTR_QUERY_CONTEXT_RESP, &resp);
	err = ibv_cmd_query_context(&ctx->vctx.context, attr);
	return hodp_opened(ctx, err, resp.max_inline, resp.doorbell_fd);
}

static bool hodp_match_device(struct verbs_sysfs_dev *sysfs_dev)
{
	char type[16];

	return ibv_read_ibdev_sysfs_file(type, sizeof(type), sysfs_dev,
					 "hca_type") > 0 &&
	       !strcmp(type, "hmm_odp");
}

static struct verbs_device *
hodp_alloc_device(struct verbs_sysfs_dev *sysfs_dev HODP_UNUSED)
{
	return calloc(1, sizeof(struct verbs_device));
}

static void hodp_uninit_device(struct verbs_device *dev)
{
	free(dev);
}

/* Must exist, because libibverbs walks it before it calls match_device. */
static const struct verbs_match_ent hodp_match_table[] = {
	{},
};

static const struct verbs_device_ops hodp_device_ops = {
	.name = "hmm_odp",
	.match_min_abi_version = HODP_UVERBS_ABI_VERSION,
	.match_max_abi_version = HODP_UVERBS_ABI_VERSION,
	.match_table = hodp_match_table,
	.match_device = hodp_match_device,
	.alloc_device = hodp_alloc_device,
	.uninit_device = hodp_uninit_device,
	.alloc_context = hodp_alloc_context,
	.import_context = hodp_import_context,
};
PROVIDER_DRIVER(hmm_odp, hodp_device_ops);
