/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Multicast groups (layer 2): model in mcast.c. */
#ifndef HODP_MCAST_H
#define HODP_MCAST_H

#include <linux/uidgid.h>
#include <net/ipv6.h>
#include <rdma/ib_addr.h>
#include "dev.h"

static inline bool hodp_gid_is_mcast(const union ib_gid *gid)
{
	return rdma_is_multicast_addr((struct in6_addr *)gid->raw);
}

/**
 * hodp_mcast_attach - make a QP a member of a group
 * @dev: device
 * @mgid: the group, which is created for its first member
 * @qpn: the member
 * @user: its owner; INVALID_UID for a kernel consumer
 *
 * Does nothing if the QP is a member already.  Context: process.
 * Return: 0, -ENOMEM (out of memory, or too many groups or members, in total or
 * for this user).
 */
int hodp_mcast_attach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn, kuid_t user);

/* Leave a group.  Context: process.  Return: 0, -EINVAL (not a member). */
int hodp_mcast_detach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn);

/**
 * hodp_mcast_members - get the members of a group
 * @dev: device
 * @mgid: the group
 * @qpns: filled with the QPNs of the members
 *
 * Takes no references: a QP may be gone by the time its number is used.
 * Context: process.  Return: number of members.
 */
u32 hodp_mcast_members(struct hodp_device *dev, const union ib_gid *mgid,
		       u32 qpns[HODP_MAX_MCAST_QP]);

#endif /* HODP_MCAST_H */
