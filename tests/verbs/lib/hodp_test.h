/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What every verbs test shares, on top of userspace/testlib.
 *
 * Words:
 *   case    one test: a name, one sentence of intent, a function. Each case
 *           runs in a process of its own (own device context, own memory), so
 *           that a crash or a hang fails that case and nothing else.
 *   shadow  what a buffer must hold, kept by the test in ordinary memory.
 *
 * Rules:
 *   A check that fails ends the case at once; there is nothing to clean up,
 *   because the process goes. A case that made no check has failed.
 *   A case that the device cannot do, by what it says of itself, is a skip
 *   with a reason; ht_require() turns the skip into a failure on hmm_odp.
 */
#ifndef HODP_TEST_H
#define HODP_TEST_H

#include "ht.h"

/* --- cases and results: tap.c -------------------------------------------- */

struct ht_case {
	const char *name;
	const char *intent;
	void (*fn)(const void *arg);
	const void *arg;
	int deadline; /* seconds for the whole case; 0: 60 */
	/*
	 * HT_BIT()s of kinds of memory: a case "name/kind" for each, whose argument
	 * is the kind. 0: one case.
	 */
	unsigned int kinds;
};

#define HT_BIT(kind) (1U << (kind))
#define HT_ALL_KINDS (HT_BIT(HT_MEM_KINDS) - 1)

void ht_init(int argc, char **argv);
/* A table of cases, which ends with an empty one. */
void ht_add(const struct ht_case *c);
/* A case whose name is made by printf; the strings are copied. */
void ht_addf(void (*fn)(const void *), const void *arg, int deadline, const char *intent,
	     const char *name, ...) __attribute__((format(printf, 5, 6)));
int ht_run(void);

/* How many rounds: -i if given, else @normal scaled by $HODP_SCALE. */
long ht_count(long normal);

/* A child of this case; fn's checks fail the case when joined. */
pid_t ht_fork(void (*fn)(void *), void *arg);
void ht_join(pid_t pid);

/* --- bytes: check.c -------------------------------------------------------- */

uint64_t ht_seed(const char *what); /* from -s and a name */
void ht_check_fill(const void *p, size_t len, uint64_t seed, uint64_t at, const char *what);
void ht_check_bytes(const void *got, const void *want, size_t len, const char *what);
void ht_check_value(const void *p, size_t len, uint8_t value, const char *what);

/* Write @text into a file that is there. */
bool ht_put(const char *path, const char *text);

/* --- commands, devices, what the kernel holds: device.c --------------------- */

/* Run a command, which must succeed. */
void ht_shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Make hmm_odp device @dev on a netdev "@dev-net" of its own, 10.77.@net.1; test it. */
void ht_device_make(const char *dev, int net);
void ht_device_drop(const char *dev);
/* `rdma resource show`, references to the module, and open files if asked for. */
void ht_ledger(char *text, size_t size, bool files);

/* --- rings without the library: rings.c ------------------------------------- */

struct ht_ring {
	struct hodp_ring_hdr *hdr;
	uint8_t *entries;
	size_t size; /* bytes of the mapping */
	/* For the caller: */
	bool is_cq;
	uint32_t num; /* entries */
	uint32_t stride;
};

/*
 * The rings that were not there at the last call, @max at most. Call it before
 * and after an object is made: the new ones are the object's.
 */
int ht_new_rings(struct ht_ring *r, int max);
/* The file of the short doorbell, or -1. */
int ht_doorbell_file(void);

/* --- a memory cgroup for the rest of the case: cgroup.c -------------------- */

/* Enter group @name, without a limit. */
void ht_cgroup_enter(const char *name);
void ht_cgroup_max(const char *name, size_t bytes);
size_t ht_cgroup_current(const char *name);
/* A line of the group's memory.stat, in bytes. */
size_t ht_cgroup_stat(const char *name, const char *line);

/* --- states of memory that need a kernel module: mtest.c ------------------- */

/* An MTEST_ command of tests/kernel/ktest/mtest.h; 0 or errno. */
int ht_mtest(unsigned long cmd, const void *addr);

#endif /* HODP_TEST_H */
