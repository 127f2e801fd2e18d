// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* kill: processes that end in mid-traffic. `links` tests devices that go. */
#include "kill.h"

int main(int argc, char **argv)
{
	if (argc > 3 && !strcmp(argv[1], "role"))
		return link_role(argc, argv);
	ht_init(argc, argv);
	kill_traffic();
	kill_stuck();
	ht_add(kill_forks);
	ht_add(kill_bounds);
	return ht_run();
}
