// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The handmade peer: packets by a raw socket, and what comes back by a capture, both
 * in its network namespace. Nothing answers by itself, so a case is as deterministic
 * as it wants to be.
 */
#include "rc.h"

#define PEER_NS "ns1"
#define PEER_NETDEV "hodp-ns1"
#define GUARD (3 * HT_PAGE)

const union ibv_gid rc_gid = { .raw = { [10] = 0xff, 0xff, 10, 79, 0, 1 } };
struct ht_dev rc_dev;
int rc_raw, rc_cap;

/* --- connections ------------------------------------------------------------------- */

void peer_more(struct peer *p, const struct peer *from, const struct ht_conf *conf)
{
	static uint32_t next = 0xabc001;

	p->qpn = next++;
	p->conf = conf ? *conf : (struct ht_conf){ 0 };
	if (!p->conf.mtu)
		p->conf.mtu = IBV_MTU_1024;
	/* The peer does what a case says; no case waits for a timeout unasked, nor is
	 * anything sent again before it: that needs an rnr_retry of 7.
	 */
	if (!p->conf.timeout)
		p->conf.timeout = 24;
	if (!p->conf.rnr_retry)
		p->conf.rnr_retry = 6;
	p->s = (struct ht_side){ .dev = &rc_dev, .pd = from->s.pd };
	ht_side_create(&p->s, &p->conf, 0);
}

void peer_open(struct peer *p, const struct ht_conf *conf)
{
	ht_open(&rc_dev, ht_opt.peer);
	rc_raw = pkt_socket(PEER_NS);
	rc_cap = pkt_capture(PEER_NS, PEER_NETDEV);
	p->s.pd = ibv_alloc_pd(rc_dev.ctx);
	ht_true(p->s.pd);
	peer_more(p, p, conf);
}

void peer_connect(struct peer *p, uint32_t psn, uint32_t qp_psn)
{
	struct ht_addr a = { .qpn = p->qpn, .psn = psn, .gid = rc_gid };

	p->psn = psn;
	p->s.psn = qp_psn;
	ht_connect(&p->s, &p->conf, &a);
}

void peer_get(struct peer *p, const struct ht_conf *conf)
{
	peer_open(p, conf);
	peer_connect(p, PEER_PSN, QP_PSN);
}

/* --- packets ----------------------------------------------------------------------- */

int rc_headers(uint8_t op)
{
	switch (op) {
	case RC_SEND_FIRST:
	case RC_SEND_MIDDLE:
	case RC_SEND_LAST:
	case RC_SEND_ONLY:
	case RC_WRITE_MIDDLE:
	case RC_WRITE_LAST:
	case RC_RESPONSE_MIDDLE: return 0;
	case 0x03: /* SEND LAST with immediate data */
	case 0x05: /* SEND ONLY, the same */
	case 0x09: /* WRITE LAST, the same */
	case 0x16: /* SEND LAST with a key to invalidate */
	case 0x17: /* SEND ONLY, the same */ return RC_HAS_IMM;
	case 0x0b: /* WRITE ONLY with immediate data */ return RC_HAS_RETH | RC_HAS_IMM;
	case RC_WRITE_FIRST:
	case RC_WRITE_ONLY:
	case RC_READ: return RC_HAS_RETH;
	case RC_RESPONSE_FIRST:
	case RC_RESPONSE_LAST:
	case RC_RESPONSE_ONLY:
	case RC_ACK: return RC_HAS_AETH;
	case RC_ATOMIC_ACK: return RC_HAS_AETH | RC_HAS_ORIGINAL;
	case RC_CMP_SWAP:
	case RC_FETCH_ADD: return RC_HAS_ATOMIC;
	default: return -1;
	}
}

static uint8_t *put64(uint8_t *at, uint64_t v)
{
	pkt_put32(at, v >> 32);
	pkt_put32(at + 4, v);
	return at + 8;
}

static uint64_t get64(const uint8_t *at)
{
	return (uint64_t)pkt_get32(at) << 32 | pkt_get32(at + 4);
}

/* The extended headers. Returns their end. */
static uint8_t *put_headers(uint8_t *at, int has, const struct rc_msg *m)
{
	if (has & (RC_HAS_RETH | RC_HAS_ATOMIC)) {
		at = put64(at, m->va);
		pkt_put32(at, m->rkey);
		at += 4;
	}
	if (has & RC_HAS_RETH) {
		pkt_put32(at, m->length);
		at += 4;
	}
	if (has & RC_HAS_ATOMIC)
		at = put64(put64(at, m->add), m->compare);
	if (has & RC_HAS_AETH) {
		pkt_put32(at, (uint32_t)m->syndrome << 24 | (m->msn & 0xffffff));
		at += 4;
	}
	if (has & RC_HAS_ORIGINAL)
		at = put64(at, m->original);
	if (has & RC_HAS_IMM) {
		pkt_put32(at, m->imm);
		at += 4;
	}
	return at;
}

size_t rc_build(uint8_t *k, const struct peer *p, const struct rc_msg *m)
{
	uint32_t pad = -m->len & 3;
	uint8_t *at;
	size_t len;

	pkt_begin(k, &rc_gid, &rc_dev.gid);
	at = k + PKT_HEAD;
	pkt_put32(at, (uint32_t)m->op << 24 | 0x40ffff | pad << 20);
	pkt_put32(at + 4, p->s.qp->qp_num);
	pkt_put32(at + 8, (m->ask ? 0x80000000 : 0) | (m->psn & 0xffffff));
	at = put_headers(at + PKT_BTH, rc_headers(m->op), m);
	if (m->len)
		memcpy(at, m->data, m->len);
	memset(at + m->len, 0, pad);
	len = at + m->len + pad + PKT_ICRC - k;
	pkt_set_length(k, len);
	pkt_set_icrc(k, len);
	return len;
}

/* Returns the end of the extended headers. */
static const uint8_t *get_headers(const uint8_t *at, int has, struct rc_msg *m)
{
	if (has & (RC_HAS_RETH | RC_HAS_ATOMIC)) {
		m->va = get64(at);
		m->rkey = pkt_get32(at + 8);
		at += 12;
	}
	if (has & RC_HAS_RETH) {
		m->length = pkt_get32(at);
		at += 4;
	}
	if (has & RC_HAS_ATOMIC) {
		m->add = get64(at);
		m->compare = get64(at + 8);
		at += 16;
	}
	if (has & RC_HAS_AETH) {
		m->syndrome = at[0];
		m->msn = pkt_get24(at);
		at += 4;
	}
	if (has & RC_HAS_ORIGINAL) {
		m->original = get64(at);
		at += 8;
	}
	if (has & RC_HAS_IMM) {
		m->imm = pkt_get32(at);
		at += 4;
	}
	return at;
}

void rc_parse(const uint8_t *k, size_t len, struct rc_msg *m)
{
	const uint8_t *bth = k + PKT_HEAD;
	uint32_t pad = bth[1] >> 4 & 3;
	int has = rc_headers(bth[0]);

	ht_check(has >= 0, "the QP has sent opcode 0x%02x", bth[0]);
	ht_check(pkt_icrc_ok(k, len), "the QP has sent a wrong ICRC");
	ht_eq(bth[1] & 0x0f, 0);
	ht_eq(bth[2] << 8 | bth[3], 0xffff);
	*m = (struct rc_msg){
		.op = bth[0],
		.ask = bth[8] & 0x80,
		.psn = pkt_get24(bth + 8),
	};
	m->data = get_headers(bth + PKT_BTH, has, m);
	ht_true(m->data + pad + PKT_ICRC <= k + len);
	m->len = k + len - PKT_ICRC - pad - m->data;
	ht_check_value(m->data + m->len, pad, 0, "padding");
}

void peer_send(const struct peer *p, const struct rc_msg *m)
{
	uint8_t k[PKT_MAX];

	pkt_send(rc_raw, k, rc_build(k, p, m));
}

bool peer_poll(const struct peer *p, struct rc_msg *m, unsigned int ms)
{
	uint64_t deadline = ht_deadline(ms);
	static uint8_t k[PKT_MAX];
	size_t len;
	bool out;

	do {
		len = pkt_next(rc_cap, k, &out, 0);
		if (len && !out && pkt_get24(k + PKT_HEAD + 4) == p->qpn) {
			rc_parse(k, len, m);
			return true;
		}
	} while (len || !ht_over(deadline));
	return false;
}

static bool is_syndrome(const struct rc_msg *m, uint8_t syndrome)
{
	switch (syndrome) {
	case RC_GOOD: return rc_is_good(m);
	case RC_RNR: return m->syndrome >> 5 == 1;
	default: return m->syndrome == syndrome;
	}
}

void peer_want(const struct peer *p, uint32_t psn, uint8_t syndrome, const char *what)
{
	struct rc_msg m;

	ht_check(peer_poll(p, &m, HT_PATIENCE_MS), "no answer: %s", what);
	ht_check(m.op == RC_ACK && m.psn == (psn & 0xffffff) && is_syndrome(&m, syndrome),
		 "%s: opcode 0x%02x, PSN 0x%06x, syndrome 0x%02x, not 0x%02x, 0x%06x, 0x%02x", what,
		 m.op, m.psn, m.syndrome, RC_ACK, psn & 0xffffff, syndrome);
}

void peer_want_op(const struct peer *p, struct rc_msg *m, uint8_t op, uint32_t psn)
{
	ht_check(peer_poll(p, m, HT_PATIENCE_MS), "no packet 0x%02x of PSN 0x%06x", op, psn);
	ht_check(m->op == op && m->psn == (psn & 0xffffff),
		 "opcode 0x%02x, PSN 0x%06x, not 0x%02x, 0x%06x", m->op, m->psn, op,
		 psn & 0xffffff);
}

void peer_quiet(const struct peer *p, unsigned int ms, const char *what)
{
	struct rc_msg m;

	ht_checked();
	if (peer_poll(p, &m, ms))
		ht_fail("%s: there is opcode 0x%02x, PSN 0x%06x, syndrome 0x%02x", what, m.op,
			m.psn, m.syndrome);
}

void peer_flush(void)
{
	static uint8_t k[PKT_MAX];
	bool out;

	while (pkt_next(rc_cap, k, &out, 0))
		;
}

struct rc_msg peer_write(struct peer *p, const struct ht_mr *mr, const void *to, uint32_t len,
			 uint64_t seed, uint64_t at)
{
	static uint8_t data[4096];

	ht_true(len <= sizeof(data));
	ht_fill(data, len, seed, at);
	return (struct rc_msg){
		.op = RC_WRITE_ONLY,
		.ask = true,
		.psn = p->psn++ & 0xffffff,
		.va = ht_iova(mr, to),
		.rkey = mr->mr->rkey,
		.length = len,
		.data = data,
		.len = len,
	};
}

void peer_alive(struct peer *p, const struct ht_mr *mr, uint8_t *to, uint64_t seed)
{
	struct rc_msg m = peer_write(p, mr, to, 333, seed, 0);

	peer_flush();
	peer_send(p, &m);
	peer_want(p, m.psn, RC_GOOD, "a WRITE to see that it is well");
	ht_check_fill(to, 333, seed, 0, "its bytes");
}

/* --- memory ------------------------------------------------------------------------ */

void area_fill(const struct area *a)
{
	ht_fill(a->buf, a->size, RC_FILL, 0);
}

void area_get(struct area *a, const struct peer *p, size_t len, int access)
{
	a->len = len;
	a->size = (len + HT_PAGE - 1) / HT_PAGE * HT_PAGE + 2 * GUARD;
	a->buf = aligned_alloc(HT_PAGE, a->size);
	ht_true(a->buf);
	a->p = a->buf + GUARD + 129;
	area_fill(a);
	ht_mr_get(&a->mr, p->s.pd, a->p, len, ht_best_mr(&rc_dev), access);
}

void area_check_guards(const struct area *a, const char *what)
{
	size_t at = a->p - a->buf;

	ht_check_fill(a->buf, at, RC_FILL, 0, what);
	ht_check_fill(a->p + a->len, a->size - at - a->len, RC_FILL, at + a->len, what);
}

void area_check(const struct area *a, size_t off, size_t len, uint64_t seed, uint64_t at,
		const char *what)
{
	size_t first = a->p - a->buf;

	area_check_guards(a, what);
	ht_check_fill(a->p, off, RC_FILL, first, what);
	ht_check_fill(a->p + off, len, seed, at, what);
	ht_check_fill(a->p + off + len, a->len - off - len, RC_FILL, first + off + len, what);
}
