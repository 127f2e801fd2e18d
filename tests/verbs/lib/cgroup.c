// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A memory cgroup around a case, and what it is charged for. */
#include <fcntl.h>
#include <sys/stat.h>

#include "hodp_test.h"

#define ROOT "/sys/fs/cgroup"

/* The path of a file of group @name; valid until the next call. */
static const char *file(const char *name, const char *what)
{
	static char path[120];

	snprintf(path, sizeof(path), ROOT "/hodp-%s/%s", name, what);
	return path;
}

bool ht_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

void ht_cgroup_enter(const char *name)
{
	char pid[20];

	ht_check(ht_put(ROOT "/cgroup.subtree_control", "+memory"),
		 "no memory controller in cgroup2: %s", strerror(errno));
	ht_true(!mkdir(file(name, ""), 0755) || errno == EEXIST);
	ht_true(ht_put(file(name, "memory.max"), "max"));
	snprintf(pid, sizeof(pid), "%d", getpid());
	ht_true(ht_put(file(name, "cgroup.procs"), pid));
}

void ht_cgroup_max(const char *name, size_t bytes)
{
	char text[30];

	snprintf(text, sizeof(text), "%zu", bytes);
	ht_true(ht_put(file(name, "memory.max"), text));
}

size_t ht_cgroup_current(const char *name)
{
	long n = ht_number(file(name, "memory.current"));

	ht_true(n >= 0);
	return n;
}

size_t ht_cgroup_stat(const char *name, const char *line)
{
	char key[100];
	size_t n, found = SIZE_MAX;
	FILE *f = fopen(file(name, "memory.stat"), "r");

	ht_true(f != NULL);
	while (fscanf(f, "%99s %zu", key, &n) == 2)
		if (!strcmp(key, line))
			found = n;
	fclose(f);
	ht_check(found != SIZE_MAX, "memory.stat has no %s", line);
	return found;
}
