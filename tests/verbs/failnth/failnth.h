/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * failnth: each allocation and each copy from or to user space fails once.
 *
 * Words:
 *   shot   one system call of the library in which the nth of them fails
 *          (/proc/thread-self/fail-nth, CONFIG_FAULT_INJECTION). The rest of
 *          the library's work is spared: its own page faults do not count.
 *   hit    the shot met something: the call had an nth allocation or copy
 *
 * A verb is tried with n = 1, 2, 3 and so on until a shot hits nothing, and so is
 * each system call that the library makes for it. One that
 * was hit fails with an errno that says why, or succeeds by another way; either
 * way it works at the next try, and nothing is left: objects, references to the
 * module, memory (kmemleak, by guest/init).
 */
#ifndef FAILNTH_H
#define FAILNTH_H

#include "hodp_test.h"

/* The library's @which-th system call on the device from now on gets the shot. */
void shot_load(int which, int n);
/* The next doorbell. */
void shot_load_bell(int n);
/* Was there such a call? Disarms the shot. */
bool shot_fired(void);
/* … and did it hit? */
bool shot_hit(void);
/* Let the nth allocation of every worker of the kernel's unbound ones fail. */
void shot_workers(int n);
/* Skip where the kernel injects no faults; else make all of them count. */
void shot_need(void);

void failnth_objects(void);
extern const struct ht_case failnth_data[];

#endif /* FAILNTH_H */
