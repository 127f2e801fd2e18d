/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Spans: checked ranges of memory, and the operations on them (layer 1).
 * span.c has the model.  No layer above this one deals with pages or an mm.
 */
#ifndef HODP_SPAN_H
#define HODP_SPAN_H

#include "mr.h"

/**
 * struct hodp_span - a checked range of one region, or of kernel memory
 * @mr: region, with a reference held; NULL for kernel memory
 * @va: ODP: user address; TABLE: byte offset into the table's pages; DMA and
 *      no @mr: kernel address
 * @len: bytes
 * @gen: hodp_mr.gen when the span was checked
 */
struct hodp_span {
	struct hodp_mr *mr;
	u64 va;
	u64 len;
	u32 gen;
};

/**
 * struct hodp_sgl - a list of spans with a position in it
 * @num: spans in use
 * @at: index of the span that the position is in
 * @off: offset of the position in that span
 * @span: the list
 */
struct hodp_sgl {
	u32 num;
	u32 at;
	u64 off;
	struct hodp_span span[HODP_MAX_SGE];
};

/**
 * struct hodp_miss - what must be faulted in before a copy can continue
 * @mr: region; valid while the span that caused the miss holds its reference
 * @va: user address
 * @len: bytes: the rest of the operation in this span
 * @write: write access is needed
 * @source: the miss is in the source list (decides the completion status)
 */
struct hodp_miss {
	struct hodp_mr *mr;
	u64 va;
	u64 len;
	bool write;
	bool source;
};

/**
 * hodp_span_get - the one way from (key, address, length) to memory
 * @dev: device
 * @pd: the QP's protection domain
 * @key: lkey or rkey
 * @addr: IOVA of the first byte
 * @len: bytes, at least 1
 * @access: flags that the region must have; 0 for a local read
 * @span: result, which holds a reference until hodp_span_put()
 *
 * Context: process or softirq.
 * Return: 0, -EINVAL (no such key), -EXDEV (another PD), -ERANGE (out of
 * bounds), -EACCES (a flag is missing).
 */
int hodp_span_get(struct hodp_device *dev, const struct ib_pd *pd, u32 key,
		  u64 addr, u64 len, int access, struct hodp_span *span);
void hodp_span_kernel(struct hodp_span *span, void *addr, u64 len);
void hodp_span_put(struct hodp_span *span);

/* Put all spans and empty the list. */
void hodp_sgl_put(struct hodp_sgl *sgl);

/* Move the position to byte @pos of the list, @pos <= its length. */
void hodp_sgl_seek(struct hodp_sgl *sgl, u64 pos);

/**
 * hodp_sgl_copy - copy between two lists, each from its position
 * @dst: destination; its position advances by the bytes copied
 * @src: source; its position advances by the bytes copied
 * @len: bytes; both lists have at least this many left
 * @rest: bytes left in the operation, at least @len: a miss covers those of
 *        them that are in the span where it happens
 * @miss: filled in for -EAGAIN
 *
 * Copies in pieces under chunk locks and never faults.
 * Context: process, no locks held.
 * Return: bytes copied (fewer than @len if a later piece failed: call again to
 * get its error), or, if nothing was copied: -EAGAIN (see @miss), -EACCES (a
 * region was invalidated meanwhile; @miss->source says which), -EHWPOISON (the
 * source page is poisoned).
 */
long hodp_sgl_copy(struct hodp_sgl *dst, struct hodp_sgl *src, u64 len,
		   u64 rest, struct hodp_miss *miss);

/**
 * hodp_sgl_try_copy - copy between a list and kernel memory without waiting
 * @sgl: list; its position advances by the bytes copied
 * @buf: kernel memory
 * @len: bytes; the list has at least this many left
 * @write: copy to the list, else from it
 *
 * Locks are only tried, and nothing is faulted in or marked dirty.
 * Context: process or softirq.
 * Return: bytes copied; if fewer than @len, hodp_sgl_copy() tells why.
 */
u64 hodp_sgl_try_copy(struct hodp_sgl *sgl, void *buf, u64 len, bool write);

/* The operands of an atomic operation (IBTA 9.4.5). */
struct hodp_atomic {
	bool cmp_swap; /* else fetch-and-add */
	u64 compare_add;
	u64 swap;
};

/**
 * hodp_span_atomic - perform an 8-byte operation that is atomic for CPUs too
 * @span: 8 bytes; the memory itself must be naturally aligned
 * @old: set to the value before the operation
 *
 * Context: process.  Return: 0, -EAGAIN (see @miss), -EACCES (the region was
 * invalidated meanwhile), -EINVAL (misaligned), -EHWPOISON.
 */
int hodp_span_atomic(const struct hodp_span *span,
		     const struct hodp_atomic *what, u64 *old,
		     struct hodp_miss *miss);

#endif /* HODP_SPAN_H */
