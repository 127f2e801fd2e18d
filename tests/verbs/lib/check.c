// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Checks of bytes, and seeds. */
#include "hodp_test.h"

uint64_t ht_seed(const char *what)
{
	uint64_t s = ht_opt.seed;

	while (*what)
		s = ht_mix(s + (unsigned char)*what++);
	return s;
}

static void hex(char *out, size_t size, const uint8_t *p, size_t len)
{
	size_t n = 0;

	out[0] = 0;
	for (size_t i = 0; i < len && i < 16 && n + 3 < size; i++)
		n += snprintf(out + n, size - n, "%02x ", p[i]);
}

/* The first byte that differs shows the cause best. */
static void difference(const uint8_t *got, const uint8_t *want, size_t len, const char *what)
{
	char g[60], w[60];
	size_t first = 0, bad = 0, last = 0;

	while (got[first] == want[first])
		first++;
	for (size_t i = first; i < len; i++) {
		if (got[i] != want[i]) {
			last = i;
			bad++;
		}
	}
	hex(g, sizeof(g), got + first, len - first);
	hex(w, sizeof(w), want + first, len - first);
	ht_note("at %p: have %s", (const void *)(got + first), g);
	ht_note("at %p: want %s", (const void *)(got + first), w);
	ht_fail("%s: %zu of %zu bytes are wrong, from byte %zu (0x%zx) to %zu", what, bad, len,
		first, first, last);
}

void ht_check_bytes(const void *got, const void *want, size_t len, const char *what)
{
	ht_checked();
	if (memcmp(got, want, len))
		difference(got, want, len, what);
}

void ht_check_fill(const void *p, size_t len, uint64_t seed, uint64_t at, const char *what)
{
	const uint8_t *b = p;
	uint8_t want[4096];

	for (size_t done = 0; done < len;) {
		size_t n = HT_MIN(len - done, sizeof(want));

		ht_fill(want, n, seed, at + done);
		ht_checked();
		if (memcmp(b + done, want, n)) {
			ht_note("in the piece that begins at byte %zu", done);
			difference(b + done, want, n, what);
		}
		done += n;
	}
}

void ht_check_value(const void *p, size_t len, uint8_t value, const char *what)
{
	const uint8_t *b = p;

	ht_checked();
	for (size_t i = 0; i < len; i++) {
		if (b[i] != value)
			ht_fail("%s: byte %zu of %zu is 0x%02x, not 0x%02x", what, i, len, b[i],
				value);
	}
}
