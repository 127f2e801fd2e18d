// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#define _GNU_SOURCE
#include "pair.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define TIMEOUT_NS (10 * 1000000000ULL)

void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
		strerror(errno));
	exit(2);
}

static struct ibv_context *open_by_name(const char *name)
{
	struct ibv_device **list = ibv_get_device_list(NULL);
	struct ibv_context *ctx = NULL;

	need(list, "ibv_get_device_list");
	errno = ENODEV;
	for (int i = 0; list[i]; i++) {
		if (!strcmp(ibv_get_device_name(list[i]), name))
			ctx = ibv_open_device(list[i]);
	}
	ibv_free_device_list(list);
	return ctx;
}

/* The RoCEv2 GID made of an IPv4 address, as ::ffff:a.b.c.d. */
static int find_gid(struct pair *p)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ibv_gid_entry entry;

	for (int i = 0; i < p->port.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(p->ctx, 1, i, &entry, 0))
			continue;
		if (entry.gid_type == IBV_GID_TYPE_ROCE_V2 &&
		    !memcmp(entry.gid.raw, mapped, sizeof(mapped))) {
			p->gid = entry.gid;
			return i;
		}
	}
	errno = EADDRNOTAVAIL;
	return -1;
}

void pair_open(struct pair *p, const char *device)
{
	memset(p, 0, sizeof(*p));
	p->ctx = open_by_name(device);
	need(p->ctx, device);
	need(!ibv_query_device_ex(p->ctx, NULL, &p->attr), "query_device");
	need(!ibv_query_port(p->ctx, 1, &p->port), "query_port");
	p->gid_index = find_gid(p);
	need(p->gid_index >= 0, "no GID of an IPv4 address");
	p->pd = ibv_alloc_pd(p->ctx);
	need(p->pd, "alloc_pd");
	p->cq = ibv_create_cq(p->ctx, 64, NULL, NULL, 0);
	need(p->cq, "create_cq");
	pair_connect(p);
}

static struct ibv_qp *make_qp(struct pair *p)
{
	struct ibv_qp_init_attr init = {
		.send_cq = p->cq,
		.recv_cq = p->cq,
		.cap = { .max_send_wr = 16,
			 .max_recv_wr = 16,
			 .max_send_sge = 1,
			 .max_recv_sge = 1 },
		.qp_type = IBV_QPT_RC,
		.sq_sig_all = 1,
	};
	struct ibv_qp *qp = ibv_create_qp(p->pd, &init);

	need(qp, "create_qp");
	return qp;
}

static void connect_qp(struct pair *p, struct ibv_qp *qp, uint32_t peer)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT,
		.port_num = 1,
		.qp_access_flags = PAIR_ACCESS,
	};

	need(!ibv_modify_qp(qp, &attr,
			    IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
				    IBV_QP_ACCESS_FLAGS),
	     "modify_qp to INIT");

	memset(&attr, 0, sizeof(attr));
	attr.qp_state = IBV_QPS_RTR;
	attr.path_mtu = p->port.active_mtu;
	attr.dest_qp_num = peer;
	attr.max_dest_rd_atomic = 1;
	attr.min_rnr_timer = 12;
	attr.ah_attr.is_global = 1;
	attr.ah_attr.grh.dgid = p->gid;
	attr.ah_attr.grh.sgid_index = p->gid_index;
	attr.ah_attr.grh.hop_limit = 64;
	attr.ah_attr.port_num = 1;
	need(!ibv_modify_qp(qp, &attr,
			    IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU |
				    IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
				    IBV_QP_MAX_DEST_RD_ATOMIC |
				    IBV_QP_MIN_RNR_TIMER),
	     "modify_qp to RTR");

	attr.qp_state = IBV_QPS_RTS;
	attr.timeout = 14;
	attr.retry_cnt = 7;
	attr.rnr_retry = 7;
	attr.max_rd_atomic = 1;
	need(!ibv_modify_qp(qp, &attr,
			    IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT |
				    IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY |
				    IBV_QP_MAX_QP_RD_ATOMIC),
	     "modify_qp to RTS");
}

void pair_connect(struct pair *p)
{
	struct ibv_wc wc;

	for (int i = 0; i < 2; i++) {
		if (p->qp[i])
			need(!ibv_destroy_qp(p->qp[i]), "destroy_qp");
	}
	while (ibv_poll_cq(p->cq, 1, &wc) > 0)
		;
	p->qp[0] = make_qp(p);
	p->qp[1] = make_qp(p);
	connect_qp(p, p->qp[0], p->qp[1]->qp_num);
	connect_qp(p, p->qp[1], p->qp[0]->qp_num);
}

void pair_close(struct pair *p)
{
	need(!ibv_destroy_qp(p->qp[0]), "destroy_qp");
	need(!ibv_destroy_qp(p->qp[1]), "destroy_qp");
	need(!ibv_destroy_cq(p->cq), "destroy_cq");
	need(!ibv_dealloc_pd(p->pd), "dealloc_pd");
	need(!ibv_close_device(p->ctx), "close_device");
}

int pair_post(struct pair *p, enum ibv_wr_opcode opcode, void *local,
	      const struct ibv_mr *lmr, uint64_t remote, uint32_t rkey,
	      uint32_t length)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)local,
		.length = length,
		.lkey = lmr->lkey,
	};
	struct ibv_send_wr *bad, wr = {
		.sg_list = &sge,
		.num_sge = 1,
		.opcode = opcode,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = remote, .rkey = rkey },
	};

	return -ibv_post_send(p->qp[0], &wr, &bad);
}

int pair_wait(struct pair *p, struct ibv_wc *wc)
{
	uint64_t end = now_ns() + TIMEOUT_NS;
	int n;

	while (!(n = ibv_poll_cq(p->cq, 1, wc))) {
		if (now_ns() > end)
			return -ETIMEDOUT;
		sched_yield();
	}
	need(n == 1, "poll_cq");
	return wc->status;
}

int pair_rdma(struct pair *p, enum ibv_wr_opcode opcode, void *local,
	      const struct ibv_mr *lmr, uint64_t remote, uint32_t rkey,
	      uint32_t length)
{
	struct ibv_wc wc;
	int err;

	err = pair_post(p, opcode, local, lmr, remote, rkey, length);
	return err ? err : pair_wait(p, &wc);
}

const char *pair_status(int status)
{
	return status < 0 ? strerror(-status) : ibv_wc_status_str(status);
}

void *map_anonymous(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	need(p != MAP_FAILED, "mmap");
	return p;
}

size_t wrong_bytes(const void *got, const void *want, size_t length)
{
	const uint8_t *g = got, *w = want;
	size_t wrong = 0;

	if (!memcmp(g, w, length))
		return 0;
	for (size_t i = 0; i < length; i++)
		wrong += g[i] != w[i];
	return wrong;
}

void fill_pattern(void *buf, size_t length, uint64_t seed)
{
	uint8_t *b = buf;
	uint64_t state = seed, word = 0;

	for (size_t i = 0; i < length; i++, word >>= 8) {
		if (!(i % 8))
			word = next_random(&state);
		b[i] = (uint8_t)word ? (uint8_t)word : 0xa5;
	}
}

/* Weyl sequence with a multiplicative mix. */
uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93ULL;
	z = (z ^ (z >> 32)) * 0xd6e8feb86659fd93ULL;
	return z ^ (z >> 32);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}
