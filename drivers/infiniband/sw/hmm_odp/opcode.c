// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The opcode table.  Also compiled in user space for its unit test. */
#ifdef __KERNEL__
#include <linux/kernel.h>
#include <rdma/ib_verbs.h>
#endif
#include "opcode.h"

#define HODP_SENDS (HODP_OP_SEND | HODP_OP_INLINE)
#define HODP_WRITES (HODP_OP_WRITE | HODP_OP_INLINE)

static const struct hodp_opcode hodp_opcodes[] = {
	[IB_WR_SEND] = {
		.name = "SEND",
		.flags = HODP_SENDS,
		.qps = HODP_QPS_RC | HODP_QPS_UC | HODP_QPS_UD,
		.wc = IB_WC_SEND,
		.recv_wc = IB_WC_RECV,
	},
	[IB_WR_SEND_WITH_IMM] = {
		.name = "SEND_WITH_IMM",
		.flags = HODP_SENDS | HODP_OP_IMM,
		.qps = HODP_QPS_RC | HODP_QPS_UC | HODP_QPS_UD,
		.wc = IB_WC_SEND,
		.recv_wc = IB_WC_RECV,
	},
	[IB_WR_SEND_WITH_INV] = {
		.name = "SEND_WITH_INV",
		.flags = HODP_SENDS | HODP_OP_INV,
		.qps = HODP_QPS_RC,
		.wc = IB_WC_SEND,
		.recv_wc = IB_WC_RECV,
	},
	[IB_WR_RDMA_WRITE] = {
		.name = "RDMA_WRITE",
		.flags = HODP_WRITES,
		.qps = HODP_QPS_RC | HODP_QPS_UC,
		.wc = IB_WC_RDMA_WRITE,
		.remote_access = IB_ACCESS_REMOTE_WRITE,
	},
	[IB_WR_RDMA_WRITE_WITH_IMM] = {
		.name = "RDMA_WRITE_WITH_IMM",
		.flags = HODP_WRITES | HODP_OP_IMM,
		.qps = HODP_QPS_RC | HODP_QPS_UC,
		.wc = IB_WC_RDMA_WRITE,
		.recv_wc = IB_WC_RECV_RDMA_WITH_IMM,
		.remote_access = IB_ACCESS_REMOTE_WRITE,
	},
	[IB_WR_RDMA_READ] = {
		.name = "RDMA_READ",
		.flags = HODP_OP_READ,
		.qps = HODP_QPS_RC,
		.wc = IB_WC_RDMA_READ,
		.remote_access = IB_ACCESS_REMOTE_READ,
	},
	[IB_WR_ATOMIC_CMP_AND_SWP] = {
		.name = "ATOMIC_CMP_AND_SWP",
		.flags = HODP_OP_ATOMIC,
		.qps = HODP_QPS_RC,
		.wc = IB_WC_COMP_SWAP,
		.remote_access = IB_ACCESS_REMOTE_ATOMIC,
	},
	[IB_WR_ATOMIC_FETCH_AND_ADD] = {
		.name = "ATOMIC_FETCH_AND_ADD",
		.flags = HODP_OP_ATOMIC,
		.qps = HODP_QPS_RC,
		.wc = IB_WC_FETCH_ADD,
		.remote_access = IB_ACCESS_REMOTE_ATOMIC,
	},
	[IB_WR_LOCAL_INV] = {
		.name = "LOCAL_INV",
		.flags = HODP_OP_LOCAL | HODP_OP_INV,
		.qps = HODP_QPS_RC | HODP_QPS_UC,
		.wc = IB_WC_LOCAL_INV,
	},
	[IB_WR_REG_MR] = {
		.name = "REG_MR",
		.flags = HODP_OP_LOCAL | HODP_OP_KERNEL,
		.qps = HODP_QPS_RC | HODP_QPS_UC,
		.wc = IB_WC_REG_MR,
	},
};

const struct hodp_opcode *hodp_opcode_row(u32 opcode)
{
	if (opcode >= ARRAY_SIZE(hodp_opcodes) || !hodp_opcodes[opcode].name)
		return NULL;
	return &hodp_opcodes[opcode];
}
