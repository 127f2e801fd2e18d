// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Statistics, and bytes to recognise. */
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static uint64_t random_state = 1;

static uint64_t rnd(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/*
 * By definition, without sorting: the smallest sample that at least @mille
 * thousandths of all samples do not exceed.
 */
static uint64_t by_definition(const uint64_t *a, size_t n, size_t mille)
{
	uint64_t best = UINT64_MAX;

	for (size_t i = 0; i < n; i++) {
		size_t covered = 0;

		for (size_t j = 0; j < n; j++)
			covered += a[j] <= a[i];
		if (covered * 1000 >= n * mille && a[i] < best)
			best = a[i];
	}
	return best;
}

static void check_stats(const uint64_t *a, size_t n)
{
	uint64_t *copy = malloc(n * sizeof(*a));
	long double sum = 0;
	struct perf_stats s;

	if (!copy)
		abort();
	memcpy(copy, a, n * sizeof(*a));
	perf_stats(copy, n, &s);
	for (size_t i = 0; i < n; i++)
		sum += a[i];
	CHECK(s.n == n);
	CHECK(s.min == by_definition(a, n, 0));
	CHECK(s.median == by_definition(a, n, 500));
	CHECK(s.p90 == by_definition(a, n, 900));
	CHECK(s.p99 == by_definition(a, n, 990));
	CHECK(s.p999 == by_definition(a, n, 999));
	CHECK(s.max == by_definition(a, n, 1000));
	CHECK(s.mean == (double)(sum / n));
	for (size_t i = 1; i < n; i++)
		CHECK(copy[i - 1] <= copy[i]);
	free(copy);
}

static void stats_of_none(void)
{
	uint64_t unused = 7;
	struct perf_stats s, zero = {};

	memset(&s, 0xff, sizeof(s));
	perf_stats(NULL, 0, &s);
	CHECK(!memcmp(&s, &zero, sizeof(s)));
	memset(&s, 0xff, sizeof(s));
	perf_stats(&unused, 0, &s);
	CHECK(!memcmp(&s, &zero, sizeof(s)) && unused == 7);
}

static void stats_known(void)
{
	uint64_t a[1000];
	struct perf_stats s;

	a[0] = 5;
	perf_stats(a, 1, &s);
	CHECK(s.n == 1 && s.min == 5 && s.median == 5 && s.p90 == 5 &&
	      s.p99 == 5 && s.p999 == 5 && s.max == 5 && s.mean == 5);
	a[0] = 9;
	a[1] = 4;
	perf_stats(a, 2, &s);
	CHECK(s.min == 4 && s.median == 4 && s.p90 == 9 && s.max == 9 &&
	      s.mean == 6.5);
	for (int i = 0; i < 1000; i++)
		a[i] = 1000 - i;
	perf_stats(a, 1000, &s);
	CHECK(s.min == 1 && s.median == 500 && s.p90 == 900 && s.p99 == 990 &&
	      s.p999 == 999 && s.max == 1000 && s.mean == 500.5);
}

static void stats_random(void)
{
	static const uint64_t ranges[] = { 1, 2, 3, 10, 1000, UINT64_MAX };
	uint64_t a[1100];

	for (size_t n = 1; n <= 1100; n += n < 40 ? 1 : 97) {
		for (size_t r = 0; r < ARRAY_LEN(ranges); r++) {
			for (size_t i = 0; i < n; i++)
				a[i] = rnd() % ranges[r];
			check_stats(a, n);
		}
	}
	for (size_t i = 0; i < 1000; i++)
		a[i] = UINT64_MAX - i;
	check_stats(a, 1000);
}

/* --- bytes ---------------------------------------------------------------------- */

static void bytes_right(void)
{
	uint8_t b[300];

	for (size_t off = 0; off < 9; off++) {
		for (size_t len = 0; len < 40; len++) {
			memset(b, 0, sizeof(b));
			perf_fill(b + off, len, len);
			CHECK(!perf_wrong(b + off, len, len));
			CHECK(!memchr(b + off, 0, len));
			CHECK(perf_nonzero(b, sizeof(b)) == len);
			/* Not a byte beside them. */
			for (size_t i = 0; i < sizeof(b); i++)
				CHECK((i >= off && i < off + len) || !b[i]);
		}
	}
}

static void bytes_wrong_anywhere(void)
{
	uint8_t b[131];

	for (size_t len = 1; len <= sizeof(b); len += 13) {
		perf_fill(b, len, 42);
		for (size_t i = 0; i < len; i++) {
			for (int bit = 0; bit < 8; bit++) {
				b[i] ^= 1 << bit;
				CHECK(perf_wrong(b, len, 42) == 1);
				b[i] ^= 1 << bit;
			}
			b[i] = 0;
			CHECK(perf_wrong(b, len, 42) == 1);
			perf_fill(b, len, 42);
		}
	}
}

static void bytes_all_wrong(void)
{
	uint8_t b[4096];

	memset(b, 0, sizeof(b));
	CHECK(perf_wrong(b, sizeof(b), 1) == sizeof(b));
	/* A longer run begins like a shorter one. */
	perf_fill(b, sizeof(b), 1);
	CHECK(!perf_wrong(b, 77, 1));
}

/* A page off, a byte off, another seed: nearly every byte is wrong. */
static void bytes_moved(void)
{
	uint8_t b[3 * 4096];
	size_t most = 4096 * 9 / 10;

	perf_fill(b, sizeof(b), 3);
	CHECK(perf_wrong(b + 4096, 4096, 3) > most);
	CHECK(perf_wrong(b + 1, 4096, 3) > most);
	CHECK(perf_wrong(b + 8, 4096, 3) > most);
	for (uint64_t seed = 0; seed < 3; seed++)
		CHECK(perf_wrong(b, 4096, seed) > most);
	CHECK(perf_wrong(b, 4096, 3 | 1ULL << 40) > most);
}

static void clock_cost(void)
{
	uint64_t cost = perf_clock_cost(), begin = perf_now();

	CHECK(cost < 1000000);
	CHECK(perf_clock_cost() == cost);
	CHECK(perf_now() >= begin);
}

const struct unit_case figure_cases[] = {
	{ "the statistics of no samples are zeros", stats_of_none },
	{ "statistics of 1, 2 and 1000 known samples", stats_known },
	{ "percentiles are nearest ranks, ties and huge values included",
	  stats_random },
	{ "filled bytes are right, never zero, and only where asked",
	  bytes_right },
	{ "one wrong bit is found at every place", bytes_wrong_anywhere },
	{ "each of many wrong bytes is counted", bytes_all_wrong },
	{ "bytes at another place or of another seed are wrong", bytes_moved },
	{ "the cost of the clock is measured once", clock_cost },
};
const size_t num_figure_cases = ARRAY_LEN(figure_cases);
