// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* rules: see rules.h. */
#include "rules.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	ht_add(rules_raw);
	ht_add(rules_cq);
	ht_add(rules_ud);
	ht_add(rules_mcast);
	ht_add(rules_mr);
	ht_add(rules_retry);
	ht_add(rules_srq);
	ht_add(rules_answer);
	ht_add(rules_charge);
	ht_add(rules_faults);
	return ht_run();
}
