/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The syndrome of an acknowledgment: one byte of the AETH (layer 0; also
 * compiled in user space).  IBTA volume 1, 9.7.5: bits 5-6 are the type, bits
 * 0-4 its value.  Bit 7 is reserved: 0 when sent, ignored when received.
 */
#ifndef HODP_AETH_H
#define HODP_AETH_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

/* Type of a syndrome. */
enum hodp_aeth_type {
	HODP_AETH_ACK, /* value: credit code */
	HODP_AETH_RNR, /* value: RNR timer field */
	HODP_AETH_RESERVED,
	HODP_AETH_NAK, /* value: enum hodp_aeth_nak */
};

/* NAK codes; others are reserved or belong to RD. */
enum hodp_aeth_nak {
	HODP_NAK_SEQUENCE, /* the PSN is the expected one: send again from there */
	HODP_NAK_INVALID, /* invalid request */
	HODP_NAK_ACCESS, /* remote access error */
	HODP_NAK_OPERATION, /* remote operational error */
	HODP_NAK_MAX
};

/* Credit code of an ACK that says nothing about credits. */
#define HODP_AETH_NO_LIMIT 31

static inline u8 hodp_aeth_syndrome(enum hodp_aeth_type type, u8 value)
{
	return type << 5 | (value & 31);
}

static inline enum hodp_aeth_type hodp_aeth_type(u8 syndrome)
{
	return syndrome >> 5 & 3;
}

static inline u8 hodp_aeth_value(u8 syndrome)
{
	return syndrome & 31;
}

/* The scale of both encodings: 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, ... @step <= 32. */
static inline u32 hodp_aeth_scale(u8 step)
{
	if (step < 2)
		return step;
	return step & 1 ? 3U << (step - 3) / 2 : 1U << step / 2;
}

/**
 * hodp_aeth_credits - number of receive requests that a credit code stands for
 * @code: value of an ACK, 0 to 30
 *
 * The requester may send messages that need a receive request up to number MSN of
 * the AETH + credits (IBTA 9.7.7.2, table 46).
 */
static inline u32 hodp_aeth_credits(u8 code)
{
	return hodp_aeth_scale(code);
}

/* The code of @credits receive requests, rounded down: 0 to 30. */
static inline u8 hodp_aeth_credit_code(u32 credits)
{
	u32 log, code;

	if (credits < 2)
		return credits;
	log = 31 - __builtin_clz(credits);
	code = 2 * log + (credits >> (log - 1) & 1);
	return code < HODP_AETH_NO_LIMIT ? code : HODP_AETH_NO_LIMIT - 1;
}

/* Microseconds that an RNR timer field stands for (IBTA table 45); @field is at
 * most 31.  Field 0 is the longest.
 */
static inline u32 hodp_aeth_rnr_usecs(u8 field)
{
	return 10 * hodp_aeth_scale(field ? field : 32);
}

/* The field of the shortest RNR timer that is not shorter than @usecs; the longest
 * timer is 655,360 us.
 */
static inline u8 hodp_aeth_rnr_field(u32 usecs)
{
	u8 field = 1;

	while (field < 32 && 10 * hodp_aeth_scale(field) < usecs)
		field++;
	return field & 31;
}

#endif /* HODP_AETH_H */
