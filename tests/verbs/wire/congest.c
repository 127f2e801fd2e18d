// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A connection on a network that loses or marks packets: what is sent again, who
 * slows down, and credits.  tc makes the network; side 0 is in ns1, side 1 in ns2.
 *
 * Nothing here looks at times: counters say what crossed the network.
 */
#include "packet.h"
#include "wire.h"

#define LEN (64 * HT_KIB)
#define PACKETS (LEN / 4096)
#define DEPTH 16

static struct ht_rig r;

/*
 * Ask no neighbour again: a network that loses all packets, or all but those that it
 * can mark, would make it unreachable.
 */
static void keep_neighbours(void)
{
	for (int n = 1; n <= 2; n++)
		for (int v = 4; v <= 6; v += 2)
			wire_run(n,
				 "sysctl -qw net.ipv%d.neigh.hodp-ns%d.delay_first_probe_time=1000",
				 v, n);
}

static void setup(const struct ht_conf *conf, int buffers)
{
	keep_neighbours();
	ht_rig_get(&r, conf, buffers * LEN);
	ht_fill(r.p[0], r.len, 1, 0);
	ht_fill(r.p[1], r.len, 2, 0);
	/* Page faults are not what this is about. */
	for (int i = 0; i < 2; i++)
		if (ht_mr_is_odp(ht_best_mr(&r.pair.dev[i])))
			ht_prefetch(&r.mr[i], r.p[i], r.len);
}

static uint64_t counter(int side, const char *name)
{
	return ht_counter(&r.pair.dev[side], name);
}

static void tc(int ns, const char *words)
{
	wire_run(ns, "tc qdisc add dev hodp-ns%d root %s", ns, words);
}

static void tc_end(int ns)
{
	wire_run(ns, "tc qdisc delete dev hodp-ns%d root", ns);
}

/* @num requests of LEN bytes, DEPTH at a time, each to or from its own place. */
static void stream(enum ibv_wr_opcode op, int num)
{
	struct ibv_wc wc;

	for (int posted = 0, done = 0; done < num;) {
		while (posted < num && posted - done < DEPTH) {
			size_t at = posted % DEPTH * LEN;
			struct ht_wr w = ht_rig_wr(&r, op, at, LEN, at);

			w.id = posted++;
			ht_post(r.a->qp, &w);
		}
		ht_want_wc(r.a->scq, &wc, done++, IBV_WC_SUCCESS);
	}
}

/* ---- losses ---- */

/* One packet in fifty is lost; little more than that is sent again. */
static void wire_loss_write(const void *arg)
{
	uint64_t sent, again, gaps;

	setup(NULL, DEPTH);
	tc(1, "netem loss 2%");
	sent = counter(0, "tx_packets");
	again = counter(0, "packets_resent");
	gaps = counter(1, "out_of_sequence");
	stream(IBV_WR_RDMA_WRITE, 256);
	tc_end(1);
	sent = counter(0, "tx_packets") - sent;
	again = counter(0, "packets_resent") - again;
	gaps = counter(1, "out_of_sequence") - gaps;
	ht_note("%" PRIu64 " packets, %" PRIu64 " sent again, %" PRIu64 " behind a gap", sent,
		again, gaps);
	ht_check(gaps > 0 && again > 0, "no packet was lost");
	ht_check(again * 8 < sent, "%" PRIu64 " of %" PRIu64 " packets were sent again", again,
		 sent);
	ht_eq(ht_wrong_fill(r.p[1], DEPTH * LEN, 1, 0), 0);
	ht_rig_put(&r);
}

/* The same of READ responses: only what is missing is sent twice. */
static void wire_loss_read(const void *arg)
{
	const uint64_t least = 256 * PACKETS;
	uint64_t sent, again;

	setup(NULL, DEPTH);
	tc(2, "netem loss 2%");
	sent = counter(1, "tx_packets");
	again = counter(0, "packets_resent");
	stream(IBV_WR_RDMA_READ, 256);
	tc_end(2);
	sent = counter(1, "tx_packets") - sent;
	again = counter(0, "packets_resent") - again;
	ht_note("%" PRIu64 " responses instead of %" PRIu64 ", %" PRIu64 " requested again", sent,
		least, again);
	ht_check(again > 0, "no response was lost");
	ht_check(sent < least + least / 4, "%" PRIu64 " responses instead of %" PRIu64, sent,
		 least);
	ht_eq(ht_wrong_fill(r.p[0], DEPTH * LEN, 2, 0), 0);
	ht_rig_put(&r);
}

/* A lost last packet is sent again long before the timeout, which is minutes. */
static void wire_loss_last(const void *arg)
{
	const struct ht_conf conf = { .timeout = 25 };
	uint64_t again, retries;
	struct ibv_wc wc;
	struct ht_wr w;

	setup(&conf, 1);
	again = counter(0, "packets_resent");
	retries = counter(0, "local_ack_timeout_err");
	tc(1, "netem loss 100%");
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 1, 4097, 3);
	ht_post(r.a->qp, &w);
	ht_wait_until(counter(0, "packets_resent") > again, "a packet that is sent again");
	tc_end(1);
	ht_want_wc(r.a->scq, &wc, w.id, IBV_WC_SUCCESS);
	ht_eq(counter(0, "local_ack_timeout_err") - retries, 0);
	ht_eq(ht_wrong_fill(r.p[1] + 3, 4097, 1, 1), 0);
	ht_rig_put(&r);
}

/* ---- marks ---- */

/* Every packet of one direction is marked: which would lose packets that are not
 * ECN-capable.  @marker marks what goes to the other side.
 */
static void marked(enum ibv_wr_opcode op, int marker)
{
	uint64_t marks, sent, handled, again;

	setup(NULL, DEPTH);
	tc(marker + 1, "netem loss 100% ecn");
	marks = counter(!marker, "np_ecn_marked_roce_packets");
	sent = counter(!marker, "np_cnp_sent");
	handled = counter(marker, "rp_cnp_handled");
	again = counter(0, "packets_resent");
	stream(op, 64);
	ht_wait_until(counter(marker, "rp_cnp_handled") - handled ==
			      counter(!marker, "np_cnp_sent") - sent,
		      "the last CNP");
	tc_end(marker + 1);
	marks = counter(!marker, "np_ecn_marked_roce_packets") - marks;
	sent = counter(!marker, "np_cnp_sent") - sent;
	again = counter(0, "packets_resent") - again;
	ht_note("%" PRIu64 " marks, %" PRIu64 " CNPs, %" PRIu64 " packets sent again", marks, sent,
		again);
	ht_check(marks >= 64 * PACKETS, "%" PRIu64 " marks of %lu packets", marks, 64 * PACKETS);
	ht_check(sent > 0 && sent <= marks, "%" PRIu64 " CNPs for %" PRIu64 " marks", sent, marks);
	if (op == IBV_WR_RDMA_READ)
		ht_eq(ht_wrong_fill(r.p[0], DEPTH * LEN, 2, 0), 0);
	else
		ht_eq(ht_wrong_fill(r.p[1], DEPTH * LEN, 1, 0), 0);
	ht_rig_put(&r);
}

static void wire_ecn_write(const void *arg)
{
	marked(IBV_WR_RDMA_WRITE, 0);
}

static void wire_ecn_read(const void *arg)
{
	marked(IBV_WR_RDMA_READ, 1);
}

/* Three WRITEs of a packet; the packets of both sides have the traffic class @want. */
static void want_class(uint8_t want)
{
	int cap = pkt_capture("ns2", "hodp-ns2"), num = 0;
	uint8_t k[PKT_MAX];
	bool out;

	for (int i = 0; i < 3; i++)
		ht_rig_do(&r, IBV_WR_RDMA_WRITE, i * 64, 64, i * 64);
	/* RC: the acknowledgments, too. */
	while (num < (r.pair.conf.type == IBV_QPT_RC ? 6 : 3)) {
		ht_check(pkt_next(cap, k, &out, HT_PATIENCE_MS), "%d packets only", num);
		ht_check(k[1] == want, "traffic class 0x%02x, not 0x%02x", k[1], want);
		num++;
	}
	close(cap);
}

/* What a user asks for, 0xb8 and the ECN field, and what it is in RC and in UC. */
static void ecn_class(const void *arg)
{
	static const struct {
		uint8_t rc, uc;
	} classes[] = { { 0xba, 0xb8 }, { 0xb9, 0xb8 }, { 0xba, 0xb8 }, { 0xba, 0xb8 } };
	struct ht_conf conf = { .type = *(const enum ibv_qp_type *)arg };

	for (int ecn = 0; ecn < 4; ecn++) {
		uint8_t want = conf.type == IBV_QPT_RC ? classes[ecn].rc : classes[ecn].uc;

		conf.tclass = 0xb8 | ecn;
		setup(&conf, 1);
		want_class(want);
		/* In SQD, with another DSCP. */
		for (int i = 0; i < 2; i++) {
			struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD };

			ht_ah_attr(&attr.ah_attr, &r.pair.s[i], &r.pair.dev[!i].gid);
			attr.ah_attr.grh.traffic_class = 0x48 | ecn;
			ht_ok(ht_to(&r.pair.s[i], IBV_QPS_SQD));
			ht_ok(ibv_modify_qp(r.pair.s[i].qp, &attr, IBV_QP_STATE | IBV_QP_AV));
			ht_ok(ht_to(&r.pair.s[i], IBV_QPS_RTS));
		}
		want_class(0x48 | (want & 3));
		ht_rig_put(&r);
	}
}

static const enum ibv_qp_type rc = IBV_QPT_RC, uc = IBV_QPT_UC;

/* What the first netdev's queue has dropped since it was made. */
static long dropped(void)
{
	char line[256];
	long n, sum = 0;
	FILE *f = popen("ip netns exec ns1 tc -s qdisc show dev hodp-ns1", "r");

	ht_true(f);
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, "dropped ");

		if (at && sscanf(at, "dropped %ld", &n) == 1)
			sum += n;
	}
	ht_true(pclose(f) == 0);
	return sum;
}

/* Keep two QPs busy; count what each has completed after the first @skip, and what
 * the queue has dropped since then.
 */
static long compete(struct ht_side *const s[2], int skip, int num, int done[2])
{
	long drops = 0;
	uint64_t deadline = ht_deadline(120000);
	int posted[2] = { 0, 0 }, all = 0;
	struct ibv_wc wc;

	done[0] = done[1] = 0;
	while (all < skip + num) {
		for (int i = 0; i < 2; i++) {
			size_t at = (i * DEPTH / 2 + posted[i] % (DEPTH / 2)) * LEN;
			struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, at, LEN, at);

			w.id = i;
			if (posted[i] < DEPTH / 2) {
				ht_post(s[i]->qp, &w);
				posted[i]++;
			}
		}
		for (int i = 0; i < 2; i++) {
			while (ibv_poll_cq(s[i]->scq, 1, &wc) == 1) {
				ht_eq(wc.status, IBV_WC_SUCCESS);
				posted[i]--;
				if (all++ >= skip)
					done[i]++;
				if (all == skip)
					drops = dropped();
			}
		}
		ht_check(!ht_over(deadline), "%d requests have completed", all);
		ht_yield();
	}
	drops = dropped() - drops;
	for (int i = 0; i < 2; i++)
		while (posted[i]--)
			ht_next_wc(s[i]->scq, &wc, "the rest");
	return drops;
}

/* A link whose queue marks: two QPs share it, and once they have found their pace,
 * it need not drop.  It would if both had the window that losses alone leave them.
 */
static void wire_ecn_share(const void *arg)
{
	struct ht_side other[2];
	struct ht_side *s[2];
	uint64_t handled;
	int done[2], rate;
	long drops;

	setup(NULL, DEPTH);
	ht_second_pair(other, &r.pair, NULL);
	s[0] = r.a;
	s[1] = &other[0];
	/* A slow kernel must fill the link, too. */
	rate = ht_opt.patience > 1 ? 40000 / ht_opt.patience : 40000;
	wire_run(1, "tc qdisc add dev hodp-ns1 root handle 1: tbf rate %dkbit burst 20k limit 4m",
		 rate);
	wire_run(1,
		 "tc qdisc add dev hodp-ns1 parent 1:1 handle 10: red limit 200000 min 30000 "
		 "max 90000 avpkt 4200 burst 14 bandwidth %dkbit probability 0.3 ecn",
		 rate);
	handled = counter(0, "rp_cnp_handled");
	drops = compete(s, 48, 96, done);
	tc_end(1);
	handled = counter(0, "rp_cnp_handled") - handled;
	ht_note("%d and %d requests, %" PRIu64 " CNPs, %ld packets dropped", done[0], done[1],
		handled, drops);
	ht_check(handled > 0, "there was no CNP");
	ht_check(done[0] * 3 >= done[1] && done[1] * 3 >= done[0],
		 "one QP has completed %d, the other %d", done[0], done[1]);
	ht_check(drops <= 16, "the queue has dropped %ld packets", drops);
	ht_eq(ht_wrong_fill(r.p[1], DEPTH * LEN, 1, 0), 0);
	ht_side_put(&other[0]);
	ht_side_put(&other[1]);
	ht_rig_put(&r);
}

/* ---- credits ---- */

#define SENDS 256
#define RECEIVES 4

/* Far more SENDs than receives: they wait for credits, and there are (nearly) no
 * RNR NAKs.
 */
static void wire_credits(const void *arg)
{
	const struct ht_conf conf = { .depth = SENDS };
	uint64_t rnr;
	struct ibv_wc wc;

	setup(&conf, 1);
	rnr = counter(1, "rnr_naks_sent");
	for (int i = 0; i < RECEIVES; i++)
		ht_recv(r.b, i, &r.mr[1], r.p[1] + i * 64, 64);
	for (int i = 0; i < SENDS; i++) {
		struct ht_wr w = ht_rig_wr(&r, IBV_WR_SEND, i * 61, 61, 0);

		w.id = i;
		ht_post(r.a->qp, &w);
	}
	for (int i = 0; i < SENDS; i++) {
		uint8_t *at = r.p[1] + i % RECEIVES * 64;

		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, 61);
		ht_eq(ht_wrong_fill(at, 61, 1, i * 61), 0);
		ht_recv(r.b, i + RECEIVES, &r.mr[1], at, 64);
	}
	for (int i = 0; i < SENDS; i++)
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
	rnr = counter(1, "rnr_naks_sent") - rnr;
	ht_note("%" PRIu64 " RNR NAKs", rnr);
	ht_check(rnr * 16 <= SENDS, "%" PRIu64 " RNR NAKs for %d SENDs", rnr, SENDS);
	ht_rig_put(&r);
}

const struct ht_case wire_congest[] = {
	{ "wire-loss-write", "only lost packets are sent again", wire_loss_write },
	{ "wire-loss-read", "only lost READ responses are sent again", wire_loss_read },
	{ "wire-loss-last", "a lost last packet does not cost the timeout", wire_loss_last },
	{ "wire-ecn-write", "a marked packet is answered by a CNP, and not lost", wire_ecn_write },
	{ "wire-ecn-read", "the same for READ responses", wire_ecn_read },
	{ "wire-ecn-share", "two QPs share a link that marks, and it drops nothing",
	  wire_ecn_share },
	{ "wire-ecn-class", "packets of RC are ECN-capable, at first and after SQD", ecn_class,
	  &rc },
	{ "wire-uc-ecn-class", "those of UC are not, since nothing slows them down", ecn_class,
	  &uc },
	{ "wire-credits", "SENDs wait for receive requests", wire_credits },
	{},
};
