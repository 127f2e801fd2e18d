// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What a process makes the kernel hold is charged to its memory cgroup. */
#include "rules.h"

#define GROUP "rules"

static struct ht_dev dev;
static struct ibv_pd *pd;

static long charged(void)
{
	return ht_cgroup_current(GROUP);
}

static void enter(void)
{
	ht_cgroup_enter(GROUP);
	ht_open(&dev, ht_opt.dev);
	pd = ibv_alloc_pd(dev.ctx);
	ht_true(pd != NULL);
}

/* The cgroup counts in batches of 64 pages per CPU. */
#define SLACK (2L * 64 * 4096 * 4)

/* After creation: at least @bytes more; after destruction: all of it given back. */
static void want(long before, long bytes, const char *what)
{
	long now = charged();

	ht_check(now - before >= bytes - SLACK, "%s: %ld bytes charged, not %ld", what,
		 now - before, bytes);
}

static void charge_rings(const void *arg)
{
	struct ibv_qp_init_attr init = {
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 32768,
			 .max_recv_wr = 1,
			 .max_send_sge = 4,
			 .max_recv_sge = 1 },
	};
	struct ibv_srq_init_attr sinit = { .attr = { .max_wr = 262144, .max_sge = 1 } };
	struct ibv_cq *cq, *small;
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	long start, base;

	enter();
	small = ibv_create_cq(dev.ctx, 1, NULL, NULL, 0);
	ht_true(small != NULL);
	start = base = charged();
	cq = ibv_create_cq(dev.ctx, 131072, NULL, NULL, 0);
	ht_check(cq, "ibv_create_cq: %s", strerror(errno));
	want(base, 131072L * sizeof(struct hodp_cqe), "a CQ of 128 Ki entries");
	base = charged();
	init.send_cq = init.recv_cq = small;
	qp = ibv_create_qp(pd, &init);
	ht_check(qp, "ibv_create_qp: %s", strerror(errno));
	want(base, 32768L * 128, "a QP of 32 Ki entries");
	base = charged();
	srq = ibv_create_srq(pd, &sinit);
	ht_check(srq, "ibv_create_srq: %s", strerror(errno));
	want(base, 262144L * 32, "an SRQ of 256 Ki entries");
	base = charged();
	ht_ok(ibv_resize_cq(small, 131072));
	want(base, 131072L * sizeof(struct hodp_cqe), "a CQ that grew to 128 Ki entries");
	ht_ok(ibv_destroy_qp(qp));
	ht_ok(ibv_destroy_srq(srq));
	ht_ok(ibv_destroy_cq(cq));
	ht_ok(ibv_destroy_cq(small));
	ht_wait_until(charged() < start + SLACK, "the charge to be given back");
}

/* Very many small regions. */
static void charge_regions(const void *arg)
{
	enum { N = 20000 };
	struct ibv_mr **mr = calloc(N, sizeof(*mr));
	static uint8_t page[HT_PAGE];
	long base;

	enter();
	mr[0] = ibv_reg_mr(pd, page, 64, IBV_ACCESS_ON_DEMAND);
	ht_check(mr[0], "ibv_reg_mr: %s", strerror(errno));
	base = charged();
	for (int i = 1; i < N; i++) {
		mr[i] = ibv_reg_mr(pd, page, 64, IBV_ACCESS_ON_DEMAND);
		ht_check(mr[i], "ibv_reg_mr: %s", strerror(errno));
	}
	/* The library's share is small compared with the device's and the core's. */
	want(base, N * 384L, "20,000 regions");
	for (int i = 0; i < N; i++)
		ht_ok(ibv_dereg_mr(mr[i]));
}

const struct ht_case rules_charge[] = {
	{ "charge-rings", "rings are charged to whoever makes them", charge_rings },
	{ "charge-regions", "regions are charged to whoever registers them", charge_regions, NULL,
	  120 },
	{},
};
