/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The same-device transport (layer 4): model in local.c. */
#ifndef HODP_LOCAL_H
#define HODP_LOCAL_H

#include "ah.h"
#include "qp.h"

/**
 * hodp_local_multicast - deliver the current datagram to a group of this device
 * @qp: sender; gets no copy itself
 * @av: the group
 * @data: payload, hodp_op.total bytes
 *
 * Each member gets a copy, which is charged to it.  Context: process.
 */
void hodp_local_multicast(struct hodp_qp *qp, const struct hodp_av *av,
			  const void *data);

#endif /* HODP_LOCAL_H */
