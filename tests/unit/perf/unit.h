/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Cases of the instruments' unit test, and their helpers. */
#ifndef PERF_UNIT_H
#define PERF_UNIT_H

#include "../unit.h"
#include "perf.h"

extern const struct unit_case figure_cases[], option_cases[], report_cases[],
	mem_cases[], wire_cases[];
extern const size_t num_figure_cases, num_option_cases, num_report_cases,
	num_mem_cases, num_wire_cases;

/* A child that ran: what it said, and how it ended. */
struct ran {
	int status; /* of waitpid() */
	char out[20000], err[4000];
};

/* Run @fn in a child; one that returns ends with status 0. */
void unit_run(struct ran *r, void (*fn)(const void *arg), const void *arg);

/*
 * It must have ended by perf_die(), with one line that contains all of the
 * words.
 */
bool unit_died(const struct ran *r, const char *words);

/* The whole of a file, to be freed; NULL: there is none. */
char *unit_file(const char *path);

/* A directory for a case; afterwards it must hold nothing but @file. */
const char *unit_dir(void);
bool unit_only(const char *file);
void unit_dir_end(void);

#endif /* PERF_UNIT_H */
