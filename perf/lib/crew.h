/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Processes that work in steps.
 *
 * Each member is a child that calls @work.  There it says perf_crew_ready(), waits,
 * and goes on when the parent lets all of them go: perf_crew_step() waits until every
 * member is ready, or has ended, and perf_crew_go() lets them go.  What members have
 * to tell goes through memory of perf_crew_shared().
 *
 * A parent that dies takes its members with it; a member that dies ends the
 * parent's wait.  Members end by returning from @work and must not perf_die()
 * over anything that their parent could have known.
 */
#ifndef PERF_CREW_H
#define PERF_CREW_H

#include <sys/types.h>

#include "perf.h"

struct perf_crew {
	int n;
	struct {
		pid_t pid;
		int fd;
	} *member;
};

/*
 * A child that ends with its parent; @sock is this one's end of a socket
 * between them.  Return: its pid, 0 in the child; perf_die() if it cannot be.
 */
pid_t perf_fork(int *sock);

/* Zeros that children share; perf_die() if there is no memory. */
void *perf_crew_shared(size_t len);
void perf_crew_unshare(void *p, size_t len);

/*
 * @n children that call @work(index, fd, arg) and end with status 0 if it
 * returns true.
 */
void perf_crew_start(struct perf_crew *c, int n,
		     bool (*work)(int index, int fd, void *arg), void *arg);

/* In a member: say ready, wait until let go.  False: there is no parent. */
bool perf_crew_ready(int fd);

/* All are ready.  False: one has ended, or @timeout_s are over. */
bool perf_crew_step(struct perf_crew *c, int timeout_s);
void perf_crew_go(struct perf_crew *c);

/* Wait for their ends.  False: one did not end well in time, and was killed. */
bool perf_crew_end(struct perf_crew *c, int timeout_s);

#endif /* PERF_CREW_H */
