/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Differences between versions 34 (rdma-core 34 to 56) and 65 of the private
 * interface of libibverbs.  Each wrapper has the form of version 34; the
 * provider does not need the arguments that later versions add.
 */
#ifndef HODP_CORE_H
#define HODP_CORE_H

#include <infiniband/driver.h>

/* Since 57, get_context can fetch file descriptors. */
#if IBVERBS_PABI_VERSION >= 57
#define hodp_core_get_context(ctx, cmd, cmd_size, resp, size) \
	ibv_cmd_get_context(ctx, cmd, cmd_size, NULL, resp, size)
#else
#define hodp_core_get_context ibv_cmd_get_context
#endif

/* Since 59, create_cq_ex takes memory for the CQ. */
#if IBVERBS_PABI_VERSION >= 59
#define hodp_core_create_cq_ex(ctx, attr, cq, cmd, cmd_size, resp, size,     \
			       flags)                                        \
	ibv_cmd_create_cq_ex(ctx, attr, NULL, cq, cmd, cmd_size, resp, size, \
			     flags)
#else
#define hodp_core_create_cq_ex ibv_cmd_create_cq_ex
#endif

/* Since 64, create_qp_ex2 takes driver-specific attributes. */
#if IBVERBS_PABI_VERSION >= 64
#define hodp_core_create_qp_ex2(ctx, qp, attr, cmd, cmd_size, resp, size) \
	ibv_cmd_create_qp_ex2(ctx, qp, attr, cmd, cmd_size, resp, size, NULL)
#else
#define hodp_core_create_qp_ex2 ibv_cmd_create_qp_ex2
#endif

#endif /* HODP_CORE_H */
