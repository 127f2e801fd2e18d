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

static void member(struct perf_crew *c, int index, pid_t parent,
		   bool (*work)(int index, int fd, void *arg), void *arg)
{
	bool ok = false;

	/* The parent may be gone before this is in effect. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/*
	 * Close the other members' sockets, or they never see an end of file.
	 */
	for (int i = 0; i < index; i++)
		close(c->member[i].fd);
	if (getppid() == parent)
		ok = work(index, c->member[index].fd, arg);
	_exit(ok ? 0 : PERF_BAD_ROW);
}

void perf_crew_start(struct perf_crew *c, int n,
		     bool (*work)(int index, int fd, void *arg), void *arg)
{
	pid_t parent = getpid();

	c->n = 0;
	c->member = calloc(n, sizeof(*c->member));
	perf_need(c->member, "memory for processes");
	/* Otherwise each child would print what is still in the buffer. */
	fflush(NULL);
	while (c->n < n) {
		int fds[2];

		perf_need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				      fds),
			  "a socket for a process");
		c->member[c->n].pid = fork();
		perf_need(c->member[c->n].pid >= 0, "fork");
		if (!c->member[c->n].pid) {
			close(fds[0]);
			c->member[c->n].fd = fds[1];
			member(c, c->n, parent, work, arg);
		}
		close(fds[1]);
		c->member[c->n++].fd = fds[0];
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
