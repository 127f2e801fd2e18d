// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory that cannot be read or written when the request arrives. Each kind is
 * tried as the target of a WRITE, the source of a READ, the source of a SEND and
 * the buffer of a receive. The status is an access or protection error at the right
 * end, and the machine survives.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "errors.h"

#define LEN (4 * HT_PAGE)

enum trouble { UNMAPPED, PROT_NO, SECRET, VVAR, FILE_END, GUARD_HOLE };

struct row {
	const char *name;
	enum trouble what;
};

static struct ht_rig r;

/* Memory of LEN bytes, or as much as there is, that no RDMA can reach. */
static uint8_t *trouble(enum trouble what, size_t *len)
{
	unsigned long from = 0, to = 0;
	char line[400];
	uint8_t *p;
	FILE *f;
	int fd;

	*len = LEN;
	switch (what) {
	case SECRET:
		fd = syscall(SYS_memfd_secret, 0);
		if (fd < 0)
			ht_skip("memfd_secret: %s", strerror(errno));
		ht_sys(ftruncate(fd, LEN));
		p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ht_true(p != MAP_FAILED);
		memset(p, 0x5a, LEN);
		return p;
	case VVAR:
		f = fopen("/proc/self/maps", "r");
		while (fgets(line, sizeof(line), f)) {
			if (strstr(line, "[vvar"))
				sscanf(line, "%lx-%lx", &from, &to);
		}
		fclose(f);
		if (!from)
			ht_skip("this process has no vvar mapping");
		*len = HT_PAGE;
		return (void *)from;
	case FILE_END:
		fd = ht_file(HT_FILE, HT_PAGE, NULL, 0);
		p = mmap(NULL, LEN + HT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ht_true(p != MAP_FAILED);
		return p + HT_PAGE;
	default:
		p = ht_map(LEN, PROT_READ | PROT_WRITE);
		memset(p, 0x5a, LEN);
		if (what == PROT_NO)
			ht_sys(mprotect(p, LEN, PROT_NONE));
		else if (what == UNMAPPED)
			ht_sys(munmap(p, LEN));
		else
			ht_sys(munmap(p + HT_PAGE, HT_PAGE));
		return p;
	}
}

static void need_odp(void)
{
	ht_need_mr(r.a->dev, HT_ODP);
	/* rdma_rxe of 7.3 crashes the machine here; see docs. */
	if (!r.a->dev->is_hodp)
		ht_skip("not tried on a device that is not hmm_odp: the kernel may die");
}

static void memory_bad(const void *arg)
{
	const struct row *row = arg;
	struct ibv_wc wc;
	struct ht_mr mr[2];
	struct ht_wr w;
	uint8_t *bad;
	size_t len;

	ht_rig_get(&r, NULL, 8 * HT_PAGE);
	need_odp();
	ht_rig_fill(&r, 250, NULL);
	bad = trouble(row->what, &len);
	for (int i = 0; i < 2; i++) {
		int err = ht_mr_try(&mr[i], r.pair.s[i].pd, bad, len, HT_ODP, HT_ACCESS_ALL);

		if (err) {
			/* A clean refusal at registration is as good as an error later. */
			ht_check(row->what == SECRET || row->what == VVAR, "registration: %s",
				 strerror(err));
			return;
		}
	}
	ht_eq(ht_rdma_status(r.a, IBV_WR_RDMA_WRITE, &r.mr[0], r.p[0], len, &mr[1], bad),
	      IBV_WC_REM_ACCESS_ERR);
	ht_pair_reconnect(&r.pair);
	ht_eq(ht_rdma_status(r.a, IBV_WR_RDMA_READ, &r.mr[0], r.p[0], len, &mr[1], bad),
	      IBV_WC_REM_ACCESS_ERR);
	ht_pair_reconnect(&r.pair);
	ht_eq(ht_rdma_status(r.a, IBV_WR_RDMA_WRITE, &mr[0], bad, len, &r.mr[1], r.p[1]),
	      IBV_WC_LOC_PROT_ERR);
	ht_pair_reconnect(&r.pair);
	ht_eq(ht_rdma_status(r.a, IBV_WR_RDMA_READ, &mr[0], bad, len, &r.mr[1], r.p[1]),
	      IBV_WC_LOC_PROT_ERR);
	ht_pair_reconnect(&r.pair);
	ht_recv(r.b, 1, &mr[1], bad, len);
	w = ht_rig_wr(&r, IBV_WR_SEND, 0, len, 0);
	ht_do_status(r.a, &w, IBV_WC_REM_OP_ERR);
	ht_want_wc(r.b->rcq, &wc, 1, IBV_WC_LOC_PROT_ERR);
	ht_pair_reconnect(&r.pair);
	w = ht_rig_wr(&r, IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 8, 0);
	w.raddr = ht_iova(&mr[1], bad + (row->what == GUARD_HOLE ? HT_PAGE : 0));
	w.rkey = mr[1].mr->rkey;
	ht_do_status(r.a, &w, IBV_WC_REM_ACCESS_ERR);
	ht_pair_reconnect(&r.pair);
	if (row->what == SECRET)
		ht_check_value(bad, LEN, 0x5a, "secret memory");
	/* Nothing else changed; only a READ's good pages may differ. */
	if (row->what != GUARD_HOLE)
		ht_check_fill(r.p[0], r.len, 250, 0, "requester's memory");
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, 5000, 1);
	ht_check_bytes(r.p[1] + 1, r.p[0], 5000, "a good WRITE afterwards");
}

/* Reading is allowed where the mapping allows it, writing is not. */
static void memory_readonly(const void *arg)
{
	const enum ht_mem_kind *kind = arg;
	static struct ht_mem m;
	struct ht_mr mr;
	uint8_t *ro;

	ht_rig_get(&r, NULL, LEN);
	need_odp();
	ht_mem_get(&m, *kind, LEN, 0);
	ht_fill(m.p, LEN, 260, 0);
	ro = m.p;
	if (m.fd >= 0) {
		/* A second mapping of the file, opened for reading only. */
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", m.fd);
		fd = ht_sys(open(path, O_RDONLY));
		ro = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
		ht_true(ro != MAP_FAILED);
	} else {
		ht_sys(mprotect(m.p, LEN, PROT_READ));
	}
	ht_mr_get(&mr, r.b->pd, ro, LEN, HT_ODP, HT_ACCESS_ALL);
	ht_rdma(r.a, IBV_WR_RDMA_READ, &r.mr[0], r.p[0], LEN - 3, &mr, ro + 3);
	ht_check_fill(r.p[0], LEN - 3, 260, 3, "READ of a read-only mapping");
	for (int i = 0; i < 2; i++) {
		struct ht_wr w =
			ht_rig_wr(&r, i ? IBV_WR_ATOMIC_FETCH_AND_ADD : IBV_WR_RDMA_WRITE, 0, 8, 0);

		w.raddr = ht_iova(&mr, ro + 64);
		w.rkey = mr.mr->rkey;
		w.add = 1;
		ht_do_status(r.a, &w, IBV_WC_REM_ACCESS_ERR);
		ht_check_fill(ro, LEN, 260, 0, "a read-only mapping");
		ht_pair_reconnect(&r.pair);
	}
	if (m.fd < 0) {
		ht_sys(mprotect(m.p, LEN, PROT_READ | PROT_WRITE));
		ht_rdma(r.a, IBV_WR_RDMA_WRITE, &r.mr[0], r.p[0], 100, &mr, ro + 1);
		ht_check_bytes(ro + 1, r.p[0], 100, "WRITE after PROT_WRITE is back");
	}
}

/* A private mapping of a file: RDMA writes to the copy, not to the file. */
static void memory_private_file(const void *arg)
{
	const enum ht_mem_kind *kind = arg;
	uint8_t *p, *back = malloc(LEN);
	struct ht_mr mr;
	const char *why;
	int fd;

	ht_rig_get(&r, NULL, LEN);
	need_odp();
	why = ht_mem_missing(*kind);
	if (why)
		ht_skip("%s", why);
	ht_fill(back, LEN, 261, 0);
	ht_fill(r.p[0], LEN, 262, 0);
	fd = ht_file(*kind, LEN, NULL, 0);
	ht_eq(pwrite(fd, back, LEN, 0), LEN);
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ht_true(p != MAP_FAILED);
	ht_mr_get(&mr, r.b->pd, p, LEN, HT_ODP, HT_ACCESS_ALL);
	ht_rdma(r.a, IBV_WR_RDMA_READ, &r.mr[0], r.p[0] + 5, 9000, &mr, p + 5);
	ht_check_fill(r.p[0] + 5, 9000, 261, 5, "READ of a private mapping");
	ht_fill(r.p[0], LEN, 262, 0);
	ht_rdma(r.a, IBV_WR_RDMA_WRITE, &r.mr[0], r.p[0] + 1, HT_PAGE, &mr, p + 100);
	ht_check_fill(p + 100, HT_PAGE, 262, 1, "the private copy");
	ht_check_fill(p, 100, 261, 0, "the private copy, before the WRITE");
	ht_check_fill(p + 100 + HT_PAGE, LEN - 100 - HT_PAGE, 261, 100 + HT_PAGE,
		      "the private copy, behind the WRITE");
	ht_eq(pread(fd, back, LEN, 0), LEN);
	ht_check_fill(back, LEN, 261, 0, "the file");
}

/* The zero page is shared by the whole system: a WRITE must not reach it. */
static void memory_zero_page(const void *arg)
{
	static struct ht_mem m;
	struct ht_mr mr;
	volatile uint8_t sum = 0;
	uint8_t *other;

	ht_rig_get(&r, NULL, LEN);
	if (r.a->dev->is_hodp)
		need_odp();
	ht_mem_get(&m, HT_ANON, LEN, 0);
	other = ht_map(LEN, PROT_READ);
	for (size_t i = 0; i < LEN; i += HT_PAGE)
		sum += m.p[i] + other[i]; /* read faults: the zero page */
	ht_mr_get(&mr, r.b->pd, m.p, LEN, ht_best_mr(r.b->dev), HT_ACCESS_ALL);
	ht_rdma(r.a, IBV_WR_RDMA_READ, &r.mr[0], r.p[0], LEN, &mr, m.p);
	ht_check_value(r.p[0], LEN, 0, "READ of pages that were never written");
	ht_fill(r.p[0], LEN, 263, 0);
	ht_rdma(r.a, IBV_WR_RDMA_WRITE, &r.mr[0], r.p[0], LEN - 1, &mr, m.p + 1);
	ht_check_fill(m.p + 1, LEN - 1, 263, 0, "WRITE over zero pages");
	ht_check_value(other, LEN, 0, "another mapping of the zero page");
}

static const enum ht_mem_kind anon = HT_ANON, tmpfs = HT_TMPFS, file = HT_FILE, dax = HT_DAX_EXT4;

static const struct row rows[] = {
	{ "unmapped", UNMAPPED }, { "prot-none", PROT_NO },   { "secret", SECRET },
	{ "vvar", VVAR },	  { "behind-eof", FILE_END }, { "hole", GUARD_HOLE },
};

static const struct ht_case cases[] = {
	{ "memory-readonly-anon", "a read-only mapping can be read and not written",
	  memory_readonly, &anon },
	{ "memory-readonly-tmpfs", "a read-only mapping can be read and not written",
	  memory_readonly, &tmpfs },
	{ "memory-readonly-ext4", "a read-only mapping can be read and not written",
	  memory_readonly, &file },
	{ "memory-readonly-dax", "a read-only mapping can be read and not written", memory_readonly,
	  &dax },
	{ "memory-private-tmpfs", "a WRITE to a private mapping spares the file",
	  memory_private_file, &tmpfs },
	{ "memory-private-ext4", "a WRITE to a private mapping spares the file",
	  memory_private_file, &file },
	{ "memory-private-dax", "a WRITE to a private mapping spares the file", memory_private_file,
	  &dax },
	{ "memory-zero-page", "a WRITE never reaches the shared zero page", memory_zero_page },
	{},
};

void errors_memory(void)
{
	for (size_t i = 0; i < HT_LEN(rows); i++)
		ht_addf(memory_bad, &rows[i], 0,
			"memory that is not there is a clean error at the right end", "memory-%s",
			rows[i].name);
	ht_add(cases);
}
