// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The other process: it has memory, and does with it what it is asked to.
 * One question, one answer, over a pair of sockets; a closed socket means that
 * the one who asks is gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/crew.h"
#include "limit.h"

enum what { GET, PUT, FILL, CLEAR, WRONG, TCP };

struct question {
	enum what what;
	enum perf_mem_kind kind;
	size_t len;
	uint64_t seed; /* TCP: how many messages */
};

struct answer {
	uint64_t value; /* an address, or how many bytes */
	char why[300];
};

static int wire;
static pid_t other;

static void answer(const struct perf_options *o, const struct question *q,
		   struct perf_mem *m, struct answer *a)
{
	const char *missing;

	switch (q->what) {
	case GET:
		missing = perf_mem_try(m, o, q->kind, q->len);
		if (missing) {
			snprintf(a->why, sizeof(a->why), "%s", missing);
			return;
		}
		perf_mem_touch(m, m->len);
		a->value = (uintptr_t)m->p;
		break;
	case PUT:
		perf_mem_put(m);
		break;
	case FILL:
		perf_fill(m->p, q->len, q->seed);
		break;
	case CLEAR:
		memset(m->p, 0, q->len);
		break;
	case WRONG:
		a->value = perf_wrong(m->p, q->len, q->seed);
		break;
	case TCP:
		break;
	}
}

static void serve(const struct perf_options *o)
{
	struct perf_mem m = { .fd = -1 };
	struct question q;

	limit_tcp_keep(1);
	while (recv(wire, &q, sizeof(q), MSG_WAITALL) == sizeof(q)) {
		struct answer a = { 0 };

		answer(o, &q, &m, &a);
		if (send(wire, &a, sizeof(a), MSG_NOSIGNAL) != sizeof(a))
			break;
		/* The one who asks sees it if that fails. */
		if (q.what == TCP && !limit_tcp_answer(m.p, q.len, q.seed))
			break;
	}
	_exit(0);
}

void limit_other_start(const struct perf_options *o)
{
	other = perf_fork(&wire);
	if (!other)
		serve(o);
	limit_tcp_keep(0);
}

pid_t limit_other_pid(void)
{
	return other;
}

static struct answer ask(struct question q)
{
	struct answer a;

	if (send(wire, &q, sizeof(q), MSG_NOSIGNAL) != sizeof(q) ||
	    recv(wire, &a, sizeof(a), MSG_WAITALL) != sizeof(a))
		perf_die("the other process is gone: see the kernel log, it "
			 "may have run out of memory");
	return a;
}

uint8_t *limit_other_get(enum perf_mem_kind kind, size_t len, const char **why)
{
	static struct answer a;

	a = ask((struct question){ .what = GET, .kind = kind, .len = len });
	*why = *a.why ? a.why : NULL;
	return (uint8_t *)a.value;
}

void limit_other_put(void)
{
	ask((struct question){ .what = PUT });
}

void limit_other_fill(size_t len, uint64_t seed)
{
	ask((struct question){ .what = FILL, .len = len, .seed = seed });
}

void limit_other_clear(size_t len)
{
	ask((struct question){ .what = CLEAR, .len = len });
}

size_t limit_other_wrong(size_t len, uint64_t seed)
{
	return ask((struct question){ .what = WRONG, .len = len, .seed = seed })
		.value;
}

void limit_other_answer(size_t len, uint64_t times)
{
	ask((struct question){ .what = TCP, .len = len, .seed = times });
}
