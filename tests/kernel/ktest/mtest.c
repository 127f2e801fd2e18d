// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * hodp_mtest: see mtest.h. A return probe makes the machine check: a copy from
 * the page reports that nothing was read.
 */
#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include "mtest.h"

static unsigned long bad; /* kernel address of the page, or 0 */

/* If the copy is from the bad page, note its length to return as not copied. */
static int copy_begins(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	unsigned long src = regs_get_kernel_argument(regs, 1);
	unsigned long len = regs_get_kernel_argument(regs, 2);
	unsigned long page = READ_ONCE(bad);

	if (!page || src >= page + PAGE_SIZE || src + len <= page)
		return 1;
	*(unsigned long *)ri->data = len;
	return 0;
}

static int copy_ends(struct kretprobe_instance *ri, struct pt_regs *regs)
{
	regs_set_return_value(regs, *(unsigned long *)ri->data);
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = "copy_mc_to_kernel",
	.entry_handler = copy_begins,
	.handler = copy_ends,
	.data_size = sizeof(unsigned long),
	.maxactive = 64,
};

static long mark(unsigned long addr, bool shadow)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	mmap_write_lock(mm);
	vma = find_vma(mm, addr);
	if (vma && vma->vm_start <= addr) {
		if (shadow)
			vm_flags_set(vma, VM_SHADOW_STACK);
		else
			vm_flags_clear(vma, VM_SHADOW_STACK);
	}
	mmap_write_unlock(mm);
	return vma ? 0 : -EFAULT;
}

/*
 * As the kernel does it: a large folio is flagged as having a bad page; for
 * hugetlb and devices, only its first page has the flag.
 */
static void flag(struct page *page, bool on)
{
	struct folio *folio = page_folio(page);
	bool whole = folio_test_hugetlb(folio) || folio_is_zone_device(folio);

	if (whole)
		page = folio_page(folio, 0);
	if (on)
		SetPageHWPoison(page);
	else
		ClearPageHWPoison(page);
	if (!folio_test_large(folio) || whole)
		return;
	if (on)
		folio_set_has_hwpoisoned(folio);
	else
		folio_clear_has_hwpoisoned(folio);
}

static long on_page(unsigned int cmd, unsigned long addr)
{
	struct page *page;

	if (get_user_pages_fast(addr, 1, 0, &page) != 1)
		return -EFAULT;
	if (cmd == MTEST_CHECK)
		WRITE_ONCE(bad, (unsigned long)page_address(page));
	else
		flag(page, cmd == MTEST_FLAG);
	put_page(page);
	return 0;
}

static long mtest_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case MTEST_SHADOW:
	case MTEST_PLAIN:
		return VM_SHADOW_STACK ? mark(arg, cmd == MTEST_SHADOW) :
					 -EOPNOTSUPP;
	case MTEST_CHECK:
		if (!arg) {
			WRITE_ONCE(bad, 0);
			return 0;
		}
		fallthrough;
	case MTEST_FLAG:
	case MTEST_UNFLAG:
		return on_page(cmd, arg);
	default:
		return -ENOTTY;
	}
}

/* The page is forgotten when its file closes. */
static int mtest_release(struct inode *inode, struct file *file)
{
	WRITE_ONCE(bad, 0);
	return 0;
}

static const struct file_operations mtest_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = mtest_ioctl,
	.release = mtest_release,
};

static struct miscdevice mtest_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hodp_mtest",
	.fops = &mtest_fops,
	.mode = 0600,
};

static int __init mtest_init(void)
{
	int ret = register_kretprobe(&probe);

	if (ret)
		return ret;
	ret = misc_register(&mtest_misc);
	if (ret)
		unregister_kretprobe(&probe);
	return ret;
}

static void __exit mtest_exit(void)
{
	misc_deregister(&mtest_misc);
	unregister_kretprobe(&probe);
}

module_init(mtest_init);
module_exit(mtest_exit);
MODULE_DESCRIPTION("States of memory for the tests of hmm_odp");
MODULE_LICENSE("Dual BSD/GPL");
