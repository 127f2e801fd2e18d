// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Queue pairs of an iWARP device.
 *
 * ibv_modify_qp() cannot bring them into service: the connection manager has
 * to, over TCP.  The end that asks connects, the other one accepts; RFC 5044
 * wants the first message from the end that connected.
 *
 *   port   where a process listens, one for all its queue pairs, at the
 *          device's IP address
 *   link   a queue pair and the cm id of its connection, which live equally
 *          long: a cm id that goes cuts its connection
 *   events of all cm ids of a device come by one channel to one thread, which
 *          accepts requests at once, so that an end that is asked need not do
 *          anything, and wakes whoever waits for an answer
 *
 * The queue pair is ibv_create_qp()'s, and the connection manager is told its
 * number.  An end that accepts is in RTS before its answer leaves, so both ends
 * can be used when the one that connected has its answer.
 *
 * librdmacm is loaded when there is an iWARP device to be opened, and not linked:
 * for all others libibverbs is enough, and a machine need not have more.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <rdma/rdma_cma.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "iwarp.h"

#define LIBRARY "librdmacm.so.1"
#define PATIENCE_S 10
#define BACKLOG 256
#define NO_EVENT -1

static struct {
	typeof(rdma_create_event_channel) *create_event_channel;
	typeof(rdma_destroy_event_channel) *destroy_event_channel;
	typeof(rdma_create_id) *create_id;
	typeof(rdma_destroy_id) *destroy_id;
	typeof(rdma_bind_addr) *bind_addr;
	typeof(rdma_listen) *listen;
	typeof(rdma_resolve_addr) *resolve_addr;
	typeof(rdma_resolve_route) *resolve_route;
	typeof(rdma_connect) *connect;
	typeof(rdma_accept) *accept;
	typeof(rdma_reject) *reject;
	typeof(rdma_get_src_port) *get_src_port;
	typeof(rdma_get_cm_event) *get_cm_event;
	typeof(rdma_ack_cm_event) *ack_cm_event;
} cm;

static const struct {
	const char *name;
	void *to;
} calls[] = {
	{ "rdma_create_event_channel", &cm.create_event_channel },
	{ "rdma_destroy_event_channel", &cm.destroy_event_channel },
	{ "rdma_create_id", &cm.create_id },
	{ "rdma_destroy_id", &cm.destroy_id },
	{ "rdma_bind_addr", &cm.bind_addr },
	{ "rdma_listen", &cm.listen },
	{ "rdma_resolve_addr", &cm.resolve_addr },
	{ "rdma_resolve_route", &cm.resolve_route },
	{ "rdma_connect", &cm.connect },
	{ "rdma_accept", &cm.accept },
	{ "rdma_reject", &cm.reject },
	{ "rdma_get_src_port", &cm.get_src_port },
	{ "rdma_get_cm_event", &cm.get_cm_event },
	{ "rdma_ack_cm_event", &cm.ack_cm_event },
};

struct link {
	struct perf_iwarp *of;
	struct link *next;
	uint32_t qpn;
	struct rdma_cm_id *id; /* NULL: not connected */
	int event, status; /* the last event of @id, or NO_EVENT */
};

struct perf_iwarp {
	struct sockaddr_storage address; /* the device's; port 0 */
	uint8_t depth; /* READs under way, of the device */
	bool listens;
	uint16_t port;
	struct rdma_event_channel *channel;
	struct rdma_cm_id *listener;
	int stop; /* an eventfd */
	pthread_t thread;
	/* Of what follows. */
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct link *links;
};

/* --- addresses -------------------------------------------------------------- */

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static void to_gid(const struct sockaddr_storage *from, union ibv_gid *gid)
{
	const struct sockaddr_in *v4 = (const void *)from;
	const struct sockaddr_in6 *v6 = (const void *)from;

	if (from->ss_family == AF_INET) {
		memcpy(gid->raw, mapped, sizeof(mapped));
		memcpy(gid->raw + sizeof(mapped), &v4->sin_addr, 4);
	} else {
		memcpy(gid->raw, &v6->sin6_addr, 16);
	}
}

static void to_sockaddr(const struct perf_qp_address *a,
			struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (void *)to;
	struct sockaddr_in6 *v6 = (void *)to;

	memset(to, 0, sizeof(*to));
	if (!memcmp(a->gid.raw, mapped, sizeof(mapped))) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(a->port);
		memcpy(&v4->sin_addr, a->gid.raw + sizeof(mapped), 4);
	} else {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(a->port);
		memcpy(&v6->sin6_addr, a->gid.raw, 16);
	}
}

/* An address that a peer can use; false: @a is none. */
static bool take_address(const struct sockaddr *a, struct sockaddr_storage *to)
{
	const struct sockaddr_in6 *v6 = (const void *)a;

	memset(to, 0, sizeof(*to));
	if (a && a->sa_family == AF_INET)
		memcpy(to, a, sizeof(struct sockaddr_in));
	else if (a && a->sa_family == AF_INET6 &&
		 !IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
		memcpy(to, a, sizeof(struct sockaddr_in6));
	else
		return false;
	return true;
}

/* A cm id bound to @a, which decides its device.  NULL and errno. */
static struct rdma_cm_id *bound_id(struct rdma_event_channel *channel,
				   const struct sockaddr_storage *a)
{
	struct rdma_cm_id *id;
	int err;

	if (cm.create_id(channel, &id, NULL, RDMA_PS_TCP))
		return NULL;
	if (!cm.bind_addr(id, (struct sockaddr *)a))
		return id;
	err = errno;
	cm.destroy_id(id);
	errno = err;
	return NULL;
}

static bool is_of_device(struct rdma_event_channel *channel,
			 const struct sockaddr_storage *a, const char *name)
{
	struct rdma_cm_id *id = bound_id(channel, a);
	bool is;

	if (!id)
		return false;
	is = id->verbs && !strcmp(ibv_get_device_name(id->verbs->device), name);
	cm.destroy_id(id);
	return is;
}

/* The kernel does not say which addresses are a device's: try each. */
static bool find_address(struct perf_iwarp *w, struct perf_dev *d)
{
	struct rdma_event_channel *channel = cm.create_event_channel();
	struct ifaddrs *list;
	bool found = false;

	if (!channel)
		perf_die("%s is iWARP, and the connection manager, "
			 "/dev/infiniband/rdma_cm: %s: load rdma_ucm",
			 d->name, strerror(errno));
	perf_need(!getifaddrs(&list), "getifaddrs");
	/* The connection manager takes a loopback address for any device's. */
	for (struct ifaddrs *i = list; i && !found; i = i->ifa_next)
		found = !(i->ifa_flags & IFF_LOOPBACK) &&
			take_address(i->ifa_addr, &w->address) &&
			is_of_device(channel, &w->address, d->name);
	freeifaddrs(list);
	cm.destroy_event_channel(channel);
	return found;
}

/* --- the thread --------------------------------------------------------------- */

static struct rdma_conn_param parameters(const struct perf_iwarp *w,
					 const struct link *l, int depth)
{
	return (struct rdma_conn_param){
		.qp_num = l->qpn,
		.responder_resources = w->depth,
		.initiator_depth = depth < w->depth ? depth : w->depth,
	};
}

/* False: nobody waits for this request. */
static bool accept_request(struct perf_iwarp *w, struct rdma_cm_event *e)
{
	const struct rdma_conn_param *asked = &e->param.conn;
	struct rdma_conn_param p;
	struct link *l;
	uint32_t qpn;

	if (!perf_greeted(asked->private_data, asked->private_data_len, &qpn))
		return false;
	for (l = w->links; l && l->qpn != qpn;)
		l = l->next;
	if (!l || l->id)
		return false;
	p = parameters(w, l, asked->initiator_depth);
	if (cm.accept(e->id, &p))
		return false;
	l->id = e->id;
	return true;
}

static void tell(struct perf_iwarp *w, const struct rdma_cm_event *e)
{
	struct link *l = w->links;

	while (l && l->id != e->id)
		l = l->next;
	if (!l)
		return; /* it is being destroyed */
	l->event = e->event;
	l->status = e->status;
	pthread_cond_broadcast(&w->change);
}

static void handle(struct perf_iwarp *w, struct rdma_cm_event *e)
{
	struct rdma_cm_id *unwanted = NULL;

	pthread_mutex_lock(&w->lock);
	if (e->event != RDMA_CM_EVENT_CONNECT_REQUEST)
		tell(w, e);
	else if (!accept_request(w, e))
		unwanted = e->id;
	pthread_mutex_unlock(&w->lock);
	cm.ack_cm_event(e);
	if (unwanted) {
		cm.reject(unwanted, NULL, 0);
		cm.destroy_id(unwanted);
	}
}

static void *serve(void *arg)
{
	struct perf_iwarp *w = arg;
	struct pollfd p[2] = { { .fd = w->stop, .events = POLLIN },
			       { .fd = w->channel->fd, .events = POLLIN } };
	struct rdma_cm_event *e;

	for (;;) {
		int n = poll(p, 2, -1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || p[0].revents)
			return NULL;
		if (!cm.get_cm_event(w->channel, &e))
			handle(w, e);
	}
}

/* Signals are the program's. */
static int start_thread(struct perf_iwarp *w)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, NULL, serve, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

static int stop_listening(struct perf_iwarp *w, int err)
{
	if (w->listener)
		cm.destroy_id(w->listener);
	if (w->channel)
		cm.destroy_event_channel(w->channel);
	if (w->stop >= 0)
		close(w->stop);
	w->listener = NULL;
	w->channel = NULL;
	w->stop = -1;
	return err;
}

/*
 * Start it with the first queue pair: a process that forks has none yet as a
 * rule.
 */
static int start_listening(struct perf_iwarp *w)
{
	int err;

	w->stop = eventfd(0, EFD_CLOEXEC);
	w->channel = w->stop < 0 ? NULL : cm.create_event_channel();
	w->listener = w->channel ? bound_id(w->channel, &w->address) : NULL;
	/* An event that poll() has seen is gone if its cm id is destroyed. */
	if (!w->listener || fcntl(w->channel->fd, F_SETFL, O_NONBLOCK) ||
	    cm.listen(w->listener, BACKLOG))
		return stop_listening(w, errno);
	w->port = ntohs(cm.get_src_port(w->listener));
	err = start_thread(w);
	if (err)
		return stop_listening(w, err);
	w->listens = true;
	return 0;
}

/* --- connecting ----------------------------------------------------------------- */

/* Wait for @event of @l; an errno for another event, or for none in time. */
static int await(struct link *l, enum rdma_cm_event_type event)
{
	struct perf_iwarp *w = l->of;
	struct timespec until;
	int err = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&w->lock);
	while (l->event == NO_EVENT && !err)
		err = pthread_cond_timedwait(&w->change, &w->lock, &until);
	if (l->event == (int)event && !l->status)
		err = 0;
	else if (l->event != NO_EVENT)
		err = l->status < 0 ? -l->status : ECONNREFUSED;
	l->event = NO_EVENT;
	pthread_mutex_unlock(&w->lock);
	return err;
}

static int give_id(struct link *l, struct rdma_cm_id *id)
{
	struct perf_iwarp *w = l->of;
	bool taken;

	pthread_mutex_lock(&w->lock);
	taken = l->id;
	if (!taken)
		l->id = id;
	l->event = NO_EVENT;
	pthread_mutex_unlock(&w->lock);
	if (!taken)
		return 0;
	cm.destroy_id(id);
	return EISCONN;
}

int perf_iwarp_connect(struct perf_iwarp *w, struct ibv_qp *qp,
		       const struct perf_qp_address *peer)
{
	struct link *l = qp->qp_context;
	struct rdma_conn_param p;
	struct perf_greeting greeting;
	struct sockaddr_storage to;
	struct rdma_cm_id *id = bound_id(w->channel, &w->address);
	int err;

	if (!id)
		return errno;
	err = give_id(l, id);
	if (err)
		return err;
	to_sockaddr(peer, &to);
	if (cm.resolve_addr(id, NULL, (struct sockaddr *)&to,
			    PATIENCE_S * 1000))
		return errno;
	err = await(l, RDMA_CM_EVENT_ADDR_RESOLVED);
	if (err)
		return err;
	if (cm.resolve_route(id, PATIENCE_S * 1000))
		return errno;
	err = await(l, RDMA_CM_EVENT_ROUTE_RESOLVED);
	if (err)
		return err;
	perf_greet(&greeting, peer->qpn);
	p = parameters(w, l, peer->rd_atomic);
	p.private_data = &greeting;
	p.private_data_len = sizeof(greeting);
	return cm.connect(id, &p) ? errno : await(l, RDMA_CM_EVENT_ESTABLISHED);
}

int perf_iwarp_add(struct perf_iwarp *w, struct ibv_qp *qp)
{
	struct link *l;
	int err = w->listens ? 0 : start_listening(w);

	if (err)
		return err;
	l = calloc(1, sizeof(*l));
	if (!l)
		return errno;
	l->of = w;
	l->qpn = qp->qp_num;
	l->event = NO_EVENT;
	pthread_mutex_lock(&w->lock);
	l->next = w->links;
	w->links = l;
	pthread_mutex_unlock(&w->lock);
	qp->qp_context = l;
	return 0;
}

void perf_iwarp_remove(struct ibv_qp *qp)
{
	struct link *l = qp->qp_context, **at;
	struct perf_iwarp *w = l->of;

	pthread_mutex_lock(&w->lock);
	for (at = &w->links; *at != l;)
		at = &(*at)->next;
	*at = l->next;
	pthread_mutex_unlock(&w->lock);
	/* Without the lock: it waits for the thread to be done with its events. */
	if (l->id)
		cm.destroy_id(l->id);
	free(l);
	qp->qp_context = NULL;
}

uint16_t perf_iwarp_port(const struct perf_iwarp *w)
{
	return w->port;
}

/* --- the device -------------------------------------------------------------------- */

static void load_library(const char *device)
{
	void *library = dlopen(LIBRARY, RTLD_NOW);

	if (!library)
		perf_die("%s is iWARP, whose queue pairs librdmacm connects: "
			 "%s: install it",
			 device, dlerror());
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		void *call = dlsym(library, calls[i].name);

		if (!call)
			perf_die("%s has no %s: install a newer one", LIBRARY,
				 calls[i].name);
		memcpy(calls[i].to, &call, sizeof(call));
	}
}

void perf_iwarp_open(struct perf_dev *d, const struct perf_options *o)
{
	pthread_condattr_t monotonic;
	struct perf_iwarp *w;

	if (o->mtu || o->gid_index >= 0)
		perf_die("%s is iWARP, which has an IP address and TCP's "
			 "segments: leave out --%s",
			 d->name, o->mtu ? "mtu" : "gid-index");
	load_library(d->name);
	w = calloc(1, sizeof(*w));
	perf_need(w, "memory for connections");
	w->stop = -1;
	if (!find_address(w, d))
		perf_die("%s has no IP address: give its netdev one, and no "
			 "other RDMA device there",
			 d->name);
	to_gid(&w->address, &d->gid);
	w->depth = perf_rd_atomic(d);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->change, &monotonic);
	d->iwarp = w;
}

void perf_iwarp_close(struct perf_iwarp *w)
{
	uint64_t one = 1;

	if (w->listens) {
		perf_need(write(w->stop, &one, sizeof(one)) == sizeof(one),
			  "an end for the connections");
		pthread_join(w->thread, NULL);
		stop_listening(w, 0);
	}
	free(w);
}
