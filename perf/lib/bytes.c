// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Bytes to recognise.  A word of eight is a mix of the seed and of its number,
 * so that bytes that moved are as wrong as bytes that changed.  Their lowest
 * bit is set: none is zero, which is what a page that was lost reads as.
 */
#include <string.h>

#include "perf.h"

#define NONZERO 0x0101010101010101ULL

static uint64_t word_at(uint64_t seed, uint64_t number)
{
	uint64_t z = (seed << 1 | 1) * 0x9e3779b97f4a7c15ULL + number;

	z = (z ^ (z >> 29)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 32)) * 0x94d049bb133111ebULL;
	return (z ^ (z >> 31)) | NONZERO;
}

void perf_fill(void *buf, size_t len, uint64_t seed)
{
	uint8_t *b = buf;

	for (size_t at = 0; at < len; at += 8) {
		uint64_t word = word_at(seed, at / 8);

		memcpy(b + at, &word, len - at < 8 ? len - at : 8);
	}
}

size_t perf_nonzero(const void *buf, size_t len)
{
	const uint8_t *b = buf;
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += b[i] != 0;
	return n;
}

size_t perf_wrong(const void *buf, size_t len, uint64_t seed)
{
	const uint8_t *b = buf;
	size_t wrong = 0;

	for (size_t at = 0; at < len; at += 8) {
		size_t n = len - at < 8 ? len - at : 8;
		uint64_t want = word_at(seed, at / 8), got = want;

		memcpy(&got, b + at, n);
		for (uint64_t diff = got ^ want; diff; diff >>= 8)
			wrong += (diff & 0xff) != 0;
	}
	return wrong;
}
