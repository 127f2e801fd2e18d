/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * RoCEv2 headers: pack, parse, and protect by the ICRC (layer 0).
 *
 * A packet is an IP header, a UDP header, and the *body*: BTH, extended headers,
 * payload, padding, ICRC.  A body is an array of bytes without alignment, and
 * nothing in it is trusted before hodp_wire_parse() has checked it.
 *
 * An opcode's *row* says which headers follow the BTH, and what the packet is
 * for.  There is one parser and one writer for all rows.
 *
 * Source: IBTA volume 1, chapter 9 (headers, ICRC), annexes A17 (RoCEv2, CNP) and
 * A19 (FLUSH, ATOMIC WRITE).  Also compiled in user space for its unit test.
 * Not supported: RD, XRC.
 */
#ifndef HODP_WIRE_H
#define HODP_WIRE_H

#ifdef __KERNEL__
#include <linux/crc32.h>
#include <linux/string.h>
#include <linux/types.h>
#endif

/* Lengths of headers. */
#define HODP_WIRE_BTH 12
#define HODP_WIRE_DETH 8
#define HODP_WIRE_FETH 4
#define HODP_WIRE_RETH 16
#define HODP_WIRE_ATOMIC_ETH 28
#define HODP_WIRE_AETH 4
#define HODP_WIRE_ATOMIC_ACK_ETH 8
#define HODP_WIRE_IMM 4
#define HODP_WIRE_IETH 4
#define HODP_WIRE_CNP_RESERVED 16
#define HODP_WIRE_ICRC 4
#define HODP_WIRE_UDP 8
#define HODP_WIRE_IPV4 20
#define HODP_WIRE_IPV6 40
/* The longest headers in a body: those of an atomic operation. */
#define HODP_WIRE_HEADERS_MAX (HODP_WIRE_BTH + HODP_WIRE_ATOMIC_ETH)
/* The largest path MTU: bytes of payload. */
#define HODP_WIRE_MTU_MAX 4096
/* The longest message (IBTA C9-94). */
#define HODP_WIRE_MESSAGE_MAX 0x80000000U

#define HODP_WIRE_PORT 4791
#define HODP_WIRE_PKEY 0xffff
/* IBTA 10.9.3: the partition; the 16th bit marks full members. */
#define HODP_WIRE_PKEY_BASE 0x7fff

/* BTH byte 1. */
#define HODP_WIRE_SE 0x80
#define HODP_WIRE_MIGRATED 0x40
#define HODP_WIRE_PAD_SHIFT 4
#define HODP_WIRE_TVER 0x0f
/* BTH bytes 4 to 7, and 8 to 11: flags above a field of 24 bits. */
#define HODP_WIRE_BECN 0x40000000U
#define HODP_WIRE_ACK_REQ 0x80000000U
#define HODP_WIRE_24 0xffffffU

/* The ECN field of an IP header (RFC 3168). */
#define HODP_WIRE_ECN_MASK 3
#define HODP_WIRE_ECT1 1
#define HODP_WIRE_ECT0 2
#define HODP_WIRE_CE 3

/* CRC state after eight bytes of ones, which replace the LRH. */
#define HODP_WIRE_ICRC_SEED 0xdebb20e3U

/* Opcodes that have a use by number. */
#define HODP_WIRE_UD_SEND 0x64
#define HODP_WIRE_UD_SEND_IMM 0x65
#define HODP_WIRE_CONGESTION 0x81

/* Transport service: the upper three bits of an opcode. */
enum hodp_wire_service {
	HODP_WIRE_RC = 0,
	HODP_WIRE_UC = 1,
	HODP_WIRE_UD = 3,
	HODP_WIRE_CNP = 4, /* a congestion notification is of no service */
};

/* What a packet is for. */
enum hodp_wire_kind {
	HODP_WIRE_SEND,
	HODP_WIRE_WRITE,
	HODP_WIRE_READ,
	HODP_WIRE_CMP_SWAP,
	HODP_WIRE_FETCH_ADD,
	HODP_WIRE_FLUSH,
	HODP_WIRE_ATOMIC_WRITE,
	HODP_WIRE_NOTIFY, /* CNP */
	/* Responses. */
	HODP_WIRE_READ_RESPONSE, /* also answers FLUSH and ATOMIC WRITE */
	HODP_WIRE_ACK,
	HODP_WIRE_ATOMIC_ACK,
	HODP_WIRE_KINDS
};

/* Place of a packet in its message; bits. */
enum hodp_wire_place {
	HODP_WIRE_MIDDLE = 0,
	HODP_WIRE_FIRST = 1 << 0,
	HODP_WIRE_LAST = 1 << 1,
	HODP_WIRE_ONLY = HODP_WIRE_FIRST | HODP_WIRE_LAST,
};

/* Headers after the BTH, in the order of the bits. */
enum {
	HODP_HAS_DETH = 1 << 0,
	HODP_HAS_FETH = 1 << 1,
	HODP_HAS_RETH = 1 << 2,
	HODP_HAS_ATOMIC = 1 << 3,
	HODP_HAS_AETH = 1 << 4,
	HODP_HAS_ATOMIC_ACK = 1 << 5,
	HODP_HAS_IMM = 1 << 6,
	HODP_HAS_IETH = 1 << 7,
	HODP_HAS_RESERVED = 1 << 8, /* of a CNP */
};

/* Why a body is malformed; each reason has a counter. */
enum hodp_wire_bad {
	HODP_WIRE_OK,
	HODP_WIRE_SHORT, /* shorter than its headers */
	HODP_WIRE_VERSION, /* another transport version */
	HODP_WIRE_OPCODE, /* not supported */
	HODP_WIRE_PAD, /* the pad count contradicts the length */
	HODP_WIRE_PKEY_BAD, /* another partition */
	HODP_WIRE_LONG, /* payload longer than the largest MTU, or than none */
	HODP_WIRE_BAD_MAX
};

/**
 * struct hodp_wire_row - everything that depends on a BTH opcode
 * @name: for messages; NULL if the opcode is not supported
 * @headers: HODP_HAS_*
 * @service: enum hodp_wire_service
 * @kind: enum hodp_wire_kind
 * @place: enum hodp_wire_place; an operation of one packet is ONLY
 * @data: whether it has a payload; see hodp_wire_payload_fits()
 * @len: bytes of headers, including the BTH
 */
struct hodp_wire_row {
	const char *name;
	u16 headers;
	u8 service;
	u8 kind;
	u8 place;
	bool data;
	u8 len;
};

/**
 * struct hodp_wire_packet - the contents of a body's headers
 * @row: its opcode
 * @dest_qp, @psn: 24 bits
 * @payload: bytes of payload
 * @at: offset of the payload in the body
 * @solicited: solicited event
 * @ack_req: the requester wants an acknowledgment
 * @qkey: DETH: Q_Key
 * @src_qp: DETH: 24 bits
 * @va: RETH, AtomicETH: address in the peer's region
 * @rkey: RETH, AtomicETH: key of the peer's region
 * @length: RETH: bytes of the whole message
 * @swap_add, @compare: AtomicETH
 * @original: AtomicAckETH: the value before the operation
 * @syndrome: AETH: see aeth.h
 * @msn: AETH: 24 bits
 * @imm: ImmDt: immediate data in network byte order
 * @inv_rkey: IETH: the key to invalidate
 * @placement: FETH: placement type (enum ib_flush_type), 4 bits
 * @selectivity: FETH: selectivity level (enum ib_selectivity_level), 2 bits
 *
 * The members of a header have a meaning only if @row has that header.
 */
struct hodp_wire_packet {
	const struct hodp_wire_row *row;
	u32 dest_qp;
	u32 psn;
	u32 payload;
	u32 at;
	bool solicited;
	bool ack_req;
	u8 syndrome;
	u8 placement;
	u8 selectivity;
	u32 qkey;
	u32 src_qp;
	u64 va;
	u32 rkey;
	u32 length;
	u64 swap_add;
	u64 compare;
	u64 original;
	u32 msn;
	u32 imm;
	u32 inv_rkey;
};

static inline void hodp_wire_put32(u8 *p, u32 v)
{
	p[0] = v >> 24;
	p[1] = v >> 16;
	p[2] = v >> 8;
	p[3] = v;
}

static inline u32 hodp_wire_get32(const u8 *p)
{
	return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

/* A field of 24 bits: the lower ones of the four bytes at @p. */
static inline u32 hodp_wire_get24(const u8 *p)
{
	return hodp_wire_get32(p) & HODP_WIRE_24;
}

static inline void hodp_wire_put64(u8 *p, u64 v)
{
	hodp_wire_put32(p, v >> 32);
	hodp_wire_put32(p + 4, v);
}

static inline u64 hodp_wire_get64(const u8 *p)
{
	return (u64)hodp_wire_get32(p) << 32 | hodp_wire_get32(p + 4);
}

/* Bytes that pad @payload to a multiple of four. */
static inline u32 hodp_wire_pad(u32 payload)
{
	return -payload & 3;
}

/* The row of a BTH opcode (IBTA table 38), or NULL: not supported. */
const struct hodp_wire_row *hodp_wire_row(u8 opcode);

/**
 * hodp_wire_find - the row of the packet that carries a part of an operation
 * @service: enum hodp_wire_service
 * @kind: enum hodp_wire_kind
 * @place: enum hodp_wire_place
 * @headers: HODP_HAS_IMM and HODP_HAS_IETH: what the message's last packet
 *           carries; other bits are ignored
 *
 * Return: the row, or NULL: there is no such packet.
 */
const struct hodp_wire_row *hodp_wire_find(u8 service, u8 kind, u8 place,
					   u16 headers);

/* Length of the headers in the body of a packet. */
static inline u32 hodp_wire_headers(const struct hodp_wire_row *row)
{
	return row->len;
}

/* Length of a body, including the ICRC. */
static inline u32 hodp_wire_len(const struct hodp_wire_row *row, u32 payload)
{
	return hodp_wire_headers(row) + payload + hodp_wire_pad(payload) +
	       HODP_WIRE_ICRC;
}

/* A request that is answered by data, and counts for max_rd_atomic. */
static inline bool hodp_wire_is_read(const struct hodp_wire_row *row)
{
	return row->kind >= HODP_WIRE_READ &&
	       row->kind <= HODP_WIRE_ATOMIC_WRITE;
}

static inline bool hodp_wire_is_response(const struct hodp_wire_row *row)
{
	return row->kind >= HODP_WIRE_READ_RESPONSE;
}

/**
 * hodp_wire_payload_fits - may a packet have a payload of this length?
 * @row: its opcode
 * @payload: bytes
 * @mtu: path MTU in bytes
 *
 * First and middle packets are full, a last one has at least one byte, and an
 * only one may be empty (IBTA 9.7.4.1, C9-92).
 */
static inline bool hodp_wire_payload_fits(const struct hodp_wire_row *row,
					  u32 payload, u32 mtu)
{
	if (!row->data)
		return !payload;
	if (!(row->place & HODP_WIRE_LAST))
		return payload == mtu;
	return payload <= mtu && (payload || row->place == HODP_WIRE_ONLY);
}

/**
 * hodp_wire_put - write the headers of a body
 * @p: buffer of hodp_wire_headers() bytes
 * @k: contents; @at is ignored
 *
 * Reserved bits are 0, and values are cut to the width of their field.
 */
void hodp_wire_put(u8 *p, const struct hodp_wire_packet *k);

/**
 * hodp_wire_parse - check and read a body
 * @p: the body
 * @len: length of the body, including the ICRC
 * @k: result; undefined on failure
 *
 * It checks what can be checked without a QP (IBTA 9.6), so not the order of
 * packets, nor the payload against the path MTU (see message.h).  Reserved bits
 * are ignored.  It does not check the ICRC, see hodp_wire_icrc_ok().
 * Return: HODP_WIRE_OK, or why the body is malformed: drop it silently.
 */
enum hodp_wire_bad hodp_wire_parse(const u8 *p, size_t len,
				   struct hodp_wire_packet *k);

static inline u8 hodp_wire_ecn(const u8 *ip, u32 ip_len)
{
	u8 class = ip_len == HODP_WIRE_IPV4 ? ip[1] : ip[1] >> 4;

	return class & HODP_WIRE_ECN_MASK;
}

/* @traffic_class for a sender that obeys marks: ECN-capable, and not marked. */
static inline u8 hodp_wire_ect(u8 traffic_class)
{
	if ((traffic_class & HODP_WIRE_ECN_MASK) == HODP_WIRE_ECT1)
		return traffic_class;
	return (traffic_class & ~HODP_WIRE_ECN_MASK) | HODP_WIRE_ECT0;
}

/* @traffic_class for a sender that does not: what would be marked is lost instead. */
static inline u8 hodp_wire_not_ect(u8 traffic_class)
{
	return traffic_class & ~HODP_WIRE_ECN_MASK;
}

/* Copy an IP header, with ones for the fields that routers may change. */
static inline void hodp_wire_mask_ip(u8 *h, const u8 *ip, u32 ip_len)
{
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
	/* Each call of crc32_le() has a price, so let a short packet need one. */
	u8 h[HODP_WIRE_IPV6 + HODP_WIRE_UDP + 64];
	u32 headers = ip_len + HODP_WIRE_UDP;
	size_t first = len <= 64 ? len : HODP_WIRE_BTH;
	u32 crc;

	hodp_wire_mask_ip(h, ip, ip_len);
	memcpy(h + ip_len, udp, HODP_WIRE_UDP);
	h[ip_len + 6] = 0xff; /* checksum */
	h[ip_len + 7] = 0xff;
	memcpy(h + headers, body, first);
	h[headers + 4] = 0xff; /* FECN, BECN, reserved */
	crc = crc32_le(HODP_WIRE_ICRC_SEED, h, headers + first);
	if (first < len)
		crc = crc32_le(crc, body + first, len - first);
	return ~crc;
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
