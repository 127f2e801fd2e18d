/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * What the instruments of perf/ share.
 *
 *   row     one measurement: a key (what was measured), a status, and figures
 *   report  the rows of one run of one program: a table on stdout as it goes,
 *           and a JSON document at its end (perf/schema.md)
 *   mem     memory of one kind, and how its pages are taken away
 *   side    one end of a connection: device, memory, region, queue pairs
 *   peer    the other end, driven through a socket: another process of this
 *           machine (the default without a host) or another machine
 *   near,   the device that asks (-d) and the one that answers: the same one, or
 *   far     --peer's, to which packets go over a network
 *
 * Whatever makes a run impossible ends the program through perf_die(): one
 * sentence that names the cause and the remedy, status 2.  What makes one row
 * impossible is that row's status, and the run goes on.
 *
 * Time is CLOCK_MONOTONIC in nanoseconds.  In a guest whose clock counts
 * instructions (QEMU -icount) a nanosecond is an instruction; --clock icount
 * only says so in the report.
 */
#ifndef PERF_H
#define PERF_H

#include <infiniband/verbs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PERF_PAGE ((size_t)4096)
#define PERF_HUGE ((size_t)2 << 20)

enum perf_exit {
	PERF_OK = 0,
	PERF_BAD_ROW = 1, /* a row is "wrong" or "failed" */
	PERF_IMPOSSIBLE = 2, /* usage, no device, no peer, no memory */
};

/* ---- die.c: ends, and time ---- */

/* "PROGRAM: SENTENCE" on stderr; runs the atexit handlers; status 2. */
void perf_die(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

/* perf_die("WHAT: strerror(errno)") unless @ok. */
void perf_need(bool ok, const char *what);

/* A sentence; the text lives until the next one. */
const char *perf_say(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

uint64_t perf_now(void);

/* What reading the clock twice costs, once measured. */
uint64_t perf_clock_cost(void);

/* ---- stats.c ---- */

struct perf_stats {
	uint64_t n, min, median, p90, p99, p999, max;
	double mean;
};

/*
 * Sort @samples and describe them.  A percentile is the smallest sample that
 * at least that share of the samples does not exceed (nearest rank); of none,
 * all is 0.
 */
void perf_stats(uint64_t *samples, size_t n, struct perf_stats *s);

/* ---- bytes.c ---- */

/* Bytes that depend on their place and on @seed; never zero. */
void perf_fill(void *buf, size_t len, uint64_t seed);

/* How many of @len bytes are not what perf_fill() would have put there; not 0. */
size_t perf_wrong(const void *buf, size_t len, uint64_t seed);
size_t perf_nonzero(const void *buf, size_t len);

/* ---- options.c: what every program understands ---- */

#define PERF_SIZES 64

struct perf_options {
	const char *device; /* -d --device --ib-dev */
	const char *peer; /* --peer: the far device; NULL: the same one */
	int port; /* -i --ib-port, 1 */
	int gid_index; /* -x --gid-index, -1: the IPv4 RoCEv2 one, or the first */
	int tcp_port; /* -p --port, 18515 */
	const char *host; /* the server to connect to; NULL: loopback or server */
	bool server; /* --server: wait for one client */
	int mtu; /* -m --mtu in bytes, 0: the port's */
	int iterations; /* -n --iters */
	int warmup; /* -w --warmup */
	size_t sizes[PERF_SIZES]; /* -s --size 8,4096,64k or 8-64M (powers of 2); -a --all */
	int nsizes;
	const char
		*out_json; /* --out_json FILE; "-" is stdout, table to stderr */
	bool samples; /* -U --report-unsorted: all samples into the JSON */
	bool icount; /* --clock icount|wall */
	const char *file_dir; /* --file-dir: a directory through the page cache */
	const char *dax_dir; /* --dax-dir: a directory on an fsdax mount */
	int timeout; /* --timeout S for one completion, default 10 */
	bool quiet; /* -q --quiet: no table */
};

#define PERF_LIST 32

/* Numbers from 1 on, each once. */
struct perf_list {
	int n, v[PERF_LIST];
};

/**
 * struct perf_option - an option, and where its argument goes
 * @name, @letter: --name, and -x if it has a letter
 * @flag: it has no argument, and sets this
 * @text: becomes the argument; with @fixed it has none, and this is it
 * @number: becomes a whole number from @min to @max
 * @list: becomes the numbers, up to @max
 * @set: becomes a bit for each of @names that is wanted; see perf_choose()
 */
struct perf_option {
	const char *name;
	char letter;
	bool *flag;
	const char **text, *fixed;
	int *number, min, max;
	struct perf_list *list;
	uint32_t *set;
	const char *const *names;
};

/**
 * struct perf_program - a program's own part of its command line
 * @name, @summary: for --help
 * @help: text of its own options
 * @options, @more_options: they, each ended by {}; or NULL
 * @iterations, @warmup, @sizes: its defaults; 0 or NULL: 1000, 20, 8,4k,64k,1M
 * @peers: it takes --server and HOST
 * @two_devices: it takes --peer
 * @no_device: it needs no -d
 * @whole_pages: its sizes are
 */
struct perf_program {
	const char *name;
	const char *summary;
	const char *help;
	const struct perf_option *options, *more_options;
	int iterations;
	int warmup;
	const char *sizes;
	bool peers;
	bool two_devices;
	bool no_device;
	bool whole_pages;
};

/* Fill in @o, or end the program (--help: status 0; nonsense: status 2). */
void perf_options(struct perf_options *o, const struct perf_program *p,
		  int argc, char **argv);

/* The text of -s into @o->sizes, or perf_die(). */
void perf_sizes(struct perf_options *o, const char *list);

/* "8", "64k", "2M", "1G", "1T"; perf_die() on anything else. */
size_t perf_size(const char *text);

/*
 * Which of @names (ended by NULL) does the comma-separated @list name?  A bit
 * each; "all" is all.  perf_die("--WHAT ...: use one of ...") on another.
 */
uint32_t perf_choose(const char *what, const char *list,
		     const char *const names[]);

/* ---- mem.c ---- */

enum perf_mem_kind {
	PERF_ANON, /* 4 KiB pages */
	PERF_THP,
	PERF_HUGETLB,
	PERF_TMPFS,
	PERF_FILE, /* a file of --file-dir, shared, through the page cache */
	PERF_FSDAX, /* a file of --dax-dir */
	PERF_MEM_KINDS,
};

extern const char *const perf_mem_names[PERF_MEM_KINDS + 1];

struct perf_mem {
	enum perf_mem_kind kind;
	uint8_t *p;
	size_t len; /* whole pages of the kind */
	size_t page; /* the kind's: PERF_PAGE or PERF_HUGE */
	int fd; /* of files; unlinked already */
};

/* Why there is none of this kind here, with the remedy; NULL: there is. */
const char *perf_mem_missing(const struct perf_options *o,
			     enum perf_mem_kind kind);

/* At least @len bytes at a 2 MiB boundary.  Files have their blocks. */
void perf_mem_get(struct perf_mem *m, const struct perf_options *o,
		  enum perf_mem_kind kind, size_t len);

/* The same, but return why it cannot be had, or NULL. */
const char *perf_mem_try(struct perf_mem *m, const struct perf_options *o,
			 enum perf_mem_kind kind, size_t len);

/*
 * Map @len bytes from @from on anew, in their place: without pages, unless a
 * file has them.  NULL or why not, and errno.
 */
const char *perf_mem_map(struct perf_mem *m, size_t from, size_t len);
void perf_mem_put(struct perf_mem *m);

/* Give the CPU all pages of [p, p + len), written (a THP as one). */
void perf_mem_touch(struct perf_mem *m, size_t len);

/* How many of its bytes are transparent huge pages now. */
size_t perf_mem_huge(const struct perf_mem *m);

/*
 * Take the pages of the first @len bytes away from the process: their contents
 * may be lost for memory without a file.  0 or errno.
 */
int perf_mem_cold(struct perf_mem *m, size_t len);

bool perf_has_swap(void);

/* The NUMA nodes with memory, up to @most: how many. */
int perf_nodes(int *nodes, int most);

/* ---- dev.c ---- */

struct perf_dev {
	struct ibv_context *ctx;
	struct ibv_pd *pd;
	struct ibv_device_attr_ex attr;
	struct ibv_port_attr port;
	union ibv_gid gid;
	int gid_index;
	int port_num;
	enum ibv_mtu mtu;
	const char *name;
	struct perf_iwarp *iwarp; /* NULL: no iWARP device */
	struct perf_dev *far; /* what answers: this one, or --peer's */
};

/*
 * The device @name, with what @o says of port, GID and MTU; it is its own far
 * one.  perf_die() names the devices there are, or the GIDs, if it cannot.
 */
void perf_dev_open_one(struct perf_dev *d, const struct perf_options *o,
		       const char *name);

/* @o's device, and its --peer if it has one. */
void perf_dev_open(struct perf_dev *d, const struct perf_options *o);
void perf_dev_close(struct perf_dev *d);

static inline bool perf_two_devices(const struct perf_dev *d)
{
	return d->far != d;
}

#define PERF_ACCESS                                         \
	(IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | \
	 IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_ATOMIC)

/* Of what READs go to: iWARP's answer to a READ writes as a peer does. */
#define PERF_SINK (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE)

/* Does the device say that it has ODP; regions of the whole address space? */
bool perf_dev_has_odp(const struct perf_dev *d, bool implicit);

/*
 * The device's page faults so far, from its counters: "page_faults" or
 * "odp_faults" in sysfs hw_counters of device or port.  False: it has none.
 * The kernel refreshes them every few milliseconds only, so this takes longer.
 */
bool perf_dev_faults(const struct perf_dev *d, uint64_t *faults);

/* What a peer must know of a queue pair. */
struct perf_qp_address {
	uint32_t qpn;
	uint32_t psn; /* of its first packet: 0 */
	union ibv_gid gid; /* iWARP: an IP address */
	uint16_t lid; /* of an InfiniBand port */
	uint16_t rd_atomic; /* READs and atomics that it answers at once */
	uint16_t mtu; /* enum ibv_mtu of its port, or --mtu; 0: not known */
	uint16_t port; /* iWARP: where it listens */
};

/* @qp's own, to tell the peer. */
void perf_qp_address(const struct perf_dev *d, const struct ibv_qp *qp,
		     struct perf_qp_address *a);

/* A reliable one in RESET, @depth entries a queue; NULL and errno. */
struct ibv_qp *perf_qp_make(struct perf_dev *d, struct ibv_cq *cq, int depth);

/*
 * From RESET to RTS towards @peer.  0 or errno.
 *
 * Both ends call it, in any order, from one thread or from two.  One of them
 * @asks: it sends the first message, after both calls have returned.  Only
 * iWARP needs to know.
 */
int perf_qp_connect(struct perf_dev *d, struct ibv_qp *qp,
		    const struct perf_qp_address *peer, bool asks);

/* 0 or errno. */
int perf_qp_destroy(struct ibv_qp *qp);

/*
 * Completions, one to @most, giving way between polls.  Return: their number,
 * or -ETIMEDOUT, -EIO (ibv_poll_cq failed).
 */
int perf_poll(struct ibv_cq *cq, struct ibv_wc *wc, int most, int timeout_s);

/* One.  Return: its ibv_wc_status, or as perf_poll(). */
int perf_wait(struct ibv_cq *cq, struct ibv_wc *wc, int timeout_s);

/* A return value of perf_wait(), or an errno of posting negated, in words. */
const char *perf_status(int status);

/* ---- report.c ---- */

enum perf_row_status {
	PERF_ROW_OK,
	PERF_ROW_WRONG, /* bytes were wrong: no figure is given */
	PERF_ROW_UNSUPPORTED, /* the device or the machine lacks it; see why */
	PERF_ROW_FAILED, /* it should have worked; see why */
};

/* What a figure is in. */
enum perf_unit {
	PERF_NS, /* nanoseconds; instructions with --clock icount */
	PERF_MBPS, /* 10^6 bytes per second */
	PERF_OPS, /* operations per second */
	PERF_BYTES,
};

#define PERF_KEYS 10
#define PERF_EXTRAS 10

/**
 * struct perf_row - a measurement in the making
 *
 * Begin with perf_row_begin(), add keys in the same order in all rows of a
 * table, give a status and figures, end with perf_row_end(), which prints it.
 */
struct perf_row {
	struct {
		const char *name; /* static */
		char text[40]; /* "" if @number is it */
		uint64_t number;
	} key[PERF_KEYS];
	int nkeys;
	enum perf_row_status status;
	char why[200];
	enum perf_unit unit;
	bool has_stats;
	struct perf_stats stats;
	double scale; /* samples times this are figures in @unit; 0: 1 */
	const uint64_t *samples; /* in the order taken; only if asked for */
	size_t nsamples;
	struct {
		const char *name; /* static: "faults_per_op", "wrong_bytes" */
		double value;
	} extra[PERF_EXTRAS];
	int nextras;
	const char *note; /* static, e.g. where faults were counted; or NULL */
};

void perf_report_open(const struct perf_options *o,
		      const struct perf_program *p, const struct perf_dev *d,
		      int argc, char **argv);
void perf_row_begin(struct perf_row *r, enum perf_unit unit);
void perf_row_key(struct perf_row *r, const char *name, const char *text);
void perf_row_key_u64(struct perf_row *r, const char *name, uint64_t number);
void perf_row_extra(struct perf_row *r, const char *name, double value);
void perf_row_status(struct perf_row *r, enum perf_row_status status,
		     const char *why, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Take @n samples into the row's statistics (they are sorted unless the options
 * want them unsorted, then a copy is).
 */
void perf_row_samples(struct perf_row *r, uint64_t *samples, size_t n);

/* Print it, keep it for the JSON, which is written anew (an interrupted run
 * keeps what it has).
 */
void perf_row_end(struct perf_row *r);

/* The end of the JSON document.  Return: the program's exit status. */
int perf_report_close(void);

#endif /* PERF_H */
