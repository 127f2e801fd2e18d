/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Words:
 *   lane    two connected QPs, and a slot of memory on each side
 *   cell    a part of a slot; one operation at a time lives in it. The whole
 *           cell is filled before and compared after: what surrounds the bytes
 *           that move is the guard
 *   crew    one thread and the lanes that it drives, with CQs of their own
 *   churn   a page between two slots, which nobody transfers: what the storm
 *           on other pages works on
 *
 * The crews go round their lanes and never wait for one of them. Everything
 * random comes from the seed that is printed first; the order in which threads
 * run does not.
 */
#ifndef STORM_H
#define STORM_H

#include <pthread.h>
#include <stdatomic.h>

#include "hodp_test.h"

#define CELLS 4
#define CELL (3 * HT_PAGE)
#define SLOT (CELLS * CELL + HT_PAGE) /* the last page is churn */
#define CREWS 4

enum regions { ONE_MR, MANY_MRS, WHOLE_SPACE };

/* What happens beside the traffic; bits. */
enum weather {
	OTHER_PAGES = 1, /* DONTNEED, mprotect, munmap of the churn pages */
	RIGHTS = 2, /* mprotect that changes the execute right */
	REMAP = 4, /* DONTNEED and mmap of the same pages of a file */
	FORKS = 8, /* children that share all pages and exit */
	OWNER = 16, /* a cell's owner drops its pages before it fills */
};

struct cell {
	enum ibv_wr_opcode op;
	size_t loff, roff;
	uint32_t len;
	uint64_t seed; /* of the bytes that move; seed + 1: of those that stay */
	uint64_t old; /* an atomic's operand before */
	int waits; /* completions to come */
};

struct lane {
	struct ht_side s[2];
	struct ht_mr *mr[2];
	uint8_t *p[2];
	struct cell cell[CELLS];
	struct ht_rng rng;
	long todo;
	int index;
};

struct fleet;

struct crew {
	struct fleet *f;
	pthread_t thread;
	struct lane *lane; /* the first of its lanes */
	int lanes;
	long done;
};

struct fleet {
	struct ht_pair pair; /* devices and PDs only */
	struct ht_mem mem[2];
	struct ht_mr *mr;
	struct lane *lane;
	int lanes;
	struct crew crew[CREWS];
	int weather;
	atomic_bool over;
	pthread_t storm;
	long gusts;
};

/* fleet.c */
void fleet_get(struct fleet *f, int lanes, enum ht_mem_kind kind, enum regions regions,
	       int weather);
/* Start the crews and the weather, @ops operations for each lane. */
void fleet_sail(struct fleet *f, long ops);
/* Wait for the crews; stop the weather. */
void fleet_home(struct fleet *f);

/* cells.c */
void *crew_run(void *crew);

/* weather.c */
void *storm_run(void *fleet);

void *storm_thread_join(pthread_t t, const char *what);

void storm_mixed(void);
void storm_atomic(void);
extern const struct ht_case storm_stall[];
extern const struct ht_case storm_qps[];
extern const struct ht_case storm_mrs[];

#endif /* STORM_H */
