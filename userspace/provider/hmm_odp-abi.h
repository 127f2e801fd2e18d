/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The driver's responses, in the form that libibverbs needs. */
#ifndef HODP_PROVIDER_ABI_H
#define HODP_PROVIDER_ABI_H

#include <infiniband/kern-abi.h>
#include <rdma/hmm_odp-abi.h>
#include <kernel-abi/hmm_odp-abi.h>

DECLARE_DRV_CMD(hodp_cmd_get_context, IB_USER_VERBS_CMD_GET_CONTEXT, empty,
		hodp_alloc_ucontext_resp);
DECLARE_DRV_CMD(hodp_cmd_create_cq, IB_USER_VERBS_EX_CMD_CREATE_CQ, empty,
		hodp_create_cq_resp);
DECLARE_DRV_CMD(hodp_cmd_resize_cq, IB_USER_VERBS_CMD_RESIZE_CQ, empty,
		hodp_resize_cq_resp);
DECLARE_DRV_CMD(hodp_cmd_create_srq, IB_USER_VERBS_CMD_CREATE_SRQ, empty,
		hodp_create_srq_resp);
DECLARE_DRV_CMD(hodp_cmd_create_qp, IB_USER_VERBS_EX_CMD_CREATE_QP, empty,
		hodp_create_qp_resp);
DECLARE_DRV_CMD(hodp_cmd_create_ah, IB_USER_VERBS_CMD_CREATE_AH, empty,
		hodp_create_ah_resp);

#endif /* HODP_PROVIDER_ABI_H */
