// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The report: JSON and table, and what remains of a run that ends early. Every
 * run is a child with a directory of its own, which may hold nothing but its
 * report in the end.
 */
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* The file itself, for a signal that finds the writer busy. */
#include "../../../perf/lib/report.c"

#include "unit.h"

static const struct perf_program program = { .name = "unit" };
static char path[100];
static struct perf_options o;

static void open_report(void)
{
	static char *argv[] = { "unit", "-s", "8,\"4k\"\\\n\x01é" };
	static struct perf_dev d = { .name = "dev\"0" };

	d.attr.orig_attr.vendor_id = 0x1af4;
	d.attr.orig_attr.vendor_part_id = 7;
	perf_report_open(&o, &program, &d, 3, argv);
}

static void keys(struct perf_row *r, const char *text, uint64_t number)
{
	perf_row_begin(r, PERF_NS);
	perf_row_key(r, "op", text);
	perf_row_key_u64(r, "size", number);
}

static void good_row(const char *text, uint64_t number)
{
	uint64_t samples[] = { 30, 10, 20 };
	struct perf_row r;

	keys(&r, text, number);
	perf_row_samples(&r, samples, 3);
	perf_row_extra(&r, "faults_per_op", 0.25);
	r.note = "a \"note\"";
	perf_row_end(&r);
}

static void row_with(enum perf_row_status status, const char *text)
{
	uint64_t samples[] = { 1 };
	struct perf_row r;

	keys(&r, text, 8);
	perf_row_samples(&r, samples, 1);
	perf_row_extra(&r, "faults_per_op", 3);
	perf_row_extra(&r, "wrong_bytes", 5);
	perf_row_status(&r, status, "because of \"%s\"", text);
	perf_row_end(&r);
}

/* --- in this process ---------------------------------------------------------------- */

static void run(struct ran *r, void (*fn)(const void *arg), const void *arg,
		const char *out)
{
	memset(&o, 0, sizeof(o));
	snprintf(path, sizeof(path), "%s/out.json", unit_dir());
	o.out_json = out ? out : path;
	unit_run(r, fn, arg);
}

static cJSON *parsed(void)
{
	char *text = unit_file(path);
	cJSON *doc = text ? cJSON_Parse(text) : NULL;

	if (!doc)
		printf("# no JSON: %s\n", text ? text : "no file");
	free(text);
	CHECK(doc);
	CHECK(unit_only("out.json"));
	return doc;
}

static const cJSON *at(const cJSON *doc, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(doc, name);
}

static bool is_text(const cJSON *doc, const char *name, const char *want)
{
	const cJSON *item = at(doc, name);

	return cJSON_IsString(item) && !strcmp(item->valuestring, want);
}

static bool is_number(const cJSON *doc, const char *name, double want)
{
	const cJSON *item = at(doc, name);

	return cJSON_IsNumber(item) && item->valuedouble == want;
}

static const cJSON *row(const cJSON *doc, int i)
{
	return cJSON_GetArrayItem(at(doc, "rows"), i);
}

static int rows(const cJSON *doc)
{
	return cJSON_GetArraySize(at(doc, "rows"));
}

static bool complete(const cJSON *doc)
{
	return cJSON_IsTrue(at(doc, "complete"));
}

/* The end of a case: is the document whole, and has it @n rows? */
static void ends_with(bool whole, int n)
{
	cJSON *doc = parsed();

	CHECK(complete(doc) == whole && rows(doc) == n);
	cJSON_Delete(doc);
	unit_dir_end();
}

/* --- a whole document ----------------------------------------------------------------- */

static void whole_child(const void *arg)
{
	open_report();
	good_row("a\"\\\n\x1f/é", UINT32_MAX + 1ULL);
	row_with(PERF_ROW_UNSUPPORTED, "u");
	row_with(PERF_ROW_WRONG, "w");
	row_with(PERF_ROW_FAILED, "f");
	exit(perf_report_close());
}

static void check_head(const cJSON *doc)
{
	static const char *const names[] = {
		"schema",    "program",	       "command", "complete", "device",
		"vendor_id", "vendor_part_id", "kernel",  "date",     "cpus",
		"clock",     "clock_cost",     "rows",
	};
	const cJSON *command = at(doc, "command");

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		CHECK(at(doc, names[i]));
	CHECK(cJSON_GetArraySize(doc) == ARRAY_LEN(names));
	CHECK(complete(doc));
	CHECK(is_text(doc, "schema", "hmm_odp-perf/1"));
	CHECK(is_text(doc, "program", "unit"));
	CHECK(is_text(doc, "device", "dev\"0"));
	CHECK(is_text(doc, "clock", "wall"));
	CHECK(is_number(doc, "vendor_id", 0x1af4));
	CHECK(cJSON_GetArraySize(command) == 3);
	CHECK(!strcmp(cJSON_GetArrayItem(command, 2)->valuestring,
		      "8,\"4k\"\\\n\x01é"));
}

static void check_good(const cJSON *r)
{
	const cJSON *key = at(r, "key");

	CHECK(is_text(key, "op", "a\"\\\n\x1f/é"));
	CHECK(is_number(key, "size", UINT32_MAX + 1.0));
	CHECK(is_text(r, "status", "ok") && !at(r, "why"));
	CHECK(is_text(r, "unit", "ns") && is_text(r, "note", "a \"note\""));
	CHECK(is_number(r, "n", 3) && is_number(r, "min", 10));
	CHECK(is_number(r, "median", 20) && is_number(r, "mean", 20));
	CHECK(is_number(r, "p90", 30) && is_number(r, "p99", 30));
	CHECK(is_number(r, "p999", 30) && is_number(r, "max", 30));
	CHECK(is_number(at(r, "extra"), "faults_per_op", 0.25));
	CHECK(!at(r, "samples"));
}

static void whole(void)
{
	static const char *const status[] = { "unsupported", "wrong",
					      "failed" };
	cJSON *doc;
	struct ran r;

	run(&r, whole_child, NULL, NULL);
	CHECK(WIFEXITED(r.status) && WEXITSTATUS(r.status) == PERF_BAD_ROW);
	CHECK(!*r.err);
	doc = parsed();
	check_head(doc);
	CHECK(rows(doc) == 4);
	check_good(row(doc, 0));
	for (int i = 0; i < 3; i++) {
		const cJSON *bad = row(doc, 1 + i);

		CHECK(is_text(bad, "status", status[i]));
		CHECK(at(bad, "why") &&
		      strstr(at(bad, "why")->valuestring, "because of \""));
		/* Never a number. */
		CHECK(!at(bad, "n") && !at(bad, "median") && !at(bad, "max"));
		CHECK(!at(at(bad, "extra"), "faults_per_op"));
	}
	CHECK(is_number(at(row(doc, 2), "extra"), "wrong_bytes", 5));
	CHECK(!at(row(doc, 1), "extra") && !at(row(doc, 3), "extra"));
	cJSON_Delete(doc);
	unit_dir_end();
}

static void table(void)
{
	struct ran r;

	run(&r, whole_child, NULL, NULL);
	CHECK(strstr(r.out, "#op ") && strstr(r.out, "faults_per_op"));
	CHECK(strstr(r.out, "not supported: because of \"u\""));
	CHECK(strstr(r.out, "WRONG: because of \"w\""));
	CHECK(strstr(r.out, "FAILED: because of \"f\""));
	unit_dir_end();
}

static void to_stdout(void)
{
	cJSON *doc;
	struct ran r;

	run(&r, whole_child, NULL, "-");
	doc = cJSON_Parse(r.out);
	CHECK(doc && complete(doc) && rows(doc) == 4);
	CHECK(strstr(r.err, "WRONG"));
	CHECK(unit_only(NULL));
	cJSON_Delete(doc);
	unit_dir_end();
}

/* --- statuses ---------------------------------------------------------------------------- */

static void status_child(const void *arg)
{
	open_report();
	good_row("a", 1);
	row_with(PERF_ROW_UNSUPPORTED, "u");
	exit(perf_report_close());
}

static void lacking_is_no_error(void)
{
	struct ran r;

	run(&r, status_child, NULL, NULL);
	CHECK(r.status == 0);
	unit_dir_end();
}

static void twice_child(const void *arg)
{
	open_report();
	good_row("a", 1);
	good_row("b", 1);
	good_row("a", 2);
	good_row("a", 1);
}

static void unique_keys(void)
{
	struct ran r;

	run(&r, twice_child, NULL, NULL);
	CHECK(unit_died(&r, "two rows key \"a\" bug"));
	ends_with(false, 3);
}

/* --- samples --------------------------------------------------------------------------------- */

static void samples_child(const void *arg)
{
	uint64_t samples[] = { 3000000, 1000000, 2500000, 1 };
	struct perf_row r;

	o.samples = true;
	o.icount = true;
	open_report();
	keys(&r, "x", 1);
	perf_row_samples(&r, samples, 4);
	perf_row_end(&r);
	keys(&r, "y", 1);
	r.unit = PERF_MBPS;
	r.scale = 1e-6;
	perf_row_samples(&r, samples, 3);
	perf_row_end(&r);
	exit(perf_report_close());
}

static void samples(void)
{
	static const double want[] = { 3000000, 1000000, 2500000, 1 };
	const cJSON *list;
	cJSON *doc;
	struct ran r;

	run(&r, samples_child, NULL, NULL);
	CHECK(r.status == 0 && strstr(r.out, "[instr]"));
	doc = parsed();
	CHECK(is_text(doc, "clock", "icount"));
	list = at(row(doc, 0), "samples");
	CHECK(cJSON_GetArraySize(list) == 4);
	for (int i = 0; i < 4; i++)
		CHECK(cJSON_GetArrayItem(list, i)->valuedouble == want[i]);
	CHECK(is_number(row(doc, 0), "median", 1000000));
	CHECK(is_text(row(doc, 1), "unit", "MB/s"));
	CHECK(is_number(row(doc, 1), "median", 2.5));
	CHECK(is_number(row(doc, 1), "max", 3));
	list = at(row(doc, 1), "samples");
	CHECK(cJSON_GetArrayItem(list, 2)->valuedouble == 2.5);
	cJSON_Delete(doc);
	unit_dir_end();
}

/* --- the file ------------------------------------------------------------------------------------ */

static void nowhere_child(const void *arg)
{
	open_report();
}

static void unwritable(void)
{
	struct ran r;

	run(&r, nowhere_child, NULL, "/nowhere/out.json");
	CHECK(unit_died(&r, "--out_json /nowhere/out.json No such"));
	unit_dir_end();
}

/*
 * A reader always sees a whole document, an old or a new one: the name moves to
 * another file, the opened file stays as it was.
 */
static void replaced_child(const void *arg)
{
	struct stat before, after;
	char *old, *same;
	FILE *f;

	same = calloc(1, 5000);
	open_report();
	old = unit_file(path);
	f = fopen(path, "r");
	if (!f || !old || !same || fstat(fileno(f), &before))
		_exit(3);
	usleep(1100000);
	good_row("a", 1);
	if (stat(path, &after) || before.st_ino == after.st_ino)
		_exit(4);
	if (!fread(same, 1, 4999, f) || strcmp(old, same))
		_exit(5);
	free(same);
	same = unit_file(path);
	if (!strstr(same, "\"complete\":false") || !strstr(same, "\"a\""))
		_exit(6);
	_exit(0);
}

static void replaced(void)
{
	struct ran r;

	run(&r, replaced_child, NULL, NULL);
	CHECK(r.status == 0);
	CHECK(unit_only("out.json"));
	unit_dir_end();
}

/* --- ends -------------------------------------------------------------------------------------------- */

static void die_child(const void *arg)
{
	open_report();
	good_row("a", 1);
	perf_die("no more");
}

static void died_early(void)
{
	struct ran r;

	run(&r, die_child, NULL, NULL);
	CHECK(unit_died(&r, "no more"));
	ends_with(false, 1);
}

static void signal_child(const void *arg)
{
	open_report();
	good_row("a", 1);
	good_row("b", 1);
	raise(*(const int *)arg);
	_exit(77);
}

static void interrupted_to(const char *out, int sig)
{
	cJSON *doc;
	struct ran r;

	run(&r, signal_child, &sig, out);
	CHECK(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 128 + sig);
	if (out) {
		doc = cJSON_Parse(r.out);
		CHECK(unit_only(NULL));
	} else {
		doc = parsed();
	}
	CHECK(doc && !complete(doc) && rows(doc) == 2);
	cJSON_Delete(doc);
	unit_dir_end();
}

static void interrupted(void)
{
	interrupted_to(NULL, SIGINT);
	interrupted_to(NULL, SIGTERM);
	interrupted_to("-", SIGINT);
}

static void busy_child(const void *arg)
{
	open_report();
	good_row("a", 1);
	hold();
	raise(SIGTERM);
	append(&report.rows, " ", 1); /* goes on */
	let_go();
	_exit(77);
}

static void interrupted_when_busy(void)
{
	struct ran r;

	run(&r, busy_child, NULL, NULL);
	CHECK(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 143);
	ends_with(false, 1);
}

/* A thread sends the signal at any time while rows are added. */
static void *send_signal(void *arg)
{
	usleep(*(useconds_t *)arg);
	kill(getpid(), SIGINT);
	return NULL;
}

static void storm_child(const void *arg)
{
	useconds_t after = *(const useconds_t *)arg;
	pthread_t t;

	o.quiet = true;
	open_report();
	pthread_create(&t, NULL, send_signal, &after);
	for (uint64_t i = 0; i < 1000000; i++)
		good_row("storm", i);
	_exit(77);
}

static void interrupted_anywhere(void)
{
	cJSON *doc;
	struct ran r;

	for (useconds_t after = 0; after < 20000; after += 997) {
		run(&r, storm_child, &after, NULL);
		CHECK(WIFEXITED(r.status) && WEXITSTATUS(r.status) == 130);
		doc = parsed();
		CHECK(!complete(doc) && at(doc, "rows"));
		for (int i = 0; i < rows(doc); i += 1 + rows(doc) / 3)
			CHECK(is_number(at(row(doc, i), "key"), "size", i));
		cJSON_Delete(doc);
		unit_dir_end();
	}
}

static void by_signal(void)
{
	raise(SIGTERM);
}

static void by_exit(void)
{
	exit(0);
}

/* How the child of a reporting process ends if it calls @end. */
static int childs_end(void (*end)(void))
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (!child) {
		end();
		_exit(77);
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		_exit(3);
	return WEXITSTATUS(status);
}

static void children_child(const void *arg)
{
	open_report();
	good_row("a", 1);
	/* So that a child's writing shows. */
	unlink(path);
	if (childs_end(by_signal) != 143 || !access(path, F_OK))
		_exit(4);
	if (childs_end(by_exit) != 0 || !access(path, F_OK))
		_exit(5);
	good_row("b", 1);
	exit(perf_report_close());
}

/* A child that ends, by signal or exit, must not write the report. */
static void children(void)
{
	struct ran r;

	run(&r, children_child, NULL, NULL);
	CHECK(r.status == 0);
	ends_with(true, 2);
}

static void bug_child(const void *arg)
{
	char longer[41];
	struct perf_row r;

	memset(longer, 'x', 40);
	longer[40] = 0;
	perf_row_begin(&r, PERF_NS);
	perf_row_key(&r, "op", arg ? "" : longer);
}

static void bad_keys(void)
{
	struct ran r;

	unit_run(&r, bug_child, NULL);
	CHECK(unit_died(&r, "key op"));
	unit_run(&r, bug_child, "");
	CHECK(unit_died(&r, "key op"));
}

const struct unit_case report_cases[] = {
	{ "a whole document: fields, escapes, statuses, figures", whole },
	{ "the table shouts what is wrong", table },
	{ "the JSON to stdout, the table to stderr", to_stdout },
	{ "a row that is not supported is no error", lacking_is_no_error },
	{ "two rows of one key are a bug", unique_keys },
	{ "samples stay in the order taken, and are scaled", samples },
	{ "a file that cannot be written is said before the work", unwritable },
	{ "the file is replaced, not rewritten", replaced },
	{ "a run that dies keeps its rows", died_early },
	{ "an interrupted run keeps its rows and tells the signal",
	  interrupted },
	{ "an interruption waits for the row that is being added",
	  interrupted_when_busy },
	{ "an interruption at any moment leaves a whole document",
	  interrupted_anywhere },
	{ "the end of a child does not touch the report", children },
	{ "keys that are no keys are refused", bad_keys },
};
const size_t num_report_cases = ARRAY_LEN(report_cases);
