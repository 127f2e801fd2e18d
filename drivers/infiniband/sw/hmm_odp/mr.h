/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Memory regions (layer 1): model in mr.c. */
#ifndef HODP_MR_H
#define HODP_MR_H

#include <linux/completion.h>
#include <linux/refcount.h>
#include "dev.h"
#include "mirror.h"

struct ib_umem;

/**
 * struct hodp_mr_stats - what `rdma statistic show mr` reports
 * @faults: page-fault events that operations on the region caused
 * @prefetches: ranges of it that ibv_advise_mr() asked for
 */
struct hodp_mr_stats {
	atomic64_t faults;
	atomic64_t prefetches;
};

/* What lies behind a region's addresses. */
enum hodp_mr_kind {
	HODP_MR_ODP, /* a mirror; IOVA + (va - iova) is a user VA */
	HODP_MR_TABLE, /* kernel address of each page: pinned, or REG_MR */
	HODP_MR_DMA, /* the address is a kernel address already */
};

/**
 * struct hodp_mr - a memory region
 * @ibmr: embedded core object; lkey == rkey always
 * @kind: immutable
 * @refs: 1 while registered, + 1 per span; dereg waits for the last
 * @gone: completed by the last put
 * @key: current key; rewritten by REG_MR only
 * @valid: false: every access fails (a REG_MR region before it is mapped, or
 *         after LOCAL_INV)
 * @access: enum ib_access_flags
 * @iova, @length, @va: bytes; @va is the user address (ODP) or the offset of
 *         the first byte in the first page (TABLE)
 * @mirror: ODP only
 * @umem: pinned only
 * @use: REG_MR regions: held for read during a copy, for write while @valid
 *         changes; so LOCAL_INV waits for one bounded copy at most
 * @gen: counts such changes: a span of an earlier one is stale
 * @page_shift: TABLE: a page has 1 << this bytes
 * @table: TABLE: kernel address of each page
 * @table_len: entries in use; @table_max: allocated
 * @next: REG_MR regions: what map_mr_sg() collects, as long as @table.  It
 *         means nothing until REG_MR makes it @table: a consumer may map before
 *         it invalidates what was there
 * @next_len: entries in it; 0: there was no mapping since the last REG_MR
 * @stats: ODP only
 * @prefetches: ODP only: jobs that bring parts of it in; under their user's
 *              lock (job.c)
 * @inval_base: hodp_mirror_invalidated() when it was registered
 * @rcu: look-ups run under RCU
 */
struct hodp_mr {
	struct ib_mr ibmr;
	enum hodp_mr_kind kind;
	refcount_t refs;
	struct completion gone;
	u32 key;
	bool valid;
	int access;
	u64 iova;
	u64 length;
	u64 va;
	struct hodp_mirror *mirror;
	struct ib_umem *umem;
	rwlock_t use;
	u32 gen;
	u8 page_shift;
	void **table;
	u32 table_len;
	u32 table_max;
	void **next;
	u32 next_len;
	struct hodp_mr_stats stats;
	struct list_head prefetches;
	u64 inval_base;
	struct rcu_head rcu;
};

static inline struct hodp_mr *to_hodp_mr(struct ib_mr *ibmr)
{
	return container_of(ibmr, struct hodp_mr, ibmr);
}

/**
 * hodp_mr_reg_user - register user memory, pinned or on demand
 * @pd: protection domain
 * @start: user address; with @iova and @length 0..U64_MAX for an implicit MR
 * @length: bytes
 * @iova: address that work requests will use for @start
 * @access: enum ib_access_flags; IB_ACCESS_ON_DEMAND chooses the mirror
 *
 * On demand: O(1), nothing is touched.  Pinned: pins every page.
 * Context: process; current->mm is the address space.
 * Return: the MR, or ERR_PTR: -EINVAL (range overflows, flags), -EOPNOTSUPP
 * (flags that the device lacks; a pinned registration of fsdax memory, which
 * asks for a retry on demand), -EFAULT, -ENOMEM.
 */
struct ib_mr *hodp_mr_reg_user(struct ib_pd *pd, u64 start, u64 length,
			       u64 iova, int access);

/* ib_device_ops of the same names; no udata in them. */
struct ib_mr *hodp_mr_get_dma(struct ib_pd *pd, int access);
struct ib_mr *hodp_mr_alloc(struct ib_pd *pd, enum ib_mr_type type, u32 max_sg);
int hodp_mr_map_sg(struct ib_mr *ibmr, struct scatterlist *sg, int nents,
		   unsigned int *offset);
/* On return no operation uses the region any more. */
int hodp_mr_dereg(struct ib_mr *ibmr);

/**
 * hodp_mr_rereg - change translation, access or PD of a user MR in place
 * @flags: IB_MR_REREG_*
 *
 * Return: as ib_device_ops.rereg_user_mr: NULL when @ibmr was changed, a new
 * MR that replaces it, or ERR_PTR.
 */
struct ib_mr *hodp_mr_rereg(struct ib_mr *ibmr, int flags, u64 start,
			    u64 length, u64 iova, int access, struct ib_pd *pd);

/*
 * Work request operations of kernel consumers; 0 or -EINVAL.  @remote: it comes
 * from a peer, which has a say only in a region that it was given rights to:
 * without these the key is a local one.
 */
int hodp_mr_fast_reg(struct hodp_device *dev, struct ib_pd *pd, u32 lkey,
		     u32 key, int access);
int hodp_mr_invalidate(struct hodp_device *dev, struct ib_pd *pd, u32 key,
		       bool remote);

/* Before the first region of a device: what its keys are made of. */
void hodp_mr_init_keys(struct hodp_device *dev);

/* A reference to the region whose key has the bits @mask of @key, or NULL. */
static inline struct hodp_mr *hodp_mr_get(struct hodp_device *dev, u32 key,
					  u32 mask)
{
	struct hodp_mr *mr;

	rcu_read_lock();
	mr = xa_load(&dev->mrs, key >> 8);
	if (mr && (((READ_ONCE(mr->key) ^ key) & mask) ||
		   !refcount_inc_not_zero(&mr->refs)))
		mr = NULL;
	rcu_read_unlock();
	return mr;
}

/* The region that has exactly this key. */
static inline struct hodp_mr *hodp_mr_find(struct hodp_device *dev, u32 key)
{
	return hodp_mr_get(dev, key, ~0U);
}

void hodp_mr_put(struct hodp_mr *mr);

#endif /* HODP_MR_H */
