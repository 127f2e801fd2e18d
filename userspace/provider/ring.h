/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The process's side of a ring.  rdma/hmm_odp-abi.h has the layout, and
 * drivers/infiniband/sw/hmm_odp/ring.h the other side.
 *
 * Language: an *index* is a free-running 32-bit counter.  *own* is the index
 * that only this side advances.  *seen* is the last value read of the other
 * side's index.  That index only advances, so an old *seen* can only
 * underestimate what is available.  It is read again only if it is not enough,
 * which avoids cache line transfers between CPUs.
 *
 * Barriers and their counterparts in the kernel:
 *
 *   here                                  kernel
 *   hodp_ring_publish()  release of prod  hodp_ring_pending()  acquire of prod
 *   hodp_ring_has_room() acquire of cons  hodp_ring_release()  release of cons
 *   hodp_ring_ready()    acquire of prod  hodp_ring_produce()  release of prod
 *   hodp_ring_retire()   release of cons  hodp_ring_room()     acquire of cons
 *   hodp_ring_wants_bell()    full        hodp_rq_want_doorbell()         full
 *
 * The other side is a CPU on the same cacheable memory and not a DMA engine, so
 * C11 ordering is enough.  On x86 only the last line costs anything.
 *
 * The caller must let only one thread at a time work on this side (by the lock
 * of the ring's owner).
 */
#ifndef HODP_RING_H
#define HODP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rdma/hmm_odp-abi.h>

/**
 * struct hodp_ring - this side's view of a ring
 * @hdr: the shared header; NULL if the queue does not exist
 * @entries: the first entry
 * @mask: number of entries - 1
 * @stride: size of an entry in bytes
 * @own: the index that this side advances
 * @seen: the other side's index when it was last read
 * @size: bytes mapped at @hdr
 */
struct hodp_ring {
	struct hodp_ring_hdr *hdr;
	uint8_t *entries;
	uint32_t mask;
	uint32_t stride;
	uint32_t own;
	uint32_t seen;
	size_t size;
};

static inline bool hodp_ring_exists(const struct hodp_ring *ring)
{
	return ring->hdr;
}

static inline void *hodp_ring_at(const struct hodp_ring *ring, uint32_t index)
{
	return ring->entries + (size_t)(index & ring->mask) * ring->stride;
}

/* Producer: may the entry at @next be written? */
static inline bool hodp_ring_has_room(struct hodp_ring *ring, uint32_t next)
{
	if (next - ring->seen <= ring->mask)
		return true;
	ring->seen = __atomic_load_n(&ring->hdr->cons, __ATOMIC_ACQUIRE);
	return next - ring->seen <= ring->mask;
}

/* Producer: hand over all entries before @next. */
static inline void hodp_ring_publish(struct hodp_ring *ring, uint32_t next)
{
	ring->own = next;
	__atomic_store_n(&ring->hdr->prod, next, __ATOMIC_RELEASE);
}

/*
 * Producer, after hodp_ring_publish(): does the kernel want a doorbell?
 *
 * The kernel sets the flag, executes a full barrier and reads prod again; we
 * store prod, execute a full barrier and read the flag.  So at least one side
 * sees the other's store.  Cost: one locked instruction per list.
 */
static inline bool hodp_ring_wants_bell(const struct hodp_ring *ring)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&ring->hdr->flags, __ATOMIC_RELAXED) &
	       HODP_RING_NEED_DOORBELL;
}

/* Consumer: number of entries from @own on; reads prod if @seen has < @want. */
static inline uint32_t hodp_ring_ready(struct hodp_ring *ring, uint32_t want)
{
	if (ring->seen - ring->own < want)
		ring->seen =
			__atomic_load_n(&ring->hdr->prod, __ATOMIC_ACQUIRE);
	return ring->seen - ring->own;
}

/* Consumer: give back @n entries that have been read. */
static inline void hodp_ring_retire(struct hodp_ring *ring, uint32_t n)
{
	ring->own += n;
	__atomic_store_n(&ring->hdr->cons, ring->own, __ATOMIC_RELEASE);
}

/* Reset both indexes to 0, as the kernel has done in the header. */
static inline void hodp_ring_restart(struct hodp_ring *ring)
{
	ring->own = 0;
	ring->seen = 0;
}

/**
 * hodp_ring_init - initialise a ring on its mapping
 * @ring: result; @hdr and @size are already set, the rest is 0
 * @info: the kernel's description of the ring
 * @min_stride: bytes that the caller reads or writes in an entry
 *
 * Return: true if @info describes a ring that fits its mapping.
 */
static inline bool hodp_ring_init(struct hodp_ring *ring,
				  const struct hodp_ring_info *info,
				  size_t min_stride)
{
	/* Cannot overflow: both factors have 32 bits, and the offset is small. */
	uint64_t bytes = HODP_RING_ENTRIES_OFFSET +
			 (uint64_t)info->entries * info->stride;

	if (!info->entries || (info->entries & (info->entries - 1)))
		return false;
	if (info->stride < min_stride || info->stride % sizeof(uint64_t))
		return false;
	if (bytes > info->mmap_size)
		return false;

	ring->entries = (uint8_t *)ring->hdr + HODP_RING_ENTRIES_OFFSET;
	ring->mask = info->entries - 1;
	ring->stride = info->stride;
	return true;
}

#endif /* HODP_RING_H */
