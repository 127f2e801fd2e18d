// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* WRITE, READ, SEND and atomics on 64 connections of four threads. */
#include "storm.h"

struct mix {
	const char *name;
	const char *intent;
	enum ht_mem_kind kind;
	enum regions regions;
	int weather;
};

static const struct mix mixes[] = {
	{ "one-mr", "64 connections share one region and no byte", HT_ANON, ONE_MR, 0 },
	{ "many-mrs", "128 regions, one for each slot, keep apart", HT_ANON, MANY_MRS, 0 },
	{ "implicit", "one region of the whole address space serves 64 connections", HT_ANON,
	  WHOLE_SPACE, 0 },
	{ "other-pages", "neighbour pages that come and go disturb no transfer", HT_ANON, ONE_MR,
	  OTHER_PAGES },
	{ "other-pages-implicit", "neighbour pages that come and go disturb no transfer", HT_ANON,
	  WHOLE_SPACE, OTHER_PAGES },
	{ "same-anon", "pages that their owner drops and rewrites carry the new bytes", HT_ANON,
	  MANY_MRS, OWNER | RIGHTS },
	{ "same-tmpfs", "pages that are mapped anew during a transfer keep its bytes", HT_TMPFS,
	  ONE_MR, REMAP | RIGHTS },
	{ "same-dax", "pages that are mapped anew during a transfer keep its bytes", HT_DAX_EXT4,
	  MANY_MRS, REMAP },
	{ "same-forks", "transfers follow the parent's pages through copies on write", HT_ANON,
	  ONE_MR, FORKS | OTHER_PAGES },
	{ "all-thp", "huge pages that split under a storm carry the right bytes", HT_THP, ONE_MR,
	  OWNER | OTHER_PAGES | RIGHTS },
};

static void mixed(const void *arg)
{
	const struct mix *m = arg;
	static struct fleet f;

	fleet_get(&f, 64, m->kind, m->regions, m->weather);
	if (m->weather & REMAP && !ht_mr_is_odp(ht_best_mr(f.pair.s[0].dev)))
		ht_skip("pinned regions keep their pages by design");
	fleet_sail(&f, ht_count(24));
	fleet_home(&f);
}

void storm_mixed(void)
{
	for (size_t i = 0; i < HT_LEN(mixes); i++)
		ht_addf(mixed, &mixes[i], 150, mixes[i].intent, "storm-mixed-%s", mixes[i].name);
}
