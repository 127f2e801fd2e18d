/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* RoCEv2 packets through the kernel's IP stack (layer 4): model in udp.c. */
#ifndef HODP_UDP_H
#define HODP_UDP_H

#include <linux/skbuff.h>
#include "dev.h"
#include "wire.h"

struct hodp_av;
struct dst_entry;

/**
 * struct hodp_udp_route - the route of a sender that sends to one address only
 * @link: in hodp_device.routes while there is a @dst; under its lock
 * @dst: route of the last packet, held, or NULL; written under that lock, and read
 *       by the one sender, in an RCU section in which the device is attached
 * @cookie: for dst_check(); owned by the sender
 *
 * Initially all zero.
 */
struct hodp_udp_route {
	struct list_head link;
	struct dst_entry *dst;
	u32 cookie;
};

/**
 * hodp_udp_attach - start to receive and send packets for a device
 *
 * The core calls it again when it moves the device to another namespace; the
 * netdev stays in its own, and this does nothing.  Nor does it attach to a netdev
 * that is being unregistered: the device will go too.
 *
 * Context: process, without RTNL; the device's GID table exists.
 * Return: 0, -ENOMEM.
 */
int hodp_udp_attach(struct hodp_device *dev);

/* Undo hodp_udp_attach(), if the device is attached.  On return, no packet uses
 * the device.  Context: process.
 */
void hodp_udp_detach(struct hodp_device *dev);

/* Detach the device of @ndev, which leaves its namespace.  Context: RTNL. */
void hodp_udp_netdev_leaves(const struct net_device *ndev);

/**
 * hodp_udp_alloc - allocate a packet, with headroom for UDP, IP and link headers
 * @memcg: charged for it; NULL: nobody
 * @len: length of the body, which the packet has on return
 * @gfp: GFP_KERNEL or GFP_NOWAIT, as the context allows
 *
 * Return: NULL if there is no memory.
 */
struct sk_buff *hodp_udp_alloc(struct mem_cgroup *memcg, u32 len, gfp_t gfp);

/**
 * hodp_udp_send - add UDP and IP headers and the ICRC, and send the packet
 * @dev: device
 * @av: destination and source
 * @sport: UDP source port
 * @skb: the body, including space for the ICRC; linear; consumed
 * @cache: keeps the route for the next packet with the same @av and @sport; one
 *         caller at a time; or NULL
 *
 * A packet that cannot be sent is dropped and counted.
 * Context: process or softirq.
 */
void hodp_udp_send(struct hodp_device *dev, const struct hodp_av *av, u16 sport,
		   struct sk_buff *skb, struct hodp_udp_route *cache);

/* Drop the route of @cache, if any; its sender does not send.  Context: process. */
void hodp_udp_forget(struct hodp_device *dev, struct hodp_udp_route *cache);

/* Does the neighbour that a packet would go to have a link address?  A route that
 * does not work counts as one.  Context: process.
 */
bool hodp_udp_is_resolved(struct hodp_device *dev, const struct hodp_av *av,
			  u16 sport);

/**
 * struct hodp_udp_packet - a packet received for a device
 * @dev: the device, which is attached
 * @skb: the packet, linear
 * @ip: IP header, followed by UDP header and body
 * @mgid: the multicast group that it is for, or NULL
 * @ip_len: length of the IP header
 * @len: length of the UDP header and the body
 */
struct hodp_udp_packet {
	struct hodp_device *dev;
	struct sk_buff *skb;
	const u8 *ip;
	const union ib_gid *mgid;
	u32 ip_len;
	u32 len;
};

/* Module init (return: 0, errno) and exit.  @receive is called in softirq, in
 * an RCU section; it returns true if it has consumed @skb.
 */
int hodp_udp_start(bool (*receive)(const struct hodp_udp_packet *packet));
void hodp_udp_stop(void);

#endif /* HODP_UDP_H */
