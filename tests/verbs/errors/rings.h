/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef RINGS_H
#define RINGS_H

#include <rdma/hmm_odp-abi.h>

#include "hodp_test.h"

#define RINGS 16

extern struct ht_ring rings[RINGS];
extern int num_rings;

/* Add the device's mappings that are not known yet. */
void find_rings(bool is_cq);
/* Both doorbells: the short one, and post_send without work requests. */
void doorbell(const struct ibv_qp *qp);

#endif /* RINGS_H */
