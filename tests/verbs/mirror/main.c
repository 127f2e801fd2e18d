// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * mirror: the device uses a page exactly as long as the process maps it, and
 * with no more rights than the process has.
 */
#include <sys/mman.h>

#include "mirror.h"

void mirror_show(struct mirror_rig *m, int which)
{
	ht_true(mmap(m->stage, MIRROR_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, m->fd,
		     which * MIRROR_LEN) == m->stage);
}

void mirror_get(struct mirror_rig *m)
{
	uint8_t *p;

	memset(m, 0, sizeof(*m));
	ht_rig_get(&m->rig, NULL, MIRROR_LEN);
	if (!ht_mr_is_odp(ht_best_mr(m->rig.b->dev)))
		ht_skip("pinned regions keep their pages by design");
	m->fd = ht_sys(memfd_create("pools", MFD_CLOEXEC));
	ht_sys(ftruncate(m->fd, 2 * MIRROR_LEN));
	p = mmap(NULL, 2 * MIRROR_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	ht_true(p != MAP_FAILED);
	m->pool[0] = p;
	m->pool[1] = p + MIRROR_LEN;
	m->stage = ht_reserve(MIRROR_LEN, MIRROR_LEN, HT_HUGE);
	ht_mr_get(&m->mr, m->rig.b->pd, m->stage, MIRROR_LEN, HT_ODP, HT_ACCESS_ALL);
}

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	ht_add(mirror_kept);
	ht_add(mirror_races);
	ht_add(mirror_edges);
	ht_add(mirror_memory);
	return ht_run();
}
