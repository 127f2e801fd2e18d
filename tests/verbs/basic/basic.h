/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
#ifndef BASIC_H
#define BASIC_H

#include "hodp_test.h"

void basic_caps(void);
void basic_ops(void);
void basic_messages(void);
void basic_queues(void);
void basic_reach(void);
void basic_srq(void);
void basic_ud(void);
void basic_mtu(void);
void basic_cq(void);
void basic_lives(void);
void basic_states(void);
void basic_flush(void);
void basic_api(void);
void basic_procs(void);

#endif /* BASIC_H */
