// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * byte_check DEVICE odp|pinned TRANSFERS SEED: random transfers, each of them
 * checked byte by byte.  Prints one JSON object.
 *
 * The model: two regions, "from" and "to".  A transfer moves length bytes from
 * a random place of the one to a random place of the other by RDMA WRITE, RDMA
 * READ or SEND; an atomic adds to eight of them.  A copy of what "to" should
 * hold is kept by the CPU, and the whole region is compared after each
 * transfer.  Hence two counts: payload bytes that are wrong inside the place
 * addressed, and stray bytes outside it.  Now and then the pages of "to" are
 * dropped with MADV_DONTNEED, so that the device has to ask for new ones.
 *
 * A transfer is right if it reports success and not one byte is wrong.
 */
#define _GNU_SOURCE
#include "pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION ((size_t)256 * 1024)
#define LONGEST ((size_t)64 * 1024)

enum op { WRITE, READ, SEND, ADD, OPS };

static const char *const op_names[OPS] = { "write", "read", "send", "add" };

struct transfer {
	enum op op;
	size_t from, to, length;
	bool drop; /* the pages of "to", beforehand */
	uint64_t seed; /* of the pattern; what is added */
	uint64_t old; /* what an atomic must find */
};

struct tally {
	unsigned int done, right, failed;
	uint64_t bytes, wrong, stray;
};

static struct pair pair;
static uint8_t *from, *to, *want;
static struct ibv_mr *from_mr, *to_mr;

/* Short and long ones alike: the exponent is what is even. */
static size_t random_length(uint64_t *rng)
{
	size_t power = (size_t)1 << (next_random(rng) % 17);
	size_t length = power + next_random(rng) % power;

	return length < LONGEST ? length : LONGEST;
}

static struct transfer random_transfer(uint64_t *rng)
{
	struct transfer t = { .op = next_random(rng) % OPS };

	t.length = t.op == ADD ? 8 : random_length(rng);
	t.from = next_random(rng) % (REGION - t.length);
	t.to = next_random(rng) % (REGION - t.length);
	/* One in four begins on a page, as a careful program's would. */
	if (!(next_random(rng) % 4)) {
		t.from &= ~(size_t)4095;
		t.to &= ~(size_t)4095;
	}
	if (t.op == ADD)
		t.to &= ~(size_t)7;
	t.drop = !(next_random(rng) % 8);
	t.seed = next_random(rng);
	return t;
}

/* A receive on side 1, then the SEND; both completions are awaited. */
static int do_send(const struct transfer *t)
{
	struct ibv_sge sge = { (uintptr_t)to + t->to, t->length, to_mr->lkey };
	struct ibv_recv_wr *bad, wr = { .sg_list = &sge, .num_sge = 1 };
	struct ibv_wc wc;
	int status;

	status = -ibv_post_recv(pair.qp[1], &wr, &bad);
	if (status)
		return status;
	status = pair_post(&pair, IBV_WR_SEND, from + t->from, from_mr, 0, 0,
			   t->length);
	for (int i = 0; i < 2 && !status; i++)
		status = pair_wait(&pair, &wc);
	return status;
}

/* The old value comes back to the place in "from". */
static int do_add(const struct transfer *t)
{
	struct ibv_sge sge = { (uintptr_t)from + t->from, 8, from_mr->lkey };
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD,
		.send_flags = IBV_SEND_SIGNALED,
	};
	struct ibv_wc wc;
	int status;

	wr.wr.atomic.remote_addr = (uintptr_t)to + t->to;
	wr.wr.atomic.rkey = to_mr->rkey;
	wr.wr.atomic.compare_add = t->seed;
	status = -ibv_post_send(pair.qp[0], &wr, &bad);
	return status ? status : pair_wait(&pair, &wc);
}

static int do_transfer(struct transfer *t)
{
	if (t->op == ADD) {
		uint64_t sum;

		memcpy(&t->old, want + t->to, sizeof(t->old));
		sum = t->old + t->seed;
		memcpy(want + t->to, &sum, sizeof(sum));
		return do_add(t);
	}
	fill_pattern(from + t->from, t->length, t->seed);
	memcpy(want + t->to, from + t->from, t->length);
	switch (t->op) {
	case WRITE:
		return pair_rdma(&pair, IBV_WR_RDMA_WRITE, from + t->from,
				 from_mr, (uintptr_t)to + t->to, to_mr->rkey,
				 t->length);
	case READ:
		return pair_rdma(&pair, IBV_WR_RDMA_READ, to + t->to, to_mr,
				 (uintptr_t)from + t->from, from_mr->rkey,
				 t->length);
	default:
		return do_send(t);
	}
}

static void check(const struct transfer *t, int status, struct tally *tally)
{
	size_t end = t->to + t->length;
	size_t wrong = wrong_bytes(to + t->to, want + t->to, t->length);
	size_t stray = wrong_bytes(to, want, t->to) +
		       wrong_bytes(to + end, want + end, REGION - end);

	if (t->op == ADD)
		wrong += wrong_bytes(from + t->from, &t->old, sizeof(t->old));
	tally->done++;
	tally->bytes += t->length;
	if (status != IBV_WC_SUCCESS) {
		tally->failed++;
		pair_connect(&pair);
	} else {
		tally->right += !wrong && !stray;
		tally->wrong += wrong;
		tally->stray += stray;
	}
	/* Begin the next one from the truth. */
	if (wrong || stray)
		memcpy(to, want, REGION);
}

static void add_tally(struct tally *sum, const struct tally *t)
{
	sum->done += t->done;
	sum->right += t->right;
	sum->failed += t->failed;
	sum->bytes += t->bytes;
	sum->wrong += t->wrong;
	sum->stray += t->stray;
}

static void print_tally(const struct tally *t)
{
	printf("\"transfers\": %u, \"right\": %u, \"wrong\": %u, "
	       "\"failed\": %u, \"bytes\": %lu, \"wrong_bytes\": %lu, "
	       "\"stray_bytes\": %lu",
	       t->done, t->right, t->done - t->right - t->failed, t->failed,
	       t->bytes, t->wrong, t->stray);
}

int main(int argc, char **argv)
{
	struct tally total = { 0 }, by_op[OPS] = { 0 };
	uint64_t seed, rng;
	int access, transfers;

	if (argc != 5) {
		fprintf(stderr, "usage: %s DEVICE odp|pinned TRANSFERS SEED\n",
			argv[0]);
		return 2;
	}
	access = strcmp(argv[2], "pinned") ? PAIR_ODP : PAIR_ACCESS;
	transfers = atoi(argv[3]);
	seed = rng = strtoull(argv[4], NULL, 0);

	pair_open(&pair, argv[1]);
	from = map_anonymous(REGION);
	to = map_anonymous(REGION);
	want = map_anonymous(REGION);
	from_mr = ibv_reg_mr(pair.pd, from, REGION, access);
	to_mr = ibv_reg_mr(pair.pd, to, REGION, access);
	need(from_mr && to_mr, "reg_mr");
	fill_pattern(to, REGION, seed);
	memcpy(want, to, REGION);

	for (int i = 0; i < transfers; i++) {
		struct transfer t = random_transfer(&rng);
		int status;

		/* Pinned pages stay the device's own when they are dropped. */
		if (t.drop && access == PAIR_ODP) {
			need(!madvise(to, REGION, MADV_DONTNEED), "madvise");
			memset(want, 0, REGION);
		}
		status = do_transfer(&t);
		check(&t, status, &by_op[t.op]);
	}
	for (int i = 0; i < OPS; i++)
		add_tally(&total, &by_op[i]);

	printf("{\"device\": \"%s\", \"memory\": \"%s\", \"seed\": %lu,\n ",
	       argv[1], argv[2], seed);
	print_tally(&total);
	printf(",\n \"by_op\": {");
	for (int i = 0; i < OPS; i++) {
		printf("%s\n  \"%s\": {", i ? "," : "", op_names[i]);
		print_tally(&by_op[i]);
		printf("}");
	}
	printf("}}\n");

	need(!ibv_dereg_mr(from_mr) && !ibv_dereg_mr(to_mr), "dereg_mr");
	pair_close(&pair);
	return 0;
}
