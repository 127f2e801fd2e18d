// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * errors: a wrong request fails with the status that the InfiniBand specification
 * gives it, at the right end, and no byte moves.
 * With -c UC: the responder drops it.
 */
#include "errors.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	errors_remote();
	if (ht_opt.type == IBV_QPT_UC)
		return ht_run();
	errors_local();
	errors_receive();
	ht_add(errors_register);
	errors_memory();
	ht_add(errors_commands);
	ht_add(errors_reserved);
	ht_add(errors_mcast);
	ht_add(errors_hostile);
	return ht_run();
}
