/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The engine (layer 5): runs queue pairs; model in engine.c. */
#ifndef HODP_ENGINE_H
#define HODP_ENGINE_H

#include "qp.h"

/* Module init (0, -ENOMEM) and exit: workqueues and transports. */
int hodp_engine_start(void);
void hodp_engine_stop(void);

/* Initialise a QP's runners, before hodp_qp_init() publishes it. */
void hodp_engine_attach(struct hodp_qp *qp);

/* A process's doorbells.  Context: process; the caller holds the QP.  Send
 * executes operations on mapped memory before it returns, up to a budget.
 */
void hodp_engine_ring_send(struct hodp_qp *qp);
void hodp_engine_ring_recv(struct hodp_qp *qp);

/* ib_device_ops.  A call without work requests is a process's doorbell. */
int hodp_engine_post_send(struct ib_qp *ibqp, const struct ib_send_wr *wr,
			  const struct ib_send_wr **bad);
int hodp_engine_post_recv(struct ib_qp *ibqp, const struct ib_recv_wr *wr,
			  const struct ib_recv_wr **bad);
int hodp_engine_post_srq_recv(struct ib_srq *ibsrq, const struct ib_recv_wr *wr,
			      const struct ib_recv_wr **bad);

#endif /* HODP_ENGINE_H */
