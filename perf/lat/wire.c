// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Calls to the far end: a length of four bytes, then call, errno and words as
 * big-endian 64-bit numbers, then the text.  All messages are of one length; a
 * peer that speaks another protocol is known by another one.
 *
 * Nobody waits for ever: the near end's socket has a time-out, a far end that
 * is a child dies with its parent, one on another machine notices by TCP
 * keepalive that its client has gone.
 */
#include <endian.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/crew.h"
#include "shared.h"

#define BODY (8 * (2 + WORDS) + sizeof(((struct message *)0)->why))

struct frame {
	uint32_t len;
	uint64_t w[2 + WORDS];
	char why[sizeof(((struct message *)0)->why)];
} __attribute__((packed));

bool wire_send(int sock, const struct message *m)
{
	struct frame f = { .len = htobe32(BODY) };
	const char *p = (const char *)&f;
	size_t left = sizeof(f);

	f.w[0] = htobe64(m->call);
	f.w[1] = htobe64(m->err);
	for (int i = 0; i < WORDS; i++)
		f.w[2 + i] = htobe64(m->w[i]);
	memcpy(f.why, m->why, sizeof(f.why));
	while (left) {
		ssize_t n = send(sock, p, left, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		p += n;
		left -= n;
	}
	return true;
}

static bool receive_all(int sock, void *buf, size_t len)
{
	char *p = buf;

	while (len) {
		ssize_t n = recv(sock, p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (!n)
			errno = ECONNRESET;
		if (n <= 0)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

bool wire_receive(int sock, struct message *m)
{
	struct frame f;

	if (!receive_all(sock, &f.len, sizeof(f.len)))
		return false;
	if (be32toh(f.len) != BODY) {
		errno = EPROTO;
		return false;
	}
	if (!receive_all(sock, f.w, BODY))
		return false;
	m->call = be64toh(f.w[0]);
	m->err = be64toh(f.w[1]);
	for (int i = 0; i < WORDS; i++)
		m->w[i] = be64toh(f.w[2 + i]);
	memcpy(m->why, f.why, sizeof(m->why));
	m->why[sizeof(m->why) - 1] = 0;
	return true;
}

void wire_put_address(struct message *m, const struct perf_qp_address *a)
{
	m->w[0] = a->qpn;
	m->w[1] = a->psn;
	m->w[2] = be64toh(a->gid.global.subnet_prefix);
	m->w[3] = be64toh(a->gid.global.interface_id);
	m->w[4] = a->lid;
	m->w[5] = a->rd_atomic;
	m->w[6] = a->port;
	m->w[7] = a->mtu;
}

void wire_get_address(const struct message *m, struct perf_qp_address *a)
{
	a->qpn = m->w[0];
	a->psn = m->w[1];
	a->gid.global.subnet_prefix = htobe64(m->w[2]);
	a->gid.global.interface_id = htobe64(m->w[3]);
	a->lid = m->w[4];
	a->rd_atomic = m->w[5];
	a->port = m->w[6];
	a->mtu = m->w[7];
}

/*
 * An answer may take a completion's time-out on the other side, and some of the
 * largest region's bytes painted by a slow CPU.
 */
static void limit_wait(int sock, const struct perf_options *o)
{
	struct timeval t = { .tv_sec = 30 + 2 * o->timeout };

	perf_need(!setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) &&
			  !setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &t,
				      sizeof(t)),
		  "a time-out for the socket");
}

static int fork_peer(const struct perf_options *o, pid_t *child,
		     void (*serve)(const struct perf_options *o, int sock))
{
	int sock;

	*child = perf_fork(&sock);
	if (*child) {
		limit_wait(sock, o);
		return sock;
	}
	serve(o, sock);
	_exit(PERF_OK);
}

static struct addrinfo *look_up(const char *host, int port, int flags)
{
	struct addrinfo hints = { .ai_flags = flags,
				  .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;
	char service[8];
	int err;

	/* An IPv6 socket accepts IPv4 as well. */
	if (!host)
		hints.ai_family = AF_INET6;
	snprintf(service, sizeof(service), "%d", port);
	err = getaddrinfo(host, service, &hints, &list);
	if (err)
		perf_die("%s: %s: give a host that runs the server",
			 host ? host : "an address to listen on",
			 gai_strerror(err));
	return list;
}

static int connect_tcp(const struct perf_options *o)
{
	struct addrinfo *list = look_up(o->host, o->tcp_port, 0);
	int sock = -1, one = 1;

	for (struct addrinfo *a = list; a && sock < 0; a = a->ai_next) {
		sock = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
		if (sock < 0)
			continue;
		limit_wait(sock, o);
		if (connect(sock, a->ai_addr, a->ai_addrlen)) {
			close(sock);
			sock = -1;
		}
	}
	if (sock < 0)
		perf_die("%s port %d: %s: start the server there first "
			 "(--server)",
			 o->host, o->tcp_port, strerror(errno));
	freeaddrinfo(list);
	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return sock;
}

int wire_connect(const struct perf_options *o, pid_t *child,
		 void (*serve)(const struct perf_options *o, int sock))
{
	*child = 0;
	return o->host ? connect_tcp(o) : fork_peer(o, child, serve);
}

/* A client that vanished without a word is noticed within a minute. */
static void keep_alive(int sock)
{
	int one = 1, idle = 30, every = 10, times = 3;

	setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(sock, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(sock, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(sock, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
}

static int listen_at(const struct addrinfo *a)
{
	int one = 1, none = 0, err;
	int sock = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return -1;
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(sock, IPPROTO_IPV6, IPV6_V6ONLY, &none, sizeof(none));
	if (!bind(sock, a->ai_addr, a->ai_addrlen) && !listen(sock, 1))
		return sock;
	err = errno;
	close(sock);
	errno = err;
	return -1;
}

int wire_accept(const struct perf_options *o)
{
	struct addrinfo *list = look_up(NULL, o->tcp_port, AI_PASSIVE);
	int sock, client;

	sock = listen_at(list);
	if (sock < 0)
		perf_die("port %d: %s: take another with --port on both sides",
			 o->tcp_port, strerror(errno));
	freeaddrinfo(list);
	client = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
	perf_need(client >= 0, "accept");
	close(sock);
	keep_alive(client);
	return client;
}
