/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Classification of a process's mappings (layer 1).  Only mirror.c includes
 * this; vma.c says why it is needed.
 */
#ifndef HODP_VMA_H
#define HODP_VMA_H

#include <linux/mm_types.h>

/* The kind of mapping at an address, as far as the device is concerned. */
enum hodp_vma_kind {
	HODP_VMA_HOLE, /* no mapping */
	HODP_VMA_REFUSED, /* HMM refuses it: VM_IO, VM_PFNMAP, no VM_READ */
	HODP_VMA_EMPTY, /* private, anonymous, never written */
	HODP_VMA_READONLY,
	HODP_VMA_SHADOW, /* a shadow stack: ordinary stores are not allowed */
	HODP_VMA_WRITABLE,
};

/**
 * hodp_vma_at - find the kind of mapping at @va
 * @mm: address space, its mmap_lock held
 * @va: first address
 * @end: end of the range of interest (exclusive), above @va
 * @stop: set to the end of the part of this kind, at most @end
 */
enum hodp_vma_kind hodp_vma_at(struct mm_struct *mm, unsigned long va,
			       unsigned long end, unsigned long *stop);

#endif /* HODP_VMA_H */
