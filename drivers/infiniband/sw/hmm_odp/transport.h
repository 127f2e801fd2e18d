/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The contract between the engine and what carries an operation (layer 4). */
#ifndef HODP_TRANSPORT_H
#define HODP_TRANSPORT_H

struct hodp_qp;

/* What became of an operation. */
enum hodp_verdict {
	HODP_V_DONE, /* it was completed; take the next one */
	HODP_V_MORE, /* a bounded piece was done; call again */
	HODP_V_FAULT, /* a fault was begun for the runner */
	HODP_V_RNR, /* no receive request; wait and try again */
	HODP_V_TIMEOUT, /* the peer does not answer; likewise */
	HODP_V_PAUSE, /* out of memory; try again soon */
};

/**
 * struct hodp_transport - one way to the peer
 * @name: for messages
 * @execute: go on with qp->op; the caller owns qp->req.  Context: process.
 * @reachable: would the peer answer now?  Asked while a page fault on its side
 *             lasts: a peer that is gone does not come back with the page.
 */
struct hodp_transport {
	const char *name;
	enum hodp_verdict (*execute)(struct hodp_qp *qp);
	bool (*reachable)(struct hodp_qp *qp);
};

/* Peers on the same device: one copy, no packets (local.c). */
extern const struct hodp_transport hodp_local_transport;

#endif /* HODP_TRANSPORT_H */
