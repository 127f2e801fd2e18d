/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Views of mirrored memory (layer 1): hodp_mirror_view() makes them. */
#ifndef HODP_VIEW_H
#define HODP_VIEW_H

#include <linux/types.h>

struct hodp_chunk;

/* The most that is copied under a chunk's lock: what an invalidation waits. */
#define HODP_PIECE 16384

/**
 * struct hodp_view - a look at mirrored memory, holding a chunk's read lock
 * @chunk: whose lock is held; NULL once released
 * @va: user address of the byte behind @kaddr
 * @slot: where the entry behind @kaddr lies
 * @kaddr: kernel address of the byte asked for
 * @len: bytes that are contiguous from there, at most HODP_PIECE
 * @owner: this view took the lock (a second view of one chunk does not)
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
 * hodp_mirror_view_next - go on to the bytes right behind the view
 * @len: bytes wanted from there
 *
 * The same lock stays held.  Return: false at the chunk's end or where the
 * next page is not there; the view is unchanged then.
 */
bool hodp_mirror_view_next(struct hodp_view *v, u64 len, bool write);

/* Before leaving a page that was written: mark its folio dirty, once. */
void hodp_mirror_wrote(struct hodp_view *v);

void hodp_mirror_unview(struct hodp_view *v);

#endif /* HODP_VIEW_H */
