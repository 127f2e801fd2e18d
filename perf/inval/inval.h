/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The files of odp_inval.
 *
 *   victim   the range that events happen to, and its registration.  Its
 *            mapping begins with the *zone*, where traffic goes; the range
 *            follows, so that the end of a file can be cut off.
 *   event    one system call that takes pages or rights away
 *   traffic  a thread that WRITEs into the zone meanwhile
 *   verify   whether the device noticed
 */
#ifndef INVAL_H
#define INVAL_H

#include <pthread.h>
#include <sys/types.h>

#include "../lib/pair.h"

#define ZONE PERF_HUGE
#define ZONE_PAGES 16 /* that traffic uses */
#define SCRATCH ((size_t)1 << 20)
#define TRIES 20 /* of an event that says EAGAIN */

/* What verify() puts into the range, and the device after the event. */
#define SEED_BEFORE 0x1000000
#define SEED_AFTER 0x2000000
#define SEED_ANEW 0x3000000
#define SEED_TRAFFIC 0x4000000

/* What the device knows of the range. */
enum reg {
	REG_NONE, /* nothing: it is not registered */
	REG_PINNED,
	REG_EMPTY, /* registered for ODP, never used */
	REG_ODP, /* registered for ODP, every page used */
	REGS,
};

extern const char *const reg_names[REGS + 1];

struct victim {
	struct perf_mem mem;
	uint8_t *p; /* the range */
	size_t size; /* of it: what an event is about */
	size_t map; /* from @p to the end of the mapping: whole pages */
	uint8_t *spare; /* address space where mremap puts it */
	enum reg reg;
	struct ibv_mr *mr; /* of zone and range */
	bool fresh; /* a file gets new pages each time */
	bool refused; /* such memory cannot be registered like that */
	pid_t child; /* of fork; 0: none */
	bool hold_child; /* it lives until child_verdict() */
	int child_pipe[2];
};

struct tools {
	struct perf_options o;
	struct perf_dev dev;
	struct perf_probe probe; /* of SCRATCH bytes */
	struct victim v;
};

/* ---- victim.c: functions return NULL, or why not ---- */

const char *victim_get(struct tools *t, enum perf_mem_kind kind, size_t size);
void victim_put(struct tools *t);

/*
 * The range as it was before any event: a fresh mapping with all its pages,
 * registered and known to the device as @v.reg says.  Pages hold victim_fill()
 * of @seed, or anything if that is 0.
 */
const char *victim_make(struct tools *t, uint64_t seed);

/* The device READs the range, so that its page table holds it. */
const char *victim_known(struct tools *t);

/* A fresh mapping of the range, without pages (a file has its blocks). */
const char *victim_map(struct victim *v);
void victim_fill(uint8_t *p, size_t len, uint64_t seed);

/* How many bytes of [p, p + len) are not what victim_fill() put there. */
size_t victim_wrong(const uint8_t *p, size_t len, uint64_t seed);

/* ---- events.c ---- */

/* What a device must find where an event was. */
enum then {
	THEN_KEPT, /* the bytes; and it may write */
	THEN_ZERO, /* zeros; and it may write */
	THEN_FREED, /* page by page one or the other; what it writes stays */
	THEN_READ_ONLY, /* the bytes; its writes are refused */
	THEN_GONE, /* a refusal */
};

struct event {
	const char *name;
	uint32_t mems; /* a bit per perf_mem_kind that it makes sense for */
	size_t granule; /* the size is a multiple of it */
	enum then then, then_file; /* of private memory, of a shared file */
	/* NULL, or why this machine cannot do it. */
	const char *(*missing)(const struct victim *v);
	int (*before)(struct victim *v); /* 0 or errno; or NULL */
	int (*fire)(struct victim *v); /* the measured call: 0 or errno */
	bool again; /* it says EAGAIN when pages are busy for a moment */
	bool fresh; /* as in struct victim */
	void (*after)(struct victim *v); /* or NULL */
	/*
	 * The number of pages of the range that it changed; or NULL. The kernel
	 * may skip pages that are busy or pinned.
	 */
	size_t (*hits)(const struct victim *v);
};

extern const struct event events[]; /* the last one has no name */

bool event_fits(const struct event *e, enum perf_mem_kind kind, size_t size);

/* Let the child of fork end.  Return: whether it had its own old bytes. */
bool child_verdict(struct victim *v);

/* Pages of the range that are mapped as huge ones; -1: cannot be known. */
long huge_pages(const struct victim *v);

/* ---- verify.c ---- */

/*
 * Do @e once more and check what the device sees after it. @hits: the share of
 * pages that it changed, -1 if all. Return: NULL, or what is wrong.
 */
const char *verify(struct tools *t, const struct event *e, double *hits);

/* ---- traffic.c ---- */

struct traffic {
	struct tools *t;
	struct perf_pair pair;
	struct perf_mem apart; /* its zone if the range's cannot be used */
	struct ibv_mr *apart_mr;
	uint8_t *source; /* pinned */
	struct ibv_mr *source_mr;
	pthread_t thread;
	pthread_mutex_t lock; /* of @want and @paused */
	pthread_cond_t change;
	enum { RUN, PAUSE, STOP } want;
	bool paused;
	/* Of the thread while it runs, of the other while it is paused. */
	uint8_t *zone;
	uint32_t rkey;
	int status; /* as perf_wait(); not 0: it has stopped */
	uint64_t *gaps; /* between completions, that an event fell into */
	size_t ngaps, room;
	uint64_t *quiet; /* without events */
	size_t nquiet, quiet_room;
	/* atomic */
	uint64_t done; /* completions */
	uint64_t events; /* odd: one is going on */
	bool in_quiet;
};

/* Begin, paused.  NULL or why not. */
const char *traffic_start(struct traffic *tr, struct tools *t);
void traffic_go(struct traffic *tr);
void traffic_pause(struct traffic *tr);

/* Until @n more are complete; false: it has stopped with an error. */
bool traffic_await(struct traffic *tr, uint64_t n);

/* Gaps without events, once for a row. */
bool traffic_quiet(struct traffic *tr);

/* Have the last bytes arrived? NULL or what is wrong; only while paused. */
const char *traffic_verify(struct traffic *tr);
void traffic_stop(struct traffic *tr);

#endif /* INVAL_H */
