// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Classification of a process's mappings (VMAs).
 *
 * The mirror needs it for two reasons.  A window costs memory and is kept, so
 * none is made for addresses that cannot have pages.  And HMM treats a shadow
 * stack as ordinary writable memory, because pte_write() is true for its pages
 * and VM_WRITE is set in its VMA; only the VMA tells them apart.
 */
#include <linux/mm.h>
#include "vma.h"

static enum hodp_vma_kind hodp_vma_kind(const struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_READ) || (vma->vm_flags & (VM_IO | VM_PFNMAP)))
		return HODP_VMA_REFUSED;
	if (vma->vm_flags & VM_SHADOW_STACK)
		return HODP_VMA_SHADOW;
	/* The first write sets anon_vma; until then, zero pages at most. */
	if (vma_is_anonymous(vma) && !READ_ONCE(vma->anon_vma))
		return HODP_VMA_EMPTY;
	if (!(vma->vm_flags & VM_WRITE))
		return HODP_VMA_READONLY;
	return HODP_VMA_WRITABLE;
}

enum hodp_vma_kind hodp_vma_at(struct mm_struct *mm, unsigned long va,
			       unsigned long end, unsigned long *stop)
{
	struct vm_area_struct *vma = find_vma_intersection(mm, va, end);

	if (!vma || vma->vm_start > va) {
		*stop = vma ? vma->vm_start : end;
		return HODP_VMA_HOLE;
	}
	*stop = min(vma->vm_end, end);
	return hodp_vma_kind(vma);
}
