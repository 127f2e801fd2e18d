// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Work requests and completions. */
#include <poll.h>

#include "ht.h"

static void build(struct ibv_send_wr *wr, struct ibv_sge *sge, const struct ht_wr *w)
{
	memset(wr, 0, sizeof(*wr));
	wr->wr_id = w->id;
	wr->opcode = w->op;
	wr->send_flags = w->flags & ~HT_QUIET;
	if (!(w->flags & HT_QUIET))
		wr->send_flags |= IBV_SEND_SIGNALED;
	if (w->num_sge) {
		wr->sg_list = w->sgl;
		wr->num_sge = w->num_sge;
	} else if (!w->no_sge) {
		*sge = (struct ibv_sge){ w->addr, w->len, w->lkey };
		wr->sg_list = sge;
		wr->num_sge = 1;
	}
	wr->imm_data = w->imm;
	switch (w->op) {
	case IBV_WR_ATOMIC_CMP_AND_SWP:
	case IBV_WR_ATOMIC_FETCH_AND_ADD:
		wr->wr.atomic.remote_addr = w->raddr;
		wr->wr.atomic.rkey = w->rkey;
		wr->wr.atomic.compare_add = w->add;
		wr->wr.atomic.swap = w->swap;
		break;
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
		if (w->ah) {
			wr->wr.ud.ah = w->ah;
			wr->wr.ud.remote_qpn = w->qpn;
			wr->wr.ud.remote_qkey = w->qkey;
		}
		break;
	default: wr->wr.rdma.remote_addr = w->raddr; wr->wr.rdma.rkey = w->rkey;
	}
}

int ht_post_try(struct ibv_qp *qp, const struct ht_wr *w)
{
	struct ibv_send_wr wr, *bad = NULL;
	struct ibv_sge sge;
	int err;

	build(&wr, &sge, w);
	err = ibv_post_send(qp, &wr, &bad);
	ht_check(!err || bad == &wr, "post_send failed with bad_wr %p, not %p", (void *)bad,
		 (void *)&wr);
	return err;
}

void ht_post(struct ibv_qp *qp, const struct ht_wr *w)
{
	ht_ok(ht_post_try(qp, w));
}

int ht_recv_try(struct ibv_qp *qp, struct ibv_srq *srq, uint64_t id, struct ibv_sge *sgl,
		int num_sge)
{
	struct ibv_recv_wr wr = {
		.wr_id = id, .sg_list = sgl, .num_sge = num_sge,
	}, *bad = NULL;

	return srq ? ibv_post_srq_recv(srq, &wr, &bad) : ibv_post_recv(qp, &wr, &bad);
}

void ht_recv(const struct ht_side *s, uint64_t id, const struct ht_mr *mr, const void *p,
	     uint32_t len)
{
	struct ibv_sge sge = { 0 };

	if (len)
		sge = ht_sge(mr, p, len);
	ht_ok(ht_recv_try(s->qp, s->qp->srq, id, &sge, len ? 1 : 0));
}

/*
 * Yields between polls: on two CPUs a spinning process starves the kernel
 * workers that are to complete its request.
 */
bool ht_poll_wc(struct ibv_cq *cq, struct ibv_wc *wc, unsigned int ms)
{
	uint64_t deadline = ht_deadline(ms);
	int n;

	while ((n = ibv_poll_cq(cq, 1, wc)) == 0) {
		if (ht_over(deadline))
			return false;
		ht_yield();
	}
	ht_check(n == 1, "ibv_poll_cq returned %d", n);
	return true;
}

void ht_next_wc(struct ibv_cq *cq, struct ibv_wc *wc, const char *what)
{
	if (!ht_poll_wc(cq, wc, HT_PATIENCE_MS))
		ht_fail("no completion: %s", what);
}

void ht_want_wc(struct ibv_cq *cq, struct ibv_wc *wc, uint64_t id, enum ibv_wc_status status)
{
	char what[80];

	snprintf(what, sizeof(what), "wr_id 0x%" PRIx64 ", status %s", id,
		 ibv_wc_status_str(status));
	ht_next_wc(cq, wc, what);
	ht_check(wc->status == status && wc->wr_id == id,
		 "completion of wr_id 0x%" PRIx64 " with %s (%d), not of 0x%" PRIx64 " with %s",
		 wc->wr_id, ibv_wc_status_str(wc->status), wc->status, id,
		 ibv_wc_status_str(status));
}

void ht_no_wc(struct ibv_cq *cq, unsigned int ms)
{
	uint64_t deadline = ht_deadline(ms);
	struct ibv_wc wc;

	do {
		int n = ibv_poll_cq(cq, 1, &wc);

		ht_check(n == 0, "a completion that should not be: wr_id 0x%" PRIx64 ", %s",
			 wc.wr_id, ibv_wc_status_str(wc.status));
		ht_yield();
	} while (!ht_over(deadline));
}

void ht_do_status(const struct ht_side *s, const struct ht_wr *w, enum ibv_wc_status status)
{
	struct ibv_wc wc;

	ht_post(s->qp, w);
	ht_want_wc(s->scq, &wc, w->id, status);
	ht_eq(wc.qp_num, s->qp->qp_num);
}

void ht_do(const struct ht_side *s, const struct ht_wr *w)
{
	ht_do_status(s, w, IBV_WC_SUCCESS);
}

struct ht_wr ht_send_wr(uint64_t id, const struct ht_mr *mr, const void *p, uint32_t len)
{
	return (struct ht_wr){
		.id = id,
		.op = IBV_WR_SEND,
		.addr = ht_iova(mr, p),
		.len = len,
		.lkey = mr->mr->lkey,
		.no_sge = !len,
	};
}

struct ht_wr ht_ud_wr(uint64_t id, const struct ht_mr *mr, const void *p, uint32_t len,
		      struct ibv_ah *ah, uint32_t qpn)
{
	struct ht_wr w = ht_send_wr(id, mr, p, len);

	w.ah = ah;
	w.qpn = qpn;
	w.qkey = HT_QKEY;
	return w;
}

struct ht_wr ht_rdma_wr(uint64_t id, enum ibv_wr_opcode op, const struct ht_mr *lmr,
			const void *local, uint32_t len, const struct ht_mr *rmr,
			const void *remote)
{
	struct ht_wr w = ht_send_wr(id, lmr, local, len);

	w.op = op;
	w.raddr = ht_iova(rmr, remote);
	w.rkey = rmr->mr->rkey;
	return w;
}

enum ibv_wc_status ht_rdma_status(const struct ht_side *s, enum ibv_wr_opcode op,
				  const struct ht_mr *lmr, void *local, uint32_t len,
				  const struct ht_mr *rmr, const void *remote)
{
	static uint64_t next = 0x52000000;
	struct ht_wr w = ht_rdma_wr(next++, op, lmr, local, len, rmr, remote);
	struct ibv_wc wc;

	ht_post(s->qp, &w);
	ht_next_wc(s->scq, &wc, "of an RDMA operation");
	ht_check(wc.wr_id == w.id, "wr_id 0x%" PRIx64 ", not 0x%" PRIx64, wc.wr_id, w.id);
	return wc.status;
}

void ht_rdma(const struct ht_side *s, enum ibv_wr_opcode op, const struct ht_mr *lmr, void *local,
	     uint32_t len, const struct ht_mr *rmr, const void *remote)
{
	enum ibv_wc_status st = ht_rdma_status(s, op, lmr, local, len, rmr, remote);

	ht_check(st == IBV_WC_SUCCESS, "opcode %d, %u bytes: %s", op, len, ibv_wc_status_str(st));
}

/* --- asynchronous events ---------------------------------------------------------- */

bool ht_poll_fd(int fd, unsigned int ms)
{
	uint64_t deadline = ht_deadline(ms);
	struct pollfd p = { .fd = fd, .events = POLLIN };

	do {
		if (poll(&p, 1, 20) == 1)
			return true;
	} while (!ht_over(deadline));
	return false;
}

void ht_want_event(struct ibv_context *ctx, enum ibv_event_type type, void *element)
{
	struct ibv_async_event ev;

	ht_check(ht_poll_fd(ctx->async_fd, HT_PATIENCE_MS), "no asynchronous event, waiting for %s",
		 ibv_event_type_str(type));
	ht_ok(ibv_get_async_event(ctx, &ev));
	ht_check(ev.event_type == type, "event \"%s\", not \"%s\"",
		 ibv_event_type_str(ev.event_type), ibv_event_type_str(type));
	if (element)
		ht_check(ev.element.qp == element, "the event is of another object");
	ibv_ack_async_event(&ev);
}
