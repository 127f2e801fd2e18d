/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Between odp_limit and the other process that it copies to and from.
 */
#ifndef LIMIT_H
#define LIMIT_H

#include <sys/types.h>

#include "../lib/perf.h"

/*
 * Start the other process, before this one has anything that a child must not
 * inherit.  It ends with this one.
 */
void limit_other_start(const struct perf_options *o);

pid_t limit_other_pid(void);

/*
 * Memory of @kind there, all its pages present: where it is, or NULL and why it
 * cannot be had.
 */
uint8_t *limit_other_get(enum perf_mem_kind kind, size_t len, const char **why);
void limit_other_put(void);

/* perf_fill(), memset() to 0 and perf_wrong() of its first @len bytes. */
void limit_other_fill(size_t len, uint64_t seed);
void limit_other_clear(size_t len);
size_t limit_other_wrong(size_t len, uint64_t seed);

#endif /* LIMIT_H */
