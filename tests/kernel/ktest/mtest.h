/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * /dev/hodp_mtest: states of memory that hardware brings about, and a guest has
 * none of. The argument is an address in the calling process; its page is there.
 */
#ifndef MTEST_H
#define MTEST_H

#include <linux/ioctl.h>

/* Make the mapping a shadow stack, or undo it. Its pages stay. */
#define MTEST_SHADOW _IO('h', 1)
#define MTEST_PLAIN _IO('h', 2)
/*
 * Reading the page is a machine check: copy_mc_to_kernel() fails. NULL: no
 * page.
 */
#define MTEST_CHECK _IO('h', 3)
/* Mark the page as bad in the kernel, still mapped; or undo it. */
#define MTEST_FLAG _IO('h', 4)
#define MTEST_UNFLAG _IO('h', 5)

#endif /* MTEST_H */
