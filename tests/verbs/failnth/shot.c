// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The library's ioctl() and write() go through this file: see failnth.h. */
#include <dirent.h>
#include <fcntl.h>
#include <rdma/hmm_odp-abi.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "failnth.h"

static int loaded, before;
static bool bell, hit;

static int open_self(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

/* The rest of the count may fail these calls themselves: try again. */
static void set(int fd, int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	for (int i = 0; i < 10; i++)
		if (syscall(SYS_pwrite64, fd, text, len, 0) == len)
			return;
}

static bool fired(int fd)
{
	char text[16] = "";

	/* The kernel prints the count before it copies it, so this is what was left. */
	if (syscall(SYS_pread64, fd, text, sizeof(text) - 1, 0) < 0)
		return false;
	return atoi(text) == 0;
}

static long shoot(long nr, long a, long b, long c)
{
	int fd = open_self(), n = loaded, err;
	long ret;

	loaded = 0;
	set(fd, n);
	ret = syscall(nr, a, b, c);
	err = errno;
	hit = fired(fd);
	set(fd, 0);
	syscall(SYS_close, fd);
	errno = err;
	return ret;
}

int ioctl(int fd, unsigned long cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (loaded && (bell ? cmd == HODP_IOCTL_RING_SEND : cmd == RDMA_VERBS_IOCTL) && !before--)
		return shoot(SYS_ioctl, fd, cmd, arg);
	return syscall(SYS_ioctl, fd, cmd, arg);
}

ssize_t write(int fd, const void *buf, size_t len)
{
	const struct ib_uverbs_cmd_hdr *h = buf;

	if (loaded && !bell && len >= sizeof(*h) && (size_t)h->in_words * 4 <= len && !before--)
		return shoot(SYS_write, fd, (long)buf, len);
	return syscall(SYS_write, fd, buf, len);
}

void shot_load(int which, int n)
{
	before = which - 1;
	loaded = n;
	bell = hit = false;
}

void shot_load_bell(int n)
{
	shot_load(1, n);
	bell = true;
}

bool shot_fired(void)
{
	bool done = !loaded;

	loaded = 0;
	return done;
}

bool shot_hit(void)
{
	bool done = shot_fired();

	return done && hit;
}

void shot_workers(int n)
{
	DIR *d = opendir("/proc");
	char path[300], name[32];
	struct dirent *e;

	ht_true(d != NULL);
	while ((e = readdir(d))) {
		ssize_t len = 0;
		int fd;

		if (atoi(e->d_name) <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			len = read(fd, name, sizeof(name) - 1);
		close(fd);
		name[len > 0 ? len : 0] = 0;
		if (strncmp(name, "kworker/u", 9))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fail-nth", e->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		set(fd, n);
		close(fd);
	}
	closedir(d);
}

static void tell(const char *path, const char *text)
{
	if (!ht_put(path, text))
		ht_skip("%s: %s", path, strerror(errno));
}

void shot_need(void)
{
	int fd = open_self();

	if (fd < 0)
		ht_skip("the kernel injects no faults: no /proc/thread-self/fail-nth");
	close(fd);
	tell("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	tell("/sys/kernel/debug/failslab/verbose", "0");
	tell("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	tell("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	tell("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	tell("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	tell("/sys/kernel/debug/fail_usercopy/verbose", "0");
}
