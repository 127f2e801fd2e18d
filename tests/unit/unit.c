// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Cases of a unit test, one after the other. */
#include "unit.h"

bool unit_failed;

static unsigned int ran, failures;

void unit_cases(const struct unit_case *cases, size_t num)
{
	for (size_t i = 0; i < num; i++) {
		unit_failed = false;
		cases[i].fn();
		printf("%sok %u - %s\n", unit_failed ? "not " : "", ++ran,
		       cases[i].intent);
		/* Flush: a crash in the next case must not lose this. */
		fflush(stdout);
		failures += unit_failed;
	}
}

int unit_end(void)
{
	printf("1..%u\n", ran);
	return failures || !ran;
}
