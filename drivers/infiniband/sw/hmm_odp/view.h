/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Views of mirrored memory (layer 1): hodp_mirror_view() makes them. */
#ifndef HODP_VIEW_H
#define HODP_VIEW_H

#include <linux/types.h>

struct hodp_chunk;

/* Maximum bytes copied under a chunk's lock; bounds an invalidation's wait. */
#define HODP_PIECE 16384

/**
 * struct hodp_view - access to mirrored memory under a chunk's read lock
 * @chunk: the chunk that is locked; NULL once released
 * @va: user address that @kaddr stands for
 * @slot: location of the entry for @va
 * @kaddr: kernel address of the requested byte
 * @len: contiguous bytes from @kaddr, at most HODP_PIECE
 * @owner: this view took the lock (a second view of the same chunk does not)
 */
struct hodp_view {
	struct hodp_chunk *chunk;
	unsigned long va;
	unsigned long *slot;
	void *kaddr;
	unsigned int len;
	bool owner;
};

/**
 * hodp_mirror_view_next - move the view to the bytes that follow it
 * @len: bytes wanted
 *
 * The lock stays held.  Return: false at the end of the chunk or if the next
 * page has no suitable entry; the view is then unchanged.
 */
bool hodp_mirror_view_next(struct hodp_view *v, u64 len, bool write);

/* Mark the folio dirty, once; call before leaving a page that was written. */
void hodp_mirror_wrote(struct hodp_view *v);

void hodp_mirror_unview(struct hodp_view *v);

/* End hodp_mirror_try_view(). */
void hodp_mirror_try_unview(struct hodp_view *v);

#endif /* HODP_VIEW_H */
