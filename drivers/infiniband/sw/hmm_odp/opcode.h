/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* One row per work request opcode (layer 0). */
#ifndef HODP_OPCODE_H
#define HODP_OPCODE_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

/* What an operation does; bits of hodp_opcode.flags. */
enum {
	HODP_OP_SEND = 1 << 0, /* sends data to a receive request */
	HODP_OP_WRITE = 1 << 1, /* writes data to remote memory */
	HODP_OP_READ = 1 << 2, /* reads data from remote memory */
	HODP_OP_ATOMIC = 1 << 3, /* returns 8 bytes */
	HODP_OP_IMM = 1 << 4, /* carries immediate data */
	HODP_OP_INV = 1 << 5, /* invalidates a key, of the peer unless LOCAL */
	HODP_OP_LOCAL = 1 << 6, /* never leaves the device */
	HODP_OP_INLINE = 1 << 7, /* the payload may be inline */
	HODP_OP_KERNEL = 1 << 8, /* kernel consumers only */
};

/* QP types that support an opcode; bits of hodp_opcode.qps. */
enum {
	HODP_QPS_RC = 1 << 0,
	HODP_QPS_UD = 1 << 1, /* UD and GSI */
	HODP_QPS_UC = 1 << 2,
};

/**
 * struct hodp_opcode - everything that depends on a work request's opcode
 * @name: for traces and messages; NULL if the opcode is not supported
 * @flags: HODP_OP_*
 * @qps: HODP_QPS_*
 * @wc: completion opcode of the requester
 * @recv_wc: completion opcode of the responder, if it gets a completion
 * @remote_access: rights that the peer's region must have (enum
 *                 ib_access_flags); 0 if the opcode uses no remote memory
 */
struct hodp_opcode {
	const char *name;
	u16 flags;
	u8 qps;
	u8 wc;
	u8 recv_wc;
	u32 remote_access;
};

/* The row of @opcode (enum ib_wr_opcode), or NULL: not supported. */
const struct hodp_opcode *hodp_opcode_row(u32 opcode);

#endif /* HODP_OPCODE_H */
