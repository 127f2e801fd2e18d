// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* basic: each verb does what its manual page says, and the bytes are right.
 * With -c UC: the operations of RC that UC has too, and what is different on UC.
 */
#include "basic.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	if (ht_opt.type == IBV_QPT_UC) {
		basic_caps_odp();
		ht_add(basic_ops);
		ht_add(basic_uc);
		return ht_run();
	}
	basic_caps();
	basic_caps_odp();
	ht_add(basic_ops);
	ht_add(basic_ops_rc);
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
