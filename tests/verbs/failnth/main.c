// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* failnth: see failnth.h. */
#include "failnth.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	failnth_objects();
	ht_add(failnth_data);
	return ht_run();
}
