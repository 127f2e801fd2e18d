/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Address handles (layer 2): model in ah.c. */
#ifndef HODP_AH_H
#define HODP_AH_H

#include "dev.h"

struct hodp_transport;

/**
 * struct hodp_av - an address vector: destination and source of a datagram
 * @transport: carries datagrams to the destination
 * @dgid: destination
 * @sgid: source
 * @flow_label: for the receiver's GRH, 20 bits
 * @traffic_class: for the receiver's GRH
 * @hop_limit: for the receiver's GRH
 * @oif: index of the interface of @sgid: the device's netdev or a VLAN on it
 * @net_type: enum rdma_network_type of the two GIDs
 * @sl: service level; only kept for query
 */
struct hodp_av {
	const struct hodp_transport *transport;
	union ib_gid dgid;
	union ib_gid sgid;
	u32 flow_label;
	int oif;
	u8 traffic_class;
	u8 hop_limit;
	u8 net_type;
	u8 sl;
};

/**
 * struct hodp_ah - an address handle
 * @ibah: embedded core object; the core holds ibah.sgid_attr
 * @ahn: number in hodp_device.ahs, used in work requests (immutable)
 */
struct hodp_ah {
	struct ib_ah ibah;
	u32 ahn;
};

static inline struct hodp_ah *to_hodp_ah(struct ib_ah *ibah)
{
	return container_of(ibah, struct hodp_ah, ibah);
}

/**
 * hodp_ah_init - number and publish an AH
 * @ah: zeroed by the core, which has set device, pd and sgid_attr
 * @attr: its attributes
 * @gfp: allocation flags for the caller's context
 *
 * Context: any that @gfp allows.
 * Return: 0, -EINVAL (no GRH), -EHOSTUNREACH (no transport reaches the
 * destination, for example the unspecified address), -ENOMEM (out of memory or
 * numbers).
 */
int hodp_ah_init(struct hodp_ah *ah, const struct rdma_ah_attr *attr,
		 gfp_t gfp);

/**
 * hodp_ah_modify - give an AH a new address vector
 *
 * A datagram uses the old or the new address vector, never a mixture.
 * Context: any.  Return: as hodp_ah_init().
 */
int hodp_ah_modify(struct hodp_ah *ah, const struct rdma_ah_attr *attr);

/* The query verb; fills in all of @attr. */
void hodp_ah_query(const struct hodp_ah *ah, struct rdma_ah_attr *attr);

/* Free the number and the entry.  Cannot fail.  Context: any, never sleeps. */
void hodp_ah_destroy(struct hodp_ah *ah);

/**
 * hodp_ah_copy - look up an AH and copy its address vector
 * @dev: device
 * @ahn: number from a work request
 * @pd: protection domain that the AH must be in
 * @av: result
 *
 * AHs have no references, because destroy may run in atomic context and must
 * not wait.  Context: any.  Return: false: @pd has no such AH.
 */
bool hodp_ah_copy(struct hodp_device *dev, u32 ahn, const struct ib_pd *pd,
		  struct hodp_av *av);

/**
 * hodp_av_init - take an address vector from the core's attributes
 *
 * Context: any.  Return: 0, -EINVAL (no GRH), -EHOSTUNREACH.
 */
int hodp_av_init(struct hodp_device *dev, const struct rdma_ah_attr *attr,
		 struct hodp_av *av);

/**
 * hodp_av_grh - make the 40-byte GRH that precedes a datagram at the receiver
 * @av: the sender's address vector
 * @payload: bytes that follow the GRH
 * @grh: result: an IPv6 header, or 20 zero bytes and an IPv4 header
 *
 * The header is the one that the packet would have on the wire: its length
 * field includes UDP, BTH, DETH, padding and ICRC (without immediate data).
 *
 * Source: IBTA A17 (RoCEv2), the GRH area of a UD receive.
 * Return: enum rdma_network_type of the header.
 */
u8 hodp_av_grh(const struct hodp_av *av, u32 payload, u8 grh[40]);

#endif /* HODP_AH_H */
