// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* How a program ends early, what it says, and the time it measures. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "perf.h"

void perf_die(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(PERF_IMPOSSIBLE);
}

void perf_need(bool ok, const char *what)
{
	if (!ok)
		perf_die("%s: %s", what, strerror(errno));
}

const char *perf_say(const char *format, ...)
{
	static char text[300];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	return text;
}

uint64_t perf_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

#define CLOCK_READS 1000

uint64_t perf_clock_cost(void)
{
	static uint64_t cost;
	static bool known;
	uint64_t samples[CLOCK_READS];
	struct perf_stats s;

	if (known)
		return cost;
	/* Twice: the first round brings code and stack into the caches. */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < CLOCK_READS; i++) {
			uint64_t begin = perf_now();

			samples[i] = perf_now() - begin;
		}
	}
	perf_stats(samples, CLOCK_READS, &s);
	cost = s.median;
	known = true;
	return cost;
}
