// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Multicast groups of one device. */
#include "rules.h"

#define LEN (64 * HT_KIB)
#define QPS 4
#define ROOM 512 /* of a receive */

static struct ht_dev dev;
static struct ht_side s[QPS];
static const struct ht_conf conf = { .type = IBV_QPT_UD };
static uint8_t *buf;
static struct ht_mr mr;
static const union ibv_gid group[2] = {
	{ .raw = { 0xff, 0x0e, [15] = 0x31 } },
	{ .raw = { 0xff, 0x0e, [15] = 0x32 } },
};

static void setup(void)
{
	struct ibv_pd *pd;

	ht_open(&dev, ht_opt.dev);
	pd = ibv_alloc_pd(dev.ctx);
	ht_true(pd != NULL);
	for (int i = 0; i < QPS; i++) {
		s[i] = (struct ht_side){ .dev = &dev, .pd = pd };
		ht_side_create(&s[i], &conf, 0);
		ht_connect(&s[i], &conf, NULL);
	}
	buf = aligned_alloc(HT_PAGE, LEN);
	memset(buf, 0, LEN);
	ht_mr_get(&mr, pd, buf, LEN, ht_best_mr(&dev), IBV_ACCESS_LOCAL_WRITE);
}

/* A datagram from QP 0 to the group: the QPs in @who get it once, the others do not. */
static void sent(int to, unsigned int who, const char *when)
{
	static int round;
	uint8_t *from = buf + LEN - ROOM;
	struct ibv_ah *ah;
	struct ibv_wc wc;
	struct ht_wr w;

	round++;
	for (int i = 0; i < QPS; i++)
		for (int k = 0; k < 2; k++)
			ht_recv(&s[i], round * 10 + k, &mr, buf + (2 * i + k) * ROOM, ROOM);
	memset(buf, 0, 2 * QPS * ROOM);
	ht_fill(from, 300, round, 0);
	ah = ht_ah(&s[0], &group[to]);
	w = ht_ud_wr(round, &mr, from, 300, ah, 0xffffff);
	ht_do(&s[0], &w);
	for (int i = 0; i < QPS; i++) {
		uint8_t *at = buf + 2 * i * ROOM;

		if (who & 1 << i) {
			ht_want_wc(s[i].rcq, &wc, round * 10, IBV_WC_SUCCESS);
			ht_eq(wc.byte_len, HT_GRH + 300);
			ht_eq(wc.src_qp, s[0].qp->qp_num);
			ht_check_fill(at + HT_GRH, 300, round, 0, when);
			at += ROOM;
		}
		ht_no_wc(s[i].rcq, 5);
		ht_check_value(at, ROOM, 0, when);
		/* Leftover receives must not take the next datagram. */
		ht_ok(ht_to(&s[i], IBV_QPS_ERR));
		while (ht_next_wc(s[i].rcq, &wc, "of a flushed receive"), wc.wr_id % 10 != 1)
			;
	}
	ht_ok(ibv_destroy_ah(ah));
	for (int i = 0; i < QPS; i++) {
		ht_ok(ht_to(&s[i], IBV_QPS_RESET));
		ht_connect(&s[i], &conf, NULL);
	}
}

static void mcast_members(const void *arg)
{
	setup();
	sent(0, 0, "a group of nobody");
	for (int i = 0; i < 3; i++)
		ht_ok(ibv_attach_mcast(s[i].qp, &group[0], 0));
	ht_ok(ibv_attach_mcast(s[3].qp, &group[1], 0));
	sent(0, 0x6, "two members and the sender");
	sent(1, 0x8, "another group");
	/* A member of both groups, twice of one. */
	ht_ok(ibv_attach_mcast(s[3].qp, &group[0], 0));
	ibv_attach_mcast(s[3].qp, &group[0], 0);
	sent(0, 0xe, "a member that joined twice");
	sent(1, 0x8, "the other group again");
}

static void mcast_leave(const void *arg)
{
	setup();
	for (int i = 0; i < QPS; i++)
		ht_ok(ibv_attach_mcast(s[i].qp, &group[0], 0));
	ht_ok(ibv_detach_mcast(s[1].qp, &group[0], 0));
	sent(0, 0xc, "one has left");
	ht_check(ibv_detach_mcast(s[1].qp, &group[0], 0) != 0, "leaving twice");
	ht_check(ibv_detach_mcast(s[2].qp, &group[1], 0) != 0, "leaving a group of nobody");
	sent(0, 0xc, "who has left leaves again");
	ht_ok(ibv_detach_mcast(s[3].qp, &group[0], 0));
	ht_ok(ibv_detach_mcast(s[2].qp, &group[0], 0));
	sent(0, 0, "only the sender is left");
	ht_ok(ibv_attach_mcast(s[1].qp, &group[0], 0));
	sent(0, 0x2, "one has come back");
}

/* A group takes as many members as the device says, and no more. */
static void mcast_limit(const void *arg)
{
	static const struct ht_conf short_conf = { .type = IBV_QPT_UD, .depth = 1 };
	struct ht_side *more;
	int max;

	setup();
	max = dev.attr.orig_attr.max_mcast_qp_attach;
	ht_true(max > 1 && max < 4096);
	more = calloc(max + 1, sizeof(*more));
	for (int i = 0; i <= max; i++) {
		more[i] = s[0];
		ht_side_create(&more[i], &short_conf, 0);
		if (i < max)
			ht_ok(ibv_attach_mcast(more[i].qp, &group[0], 0));
	}
	ht_check(ibv_attach_mcast(more[max].qp, &group[0], 0) != 0, "member %d of %d", max + 1,
		 max);
	ht_ok(ibv_detach_mcast(more[max / 2].qp, &group[0], 0));
	ht_ok(ibv_attach_mcast(more[max].qp, &group[0], 0));
	for (int i = 0; i <= max; i++)
		if (i != max / 2)
			ht_ok(ibv_detach_mcast(more[i].qp, &group[0], 0));
	sent(0, 0, "an empty group");
}

const struct ht_case rules_mcast[] = {
	{ "mcast-members", "each member but the sender gets a datagram once", mcast_members },
	{ "mcast-leave", "a QP that leaves gets nothing, the others still do", mcast_leave },
	{ "mcast-limit", "a group has max_mcast_qp_attach members", mcast_limit },
	{},
};
