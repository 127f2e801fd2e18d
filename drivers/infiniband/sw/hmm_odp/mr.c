// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory regions: their keys, kinds and lifetime.
 *
 * A key is (index << 8 | variant).  The index finds the region in
 * hodp_device.mrs, and the whole key must match.  Indexes are allocated
 * cyclically, starting at 1, because low indexes keep the tree shallow that
 * each operation searches for its keys.  The variant of an index is random and
 * changes each time the indexes wrap around, so that knowing one key does not
 * help to guess another, and a stale key does not match the next region with
 * its index.  (A kernel consumer chooses the variants of a REG_MR region.)
 *
 * Kinds (enum hodp_mr_kind)
 *   on demand   holds a reference to the process's mirror and two numbers;
 *               registration costs the same for every length
 *   pinned      has an ib_umem and a table of the pages' kernel addresses
 *   REG_MR      has the same table, filled from the last map_mr_sg()
 *   DMA         gives a kernel consumer access to all kernel memory
 *
 * Lifetime: the registration holds one reference, each span another.  Dereg
 * removes the key from the table, then waits for the spans.  The wait is
 * bounded, because an operation that waits for a page fault holds no spans.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <rdma/ib_umem.h>
#include <rdma/ib_verbs.h>
#include "job.h"
#include "mr.h"

#define HODP_ACCESS_REMOTE                                \
	(IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_READ | \
	 IB_ACCESS_REMOTE_ATOMIC)

/* Indexes that share one hash, 16 bits for each. */
#define HODP_KEYS_PER_HASH 4

#define HODP_ACCESS_SUPPORTED                                               \
	(IB_ACCESS_LOCAL_WRITE | HODP_ACCESS_REMOTE | IB_ACCESS_ON_DEMAND | \
	 IB_ACCESS_HUGETLB | IB_ACCESS_OPTIONAL)

static bool hodp_mr_is_implicit(u64 start, u64 length, u64 iova)
{
	return !start && !iova && length == U64_MAX;
}

/* ---- numbering ---- */

void hodp_mr_init_keys(struct hodp_device *dev)
{
	get_random_bytes(&dev->key_secret, sizeof(dev->key_secret));
	dev->key_group = U32_MAX;
}

/*
 * The variant of @index after the indexes have wrapped @rounds times.  The step
 * between rounds is odd, so consecutive rounds never give the same variant.
 * One hash supplies the random bits of four consecutive indexes.
 * Caller holds the lock of @dev->mrs.
 */
static u8 hodp_mr_variant(struct hodp_device *dev, u32 index, u32 rounds)
{
	u16 bits;

	if (dev->key_group != index / HODP_KEYS_PER_HASH) {
		dev->key_group = index / HODP_KEYS_PER_HASH;
		dev->key_hash = siphash_1u32(dev->key_group, &dev->key_secret);
	}
	bits = dev->key_hash >> (index % HODP_KEYS_PER_HASH * 16);
	return (u8)bits + rounds * ((bits >> 8) | 1);
}

/* Reserve an index and make the key; the region cannot be found yet. */
static int hodp_mr_number(struct hodp_device *dev, struct hodp_mr *mr)
{
	u32 index;
	int ret;

	xa_lock_irq(&dev->mrs);
	ret = __xa_alloc_cyclic(&dev->mrs, &index, NULL,
				XA_LIMIT(1, HODP_MAX_MR), &dev->next_mr,
				GFP_KERNEL_ACCOUNT);
	if (ret == 1)
		dev->mr_rounds++;
	if (ret >= 0)
		mr->key = index << 8 |
			  hodp_mr_variant(dev, index, dev->mr_rounds);
	xa_unlock_irq(&dev->mrs);
	if (ret < 0)
		return ret == -EBUSY ? -ENOMEM : ret;
	return 0;
}

static int hodp_mr_publish(struct hodp_mr *mr, struct ib_pd *pd)
{
	struct hodp_device *dev = to_hodp_device(pd->device);
	int ret;

	mr->ibmr.pd = pd;
	mr->ibmr.device = pd->device;
	refcount_set(&mr->refs, 1);
	init_completion(&mr->gone);
	rwlock_init(&mr->use);
	/* Set the key before the region can be found. */
	ret = hodp_mr_number(dev, mr);
	if (ret)
		return ret;
	mr->ibmr.lkey = mr->key;
	mr->ibmr.rkey = mr->key;
	xa_store_irq(&dev->mrs, mr->key >> 8, mr, GFP_KERNEL);
	return 0;
}

static void hodp_mr_unpublish(struct hodp_mr *mr)
{
	struct hodp_device *dev = to_hodp_device(mr->ibmr.device);

	xa_erase_irq(&dev->mrs, mr->key >> 8);
	hodp_mr_put(mr);
	wait_for_completion(&mr->gone);
}

void hodp_mr_put(struct hodp_mr *mr)
{
	if (refcount_dec_and_test(&mr->refs))
		complete(&mr->gone);
}

/* ---- user memory ---- */

static int hodp_mr_check_user(u64 start, u64 length, u64 iova, int access)
{
	u64 end;

	if (access & ~HODP_ACCESS_SUPPORTED)
		return -EOPNOTSUPP;
	if (hodp_mr_is_implicit(start, length, iova))
		return access & IB_ACCESS_ON_DEMAND ? 0 : -EINVAL;
	/* The last byte must have an address in both address spaces. */
	if (!length || check_add_overflow(start, length - 1, &end) ||
	    check_add_overflow(iova, length - 1, &end))
		return -EINVAL;
	return access_ok((void __user *)(unsigned long)start, length) ? 0 :
									-EFAULT;
}

static int hodp_mr_init_odp(struct hodp_mr *mr, u64 start)
{
	struct hodp_device *dev = to_hodp_device(mr->ibmr.pd->device);

	mr->kind = HODP_MR_ODP;
	mr->va = start;
	mr->mirror = hodp_mirror_get(dev);
	if (IS_ERR(mr->mirror))
		return PTR_ERR(mr->mirror);
	INIT_LIST_HEAD(&mr->prefetches);
	mr->inval_base = hodp_mirror_invalidated(mr->mirror);
	return 0;
}

static void hodp_mr_fill_table(struct hodp_mr *mr)
{
	struct sg_page_iter it;

	for_each_sgtable_page(&mr->umem->sgt_append.sgt, &it, 0)
		mr->table[mr->table_len++] =
			page_address(sg_page_iter_page(&it));
}

static int hodp_mr_init_pinned(struct hodp_mr *mr, u64 start, u64 length,
			       int access)
{
	struct ib_umem *umem;

	mr->kind = HODP_MR_TABLE;
	/* Larger tables make kvmalloc() warn; fail before pinning pages. */
	if (length / PAGE_SIZE >= INT_MAX / sizeof(*mr->table))
		return -ENOMEM;
	umem = ib_umem_get_va(mr->ibmr.pd->device, start, length, access);
	if (IS_ERR(umem))
		return PTR_ERR(umem);
	mr->table_max = ib_umem_num_pages(umem);
	mr->table = kvzalloc_objs(*mr->table, mr->table_max,
				  GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!mr->table) {
		ib_umem_release(umem);
		return -ENOMEM;
	}
	mr->umem = umem;
	mr->page_shift = PAGE_SHIFT;
	mr->va = ib_umem_offset(umem);
	hodp_mr_fill_table(mr);
	return 0;
}

static void hodp_mr_free(struct hodp_mr *mr)
{
	if (mr->mirror)
		hodp_mirror_put(mr->mirror);
	ib_umem_release(mr->umem);
	kvfree(mr->table);
	kvfree(mr->next);
	kfree_rcu(mr, rcu);
}

static struct hodp_mr *hodp_mr_build(struct ib_pd *pd, u64 start, u64 length,
				     u64 iova, int access)
{
	struct hodp_mr *mr;
	int ret;

	ret = hodp_mr_check_user(start, length, iova, access);
	if (ret)
		return ERR_PTR(ret);
	mr = kzalloc_obj(*mr, GFP_KERNEL_ACCOUNT);
	if (!mr)
		return ERR_PTR(-ENOMEM);
	mr->ibmr.pd = pd;
	mr->ibmr.length = length;
	mr->ibmr.iova = iova;
	mr->access = access;
	mr->iova = iova;
	mr->length = length;
	mr->valid = true;
	ret = access & IB_ACCESS_ON_DEMAND ?
		      hodp_mr_init_odp(mr, start) :
		      hodp_mr_init_pinned(mr, start, length, access);
	if (ret) {
		mr->mirror = NULL;
		hodp_mr_free(mr);
		return ERR_PTR(ret);
	}
	return mr;
}

struct ib_mr *hodp_mr_reg_user(struct ib_pd *pd, u64 start, u64 length,
			       u64 iova, int access)
{
	struct hodp_mr *mr = hodp_mr_build(pd, start, length, iova, access);
	int ret;

	if (IS_ERR(mr))
		return ERR_CAST(mr);
	ret = hodp_mr_publish(mr, pd);
	if (ret) {
		hodp_mr_free(mr);
		return ERR_PTR(ret);
	}
	return &mr->ibmr;
}

int hodp_mr_dereg(struct ib_mr *ibmr)
{
	struct hodp_mr *mr = to_hodp_mr(ibmr);

	hodp_mr_unpublish(mr);
	if (mr->mirror)
		hodp_job_cancel_group(hodp_mirror_gate(mr->mirror),
				      &mr->prefetches);
	hodp_mr_free(mr);
	return 0;
}

/* Can the region get these rights without being registered again? */
static bool hodp_mr_access_fits(const struct hodp_mr *mr, int access)
{
	if ((mr->access ^ access) & IB_ACCESS_ON_DEMAND)
		return false;
	return !mr->umem || mr->umem->writable || !ib_access_writable(access);
}

/*
 * Rights and PD change in place: the keys stay, and an operation that has
 * passed its checks completes under the old rights.  A new translation creates
 * a new region with new keys.  The old region works until the core destroys it,
 * so no operation sees a half-made change.
 */
struct ib_mr *hodp_mr_rereg(struct ib_mr *ibmr, int flags, u64 start,
			    u64 length, u64 iova, int access, struct ib_pd *pd)
{
	struct hodp_mr *mr = to_hodp_mr(ibmr);

	if (flags & ~IB_MR_REREG_SUPPORTED)
		return ERR_PTR(-EOPNOTSUPP);
	if (!(flags & IB_MR_REREG_PD))
		pd = ibmr->pd;
	if (!(flags & IB_MR_REREG_ACCESS))
		access = mr->access;
	if (access & ~HODP_ACCESS_SUPPORTED)
		return ERR_PTR(-EOPNOTSUPP);
	if (!(flags & IB_MR_REREG_TRANS) && hodp_mr_access_fits(mr, access)) {
		WRITE_ONCE(mr->access, access);
		return NULL;
	}
	/* A forked child would register its own memory in place of the
	 * parent's.
	 */
	if (!(flags & IB_MR_REREG_TRANS) &&
	    !(mr->mirror ? hodp_mirror_is_current(mr->mirror) :
			   mr->umem && mr->umem->owning_mm == current->mm))
		return ERR_PTR(-EINVAL);
	if (!(flags & IB_MR_REREG_TRANS)) {
		if (mr->mirror)
			start = mr->va;
		else if (mr->umem)
			start = mr->umem->address;
		else
			return ERR_PTR(-EINVAL);
		length = mr->length;
		iova = mr->iova;
	}
	return hodp_mr_reg_user(pd, start, length, iova, access);
}

/* ---- kernel consumers ---- */

struct ib_mr *hodp_mr_get_dma(struct ib_pd *pd, int access)
{
	struct hodp_mr *mr;
	int ret;

	mr = kzalloc_obj(*mr, GFP_KERNEL);
	if (!mr)
		return ERR_PTR(-ENOMEM);
	mr->kind = HODP_MR_DMA;
	mr->access = access;
	mr->length = U64_MAX;
	mr->valid = true;
	ret = hodp_mr_publish(mr, pd);
	if (ret) {
		kfree(mr);
		return ERR_PTR(ret);
	}
	return &mr->ibmr;
}

struct ib_mr *hodp_mr_alloc(struct ib_pd *pd, enum ib_mr_type type, u32 max_sg)
{
	struct hodp_mr *mr;
	int ret = -ENOMEM;

	if (type != IB_MR_TYPE_MEM_REG || !max_sg ||
	    max_sg > HODP_MAX_FRMR_PAGES)
		return ERR_PTR(-EINVAL);
	mr = kzalloc_obj(*mr, GFP_KERNEL);
	if (!mr)
		return ERR_PTR(-ENOMEM);
	mr->kind = HODP_MR_TABLE;
	mr->table_max = max_sg;
	mr->table = kvzalloc_objs(*mr->table, max_sg, GFP_KERNEL);
	mr->next = kvzalloc_objs(*mr->next, max_sg, GFP_KERNEL);
	if (mr->table && mr->next)
		ret = hodp_mr_publish(mr, pd);
	if (ret) {
		kvfree(mr->table);
		kvfree(mr->next);
		kfree(mr);
		return ERR_PTR(ret);
	}
	return &mr->ibmr;
}

static int hodp_mr_set_page(struct ib_mr *ibmr, u64 addr)
{
	struct hodp_mr *mr = to_hodp_mr(ibmr);

	if (mr->next_len == mr->table_max)
		return -ENOMEM;
	mr->next[mr->next_len++] = (void *)(unsigned long)addr;
	return 0;
}

int hodp_mr_map_sg(struct ib_mr *ibmr, struct scatterlist *sg, int nents,
		   unsigned int *offset)
{
	struct hodp_mr *mr = to_hodp_mr(ibmr);

	mr->next_len = 0;
	return ib_sg_to_pages(ibmr, sg, nents, offset, hodp_mr_set_page);
}

/* Is this a kernel consumer's region that REG_MR and LOCAL_INV may use? */
static bool hodp_mr_is_fast(const struct hodp_mr *mr, const struct ib_pd *pd)
{
	return mr->ibmr.pd == pd && mr->kind == HODP_MR_TABLE && !mr->umem;
}

/* Make the last mapping the translation, if its pages cover the region. */
static int hodp_mr_take_map(struct hodp_mr *mr)
{
	const struct ib_mr *ibmr = &mr->ibmr;
	u32 len = mr->next_len ?: mr->table_len;
	u64 va;

	if (!len)
		return -EINVAL;
	/* Consumers may have changed the IOVA. */
	va = ibmr->iova & (ibmr->page_size - 1);
	if (va + ibmr->length > (u64)len * ibmr->page_size)
		return -EINVAL;
	if (mr->next_len)
		swap(mr->table, mr->next);
	mr->next_len = 0;
	mr->table_len = len;
	mr->iova = ibmr->iova;
	mr->length = ibmr->length;
	mr->page_shift = ilog2(ibmr->page_size);
	mr->va = va;
	return 0;
}

/*
 * Only the index of @lkey must match: consumers change its low byte before they
 * post (ib_update_fast_reg_key()).
 */
int hodp_mr_fast_reg(struct hodp_device *dev, struct ib_pd *pd, u32 lkey,
		     u32 key, int access)
{
	struct hodp_mr *mr = hodp_mr_get(dev, lkey, ~0xffU);
	int ret = -EINVAL;

	if (!mr)
		return -EINVAL;
	write_lock(&mr->use);
	if (hodp_mr_is_fast(mr, pd) && !mr->valid && key >> 8 == lkey >> 8)
		ret = hodp_mr_take_map(mr);
	if (!ret) {
		mr->access = access;
		WRITE_ONCE(mr->key, key);
		/* Pairs with the acquire in hodp_span_get(). */
		smp_store_release(&mr->gen, mr->gen + 1);
		/* Pairs with the acquire in hodp_span_get(). */
		smp_store_release(&mr->valid, true);
	}
	write_unlock(&mr->use);
	hodp_mr_put(mr);
	return ret;
}

/* On return no copy uses the region, and none can start: see hodp_mr.use. */
int hodp_mr_invalidate(struct hodp_device *dev, struct ib_pd *pd, u32 key,
		       bool remote)
{
	struct hodp_mr *mr = hodp_mr_find(dev, key);
	int ret = -EINVAL;

	if (!mr)
		return -EINVAL;
	write_lock(&mr->use);
	if (hodp_mr_is_fast(mr, pd) && mr->key == key &&
	    (!remote || mr->access & HODP_ACCESS_REMOTE)) {
		WRITE_ONCE(mr->valid, false);
		WRITE_ONCE(mr->gen, mr->gen + 1);
		ret = 0;
	}
	write_unlock(&mr->use);
	hodp_mr_put(mr);
	return ret;
}
