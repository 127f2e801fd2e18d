// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The table of QP types.  Also compiled in user space for its unit test. */
#ifdef __KERNEL__
#include <linux/kernel.h>
#include <rdma/ib_verbs.h>
#endif
#include "opcode.h"
#include "service.h"

static const struct hodp_service hodp_services[] = {
	[IB_QPT_GSI] = {
		.name = "GSI",
		.qps = HODP_QPS_UD,
		.kernel_only = true,
		.send_failed = IB_QPS_SQE,
	},
	[IB_QPT_RC] = {
		.name = "RC",
		.qps = HODP_QPS_RC,
		.connected = true,
		.reliable = true,
		.send_failed = IB_QPS_ERR,
	},
	[IB_QPT_UC] = {
		.name = "UC",
		.qps = HODP_QPS_UC,
		.connected = true,
		.send_failed = IB_QPS_SQE,
	},
	[IB_QPT_UD] = {
		.name = "UD",
		.qps = HODP_QPS_UD,
		.send_failed = IB_QPS_SQE,
	},
};

const struct hodp_service *hodp_service_row(u32 type)
{
	if (type >= ARRAY_SIZE(hodp_services) || !hodp_services[type].name)
		return NULL;
	return &hodp_services[type];
}
