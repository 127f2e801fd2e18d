/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The files of odp_reg.
 *
 *   odp_reg   options; against length
 *   tools     what the sweeps share
 *   many      against the number of regions, and of processes
 *   prefetch  ibv_advise_mr()
 *   kmem      how much memory the kernel has for itself
 *   touch     whether a region works: bytes through its ends
 */
#ifndef REG_H
#define REG_H

#include "../lib/pair.h"

enum reg {
	REG_ODP,
	REG_PINNED,
	REG_IMPLICIT, /* the whole address space */
	REGS,
};

extern const char *const reg_names[REGS + 1];

enum pages {
	PAGES_RESERVED, /* address space, never touched */
	PAGES_ABSENT, /* taken away from the process */
	PAGES_PRESENT, /* the CPU has them, the device does not */
};

struct key {
	const char *sweep;
	const char *what;
	enum reg reg;
	enum pages pages;
	size_t length; /* 0: all */
	size_t mrs; /* that there are */
	int procs;
};

struct tools {
	struct perf_options o;
	struct perf_dev dev;
	struct perf_probe probe; /* of a page */
	uint64_t *samples, *samples2;
	uint32_t regs; /* wanted */
	struct perf_list mrs, procs;
	int per_proc;
};

extern struct tools t;

/* A row that only says why it has no figures: by errno, or by words. */
void row_errno(const struct key *k, int err, const char *what);
void row_why(const struct key *k, enum perf_row_status status, const char *why);
void row_samples(const struct key *k, uint64_t *samples, size_t n,
		 const char *wrong);
void row_bytes(const struct key *k, uint64_t bytes);

struct ibv_mr *make_mr(struct ibv_pd *pd, enum reg reg, void *p, size_t length);

/*
 * Rows of the time to register and deregister [p, p + length).  False: a row
 * says why there are none; true: @key is for a row of kernel memory now.
 */
bool rows_of_times(struct key *key, uint8_t *p, size_t length);

/* Why such a region cannot be had here, or so much memory, or NULL. */
const char *reg_missing(enum reg reg, size_t length);
const char *memory_missing(size_t length);

/* ---- touch.c ---- */

/*
 * Move bytes both ways through the ends and the middle. NULL or what is wrong.
 */
const char *touch_ends(struct ibv_mr *mr, uint8_t *p, size_t length);

/* READ all pages of [p, p + length): bytes of @seed, or zeros if that is 0. */
const char *touch_all(struct ibv_mr *mr, uint8_t *p, size_t length,
		      uint64_t seed);

/* ---- kmem.c ---- */

#define KMEM_NOTE \
	"meminfo: Slab+VmallocUsed+Percpu+KernelStack+PageTables+SecPageTables"

/* In bytes, after delayed frees. */
uint64_t kmem_settled(void);
uint64_t kmem_now(void);

/* Bytes of memory that may be used. */
uint64_t kmem_available(void);

/* ---- the sweeps ---- */

void sweep_mrs(enum reg reg);
void sweep_procs(enum reg reg);
void sweep_prefetch(void);

#endif /* REG_H */
