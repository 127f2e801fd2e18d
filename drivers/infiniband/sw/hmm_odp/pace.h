/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * How much a requester may have in the network, and how long it waits for an
 * answer (layer 0; also compiled in user space).
 *
 * Language: the *window* is the number of packets that may be outstanding.  A
 * *round* is the time in which one window is answered, about one round-trip time.
 * A *mark* is the news that a packet met congestion: a CNP, or a READ response
 * with CE in its IP header.
 *
 * The window begins at its maximum: without marks and losses it never shrinks.
 *
 *   mark       as in DCTCP (RFC 8257), once a round: window -= window * alpha / 2.
 *              @alpha is the share of rounds that had a mark, a moving average.
 *              At least one packet stays, so that the QP is never stopped
 *   loss       once a round: window -= window / 8, down to HODP_PACE_LOSSY.  A
 *              lossy link is not a congested one; below that, only marks and
 *              silence shrink it
 *   silence    a full timeout without an answer: halve it
 *   neither    for a round that used all of the window: one more packet
 *
 * An increase by addition and a decrease by multiplication make QPs that share a
 * link converge to equal windows.
 *
 * Waiting: a lost packet with no packet behind it makes no NAK.  Instead of the
 * local ACK timeout, which is often a second, the requester first waits for the
 * *early* time, a few round trips, and then sends one packet again.  The waits
 * double until their sum is the timeout.  Only then it counts as a retry.  A peer
 * that has given a sign of life is slow, and is not asked early.
 */
#ifndef HODP_PACE_H
#define HODP_PACE_H

#ifdef __KERNEL__
#include <linux/types.h>
#endif

/* The largest window, in packets. */
#define HODP_PACE_MAX 128
/* Losses do not shrink the window below this. */
#define HODP_PACE_LOSSY 32
/* Ask for an acknowledgment every so many packets, if the window is large. */
#define HODP_PACE_ACK_EVERY 32
/* An alpha of 1, and the weight of one round in it. */
#define HODP_PACE_ALPHA_ONE 1024
#define HODP_PACE_ALPHA_SHIFT 4
/* The early time in ns is at least a third of the timeout, within these
 * limits.  A peer with a page fault gives its first sign of life before that
 * (rc_wait.c), and threads of the peer may have to wait for a CPU; the consumer
 * knows for how long.
 */
#define HODP_PACE_EARLY_LEAST 8000000ULL
#define HODP_PACE_EARLY_MOST 1400000000ULL
/* The longest wait, in ns, if the timeout is infinite. */
#define HODP_PACE_PATIENCE HODP_PACE_EARLY_MOST

/**
 * struct hodp_pace - the pace of a requester
 * @window: packets, 1 to HODP_PACE_MAX
 * @alpha: of HODP_PACE_ALPHA_ONE
 * @marked: this round had a mark
 * @shrunk: the window has shrunk in this round
 * @limited: in this round, a packet waited for the window
 * @rtt: smoothed round-trip time in ns; 0: not known
 * @wait: current wait in ns; 0: for ever
 * @waited: sum of the waits before, since the last progress
 */
struct hodp_pace {
	u32 window;
	u32 alpha;
	bool marked;
	bool shrunk;
	bool limited;
	u64 rtt;
	u64 wait;
	u64 waited;
};

void hodp_pace_init(struct hodp_pace *p);

/* ---- the window ---- */

/* A mark has arrived. */
void hodp_pace_mark(struct hodp_pace *p);
/* A packet was lost, and later ones were not. */
void hodp_pace_loss(struct hodp_pace *p);
/* There was no answer for a timeout. */
void hodp_pace_silence(struct hodp_pace *p);
/* A round has ended. */
void hodp_pace_round(struct hodp_pace *p);

/* Ask for an acknowledgment every so many packets: several times a window. */
static inline u32 hodp_pace_ack_every(const struct hodp_pace *p)
{
	u32 every = p->window / 4;

	if (!every)
		return 1;
	return every < HODP_PACE_ACK_EVERY ? every : HODP_PACE_ACK_EVERY;
}

/* ---- time ---- */

/* A packet was answered @ns after it was sent, for the first time. */
void hodp_pace_sample(struct hodp_pace *p, u64 ns);

/* The early time in ns; @timeout: as for hodp_pace_begin(). */
static inline u64 hodp_pace_early(const struct hodp_pace *p, u64 timeout)
{
	u64 least = timeout ? timeout / 3 : HODP_PACE_EARLY_MOST;

	if (least < HODP_PACE_EARLY_LEAST)
		least = HODP_PACE_EARLY_LEAST;
	if (least > HODP_PACE_EARLY_MOST)
		least = HODP_PACE_EARLY_MOST;
	return 4 * p->rtt > least ? 4 * p->rtt : least;
}

/**
 * hodp_pace_begin - begin to wait for an answer
 * @timeout: local ACK timeout in ns; 0: infinite
 * @early: a packet may be sent again before that
 *
 * Sets @p->wait.
 */
void hodp_pace_begin(struct hodp_pace *p, u64 timeout, bool early);

/**
 * hodp_pace_passed - the wait is over, without an answer
 * @timeout: as for hodp_pace_begin()
 *
 * Sets @p->wait to the next one.
 * Return: true: all of the timeout has passed: count a retry, and begin again;
 * false: only send a packet again.
 */
bool hodp_pace_passed(struct hodp_pace *p, u64 timeout);

/* The peer has given a sign of life, and nothing new: wait for all of @timeout,
 * which is as for hodp_pace_begin().  Sets @p->wait.
 */
void hodp_pace_sign(struct hodp_pace *p, u64 timeout);

#endif /* HODP_PACE_H */
