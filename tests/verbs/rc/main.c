// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RC over the network, packet by packet: a handmade peer in network namespace ns1
 * (guest/namespaces 2) against a QP of the device in ns2.
 */
#include "rc.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	ht_add(rc_responder);
	ht_add(rc_requester);
	ht_add(rc_faults);
	ht_add(rc_held);
	ht_add(rc_hostile);
	ht_add(rc_lost);
	ht_add(rc_alive);
	ht_add(rc_reads);
	rc_add_counters();
	return ht_run();
}
