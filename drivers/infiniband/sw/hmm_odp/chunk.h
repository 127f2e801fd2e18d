/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Chunks: 2 MiB of a mirror (layer 1).  Only mirror.c and chunk.c include this;
 * mirror.c opens with the language and the invariants.
 */
#ifndef HODP_CHUNK_H
#define HODP_CHUNK_H

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include "view.h"

#define HODP_CHUNK_SHIFT 21
#define HODP_CHUNK_SIZE ((unsigned long)SZ_2M)
#define HODP_CHUNK_ORDER (HODP_CHUNK_SHIFT - PAGE_SHIFT)
#define HODP_CHUNK_PAGES (SZ_2M >> PAGE_SHIFT)

/* An entry is a page's kernel address and these bits; 0 is none. */
#define HODP_E_VALID BIT(0)
#define HODP_E_WRITE BIT(1)
#define HODP_E_DIRTIED_BIT 2
#define HODP_E_DIRTIED BIT(HODP_E_DIRTIED_BIT)

static inline unsigned long hodp_entry(const struct page *page, bool write)
{
	return (unsigned long)page_address(page) | HODP_E_VALID |
	       (write ? HODP_E_WRITE : 0);
}

/**
 * struct hodp_chunk - 2 MiB of mirrored addresses
 * @lock: see the invariants
 * @dead: under @lock
 * @huge: the entry of all pages at once, or 0; under @lock
 * @table: small entries, or NULL before the first one; under @lock, and the
 *         memory lives as long as the chunk
 * @npresent: non-zero entries of @table; under @lock
 * @present: their bitmap; under @lock
 * @accessed: jiffies of the last recency hint; racy on purpose
 * @rcu: readers find chunks under RCU
 */
struct hodp_chunk {
	rwlock_t lock;
	bool dead;
	u16 npresent;
	unsigned long huge;
	unsigned long *table;
	unsigned long accessed;
	struct rcu_head rcu;
	DECLARE_BITMAP(present, HODP_CHUNK_PAGES);
};

/* A new chunk, or NULL.  Context: process. */
struct hodp_chunk *hodp_chunk_alloc(void);
/* After a grace period, whatever it holds.  Context: any. */
void hodp_chunk_free(struct hodp_chunk *c);

/* What an invalidation does to entries. */
enum hodp_inval {
	HODP_INVAL_DOWNGRADE, /* they stay, read-only */
	HODP_INVAL_DROP, /* the pages go, and may come back soon */
	HODP_INVAL_UNMAP, /* the addresses go: a chunk that is empty goes, too */
};

/**
 * hodp_chunk_invalidate - one chunk's share of an invalidation
 * @slot: where the chunk is published, or NULL is
 * @first, @last: pages of it
 * @what: see enum hodp_inval
 *
 * Context: any, inside rcu_read_lock(); takes the chunk's lock.  A chunk that
 * loses all its pages, or its addresses, is unpublished and freed.
 * Return: pages dropped or downgraded.
 */
unsigned int hodp_chunk_invalidate(struct hodp_chunk __rcu **slot,
				   unsigned int first, unsigned int last,
				   enum hodp_inval what);

/**
 * hodp_folio_reachable - may a copy through the direct map touch this folio?
 * @folio: of a page that an address space maps now
 *
 * Called under the chunk's lock after the retry check: the page is mapped, so
 * its mapping and inode stay.
 */
bool hodp_folio_reachable(struct folio *folio);

/**
 * hodp_chunk_fill - store entries
 * @entry: of pages [idx, idx + n); 0 leaves a page as it is
 * @huge: if not 0, the entry of the whole chunk instead
 *
 * @c->lock is held for write; @c->table exists unless @huge is given.
 */
void hodp_chunk_fill(struct hodp_chunk *c, const unsigned long *entry,
		     unsigned int n, unsigned int idx, unsigned long huge);

/* Fill in @v for @va; @c->lock is held for read.  False: not there. */
bool hodp_view_fill(struct hodp_view *v, unsigned long va, u64 len, bool write);

#endif /* HODP_CHUNK_H */
