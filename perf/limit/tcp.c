// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A TCP connection between this process and the other one: what a program would
 * use without RDMA.  Each end may be in a network namespace of its own.  A
 * message goes there and one byte comes back, as the completion of a reliable
 * operation would, without Nagle's delay.
 *
 * A socket stays in the namespace that it was made in, so both are made before
 * the other process begins, and nobody has to live in a namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "limit.h"

#define ANSWER 'a'

/* By end: this process's, the other one's.  -1: there is none. */
static int sock[2] = { -1, -1 };

/* --- namespaces ----------------------------------------------------------- */

static void enter(const char *name)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/run/netns/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET))
		perf_die("the network namespace %s: %s: make it with ip netns "
			 "add, and be root",
			 name, strerror(errno));
	close(fd);
}

/* A TCP socket in @netns, or here if that is NULL. */
static int socket_in(const char *netns, int family)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), fd;

	perf_need(home >= 0, "/proc/self/ns/net");
	if (netns)
		enter(netns);
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	perf_need(fd >= 0, "a TCP socket");
	perf_need(!netns || !setns(home, CLONE_NEWNET),
		  "the network namespace that this program came from");
	close(home);
	return fd;
}

/* --- the connection ------------------------------------------------------- */

static void tune(int fd, int timeout_s)
{
	struct timeval t = { .tv_sec = timeout_s };
	int one = 1;

	perf_need(
		!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) &&
			!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t,
				    sizeof(t)) &&
			!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)),
		"options of a TCP socket");
}

static struct addrinfo *address(const char *text)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST,
				  .ai_socktype = SOCK_STREAM },
			*found;
	int err = getaddrinfo(text, NULL, &hints, &found);

	if (err)
		perf_die("--address %s: %s: give the far end's IP address",
			 text, gai_strerror(err));
	return found;
}

void limit_tcp_open(const struct perf_options *o, const char *netns,
		    const char *far)
{
	char *near = netns ? strdup(netns) : NULL, *other = near;
	struct addrinfo *a = address(far);
	struct sockaddr_storage at;
	socklen_t len = sizeof(at);
	int listener;

	if (near) {
		strsep(&other, ",");
		if (!*near || !other || !*other || strchr(other, ','))
			perf_die("--netns %s: give two, NEAR,FAR", netns);
	}
	listener = socket_in(other, a->ai_family);
	/* The kernel chooses the port. */
	if (bind(listener, a->ai_addr, a->ai_addrlen) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&at, &len))
		perf_die("--address %s: %s: give an address of the far end",
			 far, strerror(errno));
	sock[0] = socket_in(near, a->ai_family);
	tune(sock[0], o->timeout);
	if (connect(sock[0], (struct sockaddr *)&at, len))
		perf_die("a TCP connection to %s: %s: is there a route to it?",
			 far, strerror(errno));
	sock[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	perf_need(sock[1] >= 0, "accept");
	tune(sock[1], o->timeout);
	close(listener);
	freeaddrinfo(a);
	free(near);
}

void limit_tcp_keep(int end)
{
	if (sock[!end] >= 0)
		close(sock[!end]);
	sock[!end] = -1;
}

/* --- messages ------------------------------------------------------------- */

static bool send_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

static bool receive_all(int fd, void *buf, size_t len)
{
	char *p = buf;

	while (len) {
		ssize_t n = recv(fd, p, len, 0);

		if (!n)
			errno = ECONNRESET;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

bool limit_tcp_ask(const void *buf, size_t len)
{
	char answer = 0;

	if (!send_all(sock[0], buf, len) || !receive_all(sock[0], &answer, 1))
		return false;
	if (answer != ANSWER)
		errno = EPROTO;
	return answer == ANSWER;
}

bool limit_tcp_answer(void *buf, size_t len, uint64_t times)
{
	const char answer = ANSWER;

	for (uint64_t i = 0; i < times; i++) {
		if (!receive_all(sock[1], buf, len) ||
		    !send_all(sock[1], &answer, 1))
			return false;
	}
	return true;
}
