// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The rows of a run: a table as they come, and a JSON document
 * (perf/schema.md).
 *
 * The document is kept as text, head and rows, ready to be written at any
 * moment with what a signal handler may call: so a run that is interrupted
 * keeps its rows without a thread of its own, whose mere existence would make
 * the measured system calls dearer.  A file is written beside its name and
 * renamed, so that a reader sees a whole document, always.
 *
 * @busy is held by whoever changes the text or writes it.  A handler that finds
 * it held leaves the signal in @caught for the holder to find when it lets go;
 * one that gets it never gives it back.  Children inherit the handler but not
 * the report: they just end.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "perf.h"

#define SCHEMA "hmm_odp-perf/1"

/* A file is written anew no more often than that; at the end in any case. */
#define WRITE_EVERY 1000000000ULL

static const char complete_no[] = ",\"complete\":false,\"rows\":[";
static const char complete_yes[] = ",\"complete\":true,\"rows\":[";
static const char tail[] = "\n]}\n";

struct text {
	char *p;
	size_t len, room;
};

static struct {
	const struct perf_options *o;
	pid_t owner; /* 0: no report is open */
	FILE *table; /* NULL: none */
	struct text head, rows;
	void *keys; /* tsearch */
	char *path, *tmp; /* NULL: none, or stdout */
	bool to_stdout;
	bool bad;
	uint64_t written; /* when */
	char header[600]; /* the table's last */
} report;

static int busy;
static volatile sig_atomic_t caught;

/* --- the document ----------------------------------------------------------- */

static void append(struct text *t, const char *s, size_t len)
{
	if (t->len + len > t->room) {
		t->room = (t->len + len) * 2;
		t->p = realloc(t->p, t->room);
		perf_need(t->p, "memory for the report");
	}
	memcpy(t->p + t->len, s, len);
	t->len += len;
}

static bool write_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static bool write_document(int fd, bool complete)
{
	const char *c = complete ? complete_yes : complete_no;

	return write_all(fd, report.head.p, report.head.len) &&
	       write_all(fd, c, strlen(c)) &&
	       write_all(fd, report.rows.p, report.rows.len) &&
	       write_all(fd, tail, strlen(tail));
}

/* May run in a signal handler.  False: see errno. */
static bool write_file(bool complete)
{
	int fd, err;

	fd = open(report.tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return false;
	if (write_document(fd, complete) && !close(fd) &&
	    !rename(report.tmp, report.path))
		return true;
	err = errno;
	close(fd);
	unlink(report.tmp);
	errno = err;
	return false;
}

static bool write_end(bool complete)
{
	if (report.to_stdout)
		return write_document(STDOUT_FILENO, complete);
	return !report.path || write_file(complete);
}

/* --- interruption ------------------------------------------------------------- */

static bool try_hold(void)
{
	return !__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE);
}

static void end_by(int sig)
{
	static const char failed[] = "the JSON could not be written\n";

	if (!write_end(false) && write(2, failed, sizeof(failed) - 1) < 0)
		_exit(PERF_IMPOSSIBLE);
	_exit(128 + sig);
}

static void on_signal(int sig)
{
	if (getpid() != report.owner)
		_exit(128 + sig);
	caught = sig;
	if (try_hold())
		end_by(sig);
}

static void hold(void)
{
	/* A handler in another thread holds it: the process is about to end. */
	while (!try_hold())
		pause();
}

static void let_go(void)
{
	__atomic_store_n(&busy, 0, __ATOMIC_SEQ_CST);
	if (caught && try_hold())
		end_by(caught);
}

static void at_exit(void)
{
	if (report.owner == getpid() && try_hold())
		write_end(false);
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigfillset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* --- head --------------------------------------------------------------------- */

static cJSON *made(cJSON *item)
{
	perf_need(item, "memory for the report");
	return item;
}

static void add_text(cJSON *to, const char *name, const char *text)
{
	made(cJSON_AddStringToObject(to, name, text));
}

static void add_number(cJSON *to, const char *name, double n)
{
	made(cJSON_AddNumberToObject(to, name, n));
}

static void add_device(cJSON *doc, const struct perf_dev *d)
{
	if (d)
		add_text(doc, "device", d->name);
	else
		made(cJSON_AddNullToObject(doc, "device"));
	if (report.o->peer)
		add_text(doc, "peer", report.o->peer);
	add_number(doc, "vendor_id", d ? d->attr.orig_attr.vendor_id : 0);
	add_number(doc, "vendor_part_id",
		   d ? d->attr.orig_attr.vendor_part_id : 0);
}

static void add_machine(cJSON *doc)
{
	time_t now = time(NULL);
	struct utsname u;
	char date[40];

	uname(&u);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
	add_text(doc, "kernel", u.release);
	add_text(doc, "date", date);
	add_number(doc, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
	add_text(doc, "clock", report.o->icount ? "icount" : "wall");
	add_number(doc, "clock_cost", perf_clock_cost());
}

/* All but its closing brace: "complete" and the rows come after. */
static void make_head(const struct perf_program *p, const struct perf_dev *d,
		      int argc, char **argv)
{
	cJSON *doc = made(cJSON_CreateObject()), *command;
	char *text;

	add_text(doc, "schema", SCHEMA);
	add_text(doc, "program", p->name);
	command = made(cJSON_AddArrayToObject(doc, "command"));
	for (int i = 0; i < argc; i++)
		cJSON_AddItemToArray(command,
				     made(cJSON_CreateString(argv[i])));
	add_device(doc, d);
	add_machine(doc);
	text = cJSON_PrintUnformatted(doc);
	perf_need(text, "memory for the report");
	append(&report.head, text, strlen(text) - 1);
	cJSON_free(text);
	cJSON_Delete(doc);
}

static void make_paths(const char *path)
{
	if (!strcmp(path, "-")) {
		report.to_stdout = true;
		return;
	}
	report.path = strdup(path);
	if (asprintf(&report.tmp, "%s.%d.tmp", path, getpid()) < 0)
		report.tmp = NULL;
	perf_need(report.path && report.tmp, "memory for the report");
}

void perf_report_open(const struct perf_options *o,
		      const struct perf_program *p, const struct perf_dev *d,
		      int argc, char **argv)
{
	report.o = o;
	if (!o->quiet)
		report.table = o->out_json && !strcmp(o->out_json, "-") ?
				       stderr :
				       stdout;
	make_head(p, d, argc, argv);
	if (o->out_json)
		make_paths(o->out_json);
	/* Fail now and not after all the work. */
	if (report.path && !write_file(false))
		perf_die("--out_json %s: %s: give a file that can be written",
			 report.path, strerror(errno));
	report.written = perf_now();
	report.owner = getpid();
	atexit(at_exit);
	catch_signals();
}

/* --- rows --------------------------------------------------------------------- */

void perf_row_begin(struct perf_row *r, enum perf_unit unit)
{
	memset(r, 0, sizeof(*r));
	r->unit = unit;
}

static int new_key(struct perf_row *r, const char *name)
{
	if (r->nkeys == PERF_KEYS)
		perf_die("a row has %d keys at most", PERF_KEYS);
	r->key[r->nkeys].name = name;
	return r->nkeys++;
}

void perf_row_key(struct perf_row *r, const char *name, const char *text)
{
	int i = new_key(r, name);

	if (!*text || strlen(text) >= sizeof(r->key[i].text))
		perf_die("the key %s: \"%s\" is no key: 1 to %zu bytes", name,
			 text, sizeof(r->key[i].text) - 1);
	strcpy(r->key[i].text, text);
}

void perf_row_key_u64(struct perf_row *r, const char *name, uint64_t number)
{
	r->key[new_key(r, name)].number = number;
}

void perf_row_extra(struct perf_row *r, const char *name, double value)
{
	if (r->nextras == PERF_EXTRAS)
		perf_die("a row has %d extras at most", PERF_EXTRAS);
	r->extra[r->nextras].name = name;
	r->extra[r->nextras++].value = value;
}

void perf_row_status(struct perf_row *r, enum perf_row_status status,
		     const char *format, ...)
{
	va_list ap;

	r->status = status;
	*r->why = 0;
	if (!format)
		return;
	va_start(ap, format);
	vsnprintf(r->why, sizeof(r->why), format, ap);
	va_end(ap);
}

void perf_row_samples(struct perf_row *r, uint64_t *samples, size_t n)
{
	uint64_t *copy;

	r->has_stats = true;
	if (!report.o || !report.o->samples || !n) {
		perf_stats(samples, n, &r->stats);
		return;
	}
	copy = malloc(n * sizeof(*copy));
	perf_need(copy, "memory for samples");
	memcpy(copy, samples, n * sizeof(*copy));
	perf_stats(copy, n, &r->stats);
	free(copy);
	r->samples = samples;
	r->nsamples = n;
}

static const char *const statuses[] = {
	[PERF_ROW_OK] = "ok",
	[PERF_ROW_WRONG] = "wrong",
	[PERF_ROW_UNSUPPORTED] = "unsupported",
	[PERF_ROW_FAILED] = "failed",
};

static const char *const units[] = {
	[PERF_NS] = "ns",
	[PERF_MBPS] = "MB/s",
	[PERF_OPS] = "ops/s",
	[PERF_BYTES] = "bytes",
};

/* A row that is not ok has no figures, only the number of wrong bytes. */
static bool extra_counts(const struct perf_row *r, int i)
{
	return r->status == PERF_ROW_OK ||
	       (r->status == PERF_ROW_WRONG &&
		!strcmp(r->extra[i].name, "wrong_bytes"));
}

static bool has_figures(const struct perf_row *r)
{
	return r->status == PERF_ROW_OK && r->has_stats;
}

static cJSON *key_json(const struct perf_row *r)
{
	cJSON *key = made(cJSON_CreateObject());

	for (int i = 0; i < r->nkeys; i++) {
		if (*r->key[i].text)
			add_text(key, r->key[i].name, r->key[i].text);
		else
			add_number(key, r->key[i].name, r->key[i].number);
	}
	return key;
}

static double scale_of(const struct perf_row *r)
{
	return r->scale > 0 ? r->scale : 1;
}

static void add_stats(cJSON *row, const struct perf_row *r)
{
	const struct perf_stats *s = &r->stats;
	double scale = scale_of(r);
	cJSON *samples;

	add_number(row, "n", s->n);
	add_number(row, "min", s->min * scale);
	add_number(row, "median", s->median * scale);
	add_number(row, "mean", s->mean * scale);
	add_number(row, "p90", s->p90 * scale);
	add_number(row, "p99", s->p99 * scale);
	add_number(row, "p999", s->p999 * scale);
	add_number(row, "max", s->max * scale);
	if (!r->samples)
		return;
	samples = made(cJSON_AddArrayToObject(row, "samples"));
	for (size_t i = 0; i < r->nsamples; i++)
		cJSON_AddItemToArray(samples, made(cJSON_CreateNumber(
						      r->samples[i] * scale)));
}

static void add_extras(cJSON *row, const struct perf_row *r)
{
	cJSON *extra = NULL;

	for (int i = 0; i < r->nextras; i++) {
		if (!extra_counts(r, i))
			continue;
		if (!extra)
			extra = made(cJSON_AddObjectToObject(row, "extra"));
		add_number(extra, r->extra[i].name, r->extra[i].value);
	}
}

static char *row_json(const struct perf_row *r)
{
	cJSON *row = made(cJSON_CreateObject());
	char *text;

	made(cJSON_AddItemToObject(row, "key", key_json(r)) ? row : NULL);
	add_text(row, "status", statuses[r->status]);
	if (r->status != PERF_ROW_OK)
		add_text(row, "why", *r->why ? r->why : "no reason was given");
	add_text(row, "unit", units[r->unit]);
	if (has_figures(r))
		add_stats(row, r);
	add_extras(row, r);
	if (r->note)
		add_text(row, "note", r->note);
	text = cJSON_PrintUnformatted(row);
	perf_need(text, "memory for the report");
	cJSON_Delete(row);
	return text;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Two rows with one key would hide one of them from a comparison. */
static void check_key(const struct perf_row *r)
{
	cJSON *key = key_json(r);
	char *text = cJSON_PrintUnformatted(key), **found;

	cJSON_Delete(key);
	perf_need(text, "memory for the report");
	found = tsearch(text, &report.keys, by_text);
	perf_need(found, "memory for the report");
	if (*found != text)
		perf_die(
			"two rows have the key %s: this is a bug of the program",
			text);
}

/* --- the table ---------------------------------------------------------------- */

#define KEY_WIDTH 10

/* Figures in the table carry their unit in the header. */
static const char *unit_in_table(enum perf_unit unit)
{
	if (unit == PERF_NS)
		return report.o->icount ? "instr" : "nsec";
	return units[unit];
}

static int key_width(const struct perf_row *r, int i)
{
	int n = strlen(r->key[i].name) + 1;

	return n > KEY_WIDTH ? n : KEY_WIDTH;
}

static void print_header(const struct perf_row *r)
{
	char text[sizeof(report.header)] = "";
	FILE *f = fmemopen(text, sizeof(text), "w");

	perf_need(f, "fmemopen");
	for (int i = 0; i < r->nkeys; i++)
		fprintf(f, i ? "%-*s " : "#%-*s ", key_width(r, i) - !i,
			r->key[i].name);
	if (has_figures(r))
		fprintf(f, "%9s %10s %10s %10s %10s %10s %10s [%s]", "n", "min",
			"median", "p90", "p99", "p99.9", "max",
			unit_in_table(r->unit));
	for (int i = 0; r->status == PERF_ROW_OK && i < r->nextras; i++)
		fprintf(f, "  %s", r->extra[i].name);
	fclose(f);
	/* A row without figures fits any header with its keys. */
	if (!has_figures(r) && !strncmp(text, report.header, strlen(text)))
		return;
	if (strcmp(text, report.header))
		fprintf(report.table, "%s\n", text);
	strcpy(report.header, text);
}

static void print_figures(FILE *f, const struct perf_row *r)
{
	const struct perf_stats *s = &r->stats;
	const uint64_t figures[] = { s->min, s->median, s->p90,
				     s->p99, s->p999,	s->max };

	if (r->has_stats) {
		fprintf(f, "%9lu", s->n);
		for (int i = 0; i < 6; i++)
			fprintf(f, r->scale > 0 ? " %10.3f" : " %10.0f",
				figures[i] * scale_of(r));
		fprintf(f, "%*s", (int)strlen(unit_in_table(r->unit)) + 3, "");
	}
	for (int i = 0; i < r->nextras; i++)
		fprintf(f, "  %*.6g", (int)strlen(r->extra[i].name),
			r->extra[i].value);
}

static void print_row(const struct perf_row *r)
{
	static const char *const shout[] = {
		[PERF_ROW_WRONG] = "WRONG",
		[PERF_ROW_UNSUPPORTED] = "not supported",
		[PERF_ROW_FAILED] = "FAILED",
	};
	FILE *f = report.table;

	if (!f)
		return;
	print_header(r);
	for (int i = 0; i < r->nkeys; i++) {
		if (*r->key[i].text)
			fprintf(f, "%-*s ", key_width(r, i), r->key[i].text);
		else
			fprintf(f, "%-*lu ", key_width(r, i), r->key[i].number);
	}
	if (r->status == PERF_ROW_OK)
		print_figures(f, r);
	else
		fprintf(f, "%s: %s", shout[r->status], r->why);
	fputc('\n', f);
	fflush(f);
}

/* --- the end of a row, and of all ------------------------------------------- */

void perf_row_end(struct perf_row *r)
{
	bool wrote = true;
	char *text;

	if (!report.owner)
		perf_die(
			"a row without a report: this is a bug of the program");
	check_key(r);
	text = row_json(r);
	hold();
	append(&report.rows, report.rows.len ? ",\n" : "\n",
	       report.rows.len ? 2 : 1);
	append(&report.rows, text, strlen(text));
	if (report.path && perf_now() - report.written > WRITE_EVERY) {
		wrote = write_file(false);
		report.written = perf_now();
	}
	let_go();
	cJSON_free(text);
	if (!wrote)
		perf_die("--out_json %s: %s", report.path, strerror(errno));
	report.bad |= r->status == PERF_ROW_WRONG ||
		      r->status == PERF_ROW_FAILED;
	print_row(r);
}

int perf_report_close(void)
{
	bool wrote, bad = report.bad;

	hold();
	wrote = write_end(true);
	report.owner = 0;
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	if (!wrote)
		perf_die("--out_json %s: %s", report.o->out_json,
			 strerror(errno));
	tdestroy(report.keys, cJSON_free);
	free(report.head.p);
	free(report.rows.p);
	free(report.path);
	free(report.tmp);
	memset(&report, 0, sizeof(report));
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
	return bad ? PERF_BAD_ROW : PERF_OK;
}
