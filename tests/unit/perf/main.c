// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of perf/lib without a device.
 *
 * Here: main, and children.  figures.c has statistics and bytes, options.c the
 * command line, report.c the JSON document and the table, mem.c memory, wire.c
 * what ends tell each other.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static char dir[60];

static void read_back(FILE *f, char *to, size_t size)
{
	rewind(f);
	to[fread(to, 1, size - 1, f)] = 0;
	fclose(f);
}

void unit_run(struct ran *r, void (*fn)(const void *arg), const void *arg)
{
	FILE *out = tmpfile(), *err = tmpfile();
	pid_t child;

	if (!out || !err)
		abort();
	fflush(NULL);
	child = fork();
	if (!child) {
		dup2(fileno(out), 1);
		dup2(fileno(err), 2);
		fn(arg);
		exit(0);
	}
	if (child < 0 || waitpid(child, &r->status, 0) != child)
		abort();
	read_back(out, r->out, sizeof(r->out));
	read_back(err, r->err, sizeof(r->err));
}

bool unit_died(const struct ran *r, const char *words)
{
	char copy[200], *rest = copy, *word;
	const char *nl = strchr(r->err, '\n');
	bool all = WIFEXITED(r->status) &&
		   WEXITSTATUS(r->status) == PERF_IMPOSSIBLE && nl && !nl[1];

	snprintf(copy, sizeof(copy), "%s", words);
	while (all && (word = strsep(&rest, " ")))
		all = strstr(r->err, word);
	if (!all)
		printf("# status 0x%x, stderr: %s\n", r->status, r->err);
	return all;
}

char *unit_file(const char *path)
{
	FILE *f = fopen(path, "re");
	struct stat st;
	char *text;

	if (!f)
		return NULL;
	if (fstat(fileno(f), &st) || !(text = malloc(st.st_size + 1)))
		abort();
	read_back(f, text, st.st_size + 1);
	return text;
}

const char *unit_dir(void)
{
	strcpy(dir, "/tmp/perf-unit.XXXXXX");
	if (!mkdtemp(dir))
		abort();
	return dir;
}

bool unit_only(const char *file)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	bool only = d;

	while (d && (e = readdir(d))) {
		if (*e->d_name == '.' || (file && !strcmp(e->d_name, file)))
			continue;
		printf("# left: %s\n", e->d_name);
		only = false;
	}
	if (d)
		closedir(d);
	return only;
}

void unit_dir_end(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		abort();
}

int main(void)
{
	unit_cases(figure_cases, num_figure_cases);
	unit_cases(option_cases, num_option_cases);
	unit_cases(mem_cases, num_mem_cases);
	unit_cases(report_cases, num_report_cases);
	unit_cases(wire_cases, num_wire_cases);
	return unit_end();
}
