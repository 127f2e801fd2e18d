/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef WIRE_H
#define WIRE_H

#include "hodp_test.h"

/* Run a command in network namespace nsN.  Fails the case if it fails. */
void wire_run(int n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Wait until @d has @gid.  Returns its index. */
int wire_gid(const struct ht_dev *d, const union ibv_gid *gid);

extern const struct ht_case wire_receive[];
extern const struct ht_case wire_send[];
extern const struct ht_case wire_quick[];
extern const struct ht_case wire_trace_cases[];
extern const struct ht_case wire_shapes_cases[];
extern const struct ht_case wire_address[];
extern const struct ht_case wire_uc[];
extern const struct ht_case wire_mcast[];
extern const struct ht_case wire_held[];
extern const struct ht_case wire_congest[];

#endif /* WIRE_H */
