// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* basic: each verb does what its manual page says, and the bytes are right. */
#include "basic.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	basic_caps();
	basic_ops();
	basic_messages();
	basic_queues();
	basic_reach();
	basic_srq();
	basic_ud();
	basic_mtu();
	basic_cq();
	basic_states();
	basic_lives();
	basic_flush();
	basic_api();
	basic_procs();
	return ht_run();
}
