/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the kernel's headers use and trixie's sparse (0.6.4) does not know.
 * Included before every source that sparse reads; the compiler never sees it.
 */
#define __typeof_unqual__ __typeof__
/* MODULE_INFO() asserts on the length of a string literal. */
#define __builtin_strlen(s) (sizeof(s) - 1)
