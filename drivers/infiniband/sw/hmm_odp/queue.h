/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Queue memory: the pages of a ring, which a process may map (layer 2).
 *
 * The pages of a process's queue belong to an rdma_user_mmap_entry and live
 * until both the object and the last mapping are gone.  A kernel consumer's
 * queue has no such entry.
 */
#ifndef HODP_QUEUE_H
#define HODP_QUEUE_H

#include <rdma/ib_verbs.h>
#include "ring.h"

/**
 * struct hodp_queue_mem - the memory of one ring
 * @entry: handle of the mapping; reference-counted by the core
 * @pages, @npages: the pages
 * @vaddr: their contiguous kernel mapping
 * @size: bytes, whole pages
 * @mapped: @entry is in use, so hodp_queue_free() only drops its reference
 */
struct hodp_queue_mem {
	struct rdma_user_mmap_entry entry;
	struct page **pages;
	size_t npages;
	void *vaddr;
	size_t size;
	bool mapped;
};

/**
 * struct hodp_queue - a ring with its memory
 * @ring: the kernel's side of the ring
 * @mem: pages; NULL if the queue does not exist (the RQ of a QP with an SRQ)
 */
struct hodp_queue {
	struct hodp_ring ring;
	struct hodp_queue_mem *mem;
};

/**
 * hodp_queue_alloc - allocate and publish the memory of a ring
 * @q: filled in; @q->ring.own and both shared indexes start at 0
 * @entries: wanted, at least 1; rounded up to a power of two
 * @stride: size of an entry in bytes, a multiple of 16
 * @uctx: the process's context, or NULL for a kernel consumer
 *
 * Context: process, may sleep.
 * Return: 0, -ENOMEM, -EINVAL (size overflows).
 */
int hodp_queue_alloc(struct hodp_queue *q, u32 entries, u32 stride,
		     struct ib_ucontext *uctx);

/* Free a queue; does nothing if it was never allocated. */
void hodp_queue_free(struct hodp_queue *q);

/* Reset both indexes to 0 (QP to RESET).  Caller has exclusive use of @q. */
void hodp_queue_reset(struct hodp_queue *q);

/* Describe @q to the provider; all zero if the queue does not exist. */
void hodp_queue_info(const struct hodp_queue *q, struct hodp_ring_info *info);

/* ib_device_ops.mmap and .mmap_free. */
int hodp_queue_mmap(struct ib_ucontext *uctx, struct vm_area_struct *vma);
void hodp_queue_mmap_free(struct rdma_user_mmap_entry *entry);

static inline bool hodp_queue_exists(const struct hodp_queue *q)
{
	return q->mem;
}

/* True if a process can write this ring, so that nothing in it is trusted. */
static inline bool hodp_queue_is_user(const struct hodp_queue *q)
{
	return q->mem && q->mem->mapped;
}

#endif /* HODP_QUEUE_H */
