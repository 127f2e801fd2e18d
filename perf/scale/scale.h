/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The files of odp_scale.
 *
 *   odp_scale  options and rows
 *   plots      memory of a process: one *plot* per pair of queue pairs, its
 *              regions, its bytes
 *   worker     a process: its pairs, the threads that use them
 *   storm      a thread that takes pages away meanwhile
 */
#ifndef SCALE_H
#define SCALE_H

#include <pthread.h>

#include "../lib/crew.h"
#include "../lib/pair.h"

#define STORM_PAGES 16 /* of a plot, beside its slot */

enum storm {
	STORM_OFF,
	STORM_BESIDE, /* other pages of the same regions */
	STORM_SAME, /* the pages that traffic uses */
	STORMS,
};

struct cell {
	int qps; /* pairs of them, of all processes */
	int threads; /* of each process */
	int procs;
	bool many; /* a region for each pair, or one for all of a process */
	bool pinned;
	enum storm storm;
	enum ibv_wr_opcode op;
	size_t size;
};

struct settings {
	struct perf_options o;
	int depth; /* operations of a pair that are under way */
	int repeat;
	int rate; /* a storm's events per second; 0: no limit */
	double seconds; /* 0: a number of operations instead */
};

extern struct settings set;

/* What a process tells its parent, in memory of both. */
struct outcome {
	uint64_t begin, end, ops, events; /* of the last repetition */
	size_t wrong; /* bytes, of all repetitions */
	bool lacks; /* @why is something that the device lacks */
	char why[160]; /* "": nothing failed */
};

void fail(struct outcome *out, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- plots.c ---- */

/*
 * The side that asks has a slot per pair; the side that answers has a plot per
 * pair: a slot, and STORM_PAGES if the storm goes beside it.  Everything is
 * whole pages.
 */
struct plots {
	int n;
	size_t size, slot, plot;
	struct perf_mem local, remote;
	struct ibv_mr **local_mr,
		**remote_mr; /* the same one, or each its own */
	bool many;
	bool read;
	uint64_t seed;
};

bool plots_get(struct plots *p, struct perf_dev *d, const struct cell *c,
	       int index, struct outcome *out);
void plots_put(struct plots *p);
uint8_t *plots_local(const struct plots *p, int i);
uint8_t *plots_remote(const struct plots *p, int i);

/* Patterns where the bytes come from, zeros where they go to. */
void plots_fill(struct plots *p);

/* How many bytes did not arrive. */
size_t plots_wrong(const struct plots *p);

/* ---- storm.c ---- */

struct storm_thread {
	struct plots *plots;
	enum storm kind;
	pthread_t thread;
	bool stop; /* atomic */
	uint64_t events; /* read after its end */
	int err;
};

void storm_start(struct storm_thread *s, struct plots *p, enum storm kind);
void storm_stop(struct storm_thread *s);

/* ---- worker.c ---- */

struct work {
	const struct cell *cell;
	struct outcome *out; /* one per process */
};

/* A member of the crew: set.repeat repetitions, a step before each. */
bool worker(int index, int fd, void *work);

#endif /* SCALE_H */
