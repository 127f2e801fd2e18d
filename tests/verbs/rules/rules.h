/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * rules: promises of the module's file comments that no other program checks:
 * limits that only the kernel enforces once the library is bypassed, and rules that
 * honest programs do not notice.
 */
#ifndef RULES_H
#define RULES_H

#include <rdma/hmm_odp-abi.h>

#include "hodp_test.h"

/* How many entries the ring has, and of what size. */
void raw_shape(struct ht_ring *r, uint32_t num, uint32_t stride);

static inline void *raw_at(const struct ht_ring *r, uint32_t index)
{
	return r->entries + (size_t)(index & (r->num - 1)) * r->stride;
}

/* Ring the send doorbell of @qpn; 0 or errno. */
int raw_ring_send(uint32_t qpn);

/* A pair whose first side's rings are known. */
struct raw_pair {
	struct ht_rig r;
	struct ht_ring scq, rcq, sq, rq;
	struct ibv_qp_cap cap;
};

void raw_pair_get(struct raw_pair *p, const struct ht_conf *conf, size_t len);
/* Put an entry and @len bytes behind it where the next one belongs. */
void raw_put(struct raw_pair *p, const struct hodp_send_wqe *wqe, const void *tail, size_t len);
/* The same, and ring. */
void raw_post(struct raw_pair *p, const struct hodp_send_wqe *wqe, const void *tail, size_t len);
/* A WRITE of one piece, signalled. */
struct hodp_send_wqe raw_write(const struct raw_pair *p, uint64_t id);
struct hodp_sge raw_sge(const struct raw_pair *p, size_t off, uint32_t len);

extern const struct ht_case rules_raw[];
extern const struct ht_case rules_cq[];
extern const struct ht_case rules_ud[];
extern const struct ht_case rules_mcast[];
extern const struct ht_case rules_mr[];
extern const struct ht_case rules_retry[];
extern const struct ht_case rules_srq[];
extern const struct ht_case rules_answer[];
extern const struct ht_case rules_charge[];
extern const struct ht_case rules_faults[];

#endif /* RULES_H */
