// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A device and its queue pairs, to be found by name and put into service; and
 * the second device of programs that drive both ends of a network.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iwarp.h"

/* Empty polls before the CPU is offered to others. */
#define SPINS 8

/* Empty polls between two looks at the clock. */
#define LOOK 1024

static void die_of_name(const char *name, struct ibv_device **list)
{
	char text[300] = "";
	size_t at = 0;

	for (int i = 0; list[i] && at < sizeof(text); i++)
		at += snprintf(text + at, sizeof(text) - at, "%s%s",
			       i ? ", " : "", ibv_get_device_name(list[i]));
	if (!*text)
		perf_die("there is no RDMA device %s, nor any other: make one "
			 "with rdma link add",
			 name);
	perf_die("there is no RDMA device %s: use one of %s", name, text);
}

static struct ibv_context *open_by_name(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx;
	int i = 0;

	if (!list)
		perf_die("no RDMA devices: %s: load a driver", strerror(errno));
	while (list[i] && strcmp(ibv_get_device_name(list[i]), name))
		i++;
	if (!list[i])
		die_of_name(name, list);
	ctx = ibv_open_device(list[i]);
	if (!ctx)
		perf_die(
			"ibv_open_device of %s: %s: may you use it, and is its "
			"provider there?",
			name, strerror(errno));
	ibv_free_device_list(list);
	return ctx;
}

static bool is_ipv4(const struct ibv_gid_entry *e)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return e->gid_type == IBV_GID_TYPE_ROCE_V2 &&
	       !memcmp(e->gid.raw, mapped, sizeof(mapped));
}

static void die_of_gid(const struct perf_dev *d, int port, int index)
{
	struct ibv_gid_entry e;
	char text[200] = "";
	size_t at = 0;

	for (int i = 0; i < d->port.gid_tbl_len && at < sizeof(text); i++) {
		if (!ibv_query_gid_ex(d->ctx, port, i, &e, 0))
			at += snprintf(text + at, sizeof(text) - at, " %d", i);
	}
	if (index < 0)
		perf_die("%s has no GID: give its netdev an IP address",
			 d->name);
	perf_die("%s has no GID %d: use one of%s", d->name, index,
		 *text ? text : " none: its netdev needs an IP address");
}

static void find_gid(struct perf_dev *d, const struct perf_options *o)
{
	struct ibv_gid_entry e;
	int found = -1;

	for (int i = 0; i < d->port.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(d->ctx, o->port, i, &e, 0))
			continue;
		if (o->gid_index >= 0 && i != o->gid_index)
			continue;
		if (found < 0 || is_ipv4(&e)) {
			found = i;
			d->gid = e.gid;
		}
		if (is_ipv4(&e))
			break;
	}
	if (found < 0)
		die_of_gid(d, o->port, o->gid_index);
	d->gid_index = found;
}

static enum ibv_mtu find_mtu(const struct perf_dev *d, int bytes)
{
	enum ibv_mtu mtu = IBV_MTU_256;

	if (!bytes)
		return d->port.active_mtu;
	while (128 << mtu < bytes)
		mtu++;
	if (mtu > d->port.active_mtu)
		perf_die("--mtu %d: the port of %s has %d at most", bytes,
			 d->name, 128 << d->port.active_mtu);
	return mtu;
}

void perf_dev_open_one(struct perf_dev *d, const struct perf_options *o,
		       const char *name)
{
	memset(d, 0, sizeof(*d));
	d->far = d;
	d->name = name;
	d->ctx = open_by_name(name);
	perf_need(!(errno = ibv_query_device_ex(d->ctx, NULL, &d->attr)),
		  "ibv_query_device_ex");
	d->port_num = o->port;
	errno = ibv_query_port(d->ctx, o->port, &d->port);
	if (errno)
		perf_die("port %d of %s: %s: it has %d", o->port, d->name,
			 strerror(errno), d->attr.orig_attr.phys_port_cnt);
	if (d->port.state != IBV_PORT_ACTIVE)
		perf_die("port %d of %s is not active: set its link up",
			 o->port, d->name);
	d->mtu = find_mtu(d, o->mtu);
	if (d->ctx->device->transport_type == IBV_TRANSPORT_IWARP)
		perf_iwarp_open(d, o);
	else
		find_gid(d, o);
	d->pd = ibv_alloc_pd(d->ctx);
	perf_need(d->pd, "ibv_alloc_pd");
}

void perf_dev_open(struct perf_dev *d, const struct perf_options *o)
{
	perf_dev_open_one(d, o, o->device);
	if (!o->peer)
		return;
	d->far = malloc(sizeof(*d->far));
	perf_need(d->far, "memory for a device");
	perf_dev_open_one(d->far, o, o->peer);
	if (!d->iwarp != !d->far->iwarp)
		perf_die("one of %s and %s is iWARP and the other is not: they "
			 "cannot be connected",
			 o->device, o->peer);
}

void perf_dev_close(struct perf_dev *d)
{
	if (d->far && perf_two_devices(d)) {
		perf_dev_close(d->far);
		free(d->far);
	}
	if (d->iwarp)
		perf_iwarp_close(d->iwarp);
	if (d->pd)
		ibv_dealloc_pd(d->pd);
	if (d->ctx)
		ibv_close_device(d->ctx);
	memset(d, 0, sizeof(*d));
}

bool perf_dev_has_odp(const struct perf_dev *d, bool implicit)
{
	uint64_t caps = d->attr.odp_caps.general_caps;

	return caps & IBV_ODP_SUPPORT &&
	       (!implicit || caps & IBV_ODP_SUPPORT_IMPLICIT);
}

static bool read_number(const char *dir, const char *file, uint64_t *n)
{
	char path[300];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "re");
	ok = f && fscanf(f, "%lu", n) == 1;
	if (f)
		fclose(f);
	return ok;
}

/* The kernel caches counters for a "lifespan" (ms): let it pass. */
static void outlive(const char *dir)
{
	uint64_t ms;

	if (read_number(dir, "lifespan", &ms) && ms < 1000)
		usleep((ms + 10) * 1000);
}

bool perf_dev_faults(const struct perf_dev *d, uint64_t *faults)
{
	static const char *const names[] = { "page_faults", "odp_faults" };
	uint64_t ignored;

	for (int i = 0; i < 4; i++) {
		char dir[200];

		if (i < 2)
			snprintf(
				dir, sizeof(dir),
				"/sys/class/infiniband/%s/ports/%d/hw_counters",
				d->name, d->port_num);
		else
			snprintf(dir, sizeof(dir),
				 "/sys/class/infiniband/%s/hw_counters",
				 d->name);
		if (access(dir, R_OK))
			continue;
		if (!read_number(dir, names[i % 2], &ignored))
			continue;
		outlive(dir);
		return read_number(dir, names[i % 2], faults);
	}
	return false;
}

struct ibv_qp *perf_qp_make(struct perf_dev *d, struct ibv_cq *cq, int depth)
{
	struct ibv_qp_init_attr init = {
		.send_cq = cq,
		.recv_cq = cq,
		.cap = { .max_send_wr = depth,
			 .max_recv_wr = depth,
			 .max_send_sge = 1,
			 .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
	};
	struct ibv_qp *qp;
	int err;

	errno = 0;
	qp = ibv_create_qp(d->pd, &init);
	if (!qp && !errno)
		errno = EIO; /* siw's provider does not always say why */
	if (!qp || !d->iwarp)
		return qp;
	err = perf_iwarp_add(d->iwarp, qp);
	if (!err)
		return qp;
	ibv_destroy_qp(qp);
	errno = err;
	return NULL;
}

int perf_qp_destroy(struct ibv_qp *qp)
{
	if (qp->qp_context)
		perf_iwarp_remove(qp);
	return ibv_destroy_qp(qp);
}

void perf_qp_address(const struct perf_dev *d, const struct ibv_qp *qp,
		     struct perf_qp_address *a)
{
	memset(a, 0, sizeof(*a));
	a->qpn = qp->qp_num;
	a->gid = d->gid;
	a->lid = d->port.lid;
	a->rd_atomic = perf_rd_atomic(d);
	a->mtu = d->mtu;
	a->port = d->iwarp ? perf_iwarp_port(d->iwarp) : 0;
}

static int to_init(struct perf_dev *d, struct ibv_qp *qp)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = d->port_num,
		.qp_access_flags = PERF_ACCESS,
	};

	return ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				     IBV_QP_ACCESS_FLAGS);
}

/* What both ends have. */
static enum ibv_mtu path_mtu(const struct perf_dev *d,
			     const struct perf_qp_address *peer)
{
	return peer->mtu && peer->mtu < d->mtu ? peer->mtu : d->mtu;
}

static int to_rtr(struct perf_dev *d, struct ibv_qp *qp,
		  const struct perf_qp_address *peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = path_mtu(d, peer),
		.dest_qp_num = peer->qpn,
		.rq_psn = peer->psn,
		.max_dest_rd_atomic = perf_rd_atomic(d),
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1,
			.port_num = d->port_num,
			.dlid = peer->lid,
			.grh = { .dgid = peer->gid,
				 .sgid_index = d->gid_index,
				 .hop_limit = 64 },
		},
	};

	return ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				     IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				     IBV_QP_MAX_DEST_RD_ATOMIC |
				     IBV_QP_MIN_RNR_TIMER);
}

/* A peer that does not say how many READs it answers at once answers one. */
static int to_rts(struct perf_dev *d, struct ibv_qp *qp,
		  const struct perf_qp_address *peer)
{
	int own = perf_rd_atomic(d),
	    peers = peer->rd_atomic ? peer->rd_atomic : 1;
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTS,
		.sq_psn = 0,
		.timeout = 17, /* half a second: a loaded host answers late */
		.retry_cnt = 7,
		.rnr_retry = 7,
		.max_rd_atomic = own < peers ? own : peers,
	};

	return ibv_modify_qp(qp, &attr,
			     IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT |
				     IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				     IBV_QP_MAX_QP_RD_ATOMIC);
}

int perf_qp_connect(struct perf_dev *d, struct ibv_qp *qp,
		    const struct perf_qp_address *peer, bool asks)
{
	int err;

	if (d->iwarp)
		return asks ? perf_iwarp_connect(d->iwarp, qp, peer) : 0;
	err = to_init(d, qp);
	if (!err)
		err = to_rtr(d, qp, peer);
	if (!err)
		err = to_rts(d, qp, peer);
	return err;
}

int perf_poll(struct ibv_cq *cq, struct ibv_wc *wc, int most, int timeout_s)
{
	uint64_t end = 0, polls = 0;
	int n;

	while (!(n = ibv_poll_cq(cq, most, wc))) {
		if (++polls % SPINS)
			continue;
		sched_yield();
		if (polls % LOOK)
			continue;
		if (!end)
			end = perf_now() + timeout_s * 1000000000ULL;
		else if (perf_now() > end)
			return -ETIMEDOUT;
	}
	return n < 0 ? -EIO : n;
}

int perf_wait(struct ibv_cq *cq, struct ibv_wc *wc, int timeout_s)
{
	int n = perf_poll(cq, wc, 1, timeout_s);

	return n < 0 ? n : (int)wc->status;
}

const char *perf_status(int status)
{
	if (status == -ETIMEDOUT)
		return "no completion came in time";
	return status < 0 ? strerror(-status) : ibv_wc_status_str(status);
}
