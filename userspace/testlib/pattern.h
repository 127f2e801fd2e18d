/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Random numbers and patterns; needs nothing of verbs. */
#ifndef HODP_PATTERN_H
#define HODP_PATTERN_H

#include <stddef.h>
#include <stdint.h>

struct ht_rng {
	uint64_t s;
};

uint64_t ht_rand(struct ht_rng *r);
uint64_t ht_below(struct ht_rng *r, uint64_t n); /* 0 … n - 1 */
uint64_t ht_mix(uint64_t x);

/* Bytes that depend on @seed and on their place, @at being the first one's. Never 0. */
void ht_fill(void *p, size_t len, uint64_t seed, uint64_t at);
uint8_t ht_byte(uint64_t seed, uint64_t at);

/* How many bytes differ: from @want, from the pattern. */
size_t ht_wrong(const void *got, const void *want, size_t len);
size_t ht_wrong_fill(const void *got, size_t len, uint64_t seed, uint64_t at);

#endif /* HODP_PATTERN_H */
