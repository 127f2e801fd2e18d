// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Rights change: mprotect, soft-dirty, pages merged by KSM. */
#include <fcntl.h>
#include <sys/mman.h>

#include "inval.h"

static struct iv v;

static void setup(const void *arg)
{
	iv_get_hot(&v, *(const enum ht_mem_kind *)arg);
}

static void protect_none(const void *arg)
{
	size_t from, n;

	setup(arg);
	from = v.m.page > HT_PAGE ? v.m.page : 100 * HT_PAGE;
	n = v.m.page > HT_PAGE ? v.m.page : 600 * HT_PAGE;
	ht_sys(mprotect(v.p + from, n, PROT_NONE));
	iv_status(&v, from, n, IBV_WC_REM_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	ht_eq(ht_rdma_status(v.r.a, IBV_WR_RDMA_READ, &v.lmr, v.p + from, n, &v.r.mr[1], v.r.p[1]),
	      IBV_WC_LOC_PROT_ERR);
	ht_pair_reconnect(&v.r.pair);
	ht_sys(mprotect(v.p + from, n, PROT_READ | PROT_WRITE));
	iv_check(&v, 0, v.len, 2, "what PROT_NONE protected");
	iv_read(&v, 0, v.len, 2, "READ after PROT_NONE");
	iv_store(&v, 3, v.len - 3, 3, "WRITE after PROT_NONE");
}

static void protect_read(const void *arg)
{
	size_t from, n;

	setup(arg);
	from = v.m.page > HT_PAGE ? v.m.page : 100 * HT_PAGE;
	n = v.m.page > HT_PAGE ? v.m.page : 600 * HT_PAGE;
	for (int round = 0; round < 3; round++) {
		ht_sys(mprotect(v.p + from, n, PROT_READ));
		iv_read(&v, 0, v.len, 2, "READ of read-only memory");
		iv_status(&v, from + 1, n - 1, IBV_WC_REM_ACCESS_ERR, IBV_WC_SUCCESS);
		iv_add_fails(&v, from, IBV_WC_REM_ACCESS_ERR);
		/* As local memory it can be sent from, not received into. */
		ht_rdma(v.r.a, IBV_WR_RDMA_WRITE, &v.lmr, v.p + from, n, &v.r.mr[1], v.r.p[1]);
		ht_check_fill(v.r.p[1], n, 2, from, "sent from read-only memory");
		ht_eq(ht_rdma_status(v.r.a, IBV_WR_RDMA_READ, &v.lmr, v.p + from, n, &v.r.mr[1],
				     v.r.p[1]),
		      IBV_WC_LOC_PROT_ERR);
		ht_pair_reconnect(&v.r.pair);
		iv_check(&v, 0, v.len, 2, "read-only memory");
		ht_sys(mprotect(v.p + from, n, PROT_READ | PROT_WRITE));
		iv_store(&v, from + 1, n - 1, 3, "WRITE after PROT_WRITE");
		iv_write(&v, from, n, 2);
	}
}

/* One page in the middle is protected; a message that crosses it fails. */
static void protect_page(const void *arg)
{
	setup(arg);
	ht_sys(mprotect(v.p + 512 * HT_PAGE, HT_PAGE, PROT_READ));
	iv_status(&v, 511 * HT_PAGE, 3 * HT_PAGE, IBV_WC_REM_ACCESS_ERR, IBV_WC_SUCCESS);
	iv_check(&v, 512 * HT_PAGE, HT_PAGE, 2, "the protected page");
	iv_write(&v, 0, 512 * HT_PAGE, 4);
	iv_write(&v, 513 * HT_PAGE, v.len - 513 * HT_PAGE, 4);
	iv_check(&v, 0, 512 * HT_PAGE, 4, "before the page");
	iv_check(&v, 513 * HT_PAGE, v.len - 513 * HT_PAGE, 4, "behind the page");
	iv_check(&v, 512 * HT_PAGE, HT_PAGE, 2, "the protected page");
}

/* --- soft-dirty: what CRIU and friends rely on ---------------------------------- */

static bool soft_dirty(const void *p)
{
	return ht_pagemap(p) >> 55 & 1;
}

static void soft_dirty_bits(const void *arg)
{
	int fd;

	setup(arg);
	fd = ht_sys(open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
	if (!soft_dirty(v.p))
		ht_skip("this kernel keeps no soft-dirty bits");
	for (int i = 0; i < 4; i++) {
		ht_eq(write(fd, "4", 1), 1);
		ht_check(!soft_dirty(v.p + 7 * HT_PAGE), "clear_refs does not work");
		iv_read(&v, 6 * HT_PAGE, HT_PAGE, 2, "READ after clear_refs");
		ht_check(!soft_dirty(v.p + 6 * HT_PAGE), "a READ makes a page soft-dirty");
		iv_write(&v, 7 * HT_PAGE + 9, 11, 5);
		ht_check(soft_dirty(v.p + 7 * HT_PAGE), "round %d: a WRITE is not soft-dirty", i);
		ht_check(!soft_dirty(v.p + 8 * HT_PAGE),
			 "a page that was not written is soft-dirty");
	}
	iv_check(&v, 7 * HT_PAGE + 9, 11, 5, "the WRITE");
}

/* --- KSM: equal pages become one, a WRITE must part them again -------------------- */

static void ksm(const void *arg)
{
	const size_t pages = 32;

	iv_get(&v, HT_ANON, pages * HT_PAGE);
	for (size_t i = 0; i < pages; i++)
		ht_fill(v.p + i * HT_PAGE, HT_PAGE, 6, 0);
	for (size_t i = 0; i < pages; i++)
		ht_rdma(v.r.a, IBV_WR_RDMA_WRITE, &v.lmr, v.p + i * HT_PAGE, HT_PAGE, &v.mr,
			v.p + (pages - 1 - i) * HT_PAGE);
	if (madvise(v.p, v.len, MADV_MERGEABLE))
		ht_skip("no KSM: %s", strerror(errno));
	ht_put("/sys/kernel/mm/ksm/sleep_millisecs", "1");
	ht_put("/sys/kernel/mm/ksm/pages_to_scan", "10000");
	if (!ht_put("/sys/kernel/mm/ksm/run", "1"))
		ht_skip("KSM cannot be started");
	ht_wait_until(ht_number("/sys/kernel/mm/ksm/pages_sharing") >= (long)pages - 2,
		      "KSM to merge the pages");
	ht_put("/sys/kernel/mm/ksm/run", "0");
	for (size_t i = 0; i < pages; i += 2)
		iv_write(&v, i * HT_PAGE + 1, 100, 7);
	for (size_t i = 0; i < pages; i++) {
		const uint8_t *p = v.p + i * HT_PAGE;

		if (i % 2 == 0)
			iv_check(&v, i * HT_PAGE + 1, 100, 7, "a written page");
		else
			ht_check_fill(p + 1, 100, 6, 1, "a page that was merged with it");
		ht_check_fill(p + 101, HT_PAGE - 101, 6, 101, "the rest of a page");
	}
}

const struct ht_case inval_rights[] = {
	{ "protect-none", "PROT_NONE is an error, PROT_WRITE brings it all back", protect_none,
	  .kinds = HT_ALL_KINDS & ~HT_BIT(HT_DEVDAX) },
	{ "protect-read", "read-only memory can be read and not written, until it is writable",
	  protect_read, .kinds = HT_ALL_KINDS & ~HT_BIT(HT_DEVDAX) },
	{ "protect-page", "one read-only page stops what crosses it, no more", protect_page,
	  .kinds = HT_BIT(HT_ANON) },
	{ "protect-page", "one read-only page of a huge one stops what crosses it, no more",
	  protect_page, .kinds = HT_BIT(HT_THP) },
	{ "soft-dirty", "a WRITE, and nothing else, makes a page soft-dirty", soft_dirty_bits,
	  .kinds = HT_BIT(HT_ANON) | HT_BIT(HT_TMPFS) },
	{ "ksm", "a WRITE to a merged page spares the others", ksm },
	{},
};
