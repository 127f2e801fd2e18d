/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Packets of a hostile host, and what must become of each: make.c. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "rc.h"

/* What becomes of a packet to the device. */
enum fate {
	FATE_BAD_UDP,
	FATE_SHORT,
	FATE_VERSION,
	FATE_OPCODE,
	FATE_PKEY,
	FATE_PAD,
	FATE_LONG,
	FATE_ICRC,
	FATE_NO_QP,
	FATE_UD, /* a datagram to a QP that takes none */
	FATE_STRANGER, /* of no service of the QP, or not from its peer */
	FATE_QUEUED, /* the QP decides */
	FATES
};

/* Names of the counters that count them; FATE_QUEUED has none. */
extern const char *const fate_counters[FATES];

/* A QP that packets are made for, and what is known of it. */
struct victim {
	struct peer p;
	uint32_t asked; /* PSN of the QP's last request */
	struct area open; /* may be written and read */
	struct area closed; /* may be read only */
	struct area local; /* what the QP's own requests use */
	uint64_t posted[2], done[2]; /* sends, receives */
};

/* Secret memory: another PD's. */
extern struct area hostile_secret;

/* Make a packet for @v in @k. Returns its length. */
size_t hostile_make(uint8_t *k, struct victim *v, struct ht_rng *r);
/* The same packet from another host. */
void hostile_disguise(uint8_t *k, size_t len, struct ht_rng *r);
/*
 * What becomes of the packet, by the specification. @qpns: the @num QPs that the
 * device has, all connected to the peer's address.
 */
enum fate hostile_fate(const uint8_t *k, size_t len, const uint32_t *qpns, int num);

#endif /* HOSTILE_H */
