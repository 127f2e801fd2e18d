/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * The verbs helper: devices, memory, regions, queue pairs, work requests.
 *
 * tests/verbs and demo are built with it. It depends on neither of them, and
 * the provider does not depend on it.
 *
 * Words:
 *   side    one end of a connection: device, PD, CQs and QP.
 *   pair    two sides connected to each other, in this process.
 *   rig     a pair with a registered buffer on each side.
 *   kind    where memory comes from (enum ht_mem_kind) or how it is registered
 *           (enum ht_mr_kind).
 *
 * Rules:
 *   A function that returns nothing ends the program, or the test case, when it
 *   fails. A function called ..._try returns an errno instead.
 *   No check looks at wall time. Every wait has a deadline, and says what it
 *   waited for when the deadline passes.
 */
#ifndef HODP_HT_H
#define HODP_HT_H

#include <errno.h>
#include <infiniband/verbs.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "pattern.h"

#define HT_KIB 1024UL
#define HT_MIB (1024UL * HT_KIB)
#define HT_GIB (1024UL * HT_MIB)
#define HT_PAGE 4096UL
#define HT_HUGE (2UL * HT_MIB)

#define HT_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define HT_MIN(a, b) ((a) < (b) ? (a) : (b))
#define HT_MAX(a, b) ((a) > (b) ? (a) : (b))

/* --- options, time: wait.c ------------------------------------------------ */

struct ht_opt {
	const char *dev; /* -d: the device under test */
	const char *peer; /* -p: where the second side lives; NULL: dev */
	int gid; /* -g: an index, or HT_GID_… */
	enum ibv_qp_type type; /* -c: connected QPs of a conf without a type; 0: RC */
	uint64_t seed; /* -s */
	long count; /* -i, --iterations, --transfers; 0: default */
	double scale; /* $HODP_SCALE: below 1 is less work */
	double patience; /* $HODP_PATIENCE: above 1 is longer deadlines */
	bool full; /* --full: the cases that are too slow for check */
};

#define HT_GID_IPV4 (-1) /* the first RoCE v2 GID of an IPv4 address */
#define HT_GID_IPV6 (-2) /* … of an IPv6 address that is not link-local */

extern struct ht_opt ht_opt;

uint64_t ht_now(void); /* nanoseconds, CLOCK_MONOTONIC */
/* Milliseconds from now, for ht_wait_until and the pollers. */
uint64_t ht_deadline(unsigned int ms);
bool ht_over(uint64_t deadline);

#define HT_PATIENCE_MS 30000

/* Wait for @cond, yielding the CPU; fail with @what when it takes too long. */
#define ht_wait_until(cond, what)                                       \
	do {                                                            \
		uint64_t ht_d = ht_deadline(HT_PATIENCE_MS);            \
                                                                        \
		while (!(cond)) {                                       \
			if (ht_over(ht_d))                              \
				ht_fail("waited in vain for %s", what); \
			ht_yield();                                     \
		}                                                       \
	} while (0)

void ht_yield(void);
void ht_sleep_ms(unsigned int ms);

/* --- outcomes: whoever uses the helper defines these four ------------------- */

void ht_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ht_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void ht_fail_at(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));
/* Counts a check, passed or not. */
void ht_checked(void);

#define ht_fail(...) ht_fail_at(__FILE__, __LINE__, __VA_ARGS__)

#define ht_check(cond, ...)                   \
	do {                                  \
		ht_checked();                 \
		if (!(cond))                  \
			ht_fail(__VA_ARGS__); \
	} while (0)

#define ht_true(cond) ht_check(cond, "not true: %s (errno %d %s)", #cond, errno, strerror(errno))

/* Two integers that must be equal. */
#define ht_eq(got, want)                                                                     \
	do {                                                                                 \
		long long ht_g = (long long)(got);                                           \
		long long ht_w = (long long)(want);                                          \
                                                                                             \
		ht_check(ht_g == ht_w, "%s is %lld (0x%llx), not %lld (0x%llx)", #got, ht_g, \
			 (unsigned long long)ht_g, ht_w, (unsigned long long)ht_w);          \
	} while (0)

/* A verb that returns 0 or an errno. */
#define ht_ok(call)                                                                               \
	do {                                                                                      \
		int ht_e = (call);                                                                \
                                                                                                  \
		ht_check(ht_e == 0, "%s: %d %s", #call, ht_e, strerror(ht_e < 0 ? -ht_e : ht_e)); \
	} while (0)

/* A verb that must return this errno. */
#define ht_errno(call, want)                                                         \
	do {                                                                         \
		int ht_e = (call);                                                   \
                                                                                     \
		ht_check(ht_e == (want), "%s returned %d (%s), not %s", #call, ht_e, \
			 strerror(ht_e), #want);                                     \
	} while (0)

/* A system call that returns -1 on error. */
#define ht_sys(call)                                                              \
	({                                                                        \
		long ht_r = (long)(call);                                         \
                                                                                  \
		ht_check(ht_r != -1, "%s: %d %s", #call, errno, strerror(errno)); \
		ht_r;                                                             \
	})

/* --- memory: mem.c -------------------------------------------------------- */

enum ht_mem_kind {
	HT_ANON, /* base pages */
	HT_THP, /* anonymous, MADV_HUGEPAGE */
	HT_HUGETLB, /* 2 MiB pages */
	HT_TMPFS, /* a shared file in memory */
	HT_FILE, /* a shared page-cache file on the root's ext4 */
	HT_DAX_EXT4, /* $HODP_DAX_EXT4 */
	HT_DAX_XFS, /* $HODP_DAX_XFS */
	HT_DEVDAX, /* $HODP_DEVDAX */
	HT_MEM_KINDS,
};

struct ht_mem {
	enum ht_mem_kind kind;
	uint8_t *p;
	size_t len; /* bytes, a multiple of the kind's page */
	size_t page; /* bytes, what MADV_DONTNEED works on */
	int fd; /* -1: anonymous */
	off_t off; /* of p in fd */
};

const char *ht_mem_name(enum ht_mem_kind kind);
/* Pages survive MADV_DONTNEED: the contents are the file's. */
bool ht_mem_persists(enum ht_mem_kind kind);
/* A pinned registration is expected to work on it. */
bool ht_mem_pinnable(enum ht_mem_kind kind);
/*
 * Map @len bytes whose middle lies on a multiple of @straddle (0: anywhere).
 * Skips the case when the guest has no such memory.
 */
void ht_mem_get(struct ht_mem *m, enum ht_mem_kind kind, size_t len, size_t straddle);
void ht_mem_put(struct ht_mem *m);
/* Take the pages of [off, off + len) out of the page tables. */
void ht_mem_cold(struct ht_mem *m, size_t off, size_t len);
/* Register [p, p + len) with a new userfaultfd: the caller delivers missing pages. */
int ht_uffd_missing(void *p, size_t len);
/* Deliver the page at @to, filled with pattern @seed from @at on. */
void ht_uffd_deliver(int uffd, void *to, uint64_t seed, uint64_t at);
/* NULL, or why there is no memory of this kind. */
const char *ht_mem_missing(enum ht_mem_kind kind);
/* Untouched anonymous memory: private with these rights, or shared with children. */
void *ht_map(size_t len, int prot);
void *ht_map_shared(size_t len);
/* An address range of @len that starts @before bytes below a multiple. */
void *ht_reserve(size_t len, size_t before, size_t multiple);
/* A new file of @len bytes where files of @kind live; the path is removed. */
int ht_file(enum ht_mem_kind kind, size_t len, char *path, size_t path_len);
/* The entry of /proc/self/pagemap for the page at @p. */
uint64_t ht_pagemap(const void *p);
/* Is the page at @p in memory and mapped? */
bool ht_present(const void *p);
/* The number in a file; -1: there is none. */
long ht_number(const char *path);

/* --- devices, memory regions: dev.c --------------------------------------- */

struct ht_dev {
	struct ibv_context *ctx;
	struct ibv_device_attr_ex attr;
	struct ibv_port_attr port;
	int gid_index;
	union ibv_gid gid;
	bool is_hodp;
};

/* An IPv4 address as a GID: ::ffff:a.b.c.d */
bool ht_gid_is_ipv4(const union ibv_gid *gid);
void ht_open(struct ht_dev *d, const char *name);
void ht_close(struct ht_dev *d);
/* One of the hw_counters of the device's port, as it is now; several. */
uint64_t ht_counter(const struct ht_dev *d, const char *name);
void ht_counters(const struct ht_dev *d, const char *const *name, uint64_t *value, size_t n);
/* Skip when @cond is false; on an hmm_odp device that is a failure. */
void ht_require(const struct ht_dev *d, bool cond, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

enum ht_mr_kind {
	HT_PINNED,
	HT_PINNED_IOVA, /* iova is another address */
	HT_PINNED_IOVA0,
	HT_ODP,
	HT_ODP_IOVA,
	HT_ODP_IOVA0, /* the region begins in page 0 */
	HT_ODP_IMPLICIT, /* the whole address space */
	HT_MR_KINDS,
};

struct ht_mr {
	struct ibv_mr *mr;
	uint64_t delta; /* iova = address + delta */
};

#define HT_ACCESS_ALL                                                                \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_READ | \
	 IBV_ACCESS_REMOTE_ATOMIC)

const char *ht_mr_name(enum ht_mr_kind kind);
bool ht_mr_is_odp(enum ht_mr_kind kind);
/* 0 or errno. */
int ht_mr_try(struct ht_mr *m, struct ibv_pd *pd, void *p, size_t len, enum ht_mr_kind kind,
	      int access);
void ht_mr_get(struct ht_mr *m, struct ibv_pd *pd, void *p, size_t len, enum ht_mr_kind kind,
	       int access);
void ht_mr_put(struct ht_mr *m);
/* NULL, or why the device has no regions of this kind. */
const char *ht_mr_missing(const struct ht_dev *d, enum ht_mr_kind kind);
/* ht_require() that the device has them. */
void ht_need_mr(const struct ht_dev *d, enum ht_mr_kind kind);

static inline uint64_t ht_iova(const struct ht_mr *m, const void *p)
{
	return (uintptr_t)p + m->delta;
}

static inline struct ibv_sge ht_sge(const struct ht_mr *m, const void *p, uint32_t len)
{
	return (struct ibv_sge){ ht_iova(m, p), len, m->mr->lkey };
}

/* ibv_advise_mr() about [p, p + len). */
int ht_advise(const struct ht_mr *m, const void *p, uint32_t len, enum ibv_advise_mr_advice advice,
	      uint32_t flags);
/* The device maps all of [p, p + len) for writing, now. */
void ht_prefetch(const struct ht_mr *m, const void *p, uint32_t len);

/* --- queue pairs: pair.c --------------------------------------------------- */

struct ht_conf {
	enum ibv_qp_type type; /* default: ht_opt.type, or RC */
	enum ibv_mtu mtu; /* default: the smaller port's active one */
	int depth; /* send and receive queue; default 64 */
	int cq_depth; /* default: enough for both queues */
	int sge; /* default 4 */
	int inl; /* max_inline_data */
	int timeout; /* default 18: about 1 s */
	int retry; /* default 7; HT_NONE: 0 */
	int rnr_retry; /* default 7; HT_NONE: 0 */
	int rnr_timer; /* default 1: 10 µs */
	int rd_atomic; /* default 16 or what the device has */
	int access; /* default all remote rights; HT_NONE: none */
	uint8_t tclass; /* traffic class of a connection */
	bool sig_all;
	bool channel; /* CQs with completion channels */
	bool extended; /* ibv_create_qp_ex with the usual ibv_wr_ ops */
	uint64_t more_ops; /* IBV_QP_EX_WITH_… beside them */
	bool two_contexts; /* the second side opens the device again */
	bool one_pd; /* the second side shares the first one's PD */
	int srq_wr; /* the second side has an SRQ of this size; 0: none */
	int srq_sge; /* default 1 */
	struct ibv_srq *srq; /* made by ht_pair_open() */
	bool filled; /* the defaults are in place */
};

#define HT_NONE (-1)
#define HT_QKEY 0x11111111 /* of all UD QPs */
#define HT_GRH 40 /* bytes before a datagram */

struct ht_side {
	struct ht_dev *dev;
	struct ibv_pd *pd;
	struct ibv_comp_channel *chan[2];
	struct ibv_cq *scq;
	struct ibv_cq *rcq;
	struct ibv_qp *qp;
	uint32_t psn;
};

struct ht_pair {
	struct ht_dev dev[2];
	struct ht_side s[2];
	struct ht_conf conf;
};

/* Devices, PDs and the SRQ only, for what has to exist before the QPs. */
void ht_pair_open(struct ht_pair *p, const struct ht_conf *conf);
/* CQs and QPs, in state RESET. */
void ht_pair_create(struct ht_pair *p);
void ht_pair_connect(struct ht_pair *p);
/* All three. */
void ht_pair_get(struct ht_pair *p, const struct ht_conf *conf);
void ht_pair_put(struct ht_pair *p);
/* Both QPs to RESET and to RTS again, CQs emptied. */
void ht_pair_reconnect(struct ht_pair *p);

/* Take all completions out of the two CQs. */
void ht_side_drain(struct ht_side *s);
/* One more QP on the PD and the CQs of @from; NULL conf: defaults. */
void ht_side_clone(struct ht_side *to, const struct ht_side *from, const struct ht_conf *conf);
void ht_side_create(struct ht_side *s, const struct ht_conf *conf, int which);
/* Two more QPs on the PDs of @p, connected, with CQs of their own. */
void ht_second_pair(struct ht_side to[2], const struct ht_pair *p, const struct ht_conf *conf);
void ht_side_put(struct ht_side *s);

/* What a peer has to know; may travel through a pipe. */
struct ht_addr {
	uint32_t qpn;
	uint32_t psn;
	union ibv_gid gid;
	uint64_t va; /* free for the test's use */
	uint32_t rkey;
	uint32_t mtu;
};

void ht_addr_of(struct ht_addr *a, const struct ht_side *s);
int ht_to_init(const struct ht_side *s, const struct ht_conf *c);
int ht_to_rtr(const struct ht_side *s, const struct ht_conf *c, const struct ht_addr *peer);
int ht_to_rts(const struct ht_side *s, const struct ht_conf *c);
int ht_to(const struct ht_side *s, enum ibv_qp_state state);
enum ibv_qp_state ht_state(const struct ht_side *s);
/* From RESET to RTS; @peer may be NULL for UD. */
void ht_connect(const struct ht_side *s, const struct ht_conf *c, const struct ht_addr *peer);
/* Two sides of this process to each other. */
void ht_connect_two(const struct ht_side *x, const struct ht_side *y, const struct ht_conf *c);
void ht_ah_attr(struct ibv_ah_attr *ah, const struct ht_side *s, const union ibv_gid *dgid);
/* An address handle with ht_ah_attr()'s attributes. */
struct ibv_ah *ht_ah(const struct ht_side *s, const union ibv_gid *dgid);

/* --- work requests and completions: post.c --------------------------------- */

struct ht_wr {
	uint64_t id;
	enum ibv_wr_opcode op;
	unsigned int flags; /* IBV_SEND_SIGNALED is added unless HT_QUIET */
	uint64_t addr; /* one SGE … */
	uint32_t len;
	uint32_t lkey;
	struct ibv_sge *sgl; /* … or this list, when num_sge is not 0 */
	int num_sge;
	bool no_sge; /* neither: a message of zero bytes */
	uint64_t raddr;
	uint32_t rkey;
	uint64_t add; /* compare_add */
	uint64_t swap;
	uint32_t imm;
	struct ibv_ah *ah; /* UD */
	uint32_t qpn;
	uint32_t qkey;
};

#define HT_QUIET (1U << 31)

int ht_post_try(struct ibv_qp *qp, const struct ht_wr *w);
void ht_post(struct ibv_qp *qp, const struct ht_wr *w);
int ht_recv_try(struct ibv_qp *qp, struct ibv_srq *srq, uint64_t id, struct ibv_sge *sgl,
		int num_sge);
/* One receive of one SGE; length 0 posts none. */
void ht_recv(const struct ht_side *s, uint64_t id, const struct ht_mr *mr, const void *p,
	     uint32_t len);

/* False: there was no completion for @ms. */
bool ht_poll_wc(struct ibv_cq *cq, struct ibv_wc *wc, unsigned int ms);
/* The next completion, whatever it is. */
void ht_next_wc(struct ibv_cq *cq, struct ibv_wc *wc, const char *what);
/* The next completion must be this one. */
void ht_want_wc(struct ibv_cq *cq, struct ibv_wc *wc, uint64_t id, enum ibv_wc_status status);
void ht_no_wc(struct ibv_cq *cq, unsigned int ms);
/* Post and wait for success; for operations with nothing to receive. */
void ht_do(const struct ht_side *s, const struct ht_wr *w);
/* Post and wait for this status. */
void ht_do_status(const struct ht_side *s, const struct ht_wr *w, enum ibv_wc_status status);

/* A SEND of [p, p + len). */
struct ht_wr ht_send_wr(uint64_t id, const struct ht_mr *mr, const void *p, uint32_t len);
/* A SEND to @qpn through @ah, with HT_QKEY. */
struct ht_wr ht_ud_wr(uint64_t id, const struct ht_mr *mr, const void *p, uint32_t len,
		      struct ibv_ah *ah, uint32_t qpn);
/* A one-sided request between two buffers; @remote is an address in this process. */
struct ht_wr ht_rdma_wr(uint64_t id, enum ibv_wr_opcode op, const struct ht_mr *lmr,
			const void *local, uint32_t len, const struct ht_mr *rmr,
			const void *remote);
/* Post one, and wait for it. */
void ht_rdma(const struct ht_side *s, enum ibv_wr_opcode op, const struct ht_mr *lmr, void *local,
	     uint32_t len, const struct ht_mr *rmr, const void *remote);
enum ibv_wc_status ht_rdma_status(const struct ht_side *s, enum ibv_wr_opcode op,
				  const struct ht_mr *lmr, void *local, uint32_t len,
				  const struct ht_mr *rmr, const void *remote);

/* The next asynchronous event must be @type; it is acknowledged. */
void ht_want_event(struct ibv_context *ctx, enum ibv_event_type type, void *element);
bool ht_poll_fd(int fd, unsigned int ms);

/* --- a pair with a buffer on each side: rig.c ------------------------------- */

struct ht_rig {
	struct ht_pair pair;
	struct ht_side *a; /* = &pair.s[0], which posts */
	struct ht_side *b; /* = &pair.s[1], which responds */
	struct ht_mem mem[2];
	struct ht_mr mr[2];
	uint8_t *p[2]; /* = mem[i].p */
	size_t len;
};

/* Buffers of the kind of region that the device does best: see ht_best_mr. */
void ht_rig_get(struct ht_rig *r, const struct ht_conf *conf, size_t len);
void ht_rig_get_kind(struct ht_rig *r, const struct ht_conf *conf, size_t len, enum ht_mem_kind mem,
		     enum ht_mr_kind mr);
void ht_rig_mem(struct ht_rig *r, size_t len, enum ht_mem_kind mem, enum ht_mr_kind mr);
void ht_rig_put(struct ht_rig *r);
/* $HODP_MR, else ODP on hmm_odp and pinned elsewhere. */
enum ht_mr_kind ht_best_mr(const struct ht_dev *d);
/* A request from a's buffer at @loff to b's at @roff. */
struct ht_wr ht_rig_wr(const struct ht_rig *r, enum ibv_wr_opcode op, size_t loff, uint32_t len,
		       size_t roff);
/* Fill them with @seed and @seed + 1; with @shadow, keep copies there. */
void ht_rig_fill(const struct ht_rig *r, uint64_t seed, uint8_t *shadow[2]);
/* Post one, and wait for success. */
void ht_rig_do(const struct ht_rig *r, enum ibv_wr_opcode op, size_t loff, uint32_t len,
	       size_t roff);
/*
 * UC: wait until b has what a has sent, by an empty SEND. Others: nothing, because
 * a completion says it.
 */
void ht_rig_settle(const struct ht_rig *r);
void ht_settle(const struct ht_side *a, const struct ht_side *b);
/* A buffer on each side, filled with @seed and @seed + 1, registered with @access. */
void ht_buffers(struct ht_pair *p, uint8_t *buf[2], struct ht_mr mr[2], size_t len, uint64_t seed,
		int access);

#endif /* HODP_HT_H */
