/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The evictor's two files: whose pages (target.c), and how they go (how.c).
 *
 *   target  a process, and which of its mappings; or a file alone
 *   range   a piece of a mapping, with its place in the file
 *   event   one taking away of up to so many bytes, the next ones of the target,
 *           round and round
 */
#ifndef EVICTOR_H
#define EVICTOR_H

#include <sys/types.h>

#include "../lib/perf.h"

#define EVICTOR_RANGES 64

struct evictor_range {
	uint64_t start; /* in the target's address space; 0: it has no process */
	uint64_t len;
	uint64_t offset; /* in the file */
};

enum evictor_backing {
	EVICTOR_ANON,
	EVICTOR_SHMEM, /* tmpfs, memfd, shared anonymous */
	EVICTOR_PAGE_CACHE,
	EVICTOR_DAX,
	EVICTOR_HUGETLB,
};

/**
 * struct evictor_target - whose pages
 * @pid: 0 if there is a file alone
 * @pidfd: readable when the process has ended; -1 without one
 * @file: of --file; or NULL
 * @fd: that file; or -1
 * @which: of --range
 * @ranges, @n: its mappings as they are now; found anew before each event
 * @total: their bytes
 */
struct evictor_target {
	pid_t pid;
	int pidfd;
	const char *file;
	int fd;
	const char *which;
	enum evictor_backing backing;
	struct evictor_range ranges[EVICTOR_RANGES];
	int n;
	uint64_t total;
};

void evictor_target_process(struct evictor_target *t, pid_t pid);
void evictor_target_file(struct evictor_target *t, const char *file);

/* perf_die() if @which of --range is not understood. */
void evictor_target_which(struct evictor_target *t, const char *which);

/* Find the mappings.  False: there are none (yet), or the process has ended. */
bool evictor_target_find(struct evictor_target *t);

/*
 * Up to @bytes from @cursor (a place in all ranges together) on: @pieces and
 * how many.  The cursor moves on.
 */
int evictor_target_next(const struct evictor_target *t, uint64_t *cursor,
			uint64_t bytes, struct evictor_range *pieces);

/* A word for each page of @pieces; see evictor_gone().  Freed by the caller. */
uint64_t *evictor_pages(const struct evictor_target *t,
			const struct evictor_range *pieces, int n,
			size_t *npages);

/*
 * How many of the pages that were there before are not, or are others.  One
 * that went and came back as the same page is not counted.
 */
size_t evictor_gone(const uint64_t *before, const uint64_t *after,
		    size_t npages, size_t *present);

enum evictor_how {
	EVICTOR_PAGEOUT,
	EVICTOR_PUNCH,
	EVICTOR_MIGRATE,
	EVICTOR_COLLAPSE,
	EVICTOR_HOWS,
};

extern const char *const evictor_how_names[EVICTOR_HOWS + 1];

/* NULL, or why it cannot be done to this target, with the remedy. */
const char *evictor_how_missing(enum evictor_how how,
				const struct evictor_target *t);

/* NULL, or why an event can never find anything in @pieces, with the remedy. */
const char *evictor_how_lacks(enum evictor_how how,
			      const struct evictor_target *t,
			      const struct evictor_range *pieces, int n);

/* Preparation that is not part of the event's time. 0 or errno */
int evictor_how_before(enum evictor_how how, const struct evictor_target *t,
		       const struct evictor_range *pieces, int n);

/*
 * 0 or errno.  ESRCH: the process has ended.  ENODATA: there is nothing to take.
 */
int evictor_how_take(enum evictor_how how, const struct evictor_target *t,
		     const struct evictor_range *pieces, int n);

#endif /* EVICTOR_H */
