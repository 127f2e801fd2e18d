// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Processes that work in steps.
 *
 * Each member has a socket to its parent: a byte up is "ready", a byte down is
 * "go", and the end of the other side is an end of file, whatever it died of.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crew.h"

#define NAP_US 1000

void *perf_crew_shared(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	perf_need(p != MAP_FAILED, "memory that processes share");
	return p;
}

void perf_crew_unshare(void *p, size_t len)
{
	munmap(p, len);
}

pid_t perf_fork(int *sock)
{
	pid_t parent = getpid(), child;
	int pair[2];

	perf_need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
		  "a socket for a process");
	/* Otherwise the child would print what is still in the buffer. */
	fflush(NULL);
	child = fork();
	perf_need(child >= 0, "fork");
	*sock = pair[!child];
	close(pair[!!child]);
	if (child)
		return child;
	/* The parent may be gone before this is in effect. */
	perf_need(!prctl(PR_SET_PDEATHSIG, SIGKILL), "PR_SET_PDEATHSIG");
	if (getppid() != parent)
		_exit(PERF_IMPOSSIBLE);
	return 0;
}

static void member(struct perf_crew *c, int index,
		   bool (*work)(int index, int fd, void *arg), void *arg)
{
	/*
	 * Close the other members' sockets, or they never see an end of file.
	 */
	for (int i = 0; i < index; i++)
		close(c->member[i].fd);
	_exit(work(index, c->member[index].fd, arg) ? 0 : PERF_BAD_ROW);
}

void perf_crew_start(struct perf_crew *c, int n,
		     bool (*work)(int index, int fd, void *arg), void *arg)
{
	c->member = calloc(n, sizeof(*c->member));
	perf_need(c->member, "memory for processes");
	for (c->n = 0; c->n < n; c->n++) {
		c->member[c->n].pid = perf_fork(&c->member[c->n].fd);
		if (!c->member[c->n].pid)
			member(c, c->n, work, arg);
	}
}

bool perf_crew_ready(int fd)
{
	char c = 'r';

	if (send(fd, &c, 1, MSG_NOSIGNAL) != 1)
		return false;
	while (recv(fd, &c, 1, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return c == 'g';
}

static bool wait_ready(int fd, uint64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;
	int n;

	do {
		uint64_t now = perf_now();

		if (now >= until)
			return false;
		n = poll(&p, 1, (until - now) / 1000000 + 1);
	} while (!n || (n < 0 && errno == EINTR));
	return n > 0 && recv(fd, &c, 1, 0) == 1;
}

bool perf_crew_step(struct perf_crew *c, int timeout_s)
{
	uint64_t until = perf_now() + timeout_s * 1000000000ULL;

	for (int i = 0; i < c->n; i++) {
		if (!wait_ready(c->member[i].fd, until))
			return false;
	}
	return true;
}

void perf_crew_go(struct perf_crew *c)
{
	for (int i = 0; i < c->n; i++)
		send(c->member[i].fd, "g", 1, MSG_NOSIGNAL);
}

/* False: it had to be killed, or ended badly. */
static bool end(pid_t pid, uint64_t until)
{
	bool killed = false;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (!killed && perf_now() > until) {
			kill(pid, SIGKILL);
			killed = true;
		}
		usleep(NAP_US);
	}
	return !status;
}

bool perf_crew_end(struct perf_crew *c, int timeout_s)
{
	uint64_t until = perf_now() + timeout_s * 1000000000ULL;
	bool ok = true;

	/* A member that waits for its "go" reads an end of file. */
	for (int i = 0; i < c->n; i++)
		close(c->member[i].fd);
	for (int i = 0; i < c->n; i++)
		ok = end(c->member[i].pid, until) && ok;
	free(c->member);
	memset(c, 0, sizeof(*c));
	return ok;
}
