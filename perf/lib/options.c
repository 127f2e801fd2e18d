// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The command line that all programs share, with perftest's names where it has
 * the same thing.  Whatever is not understood ends the program: a typing error
 * must not become another measurement.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "perf.h"

#define LARGEST_MESSAGE ((size_t)64 << 20)

/* Values of long options without a letter; programs' own begin at 256. */
enum {
	OPT_SERVER = 1000,
	OPT_OUT_JSON,
	OPT_CLOCK,
	OPT_FILE_DIR,
	OPT_DAX_DIR,
	OPT_TIMEOUT,
};

/* The colon tells a missing argument from an unknown option. */
static const char shorts[] = ":d:i:x:p:m:n:w:s:aUqh";

static const struct option longs[] = {
	{ "device", required_argument, NULL, 'd' },
	{ "ib-dev", required_argument, NULL, 'd' },
	{ "ib-port", required_argument, NULL, 'i' },
	{ "gid-index", required_argument, NULL, 'x' },
	{ "port", required_argument, NULL, 'p' },
	{ "mtu", required_argument, NULL, 'm' },
	{ "iters", required_argument, NULL, 'n' },
	{ "warmup", required_argument, NULL, 'w' },
	{ "size", required_argument, NULL, 's' },
	{ "all", no_argument, NULL, 'a' },
	{ "report-unsorted", no_argument, NULL, 'U' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ "server", no_argument, NULL, OPT_SERVER },
	{ "out_json", required_argument, NULL, OPT_OUT_JSON },
	{ "clock", required_argument, NULL, OPT_CLOCK },
	{ "file-dir", required_argument, NULL, OPT_FILE_DIR },
	{ "dax-dir", required_argument, NULL, OPT_DAX_DIR },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
};

#define LONGS (sizeof(longs) / sizeof(longs[0]))

static const char help[] =
	"  -d, --device NAME       RDMA device (also --ib-dev)\n"
	"  -i, --ib-port N         its port (1)\n"
	"  -x, --gid-index N       GID (the first RoCEv2 one of an IPv4 address)\n"
	"  -m, --mtu BYTES         path MTU (the port's)\n"
	"  -n, --iters N           measured operations per row (%ld)\n"
	"  -w, --warmup N          operations before them (%ld)\n"
	"  -s, --size LIST         sizes: 8,4k,1M or 8-64M by powers of two (%s)\n"
	"  -a, --all               sizes: 8-64M\n"
	"  -p, --port N            TCP port of the server (18515)\n"
	"      --server            be the server of one client\n"
	"      --out_json FILE     the result as JSON; - is stdout\n"
	"  -U, --report-unsorted   all samples into the JSON\n"
	"      --clock KIND        wall; icount: the clock counts instructions\n"
	"      --file-dir DIR      where files in the page cache go (/var/tmp)\n"
	"      --dax-dir DIR       where files on a DAX file system go\n"
	"      --timeout S         for one completion, and for the peer (10)\n"
	"  -q, --quiet             no table\n"
	"  -h, --help              this\n";

static const char *sizes_default(const struct perf_program *p)
{
	return p->sizes ? p->sizes : "8,4k,64k,1M";
}

static void print_help(const struct perf_program *p)
{
	printf("usage: %s%s [OPTION...]%s\n%s\n\n", p->name,
	       p->no_device ? "" : " -d DEVICE", p->peers ? " [HOST]" : "",
	       p->summary);
	if (p->help)
		printf("%s\n", p->help);
	printf(help, p->iterations ? p->iterations : 1000,
	       p->warmup ? p->warmup : 20, sizes_default(p));
	exit(0);
}

static long number(const char *what, const char *text, long min, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max)
		perf_die("%s %s: give a whole number from %ld to %ld", what,
			 text, min, max);
	return n;
}

static bool parse_size(const char *text, size_t *size)
{
	static const char units[] = "kmgt";
	unsigned long long n;
	const char *unit;
	char *end;

	/* strtoull() takes blanks and signs; a size has neither. */
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || !n)
		return false;
	if (*end) {
		unit = strchr(units, *end | 0x20);
		if (!unit || end[1])
			return false;
		for (; unit >= units; unit--) {
			if (n > ULLONG_MAX >> 10)
				return false;
			n <<= 10;
		}
	}
	*size = n;
	return true;
}

size_t perf_size(const char *text)
{
	size_t size;

	if (!parse_size(text, &size))
		perf_die(
			"the size %s: give a number above 0, with k, M, G or T "
			"after it if you like",
			text);
	return size;
}

static void add_size(struct perf_options *o, size_t size)
{
	for (int i = 0; i < o->nsizes; i++) {
		if (o->sizes[i] == size)
			return; /* rows have unique keys */
	}
	if (o->nsizes == PERF_SIZES)
		perf_die("--size: give %d sizes at most", PERF_SIZES);
	o->sizes[o->nsizes++] = size;
}

static void add_range(struct perf_options *o, size_t from, size_t to)
{
	if (from & (from - 1) || from > to)
		perf_die("--size: a range goes from a power of two to a larger "
			 "size, not from %zu to %zu",
			 from, to);
	for (size_t size = from; size && size <= to; size <<= 1)
		add_size(o, size);
}

void perf_sizes(struct perf_options *o, const char *list)
{
	char *copy = strdup(list), *rest = copy, *item, *to;

	perf_need(copy, "strdup");
	o->nsizes = 0;
	while ((item = strsep(&rest, ","))) {
		to = strchr(item, '-');
		if (to) {
			*to++ = 0;
			add_range(o, perf_size(item), perf_size(to));
		} else {
			add_size(o, perf_size(item));
		}
	}
	free(copy);
}

static int mtu_bytes(const char *text)
{
	long n = number("--mtu", text, 256, 4096);

	if (n & (n - 1))
		perf_die("--mtu %ld: use 256, 512, 1024, 2048 or 4096", n);
	return n;
}

static bool is_icount(const char *text)
{
	if (strcmp(text, "icount") && strcmp(text, "wall"))
		perf_die("--clock %s: use icount or wall", text);
	return !strcmp(text, "icount");
}

/* getopt_long() reports a letter; of a long option only the word remains. */
static void die_of_option(const struct perf_program *p, int c, char **argv)
{
	const char *what = c == ':' ? "wants an argument" : "is not known";
	const char letter[] = { '-', optopt, 0 };
	bool is_letter = optopt > 0 && optopt < 256;

	perf_die("the option %s %s: see %s --help",
		 is_letter && argv[optind - 1][1] != '-' ? letter :
							   argv[optind - 1],
		 what, p->name);
}

static void take(struct perf_options *o, const struct perf_program *p, int c,
		 char **argv)
{
	switch (c) {
	case 'd':
		o->device = optarg;
		break;
	case 'i':
		o->port = number("--ib-port", optarg, 1, 255);
		break;
	case 'x':
		o->gid_index = number("--gid-index", optarg, 0, 65535);
		break;
	case 'p':
		o->tcp_port = number("--port", optarg, 1, 65535);
		break;
	case 'm':
		o->mtu = mtu_bytes(optarg);
		break;
	case 'n':
		o->iterations = number("--iters", optarg, 1, 100000000);
		break;
	case 'w':
		o->warmup = number("--warmup", optarg, 0, 100000000);
		break;
	case 's':
		perf_sizes(o, optarg);
		break;
	case 'a':
		o->nsizes = 0;
		add_range(o, 8, LARGEST_MESSAGE);
		break;
	case 'U':
		o->samples = true;
		break;
	case 'q':
		o->quiet = true;
		break;
	case 'h':
		print_help(p);
		break;
	case OPT_SERVER:
		o->server = true;
		break;
	case OPT_OUT_JSON:
		o->out_json = optarg;
		break;
	case OPT_CLOCK:
		o->icount = is_icount(optarg);
		break;
	case OPT_FILE_DIR:
		o->file_dir = optarg;
		break;
	case OPT_DAX_DIR:
		o->dax_dir = optarg;
		break;
	case OPT_TIMEOUT:
		o->timeout = number("--timeout", optarg, 1, 3600);
		break;
	default:
		if (c >= 256 && c < OPT_SERVER && p->own)
			p->own(c, optarg);
		else
			die_of_option(p, c, argv);
	}
}

#define OWN_LONGS 32

static const struct option *all_longs(const struct perf_program *p)
{
	static struct option all[LONGS + OWN_LONGS + 1];
	size_t n = 0;

	while (p->longs && p->longs[n].name)
		n++;
	if (n > OWN_LONGS)
		perf_die("%d own options at most: this is a bug of the program",
			 OWN_LONGS);
	memset(all, 0, sizeof(all));
	memcpy(all, longs, sizeof(longs));
	if (n)
		memcpy(all + LONGS, p->longs, n * sizeof(*all));
	return all;
}

static void check(const struct perf_options *o, const struct perf_program *p)
{
	if (!o->device && !p->no_device)
		perf_die(
			"no device: give one with -d (ibv_devices lists them)");
	if (o->server && !p->peers)
		perf_die("%s runs on one machine: leave out --server", p->name);
	if (o->server && o->host)
		perf_die(
			"a server waits for its client: leave out --server or %s",
			o->host);
}

void perf_options(struct perf_options *o, const struct perf_program *p,
		  int argc, char **argv)
{
	const struct option *all = all_longs(p);
	int c;

	memset(o, 0, sizeof(*o));
	o->port = 1;
	o->gid_index = -1;
	o->tcp_port = 18515;
	o->iterations = p->iterations ? p->iterations : 1000;
	o->warmup = p->warmup ? p->warmup : 20;
	o->timeout = 10;
	o->file_dir = "/var/tmp";
	perf_sizes(o, sizes_default(p));
	opterr = 0;
	optind = 0; /* from the beginning, also a second time */
	while ((c = getopt_long(argc, argv, shorts, all, NULL)) != -1)
		take(o, p, c, argv);
	if (p->peers && optind < argc)
		o->host = argv[optind++];
	if (optind < argc)
		perf_die("%s: nothing is known to do with it: see %s --help",
			 argv[optind], p->name);
	check(o, p);
}

static int index_of(const char *name, const char *const names[])
{
	for (int i = 0; names[i]; i++) {
		if (!strcmp(names[i], name))
			return i;
	}
	return -1;
}

static void die_of_choice(const char *what, const char *item,
			  const char *const names[])
{
	char text[300] = "";
	size_t at = 0;

	for (int i = 0; names[i] && at < sizeof(text); i++)
		at += snprintf(text + at, sizeof(text) - at, "%s, ", names[i]);
	perf_die("--%s %s: use some of %sor all", what, item, text);
}

uint32_t perf_choose(const char *what, const char *list,
		     const char *const names[])
{
	char *copy = strdup(list), *rest = copy, *item;
	uint32_t chosen = 0;
	int n = 0, i;

	perf_need(copy, "strdup");
	while (names[n])
		n++;
	while ((item = strsep(&rest, ","))) {
		i = index_of(item, names);
		if (i >= 0)
			chosen |= 1u << i;
		else if (!strcmp(item, "all"))
			chosen |= n < 32 ? (1u << n) - 1 : UINT32_MAX;
		else
			die_of_choice(what, item, names);
	}
	free(copy);
	return chosen;
}
