/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Prefetch, ibv_advise_mr() (layer 1); model in prefetch.c. */
#ifndef HODP_PREFETCH_H
#define HODP_PREFETCH_H

#include <rdma/ib_verbs.h>

/**
 * hodp_prefetch_advise - bring ranges of regions into the mirror ahead of use
 * @pd: protection domain of the regions
 * @advice: kind of prefetch
 * @wait: IBV_ADVISE_MR_FLAG_FLUSH: return when it is done
 * @sge: ranges
 * @num_sge: number of ranges
 *
 * Context: process.
 * Return: 0, -EOPNOTSUPP (advice), -ENOENT (no such key), -EPERM (key of
 * another PD; write prefetch without write access), -EINVAL (the region is not
 * on demand), -EFAULT (outside the region), -ENOMEM (memory, or the user has
 * too many prefetches in flight).  With @wait, also -EFAULT (nothing is mapped
 * there), -EBUSY (invalidations won every race), -EINTR (killed).
 */
int hodp_prefetch_advise(struct ib_pd *pd,
			 enum ib_uverbs_advise_mr_advice advice, bool wait,
			 const struct ib_sge *sge, u32 num_sge);

#endif /* HODP_PREFETCH_H */
