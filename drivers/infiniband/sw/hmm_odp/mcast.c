// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast groups (layer 2).
 *
 * Model: a group is a multicast GID and the QPNs of its members.  It exists
 * while it has members.  Datagrams find it in a hash table, also in softirq.
 *
 * The network: while it exists, the device's netdev has joined the group, as for a
 * socket's IP_ADD_MEMBERSHIP.  The IP layer programs the netdev's filter, answers
 * IGMP and MLD queries, and gives packets to the group to the hook of udp.c.  Only
 * the netdev itself joins, not its VLANs.  It leaves when the group ends, or when
 * it leaves its namespace: then for good, although the QPs are still members.
 *
 * Two GIDs stand for an IPv4 group: ::ffff:a.b.c.d, which the CM uses, and
 * ff0e::ffff:a.b.c.d, its *alias* (RoCE version 1).  The alias is an IPv6 group as
 * well, and the source of a packet decides.  They are separate groups here; an IPv4
 * packet goes to the members of both.
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
 * Lock order: RTNL -> mcast_lock -> mcast_rx_lock.
 */
#include <linux/igmp.h>
#include <linux/inetdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/addrconf.h>
#include "mcast.h"

/**
 * struct hodp_mcast - a group
 * @link: in hodp_device.mcasts
 * @mgid: its GID (immutable)
 * @joined4, @joined6: the netdev has joined the IPv4 or IPv6 group; under RTNL
 * @num: members, at least 1
 * @qpns: their QPNs, unordered
 * @users: their owners; INVALID_UID for a kernel consumer
 *
 * Written under hodp_device.mcast_lock and mcast_rx_lock, read under either.
 */
struct hodp_mcast {
	struct hlist_node link;
	union ib_gid mgid;
	bool joined4;
	bool joined6;
	u32 num;
	u32 qpns[HODP_MAX_MCAST_QP];
	kuid_t users[HODP_MAX_MCAST_QP];
};

static struct hlist_head *hodp_mcast_bucket(struct hodp_device *dev,
					    const union ib_gid *mgid)
{
	/* Users choose GIDs, so the hash has a secret. */
	u32 hash = siphash(mgid, sizeof(*mgid), &dev->key_secret);

	return &dev->mcasts[hash_min(hash, HASH_BITS(dev->mcasts))];
}

static struct hodp_mcast *hodp_mcast_find(struct hodp_device *dev,
					  const union ib_gid *mgid)
{
	struct hodp_mcast *mc;

	hlist_for_each_entry(mc, hodp_mcast_bucket(dev, mgid), link)
		if (!memcmp(&mc->mgid, mgid, sizeof(*mgid)))
			return mc;
	return NULL;
}

/* ---- the network ---- */

/* The IPv4 group that @mgid stands for, or 0. */
static __be32 hodp_mcast_ipv4(const union ib_gid *mgid)
{
	static const u8 alias[12] = { 0xff, 0x0e, [10] = 0xff, 0xff };
	const struct in6_addr *addr = (const void *)mgid->raw;
	__be32 ip = addr->s6_addr32[3];

	if (!ipv4_is_multicast(ip))
		return 0;
	return ipv6_addr_v4mapped(addr) ||
			       !memcmp(mgid->raw, alias, sizeof(alias)) ?
		       ip :
		       0;
}

bool hodp_mcast_to_ipv4(union ib_gid *mgid)
{
	__be32 ip = hodp_mcast_ipv4(mgid);

	if (ip)
		ipv6_addr_set_v4mapped(ip, (void *)mgid->raw);
	return ip;
}

/* The netdev joins the group.  Without IPv4 or IPv6 it has no such GIDs either.
 * Return: 0, -ENOMEM.
 */
static int hodp_mcast_join_net(struct hodp_device *dev, struct hodp_mcast *mc)
{
	const struct in6_addr *addr = (const void *)mc->mgid.raw;
	struct in_device *in_dev = __in_dev_get_rtnl(dev->ndev);
	__be32 ip = hodp_mcast_ipv4(&mc->mgid);
	int ret = 0;

	ASSERT_RTNL();
	if (ipv6_addr_is_multicast(addr)) {
		ret = ipv6_dev_mc_inc(dev->ndev, addr);
		mc->joined6 = !ret;
	}
	if (ret == -ENOMEM)
		return ret;
	if (ip && in_dev) {
		ip_mc_inc_group(in_dev, ip);
		mc->joined4 = true;
	}
	return 0;
}

static void hodp_mcast_leave_net(struct hodp_device *dev, struct hodp_mcast *mc)
{
	const struct in6_addr *addr = (const void *)mc->mgid.raw;
	struct in_device *in_dev = __in_dev_get_rtnl(dev->ndev);

	ASSERT_RTNL();
	if (mc->joined6)
		ipv6_dev_mc_dec(dev->ndev, addr);
	if (mc->joined4 && in_dev)
		ip_mc_dec_group(in_dev, hodp_mcast_ipv4(&mc->mgid));
	mc->joined6 = false;
	mc->joined4 = false;
}

void hodp_mcast_netdev_leaves(struct hodp_device *dev)
{
	struct hodp_mcast *mc;
	int i;

	mutex_lock(&dev->mcast_lock);
	hash_for_each(dev->mcasts, i, mc, link)
		hodp_mcast_leave_net(dev, mc);
	dev->mcast_left = true;
	mutex_unlock(&dev->mcast_lock);
}

/* ---- members ---- */

static struct hodp_mcast *hodp_mcast_new(struct hodp_device *dev,
					 const union ib_gid *mgid)
{
	struct hodp_mcast *mc;

	lockdep_assert_held(&dev->mcast_lock);
	if (dev->mcast_num >= HODP_MAX_MCAST)
		return NULL;
	mc = kzalloc_obj(*mc, GFP_KERNEL_ACCOUNT);
	if (!mc)
		return NULL;
	mc->mgid = *mgid;
	if (!dev->mcast_left && hodp_mcast_join_net(dev, mc)) {
		kfree(mc);
		return NULL;
	}
	dev->mcast_num++;
	spin_lock_bh(&dev->mcast_rx_lock);
	hlist_add_head(&mc->link, hodp_mcast_bucket(dev, mgid));
	spin_unlock_bh(&dev->mcast_rx_lock);
	return mc;
}

/* End a group without members. */
static void hodp_mcast_end(struct hodp_device *dev, struct hodp_mcast *mc)
{
	lockdep_assert_held(&dev->mcast_lock);
	spin_lock_bh(&dev->mcast_rx_lock);
	hlist_del(&mc->link);
	spin_unlock_bh(&dev->mcast_rx_lock);
	hodp_mcast_leave_net(dev, mc);
	dev->mcast_num--;
	kfree(mc);
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
	int i;

	lockdep_assert_held(&dev->mcast_lock);
	if (!uid_valid(user))
		return true;
	if (share)
		return share < HODP_USER_MCAST_QP;
	hash_for_each(dev->mcasts, i, mc, link)
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
	spin_lock_bh(&dev->mcast_rx_lock);
	mc->users[mc->num] = user;
	mc->qpns[mc->num++] = qpn;
	spin_unlock_bh(&dev->mcast_rx_lock);
	return 0;
}

int hodp_mcast_attach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn, kuid_t user)
{
	int ret;

	rtnl_lock();
	mutex_lock(&dev->mcast_lock);
	ret = hodp_mcast_join(dev, mgid, qpn, user);
	mutex_unlock(&dev->mcast_lock);
	rtnl_unlock();
	return ret;
}

static void hodp_mcast_remove(struct hodp_device *dev, struct hodp_mcast *mc,
			      u32 i)
{
	spin_lock_bh(&dev->mcast_rx_lock);
	mc->num--;
	mc->qpns[i] = mc->qpns[mc->num];
	mc->users[i] = mc->users[mc->num];
	spin_unlock_bh(&dev->mcast_rx_lock);
	if (!mc->num)
		hodp_mcast_end(dev, mc);
}

int hodp_mcast_detach(struct hodp_device *dev, const union ib_gid *mgid,
		      u32 qpn)
{
	struct hodp_mcast *mc;
	int ret = -EINVAL;
	u32 i;

	rtnl_lock();
	mutex_lock(&dev->mcast_lock);
	mc = hodp_mcast_find(dev, mgid);
	i = mc ? hodp_mcast_index(mc, qpn) : 0;
	if (mc && i < mc->num) {
		hodp_mcast_remove(dev, mc, i);
		ret = 0;
	}
	mutex_unlock(&dev->mcast_lock);
	rtnl_unlock();
	return ret;
}

/* ---- datagrams ---- */

/* Add the members of the group @mgid that are not among the @num first ones. */
static u32 hodp_mcast_add_members(struct hodp_device *dev,
				  const union ib_gid *mgid, u32 *qpns, u32 num)
{
	const struct hodp_mcast *mc;
	u32 i, k, first = num;

	lockdep_assert_held(&dev->mcast_rx_lock);
	mc = hodp_mcast_find(dev, mgid);
	for (i = 0; mc && i < mc->num; i++) {
		for (k = 0; k < first && qpns[k] != mc->qpns[i]; k++)
			;
		if (k == first)
			qpns[num++] = mc->qpns[i];
	}
	return num;
}

/* The other GID under which IPv4 packets to @mgid have members; false: none. */
static bool hodp_mcast_alias(const union ib_gid *mgid, union ib_gid *alias)
{
	if (!ipv6_addr_v4mapped((const void *)mgid->raw))
		return false;
	*alias = *mgid;
	alias->raw[0] = 0xff;
	alias->raw[1] = 0x0e;
	return true;
}

u32 hodp_mcast_members(struct hodp_device *dev, const union ib_gid *mgid,
		       u32 qpns[HODP_MCAST_COPIES])
{
	union ib_gid alias;
	u32 num;

	spin_lock_bh(&dev->mcast_rx_lock);
	num = hodp_mcast_add_members(dev, mgid, qpns, 0);
	if (hodp_mcast_alias(mgid, &alias))
		num = hodp_mcast_add_members(dev, &alias, qpns, num);
	spin_unlock_bh(&dev->mcast_rx_lock);
	return num;
}

bool hodp_mcast_is_used(struct hodp_device *dev, const union ib_gid *mgid)
{
	union ib_gid alias;
	bool used;

	spin_lock_bh(&dev->mcast_rx_lock);
	used = hodp_mcast_find(dev, mgid) ||
	       (hodp_mcast_alias(mgid, &alias) && hodp_mcast_find(dev, &alias));
	spin_unlock_bh(&dev->mcast_rx_lock);
	return used;
}
