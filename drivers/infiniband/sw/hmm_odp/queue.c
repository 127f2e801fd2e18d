// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue memory (layer 2).
 *
 * Model: a ring consists of single pages in one vmap() area: the header, then
 * the entries.  A process's ring is also an entry in the mmap table of its
 * context, and the core counts the references to it: the object holds one until
 * hodp_queue_free(), and an mmap() in progress another.  A mapping holds the
 * *pages*, not the area.  So a process may still map a ring whose object is
 * gone, but the kernel no longer writes to these pages.
 *
 * The pages are charged to the memory cgroup of the process that creates the
 * queue, which can ask for many large ones (vmalloc_user() would not charge).
 *
 * The contents of a mapped ring are not trusted; ring.h has the rules.  Pages
 * are zeroed before they are published, so they leak nothing.
 *
 * Not supported: huge pages.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "queue.h"

static_assert(sizeof(struct hodp_ring_hdr) == HODP_RING_ENTRIES_OFFSET);

static struct hodp_queue_mem *
to_hodp_queue_mem(struct rdma_user_mmap_entry *entry)
{
	return container_of(entry, struct hodp_queue_mem, entry);
}

static void hodp_queue_mem_free(struct hodp_queue_mem *mem)
{
	size_t i;

	vunmap(mem->vaddr);
	for (i = 0; i < mem->npages; i++)
		__free_page(mem->pages[i]);
	kvfree(mem->pages);
	kfree(mem);
}

/* Allocate the pages and map them.  On failure, free what @mem has got so far
 * with hodp_queue_mem_free().
 */
static int hodp_queue_mem_fill(struct hodp_queue_mem *mem)
{
	size_t n = mem->size >> PAGE_SHIFT;

	mem->pages = kvzalloc_objs(*mem->pages, n, GFP_KERNEL_ACCOUNT);
	if (!mem->pages)
		return -ENOMEM;
	while (mem->npages < n) {
		struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);

		if (!page)
			return -ENOMEM;
		mem->pages[mem->npages++] = page;
	}
	/* remap_vmalloc_range() requires VM_USERMAP. */
	mem->vaddr = vmap(mem->pages, n, VM_MAP | VM_USERMAP, PAGE_KERNEL);
	return mem->vaddr ? 0 : -ENOMEM;
}

/* Size of a ring in bytes, whole pages; 0 if it overflows. */
static size_t hodp_queue_size(u32 entries, u32 stride)
{
	size_t size;

	if (check_mul_overflow((size_t)entries, (size_t)stride, &size) ||
	    check_add_overflow(size, HODP_RING_ENTRIES_OFFSET + PAGE_SIZE - 1,
			       &size))
		return 0;
	return size & PAGE_MASK;
}

int hodp_queue_alloc(struct hodp_queue *q, u32 entries, u32 stride,
		     struct ib_ucontext *uctx)
{
	struct hodp_queue_mem *mem;
	size_t size;
	int ret;

	if (!entries || entries > 1U << 30 || !stride || stride % 16)
		return -EINVAL;
	entries = roundup_pow_of_two(entries);
	size = hodp_queue_size(entries, stride);
	if (!size)
		return -EINVAL;

	mem = kzalloc_obj(*mem);
	if (!mem)
		return -ENOMEM;
	mem->size = size;
	ret = hodp_queue_mem_fill(mem);
	if (ret)
		goto err_free;
	if (uctx) {
		ret = rdma_user_mmap_entry_insert(uctx, &mem->entry, size);
		if (ret)
			goto err_free;
		mem->mapped = true;
	}

	q->mem = mem;
	q->ring = (struct hodp_ring){
		.hdr = mem->vaddr,
		.entries = mem->vaddr + HODP_RING_ENTRIES_OFFSET,
		.mask = entries - 1,
		.stride = stride,
	};
	return 0;

err_free:
	hodp_queue_mem_free(mem);
	return ret;
}

void hodp_queue_free(struct hodp_queue *q)
{
	struct hodp_queue_mem *mem = q->mem;

	if (!mem)
		return;
	q->mem = NULL;
	q->ring = (struct hodp_ring){};
	if (mem->mapped)
		rdma_user_mmap_entry_remove(&mem->entry);
	else
		hodp_queue_mem_free(mem);
}

void hodp_queue_reset(struct hodp_queue *q)
{
	struct hodp_ring *ring = &q->ring;

	if (!q->mem)
		return;
	ring->own = 0;
	ring->freed = 0;
	WRITE_ONCE(ring->hdr->prod, 0);
	WRITE_ONCE(ring->hdr->cons, 0);
	WRITE_ONCE(ring->hdr->flags, 0);
}

void hodp_queue_info(const struct hodp_queue *q, struct hodp_ring_info *info)
{
	*info = (struct hodp_ring_info){};
	if (!hodp_queue_is_user(q))
		return;
	info->mmap_offset = rdma_user_mmap_get_offset(&q->mem->entry);
	info->mmap_size = q->mem->size;
	info->entries = q->ring.mask + 1;
	info->stride = q->ring.stride;
}

int hodp_queue_mmap(struct ib_ucontext *uctx, struct vm_area_struct *vma)
{
	struct rdma_user_mmap_entry *entry;
	int ret;

	/* This fails unless the mapping is shared and has the exact size. */
	entry = rdma_user_mmap_entry_get(uctx, vma);
	if (!entry)
		return -EINVAL;
	ret = remap_vmalloc_range(vma, to_hodp_queue_mem(entry)->vaddr, 0);
	rdma_user_mmap_entry_put(entry);
	return ret;
}

void hodp_queue_mmap_free(struct rdma_user_mmap_entry *entry)
{
	hodp_queue_mem_free(to_hodp_queue_mem(entry));
}
