/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * RC against a handmade peer.
 *
 * Words:
 *   peer    a program's idea of an RC QP: an address, a QPN and PSNs. It sends
 *           what a case tells it to send, and sees what it gets. The module knows
 *           nothing of it; its address is that of hodp1, where no QP has its QPN.
 *   QP      without more words: the one under test, on the device -p, which is
 *           connected to the peer.
 */
#ifndef RC_H
#define RC_H

#include "packet.h"

/* BTH opcodes. */
enum {
	RC_SEND_FIRST,
	RC_SEND_MIDDLE,
	RC_SEND_LAST,
	RC_SEND_ONLY = 0x04,
	RC_WRITE_FIRST = 0x06,
	RC_WRITE_MIDDLE,
	RC_WRITE_LAST,
	RC_WRITE_ONLY = 0x0a,
	RC_READ = 0x0c,
	RC_RESPONSE_FIRST,
	RC_RESPONSE_MIDDLE,
	RC_RESPONSE_LAST,
	RC_RESPONSE_ONLY,
	RC_ACK,
	RC_ATOMIC_ACK,
	RC_CMP_SWAP,
	RC_FETCH_ADD,
	RC_CNP = 0x81,
};

/* Syndromes of an AETH. */
enum {
	RC_GOOD = 0x1f, /* an acknowledgment that sets no limit */
	RC_RNR = 0x20, /* + the timer's field */
	RC_NAK = 0x60, /* + one of these: */
	RC_NAK_SEQUENCE = RC_NAK,
	RC_NAK_INVALID,
	RC_NAK_ACCESS,
	RC_NAK_OPERATION,
};

/* Headers after the BTH. */
enum {
	RC_HAS_RETH = 1 << 0,
	RC_HAS_ATOMIC = 1 << 1,
	RC_HAS_AETH = 1 << 2,
	RC_HAS_ORIGINAL = 1 << 3,
	RC_HAS_IMM = 1 << 4, /* or a key to invalidate */
	RC_HAS_NOTICE = 1 << 5, /* a CNP's 16 bytes */
};

/* A packet; what its opcode does not have is ignored. */
struct rc_msg {
	uint8_t op;
	bool ask; /* for an acknowledgment */
	uint32_t psn;
	uint64_t va; /* RETH, AtomicETH */
	uint32_t rkey;
	uint32_t length;
	uint64_t add; /* or swap */
	uint64_t compare;
	uint8_t syndrome; /* AETH */
	uint32_t msn;
	uint64_t original;
	uint32_t imm;
	const uint8_t *data;
	uint32_t len;
};

/* --- the peer: peer.c -------------------------------------------------------------- */

struct peer {
	struct ht_side s; /* the QP under test */
	uint32_t qpn; /* of the peer */
	uint32_t psn; /* of the peer's next request */
	struct ht_conf conf;
};

#define PEER_PSN 0x123456
#define QP_PSN 0x654321

extern struct ht_dev rc_dev; /* the device under test */
extern const union ibv_gid rc_gid; /* the peer's address */
extern int rc_raw, rc_cap; /* sockets at the peer's end */

/* The device and a PD; each peer has a QP on them. */
void peer_open(struct peer *p, const struct ht_conf *conf);
/* Another one, on the PD of @from. */
void peer_more(struct peer *p, const struct peer *from, const struct ht_conf *conf);
/* From RESET to RTS. @psn, @qp_psn: first PSNs of the peer and of the QP. */
void peer_connect(struct peer *p, uint32_t psn, uint32_t qp_psn);
/* All three, with PEER_PSN and QP_PSN. */
void peer_get(struct peer *p, const struct ht_conf *conf);

/* RC_HAS_*; -1: not an opcode of RC. */
int rc_headers(uint8_t op);
/* Write the packet from the peer to the QP in @k of PKT_MAX bytes. */
size_t rc_build(uint8_t *k, const struct peer *p, const struct rc_msg *m);
/* Read one; it must be well-formed. */
void rc_parse(const uint8_t *k, size_t len, struct rc_msg *m);

void peer_send(const struct peer *p, const struct rc_msg *m);
/* The next packet from the QP; false: there was none for @ms. @m->data is valid
 * until the next call. Packets of other QPs are dropped.
 */
bool peer_poll(const struct peer *p, struct rc_msg *m, unsigned int ms);
/* Is it no NAK?  It may have any credits: they are the receive requests of the QP. */
static inline bool rc_is_good(const struct rc_msg *m)
{
	return m->syndrome >> 5 == 0;
}

/* It must be an acknowledgment with this PSN and syndrome; RC_GOOD: with any credits,
 * RC_RNR: with any timer.
 */
void peer_want(const struct peer *p, uint32_t psn, uint8_t syndrome, const char *what);
/* It must be a packet with this opcode and PSN. */
void peer_want_op(const struct peer *p, struct rc_msg *m, uint8_t op, uint32_t psn);
/* There is no packet for @ms. */
void peer_quiet(const struct peer *p, unsigned int ms, const char *what);
/* Drop what was captured. */
void peer_flush(void);

/* A WRITE ONLY of @len bytes of pattern @seed from @at on, to @to. It takes a PSN. */
struct rc_msg peer_write(struct peer *p, const struct ht_mr *mr, const void *to, uint32_t len,
			 uint64_t seed, uint64_t at);
/* The QP acknowledges the peer's next WRITE. */
void peer_alive(struct peer *p, const struct ht_mr *mr, uint8_t *to, uint64_t seed);

/* --- memory that the peer may reach: peer.c ------------------------------------------ */

/* A region within a buffer of pattern RC_FILL; the rest of the buffer are guards. */
struct area {
	uint8_t *buf;
	size_t size;
	uint8_t *p; /* the region: from an odd address on */
	size_t len;
	struct ht_mr mr;
};

#define RC_FILL 0x7e57

void area_get(struct area *a, const struct peer *p, size_t len, int access);
/* Fill it all again. */
void area_fill(const struct area *a);
/* [off, off + len) of the region has pattern @seed from @at on, the rest RC_FILL. */
void area_check(const struct area *a, size_t off, size_t len, uint64_t seed, uint64_t at,
		const char *what);
void area_check_guards(const struct area *a, const char *what);

extern const struct ht_case rc_responder[];
extern const struct ht_case rc_requester[];
extern const struct ht_case rc_faults[];
extern const struct ht_case rc_held[];
extern const struct ht_case rc_hostile[];
extern const struct ht_case rc_lost[];
extern const struct ht_case rc_alive[];
extern const struct ht_case rc_reads[];
void rc_add_counters(void); /* counters.c */

#endif /* RC_H */
