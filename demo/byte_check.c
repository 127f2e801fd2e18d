// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * byte_check DEVICE odp|pinned TRANSFERS SEED: random transfers, each of them
 * checked byte by byte.  Prints one JSON object.  DEVICE may be "NEAR,FAR", two
 * devices with a network between them; then the memory of each can be told as
 * well: "odp,pinned".
 *
 * The model: two regions, "from" (near) and "to" (far).  A transfer moves length bytes from
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

static const enum ibv_wr_opcode opcodes[OPS] = {
	IBV_WR_RDMA_WRITE,
	IBV_WR_RDMA_READ,
	IBV_WR_SEND,
	IBV_WR_ATOMIC_FETCH_AND_ADD,
};

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

/* What "to" is to hold afterwards. */
static void expect(struct transfer *t)
{
	uint64_t sum;

	if (t->op == ADD) {
		memcpy(&t->old, want + t->to, sizeof(t->old));
		sum = t->old + t->seed;
		memcpy(want + t->to, &sum, sizeof(sum));
	} else {
		ht_fill(from + t->from, t->length, t->seed, 0);
		memcpy(want + t->to, from + t->from, t->length);
	}
}

/*
 * A READ is asked for by the side of "to"; an atomic's old value is returned into
 * "from".
 */
static int do_transfer(const struct transfer *t)
{
	const struct ht_mr *mr[2] = { &from_mr, &to_mr };
	const uint8_t *p[2] = { from + t->from, to + t->to };
	bool back = t->op == READ;
	struct ht_wr w = ht_rdma_wr(0, opcodes[t->op], mr[back], p[back],
				    t->length, mr[!back], p[!back]);
	int status;

	w.add = t->seed;
	if (t->op == SEND)
		ht_recv(&pair.s[1], 1, &to_mr, to + t->to, t->length);
	status = demo_do_at(&pair.s[back], &w);
	if (t->op == SEND && !status)
		status = demo_wait(pair.s[1].rcq);
	return status;
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

/* Of "from" and of "to". */
static void memory_kinds(const char *text, enum ht_mr_kind kind[2])
{
	const char *second = strchr(text, ',');

	kind[0] = *text == 'o' ? HT_ODP : HT_PINNED;
	kind[1] = second ? (second[1] == 'o' ? HT_ODP : HT_PINNED) : kind[0];
}

int main(int argc, char **argv)
{
	struct tally total = { 0 };
	enum ht_mr_kind kind[2];
	struct ht_rng rng;
	uint64_t seed;
	int transfers;

	if (argc != 5) {
		fprintf(stderr, "usage: %s DEVICE odp|pinned TRANSFERS SEED\n",
			argv[0]);
		return 2;
	}
	memory_kinds(argv[2], kind);
	transfers = atoi(argv[3]);
	seed = rng.s = strtoull(argv[4], NULL, 0);

	demo_open(&pair, argv[1]);
	from = ht_map(REGION, PROT_READ | PROT_WRITE);
	to = ht_map(REGION, PROT_READ | PROT_WRITE);
	want = ht_map(REGION, PROT_READ | PROT_WRITE);
	ht_mr_get(&from_mr, pair.s[0].pd, from, REGION, kind[0], HT_ACCESS_ALL);
	ht_mr_get(&to_mr, pair.s[1].pd, to, REGION, kind[1], HT_ACCESS_ALL);
	ht_fill(to, REGION, seed, 0);
	memcpy(want, to, REGION);

	for (int i = 0; i < transfers; i++) {
		struct transfer t = random_transfer(&rng);

		/*
		 * Dropped pages stay with a pinned region, and the CPU gets
		 * others.
		 */
		if (t.drop && kind[1] == HT_ODP) {
			need(!madvise(to, REGION, MADV_DONTNEED), "madvise");
			memset(want, 0, REGION);
		}
		expect(&t);
		check(&t, do_transfer(&t), &total);
	}

	printf("{\"device\": \"%s\", \"memory\": \"%s\", \"seed\": %lu,\n "
	       "\"transfers\": %u, \"right\": %u, \"wrong\": %u, "
	       "\"failed\": %u, \"bytes\": %lu, \"wrong_bytes\": %lu, "
	       "\"stray_bytes\": %lu}\n",
	       argv[1], argv[2], seed, total.done, total.right,
	       total.done - total.right - total.failed, total.failed,
	       total.bytes, total.wrong, total.stray);

	ht_mr_put(&from_mr);
	ht_mr_put(&to_mr);
	ht_pair_put(&pair);
	return 0;
}
