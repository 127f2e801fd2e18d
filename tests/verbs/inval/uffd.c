// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Memory under userfaultfd: a page arrives when a process delivers it, which may be
 * never.
 *
 * The thread of the case is both the handler and the poster: if post_send waited
 * for the page, nobody would deliver it and the case would time out. That is
 * intended.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "inval.h"

#define LEN (64 * HT_PAGE)

static struct iv v;
static struct ht_side other[2]; /* a second pair of QPs */
static int uffd;

static int open_uffd(uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)v.p, v.len },
		.mode = mode,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		ht_skip("userfaultfd: %s", strerror(errno));
	if (mode & UFFDIO_REGISTER_MODE_WP)
		api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
	if (ioctl(fd, UFFDIO_API, &api))
		ht_skip("UFFDIO_API: %s", strerror(errno));
	if (ioctl(fd, UFFDIO_REGISTER, &reg))
		ht_skip("UFFDIO_REGISTER: %s", strerror(errno));
	return fd;
}

static void setup(uint64_t mode)
{
	iv_get(&v, HT_ANON, LEN);
	ht_second_pair(other, &v.r.pair, NULL);
	ht_fill(v.r.p[0], LEN, 1, 0);
	if (mode & UFFDIO_REGISTER_MODE_WP)
		iv_fill(&v, 0, LEN, 2);
	uffd = open_uffd(mode);
}

/* The next fault must be on the page at @off. */
static void want_fault(size_t off, bool wp)
{
	struct uffd_msg msg;

	ht_check(ht_poll_fd(uffd, HT_PATIENCE_MS), "no fault for offset 0x%zx", off);
	ht_eq(read(uffd, &msg, sizeof(msg)), sizeof(msg));
	ht_eq(msg.event, UFFD_EVENT_PAGEFAULT);
	ht_eq(msg.arg.pagefault.address & ~(HT_PAGE - 1), (uintptr_t)v.p + off);
	ht_eq(!!(msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP), wp);
}

static void bring(size_t off, uint64_t seed)
{
	ht_uffd_deliver(uffd, v.p + off, seed, off);
}

/* Deliver pages as long as there are faults and @cq has no completion. */
static void serve(struct ibv_cq *cq, struct ibv_wc *wc, uint64_t seed)
{
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);
	struct uffd_msg msg;

	while (ibv_poll_cq(cq, 1, wc) == 0) {
		ht_check(!ht_over(deadline), "neither a fault nor a completion");
		if (read(uffd, &msg, sizeof(msg)) != sizeof(msg)) {
			ht_yield();
			continue;
		}
		ht_eq(msg.event, UFFD_EVENT_PAGEFAULT);
		bring((msg.arg.pagefault.address & ~(HT_PAGE - 1)) - (uintptr_t)v.p, seed);
	}
}

/* The other pair goes on while the first one waits. */
static void others_go_on(void)
{
	for (long i = 0; i < ht_count(50); i++) {
		ht_fill(v.r.p[0] + 8 * HT_PAGE, 9000, 300 + i, 0);
		ht_rdma(&other[0], IBV_WR_RDMA_WRITE, &v.r.mr[0], v.r.p[0] + 8 * HT_PAGE, 9000,
			&v.r.mr[1], v.r.p[1] + 8 * HT_PAGE + 3);
		ht_check_fill(v.r.p[1] + 8 * HT_PAGE + 3, 9000, 300 + i, 0, "the other pair");
	}
}

enum place { REMOTE_WRITE, REMOTE_READ, REMOTE_ADD, LOCAL_SEND, LOCAL_READ, RECEIVE };

static void post(enum place place, size_t off, uint32_t len, uint64_t id)
{
	struct ht_wr w =
		ht_rdma_wr(id, IBV_WR_RDMA_WRITE, &v.r.mr[0], v.r.p[0], len, &v.mr, v.p + off);

	w.add = 5;
	switch (place) {
	case REMOTE_WRITE: break;
	case REMOTE_READ: w.op = IBV_WR_RDMA_READ; break;
	case REMOTE_ADD: w.op = IBV_WR_ATOMIC_FETCH_AND_ADD; break;
	case LOCAL_SEND:
	case LOCAL_READ:
		w.op = place == LOCAL_SEND ? IBV_WR_SEND : IBV_WR_RDMA_READ;
		w.addr = ht_iova(&v.lmr, v.p + off);
		w.lkey = v.lmr.mr->lkey;
		w.raddr = ht_iova(&v.r.mr[1], v.r.p[1]);
		w.rkey = v.r.mr[1].mr->rkey;
		if (place == LOCAL_SEND)
			ht_recv(v.r.b, id + 1, &v.r.mr[1], v.r.p[1], len);
		break;
	case RECEIVE:
		w.op = IBV_WR_SEND;
		ht_recv(v.r.b, id + 1, &v.mr, v.p + off, len);
		break;
	}
	ht_post(v.r.a->qp, &w);
}

static void missing(const void *arg)
{
	const enum place *place = arg;
	uint32_t len = *place == REMOTE_ADD ? 8 : 3 * HT_PAGE;
	size_t off = *place == REMOTE_ADD ? 5 * HT_PAGE + 16 : 5 * HT_PAGE + 100;
	uint64_t old;
	struct ibv_wc wc;

	setup(UFFDIO_REGISTER_MODE_MISSING);
	ht_fill(v.r.p[1], LEN, 3, 0);
	post(*place, off, len, 70);
	others_go_on();
	ht_no_wc(v.r.a->scq, 5);
	want_fault(5 * HT_PAGE, false);
	ht_fill(v.r.p[0], 4 * HT_PAGE, 1, 0);
	bring(5 * HT_PAGE, 4);
	serve(v.r.a->scq, &wc, 4);
	ht_check(wc.status == IBV_WC_SUCCESS && wc.wr_id == 70, "wr_id %d: %s", (int)wc.wr_id,
		 ibv_wc_status_str(wc.status));
	switch (*place) {
	case REMOTE_WRITE:
	case RECEIVE:
		ht_check_fill(v.p + off, len, 1, 0, "written behind userfaultfd");
		iv_check(&v, 5 * HT_PAGE, 100, 4, "what the handler brought, before it");
		break;
	case REMOTE_READ: ht_check_fill(v.r.p[0], len, 4, off, "read behind userfaultfd"); break;
	case REMOTE_ADD:
		memcpy(&old, v.r.p[0], 8);
		ht_check_fill(&old, 8, 4, off, "the old value");
		old += 5;
		ht_check_bytes(v.p + off, &old, 8, "the new value");
		break;
	case LOCAL_SEND:
		ht_want_wc(v.r.b->rcq, &wc, 71, IBV_WC_SUCCESS);
		ht_check_fill(v.r.p[1], len, 4, off, "sent from behind userfaultfd");
		break;
	case LOCAL_READ:
		ht_check_fill(v.p + off, len, 3, 0, "read into memory behind userfaultfd");
		break;
	}
}

/* Write-protected pages: reads go through, a WRITE waits for the handler. */
static void protected(const void *arg)
{
	struct uffdio_writeprotect wp = {
		.range = { 0, LEN },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	struct ibv_wc wc;

	setup(UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP);
	iv_write(&v, 0, LEN, 2);
	wp.range.start = (uintptr_t)v.p;
	ht_sys(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp));
	iv_read(&v, 0, LEN, 2, "READ of write-protected pages");
	ht_fill(v.r.p[0], HT_PAGE, 9, 0);
	post(REMOTE_WRITE, 20 * HT_PAGE + 1, 1000, 80);
	others_go_on();
	want_fault(20 * HT_PAGE, true);
	iv_check(&v, 0, LEN, 2, "write-protected pages");
	ht_no_wc(v.r.a->scq, 5);
	wp.range = (struct uffdio_range){ (uintptr_t)v.p + 20 * HT_PAGE, HT_PAGE };
	wp.mode = 0;
	ht_sys(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp));
	ht_want_wc(v.r.a->scq, &wc, 80, IBV_WC_SUCCESS);
	ht_check_fill(v.p + 20 * HT_PAGE + 1, 1000, 9, 0, "WRITE after the handler's consent");
	iv_check(&v, 21 * HT_PAGE, 43 * HT_PAGE, 2, "pages that stay protected");
}

/* Several QPs wait for different pages, which arrive in reverse order. */
static void many_wait(const void *arg)
{
	enum { N = 6 };
	struct ht_side s[N][2];
	struct ibv_wc wc;

	setup(UFFDIO_REGISTER_MODE_MISSING);
	for (int i = 0; i < N; i++)
		ht_second_pair(s[i], &v.r.pair, NULL);
	for (int i = 0; i < N; i++) {
		struct ht_wr w = ht_rig_wr(&v.r, IBV_WR_RDMA_READ, i * HT_PAGE, HT_PAGE, 0);

		w.id = i;
		w.raddr = ht_iova(&v.mr, v.p + i * 4 * HT_PAGE);
		w.rkey = v.mr.mr->rkey;
		ht_post(s[i][0].qp, &w);
	}
	others_go_on();
	for (int i = N - 1; i >= 0; i--) {
		bring(i * 4 * HT_PAGE, 40 + i);
		ht_want_wc(s[i][0].scq, &wc, i, IBV_WC_SUCCESS);
		ht_check_fill(v.r.p[0] + i * HT_PAGE, HT_PAGE, 40 + i, i * 4 * HT_PAGE, "READ");
		for (int k = 0; k < i; k++)
			ht_check(ibv_poll_cq(s[k][0].scq, 1, &wc) == 0,
				 "QP %d did not wait for its page", k);
	}
}

/* The objects of a waiting operation can be destroyed. */
static void destroyed(const void *arg)
{
	const bool *remote = arg;
	struct ibv_wc wc;

	setup(UFFDIO_REGISTER_MODE_MISSING);
	post(*remote ? REMOTE_WRITE : LOCAL_SEND, 0, HT_PAGE, 90);
	want_fault(0, false);
	if (*remote)
		ht_side_put(v.r.b);
	else
		ht_ok(ht_to(v.r.a, IBV_QPS_ERR));
	ht_next_wc(v.r.a->scq, &wc, "of a request whose end is gone");
	ht_check(wc.status != IBV_WC_SUCCESS, "it succeeded");
	ht_side_put(v.r.a);
	ht_mr_put(&v.mr);
	ht_mr_put(&v.lmr);
	others_go_on();
	bring(0, 1);
	iv_check(&v, 0, HT_PAGE, 1, "the page, brought too late");
	others_go_on();
}

/* --- a handler that never answers --------------------------------------------------- */

static void never(void *arg)
{
	int fd = *(int *)arg;

	setup(UFFDIO_REGISTER_MODE_MISSING);
	post(REMOTE_WRITE, 0, HT_PAGE, 1);
	want_fault(0, false);
	post(LOCAL_READ, 9 * HT_PAGE, HT_PAGE, 3);
	ht_eq(write(fd, "x", 1), 1);
	for (;;)
		pause();
}

static void killed(const void *arg)
{
	int fd[2], status;
	uint64_t deadline;
	pid_t pid;
	char c;

	ht_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	pid = ht_fork(never, &fd[1]);
	close(fd[1]);
	ht_check(ht_poll_fd(fd[0], HT_PATIENCE_MS), "the child does not come so far");
	if (read(fd[0], &c, 1) != 1) {
		ht_join(pid); /* it failed or skipped */
		ht_fail("the child left without a word");
	}
	ht_sys(kill(pid, SIGKILL));
	deadline = ht_deadline(HT_PATIENCE_MS);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		ht_check(!ht_over(deadline),
			 "kill -9 does not end a process whose page never comes");
		ht_sleep_ms(2);
	}
	ht_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* The device works. */
	iv_get(&v, HT_ANON, LEN);
	iv_store(&v, 0, LEN, 6, "WRITE after the kill");
}

/* The handler goes away: the fault is then served with an ordinary page. */
static void handler_leaves(const void *arg)
{
	struct ibv_wc wc;

	setup(UFFDIO_REGISTER_MODE_MISSING);
	post(REMOTE_WRITE, 3, 2 * HT_PAGE, 100);
	want_fault(0, false);
	close(uffd);
	ht_want_wc(v.r.a->scq, &wc, 100, IBV_WC_SUCCESS);
	ht_check_fill(v.p + 3, 2 * HT_PAGE, 1, 0, "WRITE without a handler");
	ht_check_value(v.p, 3, 0, "before it");
}

static const enum place places[] = { REMOTE_WRITE, REMOTE_READ, REMOTE_ADD,
				     LOCAL_SEND,   LOCAL_READ,	RECEIVE };
static const char *const place_names[] = {
	"write", "read", "add", "send-source", "read-target", "receive",
};
static const bool yes = true, no;

static const struct ht_case cases[] = {
	{ "uffd-protected", "a WRITE waits for the consent of a write-protect handler", protected },
	{ "uffd-many", "QPs wait for their own pages and for no other", many_wait },
	{ "uffd-destroy-requester", "a request that waits for a page can be ended", destroyed,
	  &no },
	{ "uffd-destroy-responder", "a responder that waits for a page can be ended", destroyed,
	  &yes },
	{ "uffd-killed", "kill -9 while the page never comes", killed },
	{ "uffd-handler-leaves", "without a handler the page is an ordinary one", handler_leaves },
	{},
};

void inval_uffd(void)
{
	for (size_t i = 0; i < HT_LEN(places); i++)
		ht_addf(missing, &places[i], 0,
			"one QP waits for the handler, posts and other QPs do not",
			"uffd-missing-%s", place_names[i]);
	ht_add(cases);
}
