// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A generator of packets: mostly something that a peer might send, with something
 * wrong about it. And a judge, which reads a packet's bytes and knows nothing of how
 * it was made.
 */
#include "hostile.h"

#define MTU 1024 /* of the victims */

struct area hostile_secret;

const char *const fate_counters[FATES] = {
	[FATE_BAD_UDP] = "rx_bad_udp",	   [FATE_SHORT] = "rx_bad_short",
	[FATE_VERSION] = "rx_bad_version", [FATE_OPCODE] = "rx_bad_opcode",
	[FATE_PKEY] = "rx_bad_pkey",	   [FATE_PAD] = "rx_bad_pad",
	[FATE_LONG] = "rx_bad_long",	   [FATE_ICRC] = "rx_icrc_encapsulated",
	[FATE_NO_QP] = "rx_no_qp",	   [FATE_UD] = "ud_drops",
	[FATE_STRANGER] = "rx_stranger",
};

/* --- the judge ----------------------------------------------------------------------- */

/* Bytes of headers from the BTH on, and whether a payload follows; 0: unknown. */
static int lengths(uint8_t op, bool *data)
{
	int has = rc_headers(op), len = PKT_BTH;

	*data = op <= 0x0b || (op >= 0x0d && op <= 0x10) || op == 0x16 || op == 0x17;
	if (has >= 0) {
		len += has & RC_HAS_RETH ? 16 : 0;
		len += has & RC_HAS_ATOMIC ? 28 : 0;
		len += has & RC_HAS_AETH ? 4 : 0;
		len += has & RC_HAS_ORIGINAL ? 8 : 0;
		return len + (has & RC_HAS_IMM ? 4 : 0);
	}
	switch (op) {
	case 0x1c: /* FLUSH */ return PKT_BTH + 4 + 16;
	case 0x1d: /* ATOMIC WRITE */ *data = true; return PKT_BTH + 16;
	case RC_CNP: return PKT_BTH + 16;
	case 0x64: /* UD SEND */ *data = true; return PKT_BTH + 8;
	case 0x65: *data = true; return PKT_BTH + 12;
	}
	/* UC is like RC. */
	return op >= 0x20 && op <= 0x2b ? lengths(op - 0x20, data) : 0;
}

/* Is the UDP checksum right? */
static bool checksum_ok(const uint8_t *k, uint32_t len)
{
	uint32_t sum = 17 + len;

	for (uint32_t i = 12; i < PKT_IP + len; i += 2)
		sum += k[i] << 8 | (i + 1 < PKT_IP + len ? k[i + 1] : 0);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

/* IBTA 9.6, in the order of the checks. */
static enum fate judge_body(const uint8_t *b, uint32_t len)
{
	uint32_t pad, least;
	bool data;

	if (len < PKT_BTH + PKT_ICRC)
		return FATE_SHORT;
	if (b[1] & 0x0f)
		return FATE_VERSION;
	least = lengths(b[0], &data);
	if (!least)
		return FATE_OPCODE;
	if (((b[2] << 8 | b[3]) & 0x7fff) != 0x7fff)
		return FATE_PKEY;
	least += PKT_ICRC;
	if (len < least)
		return FATE_SHORT;
	pad = b[1] >> 4 & 3;
	if (len % 4 || len - least < pad)
		return FATE_PAD;
	if (len - least - pad > (data ? 4096 : 0))
		return FATE_LONG;
	return FATE_QUEUED;
}

enum fate hostile_fate(const uint8_t *k, size_t len, const uint32_t *qpns, int num)
{
	uint32_t udp = k[24] << 8 | k[25], qpn;
	const uint8_t *b = k + PKT_HEAD;
	bool known = false, ud;
	enum fate f;

	if (udp < 8 || udp > len - PKT_IP)
		return FATE_BAD_UDP;
	if ((k[26] || k[27]) && !checksum_ok(k, udp))
		return FATE_BAD_UDP;
	f = judge_body(b, udp - 8);
	if (f != FATE_QUEUED)
		return f;
	if (!pkt_icrc_ok(k, PKT_IP + udp))
		return FATE_ICRC;
	qpn = pkt_get24(b + 4);
	ud = b[0] == 0x64 || b[0] == 0x65;
	/* QP 1 is the kernel's. */
	if (qpn == 1)
		return ud ? FATE_QUEUED : FATE_STRANGER;
	for (int i = 0; i < num; i++)
		known |= qpn == qpns[i];
	if (!known)
		return FATE_NO_QP;
	if (ud)
		return FATE_UD;
	if ((b[0] >= 0x20 && b[0] != RC_CNP) || memcmp(k + 12, rc_gid.raw + 12, 4) ||
	    memcmp(k + 16, rc_dev.gid.raw + 12, 4))
		return FATE_STRANGER;
	return FATE_QUEUED;
}

/* --- the generator ------------------------------------------------------------------- */

/* A number near @right, most of the time. */
static uint32_t near(uint32_t right, struct ht_rng *r)
{
	switch (ht_below(r, 16)) {
	case 0: return right + 1 + ht_below(r, 8);
	case 1: return right - 1 - ht_below(r, 8);
	case 2: return right + ht_below(r, 200);
	case 3: return right - ht_below(r, 1000);
	case 4: return right + 0x7ffffe + ht_below(r, 4);
	case 5: return ht_rand(r);
	default: return right;
	}
}

static const struct area *any_area(const struct victim *v, struct ht_rng *r)
{
	const struct area *all[] = { &v->open,	 &v->open,  &v->open,
				     &v->closed, &v->local, &hostile_secret };

	return all[ht_below(r, HT_LEN(all))];
}

static void aim(struct rc_msg *m, const struct victim *v, struct ht_rng *r)
{
	const struct area *a = any_area(v, r);

	m->va = ht_iova(&a->mr, a->p) + ht_below(r, a->len);
	m->rkey = a->mr.mr->rkey;
	switch (ht_below(r, 24)) {
	case 0: m->va = ht_iova(&a->mr, a->p) + a->len - ht_below(r, 9); break;
	case 1: m->va = ht_iova(&a->mr, a->p) - ht_below(r, 9); break;
	case 2: m->va = ht_rand(r); break;
	case 3: m->va = -ht_below(r, 4096); break;
	case 4: m->rkey ^= 1U << ht_below(r, 32); break;
	case 5: m->rkey = ht_rand(r); break;
	case 6: m->rkey = any_area(v, r)->mr.mr->rkey; break;
	}
	if (m->op == RC_CMP_SWAP || m->op == RC_FETCH_ADD)
		m->va &= ht_below(r, 8) ? ~7ULL : ~0ULL;
}

static uint32_t payload(uint8_t op, struct ht_rng *r)
{
	bool data;

	lengths(op, &data);
	if (!data)
		return ht_below(r, 32) ? 0 : ht_below(r, 64);
	switch (ht_below(r, 16)) {
	case 0: return MTU;
	case 1: return MTU + 1 + ht_below(r, 8);
	case 2: return ht_below(r, 32) ? 4096 : 4097 + ht_below(r, 4000);
	case 3: return 0;
	default:
		/* First and middle packets are full. */
		if ((op == RC_SEND_FIRST || op == RC_SEND_MIDDLE || op == RC_WRITE_FIRST ||
		     op == RC_WRITE_MIDDLE || op == RC_RESPONSE_FIRST ||
		     op == RC_RESPONSE_MIDDLE) &&
		    ht_below(r, 4))
			return MTU;
		return ht_below(r, 65);
	}
}

static uint8_t syndrome(struct ht_rng *r)
{
	static const uint8_t all[] = { RC_GOOD,		RC_GOOD,	RC_GOOD,
				       RC_RNR | 1,	RC_RNR | 2,	RC_NAK_SEQUENCE,
				       RC_NAK_SEQUENCE, RC_NAK_INVALID, RC_NAK_ACCESS };

	return ht_below(r, 8) ? all[ht_below(r, HT_LEN(all))] : ht_rand(r);
}

static uint8_t opcode(struct ht_rng *r)
{
	static const uint8_t usual[] = {
		RC_WRITE_ONLY, RC_WRITE_ONLY, RC_WRITE_ONLY,	RC_WRITE_FIRST, RC_WRITE_MIDDLE,
		RC_WRITE_LAST, RC_SEND_ONLY,  RC_SEND_ONLY,	RC_SEND_FIRST,	RC_SEND_LAST,
		RC_READ,       RC_READ,	      RC_FETCH_ADD,	RC_CMP_SWAP,	0x0b,
		RC_ACK,	       RC_ACK,	      RC_RESPONSE_ONLY, RC_ATOMIC_ACK,	RC_RESPONSE_FIRST,
	};

	/* FLUSH, ATOMIC WRITE, a CNP; UC and UD. */
	static const uint8_t others[] = { 0x1c, 0x1d, RC_CNP, 0x20, 0x24, 0x2a, 0x64, 0x65 };

	switch (ht_below(r, 16)) {
	case 0: return ht_below(r, 0x20);
	case 1: return ht_below(r, 4) ? others[ht_below(r, HT_LEN(others))] : ht_rand(r);
	default: return usual[ht_below(r, HT_LEN(usual))];
	}
}

/* Something wrong with the bytes of a good packet. Returns its new length. */
static size_t spoil(uint8_t *k, size_t len, struct ht_rng *r)
{
	uint8_t *b = k + PKT_HEAD;
	bool seal = true;
	size_t cut = len;

	switch (ht_below(r, 12)) {
	case 0: cut = PKT_HEAD + ht_below(r, len - PKT_HEAD + 1); break;
	case 1: cut = PKT_HEAD + ht_below(r, (len - PKT_HEAD) / 4 + 1) * 4; break;
	case 2: b[0] = ht_rand(r); break;
	case 3: b[1] ^= 1 << ht_below(r, 8); break;
	case 4: b[2 + ht_below(r, 2)] = ht_rand(r); break;
	case 5: b[5 + ht_below(r, 3)] = ht_rand(r); break;
	case 6: b[4 + ht_below(r, len - PKT_HEAD - 4)] ^= 1 << ht_below(r, 8); break;
	case 7: /* The length in the UDP header. */
		pkt_put32(k + 24, (uint32_t)ht_below(r, len + 8) << 16);
		pkt_set_icrc(k, len);
		return len;
	case 8: /* A checksum, hardly ever right. */
		k[26] = 1 + ht_below(r, 255);
		k[27] = ht_rand(r);
		return len;
	default:
		seal = false;
		for (uint64_t n = 1 + ht_below(r, 8); n; n--)
			k[PKT_HEAD + ht_below(r, len - PKT_HEAD)] = ht_rand(r);
		break;
	}
	pkt_set_length(k, cut);
	if (seal && cut >= PKT_HEAD + PKT_BTH + PKT_ICRC)
		pkt_set_icrc(k, cut);
	return cut;
}

size_t hostile_make(uint8_t *k, struct victim *v, struct ht_rng *r)
{
	static uint8_t data[PKT_MAX];
	struct rc_msg m = { .op = opcode(r) };
	bool answer, is_rc = rc_headers(m.op) >= 0;
	size_t len;

	answer = m.op >= RC_RESPONSE_FIRST && m.op <= RC_ATOMIC_ACK;
	m.ask = ht_below(r, 2);
	m.psn = near(answer ? v->asked : v->p.psn, r);
	aim(&m, v, r);
	m.len = payload(m.op, r);
	m.data = data;
	m.length = m.op == RC_READ ? ht_below(r, 3 * MTU) : m.len;
	if (m.op == RC_WRITE_FIRST)
		m.length = m.len + 1 + ht_below(r, 2 * MTU);
	if (!ht_below(r, 12))
		m.length = ht_below(r, 2) ? near(m.length, r) : ht_rand(r);
	m.add = ht_rand(r);
	m.compare = ht_rand(r);
	m.original = ht_rand(r);
	m.imm = ht_below(r, 4) ? (uint32_t)ht_rand(r) : any_area(v, r)->mr.mr->rkey;
	m.syndrome = syndrome(r);
	m.msn = ht_rand(r);
	ht_fill(data, HT_MIN(m.len, 64U), ht_rand(r), 0);
	len = rc_build(k, &v->p, &m);
	if (!is_rc)
		return len;
	if (!answer && m.psn == v->p.psn)
		v->p.psn = (m.psn + 1) & 0xffffff;
	return ht_below(r, 4) ? len : spoil(k, len, r);
}

void hostile_disguise(uint8_t *k, size_t len, struct ht_rng *r)
{
	uint32_t udp = k[24] << 8 | k[25];

	/* 10.79.0.3 to 10.79.0.252: no host. */
	k[15] = 3 + ht_below(r, 250);
	if (udp >= 8 + PKT_BTH + PKT_ICRC && PKT_IP + udp <= len)
		pkt_set_icrc(k, PKT_IP + udp);
}
