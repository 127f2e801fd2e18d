/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The responder: executes one remote request (layer 3); model in respond.c. */
#ifndef HODP_RESPOND_H
#define HODP_RESPOND_H

#include "opcode.h"
#include "qp.h"

/**
 * struct hodp_request - a request, from any transport
 * @row: row of the opcode
 * @addr, @rkey: remote memory, if the opcode uses any
 * @total: payload bytes.  SEND of a packet transport: those of the packets so
 *         far, until the last
 * @avail: bytes from the beginning of the message that @data has come to; @total
 *         if @data has all of them
 * @more: the message goes on behind @avail
 * @done: bytes moved so far; updated
 * @imm_inv: immediate data or key to invalidate
 * @solicited: raise a solicited event
 * @atomic: ATOMIC: operands
 * @atomic_old: ATOMIC: result, once @begun
 * @begun: the atomic has been performed and must not be repeated
 * @rnr_timer: HODP_R_RNR: when to try again (IBTA table 45)
 * @fault_err: result of the last page fault on the responder's side
 * @data: SEND, WRITE: source; READ, ATOMIC: destination; positioned at @done
 * @data_err: HODP_R_DATA: the error of hodp_sgl_copy() for @data
 * @try: kernel memory, at @done, instead of @data: move what can be moved without
 *       waiting; if that is not all, the reply is HODP_R_MORE.  Atomics ignore it
 */
struct hodp_request {
	const struct hodp_opcode *row;
	u64 addr;
	u32 rkey;
	u64 total;
	u64 avail;
	u64 done;
	u32 imm_inv;
	bool more;
	bool solicited;
	bool begun;
	u8 rnr_timer;
	int fault_err;
	struct hodp_atomic atomic;
	u64 atomic_old;
	struct hodp_sgl *data;
	int data_err;
	void *try;
};

/* The reply: the contents of an AETH, or what the transport must do first. */
enum hodp_reply {
	HODP_R_ACK,
	HODP_R_MORE, /* a bounded piece was done; call again */
	HODP_R_NEXT, /* all of @avail was done; call again with more of @data */
	HODP_R_MISS, /* fault in @miss, then call again */
	HODP_R_RNR, /* receiver not ready */
	HODP_R_INV_REQ, /* NAK invalid request */
	HODP_R_REM_ACCESS, /* NAK remote access error */
	HODP_R_REM_OP, /* NAK remote operational error */
	HODP_R_DATA, /* the requester's own @data failed; no NAK */
};

/**
 * hodp_respond - start or continue a request
 * @qp: responder; the caller is between hodp_qp_enter() and hodp_qp_leave(), or
 *      as hodp_qp_is_entered() describes
 * @req: request
 * @miss: filled in for HODP_R_MISS; @qp->in or @req->data holds its region, so
 *        begin the fault before hodp_respond_release()
 *
 * Before it returns a NAK, this moves @qp to the error state and raises the
 * event required by IBTA 9.9.3 and 11.6.3.  On an unreliable service, RNR and the
 * NAKs mean that the message is lost; the caller need not tell anybody.
 * Context: process, no locks; with @req->try also softirq, if @req is a SEND
 * without invalidate, a WRITE or a READ.
 */
enum hodp_reply hodp_respond(struct hodp_qp *qp, struct hodp_request *req,
			     struct hodp_miss *miss);

/* Release the responder's memory until the next call. */
void hodp_respond_release(struct hodp_qp *qp);

/**
 * hodp_respond_dgrams - deliver the waiting datagrams of a UD QP
 * @qp: the caller owns qp->rx
 * @budget: maximum number of datagrams; reduced by the number handled
 *
 * A datagram without a receive request is dropped (IBTA 9.8.2: unreliable).  If
 * a page fault is started, it runs qp->rx again when it is done.
 * Return: true: the budget is used up and more datagrams wait.
 */
bool hodp_respond_dgrams(struct hodp_qp *qp, int *budget);

#endif /* HODP_RESPOND_H */
