/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Handmade RoCEv2 packets: IPv4, UDP, and what follows.
 *
 * The headers and the ICRC are written here again, so that the module's code is
 * not compared with itself. A packet is an array of bytes that begins with its IP
 * header; its length is passed along.
 */
#ifndef PACKET_H
#define PACKET_H

#include "hodp_test.h"

enum {
	PKT_IP = 20,
	PKT_HEAD = 28, /* IP and UDP */
	PKT_BTH = 12,
	PKT_ICRC = 4,
	PKT_MTU = 9000, /* of guest/namespaces' netdevs */
	PKT_MAX = PKT_MTU + 64,
	PKT_PORT = 4791,
};

static inline void pkt_put32(uint8_t *at, uint32_t v)
{
	at[0] = v >> 24;
	at[1] = v >> 16;
	at[2] = v >> 8;
	at[3] = v;
}

static inline uint32_t pkt_get32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

static inline uint32_t pkt_get24(const uint8_t *at)
{
	return pkt_get32(at) & 0xffffff;
}

/* Write the headers of IP and UDP, except for the lengths. */
void pkt_begin(uint8_t *k, const union ibv_gid *from, const union ibv_gid *to);
/* Set the lengths in the two headers. */
void pkt_set_length(uint8_t *k, size_t len);
/* The ICRC of a packet whose first @len bytes precede it. */
uint32_t pkt_icrc(const uint8_t *k, size_t len);
/* Write the ICRC, which ends a packet of @len bytes. */
void pkt_set_icrc(uint8_t *k, size_t len);
bool pkt_icrc_ok(const uint8_t *k, size_t len);

/* A raw socket in network namespace @ns, which sends packets as they are. */
int pkt_socket(const char *ns);
/* To the destination in its IP header. */
void pkt_send(int fd, const uint8_t *k, size_t len);
/* A socket in @ns that gets IPv4 UDP packets, and has joined a group on @netdev. */
int pkt_member(const char *ns, const char *netdev, const union ibv_gid *group);
/* A socket that sees all IPv4 packets on @netdev in @ns, both ways. */
int pkt_capture(const char *ns, const char *netdev);
/*
 * The next RoCEv2 packet, from its IP header on, in @k of PKT_MAX bytes. Returns
 * its length; 0: there was none for @ms. @out: it leaves @netdev.
 */
size_t pkt_next(int fd, uint8_t *k, bool *out, unsigned int ms);

#endif /* PACKET_H */
