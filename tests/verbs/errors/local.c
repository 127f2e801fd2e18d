// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Requests that are wrong at the requester end there. The responder does not see
 * them: its QP stays in RTS, its memory is untouched.
 */
#include "errors.h"

#define LEN (64 * HT_KIB)
#define MR_OFF (HT_PAGE + 501)
#define MR_LEN (4 * HT_PAGE + 7)

enum how { WRONG_KEY, ZERO_KEY, BEFORE, BEHIND, WRAPS, OTHER_PD, GONE, NO_LOCAL_WRITE, SECOND_SGE };

struct row {
	const char *name;
	enum ibv_wr_opcode op;
	enum how how;
};

static struct ht_rig r;
static struct ht_mr region;
static uint8_t *shadow[2];

static void setup(const struct ht_conf *conf)
{
	ht_rig_get(&r, conf, LEN);
	ht_rig_fill(&r, 220, shadow);
}

static void unchanged(void)
{
	for (int i = 0; i < 2; i++)
		ht_check_bytes(r.p[i], shadow[i], LEN,
			       i ? "responder's memory" : "requester's memory");
}

static void works_again(void)
{
	ht_pair_reconnect(&r.pair);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 5, 2000, 3);
	memcpy(shadow[1] + 3, shadow[0] + 5, 2000);
	unchanged();
}

static void protection(const void *arg)
{
	const struct row *row = arg;
	struct ibv_pd *pd;
	struct ibv_sge sge[2];
	struct ht_wr w;
	uint64_t begin;
	uint32_t len = 2 * HT_PAGE;

	setup(NULL);
	pd = row->how == OTHER_PD ? ibv_alloc_pd(r.a->dev->ctx) : r.a->pd;
	ht_true(pd != NULL);
	ht_mr_get(&region, pd, r.p[0] + MR_OFF, MR_LEN, ht_best_mr(r.a->dev),
		  row->how == NO_LOCAL_WRITE ? IBV_ACCESS_REMOTE_READ : HT_ACCESS_ALL);
	begin = ht_iova(&region, r.p[0] + MR_OFF);
	w = ht_rig_wr(&r, row->op, 0, 1, 64);
	if (row->op >= IBV_WR_ATOMIC_CMP_AND_SWP)
		len = 8;
	w.addr = begin + 9;
	w.len = len;
	w.lkey = region.mr->lkey;
	switch (row->how) {
	case WRONG_KEY: w.lkey ^= 1; break;
	case ZERO_KEY: w.lkey = 0; break;
	case BEFORE: w.addr = begin - 1; break;
	case BEHIND: w.addr = begin + MR_LEN - len + 1; break;
	case WRAPS: w.addr = UINT64_MAX - 10; break;
	case GONE: ht_mr_put(&region); break;
	case SECOND_SGE:
		sge[0] = (struct ibv_sge){ w.addr, 1000, w.lkey };
		sge[1] = (struct ibv_sge){ begin + MR_LEN - 10, 11, w.lkey };
		w.sgl = sge;
		w.num_sge = 2;
		break;
	default: break;
	}
	if (row->op == IBV_WR_SEND)
		ht_recv(r.b, 1, &r.mr[1], r.p[1], LEN);
	ht_do_status(r.a, &w, IBV_WC_LOC_PROT_ERR);
	ht_eq(ht_state(r.a), IBV_QPS_ERR);
	/*
	 * A READ or an atomic may be executed before its data arrives, and a READ
	 * may store the packets that precede the bad place.
	 */
	if (row->op == IBV_WR_ATOMIC_FETCH_AND_ADD)
		memcpy(shadow[1] + 64, r.p[1] + 64, 8);
	else
		ht_eq(ht_state(r.b), IBV_QPS_RTS);
	if (row->op == IBV_WR_RDMA_READ && (row->how == BEHIND || row->how == SECOND_SGE))
		memcpy(shadow[0] + MR_OFF, r.p[0] + MR_OFF, MR_LEN);
	unchanged();
	works_again();
}

/* --- requests that make no sense ----------------------------------------------- */

static void must_fail(struct ht_wr *w, const char *what)
{
	struct ibv_wc wc;
	int err = ht_post_try(r.a->qp, w);

	if (err) {
		ht_check(err > 0, "%s: a negative errno %d", what, err);
		/* The QP is as it was. */
		ht_eq(ht_state(r.a), IBV_QPS_RTS);
	} else {
		ht_next_wc(r.a->scq, &wc, what);
		ht_check(wc.wr_id == w->id, "%s: wr_id 0x%" PRIx64, what, wc.wr_id);
		ht_check(wc.status == IBV_WC_LOC_QP_OP_ERR || wc.status == IBV_WC_LOC_LEN_ERR ||
				 wc.status == IBV_WC_LOC_PROT_ERR,
			 "%s: status %s", what, ibv_wc_status_str(wc.status));
	}
	unchanged();
	works_again();
}

static void local_opcodes(const void *arg)
{
	static const int opcodes[] = { IBV_WR_BIND_MW,
				       IBV_WR_TSO,
				       IBV_WR_DRIVER1,
				       IBV_WR_FLUSH,
				       IBV_WR_ATOMIC_WRITE,
				       16,
				       31,
				       99,
				       255,
				       256,
				       0x7fffffff,
				       -1 };

	setup(NULL);
	for (size_t i = 0; i < HT_LEN(opcodes); i++) {
		struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 64, 0);
		char what[40];

		w.op = opcodes[i];
		snprintf(what, sizeof(what), "opcode %d", opcodes[i]);
		must_fail(&w, what);
	}
}

static void local_shapes(const void *arg)
{
	struct ht_conf conf = { .inl = 32, .sge = 2 };
	struct ibv_qp_init_attr init;
	struct ibv_sge sge[64] = { 0 };
	struct ibv_qp_attr attr;
	struct ht_wr w;

	setup(&conf);
	ht_ok(ibv_query_qp(r.a->qp, &attr, IBV_QP_CAP, &init));
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, init.cap.max_inline_data + 1, 0);
	w.addr = (uintptr_t)r.p[0];
	w.flags = IBV_SEND_INLINE;
	must_fail(&w, "inline data longer than granted");
	w = ht_rig_wr(&r, IBV_WR_RDMA_READ, 0, 8, 0);
	w.addr = (uintptr_t)r.p[0];
	w.flags = IBV_SEND_INLINE;
	must_fail(&w, "an inline READ");
	for (int i = 0; i < 64; i++)
		sge[i] = ht_sge(&r.mr[0], r.p[0], 1);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 1, 0);
	w.sgl = sge;
	w.num_sge = init.cap.max_send_sge + 1;
	must_fail(&w, "one piece more than granted");
	w.num_sge = -1;
	must_fail(&w, "-1 pieces");
	w = ht_rig_wr(&r, IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 4, 0);
	must_fail(&w, "an atomic of 4 bytes");
	w = ht_rig_wr(&r, IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 16, 0);
	must_fail(&w, "an atomic of 16 bytes");
	ht_check(ht_recv_try(r.b->qp, NULL, 1, sge, init.cap.max_recv_sge + 1) != 0,
		 "a receive of one piece more than granted");
	ht_check(ht_recv_try(r.b->qp, NULL, 1, sge, -1) != 0, "a receive of -1 pieces");
	works_again();
}

static void local_max_message(const void *arg)
{
	struct ibv_sge sge[3];
	struct ht_mem m;
	struct ht_mr mr;
	struct ibv_wc wc;
	struct ht_wr w;
	uint32_t max;
	int err;

	setup(NULL);
	max = r.a->dev->port.max_msg_sz;
	ht_true(max >= HT_GIB);
	/* Mapping one page many times would do; a hole is cheaper. */
	ht_mem_get(&m, HT_ANON, 64 * HT_KIB, 0);
	ht_mr_get(&mr, r.a->pd, m.p, m.len, ht_best_mr(r.a->dev), HT_ACCESS_ALL);
	for (int i = 0; i < 3; i++)
		sge[i] = ht_sge(&mr, m.p, i < 2 ? max / 2 : 2);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 1, 0);
	w.sgl = sge;
	w.num_sge = 3;
	err = ht_post_try(r.a->qp, &w);
	if (!err) {
		ht_next_wc(r.a->scq, &wc, "of a message that is longer than max_msg_sz");
		ht_check(wc.status == IBV_WC_LOC_LEN_ERR || wc.status == IBV_WC_LOC_PROT_ERR,
			 "status %s", ibv_wc_status_str(wc.status));
	}
	unchanged();
	works_again();
}

/* --- nobody there --------------------------------------------------------------------- */

static void give_up(const char *what, const struct ht_addr *peer)
{
	struct ht_conf c = { .timeout = 8, .retry = 2, .mtu = IBV_MTU_1024 };
	struct ibv_wc wc;
	struct ht_wr w;

	ht_ok(ht_to(r.a, IBV_QPS_RESET));
	ht_connect(r.a, &c, peer);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 100, 0);
	ht_post(r.a->qp, &w);
	ht_next_wc(r.a->scq, &wc, what);
	ht_check(wc.status == IBV_WC_RETRY_EXC_ERR, "%s: status %s", what,
		 ibv_wc_status_str(wc.status));
	ht_eq(ht_state(r.a), IBV_QPS_ERR);
	unchanged();
}

static void local_nobody(const void *arg)
{
	struct ht_addr peer;

	setup(NULL);
	ht_addr_of(&peer, r.b);
	ht_ok(ht_to(r.b, IBV_QPS_RESET));
	give_up("the peer is in RESET", &peer);
	ht_ok(ht_to_init(r.b, &r.pair.conf));
	give_up("the peer is in INIT", &peer);
	ht_ok(ht_to(r.b, IBV_QPS_ERR));
	give_up("the peer is in ERR", &peer);
	peer.qpn = 0xfffff0;
	give_up("there is no such QP", &peer);
	works_again();
}

/* The peer is connected to another QP. */
static void local_stranger(const void *arg)
{
	struct ht_conf conf = { .timeout = 8, .retry = 2 };
	struct ht_side c;
	struct ht_addr b;
	struct ht_wr w;

	setup(NULL);
	ht_addr_of(&b, r.b);
	ht_side_clone(&c, r.a, NULL);
	/* r.b stays connected to r.a; c sends to r.b with a PSN of its own. */
	c.psn = (c.psn + 0x400000) & 0xffffff;
	conf.mtu = r.pair.conf.mtu;
	ht_connect(&c, &conf, &b);
	w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 100, 0);
	ht_do_status(&c, &w, IBV_WC_RETRY_EXC_ERR);
	unchanged();
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, 100, 1);
	memcpy(shadow[1] + 1, shadow[0], 100);
	unchanged();
	ht_side_put(&c);
}

#define W IBV_WR_RDMA_WRITE
#define R IBV_WR_RDMA_READ
#define S IBV_WR_SEND
#define A IBV_WR_ATOMIC_FETCH_AND_ADD

static const struct row rows[] = {
	{ "write-wrong-key", W, WRONG_KEY },
	{ "send-wrong-key", S, WRONG_KEY },
	{ "read-wrong-key", R, WRONG_KEY },
	{ "add-wrong-key", A, WRONG_KEY },
	{ "write-key-0", W, ZERO_KEY },
	{ "write-before", W, BEFORE },
	{ "send-before", S, BEFORE },
	{ "read-before", R, BEFORE },
	{ "add-before", A, BEFORE },
	{ "write-behind", W, BEHIND },
	{ "send-behind", S, BEHIND },
	{ "read-behind", R, BEHIND },
	{ "add-behind", A, BEHIND },
	{ "write-wraps", W, WRAPS },
	{ "read-wraps", R, WRAPS },
	{ "write-other-pd", W, OTHER_PD },
	{ "read-other-pd", R, OTHER_PD },
	{ "send-other-pd", S, OTHER_PD },
	{ "write-deregistered", W, GONE },
	{ "send-deregistered", S, GONE },
	{ "read-deregistered", R, GONE },
	{ "read-no-local-write", R, NO_LOCAL_WRITE },
	{ "add-no-local-write", A, NO_LOCAL_WRITE },
	{ "write-second-sge", W, SECOND_SGE },
	{ "read-second-sge", R, SECOND_SGE },
	{ "send-second-sge", S, SECOND_SGE },
};

static const struct ht_case cases[] = {
	{ "local-opcodes", "unknown opcodes fail and harm nobody", local_opcodes },
	{ "local-shapes", "requests beyond what the QP was granted fail", local_shapes },
	{ "local-max-message", "a message beyond max_msg_sz fails", local_max_message },
	{ "local-nobody", "a peer that does not listen is IBV_WC_RETRY_EXC_ERR", local_nobody },
	{ "local-stranger", "a QP connected to somebody else does not listen", local_stranger },
	{},
};

void errors_local(void)
{
	for (size_t i = 0; i < HT_LEN(rows); i++)
		ht_addf(protection, &rows[i], 0,
			"a bad local key or range is IBV_WC_LOC_PROT_ERR at the requester",
			"local-%s", rows[i].name);
	ht_add(cases);
}
