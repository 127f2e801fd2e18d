/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef BASIC_H
#define BASIC_H

#include "hodp_test.h"

void basic_caps(void);
void basic_caps_odp(void);
extern const struct ht_case basic_ops[]; /* RC and UC */
extern const struct ht_case basic_ops_rc[];
extern const struct ht_case basic_uc[];
extern const struct ht_case basic_messages[];
extern const struct ht_case basic_queues[];
void basic_reach(void);
extern const struct ht_case basic_srq[];
extern const struct ht_case basic_ud[];
extern const struct ht_case basic_mtu[];
extern const struct ht_case basic_cq[];
extern const struct ht_case basic_lives[];
extern const struct ht_case basic_states[];
extern const struct ht_case basic_flush[];
extern const struct ht_case basic_api[];
extern const struct ht_case basic_procs[];

#endif /* BASIC_H */
