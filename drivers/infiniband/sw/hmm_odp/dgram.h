/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Datagrams in transit: the part that all transports share (layer 3). */
#ifndef HODP_DGRAM_H
#define HODP_DGRAM_H

#include "qp.h"

/**
 * hodp_dgram_alloc - allocate a datagram, charged to its receiver
 * @to: the receiver
 * @len: bytes of payload
 * @gfp: GFP_KERNEL or GFP_NOWAIT, as the context allows
 *
 * If it fails, the datagram is lost: a sender must not reclaim memory without
 * end on behalf of the receiver.
 *
 * Context: process or softirq.
 * Return: NULL if there is no memory.
 */
struct hodp_dgram *hodp_dgram_alloc(struct hodp_qp *to, u32 len, gfp_t gfp);

/* The Q_Key of the datagram that @qp sends.  The caller owns @qp->req. */
u32 hodp_dgram_qkey(const struct hodp_qp *qp);

/* Would @to accept a datagram with @qkey?  The answer holds under @to->rx_lock; without
 * it, it saves the work for most that would be dropped.
 */
bool hodp_dgram_fits(const struct hodp_qp *to, u32 qkey);

/**
 * hodp_dgram_enqueue - queue a datagram if the QP accepts it
 * @to: the receiver; the caller has a reference
 * @qkey: Q_Key of the datagram
 * @d: consumed; if it is not queued, it is freed and counted
 *
 * Context: process or softirq.
 * Return: true if it was queued; the caller must then run or kick @to->rx.
 */
bool hodp_dgram_enqueue(struct hodp_qp *to, u32 qkey, struct hodp_dgram *d);

/**
 * hodp_dgram_gather - copy from the payload of the requester's operation
 * @qp: sender, with its payload bound; the caller owns @qp->req
 * @to: buffer of @len bytes
 * @pos, @len: which bytes of the payload
 * @miss: filled in for -EAGAIN
 *
 * Return: 0, or an errno of hodp_sgl_copy().
 */
long hodp_dgram_gather(struct hodp_qp *qp, void *to, u64 pos, u32 len,
		       struct hodp_miss *miss);

/* The verdict after hodp_dgram_gather() returned @err. */
enum hodp_verdict hodp_dgram_failed(struct hodp_qp *qp, long err,
				    const struct hodp_miss *miss);

#endif /* HODP_DGRAM_H */
