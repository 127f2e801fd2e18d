// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A memory cgroup around a case, and what it is charged for. */
#include <fcntl.h>
#include <sys/stat.h>

#include "hodp_test.h"

#define ROOT "/sys/fs/cgroup"
#define GROUP ROOT "/hodp-test"

bool ht_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

void ht_cgroup_enter(void)
{
	char pid[20];

	ht_put(ROOT "/cgroup.subtree_control", "+memory");
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		ht_skip("no cgroup2 hierarchy: %s", strerror(errno));
	if (!ht_put(GROUP "/memory.max", "max"))
		ht_skip("no memory controller in cgroup2");
	snprintf(pid, sizeof(pid), "%d", getpid());
	ht_true(ht_put(GROUP "/cgroup.procs", pid));
}

void ht_cgroup_max(size_t bytes)
{
	char text[30];

	snprintf(text, sizeof(text), "%zu", bytes);
	ht_true(ht_put(GROUP "/memory.max", text));
}

size_t ht_cgroup_current(void)
{
	FILE *f = fopen(GROUP "/memory.current", "r");
	size_t n = 0;

	ht_true(f && fscanf(f, "%zu", &n) == 1);
	fclose(f);
	return n;
}

size_t ht_cgroup_stat(const char *name)
{
	char key[100];
	size_t n, found = SIZE_MAX;
	FILE *f = fopen(GROUP "/memory.stat", "r");

	ht_true(f != NULL);
	while (fscanf(f, "%99s %zu", key, &n) == 2)
		if (!strcmp(key, name))
			found = n;
	fclose(f);
	ht_check(found != SIZE_MAX, "memory.stat has no %s", name);
	return found;
}
