/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the process's mappings say (layer 1).  Only mirror.c includes this; vma.c
 * has the reasons.
 */
#ifndef HODP_VMA_H
#define HODP_VMA_H

#include <linux/mm_types.h>

/* What lies at an address, as far as a device is concerned. */
enum hodp_vma_kind {
	HODP_VMA_HOLE, /* no mapping */
	HODP_VMA_REFUSED, /* HMM refuses it: VM_IO, VM_PFNMAP, no VM_READ */
	HODP_VMA_EMPTY, /* private, anonymous, nothing was ever there */
	HODP_VMA_READONLY,
	HODP_VMA_SHADOW, /* a shadow stack: read-only to everybody else */
	HODP_VMA_WRITABLE,
};

/**
 * hodp_vma_at - what is mapped at @va
 * @mm: address space, its mmap_lock held
 * @va: first address
 * @end: behind the last one of interest, above @va
 * @stop: gets the end of what has this kind, at most @end
 */
enum hodp_vma_kind hodp_vma_at(struct mm_struct *mm, unsigned long va,
			       unsigned long end, unsigned long *stop);

#endif /* HODP_VMA_H */
