// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Commands, a device of one's own, and what the kernel holds for processes. */
#include <stdarg.h>

#include "hodp_test.h"

void ht_shell(const char *fmt, ...)
{
	char command[400];
	va_list ap;
	int status;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	status = system(command);
	ht_check(status == 0, "%s: status 0x%x", command, status);
}

/* The core fills the table of GIDs in its own time. */
static bool has_ipv4_gid(const char *dev)
{
	char command[120];

	snprintf(command, sizeof(command),
		 "grep -qs 'ffff:0a4d' /sys/class/infiniband/%s/ports/1/gids/*", dev);
	return system(command) == 0;
}

void ht_device_make(const char *dev, int net)
{
	/* What a failed run left behind. */
	ht_shell("ip link delete %s-net 2> /dev/null || true", dev);
	ht_shell("ip link add %s-net mtu 9000 up type dummy", dev);
	ht_shell("ip addr add 10.77.%d.1/24 dev %s-net", net, dev);
	ht_shell("rdma link add %s type hmm_odp netdev %s-net", dev, dev);
	ht_wait_until(has_ipv4_gid(dev), "a GID of the new device");
	ht_opt.dev = dev;
	ht_opt.peer = dev;
}

void ht_device_drop(const char *dev)
{
	ht_shell("rdma link delete %s", dev);
	ht_shell("ip link delete %s-net", dev);
}

void ht_ledger(char *text, size_t size, bool files)
{
	char command[300];
	size_t n;
	FILE *f;

	snprintf(command, sizeof(command),
		 "rdma resource show %s | sed 's/^[0-9]*: //'; cat /sys/module/hmm_odp/refcnt%s",
		 ht_opt.dev, files ? "; ls /proc/$PPID/fd | wc -l" : "");
	f = popen(command, "r");
	ht_check(f, "popen: %s", strerror(errno));
	n = fread(text, 1, size - 1, f);
	text[n] = 0;
	ht_check(!pclose(f) && strstr(text, "qp "), "rdma resource show says: %s", text);
}
