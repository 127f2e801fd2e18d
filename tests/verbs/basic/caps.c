// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the device reports is true: limits can be reached, operations reported for
 * ODP memory work on it, others do not exist.
 */
#include "basic.h"

#define LEN (32 * HT_KIB)
#define OFF (HT_PAGE - 61)
#define MSG (2 * HT_PAGE + 77)

/* In the kernel's interface, but not in the header of this libibverbs. */
#define ODP_FLUSH (1U << 6)
#define ODP_ATOMIC_WRITE (1U << 7)
#define DEVICE_FLUSH_GLOBAL (1ULL << 38)
#define DEVICE_FLUSH_PERSISTENT (1ULL << 39)
#define DEVICE_ATOMIC_WRITE (1ULL << 40)

static void caps_device(const void *arg)
{
	const struct ibv_device_attr *a;
	struct ht_dev d;

	ht_open(&d, ht_opt.dev);
	a = &d.attr.orig_attr;
	ht_true(a->node_guid != 0);
	ht_eq(d.ctx->device->node_type, IBV_NODE_CA);
	ht_eq(a->phys_port_cnt, 1);
	ht_true(a->max_mr_size >= HT_GIB);
	ht_true(a->page_size_cap & HT_PAGE);
	ht_true(a->max_qp >= 64 && a->max_cq >= 64 && a->max_mr >= 64 && a->max_pd >= 64);
	ht_true(a->max_qp_wr >= 64 && a->max_sge >= 2 && a->max_cqe >= 1024);
	ht_true(a->max_srq_wr >= 64 && a->max_srq_sge >= 1);
	ht_true(a->max_qp_rd_atom >= 1 && a->max_qp_init_rd_atom >= 1);
	ht_true(a->max_ah >= 64);
	ht_true(a->atomic_cap != IBV_ATOMIC_NONE);
	ht_true(memchr(a->fw_ver, 0, sizeof(a->fw_ver)) != NULL);
	if (d.is_hodp) {
		ht_eq(a->atomic_cap, IBV_ATOMIC_GLOB);
		ht_true(a->max_mr_size >= 1ULL << 46);
		/* libfabric's default sizes need large queues */
		ht_true(a->max_cqe >= 1 << 20);
	}
	ht_close(&d);
}

static void caps_port(const void *arg)
{
	struct ibv_port_attr p;
	struct ibv_gid_entry e;
	struct ht_dev d;
	uint16_t pkey;
	int valid = 0;

	ht_open(&d, ht_opt.dev);
	ht_eq(d.port.link_layer, IBV_LINK_LAYER_ETHERNET);
	ht_eq(d.port.lid, 0);
	ht_true(d.port.active_mtu >= IBV_MTU_1024);
	ht_true(d.port.max_mtu >= d.port.active_mtu);
	ht_true(d.port.max_msg_sz >= 1U << 30);
	ht_true(d.port.gid_tbl_len >= 2 && d.port.pkey_tbl_len >= 1);
	ht_ok(ibv_query_pkey(d.ctx, 1, 0, &pkey));
	ht_eq(pkey, 0xffff);
	for (int i = 0; i < d.port.gid_tbl_len; i++) {
		if (!ibv_query_gid_ex(d.ctx, 1, i, &e, 0)) {
			ht_eq(e.port_num, 1);
			ht_eq(e.gid_index, i);
			ht_eq(e.gid_type, IBV_GID_TYPE_ROCE_V2);
			valid++;
		}
	}
	ht_true(valid >= 2);
	ht_check(ibv_query_port(d.ctx, 2, &p) != 0, "port 2 answers, there is one port");
	ht_check(ibv_query_pkey(d.ctx, 1, d.port.pkey_tbl_len, &pkey) != 0,
		 "a pkey behind the end of the table");
	ht_close(&d);
}

/* --- limits ---------------------------------------------------------------------- */

static void caps_max_sge(const void *arg)
{
	struct ht_conf conf = { 0 };
	struct ibv_sge *sge;
	struct ibv_wc wc;
	struct ht_pair p;
	struct ht_mr mr[2];
	uint8_t *buf[2];
	struct ht_wr w;
	int n;

	ht_pair_open(&p, &conf);
	n = HT_MIN(p.s[0].dev->attr.orig_attr.max_sge, p.s[1].dev->attr.orig_attr.max_sge);
	p.conf.sge = n;
	ht_pair_create(&p);
	ht_pair_connect(&p);
	sge = calloc(n + 1, sizeof(*sge));
	ht_buffers(&p, buf, mr, LEN, 40, HT_ACCESS_ALL);
	/* Gather every second 11 bytes, scatter them to every third. */
	for (int i = 0; i <= n; i++)
		sge[i] = ht_sge(&mr[1], buf[1] + i * 33, 11);
	ht_ok(ht_recv_try(p.s[1].qp, NULL, 5, sge, n));
	ht_check(ht_recv_try(p.s[1].qp, NULL, 6, sge, n + 1) != 0,
		 "a receive of max_sge + 1 pieces was accepted");
	for (int i = 0; i <= n; i++)
		sge[i] = ht_sge(&mr[0], buf[0] + i * 22, 11);
	w = (struct ht_wr){ .id = 1, .op = IBV_WR_SEND, .sgl = sge, .num_sge = n + 1 };
	ht_check(ht_post_try(p.s[0].qp, &w) != 0, "a SEND of max_sge + 1 pieces was accepted");
	w.num_sge = n;
	ht_do(&p.s[0], &w);
	ht_want_wc(p.s[1].rcq, &wc, 5, IBV_WC_SUCCESS);
	for (int i = 0; i < n; i++) {
		ht_check_bytes(buf[1] + i * 33, buf[0] + i * 22, 11, "piece");
		ht_check_fill(buf[1] + i * 33 + 11, 22, 41, i * 33 + 11, "gap");
	}
	for (int i = 0; i < 2; i++)
		ht_mr_put(&mr[i]);
	ht_pair_put(&p);
}

/* The largest queue: fill it before the peer is there to answer, then go. */
static void caps_max_wr(const void *arg)
{
	struct ht_conf conf = { .sge = 1 };
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	struct ht_pair p;
	struct ht_mr mr[2];
	struct ibv_wc wc;
	uint64_t *words;
	struct ht_wr w;
	int n, i;

	ht_pair_open(&p, &conf);
	n = HT_MIN(p.s[0].dev->attr.orig_attr.max_qp_wr, 4096);
	ht_true(n > 0);
	p.conf.depth = n;
	p.conf.cq_depth = n;
	ht_pair_create(&p);
	ht_pair_connect(&p);
	words = aligned_alloc(HT_PAGE, 2 * n * 8 + HT_PAGE);
	memset(words, 0, 2 * n * 8);
	for (i = 0; i < 2; i++)
		ht_mr_get(&mr[i], p.s[i].pd, words, 2 * n * 8, ht_best_mr(p.s[i].dev),
			  HT_ACCESS_ALL);
	for (i = 0; i < n; i++) {
		words[i] = 0x1000000000000000ULL + i;
		ht_recv(&p.s[1], i, &mr[1], &words[n + i], 8);
	}
	ht_ok(ibv_query_qp(p.s[1].qp, &attr, IBV_QP_CAP, &init));
	for (; i < (int)init.cap.max_recv_wr; i++)
		ht_recv(&p.s[1], i, &mr[1], words, 0);
	ht_check(ht_recv_try(p.s[1].qp, NULL, i, NULL, 0) != 0,
		 "%d receives fit into a queue of %d", i + 1, i);
	for (i = 0; i < n; i++) {
		w = ht_send_wr(i, &mr[0], &words[i], 8);
		ht_post(p.s[0].qp, &w);
	}
	for (i = 0; i < n; i++) {
		ht_want_wc(p.s[0].scq, &wc, i, IBV_WC_SUCCESS);
		ht_want_wc(p.s[1].rcq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(words[n + i], 0x1000000000000000ULL + i);
	}
	for (i = 0; i < 2; i++)
		ht_mr_put(&mr[i]);
	ht_pair_put(&p);
}

/* --- ODP ----------------------------------------------------------------------------- */

struct odp_op {
	const char *name;
	uint32_t bit;
	bool ud;
};

static void caps_odp(const void *arg)
{
	const struct ibv_odp_caps *c;
	struct ht_dev d;

	ht_open(&d, ht_opt.dev);
	c = &d.attr.odp_caps;
	ht_require(&d, c->general_caps & IBV_ODP_SUPPORT, "no ODP");
	ht_require(&d, c->general_caps & IBV_ODP_SUPPORT_IMPLICIT, "no implicit ODP");
	ht_check(!(c->general_caps & ~3ULL), "general caps 0x%" PRIx64 " has bits without a test",
		 c->general_caps);
	ht_check(!(c->per_transport_caps.rc_odp_caps & ~0xffU),
		 "RC caps 0x%x has bits without a test", c->per_transport_caps.rc_odp_caps);
	ht_check(!(c->per_transport_caps.ud_odp_caps & ~0x23U),
		 "UD caps 0x%x has bits without a test", c->per_transport_caps.ud_odp_caps);
	/* SEND, RECV, WRITE, SRQ_RECV. */
	ht_check(!(c->per_transport_caps.uc_odp_caps & ~0x27U),
		 "UC caps 0x%x has bits without a test", c->per_transport_caps.uc_odp_caps);
	/* Another transport needs tests of its own first. */
	ht_eq(d.attr.xrc_odp_caps, 0);
	ht_close(&d);
}

/* The pages are a file's, so they keep their contents when they are dropped. */
static void cold_rig(struct ht_rig *r, const struct ht_conf *conf)
{
	ht_rig_get_kind(r, conf, LEN, HT_TMPFS, HT_ODP);
	for (int i = 0; i < 2; i++) {
		ht_fill(r->p[i], LEN, 50 + i, 0);
		ht_mem_cold(&r->mem[i], 0, LEN);
	}
}

/* The buffer on the side that the capability names is ODP and not in memory. */
static void odp_op_data(const struct odp_op *o, struct ht_rig *r)
{
	bool at_b = o->bit == IBV_ODP_SUPPORT_RECV;
	enum ibv_wr_opcode op = o->bit == IBV_ODP_SUPPORT_WRITE ? IBV_WR_RDMA_WRITE :
				o->bit == IBV_ODP_SUPPORT_READ	? IBV_WR_RDMA_READ :
								  IBV_WR_SEND;
	struct ibv_wc wc;

	cold_rig(r, NULL);
	if (op == IBV_WR_SEND)
		ht_recv(r->b, 9, &r->mr[1], r->p[1] + OFF, MSG + 9);
	ht_rig_do(r, op, OFF + 3, MSG, OFF);
	if (op == IBV_WR_SEND)
		ht_want_wc(r->b->rcq, &wc, 9, IBV_WC_SUCCESS);
	ht_rig_settle(r);
	if (op == IBV_WR_RDMA_READ) {
		ht_check_fill(r->p[0] + OFF + 3, MSG, 51, OFF, "read data");
		ht_check_fill(r->p[0], OFF + 3, 50, 0, "before the read data");
	} else {
		ht_check_fill(r->p[1] + OFF, MSG, 50, OFF + 3, "received data");
		ht_check_fill(r->p[1], OFF, 51, 0, "before the received data");
		ht_check_fill(r->p[1] + OFF + MSG, LEN - OFF - MSG, 51, OFF + MSG,
			      at_b ? "the rest of the receive" : "the rest");
	}
}

static void odp_op_atomic(struct ht_rig *r)
{
	struct ht_wr w;

	cold_rig(r, NULL);
	w = ht_rig_wr(r, IBV_WR_ATOMIC_FETCH_AND_ADD, OFF + 57, 8, 2 * HT_PAGE - 8);
	w.add = 0;
	ht_do(r->a, &w);
	ht_check_fill(r->p[0] + OFF + 57, 8, 51, 2 * HT_PAGE - 8, "the old value");
	ht_check_fill(r->p[1], LEN, 51, 0, "the target, with 0 added");
}

/* ibv_wr_flush and ibv_wr_atomic_write exist in the new API only. */
static void odp_op_new(const struct odp_op *o, struct ht_rig *r)
{
	bool flush = o->bit == ODP_FLUSH;
	struct ht_conf conf = {
		.extended = true,
		.more_ops = flush ? IBV_QP_EX_WITH_FLUSH : IBV_QP_EX_WITH_ATOMIC_WRITE,
	};
	uint64_t value = 0xa5b6c7d8e9fa0b1c;
	struct ibv_qp_ex *q;
	struct ibv_wc wc;
	int access = HT_ACCESS_ALL | (flush ? IBV_ACCESS_FLUSH_GLOBAL : 0);

	memset(r, 0, sizeof(*r));
	conf.access = access;
	ht_pair_get(&r->pair, &conf);
	ht_mem_get(&r->mem[1], HT_TMPFS, LEN, 0);
	r->p[1] = r->mem[1].p;
	ht_fill(r->p[1], LEN, 50, 0);
	ht_mem_cold(&r->mem[1], 0, LEN);
	ht_mr_get(&r->mr[1], r->pair.s[1].pd, r->p[1], LEN, HT_ODP, access);
	q = ibv_qp_to_qp_ex(r->pair.s[0].qp);
	ibv_wr_start(q);
	q->wr_id = 12;
	q->wr_flags = IBV_SEND_SIGNALED;
	if (flush)
		ibv_wr_flush(q, r->mr[1].mr->rkey, ht_iova(&r->mr[1], r->p[1] + OFF), MSG,
			     IBV_FLUSH_GLOBAL, IBV_FLUSH_RANGE);
	else
		ibv_wr_atomic_write(q, r->mr[1].mr->rkey, ht_iova(&r->mr[1], r->p[1] + HT_PAGE - 8),
				    &value);
	ht_ok(ibv_wr_complete(q));
	ht_want_wc(r->pair.s[0].scq, &wc, 12, IBV_WC_SUCCESS);
	ht_eq(wc.opcode, flush ? IBV_WC_FLUSH : IBV_WC_ATOMIC_WRITE);
	ht_check_fill(r->p[1], HT_PAGE - 8, 50, 0, "before the word");
	if (!flush)
		ht_check_bytes(r->p[1] + HT_PAGE - 8, &value, 8, "the word");
	ht_check_fill(r->p[1] + HT_PAGE, LEN - HT_PAGE, 50, HT_PAGE, "behind the word");
}

static void odp_op_srq(struct ht_rig *r)
{
	struct ht_conf conf = { .srq_wr = 8 };
	struct ibv_sge sge;
	struct ibv_wc wc;

	cold_rig(r, &conf);
	sge = ht_sge(&r->mr[1], r->p[1] + OFF, MSG + 5);
	ht_ok(ht_recv_try(NULL, r->pair.conf.srq, 3, &sge, 1));
	ht_rig_do(r, IBV_WR_SEND, 1, MSG, 0);
	ht_want_wc(r->b->rcq, &wc, 3, IBV_WC_SUCCESS);
	ht_check_fill(r->p[1] + OFF, MSG, 50, 1, "received data");
	ht_check_fill(r->p[1] + OFF + MSG, LEN - OFF - MSG, 51, OFF + MSG, "behind it");
}

static void caps_odp_op(const void *arg)
{
	const struct odp_op *o = arg;
	bool uc = ht_opt.type == IBV_QPT_UC;
	struct ht_rig rig;
	struct ht_dev d;
	uint32_t caps;

	ht_open(&d, ht_opt.dev);
	caps = uc ? d.attr.odp_caps.per_transport_caps.uc_odp_caps :
		    d.attr.odp_caps.per_transport_caps.rc_odp_caps;
	if (!(caps & o->bit)) {
		if (o->bit == ODP_FLUSH || o->bit == ODP_ATOMIC_WRITE)
			ht_skip("the device does not report RC %s on ODP memory", o->name);
		ht_require(&d, false, "%s on ODP memory is not reported", o->name);
	}
	ht_close(&d);
	switch (o->bit) {
	case IBV_ODP_SUPPORT_ATOMIC: odp_op_atomic(&rig); break;
	case IBV_ODP_SUPPORT_SRQ_RECV: odp_op_srq(&rig); break;
	case ODP_FLUSH:
	case ODP_ATOMIC_WRITE: odp_op_new(o, &rig); break;
	default: odp_op_data(o, &rig);
	}
}

/* An operation the device does not have must be refused, not half done. */
static void caps_absent(const void *arg)
{
	uint64_t flags, ops = 0;
	struct ht_pair p;
	struct ht_dev d;

	ht_open(&d, ht_opt.dev);
	flags = d.attr.orig_attr.device_cap_flags | d.attr.device_cap_flags_ex;
	ht_pair_open(&p, NULL);
	if (!(flags & (IBV_DEVICE_MEM_WINDOW | IBV_DEVICE_MEM_WINDOW_TYPE_2A |
		       IBV_DEVICE_MEM_WINDOW_TYPE_2B))) {
		ht_check(!ibv_alloc_mw(p.s[0].pd, IBV_MW_TYPE_1),
			 "a memory window was made, the caps know of none");
	}
	if (!(flags & IBV_DEVICE_XRC)) {
		struct ibv_xrcd_init_attr x = {
			.comp_mask = IBV_XRCD_INIT_ATTR_FD | IBV_XRCD_INIT_ATTR_OFLAGS,
			.fd = -1,
			.oflags = 0100,
		};

		ht_check(!ibv_open_xrcd(d.ctx, &x), "an XRC domain, the caps know of none");
	}
	if (!(flags & (DEVICE_FLUSH_GLOBAL | DEVICE_FLUSH_PERSISTENT)))
		ops |= IBV_QP_EX_WITH_FLUSH;
	if (!(flags & DEVICE_ATOMIC_WRITE))
		ops |= IBV_QP_EX_WITH_ATOMIC_WRITE;
	for (int bit = 0; bit < 16; bit++) {
		struct ibv_qp_init_attr_ex ex = {
			.qp_type = IBV_QPT_RC,
			.pd = p.s[0].pd,
			.cap = { 4, 4, 1, 1, 0 },
			.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_SEND_OPS_FLAGS,
			.send_ops_flags = ops & 1ULL << bit,
		};

		if (!ex.send_ops_flags)
			continue;
		ex.send_cq = ex.recv_cq = ibv_create_cq(d.ctx, 8, NULL, NULL, 0);
		ht_check(!ibv_create_qp_ex(d.ctx, &ex),
			 "a QP with ibv_wr_ operation bit %d, the caps know of none", bit);
	}
}

static const struct odp_op odp_ops[] = {
	{ "send", IBV_ODP_SUPPORT_SEND },
	{ "recv", IBV_ODP_SUPPORT_RECV },
	{ "write", IBV_ODP_SUPPORT_WRITE },
	{ "read", IBV_ODP_SUPPORT_READ },
	{ "atomic", IBV_ODP_SUPPORT_ATOMIC },
	{ "srq-recv", IBV_ODP_SUPPORT_SRQ_RECV },
	{ "flush", ODP_FLUSH },
	{ "atomic-write", ODP_ATOMIC_WRITE },
};

static const struct ht_case cases[] = {
	{ "caps-device", "the device's limits are sane and large enough", caps_device },
	{ "caps-port", "the port is an active RoCE v2 port with GIDs", caps_port },
	{ "caps-max-sge", "max_sge pieces work on both sides, one more is refused", caps_max_sge },
	{ "caps-max-wr", "full send and receive queues are executed in order", caps_max_wr },
	{ "caps-odp", "ODP capabilities name nothing that is not tested here", caps_odp },
	{ "caps-absent", "objects that no capability names cannot be created", caps_absent },
	{},
};

void basic_caps(void)
{
	ht_add(cases);
}

void basic_caps_odp(void)
{
	const uint32_t of_uc = IBV_ODP_SUPPORT_SEND | IBV_ODP_SUPPORT_RECV | IBV_ODP_SUPPORT_WRITE |
			       IBV_ODP_SUPPORT_SRQ_RECV;
	bool uc = ht_opt.type == IBV_QPT_UC;

	for (size_t i = 0; i < HT_LEN(odp_ops); i++) {
		if (uc && !(odp_ops[i].bit & of_uc))
			continue;
		ht_addf(caps_odp_op, &odp_ops[i], 0,
			"an operation reported for ODP works on absent pages", "caps-odp-%s-%s",
			uc ? "uc" : "rc", odp_ops[i].name);
	}
}
