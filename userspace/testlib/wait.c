// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Options, time and deadlines. */
#include <sched.h>
#include <time.h>

#include "ht.h"

struct ht_opt ht_opt = {
	.dev = "hodp0",
	.gid = HT_GID_IPV4,
	.seed = 0x68f0d7a1,
	.scale = 1,
	.patience = 1,
};

uint64_t ht_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

uint64_t ht_deadline(unsigned int ms)
{
	return ht_now() + (uint64_t)(ms * ht_opt.patience * 1e6);
}

bool ht_over(uint64_t deadline)
{
	return ht_now() > deadline;
}

void ht_yield(void)
{
	sched_yield();
}

void ht_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}
