/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * Words:
 *   victim   a process that ends without a word, by SIGKILL or otherwise
 *   peer     the process at the other end of its connection
 *   ledger   what a device keeps for processes: `rdma resource show`, and how
 *            often its module is held. It must be as before when they are gone
 *
 * The process of a case opens no device: what the ledger says is the children's.
 */
#ifndef KILL_H
#define KILL_H

#include <stdatomic.h>

#include "hodp_test.h"

#define END_LEN (64 * HT_KIB)

/* One process's end of a connection. */
struct end {
	int fd; /* a socket to the other end */
	struct ht_dev dev;
	struct ht_side s;
	uint8_t *p; /* END_LEN bytes, the first half to send from */
	struct ht_mr mr;
	struct ht_addr mine, other;
};

/* Shared by a case and its children. */
struct board {
	_Atomic(long) ops[2]; /* that have completed, by process */
	_Atomic(int) ready;
	_Atomic(int) flag;
};

extern struct board *board;

/* end.c */
void end_open(struct end *e);
/* Register what e->p points to, say hello to the other process, connect. */
void end_connect(struct end *e);
struct ht_wr end_wr(struct end *e, enum ibv_wr_opcode op, uint32_t len);
/* The next of several operations, bytes compared; false: it failed. */
bool end_step(struct end *e, uint64_t turn);
/* A transfer in both directions in a process of its own, bytes compared. */
void fresh(const char *when);
/* Two ends in this process, that traffic goes through. */
void fresh_here(void *arg);

/* ledger.c */
void ledger_open(void);
/* Everything must be as it was; waits for it, with a deadline. */
void ledger_close(const char *when);
/* Print what it is now. */
void ledger_note(const char *when);
/* The victim must be gone, with the status that is due. */
void gone(pid_t pid, int status, const char *what);

void kill_traffic(void);
void kill_stuck(void);
extern const struct ht_case kill_forks[];
extern const struct ht_case kill_bounds[];

/* link.c: what `links` runs in the background; see there. */
int link_role(int argc, char **argv);

#endif /* KILL_H */
