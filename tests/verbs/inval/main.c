// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * inval: the address space changes, and RDMA follows: what is posted after the
 * change sees the new pages, what was unmapped is never touched again, and what
 * was written is never forgotten.
 */
#include "inval.h"

static void target(struct iv *v)
{
	ht_need_mr(v->r.a->dev, HT_ODP);
	v->p = v->m.p;
	v->len = v->m.len;
	ht_mr_get(&v->mr, v->r.b->pd, v->p, v->len, HT_ODP, HT_ACCESS_ALL);
	ht_mr_get(&v->lmr, v->r.a->pd, v->p, v->len, HT_ODP, HT_ACCESS_ALL);
}

void iv_get(struct iv *v, enum ht_mem_kind kind, size_t len)
{
	memset(v, 0, sizeof(*v));
	ht_rig_get(&v->r, NULL, len);
	ht_mem_get(&v->m, kind, len, 0);
	target(v);
}

void iv_get_hot(struct iv *v, enum ht_mem_kind kind)
{
	iv_get(v, kind, IV_LEN);
	iv_fill(v, 0, v->len, 1);
	iv_write(v, 0, v->len, 2);
}

void iv_get_at(struct iv *v, void *p, size_t len)
{
	memset(v, 0, sizeof(*v));
	ht_rig_get(&v->r, NULL, len);
	v->m = (struct ht_mem){ .p = p, .len = len, .page = HT_PAGE, .fd = -1 };
	target(v);
}

void iv_write(struct iv *v, size_t off, size_t len, uint64_t seed)
{
	ht_fill(v->r.p[0], len, seed, off);
	ht_rdma(v->r.a, IBV_WR_RDMA_WRITE, &v->r.mr[0], v->r.p[0], len, &v->mr, v->p + off);
}

void iv_store(struct iv *v, size_t off, size_t len, uint64_t seed, const char *what)
{
	iv_write(v, off, len, seed);
	iv_check(v, off, len, seed, what);
}

static void fetch(struct iv *v, size_t off, size_t len)
{
	memset(v->r.p[0], 0xd7, len);
	ht_rdma(v->r.a, IBV_WR_RDMA_READ, &v->r.mr[0], v->r.p[0], len, &v->mr, v->p + off);
}

void iv_read(struct iv *v, size_t off, size_t len, uint64_t seed, const char *what)
{
	fetch(v, off, len);
	ht_check_fill(v->r.p[0], len, seed, off, what);
}

void iv_read_value(struct iv *v, size_t off, size_t len, uint8_t value, const char *what)
{
	fetch(v, off, len);
	ht_check_value(v->r.p[0], len, value, what);
}

void iv_fill(struct iv *v, size_t off, size_t len, uint64_t seed)
{
	ht_fill(v->p + off, len, seed, off);
}

void iv_check(struct iv *v, size_t off, size_t len, uint64_t seed, const char *what)
{
	ht_check_fill(v->p + off, len, seed, off, what);
}

void iv_status(struct iv *v, size_t off, size_t len, enum ibv_wc_status write,
	       enum ibv_wc_status read)
{
	static const enum ibv_wr_opcode ops[2] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ };

	for (int i = 0; i < 2; i++) {
		enum ibv_wc_status want = i ? read : write, got;

		got = ht_rdma_status(v->r.a, ops[i], &v->r.mr[0], v->r.p[0], len, &v->mr,
				     v->p + off);
		ht_check(got == want, "%s ends with %s, not with %s", i ? "READ" : "WRITE",
			 ibv_wc_status_str(got), ibv_wc_status_str(want));
		if (got != IBV_WC_SUCCESS)
			ht_pair_reconnect(&v->r.pair);
	}
}

void iv_add_fails(struct iv *v, size_t off, enum ibv_wc_status want)
{
	struct ht_wr w = ht_rdma_wr(0x1add, IBV_WR_ATOMIC_FETCH_AND_ADD, &v->r.mr[0], v->r.p[0], 8,
				    &v->mr, v->p + off);

	w.add = 1;
	ht_do_status(v->r.a, &w, want);
	ht_pair_reconnect(&v->r.pair);
}

size_t iv_present(const struct iv *v, size_t off, size_t len)
{
	size_t n = 0;

	for (size_t i = off / HT_PAGE; i <= (off + len - 1) / HT_PAGE; i++)
		n += ht_present(v->p + i * HT_PAGE);
	return n;
}

int main(int argc, char **argv)
{
	ht_init(argc, argv);
	ht_add(inval_zap);
	ht_add(inval_rights);
	ht_add(inval_huge);
	ht_add(inval_fork);
	ht_add(inval_file);
	ht_add(inval_reclaim);
	inval_uffd();
	ht_add(inval_prefetch);
	inval_traffic();
	ht_add(inval_poison);
	return ht_run();
}
