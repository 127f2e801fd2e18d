// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A long page fault at the responder costs nobody a QP: signs of life to a handmade
 * peer, and what a real requester makes of them, hmm_odp or rdma_rxe (-d).
 */
#include <linux/userfaultfd.h>
#include <sys/mman.h>

#include "rc.h"

#define LEN (16 * HT_KIB)
#define MTU 1024
#define PAGES 4
#define COLD 0xc01d
#define HOLD_MS 1500 /* more than the requester's timeout and retries */

static struct peer p;
static struct area a;
static uint8_t *cold; /* PAGES that are not there */
static struct ht_mr mr;
static int uffd;

static void get_cold(struct ibv_pd *pd)
{
	cold = ht_reserve(PAGES * HT_PAGE, 0, HT_PAGE);
	ht_sys(mprotect(cold, PAGES * HT_PAGE, PROT_READ | PROT_WRITE));
	uffd = ht_uffd_missing(cold, PAGES * HT_PAGE);
	ht_mr_get(&mr, pd, cold, PAGES * HT_PAGE, HT_ODP, HT_ACCESS_ALL);
}

static void setup(const struct ht_conf *conf)
{
	peer_get(&p, conf);
	area_get(&a, &p, LEN, HT_ACCESS_ALL);
	get_cold(p.s.pd);
}

static void want_fault(void)
{
	struct uffd_msg msg;

	ht_check(ht_poll_fd(uffd, HT_PATIENCE_MS), "there is no page fault");
	ht_eq(read(uffd, &msg, sizeof(msg)), sizeof(msg));
}

static void deliver(size_t page)
{
	ht_uffd_deliver(uffd, cold + page * HT_PAGE, COLD, page * HT_PAGE);
}

/* Signs of life come until the page does; then the answer of PSN @psn. */
static void want_done(uint32_t psn)
{
	struct rc_msg m;

	do {
		ht_check(peer_poll(&p, &m, HT_PATIENCE_MS), "no acknowledgment");
		ht_eq(m.op, RC_ACK);
		ht_true(rc_is_good(&m));
	} while (m.psn != psn);
}

/* Timeout 14 is 67 ms. */
static void signs(const void *arg)
{
	struct ht_conf conf = { .timeout = 14 };
	struct rc_msg m;

	setup(&conf);
	m = peer_write(&p, &mr, cold + 100, 700, 1, 0);
	peer_send(&p, &m);
	want_fault();
	for (int i = 0; i < 5; i++)
		peer_want(&p, m.psn - 1, RC_GOOD, "a sign of life");
	deliver(0);
	want_done(m.psn);
	ht_check_fill(cold + 100, 700, 1, 0, "a WRITE after its page came");
	ht_check_fill(cold, 100, COLD, 0, "bytes before it");
	peer_quiet(&p, 100, "after the fault");
	peer_alive(&p, &a.mr, a.p + 8000, 0x77);
}

/* In the middle of a READ the last response comes again. */
static void signs_read(const void *arg)
{
	struct ht_conf conf = { .timeout = 14 };
	enum { TOTAL = HT_PAGE + 2 * MTU };
	struct rc_msg m = { .op = RC_READ }, got;
	uint32_t last;

	setup(&conf);
	deliver(0);
	ht_prefetch(&mr, cold, HT_PAGE);
	m.psn = p.psn;
	m.va = ht_iova(&mr, cold);
	m.rkey = mr.mr->rkey;
	m.length = TOTAL;
	p.psn += TOTAL / MTU;
	last = m.psn + HT_PAGE / MTU - 1;
	peer_send(&p, &m);
	for (uint32_t i = 0; i < HT_PAGE / MTU; i++)
		peer_want_op(&p, &got, i ? RC_RESPONSE_MIDDLE : RC_RESPONSE_FIRST, m.psn + i);
	want_fault();
	for (int i = 0; i < 5; i++) {
		peer_want_op(&p, &got, RC_RESPONSE_MIDDLE, last);
		ht_eq(got.len, MTU);
		ht_check_fill(got.data, MTU, COLD, HT_PAGE - MTU, "the last response");
	}
	deliver(1);
	do
		ht_check(peer_poll(&p, &got, HT_PATIENCE_MS), "no response");
	while (got.psn == last);
	ht_eq(got.psn, last + 1);
	ht_check_fill(got.data, MTU, COLD, HT_PAGE, "the page that came");
	peer_want_op(&p, &got, RC_RESPONSE_LAST, last + 2);
	ht_check_fill(got.data, MTU, COLD, HT_PAGE + MTU, "the page that came");
	peer_alive(&p, &a.mr, a.p + 8000, 0x77);
}

/* The peer does not heed the signs: it gets an RNR NAK before its retries are used
 * up, if it has as many as the QP. Returns how many signs it got instead.
 */
static int resends(int retry)
{
	struct ht_conf conf = { .timeout = 24, .retry = retry };
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);
	struct rc_msg m, got;
	int answered = 0;

	setup(&conf);
	m = peer_write(&p, &mr, cold + 100, 700, 1, 0);
	peer_send(&p, &m);
	want_fault();
	for (;;) {
		ht_check(!ht_over(deadline), "there was no RNR NAK");
		peer_send(&p, &m);
		/* The first one may come before the receiver sleeps. */
		if (!peer_poll(&p, &got, answered ? HT_PATIENCE_MS : 1000))
			continue;
		ht_eq(got.op, RC_ACK);
		if (!rc_is_good(&got))
			break;
		ht_eq(got.psn, m.psn - 1);
		answered++;
	}
	ht_eq(got.syndrome >> 5, 1);
	ht_eq(got.psn, m.psn);
	deliver(0);
	do
		ht_check(peer_poll(&p, &got, HT_PATIENCE_MS), "no acknowledgment");
	while (got.psn != m.psn || !rc_is_good(&got));
	ht_check_fill(cold + 100, 700, 1, 0, "a WRITE after its page came");
	return answered;
}

static void unheeded(const void *arg)
{
	/* Signs come by themselves, too. */
	ht_true(resends(7) >= 5);
}

static void unheeded_soon(const void *arg)
{
	int n = resends(HT_NONE);

	ht_check(n < 5, "%d signs before an RNR NAK", n);
}

/* --- real requesters --------------------------------------------------------------- */

static struct ht_pair pair;
static struct ht_mr from;
static uint8_t *source;

static void setup_pair(int timeout, int peers, int retry)
{
	struct ht_conf conf = {
		.mtu = IBV_MTU_1024, .rnr_retry = HT_NONE, .retry = retry, .timeout = timeout
	};
	struct ibv_qp_attr slow = { .timeout = peers };

	ht_pair_get(&pair, &conf);
	/* The responder's own timeout may be another one. */
	if (peers != timeout) {
		ht_ok(ht_to(&pair.s[1], IBV_QPS_SQD));
		ht_ok(ibv_modify_qp(pair.s[1].qp, &slow, IBV_QP_TIMEOUT));
		ht_ok(ht_to(&pair.s[1], IBV_QPS_RTS));
	}
	source = aligned_alloc(HT_PAGE, LEN);
	ht_fill(source, LEN, 1, 0);
	ht_mr_get(&from, pair.s[0].pd, source, LEN, ht_best_mr(pair.s[0].dev),
		  IBV_ACCESS_LOCAL_WRITE);
	get_cold(pair.s[1].pd);
}

/* Post it, hold the page for long, and see the operation succeed without an RNR NAK. */
static void held(const struct ht_wr *w, size_t page)
{
	uint64_t before = ht_counter(&pair.dev[1], "rnr_naks_sent");
	struct ibv_wc wc;

	ht_post(pair.s[0].qp, w);
	want_fault();
	ht_no_wc(pair.s[0].scq, HOLD_MS);
	deliver(page);
	ht_want_wc(pair.s[0].scq, &wc, w->id, IBV_WC_SUCCESS);
	ht_eq(ht_counter(&pair.dev[1], "rnr_naks_sent"), before);
	ht_note("%" PRIu64 " duplicates", ht_counter(&pair.dev[1], "duplicate_request"));
}

struct real {
	int timeout, peers, retry;
};

static void real_write(const void *arg)
{
	const struct real *r = arg;
	struct ht_wr w;

	setup_pair(r->timeout, r->peers, r->retry);
	w = ht_rdma_wr(1, IBV_WR_RDMA_WRITE, &from, source + 3, 2500, &mr, cold + 100);
	held(&w, 0);
	ht_check_bytes(cold + 100, source + 3, 2500, "a WRITE after its page came");
	ht_check_fill(cold, 100, COLD, 0, "bytes before it");
	ht_check_fill(cold + 2600, HT_PAGE - 2600, COLD, 2600, "bytes behind it");
}

static void real_read(const void *arg)
{
	const struct real *r = arg;
	struct ht_wr w;

	setup_pair(r->timeout, r->peers, r->retry);
	deliver(0);
	ht_prefetch(&mr, cold, HT_PAGE);
	/* Some responses come, then there is the fault. */
	w = ht_rdma_wr(1, IBV_WR_RDMA_READ, &from, source + 3, 2 * HT_PAGE - 200, &mr, cold + 100);
	held(&w, 1);
	ht_check_fill(source + 3, 2 * HT_PAGE - 200, COLD, 100, "a READ after its page came");
}

static void real_atomic(const void *arg)
{
	const struct real *r = arg;
	uint64_t before, now;
	struct ht_wr w;

	setup_pair(r->timeout, r->peers, r->retry);
	w = ht_rdma_wr(1, IBV_WR_ATOMIC_FETCH_AND_ADD, &from, source, 8, &mr, cold + 64);
	w.add = 3;
	ht_fill(&before, 8, COLD, 64);
	held(&w, 0);
	memcpy(&now, cold + 64, 8);
	ht_true(now == before + 3);
	ht_check_bytes(source, &before, 8, "the value before");
}

/*
 * 268 ms and 68 s: a loaded host must not make the timeouts that the signs are to
 * prevent. rdma_rxe takes a retry_cnt of 7 for no limit.
 */
static const struct real same = { 16, 16, 2 };
static const struct real impatient = { 16, 24, 7 };

const struct ht_case rc_alive[] = {
	{ "alive-signs", "a responder in a page fault gives signs of life", signs },
	{ "alive-signs-read", "in the middle of a READ too", signs_read },
	{ "alive-unheeded", "a requester that does not heed them gets an RNR NAK in the end",
	  unheeded },
	{ "alive-unheeded-soon", "and soon if it has few retries", unheeded_soon },
	{ "alive-real-write", "a WRITE survives a long fault with rnr_retry 0", real_write, &same },
	{ "alive-real-read", "a READ does", real_read, &same },
	{ "alive-real-atomic", "an atomic does, and is executed once", real_atomic, &same },
	{ "alive-real-impatient", "so does a WRITE of a requester with a shorter timeout",
	  real_write, &impatient },
	{},
};
