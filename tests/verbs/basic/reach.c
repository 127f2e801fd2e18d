// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Only the bytes that a message brings matter for a receive. An SGE may end behind
 * its region, and a later SGE may have an invalid key, as long as no byte goes
 * there. The first byte that does is an error.
 */
#include <endian.h>

#include "basic.h"

#define LEN (16 * HT_PAGE)
#define FROM (4 * HT_PAGE) /* [FROM, END) is registered, on the receiver's side */
#define END (8 * HT_PAGE)
#define ROOM (2 * HT_PAGE + 37) /* the region's last bytes, which are received into */

struct how {
	const char *name;
	enum ht_mr_kind kind;
	bool srq;
	bool cold;
};

static struct ht_pair p;
static struct ht_mem mem[2];
static struct ht_mr from, to;
static struct ibv_ah *ah;
static uint8_t *shadow;

static void setup(const struct how *how, enum ibv_qp_type type)
{
	struct ht_conf conf = { .type = type, .srq_wr = how->srq ? 8 : 0, .srq_sge = 4 };

	ht_pair_get(&p, &conf);
	ht_need_mr(p.s[1].dev, how->kind);
	/* Files, so that pages keep their contents when they are dropped. */
	for (int i = 0; i < 2; i++) {
		ht_mem_get(&mem[i], HT_TMPFS, LEN, 0);
		ht_fill(mem[i].p, LEN, 400 + i, 0);
	}
	shadow = malloc(LEN);
	memcpy(shadow, mem[1].p, LEN);
	ht_mr_get(&from, p.s[0].pd, mem[0].p, LEN, how->kind, IBV_ACCESS_LOCAL_WRITE);
	ht_mr_get(&to, p.s[1].pd, mem[1].p + FROM, END - FROM, how->kind, HT_ACCESS_ALL);
	if (type == IBV_QPT_UD)
		ah = ht_ah(&p.s[0], &p.s[1].dev->gid);
}

static void teardown(void)
{
	if (ah)
		ht_ok(ibv_destroy_ah(ah));
	ht_mr_put(&from);
	ht_mr_put(&to);
	ht_pair_put(&p);
}

static struct ibv_sge entry(size_t off, uint32_t len)
{
	return ht_sge(&to, mem[1].p + off, len);
}

static void post(uint64_t id, struct ibv_sge *sgl, int num)
{
	ht_ok(ht_recv_try(p.s[1].qp, p.conf.srq, id, sgl, num));
}

static struct ht_wr message(uint64_t id, size_t off, uint32_t len)
{
	return ht_ud_wr(id, &from, mem[0].p + off, len, ah, p.s[1].qp->qp_num);
}

/* The receiver's memory is unchanged but for @len bytes of the message at @at. */
static void arrived(size_t at, size_t off, uint32_t len, const char *what)
{
	memcpy(shadow + at, mem[0].p + off, len);
	ht_check_bytes(mem[1].p, shadow, LEN, what);
}

static void chill(const struct how *how)
{
	for (int i = 0; i < 2 && how->cold; i++)
		ht_mem_cold(&mem[i], 0, LEN);
}

/* A byte that does not fit is an error and is not stored. */
static void one_too_many(struct ibv_sge *sgl, int num, uint32_t len, size_t at, size_t room)
{
	struct ibv_wc wc;
	struct ht_wr w = message(99, 1, len);

	post(98, sgl, num);
	ht_do_status(&p.s[0], &w, IBV_WC_REM_OP_ERR);
	ht_want_wc(p.s[1].rcq, &wc, 98, IBV_WC_LOC_PROT_ERR);
	ht_check_bytes(mem[1].p, shadow, at, "memory before the entry");
	ht_check_bytes(mem[1].p + at + room, shadow + at + room, LEN - at - room,
		       "memory behind the region");
}

static void reach_region(const void *arg)
{
	static const uint32_t lens[] = { 0, 1, 100, HT_PAGE, HT_PAGE + 38, ROOM - 1, ROOM };
	const struct how *how = arg;
	struct ibv_sge e;
	struct ibv_wc wc;
	struct ht_wr w;

	setup(how, IBV_QPT_RC);
	e = entry(END - ROOM, ROOM + 3 * HT_PAGE);
	for (size_t i = 0; i < HT_LEN(lens); i++) {
		post(i, &e, 1);
		chill(how);
		w = message(i, 3 + i, lens[i]);
		ht_do(&p.s[0], &w);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, lens[i]);
		arrived(END - ROOM, 3 + i, lens[i], "a message that ends in the region");
	}
	one_too_many(&e, 1, ROOM + 1, END - ROOM, ROOM);
	teardown();
}

/* Three SGEs: the middle one is partly used, the last one has no valid key. */
static void reach_entries(const void *arg)
{
	const struct how *how = arg;
	struct ibv_sge e[4];
	struct ibv_wc wc;
	struct ht_wr w;

	setup(how, IBV_QPT_RC);
	e[0] = entry(FROM, HT_PAGE);
	e[1] = entry(FROM + HT_PAGE, 2 * HT_PAGE);
	e[2] = (struct ibv_sge){ 0x1000, 4096, to.mr->lkey ^ 1 };
	e[3] = (struct ibv_sge){ UINT64_MAX - 10, UINT32_MAX, 0 };
	for (uint32_t i = 0; i < 4; i++) {
		static const uint32_t lens[] = { 100, HT_PAGE, 2 * HT_PAGE, 3 * HT_PAGE };

		post(i, e, 4);
		chill(how);
		w = message(i, 5 + i, lens[i]);
		ht_do(&p.s[0], &w);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, lens[i]);
		arrived(FROM, 5 + i, lens[i], "a message that fills good entries");
	}
	one_too_many(e, 4, 3 * HT_PAGE + 1, FROM, 3 * HT_PAGE);
	teardown();
}

/* A WRITE with immediate data, and an empty SEND, store no byte. */
static void reach_nothing(const void *arg)
{
	const struct how *how = arg;
	struct ibv_sge e = { 0x1000, 64, 0xdeadbeef };
	struct ibv_wc wc;
	struct ht_wr w;

	setup(how, IBV_QPT_RC);
	post(1, &e, 1);
	w = message(1, 9, 3000);
	w.op = IBV_WR_RDMA_WRITE_WITH_IMM;
	w.imm = htobe32(0x1234);
	w.raddr = ht_iova(&to, mem[1].p + FROM + 11);
	w.rkey = to.mr->rkey;
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_eq(wc.opcode, IBV_WC_RECV_RDMA_WITH_IMM);
	ht_eq(be32toh(wc.imm_data), 0x1234);
	arrived(FROM + 11, 9, 3000, "a WRITE with immediate data");
	post(2, &e, 1);
	w = message(2, 0, 0);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 2, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, 0);
	arrived(FROM, 0, 0, "an empty SEND");
	teardown();
}

/* The same for datagrams: 40 bytes of GRH, then the payload. */
static void reach_datagram(const void *arg)
{
	static const uint32_t lens[] = { 0, 1, 100, 1024 - HT_GRH - 1, 1024 - HT_GRH };
	const struct how *how = arg;
	struct ibv_sge e[2];
	struct ibv_wc wc;
	struct ht_wr w;

	setup(how, IBV_QPT_UD);
	e[0] = entry(END - 1024, 8192);
	e[1] = (struct ibv_sge){ 0x1000, 4096, 0xdeadbeef };
	for (size_t i = 0; i < HT_LEN(lens); i++) {
		size_t at = END - 1024;

		post(i, e, 2);
		chill(how);
		w = message(i, 7 + i, lens[i]);
		ht_do(&p.s[0], &w);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, HT_GRH + lens[i]);
		memcpy(shadow + at, mem[1].p + at, HT_GRH);
		arrived(at + HT_GRH, 7 + i, lens[i], "a datagram that ends in the region");
	}
	/* One byte more is the receiver's own error, and nothing behind the region changes. */
	post(50, e, 2);
	w = message(50, 0, 1024 - HT_GRH + 1);
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 50, IBV_WC_LOC_PROT_ERR);
	ht_check_bytes(mem[1].p, shadow, END - 1024, "memory before the entry");
	ht_check_bytes(mem[1].p + END, shadow + END, LEN - END, "memory behind the region");
	teardown();
}

static const struct how hows[] = {
	{ "pinned", HT_PINNED },
	{ "pinned-srq", HT_PINNED, .srq = true },
	{ "odp", HT_ODP },
	{ "odp-srq", HT_ODP, .srq = true },
	{ "odp-cold", HT_ODP, .cold = true },
	{ "odp-cold-srq", HT_ODP, .srq = true, .cold = true },
};

void basic_reach(void)
{
	for (size_t i = 0; i < HT_LEN(hows); i++) {
		const struct how *how = &hows[i];

		ht_addf(reach_region, how, 0,
			"a receive may end behind its region if the message does not",
			"reach-region-%s", how->name);
		ht_addf(reach_entries, how, 0,
			"an entry that the message does not reach is not looked at",
			"reach-entries-%s", how->name);
		ht_addf(reach_datagram, how, 0, "so it is with datagrams", "reach-datagram-%s",
			how->name);
		if (!how->cold)
			ht_addf(reach_nothing, how, 0, "what brings no byte looks at no key",
				"reach-nothing-%s", how->name);
	}
}
