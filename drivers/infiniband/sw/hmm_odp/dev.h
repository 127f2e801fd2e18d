/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The device: what every room needs of it, and nothing else (its limits, the
 * tables from number to object, the counters).  Any room may include this.
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

/* The limits are counts, where SZ_ says nothing of bytes. */
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
/* A quarter of each for one user: see mcast.c. */
#define HODP_USER_MCAST (HODP_MAX_MCAST / 4)
#define HODP_USER_MCAST_QP (HODP_MAX_MCAST_QP / 4)
#define HODP_FIRST_QPN 16
#define HODP_LAST_QPN 0xfffffe

/* Port counters, in the order of hodp_stats_port[] in stats.c. */
enum hodp_counter {
	HODP_CNT_FAULTS, /* page-fault events handled by the mirror */
	HODP_CNT_FAULT_PAGES, /* pages that they brought in */
	HODP_CNT_FAULT_ERRORS, /* faults that ended in a permanent error */
	HODP_CNT_FAULT_RETRIES, /* transient failures that were tried again */
	HODP_CNT_INVALIDATIONS, /* notifier events that dropped something */
	HODP_CNT_INVAL_PAGES, /* pages dropped */
	HODP_CNT_DOWNGRADES, /* events that made entries read-only */
	HODP_CNT_PREFETCHES,
	HODP_CNT_OPS, /* send queue entries executed */
	HODP_CNT_BYTES, /* payload bytes moved */
	HODP_CNT_RNR, /* receiver-not-ready replies */
	HODP_CNT_RETRIES, /* peer not reachable, tried again */
	HODP_CNT_UD_DROPS, /* datagrams that nobody got, for whatever reason */
	HODP_CNT_CQ_OVERRUNS,
	HODP_CNT_MAX,
};

struct hodp_counters {
	u64 v[HODP_CNT_MAX];
};

/* Hash buckets of a device's mirrors: 1 << this. */
#define HODP_MIRRORS_BITS 8

/**
 * struct hodp_mirrors - what the mirrors of a device share
 * @refs: the device, and each mirror
 * @lock: guards @by_mm; everybody's, so nothing sleeps under it
 * @by_mm: struct hodp_mirror of every mm with an on-demand MR here
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
 * @qps: QPN -> struct hodp_qp; look-ups under RCU, see hodp_qp_get()
 * @mrs: key >> 8 -> struct hodp_mr; look-ups under RCU
 * @ahs: AH number -> struct hodp_ah_entry; look-ups under RCU
 * @cqns, @srqns: numbers in use; under their own locks
 * @next_qpn, @next_mr, @next_ah: cyclic allocation; under the xarray's lock
 * @mr_rounds: how often @next_mr began anew; likewise
 * @key_secret: what the low bytes of memory keys are made of (immutable)
 * @key_group, @key_hash: the group of indexes that was numbered last, and the
 *        random bits for it; under the lock of @mrs
 * @mcast_lock: guards @mcasts; sleeps, as whoever needs it may
 * @mcasts: multicast groups, see mcast.c
 * @mirrors: what the mirrors share, and may outlive the device with
 * @counters: the same as @mirrors->counters, summed by stats.c
 * @link: in the module's device list, under its lock (device.c)
 * @ndev, @ndev_tracker: the netdev and the reference to it; NULL once the
 *        device is gone; under the module's lock, or read by whoever holds a QP:
 *        the device goes after its last QP
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
	struct list_head mcasts;
	struct hodp_mirrors *mirrors;
	struct hodp_counters __percpu *counters;
	struct list_head link;
	struct net_device *ndev;
	netdevice_tracker ndev_tracker;
};

static inline struct hodp_device *to_hodp_device(struct ib_device *ibdev)
{
	return container_of(ibdev, struct hodp_device, ibdev);
}

/* The active MTU: what fits into a packet of @ndev beside RoCEv2's headers. */
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
