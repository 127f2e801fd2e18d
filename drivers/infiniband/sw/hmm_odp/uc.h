/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* UC over RoCEv2 (layer 4): model in uc.c. */
#ifndef HODP_UC_H
#define HODP_UC_H

#include "qp.h"
#include "udp.h"

/* hodp_transport.attach, .readdress, .detach, .execute and .receive, for a UC QP. */
int hodp_uc_attach(struct hodp_qp *qp, const struct ib_qp_attr *attr);
int hodp_uc_readdress(struct hodp_qp *qp, const struct ib_qp_attr *attr);
void hodp_uc_detach(struct hodp_qp *qp);
enum hodp_verdict hodp_uc_execute(struct hodp_qp *qp);
bool hodp_uc_receive(struct hodp_qp *qp, int *budget);

/**
 * hodp_uc_input - take a packet of UC
 * @qp: the caller has a reference
 * @packet: whole packet, with a good ICRC
 * @k: its headers
 *
 * A packet that is not from the peer is dropped and counted.
 * Context: softirq.  Return: true: packet->skb is consumed.
 */
bool hodp_uc_input(struct hodp_qp *qp, const struct hodp_udp_packet *packet,
		   const struct hodp_wire_packet *k);

#endif /* HODP_UC_H */
