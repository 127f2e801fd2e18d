// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A receive that was taken from a shared queue, when its QP fails. */

#include "rules.h"

#define LEN (4 * HT_PAGE)

/*
 * A message waits for a page of its receive. ERR ends it: the receive, which has
 * belonged to the QP since it was taken, is flushed; the SRQ's other receives stay;
 * there is one event.
 */
static void srq_taken(const void *arg)
{
	struct ht_conf conf = { .timeout = 8, .retry = 1, .srq_wr = 8 };
	struct ht_mem late, mem;
	struct ht_mr late_mr, mr;
	struct ibv_sge sge;
	struct ht_pair p;
	struct ibv_wc wc;
	struct ht_wr w;
	int ufd;

	ht_pair_get(&p, &conf);
	ht_mem_get(&mem, HT_ANON, LEN, 0);
	ht_mem_get(&late, HT_ANON, LEN, 0);
	ht_mr_get(&mr, p.s[0].pd, mem.p, LEN, HT_ODP, HT_ACCESS_ALL);
	ht_mr_get(&late_mr, p.s[1].pd, late.p, LEN, HT_ODP, HT_ACCESS_ALL);
	ufd = ht_uffd_missing(late.p, LEN);
	sge = ht_sge(&late_mr, late.p, LEN);
	for (int i = 0; i < 2; i++)
		ht_ok(ht_recv_try(NULL, p.conf.srq, 80 + i, &sge, 1));
	w = ht_send_wr(1, &mr, mem.p, 500);
	ht_post(p.s[0].qp, &w);
	ht_check(ht_poll_fd(ufd, HT_PATIENCE_MS), "no page fault of the receive");
	ht_ok(ht_to(&p.s[1], IBV_QPS_ERR));
	ht_want_wc(p.s[1].rcq, &wc, 80, IBV_WC_WR_FLUSH_ERR);
	ht_want_event(p.s[1].dev->ctx, IBV_EVENT_QP_LAST_WQE_REACHED, p.s[1].qp);
	/* ERR again changes nothing and raises no event. */
	ht_ok(ht_to(&p.s[1], IBV_QPS_ERR));
	ht_check(!ht_poll_fd(p.s[1].dev->ctx->async_fd, 50), "a second event");
	ht_no_wc(p.s[1].rcq, 5);
	ht_want_wc(p.s[0].scq, &wc, 1, IBV_WC_RETRY_EXC_ERR);
	close(ufd);
}

const struct ht_case rules_srq[] = {
	{ "srq-taken", "a receive that was taken from an SRQ is flushed with its QP", srq_taken },
	{},
};
