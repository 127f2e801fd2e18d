// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rules: see rules.h. */
#include "rules.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	rules_raw();
	rules_cq();
	rules_ud();
	rules_mcast();
	rules_mr();
	rules_retry();
	rules_srq();
	rules_answer();
	rules_charge();
	rules_faults();
	return ht_run();
}
