// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Handmade packets from the network: a raw socket in the sender's network
 * namespace (guest/namespaces) sends them to a UD QP of the other device.
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <sys/socket.h>

#include "packet.h"
#include "wire.h"

#define GRH 40
#define QKEY 0x11111111
#define LEN (16 * HT_KIB)
#define MTU 4096
#define MOST (MTU + 4)
/* In front of the payload: IP 20, UDP 8, BTH 12, DETH 8. */
#define HEAD 48
#define ICRC PKT_ICRC

static struct ht_pair p;
static struct ht_mr mr;
static uint8_t *buf;
static int raw;

static void setup(void)
{
	struct ht_conf conf = { .type = IBV_QPT_UD };

	ht_pair_get(&p, &conf);
	buf = aligned_alloc(HT_PAGE, LEN);
	ht_fill(buf, LEN, 7, 0);
	ht_mr_get(&mr, p.s[1].pd, buf, LEN, ht_best_mr(p.s[1].dev), IBV_ACCESS_LOCAL_WRITE);
	raw = pkt_socket("ns1");
}

/* Make a datagram of @payload bytes in @k.  Returns its length. */
static size_t datagram(uint8_t *k, uint32_t payload)
{
	uint32_t pad = -payload & 3;
	size_t len = HEAD + payload + pad + ICRC;

	memset(k, 0, len);
	pkt_begin(k, &p.dev[0].gid, &p.dev[1].gid);
	pkt_set_length(k, len);
	pkt_put32(k + 28, 0x6440ffff | pad << 20);
	pkt_put32(k + 32, p.s[1].qp->qp_num);
	pkt_put32(k + 40, QKEY);
	pkt_put32(k + 44, p.s[0].qp->qp_num);
	ht_fill(k + HEAD, payload, 5, 0);
	pkt_set_icrc(k, len);
	return len;
}

static void send_raw(const uint8_t *k, size_t len)
{
	pkt_send(raw, k, len);
}

static uint64_t received(void)
{
	return ht_counter(&p.dev[1], "rx_packets");
}

/* The receive @id is still posted: a good datagram completes it. */
static void still_well(uint64_t id)
{
	uint8_t k[HEAD + MOST + 64];
	struct ibv_wc wc;

	send_raw(k, datagram(k, 37));
	ht_want_wc(p.s[1].rcq, &wc, id, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, GRH + 37);
	ht_check_fill(buf + GRH, 37, 5, 0, "the good datagram");
	ht_check_fill(buf + GRH + 37, LEN - GRH - 37, 7, GRH + 37, "bytes after it");
}

static void wire_handmade(const void *arg)
{
	uint8_t k[HEAD + MOST + 64];
	struct ibv_wc wc;

	setup();
	/* 0 to 9, some between, MTU - 3 to MTU. */
	for (uint32_t n = 0; n <= MTU; n += n < 9 || n >= MTU - 3 ? 1 : (MTU - 12) / 4) {
		ht_fill(buf, LEN, 7, 0);
		ht_recv(&p.s[1], n, &mr, buf, GRH + MOST);
		send_raw(k, datagram(k, n));
		ht_want_wc(p.s[1].rcq, &wc, n, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, GRH + n);
		ht_eq(wc.src_qp, p.s[0].qp->qp_num);
		/* The header as sent, except for what the kernel fills in. */
		ht_check_bytes(buf + 20, k, 10, "the IP header in the GRH");
		ht_check_bytes(buf + 32, k + 12, 8, "its addresses");
		ht_check_fill(buf + GRH, n, 5, 0, "the payload");
		ht_check_fill(buf + GRH + n, LEN - GRH - n, 7, GRH + n, "bytes after it");
	}
}

/* Fill in the UDP checksum. */
static void set_checksum(uint8_t *k, size_t len)
{
	uint32_t sum = IPPROTO_UDP + len - 20;
	uint16_t check;

	for (size_t i = 12; i < len; i += 2)
		sum += k[i] << 8 | (i + 1 < len ? k[i + 1] : 0);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	check = htons(~sum);
	memcpy(k + 26, &check, 2);
}

static void wire_checksum(const void *arg)
{
	uint8_t k[HEAD + MOST + 64];
	struct ibv_wc wc;
	uint64_t before;
	size_t len;

	setup();
	before = ht_counter(&p.dev[1], "rx_bad_udp");
	ht_recv(&p.s[1], 1, &mr, buf, GRH + MOST);
	ht_recv(&p.s[1], 2, &mr, buf, GRH + MOST);
	len = datagram(k, 38);
	set_checksum(k, len);
	send_raw(k, len);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_eq(ht_counter(&p.dev[1], "rx_bad_udp") - before, 0);
	k[26] ^= 0x10;
	send_raw(k, len);
	ht_wait_until(ht_counter(&p.dev[1], "rx_bad_udp") - before == 1, "it to be counted");
	ht_no_wc(p.s[1].rcq, 20);
	ht_fill(buf, LEN, 7, 0);
	still_well(2);
}

static void wire_long(const void *arg)
{
	uint8_t k[HEAD + MOST + 64];
	uint64_t before;

	setup();
	before = ht_counter(&p.dev[1], "rx_bad_long");
	ht_recv(&p.s[1], 1, &mr, buf, GRH + MOST);
	send_raw(k, datagram(k, MTU + 1));
	ht_wait_until(ht_counter(&p.dev[1], "rx_bad_long") - before == 1, "it to be counted");
	ht_no_wc(p.s[1].rcq, 20);
	still_well(1);
}

/* UDP packets that no socket of ns2 has taken. */
static long unclaimed(void)
{
	FILE *f = popen("ip netns exec ns2 awk '/^Udp: [0-9]/ { print $3 }' /proc/net/snmp", "r");
	long n = -1;

	ht_check(f && fscanf(f, "%ld", &n) == 1 && !pclose(f), "no UDP statistics");
	return n;
}

/* Send the datagram to another address of the receiver. */
static void send_to_address(uint8_t *k, size_t len, const uint8_t *address)
{
	memcpy(k + 16, address, 4);
	pkt_set_icrc(k, len);
	send_raw(k, len);
}

static void wire_vlan(const void *arg)
{
	static const union ibv_gid gid = { .raw = { [10] = 0xff, 0xff, 10, 80, 0, 2 } };
	uint8_t k[HEAD + MOST + 64];
	struct ibv_wc wc;
	size_t len;
	long before;

	setup();
	for (int n = 1; n <= 2; n++) {
		wire_run(n, "ip link add link hodp-ns%d name hodp-vlan type vlan id 5", n);
		wire_run(n, "ip addr add 10.80.0.%d/24 dev hodp-vlan", n);
		wire_run(n, "ip link set hodp-vlan up");
	}
	wire_gid(&p.dev[1], &gid);
	ht_recv(&p.s[1], 1, &mr, buf, GRH + MOST);
	ht_recv(&p.s[1], 2, &mr, buf, GRH + MOST);
	len = datagram(k, 37);
	send_to_address(k, len, gid.raw + 12);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_check_fill(buf + GRH, 37, 5, 0, "the datagram");
	/* Without the tag, it arrives on another netdev than its GID's. */
	before = unclaimed();
	ht_sys(setsockopt(raw, SOL_SOCKET, SO_BINDTODEVICE, "hodp-ns1", 9));
	send_to_address(k, len, gid.raw + 12);
	ht_wait_until(unclaimed() == before + 1, "the packet without a tag");
	ht_no_wc(p.s[1].rcq, 20);
	ht_sys(setsockopt(raw, SOL_SOCKET, SO_BINDTODEVICE, "", 0));
	for (int n = 1; n <= 2; n++)
		wire_run(n, "ip link delete hodp-vlan");
	ht_fill(buf, LEN, 7, 0);
	still_well(2);
}

static void wire_icrc(const void *arg)
{
	uint8_t k[HEAD + MOST + 64];
	uint64_t before;
	size_t len;

	setup();
	before = ht_counter(&p.dev[1], "rx_icrc_encapsulated");
	ht_recv(&p.s[1], 1, &mr, buf, GRH + MOST);
	len = datagram(k, 37);
	/* Payload, padding and the ICRC itself. */
	for (size_t i = HEAD; i < len; i++) {
		k[i] ^= 1 << i % 8;
		send_raw(k, len);
		k[i] ^= 1 << i % 8;
	}
	ht_wait_until(ht_counter(&p.dev[1], "rx_icrc_encapsulated") - before == len - HEAD,
		      "all bad packets to be counted");
	ht_no_wc(p.s[1].rcq, 20);
	still_well(1);
}

static void wire_cut(const void *arg)
{
	uint8_t k[HEAD + MOST + 64];
	uint64_t before;
	size_t len;

	setup();
	ht_recv(&p.s[1], 1, &mr, buf, GRH + MOST);
	before = received();
	len = datagram(k, 37);
	for (size_t i = 28; i < len; i++) {
		pkt_set_length(k, i);
		send_raw(k, i);
	}
	ht_wait_until(received() - before == len - 28, "all packets");
	ht_no_wc(p.s[1].rcq, 20);
	still_well(1);
}

static void wire_random(const void *arg)
{
	struct ht_rng r = { ht_seed("wire-random") };
	uint8_t k[HEAD + MOST + 64];
	uint64_t n = ht_count(20000);
	uint64_t before;

	setup();
	ht_recv(&p.s[1], 1, &mr, buf, GRH + MOST);
	before = received();
	for (uint64_t i = 0; i < n; i++) {
		size_t len = datagram(k, ht_below(&r, 64));
		size_t cut = ht_below(&r, 4) ? len : 28 + ht_below(&r, len - 27);

		for (uint64_t m = ht_below(&r, 8); m; m--)
			k[28 + ht_below(&r, len - 28)] = ht_rand(&r);
		/* Always wrong, even if the ICRC is right. */
		k[43] = 0xff ^ (QKEY & 0xff);
		if (cut == len && ht_below(&r, 2)) {
			pkt_set_length(k, len);
			pkt_set_icrc(k, len);
		}
		pkt_set_length(k, cut);
		send_raw(k, cut);
	}
	ht_wait_until(received() - before >= n, "all packets to be received");
	ht_no_wc(p.s[1].rcq, 20);
	still_well(1);
}

const struct ht_case wire_receive[] = {
	{ "wire-handmade", "a packet made to the specification is delivered", wire_handmade },
	{ "wire-checksum", "a UDP checksum is optional, and a wrong one is noticed",
	  wire_checksum },
	{ "wire-long", "a payload of more than 4096 bytes is dropped", wire_long },
	{ "wire-vlan", "a GID of a VLAN is reached with the tag only", wire_vlan },
	{ "wire-icrc", "a packet whose bytes have changed is dropped", wire_icrc },
	{ "wire-cut", "a truncated packet is dropped", wire_cut },
	{ "wire-random", "random packets reach no QP and do no harm", wire_random, NULL, 240 },
	{},
};
