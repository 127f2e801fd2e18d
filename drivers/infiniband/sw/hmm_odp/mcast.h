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
 * Does nothing if the QP is a member already.  The netdev joins the group.
 * Context: process, without RTNL.
 * Return: 0, -ENOMEM (out of memory, or too many groups or members, in total or
 * for this user).
 */
int hodp_mcast_attach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn, kuid_t user);

/* Leave a group.  Context: process, without RTNL.  Return: 0, -EINVAL (not a member). */
int hodp_mcast_detach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn);

/* The netdev leaves its namespace, and all groups.  Context: RTNL. */
void hodp_mcast_netdev_leaves(struct hodp_device *dev);

/* Turn the GID of a group into that of its IPv4 packets, ::ffff:a.b.c.d.  Return:
 * false: it has none.
 */
bool hodp_mcast_to_ipv4(union ib_gid *mgid);

/* Members that hodp_mcast_members() finds at most. */
#define HODP_MCAST_COPIES (2 * HODP_MAX_MCAST_QP)

/**
 * hodp_mcast_members - get the members of a group
 * @dev: device
 * @mgid: destination of a packet
 * @qpns: filled with the QPNs of the members, each once
 *
 * Takes no references: a QP may be gone by the time its number is used.
 * Context: process or softirq.  Return: number of members.
 */
u32 hodp_mcast_members(struct hodp_device *dev, const union ib_gid *mgid,
		       u32 qpns[HODP_MCAST_COPIES]);

/* Has the group any member?  @mgid: as above.  Context: process or softirq. */
bool hodp_mcast_is_used(struct hodp_device *dev, const union ib_gid *mgid);

#endif /* HODP_MCAST_H */
