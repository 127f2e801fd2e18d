// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * odp_limit: what the machine takes for the same work without RDMA.
 *
 *   getppid           a system call that does nothing
 *   memcpy            a copy within one process
 *   process_vm_writev a copy by the kernel into another process's memory,
 *   process_vm_readv  and out of it: what a device in software has to beat
 *   tcp               a message to the other process over a TCP connection, and
 *                     one byte back: what it has to beat across a network
 *   first_touch       the CPU writes one byte into each 4 KiB of memory whose
 *                     pages were taken away: a page fault without a device
 *   dontneed, munmap  taking present pages away, with nobody who is told
 *
 * Each row has memory of its own, exactly as large as the row, in a mapping of
 * its own.  After the samples the operation is done once more, and the bytes
 * that it must leave behind are compared.
 *
 * dontneed and munmap work on whole pages.  Their rows tell the size that was
 * really taken away, and sizes that become the same are one row.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "limit.h"

#define SEED 0x0dd5eedULL

/* The memory of a row. */
struct work {
	struct perf_mem mem;
	struct perf_mem second; /* memcpy's */
	uint8_t *other; /* in the other process */
	size_t size;
	uint8_t mark; /* what the next first touch writes */
};

/**
 * struct limit_op - one operation
 * @second, @other: it wants that memory, too
 * @pages: it works on whole pages
 * @begin: makes the next so many @run possible; or NULL
 * @before: makes the next @run possible; not measured; or NULL
 * @run: what is measured
 * @check: do it once more; how many bytes are wrong after it; or NULL
 *
 * They return false, with errno, when they cannot.
 */
struct limit_op {
	bool second, other, pages;
	void (*begin)(struct work *w, long times);
	bool (*before)(struct work *w);
	bool (*run)(struct work *w);
	bool (*check)(struct work *w, size_t *wrong);
};

static struct perf_options options;
static uint64_t *samples;

/* --- the operations ------------------------------------------------------- */

static bool getppid_run(struct work *w)
{
	return syscall(SYS_getppid) >= 0;
}

static bool memcpy_run(struct work *w)
{
	memcpy(w->second.p, w->mem.p, w->size);
	/* The copy has a reader: the compiler must not drop it. */
	__asm__ volatile("" : : "r"(w->second.p) : "memory");
	return true;
}

static bool memcpy_check(struct work *w, size_t *wrong)
{
	perf_fill(w->mem.p, w->size, SEED);
	memset(w->second.p, 0, w->size);
	memcpy_run(w);
	*wrong = perf_wrong(w->second.p, w->size, SEED);
	return true;
}

static bool whole(ssize_t done, size_t size)
{
	if (done >= 0 && (size_t)done != size)
		errno = EIO; /* a part only: pages were missing */
	return done >= 0 && (size_t)done == size;
}

static bool writev_run(struct work *w)
{
	struct iovec here = { w->mem.p, w->size },
		     there = { w->other, w->size };

	return whole(process_vm_writev(limit_other_pid(), &here, 1, &there, 1,
				       0),
		     w->size);
}

static bool writev_check(struct work *w, size_t *wrong)
{
	perf_fill(w->mem.p, w->size, SEED);
	limit_other_clear(w->size);
	if (!writev_run(w))
		return false;
	*wrong = limit_other_wrong(w->size, SEED);
	return true;
}

static bool readv_run(struct work *w)
{
	struct iovec here = { w->mem.p, w->size },
		     there = { w->other, w->size };

	return whole(process_vm_readv(limit_other_pid(), &here, 1, &there, 1,
				      0),
		     w->size);
}

static bool readv_check(struct work *w, size_t *wrong)
{
	limit_other_fill(w->size, SEED);
	memset(w->mem.p, 0, w->size);
	if (!readv_run(w))
		return false;
	*wrong = perf_wrong(w->mem.p, w->size, SEED);
	return true;
}

static void tcp_begin(struct work *w, long times)
{
	limit_other_answer(w->size, times);
}

static bool tcp_run(struct work *w)
{
	return limit_tcp_ask(w->mem.p, w->size);
}

static bool tcp_check(struct work *w, size_t *wrong)
{
	perf_fill(w->mem.p, w->size, SEED);
	limit_other_clear(w->size);
	tcp_begin(w, 1);
	if (!tcp_run(w))
		return false;
	*wrong = limit_other_wrong(w->size, SEED);
	return true;
}

static bool cold(struct work *w)
{
	errno = perf_mem_cold(&w->mem, w->size);
	return !errno;
}

static bool touch_run(struct work *w)
{
	volatile uint8_t *p = w->mem.p;

	for (size_t at = 0; at < w->size; at += PERF_PAGE)
		p[at] = w->mark;
	return true;
}

/* What memory without a file holds when its pages were taken away: zeros. */
static bool keeps(const struct work *w)
{
	return w->mem.fd >= 0;
}

static size_t wrong_after_loss(const struct work *w)
{
	return keeps(w) ? perf_wrong(w->mem.p, w->size, SEED) :
			  perf_nonzero(w->mem.p, w->size);
}

static bool touch_check(struct work *w, size_t *wrong)
{
	size_t bad = 0;

	perf_fill(w->mem.p, w->size, SEED);
	w->mark = 2; /* perf_fill() never writes it: its bytes are odd */
	if (!cold(w))
		return false;
	touch_run(w);
	for (size_t at = 0; at < w->size; at += PERF_PAGE)
		bad += w->mem.p[at] != w->mark;
	/* Then remove the marks, and check the rest. */
	if (keeps(w)) {
		uint8_t *want = malloc(w->size);

		perf_need(want, "malloc");
		perf_fill(want, w->size, SEED);
		for (size_t at = 0; at < w->size; at += PERF_PAGE)
			w->mem.p[at] = want[at];
		free(want);
	} else {
		for (size_t at = 0; at < w->size; at += PERF_PAGE)
			w->mem.p[at] = 0;
	}
	*wrong = bad + wrong_after_loss(w);
	return true;
}

static bool populate(struct work *w)
{
	perf_mem_touch(&w->mem, w->size);
	return true;
}

static bool dontneed_run(struct work *w)
{
	return !madvise(w->mem.p, w->size, MADV_DONTNEED);
}

static bool dontneed_check(struct work *w, size_t *wrong)
{
	perf_fill(w->mem.p, w->size, SEED);
	if (!dontneed_run(w))
		return false;
	*wrong = wrong_after_loss(w);
	return true;
}

static bool munmap_run(struct work *w)
{
	return !munmap(w->mem.p, w->size);
}

/* Only the first time the mapping is still there. */
static bool map_and_populate(struct work *w)
{
	unsigned char present;

	if (mincore(w->mem.p, PERF_PAGE, &present) &&
	    perf_mem_map(&w->mem, 0, w->size))
		return false;
	return populate(w);
}

static bool munmap_check(struct work *w, size_t *wrong)
{
	unsigned char present;

	if (!map_and_populate(w))
		return false;
	perf_fill(w->mem.p, w->size, SEED);
	if (!munmap_run(w))
		return false;
	*wrong = 0;
	for (size_t at = 0; at < w->size; at += w->mem.page)
		*wrong += !mincore(w->mem.p + at, PERF_PAGE, &present);
	if (*wrong)
		return true;
	if (perf_mem_map(&w->mem, 0, w->size))
		return false;
	*wrong = wrong_after_loss(w);
	return true;
}

enum { GETPPID, MEMCPY, WRITEV, READV, TOUCH, DONTNEED, MUNMAP, TCP, OPS };

static const char *const op_names[OPS + 1] = {
	[GETPPID] = "getppid",
	[MEMCPY] = "memcpy",
	[WRITEV] = "process_vm_writev",
	[READV] = "process_vm_readv",
	[TOUCH] = "first_touch",
	[DONTNEED] = "dontneed",
	[MUNMAP] = "munmap",
	[TCP] = "tcp",
};

static const struct limit_op ops[OPS] = {
	[GETPPID] = { .run = getppid_run },
	[MEMCPY] = { .second = true, .run = memcpy_run, .check = memcpy_check },
	[WRITEV] = { .other = true, .run = writev_run, .check = writev_check },
	[READV] = { .other = true, .run = readv_run, .check = readv_check },
	[TOUCH] = { .before = cold, .run = touch_run, .check = touch_check },
	[DONTNEED] = { .pages = true,
		       .before = populate,
		       .run = dontneed_run,
		       .check = dontneed_check },
	[MUNMAP] = { .pages = true,
		     .before = map_and_populate,
		     .run = munmap_run,
		     .check = munmap_check },
	[TCP] = { .other = true,
		  .begin = tcp_begin,
		  .run = tcp_run,
		  .check = tcp_check },
};

/* --- rows ----------------------------------------------------------------- */

static const char *work_get(struct work *w, const struct limit_op *op,
			    enum perf_mem_kind kind, size_t size)
{
	const char *why;

	memset(w, 0, sizeof(*w));
	w->mem.fd = -1;
	w->second.fd = -1;
	w->mark = 1;
	w->size = size;
	why = perf_mem_try(&w->mem, &options, kind, size);
	if (!why && op->second) {
		why = perf_mem_try(&w->second, &options, kind, size);
		if (!why)
			perf_mem_touch(&w->second, size);
	}
	if (!why && op->other)
		w->other = limit_other_get(kind, size, &why);
	if (!why)
		perf_mem_touch(&w->mem, size);
	return why;
}

static void work_put(struct work *w)
{
	if (w->other)
		limit_other_put();
	perf_mem_put(&w->second);
	perf_mem_put(&w->mem);
}

static long minor_faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_minflt + u.ru_majflt;
}

/* @faults: the CPU's page faults within what was measured. */
static bool sample(const struct limit_op *op, struct work *w, long *faults)
{
	uint64_t begin, took, cost = perf_clock_cost();
	long before;

	*faults = 0;
	if (op->begin)
		op->begin(w, (long)options.warmup + options.iterations);
	for (long i = -options.warmup; i < options.iterations; i++) {
		if (op->before && !op->before(w))
			return false;
		before = minor_faults();
		begin = perf_now();
		if (!op->run(w))
			return false;
		took = perf_now() - begin;
		if (i < 0)
			continue;
		*faults += minor_faults() - before;
		samples[i] = took > cost ? took - cost : 0;
	}
	return true;
}

static void refuse(struct perf_row *r)
{
	int err = errno;

	if (err == EPERM || err == ENOSYS)
		perf_row_status(r, PERF_ROW_UNSUPPORTED,
				"%s: run as root, or look at "
				"/proc/sys/kernel/yama/ptrace_scope",
				strerror(err));
	else
		perf_row_status(r, PERF_ROW_FAILED, "%s", strerror(err));
}

static void measure(struct perf_row *r, const struct limit_op *op,
		    struct work *w)
{
	size_t wrong = 0;
	long faults;

	if (!sample(op, w, &faults) || (op->check && !op->check(w, &wrong))) {
		refuse(r);
		return;
	}
	if (wrong) {
		perf_row_status(r, PERF_ROW_WRONG, "%zu of %zu bytes are wrong",
				wrong, w->size);
		return;
	}
	perf_row_samples(r, samples, options.iterations);
	perf_row_extra(r, "faults_per_op", (double)faults / options.iterations);
	r->note = "faults: rusage";
}

static void row(int op, const char *mem, enum perf_mem_kind kind, size_t size)
{
	const char *why = NULL;
	struct perf_row r;
	struct work w = { .size = 0 };

	if (op != GETPPID)
		why = work_get(&w, &ops[op], kind, size);
	perf_row_begin(&r, PERF_NS);
	perf_row_key(&r, "op", op_names[op]);
	perf_row_key(&r, "mem", mem);
	perf_row_key_u64(&r, "size", size);
	if (why)
		perf_row_status(&r, PERF_ROW_UNSUPPORTED, "%s", why);
	else
		measure(&r, &ops[op], &w);
	if (op != GETPPID)
		work_put(&w);
	perf_row_end(&r);
}

static void rows_of_sizes(int op, enum perf_mem_kind kind)
{
	size_t page = kind == PERF_HUGETLB || kind == PERF_THP ? PERF_HUGE :
								 PERF_PAGE;
	size_t done[PERF_SIZES], size;
	int n = 0, j;

	for (int i = 0; i < options.nsizes; i++) {
		size = options.sizes[i];
		if (ops[op].pages)
			size = (size + page - 1) / page * page;
		for (j = 0; j < n && done[j] != size; j++)
			;
		if (j < n)
			continue;
		done[n++] = size;
		row(op, perf_mem_names[kind], kind, size);
	}
}

/* --- the program ---------------------------------------------------------- */

/* A network is not part of this machine. */
static uint32_t chosen_ops = ((1 << OPS) - 1) & ~(1 << TCP);
static uint32_t chosen_mem = (1 << PERF_MEM_KINDS) - 1;

static const char *netns, *address = "127.0.0.1";

static const struct perf_option own_options[] = {
	{ "op", .set = &chosen_ops, .names = op_names },
	{ "mem", .set = &chosen_mem, .names = perf_mem_names },
	{ "netns", .text = &netns },
	{ "address", .text = &address },
	{},
};

static const struct perf_program program = {
	.name = "odp_limit",
	.summary = "What this machine takes for system calls, copies and page "
		   "faults without RDMA.",
	.help = "  --op LIST               getppid, memcpy, process_vm_writev,\n"
		"                          process_vm_readv, first_touch, dontneed,\n"
		"                          munmap, tcp (all but tcp)\n"
		"  --mem LIST              anon, thp, hugetlb, tmpfs, file, fsdax (all)\n"
		"  --netns NEAR,FAR        of tcp: network namespaces of its ends (this one)\n"
		"  --address ADDRESS       of tcp: of the far end (127.0.0.1)\n",
	.options = own_options,
	.iterations = 200,
	.no_device = true,
};

int main(int argc, char **argv)
{
	perf_options(&options, &program, argc, argv);
	if (chosen_ops & 1 << TCP)
		limit_tcp_open(&options, netns, address);
	limit_other_start(&options);
	samples = calloc(options.iterations, sizeof(*samples));
	perf_need(samples, "calloc");
	perf_report_open(&options, &program, NULL, argc, argv);
	if (chosen_ops & 1 << GETPPID)
		row(GETPPID, "none", PERF_ANON, 0);
	for (int kind = 0; kind < PERF_MEM_KINDS; kind++) {
		if (!(chosen_mem & 1u << kind))
			continue;
		for (int op = MEMCPY; op < OPS; op++) {
			if (chosen_ops & 1u << op)
				rows_of_sizes(op, kind);
		}
	}
	return perf_report_close();
}
