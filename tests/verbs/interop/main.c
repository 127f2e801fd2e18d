// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * interop: every operation that two devices have, between them, and every byte
 * compared. The devices are in two network namespaces (guest/namespaces 2+rxe);
 * one process drives both ends.
 *
 * Model: each end has a buffer, of which a shadow says what it must hold. The
 * registered region is the buffer without a margin at both ends. A case
 *
 *   plans transfers of the critical lengths, at odd places;
 *   round 1: fills both buffers with a fresh pattern, and executes one transfer
 *            after the other. It compares the neighbourhood of each, and at the
 *            end all of both buffers;
 *   round 2: the same with all transfers outstanding at once;
 *   checks the counters of hmm_odp: no bad packet, and no packet sent again
 *            unless page faults explain it.
 *
 * A case is (pair, operation, memory, path MTU, address family). The memory is at
 * hmm_odp's ends; rdma_rxe's is always pinned (its ODP moves wrong bytes). By
 * default each (pair, operation, memory) has one of the four combinations of MTU and
 * family, so that each (pair, operation) has them all. With --full it has all.
 *
 * -d and -p name the two hmm_odp devices, $HODP_RXE the rxe device.
 */
#include "interop.h"

static const struct interop_pair pairs[] = {
	{ "hodp-hodp", { false, false } },
	{ "hodp-rxe", { false, true } },
	{ "rxe-hodp", { true, false } },
};

static const struct interop_op ops[] = {
	{ "send", IBV_QPT_RC, IBV_WR_SEND, IBV_WC_RECV, true, true, false, false },
	{ "send-imm", IBV_QPT_RC, IBV_WR_SEND_WITH_IMM, IBV_WC_RECV, true, true, true, false },
	{ "send-inv", IBV_QPT_RC, IBV_WR_SEND_WITH_INV, IBV_WC_RECV, true, true, false, true },
	{ "write", IBV_QPT_RC, IBV_WR_RDMA_WRITE, 0, false, false, false, false },
	{ "write-imm", IBV_QPT_RC, IBV_WR_RDMA_WRITE_WITH_IMM, IBV_WC_RECV_RDMA_WITH_IMM, true,
	  false, true, false },
	{ "read", IBV_QPT_RC, IBV_WR_RDMA_READ, 0, false, false, false, false },
	{ "cmp-swp", IBV_QPT_RC, IBV_WR_ATOMIC_CMP_AND_SWP, 0, false, false, false, false },
	{ "fetch-add", IBV_QPT_RC, IBV_WR_ATOMIC_FETCH_AND_ADD, 0, false, false, false, false },
	{ "ud-send", IBV_QPT_UD, IBV_WR_SEND, IBV_WC_RECV, true, true, false, false },
	{ "ud-send-imm", IBV_QPT_UD, IBV_WR_SEND_WITH_IMM, IBV_WC_RECV, true, true, true, false },
};

static const struct interop_memory memories[] = {
	{ "pinned", HT_ANON, HT_PINNED, false, false },
	{ "hot", HT_ANON, HT_ODP, true, false },
	/* Files keep their bytes when their pages leave the page tables. */
	{ "cold", HT_TMPFS, HT_ODP, false, true },
	{ "fsdax", HT_DAX_EXT4, HT_ODP, false, true },
};

static const enum ibv_mtu mtus[] = { IBV_MTU_1024, IBV_MTU_4096 };
static const int gids[] = { HT_GID_IPV4, HT_GID_IPV6 };

static void add(size_t p, size_t o, size_t m, size_t mtu, size_t gid)
{
	const struct interop_op *op = &ops[o];
	struct interop_case *c;
	size_t turn = p + o + m;

	if (op->only_to_rxe && !pairs[p].rxe[1])
		return;
	/* A datagram is one packet of the port's MTU, whatever a path's is. */
	if (op->type == IBV_QPT_UD && mtus[mtu] != IBV_MTU_4096)
		return;
	if (!ht_opt.full && gid != turn % 2)
		return;
	if (!ht_opt.full && op->type != IBV_QPT_UD && mtu != turn / 2 % 2)
		return;
	c = malloc(sizeof(*c));
	if (!c)
		abort();
	*c = (struct interop_case){ &pairs[p], op, &memories[m], mtus[mtu], gids[gid] };
	ht_addf(interop_run, c, 0, "what arrives is what was sent, and nothing else has changed",
		"%s/%s/%s/mtu%d/ipv%d", pairs[p].name, op->name, memories[m].name, 128 << mtus[mtu],
		gids[gid] == HT_GID_IPV6 ? 6 : 4);
}

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	for (size_t p = 0; p < HT_LEN(pairs); p++)
		for (size_t o = 0; o < HT_LEN(ops); o++)
			for (size_t m = 0; m < HT_LEN(memories); m++)
				for (size_t i = 0; i < HT_LEN(mtus) * HT_LEN(gids); i++)
					add(p, o, m, i / 2, i % 2);
	return ht_run();
}
