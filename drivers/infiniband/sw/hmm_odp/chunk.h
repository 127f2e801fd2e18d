/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Chunks: 2 MiB of a mirror (layer 1).  Internal to the mirror; mirror.c has
 * the language and the invariants.
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

/* An entry is a page's kernel address plus these bits; 0 means no entry. */
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
 * @lock: see the invariants in mirror.c
 * @dead: unpublished; under @lock
 * @huge: one entry that covers all pages, or 0; under @lock
 * @table: small entries, or NULL before the first one; under @lock; freed with
 *         the chunk
 * @npresent: number of non-zero entries in @table; under @lock
 * @present: bitmap of these entries; under @lock
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
/* Free a chunk and its table after a grace period.  Context: any. */
void hodp_chunk_free(struct hodp_chunk *c);

/* What an invalidation does to entries. */
enum hodp_inval {
	HODP_INVAL_DOWNGRADE, /* make them read-only */
	HODP_INVAL_DROP, /* drop them; the pages may come back soon */
	HODP_INVAL_UNMAP, /* drop them, and free the chunk if it is empty */
};

/**
 * hodp_chunk_invalidate - apply an invalidation to one chunk
 * @slot: where the chunk is published; holds NULL if there is no chunk
 * @first, @last: range of pages in the chunk
 * @what: see enum hodp_inval
 *
 * Unpublishes and frees an empty chunk if the range covers all of it, or if
 * @what is HODP_INVAL_UNMAP.
 * Context: any, inside rcu_read_lock(); takes the chunk's lock.
 * Return: pages dropped or downgraded.
 */
unsigned int hodp_chunk_invalidate(struct hodp_chunk __rcu **slot,
				   unsigned int first, unsigned int last,
				   enum hodp_inval what);

/**
 * hodp_folio_reachable - can the folio be accessed through the direct map?
 * @folio: folio of a page that is mapped in an address space
 *
 * Called under the chunk's lock after the retry check: the page is still
 * mapped, so its mapping and inode cannot go away.
 */
bool hodp_folio_reachable(struct folio *folio);

/**
 * hodp_chunk_fill - store entries
 * @entry: entries of pages [idx, idx + n); 0 leaves a page unchanged
 * @huge: if not 0, one entry for the whole chunk instead
 *
 * Context: @c->lock held for write; @c->table allocated unless @huge is set.
 */
void hodp_chunk_fill(struct hodp_chunk *c, const unsigned long *entry,
		     unsigned int n, unsigned int idx, unsigned long huge);

/* Has the mm been told of an access through @v?  Its lock is held for read. */
bool hodp_view_is_quiet(const struct hodp_view *v, bool write);

/* Fill in @v for @va; @v->chunk's lock is held for read.  False: no entry. */
bool hodp_view_fill(struct hodp_view *v, unsigned long va, u64 len, bool write);

#endif /* HODP_CHUNK_H */
