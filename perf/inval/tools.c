// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What all of odp_inval works with. */
#include <string.h>

#include "inval.h"

const char *new_pair(struct tools *t)
{
	int err;

	perf_pair_break(&t->pair);
	err = perf_pair_make(&t->pair, &t->dev, NULL, 4);
	return err ? perf_say("a new queue pair: %s", strerror(err)) : NULL;
}
