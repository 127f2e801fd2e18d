// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Objects: create, change, destroy. */
#include "failnth.h"

#define LEN (16 * HT_PAGE)

static struct ht_rig r;
static void *obj;
static int step;

/* 0 or errno of a verb that gives a pointer; it becomes the object. */
static int made(void *o)
{
	obj = o;
	return o ? 0 : errno;
}

static int make_context(void)
{
	return made(ibv_open_device(r.a->dev->ctx->device));
}

static int drop_context(void)
{
	return ibv_close_device(obj);
}

static int make_import(void)
{
	int fd = dup(r.a->dev->ctx->cmd_fd), err;

	err = made(ibv_import_device(fd));
	if (err)
		close(fd);
	return err;
}

static int make_pd(void)
{
	return made(ibv_alloc_pd(r.a->dev->ctx));
}

static int drop_pd(void)
{
	return ibv_dealloc_pd(obj);
}

static int make_cq(void)
{
	return made(ibv_create_cq(r.a->dev->ctx, 300, NULL, NULL, 0));
}

static int drop_cq(void)
{
	return ibv_destroy_cq(obj);
}

static int resize(void)
{
	step = 700 - step;
	return ibv_resize_cq(r.a->scq, 100 + step);
}

static int make_qp_type(enum ibv_qp_type type)
{
	struct ibv_qp_init_attr init = {
		.send_cq = r.a->scq,
		.recv_cq = r.a->rcq,
		.qp_type = type,
		.cap = { .max_send_wr = 100,
			 .max_recv_wr = 100,
			 .max_send_sge = 2,
			 .max_recv_sge = 2 },
	};

	return made(ibv_create_qp(r.a->pd, &init));
}

static int make_qp(void)
{
	return make_qp_type(IBV_QPT_RC);
}

static int make_ud(void)
{
	return make_qp_type(IBV_QPT_UD);
}

static int drop_qp(void)
{
	return ibv_destroy_qp(obj);
}

static int make_srq(void)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = 100, .max_sge = 1 } };

	return made(ibv_create_srq(r.a->pd, &init));
}

static int drop_srq(void)
{
	return ibv_destroy_srq(obj);
}

static int arm_srq(void)
{
	struct ibv_srq_attr attr = { .srq_limit = 5 };

	return ibv_modify_srq(obj, &attr, IBV_SRQ_LIMIT);
}

static int make_ah(void)
{
	struct ibv_ah_attr attr;

	ht_ah_attr(&attr, r.a, &r.b->dev->gid);
	return made(ibv_create_ah(r.a->pd, &attr));
}

static int drop_ah(void)
{
	return ibv_destroy_ah(obj);
}

static int reg(int access)
{
	return made(ibv_reg_mr(r.a->pd, r.p[0], r.len, access));
}

static int make_odp(void)
{
	return reg(IBV_ACCESS_ON_DEMAND | HT_ACCESS_ALL);
}

static int make_pinned(void)
{
	return reg(HT_ACCESS_ALL);
}

static int drop_mr(void)
{
	return ibv_dereg_mr(obj);
}

static int rereg(void)
{
	int ret = ibv_rereg_mr(obj, IBV_REREG_MR_CHANGE_TRANSLATION, NULL, r.p[0] + HT_PAGE,
			       r.len - HT_PAGE, 0);

	return ret ? errno : 0;
}

static int query(void)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr a;

	return ibv_query_qp(r.a->qp, &a, IBV_QP_STATE, &init);
}

static const union ibv_gid group = { .raw = { 0xff, 0x0e, [15] = 0x77 } };

static int join(void)
{
	return ibv_attach_mcast(obj, &group, 0);
}

static int leave(void)
{
	return ibv_detach_mcast(obj, &group, 0);
}

/* One step through the states each time; the object is a QP. */
static int to_init(void)
{
	struct ht_side s = { .dev = r.a->dev, .qp = obj };

	return ht_to_init(&s, &r.pair.conf);
}

static int to_rtr(void)
{
	struct ht_side s = { .dev = r.a->dev, .qp = obj };
	struct ht_addr peer;

	ht_addr_of(&peer, r.b);
	return ht_to_rtr(&s, &r.pair.conf, &peer);
}

static int to_rts(void)
{
	struct ht_side s = { .dev = r.a->dev, .qp = obj };

	return ht_to_rts(&s, &r.pair.conf);
}

static int to_err(void)
{
	struct ht_side s = { .dev = r.a->dev, .qp = obj };

	return ht_to(&s, IBV_QPS_ERR);
}

static int make_init(void)
{
	return make_qp() ?: to_init();
}

static int make_rtr(void)
{
	return make_init() ?: to_rtr();
}

static int make_rts(void)
{
	return make_rtr() ?: to_rts();
}

static int make_member(void)
{
	return make_ud() ?: join();
}

static int drop_member(void)
{
	int err = leave();

	return drop_qp() ?: err;
}

static int nothing(void)
{
	return 0;
}

/* @call gets the shot; @before and @after run without one. */
static const struct what {
	const char *name;
	int (*before)(void);
	int (*call)(void);
	int (*after)(void);
} whats[] = {
	{ "open", nothing, make_context, drop_context },
	{ "import", nothing, make_import, drop_context },
	{ "pd", nothing, make_pd, drop_pd },
	{ "pd-drop", make_pd, drop_pd, nothing },
	{ "cq", nothing, make_cq, drop_cq },
	{ "cq-resize", nothing, resize, nothing },
	{ "cq-drop", make_cq, drop_cq, nothing },
	{ "qp", nothing, make_qp, drop_qp },
	{ "qp-query", nothing, query, nothing },
	{ "qp-init", make_qp, to_init, drop_qp },
	{ "qp-rtr", make_init, to_rtr, drop_qp },
	{ "qp-rts", make_rtr, to_rts, drop_qp },
	{ "qp-err", make_rts, to_err, drop_qp },
	{ "qp-drop", make_rts, drop_qp, nothing },
	{ "ud", nothing, make_ud, drop_qp },
	{ "mcast-join", make_ud, join, drop_member },
	{ "mcast-leave", make_member, leave, drop_qp },
	{ "srq", nothing, make_srq, drop_srq },
	{ "srq-arm", make_srq, arm_srq, drop_srq },
	{ "srq-drop", make_srq, drop_srq, nothing },
	{ "ah", nothing, make_ah, drop_ah },
	{ "ah-drop", make_ah, drop_ah, nothing },
	{ "mr-odp", nothing, make_odp, drop_mr },
	{ "mr-pinned", nothing, make_pinned, drop_mr },
	{ "mr-rereg", make_odp, rereg, drop_mr },
	{ "mr-drop", make_odp, drop_mr, nothing },
	{ "mr-drop-pinned", make_pinned, drop_mr, nothing },
};

/* A route look-up fails with ENOBUFS. */
static bool sane(int err)
{
	return err == ENOMEM || err == EFAULT || err == EAGAIN || err == EINTR || err == ENOBUFS;
}

/* All shots at the verb's @which-th system call; false: it makes fewer calls. */
static bool shots(const struct what *w, int which, int *hits, int *failed)
{
	for (int n = 1;; n++) {
		int err, gone = 0;
		void *keep;

		ht_check(n < 2000, "%s never ends", w->name);
		ht_ok(w->before());
		keep = obj;
		shot_load(which, n);
		err = w->call();
		if (!shot_fired()) {
			ht_ok(err);
			ht_ok(w->after());
			return false;
		}
		if (!shot_hit()) {
			ht_ok(err);
			ht_ok(w->after());
			return true;
		}
		++*hits;
		if (err) {
			++*failed;
			ht_check(sane(err), "%s, shot %d.%d: %d (%s)", w->name, which, n, err,
				 strerror(err));
			/*
			 * The failed call did nothing, so it can be repeated. But
			 * the core may report a failure after it has destroyed an
			 * object.
			 */
			if (!obj)
				obj = keep;
			if (w->before != nothing && w->after == nothing && err == EFAULT)
				gone = ENOENT;
			err = w->call();
			ht_check(!err || err == gone, "%s after shot %d.%d: %d (%s)", w->name,
				 which, n, err, strerror(err));
		}
		ht_ok(w->after());
	}
}

static void object(const void *arg)
{
	const struct what *w = arg;
	char before[600], after[600];
	int hits = 0, failed = 0, which = 1;

	shot_need();
	ht_rig_get(&r, NULL, LEN);
	ht_fill(r.p[0], LEN, 470, 0);
	ht_ledger(before, sizeof(before), true);
	while (shots(w, which, &hits, &failed))
		which++;
	ht_note("%d system calls, %d allocations and copies, %d of them errors", which - 1, hits,
		failed);
	ht_check(hits > 0, "nothing was hit");
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 5, 9000, 0);
	ht_check_fill(r.p[1], 9000, 470, 5, "a WRITE afterwards");
	ht_ledger(after, sizeof(after), true);
	ht_check(!strcmp(before, after), "before: %s; after: %s", before, after);
	ht_rig_put(&r);
}

void failnth_objects(void)
{
	for (size_t i = 0; i < HT_LEN(whats); i++)
		ht_addf(object, &whats[i], 300, "each allocation and copy in it fails once",
			"failnth-%s", whats[i].name);
}
