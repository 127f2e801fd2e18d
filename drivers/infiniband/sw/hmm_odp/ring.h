/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A ring: one producer and one consumer that share memory, where one side must
 * not trust the other (layer 0; also compiled in user space).
 *
 * Language: the number of *entries* is a power of two.  An *index* is a
 * free-running 32-bit counter.  *own* is the index that only this side changes
 * and can therefore trust.  The other side's index is read once from shared
 * memory and accepted only if it is within one ring's length of *own*.
 *
 * Guarantee: whatever the other side stores in the header, the address of an
 * entry lies inside the ring.  Cost: one acquire load per check.  The caller
 * must let only one thread at a time work on this side, and must copy an entry
 * before it uses it.
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
 * @mask: number of entries - 1 (immutable until the ring is replaced)
 * @stride: size of an entry in bytes (immutable until the ring is replaced)
 * @own: the index that this side advances; guarded by the lock of the ring's
 *       owner.  A consumer has taken every entry before it
 * @freed: consumer only: every entry before this index has been given back, so
 *         entries from here to @own are taken; guarded like @own
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
 * hodp_ring_pending - consumer: number of entries not taken yet
 * @ring: ring whose @own is the consumer index
 *
 * Return: their number, or -EPROTO if the producer's index is impossible: it is
 * behind the taken entries, or overlaps entries that were not given back.
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

/* Consumer: the entry at @own, valid while hodp_ring_pending() > 0. */
static inline void *hodp_ring_head(const struct hodp_ring *ring)
{
	return hodp_ring_at(ring, ring->own);
}

/* Consumer: take the entry at @own without giving its place back yet. */
static inline void hodp_ring_take(struct hodp_ring *ring)
{
	ring->own++;
}

/* Consumer: give back every entry before @index, all of them taken. */
static inline void hodp_ring_release(struct hodp_ring *ring, u32 index)
{
	ring->freed = index;
	/* Order our reads of the entries before their reuse.  Pairs with the
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
 * hodp_ring_room - producer: number of free entries
 * @ring: ring whose @own is the producer index
 *
 * Return: their number, or -EPROTO if the consumer's index is impossible.
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
	/* Order the entry's bytes before the index.  Pairs with the consumer's
	 * acquire in hodp_ring_pending().
	 */
	smp_store_release(&ring->hdr->prod, ++ring->own);
}

#endif /* HODP_RING_H */
