// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Registrations that must be refused, and those that must not. */
#include <sys/mman.h>

#include "errors.h"

static struct ht_dev dev;
static struct ibv_pd *pd;

static void setup(bool odp)
{
	ht_open(&dev, ht_opt.dev);
	if (odp)
		ht_need_mr(&dev, HT_ODP);
	pd = ibv_alloc_pd(dev.ctx);
	ht_true(pd != NULL);
}

static void refused(void *p, size_t len, int access, int want, const char *what)
{
	struct ibv_mr *mr;

	errno = 0;
	mr = ibv_reg_mr(pd, p, len, access);
	ht_check(!mr, "%s: registered", what);
	if (want)
		ht_check(errno == want, "%s: errno %d (%s), not %d (%s)", what, errno,
			 strerror(errno), want, strerror(want));
	ht_check(errno > 0, "%s: no errno", what);
}

static void register_flags(const void *arg)
{
	const int *odp = arg;
	struct ibv_mr *mr;
	struct ht_mem m;

	setup(*odp);
	ht_mem_get(&m, HT_ANON, 4 * HT_PAGE, 0);
	memset(m.p, 1, m.len);
	refused(m.p, m.len, *odp | IBV_ACCESS_REMOTE_WRITE, EINVAL,
		"REMOTE_WRITE without LOCAL_WRITE");
	refused(m.p, m.len, *odp | IBV_ACCESS_REMOTE_ATOMIC, EINVAL,
		"REMOTE_ATOMIC without LOCAL_WRITE");
	/* Higher bits are optional, and the library masks them; bit 15 means nothing. */
	refused(m.p, m.len, *odp | 1 << 15, 0, "an unknown flag");
	refused(m.p, m.len, *odp | 1 << 19, 0, "an unknown flag");
	/* Relaxed ordering is optional: it may be ignored, not refused. */
	mr = ibv_reg_mr(pd, m.p, m.len, *odp | HT_ACCESS_ALL | IBV_ACCESS_RELAXED_ORDERING);
	ht_check(mr, "RELAXED_ORDERING, an optional flag: %s", strerror(errno));
	ht_ok(ibv_dereg_mr(mr));
}

/*
 * A range that is not all user space: refused, or a region through which none
 * of the kernel's bytes can be had.
 */
static void refused_or_useless(struct ht_rig *r, uintptr_t p, size_t len, int odp, const char *what)
{
	static const uintptr_t kernel[] = { 0xffffffff81000000UL, 0xffff888000000000UL,
					    0xffffea0000000000UL, 0x00007ffffffff000UL,
					    0x0000900000000000UL, 0xfffffffffffff000UL };
	struct ibv_mr *mr = ibv_reg_mr(r->b->pd, (void *)p, len,
				       odp | IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ |
					       IBV_ACCESS_REMOTE_WRITE);

	ht_check(!mr || odp, "%s: registered, pinned", what);
	if (!mr) {
		ht_check(errno > 0, "%s: no errno", what);
		return;
	}
	for (size_t i = 0; i < HT_LEN(kernel); i++) {
		for (int k = 0; k < 2; k++) {
			struct ht_wr w = ht_rig_wr(r, k ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, 0,
						   k ? 64 : 1, 0);

			w.raddr = kernel[i];
			w.rkey = mr->rkey;
			ht_do_status(r->a, &w, IBV_WC_REM_ACCESS_ERR);
			ht_pair_reconnect(&r->pair);
		}
	}
	ht_check_fill(r->p[0], r->len, 241, 0, "the requester's memory");
	ht_ok(ibv_dereg_mr(mr));
}

static void register_ranges(const void *arg)
{
	const int *odp = arg;
	struct ht_rig r;
	struct ht_mem m;

	setup(*odp);
	ht_rig_get(&r, NULL, 4 * HT_PAGE);
	ht_fill(r.p[0], r.len, 241, 0);
	ht_mem_get(&m, HT_ANON, 4 * HT_PAGE, 0);
	memset(m.p, 1, m.len);
	refused(m.p, SIZE_MAX, *odp | IBV_ACCESS_LOCAL_WRITE, 0, "a length that wraps around");
	refused_or_useless(&r, (uintptr_t)m.p, (size_t)0 - (uintptr_t)m.p, *odp,
			   "a range to the end of the address space");
	refused_or_useless(&r, 0xffffffff81000000UL, HT_PAGE, *odp, "the kernel's text");
	refused_or_useless(&r, 0xffff888000000000UL, HT_PAGE, *odp, "the kernel's direct map");
	refused_or_useless(&r, 0x00007ffffffff000UL, 2 * HT_PAGE, *odp,
			   "a range across the end of user space");
	refused_or_useless(&r, 0x0000900000000000UL, HT_PAGE, *odp,
			   "an address that is not canonical");
	if (*odp && !ht_mr_missing(&dev, HT_ODP_IMPLICIT))
		refused_or_useless(&r, 0, SIZE_MAX, *odp, "the whole address space");
	if (!*odp) {
		ht_sys(munmap(m.p + HT_PAGE, HT_PAGE));
		refused(m.p, m.len, IBV_ACCESS_LOCAL_WRITE, EFAULT, "a pinned range with a hole");
	}
}

/* The core wants the same offset in the page for iova and address, and no wrap-around. */
static void register_iova(const void *arg)
{
	const int *odp = arg;
	struct ibv_mr *mr;
	struct ht_mem m;

	setup(*odp);
	ht_mem_get(&m, HT_ANON, 4 * HT_PAGE, 0);
	memset(m.p, 1, m.len);
	ht_check(!ibv_reg_mr_iova(pd, m.p, m.len, 0x1001, *odp | HT_ACCESS_ALL),
		 "an iova at another place in the page");
	ht_check(!ibv_reg_mr_iova(pd, m.p, m.len, UINT64_MAX - 2 * HT_PAGE + 1,
				  *odp | HT_ACCESS_ALL),
		 "an iova range that wraps around");
	/* A range up to the very end is allowed. */
	mr = ibv_reg_mr_iova(pd, m.p, HT_PAGE, UINT64_MAX - 2 * HT_PAGE + 1, *odp | HT_ACCESS_ALL);
	ht_check(mr, "an iova near the end: %s", strerror(errno));
	ht_ok(ibv_dereg_mr(mr));
}

/* The cost of an ODP registration does not depend on the length, so absurd sizes are allowed. */
static void register_large(const void *arg)
{
	struct ht_mr mr;
	void *p;

	setup(true);
	for (size_t gib = 1; gib <= 1024; gib *= 4) {
		p = ht_map(gib * HT_GIB, PROT_READ | PROT_WRITE);
		if (ht_mr_try(&mr, pd, p, gib * HT_GIB, HT_ODP, HT_ACCESS_ALL))
			ht_require(&dev, false, "an ODP region of %zu GiB: %s", gib,
				   strerror(errno));
		ht_mr_put(&mr);
		ht_sys(munmap(p, gib * HT_GIB));
		ht_checked();
	}
}

/*
 * A region that would take forever to pin, with a table so large that the kernel
 * warns, fails at once with an errno. Untouched and read-only: only the huge zero
 * page could be pinned.
 */
static void register_large_pinned(const void *arg)
{
	static const size_t gib[] = { 1024, 1025, 4096, 65536 };
	uint8_t *p;

	setup(false);
	/* Other drivers pin 2^28 pages one by one before they refuse. */
	if (!dev.is_hodp)
		ht_skip("tried on hmm_odp only");
	for (size_t i = 0; i < HT_LEN(gib); i++) {
		p = ht_map(gib[i] * HT_GIB, PROT_READ);
		ht_sys(madvise(p, gib[i] * HT_GIB, MADV_HUGEPAGE));
		refused(p, gib[i] * HT_GIB, IBV_ACCESS_REMOTE_READ, ENOMEM, "a pinned region");
		ht_sys(munmap(p, gib[i] * HT_GIB));
	}
	/* The offset in the page makes no difference. */
	p = ht_map(1024 * HT_GIB + HT_PAGE, PROT_READ);
	refused(p + HT_PAGE - 1, 1024 * HT_GIB, IBV_ACCESS_REMOTE_READ, ENOMEM,
		"a pinned region from the end of a page");
}

static void register_zero(const void *arg)
{
	const int *odp = arg;
	struct ht_rig r;
	struct ibv_mr *mr;
	struct ht_wr w;

	setup(*odp);
	ht_rig_get(&r, NULL, 4 * HT_PAGE);
	ht_fill(r.p[1], r.len, 240, 0);
	mr = ibv_reg_mr(r.b->pd, r.p[1], 0, *odp | HT_ACCESS_ALL);
	if (!mr) {
		ht_check(errno == EINVAL, "a region of 0 bytes: errno %d", errno);
		return;
	}
	/* If the registration succeeds, the region holds no byte. */
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 1, 0);
	w.rkey = mr->rkey;
	ht_do_status(r.a, &w, IBV_WC_REM_ACCESS_ERR);
	ht_check_fill(r.p[1], r.len, 240, 0, "memory of a region of 0 bytes");
}

/* The implicit region begins at 0 and covers everything. */
static void register_implicit(const void *arg)
{
	struct ibv_mr *mr;

	setup(true);
	ht_need_mr(&dev, HT_ODP_IMPLICIT);
	ht_check(!ibv_reg_mr(pd, (void *)HT_PAGE, SIZE_MAX,
			     IBV_ACCESS_ON_DEMAND | IBV_ACCESS_LOCAL_WRITE),
		 "SIZE_MAX bytes from 4096 on");
	ht_check(!ibv_reg_mr(pd, NULL, SIZE_MAX, IBV_ACCESS_LOCAL_WRITE),
		 "the whole address space, pinned");
	mr = ibv_reg_mr(pd, NULL, SIZE_MAX, IBV_ACCESS_ON_DEMAND | HT_ACCESS_ALL);
	ht_check(mr, "the whole address space, on demand: %s", strerror(errno));
	ht_ok(ibv_dereg_mr(mr));
}

/* Pinned pages of a file that DAX maps would pin the file's blocks. */
static void register_dax(const void *arg)
{
	const enum ht_mem_kind *kind = arg;
	struct ht_mem m;
	struct ht_mr mr;
	int err;

	setup(false);
	ht_mem_get(&m, *kind, 4 * HT_PAGE, 0);
	memset(m.p, 1, m.len);
	err = ht_mr_try(&mr, pd, m.p, m.len, HT_PINNED, HT_ACCESS_ALL);
	ht_check(err == EOPNOTSUPP, "pinned registration of %s: %d (%s), not EOPNOTSUPP",
		 ht_mem_name(*kind), err, strerror(err));
	ht_need_mr(&dev, HT_ODP);
	ht_mr_get(&mr, pd, m.p, m.len, HT_ODP, HT_ACCESS_ALL);
	ht_mr_put(&mr);
}

/* Keys are not reused at once, and all differ. */
static void register_keys(const void *arg)
{
	enum { N = 300 };
	static uint32_t keys[2 * N];
	struct ht_mem m;
	struct ht_mr mr[N];

	setup(false);
	ht_mem_get(&m, HT_ANON, HT_PAGE, 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < N; i++) {
			ht_mr_get(&mr[i], pd, m.p, 64, ht_best_mr(&dev), HT_ACCESS_ALL);
			keys[round * N + i] = mr[i].mr->rkey;
			ht_eq(mr[i].mr->lkey, mr[i].mr->rkey);
			ht_true(mr[i].mr->rkey != 0);
		}
		for (int i = 0; i < N; i++)
			ht_mr_put(&mr[i]);
	}
	for (int i = 0; i < 2 * N; i++) {
		for (int k = 0; k < i; k++)
			ht_check(keys[i] != keys[k], "key 0x%x was given out twice", keys[i]);
	}
}

/*
 * Knowing some keys does not help to guess another: the low byte is neither a
 * counter nor constant, and the first index differs between devices.
 */
static void register_key_variants(const void *arg)
{
	enum { N = 256 };
	int steps[256] = { 0 }, seen[256] = { 0 }, most = 0, distinct = 0;
	struct ht_mem m;
	uint32_t last;

	setup(false);
	if (!dev.is_hodp)
		ht_skip("this device makes its keys in its own way");
	ht_mem_get(&m, HT_ANON, HT_PAGE, 0);
	for (int i = 0; i <= N; i++) {
		struct ht_mr mr;
		uint32_t key;

		ht_mr_get(&mr, pd, m.p, 64, HT_ODP, HT_ACCESS_ALL);
		key = mr.mr->rkey;
		if (i)
			steps[(key - last) & 0xff]++;
		seen[key & 0xff]++;
		last = key;
		ht_mr_put(&mr);
	}
	for (int i = 0; i < 256; i++) {
		most = HT_MAX(most, steps[i]);
		distinct += seen[i] > 0;
	}
	/*
	 * 256 draws out of 256: 162 distinct on average; below 128, or 12 alike,
	 * does not happen.
	 */
	ht_check(most < 12, "%d of %d keys follow from the one before", most, N);
	ht_check(distinct > 128, "only %d variants among %d keys", distinct, N + 1);
}

static const int pinned, odp = IBV_ACCESS_ON_DEMAND;
static const enum ht_mem_kind ext4 = HT_DAX_EXT4, xfs = HT_DAX_XFS;

const struct ht_case errors_register[] = {
	{ "register-flags-pinned", "impossible access flags are EINVAL", register_flags, &pinned },
	{ "register-flags-odp", "impossible access flags are EINVAL", register_flags, &odp },
	{ "register-ranges-pinned", "ranges outside of user space are refused", register_ranges,
	  &pinned },
	{ "register-ranges-odp", "ranges outside of user space are refused", register_ranges,
	  &odp },
	{ "register-iova-pinned", "impossible iovas are refused", register_iova, &pinned },
	{ "register-iova-odp", "impossible iovas are refused", register_iova, &odp },
	{ "register-large", "on-demand regions up to 1 TiB register", register_large },
	{ "register-large-pinned", "a pinned region of 1 TiB is an errno, and no warning",
	  register_large_pinned },
	{ "register-zero-pinned", "a region of 0 bytes gives access to nothing", register_zero,
	  &pinned },
	{ "register-zero-odp", "a region of 0 bytes gives access to nothing", register_zero, &odp },
	{ "register-implicit", "only (0, SIZE_MAX) on demand is the whole space",
	  register_implicit },
	{ "register-dax-ext4", "pinning fsdax on ext4 is EOPNOTSUPP, ODP works", register_dax,
	  &ext4 },
	{ "register-dax-xfs", "pinning fsdax on xfs is EOPNOTSUPP, ODP works", register_dax, &xfs },
	{ "register-key-variants", "no key can be guessed from others", register_key_variants },
	{ "register-keys", "keys are not reused at once", register_keys },
	{},
};
