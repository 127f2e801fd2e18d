/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The stage of an invalidation test: a connected pair with ordinary buffers,
 * and a *target* of some kind of memory, registered on demand on both sides.
 * iv_write() and iv_read() move a pattern whose place is the offset in the
 * target, so that what the CPU and what RDMA wrote can be told apart by seed.
 */
#ifndef INVAL_H
#define INVAL_H

#include "hodp_test.h"

struct iv {
	struct ht_rig r;
	struct ht_mem m; /* the target */
	struct ht_mr mr; /* … on the responder's PD */
	struct ht_mr lmr; /* … on the requester's PD */
	uint8_t *p; /* = m.p */
	size_t len;
};

void iv_get(struct iv *v, enum ht_mem_kind kind, size_t len);
/* The same; the CPU has filled it with pattern 1, and an RDMA WRITE with pattern 2. */
void iv_get_hot(struct iv *v, enum ht_mem_kind kind);
/* iv_get() for memory that the test has mapped itself. */
void iv_get_at(struct iv *v, void *p, size_t len);
/* RDMA WRITE of pattern @seed to [off, off + len) of the target. */
void iv_write(struct iv *v, size_t off, size_t len, uint64_t seed);
/* The same, and the CPU must find the pattern there. */
void iv_store(struct iv *v, size_t off, size_t len, uint64_t seed, const char *what);
/* RDMA READ: the range must hold pattern @seed. */
void iv_read(struct iv *v, size_t off, size_t len, uint64_t seed, const char *what);
/* RDMA READ: the range must hold @value everywhere. */
void iv_read_value(struct iv *v, size_t off, size_t len, uint8_t value, const char *what);
/* The CPU's own write and check. */
void iv_fill(struct iv *v, size_t off, size_t len, uint64_t seed);
void iv_check(struct iv *v, size_t off, size_t len, uint64_t seed, const char *what);
/* A WRITE and a READ must end with these statuses; the pair is reset afterwards. */
void iv_status(struct iv *v, size_t off, size_t len, enum ibv_wc_status write,
	       enum ibv_wc_status read);
/* A FETCH_ADD must fail with @want; the pair is reset afterwards. */
void iv_add_fails(struct iv *v, size_t off, enum ibv_wc_status want);
/* How many pages of [off, off + len) are in memory and mapped. */
size_t iv_present(const struct iv *v, size_t off, size_t len);

/* Bytes of the target, unless a case needs another size. */
#define IV_LEN (4 * HT_MIB)

/* ht_case.kinds */
#define IV_ANON (HT_BIT(HT_ANON) | HT_BIT(HT_THP))

extern const struct ht_case inval_zap[];
extern const struct ht_case inval_rights[];
extern const struct ht_case inval_huge[];
extern const struct ht_case inval_fork[];
extern const struct ht_case inval_file[];
extern const struct ht_case inval_reclaim[];
void inval_uffd(void);
extern const struct ht_case inval_prefetch[];
void inval_traffic(void);
extern const struct ht_case inval_poison[];

#endif /* INVAL_H */
