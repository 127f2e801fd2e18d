// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the module's layer 0, ring.h, baton.h, opcode.c and
 * service.c, in user space under ASan and UBSan: index arithmetic across 2^32, hostile
 * indexes, a producer and a consumer on two threads, who holds a baton, and
 * whether the tables agree with themselves.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_shim.h"
#include "baton.h"
#include "opcode.h"
#include "ring.h"
#include "service.h"
#include "unit.h"

#define ENTRIES 8
#define STRIDE 64

struct rings {
	struct hodp_ring_hdr hdr;
	uint8_t entry[ENTRIES * STRIDE];
	struct hodp_ring prod, cons;
};

/* Both sides of a ring whose indexes stand at @start; exact-size memory. */
static struct rings *rings_new(uint32_t start)
{
	struct rings *r = calloc(1, sizeof(*r));
	struct hodp_ring side = { .mask = ENTRIES - 1, .stride = STRIDE };

	if (!r)
		abort();
	side.hdr = &r->hdr;
	side.entries = r->entry;
	side.own = start;
	side.freed = start;
	r->prod = side;
	r->cons = side;
	r->hdr.prod = start;
	r->hdr.cons = start;
	return r;
}

static void test_wrap(void)
{
	struct rings *r = rings_new(UINT32_MAX - 3);
	uint32_t put = 0, got = 0;

	for (int round = 0; round < 5; round++) {
		while (hodp_ring_room(&r->prod) > 0) {
			memset(hodp_ring_head(&r->prod), (int)put++, STRIDE);
			hodp_ring_produce(&r->prod);
		}
		CHECK(hodp_ring_pending(&r->cons) == ENTRIES);
		while (hodp_ring_pending(&r->cons) > 0) {
			uint8_t *e = hodp_ring_head(&r->cons);

			CHECK(e[0] == (uint8_t)got &&
			      e[STRIDE - 1] == (uint8_t)got);
			got++;
			hodp_ring_consume(&r->cons);
		}
	}
	CHECK(put == 5 * ENTRIES && got == put);
	CHECK(r->hdr.prod == UINT32_MAX - 3 + put);
	free(r);
}

static void test_full(void)
{
	struct rings *r = rings_new(0);

	for (int i = 0; i < ENTRIES; i++) {
		CHECK(hodp_ring_room(&r->prod) == ENTRIES - i);
		hodp_ring_produce(&r->prod);
	}
	CHECK(hodp_ring_room(&r->prod) == 0);
	hodp_ring_take(&r->cons);
	CHECK(hodp_ring_room(&r->prod) == 0);
	CHECK(hodp_ring_pending(&r->cons) == ENTRIES - 1);
	hodp_ring_release(&r->cons, r->cons.own);
	CHECK(hodp_ring_room(&r->prod) == 1);
	free(r);
}

/* Entries are given back one by one, while later ones are taken. */
static void test_taken(void)
{
	struct rings *r = rings_new(UINT32_MAX - 1);
	uint32_t first = r->cons.own;

	for (int i = 0; i < ENTRIES; i++)
		hodp_ring_produce(&r->prod);
	for (int i = 0; i < 3; i++)
		hodp_ring_take(&r->cons);
	CHECK(hodp_ring_pending(&r->cons) == ENTRIES - 3);
	hodp_ring_release(&r->cons, first + 1);
	CHECK(hodp_ring_room(&r->prod) == 1);
	hodp_ring_release(&r->cons, first + 3);
	CHECK(hodp_ring_room(&r->prod) == 3);
	CHECK(hodp_ring_pending(&r->cons) == ENTRIES - 3);
	free(r);
}

/* Every value that the other side can store, near and far from the truth. */
static void test_hostile(void)
{
	static const uint32_t off[] = {
		0, 1, 7, 8, 9, 100, 1U << 31, UINT32_MAX
	};
	static const uint32_t start[] = { 0, 5, UINT32_MAX, UINT32_MAX - 7 };

	for (size_t s = 0; s < ARRAY_SIZE(start); s++)
		for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
			struct rings *r = rings_new(start[s]);
			bool possible = off[i] <= ENTRIES;
			int n;

			r->hdr.prod = start[s] + off[i];
			n = hodp_ring_pending(&r->cons);
			CHECK(n == (possible ? (int)off[i] : -EPROTO));
			r->hdr.cons = start[s] - off[i];
			n = hodp_ring_room(&r->prod);
			CHECK(n ==
			      (possible ? (int)(ENTRIES - off[i]) : -EPROTO));
			/* The entry lies inside, whatever the index. */
			memset(hodp_ring_at(&r->cons, r->hdr.prod), 1, STRIDE);
			free(r);
		}
}

/* What was taken and not given back is nobody's to produce into. */
static void test_hostile_taken(void)
{
	struct rings *r = rings_new(UINT32_MAX - 4);

	for (int i = 0; i < 4; i++)
		hodp_ring_produce(&r->prod);
	for (int i = 0; i < 3; i++)
		hodp_ring_take(&r->cons);
	hodp_ring_release(&r->cons, r->cons.own - 2);
	r->hdr.prod = r->cons.freed + ENTRIES;
	CHECK(hodp_ring_pending(&r->cons) == ENTRIES - 2);
	r->hdr.prod = r->cons.freed + ENTRIES + 1;
	CHECK(hodp_ring_pending(&r->cons) == -EPROTO);
	r->hdr.prod = r->cons.own;
	CHECK(hodp_ring_pending(&r->cons) == 0);
	r->hdr.prod = r->cons.own - 1;
	CHECK(hodp_ring_pending(&r->cons) == -EPROTO);
	free(r);
}

#define MANY 200000

static void *produce(void *arg)
{
	struct rings *r = arg;

	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t *e;

		while (hodp_ring_room(&r->prod) == 0)
			sched_yield();
		e = hodp_ring_head(&r->prod);
		for (int w = 0; w < STRIDE / 4; w++)
			e[w] = i * 2654435761U + (uint32_t)w;
		hodp_ring_produce(&r->prod);
	}
	return NULL;
}

static void test_threads(void)
{
	struct rings *r = rings_new(UINT32_MAX - MANY / 2);
	uint32_t bad = 0;
	pthread_t t;

	if (pthread_create(&t, NULL, produce, r))
		abort();
	for (uint32_t i = 0; i < MANY; i++) {
		const uint32_t *e;

		while (hodp_ring_pending(&r->cons) == 0)
			sched_yield();
		e = hodp_ring_head(&r->cons);
		for (int w = 0; w < STRIDE / 4; w++)
			bad += e[w] != i * 2654435761U + (uint32_t)w;
		hodp_ring_consume(&r->cons);
	}
	pthread_join(t, NULL);
	CHECK(bad == 0);
	CHECK(hodp_ring_pending(&r->cons) == 0);
	free(r);
}

static void check_row(u32 opcode, const struct hodp_opcode *row)
{
	const u16 kinds = HODP_OP_SEND | HODP_OP_WRITE | HODP_OP_READ |
			  HODP_OP_ATOMIC | HODP_OP_LOCAL;
	bool remote = row->flags &
		      (HODP_OP_WRITE | HODP_OP_READ | HODP_OP_ATOMIC);
	bool receives = row->flags & (HODP_OP_SEND | HODP_OP_IMM);

	if (__builtin_popcount(row->flags & kinds) != 1 || !row->qps ||
	    !!row->remote_access != remote || !!row->recv_wc != receives) {
		printf("# opcode %u (%s) contradicts itself\n", opcode,
		       row->name);
		unit_failed = true;
	}
}

static void test_opcodes(void)
{
	static const u32 known[] = {
		IB_WR_RDMA_WRITE,
		IB_WR_RDMA_WRITE_WITH_IMM,
		IB_WR_SEND,
		IB_WR_SEND_WITH_IMM,
		IB_WR_RDMA_READ,
		IB_WR_ATOMIC_CMP_AND_SWP,
		IB_WR_ATOMIC_FETCH_AND_ADD,
		IB_WR_LOCAL_INV,
		IB_WR_SEND_WITH_INV,
		IB_WR_REG_MR,
	};
	size_t n = 0;

	for (u32 op = 0; op < 1000; op++)
		if (hodp_opcode_row(op)) {
			check_row(op, hodp_opcode_row(op));
			n++;
		}
	CHECK(n == ARRAY_SIZE(known));
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		CHECK(hodp_opcode_row(known[i]));
	CHECK(!hodp_opcode_row(UINT32_MAX) && !hodp_opcode_row(1U << 31));
	CHECK(hodp_opcode_row(IB_WR_REG_MR)->flags & HODP_OP_KERNEL);
	CHECK(hodp_opcode_row(IB_WR_RDMA_READ)->remote_access ==
	      IB_ACCESS_REMOTE_READ);
	CHECK(!(hodp_opcode_row(IB_WR_RDMA_READ)->flags & HODP_OP_INLINE));
}

/* Every opcode is some type's, and every type that processes have sends. */
static void test_services(void)
{
	u8 all = 0;
	size_t n = 0;

	for (u32 type = 0; type < 1000; type++) {
		const struct hodp_service *s = hodp_service_row(type);

		if (!s)
			continue;
		n++;
		all |= s->qps;
		CHECK(hodp_opcode_row(IB_WR_SEND)->qps & s->qps);
		CHECK(__builtin_popcount(s->qps) == 1);
		/* IBTA 10.3.1: only an unreliable service has SQE. */
		CHECK(s->send_failed ==
		      (type == IB_QPT_RC ? IB_QPS_ERR : IB_QPS_SQE));
		CHECK(s->connected == (type == IB_QPT_RC || type == IB_QPT_UC));
		CHECK(s->reliable == (type == IB_QPT_RC));
		CHECK(s->kernel_only == (type == IB_QPT_GSI));
	}
	CHECK(n == 4 && !hodp_service_row(UINT32_MAX));
	/* IBTA 9.8.2: UC has no READs, atomics and invalidates. */
	CHECK(!((hodp_opcode_row(IB_WR_RDMA_READ)->qps |
		 hodp_opcode_row(IB_WR_ATOMIC_CMP_AND_SWP)->qps |
		 hodp_opcode_row(IB_WR_ATOMIC_FETCH_AND_ADD)->qps |
		 hodp_opcode_row(IB_WR_SEND_WITH_INV)->qps) &
		HODP_QPS_UC));
	CHECK(hodp_opcode_row(IB_WR_RDMA_WRITE)->qps & HODP_QPS_UC);
	CHECK(hodp_opcode_row(IB_WR_RDMA_WRITE_WITH_IMM)->qps & HODP_QPS_UC);
	for (u32 op = 0; op < 1000; op++)
		CHECK(!hodp_opcode_row(op) ||
		      !(hodp_opcode_row(op)->qps & ~all));
}

/* A held baton stays with its holder, however often others ask. */
static void test_baton_held(void)
{
	struct hodp_baton b;

	hodp_baton_init(&b);
	CHECK(hodp_baton_take(&b));
	for (int i = 0; i < 1000000; i++)
		if (hodp_baton_take(&b) || hodp_baton_try(&b)) {
			printf("# a second holder after %d takes\n", i + 1);
			unit_failed = true;
			return;
		}
	CHECK(!hodp_baton_drop(&b)); /* asked for: look again, once */
	CHECK(hodp_baton_drop(&b));
	CHECK(hodp_baton_try(&b) && !hodp_baton_try(&b));
	CHECK(hodp_baton_drop(&b)); /* a try asks for nothing */
}

#define BATON_THREADS 4
#define BATON_REQUESTS 200000

static struct {
	struct hodp_baton baton;
	u32 asked[BATON_THREADS]; /* requests, one counter a thread */
	u32 done[BATON_THREADS]; /* the holder's */
	int holders;
	bool two;
} shop;

/* The holder serves every request that it sees, until it may release. */
static void baton_serve(void)
{
	do {
		if (__atomic_add_fetch(&shop.holders, 1, __ATOMIC_RELAXED) != 1)
			shop.two = true;
		for (int i = 0; i < BATON_THREADS; i++)
			shop.done[i] = __atomic_load_n(&shop.asked[i],
						       __ATOMIC_RELAXED);
		__atomic_sub_fetch(&shop.holders, 1, __ATOMIC_RELAXED);
	} while (!hodp_baton_drop(&shop.baton));
}

static void *baton_ask(void *arg)
{
	u32 *mine = arg;

	for (u32 i = 0; i < BATON_REQUESTS; i++) {
		__atomic_store_n(mine, i + 1, __ATOMIC_RELAXED);
		if (hodp_baton_take(&shop.baton))
			baton_serve();
	}
	return NULL;
}

static void test_baton_threads(void)
{
	pthread_t thread[BATON_THREADS];

	hodp_baton_init(&shop.baton);
	for (int i = 0; i < BATON_THREADS; i++)
		if (pthread_create(&thread[i], NULL, baton_ask, &shop.asked[i]))
			abort();
	for (int i = 0; i < BATON_THREADS; i++)
		pthread_join(thread[i], NULL);
	CHECK(!shop.two);
	for (int i = 0; i < BATON_THREADS; i++)
		CHECK(shop.done[i] == BATON_REQUESTS); /* none is forgotten */
	CHECK(hodp_baton_try(&shop.baton));
}

static const struct unit_case cases[] = {
	{ "a ring goes on across 2^32", test_wrap },
	{ "a full ring has no room until an entry is released", test_full },
	{ "entries are taken and given back apart", test_taken },
	{ "an impossible index is -EPROTO, an entry stays inside",
	  test_hostile },
	{ "an index in the place of a taken entry is refused",
	  test_hostile_taken },
	{ "two threads hand over every byte in order", test_threads },
	{ "a baton that is held has one holder, whoever asks",
	  test_baton_held },
	{ "threads that share a baton lose no request", test_baton_threads },
	{ "each QP type's row is consistent, unknown ones have none",
	  test_services },
	{ "each opcode's row is consistent, unknown ones have none",
	  test_opcodes },
};

int main(void)
{
	unit_cases(cases, ARRAY_SIZE(cases));
	return unit_end();
}
