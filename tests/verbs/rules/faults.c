// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* An operation takes one page fault for all that it misses. */
#include <sys/mman.h>

#include "rules.h"

enum {
	AT_ONCE = 4 * HT_MIB, /* a fault covers no more, see mirror.h */
	GUARD = HT_PAGE,
};

static struct ht_rig r;
static uint8_t *cold; /* AT_ONCE, and a guard on either side */
static struct ht_mr mr;

/* Ordinary pages, all missing; and as many pinned ones. */
static void set_up(size_t len)
{
	struct ht_conf conf = { .timeout = 18, .retry = 7, .rnr_retry = 7 };

	ht_rig_get(&r, &conf, HT_PAGE);
	cold = ht_reserve(len + 2 * GUARD, GUARD, AT_ONCE);
	ht_true(mmap(cold, len + 2 * GUARD, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == cold);
	ht_sys(madvise(cold, len + 2 * GUARD, MADV_NOHUGEPAGE));
	cold += GUARD;
	/* The window is there already. */
	cold[-1] = 1;
	ht_mr_get(&mr, r.b->pd, cold - GUARD, len + 2 * GUARD, HT_ODP, HT_ACCESS_ALL);
	ht_rdma(r.a, IBV_WR_RDMA_READ, &r.mr[0], r.p[0], 1, &mr, cold - 1);
	cold[-1] = 0;
}

struct way {
	enum ibv_wr_opcode op;
	uint64_t len;
	unsigned int faults; /* at most: pages may be taken away meanwhile */
};

static void faults_rest(const void *arg)
{
	const struct way *way = arg;
	size_t lead = 5, len = way->len - lead - 9;
	uint64_t faults, pages;
	struct ht_mem warm;
	struct ht_mr wmr;

	set_up(way->len);
	ht_mem_get(&warm, HT_ANON, way->len, 0);
	ht_fill(warm.p, way->len, 7, 0);
	ht_mr_get(&wmr, r.a->pd, warm.p, way->len, HT_PINNED, HT_ACCESS_ALL);
	faults = ht_counter(r.a->dev, "page_faults");
	pages = ht_counter(r.a->dev, "page_faults_pages");
	if (way->op == IBV_WR_SEND) {
		struct ht_wr w = ht_send_wr(2, &wmr, warm.p, len);
		struct ibv_wc wc;

		ht_recv(r.b, 1, &mr, cold + lead, len);
		ht_do(r.a, &w);
		ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_SUCCESS);
		ht_eq(wc.byte_len, len);
	} else {
		ht_rdma(r.a, way->op, &wmr, warm.p, len, &mr, cold + lead);
	}
	faults = ht_counter(r.a->dev, "page_faults") - faults;
	pages = ht_counter(r.a->dev, "page_faults_pages") - pages;
	if (way->op == IBV_WR_RDMA_READ) {
		ht_check_value(warm.p, len, 0, "what was read");
	} else {
		ht_check_fill(cold + lead, len, 7, 0, "what was written");
		ht_check_value(cold - GUARD, GUARD + lead, 0, "what is before it");
		ht_check_value(cold + lead + len, 9 + GUARD, 0, "what is behind it");
	}
	ht_check(pages >= way->len / HT_PAGE, "%zu pages were missing, %lu were brought in",
		 way->len / HT_PAGE, (unsigned long)pages);
	ht_check(faults <= way->faults, "%lu faults, more than %u", (unsigned long)faults,
		 way->faults);
}

static const struct way write_ = { IBV_WR_RDMA_WRITE, AT_ONCE, 3 },
			send = { IBV_WR_SEND, AT_ONCE, 3 }, get = { IBV_WR_RDMA_READ, AT_ONCE, 3 },
			more = { IBV_WR_RDMA_WRITE, 3 * AT_ONCE, 6 };

const struct ht_case rules_faults[] = {
	{ "faults-write", "a WRITE faults once for all that it misses", faults_rest, &write_ },
	{ "faults-send", "a SEND faults once for all that it misses", faults_rest, &send },
	{ "faults-read", "a READ faults once for all that it misses", faults_rest, &get },
	{ "faults-more", "more than a fault covers takes more faults", faults_rest, &more },
	{},
};
