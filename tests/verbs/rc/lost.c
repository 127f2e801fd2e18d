// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Two diseases that hardware with ODP has been found to have, looked for at a real
 * requester, hmm_odp or rdma_rxe (-d), against our responder (-p):
 *
 *   damming   a request that is lost behind a page fault comes only after a timeout
 *   flood     QPs that wait for a page send their requests again and again
 *
 * No case looks at the time: counters tell what was sent for which reason. The
 * requester's network namespace has the number that its name ends with.
 */
#include <linux/userfaultfd.h>
#include <sys/mman.h>

#include "rc.h"

#define COLD 0xc01d
#define MTU 1024
#define LEN (2 * MTU + 77)
#define PACKETS 3
#define QPS 64

static struct ht_pair pair;
static struct ht_mr from, to, warm;
static uint8_t *source, *cold, *other;
static int uffd;

static void setup(struct ht_conf conf)
{
	conf.mtu = IBV_MTU_1024;
	ht_pair_get(&pair, &conf);
	source = aligned_alloc(HT_PAGE, 2 * HT_PAGE);
	other = aligned_alloc(HT_PAGE, 2 * HT_PAGE);
	ht_fill(source, 2 * HT_PAGE, 1, 0);
	ht_fill(other, 2 * HT_PAGE, RC_FILL, 0);
	cold = ht_reserve(HT_PAGE, 0, HT_PAGE);
	ht_sys(mprotect(cold, HT_PAGE, PROT_READ | PROT_WRITE));
	uffd = ht_uffd_missing(cold, HT_PAGE);
	ht_mr_get(&from, pair.s[0].pd, source, 2 * HT_PAGE, ht_best_mr(pair.s[0].dev), 0);
	ht_mr_get(&warm, pair.s[1].pd, other, 2 * HT_PAGE, HT_ODP, HT_ACCESS_ALL);
	ht_mr_get(&to, pair.s[1].pd, cold, HT_PAGE, HT_ODP, HT_ACCESS_ALL);
	/* Neighbours are known, and the other memory is mapped. */
	ht_rdma(&pair.s[0], IBV_WR_RDMA_WRITE, &from, source, 1, &warm, other);
	other[0] = ht_byte(RC_FILL, 0);
}

static void want_fault(void)
{
	ht_check(ht_poll_fd(uffd, HT_PATIENCE_MS), "there is no page fault");
}

static uint64_t ours(const char *name)
{
	return ht_counter(&pair.dev[1], name);
}

/* Timeouts of the requester since it had none. */
static uint64_t timeouts(void)
{
	if (pair.dev[0].is_hodp)
		return ht_counter(&pair.dev[0], "local_ack_timeout_err");
	/* rxe counts all retries, also those because of a NAK. */
	return ht_counter(&pair.dev[0], "completer_retry_err") - ours("seq_naks_sent");
}

static uint64_t rnr_naks(void)
{
	return ht_counter(&pair.dev[0], pair.dev[0].is_hodp ? "rnr_nak_retry_err" : "rcvd_rnr_err");
}

static void put(const struct ht_side *s, uint64_t id, const void *p, uint32_t len,
		const struct ht_mr *mr, const void *at)
{
	struct ht_wr w = ht_rdma_wr(id, IBV_WR_RDMA_WRITE, &from, p, len, mr, at);

	ht_post(s->qp, &w);
}

/* The requester's network namespace; its netdev is hodp-NAMESPACE. */
static const char *netns(void)
{
	static char name[] = "ns0";

	name[2] = ht_opt.dev[strlen(ht_opt.dev) - 1];
	return name;
}

/* Packets that netem has dropped. */
static long dropped(void)
{
	char command[200];
	long n = -1;
	FILE *f;

	snprintf(command, sizeof(command),
		 "ip netns exec %s tc -s qdisc show dev hodp-%s | "
		 "sed -n 's/.*dropped \\([0-9]*\\),.*/\\1/p'",
		 netns(), netns());
	f = popen(command, "r");

	ht_check(f && fscanf(f, "%ld", &n) == 1 && !pclose(f), "no statistics of a qdisc");
	return n;
}

static void damming(const void *arg)
{
	/* A timeout of 17 s, and nothing is sent again before it unasked. */
	struct ht_conf conf = { .timeout = 22, .retry = 7, .rnr_retry = 6 };
	uint64_t times, naks;
	struct ibv_wc wc;

	setup(conf);
	times = timeouts();
	naks = ours("seq_naks_sent");
	put(&pair.s[0], 1, source, LEN, &to, cold + 100);
	want_fault();
	ht_shell("ip netns exec %s tc qdisc add dev hodp-%s root netem loss 100%%", netns(),
		 netns());
	put(&pair.s[0], 2, source + 5, 200, &warm, other + 3);
	ht_wait_until(dropped() > 0, "a packet to be lost");
	ht_shell("ip netns exec %s tc qdisc delete dev hodp-%s root", netns(), netns());
	put(&pair.s[0], 3, source + 9, 300, &warm, other + 1003);
	ht_no_wc(pair.s[0].scq, 50);
	ht_uffd_deliver(uffd, cold, COLD, 0);
	for (int i = 1; i <= 3; i++)
		ht_want_wc(pair.s[0].scq, &wc, i, IBV_WC_SUCCESS);
	ht_check((int64_t)(timeouts() - times) <= 0, "there was a timeout");
	ht_true(ours("seq_naks_sent") - naks >= 1);
	ht_check_fill(cold, 100, COLD, 0, "what is before the WRITE that waited");
	ht_check_fill(cold + 100, LEN, 1, 0, "the WRITE that waited");
	ht_check_fill(cold + 100 + LEN, HT_PAGE - 100 - LEN, COLD, 100 + LEN, "what is behind");
	ht_check_fill(other + 3, 200, 1, 5, "the WRITE that was lost");
	ht_check_fill(other + 1003, 300, 1, 9, "the WRITE behind it");
}

/* Each QP writes to the page that is not there, @hold is called, then it comes. */
static void storm(const struct ht_conf *conf, void (*hold)(void))
{
	static struct ht_side s[QPS][2];
	struct ibv_wc wc;

	for (int i = 0; i < QPS; i++)
		ht_second_pair(s[i], &pair, conf);
	for (int i = 0; i < QPS; i++)
		put(&s[i][0], i, source, LEN, &to, cold + 100);
	want_fault();
	hold();
	for (int i = 0; i < QPS; i++)
		ht_check(ibv_poll_cq(s[i][0].scq, 1, &wc) == 0,
			 "QP %d did not wait for its page: status %d", i, wc.status);
	ht_uffd_deliver(uffd, cold, COLD, 0);
	for (int i = 0; i < QPS; i++) {
		ht_want_wc(s[i][0].scq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(ht_state(&s[i][0]), IBV_QPS_RTS);
		ht_eq(ht_state(&s[i][1]), IBV_QPS_RTS);
	}
	ht_check_fill(cold, 100, COLD, 0, "what is before 64 WRITEs");
	ht_check_fill(cold + 100, LEN, 1, 0, "64 WRITEs");
	ht_check_fill(cold + 100 + LEN, HT_PAGE - 100 - LEN, COLD, 100 + LEN, "what is behind");
}

static uint64_t packets, naks, sent; /* before */

static void hold_all_arrived(void)
{
	ht_wait_until(ours("rx_packets") - packets >= QPS * PACKETS, "all packets");
	ht_sleep_ms(200);
}

/* The fault is shorter than the timeout: nothing is said, nothing is sent again. */
static void flood_patient(const void *arg)
{
	struct ht_conf conf = { .timeout = 22, .retry = 7, .rnr_retry = HT_NONE, .depth = 4 };
	uint64_t full;

	setup(conf);
	full = ours("rx_queue_full");
	packets = ours("rx_packets");
	naks = ours("rnr_naks_sent");
	storm(&conf, hold_all_arrived);
	ht_eq(ours("rnr_naks_sent") - naks, 0);
	ht_eq(ours("rx_packets") - packets, QPS * PACKETS);
	ht_eq(ours("rx_queue_full") - full, 0);
}

/* Each has had three answers, about: signs of life (alive.c). */
static void hold_long(void)
{
	ht_wait_until(ours("tx_packets") - sent >= 3 * QPS, "answers");
}

/*
 * It is longer: each packet that is sent again has a reason, a timeout or an RNR NAK;
 * ours sends one packet for each, and one early in each wait, rxe all that are not
 * acknowledged.
 */
static void flood(const void *arg)
{
	struct ht_conf conf = {
		.timeout = 14, .retry = 7, .rnr_retry = 7, .rnr_timer = 16, .depth = 4
	};
	uint64_t times, rnrs, again;

	setup(conf);
	packets = ours("rx_packets");
	naks = ours("rnr_naks_sent");
	times = timeouts();
	rnrs = rnr_naks();
	sent = ours("tx_packets");
	storm(&conf, hold_long);
	times = timeouts() - times;
	rnrs = rnr_naks() - rnrs;
	again = ours("rx_packets") - packets - QPS * PACKETS;
	ht_note("%d packets, %lu more after %lu timeouts and %lu RNR NAKs", QPS * PACKETS,
		(unsigned long)again, (unsigned long)times, (unsigned long)rnrs);
	ht_check(again <= (times + rnrs) * (pair.dev[0].is_hodp ? 2 : PACKETS) + QPS * PACKETS,
		 "too many packets were sent again");
	ht_true(rnrs <= ours("rnr_naks_sent") - naks);
}

const struct ht_case rc_lost[] = {
	{ "lost-damming", "what is lost behind a page fault is sent again without a timeout",
	  damming },
	{ "lost-flood-patient", "64 QPs with rnr_retry 0 wait for a page and repeat nothing",
	  flood_patient, NULL, 120 },
	{ "lost-flood-long", "64 QPs wait long for a page and repeat as little as may be", flood,
	  NULL, 180 },
	{},
};
