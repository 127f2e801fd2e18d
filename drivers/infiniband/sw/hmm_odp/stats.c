// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Counters and attributes in `rdma statistic` and `rdma resource` (layer 6).
 *
 * Model: a port has per-CPU counters, which are summed when they are read.  A
 * memory region has its own counters.  Names follow mlx5 where it has the same
 * counter.  docs/using.md explains them all.
 *
 * page_invalidations counts pages, as in mlx5; page_faults counts events.
 *
 * Invalidations are counted per mirror, not per region.  A region reports those
 * of its whole address space since it was registered.
 */
#include <net/netlink.h>
#include <rdma/restrack.h>
#include <rdma/rdma_netlink.h>
#include "cq.h"
#include "mr.h"
#include "srq.h"
#include "stats.h"

static const struct rdma_stat_desc hodp_stats_port[] = {
	[HODP_CNT_FAULTS].name = "page_faults",
	[HODP_CNT_FAULT_PAGES].name = "page_faults_pages",
	[HODP_CNT_FAULT_ERRORS].name = "page_faults_failed",
	[HODP_CNT_FAULT_RETRIES].name = "page_faults_retried",
	[HODP_CNT_INVALIDATIONS].name = "page_invalidation_events",
	[HODP_CNT_INVAL_PAGES].name = "page_invalidations",
	[HODP_CNT_DOWNGRADES].name = "page_downgrades",
	[HODP_CNT_PREFETCHES].name = "page_prefetch",
	[HODP_CNT_OPS].name = "operations",
	[HODP_CNT_BYTES].name = "payload_bytes",
	[HODP_CNT_RNR].name = "rnr_nak_retry_err",
	[HODP_CNT_RETRIES].name = "local_ack_timeout_err",
	[HODP_CNT_RETRIES_EXCEEDED].name = "req_transport_retries_exceeded",
	[HODP_CNT_RNR_EXCEEDED].name = "req_rnr_retries_exceeded",
	[HODP_CNT_REM_INVALID].name = "req_remote_invalid_request",
	[HODP_CNT_REM_ACCESS].name = "req_remote_access_errors",
	[HODP_CNT_REM_OP].name = "req_remote_op_errors",
	[HODP_CNT_UD_DROPS].name = "ud_drops",
	[HODP_CNT_UC_DROPS].name = "uc_drops",
	[HODP_CNT_CQ_OVERRUNS].name = "cq_overruns",
	[HODP_CNT_TX_PACKETS].name = "tx_packets",
	[HODP_CNT_TX_BYTES].name = "tx_bytes",
	[HODP_CNT_TX_DROPPED].name = "tx_dropped",
	[HODP_CNT_TX_NO_MEMORY].name = "tx_no_memory",
	[HODP_CNT_TX_NO_ROUTE].name = "tx_no_route",
	[HODP_CNT_TX_NO_NEIGHBOUR].name = "tx_no_neighbour",
	[HODP_CNT_TX_TOO_LONG].name = "tx_too_long",
	[HODP_CNT_RX_PACKETS].name = "rx_packets",
	[HODP_CNT_RX_BYTES].name = "rx_bytes",
	[HODP_CNT_RX_BAD_UDP].name = "rx_bad_udp",
	[HODP_CNT_RX_BAD_SHORT].name = "rx_bad_short",
	[HODP_CNT_RX_BAD_VERSION].name = "rx_bad_version",
	[HODP_CNT_RX_BAD_OPCODE].name = "rx_bad_opcode",
	[HODP_CNT_RX_BAD_PAD].name = "rx_bad_pad",
	[HODP_CNT_RX_BAD_PKEY].name = "rx_bad_pkey",
	[HODP_CNT_RX_BAD_LONG].name = "rx_bad_long",
	[HODP_CNT_RX_ICRC].name = "rx_icrc_encapsulated",
	[HODP_CNT_RX_NO_QP].name = "rx_no_qp",
	[HODP_CNT_RX_STRANGER].name = "rx_stranger",
	[HODP_CNT_RX_QUEUE_FULL].name = "rx_queue_full",
	[HODP_CNT_RX_NO_MEMORY].name = "rx_no_memory",
	[HODP_CNT_RX_FLUSHED].name = "rx_flushed",
	[HODP_CNT_RX_DUPLICATES].name = "duplicate_request",
	[HODP_CNT_RX_GAPS].name = "out_of_sequence",
	[HODP_CNT_RX_STALE].name = "rx_stale_response",
	[HODP_CNT_RX_BAD_RESPONSE].name = "rx_bad_response",
	[HODP_CNT_NAKS_SENT].name = "seq_naks_sent",
	[HODP_CNT_INVALID_SENT].name = "resp_remote_invalid_request",
	[HODP_CNT_ACCESS_SENT].name = "resp_remote_access_errors",
	[HODP_CNT_OP_SENT].name = "resp_remote_op_errors",
	[HODP_CNT_RNR_SENT].name = "rnr_naks_sent",
	[HODP_CNT_RESENT].name = "packets_resent",
	[HODP_CNT_NAKS_RECEIVED].name = "packet_seq_err",
	[HODP_CNT_LOST_RESPONSES].name = "implied_nak_seq_err",
	[HODP_CNT_ECN_MARKED].name = "np_ecn_marked_roce_packets",
	[HODP_CNT_CNP_SENT].name = "np_cnp_sent",
	[HODP_CNT_CNP_HANDLED].name = "rp_cnp_handled",
};

static_assert(ARRAY_SIZE(hodp_stats_port) == HODP_CNT_MAX);

struct rdma_hw_stats *hodp_stats_alloc(struct ib_device *ibdev, u32 port)
{
	return rdma_alloc_hw_stats_struct(hodp_stats_port, HODP_CNT_MAX,
					  RDMA_HW_STATS_DEFAULT_LIFESPAN);
}

int hodp_stats_get(struct ib_device *ibdev, struct rdma_hw_stats *stats,
		   u32 port, int index)
{
	struct hodp_device *dev = to_hodp_device(ibdev);
	const struct hodp_counters *c;
	int cpu, i;

	if (port != HODP_PORT)
		return -EINVAL;
	for (i = 0; i < HODP_CNT_MAX; i++)
		stats->value[i] = 0;
	for_each_possible_cpu(cpu) {
		c = per_cpu_ptr(dev->counters, cpu);
		for (i = 0; i < HODP_CNT_MAX; i++)
			stats->value[i] += READ_ONCE(c->v[i]);
	}
	return HODP_CNT_MAX;
}

static int hodp_stats_put_mr(struct sk_buff *msg, const struct hodp_mr *mr)
{
	const struct hodp_mr_stats *s = &mr->stats;

	if (rdma_nl_stat_hwcounter_entry(msg, "page_faults",
					 atomic64_read(&s->faults)) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_invalidations",
					 hodp_mirror_invalidated(mr->mirror) -
						 mr->inval_base) ||
	    rdma_nl_stat_hwcounter_entry(msg, "page_prefetch",
					 atomic64_read(&s->prefetches)))
		return -EMSGSIZE;
	return 0;
}

int hodp_stats_fill_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	const struct hodp_mr *mr = to_hodp_mr(ibmr);
	struct nlattr *nest;

	if (mr->kind != HODP_MR_ODP)
		return 0;
	nest = nla_nest_start(msg, RDMA_NLDEV_ATTR_STAT_HWCOUNTERS);
	if (!nest)
		return -EMSGSIZE;
	if (hodp_stats_put_mr(msg, mr)) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}

/* End the nest of driver attributes, or cancel it on @err. */
static int hodp_stats_end(struct sk_buff *msg, struct nlattr *nest, int err)
{
	if (err) {
		nla_nest_cancel(msg, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(msg, nest);
	return 0;
}

int hodp_stats_fill_res_mr(struct sk_buff *msg, struct ib_mr *ibmr)
{
	const struct hodp_mr *mr = to_hodp_mr(ibmr);
	struct nlattr *nest;

	if (mr->kind != HODP_MR_ODP)
		return 0;
	nest = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);
	if (!nest)
		return -EMSGSIZE;
	return hodp_stats_end(msg, nest,
			      rdma_nl_put_driver_string(msg, "odp",
							mr->length == U64_MAX ?
								"implicit" :
								"explicit"));
}

int hodp_stats_fill_res_cq(struct sk_buff *msg, struct ib_cq *ibcq)
{
	const struct hodp_cq *cq = to_hodp_cq(ibcq);
	struct nlattr *nest = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);

	if (!nest)
		return -EMSGSIZE;
	return hodp_stats_end(msg, nest,
			      rdma_nl_put_driver_u32(msg, "cqn", cq->cqn) ||
				      rdma_nl_put_driver_u32(msg, "overrun",
							     cq->overrun));
}

int hodp_stats_fill_res_srq(struct sk_buff *msg, struct ib_srq *ibsrq)
{
	struct hodp_srq *srq = to_hodp_srq(ibsrq);
	struct nlattr *nest = nla_nest_start(msg, RDMA_NLDEV_ATTR_DRIVER);

	if (!nest)
		return -EMSGSIZE;
	return hodp_stats_end(
		msg, nest,
		rdma_nl_put_driver_u32(msg, "max_wr", srq->max_wr) ||
			rdma_nl_put_driver_u32(msg, "limit",
					       hodp_srq_limit(srq)));
}
