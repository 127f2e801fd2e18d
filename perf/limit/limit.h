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

/* It takes @times messages of @len bytes by TCP, and answers each. */
void limit_other_answer(size_t len, uint64_t times);

/* ---- tcp.c ---- */

/*
 * A TCP connection to @address, before the other process is started.  @netns is
 * "NEAR,FAR", names of ip netns, or NULL: the namespace that this program is in.
 */
void limit_tcp_open(const struct perf_options *o, const char *netns,
		    const char *address);

/* Keep the connection's end 0 (here) or 1 (in the other process) only. */
void limit_tcp_keep(int end);

/* Send a message and wait for its answer.  False: errno says why. */
bool limit_tcp_ask(const void *buf, size_t len);

/* The other process's part of @times messages. */
bool limit_tcp_answer(void *buf, size_t len, uint64_t times);

#endif /* LIMIT_H */
