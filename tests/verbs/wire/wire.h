/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef WIRE_H
#define WIRE_H

#include "hodp_test.h"

extern const struct ht_case wire_receive[];
extern const struct ht_case wire_send[];

#endif /* WIRE_H */
