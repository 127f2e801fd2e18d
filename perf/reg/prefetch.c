// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * ibv_advise_mr(), waited for: how long it takes to have the pages of a range
 * in the device's page table.
 *
 * Pages are absent (the kernel must make them, too; NO_FAULT must leave them
 * be) or present for the CPU alone.  After the row all is done once more, the
 * device READs the range: the bytes must be right, and where the device counts
 * page faults a READ of pages that were prefetched must not need one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reg.h"

#define LARGEST ((size_t)64 << 20)
#define SEED 0xad71c0000

static const struct {
	const char *name;
	enum ibv_advise_mr_advice advice;
	bool faults;
} advices[] = {
	{ "prefetch", IBV_ADVISE_MR_ADVICE_PREFETCH, true },
	{ "prefetch_write", IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, true },
	{ "prefetch_no_fault", IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT, false },
};

#define ADVICES 3

static int advise(int a, struct ibv_mr *mr, uint8_t *p, size_t length)
{
	struct ibv_sge sge = { (uintptr_t)p, length, mr->lkey };

	return ibv_advise_mr(t.dev.pd, advices[a].advice,
			     IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1);
}

/* The state of the pages before an advice. */
static void make_pages(struct perf_mem *mem, enum pages pages, uint64_t seed)
{
	perf_need(!(errno = perf_mem_cold(mem, mem->len)), "MADV_DONTNEED");
	if (pages != PAGES_PRESENT)
		return;
	perf_mem_touch(mem, mem->len);
	for (size_t at = 0; seed && at < mem->len; at += PERF_PAGE)
		perf_fill(mem->p + at, PERF_PAGE, seed + at);
}

static const char *check(int a, struct ibv_mr *mr, struct perf_mem *mem,
			 enum pages pages)
{
	bool counts, known = advices[a].faults || pages == PAGES_PRESENT;
	uint64_t before, after;
	const char *why;

	make_pages(mem, pages, SEED);
	if (advise(a, mr, mem->p, mem->len))
		return "ibv_advise_mr failed the last time";
	counts = perf_dev_faults(&t.dev, &before);
	why = touch_all(mr, mem->p, mem->len,
			pages == PAGES_PRESENT ? SEED : 0);
	if (!why && counts && known && perf_dev_faults(&t.dev, &after) &&
	    after != before)
		why = "a READ of prefetched pages needed page faults";
	return why;
}

static void measure(struct key key, int a, struct ibv_mr *mr,
		    struct perf_mem *mem)
{
	uint64_t clock = perf_clock_cost();
	int err = 0;

	for (long i = -t.o.warmup; i < t.o.iterations; i++) {
		uint64_t begin, end;

		make_pages(mem, key.pages, 0);
		begin = perf_now();
		err = advise(a, mr, mem->p, mem->len);
		end = perf_now();
		if (err)
			break;
		if (i >= 0)
			t.samples[i] =
				end - begin > clock ? end - begin - clock : 0;
	}
	if (err)
		row_errno(&key, err, "ibv_advise_mr");
	else
		row_samples(&key, t.samples, t.o.iterations,
			    check(a, mr, mem, key.pages));
}

static void of_length(size_t length)
{
	struct key key = {
		"prefetch", NULL, REG_ODP, PAGES_ABSENT, length, 1, 1
	};
	const char *why = reg_missing(REG_ODP, length);
	struct ibv_mr *mr = NULL;
	struct perf_mem mem = { .fd = -1 };
	int err = 0;

	if (!why) {
		perf_mem_get(&mem, &t.o, PERF_ANON, length);
		mr = make_mr(t.dev.pd, REG_ODP, mem.p, length);
		err = errno;
	}
	for (int a = 0; a < ADVICES; a++) {
		for (int p = PAGES_ABSENT; p <= PAGES_PRESENT; p++) {
			key.what = advices[a].name;
			key.pages = p;
			if (why)
				row_why(&key, PERF_ROW_UNSUPPORTED, why);
			else if (!mr)
				row_errno(&key, err, "ibv_reg_mr");
			else
				measure(key, a, mr, &mem);
		}
	}
	if (mr)
		ibv_dereg_mr(mr);
	perf_mem_put(&mem);
}

void sweep_prefetch(void)
{
	for (int s = 0; s < t.o.nsizes; s++) {
		if (t.o.sizes[s] <= LARGEST)
			of_length(t.o.sizes[s]);
	}
}
