// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Cases and results.
 *
 * ht_run() prints a TAP plan and runs each case in a child, in a process group of
 * its own. The exit status of the child is the result; its output is printed at
 * once, as TAP comments. Shared memory carries the number of checks and the reason
 * of a skip to the parent.
 *
 * A case that outlives its deadline is killed. If it cannot be killed, it hangs in
 * the kernel: its stack is printed and the program bails out, because nothing that
 * runs after that can be trusted.
 */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "hodp_test.h"

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 4 };

/* Written by the child that runs a case, read by the parent. */
struct shared {
	atomic_ulong checks;
	char skip[200];
};

static struct shared *shared;
static struct ht_case *cases;
static size_t num_cases;
static const char *match;
static bool list_only;

static double env_factor(const char *name)
{
	const char *text = getenv(name);
	double v = text && *text ? strtod(text, NULL) : 1;

	if (v <= 0) {
		fprintf(stderr, "%s must be a number above 0, not \"%s\"\n", name, text);
		exit(2);
	}
	return v;
}

static void usage(const char *name, int status)
{
	fprintf(status ? stderr : stdout,
		"usage: %s [-d DEVICE] [-p PEER_DEVICE] [-g GID_INDEX|ipv6] [-c RC|UC] [-s SEED]\n"
		"          [-i N | --iterations N | --transfers N] [--full]\n"
		"          [-t PART_OF_A_NAME] [-l]\n",
		name);
	exit(status);
}

static enum ibv_qp_type type_named(const char *name, const char *program)
{
	if (!strcmp(name, "UC"))
		return IBV_QPT_UC;
	if (strcmp(name, "RC"))
		usage(program, 2);
	return IBV_QPT_RC;
}

void ht_init(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "iterations", required_argument, NULL, 'i' },
		{ "transfers", required_argument, NULL, 'i' },
		{ "full", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	ht_opt.scale = env_factor("HODP_SCALE");
	ht_opt.patience = env_factor("HODP_PATIENCE");
	while ((c = getopt_long(argc, argv, "d:p:g:c:s:i:t:lh", longs, NULL)) != -1) {
		switch (c) {
		case 'd': ht_opt.dev = optarg; break;
		case 'p': ht_opt.peer = optarg; break;
		case 'g': ht_opt.gid = strcmp(optarg, "ipv6") ? atoi(optarg) : HT_GID_IPV6; break;
		case 'c': ht_opt.type = type_named(optarg, argv[0]); break;
		case 's': ht_opt.seed = strtoull(optarg, NULL, 0); break;
		case 'i': ht_opt.count = atol(optarg); break;
		case 'f': ht_opt.full = true; break;
		case 't': match = optarg; break;
		case 'l': list_only = true; break;
		case 'h': usage(argv[0], 0); break;
		default: usage(argv[0], 2);
		}
	}
	if (optind != argc)
		usage(argv[0], 2);
	if (!ht_opt.peer)
		ht_opt.peer = ht_opt.dev;
	shared = ht_map_shared(sizeof(*shared));
}

static void add_one(const struct ht_case *c)
{
	if (match && !strstr(c->name, match))
		return;
	cases = reallocarray(cases, num_cases + 1, sizeof(*cases));
	if (!cases)
		abort();
	cases[num_cases++] = *c;
}

/* Cases point to its elements. */
static enum ht_mem_kind kinds[HT_MEM_KINDS];

void ht_add(const struct ht_case *c)
{
	for (; c->name; c++) {
		if (!c->kinds)
			add_one(c);
		for (int k = 0; k < HT_MEM_KINDS; k++) {
			kinds[k] = k;
			if (c->kinds & HT_BIT(k))
				ht_addf(c->fn, &kinds[k], c->deadline, c->intent, "%s/%s", c->name,
					ht_mem_name(k));
		}
	}
}

void ht_addf(void (*fn)(const void *), const void *arg, int deadline, const char *intent,
	     const char *name, ...)
{
	struct ht_case c = {
		.intent = intent,
		.fn = fn,
		.arg = arg,
		.deadline = deadline,
	};
	char *text;
	va_list ap;

	va_start(ap, name);
	if (vasprintf(&text, name, ap) < 0)
		abort();
	va_end(ap);
	c.name = text;
	add_one(&c);
}

long ht_count(long normal)
{
	long n = normal * ht_opt.scale;

	if (ht_opt.count > 0)
		return ht_opt.count;
	return n > 0 ? n : 1;
}

void ht_note(const char *fmt, ...)
{
	char line[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	printf("# %s\n", line);
}

void ht_checked(void)
{
	atomic_fetch_add(&shared->checks, 1);
}

void ht_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(shared->skip, sizeof(shared->skip), fmt, ap);
	va_end(ap);
	fflush(stdout);
	_exit(EXIT_SKIPPED);
}

void ht_fail_at(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("# %s:%d: %s\n", base ? base + 1 : file, line, text);
	fflush(stdout);
	/* Not exit(): other threads may be in the middle of anything. */
	_exit(EXIT_FAILED);
}

/* --- processes --------------------------------------------------------------- */

pid_t ht_fork(void (*fn)(void *), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ht_check(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(arg);
		fflush(stdout);
		_exit(0);
	}
	return pid;
}

void ht_join(pid_t pid)
{
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (ht_over(deadline))
			ht_fail("the child %d does not end", (int)pid);
		ht_sleep_ms(1);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED)
		_exit(EXIT_SKIPPED);
	ht_check(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		 "the child ended with wait status 0x%x", status);
}

/* --- the runner ---------------------------------------------------------------- */

static bool wait_pidfd(int fd, double seconds)
{
	uint64_t deadline = ht_now() + (uint64_t)(seconds * 1e9);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (!ht_over(deadline)) {
		if (poll(&p, 1, 200) == 1)
			return true;
	}
	return false;
}

static void show_stacks(pid_t pgid)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd),
		 "for t in $(ps -e -L -o pgid=,lwp= | awk '$1 == %d { print $2 }'); do "
		 "echo \"# task $t: $(cat /proc/$t/comm)\"; "
		 "sed 's/^/# /' /proc/$t/stack; done",
		 (int)pgid);
	fflush(stdout);
	if (system(cmd))
		printf("# (no stacks to show)\n");
}

static void run_child(const struct ht_case *c)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpgid(0, 0);
	c->fn(c->arg);
	if (!atomic_load(&shared->checks)) {
		printf("# the case checked nothing\n");
		fflush(stdout);
		_exit(EXIT_FAILED);
	}
	fflush(stdout);
	_exit(0);
}

/* Wait for the child; kill it when it takes too long. False: it hangs. */
static bool reap(const struct ht_case *c, pid_t pid, int *status, bool *late)
{
	double limit = (c->deadline ? c->deadline : 60) * ht_opt.patience;
	int fd = pidfd_open(pid, 0);
	bool dead;

	*late = !wait_pidfd(fd, limit);
	if (*late) {
		printf("# no end within %.0f s; killed\n", limit);
		show_stacks(pid);
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	dead = wait_pidfd(fd, 30 * ht_opt.patience);
	close(fd);
	if (!dead)
		return false;
	waitpid(pid, status, 0);
	kill(-pid, SIGKILL);
	return true;
}

static void say_end(const struct ht_case *c, int status, bool late, size_t i, int *failed,
		    int *skipped)
{
	if (!late && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		printf("ok %zu - %s\n", i, c->name);
		return;
	}
	if (!late && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
		printf("ok %zu - %s # SKIP %s\n", i, c->name, shared->skip);
		++*skipped;
		return;
	}
	if (WIFSIGNALED(status) && !late)
		printf("# killed by signal %d (%s)\n", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
	printf("# intent: %s\n", c->intent);
	printf("not ok %zu - %s\n", i, c->name);
	++*failed;
}

int ht_run(void)
{
	int failed = 0, skipped = 0, status;
	bool late;

	if (list_only) {
		for (size_t i = 0; i < num_cases; i++)
			printf("%s: %s\n", cases[i].name, cases[i].intent);
		return 0;
	}
	printf("1..%zu\n", num_cases);
	ht_note("device %s, peer %s, seed 0x%" PRIx64, ht_opt.dev, ht_opt.peer, ht_opt.seed);
	if (!num_cases) {
		ht_note("no case is called like \"%s\"", match ? match : "");
		return 1;
	}
	for (size_t i = 0; i < num_cases; i++) {
		const struct ht_case *c = &cases[i];
		uint64_t begin = ht_now();
		pid_t pid;

		memset(shared, 0, sizeof(*shared));
		fflush(stdout);
		pid = fork();
		if (pid < 0) {
			printf("Bail out! fork: %s\n", strerror(errno));
			return 1;
		}
		if (pid == 0)
			run_child(c);
		if (!reap(c, pid, &status, &late)) {
			printf("not ok %zu - %s\n", i + 1, c->name);
			show_stacks(pid);
			printf("Bail out! %s hangs in the kernel\n", c->name);
			return 1;
		}
		if (ht_now() - begin > 3000000000ULL)
			ht_note("%s took %.1f s", c->name, (ht_now() - begin) / 1e9);
		say_end(c, status, late, i + 1, &failed, &skipped);
	}
	ht_note("%zu cases, %d failed, %d skipped", num_cases, failed, skipped);
	return failed ? 1 : 0;
}
