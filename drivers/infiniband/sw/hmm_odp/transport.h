/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The contract between the engine and what carries an operation (layer 2). */
#ifndef HODP_TRANSPORT_H
#define HODP_TRANSPORT_H

#include "dev.h"

struct hodp_av;
struct hodp_qp;

/* What became of an operation. */
enum hodp_verdict {
	HODP_V_DONE, /* it has ended with op.status; take the next one */
	HODP_V_MORE, /* a bounded piece was done; call again */
	HODP_V_FAULT, /* a fault was begun for the runner */
	HODP_V_RNR, /* no receive request: wait as op.rnr_timer says */
	HODP_V_TIMEOUT, /* the peer does not answer; likewise */
	HODP_V_PAUSE, /* out of memory; try again soon */
};

/**
 * struct hodp_transport - one way to a peer
 * @name: for messages
 * @reaches: does it lead to this GID?  Context: any
 * @attach: @qp is about to take messages, and will have its peer there.  The
 *          first call for a life of the QP.  Return: 0, errno of modify
 * @detach: that life is over: both runners are owned, nobody is in the QP
 * @execute: go on with @qp's operation, whose memory is bound.  The caller owns
 *           the requester.  Context: process
 * @datagram: the same for a QP without a peer: to @av
 * @posted_recv: @qp has a receive request that a peer was told to wait for; may
 *               come when the QP is detached already.  Context: any
 * @reachable: would the peer answer now?  Asked while a page fault on its side
 *             lasts: a peer that is gone does not come back with the page
 */
struct hodp_transport {
	const char *name;
	bool (*reaches)(struct hodp_device *dev, const union ib_gid *gid);
	int (*attach)(struct hodp_qp *qp);
	void (*detach)(struct hodp_qp *qp);
	enum hodp_verdict (*execute)(struct hodp_qp *qp);
	enum hodp_verdict (*datagram)(struct hodp_qp *qp,
				      const struct hodp_av *av);
	void (*posted_recv)(struct hodp_qp *qp);
	bool (*reachable)(struct hodp_qp *qp);
};

/* The way to @gid on @dev, or NULL.  Context: any. */
const struct hodp_transport *hodp_transport_for(struct hodp_device *dev,
						const union ib_gid *gid);

/* At module init: the ways there are, the first that reaches a GID is taken. */
void hodp_transport_add(const struct hodp_transport *t);

/* Peers on the same device: one copy, no packets (local.c). */
extern const struct hodp_transport hodp_local_transport;

#endif /* HODP_TRANSPORT_H */
