// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_reg: registration, deregistration and prefetch: time, and the kernel's
 * memory, against length, number of regions and number of processes.
 *
 * Regions for on-demand paging lie on address space that is only reserved: a
 * registration that touches it would show.  One that looks at each page that is
 * there shows with --pages present.  Pinned ones need the memory.
 * After each row bytes go to and fro through a region of the kind: one that
 * registers and does not work gets no figure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reg.h"

#define KMEM_ENOUGH ((int64_t)1 << 20)
#define KMEM_MRS 1024

static const char *const sweep_names[] = { "length", "mrs", "procs", "prefetch",
					   NULL };
static const char *const length_pages[] = { "reserved", "present", NULL };

static uint32_t want_sweeps = ~0u;
static uint32_t want_pages = 1; /* bits as in length_pages */

static const struct perf_option own_options[] = {
	{ "sweep", .set = &want_sweeps, .names = sweep_names },
	{ "reg", .set = &t.regs, .names = reg_names },
	{ "pages", .set = &want_pages, .names = length_pages },
	{ "mrs", .list = &t.mrs, .max = 1000000 },
	{ "procs", .list = &t.procs, .max = 1000 },
	{ "mrs-per-proc", .number = &t.per_proc, .min = 1, .max = 100000 },
	{},
};

static const struct perf_program program = {
	.name = "odp_reg",
	.summary = "Registration, deregistration and prefetch: time and the "
		   "kernel's memory.",
	.help = "      --sweep LIST        length,mrs,procs,prefetch (all)\n"
		"      --reg LIST          odp,pinned,implicit (all)\n"
		"      --pages LIST        reserved,present: what lies under an "
		"odp region\n"
		"                          of the length sweep (reserved)\n"
		"      --mrs LIST          regions that there are "
		"(1,10,100,1000,10000)\n"
		"      --procs LIST        processes at once (1,4,16,64)\n"
		"      --mrs-per-proc N    regions of each of them (64)\n",
	.options = own_options,
	.iterations = 50,
	.warmup = 5,
	.sizes = "4k,64k,2M,64M,1G,64G,1T",
	.whole_pages = true,
};

/* --- against length --------------------------------------------------------------- */

/* Into t.samples, and deregistrations into t.samples2.  0 or errno */
static int time_regs(enum reg reg, void *p, size_t length)
{
	uint64_t clock = perf_clock_cost();

	for (long i = -t.o.warmup; i < t.o.iterations; i++) {
		uint64_t begin = perf_now(), made, dropping, dropped;
		struct ibv_mr *mr = make_mr(t.dev.pd, reg, p, length);

		made = perf_now();
		if (!mr)
			return errno;
		dropping = perf_now();
		errno = ibv_dereg_mr(mr);
		dropped = perf_now();
		if (errno)
			return errno;
		if (i < 0)
			continue;
		made -= begin;
		dropped -= dropping;
		t.samples[i] = made > clock ? made - clock : 0;
		t.samples2[i] = dropped > clock ? dropped - clock : 0;
	}
	return 0;
}

/*
 * The kernel's memory for one more region.  As many again are added to some
 * that are there, so that free places in slabs are used up before; @mr has
 * 2 * KMEM_MRS places.  False: a registration failed.
 */
static bool kmem_per_mr(enum reg reg, void *p, size_t length,
			struct ibv_mr **mr, uint64_t *bytes)
{
	int64_t least = kmem_settled(), before, after, room;
	size_t n = 0, have = 0;
	bool ok = true;

	room = kmem_available() / 4;
	do {
		n = n ? 2 * n : 1;
		while (ok && have < n)
			ok = (mr[have] = make_mr(t.dev.pd, reg, p, length)) &&
			     ++have;
		before = kmem_now();
	} while (ok && n < KMEM_MRS && before - least < KMEM_ENOUGH &&
		 before - least < room);
	while (ok && have < 2 * n)
		ok = (mr[have] = make_mr(t.dev.pd, reg, p, length)) && ++have;
	after = kmem_now();
	*bytes = after > before ? (after - before) / n : 0;
	while (have)
		ibv_dereg_mr(mr[--have]);
	return ok;
}

bool rows_of_times(struct key *key, uint8_t *p, size_t length)
{
	const char *wrong = "it did not register once more";
	struct ibv_mr *mr;
	int err;

	key->what = "reg";
	err = time_regs(key->reg, p, length);
	if (err) {
		row_errno(key, err, "ibv_reg_mr");
		return false;
	}
	mr = make_mr(t.dev.pd, key->reg, p, length);
	if (mr) {
		wrong = touch_ends(mr, p, length);
		ibv_dereg_mr(mr);
	}
	row_samples(key, t.samples, t.o.iterations, wrong);
	key->what = "dereg";
	row_samples(key, t.samples2, t.o.iterations, wrong);
	key->what = "kernel_memory";
	return true;
}

static void rows_of_length(struct key key, uint8_t *p, size_t length)
{
	static struct ibv_mr *mrs[2 * KMEM_MRS];
	uint64_t bytes;

	if (!rows_of_times(&key, p, length))
		return;
	if (kmem_per_mr(key.reg, p, length, mrs, &bytes))
		row_bytes(&key, bytes);
	else
		row_errno(&key, errno, "ibv_reg_mr of many");
}

static void of_length(enum reg reg, enum pages pages, size_t length)
{
	struct key key = { "length", "reg", reg, pages, length, 1, 1 };
	struct perf_mem mem = { .fd = -1 };
	const char *why = reg_missing(reg, length);

	/* A few pages are enough for an implicit region. */
	if (reg == REG_IMPLICIT) {
		key.length = 0;
		length = PERF_HUGE;
	}
	if (!why && pages == PAGES_PRESENT)
		why = memory_missing(length);
	if (!why)
		why = perf_mem_try(&mem, &t.o, PERF_ANON, length);
	if (why) {
		row_why(&key, PERF_ROW_UNSUPPORTED, why);
		return;
	}
	if (pages == PAGES_PRESENT)
		perf_mem_touch(&mem, length);
	rows_of_length(key, mem.p, length);
	perf_mem_put(&mem);
}

static void sweep_length(enum reg reg)
{
	bool reserved = reg == REG_IMPLICIT ||
			(reg == REG_ODP && want_pages & 1);
	bool present = reg == REG_PINNED || (reg == REG_ODP && want_pages & 2);

	for (int s = 0; s < (reg == REG_IMPLICIT ? 1 : t.o.nsizes); s++) {
		if (reserved)
			of_length(reg, PAGES_RESERVED, t.o.sizes[s]);
		if (present)
			of_length(reg, PAGES_PRESENT, t.o.sizes[s]);
	}
}

/* --- all of them -------------------------------------------------------------------- */

static void get_tools(int argc, char **argv)
{
	perf_dev_open(&t.dev, &t.o);
	t.samples = calloc(t.o.iterations, sizeof(*t.samples));
	t.samples2 = calloc(t.o.iterations, sizeof(*t.samples));
	perf_need(t.samples && t.samples2, "memory for samples");
	perf_probe_open(&t.probe, &t.dev, PERF_PAGE, t.o.timeout);
	perf_report_open(&t.o, &program, &t.dev, argc, argv);
}

int main(int argc, char **argv)
{
	static void (*const sweeps[])(enum reg reg) = { sweep_length, sweep_mrs,
							sweep_procs };

	perf_options(&t.o, &program, argc, argv);
	get_tools(argc, argv);
	for (int s = 0; s < 3; s++) {
		for (int reg = 0; reg < REGS; reg++) {
			if (want_sweeps >> s & 1 && t.regs >> reg & 1)
				sweeps[s](reg);
		}
	}
	if (want_sweeps >> 3 & 1)
		sweep_prefetch();
	return perf_report_close();
}
