// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Commands that no library sends, written raw to the uverbs file. */
#include <pthread.h>
#include <rdma/hmm_odp-abi.h>
#include <rdma/ib_user_verbs.h>

#include "errors.h"

/* --- several resizes of one CQ at a time ----------------------------------------- */

#define THREADS 6
#define POLLED 700 /* consumer index in the first ring */
#define WAITING 4000 /* entries to move: several of the kernel's batches */

static struct ht_rig r;
static pthread_barrier_t start;
static int failures;

static int raw_resize(struct ibv_cq *cq, uint32_t cqe)
{
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_resize_cq cmd;
	} c = {
		.hdr = { .command = IB_USER_VERBS_CMD_RESIZE_CQ, .in_words = sizeof(c) / 4 },
	};
	struct {
		struct ib_uverbs_resize_cq_resp core;
		struct hodp_resize_cq_resp drv;
	} resp;

	c.hdr.out_words = sizeof(resp) / 4;
	c.cmd.response = (uintptr_t)&resp;
	c.cmd.cq_handle = cq->handle;
	c.cmd.cqe = cqe;
	return write(cq->context->cmd_fd, &c, sizeof(c)) == sizeof(c) ? 0 : errno;
}

static void *resizer(void *arg)
{
	uintptr_t n = (uintptr_t)arg;

	pthread_barrier_wait(&start);
	for (int i = 0; i < 3; i++) {
		int err = raw_resize(r.a->scq, (n + i) % 2 ? 16384 : 8192);

		if (err)
			__atomic_store_n(&failures, err, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void complete_some(uint64_t from, uint64_t to)
{
	for (; from < to; from++) {
		struct ht_wr w = { .id = from, .op = IBV_WR_RDMA_WRITE, .no_sge = true };

		ht_post(r.a->qp, &w);
	}
}

static void resize_at_a_time(const void *arg)
{
	struct ht_conf conf = { .depth = 8192, .cq_depth = 16384 };
	uint64_t sent = 0, seen = 0;
	long rounds = ht_count(12);
	pthread_t t[THREADS];
	struct ibv_wc wc;

	ht_rig_get(&r, &conf, HT_PAGE);
	if (!r.a->dev->is_hodp)
		ht_skip("the command's answer is another on this device");
	ht_ok(pthread_barrier_init(&start, NULL, THREADS));
	for (long round = 0; round < rounds; round++) {
		complete_some(sent, sent + POLLED + WAITING);
		sent += POLLED + WAITING;
		for (int i = 0; i < POLLED; i++, seen++)
			ht_want_wc(r.a->scq, &wc, seen, IBV_WC_SUCCESS);
		for (uintptr_t i = 0; i < THREADS; i++)
			ht_ok(pthread_create(&t[i], NULL, resizer, (void *)i));
		for (int i = 0; i < THREADS; i++)
			pthread_join(t[i], NULL);
		ht_check(!failures, "a resize that has nothing to fail for: %s",
			 strerror(failures));
		/*
		 * The library does not know of the resize; a resize of its own maps
		 * the new ring.
		 */
		ht_ok(ibv_resize_cq(r.a->scq, 16384));
		for (; seen < sent; seen++)
			ht_want_wc(r.a->scq, &wc, seen, IBV_WC_SUCCESS);
		ht_no_wc(r.a->scq, 1);
	}
	ht_rig_put(&r);
}

const struct ht_case errors_commands[] = {
	{ "command-resize-race", "resizes of one CQ at a time lose no completion", resize_at_a_time,
	  NULL, 240 },
	{},
};
