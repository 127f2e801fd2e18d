// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The test module hodp_mtest: see tests/kernel/ktest/mtest.h. */
#include <fcntl.h>
#include <libgen.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "hodp_test.h"

static int mtest = -1;

/* build/tests/verbs/PROGRAM -> build/tests/kernel/RELEASE/hodp_mtest.ko */
static void load(void)
{
	char self[300], path[600];
	struct utsname u;
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int fd;

	ht_true(n > 0 && !uname(&u));
	self[n] = 0;
	snprintf(path, sizeof(path), "%s/../kernel/%s/hodp_mtest.ko", dirname(self), u.release);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ht_check(fd >= 0, "%s: %s", path, strerror(errno));
	if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
		ht_skip("the test module does not load: %s", strerror(errno));
	close(fd);
}

int ht_mtest(unsigned long cmd, const void *addr)
{
	if (mtest < 0) {
		load();
		ht_wait_until((mtest = open("/dev/hodp_mtest", O_RDWR | O_CLOEXEC)) >= 0,
			      "/dev/hodp_mtest");
	}
	return ioctl(mtest, cmd, addr) ? errno : 0;
}
