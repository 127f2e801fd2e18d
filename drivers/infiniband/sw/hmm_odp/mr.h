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
 * @faults: page-fault events caused by operations on the region
 * @prefetches: ranges of the region requested with ibv_advise_mr()
 */
struct hodp_mr_stats {
	atomic64_t faults;
	atomic64_t prefetches;
};

/* What a region's addresses refer to. */
enum hodp_mr_kind {
	HODP_MR_ODP, /* user memory through a mirror, at IOVA - iova + va */
	HODP_MR_TABLE, /* a table of kernel addresses: pinned, or REG_MR */
	HODP_MR_DMA, /* kernel memory: the IOVA is a kernel address */
};

/**
 * struct hodp_mr - a memory region
 * @ibmr: embedded core object; lkey and rkey are always equal
 * @kind: (immutable)
 * @refs: 1 while registered, + 1 per span; dereg waits for it to reach 0
 * @gone: completed by the last put
 * @key: current key; changed by REG_MR only
 * @valid: if false, every access fails (a REG_MR region before it is mapped,
 *         or after LOCAL_INV)
 * @access: enum ib_access_flags
 * @iova, @length, @va: bytes; @va is the user address (ODP) or the offset of
 *         the first byte in the first page (TABLE)
 * @mirror: ODP only
 * @umem: pinned only
 * @use: REG_MR regions: held for read during a copy and for write while @valid
 *         changes, so that LOCAL_INV waits for one bounded copy at most
 * @gen: incremented by each such change; spans of an older @gen are stale
 * @page_shift: TABLE: log2 of the page size in bytes
 * @table: TABLE: kernel address of each page
 * @table_len: entries in use; @table_max: allocated
 * @next: REG_MR regions: the table that map_mr_sg() fills, as large as @table.
 *         Unused until REG_MR swaps it with @table, because a consumer may map
 *         before it invalidates the old mapping
 * @next_len: entries in @next; 0: not mapped since the last REG_MR
 * @stats: ODP only
 * @prefetches: ODP only: prefetch jobs for the region; under the user's lock
 *              (job.c)
 * @inval_base: hodp_mirror_invalidated() at registration
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
 * @start: user address; an implicit MR has @start and @iova 0
 * @length: bytes; U64_MAX for an implicit MR
 * @iova: address that work requests use for @start
 * @access: enum ib_access_flags; IB_ACCESS_ON_DEMAND selects the mirror
 *
 * On demand: O(1), touches no memory.  Pinned: pins every page.
 * Context: process; current->mm is the address space.
 * Return: the MR, or ERR_PTR: -EINVAL (range overflows, flags), -EOPNOTSUPP
 * (unsupported flags; also a pinned registration of fsdax memory, so that the
 * caller retries on demand), -EFAULT, -ENOMEM.
 */
struct ib_mr *hodp_mr_reg_user(struct ib_pd *pd, u64 start, u64 length,
			       u64 iova, int access);

/* ib_device_ops of the same names, without udata. */
struct ib_mr *hodp_mr_get_dma(struct ib_pd *pd, int access);
struct ib_mr *hodp_mr_alloc(struct ib_pd *pd, enum ib_mr_type type, u32 max_sg);
int hodp_mr_map_sg(struct ib_mr *ibmr, struct scatterlist *sg, int nents,
		   unsigned int *offset);
/* On return no operation uses the region. */
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
 * Work request operations of kernel consumers; 0 or -EINVAL.  @remote: the
 * request comes from a peer, which may only invalidate a region that has remote
 * access rights.
 */
int hodp_mr_fast_reg(struct hodp_device *dev, struct ib_pd *pd, u32 lkey,
		     u32 key, int access);
int hodp_mr_invalidate(struct hodp_device *dev, struct ib_pd *pd, u32 key,
		       bool remote);

/* Initialise key generation, before the device's first region. */
void hodp_mr_init_keys(struct hodp_device *dev);

/* Get the region whose key equals @key in the bits of @mask, or NULL. */
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

/* Get the region with exactly this key, or NULL. */
static inline struct hodp_mr *hodp_mr_find(struct hodp_device *dev, u32 key)
{
	return hodp_mr_get(dev, key, ~0U);
}

void hodp_mr_put(struct hodp_mr *mr);

#endif /* HODP_MR_H */
