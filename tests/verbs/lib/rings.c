// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The process's rings, found in /proc/self/maps, and its doorbell file. */
#include <rdma/hmm_odp-abi.h>

#include "hodp_test.h"

#define KNOWN 64

static uintptr_t known[KNOWN];
static int num_known;

static bool is_known(uintptr_t at)
{
	for (int i = 0; i < num_known; i++)
		if (known[i] == at)
			return true;
	return false;
}

int ht_new_rings(struct ht_ring *r, int max)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long now[KNOWN], from, to;
	int n = 0, num = 0;
	char line[400];

	ht_true(f != NULL);
	while (num < KNOWN && fgets(line, sizeof(line), f)) {
		if (!strstr(line, "uverbs") || sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		now[num++] = from;
		if (n < max && !is_known(from))
			r[n++] = (struct ht_ring){
				.hdr = (void *)from,
				.size = to - from,
				.entries = (uint8_t *)from + HODP_RING_ENTRIES_OFFSET,
			};
	}
	fclose(f);
	memcpy(known, now, num * sizeof(known[0]));
	num_known = num;
	return n;
}

int ht_doorbell_file(void)
{
	char path[64], text[200];

	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, text, sizeof(text) - 1);
		text[n < 0 ? 0 : n] = 0;
		if (strstr(text, "hmm_odp-doorbell"))
			return fd;
	}
	return -1;
}
