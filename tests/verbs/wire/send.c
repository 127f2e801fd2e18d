// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What becomes of a sender's packets: the route, its MTU, a queue that keeps them in
 * the network stack for as long as a case wants, and a neighbour that does not answer.
 */
#include "wire.h"

#define LEN (4 * HT_KIB)
/* Packets of a QP in the stack: HODP_FLIGHT_MAX of the module. */
#define WINDOW 64
#define POSTED 200
#define NOBODY "10.79.0.77"

static struct ht_pair p;
static struct ht_mr mr;
static uint8_t *buf;

static void setup(void)
{
	struct ht_conf conf = { .type = IBV_QPT_UD, .depth = POSTED };

	ht_pair_get(&p, &conf);
	buf = aligned_alloc(HT_PAGE, LEN);
	ht_fill(buf, LEN, 5, 0);
	ht_mr_get(&mr, p.s[0].pd, buf, LEN, ht_best_mr(p.s[0].dev), 0);
}

static void teardown(void)
{
	ht_mr_put(&mr);
	ht_pair_put(&p);
}

/* An address handle to 10.79.0.@host. */
static struct ibv_ah *ah_to(uint8_t host)
{
	union ibv_gid gid = { .raw = { [10] = 0xff, 0xff, 10, 79, 0, host } };

	return ht_ah(&p.s[0], &gid);
}

static struct ht_wr datagram(uint64_t id, uint32_t len, struct ibv_ah *ah)
{
	return ht_ud_wr(id, &mr, buf, len, ah, p.s[1].qp->qp_num);
}

/* The core reads counters at most every 10 ms, so wait for what they will say. */
static void wait_counter(const char *name, uint64_t value)
{
	ht_wait_until(ht_counter(&p.dev[0], name) == value, name);
}

/* Send @len bytes, which must make the sender's @counter grow instead of tx_packets. */
static void lost_by(const char *counter, uint32_t len, struct ibv_ah *ah)
{
	uint64_t before = ht_counter(&p.dev[0], counter);
	uint64_t sent = ht_counter(&p.dev[0], "tx_packets");
	struct ht_wr w = datagram(1, len, ah);

	ht_do(&p.s[0], &w);
	wait_counter(counter, before + 1);
	ht_eq(ht_counter(&p.dev[0], "tx_packets"), sent);
}

static void wire_route_mtu(const void *arg)
{
	uint64_t sent;
	struct ibv_ah *ah;
	struct ht_wr w;

	setup();
	ah = ah_to(2);
	wire_run(1, "ip route replace 10.79.0.2/32 dev hodp-ns1 mtu 1000");
	/* IP 20, UDP 8, BTH 12, DETH 8, ICRC 4. */
	w = datagram(1, 1000 - 52, ah);
	sent = ht_counter(&p.dev[0], "tx_packets");
	ht_do(&p.s[0], &w);
	wait_counter("tx_packets", sent + 1);
	lost_by("tx_too_long", 1000 - 51, ah);
	wire_run(1, "ip route delete 10.79.0.2/32 dev hodp-ns1");
	ht_ok(ibv_destroy_ah(ah));
	teardown();
}

/* An address handle from fd79::1 to fd79::2. */
static struct ibv_ah *ah_to6(void)
{
	union ibv_gid from = { .raw = { 0xfd, 0x79, [15] = 1 } };
	union ibv_gid to = { .raw = { 0xfd, 0x79, [15] = 2 } };
	struct ibv_ah_attr attr;
	struct ibv_ah *ah;

	ht_ah_attr(&attr, &p.s[0], &to);
	attr.grh.sgid_index = wire_gid(&p.dev[0], &from);
	ah = ibv_create_ah(p.s[0].pd, &attr);
	ht_check(ah, "ibv_create_ah: %s", strerror(errno));
	return ah;
}

/* By IPv6, because IPv4 takes a destination without a route for a neighbour. */
static void wire_no_route(const void *arg)
{
	struct ibv_ah *ah;

	setup();
	ah = ah_to6();
	wire_run(1, "ip route add unreachable fd79::2/128");
	lost_by("tx_no_route", 1, ah);
	wire_run(1, "ip route delete unreachable fd79::2/128");
	ht_ok(ibv_destroy_ah(ah));
	teardown();
}

static void wire_broadcast(const void *arg)
{
	struct ibv_ah *ah;

	setup();
	ah = ah_to(255);
	lost_by("tx_no_route", 1, ah);
	ht_ok(ibv_destroy_ah(ah));
	teardown();
}

/* The route of a GID's address may lead to another interface. */
static void wire_other_netdev(const void *arg)
{
	struct ibv_ah *ah;

	setup();
	ah = ah_to6();
	wire_run(1, "ip link add hodp-other type dummy");
	wire_run(1, "ip link set hodp-other up");
	wire_run(1, "ip route add fd79::2/128 dev hodp-other");
	lost_by("tx_no_route", 1, ah);
	wire_run(1, "ip link delete hodp-other");
	ht_ok(ibv_destroy_ah(ah));
	teardown();
}

static void wire_unreachable(const void *arg)
{
	static const uint8_t never[][4] = { { 127, 0, 0, 1 },
					    { 255, 255, 255, 255 },
					    { 0, 0, 0, 0 } };
	union ibv_gid gid = { .raw = { [10] = 0xff, 0xff } };
	struct ibv_ah_attr attr;

	setup();
	for (size_t i = 0; i < HT_LEN(never); i++) {
		memcpy(gid.raw + 12, never[i], 4);
		ht_ah_attr(&attr, &p.s[0], &gid);
		errno = 0;
		ht_check(!ibv_create_ah(p.s[0].pd, &attr), "an address handle to address %zu", i);
		ht_note("address %zu: %s", i, strerror(errno));
	}
	teardown();
}

static void nobody_resolved(void)
{
	wire_run(1,
		 "ip neigh replace " NOBODY " lladdr 02:00:00:00:00:77 nud permanent dev hodp-ns1");
}

/* An address handle to a host that is not there, over a queue that lets nothing go. */
static struct ibv_ah *ah_and_stop(void)
{
	struct ibv_ah *ah;

	nobody_resolved();
	ah = ah_to(77);
	wire_run(1, "tc qdisc add dev hodp-ns1 root plug");
	return ah;
}

/* Packets leave again; those that have waited are lost. */
static void go_on(void)
{
	wire_run(1, "tc qdisc delete dev hodp-ns1 root");
	wire_run(1, "ip neigh delete " NOBODY " dev hodp-ns1");
}

/* Post more than the window, and see it fill. */
static void fill_window(struct ibv_ah *ah)
{
	struct ibv_wc wc;

	for (uint64_t id = 0; id < POSTED; id++) {
		struct ht_wr w = datagram(id, 16, ah);

		ht_post(p.s[0].qp, &w);
	}
	for (uint64_t id = 0; id < WINDOW; id++)
		ht_want_wc(p.s[0].scq, &wc, id, IBV_WC_SUCCESS);
	ht_no_wc(p.s[0].scq, 200);
}

static void wire_window(const void *arg)
{
	uint64_t sent;
	struct ibv_ah *ah;
	struct ibv_wc wc;

	setup();
	sent = ht_counter(&p.dev[0], "tx_packets");
	ah = ah_and_stop();
	fill_window(ah);
	wait_counter("tx_packets", sent + WINDOW);
	go_on();
	for (uint64_t id = WINDOW; id < POSTED; id++)
		ht_want_wc(p.s[0].scq, &wc, id, IBV_WC_SUCCESS);
	wait_counter("tx_packets", sent + POSTED);
	ht_ok(ibv_destroy_ah(ah));
	teardown();
}

static void wire_window_error(const void *arg)
{
	struct ibv_ah *ah;
	struct ibv_wc wc;

	setup();
	ah = ah_and_stop();
	fill_window(ah);
	ht_ok(ht_to(&p.s[0], IBV_QPS_ERR));
	for (uint64_t id = WINDOW; id < POSTED; id++)
		ht_want_wc(p.s[0].scq, &wc, id, IBV_WC_WR_FLUSH_ERR);
	/* The QP works again after a reset, as soon as its packets are gone. */
	ht_pair_reconnect(&p);
	go_on();
	for (uint64_t id = 0; id < POSTED; id++) {
		struct ht_wr w = datagram(id, 16, ah);

		ht_do(&p.s[0], &w);
	}
	ht_ok(ibv_destroy_ah(ah));
	teardown();
}

static void wire_window_destroy(const void *arg)
{
	uint64_t begun;
	struct ibv_ah *ah;

	setup();
	ah = ah_and_stop();
	fill_window(ah);
	ht_ok(ibv_destroy_ah(ah));
	begun = ht_now();
	teardown();
	ht_check(ht_now() - begun < 20000000000, "destroying the QP has waited for its packets");
	/* They leave the stack after their QP. */
	go_on();
}

/* The one that does not answer has 16 slots, at most one of them too few. */
static void wire_silent(const void *arg)
{
	struct ibv_ah *nobody, *ah;
	struct ht_wr w;
	struct ibv_wc wc;
	uint64_t lost;
	uint8_t *to;
	struct ht_mr there;

	setup();
	to = aligned_alloc(HT_PAGE, LEN);
	ht_mr_get(&there, p.s[1].pd, to, LEN, ht_best_mr(p.s[1].dev), IBV_ACCESS_LOCAL_WRITE);
	nobody_resolved();
	nobody = ah_to(77);
	ah = ah_to(2);
	wire_run(1, "ip neigh delete " NOBODY " dev hodp-ns1");
	wire_run(1, "sh -c 'echo 60000 > /proc/sys/net/ipv4/neigh/hodp-ns1/retrans_time_ms'");
	lost = ht_counter(&p.dev[0], "tx_no_neighbour");
	for (uint64_t id = 0; id < POSTED; id++) {
		w = datagram(id, 16, nobody);
		ht_do(&p.s[0], &w);
	}
	ht_check(ht_counter(&p.dev[0], "tx_no_neighbour") - lost == POSTED - 16,
		 "%" PRIu64 " datagrams were dropped",
		 ht_counter(&p.dev[0], "tx_no_neighbour") - lost);
	/* To another neighbour, the QP sends as ever. */
	for (uint64_t id = 0; id < POSTED; id++) {
		ht_fill(to, LEN, 6, 0);
		ht_recv(&p.s[1], id, &there, to, HT_GRH + 1000);
		w = datagram(id, 1000, ah);
		ht_do(&p.s[0], &w);
		ht_want_wc(p.s[1].rcq, &wc, id, IBV_WC_SUCCESS);
		ht_check_fill(to + HT_GRH, 1000, 5, 0, "a datagram beside a silent neighbour");
		ht_check_fill(to + HT_GRH + 1000, LEN - HT_GRH - 1000, 6, HT_GRH + 1000,
			      "bytes behind it");
	}
	wire_run(1, "ip neigh delete " NOBODY " dev hodp-ns1");
	wire_run(1, "sh -c 'echo 1000 > /proc/sys/net/ipv4/neigh/hodp-ns1/retrans_time_ms'");
	ht_ok(ibv_destroy_ah(nobody));
	ht_ok(ibv_destroy_ah(ah));
	ht_mr_put(&there);
	teardown();
}

const struct ht_case wire_send[] = {
	{ "wire-route-mtu", "the MTU of the route is the longest datagram", wire_route_mtu },
	{ "wire-no-route", "a datagram without a route is lost and counted", wire_no_route },
	{ "wire-other-netdev", "a datagram leaves by the netdev of its GID only",
	  wire_other_netdev },
	{ "wire-unreachable", "there is no address handle to an address that no host has",
	  wire_unreachable },
	{ "wire-broadcast", "a datagram to a broadcast address is not sent", wire_broadcast },
	{ "wire-window", "a sender waits while the stack holds its packets, and goes on after",
	  wire_window },
	{ "wire-window-error", "a QP that waits for its packets can be flushed and reset",
	  wire_window_error },
	{ "wire-window-destroy", "a QP can be destroyed while the stack holds its packets",
	  wire_window_destroy },
	{ "wire-silent", "a neighbour that does not answer does not hold up the others",
	  wire_silent },
	{},
};
