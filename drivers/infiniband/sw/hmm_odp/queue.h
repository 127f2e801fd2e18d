/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Queue memory: the pages behind a ring, mapped by a process or not (layer 2).
 *
 * A queue that a process maps belongs to an rdma_user_mmap_entry: the pages
 * live until both the object and the last mapping are gone.  A kernel
 * consumer's queue is the same without the mapping.
 */
#ifndef HODP_QUEUE_H
#define HODP_QUEUE_H

#include <rdma/ib_verbs.h>
#include "ring.h"

/**
 * struct hodp_queue_mem - the memory of one ring
 * @entry: handle of the mapping; ref counted by the core
 * @pages, @npages: the pages
 * @vaddr: all of them in one area
 * @size: bytes, whole pages
 * @mapped: @entry is live, hodp_queue_free() only drops the reference
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
 * @ring: kernel's side
 * @mem: pages; NULL when the queue does not exist (an RQ beside an SRQ)
 */
struct hodp_queue {
	struct hodp_ring ring;
	struct hodp_queue_mem *mem;
};

/**
 * hodp_queue_alloc - allocate and publish the memory of a ring
 * @q: to fill in; @q->ring.own starts at 0, as do both shared indexes
 * @entries: wanted, at least 1; rounded up to a power of two
 * @stride: bytes of an entry, a multiple of 16
 * @uctx: the process's context, or NULL for a kernel consumer
 *
 * Context: process, may sleep.
 * Return: 0, -ENOMEM, -EINVAL (size overflows).
 */
int hodp_queue_alloc(struct hodp_queue *q, u32 entries, u32 stride,
		     struct ib_ucontext *uctx);

/* Give it back; harmless on a queue that was never allocated. */
void hodp_queue_free(struct hodp_queue *q);

/* Start both sides from index 0 again (QP to RESET).  Nobody else uses @q. */
void hodp_queue_reset(struct hodp_queue *q);

/* Describe @q to the provider: all zero where the queue does not exist. */
void hodp_queue_info(const struct hodp_queue *q, struct hodp_ring_info *info);

/* ib_device_ops.mmap and .mmap_free. */
int hodp_queue_mmap(struct ib_ucontext *uctx, struct vm_area_struct *vma);
void hodp_queue_mmap_free(struct rdma_user_mmap_entry *entry);

static inline bool hodp_queue_exists(const struct hodp_queue *q)
{
	return q->mem;
}

/* A process can write this ring: believe nothing in it. */
static inline bool hodp_queue_is_user(const struct hodp_queue *q)
{
	return q->mem && q->mem->mapped;
}

#endif /* HODP_QUEUE_H */
