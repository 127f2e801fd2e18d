// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The extended API: ibv_wr_* and ibv_cq_ex. */
#include <endian.h>

#include "basic.h"

#define LEN (64 * HT_KIB)

static struct ht_rig rig;

static struct ibv_qp_ex *begin(uint64_t id, unsigned int flags)
{
	struct ibv_qp_ex *q = ibv_qp_to_qp_ex(rig.a->qp);

	ht_true(q != NULL);
	ibv_wr_start(q);
	q->wr_id = id;
	q->wr_flags = flags;
	return q;
}

static void setup(void)
{
	struct ht_conf conf = { .extended = true, .inl = 64 };

	ht_rig_get(&rig, &conf, LEN);
	ht_rig_fill(&rig, 150, NULL);
}

/* All operations in one ibv_wr_start/complete section. */
static void api_wr_all(const void *arg)
{
	uint32_t lkey, rkey;
	struct ibv_qp_ex *q;
	struct ibv_wc wc;
	uint64_t la, ra, old;

	setup();
	lkey = rig.mr[0].mr->lkey;
	rkey = rig.mr[1].mr->rkey;
	la = ht_iova(&rig.mr[0], rig.p[0]);
	ra = ht_iova(&rig.mr[1], rig.p[1]);
	memcpy(&old, rig.p[1] + 0x8000, 8);
	for (int i = 0; i < 3; i++)
		ht_recv(rig.b, i, &rig.mr[1], rig.p[1] + 0x4000 + i * 0x800, 0x800);
	q = begin(1, IBV_SEND_SIGNALED);
	ibv_wr_rdma_write(q, rkey, ra + 1);
	ibv_wr_set_sge(q, lkey, la + 7, 5000);
	q->wr_id = 2;
	ibv_wr_rdma_read(q, rkey, ra + 0x3001);
	ibv_wr_set_sge(q, lkey, la + 0x3005, 3000);
	q->wr_id = 3;
	ibv_wr_send(q);
	ibv_wr_set_sge(q, lkey, la + 11, 2000);
	q->wr_id = 4;
	ibv_wr_send_imm(q, htobe32(4444));
	ibv_wr_set_sge(q, lkey, la + 13, 1);
	q->wr_id = 5;
	ibv_wr_rdma_write_imm(q, rkey, ra + 0x6000, htobe32(5555));
	ibv_wr_set_sge(q, lkey, la + 0x2000, 100);
	q->wr_id = 6;
	ibv_wr_atomic_fetch_add(q, rkey, ra + 0x8000, 5);
	ibv_wr_set_sge(q, lkey, la + 0x8008, 8);
	q->wr_id = 7;
	ibv_wr_atomic_cmp_swp(q, rkey, ra + 0x8000, old + 5, 0x77);
	ibv_wr_set_sge(q, lkey, la + 0x8010, 8);
	ht_ok(ibv_wr_complete(q));
	for (int i = 1; i <= 7; i++)
		ht_want_wc(rig.a->scq, &wc, i, IBV_WC_SUCCESS);
	for (int i = 0; i < 3; i++) {
		ht_want_wc(rig.b->rcq, &wc, i, IBV_WC_SUCCESS);
		if (i)
			ht_eq(be32toh(wc.imm_data), i == 1 ? 4444 : 5555);
	}
	ht_check_fill(rig.p[1] + 1, 5000, 150, 7, "ibv_wr_rdma_write");
	ht_check_fill(rig.p[0] + 0x3005, 3000, 151, 0x3001, "ibv_wr_rdma_read");
	ht_check_fill(rig.p[1] + 0x4000, 2000, 150, 11, "ibv_wr_send");
	ht_check_fill(rig.p[1] + 0x4800, 1, 150, 13, "ibv_wr_send_imm");
	ht_check_fill(rig.p[1] + 0x6000, 100, 150, 0x2000, "ibv_wr_rdma_write_imm");
	ht_check_bytes(rig.p[0] + 0x8008, &old, 8, "ibv_wr_atomic_fetch_add's old value");
	old += 5;
	ht_check_bytes(rig.p[0] + 0x8010, &old, 8, "ibv_wr_atomic_cmp_swp's old value");
	old = 0x77;
	ht_check_bytes(rig.p[1] + 0x8000, &old, 8, "ibv_wr_atomic_cmp_swp's swap");
	ht_rig_put(&rig);
}

/* An aborted section has no effect. */
static void api_wr_abort(const void *arg)
{
	struct ibv_qp_ex *q;
	struct ibv_wc wc;

	setup();
	for (int i = 0; i < 100; i++) {
		q = begin(i, IBV_SEND_SIGNALED);
		ibv_wr_rdma_write(q, rig.mr[1].mr->rkey, ht_iova(&rig.mr[1], rig.p[1]));
		ibv_wr_set_sge(q, rig.mr[0].mr->lkey, ht_iova(&rig.mr[0], rig.p[0]), 1000);
		ibv_wr_abort(q);
	}
	ht_no_wc(rig.a->scq, 10);
	ht_check_fill(rig.p[1], LEN, 151, 0, "after aborted sections");
	q = begin(1000, IBV_SEND_SIGNALED);
	ibv_wr_rdma_write(q, rig.mr[1].mr->rkey, ht_iova(&rig.mr[1], rig.p[1] + 9));
	ibv_wr_set_sge(q, rig.mr[0].mr->lkey, ht_iova(&rig.mr[0], rig.p[0]), 1000);
	ht_ok(ibv_wr_complete(q));
	ht_want_wc(rig.a->scq, &wc, 1000, IBV_WC_SUCCESS);
	ht_check_fill(rig.p[1] + 9, 1000, 150, 0, "the section that was completed");
	ht_rig_put(&rig);
}

static void api_wr_inline_sgl(const void *arg)
{
	struct ibv_data_buf bufs[3];
	struct ibv_sge sge[3];
	struct ibv_qp_ex *q;
	struct ibv_wc wc;
	uint8_t text[60];

	setup();
	ht_fill(text, sizeof(text), 152, 0);
	for (int i = 0; i < 3; i++) {
		bufs[i] = (struct ibv_data_buf){ text + 30 + i * 10, 10 };
		sge[i] = ht_sge(&rig.mr[0], rig.p[0] + i * 5000, 3000);
	}
	q = begin(1, IBV_SEND_INLINE | IBV_SEND_SIGNALED);
	ibv_wr_rdma_write(q, rig.mr[1].mr->rkey, ht_iova(&rig.mr[1], rig.p[1] + 3));
	ibv_wr_set_inline_data(q, text, 30);
	q->wr_id = 2;
	ibv_wr_rdma_write(q, rig.mr[1].mr->rkey, ht_iova(&rig.mr[1], rig.p[1] + 40));
	ibv_wr_set_inline_data_list(q, 3, bufs);
	q->wr_id = 3;
	q->wr_flags = IBV_SEND_SIGNALED;
	ibv_wr_rdma_write(q, rig.mr[1].mr->rkey, ht_iova(&rig.mr[1], rig.p[1] + 4097));
	ibv_wr_set_sge_list(q, 3, sge);
	ht_ok(ibv_wr_complete(q));
	memset(text, 0, sizeof(text));
	for (int i = 1; i <= 3; i++)
		ht_want_wc(rig.a->scq, &wc, i, IBV_WC_SUCCESS);
	ht_check_fill(rig.p[1] + 3, 30, 152, 0, "ibv_wr_set_inline_data");
	ht_check_fill(rig.p[1] + 40, 30, 152, 30, "ibv_wr_set_inline_data_list");
	for (int i = 0; i < 3; i++)
		ht_check_fill(rig.p[1] + 4097 + i * 3000, 3000, 150, i * 5000,
			      "ibv_wr_set_sge_list");
	ht_rig_put(&rig);
}

/* --- ibv_cq_ex ---------------------------------------------------------------------- */

static void cq_ex_run(struct ibv_cq_ex *cq, bool stamps)
{
	struct ibv_poll_cq_attr attr = { 0 };
	uint64_t last = 0;
	int n = 0, err;
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);

	while (n < 12) {
		err = ibv_start_poll(cq, &attr);
		if (err == ENOENT) {
			ht_check(!ht_over(deadline), "%d of 12 completions", n);
			ht_yield();
			continue;
		}
		ht_ok(err);
		do {
			bool recv = cq->wr_id >= 100;

			ht_eq(cq->status, IBV_WC_SUCCESS);
			ht_eq(ibv_wc_read_opcode(cq), recv ? IBV_WC_RECV : IBV_WC_SEND);
			ht_eq(ibv_wc_read_vendor_err(cq), 0);
			ht_eq(ibv_wc_read_qp_num(cq), (recv ? rig.b : rig.a)->qp->qp_num);
			if (recv) {
				ht_eq(ibv_wc_read_byte_len(cq), 10 + cq->wr_id - 100);
				ht_true(ibv_wc_read_wc_flags(cq) & IBV_WC_WITH_IMM);
				ht_eq(be32toh(ibv_wc_read_imm_data(cq)), cq->wr_id - 100);
			}
			if (stamps) {
				uint64_t t = ibv_wc_read_completion_ts(cq);

				ht_check(t && t >= last,
					 "time stamps go back: %" PRIu64 ", %" PRIu64, last, t);
				last = t;
			}
			n++;
		} while ((err = ibv_next_poll(cq)) == 0);
		ht_eq(err, ENOENT);
		ibv_end_poll(cq);
	}
}

static void api_cq_ex(const void *arg)
{
	const bool *stamps = arg;
	struct ibv_cq_init_attr_ex init = {
		.cqe = 64,
		.wc_flags = IBV_WC_EX_WITH_BYTE_LEN | IBV_WC_EX_WITH_IMM | IBV_WC_EX_WITH_QP_NUM |
			    IBV_WC_EX_WITH_SRC_QP |
			    (*stamps ? IBV_WC_EX_WITH_COMPLETION_TIMESTAMP : 0),
	};
	struct ibv_cq_ex *cq;
	struct ht_wr w;

	memset(&rig, 0, sizeof(rig));
	ht_pair_open(&rig.pair, NULL);
	if (rig.pair.s[0].dev != rig.pair.s[1].dev)
		ht_skip("needs both sides on one device");
	cq = ibv_create_cq_ex(rig.pair.dev[0].ctx, &init);
	ht_require(&rig.pair.dev[0], cq, "no %s: %s",
		   *stamps ? "completion time stamps" : "ibv_create_cq_ex", strerror(errno));
	for (int i = 0; i < 2; i++)
		rig.pair.s[i].scq = rig.pair.s[i].rcq = ibv_cq_ex_to_cq(cq);
	ht_pair_create(&rig.pair);
	ht_pair_connect(&rig.pair);
	ht_rig_mem(&rig, LEN, HT_ANON, ht_best_mr(rig.pair.s[0].dev));
	ht_fill(rig.p[0], LEN, 155, 0);
	for (int i = 0; i < 6; i++)
		ht_recv(rig.b, 100 + i, &rig.mr[1], rig.p[1] + i * 100, 100);
	for (int i = 0; i < 6; i++) {
		w = ht_rig_wr(&rig, IBV_WR_SEND_WITH_IMM, i, 10 + i, 0);
		w.id = i;
		w.imm = htobe32(i);
		ht_post(rig.a->qp, &w);
	}
	cq_ex_run(cq, *stamps);
	for (int i = 0; i < 6; i++)
		ht_check_fill(rig.p[1] + i * 100, 10 + i, 155, i, "message");
}

/* ibv_query_rt_values_ex() reads the clock that completion time stamps come from. */
static void api_clock(const void *arg)
{
	struct ibv_values_ex v = { .comp_mask = IBV_VALUES_MASK_RAW_CLOCK };
	struct timespec first;
	struct ht_dev d;

	ht_open(&d, ht_opt.dev);
	ht_require(&d, d.attr.completion_timestamp_mask, "no completion_timestamp_mask");
	ht_ok(ibv_query_rt_values_ex(d.ctx, &v));
	first = v.raw_clock;
	ht_sleep_ms(2);
	ht_ok(ibv_query_rt_values_ex(d.ctx, &v));
	ht_check(v.raw_clock.tv_sec > first.tv_sec || (v.raw_clock.tv_sec == first.tv_sec &&
						       v.raw_clock.tv_nsec > first.tv_nsec),
		 "the clock stands still");
	ht_close(&d);
}

static const bool with = true, without;

const struct ht_case basic_api[] = {
	{ "api-wr-all", "each ibv_wr_ operation does what its opcode does", api_wr_all },
	{ "api-wr-abort", "an aborted section leaves nothing behind", api_wr_abort },
	{ "api-wr-inline-sgl", "inline data and SGE lists through ibv_wr_", api_wr_inline_sgl },
	{ "api-cq-ex", "an extended CQ reports the same as a plain one", api_cq_ex, &without },
	{ "api-cq-ex-stamps", "completion time stamps never go back", api_cq_ex, &with },
	{ "api-clock", "the device's clock can be read and advances", api_clock },
	{},
};
