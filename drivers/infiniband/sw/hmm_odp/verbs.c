// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The ib_device_ops table (layer 6), and the only user of ib_udata.
 *
 * Model: each operation checks the driver-specific input of a process (none is
 * defined today), calls a lower layer, and returns the location of the rings to
 * the process.  If the response cannot be written, the new object is destroyed.
 *
 * For a kernel consumer udata, or attrs, is NULL.
 */
#include <linux/cred.h>
#include <rdma/ib_mad.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/uverbs_ioctl.h>
#define UVERBS_MODULE_NAME hmm_odp
#include <rdma/uverbs_named_ioctl.h>
#include "ah.h"
#include "cq.h"
#include "device.h"
#include "doorbell.h"
#include "engine.h"
#include "job.h"
#include "mcast.h"
#include "mr.h"
#include "prefetch.h"
#include "qp.h"
#include "queue.h"
#include "srq.h"
#include "stats.h"
#include "verbs.h"

struct hodp_ucontext {
	struct ib_ucontext ibuctx;
	struct hodp_doorbell *db;
};

struct hodp_pd {
	struct ib_pd ibpd;
};

/* The context of a calling process; NULL for a kernel consumer. */
static struct ib_ucontext *hodp_verbs_uctx(struct ib_udata *udata)
{
	return udata ? rdma_udata_to_uverbs_attr_bundle(udata)->context : NULL;
}

/* Check that a process passes no input and has space for @resp bytes. */
static int hodp_verbs_check_udata(struct ib_udata *udata, size_t resp)
{
	int ret;

	if (!udata)
		return 0;
	ret = ib_is_udata_in_empty(udata);
	if (ret)
		return ret;
	return udata->outlen < resp ? -EINVAL : 0;
}

/* ---- device and port ---- */

static int hodp_verbs_query_device(struct ib_device *ibdev,
				   struct ib_device_attr *attr,
				   struct ib_udata *udata)
{
	int ret = ib_no_udata_io(udata);

	if (ret)
		return ret;
	hodp_device_query(to_hodp_device(ibdev), attr);
	return 0;
}

static int hodp_verbs_modify_device(struct ib_device *ibdev, int mask,
				    struct ib_device_modify *attr)
{
	if (mask & ~IB_DEVICE_MODIFY_NODE_DESC)
		return -EOPNOTSUPP;
	if (mask & IB_DEVICE_MODIFY_NODE_DESC)
		memcpy(ibdev->node_desc, attr->node_desc,
		       sizeof(ibdev->node_desc));
	return 0;
}

static int hodp_verbs_query_pkey(struct ib_device *ibdev, u32 port, u16 index,
				 u16 *pkey)
{
	if (index)
		return -EINVAL;
	*pkey = IB_DEFAULT_PKEY_FULL;
	return 0;
}

static int hodp_verbs_port_immutable(struct ib_device *ibdev, u32 port,
				     struct ib_port_immutable *immutable)
{
	immutable->core_cap_flags = RDMA_CORE_PORT_IBA_ROCE_UDP_ENCAP;
	immutable->pkey_tbl_len = 1;
	immutable->gid_tbl_len = HODP_GID_TABLE_LEN;
	immutable->max_mad_size = IB_MGMT_MAD_SIZE;
	return 0;
}

static enum rdma_link_layer hodp_verbs_link_layer(struct ib_device *ibdev,
						  u32 port)
{
	return IB_LINK_LAYER_ETHERNET;
}

/* ---- contexts and protection domains ---- */

static struct hodp_ucontext *to_hodp_ucontext(struct ib_ucontext *uctx)
{
	return container_of(uctx, struct hodp_ucontext, ibuctx);
}

static int hodp_verbs_alloc_ucontext(struct ib_ucontext *uctx,
				     struct ib_udata *udata)
{
	struct hodp_alloc_ucontext_resp resp = {
		.max_inline = HODP_MAX_INLINE,
	};
	struct hodp_doorbell *db;
	struct file *file;
	int ret;

	ret = hodp_verbs_check_udata(udata, sizeof(resp));
	if (ret)
		return ret;
	db = hodp_doorbell_open(&file);
	if (IS_ERR(db))
		return PTR_ERR(db);
	ret = get_unused_fd_flags(O_CLOEXEC);
	if (ret < 0)
		goto err_file;
	resp.doorbell_fd = ret;
	ret = ib_respond_udata(udata, resp);
	if (ret)
		goto err_fd;
	fd_install(resp.doorbell_fd, file);
	to_hodp_ucontext(uctx)->db = db;
	return 0;

err_fd:
	put_unused_fd(resp.doorbell_fd);
err_file:
	fput(file);
	hodp_doorbell_close(db);
	return ret;
}

/* A process imports the context and needs its own doorbell file. */
static int hodp_verbs_query_ucontext(struct ib_ucontext *uctx,
				     struct uverbs_attr_bundle *attrs)
{
	struct hodp_alloc_ucontext_resp resp = {
		.max_inline = HODP_MAX_INLINE,
	};
	struct file *file;
	int ret;

	file = hodp_doorbell_share(to_hodp_ucontext(uctx)->db);
	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = get_unused_fd_flags(O_CLOEXEC);
	if (ret < 0)
		goto err_file;
	resp.doorbell_fd = ret;
	ret = uverbs_copy_to_struct_or_zero(attrs, HODP_ATTR_QUERY_CONTEXT_RESP,
					    &resp, sizeof(resp));
	if (ret)
		goto err_fd;
	fd_install(resp.doorbell_fd, file);
	return 0;

err_fd:
	put_unused_fd(resp.doorbell_fd);
err_file:
	fput(file);
	return ret;
}

static void hodp_verbs_dealloc_ucontext(struct ib_ucontext *uctx)
{
	hodp_doorbell_close(to_hodp_ucontext(uctx)->db);
}

/* The core destroys the objects; mappings keep their pages (see queue.c). */
static void hodp_verbs_disassociate(struct ib_ucontext *uctx)
{
}

static int hodp_verbs_alloc_pd(struct ib_pd *pd, struct ib_udata *udata)
{
	return ib_no_udata_io(udata);
}

static int hodp_verbs_dealloc_pd(struct ib_pd *pd, struct ib_udata *udata)
{
	return ib_no_udata_io(udata);
}

/* ---- address handles ---- */

static int hodp_verbs_create_ah(struct ib_ah *ibah,
				struct rdma_ah_init_attr *init,
				struct ib_udata *udata)
{
	bool sleepable = init->flags & RDMA_CREATE_AH_SLEEPABLE;
	struct hodp_ah *ah = to_hodp_ah(ibah);
	struct hodp_create_ah_resp resp = {};
	int ret;

	ret = hodp_verbs_check_udata(udata, sizeof(resp));
	if (ret)
		return ret;
	ret = hodp_ah_init(ah, init->ah_attr,
			   sleepable ? GFP_KERNEL : GFP_ATOMIC);
	if (ret || !udata)
		return ret;

	resp.ahn = ah->ahn;
	ret = ib_respond_udata(udata, resp);
	if (ret)
		hodp_ah_destroy(ah);
	return ret;
}

static int hodp_verbs_modify_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr)
{
	return hodp_ah_modify(to_hodp_ah(ibah), attr);
}

static int hodp_verbs_query_ah(struct ib_ah *ibah, struct rdma_ah_attr *attr)
{
	hodp_ah_query(to_hodp_ah(ibah), attr);
	return 0;
}

static int hodp_verbs_destroy_ah(struct ib_ah *ibah, u32 flags)
{
	hodp_ah_destroy(to_hodp_ah(ibah));
	return 0;
}

/* ---- completion queues ---- */

static int hodp_verbs_create_cq(struct ib_cq *ibcq,
				const struct ib_cq_init_attr *attr,
				struct uverbs_attr_bundle *attrs)
{
	struct ib_udata *udata = attrs ? &attrs->driver_udata : NULL;
	struct hodp_cq *cq = to_hodp_cq(ibcq);
	struct hodp_create_cq_resp resp = {};
	int ret;

	ret = hodp_verbs_check_udata(udata, sizeof(resp));
	if (ret)
		return ret;
	ret = hodp_cq_init(cq, attr, hodp_verbs_uctx(udata));
	if (ret || !udata)
		return ret;

	hodp_queue_info(&cq->q, &resp.ring);
	resp.cqn = cq->cqn;
	ret = ib_respond_udata(udata, resp);
	if (ret)
		hodp_cq_destroy(cq);
	return ret;
}

static int hodp_verbs_resize_cq(struct ib_cq *ibcq, unsigned int cqe,
				struct ib_udata *udata)
{
	struct hodp_resize_cq_resp resp = {};
	struct hodp_queue q = {};
	int ret;

	ret = hodp_verbs_check_udata(udata, sizeof(resp));
	if (ret)
		return ret;
	ret = hodp_cq_alloc_ring(&q, cqe, hodp_verbs_uctx(udata));
	if (ret)
		return ret;

	/* Write the response first, because the swap cannot be undone. */
	hodp_queue_info(&q, &resp.ring);
	ret = ib_respond_udata(udata, resp);
	if (!ret)
		ret = hodp_cq_swap(to_hodp_cq(ibcq), &q);
	hodp_queue_free(&q);
	return ret;
}

static int hodp_verbs_destroy_cq(struct ib_cq *ibcq, struct ib_udata *udata)
{
	int ret = ib_no_udata_io(udata);

	if (!ret)
		hodp_cq_destroy(to_hodp_cq(ibcq));
	return ret;
}

/* ---- shared receive queues ---- */

static int hodp_verbs_create_srq(struct ib_srq *ibsrq,
				 struct ib_srq_init_attr *init,
				 struct ib_udata *udata)
{
	struct hodp_srq *srq = to_hodp_srq(ibsrq);
	struct hodp_create_srq_resp resp = {};
	int ret;

	if (init->srq_type != IB_SRQT_BASIC)
		return -EOPNOTSUPP;
	ret = hodp_verbs_check_udata(udata, sizeof(resp));
	if (ret)
		return ret;
	ret = hodp_srq_init(srq, &init->attr, hodp_verbs_uctx(udata));
	if (ret || !udata)
		return ret;

	hodp_queue_info(&srq->rq.q, &resp.ring);
	resp.srqn = srq->srqn;
	ret = ib_respond_udata(udata, resp);
	if (ret)
		hodp_srq_destroy(srq);
	return ret;
}

static int hodp_verbs_modify_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr,
				 enum ib_srq_attr_mask mask,
				 struct ib_udata *udata)
{
	int ret = ib_no_udata_io(udata);

	if (ret)
		return ret;
	if (mask & ~IB_SRQ_LIMIT)
		return -EOPNOTSUPP;
	if (mask & IB_SRQ_LIMIT)
		return hodp_srq_arm(to_hodp_srq(ibsrq), attr->srq_limit);
	return 0;
}

static int hodp_verbs_query_srq(struct ib_srq *ibsrq, struct ib_srq_attr *attr)
{
	struct hodp_srq *srq = to_hodp_srq(ibsrq);

	attr->max_wr = srq->max_wr;
	attr->max_sge = srq->rq.max_sge;
	attr->srq_limit = hodp_srq_limit(srq);
	return 0;
}

static int hodp_verbs_destroy_srq(struct ib_srq *ibsrq, struct ib_udata *udata)
{
	int ret = ib_no_udata_io(udata);

	if (!ret)
		hodp_srq_destroy(to_hodp_srq(ibsrq));
	return ret;
}

/* ---- queue pairs ---- */

static struct hodp_doorbell *hodp_verbs_doorbell(struct ib_udata *udata)
{
	return to_hodp_ucontext(hodp_verbs_uctx(udata))->db;
}

static int hodp_verbs_create_qp(struct ib_qp *ibqp,
				struct ib_qp_init_attr *init,
				struct ib_udata *udata)
{
	struct hodp_create_qp_resp resp = {};
	struct hodp_qp *qp = to_hodp_qp(ibqp);
	int ret;

	ret = hodp_verbs_check_udata(udata, sizeof(resp));
	if (ret)
		return ret;
	hodp_engine_attach(qp);
	ret = hodp_qp_init(qp, init, hodp_verbs_uctx(udata));
	if (ret || !udata)
		return ret;

	hodp_queue_info(&qp->sq.q, &resp.sq);
	hodp_queue_info(&qp->rq.q, &resp.rq);
	resp.max_inline = qp->sq.max_inline;
	ret = hodp_doorbell_add(hodp_verbs_doorbell(udata), qp);
	if (ret)
		goto err_qp;
	ret = ib_respond_udata(udata, resp);
	if (ret)
		goto err_doorbell;
	return 0;

err_doorbell:
	hodp_doorbell_remove(hodp_verbs_doorbell(udata), qp);
err_qp:
	hodp_qp_destroy(qp);
	return ret;
}

static int hodp_verbs_modify_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr,
				int mask, struct ib_udata *udata)
{
	int ret = ib_no_udata_io(udata);

	if (ret)
		return ret;
	if (mask & ~IB_QP_ATTR_STANDARD_BITS)
		return -EOPNOTSUPP;
	return hodp_qp_modify(to_hodp_qp(ibqp), attr, mask);
}

static int hodp_verbs_query_qp(struct ib_qp *ibqp, struct ib_qp_attr *attr,
			       int mask, struct ib_qp_init_attr *init)
{
	hodp_qp_query(to_hodp_qp(ibqp), attr, init);
	return 0;
}

static int hodp_verbs_destroy_qp(struct ib_qp *ibqp, struct ib_udata *udata)
{
	int ret = ib_no_udata_io(udata);

	if (ret)
		return ret;
	if (udata)
		hodp_doorbell_remove(hodp_verbs_doorbell(udata),
				     to_hodp_qp(ibqp));
	hodp_qp_destroy(to_hodp_qp(ibqp));
	return 0;
}

/* The core has checked that this is a UD QP and a multicast GID. */
static int hodp_verbs_attach_mcast(struct ib_qp *ibqp, union ib_gid *gid,
				   u16 lid)
{
	return hodp_mcast_attach(to_hodp_device(ibqp->device), gid,
				 ibqp->qp_num,
				 ibqp->uobject ? hodp_user_uid() : INVALID_UID);
}

static int hodp_verbs_detach_mcast(struct ib_qp *ibqp, union ib_gid *gid,
				   u16 lid)
{
	return hodp_mcast_detach(to_hodp_device(ibqp->device), gid,
				 ibqp->qp_num);
}

/* ---- memory regions ---- */

static struct ib_mr *hodp_verbs_reg_user_mr(struct ib_pd *pd, u64 start,
					    u64 length, u64 iova, int access,
					    struct ib_dmah *dmah,
					    struct ib_udata *udata)
{
	int ret = ib_no_udata_io(udata);

	if (ret)
		return ERR_PTR(ret);
	if (dmah)
		return ERR_PTR(-EOPNOTSUPP);
	return hodp_mr_reg_user(pd, start, length, iova, access);
}

static struct ib_mr *hodp_verbs_rereg_user_mr(struct ib_mr *ibmr, int flags,
					      u64 start, u64 length, u64 iova,
					      int access, struct ib_pd *pd,
					      struct ib_udata *udata)
{
	int ret = ib_no_udata_io(udata);

	if (ret)
		return ERR_PTR(ret);
	return hodp_mr_rereg(ibmr, flags, start, length, iova, access, pd);
}

static int hodp_verbs_dereg_mr(struct ib_mr *ibmr, struct ib_udata *udata)
{
	int ret = ib_no_udata_io(udata);

	return ret ?: hodp_mr_dereg(ibmr);
}

static int hodp_verbs_advise_mr(struct ib_pd *pd,
				enum ib_uverbs_advise_mr_advice advice,
				u32 flags, struct ib_sge *sge, u32 num_sge,
				struct uverbs_attr_bundle *attrs)
{
	if (flags & ~IB_UVERBS_ADVISE_MR_FLAG_FLUSH)
		return -EINVAL;
	return hodp_prefetch_advise(pd, advice,
				    flags & IB_UVERBS_ADVISE_MR_FLAG_FLUSH, sge,
				    num_sge);
}

/* ---- sysfs ---- */

/* The provider recognises the device by this, whatever its name is. */
static ssize_t hca_type_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "hmm_odp\n");
}
static DEVICE_ATTR_RO(hca_type);

static struct attribute *hodp_verbs_attrs[] = {
	&dev_attr_hca_type.attr,
	NULL,
};

static const struct attribute_group hodp_verbs_attr_group = {
	.attrs = hodp_verbs_attrs,
};

ADD_UVERBS_ATTRIBUTES_SIMPLE(
	hodp_query_context, UVERBS_OBJECT_DEVICE, UVERBS_METHOD_QUERY_CONTEXT,
	UVERBS_ATTR_PTR_OUT(HODP_ATTR_QUERY_CONTEXT_RESP,
			    UVERBS_ATTR_STRUCT(struct hodp_alloc_ucontext_resp,
					       reserved),
			    UA_MANDATORY));

const struct uapi_definition hodp_uapi[] = {
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_DEVICE, &hodp_query_context),
	{},
};

const struct ib_device_ops hodp_ops = {
	.owner = THIS_MODULE,
	.driver_id = RDMA_DRIVER_UNKNOWN,
	.uverbs_abi_ver = HODP_UVERBS_ABI_VERSION,
	.uverbs_robust_udata = 1,
	.device_group = &hodp_verbs_attr_group,

	.advise_mr = hodp_verbs_advise_mr,
	.alloc_hw_port_stats = hodp_stats_alloc,
	.alloc_mr = hodp_mr_alloc,
	.alloc_pd = hodp_verbs_alloc_pd,
	.alloc_ucontext = hodp_verbs_alloc_ucontext,
	.attach_mcast = hodp_verbs_attach_mcast,
	.create_ah = hodp_verbs_create_ah,
	.create_cq = hodp_verbs_create_cq,
	.create_qp = hodp_verbs_create_qp,
	.create_srq = hodp_verbs_create_srq,
	.create_user_ah = hodp_verbs_create_ah,
	.create_user_cq = hodp_verbs_create_cq,
	.dealloc_driver = hodp_device_dealloc,
	.enable_driver = hodp_device_enable,
	.dealloc_pd = hodp_verbs_dealloc_pd,
	.dealloc_ucontext = hodp_verbs_dealloc_ucontext,
	.dereg_mr = hodp_verbs_dereg_mr,
	.destroy_ah = hodp_verbs_destroy_ah,
	.destroy_cq = hodp_verbs_destroy_cq,
	.destroy_qp = hodp_verbs_destroy_qp,
	.destroy_srq = hodp_verbs_destroy_srq,
	.detach_mcast = hodp_verbs_detach_mcast,
	.disassociate_ucontext = hodp_verbs_disassociate,
	.fill_res_cq_entry = hodp_stats_fill_res_cq,
	.fill_res_mr_entry = hodp_stats_fill_res_mr,
	.fill_res_srq_entry = hodp_stats_fill_res_srq,
	.fill_stat_mr_entry = hodp_stats_fill_mr,
	.get_dev_fw_str = hodp_device_fw_str,
	.get_dma_mr = hodp_mr_get_dma,
	.get_hw_stats = hodp_stats_get,
	.get_link_layer = hodp_verbs_link_layer,
	.get_port_immutable = hodp_verbs_port_immutable,
	.map_mr_sg = hodp_mr_map_sg,
	.mmap = hodp_queue_mmap,
	.mmap_free = hodp_queue_mmap_free,
	.modify_ah = hodp_verbs_modify_ah,
	.modify_device = hodp_verbs_modify_device,
	.modify_qp = hodp_verbs_modify_qp,
	.modify_srq = hodp_verbs_modify_srq,
	.poll_cq = hodp_cq_poll,
	.post_recv = hodp_engine_post_recv,
	.post_send = hodp_engine_post_send,
	.post_srq_recv = hodp_engine_post_srq_recv,
	.query_ah = hodp_verbs_query_ah,
	.query_device = hodp_verbs_query_device,
	.query_pkey = hodp_verbs_query_pkey,
	.query_port = hodp_device_query_port,
	.query_qp = hodp_verbs_query_qp,
	.query_srq = hodp_verbs_query_srq,
	.query_ucontext = hodp_verbs_query_ucontext,
	.reg_user_mr = hodp_verbs_reg_user_mr,
	.req_notify_cq = hodp_cq_arm,
	.rereg_user_mr = hodp_verbs_rereg_user_mr,
	.resize_user_cq = hodp_verbs_resize_cq,

	INIT_RDMA_OBJ_SIZE(ib_ah, hodp_ah, ibah),
	INIT_RDMA_OBJ_SIZE(ib_cq, hodp_cq, ibcq),
	INIT_RDMA_OBJ_SIZE(ib_pd, hodp_pd, ibpd),
	INIT_RDMA_OBJ_SIZE(ib_qp, hodp_qp, ibqp),
	INIT_RDMA_OBJ_SIZE(ib_srq, hodp_srq, ibsrq),
	INIT_RDMA_OBJ_SIZE(ib_ucontext, hodp_ucontext, ibuctx),
};
