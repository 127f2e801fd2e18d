/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The contract between the engine and the transports (layer 2). */
#ifndef HODP_TRANSPORT_H
#define HODP_TRANSPORT_H

#include "dev.h"

struct hodp_av;
struct hodp_qp;

/* The transport's answer to the engine. */
enum hodp_verdict {
	HODP_V_DONE, /* the operation has ended with op.status */
	HODP_V_MORE, /* a bounded piece was done; call again */
	HODP_V_FAULT, /* a page fault was started for the requester */
	HODP_V_RNR, /* no receive request; wait for op.rnr_timer */
	HODP_V_TIMEOUT, /* the peer does not answer; wait for the ACK timeout */
	HODP_V_PAUSE, /* out of memory; try again soon */
	HODP_V_SENT, /* all packets were sent; acknowledged later */
	HODP_V_WINDOW, /* wait until the transport kicks the requester */
};

/**
 * struct hodp_transport - operations of a transport
 * @name: for messages
 * @reaches: can the transport reach this GID?  Context: any
 * @attach: connect @qp to the peer of @attr, before it accepts messages.  The
 *          first call for an incarnation of the QP; the caller owns both runners.
 *          Return: 0, or the errno for modify
 * @readdress: packet transports: give the connection the addresses of @attr.  The
 *             caller owns both runners.  Return: 0, or the errno for modify
 * @detach: end that incarnation; the caller owns both runners, and no requester
 *          is in the QP
 * @execute: continue @qp's operation, whose memory is bound.  The caller owns
 *           the requester.  Context: process
 * @progress: packet transports, RC: handle responses and timeouts, before @execute
 *            and also while the requester is stalled.  The caller owns the
 *            requester.  Return: DONE: continue; MORE: call again; WINDOW: send
 *            nothing until the requester is kicked; PAUSE
 * @stop: packet transports, RC: the requester has failed, and sends nothing any
 *        more: drop what it keeps.  May be called again.  The caller owns the requester
 * @receive: packet transports: execute request packets that wait at @qp, a
 *           connected QP, or drop them if it does not receive any more.  The
 *           caller owns the receiver.  *@budget is reduced by the packets handled.
 *           Return: true: more packets wait
 * @datagram: the same for an unconnected QP; sends to @av
 * @posted_recv: @qp has a receive request again, after its peer got an RNR or has
 *               heard that there is none; may be called after detach.  Context: any
 * @reachable: would the peer answer now?  Called during a page fault on the
 *             peer's side, to notice that the peer is gone
 */
struct hodp_transport {
	const char *name;
	bool (*reaches)(struct hodp_device *dev, const union ib_gid *gid);
	int (*attach)(struct hodp_qp *qp, const struct ib_qp_attr *attr);
	int (*readdress)(struct hodp_qp *qp, const struct ib_qp_attr *attr);
	void (*detach)(struct hodp_qp *qp);
	enum hodp_verdict (*execute)(struct hodp_qp *qp);
	enum hodp_verdict (*progress)(struct hodp_qp *qp);
	void (*stop)(struct hodp_qp *qp);
	bool (*receive)(struct hodp_qp *qp, int *budget);
	enum hodp_verdict (*datagram)(struct hodp_qp *qp,
				      const struct hodp_av *av);
	void (*posted_recv)(struct hodp_qp *qp);
	bool (*reachable)(struct hodp_qp *qp);
};

/* The first transport that reaches @gid from @dev, or NULL.  Context: any. */
const struct hodp_transport *hodp_transport_for(struct hodp_device *dev,
						const union ib_gid *gid);

/* Register a transport, at module init, in the order of preference. */
void hodp_transport_add(const struct hodp_transport *t);

/* Peers on the same device: one copy, no packets (local.c). */
extern const struct hodp_transport hodp_local_transport;

/* Peers on other devices: RoCEv2 packets (roce.c). */
extern const struct hodp_transport hodp_roce_transport;

#endif /* HODP_TRANSPORT_H */
