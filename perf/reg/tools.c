// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the sweeps share: their options, regions, and rows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "reg.h"

static const char *const pages_names[] = { "reserved", "absent", "present" };
const char *const reg_names[REGS + 1] = {
	[REG_ODP] = "odp",
	[REG_PINNED] = "pinned",
	[REG_IMPLICIT] = "implicit",
};

struct tools t = {
	.regs = ~0u,
	.mrs = { 5, { 1, 10, 100, 1000, 10000 } },
	.procs = { 4, { 1, 4, 16, 64 } },
	.per_proc = 64,
};

/* --- rows ------------------------------------------------------------------------- */

static void row_begin(struct perf_row *r, enum perf_unit unit,
		      const struct key *k)
{
	perf_row_begin(r, unit);
	perf_row_key(r, "sweep", k->sweep);
	perf_row_key(r, "what", k->what);
	perf_row_key(r, "reg", reg_names[k->reg]);
	perf_row_key(r, "pages", pages_names[k->pages]);
	perf_row_key_u64(r, "length", k->length);
	perf_row_key_u64(r, "mrs", k->mrs);
	perf_row_key_u64(r, "procs", k->procs);
}

void row_why(const struct key *k, enum perf_row_status status, const char *why)
{
	struct perf_row r;

	row_begin(&r, PERF_NS, k);
	perf_row_status(&r, status, "%s", why);
	perf_row_end(&r);
}

void row_errno(const struct key *k, int err, const char *what)
{
	row_why(k,
		err == EOPNOTSUPP || err == EINVAL ? PERF_ROW_UNSUPPORTED :
						     PERF_ROW_FAILED,
		perf_say("%s: %s", what, strerrorname_np(err)));
}

void row_samples(const struct key *k, uint64_t *samples, size_t n,
		 const char *wrong)
{
	struct perf_row r;

	row_begin(&r, PERF_NS, k);
	perf_row_samples(&r, samples, n);
	if (wrong)
		perf_row_status(&r, PERF_ROW_WRONG, "%s", wrong);
	perf_row_end(&r);
}

void row_bytes(const struct key *k, uint64_t bytes)
{
	struct perf_row r;

	row_begin(&r, PERF_BYTES, k);
	perf_row_samples(&r, &bytes, 1);
	r.note = KMEM_NOTE;
	perf_row_end(&r);
}

/* --- regions ---------------------------------------------------------------------- */

struct ibv_mr *make_mr(struct ibv_pd *pd, enum reg reg, void *p, size_t length)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		     IBV_ACCESS_REMOTE_READ;

	if (reg != REG_PINNED)
		access |= IBV_ACCESS_ON_DEMAND;
	if (reg == REG_IMPLICIT)
		return ibv_reg_mr(pd, NULL, SIZE_MAX, access);
	return ibv_reg_mr(pd, p, length, access);
}

const char *memory_missing(size_t length)
{
	uint64_t available = kmem_available();

	if (length <= available / 2)
		return NULL;
	return perf_say("pages that are present take the memory, and half of "
			"what is available is %zu MiB",
			available / 2 >> 20);
}

const char *reg_missing(enum reg reg, size_t length)
{
	if (reg == REG_PINNED)
		return memory_missing(length);
	if (!perf_dev_has_odp(&t.dev, false))
		return "the device has no on-demand paging";
	if (reg == REG_IMPLICIT && !perf_dev_has_odp(&t.dev, true))
		return "the device has no implicit regions";
	return NULL;
}
