// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Completion queues.
 *
 * The kernel produces entries, and the provider consumes them without a system
 * call.  An entry contains the whole completion, so polling needs no look-up of
 * the queue pair.  Entries are given back to the kernel once per call (poll_cq)
 * or per batch (end_poll).
 *
 * Entries are read in place: the kernel does not write them between the acquire
 * of prod and the release of cons.
 *
 * Timestamps are nanoseconds of the kernel's monotonic clock, taken when the
 * entry was made (hca_core_clock is 1 GHz).
 *
 * Not supported: wall clock timestamps, ignoring overruns.  RoCE has no LIDs
 * and path bits, so they are 0, and so is the service level unless it encodes
 * the type of the packet: see hodp_wc_sl().
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"
#include "hmm_odp.h"

/* A CQE has the kernel's numbers, which are passed on to the application. */
static_assert((int)IBV_WC_SEND == IB_UVERBS_WC_SEND, "WC opcode");
static_assert((int)IBV_WC_RDMA_WRITE == IB_UVERBS_WC_RDMA_WRITE, "WC opcode");
static_assert((int)IBV_WC_RDMA_READ == IB_UVERBS_WC_RDMA_READ, "WC opcode");
static_assert((int)IBV_WC_COMP_SWAP == IB_UVERBS_WC_COMP_SWAP, "WC opcode");
static_assert((int)IBV_WC_FETCH_ADD == IB_UVERBS_WC_FETCH_ADD, "WC opcode");
static_assert((int)IBV_WC_LOCAL_INV == IB_UVERBS_WC_LOCAL_INV, "WC opcode");
static_assert(IBV_WC_RECV == 128, "the kernel's IB_WC_RECV");
static_assert(IBV_WC_RECV_RDMA_WITH_IMM == 129,
	      "the kernel's IB_WC_RECV_RDMA_WITH_IMM");
static_assert(IBV_WC_SUCCESS == 0 && IBV_WC_WR_FLUSH_ERR == 5 &&
		      IBV_WC_GENERAL_ERR == 21,
	      "the kernel's enum ib_wc_status");

static unsigned int hodp_wc_flags(const struct hodp_cqe *cqe)
{
	unsigned int flags = 0;

	if (cqe->wc_flags & HODP_WC_GRH)
		flags |= IBV_WC_GRH;
	if (cqe->wc_flags & HODP_WC_WITH_IMM)
		flags |= IBV_WC_WITH_IMM;
	if (cqe->wc_flags & HODP_WC_WITH_INV)
		flags |= IBV_WC_WITH_INV;
	return flags;
}

/*
 * RoCE has no service level.  In the completion of a datagram, mlx5 uses the
 * field for the type of the packet: bits 0 and 1 are 1 for IPv6 and 2 for IPv4,
 * bit 3 stands for UDP.  UCX up to 1.18 needs this to find the source address,
 * and finds none if it is 0.
 */
static uint8_t hodp_wc_sl(const struct hodp_cqe *cqe)
{
	if (!(cqe->wc_flags & HODP_WC_GRH))
		return 0;
	return 1 << 3 | (cqe->network_hdr_type == HODP_NET_IPV4 ? 2 : 1);
}

static void hodp_cq_to_wc(const struct hodp_cqe *cqe, struct ibv_wc *wc)
{
	wc->wr_id = cqe->wr_id;
	wc->status = cqe->status;
	wc->opcode = cqe->opcode;
	wc->vendor_err = cqe->vendor_err;
	wc->byte_len = cqe->byte_len;
	wc->imm_data = (__force __be32)cqe->imm_inv;
	wc->qp_num = cqe->qp_num;
	wc->src_qp = cqe->src_qp;
	wc->wc_flags = hodp_wc_flags(cqe);
	wc->pkey_index = cqe->pkey_index;
	wc->slid = 0;
	wc->sl = hodp_wc_sl(cqe);
	wc->dlid_path_bits = 0;
}

int hodp_poll_cq(struct ibv_cq *ibcq, int num, struct ibv_wc *wc)
{
	struct hodp_cq *cq = to_hodp_cq(ibcq);
	struct hodp_ring *ring = &cq->ring;
	uint32_t n, i;

	if (num <= 0)
		return 0;

	hodp_lock(&cq->lock);
	if (!hodp_ring_exists(ring)) {
		hodp_unlock(&cq->lock);
		return -EIO;
	}
	n = hodp_ring_ready(ring, num);
	if (n > (uint32_t)num)
		n = num;
	for (i = 0; i < n; i++)
		hodp_cq_to_wc(hodp_ring_at(ring, ring->own + i), &wc[i]);
	if (n)
		hodp_ring_retire(ring, n);
	hodp_unlock(&cq->lock);
	return n;
}

/* --- ibv_cq_ex: the same ring, one entry at a time ------------------------ */

/* Make the entry after the batch the current one.  Return: 0 or ENOENT. */
static int hodp_cq_look(struct hodp_cq *cq)
{
	if (hodp_ring_ready(&cq->ring, cq->batch + 1) <= cq->batch) {
		cq->cqe = NULL;
		return ENOENT;
	}
	cq->cqe = hodp_ring_at(&cq->ring, cq->ring.own + cq->batch);
	cq->vcq.cq_ex.wr_id = cq->cqe->wr_id;
	cq->vcq.cq_ex.status = cq->cqe->status;
	return 0;
}

static int hodp_start_poll(struct ibv_cq_ex *ibcq,
			   struct ibv_poll_cq_attr *attr)
{
	struct hodp_cq *cq = to_hodp_cq_ex(ibcq);
	int err;

	if (attr->comp_mask)
		return EINVAL;

	hodp_lock(&cq->lock);
	cq->batch = 0;
	err = hodp_ring_exists(&cq->ring) ? hodp_cq_look(cq) : EIO;
	if (err)
		hodp_unlock(&cq->lock);
	return err;
}

/* Keeps the lock in any case, because end_poll follows. */
static int hodp_next_poll(struct ibv_cq_ex *ibcq)
{
	struct hodp_cq *cq = to_hodp_cq_ex(ibcq);

	if (!cq->cqe)
		return ENOENT;
	cq->batch++;
	return hodp_cq_look(cq);
}

static void hodp_end_poll(struct ibv_cq_ex *ibcq)
{
	struct hodp_cq *cq = to_hodp_cq_ex(ibcq);

	hodp_ring_retire(&cq->ring, cq->batch + !!cq->cqe);
	cq->cqe = NULL;
	hodp_unlock(&cq->lock);
}

static enum ibv_wc_opcode hodp_read_opcode(struct ibv_cq_ex *ibcq)
{
	return to_hodp_cq_ex(ibcq)->cqe->opcode;
}

static uint32_t hodp_read_vendor_err(struct ibv_cq_ex *ibcq)
{
	return to_hodp_cq_ex(ibcq)->cqe->vendor_err;
}

static unsigned int hodp_read_wc_flags(struct ibv_cq_ex *ibcq)
{
	return hodp_wc_flags(to_hodp_cq_ex(ibcq)->cqe);
}

static uint32_t hodp_read_byte_len(struct ibv_cq_ex *ibcq)
{
	return to_hodp_cq_ex(ibcq)->cqe->byte_len;
}

/* ibv_wc_read_invalidated_rkey() calls this, too. */
static __be32 hodp_read_imm_data(struct ibv_cq_ex *ibcq)
{
	return (__force __be32)to_hodp_cq_ex(ibcq)->cqe->imm_inv;
}

static uint32_t hodp_read_qp_num(struct ibv_cq_ex *ibcq)
{
	return to_hodp_cq_ex(ibcq)->cqe->qp_num;
}

static uint32_t hodp_read_src_qp(struct ibv_cq_ex *ibcq)
{
	return to_hodp_cq_ex(ibcq)->cqe->src_qp;
}

static uint32_t hodp_read_slid(struct ibv_cq_ex *ibcq HODP_UNUSED)
{
	return 0;
}

static uint8_t hodp_read_sl(struct ibv_cq_ex *ibcq)
{
	return hodp_wc_sl(to_hodp_cq_ex(ibcq)->cqe);
}

static uint8_t hodp_read_dlid_path_bits(struct ibv_cq_ex *ibcq HODP_UNUSED)
{
	return 0;
}

static uint64_t hodp_read_completion_ts(struct ibv_cq_ex *ibcq)
{
	return to_hodp_cq_ex(ibcq)->cqe->timestamp;
}

#define HODP_WC_FLAGS \
	((uint64_t)IBV_WC_STANDARD_FLAGS | IBV_WC_EX_WITH_COMPLETION_TIMESTAMP)

static void hodp_cq_init_ex(struct ibv_cq_ex *cq, uint64_t wc_flags)
{
	cq->start_poll = hodp_start_poll;
	cq->next_poll = hodp_next_poll;
	cq->end_poll = hodp_end_poll;
	cq->read_opcode = hodp_read_opcode;
	cq->read_vendor_err = hodp_read_vendor_err;
	cq->read_wc_flags = hodp_read_wc_flags;
	if (wc_flags & IBV_WC_EX_WITH_BYTE_LEN)
		cq->read_byte_len = hodp_read_byte_len;
	if (wc_flags & IBV_WC_EX_WITH_IMM)
		cq->read_imm_data = hodp_read_imm_data;
	if (wc_flags & IBV_WC_EX_WITH_QP_NUM)
		cq->read_qp_num = hodp_read_qp_num;
	if (wc_flags & IBV_WC_EX_WITH_SRC_QP)
		cq->read_src_qp = hodp_read_src_qp;
	if (wc_flags & IBV_WC_EX_WITH_SLID)
		cq->read_slid = hodp_read_slid;
	if (wc_flags & IBV_WC_EX_WITH_SL)
		cq->read_sl = hodp_read_sl;
	if (wc_flags & IBV_WC_EX_WITH_DLID_PATH_BITS)
		cq->read_dlid_path_bits = hodp_read_dlid_path_bits;
	if (wc_flags & IBV_WC_EX_WITH_COMPLETION_TIMESTAMP)
		cq->read_completion_ts = hodp_read_completion_ts;
}

/* --- life ----------------------------------------------------------------- */

/* Check the attributes; *@single: the CQ needs no lock.  Return: 0 or errno. */
static int hodp_cq_check_attr(const struct ibv_cq_init_attr_ex *attr,
			      bool *single)
{
	*single = false;
	if (attr->wc_flags & ~HODP_WC_FLAGS)
		return EOPNOTSUPP;
	if (!check_comp_mask(attr->comp_mask, IBV_CQ_INIT_ATTR_MASK_FLAGS |
						      IBV_CQ_INIT_ATTR_MASK_PD))
		return EOPNOTSUPP;
	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS) {
		if (attr->flags & ~IBV_CREATE_CQ_ATTR_SINGLE_THREADED)
			return EOPNOTSUPP;
		*single = attr->flags & IBV_CREATE_CQ_ATTR_SINGLE_THREADED;
	}
	if (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_PD) {
		if (!to_hodp_pd(attr->parent_domain)->base)
			return EINVAL;
		*single |= !hodp_pd_needs_locks(attr->parent_domain);
	}
	return 0;
}

struct ibv_cq_ex *hodp_create_cq_ex(struct ibv_context *ctx,
				    struct ibv_cq_init_attr_ex *attr)
{
	struct hodp_cmd_create_cq_resp resp = {};
	struct hodp_cq *cq;
	bool single;
	int err;

	err = hodp_cq_check_attr(attr, &single);
	if (err)
		goto fail;
	cq = calloc(1, sizeof(*cq));
	if (!cq) {
		err = ENOMEM;
		goto fail;
	}

	err = hodp_core_create_cq_ex(ctx, attr, &cq->vcq, NULL, 0,
				     &resp.ibv_resp, sizeof(resp), 0);
	if (err)
		goto free_cq;
	err = hodp_ring_map(ctx, &resp.ring, sizeof(struct hodp_cqe),
			    &cq->ring);
	if (err)
		goto destroy_cq;

	hodp_lock_init(&cq->lock, !single);
	hodp_cq_init_ex(&cq->vcq.cq_ex, attr->wc_flags);
	return &cq->vcq.cq_ex;

destroy_cq:
	/* ibv_cmd_destroy_cq() uses these, which libibverbs would initialise
	 * after we return.
	 */
	pthread_mutex_init(&cq->vcq.cq.mutex, NULL);
	pthread_cond_init(&cq->vcq.cq.cond, NULL);
	ibv_cmd_destroy_cq(&cq->vcq.cq);
free_cq:
	free(cq);
fail:
	errno = err;
	return NULL;
}

struct ibv_cq *hodp_create_cq(struct ibv_context *ctx, int cqe,
			      struct ibv_comp_channel *channel, int comp_vector)
{
	struct ibv_cq_init_attr_ex attr = {
		.cqe = cqe,
		.channel = channel,
		.comp_vector = comp_vector,
		.wc_flags = IBV_WC_STANDARD_FLAGS,
	};
	struct ibv_cq_ex *cq = hodp_create_cq_ex(ctx, &attr);

	return cq ? ibv_cq_ex_to_cq(cq) : NULL;
}

/*
 * The kernel copies the entries that were not polled yet to a new ring, and we
 * unmap the old one.  The CQ lock is held during the command, so that no thread
 * polls the old ring after the kernel has copied it.
 *
 * If the new ring cannot be mapped, the resize cannot be undone: polling then
 * returns EIO.
 */
int hodp_resize_cq(struct ibv_cq *ibcq, int cqe)
{
	struct hodp_cq *cq = to_hodp_cq(ibcq);
	struct hodp_cmd_resize_cq_resp resp = {};
	struct ibv_resize_cq cmd;
	struct hodp_ring old;
	int err;

	hodp_lock(&cq->lock);
	err = ibv_cmd_resize_cq(ibcq, cqe, &cmd, sizeof(cmd), &resp.ibv_resp,
				sizeof(resp));
	if (err) {
		hodp_unlock(&cq->lock);
		return err;
	}

	old = cq->ring;
	err = hodp_ring_map(ibcq->context, &resp.ring, sizeof(struct hodp_cqe),
			    &cq->ring);
	if (!err) {
		/* The kernel has set cons to the first entry. */
		cq->ring.own =
			__atomic_load_n(&cq->ring.hdr->cons, __ATOMIC_RELAXED);
		cq->ring.seen = cq->ring.own;
	}
	hodp_unlock(&cq->lock);

	hodp_ring_unmap(&old);
	return err;
}

/*
 * An application does not expect old completions of a QP that it has reset: the
 * QP number is the same.  The entries of other QPs are moved up towards the
 * producer; the kernel no longer uses entries that it has published, so we may
 * write them.  Cost: one walk over the entries not polled yet.
 */
void hodp_cq_forget_qp(struct ibv_cq *ibcq, uint32_t qp_num)
{
	struct hodp_cq *cq = to_hodp_cq(ibcq);
	struct hodp_ring *ring = &cq->ring;
	const struct hodp_cqe *cqe;
	uint32_t from, to;

	hodp_lock(&cq->lock);
	if (hodp_ring_exists(ring)) {
		from = hodp_ring_ready(ring, UINT32_MAX);
		/* If prod is corrupt, do not walk 2^32 entries. */
		if (from > ring->mask + 1)
			from = ring->mask + 1;
		from += ring->own;
		for (to = from; from != ring->own;) {
			cqe = hodp_ring_at(ring, --from);
			if (cqe->qp_num == qp_num)
				continue;
			if (--to != from)
				memcpy(hodp_ring_at(ring, to), cqe,
				       sizeof(*cqe));
		}
		if (to != ring->own)
			hodp_ring_retire(ring, to - ring->own);
	}
	hodp_unlock(&cq->lock);
}

int hodp_destroy_cq(struct ibv_cq *ibcq)
{
	struct hodp_cq *cq = to_hodp_cq(ibcq);
	int err;

	err = ibv_cmd_destroy_cq(ibcq);
	if (err)
		return err;

	hodp_ring_unmap(&cq->ring);
	hodp_lock_destroy(&cq->lock);
	free(cq);
	return 0;
}
