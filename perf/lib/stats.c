// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Percentiles by nearest rank: each is a sample that was really taken, and no
 * interpolation invents one.
 */
#include <stdlib.h>
#include <string.h>

#include "perf.h"

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Of @n > 0 sorted samples; in thousandths, so that the rank is exact. */
static uint64_t percentile(const uint64_t *sorted, size_t n, unsigned int mille)
{
	size_t rank = (n / 1000) * mille + ((n % 1000) * mille + 999) / 1000;

	return sorted[rank - 1];
}

void perf_stats(uint64_t *samples, size_t n, struct perf_stats *s)
{
	long double sum = 0;

	memset(s, 0, sizeof(*s));
	if (!n)
		return;
	qsort(samples, n, sizeof(*samples), by_value);
	for (size_t i = 0; i < n; i++)
		sum += samples[i];
	s->n = n;
	s->min = samples[0];
	s->median = percentile(samples, n, 500);
	s->p90 = percentile(samples, n, 900);
	s->p99 = percentile(samples, n, 990);
	s->p999 = percentile(samples, n, 999);
	s->max = samples[n - 1];
	s->mean = sum / n;
}
