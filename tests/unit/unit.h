/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The base of all unit tests: cases, and their results as TAP. */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Fail the running case; it goes on, to show what else is wrong. */
extern bool unit_failed;

#define CHECK(cond)                                                         \
	do {                                                                \
		if (!(cond)) {                                              \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			unit_failed = true;                                 \
		}                                                           \
	} while (0)

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

struct unit_case {
	const char *intent;
	void (*fn)(void);
};

void unit_cases(const struct unit_case *cases, size_t num);
/* After the last case: the plan.  Return: the program's exit status. */
int unit_end(void);

#endif /* UNIT_H */
