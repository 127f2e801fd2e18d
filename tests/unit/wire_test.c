// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the module's wire.h in user space, under ASan and UBSan: packed
 * headers are parsed again; truncated, changed and random bodies are refused; no
 * byte outside a packet is accessed.  Each packet has a buffer of its exact size.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel_shim.h"

/* Bit by bit, independent of the kernel's tables. */
static u32 crc32_le(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

#include "wire.h"
#include "unit.h"

#define MUTATIONS 200000

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

static void packet_seal(struct packet *k)
{
	size_t len = k->len - HODP_WIRE_ICRC;

	hodp_wire_icrc_put(k->body + len, hodp_wire_icrc(k->ip, k->ip_len,
							 k->udp, k->body, len));
}

static bool packet_ok(const struct packet *k)
{
	struct hodp_wire_ud ud;

	return hodp_wire_parse(k->body, k->len, &ud) == HODP_WIRE_OK &&
	       hodp_wire_icrc_ok(k->ip, k->ip_len, k->udp, k->body, k->len);
}

static struct packet packet_new(u32 ip_len, const struct hodp_wire_ud *ud)
{
	struct packet k = { .ip_len = ip_len };

	k.len = hodp_wire_ud_len(ud->has_imm, ud->payload);
	k.ip = block(ip_len);
	k.udp = block(HODP_WIRE_UDP);
	k.body = block(k.len);
	hodp_wire_ud_put(k.body, ud);
	packet_seal(&k);
	return k;
}

static const struct hodp_wire_ud sample = {
	.dest_qp = 0x123456,
	.src_qp = 0xfedcba,
	.psn = 0xffffff,
	.qkey = 0x89abcdef,
	.imm = 0x11223344,
	.has_imm = true,
	.solicited = true,
	.payload = 37,
};

static void test_round_trip(void)
{
	for (u32 payload = 0; payload < 70; payload++) {
		struct hodp_wire_ud in = sample, out;
		struct packet k;

		in.payload = payload;
		in.has_imm = payload % 3;
		in.imm = in.has_imm ? 0x11223344 : 0;
		in.solicited = payload % 2;
		k = packet_new(payload % 5 ? HODP_WIRE_IPV4 : HODP_WIRE_IPV6,
			       &in);
		CHECK(k.len % 4 == 0);
		CHECK(hodp_wire_parse(k.body, k.len, &out) == HODP_WIRE_OK);
		CHECK(out.dest_qp == in.dest_qp && out.src_qp == in.src_qp);
		CHECK(out.psn == in.psn && out.qkey == in.qkey);
		CHECK(out.has_imm == in.has_imm && out.imm == in.imm);
		CHECK(out.solicited == in.solicited);
		CHECK(out.payload == payload);
		CHECK(out.at == hodp_wire_ud_headers(in.has_imm));
		CHECK(packet_ok(&k));
		packet_free(&k);
	}
}

/* The bytes of IBTA volume 1, without our own parser. */
static void test_layout(void)
{
	static const u8 want[] = {
		0x65, 0xf0, 0xff, 0xff, 0,    0x12, 0x34, 0x56,
		0,    0xff, 0xff, 0xff, 0x89, 0xab, 0xcd, 0xef,
		0,    0xfe, 0xdc, 0xba, 0x44, 0x33, 0x22, 0x11,
	};
	struct packet k = packet_new(HODP_WIRE_IPV4, &sample);

	CHECK(k.len == 24 + 37 + 3 + 4);
	CHECK(!memcmp(k.body, want, sizeof(want)));
	packet_free(&k);
}

/* Each shorter length, in a buffer that ends there. */
static void test_truncated(void)
{
	struct packet k = packet_new(HODP_WIRE_IPV4, &sample);

	for (size_t len = 0; len < k.len; len++) {
		u8 *cut = block(len);
		struct hodp_wire_ud ud;
		enum hodp_wire_bad bad;

		memcpy(cut, k.body, len);
		bad = hodp_wire_parse(cut, len, &ud);
		if (len < HODP_WIRE_BTH + HODP_WIRE_DETH + HODP_WIRE_IMM +
				  HODP_WIRE_ICRC)
			CHECK(bad == HODP_WIRE_SHORT);
		else if (len % 4)
			CHECK(bad == HODP_WIRE_PAD);
		else if (bad == HODP_WIRE_OK)
			CHECK(!hodp_wire_icrc_ok(k.ip, k.ip_len, k.udp, cut,
						 len));
		free(cut);
	}
	packet_free(&k);
}

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
	struct packet k = packet_new(ip_len, &sample);
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

static enum hodp_wire_bad changed(size_t byte, u8 value)
{
	struct packet k = packet_new(HODP_WIRE_IPV4, &sample);
	struct hodp_wire_ud ud;
	enum hodp_wire_bad bad;

	k.body[byte] = value;
	bad = hodp_wire_parse(k.body, k.len, &ud);
	packet_free(&k);
	return bad;
}

static void test_reasons(void)
{
	struct hodp_wire_ud in = sample;
	struct hodp_wire_ud ud;
	struct packet k;

	CHECK(changed(1, 0xf1) == HODP_WIRE_VERSION);
	CHECK(changed(0, 0x04) == HODP_WIRE_OPCODE);
	CHECK(changed(0, 0x66) == HODP_WIRE_OPCODE);
	CHECK(changed(3, 0xfe) == HODP_WIRE_PKEY_BAD);
	/* A limited member of the partition. */
	CHECK(changed(2, 0x7f) == HODP_WIRE_OK);
	in.payload = 0;
	k = packet_new(HODP_WIRE_IPV4, &in);
	k.body[1] |= 1 << HODP_WIRE_PAD_SHIFT;
	CHECK(hodp_wire_parse(k.body, k.len, &ud) == HODP_WIRE_PAD);
	packet_free(&k);
	for (in.payload = 4093; in.payload < 4100; in.payload++) {
		k = packet_new(HODP_WIRE_IPV4, &in);
		CHECK(hodp_wire_parse(k.body, k.len, &ud) ==
		      (in.payload > 4096 ? HODP_WIRE_LONG : HODP_WIRE_OK));
		packet_free(&k);
	}
}

/* Random changes: no byte outside is read, and accepted lengths are in bounds. */
static void test_fuzz(void)
{
	for (int i = 0; i < MUTATIONS; i++) {
		struct hodp_wire_ud in = sample, ud;
		struct packet k;
		u8 *cut;
		size_t len;

		in.payload = next_random() % 64;
		in.has_imm = next_random() % 2;
		k = packet_new(HODP_WIRE_IPV4, &in);
		for (u32 n = next_random() % 4; n; n--)
			k.body[next_random() % k.len] = next_random();
		len = next_random() % 2 ? k.len : next_random() % (k.len + 1);
		cut = block(len);
		memcpy(cut, k.body, len);
		if (hodp_wire_parse(cut, len, &ud) == HODP_WIRE_OK) {
			CHECK(ud.at + (size_t)ud.payload + HODP_WIRE_ICRC <=
			      len);
			CHECK(ud.dest_qp <= 0xffffff && ud.psn <= 0xffffff);
			hodp_wire_icrc_ok(k.ip, k.ip_len, k.udp, cut, len);
		}
		free(cut);
		packet_free(&k);
	}
}

static const struct unit_case cases[] = {
	{ "packed headers are parsed again", test_round_trip },
	{ "headers have the bytes that the specification says", test_layout },
	{ "a truncated body is refused", test_truncated },
	{ "the ICRC covers every bit except those that routers change",
	  test_flipped },
	{ "each malformed body has its reason", test_reasons },
	{ "random bodies stay within their bounds", test_fuzz },
};

int main(void)
{
	unit_cases(cases, ARRAY_LEN(cases));
	return unit_end();
}
