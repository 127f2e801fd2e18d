// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * RoCEv2 packets through the kernel's IP stack (layer 4).
 *
 * Receiving: a netfilter hook at LOCAL_IN, after the firewall, in each network
 * namespace that has the netdev of a device.  The hook takes UDP packets to port
 * 4791 that are for a GID of a device and arrive on the netdev of that GID (the
 * device's or a VLAN on it) or on loopback, and those that arrive on the netdev of
 * a device for a multicast group (mcast.c).  It accepts all others.  There is no
 * socket, so `ss` shows none, and another soft RoCE device in the namespace can
 * bind the port, no matter which was created first.
 *
 * Sending: a route from the GID's netdev, handmade headers, and then the stack's
 * own output with firewall, neighbours and queues.  A connection keeps its route,
 * until the kernel says that it is obsolete or the device leaves the namespace:
 * after that nothing holds a route, because a route must not outlive it.
 *
 * Namespaces: a device belongs to the namespace of its netdev.  It is *attached*
 * only while the netdev is registered there.  So it needs no reference to the
 * namespace and never keeps one alive.
 *
 * Lock order: RTNL -> hodp_udp_lock -> netfilter's locks.  Packets find devices
 * under RCU and use them only in the same RCU section.
 *
 * Not supported: IP options, extension headers, packets merged by GRO
 * (rx-udp-gro-forwarding).
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/rtnetlink.h>
#include <linux/sched/mm.h>
#include <linux/udp.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/ip6_route.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/route.h>
#include <rdma/ib_cache.h>
#include "ah.h"
#include "mcast.h"
#include "udp.h"

static_assert(HODP_WIRE_PORT == ROCE_V2_UDP_DPORT);

/**
 * struct hodp_udp_net - per network namespace
 * @devices: attached devices; the hooks are registered unless it is empty;
 *           written under hodp_udp_lock, read under RCU
 */
struct hodp_udp_net {
	struct list_head devices;
};

static unsigned int hodp_udp_net_id;
/* Receives packets; set at module init. */
static bool (*hodp_udp_receive)(const struct hodp_udp_packet *packet);
/* Guards the hooks and writes to the lists and to hodp_device.net. */
static DEFINE_MUTEX(hodp_udp_lock);

/* ---- receiving ---- */

/* Has @dev this GID on @in?  A VLAN's GIDs must not be reached without a tag. */
static bool hodp_udp_has_gid(struct hodp_device *dev, const union ib_gid *gid,
			     struct net_device *in)
{
	const struct ib_gid_attr *attr;

	attr = rdma_find_gid_by_port(&dev->ibdev, gid,
				     IB_GID_TYPE_ROCE_UDP_ENCAP, HODP_PORT,
				     in->flags & IFF_LOOPBACK ? NULL : in);
	if (IS_ERR(attr))
		return false;
	rdma_put_gid_attr(attr);
	return true;
}

/* Is a packet to @gid that arrives on @in for @dev?  A group may have members of other
 * programs only.  On loopback, all is from the device itself.
 */
static bool hodp_udp_is_for(struct hodp_device *dev, const union ib_gid *gid,
			    struct net_device *in)
{
	if (hodp_gid_is_mcast(gid))
		return dev->ndev == in && !(in->flags & IFF_LOOPBACK) &&
		       hodp_mcast_is_used(dev, gid);
	return hodp_udp_has_gid(dev, gid, in);
}

/* The device that a packet to @gid is for, valid in the caller's RCU section. */
static struct hodp_device *hodp_udp_find(const struct nf_hook_state *state,
					 const union ib_gid *gid)
{
	struct hodp_udp_net *un = net_generic(state->net, hodp_udp_net_id);
	struct hodp_device *dev;

	list_for_each_entry_rcu(dev, &un->devices, udp_link)
		if (hodp_udp_is_for(dev, gid, state->in))
			return dev;
	return NULL;
}

/* Trim the packet to its UDP length, check it, and make it linear. */
static bool hodp_udp_prepare(struct sk_buff *skb, u32 ip_len,
			     const struct nf_hook_state *state)
{
	const struct udphdr *udp = (void *)(skb->data + ip_len);
	u32 len = ntohs(udp->len);
	bool check = udp->check;

	/* Trimming may move the headers. */
	if (skb_is_gso(skb) || len < sizeof(*udp) || len > skb->len - ip_len ||
	    pskb_trim_rcsum(skb, ip_len + len))
		return false;
	if (check &&
	    nf_checksum(skb, state->hook, ip_len, IPPROTO_UDP, state->pf))
		return false;
	return !skb_linearize(skb);
}

static unsigned int hodp_udp_take(struct sk_buff *skb, u32 ip_len,
				  const union ib_gid *dgid,
				  const struct nf_hook_state *state)
{
	struct hodp_device *dev = hodp_udp_find(state, dgid);
	struct hodp_udp_packet packet = {
		.dev = dev,
		.skb = skb,
		.ip_len = ip_len,
	};

	/* What the stack loops back was sent here, and has been delivered. */
	if (!dev || skb->pkt_type == PACKET_LOOPBACK)
		return NF_ACCEPT;
	if (hodp_gid_is_mcast(dgid))
		packet.mgid = dgid;
	hodp_count(dev, HODP_CNT_RX_PACKETS, 1);
	hodp_count(dev, HODP_CNT_RX_BYTES, skb->len);
	if (hodp_udp_prepare(skb, ip_len, state)) {
		packet.ip = skb->data;
		packet.len = skb->len - ip_len;
		if (hodp_udp_receive(&packet))
			return NF_STOLEN;
	} else {
		hodp_count(dev, HODP_CNT_RX_BAD_UDP, 1);
	}
	consume_skb(skb);
	return NF_STOLEN;
}

static bool hodp_udp_is_ours(struct sk_buff *skb, u32 ip_len)
{
	struct udphdr buf;
	const struct udphdr *udp =
		skb_header_pointer(skb, ip_len, sizeof(buf), &buf);

	return udp && udp->dest == htons(HODP_WIRE_PORT) &&
	       pskb_may_pull(skb, ip_len + sizeof(*udp));
}

/* nf_hookfn.  Context: softirq, RCU. */
static unsigned int hodp_udp_ipv4(void *priv, struct sk_buff *skb,
				  const struct nf_hook_state *state)
{
	const struct iphdr *ip = ip_hdr(skb);
	union ib_gid dgid;

	if (ip->protocol != IPPROTO_UDP || ip->ihl * 4 != HODP_WIRE_IPV4 ||
	    !hodp_udp_is_ours(skb, HODP_WIRE_IPV4))
		return NF_ACCEPT;
	ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr, (void *)dgid.raw);
	return hodp_udp_take(skb, HODP_WIRE_IPV4, &dgid, state);
}

static unsigned int hodp_udp_ipv6(void *priv, struct sk_buff *skb,
				  const struct nf_hook_state *state)
{
	union ib_gid dgid;

	if (ipv6_hdr(skb)->nexthdr != IPPROTO_UDP ||
	    !hodp_udp_is_ours(skb, HODP_WIRE_IPV6))
		return NF_ACCEPT;
	memcpy(dgid.raw, &ipv6_hdr(skb)->daddr, sizeof(dgid.raw));
	return hodp_udp_take(skb, HODP_WIRE_IPV6, &dgid, state);
}

static const struct nf_hook_ops hodp_udp_hooks[] = {
	{
		.hook = hodp_udp_ipv4,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_LOCAL_IN,
		.priority = NF_IP_PRI_LAST,
	},
	{
		.hook = hodp_udp_ipv6,
		.pf = NFPROTO_IPV6,
		.hooknum = NF_INET_LOCAL_IN,
		.priority = NF_IP6_PRI_LAST,
	},
};

/* ---- devices ---- */

static int hodp_udp_enter(struct hodp_device *dev, struct net *net)
{
	struct hodp_udp_net *un = net_generic(net, hodp_udp_net_id);
	int ret = 0;

	lockdep_assert_held(&hodp_udp_lock);
	if (list_empty(&un->devices))
		ret = nf_register_net_hooks(net, hodp_udp_hooks,
					    ARRAY_SIZE(hodp_udp_hooks));
	if (ret)
		return ret;
	WRITE_ONCE(dev->net, net);
	list_add_rcu(&dev->udp_link, &un->devices);
	return 0;
}

int hodp_udp_attach(struct hodp_device *dev)
{
	int ret = 0;

	rtnl_lock();
	mutex_lock(&hodp_udp_lock);
	/* A registered netdev keeps its namespace alive until
	 * hodp_udp_netdev_leaves(), which needs RTNL.
	 */
	if (!dev->net && dev->ndev->reg_state == NETREG_REGISTERED)
		ret = hodp_udp_enter(dev, dev_net(dev->ndev));
	mutex_unlock(&hodp_udp_lock);
	rtnl_unlock();
	return ret;
}

/* ---- routes that are kept ---- */

static void hodp_udp_forget_locked(struct hodp_device *dev,
				   struct hodp_udp_route *cache)
{
	struct dst_entry *dst = cache->dst;

	lockdep_assert_held(&dev->routes_lock);
	if (!dst)
		return;
	list_del(&cache->link);
	WRITE_ONCE(cache->dst, NULL);
	dst_release(dst);
}

void hodp_udp_forget(struct hodp_device *dev, struct hodp_udp_route *cache)
{
	spin_lock_bh(&dev->routes_lock);
	hodp_udp_forget_locked(dev, cache);
	spin_unlock_bh(&dev->routes_lock);
}

/* No sender is in the namespace, so none keeps a route from now on. */
static void hodp_udp_forget_all(struct hodp_device *dev)
{
	struct hodp_udp_route *cache, *next;

	spin_lock_bh(&dev->routes_lock);
	list_for_each_entry_safe(cache, next, &dev->routes, link)
		hodp_udp_forget_locked(dev, cache);
	spin_unlock_bh(&dev->routes_lock);
}

/* Keep the route, with the caller's reference.  Caller: as hodp_udp_output(). */
static void hodp_udp_keep(struct hodp_device *dev, struct hodp_udp_route *cache,
			  struct dst_entry *dst, bool ipv4)
{
	cache->cookie = ipv4 ? 0 : rt6_get_cookie(dst_rt6_info(dst));
	spin_lock_bh(&dev->routes_lock);
	hodp_udp_forget_locked(dev, cache);
	WRITE_ONCE(cache->dst, dst);
	list_add(&cache->link, &dev->routes);
	spin_unlock_bh(&dev->routes_lock);
}

/* The kept route if it is still good, or NULL.  Caller: as hodp_udp_output(). */
static struct dst_entry *hodp_udp_kept(const struct hodp_udp_route *cache)
{
	struct dst_entry *dst = cache ? READ_ONCE(cache->dst) : NULL;

	return dst ? dst_check(dst, cache->cookie) : NULL;
}

/* ---- leaving ---- */

static void hodp_udp_leave(struct hodp_device *dev)
{
	struct hodp_udp_net *un = net_generic(dev->net, hodp_udp_net_id);

	lockdep_assert_held(&hodp_udp_lock);
	list_del_rcu(&dev->udp_link);
	if (list_empty(&un->devices))
		nf_unregister_net_hooks(dev->net, hodp_udp_hooks,
					ARRAY_SIZE(hodp_udp_hooks));
	WRITE_ONCE(dev->net, NULL);
	/* Wait for receivers in the device and senders in the namespace. */
	synchronize_net();
	hodp_udp_forget_all(dev);
}

void hodp_udp_detach(struct hodp_device *dev)
{
	mutex_lock(&hodp_udp_lock);
	if (dev->net)
		hodp_udp_leave(dev);
	mutex_unlock(&hodp_udp_lock);
}

/* The attached device of @ndev, or NULL. */
static struct hodp_device *hodp_udp_on(const struct net_device *ndev)
{
	struct hodp_udp_net *un = net_generic(dev_net(ndev), hodp_udp_net_id);
	struct hodp_device *dev;

	lockdep_assert_held(&hodp_udp_lock);
	list_for_each_entry(dev, &un->devices, udp_link)
		if (dev->ndev == ndev)
			return dev;
	return NULL;
}

void hodp_udp_netdev_leaves(const struct net_device *ndev)
{
	struct hodp_device *dev;

	ASSERT_RTNL();
	mutex_lock(&hodp_udp_lock);
	dev = hodp_udp_on(ndev);
	if (dev)
		hodp_udp_leave(dev);
	mutex_unlock(&hodp_udp_lock);
}

/* ---- sending ---- */

/* Space for our headers and for those of the stack and the driver. */
#define HODP_UDP_HEADROOM (MAX_HEADER + HODP_WIRE_IPV6 + HODP_WIRE_UDP)

struct sk_buff *hodp_udp_alloc(struct mem_cgroup *memcg, u32 len, gfp_t gfp)
{
	struct mem_cgroup *old = set_active_memcg(memcg);
	struct sk_buff *skb;

	skb = alloc_skb(HODP_UDP_HEADROOM + len,
			gfp | __GFP_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY);
	set_active_memcg(old);
	if (!skb)
		return NULL;
	skb_reserve(skb, HODP_UDP_HEADROOM);
	skb_put(skb, len);
	return skb;
}

static struct dst_entry *hodp_udp_route4(struct net *net,
					 const struct hodp_av *av, u16 sport)
{
	struct flowi4 fl = {
		.flowi4_oif = av->oif,
		.flowi4_proto = IPPROTO_UDP,
		.flowi4_dscp = inet_dsfield_to_dscp(av->traffic_class),
		.fl4_sport = htons(sport),
		.fl4_dport = htons(HODP_WIRE_PORT),
	};
	struct rtable *rt;

	memcpy(&fl.saddr, av->sgid.raw + 12, sizeof(fl.saddr));
	memcpy(&fl.daddr, av->dgid.raw + 12, sizeof(fl.daddr));
	rt = ip_route_output_flow(net, &fl, NULL);
	if (IS_ERR(rt))
		return ERR_CAST(rt);
	/* A GID is no broadcast address. */
	if (rt->rt_flags & RTCF_BROADCAST) {
		ip_rt_put(rt);
		return ERR_PTR(-ENETUNREACH);
	}
	return &rt->dst;
}

static struct dst_entry *hodp_udp_route6(struct net *net,
					 const struct hodp_av *av, u16 sport)
{
	struct flowi6 fl = {
		.flowi6_oif = av->oif,
		.flowi6_proto = IPPROTO_UDP,
		.flowlabel = ip6_make_flowinfo(av->traffic_class,
					       htonl(av->flow_label)),
		.fl6_sport = htons(sport),
		.fl6_dport = htons(HODP_WIRE_PORT),
	};

	memcpy(&fl.saddr, av->sgid.raw, sizeof(fl.saddr));
	memcpy(&fl.daddr, av->dgid.raw, sizeof(fl.daddr));
	return ip6_dst_lookup_flow(net, NULL, &fl, NULL);
}

static void hodp_udp_push(struct sk_buff *skb, u16 sport)
{
	struct udphdr *udp;

	udp = skb_push(skb, sizeof(*udp));
	skb_reset_transport_header(skb);
	/* No checksum: annex A17 allows 0, and the ICRC is stronger. */
	*udp = (struct udphdr){
		.source = htons(sport),
		.dest = htons(HODP_WIRE_PORT),
		.len = htons(skb->len),
	};
}

static void hodp_udp_push_ip4(struct sk_buff *skb, const struct hodp_av *av)
{
	u16 len = skb->len + sizeof(struct iphdr);
	struct iphdr *ip = skb_push(skb, sizeof(*ip));

	/* An atomic datagram needs no id (RFC 6864). */
	*ip = (struct iphdr){
		.version = 4,
		.ihl = sizeof(*ip) / 4,
		.tos = av->traffic_class,
		.tot_len = htons(len),
		.frag_off = htons(IP_DF),
		.ttl = av->hop_limit ?: IPDEFTTL,
		.protocol = IPPROTO_UDP,
	};
	memcpy(&ip->saddr, av->sgid.raw + 12, sizeof(ip->saddr));
	memcpy(&ip->daddr, av->dgid.raw + 12, sizeof(ip->daddr));
	skb->protocol = htons(ETH_P_IP);
}

static void hodp_udp_push_ip6(struct sk_buff *skb, const struct hodp_av *av)
{
	u16 len = skb->len;
	struct ipv6hdr *ip = skb_push(skb, sizeof(*ip));

	*ip = (struct ipv6hdr){
		.payload_len = htons(len),
		.nexthdr = IPPROTO_UDP,
		.hop_limit = av->hop_limit ?: IPDEFTTL,
	};
	ip6_flow_hdr(ip, av->traffic_class, htonl(av->flow_label));
	memcpy(&ip->saddr, av->sgid.raw, sizeof(ip->saddr));
	memcpy(&ip->daddr, av->dgid.raw, sizeof(ip->daddr));
	skb->protocol = htons(ETH_P_IPV6);
}

/* Push the UDP and IP headers and write the ICRC. */
static void hodp_udp_seal(struct sk_buff *skb, const struct hodp_av *av,
			  u16 sport, bool ipv4)
{
	u32 ip_len = ipv4 ? HODP_WIRE_IPV4 : HODP_WIRE_IPV6;
	u32 len = skb->len - HODP_WIRE_ICRC;
	u8 *body = skb->data;
	u32 icrc;

	hodp_udp_push(skb, sport);
	if (ipv4)
		hodp_udp_push_ip4(skb, av);
	else
		hodp_udp_push_ip6(skb, av);
	skb_reset_network_header(skb);
	icrc = hodp_wire_icrc(skb->data, ip_len, skb->data + ip_len, body, len);
	hodp_wire_icrc_put(body + len, icrc);
}

/* 0, or why a packet of @len bytes cannot take this route. */
static int hodp_udp_check_route(const struct dst_entry *dst,
				const struct hodp_av *av, u32 len)
{
	const struct net_device *out = dst_dev(dst);

	/* To IPv6, the interface of the look-up is only a preference. */
	if (out->ifindex != av->oif && !(out->flags & IFF_LOOPBACK))
		return -ENETUNREACH;
	return len > dst_mtu(dst) ? -EMSGSIZE : 0;
}

/* A route to the address, with a reference, or ERR_PTR. */
static struct dst_entry *hodp_udp_look_up(struct net *net,
					  const struct hodp_av *av, u16 sport)
{
	bool ipv4 = av->net_type == RDMA_NETWORK_IPV4;

	if (ipv4 != ipv6_addr_v4mapped((const void *)av->dgid.raw))
		return ERR_PTR(-EAFNOSUPPORT);
	return ipv4 ? hodp_udp_route4(net, av, sport) :
		      hodp_udp_route6(net, av, sport);
}

/* Give the packet its route, that of @cache if it has a good one.  Return: 0;
 * -EMSGSIZE: it exceeds the MTU; or another errno.  Caller: as hodp_udp_output().
 */
static int hodp_udp_route(struct hodp_device *dev, struct net *net,
			  const struct hodp_av *av, u16 sport,
			  struct sk_buff *skb, struct hodp_udp_route *cache)
{
	bool ipv4 = av->net_type == RDMA_NETWORK_IPV4;
	u32 len = skb->len + HODP_WIRE_UDP +
		  (ipv4 ? HODP_WIRE_IPV4 : HODP_WIRE_IPV6);
	struct dst_entry *dst = hodp_udp_kept(cache);
	bool kept = dst;
	int ret;

	if (!dst)
		dst = hodp_udp_look_up(net, av, sport);
	if (IS_ERR(dst))
		return PTR_ERR(dst);
	ret = hodp_udp_check_route(dst, av, len);
	/* Bundles of xfrm are not kept: they follow rules of their own. */
	if (!kept && !ret && cache && !dst_xfrm(dst)) {
		hodp_udp_keep(dev, cache, dst, ipv4);
		kept = true;
	}
	if (kept && !ret)
		skb_dst_set_noref(skb, dst);
	else if (!ret)
		skb_dst_set(skb, dst);
	else if (!kept)
		dst_release(dst);
	return ret;
}

/* Caller: in the RCU section that has read @net from @dev. */
static void hodp_udp_output(struct hodp_device *dev, struct net *net,
			    const struct hodp_av *av, u16 sport,
			    struct sk_buff *skb, struct hodp_udp_route *cache)
{
	bool ipv4 = av->net_type == RDMA_NETWORK_IPV4;
	int ret = hodp_udp_route(dev, net, av, sport, skb, cache);

	if (ret) {
		hodp_count(dev,
			   ret == -EMSGSIZE ? HODP_CNT_TX_TOO_LONG :
					      HODP_CNT_TX_NO_ROUTE,
			   1);
		kfree_skb(skb);
		return;
	}
	hodp_udp_seal(skb, av, sport, ipv4);
	hodp_count(dev, HODP_CNT_TX_PACKETS, 1);
	hodp_count(dev, HODP_CNT_TX_BYTES, skb->len);
	if (ipv4)
		ret = ip_local_out(net, NULL, skb);
	else
		ret = ip6_local_out(net, NULL, skb);
	/* An error is a loss in the network like any other. */
	if (unlikely(net_xmit_eval(ret)))
		hodp_count(dev, HODP_CNT_TX_DROPPED, 1);
}

void hodp_udp_send(struct hodp_device *dev, const struct hodp_av *av, u16 sport,
		   struct sk_buff *skb, struct hodp_udp_route *cache)
{
	struct net *net;

	/* With BHs off: over a veth, the receiver runs when they are on again. */
	rcu_read_lock_bh();
	net = READ_ONCE(dev->net);
	if (net) {
		hodp_udp_output(dev, net, av, sport, skb, cache);
	} else {
		hodp_count(dev, HODP_CNT_TX_NO_ROUTE, 1);
		kfree_skb(skb);
	}
	rcu_read_unlock_bh();
}

static bool hodp_udp_next_hop(const struct dst_entry *dst,
			      const struct hodp_av *av)
{
	bool ipv4 = av->net_type == RDMA_NETWORK_IPV4;
	struct neighbour *n =
		dst_neigh_lookup(dst, av->dgid.raw + (ipv4 ? 12 : 0));
	bool resolved = n && (READ_ONCE(n->nud_state) & NUD_VALID);

	if (n)
		neigh_release(n);
	return resolved;
}

bool hodp_udp_is_resolved(struct hodp_device *dev, const struct hodp_av *av,
			  u16 sport)
{
	struct dst_entry *dst;
	bool resolved = true;
	struct net *net;

	rcu_read_lock_bh();
	net = READ_ONCE(dev->net);
	dst = net ? hodp_udp_look_up(net, av, sport) : ERR_PTR(-ENETDOWN);
	if (!IS_ERR(dst)) {
		resolved = hodp_udp_check_route(dst, av, 0) ||
			   hodp_udp_next_hop(dst, av);
		dst_release(dst);
	}
	rcu_read_unlock_bh();
	return resolved;
}

/* ---- module ---- */

static int __net_init hodp_udp_net_init(struct net *net)
{
	struct hodp_udp_net *un = net_generic(net, hodp_udp_net_id);

	INIT_LIST_HEAD(&un->devices);
	return 0;
}

static void __net_exit hodp_udp_net_exit(struct net *net)
{
	struct hodp_udp_net *un = net_generic(net, hodp_udp_net_id);

	/* hodp_udp_netdev_leaves() has detached the devices. */
	WARN_ON(!list_empty(&un->devices));
}

static struct pernet_operations hodp_udp_net_ops = {
	.init = hodp_udp_net_init,
	.exit = hodp_udp_net_exit,
	.id = &hodp_udp_net_id,
	.size = sizeof(struct hodp_udp_net),
};

int hodp_udp_start(bool (*receive)(const struct hodp_udp_packet *packet))
{
	hodp_udp_receive = receive;
	return register_pernet_subsys(&hodp_udp_net_ops);
}

void hodp_udp_stop(void)
{
	unregister_pernet_subsys(&hodp_udp_net_ops);
}
