// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Lanes, their memory and the threads that drive them. */

#include "storm.h"

static void place_regions(struct fleet *f, enum regions regions)
{
	int n = regions == MANY_MRS ? f->lanes : 1;
	enum ht_mr_kind kind = regions == WHOLE_SPACE ? HT_ODP_IMPLICIT :
							ht_best_mr(f->pair.s[0].dev);

	f->mr = calloc(2 * n, sizeof(*f->mr));
	ht_true(f->mr != NULL);
	for (int side = 0; side < 2; side++) {
		for (int i = 0; i < n; i++)
			ht_mr_get(&f->mr[side * n + i], f->pair.s[side].pd,
				  f->mem[side].p + i * SLOT,
				  n == 1 ? f->mem[side].len : SLOT - HT_PAGE, kind, HT_ACCESS_ALL);
		for (int i = 0; i < f->lanes; i++)
			f->lane[i].mr[side] = &f->mr[side * n + i % n];
	}
}

/* The first lane of a crew brings the CQs for all of them. */
static void launch(struct fleet *f, struct lane *l, const struct lane *first)
{
	struct ht_conf conf = {
		.depth = 16, .sge = 1, .cq_depth = f->lanes * CELLS * 4, .mtu = f->pair.conf.mtu
	};

	for (int i = 0; i < 2; i++) {
		if (l == first) {
			l->s[i] = f->pair.s[i];
			ht_side_create(&l->s[i], &conf, 0);
		} else {
			ht_side_clone(&l->s[i], &first->s[i], &conf);
		}
	}
	ht_connect_two(&l->s[0], &l->s[1], &conf);
}

void fleet_get(struct fleet *f, int lanes, enum ht_mem_kind kind, enum regions regions, int weather)
{
	int each = lanes / CREWS;

	memset(f, 0, sizeof(*f));
	ht_pair_open(&f->pair, NULL);
	f->lanes = each * CREWS;
	f->weather = weather;
	f->lane = calloc(f->lanes, sizeof(*f->lane));
	ht_true(f->lane != NULL);
	for (int i = 0; i < 2; i++)
		ht_mem_get(&f->mem[i], kind, f->lanes * SLOT, 0);
	place_regions(f, regions);
	for (int i = 0; i < f->lanes; i++) {
		struct lane *l = &f->lane[i];

		l->index = i;
		l->rng.s = ht_seed("lane") + i;
		for (int side = 0; side < 2; side++)
			l->p[side] = f->mem[side].p + i * SLOT;
		launch(f, l, &f->lane[i / each * each]);
	}
	for (int c = 0; c < CREWS; c++)
		f->crew[c] = (struct crew){
			.f = f,
			.lane = &f->lane[c * each],
			.lanes = each,
		};
}

void fleet_sail(struct fleet *f, long ops)
{
	atomic_store(&f->over, false);
	for (int i = 0; i < f->lanes; i++)
		f->lane[i].todo = ops;
	if (f->weather & ~OWNER)
		ht_ok(pthread_create(&f->storm, NULL, storm_run, f));
	for (int c = 0; c < CREWS; c++)
		ht_ok(pthread_create(&f->crew[c].thread, NULL, crew_run, &f->crew[c]));
}

/* A thread that fails ends the process; one that hangs must not be joined. */
void *storm_thread_join(pthread_t t, const char *what)
{
	uint64_t deadline = ht_deadline(4 * HT_PATIENCE_MS);
	void *ret;

	while (pthread_tryjoin_np(t, &ret)) {
		if (ht_over(deadline))
			ht_fail("%s does not come to its end", what);
		ht_sleep_ms(2);
	}
	return ret;
}

void fleet_home(struct fleet *f)
{
	long done = 0, left = 0;

	for (int c = 0; c < CREWS; c++) {
		storm_thread_join(f->crew[c].thread, "a crew");
		done += f->crew[c].done;
	}
	atomic_store(&f->over, true);
	if (f->weather & ~OWNER)
		storm_thread_join(f->storm, "the storm");
	for (int i = 0; i < f->lanes; i++)
		left += f->lane[i].todo;
	ht_eq(left, 0);
	ht_note("%d lanes, %ld operations, %ld gusts", f->lanes, done, f->gusts);
	/* Otherwise there was no storm. */
	ht_check(f->gusts || !(f->weather & ~OWNER), "there was no storm");
}
