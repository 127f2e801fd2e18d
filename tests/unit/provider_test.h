/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Cases of the provider's unit test, and their helpers. */
#ifndef PROVIDER_TEST_H
#define PROVIDER_TEST_H

#include "provider_fake.h"
#include "unit.h"

extern const struct unit_case cq_cases[], life_cases[], race_cases[];
extern const size_t num_cq_cases, num_life_cases, num_race_cases;

/* Ring entries in a rig. */
#define RIG_ENTRIES 8

/* An open device with one QP, ready to send; qp_attr makes others like it. */
struct rig {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_cq *cq;
	struct ibv_cq_ex *cqx;
	struct ibv_qp *qp;
	struct ibv_qp_ex *qpx;
	struct ibv_ah *ah;
	struct ibv_qp_init_attr qp_attr;
};

struct rig rig_up(enum ibv_qp_type type);
struct rig rig_up_sized(enum ibv_qp_type type, uint32_t entries);
/* Also checks that no kernel object and no mapping is left. */
void rig_down(struct rig *rig);

static inline int bells(void)
{
	return fake.bells[FAKE_BELL_SEND];
}

static inline const struct hodp_send_wqe *sent(uint32_t index)
{
	return fake_at(&fake.sq, index);
}

#endif /* PROVIDER_TEST_H */
