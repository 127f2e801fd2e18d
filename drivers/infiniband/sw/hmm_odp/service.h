/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* One row per QP type (layer 0). */
#ifndef HODP_SERVICE_H
#define HODP_SERVICE_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

/**
 * struct hodp_service - everything that depends on a QP's type
 * @name: for messages; NULL where the type does not exist
 * @qps: its bit in hodp_opcode.qps
 * @connected: it has one peer, which is named before RTR; else every request
 *             names its own by an address handle
 * @kernel_only: not for processes
 * @send_failed: enum ib_qp_state after a send that failed (IBTA 10.3.1)
 */
struct hodp_service {
	const char *name;
	u8 qps;
	bool connected;
	bool kernel_only;
	u8 send_failed;
};

/* The row of @type (enum ib_qp_type), or NULL: not supported. */
const struct hodp_service *hodp_service_row(u32 type);

#endif /* HODP_SERVICE_H */
