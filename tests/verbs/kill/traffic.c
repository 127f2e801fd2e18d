// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Processes that are killed in mid-traffic.
 *
 * Process 0 sends, process 1 is written to and read from; with `threads`, all
 * that makes and unmakes objects goes on beside it. The one that is left gets a
 * clean error, at the latest when it tries again, and ends by itself.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "kill.h"

enum { SENDER = 1, RECEIVER = 2 };

struct murder {
	const char *name;
	const char *intent;
	int who;
	bool threads;
	bool own_end; /* by _exit(), with everything open */
	bool signal_core; /* by a signal that is not SIGKILL */
};

static const struct murder *m;

static void *objects(void *arg)
{
	struct end *e = arg;
	struct ht_mr mr;

	for (;;) {
		struct ht_side x = e->s;
		uint8_t *p = ht_map(64 * HT_PAGE, PROT_READ | PROT_WRITE);

		ht_mr_get(&mr, e->s.pd, p, 64 * HT_PAGE, HT_ODP, HT_ACCESS_ALL);
		ht_side_create(&x, NULL, 0);
		ht_yield();
		ht_side_put(&x);
		ht_mr_put(&mr);
		ht_sys(munmap(p, 64 * HT_PAGE));
		atomic_fetch_add(&board->ops[1], 1);
	}
	return NULL;
}

static void sender(void *arg)
{
	struct end e = { .fd = *(int *)arg };

	end_open(&e);
	end_connect(&e);
	for (uint64_t turn = 1; end_step(&e, turn); turn++) {
		atomic_fetch_add(&board->ops[0], 1);
		if (m->own_end && m->who & SENDER && turn == 40)
			_exit(0);
	}
	/* The receiver is gone: everything else works. */
	ht_side_put(&e.s);
	ht_mr_put(&e.mr);
	ht_ok(ibv_destroy_cq(e.s.scq));
	ht_ok(ibv_destroy_cq(e.s.rcq));
	ht_ok(ibv_dealloc_pd(e.s.pd));
	ht_close(&e.dev);
	ht_check(m->who & RECEIVER, "the receiver is alive, but an operation failed");
}

static void receiver(void *arg)
{
	struct end e = { .fd = *(int *)arg };
	pthread_t t;

	end_open(&e);
	end_connect(&e);
	for (int i = 0; m->threads && i < 3; i++)
		ht_ok(pthread_create(&t, NULL, objects, &e));
	while (!atomic_load(&board->flag)) {
		struct ibv_wc wc;
		long ops = atomic_load(&board->ops[0]);

		ht_eq(ibv_poll_cq(e.s.rcq, 1, &wc), 0);
		if (m->own_end && m->who & RECEIVER && ops > 40)
			_exit(0);
		/* The owner uses the same pages. */
		madvise(e.p, END_LEN / 2, MADV_DONTNEED);
		e.p[ops % (END_LEN / 2)] = 1;
		ht_yield();
	}
	ht_check(!(m->who & RECEIVER), "the receiver was to be killed");
}

static void murder(const void *arg)
{
	int fd[2], sig;
	pid_t pid[2];

	m = arg;
	sig = m->signal_core ? SIGSEGV : SIGKILL;
	ledger_open();
	for (int round = 0; round < 2; round++) {
		ht_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
		memset(board, 0, sizeof(*board));
		pid[0] = ht_fork(sender, &fd[0]);
		pid[1] = ht_fork(receiver, &fd[1]);
		close(fd[0]);
		close(fd[1]);
		ht_wait_until(atomic_load(&board->ops[0]) > 10 + 13 * round, "traffic");
		if (m->threads)
			ht_wait_until(atomic_load(&board->ops[1]) > 5, "new objects");
		for (int i = 0; i < 2; i++)
			if (m->who & 1 << i && !m->own_end)
				ht_sys(kill(pid[i], sig));
		for (int i = 0; i < 2; i++)
			if (m->who & 1 << i)
				gone(pid[i], m->own_end ? 0 : sig, "a victim");
		atomic_store(&board->flag, 1);
		for (int i = 0; i < 2; i++)
			if (!(m->who & 1 << i))
				gone(pid[i], 0, "the process that is left");
		ledger_close(m->name);
		fresh("a transfer after it");
	}
	ledger_close("at the end");
}

static const struct murder murders[] = {
	{ "sender", "a sender that is killed leaves nothing", SENDER },
	{ "receiver", "a receiver that is killed is a clean error at the sender", RECEIVER },
	{ "both", "two ends that are killed leave nothing", SENDER | RECEIVER },
	{ "threads", "a process that is killed while it makes objects leaves nothing", RECEIVER,
	  .threads = true },
	{ "threads-both", "a process that is killed while it makes objects leaves nothing",
	  SENDER | RECEIVER, .threads = true },
	{ "segv", "a process that crashes leaves nothing", RECEIVER, .signal_core = true },
	{ "sender-exits", "a sender's exit without any cleanup leaves nothing", SENDER,
	  .own_end = true },
	{ "receiver-exits", "a receiver's exit without any cleanup leaves nothing", RECEIVER,
	  .own_end = true },
};

void kill_traffic(void)
{
	for (size_t i = 0; i < HT_LEN(murders); i++)
		ht_addf(murder, &murders[i], 90, murders[i].intent, "kill-%s", murders[i].name);
}
