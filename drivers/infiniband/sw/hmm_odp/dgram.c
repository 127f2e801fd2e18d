// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Datagrams in transit (layer 3): they are gathered at the sender and queued at
 * the receiver, whose own runner delivers them (respond.c).
 *
 * The datagrams that wait at a QP are bounded and charged to its owner, no matter
 * whether a process on this device sent them or the network.
 */
#include "charge.h"
#include "dgram.h"
#include "fault.h"

/* Datagrams that may wait at one QP, which also holds no more than it can
 * receive.  Excess datagrams are dropped.
 */
#define HODP_RX_QUEUE_MAX 1024U

struct hodp_dgram *hodp_dgram_alloc(struct hodp_qp *to, u32 len, gfp_t gfp)
{
	return hodp_charge_zalloc(to->memcg,
				  struct_size_t(struct hodp_dgram, data, len),
				  gfp | __GFP_NORETRY | __GFP_NOWARN);
}

u32 hodp_dgram_qkey(const struct hodp_qp *qp)
{
	u32 qkey = qp->op.wqe.ud.qkey;

	/* IBTA 10.2.5: the high bit selects the QP's own Q_Key. */
	return qkey & BIT(31) ? READ_ONCE(qp->attr.qkey) : qkey;
}

static u32 hodp_dgram_max(const struct hodp_qp *to)
{
	return min(to->srq ? to->srq->max_wr : to->max_recv_wr,
		   HODP_RX_QUEUE_MAX);
}

bool hodp_dgram_fits(const struct hodp_qp *to, u32 qkey)
{
	return !hodp_qp_service(to)->connected && hodp_qp_receives(to) &&
	       READ_ONCE(to->attr.qkey) == qkey &&
	       READ_ONCE(to->rx_len) < hodp_dgram_max(to);
}

bool hodp_dgram_enqueue(struct hodp_qp *to, u32 qkey, struct hodp_dgram *d)
{
	bool fits;

	/* Reset and destroy change the state first and later empty the list
	 * under the same lock, so nothing is left behind.
	 */
	spin_lock_bh(&to->rx_lock);
	fits = hodp_dgram_fits(to, qkey);
	if (fits) {
		list_add_tail(&d->link, &to->rx_list);
		WRITE_ONCE(to->rx_len, to->rx_len + 1);
	}
	spin_unlock_bh(&to->rx_lock);
	if (!fits) {
		hodp_count(hodp_qp_dev(to), HODP_CNT_UD_DROPS, 1);
		kfree(d);
	}
	return fits;
}

long hodp_dgram_gather(struct hodp_qp *qp, void *to, u64 pos, u32 len,
		       struct hodp_miss *miss)
{
	const struct hodp_op *op = &qp->op;
	struct hodp_sgl *src = &qp->payload.sgl;
	struct hodp_sgl dst;
	u32 done = 0;

	if (!len)
		return 0;
	hodp_span_kernel(&dst.span[0], to, len);
	dst.num = 1;
	hodp_sgl_seek(&dst, 0);
	hodp_sgl_seek(src, pos);
	while (done < len) {
		u64 rest = op->total - pos - done;
		long n = hodp_sgl_copy(&dst, src, len - done, rest, miss);

		if (n < 0)
			return n;
		done += n;
	}
	return 0;
}

enum hodp_verdict hodp_dgram_failed(struct hodp_qp *qp, long err,
				    const struct hodp_miss *miss)
{
	struct hodp_op *op = &qp->op;

	if (err != -EAGAIN)
		return hodp_op_end(op, hodp_op_status(err));
	/* Gathering always reads the requester's memory. */
	op->fault_local = true;
	return hodp_fault_begin(&qp->req, qp->memcg, miss) ? HODP_V_PAUSE :
							     HODP_V_FAULT;
}
