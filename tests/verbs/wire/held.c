// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets of a connection that are kept because one before them is missing. They
 * are made by hand, with bytes of their own, so that a case sees which copy of a
 * packet was executed.
 */
#include "packet.h"
#include "wire.h"

#define LEN (64 * HT_KIB)
#define MTU 1024
/* Bytes of each WRITE, and where that of PSN @e + i goes. */
#define BYTES 1000
#define AT(i) ((i) * BYTES)
/* The seeds: the requester's buffer, the responder's, handmade packets. */
#define MINE 1
#define OLD 2
#define HAND 9
/* IP, UDP, BTH, RETH. */
#define HEAD (PKT_HEAD + PKT_BTH + 16)
#define RC_WRITE_ONLY 0x0a
/* HODP_RC_HELD_MAX of the module. */
#define HELD_MAX 128

static struct ht_rig r;
static uint32_t e; /* the PSN that the responder expects */
static int raw;

/* Neither a timeout nor an early packet: only a NAK makes the requester send again. */
static void setup(void)
{
	struct ht_conf conf = { .mtu = IBV_MTU_1024, .timeout = 25, .rnr_retry = 6 };

	ht_rig_get(&r, &conf, LEN);
	raw = pkt_socket("ns1");
	/* The first message is never handled by softirq. Then all pages are there. */
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, LEN, 0);
	e = r.a->psn + LEN / MTU;
	ht_rig_fill(&r, MINE, NULL);
}

static uint64_t counter(int side, const char *name)
{
	return ht_counter(&r.pair.dev[side], name);
}

/* Send a WRITE of @len bytes to AT(@slot) with the PSN @e + @ahead, as the peer. */
static void by_hand(uint32_t ahead, int slot, uint32_t len)
{
	struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, len, AT(slot));
	uint8_t k[PKT_MAX] = { 0 };
	uint32_t all = HEAD + len + PKT_ICRC;

	pkt_begin(k, &r.pair.dev[0].gid, &r.pair.dev[1].gid);
	pkt_set_length(k, all);
	pkt_put32(k + PKT_HEAD, RC_WRITE_ONLY << 24 | 0x40ffff);
	pkt_put32(k + PKT_HEAD + 4, r.b->qp->qp_num);
	pkt_put32(k + PKT_HEAD + 8, (e + ahead) & 0xffffff);
	pkt_put32(k + PKT_HEAD + 12, w.raddr >> 32);
	pkt_put32(k + PKT_HEAD + 16, w.raddr);
	pkt_put32(k + PKT_HEAD + 20, w.rkey);
	pkt_put32(k + PKT_HEAD + 24, len);
	ht_fill(k + HEAD, len, HAND, AT(slot));
	pkt_set_icrc(k, all);
	pkt_send(raw, k, all);
}

/* The bytes of @slot are those of @seed. */
static void want(int slot, uint64_t seed)
{
	ht_check_fill(r.p[1] + AT(slot), BYTES, seed, AT(slot), "the responder's buffer");
}

static void put(void)
{
	close(raw);
	ht_rig_put(&r);
}

/*
 * Four WRITEs are lost. The last three come by hand, in another order, and then, after
 * a NAK, the first from the requester: all are executed, and no other is sent again.
 */
static void held_order(const void *arg)
{
	static const int order[] = { 3, 1, 2 };
	uint64_t sent, gaps, again;
	struct ibv_wc wc;

	setup();
	sent = counter(0, "tx_packets");
	gaps = counter(1, "out_of_sequence");
	again = counter(0, "packets_resent");
	wire_run(1, "tc qdisc add dev hodp-ns1 root netem loss 100%%");
	for (int i = 0; i < 4; i++) {
		struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, AT(i), BYTES, AT(i));

		w.id = i;
		ht_post(r.a->qp, &w);
	}
	ht_wait_until(counter(0, "tx_packets") == sent + 4, "four packets");
	wire_run(1, "tc qdisc delete dev hodp-ns1 root");
	/* The NAK waits until all of them are there. */
	wire_run(2, "tc qdisc add dev hodp-ns2 root plug");
	for (int i = 0; i < 3; i++)
		by_hand(order[i], order[i], BYTES);
	ht_wait_until(counter(1, "out_of_sequence") == gaps + 3, "three packets behind a gap");
	for (int i = 0; i < 4; i++)
		want(i, OLD);
	wire_run(2, "tc qdisc change dev hodp-ns2 root plug release_indefinite");
	for (int i = 0; i < 4; i++)
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
	wire_run(2, "tc qdisc delete dev hodp-ns2 root");
	for (int i = 0; i < 4; i++)
		want(i, i ? HAND : MINE);
	ht_eq(counter(0, "packets_resent") - again, 1);
	/* And on it goes. */
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, AT(5), BYTES, AT(5));
	want(4, OLD);
	want(5, MINE);
	put();
}

/* What is kept is near, not too long, there once, and not for ever. */
static void held_bounds(const void *arg)
{
	uint64_t full, twice, flushed, gaps;

	setup();
	full = counter(1, "rx_queue_full");
	twice = counter(1, "duplicate_request");
	flushed = counter(1, "rx_flushed");
	gaps = counter(1, "out_of_sequence");
	by_hand(HELD_MAX, 1, BYTES);
	by_hand(HELD_MAX + 1, 2, BYTES);
	by_hand(0x7fffff, 2, BYTES);
	by_hand(2, 3, MTU + 4);
	by_hand(HELD_MAX, 4, BYTES);
	ht_wait_until(counter(1, "out_of_sequence") == gaps + 5, "five packets behind a gap");
	ht_wait_until(counter(1, "rx_queue_full") == full + 3, "three that are not kept");
	ht_wait_until(counter(1, "duplicate_request") == twice + 1, "one that is there");
	ht_wait_until(counter(1, "rx_flushed") == flushed + 1, "the end of the wait");
	/* The PSNs pass that of the packet that was kept. */
	for (int i = 0; i <= HELD_MAX; i++)
		ht_rig_do(&r, IBV_WR_RDMA_WRITE, AT(5), BYTES, AT(5));
	for (int i = 0; i < 5; i++)
		want(i, OLD);
	want(5, MINE);
	put();
}

/* Nothing is kept by a QP that has failed. */
static void held_error(const void *arg)
{
	uint64_t flushed, gaps;

	setup();
	flushed = counter(1, "rx_flushed");
	gaps = counter(1, "out_of_sequence");
	for (int i = 1; i <= 3; i++)
		by_hand(i, i, BYTES);
	ht_wait_until(counter(1, "out_of_sequence") == gaps + 3, "three packets behind a gap");
	ht_ok(ht_to(r.b, IBV_QPS_ERR));
	ht_wait_until(counter(1, "rx_flushed") == flushed + 3, "what was kept");
	for (int i = 0; i <= 3; i++)
		want(i, OLD);
	put();
}

const struct ht_case wire_held[] = {
	{ "wire-held-order", "packets behind a lost one are executed after it", held_order },
	{ "wire-held-bounds", "who can send as the peer makes a QP keep little", held_bounds },
	{ "wire-held-error", "a QP that has failed keeps no packet", held_error },
	{},
};
