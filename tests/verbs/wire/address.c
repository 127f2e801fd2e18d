// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* A connection that moves to other addresses, in SQD. */
#include "wire.h"

#define LEN (16 * HT_KIB)

static struct ht_rig r;

static const union ibv_gid ipv6[2] = {
	{ .raw = { 0xfd, 0x79, [15] = 1 } },
	{ .raw = { 0xfd, 0x79, [15] = 2 } },
};

/* Give one side's QP the addresses fd79::N, or others. */
static int readdress(int i, const union ibv_gid *to)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD };

	ht_ah_attr(&attr.ah_attr, &r.pair.s[i], to);
	attr.ah_attr.grh.sgid_index = wire_gid(&r.pair.dev[i], &ipv6[i]);
	return ibv_modify_qp(r.pair.s[i].qp, &attr, IBV_QP_STATE | IBV_QP_AV);
}

static void exchange(uint64_t seed)
{
	uint8_t *shadow[2] = { malloc(LEN), malloc(LEN) };

	ht_rig_fill(&r, seed, shadow);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 37, 9000, 101);
	ht_rig_settle(&r);
	memcpy(shadow[1] + 101, shadow[0] + 37, 9000);
	if (r.pair.conf.type != IBV_QPT_UC) {
		ht_rig_do(&r, IBV_WR_RDMA_READ, 10001, 3000, 11);
		memcpy(shadow[0] + 10001, shadow[1] + 11, 3000);
	}
	for (int i = 0; i < 2; i++)
		ht_check_bytes(r.p[i], shadow[i], LEN, i ? "responder" : "requester");
}

static void wire_sqd_address(const void *arg)
{
	struct ht_conf conf = { .type = *(const enum ibv_qp_type *)arg };
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	ht_rig_get(&r, &conf, LEN);
	exchange(1);
	/* Not while it sends. */
	ht_errno(readdress(0, &ipv6[1]), EINVAL);
	for (int i = 0; i < 2; i++)
		ht_ok(ht_to(&r.pair.s[i], IBV_QPS_SQD));
	/* The peer is on another device, and stays there. */
	ht_errno(readdress(0, &ipv6[0]), EINVAL);
	for (int i = 0; i < 2; i++)
		ht_ok(readdress(i, &ipv6[!i]));
	ht_ok(ibv_query_qp(r.a->qp, &attr, IBV_QP_AV, &init));
	ht_check_bytes(&attr.ah_attr.grh.dgid, &ipv6[1], sizeof(ipv6[1]), "the queried address");
	for (int i = 0; i < 2; i++)
		ht_ok(ht_to(&r.pair.s[i], IBV_QPS_RTS));
	/* What still goes to the old address is lost. */
	for (int n = 1; n <= 2; n++) {
		wire_run(n, "tc qdisc add dev hodp-ns%d clsact", n);
		wire_run(n, "tc filter add dev hodp-ns%d egress protocol ip matchall action drop",
			 n);
	}
	exchange(3);
	for (int n = 1; n <= 2; n++)
		wire_run(n, "tc qdisc delete dev hodp-ns%d clsact", n);
	ht_rig_put(&r);
}

static const enum ibv_qp_type rc = IBV_QPT_RC, uc = IBV_QPT_UC;

const struct ht_case wire_address[] = {
	{ "wire-sqd-address", "a new address vector in SQD is where packets go from then on",
	  wire_sqd_address, &rc },
	{ "wire-uc-sqd-address", "the same with UC", wire_sqd_address, &uc },
	{},
};
