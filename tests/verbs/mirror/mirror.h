/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Words:
 *   pools   a file in memory with two halves, pool 0 and pool 1, that stays
 *           mapped as a whole: what really lies in a page can be looked at,
 *           whatever else maps it
 *   stage   addresses that an on-demand region covers and that show one of the
 *           pools; mirror_show() changes which, by one mmap over the old one
 *
 * A page of a pool is never freed, so a device that uses a page which it was
 * told to let go harms nothing but the test.
 */
#ifndef MIRROR_H
#define MIRROR_H

#include "hodp_test.h"

struct mirror_rig {
	struct ht_rig rig; /* rig.p[0], MIRROR_LEN bytes: the other end */
	int fd;
	uint8_t *pool[2];
	uint8_t *stage;
	struct ht_mr mr; /* of the stage, on side b */
};

/* Half a chunk of the device's mirror: invalidations never hit all of one. */
#define MIRROR_LEN HT_MIB

void mirror_get(struct mirror_rig *m);
/* Let the stage show pool @which. */
void mirror_show(struct mirror_rig *m, int which);

extern const struct ht_case mirror_kept[];
extern const struct ht_case mirror_races[];
extern const struct ht_case mirror_edges[];
extern const struct ht_case mirror_memory[];

#endif /* MIRROR_H */
