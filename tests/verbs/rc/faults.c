// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The QP waits for a page, which comes when the case delivers it (userfaultfd). What
 * does it say meanwhile, and what not?
 */
#include <linux/userfaultfd.h>
#include <sys/mman.h>

#include "rc.h"

#define LEN (16 * HT_KIB)
#define PAGES 8
#define MTU 1024
#define COLD 0xc01d
#define BEHIND 50 /* packets behind a page fault */

static struct peer p;
static struct area a; /* ordinary memory */
static uint8_t *cold; /* PAGES that are not there */
static struct ht_mr mr;
static int uffd;

static void setup(void)
{
	peer_get(&p, NULL);
	area_get(&a, &p, LEN, HT_ACCESS_ALL);
	cold = ht_reserve(PAGES * HT_PAGE, 0, HT_PAGE);
	ht_sys(mprotect(cold, PAGES * HT_PAGE, PROT_READ | PROT_WRITE));
	uffd = ht_uffd_missing(cold, PAGES * HT_PAGE);
	ht_mr_get(&mr, p.s.pd, cold, PAGES * HT_PAGE, HT_ODP, HT_ACCESS_ALL);
}

/* Some page of @cold is waited for. */
static void want_fault(void)
{
	struct uffd_msg msg;

	ht_check(ht_poll_fd(uffd, HT_PATIENCE_MS), "there is no page fault");
	ht_eq(read(uffd, &msg, sizeof(msg)), sizeof(msg));
	ht_eq(msg.event, UFFD_EVENT_PAGEFAULT);
}

static void deliver(size_t page)
{
	ht_uffd_deliver(uffd, cold + page * HT_PAGE, COLD, page * HT_PAGE);
}

/* @len bytes from @off on of page @page were written, the rest of it was not. */
static void check_cold(size_t page, size_t off, size_t len, uint64_t seed, const char *what)
{
	size_t at = page * HT_PAGE;

	ht_check_fill(cold + at, off, COLD, at, what);
	ht_check_fill(cold + at + off, len, seed, 0, what);
	ht_check_fill(cold + at + off + len, HT_PAGE - off - len, COLD, at + off + len, what);
}

/* Is it a sign of life (alive.c) or an RNR NAK of a QP that waits for @psn? */
static bool waits_for(const struct rc_msg *m, uint32_t psn)
{
	if (m->op == RC_ACK && m->syndrome >> 5 == 1)
		return m->psn == psn;
	return m->psn == ((psn - 1) & 0xffffff) &&
	       (m->op == RC_RESPONSE_MIDDLE || (m->op == RC_ACK && rc_is_good(m)));
}

/* For @ms there is nothing but signs of life of a QP that waits for @psn. */
static void only_signs(uint32_t psn, unsigned int ms, const char *what)
{
	uint64_t deadline = ht_deadline(ms);
	struct rc_msg m;

	do {
		if (!peer_poll(&p, &m, 1))
			continue;
		ht_check(m.op == RC_ACK && rc_is_good(&m) && m.psn == ((psn - 1) & 0xffffff),
			 "%s: opcode 0x%02x, PSN 0x%06x, syndrome 0x%02x", what, m.op, m.psn,
			 m.syndrome);
	} while (!ht_over(deadline));
	ht_checked();
}

/*
 * Send @m again until the QP says that it is not ready. The first time may be too
 * early: the page is asked for before the receiver goes to sleep.
 */
static void hurry(const struct rc_msg *m, uint32_t psn)
{
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);
	struct rc_msg got;

	do {
		ht_check(!ht_over(deadline), "sent again during a fault, without an answer");
		peer_send(&p, m);
	} while (!peer_poll(&p, &got, 50));
	/* Who sends again often gets signs of life often: they may never pause. */
	deadline = ht_deadline(20);
	do
		ht_check(waits_for(&got, psn), "opcode 0x%02x, syndrome 0x%02x, PSN 0x%06x", got.op,
			 got.syndrome, got.psn);
	while (!ht_over(deadline) && peer_poll(&p, &got, 20));
}

/* The next packet that is news of @psn: an older one may still be on its way. */
static void next_packet(struct rc_msg *m, uint32_t psn, const char *what)
{
	do
		ht_check(peer_poll(&p, m, HT_PATIENCE_MS), "no packet: %s", what);
	while (waits_for(m, psn));
}

/* Acknowledgments come, at last that of @psn. */
static void want_acked(uint32_t psn, const char *what)
{
	struct rc_msg m;

	do {
		ht_check(peer_poll(&p, &m, HT_PATIENCE_MS), "no packet: %s", what);
		if (m.op == RC_ACK && m.syndrome >> 5 == 1)
			continue;
		ht_check(m.op == RC_ACK && rc_is_good(&m), "%s: opcode 0x%02x, syndrome 0x%02x",
			 what, m.op, m.syndrome);
	} while (m.psn != psn);
}

/* What waits for a page is not acknowledged, and nothing behind it is executed. */
static void not_acked(const void *arg)
{
	struct rc_msg m, behind;

	setup();
	m = peer_write(&p, &mr, cold + 100, 700, 1, 0);
	peer_send(&p, &m);
	want_fault();
	behind = peer_write(&p, &a.mr, a.p + 3, 700, 2, 0);
	peer_send(&p, &behind);
	only_signs(m.psn, 100, "an answer before its page is there");
	area_check(&a, 0, 0, 0, 0, "what is behind a page fault");
	deliver(0);
	want_acked(behind.psn, "what has waited");
	check_cold(0, 100, 700, 1, "a WRITE after its page came");
	area_check(&a, 3, 700, 2, 0, "the WRITE behind it");
}

/* What was executed before the fault is acknowledged, in time. */
static void acked_before(const void *arg)
{
	struct rc_msg m, first;

	setup();
	first = peer_write(&p, &a.mr, a.p + 3, 700, 2, 0);
	peer_send(&p, &first);
	peer_want(&p, first.psn, RC_GOOD, "a WRITE before the fault");
	m = peer_write(&p, &mr, cold + 100, 700, 1, 0);
	peer_send(&p, &m);
	want_fault();
	/* A duplicate of what is done is acknowledged only as far as it is done. */
	peer_send(&p, &first);
	only_signs(m.psn, 50, "an answer during a fault");
	deliver(0);
	want_acked(m.psn, "the WRITE after its page came");
	check_cold(0, 100, 700, 1, "a WRITE after its page came");
	area_check(&a, 3, 700, 2, 0, "the WRITE before it");
}

/* It is sent again while its page is awaited: answers, and one execution. */
static void hurries(const void *arg)
{
	struct rc_msg m, next;

	setup();
	m = peer_write(&p, &mr, cold + 100, 700, 1, 0);
	peer_send(&p, &m);
	want_fault();
	for (int i = 0; i < 5; i++)
		hurry(&m, m.psn);
	ht_no_wc(p.s.rcq, 5);
	deliver(0);
	want_acked(m.psn, "the WRITE after its page came");
	check_cold(0, 100, 700, 1, "a WRITE after its page came");
	/* Newer bytes in the same place stay. */
	next = peer_write(&p, &mr, cold + 100, 700, 2, 0);
	peer_send(&p, &next);
	want_acked(next.psn, "the next WRITE");
	peer_send(&p, &m);
	want_acked(next.psn, "a late duplicate");
	check_cold(0, 100, 700, 2, "the newer bytes");
}

/* A READ waits in its middle; it is sent again from there on. */
static void hurries_read(const void *arg)
{
	enum { TOTAL = HT_PAGE + 2 * MTU };
	struct rc_msg m = { .op = RC_READ }, got;

	setup();
	deliver(0);
	ht_prefetch(&mr, cold, HT_PAGE);
	m.psn = p.psn;
	m.va = ht_iova(&mr, cold);
	m.rkey = mr.mr->rkey;
	m.length = TOTAL;
	p.psn += TOTAL / MTU;
	peer_send(&p, &m);
	for (uint32_t i = 0; i < HT_PAGE / MTU; i++) {
		peer_want_op(&p, &got, i ? RC_RESPONSE_MIDDLE : RC_RESPONSE_FIRST, m.psn + i);
		ht_check_fill(got.data, MTU, COLD, i * MTU, "the page that is there");
	}
	want_fault();
	m.psn += HT_PAGE / MTU;
	m.va += HT_PAGE;
	m.length -= HT_PAGE;
	hurry(&m, m.psn);
	deliver(1);
	for (uint32_t i = 0; i < 2; i++) {
		next_packet(&got, m.psn, "the rest of a READ");
		ht_eq(got.psn, (m.psn + i) & 0xffffff);
		ht_check_fill(got.data, MTU, COLD, HT_PAGE + i * MTU, "the page that came");
	}
	/* Duplicates that were early are answered again, and with the same bytes. */
	while (peer_poll(&p, &got, 50))
		ht_check_fill(got.data, got.len, COLD,
			      HT_PAGE + ((got.psn - m.psn) & 0xffffff) * MTU, "once more");
	peer_alive(&p, &a.mr, a.p + 8000, 0x77);
}

/* An atomic waits; its duplicates do not add again. */
static void hurries_atomic(const void *arg)
{
	struct rc_msg m = { .op = RC_FETCH_ADD, .add = 1 }, got;
	uint64_t before, now;

	setup();
	m.psn = p.psn++;
	m.va = ht_iova(&mr, cold + 64);
	m.rkey = mr.mr->rkey;
	ht_fill(&before, 8, COLD, 64);
	peer_send(&p, &m);
	want_fault();
	hurry(&m, m.psn);
	hurry(&m, m.psn);
	deliver(0);
	next_packet(&got, m.psn, "the answer to an atomic");
	ht_eq(got.op, RC_ATOMIC_ACK);
	ht_check(got.original == before, "the original is 0x%lx", (unsigned long)got.original);
	while (peer_poll(&p, &got, 50))
		ht_check(got.original == before, "a duplicate's original is 0x%lx",
			 (unsigned long)got.original);
	memcpy(&now, cold + 64, 8);
	ht_eq(now, before + 1);
}

/* Another QP of the device goes on. */
static void alone(const void *arg)
{
	struct peer other;
	struct rc_msg m, more;

	setup();
	peer_more(&other, &p, NULL);
	peer_connect(&other, 0x111111, 0x222222);
	m = peer_write(&p, &mr, cold + 100, 700, 1, 0);
	peer_send(&p, &m);
	want_fault();
	for (int i = 0; i < 20; i++) {
		more = peer_write(&other, &a.mr, a.p + 3, 1000, 10 + i, 0);
		peer_send(&other, &more);
		peer_want(&other, more.psn, RC_GOOD, "a WRITE beside a page fault");
		area_check(&a, 3, 1000, 10 + i, 0, "a WRITE beside a page fault");
	}
	deliver(0);
	want_acked(m.psn, "the WRITE after its page came");
	check_cold(0, 100, 700, 1, "the WRITE after its page came");
}

/* A requester that waits for a page to store an answer. */
static void answer_waits(const void *arg)
{
	static uint8_t data[700];
	struct rc_msg m;
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	w = ht_rdma_wr(1, IBV_WR_RDMA_READ, &mr, cold + 200, sizeof(data), &a.mr, a.p);
	ht_post(p.s.qp, &w);
	peer_want_op(&p, &m, RC_READ, QP_PSN);
	ht_fill(data, sizeof(data), 8, 0);
	m = (struct rc_msg){ .op = RC_RESPONSE_ONLY,
			     .psn = QP_PSN,
			     .syndrome = RC_GOOD,
			     .data = data,
			     .len = sizeof(data) };
	peer_send(&p, &m);
	want_fault();
	ht_no_wc(p.s.scq, 20);
	deliver(0);
	ht_want_wc(p.s.scq, &wc, 1, IBV_WC_SUCCESS);
	check_cold(0, 200, sizeof(data), 8, "an answer that waited for its page");
	peer_alive(&p, &a.mr, a.p + 8000, 0x77);
}

/* It goes to the error state, or away, while packets wait behind a page fault. */
static void ends(const void *arg)
{
	const bool *destroy = arg;
	uint64_t flushed;
	struct rc_msg m;

	setup();
	flushed = ht_counter(&rc_dev, "rx_flushed");
	m = peer_write(&p, &mr, cold + 100, 700, 1, 0);
	peer_send(&p, &m);
	want_fault();
	for (int i = 0; i < BEHIND; i++) {
		m = peer_write(&p, &a.mr, a.p + 3, 1000, 2, 0);
		peer_send(&p, &m);
	}
	if (*destroy)
		ht_side_put(&p.s);
	else
		ht_ok(ht_to(&p.s, IBV_QPS_ERR));
	ht_wait_until(ht_counter(&rc_dev, "rx_flushed") >= flushed + 1 + BEHIND,
		      "the packets to be dropped");
	ht_eq(ht_counter(&rc_dev, "rx_flushed"), flushed + 1 + BEHIND);
	/* Signs of life, from before. */
	peer_flush();
	deliver(0);
	peer_quiet(&p, 50, "an answer of a QP that has ended");
	check_cold(0, 0, 0, 0, "a page for a QP that has ended");
	area_check(&a, 0, 0, 0, 0, "packets that waited at a QP that has ended");
	if (*destroy)
		return;
	ht_ok(ht_to(&p.s, IBV_QPS_RESET));
	peer_connect(&p, PEER_PSN, QP_PSN);
	peer_alive(&p, &a.mr, a.p + 8000, 0x77);
}

static const bool yes = true, no;

const struct ht_case rc_faults[] = {
	{ "fault-not-acked", "nothing is acknowledged before its page is there", not_acked },
	{ "fault-acked-before", "a duplicate during a fault acknowledges no more", acked_before },
	{ "fault-hurry", "a WRITE that is sent again during its fault is answered", hurries },
	{ "fault-hurry-read", "the same for the rest of a READ", hurries_read },
	{ "fault-hurry-atomic", "the same for an atomic, which is executed once", hurries_atomic },
	{ "fault-alone", "a page fault stops its own QP only", alone },
	{ "fault-answer", "an answer waits for the page that it goes to", answer_waits },
	{ "fault-error", "a QP fails while packets wait for its page", ends, &no },
	{ "fault-destroy", "a QP goes away while packets wait for its page", ends, &yes },
	{},
};
