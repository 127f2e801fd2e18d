/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Finishing work requests, each exactly once (layer 3). */
#ifndef HODP_COMPLETE_H
#define HODP_COMPLETE_H

#include "qp.h"

/**
 * hodp_complete_send - finish the requester's operation
 * @qp: whose @op is active; the caller owns qp->req
 * @status: an error also fails the QP: RC to ERR, UD to SQE (IBTA 10.3.1)
 */
void hodp_complete_send(struct hodp_qp *qp, enum ib_wc_status status);

/* What the completion of a receive says besides its status. */
struct hodp_recv_info {
	u32 opcode; /* enum ib_wc_opcode */
	u32 byte_len;
	u32 imm_inv;
	u32 src_qp;
	u32 wc_flags; /* HODP_WC_* */
	u8 net_type;
	bool solicited;
};

/**
 * hodp_complete_recv - finish a receive request
 * @qp: QP that received
 * @in: inbound message that the caller owns; not active afterwards
 * @status: an error does not change the QP's state here
 */
void hodp_complete_recv(struct hodp_qp *qp, struct hodp_inbound *in,
			enum ib_wc_status status,
			const struct hodp_recv_info *info);

/**
 * hodp_complete_flush_send - flush what the send queue holds
 * @qp: the caller owns qp->req
 * @left: entries at most, for a process can post without end; counted down: 0
 *        means that there may be more
 */
void hodp_complete_flush_send(struct hodp_qp *qp, u32 *left);

/**
 * hodp_complete_flush_recv - flush the receives, drop the datagrams
 * @qp: the caller owns qp->rx
 *
 * Bounded by the queue's size, likewise.  Return: false: come back.
 */
bool hodp_complete_flush_recv(struct hodp_qp *qp);

#endif /* HODP_COMPLETE_H */
