// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The two ends, found, greeted, and connected. */
#include <errno.h>
#include <string.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared.h"

static void die_of_child(pid_t child)
{
	int status = 0;

	if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
		perf_die("the far end, process %d, was killed by signal %d: "
			 "start again",
			 child, WTERMSIG(status));
	/* It has said why. */
	exit(PERF_IMPOSSIBLE);
}

static void die_of_peer(struct rig *g)
{
	int err = errno;

	if (err == EAGAIN)
		perf_die("the far end has not answered in time: is its machine "
			 "alive, and --timeout long enough?");
	if (err == EPROTO)
		perf_die("%s port %d speaks another protocol: start the server "
			 "of this program there",
			 g->o->host ? g->o->host : "the far end",
			 g->o->tcp_port);
	if (g->child)
		die_of_child(g->child);
	perf_die("the far end has gone: %s: see there, and start both again",
		 strerror(err));
}

int rig_call(struct rig *g, enum side at, struct message *m)
{
	uint64_t call = m->call;

	if (at == SIDE_LOCAL) {
		end_call(&g->near, m);
		return m->err;
	}
	m->err = 0;
	*m->why = 0;
	if (!wire_send(g->sock, m) || !wire_receive(g->sock, m))
		die_of_peer(g);
	if (m->call != call) {
		errno = EPROTO;
		die_of_peer(g);
	}
	return m->err;
}

static void must(struct rig *g, enum side at, struct message *m)
{
	if (rig_call(g, at, m))
		perf_die("the %s end: %s", at == SIDE_LOCAL ? "near" : "far",
			 m->why);
}

void rig_reconnect(struct rig *g)
{
	struct message near = { .call = CALL_QP }, far = { .call = CALL_QP };

	must(g, SIDE_LOCAL, &near);
	must(g, SIDE_REMOTE, &far);
	near.call = CALL_CONNECT;
	far.call = CALL_CONNECT;
	must(g, SIDE_REMOTE, &near);
	must(g, SIDE_LOCAL, &far);
}

void rig_open(struct rig *g, const struct perf_options *o)
{
	struct message m = { .call = CALL_HELLO, .w = { VERSION, end_depth } };

	memset(g, 0, sizeof(*g));
	g->o = o;
	/* The child first, so that it inherits no device. */
	g->sock = wire_connect(o, &g->child, end_serve);
	end_open(&g->near, o, o->device);
	g->near.asks = true;
	must(g, SIDE_REMOTE, &m);
	memcpy(g->far, m.w, sizeof(g->far));
	g->one_device = g->far[HELLO_GUID] ==
			g->near.dev.attr.orig_attr.node_guid;
	rig_reconnect(g);
}

void rig_close(struct rig *g)
{
	struct message m = { .call = CALL_BYE };

	must(g, SIDE_REMOTE, &m);
	close(g->sock);
	if (g->child)
		waitpid(g->child, NULL, 0);
	end_close(&g->near);
}
