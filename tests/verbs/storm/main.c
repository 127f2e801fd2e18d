// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* storm: many queue pairs, threads and regions at once, and changes that disturb them. */
#include "storm.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	storm_mixed();
	storm_atomic();
	ht_add(storm_stall);
	ht_add(storm_qps);
	ht_add(storm_mrs);
	return ht_run();
}
