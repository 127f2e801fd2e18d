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
#include "pair.h"

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

static struct ht_pair pair;
static uint8_t *from, *to, *want;
static struct ht_mr from_mr, to_mr;

/* Short and long ones are equally likely: the exponent is uniform. */
static size_t random_length(struct ht_rng *rng)
{
	size_t power = (size_t)1 << ht_below(rng, 17);
	size_t length = power + ht_below(rng, power);

	return length < LONGEST ? length : LONGEST;
}

static struct transfer random_transfer(struct ht_rng *rng)
{
	struct transfer t = { .op = ht_below(rng, OPS) };

	t.length = t.op == ADD ? 8 : random_length(rng);
	t.from = ht_below(rng, REGION - t.length);
	t.to = ht_below(rng, REGION - t.length);
	/* One in four is page-aligned, as in a careful program. */
	if (!ht_below(rng, 4)) {
		t.from &= ~(size_t)4095;
		t.to &= ~(size_t)4095;
	}
	if (t.op == ADD)
		t.to &= ~(size_t)7;
	t.drop = !ht_below(rng, 8);
	t.seed = ht_rand(rng);
	return t;
}

/* Post a receive on side 1, then the SEND; wait for both completions. */
static int do_send(const struct transfer *t)
{
	struct ht_wr w = ht_rdma_wr(0, IBV_WR_SEND, &from_mr, from + t->from,
				    t->length, &to_mr, to + t->to);
	int status;

	ht_recv(&pair.s[1], 1, &to_mr, to + t->to, t->length);
	status = demo_do(&pair, &w);
	return status ? status : demo_wait(pair.s[1].rcq);
}

/* The old value is returned into "from". */
static int do_add(const struct transfer *t)
{
	struct ht_wr w = ht_rdma_wr(0, IBV_WR_ATOMIC_FETCH_AND_ADD, &from_mr,
				    from + t->from, 8, &to_mr, to + t->to);

	w.add = t->seed;
	return demo_do(&pair, &w);
}

static int do_transfer(struct transfer *t)
{
	struct ht_wr w;

	if (t->op == ADD) {
		uint64_t sum;

		memcpy(&t->old, want + t->to, sizeof(t->old));
		sum = t->old + t->seed;
		memcpy(want + t->to, &sum, sizeof(sum));
		return do_add(t);
	}
	ht_fill(from + t->from, t->length, t->seed, 0);
	memcpy(want + t->to, from + t->from, t->length);
	switch (t->op) {
	case WRITE:
		w = ht_rdma_wr(0, IBV_WR_RDMA_WRITE, &from_mr, from + t->from,
			       t->length, &to_mr, to + t->to);
		return demo_do(&pair, &w);
	case READ:
		w = ht_rdma_wr(0, IBV_WR_RDMA_READ, &to_mr, to + t->to,
			       t->length, &from_mr, from + t->from);
		return demo_do(&pair, &w);
	default:
		return do_send(t);
	}
}

static void check(const struct transfer *t, int status, struct tally *tally)
{
	size_t end = t->to + t->length;
	size_t wrong = ht_wrong(to + t->to, want + t->to, t->length);
	size_t stray = ht_wrong(to, want, t->to) +
		       ht_wrong(to + end, want + end, REGION - end);

	if (t->op == ADD)
		wrong += ht_wrong(from + t->from, &t->old, sizeof(t->old));
	tally->done++;
	tally->bytes += t->length;
	if (status != IBV_WC_SUCCESS) {
		tally->failed++;
		demo_reconnect(&pair);
	} else {
		tally->right += !wrong && !stray;
		tally->wrong += wrong;
		tally->stray += stray;
	}
	/* Start the next one from correct memory. */
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
	enum ht_mr_kind kind;
	struct ht_rng rng;
	uint64_t seed;
	int transfers;

	if (argc != 5) {
		fprintf(stderr, "usage: %s DEVICE odp|pinned TRANSFERS SEED\n",
			argv[0]);
		return 2;
	}
	kind = strcmp(argv[2], "pinned") ? HT_ODP : HT_PINNED;
	transfers = atoi(argv[3]);
	seed = rng.s = strtoull(argv[4], NULL, 0);

	demo_open(&pair, argv[1]);
	from = ht_map(REGION, PROT_READ | PROT_WRITE);
	to = ht_map(REGION, PROT_READ | PROT_WRITE);
	want = ht_map(REGION, PROT_READ | PROT_WRITE);
	ht_mr_get(&from_mr, pair.s[0].pd, from, REGION, kind, HT_ACCESS_ALL);
	ht_mr_get(&to_mr, pair.s[0].pd, to, REGION, kind, HT_ACCESS_ALL);
	ht_fill(to, REGION, seed, 0);
	memcpy(want, to, REGION);

	for (int i = 0; i < transfers; i++) {
		struct transfer t = random_transfer(&rng);
		int status;

		/*
		 * Dropped pages stay with a pinned region, and the CPU gets
		 * others.
		 */
		if (t.drop && kind == HT_ODP) {
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

	ht_mr_put(&from_mr);
	ht_mr_put(&to_mr);
	ht_pair_put(&pair);
	return 0;
}
