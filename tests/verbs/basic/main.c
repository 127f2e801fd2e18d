// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* basic: each verb does what its manual page says, and the bytes are right. */
#include "basic.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	basic_caps();
	ht_add(basic_ops);
	ht_add(basic_messages);
	ht_add(basic_queues);
	basic_reach();
	ht_add(basic_srq);
	ht_add(basic_ud);
	ht_add(basic_mtu);
	ht_add(basic_cq);
	ht_add(basic_states);
	ht_add(basic_lives);
	ht_add(basic_flush);
	ht_add(basic_api);
	ht_add(basic_procs);
	return ht_run();
}
