// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Handmade packets, and sockets that send and see them. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "packet.h"

/* --- bytes ----------------------------------------------------------------------- */

static uint32_t crc(uint32_t c, const uint8_t *d, size_t len)
{
	static uint32_t table[256];

	for (uint32_t n = 0; !table[255] && n < 256; n++) {
		uint32_t v = n;

		for (int i = 0; i < 8; i++)
			v = v >> 1 ^ (v & 1 ? 0xedb88320 : 0);
		table[n] = v;
	}
	while (len--)
		c = c >> 8 ^ table[(c ^ *d++) & 0xff];
	return c;
}

uint32_t pkt_icrc(const uint8_t *k, size_t len)
{
	/* TOS, TTL, the checksums of IP and UDP, and the BTH's FECN and BECN. */
	static const uint8_t masked[] = { 1, 8, 10, 11, 26, 27, 32 };
	uint8_t head[PKT_HEAD + PKT_BTH];
	size_t n = HT_MIN(len, sizeof(head));
	uint8_t lrh[8];
	uint32_t c;

	memset(lrh, 0xff, sizeof(lrh));
	memcpy(head, k, n);
	for (size_t i = 0; i < HT_LEN(masked); i++)
		head[masked[i]] = 0xff;
	c = crc(crc(0xffffffff, lrh, sizeof(lrh)), head, n);
	return ~crc(c, k + n, len - n);
}

/* The ICRC is little-endian. */
static void put_icrc(uint8_t *at, uint32_t c)
{
	for (int i = 0; i < PKT_ICRC; i++)
		at[i] = c >> 8 * i;
}

void pkt_set_icrc(uint8_t *k, size_t len)
{
	put_icrc(k + len - PKT_ICRC, pkt_icrc(k, len - PKT_ICRC));
}

bool pkt_icrc_ok(const uint8_t *k, size_t len)
{
	uint8_t want[PKT_ICRC];

	put_icrc(want, pkt_icrc(k, len - PKT_ICRC));
	return !memcmp(want, k + len - PKT_ICRC, PKT_ICRC);
}

void pkt_begin(uint8_t *k, const union ibv_gid *from, const union ibv_gid *to)
{
	struct iphdr *ip = (void *)k;

	*ip = (struct iphdr){ .version = 4,
			      .ihl = 5,
			      .id = htons(0x1234),
			      .frag_off = htons(IP_DF),
			      .ttl = 64,
			      .protocol = IPPROTO_UDP };
	memcpy(&ip->saddr, from->raw + 12, 4);
	memcpy(&ip->daddr, to->raw + 12, 4);
	pkt_put32(k + 20, 0xc0de0000 | PKT_PORT);
	pkt_put32(k + 24, 0);
}

void pkt_set_length(uint8_t *k, size_t len)
{
	struct iphdr *ip = (void *)k;
	uint16_t udp = htons(len - sizeof(*ip));

	ip->tot_len = htons(len);
	memcpy(k + 24, &udp, 2);
}

/* --- sockets --------------------------------------------------------------------- */

static int socket_in(const char *ns, int family, int protocol)
{
	char path[80];
	int here = ht_sys(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	int there, fd;

	snprintf(path, sizeof(path), "/run/netns/%s", ns);
	there = ht_sys(open(path, O_RDONLY | O_CLOEXEC));
	ht_sys(setns(there, CLONE_NEWNET));
	/* For packets, the data of a SOCK_DGRAM begin with the IP header. */
	fd = ht_sys(socket(family, (family == AF_PACKET ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC,
			   protocol));
	ht_sys(setns(here, CLONE_NEWNET));
	close(there);
	close(here);
	return fd;
}

int pkt_socket(const char *ns)
{
	int fd = socket_in(ns, AF_INET, IPPROTO_RAW);
	int on = 1;

	ht_sys(setsockopt(fd, IPPROTO_IP, IP_HDRINCL, &on, sizeof(on)));
	return fd;
}

void pkt_send(int fd, const uint8_t *k, size_t len)
{
	struct sockaddr_in to = { .sin_family = AF_INET };

	memcpy(&to.sin_addr, k + 16, 4);
	ht_eq(sendto(fd, k, len, 0, (void *)&to, sizeof(to)), len);
}

/* The index of a netdev in the namespace of a socket. */
static int index_of(int fd, const char *netdev)
{
	struct ifreq r = {};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", netdev);
	ht_sys(ioctl(fd, SIOCGIFINDEX, &r));
	return r.ifr_ifindex;
}

int pkt_member(const char *ns, const char *netdev, const union ibv_gid *group)
{
	int fd = socket_in(ns, AF_INET, IPPROTO_UDP);
	struct ip_mreqn m = { .imr_ifindex = index_of(fd, netdev) };

	memcpy(&m.imr_multiaddr, group->raw + 12, 4);
	ht_sys(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)));
	return fd;
}

int pkt_capture(const char *ns, const char *netdev)
{
	int fd = socket_in(ns, AF_PACKET, 0), size = 64 * HT_MIB;
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = index_of(fd, netdev),
	};

	ht_sys(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	ht_sys(bind(fd, (void *)&at, sizeof(at)));
	return fd;
}

static bool is_ours(const uint8_t *k, size_t len)
{
	return len >= PKT_HEAD + PKT_BTH + PKT_ICRC && k[0] == 0x45 && k[9] == IPPROTO_UDP &&
	       (k[22] << 8 | k[23]) == PKT_PORT;
}

size_t pkt_next(int fd, uint8_t *k, bool *out, unsigned int ms)
{
	uint64_t deadline = ht_deadline(ms);

	for (;;) {
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, k, PKT_MAX, MSG_DONTWAIT | MSG_TRUNC, (void *)&from,
				     &from_len);

		if (n < 0) {
			ht_check(errno == EAGAIN, "reading a capture: %s", strerror(errno));
			if (ht_over(deadline))
				return 0;
			ht_yield();
			continue;
		}
		ht_check(n <= PKT_MAX, "a captured packet of %zd bytes", n);
		if (!is_ours(k, n))
			continue;
		*out = from.sll_pkttype == PACKET_OUTGOING;
		return n;
	}
}
