// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The memory of a process, and what is in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scale.h"

static size_t whole_pages(size_t size)
{
	return (size + PERF_PAGE - 1) / PERF_PAGE * PERF_PAGE;
}

uint8_t *plots_local(const struct plots *p, int i)
{
	return p->local.p + i * p->slot;
}

uint8_t *plots_remote(const struct plots *p, int i)
{
	return p->remote.p + i * p->plot;
}

static bool register_all(struct plots *p, struct perf_dev *d, bool pinned,
			 struct ibv_mr **mr, uint8_t *mem, size_t stride,
			 struct outcome *out)
{
	int access = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE |
		     IBV_ACCESS_REMOTE_READ |
		     (pinned ? 0 : IBV_ACCESS_ON_DEMAND);

	for (int i = 0; i < p->n; i++) {
		if (i && !p->many) {
			mr[i] = mr[0];
			continue;
		}
		mr[i] = ibv_reg_mr(d->pd, mem + i * stride,
				   p->many ? stride : p->n * stride, access);
		if (!mr[i]) {
			out->lacks = errno == EOPNOTSUPP;
			fail(out, "ibv_reg_mr: %s", strerrorname_np(errno));
			return false;
		}
	}
	return true;
}

bool plots_get(struct plots *p, struct perf_dev *d, const struct cell *c,
	       int index, struct outcome *out)
{
	memset(p, 0, sizeof(*p));
	p->n = c->qps / c->procs;
	p->size = c->size;
	p->slot = whole_pages(c->size);
	p->plot = p->slot +
		  (c->storm == STORM_BESIDE ? STORM_PAGES * PERF_PAGE : 0);
	p->many = c->many;
	p->read = c->op == IBV_WR_RDMA_READ;
	p->seed = (uint64_t)(index + 1) << 40;
	p->local_mr = calloc(p->n, sizeof(*p->local_mr));
	p->remote_mr = calloc(p->n, sizeof(*p->remote_mr));
	perf_need(p->local_mr && p->remote_mr, "memory for regions");
	perf_mem_get(&p->local, &set.o, PERF_ANON, p->n * p->slot);
	perf_mem_get(&p->remote, &set.o, PERF_ANON, p->n * p->plot);
	perf_mem_touch(&p->local, p->local.len);
	perf_mem_touch(&p->remote, p->remote.len);
	return register_all(p, d, c->pinned, p->local_mr, p->local.p, p->slot,
			    out) &&
	       register_all(p, d->far, c->pinned, p->remote_mr, p->remote.p,
			    p->plot, out);
}

static void drop(struct plots *p, struct ibv_mr **mr)
{
	for (int i = 0; i < (p->many ? p->n : 1); i++) {
		if (mr[i])
			ibv_dereg_mr(mr[i]);
	}
	free(mr);
}

void plots_put(struct plots *p)
{
	drop(p, p->local_mr);
	drop(p, p->remote_mr);
	perf_mem_put(&p->local);
	perf_mem_put(&p->remote);
}

void plots_fill(struct plots *p)
{
	for (int i = 0; i < p->n; i++) {
		uint8_t *from = p->read ? plots_remote(p, i) :
					  plots_local(p, i);
		uint8_t *to = p->read ? plots_local(p, i) : plots_remote(p, i);

		perf_fill(from, p->size, p->seed + i);
		memset(to, 0, p->slot);
	}
}

size_t plots_wrong(const struct plots *p)
{
	size_t wrong = 0;

	for (int i = 0; i < p->n; i++) {
		const uint8_t *to = p->read ? plots_local(p, i) :
					      plots_remote(p, i);

		wrong += perf_wrong(to, p->size, p->seed + i);
		/* The bytes behind the slot's belong to nobody. */
		wrong += perf_nonzero(to + p->size, p->slot - p->size);
	}
	return wrong;
}
