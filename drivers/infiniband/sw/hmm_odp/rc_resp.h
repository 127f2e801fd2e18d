/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * RC over RoCEv2: the files of the responder among themselves (layer 4).  The
 * model is in rc_recv.c.  The caller of each function owns the receiver.
 */
#ifndef HODP_RC_RESP_H
#define HODP_RC_RESP_H

#include "aeth.h"
#include "rc.h"

/* ---- rc_reply.c ---- */

/* May a packet be sent?  If not, the receiver is kicked when it may. */
bool hodp_rc_has_slot(struct hodp_qp *qp);
/**
 * hodp_rc_reply - send a packet without payload to the requester
 * @kind: HODP_WIRE_ACK, HODP_WIRE_ATOMIC_ACK or HODP_WIRE_NOTIFY
 * @original: ATOMIC_ACK: the value before the operation
 *
 * Return: false: there is no memory or no slot; the receiver is kicked when there
 * may be.
 */
bool hodp_rc_reply(struct hodp_qp *qp, u8 kind, u32 psn, u8 syndrome,
		   u64 original);
/* Send an RNR NAK.  Return: as hodp_rc_reply(). */
bool hodp_rc_not_ready(struct hodp_qp *qp, u32 psn);
/* Acknowledge everything before the expected PSN, if that is due. */
void hodp_rc_ack(struct hodp_qp *qp);
/* Send a NAK, which acknowledges everything before @psn.  Return: false: it was not
 * sent; the requester will send again.
 */
bool hodp_rc_nak(struct hodp_qp *qp, u32 psn, enum hodp_aeth_nak code);
/* Send a CNP.  If that fails, the next mark makes one due. */
void hodp_rc_notify(struct hodp_qp *qp);
/* Keep what a duplicate of the READ or atomic @resp->k needs; @end: PSN after
 * it.
 */
void hodp_rc_remember(struct hodp_rc_responder *resp, u32 end);
/* The READ or atomic that a duplicate repeats, or a part of it; or NULL. */
const struct hodp_rc_done *hodp_rc_recall(const struct hodp_rc_responder *resp,
					  const struct hodp_wire_packet *k);

/* ---- rc_read.c: a READ that is requested again ---- */

/* The READ @resp->k begins. */
void hodp_rc_read_begin(struct hodp_qp *qp);
/**
 * hodp_rc_read_rewind - make @resp->k what the requester has asked for again
 * @sent: the last response was sent, so the READ ends, unless this returns true
 *
 * Return: true: begin with @resp->k anew.
 */
bool hodp_rc_read_rewind(struct hodp_qp *qp, bool sent);

/* ---- rc_wait.c: the responder during a page fault ---- */

/* A page fault has begun. */
void hodp_rc_wait_begin(struct hodp_qp *qp);
/* It goes on, and the receiver was kicked: give a sign of life if it is time. */
void hodp_rc_wait(struct hodp_qp *qp);
/* It has ended. */
void hodp_rc_wait_end(struct hodp_qp *qp);

#endif /* HODP_RC_RESP_H */
