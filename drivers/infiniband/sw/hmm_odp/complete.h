/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Finishing work requests, each exactly once (layer 3). */
#ifndef HODP_COMPLETE_H
#define HODP_COMPLETE_H

#include "qp.h"

/**
 * hodp_complete_send - finish the requester's operation
 * @qp: its @op is active; the caller owns qp->req
 * @status: an error also moves the QP to an error state: RC to ERR, UD to SQE
 *          (IBTA 10.3.1)
 */
void hodp_complete_send(struct hodp_qp *qp, enum ib_wc_status status);

/* The same for the oldest outstanding operation; there is one. */
void hodp_complete_oldest(struct hodp_qp *qp, enum ib_wc_status status);

/* The contents of a receive completion besides its status. */
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
 * @qp: the receiving QP
 * @in: inbound message, owned by the caller; inactive afterwards
 * @status: an error does not change the QP's state here
 */
void hodp_complete_recv(struct hodp_qp *qp, struct hodp_inbound *in,
			enum ib_wc_status status,
			const struct hodp_recv_info *info);

/**
 * hodp_complete_flush_send - flush the send queue
 * @qp: the caller owns qp->req
 * @left: maximum number of entries, because a process can post without end;
 *        counted down; if it is 0 on return, there may be more entries
 */
void hodp_complete_flush_send(struct hodp_qp *qp, u32 *left);

/**
 * hodp_complete_flush_recv - flush receive requests and drop datagrams
 * @qp: the caller owns qp->rx
 *
 * Bounded by the size of the queue.  Return: false: call again.
 */
bool hodp_complete_flush_recv(struct hodp_qp *qp);

#endif /* HODP_COMPLETE_H */
