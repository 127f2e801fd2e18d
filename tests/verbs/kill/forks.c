// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* fork and exec with an open device. */
#include <fcntl.h>
#include <sys/socket.h>

#include "kill.h"

static void write_over(void *arg)
{
	uint8_t *p = arg;

	ht_check_fill(p, END_LEN, 8200, 0, "the child's pages");
	memset(p, 0x99, END_LEN);
	ht_sleep_ms(5);
}

/* The parent's region stays on the parent's pages, whoever writes. */
static void child_first(void *arg)
{
	static struct ht_rig r;

	ht_rig_get(&r, NULL, END_LEN);
	for (int round = 0; round < 4; round++) {
		pid_t pid;

		ht_fill(r.p[0], END_LEN, 8300 + round, 0);
		ht_fill(r.p[1], END_LEN, 8200, 0);
		pid = ht_fork(write_over, r.p[1]);
		ht_rig_do(&r, IBV_WR_RDMA_READ, 0, 1000, 0);
		ht_check_fill(r.p[0], 1000, 8200, 0, "READ from the parent's pages");
		ht_rig_do(&r, IBV_WR_RDMA_WRITE, 1000, END_LEN - 2000, 1000);
		ht_join(pid);
		ht_check_fill(r.p[1], 1000, 8200, 0, "the parent's pages, before the WRITE");
		ht_check_fill(r.p[1] + 1000, END_LEN - 2000, 8300 + round, 1000,
			      "the parent's pages");
		ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, END_LEN, 0);
		ht_check_bytes(r.p[1], r.p[0], END_LEN, "a WRITE after the child's end");
	}
	ht_rig_put(&r);
}

static void fork_child_first(const void *arg)
{
	ledger_open();
	ht_join(ht_fork(child_first, NULL));
	ledger_close("after fork");
	fresh("a transfer after it");
}

/* The files stay open in the child; the memory goes with the parent. */
static void parent(void *arg)
{
	struct end e = { .fd = *(int *)arg };

	end_open(&e);
	end_connect(&e);
	ht_wait_until(atomic_load(&board->ops[0]) > 10, "traffic");
	if (fork()) {
		atomic_store(&board->ready, 1);
		_exit(0);
	}
	/* A grandchild of the case, which ends when it is told to. */
	ht_wait_until(atomic_load(&board->flag), "the order to end");
	_exit(0);
}

static void traffic(void *arg)
{
	struct end e = { .fd = *(int *)arg };
	uint64_t turn = 1;

	end_open(&e);
	end_connect(&e);
	for (; end_step(&e, turn); turn++) {
		atomic_fetch_add(&board->ops[0], 1);
		ht_check(turn < 1000000, "traffic with a process that is gone goes on");
	}
	ht_check(atomic_load(&board->ready), "an operation failed while the parent lived");
}

static void fork_parent_first(const void *arg)
{
	pid_t pid[2];
	int fd[2];

	ledger_open();
	ht_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	pid[0] = ht_fork(parent, &fd[0]);
	pid[1] = ht_fork(traffic, &fd[1]);
	close(fd[0]);
	close(fd[1]);
	gone(pid[0], 0, "the parent");
	gone(pid[1], 0, "the parent's peer");
	fresh("a transfer while the child keeps the files");
	atomic_store(&board->flag, 1);
	ledger_close("after parent and child");
}

static void become_another(void *arg)
{
	struct end e = { .fd = *(int *)arg };

	end_open(&e);
	end_connect(&e);
	ht_wait_until(atomic_load(&board->ops[0]) > 10, "traffic");
	if (atomic_load(&board->flag)) {
		/* Every file goes along. */
		for (int fd = 3; fd < 100; fd++) {
			int flags = fcntl(fd, F_GETFD);

			if (flags >= 0)
				fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC);
		}
	}
	atomic_store(&board->ready, 1);
	execl("/proc/self/exe", "kill", "role", "fresh", ht_opt.dev, NULL);
	ht_fail("exec: %s", strerror(errno));
}

static void exec_open(const void *arg)
{
	pid_t pid[2];
	int fd[2];

	ledger_open();
	atomic_store(&board->flag, *(const int *)arg);
	ht_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	pid[0] = ht_fork(become_another, &fd[0]);
	pid[1] = ht_fork(traffic, &fd[1]);
	close(fd[0]);
	close(fd[1]);
	gone(pid[0], 0, "the process that became another");
	gone(pid[1], 0, "its peer");
	ledger_close("after exec");
	fresh("a transfer after it");
}

static const int closes, keeps = 1;

const struct ht_case kill_forks[] = {
	{ "kill-fork-child-first", "the parent's region outlives a child that wrote its pages",
	  fork_child_first },
	{ "kill-fork-parent-first",
	  "a parent's end is a clean error though a child keeps its files", fork_parent_first },
	{ "kill-exec", "a program that execs in mid-traffic leaves nothing", exec_open, &closes },
	{ "kill-exec-files",
	  "a program that keeps the device's files open leaves nothing when it exits", exec_open,
	  &keeps },
	{},
};
