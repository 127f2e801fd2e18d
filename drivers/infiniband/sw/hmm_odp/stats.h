/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The contents of `rdma statistic` and `rdma resource` (layer 6). */
#ifndef HODP_STATS_H
#define HODP_STATS_H

#include <rdma/ib_verbs.h>

/* ib_device_ops */
struct rdma_hw_stats *hodp_stats_alloc(struct ib_device *ibdev, u32 port);
int hodp_stats_get(struct ib_device *ibdev, struct rdma_hw_stats *stats,
		   u32 port, int index);
int hodp_stats_fill_mr(struct sk_buff *msg, struct ib_mr *ibmr);
int hodp_stats_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr);
int hodp_stats_fill_res_cq(struct sk_buff *msg, struct ib_cq *ibcq);
int hodp_stats_fill_res_srq(struct sk_buff *msg, struct ib_srq *ibsrq);

#endif /* HODP_STATS_H */
