// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Address handles (layer 2).
 *
 * Model: an AH is a number.  In hodp_device.ahs the number finds an *entry*: an
 * address vector and the protection domain in which it may be used.  A
 * published entry never changes; modify publishes a new one.
 *
 * Lifetime: the core may create and destroy an AH in atomic context, and it
 * frees struct ib_ah as soon as destroy returns.  So the entry is a separate
 * allocation that is freed by RCU.  Senders copy the entry, and destroy does
 * not have to wait.
 *
 * Numbers are allocated cyclically, so that a stale one is not reused soon.
 */
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/slab.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/ipv6.h>
#include <rdma/ib_cache.h>
#include <rdma/ib_pack.h>
#include "ah.h"
#include "transport.h"

/**
 * struct hodp_ah_entry - what is published under an AH's number
 * @av: address vector (immutable)
 * @pd: protection domain; only compared, never dereferenced (immutable)
 * @rcu: deferred free
 */
struct hodp_ah_entry {
	struct hodp_av av;
	const struct ib_pd *pd;
	struct rcu_head rcu;
};

#define HODP_FLOW_LABEL_MASK 0xfffff

/* The interface that packets from @sgid leave by, which can be a VLAN; -1, which
 * no interface has, if the GID is being removed.
 */
static int hodp_ah_oif(const struct ib_gid_attr *sgid)
{
	const struct net_device *ndev;
	int oif;

	rcu_read_lock();
	ndev = rdma_read_gid_attr_ndev_rcu(sgid);
	oif = IS_ERR(ndev) ? -1 : ndev->ifindex;
	rcu_read_unlock();
	return oif;
}

int hodp_av_init(struct hodp_device *dev, const struct rdma_ah_attr *attr,
		 struct hodp_av *av)
{
	const struct ib_global_route *grh = rdma_ah_read_grh(attr);
	const struct hodp_transport *transport;

	if (!(rdma_ah_get_ah_flags(attr) & IB_AH_GRH) || !grh->sgid_attr)
		return -EINVAL;
	transport = hodp_transport_for(dev, &grh->dgid);
	if (!transport)
		return -EHOSTUNREACH;
	*av = (struct hodp_av){
		.transport = transport,
		.dgid = grh->dgid,
		.sgid = grh->sgid_attr->gid,
		/* Users may set all 32 bits of it. */
		.flow_label = grh->flow_label & HODP_FLOW_LABEL_MASK,
		.traffic_class = grh->traffic_class,
		.hop_limit = grh->hop_limit,
		.oif = hodp_ah_oif(grh->sgid_attr),
		.net_type = rdma_gid_attr_network_type(grh->sgid_attr),
		.sl = rdma_ah_get_sl(attr),
	};
	return 0;
}

/* Make an unpublished entry for @attr, or ERR_PTR. */
static struct hodp_ah_entry *hodp_ah_entry_new(const struct hodp_ah *ah,
					       const struct rdma_ah_attr *attr,
					       gfp_t gfp)
{
	struct hodp_ah_entry *entry;
	struct hodp_av av;
	int ret;

	ret = hodp_av_init(to_hodp_device(ah->ibah.device), attr, &av);
	if (ret)
		return ERR_PTR(ret);
	entry = kzalloc_obj(*entry, gfp);
	if (!entry)
		return ERR_PTR(-ENOMEM);
	entry->pd = ah->ibah.pd;
	entry->av = av;
	return entry;
}

int hodp_ah_init(struct hodp_ah *ah, const struct rdma_ah_attr *attr, gfp_t gfp)
{
	struct hodp_device *dev = to_hodp_device(ah->ibah.device);
	struct hodp_ah_entry *entry = hodp_ah_entry_new(ah, attr, gfp);
	unsigned long flags;
	int ret;

	if (IS_ERR(entry))
		return PTR_ERR(entry);

	/* Not the _irq variants: they would enable interrupts for a caller that
	 * has them disabled.
	 */
	xa_lock_irqsave(&dev->ahs, flags);
	ret = __xa_alloc_cyclic(&dev->ahs, &ah->ahn, entry,
				XA_LIMIT(1, HODP_MAX_AH), &dev->next_ah, gfp);
	xa_unlock_irqrestore(&dev->ahs, flags);
	if (ret < 0) {
		kfree(entry);
		return -ENOMEM;
	}
	return 0;
}

int hodp_ah_modify(struct hodp_ah *ah, const struct rdma_ah_attr *attr)
{
	struct hodp_device *dev = to_hodp_device(ah->ibah.device);
	struct hodp_ah_entry *entry = hodp_ah_entry_new(ah, attr, GFP_ATOMIC);
	struct hodp_ah_entry *old;
	unsigned long flags;

	if (IS_ERR(entry))
		return PTR_ERR(entry);

	/* Replacing an entry allocates nothing, so it cannot fail. */
	xa_lock_irqsave(&dev->ahs, flags);
	old = __xa_store(&dev->ahs, ah->ahn, entry, GFP_ATOMIC);
	xa_unlock_irqrestore(&dev->ahs, flags);
	kfree_rcu(old, rcu);
	return 0;
}

void hodp_ah_query(const struct hodp_ah *ah, struct rdma_ah_attr *attr)
{
	struct hodp_device *dev = to_hodp_device(ah->ibah.device);
	struct hodp_av av;

	memset(attr, 0, sizeof(*attr));
	if (WARN_ON_ONCE(!hodp_ah_copy(dev, ah->ahn, ah->ibah.pd, &av)))
		return;
	attr->type = ah->ibah.type;
	rdma_ah_set_port_num(attr, HODP_PORT);
	rdma_ah_set_sl(attr, av.sl);
	rdma_ah_set_grh(attr, &av.dgid, av.flow_label,
			ah->ibah.sgid_attr->index, av.hop_limit,
			av.traffic_class);
}

void hodp_ah_destroy(struct hodp_ah *ah)
{
	struct hodp_device *dev = to_hodp_device(ah->ibah.device);
	struct hodp_ah_entry *entry;
	unsigned long flags;

	xa_lock_irqsave(&dev->ahs, flags);
	entry = __xa_erase(&dev->ahs, ah->ahn);
	xa_unlock_irqrestore(&dev->ahs, flags);
	kfree_rcu(entry, rcu);
}

bool hodp_ah_copy(struct hodp_device *dev, u32 ahn, const struct ib_pd *pd,
		  struct hodp_av *av)
{
	const struct hodp_ah_entry *entry;
	bool found;

	rcu_read_lock();
	entry = xa_load(&dev->ahs, ahn);
	found = entry && entry->pd == pd;
	if (found)
		*av = entry->av;
	rcu_read_unlock();
	return found;
}

/* Bytes after the IP header in a UD packet that carries @payload bytes. */
static u16 hodp_av_ip_payload(u32 payload)
{
	return sizeof(struct udphdr) + IB_BTH_BYTES + IB_DETH_BYTES +
	       ALIGN(payload, 4) + IB_ICRC_BYTES;
}

u8 hodp_av_grh(const struct hodp_av *av, u32 payload, u8 grh[40])
{
	u16 len = hodp_av_ip_payload(payload);

	if (av->net_type == RDMA_NETWORK_IPV4) {
		struct iphdr ip = {
			.version = 4,
			.ihl = sizeof(ip) / 4,
			.tos = av->traffic_class,
			.tot_len = htons(sizeof(ip) + len),
			.frag_off = htons(IP_DF),
			.ttl = av->hop_limit,
			.protocol = IPPROTO_UDP,
		};

		/* IPv4 GIDs are IPv4-mapped IPv6 addresses. */
		memcpy(&ip.saddr, av->sgid.raw + 12, 4);
		memcpy(&ip.daddr, av->dgid.raw + 12, 4);
		ip.check = ip_fast_csum(&ip, ip.ihl);
		memset(grh, 0, 20);
		memcpy(grh + 20, &ip, sizeof(ip));
	} else {
		struct ipv6hdr ip = {
			.payload_len = htons(len),
			.nexthdr = IPPROTO_UDP,
			.hop_limit = av->hop_limit,
		};

		ip6_flow_hdr(&ip, av->traffic_class, htonl(av->flow_label));
		memcpy(&ip.saddr, av->sgid.raw, sizeof(ip.saddr));
		memcpy(&ip.daddr, av->dgid.raw, sizeof(ip.daddr));
		memcpy(grh, &ip, sizeof(ip));
	}
	return av->net_type;
}
