/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The wait queue functions that runner.c uses: waiting is polling. */
#ifndef FAKE_WAIT_H
#define FAKE_WAIT_H

#include <sched.h>

typedef struct {
	int nothing;
} wait_queue_head_t;

#define init_waitqueue_head(q) ((void)(q))
#define wake_up_all(q) ((void)(q))
#define wait_event(q, cond)            \
	do {                           \
		while (!(cond))        \
			sched_yield(); \
	} while (0)

#endif /* FAKE_WAIT_H */
