// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * If the answer to a command cannot be written, what the command made is undone.
 *
 * The library's system calls go through this file. While `spoil` is set, the
 * device's part of an answer lies in memory that is read-only: an attribute of
 * its own in an ioctl; behind the core's part in a write(2) command, where the
 * one ends at a page's end and the other begins in the next page.
 *
 * The device under test is made for the case and deleted after it: the module
 * then complains in the kernel log of any number or table entry left behind.
 */
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "rules.h"

#define DEV "hodp-rules"
#define UHW_OUT 0x1001 /* UVERBS_ATTR_UHW_OUT */

static bool spoil;
static int spoiled;
static uint8_t *pages; /* the first one writable, the second one not */

static void spoil_ioctl(struct ib_uverbs_ioctl_hdr *h)
{
	bool query = h->object_id == UVERBS_OBJECT_DEVICE &&
		     h->method_id == UVERBS_METHOD_QUERY_CONTEXT;
	uint16_t id = query ? HODP_ATTR_QUERY_CONTEXT_RESP : UHW_OUT;

	for (int i = 0; i < h->num_attrs; i++) {
		if (h->attrs[i].attr_id != id)
			continue;
		h->attrs[i].data = (uintptr_t)pages + HT_PAGE;
		spoiled++;
	}
}

int ioctl(int fd, unsigned long cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (spoil && cmd == RDMA_VERBS_IOCTL)
		spoil_ioctl(arg);
	return syscall(SYS_ioctl, fd, cmd, arg);
}

/* Bytes of the core's part of an answer, or 0: not a command to spoil. */
static size_t core_part(uint32_t command)
{
	switch (command) {
	case IB_USER_VERBS_CMD_CREATE_AH: return sizeof(struct ib_uverbs_create_ah_resp);
	case IB_USER_VERBS_CMD_RESIZE_CQ: return sizeof(struct ib_uverbs_resize_cq_resp);
	case IB_USER_VERBS_CMD_CREATE_SRQ: return sizeof(struct ib_uverbs_create_srq_resp);
	default: return 0;
	}
}

ssize_t write(int fd, const void *buf, size_t len)
{
	const struct ib_uverbs_cmd_hdr *h = buf;
	uint8_t copy[512];
	uint64_t at;
	size_t n;

	if (!spoil || len < sizeof(*h) + 8 || len > sizeof(copy) || h->in_words * 4 != len)
		return syscall(SYS_write, fd, buf, len);
	n = core_part(h->command);
	if (!n)
		return syscall(SYS_write, fd, buf, len);
	at = (uintptr_t)pages + HT_PAGE - n;
	memcpy(copy, buf, len);
	memcpy(copy + sizeof(*h), &at, 8);
	spoiled++;
	return syscall(SYS_write, fd, copy, len);
}

/* --- the objects ------------------------------------------------------------------ */

static struct ht_rig r;
static struct ibv_qp_init_attr qp_init;

static void *make_context(void)
{
	return ibv_open_device(r.a->dev->ctx->device);
}

static int drop_context(void *o)
{
	return ibv_close_device(o);
}

static void *import_context(void)
{
	int fd = dup(r.a->dev->ctx->cmd_fd), err;
	struct ibv_context *ctx = ibv_import_device(fd);

	err = errno;
	if (!ctx)
		close(fd);
	errno = err;
	return ctx;
}

static void *make_cq(void)
{
	return ibv_create_cq(r.a->dev->ctx, 1000, NULL, NULL, 0);
}

static int drop_cq(void *o)
{
	return ibv_destroy_cq(o);
}

static void *make_qp(void)
{
	return ibv_create_qp(r.a->pd, &qp_init);
}

static int drop_qp(void *o)
{
	return ibv_destroy_qp(o);
}

static void *make_srq(void)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = 100, .max_sge = 1 } };

	return ibv_create_srq(r.a->pd, &init);
}

static int drop_srq(void *o)
{
	return ibv_destroy_srq(o);
}

static void *make_ah(void)
{
	struct ibv_ah_attr attr;

	ht_ah_attr(&attr, r.a, &r.b->dev->gid);
	return ibv_create_ah(r.a->pd, &attr);
}

static int drop_ah(void *o)
{
	return ibv_destroy_ah(o);
}

static void *resize_cq(void)
{
	static int size = 300;

	size = 1300 - size;
	errno = ibv_resize_cq(r.a->scq, size);
	return errno ? NULL : r.a->scq;
}

static int drop_nothing(void *o)
{
	return 0;
}

static const struct kind {
	const char *name;
	void *(*make)(void);
	int (*drop)(void *object);
} kinds[] = {
	{ "context", make_context, drop_context },
	{ "import", import_context, drop_context },
	{ "cq", make_cq, drop_cq },
	{ "qp", make_qp, drop_qp },
	{ "srq", make_srq, drop_srq },
	{ "ah", make_ah, drop_ah },
	{ "resize", resize_cq, drop_nothing },
};

/* Once with a spoilt answer, once with a good one. */
static void spoil_kind(const struct kind *k)
{
	struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 3000, 1);
	void *o;

	for (int i = 0; i < 3; i++) {
		spoil = true;
		spoiled = 0;
		o = k->make();
		spoil = false;
		ht_check(!o, "%s: it was made, though the answer cannot be written", k->name);
		ht_eq(errno, EFAULT);
		ht_check(spoiled == 1, "%s: %d answers of the device's", k->name, spoiled);
		/* The older objects still work. */
		memset(r.p[1], 0, r.len);
		ht_fill(r.p[0], r.len, 460 + i, 0);
		ht_do(r.a, &w);
		ht_check_fill(r.p[1] + 1, 3000, 460 + i, 0, k->name);
		o = k->make();
		ht_check(o, "%s, with an answer that can be written: %s", k->name, strerror(errno));
		ht_ok(k->drop(o));
	}
}

static void spoil_all(void *arg)
{
	char before[600], after[600];

	ht_rig_get(&r, NULL, 4 * HT_PAGE);
	qp_init = (struct ibv_qp_init_attr){
		.send_cq = r.a->rcq,
		.recv_cq = r.a->rcq,
		.qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 100,
			 .max_recv_wr = 100,
			 .max_send_sge = 2,
			 .max_recv_sge = 2 },
	};
	ht_ledger(before, sizeof(before), true);
	for (size_t i = 0; i < HT_LEN(kinds); i++)
		spoil_kind(&kinds[i]);
	ht_ledger(after, sizeof(after), true);
	ht_check(!strcmp(before, after), "before: %s; after: %s", before, after);
}

static void answer(const void *arg)
{
	if (access("/sys/module/hmm_odp/refcnt", R_OK))
		ht_skip("the module is not there");
	ht_device_make(DEV, 99);
	pages = ht_map(2 * HT_PAGE, PROT_READ | PROT_WRITE);
	ht_sys(mprotect(pages + HT_PAGE, HT_PAGE, PROT_READ));
	ht_join(ht_fork(spoil_all, NULL));
	ht_device_drop(DEV);
}

const struct ht_case rules_answer[] = {
	{ "answer", "a command whose answer cannot be written is undone", answer, NULL, 180 },
	{},
};
