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
#include "mirror.h"

#define HODP_CHUNK_SHIFT 21
#define HODP_CHUNK_SIZE ((unsigned long)SZ_2M)
#define HODP_CHUNK_ORDER (HODP_CHUNK_SHIFT - PAGE_SHIFT)
#define HODP_CHUNK_PAGES (SZ_2M >> PAGE_SHIFT)

/* An entry is a page's kernel address and these bits; 0 is none. */
#define HODP_E_VALID BIT(0)
#define HODP_E_WRITE BIT(1)
#define HODP_E_DIRTIED_BIT 2
#define HODP_E_DIRTIED BIT(HODP_E_DIRTIED_BIT)

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

/* The functions below want @c->lock held for write. */

/**
 * hodp_chunk_drop - forget pages [first, last]
 *
 * A huge entry goes as a whole.  Cost: of the entries present.
 * Return: pages forgotten.
 */
unsigned int hodp_chunk_drop(struct hodp_chunk *c, unsigned int first,
			     unsigned int last);

/* Make pages [first, last] read-only, forget their dirty marks; likewise. */
unsigned int hodp_chunk_downgrade(struct hodp_chunk *c, unsigned int first,
				  unsigned int last);

/**
 * hodp_chunk_fill - store entries
 * @entry: of pages [idx, idx + n); 0 leaves a page as it is
 * @huge: if not 0, the entry of the whole chunk instead
 *
 * @c->table exists unless @huge is given.
 */
void hodp_chunk_fill(struct hodp_chunk *c, const unsigned long *entry,
		     unsigned int n, unsigned int idx, unsigned long huge);

/* Fill in @v for @va; @c->lock is held for read.  False: not there. */
bool hodp_view_fill(struct hodp_view *v, unsigned long va, u64 len, bool write);

#endif /* HODP_CHUNK_H */
