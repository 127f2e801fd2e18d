// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast groups (layer 2).
 *
 * Model: a group is a multicast GID and the QPNs of its members.  It exists
 * while it has members.  A device has one list of groups, and a datagram to a
 * group walks it; a host has few groups, so nothing faster is needed.
 *
 * The numbers of groups and of members in a group are limited, and any process
 * that opens the device can use them up.  So one user can be in only a quarter
 * of the groups, and own only a quarter of a group's members; the rest stays
 * available to others.  The user is the account that joins (hodp_user_uid());
 * kernel consumers have no such limit.  The device reports the limits of one
 * user.
 *
 * The core removes a process's QP from its groups before it destroys it, and
 * refuses to destroy a kernel consumer's QP that is a member.  This file does
 * not depend on that: a QPN is looked up each time it is used.
 *
 * The CM handles joining the GIDs themselves (IGMP, MLD).
 */
#include <linux/slab.h>
#include "mcast.h"

/**
 * struct hodp_mcast - a group
 * @link: in hodp_device.mcasts
 * @mgid: its GID (immutable)
 * @num: members, at least 1
 * @qpns: their QPNs, unordered
 * @users: their owners; INVALID_UID for a kernel consumer
 *
 * All under hodp_device.mcast_lock.
 */
struct hodp_mcast {
	struct list_head link;
	union ib_gid mgid;
	u32 num;
	u32 qpns[HODP_MAX_MCAST_QP];
	kuid_t users[HODP_MAX_MCAST_QP];
};

static struct hodp_mcast *hodp_mcast_find(struct hodp_device *dev,
					  const union ib_gid *mgid)
{
	struct hodp_mcast *mc;

	lockdep_assert_held(&dev->mcast_lock);
	list_for_each_entry(mc, &dev->mcasts, link)
		if (!memcmp(&mc->mgid, mgid, sizeof(*mgid)))
			return mc;
	return NULL;
}

static struct hodp_mcast *hodp_mcast_new(struct hodp_device *dev,
					 const union ib_gid *mgid)
{
	struct hodp_mcast *mc;

	lockdep_assert_held(&dev->mcast_lock);
	if (list_count_nodes(&dev->mcasts) >= HODP_MAX_MCAST)
		return NULL;
	mc = kzalloc_obj(*mc, GFP_KERNEL_ACCOUNT);
	if (!mc)
		return NULL;
	mc->mgid = *mgid;
	list_add(&mc->link, &dev->mcasts);
	return mc;
}

static u32 hodp_mcast_index(const struct hodp_mcast *mc, u32 qpn)
{
	u32 i;

	for (i = 0; i < mc->num; i++)
		if (mc->qpns[i] == qpn)
			break;
	return i;
}

/* Number of members of @mc that belong to @user. */
static u32 hodp_mcast_share(const struct hodp_mcast *mc, kuid_t user)
{
	u32 i, n = 0;

	for (i = 0; i < mc->num; i++)
		n += uid_eq(mc->users[i], user);
	return n;
}

/* May @user add a member to @mc (NULL for a new group)? */
static bool hodp_mcast_may_join(struct hodp_device *dev,
				const struct hodp_mcast *mc, kuid_t user)
{
	u32 groups = 0, share = mc ? hodp_mcast_share(mc, user) : 0;

	lockdep_assert_held(&dev->mcast_lock);
	if (!uid_valid(user))
		return true;
	if (share)
		return share < HODP_USER_MCAST_QP;
	list_for_each_entry(mc, &dev->mcasts, link)
		groups += hodp_mcast_share(mc, user) != 0;
	return groups < HODP_USER_MCAST;
}

/* Add a member to the group @mgid.  Return: 0, -ENOMEM. */
static int hodp_mcast_join(struct hodp_device *dev, const union ib_gid *mgid,
			   u32 qpn, kuid_t user)
{
	struct hodp_mcast *mc = hodp_mcast_find(dev, mgid);

	if (mc && hodp_mcast_index(mc, qpn) < mc->num)
		return 0;
	if (!hodp_mcast_may_join(dev, mc, user))
		return -ENOMEM;
	mc = mc ?: hodp_mcast_new(dev, mgid);
	if (!mc || mc->num == HODP_MAX_MCAST_QP)
		return -ENOMEM;
	mc->users[mc->num] = user;
	mc->qpns[mc->num++] = qpn;
	return 0;
}

int hodp_mcast_attach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn, kuid_t user)
{
	int ret;

	mutex_lock(&dev->mcast_lock);
	ret = hodp_mcast_join(dev, mgid, qpn, user);
	mutex_unlock(&dev->mcast_lock);
	return ret;
}

int hodp_mcast_detach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn)
{
	struct hodp_mcast *mc;
	int ret = -EINVAL;
	u32 i;

	mutex_lock(&dev->mcast_lock);
	mc = hodp_mcast_find(dev, mgid);
	i = mc ? hodp_mcast_index(mc, qpn) : 0;
	if (mc && i < mc->num) {
		mc->num--;
		mc->qpns[i] = mc->qpns[mc->num];
		mc->users[i] = mc->users[mc->num];
		if (!mc->num) {
			list_del(&mc->link);
			kfree(mc);
		}
		ret = 0;
	}
	mutex_unlock(&dev->mcast_lock);
	return ret;
}

u32 hodp_mcast_members(struct hodp_device *dev, const union ib_gid *mgid,
		       u32 qpns[HODP_MAX_MCAST_QP])
{
	const struct hodp_mcast *mc;
	u32 num = 0;

	mutex_lock(&dev->mcast_lock);
	mc = hodp_mcast_find(dev, mgid);
	if (mc) {
		num = mc->num;
		memcpy(qpns, mc->qpns, num * sizeof(qpns[0]));
	}
	mutex_unlock(&dev->mcast_lock);
	return num;
}
