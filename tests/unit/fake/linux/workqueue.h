/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The workqueue functions that runner.c uses: a work item is pending until the
 * test runs it.
 */
#ifndef FAKE_WORKQUEUE_H
#define FAKE_WORKQUEUE_H

#include "kernel_shim.h"

#define WQ_UNBOUND 0
#define WQ_MEM_RECLAIM 0

struct workqueue_struct {
	int queued;
};

struct work_struct {
	void (*func)(struct work_struct *work);
	bool pending;
};

#define INIT_WORK(w, f) ((w)->func = (f))

static struct workqueue_struct fake_wq;

static inline struct workqueue_struct *alloc_workqueue(const char *name,
						       int flags, int max)
{
	(void)name;
	(void)flags;
	(void)max;
	return &fake_wq;
}

static inline void destroy_workqueue(struct workqueue_struct *wq)
{
	(void)wq;
}

static inline void queue_work(struct workqueue_struct *wq,
			      struct work_struct *work)
{
	wq->queued++;
	__atomic_store_n(&work->pending, true, __ATOMIC_SEQ_CST);
}

static inline void cancel_work_sync(struct work_struct *work)
{
	work->pending = false;
}

#endif /* FAKE_WORKQUEUE_H */
