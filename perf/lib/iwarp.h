/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Queue pairs of an iWARP device: connected by the connection manager alone.
 *
 * For dev.c, which gives all devices one face.
 */
#ifndef PERF_IWARP_H
#define PERF_IWARP_H

#include <endian.h>
#include <string.h>

#include "perf.h"

/*
 * What the end that connects says first, as the private data of its request:
 * which queue pair it wants.  A process has one port for all of its own.
 */
struct perf_greeting {
	char word[8];
	uint32_t qpn; /* big-endian */
} __attribute__((packed));

#define PERF_GREETING "hodpperf"

static inline void perf_greet(struct perf_greeting *g, uint32_t qpn)
{
	memcpy(g->word, PERF_GREETING, sizeof(g->word));
	g->qpn = htobe32(qpn);
}

/* False: somebody else's request. */
static inline bool perf_greeted(const void *data, size_t len, uint32_t *qpn)
{
	struct perf_greeting g;

	if (!data || len < sizeof(g))
		return false;
	memcpy(&g, data, sizeof(g));
	*qpn = be32toh(g.qpn);
	return !memcmp(g.word, PERF_GREETING, sizeof(g.word));
}

/* READs and atomics under way on one queue pair: what a device has, or this. */
#define RD_ATOMIC 16

static inline int perf_rd_atomic(const struct perf_dev *d)
{
	const struct ibv_device_attr *a = &d->attr.orig_attr;
	int n = RD_ATOMIC;

	if (a->max_qp_rd_atom < n)
		n = a->max_qp_rd_atom;
	if (a->max_qp_init_rd_atom < n)
		n = a->max_qp_init_rd_atom;
	return n;
}

/* d->iwarp and d->gid, or perf_die(). */
void perf_iwarp_open(struct perf_dev *d, const struct perf_options *o);
void perf_iwarp_close(struct perf_iwarp *w);

/* From now on a peer can connect to @qp, a fresh one.  0 or errno. */
int perf_iwarp_add(struct perf_iwarp *w, struct ibv_qp *qp);

/* Undo this and cut its connection. */
void perf_iwarp_remove(struct ibv_qp *qp);

/* Where to connect to. */
uint16_t perf_iwarp_port(const struct perf_iwarp *w);

/* Be the end that connects.  0 or errno. */
int perf_iwarp_connect(struct perf_iwarp *w, struct ibv_qp *qp,
		       const struct perf_qp_address *peer);

#endif /* PERF_IWARP_H */
