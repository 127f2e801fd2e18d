// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * evictor: take pages away from another process, from outside, at a set rate.
 *
 * It stands for what the kernel does to memory that is not pinned: reclaim,
 * hole punching, migration, collapsing into huge pages.  What it is for is to
 * run beside an unmodified program that has registered the memory, so that the
 * program's own figures show how the device takes it.
 *
 * Events keep to the clock; one that is late is not made up for.  Each is
 * counted by the target's page table before and after it: pages that were
 * there and are gone, or are others.  A page that comes back in between as the
 * same page is missed, so the count is a lower bound.
 *
 *   idle     an event that found no page present: not in the figures
 *   refused  the kernel said no.  If because pages were busy, as those are
 *            that a device has pinned, the event counts: it met them
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "evictor.h"

#define SECOND 1000000000ULL
#define LOOK_AGAIN (SECOND / 1000) /* for a mapping that is not there yet */
#define GRACE (2 * SECOND) /* for a command that was told to end */

/* What one way of taking pages did. */
struct tally {
	uint64_t *samples; /* of events that found pages */
	size_t n, room;
	uint64_t events, idle, refused, gone;
	int err; /* the last refusal */
	const char *lacks; /* of the last event that found nothing */
};

static struct perf_options options;
static struct evictor_target target = { .pidfd = -1,
					.fd = -1,
					.which = "largest" };
static struct tally tallies[EVICTOR_HOWS];
static const char *missing[EVICTOR_HOWS];
static uint32_t hows = 1 << EVICTOR_PAGEOUT;
static int rate = 100, seconds = -1, patience = 10, pid;
static const char *want_bytes, *want_range, *want_file;
static uint64_t bytes = UINT64_MAX, lasted;
static bool is_exec;
static char **command;
static volatile sig_atomic_t stop;

/* --- one event ------------------------------------------------------------ */

static uint64_t file_pages(void)
{
	struct stat st;

	return fstat(target.fd, &st) ? 0 : st.st_blocks * 512 / PERF_PAGE;
}

static void keep(struct tally *y, uint64_t took)
{
	if (y->n == y->room) {
		y->room = y->room ? y->room * 2 : 1024;
		y->samples = realloc(y->samples, y->room * sizeof(*y->samples));
		perf_need(y->samples, "memory for samples");
	}
	y->samples[y->n++] = took;
}

/* Pages that went, of those @present; without a process, blocks of the file. */
static size_t take(enum evictor_how how, const struct evictor_range *pieces,
		   int n, size_t *present, uint64_t *took, int *err)
{
	uint64_t *before = NULL, *after, blocks = 0, begin;
	size_t npages, gone;

	if (target.pid)
		before = evictor_pages(&target, pieces, n, &npages);
	else
		blocks = file_pages();
	begin = perf_now();
	*err = evictor_how_take(how, &target, pieces, n);
	*took = perf_now() - begin;
	if (!target.pid) {
		uint64_t left = file_pages();

		*present = blocks;
		return blocks > left ? blocks - left : 0;
	}
	after = evictor_pages(&target, pieces, n, &npages);
	gone = evictor_gone(before, after, npages, present);
	free(before);
	free(after);
	return gone;
}

static void event(enum evictor_how how, uint64_t *cursor)
{
	struct evictor_range pieces[EVICTOR_RANGES];
	uint64_t took, cost = perf_clock_cost();
	struct tally *y = &tallies[how];
	size_t present, gone;
	int n, err;

	/*
	 * A smaller piece may hold no aligned 2 MiB, which the kernel checks.
	 */
	n = evictor_target_next(&target, cursor,
				how == EVICTOR_COLLAPSE ? UINT64_MAX : bytes,
				pieces);
	err = evictor_how_before(how, &target, pieces, n);
	if (err)
		perf_die("writing %s back: %s", target.file, strerror(err));
	gone = take(how, pieces, n, &present, &took, &err);
	if (err == ESRCH)
		return; /* it has ended meanwhile */
	y->events++;
	y->gone += gone;
	if (err && err != ENODATA) {
		y->refused++;
		y->err = err;
	}
	if (err == ENODATA || (!err && !present)) {
		y->idle++;
		y->lacks = evictor_how_lacks(how, &target, pieces, n);
	} else if (!err || err == EAGAIN || err == EBUSY) {
		keep(y, took > cost ? took - cost : 0);
	}
}

/* --- the loop ------------------------------------------------------------- */

/* Sleep until @when.  True: the process has ended, or it is time to stop. */
static bool over(uint64_t when)
{
	struct pollfd p = { .fd = target.pidfd, .events = POLLIN };
	uint64_t now = perf_now(), left = when > now ? when - now : 0;
	struct timespec t = { left / SECOND, left % SECOND };

	return ppoll(&p, 1, &t, NULL) > 0 || stop;
}

/* How many of the chosen ways work here? */
static int possible(enum evictor_how *list)
{
	const char *why = NULL;
	int n = 0;

	for (int h = 0; h < EVICTOR_HOWS; h++) {
		if (!(hows & 1u << h))
			continue;
		missing[h] = evictor_how_missing(h, &target);
		if (missing[h])
			why = missing[h];
		else
			list[n++] = h;
	}
	if (!n)
		perf_die("%s", why);
	return n;
}

static const char *what(void)
{
	if (target.file)
		return "file";
	if (*target.which == '/')
		return "path";
	return *target.which == '0' ? "range" : target.which;
}

/* False: it ended, or was stopped, before it had such a mapping. */
static bool wait_for_mapping(void)
{
	uint64_t end = perf_now() + patience * SECOND;

	while (!evictor_target_find(&target)) {
		if (perf_now() > end)
			perf_die("process %d has no mapping of %s after %d s: "
				 "see /proc/%d/maps, or give it more time with "
				 "--wait",
				 target.pid,
				 target.file ? target.file : target.which,
				 patience, target.pid);
		if (over(perf_now() + LOOK_AGAIN))
			return false;
	}
	return true;
}

static void evict(void)
{
	uint64_t begin, end, next, cursor = 0, turn = 0;
	uint64_t period = rate ? SECOND / rate : 0;
	enum evictor_how list[EVICTOR_HOWS];
	int n;

	if (!wait_for_mapping()) {
		if (!stop)
			perf_die("the process ended before it had a mapping of "
				 "%s: choose another with --range or --file",
				 target.file ? target.file : target.which);
		return;
	}
	n = possible(list);
	begin = perf_now();
	next = begin;
	end = seconds ? begin + seconds * SECOND : UINT64_MAX;
	while (!over(next) && perf_now() < end) {
		uint64_t now;

		if (evictor_target_find(&target))
			event(list[turn++ % n], &cursor);
		now = perf_now();
		next = next + period > now ? next + period : now;
		next = next < end ? next : end;
	}
	lasted = perf_now() - begin;
}

/* --- rows ----------------------------------------------------------------- */

static void row_of(enum evictor_how how)
{
	struct tally *y = &tallies[how];
	struct perf_row r;

	perf_row_begin(&r, PERF_NS);
	perf_row_key(&r, "how", evictor_how_names[how]);
	perf_row_key(&r, "what", what());
	perf_row_key_u64(&r, "bytes", bytes == UINT64_MAX ? 0 : bytes);
	perf_row_key_u64(&r, "rate", rate);
	if (missing[how]) {
		perf_row_status(&r, PERF_ROW_UNSUPPORTED, "%s", missing[how]);
	} else if (!y->n && y->refused) {
		perf_row_status(&r, PERF_ROW_FAILED,
				"%lu of %lu events found no page to take, the "
				"kernel refused the others: %s",
				y->idle, y->events, strerror(y->err));
	} else if (!y->n && y->lacks) {
		perf_row_status(&r, PERF_ROW_UNSUPPORTED, "%s", y->lacks);
	} else if (!y->n) {
		perf_row_status(&r, PERF_ROW_FAILED,
				"none of %lu events found a page to take",
				y->events);
	} else {
		perf_row_samples(&r, y->samples, y->n);
		perf_row_extra(&r, "events", y->events);
		perf_row_extra(&r, "gone_pages", y->gone);
		perf_row_extra(&r, "idle", y->idle);
		perf_row_extra(&r, "refused", y->refused);
		perf_row_extra(&r, "events_per_s",
			       y->events * (double)SECOND / lasted);
		r.note = target.pid ?
				 "gone_pages: from the process's page table" :
				 "gone_pages: from the file's blocks";
	}
	perf_row_end(&r);
}

/* --- the command ---------------------------------------------------------- */

static void start_command(void)
{
	pid_t me = getpid();
	int pipe_fd[2], err = 0;

	perf_need(!pipe2(pipe_fd, O_CLOEXEC), "pipe");
	pid = fork();
	perf_need(pid >= 0, "fork");
	if (!pid) {
		if (!prctl(PR_SET_PDEATHSIG, SIGKILL) && getppid() == me)
			execvp(command[0], command);
		err = errno;
		if (write(pipe_fd[1], &err, sizeof(err)) < 0)
			_exit(126);
		_exit(127);
	}
	close(pipe_fd[1]);
	/* Nothing arrives if exec() closed the other end. */
	if (read(pipe_fd[0], &err, sizeof(err)) > 0)
		perf_die("%s: %s: give a command that runs", command[0],
			 strerror(err));
	close(pipe_fd[0]);
}

/* Its exit status, as a shell reports it. */
static int end_command(void)
{
	uint64_t end = perf_now() + GRACE;
	struct pollfd p = { .fd = target.pidfd, .events = POLLIN };
	int status;

	if (stop) {
		kill(pid, SIGTERM);
		while (perf_now() < end && poll(&p, 1, 100) <= 0)
			;
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return 0;
		kill(pid, SIGTERM);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- the program ---------------------------------------------------------- */

static const struct perf_option own_options[] = {
	{ "pid", .number = &pid, .min = 1, .max = 1 << 22 },
	{ "exec", .flag = &is_exec },
	{ "how", .set = &hows, .names = evictor_how_names },
	{ "rate", .number = &rate, .max = 1000000 },
	{ "bytes", .text = &want_bytes },
	{ "range", .text = &want_range },
	{ "file", .text = &want_file },
	{ "seconds", .number = &seconds, .max = 1000000 },
	{ "wait", .number = &patience, .max = 1000000 },
	{},
};

static const struct perf_program program = {
	.name = "evictor",
	.summary = "Take pages away from another process at a set rate.\n"
		   "With --exec, from a COMMAND after --.",
	.help = "  --pid PID               the process; or\n"
		"  --exec -- COMMAND...    one that is started\n"
		"  --how LIST              pageout (default), punch, migrate, collapse;\n"
		"                          more than one take turns\n"
		"  --rate N                events per second (100); 0: no pause\n"
		"  --bytes N               of one event (all of the range)\n"
		"  --range WHICH           anonymous: all mappings that are private,\n"
		"                          writable and without a file; largest: of\n"
		"                          those (default); heap; /PATH;\n"
		"                          0xSTART+LENGTH\n"
		"  --file FILE             mappings of FILE; punch DESTROYS its bytes\n"
		"  --seconds S             for so long (until the process ends; 10\n"
		"                          without a process)\n"
		"  --wait S                for the mapping to be there (10)\n",
	.options = own_options,
	.no_device = true,
};

static void on_signal(int sig)
{
	stop = sig;
}

static void catch_signals(void)
{
	struct sigaction a = { .sa_handler = on_signal };

	sigaction(SIGINT, &a, NULL);
	sigaction(SIGTERM, &a, NULL);
}

/* Everything behind "--" belongs to the command. */
static int split_command(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--")) {
			command = argv + i + 1;
			return i;
		}
	}
	return argc;
}

static void check(void)
{
	if (want_bytes)
		bytes = perf_size(want_bytes);
	if (want_bytes && bytes % PERF_PAGE)
		perf_die("--bytes %s: give whole pages of 4096 bytes",
			 want_bytes);
	if (want_range)
		evictor_target_which(&target, want_range);
	if (want_file)
		evictor_target_file(&target, want_file);
	if (is_exec && (!command || !*command))
		perf_die("--exec needs a command: evictor --exec -- COMMAND");
	if (command && !is_exec)
		perf_die("a command after -- needs --exec");
	if (is_exec && pid)
		perf_die("--exec starts the process: leave out --pid");
	if (!is_exec && !pid && !target.file)
		perf_die("no process: give --pid, --exec, or --how punch with "
			 "--file");
	if (!is_exec && !pid && hows != 1 << EVICTOR_PUNCH)
		perf_die("a file without a process can only be punched: give "
			 "--pid or --exec, or --how punch");
	if (seconds < 0)
		seconds = is_exec || pid ? 0 : 10;
}

int main(int argc, char **argv)
{
	int bad, status = 0;

	perf_options(&options, &program, split_command(argc, argv), argv);
	check();
	perf_clock_cost();
	if (is_exec)
		start_command();
	if (pid)
		evictor_target_process(&target, pid);
	perf_report_open(&options, &program, NULL, argc, argv);
	catch_signals();
	evict();
	if (is_exec)
		status = end_command();
	for (int h = 0; h < EVICTOR_HOWS; h++) {
		if (hows & 1u << h &&
		    (tallies[h].events || missing[h] || !stop))
			row_of(h);
	}
	bad = perf_report_close();
	if (stop)
		return 128 + stop;
	return bad ? bad : status;
}
