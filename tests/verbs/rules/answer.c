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
#include <fcntl.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_verbs.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "rules.h"

#define DEV "hodp-rules0"
#define NETDEV "hodp-rules-net"
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

/* --- the device --------------------------------------------------------------- */

static void run(const char *cmd)
{
	int rc = system(cmd);

	ht_check(rc == 0, "%s: status %d", cmd, rc);
}

/* The core fills the table of GIDs in its own time. */
static bool has_gid(void)
{
	char path[120], text[64];

	for (int i = 0; i < 8; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/sys/class/infiniband/" DEV "/ports/1/gids/%d", i);
		f = fopen(path, "r");
		if (!f)
			return false;
		text[0] = 0;
		if (fgets(text, sizeof(text), f) && strstr(text, "ffff:0a4d")) {
			fclose(f);
			return true;
		}
		fclose(f);
	}
	return false;
}

static void make_device(void)
{
	run("ip link add " NETDEV " mtu 9000 up type dummy && "
	    "ip addr add 10.77.99.1/24 dev " NETDEV " && "
	    "exec rdma link add " DEV " type hmm_odp netdev " NETDEV);
	ht_wait_until(has_gid(), "a GID of the new device");
}

static void drop_device(void)
{
	run("rdma link delete " DEV " && exec ip link delete " NETDEV);
}

/* The core's counts, references to the module, open files. */
static void ledger(char *text, size_t size)
{
	FILE *f = popen("exec rdma resource show " DEV, "r");
	int files = 0;
	size_t n;

	ht_true(f != NULL);
	n = fread(text, 1, size - 50, f);
	text[n] = 0;
	ht_check(!pclose(f) && strstr(text, "qp "), "rdma resource show says: %s", text);
	f = fopen("/sys/module/hmm_odp/refcnt", "r");
	ht_true(f && fgets(text + n, 20, f));
	fclose(f);
	for (int fd = 0; fd < 256; fd++)
		files += fcntl(fd, F_GETFD) != -1;
	snprintf(text + strlen(text), 20, "%d files", files);
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

	ht_opt.dev = ht_opt.peer = DEV;
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
	ledger(before, sizeof(before));
	for (size_t i = 0; i < HT_LEN(kinds); i++)
		spoil_kind(&kinds[i]);
	ledger(after, sizeof(after));
	ht_check(!strcmp(before, after), "before: %s; after: %s", before, after);
}

static void answer(const void *arg)
{
	if (access("/sys/module/hmm_odp/refcnt", R_OK))
		ht_skip("the module is not there");
	make_device();
	pages = ht_map(2 * HT_PAGE, PROT_READ | PROT_WRITE);
	ht_sys(mprotect(pages + HT_PAGE, HT_PAGE, PROT_READ));
	ht_join(ht_fork(spoil_all, NULL));
	drop_device();
}

const struct ht_case rules_answer[] = {
	{ "answer", "a command whose answer cannot be written is undone", answer, NULL, 180 },
	{},
};
