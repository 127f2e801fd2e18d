/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Packets of a sender in the network stack (layer 1): model in flight.c. */
#ifndef HODP_FLIGHT_H
#define HODP_FLIGHT_H

#include <linux/skbuff.h>

struct hodp_flight;
struct hodp_runner;
struct mem_cgroup;

/* Packets of one sender in the stack: at most 256 KiB of payload. */
#define HODP_FLIGHT_MAX 64
/* Of these, packets of a datagram sender that may wait for a neighbour to answer. */
#define HODP_FLIGHT_SHARE 16

/**
 * hodp_flight_new - create an empty flight
 * @sender: the only runner that takes slots and waits for them
 * @memcg: charged for it, see hodp_charge_zalloc()
 *
 * Context: process.
 * Return: NULL if there is no memory.
 */
struct hodp_flight *hodp_flight_new(struct hodp_runner *sender,
				    struct mem_cgroup *memcg);

/**
 * hodp_flight_take - take a slot for a packet
 *
 * If there is none, the sender is kicked as soon as there is one.
 *
 * Context: the owner of the sender's runner.
 * Return: true: pass the slot to hodp_flight_board() or _give_back().
 */
bool hodp_flight_take(struct hodp_flight *f);
void hodp_flight_give_back(struct hodp_flight *f);

/* Are more than HODP_FLIGHT_SHARE slots taken? */
bool hodp_flight_is_crowded(const struct hodp_flight *f);

/* Pass the slot to @skb, which keeps it until it leaves the stack. */
void hodp_flight_board(struct hodp_flight *f, struct sk_buff *skb);

/* Detach the sender: nothing kicks it after return.  Its packets stay in the
 * stack.  NULL does nothing.  Context: process.
 */
void hodp_flight_end(struct hodp_flight *f);

/* Module exit: wait until all packets have left the stack. */
void hodp_flights_stop(void);

#endif /* HODP_FLIGHT_H */
