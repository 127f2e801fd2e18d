/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The responder: performs one remote request (layer 3); model in respond.c. */
#ifndef HODP_RESPOND_H
#define HODP_RESPOND_H

#include "opcode.h"
#include "qp.h"

/**
 * struct hodp_request - what a requester asks for, from whichever transport
 * @row: opcode
 * @addr, @rkey: remote memory, where the opcode has any
 * @total: payload bytes
 * @done: bytes moved so far; advanced
 * @imm_inv: immediate data or key to invalidate
 * @solicited: raise a solicited event
 * @atomic: ATOMIC: operands
 * @atomic_old: ATOMIC: result, once @begun
 * @begun: the atomic was performed: do not do it again
 * @rnr_timer: HODP_R_RNR: when to try again (IBTA table 45)
 * @fault_err: how the last page fault on the responder's side ended
 * @data: SEND, WRITE: source; READ, ATOMIC: destination; positioned at @done
 * @data_err: HODP_R_DATA: what is wrong with it, as hodp_sgl_copy()
 */
struct hodp_request {
	const struct hodp_opcode *row;
	u64 addr;
	u32 rkey;
	u64 total;
	u64 done;
	u32 imm_inv;
	bool solicited;
	bool begun;
	u8 rnr_timer;
	int fault_err;
	struct hodp_atomic atomic;
	u64 atomic_old;
	struct hodp_sgl *data;
	int data_err;
};

/* The reply: what goes into an AETH, or what the transport has to do first. */
enum hodp_reply {
	HODP_R_ACK,
	HODP_R_MORE, /* bounded piece done; call again */
	HODP_R_MISS, /* fault in @miss, call again */
	HODP_R_RNR, /* receiver not ready */
	HODP_R_INV_REQ, /* NAK invalid request */
	HODP_R_REM_ACCESS, /* NAK remote access error */
	HODP_R_REM_OP, /* NAK remote operational error */
	HODP_R_DATA, /* no NAK: @data failed, which is not the responder's affair */
};

/**
 * hodp_respond - go on with a request
 * @qp: responder; the caller is between hodp_qp_enter() and hodp_qp_leave()
 * @req: request
 * @miss: filled in for HODP_R_MISS; its region is held while @qp->in is bound
 *        or @req->data holds it: begin the fault, then hodp_respond_release()
 *
 * A NAK has also moved @qp to the error state and raised the event that IBTA
 * 9.9.3 and 11.6.3 give it.
 * Context: process, no locks.
 */
enum hodp_reply hodp_respond(struct hodp_qp *qp, struct hodp_request *req,
			     struct hodp_miss *miss);

/* Let go of the responder's memory until the next call. */
void hodp_respond_release(struct hodp_qp *qp);

/**
 * hodp_respond_dgrams - deliver the datagrams that wait at a UD QP
 * @qp: the caller owns qp->rx
 * @budget: datagrams; what was used is taken off
 *
 * One without a receive request is dropped (IBTA 9.8.2: unreliable).  A page
 * fault that is begun runs qp->rx again.
 * Return: true: the budget is used up and more of them wait.
 */
bool hodp_respond_dgrams(struct hodp_qp *qp, int *budget);

#endif /* HODP_RESPOND_H */
