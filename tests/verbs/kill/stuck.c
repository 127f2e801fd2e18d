// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Processes that are killed while the device waits for their pages: a userfaultfd
 * that nobody reads. The victim holds the descriptor, or another process does and
 * outlives the victim.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kill.h"

enum { OWNER = 1, PEER = 2 };

/* Values of board->ready. */
enum { BOTH_STUCK = 2, OWNER_GOES, PEER_GOES };

struct trap {
	const char *name;
	const char *intent;
	int who;
	bool elsewhere; /* the case holds the descriptor as well */
};

static const struct trap *t;

/*
 * Wait to be killed. The operation waits for a page of its own that never comes. On
 * a slow machine it still waits for the peer's page when the peer is killed, and
 * then it fails.
 */
static void stay(struct ibv_cq *cq)
{
	uint64_t deadline = ht_deadline(600000);
	struct ibv_wc wc;

	while (!ht_over(deadline)) {
		if (ibv_poll_cq(cq, 1, &wc) > 0)
			ht_check(wc.status == IBV_WC_RETRY_EXC_ERR && t->who & PEER &&
					 atomic_load(&board->ready) != BOTH_STUCK,
				 "%s, without a page", ibv_wc_status_str(wc.status));
		ht_yield();
	}
	ht_fail("nobody killed the owner");
}

/* Its memory is never delivered, neither for the peer nor for itself. */
static void owner(void *arg)
{
	struct end e = { .fd = *(int *)arg };
	struct ht_wr w;
	int ufd;

	end_open(&e);
	ufd = ht_uffd_missing(e.p, END_LEN);
	/* The case opens it through /proc and keeps it. */
	atomic_store(&board->flag, ufd);
	end_connect(&e);
	w = end_wr(&e, IBV_WR_RDMA_WRITE, 5000);
	ht_post(e.s.qp, &w);
	atomic_fetch_add(&board->ready, 1);
	stay(e.s.scq);
}

/* It has memory of its own and waits for the owner's: eight operations at once. */
static void peer(void *arg)
{
	struct end e = { .fd = *(int *)arg };
	uint64_t deadline;
	struct ibv_wc wc;

	end_open(&e);
	ht_fill(e.p, END_LEN, 8100, 0);
	end_connect(&e);
	for (int i = 0; i < 8; i++) {
		struct ht_wr w = end_wr(&e, i % 2 ? IBV_WR_RDMA_READ : IBV_WR_RDMA_WRITE, 9000);

		ht_post(e.s.qp, &w);
	}
	atomic_fetch_add(&board->ready, 1);
	deadline = ht_deadline(2 * HT_PATIENCE_MS);
	for (wc.status = IBV_WC_SUCCESS; wc.status == IBV_WC_SUCCESS;) {
		int n = ibv_poll_cq(e.s.scq, 1, &wc);

		ht_check(!ht_over(deadline), "no error after the owner's end");
		/*
		 * When the owner's userfaultfd closes, pages come, and the address
		 * space ends a moment later: try again.
		 */
		if (n && wc.status == IBV_WC_SUCCESS) {
			struct ht_wr w = end_wr(&e, IBV_WR_RDMA_WRITE, 9000);

			ht_check(atomic_load(&board->ready) == OWNER_GOES,
				 "success without a page");
			ht_post(e.s.qp, &w);
		}
		ht_yield();
	}
	ht_check(t->who & OWNER, "%s, while the page's owner lives", ibv_wc_status_str(wc.status));
	/* Cleaning up must not wait for the page either. */
	ht_side_put(&e.s);
	ht_mr_put(&e.mr);
	ht_close(&e.dev);
}

static int take_ufd(pid_t pid, int theirs)
{
	int pidfd = ht_sys(syscall(SYS_pidfd_open, pid, 0));
	int fd = ht_sys(syscall(SYS_pidfd_getfd, pidfd, theirs, 0));

	close(pidfd);
	return fd;
}

static void trap(const void *arg)
{
	int fd[2], ufd = -1;
	pid_t pid[2];

	t = arg;
	ledger_open();
	ht_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	pid[0] = ht_fork(owner, &fd[0]);
	pid[1] = ht_fork(peer, &fd[1]);
	close(fd[0]);
	close(fd[1]);
	ht_wait_until(atomic_load(&board->ready) == BOTH_STUCK, "both to be stuck");
	if (t->elsewhere)
		ufd = take_ufd(pid[0], atomic_load(&board->flag));
	/* Kill it while it sleeps in the fault; a later kill is as good. */
	ht_sleep_ms(50);
	atomic_store(&board->ready, t->who & OWNER ? OWNER_GOES : PEER_GOES);
	/* The peer first: it ends by itself when the owner is gone. */
	for (int i = 1; i >= 0; i--) {
		if (t->who & 1 << i)
			ht_sys(kill(pid[i], SIGKILL));
	}
	for (int i = 0; i < 2; i++) {
		if (t->who & 1 << i)
			gone(pid[i], SIGKILL, i ? "the peer" : "the owner of the pages");
	}
	ledger_note(t->name);
	fresh("a transfer while a handler still owes an answer");
	if (t->who == OWNER) {
		gone(pid[1], 0, "the peer that is left");
	} else if (t->who == PEER) {
		ht_sys(kill(pid[0], SIGKILL));
		gone(pid[0], SIGKILL, "the owner that is left");
	}
	/* The handler is still alive, and nobody waits for it any more. */
	ledger_close("after the last one");
	if (ufd >= 0)
		close(ufd);
	fresh("a transfer after it");
}

static const struct trap traps[] = {
	{ "owner", "the owner of undelivered pages can be killed", OWNER },
	{ "owner-elsewhere", "it can be killed while the handler, another process, lives on", OWNER,
	  true },
	{ "peer", "a process that waits for another's pages can be killed", PEER },
	{ "peer-elsewhere", "it can be killed while the handler, another process, lives on", PEER,
	  true },
	{ "both", "both can be killed", OWNER | PEER },
	{ "both-elsewhere", "both can be killed while the handler, another process, lives on",
	  OWNER | PEER, true },
};

void kill_stuck(void)
{
	for (size_t i = 0; i < HT_LEN(traps); i++)
		ht_addf(trap, &traps[i], 90, traps[i].intent, "kill-stuck-%s", traps[i].name);
}
