// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The QP as a responder: what it executes, and how often (IBTA 9.7.4, 9.7.5.1). */
#include "rc.h"

#define LEN (16 * HT_KIB)
#define MTU 1024

static struct peer p;
static struct area a;

static void setup_at(uint32_t psn)
{
	peer_open(&p, NULL);
	peer_connect(&p, psn, QP_PSN);
	area_get(&a, &p, LEN, HT_ACCESS_ALL);
}

static void setup(void)
{
	setup_at(PEER_PSN);
}

/* The counters are cached for some milliseconds. */
static void wait_counter(const char *name, uint64_t value)
{
	ht_wait_until(ht_counter(&rc_dev, name) >= value, name);
	ht_eq(ht_counter(&rc_dev, name), value);
}

static void well(const char *what)
{
	ht_check(ht_state(&p.s) == IBV_QPS_RTS, "%s: the QP is in state %d", what, ht_state(&p.s));
	peer_alive(&p, &a.mr, a.p + 8000, 0x77);
}

/* The QP refuses a packet: a NAK, the error state, and no byte is written. */
static void refused(const struct rc_msg *m, uint8_t syndrome, const char *what)
{
	peer_flush();
	peer_send(&p, m);
	peer_want(&p, m->psn, syndrome, what);
	ht_wait_until(ht_state(&p.s) == IBV_QPS_ERR, "the error state");
	area_check(&a, 0, 0, 0, 0, what);
	ht_ok(ht_to(&p.s, IBV_QPS_RESET));
	peer_connect(&p, PEER_PSN, QP_PSN);
}

/* --- once -------------------------------------------------------------------------- */

static void write_once(const void *arg)
{
	uint8_t older[PKT_MAX];
	struct rc_msg m;
	size_t len;

	setup();
	m = peer_write(&p, &a.mr, a.p + 3, 700, 1, 0);
	len = rc_build(older, &p, &m);
	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_GOOD, "a WRITE");
	area_check(&a, 3, 700, 1, 0, "a WRITE");
	m = peer_write(&p, &a.mr, a.p + 3, 700, 2, 0);
	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_GOOD, "a newer WRITE");
	/* Its acknowledgment is that of all that was received. */
	pkt_send(rc_raw, older, len);
	peer_want(&p, m.psn, RC_GOOD, "a duplicate");
	area_check(&a, 3, 700, 2, 0, "newer bytes, after a duplicate of older ones");
	well("after a duplicate");
}

static void send_once(const void *arg)
{
	static uint8_t data[100];
	struct rc_msg m = { .op = RC_SEND_ONLY, .ask = true, .data = data, .len = sizeof(data) };
	struct ibv_wc wc;

	setup();
	ht_recv(&p.s, 1, &a.mr, a.p + 5, 200);
	ht_recv(&p.s, 2, &a.mr, a.p + 305, 200);
	m.psn = p.psn++;
	ht_fill(data, sizeof(data), 3, 0);
	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_GOOD, "a SEND");
	ht_want_wc(p.s.rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, sizeof(data));
	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_GOOD, "a duplicate");
	ht_no_wc(p.s.rcq, 20);
	area_check(&a, 5, sizeof(data), 3, 0, "a SEND and its duplicate");
	m.psn = p.psn++;
	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_GOOD, "the next SEND");
	ht_want_wc(p.s.rcq, &wc, 2, IBV_WC_SUCCESS);
}

/* Send it, and expect @original in the answer. */
static void want_atomic(const struct rc_msg *m, uint64_t original, const char *what)
{
	struct rc_msg got;

	peer_send(&p, m);
	peer_want_op(&p, &got, RC_ATOMIC_ACK, m->psn);
	ht_true(rc_is_good(&got));
	ht_check(got.original == original, "%s: the original is 0x%lx, not 0x%lx", what,
		 (unsigned long)got.original, (unsigned long)original);
}

static void atomic_once(const void *arg)
{
	uint8_t *at;
	uint64_t value = 0x1122334455667788, now;
	struct rc_msg add = { .op = RC_FETCH_ADD, .add = 0x100000001 }, swap;

	setup();
	at = a.p + 71;
	ht_eq((uintptr_t)at % 8, 0);
	memcpy(at, &value, 8);
	add.va = ht_iova(&a.mr, at);
	add.rkey = a.mr.mr->rkey;
	swap = add;
	swap.op = RC_CMP_SWAP;
	swap.compare = value + add.add;
	swap.add = 0xabcdef;
	add.psn = p.psn++;
	swap.psn = p.psn++;
	want_atomic(&add, value, "FETCH_ADD");
	want_atomic(&add, value, "its duplicate");
	memcpy(&now, at, 8);
	ht_eq(now, value + add.add);
	want_atomic(&swap, value + add.add, "CMP_SWAP");
	/* The duplicates of both, the older one too. */
	want_atomic(&swap, value + add.add, "its duplicate");
	want_atomic(&add, value, "the older duplicate");
	memcpy(&now, at, 8);
	ht_eq(now, 0xabcdef);
}

/* Expect packets @first to @last - 1 of the answer to a READ of @total bytes. */
static void want_response(uint32_t psn, uint32_t first, uint32_t total, uint32_t from)
{
	uint32_t packets = (total + MTU - 1) / MTU;
	struct rc_msg m;

	for (uint32_t i = first; i < packets; i++) {
		uint8_t op = RC_RESPONSE_MIDDLE;
		uint32_t len = HT_MIN(total - i * MTU, MTU);

		if (first == packets - 1)
			op = RC_RESPONSE_ONLY;
		else if (i == first)
			op = RC_RESPONSE_FIRST;
		else if (i == packets - 1)
			op = RC_RESPONSE_LAST;
		peer_want_op(&p, &m, op, psn + i);
		ht_eq(m.len, len);
		ht_check_fill(m.data, len, 9, from + i * MTU, "the answer to a READ");
	}
}

static void read_again(const void *arg)
{
	enum { TOTAL = 4 * MTU + 77, OFF = 11 };
	struct rc_msg m = { .op = RC_READ };

	setup();
	ht_fill(a.p, LEN, 9, 0);
	m.psn = p.psn;
	m.va = ht_iova(&a.mr, a.p + OFF);
	m.rkey = a.mr.mr->rkey;
	m.length = TOTAL;
	p.psn += 5;
	peer_send(&p, &m);
	want_response(m.psn, 0, TOTAL, OFF);
	/* The whole of it, and from its third packet on. */
	peer_send(&p, &m);
	want_response(m.psn, 0, TOTAL, OFF);
	m.psn += 2;
	m.va += 2 * MTU;
	m.length -= 2 * MTU;
	peer_send(&p, &m);
	want_response(m.psn - 2, 2, TOTAL, OFF);
	well("after a READ and two duplicates");
}

/* --- what is dropped ----------------------------------------------------------------- */

static void icrc(const void *arg)
{
	uint8_t k[PKT_MAX];
	struct rc_msg m;
	uint64_t before;
	size_t len;

	setup();
	before = ht_counter(&rc_dev, "rx_icrc_encapsulated");
	m = peer_write(&p, &a.mr, a.p + 3, 37, 1, 0);
	len = rc_build(k, &p, &m);
	/* The RETH, payload, padding, and the ICRC itself. */
	for (size_t i = PKT_HEAD + PKT_BTH; i < len; i++) {
		k[i] ^= 1 << i % 8;
		pkt_send(rc_raw, k, len);
		k[i] ^= 1 << i % 8;
	}
	wait_counter("rx_icrc_encapsulated", before + len - PKT_HEAD - PKT_BTH);
	peer_quiet(&p, 20, "a wrong ICRC is answered");
	area_check(&a, 0, 0, 0, 0, "a packet with a wrong ICRC");
	pkt_send(rc_raw, k, len);
	peer_want(&p, m.psn, RC_GOOD, "the right one");
	area_check(&a, 3, 37, 1, 0, "the right one");
}

static void set_address(uint8_t *k, size_t len, size_t at, uint8_t host)
{
	k[at + 3] = host;
	pkt_set_icrc(k, len);
}

/* The right QPN, PSN and key, from another host. */
static void stranger(const void *arg)
{
	uint8_t k[PKT_MAX];
	struct rc_msg m;
	uint64_t before;
	size_t len;

	setup();
	before = ht_counter(&rc_dev, "rx_stranger");
	m = peer_write(&p, &a.mr, a.p + 3, 700, 1, 0);
	len = rc_build(k, &p, &m);
	set_address(k, len, 12, 9);
	pkt_send(rc_raw, k, len);
	wait_counter("rx_stranger", before + 1);
	peer_quiet(&p, 20, "a stranger gets an answer");
	area_check(&a, 0, 0, 0, 0, "a WRITE from a stranger");
	p.psn--;
	well("after a stranger's WRITE");
}

static bool has_gid(const union ibv_gid *gid)
{
	struct ibv_gid_entry e;

	for (int i = 0; i < rc_dev.port.gid_tbl_len; i++)
		if (!ibv_query_gid_ex(rc_dev.ctx, 1, i, &e, 0) &&
		    !memcmp(&e.gid, gid, sizeof(*gid)))
			return true;
	return false;
}

/* From the peer, to another address of the device. */
static void other_address(const void *arg)
{
	static const union ibv_gid other = { .raw = { [10] = 0xff, 0xff, 10, 79, 0, 3 } };
	uint8_t k[PKT_MAX];
	struct rc_msg m;
	uint64_t before;
	size_t len;

	setup();
	ht_shell("ip -n ns2 addr add 10.79.0.3/24 dev hodp-ns2");
	ht_wait_until(has_gid(&other), "a second address");
	before = ht_counter(&rc_dev, "rx_stranger");
	m = peer_write(&p, &a.mr, a.p + 3, 700, 1, 0);
	len = rc_build(k, &p, &m);
	set_address(k, len, 16, 3);
	pkt_send(rc_raw, k, len);
	wait_counter("rx_stranger", before + 1);
	ht_shell("ip -n ns2 addr delete 10.79.0.3/24 dev hodp-ns2");
	peer_quiet(&p, 20, "an answer to another address");
	area_check(&a, 0, 0, 0, 0, "a WRITE to another address");
	p.psn--;
	well("after a WRITE to another address");
}

/* --- order and length ---------------------------------------------------------------- */

static void gap(const void *arg)
{
	struct rc_msg m[4];
	uint64_t naks;

	setup();
	naks = ht_counter(&rc_dev, "seq_naks_sent");
	for (int round = 0; round < 3; round++) {
		uint32_t psn = p.psn;

		peer_flush();
		/* The first one is lost. */
		for (int i = 0; i < 4; i++) {
			m[i] = peer_write(&p, &a.mr, a.p + 3, 0, 1, 0);
			if (!i)
				continue;
			peer_send(&p, &m[i]);
			if (i == 1)
				peer_want(&p, psn, RC_NAK_SEQUENCE, "a gap");
		}
		peer_quiet(&p, 20, "a gap has a second NAK");
		wait_counter("seq_naks_sent", naks + round + 1);
		for (int i = 0; i < 4; i++)
			peer_send(&p, &m[i]);
		do {
			struct rc_msg got;

			ht_check(peer_poll(&p, &got, HT_PATIENCE_MS), "no answer after a gap");
			ht_eq(got.op, RC_ACK);
			ht_true(rc_is_good(&got));
			psn = got.psn;
		} while (psn != m[3].psn);
		/* Others may be on their way. */
		while (peer_poll(&p, &m[0], 20))
			ht_true(rc_is_good(&m[0]));
	}
	well("after gaps");
}

/*
 * The packet that was missing wants no acknowledgment, the one behind it does, and
 * comes only once.
 */
static void gap_filled(const void *arg)
{
	struct rc_msg missing, behind;

	setup();
	/* Softirq takes a packet if neither the connection nor the page is new. */
	peer_alive(&p, &a.mr, a.p + 3, 0x77);
	missing = peer_write(&p, &a.mr, a.p + 3, 400, 1, 0);
	missing.ask = false;
	/* peer_write() has one buffer for all. */
	behind = peer_write(&p, &a.mr, a.p + 503, 400, 1, 0);
	peer_send(&p, &behind);
	peer_want(&p, missing.psn, RC_NAK_SEQUENCE, "a gap");
	/* The receiver goes to sleep. */
	ht_sleep_ms(20);
	peer_send(&p, &missing);
	peer_want(&p, behind.psn, RC_GOOD, "what is behind a gap that is filled");
	ht_check_fill(a.p + 3, 400, 1, 0, "the packet that was missing");
	ht_check_fill(a.p + 503, 400, 1, 0, "the packet behind it");
	area_check_guards(&a, "a gap that is filled");
	well("after a gap that is filled");
}

/* A packet of a WRITE whose RETH says @length, with a payload of @len. */
static struct rc_msg part(uint8_t op, uint32_t length, uint32_t len)
{
	struct rc_msg m = peer_write(&p, &a.mr, a.p + 3, len, 1, 0);

	m.op = op;
	m.length = length;
	return m;
}

static void accepted(const struct rc_msg *m)
{
	peer_send(&p, m);
	peer_want(&p, m->psn, RC_GOOD, "a part of a WRITE");
}

static void reth(const void *arg)
{
	static const struct {
		uint32_t length, len;
	} only[] = { { 100, 99 }, { 100, 101 }, { 100, 104 }, { 1, 0 }, { 3, MTU }, { 0, 1 } };
	struct rc_msg m;

	setup();
	for (size_t i = 0; i < HT_LEN(only); i++) {
		m = part(RC_WRITE_ONLY, only[i].length, only[i].len);
		refused(&m, RC_NAK_INVALID, "a WRITE that is not as long as it says");
	}
	/* A first packet that is the whole message, or more. */
	m = part(RC_WRITE_FIRST, MTU, MTU);
	refused(&m, RC_NAK_INVALID, "a first packet of a whole message");
	m = part(RC_WRITE_FIRST, MTU - 1, MTU);
	refused(&m, RC_NAK_INVALID, "a first packet of more than a message");
	/* A length that the region does not have is refused before any byte. */
	m = part(RC_WRITE_FIRST, LEN, MTU);
	refused(&m, RC_NAK_ACCESS, "a WRITE behind the end of its region");
	m = part(RC_WRITE_FIRST, 0x80000001, MTU);
	refused(&m, RC_NAK_INVALID, "a WRITE of more than 2 GiB");
}

/* The middle or the end of a message goes beyond its RETH, or stays behind. */
static void reth_later(const void *arg)
{
	static const struct {
		uint8_t op;
		uint32_t length, len;
	} second[] = {
		{ RC_WRITE_MIDDLE, 2 * MTU, MTU },     { RC_WRITE_MIDDLE, MTU + 1, MTU },
		{ RC_WRITE_LAST, MTU + 100, 101 },     { RC_WRITE_LAST, MTU + 100, 99 },
		{ RC_WRITE_LAST, 2 * MTU + 1, MTU },   { RC_WRITE_LAST, MTU + 1, 0 },
		{ RC_WRITE_MIDDLE, 4 * MTU, MTU - 1 },
	};
	struct rc_msg m;

	setup();
	for (size_t i = 0; i < HT_LEN(second); i++) {
		m = part(RC_WRITE_FIRST, second[i].length, MTU);
		accepted(&m);
		m = part(second[i].op, 0, second[i].len);
		peer_send(&p, &m);
		peer_want(&p, m.psn, RC_NAK_INVALID, "a WRITE that is not as long as it says");
		ht_wait_until(ht_state(&p.s) == IBV_QPS_ERR, "the error state");
		area_check(&a, 3, MTU, 1, 0, "its first packet only");
		area_fill(&a);
		ht_ok(ht_to(&p.s, IBV_QPS_RESET));
		peer_connect(&p, PEER_PSN, QP_PSN);
	}
	well("after WRITEs of wrong length");
}

static void order(const void *arg)
{
	static const uint8_t alone[] = { RC_SEND_MIDDLE, RC_SEND_LAST, RC_WRITE_MIDDLE,
					 RC_WRITE_LAST },
			     inside[] = { RC_SEND_FIRST, RC_SEND_MIDDLE, RC_SEND_LAST,
					  RC_SEND_ONLY,	 RC_WRITE_FIRST, RC_WRITE_ONLY,
					  RC_READ,	 RC_FETCH_ADD };
	struct rc_msg m;

	setup();
	for (size_t i = 0; i < HT_LEN(alone); i++) {
		m = part(alone[i], 3 * MTU, MTU);
		refused(&m, RC_NAK_INVALID, "an end without a beginning");
	}
	for (size_t i = 0; i < HT_LEN(inside); i++) {
		m = part(RC_WRITE_FIRST, 3 * MTU, MTU);
		accepted(&m);
		area_fill(&a);
		m = part(inside[i], 3 * MTU, MTU);
		if (inside[i] >= RC_READ)
			m.len = 0;
		refused(&m, RC_NAK_INVALID, "something else in the middle of a WRITE");
	}
	well("after packets in a wrong order");
}

/* --- PSNs around 0 ----------------------------------------------------------------- */

static void wrap(const void *arg)
{
	enum { BEFORE = 5, ALL = 12 };
	uint8_t old[ALL][PKT_MAX];
	struct rc_msg m, later;
	size_t len[ALL];

	setup_at(0x1000000 - BEFORE);
	for (int i = 0; i < ALL; i++) {
		m = peer_write(&p, &a.mr, a.p + 3, 100, i, 0);
		len[i] = rc_build(old[i], &p, &m);
		pkt_send(rc_raw, old[i], len[i]);
		peer_want(&p, m.psn, RC_GOOD, "a WRITE near PSN 0");
		ht_check_fill(a.p + 3, 100, i, 0, "its bytes");
	}
	/* All are duplicates now, from both sides of 0. */
	for (int i = 0; i < ALL - 1; i++) {
		pkt_send(rc_raw, old[i], len[i]);
		peer_want(&p, m.psn, RC_GOOD, "a duplicate from before");
	}
	area_check(&a, 3, 100, ALL - 1, 0, "the newest bytes");
	/* A gap across 0. */
	ht_ok(ht_to(&p.s, IBV_QPS_RESET));
	peer_connect(&p, 0xffffff, QP_PSN);
	p.psn = 0;
	later = peer_write(&p, &a.mr, a.p + 3, 60, 31, 0);
	peer_send(&p, &later);
	peer_want(&p, 0xffffff, RC_NAK_SEQUENCE, "a gap across PSN 0");
	area_check(&a, 3, 100, ALL - 1, 0, "before the lost one has come");
	p.psn = 0xffffff;
	m = peer_write(&p, &a.mr, a.p + 3, 100, 30, 0);
	peer_send(&p, &m);
	/* Both are executed, in this order. */
	peer_want(&p, 0, RC_GOOD, "the lost one, and the one behind it");
	ht_check_fill(a.p + 3, 60, 31, 0, "the one behind the lost one");
	ht_check_fill(a.p + 63, 40, 30, 60, "the lost one");
	area_check_guards(&a, "a gap across PSN 0");
}

const struct ht_case rc_responder[] = {
	{ "write-once", "a duplicate of a WRITE is acknowledged and not executed", write_once },
	{ "send-once", "a duplicate of a SEND is acknowledged and not received", send_once },
	{ "atomic-once", "a duplicate of an atomic gets the first one's result", atomic_once },
	{ "read-again", "a duplicate of a READ, or of its end, is answered again", read_again },
	{ "icrc", "an RC packet whose bytes have changed is dropped", icrc },
	{ "other-host", "a packet from another address than the peer's is dropped", stranger },
	{ "other-address", "a packet to another address than the QP's is dropped", other_address },
	{ "gap", "a gap has one NAK, at once", gap },
	{ "gap-filled", "what was kept behind a gap is executed when it is filled", gap_filled },
	{ "reth", "a WRITE is as long as its RETH says", reth },
	{ "reth-later", "a WRITE of several packets is as long as its RETH says", reth_later },
	{ "order", "a message is not interrupted", order },
	{ "wrap-responder", "PSNs wrap around at a responder", wrap },
	{},
};
