/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef ERRORS_H
#define ERRORS_H

#include "hodp_test.h"

void errors_remote(void);
void errors_local(void);
void errors_receive(void);
void errors_register(void);
void errors_memory(void);
void errors_commands(void);
void errors_reserved(void);
void errors_mcast(void);
void errors_hostile(void);

#endif /* ERRORS_H */
