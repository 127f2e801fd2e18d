// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * READs that are requested again while they are answered, and more of them than the
 * QP has agreed to.
 */
#include <linux/userfaultfd.h>
#include <sys/mman.h>

#include "rc.h"

#define MTU 1024
/* More than HODP_FLIGHT_MAX of the module. */
#define PACKETS 100
#define FLIGHT 64
#define LEN (PACKETS * MTU + 8 * HT_PAGE)
#define COLD 0xc01d

static struct peer p;
static struct area a;
static uint8_t *cold; /* a page that is not there */
static struct ht_mr mr;
static int uffd;

static struct rc_msg read_of(const struct ht_mr *of, const void *at, uint32_t len)
{
	struct rc_msg m = { .op = RC_READ,
			    .psn = p.psn,
			    .va = ht_iova(of, at),
			    .rkey = of->mr->rkey,
			    .length = len };

	p.psn += (len + MTU - 1) / MTU;
	return m;
}

/*
 * The network takes one packet, and then nothing any more for minutes; what is sent
 * waits in its queue. Not netem: it calls the destructor of what it delays.
 */
static void stop(void)
{
	ht_shell(
		"ip netns exec ns2 tc qdisc add dev hodp-ns2 root tbf rate 8bit burst 1600 limit 1000000");
}

/* It goes on; what waited is lost. */
static void go_on(void)
{
	ht_shell("ip netns exec ns2 tc qdisc delete dev hodp-ns2 root");
}

static void wait_counter(const char *name, uint64_t value)
{
	ht_wait_until(ht_counter(&rc_dev, name) >= value, name);
	ht_eq(ht_counter(&rc_dev, name), value);
}

static void rewind_at(const void *arg)
{
	const uint32_t *missing = arg;
	uint64_t sent, dups;
	struct rc_msg m, got;

	peer_get(&p, NULL);
	area_get(&a, &p, LEN, HT_ACCESS_ALL);
	ht_prefetch(&a.mr, a.p, LEN);
	sent = ht_counter(&rc_dev, "tx_packets");
	dups = ht_counter(&rc_dev, "duplicate_request");
	m = read_of(&a.mr, a.p + 3, PACKETS * MTU - 5);
	stop();
	peer_send(&p, &m);
	wait_counter("tx_packets", sent + 1 + FLIGHT);
	peer_want_op(&p, &got, RC_RESPONSE_FIRST, m.psn);
	m.psn += *missing;
	m.va += *missing * MTU;
	m.length -= *missing * MTU;
	peer_send(&p, &m);
	wait_counter("duplicate_request", dups + 1);
	go_on();
	for (uint32_t i = *missing; i < PACKETS; i++) {
		peer_want_op(&p, &got,
			     i == PACKETS - 1 ? RC_RESPONSE_LAST :
			     i == *missing    ? RC_RESPONSE_FIRST :
						RC_RESPONSE_MIDDLE,
			     m.psn + i - *missing);
		ht_eq(got.len, i == PACKETS - 1 ? MTU - 5 : MTU);
		ht_check_bytes(got.data, a.p + 3 + i * MTU, got.len, "a response");
	}
	peer_quiet(&p, 100, "responses that were sent twice");
	ht_eq(ht_counter(&rc_dev, "tx_packets") - sent, 1 + FLIGHT + PACKETS - *missing);
	/* Once more, after it: a duplicate of the whole READ. */
	m.psn -= *missing;
	m.va -= *missing * MTU;
	m.length += *missing * MTU;
	peer_send(&p, &m);
	peer_want_op(&p, &got, RC_RESPONSE_FIRST, m.psn);
	for (uint32_t i = 1; i < PACKETS; i++)
		peer_want_op(&p, &got, i == PACKETS - 1 ? RC_RESPONSE_LAST : RC_RESPONSE_MIDDLE,
			     m.psn + i);
	peer_alive(&p, &a.mr, a.p + PACKETS * MTU + HT_PAGE, 0x77);
}

/* --- max_dest_rd_atomic ------------------------------------------------------------ */

#define MOST 3

static void setup_cold(void)
{
	struct ht_conf conf = { .rd_atomic = MOST };

	peer_get(&p, &conf);
	area_get(&a, &p, 4 * HT_PAGE, HT_ACCESS_ALL);
	ht_prefetch(&a.mr, a.p, 4 * HT_PAGE);
	cold = ht_reserve(HT_PAGE, 0, HT_PAGE);
	ht_sys(mprotect(cold, HT_PAGE, PROT_READ | PROT_WRITE));
	uffd = ht_uffd_missing(cold, HT_PAGE);
	ht_mr_get(&mr, p.s.pd, cold, HT_PAGE, HT_ODP, HT_ACCESS_ALL);
}

/* The first READ waits for its page, and the others behind it. */
static void send_reads(struct rc_msg *m, int num)
{
	for (int i = 0; i < num; i++) {
		m[i] = i ? read_of(&a.mr, a.p + 3, 10 + i) : read_of(&mr, cold, 10);
		peer_send(&p, &m[i]);
		if (!i)
			ht_check(ht_poll_fd(uffd, HT_PATIENCE_MS), "there is no page fault");
	}
}

/* The next packet that is no sign of life. */
static void next_packet(struct rc_msg *m)
{
	do
		ht_check(peer_poll(&p, m, HT_PATIENCE_MS), "no packet");
	while (m->op == RC_ACK && rc_is_good(m));
}

static void want_responses(const struct rc_msg *m, int num)
{
	struct rc_msg got;

	for (int i = 0; i < num; i++) {
		next_packet(&got);
		ht_eq(got.op, RC_RESPONSE_ONLY);
		ht_eq(got.psn, m[i].psn);
		ht_eq(got.len, 10 + i);
	}
}

static void too_many(const void *arg)
{
	struct rc_msg m[MOST + 1], got;
	uint64_t begun;

	setup_cold();
	begun = ht_counter(&rc_dev, "rx_packets");
	send_reads(m, MOST + 1);
	wait_counter("rx_packets", begun + MOST + 1);
	ht_uffd_deliver(uffd, cold, COLD, 0);
	want_responses(m, MOST);
	next_packet(&got);
	ht_eq(got.op, RC_ACK);
	ht_eq(got.syndrome, RC_NAK_INVALID);
	ht_eq(got.psn, m[MOST].psn);
	ht_wait_until(ht_state(&p.s) == IBV_QPS_ERR, "the QP to fail");
}

/* Each READ is answered, and duplicates in between. */
static void want_all(const struct rc_msg *m, int num)
{
	struct rc_msg got;

	for (int i = 0; i < num;) {
		next_packet(&got);
		ht_check(got.op == RC_RESPONSE_ONLY, "opcode 0x%02x, syndrome 0x%02x", got.op,
			 got.syndrome);
		if (got.psn != m[i].psn)
			continue;
		ht_eq(got.len, m[i].length);
		i++;
	}
}

/* As many as allowed, some sent again: none is refused, nor are later ones. */
static void again(const void *arg)
{
	enum { ROUNDS = 3 };
	struct rc_msg m[MOST], got;
	uint64_t begun;

	setup_cold();
	begun = ht_counter(&rc_dev, "rx_packets");
	send_reads(m, MOST - 1);
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < MOST - 1; i++)
			peer_send(&p, &m[i]);
	/* All the others still wait when the last of them comes. */
	m[MOST - 1] = read_of(&a.mr, a.p + 3, 77);
	peer_send(&p, &m[MOST - 1]);
	wait_counter("rx_packets", begun + (MOST - 1) * (1 + ROUNDS) + 1);
	ht_uffd_deliver(uffd, cold, COLD, 0);
	want_all(m, MOST);
	for (int i = 0; i < MOST; i++) {
		m[i] = read_of(&a.mr, a.p + 3, 100);
		peer_send(&p, &m[i]);
	}
	want_all(m, MOST);
	/* An answer leaves before the next request may come: one by one, the last is
	 * always one of few.
	 */
	for (int i = 0; i < 200; i++) {
		m[0] = read_of(&a.mr, a.p + 3, 100);
		peer_send(&p, &m[0]);
		if (i % MOST)
			continue;
		do
			next_packet(&got);
		while (got.psn != m[0].psn);
		ht_eq(got.op, RC_RESPONSE_ONLY);
	}
	while (got.psn != m[0].psn)
		next_packet(&got);
	peer_alive(&p, &a.mr, a.p + 2 * HT_PAGE, 0x77);
}

static const uint32_t first = 0, tenth = 10;

const struct ht_case rc_reads[] = {
	{ "reads-rewind", "a READ is requested again, and answered from its beginning at once",
	  rewind_at, &first },
	{ "reads-rewind-middle", "the same from some response on", rewind_at, &tenth },
	{ "reads-too-many", "a READ more than max_dest_rd_atomic is an invalid request", too_many },
	{ "reads-again", "READs that are sent again are not too many", again },
	{},
};
