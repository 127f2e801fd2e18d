// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The command line: what it understands; anything else ends the program. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "unit.h"

static const char *const names[] = { "red", "green", "blue", NULL };
static const char *mode;
static bool dry;
static struct perf_list steps;
static uint32_t colours;

static const struct perf_option options[] = {
	{ "mode", .text = &mode },
	{ "dry", .flag = &dry },
	{ "steps", .list = &steps, .max = 50 },
	{ "colours", .set = &colours, .names = names },
	{},
};

static const struct perf_program program = {
	.name = "unit",
	.summary = "A summary.",
	.help = "  --mode M   its own\n",
	.options = options,
	.peers = true,
	.two_devices = true,
};

static const struct perf_program alone = {
	.name = "alone",
	.summary = "No peers, no device.",
	.no_device = true,
	.iterations = 7,
	.warmup = 3,
	.sizes = "1M",
};

struct line {
	const struct perf_program *p;
	const char *text;
};

/* Use the words of @text as a command line. */
static void parse(struct perf_options *o, const struct perf_program *p,
		  const char *text)
{
	static char copy[400];
	char *argv[40] = { "unit" }, *rest = copy, *word;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((word = strsep(&rest, " "))) {
		if (*word)
			argv[argc++] = word;
	}
	perf_options(o, p, argc, argv);
}

static void parse_child(const void *arg)
{
	const struct line *l = arg;
	struct perf_options o;

	parse(&o, l->p, l->text);
}

static bool refused(const struct perf_program *p, const char *text,
		    const char *words)
{
	struct line l = { p, text };
	struct ran r;

	unit_run(&r, parse_child, &l);
	if (unit_died(&r, words))
		return true;
	printf("# command line: %s\n", text);
	return false;
}

static void defaults(void)
{
	struct perf_options o;

	parse(&o, &program, "-d dev0");
	CHECK(!strcmp(o.device, "dev0") && o.port == 1 && o.gid_index == -1);
	CHECK(o.tcp_port == 18515 && !o.host && !o.server && !o.mtu);
	CHECK(o.iterations == 1000 && o.warmup == 20 && o.timeout == 10);
	CHECK(o.nsizes == 4 && o.sizes[0] == 8 && o.sizes[3] == 1 << 20);
	CHECK(!o.out_json && !o.samples && !o.icount && !o.quiet);
	parse(&o, &alone, "");
	CHECK(o.iterations == 7 && o.warmup == 3 && o.nsizes == 1 &&
	      o.sizes[0] == 1 << 20 && !o.device);
}

static void everything(void)
{
	struct perf_options o;

	parse(&o, &program,
	      "--ib-dev dev1 -i 2 -x 3 -p 99 -m 1024 -n 12 -w 0 -s 8,64k "
	      "--out_json f -U -q --clock icount --file-dir /a --dax-dir /b "
	      "--timeout 3 --mode x --steps 4,50 --colours red,blue host");
	CHECK(!strcmp(o.device, "dev1") && o.port == 2 && o.gid_index == 3);
	CHECK(o.tcp_port == 99 && o.mtu == 1024 && o.iterations == 12);
	CHECK(o.warmup == 0 && o.nsizes == 2 && o.sizes[1] == 65536);
	CHECK(!strcmp(o.out_json, "f") && o.samples && o.quiet && o.icount);
	CHECK(!strcmp(o.file_dir, "/a") && !strcmp(o.dax_dir, "/b"));
	CHECK(o.timeout == 3 && !strcmp(o.host, "host"));
	CHECK(!strcmp(mode, "x") && !dry && colours == 5);
	CHECK(steps.n == 2 && steps.v[0] == 4 && steps.v[1] == 50);
	parse(&o, &program, "--device d --dry --server");
	CHECK(o.server && dry && !o.peer);
	parse(&o, &program, "-d d --peer e");
	CHECK(!strcmp(o.device, "d") && !strcmp(o.peer, "e"));
	parse(&o, &program, "-d d -a");
	CHECK(o.nsizes == 24 && o.sizes[0] == 8 && o.sizes[23] == 64 << 20);
}

static void nonsense(void)
{
	CHECK(refused(&program, "", "no device -d ibv_devices"));
	CHECK(refused(&program, "-d a --server host", "--server host"));
	CHECK(refused(&program, "-d a host host2", "host2 --help"));
	CHECK(refused(&alone, "host", "host --help"));
	CHECK(refused(&alone, "--server", "--server"));
	CHECK(refused(&alone, "--peer e", "--peer"));
	CHECK(refused(&program, "-d a --peer e host", "--peer host"));
	CHECK(refused(&program, "-d a --peer e --server", "--peer --server"));
	CHECK(refused(&program, "-d a --peer", "--peer wants"));
	CHECK(refused(&program, "-d a -n 0", "--iters 0 1"));
	CHECK(refused(&program, "-d a -n 10x", "--iters 10x"));
	CHECK(refused(&program, "-d a -n 99999999999999999999", "--iters"));
	CHECK(refused(&program, "-d a -w -1", "--warmup -1"));
	CHECK(refused(&program, "-d a -p 65536", "--port 65536"));
	CHECK(refused(&program, "-d a -i 0", "--ib-port"));
	CHECK(refused(&program, "-d a -x -1", "--gid-index"));
	CHECK(refused(&program, "-d a -m 1000", "--mtu 1000 1024"));
	CHECK(refused(&program, "-d a -m 8192", "--mtu 8192"));
	CHECK(refused(&program, "-d a --timeout 0", "--timeout 0"));
	CHECK(refused(&program, "-d a --clock sun", "--clock sun icount wall"));
	CHECK(refused(&program, "-d a --steps 4,51", "--steps 51 1 50"));
	CHECK(refused(&program, "-d a --steps 4,", "--steps"));
	CHECK(refused(&program, "-d a --steps 4,5,4", "--steps 4,5,4 once"));
	CHECK(refused(&program, "-d a --colours pink", "--colours red green"));
}

static void unknown_options(void)
{
	CHECK(refused(&program, "-d a --frob", "--frob known --help"));
	CHECK(refused(&program, "-d a --frob=3", "--frob known"));
	CHECK(refused(&program, "-d a -Z", "-Z known --help"));
	CHECK(refused(&program, "-qZ -d a", "-Z known"));
	CHECK(refused(&program, "-d a --all=3", "--all=3 known"));
	CHECK(refused(&program, "-d", "-d wants argument"));
	CHECK(refused(&program, "-d a --mode", "--mode wants argument"));
	CHECK(refused(&program, "-d a --out_json", "--out_json wants"));
	CHECK(refused(&program, "-d a --size", "--size wants"));
}

static void help(void)
{
	struct line l = { &program, "--help" };
	struct ran r;

	unit_run(&r, parse_child, &l);
	CHECK(r.status == 0 && !*r.err);
	CHECK(strstr(r.out, "usage: unit -d DEVICE") &&
	      strstr(r.out, "A summary.") && strstr(r.out, "--mode M") &&
	      strstr(r.out, "--out_json") && strstr(r.out, "[HOST]") &&
	      strstr(r.out, "--peer"));
	l = (struct line){ &alone, "-h" };
	unit_run(&r, parse_child, &l);
	CHECK(r.status == 0 && strstr(r.out, "usage: alone [OPTION...]\n") &&
	      strstr(r.out, "(7)") && strstr(r.out, "(1M)") &&
	      !strstr(r.out, "--peer"));
}

/* --- sizes ------------------------------------------------------------------------- */

static void size_child(const void *arg)
{
	perf_size(arg);
}

static bool size_refused(const char *text)
{
	struct ran r;

	unit_run(&r, size_child, text);
	return unit_died(&r, "size give");
}

static void one_size(void)
{
	static const char *const bad[] = {
		"",	     "0",
		"0k",	     "k",
		"-1",	     "+1",
		" 1",	     "1 ",
		"1kk",	     "1kB",
		"4q",	     "0x10",
		"1.5k",	     "18446744073709551616",
		"16777216T", "18446744073709551615k",
	};

	CHECK(perf_size("8") == 8 && perf_size("1") == 1);
	CHECK(perf_size("64k") == 65536 && perf_size("64K") == 65536);
	CHECK(perf_size("2M") == 2 << 20 && perf_size("2m") == 2 << 20);
	CHECK(perf_size("3G") == 3UL << 30 && perf_size("1T") == 1UL << 40);
	CHECK(perf_size("18446744073709551615") == UINT64_MAX);
	CHECK(perf_size("16777215T") == 16777215UL << 40);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(size_refused(bad[i]));
}

static bool sizes_are(const char *list, int n, const size_t *want)
{
	struct perf_options o = { .nsizes = 9 };

	perf_sizes(&o, list);
	return o.nsizes == n && !memcmp(o.sizes, want, n * sizeof(*want));
}

static void lists_of_sizes(void)
{
	CHECK(sizes_are("8", 1, (size_t[]){ 8 }));
	CHECK(sizes_are("64k,8", 2, (size_t[]){ 65536, 8 }));
	CHECK(sizes_are("8-64", 4, (size_t[]){ 8, 16, 32, 64 }));
	CHECK(sizes_are("8-63", 3, (size_t[]){ 8, 16, 32 }));
	CHECK(sizes_are("4k-4k", 1, (size_t[]){ 4096 }));
	CHECK(sizes_are("9,8-16,4k", 4, (size_t[]){ 9, 8, 16, 4096 }));
	/* Once each: rows have unique keys. */
	CHECK(sizes_are("8,16,8,8-16", 2, (size_t[]){ 8, 16 }));
	CHECK(refused(&program, "-d a -s 8,", "size"));
	CHECK(refused(&program, "-d a -s ,8", "size"));
	CHECK(refused(&program, "-d a -s 8--16", "size"));
	CHECK(refused(&program, "-d a -s 12-64", "--size power 12 64"));
	CHECK(refused(&program, "-d a -s 64-8", "--size 64 8"));
}

static void largest_ranges(void)
{
	struct perf_options o;
	char list[1000] = "";
	size_t at = 0;

	perf_sizes(&o, "1-18446744073709551615");
	CHECK(o.nsizes == 64 && o.sizes[63] == 1UL << 63);
	for (int i = 1; i <= PERF_SIZES + 1; i++)
		at += snprintf(list + at, sizeof(list) - at, "%s%d",
			       i > 1 ? "," : "-d a -s ", i);
	CHECK(refused(&program, list, "--size 64"));
}

/* --- choices ------------------------------------------------------------------------ */

static void choose_child(const void *arg)
{
	perf_choose("colour", arg, names);
}

static bool choice_refused(const char *list)
{
	struct ran r;

	unit_run(&r, choose_child, list);
	return unit_died(&r, "--colour red green blue all");
}

static void choices(void)
{
	CHECK(perf_choose("colour", "red", names) == 1);
	CHECK(perf_choose("colour", "blue,red", names) == 5);
	CHECK(perf_choose("colour", "green,green", names) == 2);
	CHECK(perf_choose("colour", "all", names) == 7);
	CHECK(perf_choose("colour", "red,all", names) == 7);
	CHECK(choice_refused("pink"));
	CHECK(choice_refused("red,pink"));
	CHECK(choice_refused("re"));
	CHECK(choice_refused(""));
	CHECK(choice_refused("red,"));
	CHECK(choice_refused("red green"));
}

const struct unit_case option_cases[] = {
	{ "defaults, the library's and a program's own", defaults },
	{ "every option arrives where it belongs", everything },
	{ "nonsense ends the program with a sentence", nonsense },
	{ "unknown options and missing arguments end the program",
	  unknown_options },
	{ "--help tells all options and is no error", help },
	{ "one size, with its unit; anything else is refused", one_size },
	{ "lists and ranges of sizes, each size once", lists_of_sizes },
	{ "the longest lists do not overflow", largest_ranges },
	{ "choices: some, all, and nothing else", choices },
};
const size_t num_option_cases = ARRAY_LEN(option_cases);
