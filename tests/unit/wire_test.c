// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the module's wire.c in user space, under ASan and UBSan: the bytes
 * of every packet; packed headers are parsed again; truncated, changed and random
 * bodies are refused; no byte outside a packet is accessed.  Each packet has a
 * buffer of its exact size.
 */
#include <ctype.h>
#include <stdlib.h>

#include "kernel_shim.h"
#include "unit.h"
#include "wire_golden.h"

#define RANDOM_BODIES 1000000

struct packet {
	u32 ip_len;
	size_t len; /* of the body */
	u8 *ip;
	u8 *udp;
	u8 *body;
};

static u64 seed = 0x9e3779b97f4a7c15;

static u32 next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 32;
}

static u8 *block(size_t len)
{
	u8 *p = malloc(len ?: 1);

	if (!p)
		abort();
	for (size_t i = 0; i < len; i++)
		p[i] = next_random();
	return p;
}

static void packet_free(struct packet *k)
{
	free(k->ip);
	free(k->udp);
	free(k->body);
}

static bool packet_ok(const struct packet *k)
{
	struct hodp_wire_packet out;

	return hodp_wire_parse(k->body, k->len, &out) == HODP_WIRE_OK &&
	       hodp_wire_icrc_ok(k->ip, k->ip_len, k->udp, k->body, k->len);
}

static struct packet packet_new(u32 ip_len, const struct hodp_wire_packet *in)
{
	struct packet k = { .ip_len = ip_len };
	size_t len;

	k.len = hodp_wire_len(in->row, in->payload);
	k.ip = block(ip_len);
	k.udp = block(HODP_WIRE_UDP);
	k.body = block(k.len);
	hodp_wire_put(k.body, in);
	len = k.len - HODP_WIRE_ICRC;
	hodp_wire_icrc_put(k.body + len,
			   hodp_wire_icrc(k.ip, ip_len, k.udp, k.body, len));
	return k;
}

/* A datagram with immediate data. */
static struct hodp_wire_packet sample(void)
{
	struct hodp_wire_packet k = golden_packet;

	k.row = hodp_wire_row(HODP_WIRE_UD_SEND_IMM);
	k.payload = 37;
	return k;
}

/* Every header field that the row has. */
static bool same(const struct hodp_wire_packet *a,
		 const struct hodp_wire_packet *b)
{
	u16 h = a->row->headers;
	bool ok = a->row == b->row && a->dest_qp == b->dest_qp &&
		  a->psn == b->psn && a->payload == b->payload &&
		  a->solicited == b->solicited && a->ack_req == b->ack_req;

	if (h & HODP_HAS_DETH)
		ok &= a->qkey == b->qkey && a->src_qp == b->src_qp;
	if (h & HODP_HAS_FETH)
		ok &= a->placement == b->placement &&
		      a->selectivity == b->selectivity;
	if (h & (HODP_HAS_RETH | HODP_HAS_ATOMIC))
		ok &= a->va == b->va && a->rkey == b->rkey;
	if (h & HODP_HAS_RETH)
		ok &= a->length == b->length;
	if (h & HODP_HAS_ATOMIC)
		ok &= a->swap_add == b->swap_add && a->compare == b->compare;
	if (h & HODP_HAS_AETH)
		ok &= a->syndrome == b->syndrome && a->msn == b->msn;
	if (h & HODP_HAS_ATOMIC_ACK)
		ok &= a->original == b->original;
	if (h & HODP_HAS_IMM)
		ok &= a->imm == b->imm;
	if (h & HODP_HAS_IETH)
		ok &= a->inv_rkey == b->inv_rkey;
	return ok;
}

/* ---- bytes ---- */

/* Bytes of a text in hexadecimal. */
static size_t bytes(const char *text, u8 *p)
{
	size_t n = 0;

	while (*text) {
		char two[] = { text[0], text[1], 0 };

		if (isspace((unsigned char)*text)) {
			text++;
			continue;
		}
		p[n++] = strtoul(two, NULL, 16);
		text += 2;
	}
	return n;
}

static void check_golden(const struct golden *g, const u8 *want, size_t len)
{
	struct hodp_wire_packet in = golden_packet, out;
	const struct hodp_wire_row *row = hodp_wire_row(want[0]);
	struct packet k;
	bool ok;

	CHECK(row);
	if (!row)
		return;
	in.row = row;
	in.payload = g->payload;
	k = packet_new(HODP_WIRE_IPV4, &in);
	ok = !strcmp(row->name, g->name) && row->service == g->service &&
	     row->kind == g->kind && row->place == g->place &&
	     row->service == want[0] >> 5 && hodp_wire_headers(row) == len &&
	     k.len == len + g->payload + (-g->payload & 3) + HODP_WIRE_ICRC &&
	     !memcmp(k.body, want, len) && packet_ok(&k) &&
	     hodp_wire_parse(k.body, k.len, &out) == HODP_WIRE_OK &&
	     out.at == len && same(&in, &out) &&
	     hodp_wire_payload_fits(row, g->payload, 256);
	if (!ok) {
		printf("# %s\n", g->name);
		unit_failed = true;
	}
	packet_free(&k);
}

static void test_golden(void)
{
	u32 rows = 0;

	for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
		u8 want[HODP_WIRE_HEADERS_MAX];

		check_golden(&golden[i], want, bytes(golden[i].headers, want));
	}
	for (u32 op = 0; op < 256; op++)
		rows += !!hodp_wire_row(op);
	/* And the CNP. */
	CHECK(rows == ARRAY_LEN(golden) + 1);
}

static void test_cnp(void)
{
	const struct hodp_wire_packet in = {
		.row = hodp_wire_row(HODP_WIRE_CONGESTION),
		.dest_qp = 0x123456,
	};
	struct packet k = packet_new(HODP_WIRE_IPV6, &in);
	struct hodp_wire_packet out;
	u8 want[HODP_WIRE_HEADERS_MAX];
	size_t len = bytes(golden_cnp, want);

	CHECK(k.len == len + HODP_WIRE_ICRC && len == 28);
	CHECK(!memcmp(k.body, want, len));
	CHECK(hodp_wire_parse(k.body, k.len, &out) == HODP_WIRE_OK);
	CHECK(same(&in, &out) && out.row->service == HODP_WIRE_CNP);
	CHECK(!hodp_wire_is_response(out.row));
	/* What is reserved may have any value. */
	memset(k.body + HODP_WIRE_BTH, 0xff, HODP_WIRE_CNP_RESERVED);
	CHECK(hodp_wire_parse(k.body, k.len, &out) == HODP_WIRE_OK);
	packet_free(&k);
}

static void test_ecn(void)
{
	u8 ipv4[HODP_WIRE_IPV4] = { 0x45, 0x00 };
	u8 ipv6[HODP_WIRE_IPV6] = { 0x60, 0x00 };

	for (u8 ecn = 0; ecn < 4; ecn++) {
		ipv4[1] = 0xb8 | ecn;
		/* Traffic class 0xb8 | ecn, flow label 0xfffff. */
		ipv6[0] = 0x6b;
		ipv6[1] = 0x80 | ecn << 4 | 0x0f;
		CHECK(hodp_wire_ecn(ipv4, sizeof(ipv4)) == ecn);
		CHECK(hodp_wire_ecn(ipv6, sizeof(ipv6)) == ecn);
	}
	/* ECT(1) if that was asked for, else ECT(0); never marked by the sender. */
	CHECK(hodp_wire_ect(0x00) == 0x02 && hodp_wire_ect(0xb8) == 0xba);
	CHECK(hodp_wire_ect(0xb9) == 0xb9 && hodp_wire_ect(0xba) == 0xba);
	CHECK(hodp_wire_ect(0xbb) == 0xba && hodp_wire_ect(0xff) == 0xfe);
	for (u8 ecn = 0; ecn < 4; ecn++)
		CHECK(hodp_wire_not_ect(0xb8 | ecn) == 0xb8);
}

/* ---- there and back ---- */

static void test_round_trip(void)
{
	for (u32 i = 0; i < 256 * 70; i++) {
		const struct hodp_wire_row *row = hodp_wire_row(i / 70);
		struct hodp_wire_packet in, out;
		struct packet k;
		u8 *p = block(sizeof(in));

		memcpy(&in, p, sizeof(in));
		free(p);
		if (!row)
			continue;
		in.row = row;
		in.dest_qp &= 0xffffff;
		in.psn &= 0xffffff;
		in.src_qp &= 0xffffff;
		in.msn &= 0xffffff;
		in.placement &= 15;
		in.selectivity &= 3;
		in.solicited = i % 2;
		in.ack_req = i % 3;
		in.payload = row->data ? i % 70 : 0;
		if (in.payload == 69)
			in.payload = HODP_WIRE_MTU_MAX;
		k = packet_new(i % 5 ? HODP_WIRE_IPV4 : HODP_WIRE_IPV6, &in);
		CHECK(k.len % 4 == 0);
		CHECK(hodp_wire_parse(k.body, k.len, &out) == HODP_WIRE_OK);
		CHECK(same(&in, &out));
		CHECK(out.at == hodp_wire_headers(row));
		CHECK(packet_ok(&k));
		packet_free(&k);
	}
}

/* Values that are too wide do not spill into their neighbours. */
static void test_width(void)
{
	struct hodp_wire_packet in = golden_packet, out;

	in.payload = 0;
	in.ack_req = false;
	in.dest_qp |= 0xff000000;
	in.psn |= 0xff000000;
	in.src_qp |= 0xff000000;
	in.msn |= 0xff000000;
	in.placement |= 0xf0;
	in.selectivity |= 0xfc;
	for (u32 op = 0; op < 256; op++) {
		struct packet k;

		in.row = hodp_wire_row(op);
		if (!in.row)
			continue;
		k = packet_new(HODP_WIRE_IPV4, &in);
		CHECK(hodp_wire_parse(k.body, k.len, &out) == HODP_WIRE_OK);
		CHECK(k.body[8] == 0 && (k.body[4] & 0xbf) == 0);
		if (in.row->headers & HODP_HAS_DETH)
			CHECK(k.body[16] == 0);
		if (in.row->headers & HODP_HAS_AETH)
			CHECK(out.syndrome == in.syndrome);
		if (in.row->headers & HODP_HAS_FETH)
			CHECK(k.body[14] == 0 && k.body[15] == 0x12);
		packet_free(&k);
	}
}

/* Each shorter length, in a buffer that ends there. */
static void truncate_one(const struct packet *k, u32 least)
{
	for (size_t len = 0; len < k->len; len++) {
		u8 *cut = block(len);
		struct hodp_wire_packet out;
		enum hodp_wire_bad bad;

		memcpy(cut, k->body, len);
		bad = hodp_wire_parse(cut, len, &out);
		if (len < least + HODP_WIRE_ICRC)
			CHECK(bad == HODP_WIRE_SHORT);
		else if (len % 4)
			CHECK(bad == HODP_WIRE_PAD);
		else if (bad == HODP_WIRE_OK)
			CHECK(!hodp_wire_icrc_ok(k->ip, k->ip_len, k->udp, cut,
						 len));
		free(cut);
	}
}

static void test_truncated(void)
{
	struct hodp_wire_packet in = golden_packet;

	for (u32 op = 0; op < 256; op++) {
		struct packet k;

		in.row = hodp_wire_row(op);
		if (!in.row)
			continue;
		in.payload = in.row->data ? 37 : 0;
		k = packet_new(HODP_WIRE_IPV4, &in);
		truncate_one(&k, hodp_wire_headers(in.row));
		packet_free(&k);
	}
}

/* ---- the ICRC ---- */

/* May a router change this bit? */
static bool variant(const struct packet *k, size_t byte, int bit)
{
	if (byte < k->ip_len) {
		if (k->ip_len == HODP_WIRE_IPV4)
			return byte == 1 || byte == 8 || byte == 10 ||
			       byte == 11;
		return (byte == 0 && bit < 4) || (byte >= 1 && byte <= 3) ||
		       byte == 7;
	}
	byte -= k->ip_len;
	return byte == 6 || byte == 7 || byte == HODP_WIRE_UDP + 4;
}

static void flip_all(u32 ip_len)
{
	const struct hodp_wire_packet in = sample();
	struct packet k = packet_new(ip_len, &in);
	size_t total = ip_len + HODP_WIRE_UDP + k.len;

	for (size_t byte = 0; byte < total; byte++) {
		u8 *p = byte < ip_len ? k.ip + byte :
			byte < ip_len + HODP_WIRE_UDP ?
					k.udp + byte - ip_len :
					k.body + byte - ip_len - HODP_WIRE_UDP;

		for (int bit = 0; bit < 8; bit++) {
			*p ^= 1 << bit;
			CHECK(packet_ok(&k) == variant(&k, byte, bit));
			*p ^= 1 << bit;
		}
	}
	CHECK(packet_ok(&k));
	packet_free(&k);
}

static void test_flipped(void)
{
	flip_all(HODP_WIRE_IPV4);
	flip_all(HODP_WIRE_IPV6);
}

/* The whole packet with ones where the specification says, in one pass. */
static void test_icrc(void)
{
	static const u8 masked[] = { 1, 8, 10, 11, 26, 27, 32 };
	const struct hodp_wire_packet in = sample();
	struct packet k = packet_new(HODP_WIRE_IPV4, &in);
	u8 all[8 + HODP_WIRE_IPV4 + HODP_WIRE_UDP + 128], icrc[4];
	size_t len = k.len - HODP_WIRE_ICRC, head = 8 + HODP_WIRE_IPV4;

	/* LRH. */
	memset(all, 0xff, 8);
	memcpy(all + 8, k.ip, HODP_WIRE_IPV4);
	memcpy(all + head, k.udp, HODP_WIRE_UDP);
	memcpy(all + head + HODP_WIRE_UDP, k.body, len);
	for (size_t i = 0; i < ARRAY_LEN(masked); i++)
		all[8 + masked[i]] = 0xff;
	hodp_wire_icrc_put(icrc, ~crc32_le(0xffffffff, all,
					   head + HODP_WIRE_UDP + len));
	CHECK(!memcmp(icrc, k.body + len, sizeof(icrc)));
	packet_free(&k);
}

/* ---- bad bodies ---- */

static enum hodp_wire_bad changed(u8 opcode, u32 payload, size_t byte, u8 value)
{
	struct hodp_wire_packet in = golden_packet, out;
	enum hodp_wire_bad bad;
	struct packet k;

	in.row = hodp_wire_row(opcode);
	in.payload = payload;
	k = packet_new(HODP_WIRE_IPV4, &in);
	k.body[byte] = value;
	bad = hodp_wire_parse(k.body, k.len, &out);
	packet_free(&k);
	return bad;
}

static void test_reasons(void)
{
	CHECK(changed(0x65, 37, 1, 0xf1) == HODP_WIRE_VERSION);
	/* Reserved, RD, XRC, and the rest. */
	CHECK(changed(0x65, 37, 0, 0x15) == HODP_WIRE_OPCODE);
	CHECK(changed(0x65, 37, 0, 0x18) == HODP_WIRE_OPCODE);
	CHECK(changed(0x65, 37, 0, 0x2c) == HODP_WIRE_OPCODE);
	CHECK(changed(0x65, 37, 0, 0x44) == HODP_WIRE_OPCODE);
	CHECK(changed(0x65, 37, 0, 0x66) == HODP_WIRE_OPCODE);
	CHECK(changed(0x65, 37, 0, 0x82) == HODP_WIRE_OPCODE);
	CHECK(changed(0x65, 37, 0, 0xa4) == HODP_WIRE_OPCODE);
	CHECK(changed(0x65, 37, 0, 0xff) == HODP_WIRE_OPCODE);
	CHECK(changed(0x04, 37, 3, 0xfe) == HODP_WIRE_PKEY_BAD);
	CHECK(changed(0x04, 37, 2, 0xbf) == HODP_WIRE_PKEY_BAD);
	/* A limited member of the partition. */
	CHECK(changed(0x04, 37, 2, 0x7f) == HODP_WIRE_OK);
	CHECK(changed(0x04, 0, 1, 0x10) == HODP_WIRE_PAD);
	CHECK(changed(0x11, 0, 1, 0x30) == HODP_WIRE_PAD);
	/* No path MTU is longer than 4096. */
	for (u32 n = 4093; n < 4101; n++) {
		enum hodp_wire_bad want = n > 4096 ? HODP_WIRE_LONG :
						     HODP_WIRE_OK;

		CHECK(changed(0x04, n, 2, 0xff) == want);
		CHECK(changed(0x65, n, 2, 0xff) == want);
	}
	/* Payload where there must not be any. */
	CHECK(changed(0x11, 1, 1, 0x30) == HODP_WIRE_LONG);
	CHECK(changed(0x0c, 4, 1, 0x00) == HODP_WIRE_LONG);
	CHECK(changed(0x13, 8, 1, 0x00) == HODP_WIRE_LONG);
	CHECK(changed(0x81, 4, 1, 0x00) == HODP_WIRE_LONG);
}

/* The bits that this module does not write, in the order of the headers. */
static void tidy(u8 *p, const struct hodp_wire_row *row)
{
	bool cnp = p[0] == 0x81;

	p[1] = (p[1] & 0x80) | (cnp ? 0 : 0x40) | (p[1] & 0x30);
	p[2] = 0xff;
	p[4] = cnp ? 0x40 : 0;
	p[8] &= 0x80;
	if (row->headers & HODP_HAS_DETH)
		p[16] = 0;
	if (row->headers & HODP_HAS_FETH) {
		memset(p + 12, 0, 3);
		p[15] &= 0x3f;
	}
	if (cnp)
		memset(p + 12, 0, 16);
}

/* Return: whether the body was accepted. */
static bool fuzz_one(u8 *p, size_t len)
{
	u8 again[HODP_WIRE_HEADERS_MAX];
	struct hodp_wire_packet out;

	if (hodp_wire_parse(p, len, &out) != HODP_WIRE_OK)
		return false;
	CHECK(hodp_wire_len(out.row, out.payload) == len);
	CHECK(out.payload <= HODP_WIRE_MTU_MAX);
	hodp_wire_put(again, &out);
	tidy(p, out.row);
	CHECK(!memcmp(p, again, hodp_wire_headers(out.row)));
	return true;
}

/* No byte outside is read, and what is accepted is written as it was. */
static void test_fuzz(void)
{
	u32 accepted = 0;

	for (u32 i = 0; i < RANDOM_BODIES; i++) {
		u32 r = next_random();
		size_t len = r % 128;
		u8 *p = block(len);

		/* Mostly plausible, or little would be accepted. */
		if (len > 3 && r >> 8 & 7) {
			p[0] = r >> 11 & 1 ? 0x81 : r >> 12 & 0x7f;
			p[1] &= 0xf0;
			p[2] |= 0x7f;
			p[3] = 0xff;
		}
		accepted += fuzz_one(p, len);
		free(p);
	}
	CHECK(accepted > RANDOM_BODIES / 50);
}

/* ---- rows ---- */

static void test_find(void)
{
	const u16 tails = HODP_HAS_IMM | HODP_HAS_IETH;
	u32 found = 0, rows = 0;

	for (u32 op = 0; op < 256; op++) {
		const struct hodp_wire_row *row = hodp_wire_row(op);

		if (!row)
			continue;
		rows++;
		CHECK(hodp_wire_find(row->service, row->kind, row->place,
				     row->headers) == row);
		/* Only the last packet has what the message ends with. */
		if (!(row->place & HODP_WIRE_LAST))
			CHECK(hodp_wire_find(row->service, row->kind,
					     row->place, tails) == row);
	}
	/* And no others. */
	for (u8 service = 0; service < 8; service++)
		for (u8 kind = 0; kind < HODP_WIRE_KINDS; kind++)
			for (u8 place = 0; place < 4; place++)
				for (u16 t = 0; t < 4; t++)
					found += (t == 0 || place & 2) &&
						 hodp_wire_find(service, kind,
								place, t << 6);
	CHECK(found == rows);
}

static void test_responses(void)
{
	for (u32 op = 0; op < 256; op++)
		if (hodp_wire_row(op))
			CHECK(hodp_wire_is_response(hodp_wire_row(op)) ==
			      (op >= 0x0d && op <= 0x12));
}

static bool fits(u8 opcode, u32 payload)
{
	return hodp_wire_payload_fits(hodp_wire_row(opcode), payload, 1024);
}

static void test_payload(void)
{
	/* First and middle. */
	CHECK(fits(0x00, 1024) && !fits(0x00, 1023) && !fits(0x00, 1025));
	CHECK(fits(0x27, 1024) && !fits(0x27, 1023) && !fits(0x0e, 0));
	/* Last. */
	CHECK(fits(0x02, 1024) && fits(0x02, 1) && !fits(0x02, 0));
	CHECK(!fits(0x0f, 1025) && !fits(0x0f, 0));
	/* Only. */
	CHECK(fits(0x04, 1024) && fits(0x04, 0) && !fits(0x04, 1025));
	/* Without payload. */
	CHECK(fits(0x11, 0) && !fits(0x11, 1) && !fits(0x0c, 1024));
}

static const struct unit_case cases[] = {
	{ "headers have the bytes that the specification says", test_golden },
	{ "a CNP has the bytes that the specification says", test_cnp },
	{ "the ECN field is where its IP header has it", test_ecn },
	{ "packed headers are parsed again", test_round_trip },
	{ "a value is cut to the width of its field", test_width },
	{ "a truncated body is refused", test_truncated },
	{ "the ICRC is the CRC of the masked packet", test_icrc },
	{ "the ICRC covers every bit except those that routers change",
	  test_flipped },
	{ "each malformed body has its reason", test_reasons },
	{ "random bodies stay within their bounds", test_fuzz },
	{ "a row is found by what it is", test_find },
	{ "responses are told from requests", test_responses },
	{ "a payload has the length of its place", test_payload },
};

int main(void)
{
	unit_cases(cases, ARRAY_LEN(cases));
	return unit_end();
}
