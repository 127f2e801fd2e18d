// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Random numbers and patterns.
 *
 * A pattern is a function of (seed, place): eight bytes come from a mix of the
 * seed and the place divided by eight, so a byte in the wrong place, from the
 * wrong page or from the wrong round differs with a probability of about 255/256,
 * and a run of them for sure. No byte is 0, which is what fresh memory holds.
 */
#include <string.h>

#include "pattern.h"

uint64_t ht_mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e6c63d0876a9a47ULL;
	x ^= x >> 29;
	x *= 0xd1342543de82ef95ULL;
	return x ^ (x >> 32);
}

uint64_t ht_rand(struct ht_rng *r)
{
	r->s += 0xa0761d6478bd642fULL;
	return ht_mix(r->s);
}

uint64_t ht_below(struct ht_rng *r, uint64_t n)
{
	return n ? ht_rand(r) % n : 0;
}

/* Sets the top bit of each byte that is 0. */
static uint64_t without_zeros(uint64_t x)
{
	const uint64_t low = 0x7f7f7f7f7f7f7f7fULL;

	return x | ~(((x & low) + low) | x | low);
}

/* @key is the mixed seed: neighbouring seeds must have nothing in common. */
static uint64_t word(uint64_t key, uint64_t index)
{
	uint64_t x = key + (index + 1) * 0x9e6c63d0876a9a47ULL;

	x ^= x >> 32;
	x *= 0xd1342543de82ef95ULL;
	return without_zeros(x ^ (x >> 29));
}

static uint8_t byte(uint64_t key, uint64_t at)
{
	return word(key, at / 8) >> (at % 8 * 8);
}

uint8_t ht_byte(uint64_t seed, uint64_t at)
{
	return byte(ht_mix(seed), at);
}

void ht_fill(void *p, size_t len, uint64_t seed, uint64_t at)
{
	uint64_t key = ht_mix(seed);
	uint8_t *b = p;

	while (len && at % 8) {
		*b++ = byte(key, at++);
		len--;
	}
	while (len >= 8) {
		uint64_t w = word(key, at / 8);

		memcpy(b, &w, 8);
		b += 8;
		at += 8;
		len -= 8;
	}
	while (len--)
		*b++ = byte(key, at++);
}

size_t ht_wrong(const void *got, const void *want, size_t len)
{
	const uint8_t *g = got, *w = want;
	size_t wrong = 0;

	if (!memcmp(g, w, len))
		return 0;
	for (size_t i = 0; i < len; i++)
		wrong += g[i] != w[i];
	return wrong;
}

size_t ht_wrong_fill(const void *got, size_t len, uint64_t seed, uint64_t at)
{
	const uint8_t *g = got;
	uint8_t want[4096];
	size_t wrong = 0;

	for (size_t done = 0, n; done < len; done += n) {
		n = len - done < sizeof(want) ? len - done : sizeof(want);
		ht_fill(want, n, seed, at + done);
		wrong += ht_wrong(g + done, want, n);
	}
	return wrong;
}
