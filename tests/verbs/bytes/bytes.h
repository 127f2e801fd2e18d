/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef BYTES_H
#define BYTES_H

#include "hodp_test.h"

struct bytes_combo {
	enum ht_mem_kind mem;
	enum ht_mr_kind local;
	enum ht_mr_kind remote;
	enum ibv_mtu mtu;
	long transfers;
};

#define BYTES_PIECES 4 /* SGEs of a transfer, at most */
#define BYTES_MAX (3 * HT_MIB)
#define BYTES_INLINE 48

/* A range of a side's buffer. */
struct bytes_piece {
	size_t off;
	size_t len;
};

struct bytes_side {
	struct ht_side *s;
	struct ht_mem mem;
	struct ht_mr mr;
	uint8_t *shadow;
	struct bytes_piece piece[BYTES_PIECES]; /* of the transfer at hand */
	int pieces;
};

struct bytes_state {
	const struct bytes_combo *c;
	struct ht_pair pair;
	struct bytes_side side[2]; /* 0 posts */
	struct ht_rng rng;
	uint64_t round;
	bool two_sided;
};

void bytes_run(const void *arg);
/* plan.c: lengths and places */
size_t bytes_length(struct ht_rng *r);
size_t bytes_place(struct ht_rng *r, const struct ht_mem *m, size_t len);
void bytes_split(struct bytes_state *t, struct bytes_side *s, size_t len, int most);

/* The region starts and ends this far inside the buffer. */
#define BYTES_GUARD 123

#endif /* BYTES_H */
