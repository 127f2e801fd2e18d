// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Datagrams between two devices whose netdevs are in two network namespaces
 * (guest/namespaces 2): what the network does to a receiver and to a sender.
 */
#include "wire.h"

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	ht_add(wire_receive);
	ht_add(wire_send);
	return ht_run();
}
