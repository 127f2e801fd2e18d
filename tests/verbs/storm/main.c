// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* storm: many queue pairs, threads and regions at once, and changes that disturb them. */
#include "storm.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	storm_mixed();
	storm_atomic();
	storm_stall();
	storm_qps();
	storm_mrs();
	return ht_run();
}
