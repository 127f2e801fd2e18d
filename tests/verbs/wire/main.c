// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Datagrams between two devices whose netdevs are in two network namespaces
 * (guest/namespaces 2): what the network does to a receiver and to a sender.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "wire.h"

void wire_run(int n, const char *fmt, ...)
{
	char command[256];
	va_list args;
	int at;

	at = snprintf(command, sizeof(command), "ip netns exec ns%d ", n);
	va_start(args, fmt);
	vsnprintf(command + at, sizeof(command) - at, fmt, args);
	va_end(args);
	ht_check(system(command) == 0, "failed: %s", command);
}

static int find_gid(const struct ht_dev *d, const union ibv_gid *gid)
{
	struct ibv_gid_entry e;

	for (int i = 0; i < d->port.gid_tbl_len; i++)
		if (!ibv_query_gid_ex(d->ctx, 1, i, &e, 0) && !memcmp(&e.gid, gid, sizeof(*gid)))
			return i;
	return -1;
}

int wire_gid(const struct ht_dev *d, const union ibv_gid *gid)
{
	int i;

	ht_wait_until((i = find_gid(d, gid)) >= 0, "a GID");
	return i;
}

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	ht_add(wire_receive);
	ht_add(wire_send);
	ht_add(wire_quick);
	ht_add(wire_trace_cases);
	ht_add(wire_shapes_cases);
	ht_add(wire_address);
	ht_add(wire_uc);
	ht_add(wire_mcast);
	ht_add(wire_held);
	ht_add(wire_congest);
	return ht_run();
}
