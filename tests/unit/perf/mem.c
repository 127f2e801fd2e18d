// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory: the kinds that every machine has; the others are reported missing,
 * with the reason.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

static struct perf_options o = { .file_dir = "/tmp" };

static void use(enum perf_mem_kind kind, bool lost)
{
	struct perf_mem m;

	perf_mem_get(&m, &o, kind, 3 * PERF_PAGE + 1);
	CHECK(m.kind == kind && m.page == PERF_PAGE);
	CHECK(m.len == 4 * PERF_PAGE && (uintptr_t)m.p % PERF_HUGE == 0);
	CHECK((m.fd < 0) == lost);
	perf_fill(m.p, m.len, 5);
	perf_mem_touch(&m, m.len);
	CHECK(!perf_wrong(m.p, m.len, 5));
	/* A byte of the second page means the whole page. */
	CHECK(!perf_mem_cold(&m, PERF_PAGE + 1));
	if (lost) {
		CHECK(!perf_nonzero(m.p, 2 * PERF_PAGE));
		perf_fill(m.p, 2 * PERF_PAGE, 5);
	}
	CHECK(!perf_wrong(m.p, m.len, 5));
	/* More than there is means all. */
	CHECK(!perf_mem_cold(&m, 100 * PERF_PAGE));
	CHECK(lost ? !perf_nonzero(m.p, m.len) : !perf_wrong(m.p, m.len, 5));
	perf_mem_put(&m);
	CHECK(!m.p && m.fd == -1);
}

static void anonymous(void)
{
	use(PERF_ANON, true);
}

static void files(void)
{
	o.file_dir = unit_dir();
	use(PERF_TMPFS, false);
	use(PERF_FILE, false);
	CHECK(unit_only(NULL));
	unit_dir_end();
}

/* Pages of address space. */
static long mapped(void)
{
	static char text[200];
	int fd = open("/proc/self/statm", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	CHECK(n > 0);
	return atol(text);
}

static void mapped_and_back(void)
{
	struct perf_mem m;
	long before;

	perf_mem_get(&m, &o, PERF_ANON, 1); /* what the first use maps */
	perf_mem_put(&m);
	before = mapped();
	perf_mem_get(&m, &o, PERF_ANON, 5 * PERF_PAGE);
	CHECK(mapped() == before + 5);
	perf_mem_put(&m);
	CHECK(mapped() == before);
	perf_mem_put(&m); /* of nothing */
}

static bool missing(const struct perf_options *with, enum perf_mem_kind kind,
		    const char *word, const char *word2)
{
	const char *why = perf_mem_missing(with, kind);
	struct perf_mem m;

	if (!why || !strstr(why, word) || !strstr(why, word2)) {
		printf("# %s: %s\n", perf_mem_names[kind], why);
		return false;
	}
	why = perf_mem_try(&m, with, kind, 1);
	return why && strstr(why, word) && !m.p && m.fd == -1;
}

static void missing_kinds(void)
{
	struct perf_options none = {}, wrong = { .file_dir = "/nowhere",
						 .dax_dir = "/dev/null" };

	CHECK(!perf_mem_missing(&none, PERF_ANON));
	CHECK(!perf_mem_missing(&none, PERF_TMPFS));
	CHECK(missing(&none, PERF_FILE, "--file-dir", "no directory"));
	CHECK(missing(&none, PERF_FSDAX, "--dax-dir", "no directory"));
	CHECK(missing(&wrong, PERF_FILE, "--file-dir", "/nowhere"));
	CHECK(missing(&wrong, PERF_FSDAX, "--dax-dir", "/dev/null"));
	/* A directory, but of tmpfs. */
	wrong.dax_dir = "/tmp";
	CHECK(missing(&wrong, PERF_FSDAX, "--dax-dir", "not DAX"));
}

static void too_much(void)
{
	struct perf_mem m;
	const char *why = perf_mem_try(&m, &o, PERF_ANON, (size_t)1 << 60);

	CHECK(why && strstr(why, "address space") && !m.p);
}

const struct unit_case mem_cases[] = {
	{ "anonymous memory: aligned, taken away by whole pages, lost",
	  anonymous },
	{ "files: kept when taken away, and nothing left in the directory",
	  files },
	{ "just as many pages are mapped as asked for, and given back",
	  mapped_and_back },
	{ "a kind that is not there says why", missing_kinds },
	{ "more than there can be is refused with a reason", too_much },
};
const size_t num_mem_cases = ARRAY_LEN(mem_cases);
