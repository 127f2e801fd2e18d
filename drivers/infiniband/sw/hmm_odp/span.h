/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Spans: checked pieces of memory, and what can be done to them (layer 1).
 * span.c has the model.  Nothing above this layer sees a page or an mm.
 */
#ifndef HODP_SPAN_H
#define HODP_SPAN_H

#include "mr.h"

/**
 * struct hodp_span - a checked piece of one region, or of kernel memory
 * @mr: holds a reference; NULL for kernel memory at @va
 * @va: ODP: user address; TABLE: offset into the table's bytes; DMA and NULL:
 *      kernel address
 * @len: bytes
 * @gen: of @mr when it was checked
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
 * @at: the one that the position is in
 * @off: bytes of that one which are behind the position
 * @span: the list
 */
struct hodp_sgl {
	u32 num;
	u32 at;
	u64 off;
	struct hodp_span span[HODP_MAX_SGE];
};

/**
 * struct hodp_miss - what must be faulted in before a copy can go on
 * @mr: whose mirror; valid while the span it came from holds its reference
 * @va: user address
 * @len: bytes: the rest of the operation in this span
 * @write: access
 * @source: the miss is on the source list (for errno -> status)
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
 * @span: gets a reference, see hodp_span_put()
 *
 * Context: process or softirq.
 * Return: 0, -EINVAL (no such key), -EXDEV (other PD), -ERANGE (outside),
 * -EACCES (flag missing).
 */
int hodp_span_get(struct hodp_device *dev, const struct ib_pd *pd, u32 key,
		  u64 addr, u64 len, int access, struct hodp_span *span);
void hodp_span_kernel(struct hodp_span *span, void *addr, u64 len);
void hodp_span_put(struct hodp_span *span);

/* Put every span; the list is empty afterwards. */
void hodp_sgl_put(struct hodp_sgl *sgl);

/* Move the position to byte @pos of the list, @pos <= its length. */
void hodp_sgl_seek(struct hodp_sgl *sgl, u64 pos);

/**
 * hodp_sgl_copy - copy between two lists, each from its position
 * @dst: destination; its position advances by what was copied
 * @src: source; likewise
 * @len: bytes; both lists have as many left
 * @rest: bytes that the operation has left, at least @len: a miss covers what
 *        of them is in the span where it happens
 * @miss: filled in for -EAGAIN
 *
 * Copies piece by piece under chunk locks and never faults.
 * Context: process, no locks held.
 * Return: bytes copied (may be less than @len when rescheduling is due: call
 * again), or, where nothing was copied: -EAGAIN (see @miss), -EACCES (a region
 * was invalidated meanwhile; @miss->source says which), -EHWPOISON (the source
 * page is poisoned).
 */
long hodp_sgl_copy(struct hodp_sgl *dst, struct hodp_sgl *src, u64 len,
		   u64 rest, struct hodp_miss *miss);

/* What an atomic operation is to do (IBTA 9.4.5). */
struct hodp_atomic {
	bool cmp_swap; /* else fetch-and-add */
	u64 compare_add;
	u64 swap;
};

/**
 * hodp_span_atomic - a real atomic on 8 bytes, also against the CPUs
 * @span: 8 bytes, naturally aligned at the address itself
 * @old: gets the value before
 *
 * Context: process.  Return: 0, -EAGAIN (see @miss), -EACCES (the region was
 * invalidated meanwhile), -EINVAL (misaligned), -EHWPOISON.
 */
int hodp_span_atomic(const struct hodp_span *span,
		     const struct hodp_atomic *what, u64 *old,
		     struct hodp_miss *miss);

#endif /* HODP_SPAN_H */
