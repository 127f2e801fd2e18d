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

#define LARGEST "8-64M"
#define MOST 64 /* options of one program */

/* Values of long options, by place; below are letters. */
#define LONG 256

struct table {
	struct perf_option all[MOST];
	struct option longs[MOST + 1];
	char shorts[2 * MOST + 2];
	int n;
};

static const char help[] =
	"  -d, --device NAME       RDMA device (also --ib-dev)\n"
	"  -i, --ib-port N         its port (1)\n"
	"  -x, --gid-index N       GID (the first RoCEv2 one of an IPv4 address)\n"
	"  -m, --mtu BYTES         path MTU (the port's)\n"
	"  -n, --iters N           measured operations per row (%d)\n"
	"  -w, --warmup N          operations before them (%d)\n"
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
	if (p->two_devices)
		printf("      --peer NAME         RDMA device of the far end "
		       "(the same one)\n");
	printf(help, p->iterations ? p->iterations : 1000,
	       p->warmup ? p->warmup : 20, sizes_default(p));
	exit(0);
}

static int number(const char *what, const char *text, int min, int max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max)
		perf_die("--%s %s: give a whole number from %d to %d", what,
			 text, min, max);
	return n;
}

static void numbers(const struct perf_option *x, const char *text)
{
	char *copy = strdup(text), *rest = copy, *item;
	struct perf_list *l = x->list;

	perf_need(copy, "strdup");
	l->n = 0;
	while ((item = strsep(&rest, ","))) {
		int n = number(x->name, item, 1, x->max);

		for (int i = 0; i < l->n; i++) {
			if (l->v[i] == n)
				perf_die("--%s %s: give each number once",
					 x->name, text);
		}
		if (l->n == PERF_LIST)
			perf_die("--%s: give %d numbers at most", x->name,
				 PERF_LIST);
		l->v[l->n++] = n;
	}
	free(copy);
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

	perf_die("the option %s %s: see %s --help",
		 optopt > 0 && optopt < LONG ? letter : argv[optind - 1], what,
		 p->name);
}

static void add(struct table *t, const struct perf_option *list)
{
	char *end = t->shorts + strlen(t->shorts);

	for (; list && list->name; list++) {
		bool bare = list->flag || list->fixed;

		if (t->n == MOST)
			perf_die("%d options at most: this is a bug of the "
				 "program",
				 MOST);
		t->longs[t->n] =
			(struct option){ list->name,
					 bare ? no_argument : required_argument,
					 NULL, LONG + t->n };
		t->all[t->n++] = *list;
		if (list->letter)
			end += sprintf(end, "%c%s", list->letter,
				       bare ? "" : ":");
	}
}

static const struct perf_option *find(const struct table *t, int c)
{
	for (int i = 0; i < t->n; i++) {
		if (c == LONG + i || c == t->all[i].letter)
			return &t->all[i];
	}
	return NULL;
}

static void take(const struct perf_option *x)
{
	if (x->flag)
		*x->flag = true;
	else if (x->text)
		*x->text = x->fixed ? x->fixed : optarg;
	else if (x->number)
		*x->number = number(x->name, optarg, x->min, x->max);
	else if (x->list)
		numbers(x, optarg);
	else
		*x->set = perf_choose(x->name, optarg, x->names);
}

static void check(const struct perf_options *o, const struct perf_program *p)
{
	if (o->mtu & (o->mtu - 1))
		perf_die("--mtu %d: use 256, 512, 1024, 2048 or 4096", o->mtu);
	if (!o->device && !p->no_device)
		perf_die(
			"no device: give one with -d (ibv_devices lists them)");
	for (int i = 0; p->whole_pages && i < o->nsizes; i++) {
		if (o->sizes[i] % PERF_PAGE)
			perf_die("--size %zu: give whole pages, a multiple of "
				 "%zu",
				 o->sizes[i], PERF_PAGE);
	}
	if (o->peer && !p->two_devices)
		perf_die("%s uses one device: leave out --peer", p->name);
	if (o->peer && (o->server || o->host))
		perf_die("with --peer both ends are here: leave out %s",
			 o->host ? o->host : "--server");
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
	const char *sizes = sizes_default(p), *clock = "wall";
	bool help_wanted = false;
	const struct perf_option common[] = {
		{ "device", 'd', .text = &o->device },
		{ "ib-dev", .text = &o->device },
		{ "peer", .text = &o->peer },
		{ "ib-port", 'i', .number = &o->port, .min = 1, .max = 255 },
		{ "gid-index", 'x', .number = &o->gid_index, .max = 65535 },
		{ "port", 'p', .number = &o->tcp_port, .min = 1, .max = 65535 },
		{ "mtu", 'm', .number = &o->mtu, .min = 256, .max = 4096 },
		{ "iters", 'n', .number = &o->iterations, .min = 1,
		  .max = 100000000 },
		{ "warmup", 'w', .number = &o->warmup, .max = 100000000 },
		{ "size", 's', .text = &sizes },
		{ "all", 'a', .text = &sizes, .fixed = LARGEST },
		{ "report-unsorted", 'U', .flag = &o->samples },
		{ "quiet", 'q', .flag = &o->quiet },
		{ "help", 'h', .flag = &help_wanted },
		{ "server", .flag = &o->server },
		{ "out_json", .text = &o->out_json },
		{ "clock", .text = &clock },
		{ "file-dir", .text = &o->file_dir },
		{ "dax-dir", .text = &o->dax_dir },
		{ "timeout", .number = &o->timeout, .min = 1, .max = 3600 },
		{},
	};
	/* The colon tells a missing argument from an unknown option. */
	struct table t = { .shorts = ":" };
	int c;

	memset(o, 0, sizeof(*o));
	o->port = 1;
	o->gid_index = -1;
	o->tcp_port = 18515;
	o->iterations = p->iterations ? p->iterations : 1000;
	o->warmup = p->warmup ? p->warmup : 20;
	o->timeout = 10;
	o->file_dir = "/var/tmp";
	add(&t, common);
	add(&t, p->options);
	add(&t, p->more_options);
	opterr = 0;
	optind = 0; /* from the beginning, also a second time */
	while ((c = getopt_long(argc, argv, t.shorts, t.longs, NULL)) != -1) {
		const struct perf_option *x = find(&t, c);

		if (!x)
			die_of_option(p, c, argv);
		take(x);
		if (help_wanted)
			print_help(p);
	}
	if (p->peers && optind < argc)
		o->host = argv[optind++];
	if (optind < argc)
		perf_die("%s: nothing is known to do with it: see %s --help",
			 argv[optind], p->name);
	perf_sizes(o, sizes);
	o->icount = is_icount(clock);
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
