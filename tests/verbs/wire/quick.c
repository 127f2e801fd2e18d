// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets of a connection that softirq handles by itself, without a worker, and the
 * route that a connection keeps: what must not be noticed of either.
 */
#include <sys/mman.h>

#include "wire.h"

#define LEN (512 * HT_KIB)
/* Response packets in the stack: HODP_FLIGHT_MAX of the module. */
#define FLIGHT 64

static struct ht_rig r;

static void setup(void)
{
	struct ht_conf conf = { .depth = 64, .mtu = IBV_MTU_4096 };

	ht_rig_get(&r, &conf, LEN);
	/* The first message is never handled by softirq. */
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, 1, 0);
}

/* Nothing has counted @name since it was @before.  The core reads counters at most
 * every 10 ms.
 */
static void want_same(int side, const char *name, uint64_t before)
{
	ht_sleep_ms(30);
	ht_eq(ht_counter(&r.pair.dev[side], name), before);
}

/* Every length around the limits of a packet and a page, at odd places. */
static void quick_bytes(const void *arg)
{
	static const uint32_t lens[] = { 0,  1,	   3,	 4,    7,    8,	   9,
					 63, 1000, 4095, 4096, 4097, 8192, 12289 };
	static const enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
						  IBV_WR_SEND };
	uint8_t *shadow[2];
	struct ibv_wc wc;

	setup();
	for (int i = 0; i < 2; i++)
		shadow[i] = aligned_alloc(HT_PAGE, LEN);
	for (size_t o = 0; o < 3; o++) {
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			size_t a = 4096 - 3 + 5 * i, b = 8192 - 7 + 3 * i;

			ht_rig_fill(&r, 700 + 10 * i + o, shadow);
			/* Twice: the second time, all pages are there and written. */
			for (int again = 0; again < 2; again++) {
				if (ops[o] == IBV_WR_SEND)
					ht_recv(r.b, 9, &r.mr[1], r.p[1] + b, lens[i] + 16);
				ht_rig_do(&r, ops[o], a, lens[i], b);
				if (ops[o] == IBV_WR_SEND) {
					ht_want_wc(r.b->rcq, &wc, 9, IBV_WC_SUCCESS);
					ht_eq(wc.byte_len, lens[i]);
				}
			}
			if (ops[o] == IBV_WR_RDMA_READ)
				memcpy(shadow[0] + a, shadow[1] + b, lens[i]);
			else
				memcpy(shadow[1] + b, shadow[0] + a, lens[i]);
			ht_check_bytes(r.p[0], shadow[0], LEN, "the requester's buffer");
			ht_check_bytes(r.p[1], shadow[1], LEN, "the responder's buffer");
		}
	}
	ht_rig_put(&r);
}

/*
 * A READ waits for its first responses to leave the stack, so its second half waits
 * at the responder, and WRITEs behind it.
 */
static void quick_order(const void *arg)
{
	uint32_t len = (FLIGHT + 32) * 4096;
	uint64_t gaps;
	struct ibv_wc wc;
	struct ht_wr w;

	setup();
	ht_rig_fill(&r, 730, NULL);
	gaps = ht_counter(&r.pair.dev[1], "out_of_sequence");
	/* About 4 ms for a packet.  netem would not do: it lets go of the socket. */
	wire_run(2, "tc qdisc add dev hodp-ns2 root tbf rate 8mbit burst 20000 limit 1000000");
	for (int round = 0; round < 3; round++) {
		w = ht_rig_wr(&r, IBV_WR_RDMA_READ, 0, len, 0);
		w.id = 1;
		ht_post(r.a->qp, &w);
		for (int i = 0; i < 16; i++) {
			w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, len + i * 1000, 1000, len + i * 1000);
			w.id = 2 + i;
			ht_post(r.a->qp, &w);
			ht_sleep_ms(1);
		}
		for (int i = 0; i < 17; i++)
			ht_want_wc(r.a->scq, &wc, 1 + i, IBV_WC_SUCCESS);
	}
	wire_run(2, "tc qdisc delete dev hodp-ns2 root");
	ht_check_fill(r.p[0], len, 731, 0, "what was READ");
	ht_check_fill(r.p[1] + len, 16000, 730, len, "what was written");
	want_same(1, "out_of_sequence", gaps);
	ht_rig_put(&r);
}

/* As mirror-lazyfree; entries that a READ has made are writable but not written. */
static void quick_lazyfree(const void *arg)
{
	size_t half = LEN / 2, gone = 0;

	setup();
	for (int again = 0; again < 3; again++) {
		ht_fill(r.p[1], LEN, 740, 0);
		ht_sys(madvise(r.p[1], LEN, MADV_FREE));
		ht_rig_do(&r, IBV_WR_RDMA_READ, half, half, 0);
		ht_fill(r.p[0], half, 741 + again, 0);
		for (size_t at = 0; at < half; at += HT_PAGE)
			ht_rig_do(&r, IBV_WR_RDMA_WRITE, at, HT_PAGE, at);
		ht_sys(madvise(r.p[1], LEN, MADV_PAGEOUT));
		for (size_t i = half; i < LEN; i += HT_PAGE)
			gone += !ht_present(r.p[1] + i);
		ht_check_fill(r.p[1], half, 741 + again, 0, "WRITEs after MADV_FREE and READs");
	}
	ht_note("of %zu pages that nobody wrote, %zu were dropped", 3 * half / HT_PAGE, gone);
	ht_check(gone, "MADV_PAGEOUT dropped no page after MADV_FREE");
	ht_rig_put(&r);
}

/* A packet that was kept out by the new route comes through after the old is back. */
static void route_changes(const void *arg)
{
	struct ht_conf conf = { .mtu = IBV_MTU_4096 };
	uint64_t before;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, LEN);
	ht_rig_fill(&r, 750, NULL);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, 4096, 0);
	before = ht_counter(&r.pair.dev[0], "tx_too_long");
	wire_run(1, "ip route replace 10.79.0.2/32 dev hodp-ns1 mtu 1000");
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 4096, 4096, 4096);
	w.id = 1;
	ht_post(r.a->qp, &w);
	ht_wait_until(ht_counter(&r.pair.dev[0], "tx_too_long") > before,
		      "a packet that exceeds the new MTU");
	ht_check_fill(r.p[1] + 4096, 4096, 751, 4096, "what was not written");
	wire_run(1, "ip route delete 10.79.0.2/32 dev hodp-ns1");
	ht_want_wc(r.a->scq, &wc, 1, IBV_WC_SUCCESS);
	ht_check_fill(r.p[1], 8192, 750, 0, "what was written");
	ht_rig_put(&r);
}

const struct ht_case wire_quick[] = {
	{ "wire-quick-bytes", "short messages move exactly their bytes", quick_bytes },
	{ "wire-quick-order", "no packet passes one that waits", quick_order },
	{ "wire-quick-lazyfree", "reclaim treats a WRITE as modified data", quick_lazyfree },
	{ "wire-route-changes", "a connection follows a change of its route", route_changes },
	{},
};
