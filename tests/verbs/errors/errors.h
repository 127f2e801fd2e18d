/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ERRORS_H
#define ERRORS_H

#include "hodp_test.h"

void errors_remote(void);
void errors_local(void);
void errors_receive(void);
extern const struct ht_case errors_register[];
void errors_memory(void);
extern const struct ht_case errors_commands[];
extern const struct ht_case errors_reserved[];
extern const struct ht_case errors_mcast[];
extern const struct ht_case errors_hostile[];

#endif /* ERRORS_H */
