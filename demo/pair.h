/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the demo's programs need besides the verbs helper (userspace/testlib): a
 * pair of which side 0 asks and side 1 answers, and statuses to look at. What
 * cannot go on (no such device, no GID) ends the program with status 2 and one
 * line on stderr.
 */
#ifndef DEMO_PAIR_H
#define DEMO_PAIR_H

#include "ht.h"

/* End the program unless @ok: "PROGRAM: WHAT: strerror(errno)", status 2. */
void need(bool ok, const char *what);

/*
 * Connect two RC queue pairs by IPv4 GIDs.  @device is "NAME" for both, or
 * "NEAR,FAR": side 0 is on NEAR, side 1 on FAR.
 */
void demo_open(struct ht_pair *p, const char *device);

/* Connect two new ones, whatever became of the old ones. */
void demo_reconnect(struct ht_pair *p);

/* The next completion: its status, or -ETIMEDOUT after ten seconds. */
int demo_wait(struct ibv_cq *cq);

/* Post on @side and wait for the end: as demo_wait(), or -errno. */
int demo_do_at(struct ht_side *side, const struct ht_wr *w);

static inline int demo_do(struct ht_pair *p, const struct ht_wr *w)
{
	return demo_do_at(&p->s[0], w);
}

/* Such a status in words. */
const char *demo_status(int status);

#endif
