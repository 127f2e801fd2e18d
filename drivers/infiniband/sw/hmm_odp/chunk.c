// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Chunks: their entries, and the views through which copies access them.
 *
 * All of this runs under the chunk's lock and touches nothing else of the
 * mirror.  mirror.c has the language and the invariants.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/magic.h>
#include <linux/memremap.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include "chunk.h"

/* With more entries than this, clearing the table is cheaper than a search. */
#define HODP_CLEAR_MIN 16

static void hodp_chunk_free_rcu(struct rcu_head *rcu)
{
	struct hodp_chunk *c = container_of(rcu, struct hodp_chunk, rcu);

	kfree(c->table);
	kfree(c);
}

void hodp_chunk_free(struct hodp_chunk *c)
{
	call_rcu(&c->rcu, hodp_chunk_free_rcu);
}

struct hodp_chunk *hodp_chunk_alloc(void)
{
	struct hodp_chunk *c = kzalloc_obj(*c, GFP_KERNEL_ACCOUNT);

	if (c)
		rwlock_init(&c->lock);
	return c;
}

/* The entry that covers page @idx, or NULL.  Caller holds @c->lock. */
static unsigned long *hodp_chunk_slot(struct hodp_chunk *c, unsigned int idx)
{
	if (c->huge)
		return &c->huge;
	if (c->table && c->table[idx])
		return &c->table[idx];
	return NULL;
}

/* Keep the dirty mark if the page and its write permission did not change. */
static unsigned long hodp_entry_merge(unsigned long old, unsigned long entry)
{
	const unsigned long same = PAGE_MASK | HODP_E_WRITE;

	return (old & same) == (entry & same) ? entry | (old & HODP_E_DIRTIED) :
						entry;
}

static void hodp_chunk_store(struct hodp_chunk *c, unsigned int idx,
			     unsigned long entry)
{
	unsigned long old = c->table[idx];

	lockdep_assert_held_write(&c->lock);
	if (!old) {
		__set_bit(idx, c->present);
		c->npresent++;
	}
	c->table[idx] = hodp_entry_merge(old, entry);
}

/* Drop all small entries.  Return: their number. */
static unsigned int hodp_chunk_clear(struct hodp_chunk *c)
{
	unsigned int n = c->npresent;

	lockdep_assert_held_write(&c->lock);
	memset(c->table, 0, HODP_CHUNK_PAGES * sizeof(*c->table));
	bitmap_zero(c->present, HODP_CHUNK_PAGES);
	c->npresent = 0;
	return n;
}

/*
 * Drop pages [first, last]; a huge entry is dropped as a whole.  The cost
 * depends on the number of entries present.  Return: pages dropped.
 */
static unsigned int hodp_chunk_drop(struct hodp_chunk *c, unsigned int first,
				    unsigned int last)
{
	unsigned int n = 0, idx;

	lockdep_assert_held_write(&c->lock);
	if (c->huge) {
		c->huge = 0;
		return HODP_CHUNK_PAGES;
	}
	if (!c->npresent)
		return 0;
	if (c->npresent > HODP_CLEAR_MIN && !first &&
	    last == HODP_CHUNK_PAGES - 1)
		return hodp_chunk_clear(c);
	idx = first;
	for_each_set_bit_from(idx, c->present, last + 1) {
		c->table[idx] = 0;
		__clear_bit(idx, c->present);
		n++;
	}
	c->npresent -= n;
	return n;
}

/*
 * Make pages [first, last] read-only and clear their dirty marks; a huge entry
 * is changed as a whole.  Return: pages changed.
 */
static unsigned int hodp_chunk_downgrade(struct hodp_chunk *c,
					 unsigned int first, unsigned int last)
{
	const unsigned long bits = HODP_E_WRITE | HODP_E_DIRTIED;
	unsigned int n = 0, idx;

	lockdep_assert_held_write(&c->lock);
	if (c->huge) {
		c->huge &= ~bits;
		return HODP_CHUNK_PAGES;
	}
	if (!c->npresent)
		return 0;
	idx = first;
	for_each_set_bit_from(idx, c->present, last + 1) {
		c->table[idx] &= ~bits;
		n++;
	}
	return n;
}

void hodp_chunk_fill(struct hodp_chunk *c, const unsigned long *entry,
		     unsigned int n, unsigned int idx, unsigned long huge)
{
	unsigned int i;

	lockdep_assert_held_write(&c->lock);
	if (huge) {
		unsigned long old = c->huge;

		if (!old)
			hodp_chunk_drop(c, 0, HODP_CHUNK_PAGES - 1);
		c->huge = hodp_entry_merge(old, huge);
		return;
	}
	c->huge = 0;
	for (i = 0; i < n; i++)
		if (entry[i])
			hodp_chunk_store(c, idx + i, entry[i]);
}

unsigned int hodp_chunk_invalidate(struct hodp_chunk __rcu **slot,
				   unsigned int first, unsigned int last,
				   enum hodp_inval what)
{
	struct hodp_chunk *c = rcu_dereference(*slot);
	bool whole = first == 0 && last == HODP_CHUNK_PAGES - 1;
	unsigned int n;

	if (!c)
		return 0;
	write_lock(&c->lock);
	if (what == HODP_INVAL_DOWNGRADE) {
		n = hodp_chunk_downgrade(c, first, last);
	} else {
		n = hodp_chunk_drop(c, first, last);
		if ((whole || what == HODP_INVAL_UNMAP) && !c->dead &&
		    !c->huge && !c->npresent) {
			c->dead = true;
			rcu_assign_pointer(*slot, NULL);
			hodp_chunk_free(c);
		}
	}
	write_unlock(&c->lock);
	return n;
}

bool hodp_folio_reachable(struct folio *folio)
{
	struct address_space *mapping;

	if (folio_is_zone_device(folio))
		return !is_pci_p2pdma_page(&folio->page);
	if (folio_test_anon(folio) || folio_test_slab(folio))
		return true;
	mapping = READ_ONCE(folio->mapping);
	if (!mapping || ((unsigned long)mapping & FOLIO_MAPPING_FLAGS))
		return true;
	return !mapping->host ||
	       mapping->host->i_sb->s_magic != SECRETMEM_MAGIC;
}

/* ---- views ---- */

bool hodp_view_fill(struct hodp_view *v, unsigned long va, u64 len, bool write)
{
	unsigned long off = va & (HODP_CHUNK_SIZE - 1);
	unsigned long *slot = hodp_chunk_slot(v->chunk, off >> PAGE_SHIFT);
	unsigned long entry, room;

	if (!slot)
		return false;
	entry = READ_ONCE(*slot);
	if (write && !(entry & HODP_E_WRITE))
		return false;
	if (slot != &v->chunk->huge)
		off &= ~PAGE_MASK;
	room = (slot == &v->chunk->huge ? HODP_CHUNK_SIZE : PAGE_SIZE) - off;
	v->slot = slot;
	v->kaddr = (void *)(entry & PAGE_MASK) + off;
	v->len = min3(len, (u64)room, (u64)HODP_PIECE);
	return true;
}

bool hodp_mirror_view_next(struct hodp_view *v, u64 len, bool write)
{
	unsigned long va = v->va + v->len;

	if (!(va & (HODP_CHUNK_SIZE - 1)) || !hodp_view_fill(v, va, len, write))
		return false;
	v->va = va;
	return true;
}

void hodp_mirror_wrote(struct hodp_view *v)
{
	unsigned long entry = READ_ONCE(*v->slot);

	if (likely(entry & HODP_E_DIRTIED))
		return;
	folio_mark_dirty(virt_to_folio((void *)(entry & PAGE_MASK)));
	/* Readers may race here; marking a folio twice is harmless. */
	set_bit(HODP_E_DIRTIED_BIT, v->slot);
}

/* A recency hint is good enough for that long, in jiffies. */
#define HODP_HINT_AGE (HZ / 4)

bool hodp_view_is_quiet(const struct hodp_view *v, bool write)
{
	if (write && !(READ_ONCE(*v->slot) & HODP_E_DIRTIED))
		return false;
	return time_before(jiffies,
			   READ_ONCE(v->chunk->accessed) + HODP_HINT_AGE);
}

void hodp_mirror_try_unview(struct hodp_view *v)
{
	read_unlock(&v->chunk->lock);
	v->chunk = NULL;
}

/* Tell reclaim that the memory is in use, at most once per tick and chunk. */
static void hodp_view_accessed(struct hodp_view *v)
{
	unsigned long now = jiffies;
	struct folio *folio;

	if (READ_ONCE(v->chunk->accessed) == now)
		return;
	WRITE_ONCE(v->chunk->accessed, now);
	folio = virt_to_folio((void *)(READ_ONCE(*v->slot) & PAGE_MASK));
	if (folio_test_lru(folio))
		folio_mark_accessed(folio);
}

void hodp_mirror_unview(struct hodp_view *v)
{
	if (!v->chunk)
		return;
	hodp_view_accessed(v);
	if (v->owner)
		read_unlock(&v->chunk->lock);
	v->chunk = NULL;
}
