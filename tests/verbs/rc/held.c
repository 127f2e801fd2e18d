// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the network can make the QP hold while it waits for a page: a bounded number
 * of packets, which its creator pays for.
 */
#include <linux/userfaultfd.h>
#include <sys/mman.h>

#include "rc.h"

#define LEN (16 * HT_KIB)
#define GROUP "rc-held"
#define COLD 0xc01d
/* HODP_RC_QUEUE_MAX of the module: packets of one direction at a QP. */
#define QUEUE 512
#define EXTRA 88

static struct peer p;
static struct area a;
static uint8_t *cold; /* a page that is not there */
static struct ht_mr mr;
static int uffd;

static void setup(void)
{
	struct ht_conf conf = { .mtu = IBV_MTU_4096 };

	ht_cgroup_enter(GROUP);
	peer_get(&p, &conf);
	area_get(&a, &p, LEN, HT_ACCESS_ALL);
	/* Ordinary memory is mapped already. */
	ht_prefetch(&a.mr, a.p, LEN);
	cold = ht_reserve(HT_PAGE, 0, HT_PAGE);
	ht_sys(mprotect(cold, HT_PAGE, PROT_READ | PROT_WRITE));
	uffd = ht_uffd_missing(cold, HT_PAGE);
	ht_mr_get(&mr, p.s.pd, cold, HT_PAGE, HT_ODP, HT_ACCESS_ALL);
}

static void want_fault(void)
{
	ht_check(ht_poll_fd(uffd, HT_PATIENCE_MS), "there is no page fault");
}

/* The receiver waits for a page; @num WRITEs of @len bytes arrive behind it. */
static void fill_requests(int num, uint32_t len)
{
	struct rc_msg m = peer_write(&p, &mr, cold + 100, 700, 1, 0);

	peer_send(&p, &m);
	want_fault();
	for (int i = 0; i < num; i++) {
		m = peer_write(&p, &a.mr, a.p + 3, len, 2 + i, 0);
		peer_send(&p, &m);
	}
}

static void wait_counter(const char *name, uint64_t value)
{
	ht_wait_until(ht_counter(&rc_dev, name) >= value, name);
	ht_eq(ht_counter(&rc_dev, name), value);
}

/* All up to @psn is acknowledged at last. */
static void want_acked(uint32_t psn)
{
	struct rc_msg m;

	do {
		ht_check(peer_poll(&p, &m, HT_PATIENCE_MS), "PSN 0x%06x is not acknowledged", psn);
		ht_check(m.op == RC_ACK && rc_is_good(&m), "opcode 0x%02x, syndrome 0x%02x", m.op,
			 m.syndrome);
	} while (m.psn != psn);
}

static void requests(const void *arg)
{
	uint64_t full, begun;
	uint32_t last;

	setup();
	full = ht_counter(&rc_dev, "rx_queue_full");
	begun = ht_counter(&rc_dev, "rx_packets");
	fill_requests(QUEUE + EXTRA, 100);
	wait_counter("rx_packets", begun + 1 + QUEUE + EXTRA);
	wait_counter("rx_queue_full", full + EXTRA);
	area_check(&a, 0, 0, 0, 0, "packets behind a page fault");
	ht_uffd_deliver(uffd, cold, COLD, 0);
	last = PEER_PSN + QUEUE;
	want_acked(last);
	area_check(&a, 3, 100, 2 + QUEUE - 1, 0, "the last WRITE that was kept");
	/* The others were lost as if by a switch. */
	p.psn = last + 1;
	peer_alive(&p, &a.mr, a.p + 8000, 0x77);
}

static void responses(const void *arg)
{
	static uint8_t data[700];
	struct rc_msg m;
	struct ibv_wc wc;
	uint64_t full;
	struct ht_wr w;

	setup();
	full = ht_counter(&rc_dev, "rx_queue_full");
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
	for (int i = 0; i < QUEUE + EXTRA; i++)
		peer_send(&p, &m);
	/* The one that waits is put back into the queue, maybe late. */
	ht_wait_until(ht_counter(&rc_dev, "rx_queue_full") >= full + EXTRA, "responses to be lost");
	ht_true(ht_counter(&rc_dev, "rx_queue_full") <= full + EXTRA + 1);
	ht_uffd_deliver(uffd, cold, COLD, 0);
	ht_want_wc(p.s.scq, &wc, 1, IBV_WC_SUCCESS);
	ht_check_fill(cold + 200, sizeof(data), 8, 0, "an answer that came often");
	ht_no_wc(p.s.scq, 5);
	peer_alive(&p, &a.mr, a.p + 8000, 0x77);
}

enum { MANY = 500, SIZE = 4096 };

/* Packets that wait are charged to the process that has the QP. */
static void charged(const void *arg)
{
	long before, held;

	setup();
	before = ht_cgroup_stat(GROUP, "kernel");
	fill_requests(MANY, SIZE);
	held = ht_cgroup_stat(GROUP, "kernel") - before;
	ht_note("%d packets of %d bytes wait, %ld bytes are charged", MANY, SIZE, held);
	/* The kernel charges in batches. */
	ht_check(held > (long)MANY * SIZE * 9 / 10, "only %ld bytes are charged", held);
	ht_uffd_deliver(uffd, cold, COLD, 0);
	want_acked(PEER_PSN + MANY);
	area_check(&a, 3, SIZE, 2 + MANY - 1, 0, "the last WRITE");
	ht_wait_until((long)ht_cgroup_stat(GROUP, "kernel") - before < (long)MANY * SIZE / 2,
		      "the charge to be given back");
}

/* Send WRITEs with the PSNs @psn to @first + MANY - 1. */
static void send_from(uint32_t psn, uint32_t first)
{
	for (p.psn = psn; p.psn < first + MANY;) {
		struct rc_msg m = peer_write(&p, &a.mr, a.p + 3, SIZE, 2 + p.psn - first, 0);

		peer_send(&p, &m);
	}
}

/* A process without memory loses packets, and goes on when it has some again. */
static void no_memory(const void *arg)
{
	uint64_t full;
	struct rc_msg m;
	uint32_t first, next;
	char pid[20];

	setup();
	full = ht_counter(&rc_dev, "rx_no_memory");
	m = peer_write(&p, &mr, cold + 100, 700, 1, 0);
	peer_send(&p, &m);
	want_fault();
	first = p.psn;
	/* The case leaves the group, the QP does not. */
	snprintf(pid, sizeof(pid), "%d", getpid());
	ht_true(ht_put("/sys/fs/cgroup/cgroup.procs", pid));
	ht_cgroup_max(GROUP, ht_cgroup_current(GROUP) + 256 * HT_KIB);
	send_from(first, first);
	ht_wait_until(ht_counter(&rc_dev, "rx_no_memory") > full, "packets to be lost");
	ht_cgroup_max(GROUP, 1024 * HT_MIB);
	ht_uffd_deliver(uffd, cold, COLD, 0);
	/* As many as were kept are executed; a gap may have a NAK. Signs of life may
	 * come before.
	 */
	do
		ht_check(peer_poll(&p, &m, HT_PATIENCE_MS), "no answer");
	while (m.psn == ((first - 2) & 0xffffff));
	while (peer_poll(&p, &m, 200))
		;
	ht_eq(m.op, RC_ACK);
	next = rc_is_good(&m) ? m.psn + 1 : m.psn;
	ht_check(next >= first && next < first + MANY, "PSN 0x%06x is next", next);
	area_check(&a, 3, next > first ? SIZE : 0, 2 + next - 1 - first, 0,
		   "the last WRITE before a lost one");
	/* Some behind a lost one may have been kept: then there are more gaps. */
	send_from(next, first);
	do
		ht_check(peer_poll(&p, &m, HT_PATIENCE_MS), "no answer to what was sent again");
	while (m.psn != first + MANY - 1 || !rc_is_good(&m));
	area_check(&a, 3, SIZE, 2 + MANY - 1, 0, "the last WRITE");
	while (peer_poll(&p, &m, 50))
		;
	peer_alive(&p, &a.mr, a.p + 8000, 0x77);
}

const struct ht_case rc_held[] = {
	{ "held-requests", "512 requests wait behind a page fault, no more", requests },
	{ "held-responses", "512 responses wait behind a page fault, no more", responses },
	{ "held-charged", "packets that wait are charged to the QP's creator", charged },
	{ "held-no-memory", "packets that cannot be charged are lost", no_memory },
	{},
};
