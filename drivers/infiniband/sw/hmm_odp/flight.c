// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Packets of a sender in the network stack (layer 1).
 *
 * Model: a *flight* counts the packets of a QP that the stack holds, in a qdisc,
 * a neighbour entry or a driver's ring: at most HODP_FLIGHT_MAX.  So a process
 * cannot fill the queue of a slow link with kernel memory, and a sender that is
 * faster than the link waits instead of losing its datagrams in the first queue.
 * A packet occupies a slot from before it is built until the stack calls
 * skb->destructor.
 *
 * Lifetime: a flight can outlive its QP, because destroying a QP must not wait
 * for a queue.  The QP has one reference, each packet another.  A packet uses
 * @sender only under @lock, and hodp_flight_end() clears it there.
 *
 * The destructor is module code, so module exit waits for the last flight.  A
 * queue that was stopped for good holds its packets, and so module exit, until it
 * is deleted or its netdev goes down; the log says so once.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/rcupdate.h>
#include <linux/wait_bit.h>
#include "charge.h"
#include "flight.h"
#include "runner.h"

/**
 * struct hodp_flight - packets of a sender in the stack
 * @refs: one for the QP and one per packet
 * @packets: number of slots taken
 * @wanted: the sender waits for a slot
 * @lock: guards @sender; taken in any context
 * @sender: the QP's requester; NULL once the QP is being destroyed
 */
struct hodp_flight {
	refcount_t refs;
	atomic_t packets;
	atomic_t wanted;
	spinlock_t lock; /* @sender */
	struct hodp_runner *sender;
};

/* Module exit says what it waits for after this time. */
#define HODP_FLIGHTS_PATIENCE (5 * HZ)

/* Number of flights. */
static atomic_t hodp_flights = ATOMIC_INIT(0);

static void hodp_flight_put(struct hodp_flight *f)
{
	if (!refcount_dec_and_test(&f->refs))
		return;
	kfree(f);
	if (atomic_dec_and_test(&hodp_flights))
		wake_up_var(&hodp_flights);
}

struct hodp_flight *hodp_flight_new(struct hodp_runner *sender,
				    struct mem_cgroup *memcg)
{
	struct hodp_flight *f =
		hodp_charge_zalloc(memcg, sizeof(*f), GFP_KERNEL);

	if (!f)
		return NULL;
	refcount_set(&f->refs, 1);
	spin_lock_init(&f->lock);
	f->sender = sender;
	atomic_inc(&hodp_flights);
	return f;
}

/* Only the sender takes slots, so a slot that it has seen stays free. */
static bool hodp_flight_try(struct hodp_flight *f)
{
	if (atomic_read(&f->packets) >= HODP_FLIGHT_MAX)
		return false;
	atomic_inc(&f->packets);
	return true;
}

bool hodp_flight_take(struct hodp_flight *f)
{
	if (likely(hodp_flight_try(f)))
		return true;
	atomic_set(&f->wanted, 1);
	/* Pairs with the barrier in hodp_flight_give_back(): either this side
	 * sees the free slot, or that side sees @wanted.
	 */
	smp_mb();
	return hodp_flight_try(f);
}

void hodp_flight_give_back(struct hodp_flight *f)
{
	unsigned long flags;

	/* A full barrier; pairs with the one in hodp_flight_take(). */
	atomic_dec_return(&f->packets);
	if (likely(!atomic_read(&f->wanted)) || !atomic_xchg(&f->wanted, 0))
		return;
	spin_lock_irqsave(&f->lock, flags);
	if (f->sender)
		hodp_runner_kick(f->sender);
	spin_unlock_irqrestore(&f->lock, flags);
}

bool hodp_flight_is_crowded(const struct hodp_flight *f)
{
	return atomic_read(&f->packets) > HODP_FLIGHT_SHARE;
}

/* skb->destructor.  Context: any. */
static void hodp_flight_landed(struct sk_buff *skb)
{
	struct hodp_flight *f = skb_shinfo(skb)->destructor_arg;

	hodp_flight_give_back(f);
	hodp_flight_put(f);
}

void hodp_flight_board(struct hodp_flight *f, struct sk_buff *skb)
{
	refcount_inc(&f->refs);
	skb_shinfo(skb)->destructor_arg = f;
	skb->destructor = hodp_flight_landed;
}

void hodp_flight_end(struct hodp_flight *f)
{
	if (!f)
		return;
	spin_lock_irq(&f->lock);
	f->sender = NULL;
	spin_unlock_irq(&f->lock);
	hodp_flight_put(f);
}

void hodp_flights_stop(void)
{
	if (!wait_var_event_timeout(&hodp_flights, !atomic_read(&hodp_flights),
				    HODP_FLIGHTS_PATIENCE))
		pr_notice(
			"waiting for the packets of %d senders; is a queue stopped?\n",
			atomic_read(&hodp_flights));
	wait_var_event(&hodp_flights, !atomic_read(&hodp_flights));
	/* Wait for destructors that still have to return: first those that run
	 * in softirq, then those in a task that may have been preempted.
	 */
	synchronize_rcu();
	synchronize_rcu_tasks();
}
