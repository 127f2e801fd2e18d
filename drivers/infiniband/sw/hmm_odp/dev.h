/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The device: its limits, its tables of objects, and its counters.  Any file
 * may include this.
 */
#ifndef HODP_DEV_H
#define HODP_DEV_H

#include <linux/hashtable.h>
#include <linux/idr.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/siphash.h>
#include <linux/sizes.h>
#include <linux/xarray.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_verbs.h>

/* Most limits are counts; SZ_* is used for the powers of two. */
#define HODP_PORT 1
#define HODP_GID_TABLE_LEN 1024
#define HODP_MAX_SGE 32
#define HODP_MAX_INLINE 512
#define HODP_MAX_QP SZ_256K
#define HODP_MAX_QP_WR SZ_64K
#define HODP_MAX_CQ SZ_1M
#define HODP_MAX_CQE SZ_4M
#define HODP_MAX_SRQ SZ_256K
#define HODP_MAX_SRQ_WR SZ_1M
#define HODP_MAX_MR SZ_8M
#define HODP_MAX_PD SZ_1M
#define HODP_MAX_AH SZ_1M
#define HODP_MAX_RD_ATOM 128
#define HODP_MAX_FRMR_PAGES 512
#define HODP_MAX_MSG SZ_1G
#define HODP_MAX_MCAST 1024
#define HODP_MAX_MCAST_QP 64
/* The limits of one user, a quarter of each: see mcast.c. */
#define HODP_USER_MCAST (HODP_MAX_MCAST / 4)
#define HODP_USER_MCAST_QP (HODP_MAX_MCAST_QP / 4)
#define HODP_FIRST_QPN 16
#define HODP_LAST_QPN 0xfffffe

/* Port counters, in the order of hodp_stats_port[] in stats.c. */
enum hodp_counter {
	HODP_CNT_FAULTS, /* page-fault events handled by the mirror */
	HODP_CNT_FAULT_PAGES, /* pages brought in by page faults */
	HODP_CNT_FAULT_ERRORS, /* faults that ended in a permanent error */
	HODP_CNT_FAULT_RETRIES, /* faults retried after a transient failure */
	HODP_CNT_INVALIDATIONS, /* notifier events that dropped pages */
	HODP_CNT_INVAL_PAGES, /* pages dropped */
	HODP_CNT_DOWNGRADES, /* events that made entries read-only */
	HODP_CNT_PREFETCHES,
	HODP_CNT_OPS, /* send queue entries executed */
	HODP_CNT_BYTES, /* payload bytes moved */
	HODP_CNT_RNR, /* receiver-not-ready replies */
	HODP_CNT_RETRIES, /* times that the peer did not answer in time */
	HODP_CNT_RETRIES_EXCEEDED, /* operations that failed for that */
	HODP_CNT_RNR_EXCEEDED,
	HODP_CNT_REM_INVALID, /* operations that failed at the peer, by status */
	HODP_CNT_REM_ACCESS,
	HODP_CNT_REM_OP,
	HODP_CNT_UD_DROPS, /* datagrams not delivered, for any reason */
	HODP_CNT_UC_DROPS, /* UC messages not delivered, for any reason */
	HODP_CNT_CQ_OVERRUNS,
	/* Packets are counted with their IP header. */
	HODP_CNT_TX_PACKETS, /* given to the network stack */
	HODP_CNT_TX_BYTES,
	HODP_CNT_TX_DROPPED, /* of these, dropped by it before they left */
	HODP_CNT_TX_NO_MEMORY, /* replies not made for lack of memory */
	HODP_CNT_TX_NO_ROUTE, /* packets dropped: no route */
	HODP_CNT_TX_NO_NEIGHBOUR, /* dropped: too many wait for the next hop */
	HODP_CNT_TX_TOO_LONG, /* packets dropped: longer than the route's MTU */
	HODP_CNT_RX_PACKETS, /* packets to a GID of the device */
	HODP_CNT_RX_BYTES,
	HODP_CNT_RX_BAD_UDP, /* wrong UDP length or checksum, or merged by GRO */
	/* By enum hodp_wire_bad. */
	HODP_CNT_RX_BAD_SHORT,
	HODP_CNT_RX_BAD_VERSION,
	HODP_CNT_RX_BAD_OPCODE,
	HODP_CNT_RX_BAD_PAD,
	HODP_CNT_RX_BAD_PKEY,
	HODP_CNT_RX_BAD_LONG,
	HODP_CNT_RX_ICRC, /* wrong ICRC */
	HODP_CNT_RX_NO_QP, /* no such QP */
	HODP_CNT_RX_STRANGER, /* not from the QP's peer, or the QP has none */
	HODP_CNT_RX_QUEUE_FULL, /* too many packets wait at the QP */
	HODP_CNT_RX_NO_MEMORY, /* the packet would have to wait, uncharged */
	/* Waited at a QP that has failed or was reset, or too long for the packet
	 * before it.
	 */
	HODP_CNT_RX_FLUSHED,
	HODP_CNT_RX_DUPLICATES, /* requests that were executed before */
	HODP_CNT_RX_GAPS, /* requests after a lost one */
	HODP_CNT_RX_STALE, /* responses to nothing that is outstanding */
	HODP_CNT_RX_BAD_RESPONSE, /* responses that contradict the request */
	/* NAKs sent, by enum hodp_aeth_nak. */
	HODP_CNT_NAKS_SENT,
	HODP_CNT_INVALID_SENT,
	HODP_CNT_ACCESS_SENT,
	HODP_CNT_OP_SENT,
	HODP_CNT_RNR_SENT, /* RNR NAKs */
	HODP_CNT_RESENT, /* packets sent again */
	HODP_CNT_NAKS_RECEIVED, /* sequence NAKs */
	HODP_CNT_LOST_RESPONSES, /* responses after a lost one */
	HODP_CNT_ECN_MARKED, /* packets with payload that met congestion */
	HODP_CNT_CNP_SENT, /* congestion notifications */
	HODP_CNT_CNP_HANDLED, /* congestion notifications received */
	HODP_CNT_MAX,
};

struct hodp_counters {
	u64 v[HODP_CNT_MAX];
};

/* log2 of the number of hash buckets for a device's mirrors. */
#define HODP_MIRRORS_BITS 8

/* log2 of the number of hash buckets for a device's multicast groups. */
#define HODP_MCAST_BITS 6

/**
 * struct hodp_mirrors - shared state of a device's mirrors
 * @refs: held by the device and by each mirror
 * @lock: guards @by_mm; shared by all processes, so nothing sleeps under it
 * @by_mm: struct hodp_mirror of every mm with an on-demand MR on the device
 * @counters: per CPU
 */
struct hodp_mirrors {
	refcount_t refs;
	struct mutex lock; /* @by_mm */
	DECLARE_HASHTABLE(by_mm, HODP_MIRRORS_BITS);
	struct hodp_counters __percpu *counters;
};

/**
 * struct hodp_device - one soft device on one netdev
 * @ibdev: embedded core device
 * @qps: QPN -> struct hodp_qp_handle; look-ups under RCU, see hodp_qp_get()
 * @mrs: key >> 8 -> struct hodp_mr; look-ups under RCU
 * @ahs: AH number -> struct hodp_ah_entry; look-ups under RCU
 * @cqns, @srqns: numbers in use; under their own locks
 * @next_qpn, @next_mr, @next_ah: cyclic allocation; under the xarray's lock
 * @mr_rounds: how often @next_mr has wrapped; under the lock of @mrs
 * @key_secret: secret for the low bytes of memory keys (immutable)
 * @key_group, @key_hash: the group of indexes that was numbered last and its
 *        random bits; under the lock of @mrs
 * @mcast_lock, @mcast_rx_lock: guard @mcasts, see mcast.c
 * @mcasts: multicast groups
 * @mcast_num: their number; under @mcast_lock
 * @mcast_left: the netdev has left its namespace; under @mcast_lock
 * @mirrors: shared state of the mirrors; may outlive the device
 * @counters: the same as @mirrors->counters, summed by stats.c
 * @link: in the module's device list, under its lock (device.c)
 * @ndev, @ndev_tracker: the netdev and its reference; NULL once the device is
 *        gone; under the module's lock, or read while holding a QP, because the
 *        device outlives its QPs
 * @udp_link: in the list of devices attached in @net (udp.c); RCU
 * @routes: struct hodp_udp_route of the device that hold a route
 * @routes_lock: guards @routes; also taken in softirq
 * @net: network namespace in which it is attached, or NULL; written under the
 *       lock of udp.c, valid until the end of the RCU section that read it
 *
 * The three xarrays are locked with interrupts off (the *_irq variants).
 */
struct hodp_device {
	struct ib_device ibdev;
	struct xarray qps;
	struct xarray mrs;
	struct xarray ahs;
	struct ida cqns;
	struct ida srqns;
	u32 next_qpn;
	u32 next_mr;
	u32 next_ah;
	u32 mr_rounds;
	u32 key_group;
	u64 key_hash;
	siphash_key_t key_secret;
	struct mutex mcast_lock; /* see above */
	spinlock_t mcast_rx_lock; /* see above */
	DECLARE_HASHTABLE(mcasts, HODP_MCAST_BITS);
	u32 mcast_num;
	bool mcast_left;
	struct hodp_mirrors *mirrors;
	struct hodp_counters __percpu *counters;
	struct list_head link;
	struct net_device *ndev;
	netdevice_tracker ndev_tracker;
	struct list_head udp_link;
	struct list_head routes;
	spinlock_t routes_lock; /* @routes */
	struct net *net;
};

static inline struct hodp_device *to_hodp_device(struct ib_device *ibdev)
{
	return container_of(ibdev, struct hodp_device, ibdev);
}

/* The active MTU: the payload that fits into a RoCEv2 packet on @ndev. */
static inline enum ib_mtu hodp_active_mtu(const struct net_device *ndev)
{
	return iboe_get_mtu(READ_ONCE(ndev->mtu)) ?: IB_MTU_256;
}

static inline void hodp_count(struct hodp_device *dev, enum hodp_counter which,
			      u64 n)
{
	this_cpu_add(dev->counters->v[which], n);
}

#endif /* HODP_DEV_H */
