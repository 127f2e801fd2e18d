/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* One row per QP type (layer 0). */
#ifndef HODP_SERVICE_H
#define HODP_SERVICE_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

/**
 * struct hodp_service - everything that depends on a QP's type
 * @name: for messages; NULL if the type is not supported
 * @qps: its bit in hodp_opcode.qps
 * @connected: the QP has one peer, set on the way to RTR; otherwise each
 *             request names its destination by an address handle
 * @reliable: the responder answers each request.  Otherwise a request completes
 *            when it has been sent, and one that cannot be executed is dropped
 * @kernel_only: not available to processes
 * @send_failed: enum ib_qp_state after a failed send (IBTA 10.3.1)
 */
struct hodp_service {
	const char *name;
	u8 qps;
	bool connected;
	bool reliable;
	bool kernel_only;
	u8 send_failed;
};

/* The row of @type (enum ib_qp_type), or NULL: not supported. */
const struct hodp_service *hodp_service_row(u32 type);

#endif /* HODP_SERVICE_H */
