/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Address handles (layer 2): model in ah.c. */
#ifndef HODP_AH_H
#define HODP_AH_H

#include "dev.h"

struct hodp_transport;

/**
 * struct hodp_av - an address vector: where a datagram goes, and from where
 * @transport: the way
 * @dgid: destination
 * @sgid: source
 * @flow_label: for the GRH the receiver sees, 20 bits
 * @traffic_class: likewise
 * @hop_limit: likewise
 * @net_type: enum rdma_network_type of the two GIDs
 * @sl: service level; kept for query only
 */
struct hodp_av {
	const struct hodp_transport *transport;
	union ib_gid dgid;
	union ib_gid sgid;
	u32 flow_label;
	u8 traffic_class;
	u8 hop_limit;
	u8 net_type;
	u8 sl;
};

/**
 * struct hodp_ah - an address handle
 * @ibah: embedded core object; ibah.sgid_attr is held by the core
 * @ahn: number in hodp_device.ahs, what a work request carries (immutable)
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
 * @attr: where it leads
 * @gfp: as the context allows
 *
 * Context: any, as @gfp says.
 * Return: 0, -EINVAL (no GRH), -EHOSTUNREACH (the destination is neither this
 * device nor a multicast group: the wire transport does not exist yet),
 * -ENOMEM (memory, numbers).
 */
int hodp_ah_init(struct hodp_ah *ah, const struct rdma_ah_attr *attr,
		 gfp_t gfp);

/**
 * hodp_ah_modify - lead an AH elsewhere
 *
 * A datagram sees the old or the new address vector, never a mixture.
 * Context: any.  Return: as hodp_ah_init().
 */
int hodp_ah_modify(struct hodp_ah *ah, const struct rdma_ah_attr *attr);

/* The verb: fill in @attr, all of it. */
void hodp_ah_query(const struct hodp_ah *ah, struct rdma_ah_attr *attr);

/* Take the number back.  Context: any; sleeps never, cannot fail. */
void hodp_ah_destroy(struct hodp_ah *ah);

/**
 * hodp_ah_copy - look an AH up and copy what a sender needs of it
 * @dev: device
 * @ahn: number, as a work request gave it
 * @pd: protection domain that it must be in
 * @av: result
 *
 * There are no references: destroy may run in atomic context and must not
 * wait.  Context: any.  Return: false: @pd has no such AH.
 */
bool hodp_ah_copy(struct hodp_device *dev, u32 ahn, const struct ib_pd *pd,
		  struct hodp_av *av);

/**
 * hodp_av_grh - the 40 bytes that a receiver finds before a datagram
 * @av: the sender's address vector
 * @payload: bytes behind the GRH
 * @grh: 40 bytes: an IPv6 header, or 20 zero bytes and an IPv4 header
 *
 * The header is what the packet would have had on the wire: its length field
 * counts UDP, BTH, DETH, padding and ICRC too (without immediate data).
 *
 * Source: IBTA A17 (RoCEv2), the GRH area of a UD receive.
 * Return: enum rdma_network_type of what was written.
 */
u8 hodp_av_grh(const struct hodp_av *av, u32 payload, u8 grh[40]);

#endif /* HODP_AH_H */
