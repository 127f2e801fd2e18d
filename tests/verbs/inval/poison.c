// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Poisoned memory, and memory that only looks writable. The test module does what
 * the guest's hardware cannot.
 */
#include <signal.h>
#include <sys/mman.h>

#include "inval.h"
#include "mtest.h"

#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif

static struct iv v;
static volatile sig_atomic_t told;

static void on_sigbus(int sig)
{
	told++;
}

static void mtest(unsigned long cmd, const void *p)
{
	int err = ht_mtest(cmd, p);

	if (err == EOPNOTSUPP)
		ht_skip("this kernel has no such state");
	ht_ok(err);
}

/* Each use of page @k must fail: with @remote, or with @local as the sender's own memory. */
static void all_fail(size_t k, enum ibv_wc_status remote, enum ibv_wc_status local)
{
	size_t off = k * HT_PAGE;

	iv_status(&v, off + 8, 100, remote, remote);
	iv_add_fails(&v, off, remote);
	for (int i = 0; i < 2; i++) {
		ht_eq(ht_rdma_status(v.r.a, i ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ, &v.lmr,
				     v.p + off, 100, &v.r.mr[1], v.r.p[1]),
		      local);
		ht_pair_reconnect(&v.r.pair);
	}
}

/* The kernel poisons a page that the device has mapped, for reading and writing. */
static void poisoned(const void *arg)
{
	static const size_t bad[] = { 0, 100, 511 };
	const enum ht_mem_kind *kind = arg;

	iv_get_hot(&v, *kind);
	signal(SIGBUS, on_sigbus);
	for (size_t i = 0; i < HT_LEN(bad); i++) {
		if (madvise(v.p + bad[i] * HT_PAGE, HT_PAGE, MADV_HWPOISON)) {
			if (errno == EINVAL || errno == EPERM)
				ht_skip("no MADV_HWPOISON: %s", strerror(errno));
			ht_fail("MADV_HWPOISON: %s", strerror(errno));
		}
		all_fail(bad[i], IBV_WC_REM_ACCESS_ERR, IBV_WC_LOC_PROT_ERR);
		/* A long operation ends as well. */
		iv_status(&v, 0, v.len, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	}
	iv_read(&v, HT_PAGE, 99 * HT_PAGE, 2, "between bad pages");
	iv_read(&v, 512 * HT_PAGE, v.len - 512 * HT_PAGE, 2, "behind bad pages");
	iv_store(&v, 101 * HT_PAGE, 410 * HT_PAGE, 3, "WRITE between bad pages");
	ht_note("%d signals", told);
}

/* A clean page of a file on disk is dropped and read again. */
static void poisoned_file(const void *arg)
{
	iv_get_hot(&v, HT_FILE);
	ht_sys(fsync(v.m.fd));
	iv_read(&v, 0, v.len, 2, "before");
	signal(SIGBUS, on_sigbus);
	if (madvise(v.p + 100 * HT_PAGE, HT_PAGE, MADV_HWPOISON))
		ht_skip("no MADV_HWPOISON: %s", strerror(errno));
	iv_read(&v, 0, v.len, 2, "a clean page that was bad comes from the disk");
	iv_store(&v, 99 * HT_PAGE, 3 * HT_PAGE, 3, "WRITE over it");
}

/* A page that the kernel knows to be bad and maps all the same. */
static void flagged(const void *arg)
{
	const enum ht_mem_kind *kind = arg;

	iv_get(&v, *kind, IV_LEN);
	iv_fill(&v, 0, v.len, 1);
	mtest(MTEST_FLAG, v.p + 100 * HT_PAGE);
	all_fail(100, IBV_WC_REM_OP_ERR, IBV_WC_LOC_QP_OP_ERR);
	mtest(MTEST_UNFLAG, v.p + 100 * HT_PAGE);
	iv_check(&v, 0, v.len, 1, "memory that could not be used");
	iv_store(&v, 0, v.len, 2, "WRITE when the page is good again");
}

/* The copy itself is the first to notice: a machine check on the source. */
static void machine_check(const void *arg)
{
	size_t off = 100 * HT_PAGE;

	iv_get_hot(&v, HT_ANON);
	iv_read(&v, 0, v.len, 2, "before");
	mtest(MTEST_CHECK, v.p + off);
	/* One word, a part of a page, and several pages around it. */
	for (int i = 0; i < 4; i++) {
		static const size_t lens[] = { 4, 8, 100, 2 * HT_PAGE };
		size_t from = lens[i] > HT_PAGE ? off - HT_PAGE : off;

		ht_eq(ht_rdma_status(v.r.a, IBV_WR_RDMA_READ, &v.r.mr[0], v.r.p[0], lens[i], &v.mr,
				     v.p + from),
		      IBV_WC_REM_OP_ERR);
		ht_pair_reconnect(&v.r.pair);
		ht_eq(ht_rdma_status(v.r.a, IBV_WR_RDMA_WRITE, &v.lmr, v.p + from, lens[i],
				     &v.r.mr[1], v.r.p[1]),
		      IBV_WC_LOC_QP_OP_ERR);
		ht_pair_reconnect(&v.r.pair);
	}
	iv_add_fails(&v, off, IBV_WC_REM_OP_ERR);
	/* A store raises no machine check, and the machine survives. */
	iv_write(&v, off, HT_PAGE, 3);
	ht_ok(ht_mtest(MTEST_CHECK, NULL));
	iv_check(&v, 0, off, 2, "before the page");
	iv_check(&v, off, HT_PAGE, 3, "WRITE over the page");
	iv_read(&v, off, HT_PAGE, 3, "READ of the page when it is good again");
}

/*
 * A shadow stack: HMM reports its pages as writable, but only the CPU's call and
 * return may write them. The flag is the mapping's alone, so an ordinary CPU will
 * do; the pages were written before.
 */
static void shadow_stack(const void *arg)
{
	size_t at = 100 * HT_PAGE, end = 116 * HT_PAGE;

	iv_get(&v, HT_ANON, IV_LEN);
	iv_fill(&v, 0, v.len, 1);
	/* Make it a mapping of its own: change the rights and change them back. */
	ht_sys(madvise(v.p + at, end - at, MADV_DONTDUMP));
	mtest(MTEST_SHADOW, v.p + at);
	/* The device has the page by a READ, by a prefetch, or not at all. */
	for (int i = 0; i < 3; i++) {
		if (i == 0)
			iv_read(&v, 0, v.len, 1, "READ");
		if (i == 1)
			ht_ok(ht_advise(&v.mr, v.p, v.len, IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
					IBV_ADVISE_MR_FLAG_FLUSH));
		iv_status(&v, at + 8, 8, IBV_WC_REM_ACCESS_ERR, IBV_WC_SUCCESS);
		iv_status(&v, end - HT_PAGE, HT_PAGE, IBV_WC_REM_ACCESS_ERR, IBV_WC_SUCCESS);
		iv_add_fails(&v, at, IBV_WC_REM_ACCESS_ERR);
		/* A WRITE across its beginning: some bytes before it may be written. */
		ht_eq(ht_rdma_status(v.r.a, IBV_WR_RDMA_WRITE, &v.r.mr[0], v.r.p[0], v.len, &v.mr,
				     v.p),
		      IBV_WC_REM_ACCESS_ERR);
		ht_pair_reconnect(&v.r.pair);
		iv_check(&v, at, end - at, 1, "a shadow stack");
		iv_fill(&v, 0, at, 1);
		iv_write(&v, end, HT_PAGE, 1);
		iv_check(&v, end, v.len - end, 1, "behind a shadow stack");
		ht_sys(madvise(v.p + at, end - at, MADV_COLD));
	}
	ht_ok(ht_mtest(MTEST_PLAIN, v.p + at));
}

const struct ht_case inval_poison[] = {
	{ "poison", "a poisoned page is a clean error in every use", poisoned,
	  .kinds = IV_ANON | HT_BIT(HT_TMPFS) },
	{ "poison-file", "a poisoned clean page of a file is read again", poisoned_file },
	{ "poison-flagged", "a bad page that is mapped is refused", flagged,
	  .kinds = IV_ANON | HT_BIT(HT_HUGETLB) | HT_BIT(HT_DEVDAX) | HT_BIT(HT_DAX_EXT4) },
	{ "poison-machine-check", "a machine check in a copy ends the operation", machine_check },
	{ "shadow-stack", "a shadow stack can be read and never written", shadow_stack },
	{},
};
