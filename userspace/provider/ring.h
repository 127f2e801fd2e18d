/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The process's side of a ring.  The layout is that of rdma/hmm_odp-abi.h; the
 * other side is drivers/infiniband/sw/hmm_odp/ring.h.
 *
 * Language: *index* runs freely through 32 bits; *own* is the index that this
 * side alone moves; *seen* is the other side's index as last read.  The other
 * side only ever advances, so an old *seen* understates what is there to
 * use and never overstates it: it is read anew only when it does not suffice,
 * which keeps the other CPU's cache line where it is.
 *
 * Barriers, each with its half in the kernel:
 *
 *   here                                  kernel
 *   hodp_ring_publish()  release of prod  hodp_ring_pending()  acquire of prod
 *   hodp_ring_has_room() acquire of cons  hodp_ring_consume()  release of cons
 *   hodp_ring_ready()    acquire of prod  hodp_ring_produce()  release of prod
 *   hodp_ring_retire()   release of cons  hodp_ring_room()     acquire of cons
 *   hodp_ring_wants_bell()    full        hodp_rq_want_doorbell()         full
 *
 * The kernel is one more CPU on the same cacheable memory, not a DMA engine:
 * C11 ordering is enough, and on x86 all but the last line cost nothing.
 *
 * Duty of the caller: one thread at a time (the lock of the ring's owner).
 */
#ifndef HODP_RING_H
#define HODP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rdma/hmm_odp-abi.h>

/**
 * struct hodp_ring - this side's view of a ring
 * @hdr: the shared header; NULL where the queue does not exist
 * @entries: the first entry
 * @mask: number of entries - 1
 * @stride: bytes from entry to entry
 * @own: the index this side moves
 * @seen: the other side's index, possibly old
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
 * Producer, after hodp_ring_publish(): does the kernel sleep on this ring?
 *
 * The kernel sets the flag, executes a full barrier and looks at prod once
 * more; we store prod, execute a full barrier and look at the flag.  So at
 * least one of the two sees the other.  Price: one locked instruction a list.
 */
static inline bool hodp_ring_wants_bell(const struct hodp_ring *ring)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&ring->hdr->flags, __ATOMIC_RELAXED) &
	       HODP_RING_NEED_DOORBELL;
}

/* Consumer: the number of entries at @own and behind; looks for up to @want. */
static inline uint32_t hodp_ring_ready(struct hodp_ring *ring, uint32_t want)
{
	if (ring->seen - ring->own < want)
		ring->seen =
			__atomic_load_n(&ring->hdr->prod, __ATOMIC_ACQUIRE);
	return ring->seen - ring->own;
}

/* Consumer: give @n entries back; they must have been read. */
static inline void hodp_ring_retire(struct hodp_ring *ring, uint32_t n)
{
	ring->own += n;
	__atomic_store_n(&ring->hdr->cons, ring->own, __ATOMIC_RELEASE);
}

/* Both indexes start at 0 again; the kernel did the same to the header. */
static inline void hodp_ring_restart(struct hodp_ring *ring)
{
	ring->own = 0;
	ring->seen = 0;
}

/**
 * hodp_ring_init - take a mapping into use
 * @ring: to fill in, @hdr and @size first
 * @info: what the kernel said of the ring
 * @min_stride: bytes that the caller writes into or reads from an entry
 *
 * Return: whether @info describes a ring that fits its mapping.
 */
static inline bool hodp_ring_init(struct hodp_ring *ring,
				  const struct hodp_ring_info *info,
				  size_t min_stride)
{
	/* No overflow: both factors have 32 bits, and 2^64 is far away. */
	uint64_t bytes = (uint64_t)info->entries * info->stride;

	if (!info->entries || (info->entries & (info->entries - 1)))
		return false;
	if (info->stride < min_stride || info->stride % sizeof(uint64_t))
		return false;
	if (bytes > UINT64_MAX - HODP_RING_ENTRIES_OFFSET ||
	    bytes + HODP_RING_ENTRIES_OFFSET > info->mmap_size)
		return false;

	ring->entries = (uint8_t *)ring->hdr + HODP_RING_ENTRIES_OFFSET;
	ring->mask = info->entries - 1;
	ring->stride = info->stride;
	ring->own = 0;
	ring->seen = 0;
	return true;
}

#endif /* HODP_RING_H */
