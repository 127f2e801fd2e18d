/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A ring: one producer, one consumer, shared memory that one side must not
 * trust (layer 0, no state beyond the ring; also compiled in user space).
 *
 * Language: *entries* is a power of two; *index* runs freely through 32 bits;
 * *own* is the index that this side alone moves and therefore trusts; the
 * other side's index is read once from shared memory and is believed only
 * when it lies within one ring's length of our own.
 *
 * Guarantee: whatever the other side stores in the header, an entry's address
 * lies inside the ring.  Price: one acquire load a look.  Duty of the caller:
 * one thread at a time on this side, and copy an entry before using it.
 */
#ifndef HODP_RING_H
#define HODP_RING_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/errno.h>
#include <linux/compiler.h>
#include <asm/barrier.h>
#endif
#include <rdma/hmm_odp-abi.h>

/**
 * struct hodp_ring - this side's view of a ring
 * @hdr: shared header; hostile where a process maps it
 * @entries: first entry (immutable until the ring is replaced)
 * @mask: number of entries - 1 (likewise)
 * @stride: bytes from entry to entry (likewise)
 * @own: the index this side moves; guarded by the lock of the ring's owner.  A
 *       consumer has taken every entry before it
 * @freed: consumer: it has given back every entry before this one, so those from
 *         here to @own are taken; likewise
 */
struct hodp_ring {
	struct hodp_ring_hdr *hdr;
	void *entries;
	u32 mask;
	u32 stride;
	u32 own;
	u32 freed;
};

static inline void *hodp_ring_at(const struct hodp_ring *ring, u32 index)
{
	return ring->entries + (size_t)(index & ring->mask) * ring->stride;
}

/**
 * hodp_ring_pending - entries that wait for this side, the consumer
 * @ring: ring whose @own is the consumer index
 *
 * Return: their number, or -EPROTO where the producer's index is impossible:
 * behind what was taken, or in the place of what was not given back.
 */
static inline int hodp_ring_pending(const struct hodp_ring *ring)
{
	/* Pairs with the producer's release in hodp_ring_produce(). */
	u32 used = smp_load_acquire(&ring->hdr->prod) - ring->freed;
	u32 taken = ring->own - ring->freed;

	return likely(used <= ring->mask + 1 && used >= taken) ?
		       (int)(used - taken) :
		       -EPROTO;
}

/* The entry at @own, valid while hodp_ring_pending() > 0. */
static inline void *hodp_ring_head(const struct hodp_ring *ring)
{
	return hodp_ring_at(ring, ring->own);
}

/* Consumer: take the entry at @own, and keep its place for now. */
static inline void hodp_ring_take(struct hodp_ring *ring)
{
	ring->own++;
}

/* Consumer: give back every entry before @index, all of them taken. */
static inline void hodp_ring_release(struct hodp_ring *ring, u32 index)
{
	ring->freed = index;
	/* Our reads of the entries come before their reuse: pairs with the
	 * producer's acquire in hodp_ring_room().
	 */
	smp_store_release(&ring->hdr->cons, index);
}

static inline void hodp_ring_consume(struct hodp_ring *ring)
{
	hodp_ring_take(ring);
	hodp_ring_release(ring, ring->own);
}

/**
 * hodp_ring_room - free entries for this side, the producer
 * @ring: ring whose @own is the producer index
 *
 * Return: their number, or -EPROTO where the consumer's index is impossible.
 * The acquire pairs with the consumer's release store of cons.
 */
static inline int hodp_ring_room(const struct hodp_ring *ring)
{
	/* Pairs with the consumer's release in hodp_ring_release(). */
	u32 used = ring->own - smp_load_acquire(&ring->hdr->cons);

	return likely(used <= ring->mask + 1) ? (int)(ring->mask + 1 - used) :
						-EPROTO;
}

/* Producer: publish the entry at @own. */
static inline void hodp_ring_produce(struct hodp_ring *ring)
{
	/* The entry's bytes come before the index: pairs with the consumer's
	 * acquire in hodp_ring_pending().
	 */
	smp_store_release(&ring->hdr->prod, ++ring->own);
}

#endif /* HODP_RING_H */
