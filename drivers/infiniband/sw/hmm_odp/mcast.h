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
 * @mgid: the group, which comes into being with its first member
 * @qpn: the member
 * @user: whose it is; INVALID_UID: a kernel consumer's
 *
 * Being a member twice is being one.  Context: process.
 * Return: 0, -ENOMEM (memory; members of the group or groups, in all or of this
 * user).
 */
int hodp_mcast_attach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn, kuid_t user);

/* Undo it.  Context: process.  Return: 0, -EINVAL (is no member). */
int hodp_mcast_detach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn);

/**
 * hodp_mcast_members - who is in a group?
 * @dev: device
 * @mgid: the group
 * @qpns: gets the members
 *
 * There are no references: a number may name nothing by the time it is used.
 * Context: process.  Return: how many.
 */
u32 hodp_mcast_members(struct hodp_device *dev, const union ib_gid *mgid,
		       u32 qpns[HODP_MAX_MCAST_QP]);

#endif /* HODP_MCAST_H */
