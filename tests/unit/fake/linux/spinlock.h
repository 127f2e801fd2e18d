/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Of locks, what deadline.c takes: its test has one thread. */
#ifndef FAKE_SPINLOCK_H
#define FAKE_SPINLOCK_H

typedef struct {
	bool held;
} spinlock_t;

#define spin_lock_init(l) ((l)->held = false)
#define spin_lock(l) ((l)->held = true)
#define spin_unlock(l) ((l)->held = false)
#define spin_lock_bh(l) spin_lock(l)
#define spin_unlock_bh(l) spin_unlock(l)
#define lockdep_assert_held(l)   \
	do {                     \
		if (!(l)->held)  \
			abort(); \
	} while (0)

#endif /* FAKE_SPINLOCK_H */
