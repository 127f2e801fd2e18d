// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * bytes: random transfers, every byte compared.
 *
 * Model: each side has one buffer, which straddles a 1 GiB boundary of the
 * address space and therefore 2 MiB ones as well. The registered region is the
 * buffer without a margin at both ends, whose bytes are guards. A shadow of
 * each whole buffer says what it must hold. One transfer:
 *
 *   choose operation, length, pieces and places (near boundaries, mostly);
 *   perhaps take the pages away (MADV_DONTNEED), on one side or both;
 *   write a fresh pattern to the source, to its shadow, and move it between
 *   the shadows as the operation will;
 *   post, wait, compare the neighbourhood of both ranges.
 *
 * The whole buffers are compared every 64 transfers and at the end, so what a
 * transfer does elsewhere is found as well.
 *
 * With -c UC, the operations are those of UC.
 *
 * A combination is (memory kind, region kind on each side, path MTU).
 */
#include "bytes.h"

static const enum ibv_mtu mtus[] = { IBV_MTU_1024, IBV_MTU_4096 };

static const char *const intent =
	"after every transfer both buffers hold what they must, to the byte";

static void add(enum ht_mem_kind mem, enum ht_mr_kind local, enum ht_mr_kind remote, long transfers)
{
	for (size_t i = 0; i < HT_LEN(mtus); i++) {
		struct bytes_combo *c = malloc(sizeof(*c));

		if (!c)
			abort();
		*c = (struct bytes_combo){ mem, local, remote, mtus[i], transfers };
		ht_addf(bytes_run, c, 60 + ht_count(transfers) / 20, intent, "%s/%s-%s/mtu%d",
			ht_mem_name(mem), ht_mr_name(local), ht_mr_name(remote), 128 << mtus[i]);
	}
}

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	for (int mem = 0; mem < HT_MEM_KINDS; mem++) {
		add(mem, HT_ODP, HT_ODP, 200);
		if (!ht_mem_pinnable(mem))
			continue;
		add(mem, HT_PINNED, HT_ODP, 100);
		add(mem, HT_ODP, HT_PINNED, 100);
		add(mem, HT_PINNED, HT_PINNED, 50);
	}
	add(HT_ANON, HT_PINNED_IOVA, HT_PINNED_IOVA0, 100);
	add(HT_ANON, HT_ODP_IOVA, HT_ODP_IOVA, 200);
	add(HT_ANON, HT_ODP_IOVA0, HT_ODP_IOVA0, 200);
	add(HT_THP, HT_ODP_IOVA, HT_ODP_IOVA0, 200);
	add(HT_DAX_EXT4, HT_ODP_IOVA0, HT_ODP_IOVA, 100);
	add(HT_ANON, HT_ODP_IMPLICIT, HT_ODP_IMPLICIT, 200);
	add(HT_THP, HT_ODP_IMPLICIT, HT_ODP, 100);
	add(HT_FILE, HT_ODP, HT_ODP_IMPLICIT, 100);
	return ht_run();
}
