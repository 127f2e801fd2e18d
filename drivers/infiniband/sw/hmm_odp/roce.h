/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The RoCEv2 transport (layer 4): model in roce.c. */
#ifndef HODP_ROCE_H
#define HODP_ROCE_H

#include "udp.h"

/* Receive a packet; returns true if it is consumed.  The callback for hodp_udp_start(). */
bool hodp_roce_receive(const struct hodp_udp_packet *packet);

#endif /* HODP_ROCE_H */
