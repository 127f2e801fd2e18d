/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * RoCEv2 headers: pack, parse, and protect by the ICRC (layer 0).
 *
 * A packet is an IP header, a UDP header, and the *body*: BTH, extended headers,
 * payload, padding, ICRC.  A body is an array of bytes without alignment, and
 * nothing in it is trusted before hodp_wire_parse() has checked it.
 *
 * Source: IBTA volume 1, chapter 9 (headers, ICRC), annex A17 (RoCEv2).
 * Not supported: the opcodes of connected services.
 */
#ifndef HODP_WIRE_H
#define HODP_WIRE_H

#ifdef __KERNEL__
#include <linux/crc32.h>
#include <linux/string.h>
#include <linux/types.h>
#endif

#define HODP_WIRE_BTH 12
#define HODP_WIRE_DETH 8
#define HODP_WIRE_IMM 4
#define HODP_WIRE_ICRC 4
#define HODP_WIRE_UDP 8
#define HODP_WIRE_IPV4 20
#define HODP_WIRE_IPV6 40
/* The longest headers of a datagram, in the body. */
#define HODP_WIRE_UD_MAX (HODP_WIRE_BTH + HODP_WIRE_DETH + HODP_WIRE_IMM)

/* The largest path MTU: bytes of payload. */
#define HODP_WIRE_MTU_MAX 4096

#define HODP_WIRE_PORT 4791
#define HODP_WIRE_PKEY 0xffff
/* IBTA 10.9.3: the partition; the 16th bit marks full members. */
#define HODP_WIRE_PKEY_BASE 0x7fff

/* BTH opcodes. */
#define HODP_WIRE_UD_SEND 0x64
#define HODP_WIRE_UD_SEND_IMM 0x65

/* BTH byte 1. */
#define HODP_WIRE_SE 0x80
#define HODP_WIRE_MIGRATED 0x40
#define HODP_WIRE_PAD_SHIFT 4
#define HODP_WIRE_TVER 0x0f

/* CRC state after eight bytes of ones, which replace the LRH. */
#define HODP_WIRE_ICRC_SEED 0xdebb20e3U

/* Why a body is malformed; each reason has a counter. */
enum hodp_wire_bad {
	HODP_WIRE_OK,
	HODP_WIRE_SHORT, /* shorter than its headers */
	HODP_WIRE_VERSION, /* another transport version */
	HODP_WIRE_OPCODE, /* not supported */
	HODP_WIRE_PAD, /* the pad count contradicts the length */
	HODP_WIRE_PKEY_BAD, /* another partition */
	HODP_WIRE_LONG, /* payload longer than the largest MTU */
	HODP_WIRE_BAD_MAX
};

/**
 * struct hodp_wire_ud - the contents of a datagram's headers
 * @dest_qp, @src_qp, @psn: 24 bits
 * @qkey: Q_Key
 * @imm: immediate data in network byte order, 0 without @has_imm
 * @has_imm: whether there is immediate data
 * @solicited: solicited event
 * @payload: bytes of payload
 * @at: offset of the payload in the body
 */
struct hodp_wire_ud {
	u32 dest_qp;
	u32 src_qp;
	u32 psn;
	u32 qkey;
	u32 imm;
	bool has_imm;
	bool solicited;
	u32 payload;
	u32 at;
};

static inline void hodp_wire_put24(u8 *p, u32 v)
{
	p[0] = v >> 16;
	p[1] = v >> 8;
	p[2] = v;
}

static inline u32 hodp_wire_get24(const u8 *p)
{
	return (u32)p[0] << 16 | (u32)p[1] << 8 | p[2];
}

static inline void hodp_wire_put32(u8 *p, u32 v)
{
	p[0] = v >> 24;
	hodp_wire_put24(p + 1, v);
}

static inline u32 hodp_wire_get32(const u8 *p)
{
	return (u32)p[0] << 24 | hodp_wire_get24(p + 1);
}

/* Bytes that pad @payload to a multiple of four. */
static inline u32 hodp_wire_pad(u32 payload)
{
	return -payload & 3;
}

/* Length of a datagram's headers in the body. */
static inline u32 hodp_wire_ud_headers(bool has_imm)
{
	return HODP_WIRE_BTH + HODP_WIRE_DETH + (has_imm ? HODP_WIRE_IMM : 0);
}

/* Length of a datagram's body, including the ICRC. */
static inline u32 hodp_wire_ud_len(bool has_imm, u32 payload)
{
	return hodp_wire_ud_headers(has_imm) + payload +
	       hodp_wire_pad(payload) + HODP_WIRE_ICRC;
}

/**
 * hodp_wire_ud_put - write the headers of a datagram
 * @p: buffer of hodp_wire_ud_headers() bytes
 * @ud: contents; @at is ignored
 */
static inline void hodp_wire_ud_put(u8 *p, const struct hodp_wire_ud *ud)
{
	p[0] = ud->has_imm ? HODP_WIRE_UD_SEND_IMM : HODP_WIRE_UD_SEND;
	p[1] = (ud->solicited ? HODP_WIRE_SE : 0) | HODP_WIRE_MIGRATED |
	       hodp_wire_pad(ud->payload) << HODP_WIRE_PAD_SHIFT;
	p[2] = HODP_WIRE_PKEY >> 8;
	p[3] = HODP_WIRE_PKEY & 0xff;
	hodp_wire_put32(p + 4, ud->dest_qp);
	hodp_wire_put32(p + 8, ud->psn);
	p += HODP_WIRE_BTH;
	hodp_wire_put32(p, ud->qkey);
	hodp_wire_put32(p + 4, ud->src_qp);
	if (ud->has_imm)
		memcpy(p + HODP_WIRE_DETH, &ud->imm, sizeof(ud->imm));
}

/**
 * hodp_wire_parse - check and read a body
 * @p: the body
 * @len: length of the body, including the ICRC
 * @ud: result; undefined on failure
 *
 * It does not check the ICRC, see hodp_wire_icrc_ok().
 * Return: HODP_WIRE_OK, or why the body is malformed.
 */
static inline enum hodp_wire_bad hodp_wire_parse(const u8 *p, size_t len,
						 struct hodp_wire_ud *ud)
{
	size_t least;
	u32 pad;

	if (len < HODP_WIRE_BTH + HODP_WIRE_ICRC)
		return HODP_WIRE_SHORT;
	if (p[1] & HODP_WIRE_TVER)
		return HODP_WIRE_VERSION;
	if (p[0] != HODP_WIRE_UD_SEND && p[0] != HODP_WIRE_UD_SEND_IMM)
		return HODP_WIRE_OPCODE;
	if ((((u32)p[2] << 8 | p[3]) & HODP_WIRE_PKEY_BASE) !=
	    (HODP_WIRE_PKEY & HODP_WIRE_PKEY_BASE))
		return HODP_WIRE_PKEY_BAD;
	ud->has_imm = p[0] == HODP_WIRE_UD_SEND_IMM;
	ud->at = hodp_wire_ud_headers(ud->has_imm);
	least = ud->at + HODP_WIRE_ICRC;
	if (len < least)
		return HODP_WIRE_SHORT;
	pad = p[1] >> HODP_WIRE_PAD_SHIFT & 3;
	if (len % 4 || len - least < pad)
		return HODP_WIRE_PAD;
	ud->payload = len - least - pad;
	if (ud->payload > HODP_WIRE_MTU_MAX)
		return HODP_WIRE_LONG;
	ud->solicited = p[1] & HODP_WIRE_SE;
	ud->dest_qp = hodp_wire_get24(p + 5);
	ud->psn = hodp_wire_get24(p + 9);
	p += HODP_WIRE_BTH;
	ud->qkey = hodp_wire_get32(p);
	ud->src_qp = hodp_wire_get24(p + 5);
	ud->imm = 0;
	if (ud->has_imm)
		memcpy(&ud->imm, p + HODP_WIRE_DETH, sizeof(ud->imm));
	return HODP_WIRE_OK;
}

/* CRC of an IP header, with ones for the fields that routers may change. */
static inline u32 hodp_wire_crc_ip(const u8 *ip, u32 ip_len)
{
	u8 h[HODP_WIRE_IPV6];

	memcpy(h, ip, ip_len);
	if (ip_len == HODP_WIRE_IPV4) {
		h[1] = 0xff; /* TOS */
		h[8] = 0xff; /* TTL */
		h[10] = 0xff; /* checksum */
		h[11] = 0xff;
	} else {
		h[0] |= 0x0f; /* traffic class and flow label */
		h[1] = 0xff;
		h[2] = 0xff;
		h[3] = 0xff;
		h[7] = 0xff; /* hop limit */
	}
	return crc32_le(HODP_WIRE_ICRC_SEED, h, ip_len);
}

/**
 * hodp_wire_icrc - compute the invariant CRC of a packet
 * @ip: IP header, without options
 * @ip_len: HODP_WIRE_IPV4 or HODP_WIRE_IPV6
 * @udp: UDP header
 * @body: the body
 * @len: length of the body without the ICRC, at least HODP_WIRE_BTH
 */
static inline u32 hodp_wire_icrc(const u8 *ip, u32 ip_len, const u8 *udp,
				 const u8 *body, size_t len)
{
	u8 h[HODP_WIRE_UDP + HODP_WIRE_BTH];
	u32 crc = hodp_wire_crc_ip(ip, ip_len);

	memcpy(h, udp, HODP_WIRE_UDP);
	h[6] = 0xff; /* checksum */
	h[7] = 0xff;
	memcpy(h + HODP_WIRE_UDP, body, HODP_WIRE_BTH);
	h[HODP_WIRE_UDP + 4] = 0xff; /* FECN, BECN, reserved */
	crc = crc32_le(crc, h, sizeof(h));
	return ~crc32_le(crc, body + HODP_WIRE_BTH, len - HODP_WIRE_BTH);
}

/* The ICRC is little-endian. */
static inline void hodp_wire_icrc_put(u8 *p, u32 icrc)
{
	p[0] = icrc;
	p[1] = icrc >> 8;
	p[2] = icrc >> 16;
	p[3] = icrc >> 24;
}

/* Check the ICRC of a parsed body.  @len includes the ICRC. */
static inline bool hodp_wire_icrc_ok(const u8 *ip, u32 ip_len, const u8 *udp,
				     const u8 *body, size_t len)
{
	u8 icrc[HODP_WIRE_ICRC];

	len -= HODP_WIRE_ICRC;
	hodp_wire_icrc_put(icrc, hodp_wire_icrc(ip, ip_len, udp, body, len));
	return !memcmp(icrc, body + len, HODP_WIRE_ICRC);
}

#endif /* HODP_WIRE_H */
