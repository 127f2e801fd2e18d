// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How much memory the kernel has for itself, from /proc/meminfo: the sum of
 * what only the kernel uses.  Pages that a driver takes from the page allocator
 * without saying what for are in none of these lines.
 *
 * The counters are kept per CPU and folded now and then; reading
 * /proc/sys/vm/stat_refresh, which takes root, folds them at once.  Objects are
 * freed after a grace period, so what a row before has freed may still be
 * there: kmem_settled() waits until the sum stays the same.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "reg.h"

#define NAP_US 20000
#define SAME 3
#define NAPS 50

static uint64_t sum(const char *const names[])
{
	FILE *f = fopen("/proc/meminfo", "re");
	uint64_t bytes = 0;
	char line[200];

	perf_need(f, "/proc/meminfo");
	while (fgets(line, sizeof(line), f)) {
		char name[64];
		unsigned long kib;

		if (sscanf(line, "%63[^:]: %lu", name, &kib) != 2)
			continue;
		for (int i = 0; names[i]; i++) {
			if (!strcmp(name, names[i]))
				bytes += kib << 10;
		}
	}
	fclose(f);
	return bytes;
}

static void refresh(void)
{
	char c;
	int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	while (read(fd, &c, 1) > 0)
		;
	close(fd);
}

uint64_t kmem_now(void)
{
	static const char *const names[] = { "Slab",	   "VmallocUsed",
					     "Percpu",	   "KernelStack",
					     "PageTables", "SecPageTables",
					     NULL };

	refresh();
	return sum(names);
}

uint64_t kmem_settled(void)
{
	uint64_t last = kmem_now();

	for (int naps = 0, same = 0; naps < NAPS && same < SAME; naps++) {
		uint64_t now;

		usleep(NAP_US);
		now = kmem_now();
		same = now == last ? same + 1 : 0;
		last = now;
	}
	return last;
}

uint64_t kmem_available(void)
{
	static const char *const names[] = { "MemAvailable", NULL };

	return sum(names);
}
