// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * fork(): the region stays with the parent. Pages are shared until somebody writes;
 * the writer gets a copy, and the region must stay on the parent's pages.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <rdma/hmm_odp-abi.h>

#include "inval.h"

static struct iv v;
static int fd[2];

static void say(int s)
{
	ht_eq(write(s, "x", 1), 1);
}

static void hear(int s)
{
	char c;

	ht_check(ht_poll_fd(s, HT_PATIENCE_MS), "the other process says nothing");
	ht_eq(read(s, &c, 1), 1);
}

static void setup(const void *arg)
{
	iv_get_hot(&v, *(const enum ht_mem_kind *)arg);
	ht_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
}

/* WRITEs to the parent do not reach the child. */
static void child_keeps(void *arg)
{
	hear(fd[1]);
	iv_check(&v, 0, v.len, 2, "the child's memory, after the parent's WRITE");
	say(fd[1]);
}

static void parent_writes(const void *arg)
{
	pid_t pid;

	setup(arg);
	pid = ht_fork(child_keeps, NULL);
	iv_store(&v, 1, v.len - 1, 3, "the parent's memory");
	iv_read(&v, 1, v.len - 1, 3, "the parent's memory, read");
	ht_eq(v.p[0], ht_byte(2, 0));
	say(fd[0]);
	hear(fd[0]);
	iv_check(&v, 1, v.len - 1, 3, "the parent's memory at the end");
	ht_join(pid);
}

/* The child writes and gets copies; the region reads the parent's pages. */
static void child_writes_fn(void *arg)
{
	iv_fill(&v, 0, v.len, 4);
	say(fd[1]);
	hear(fd[1]);
	iv_check(&v, 0, v.len, 4, "the child's memory");
}

static void child_writes(const void *arg)
{
	pid_t pid;

	setup(arg);
	pid = ht_fork(child_writes_fn, NULL);
	hear(fd[0]);
	iv_read(&v, 0, v.len, 2, "the parent's memory, read");
	iv_store(&v, 0, v.len, 5, "the parent's memory");
	say(fd[0]);
	ht_join(pid);
	iv_read(&v, 0, v.len, 5, "the parent's memory after the child's end");
}

/* The parent's CPU writes: the pages move, the region must follow. */
static void cpu_writes(const void *arg)
{
	pid_t pid;

	setup(arg);
	pid = ht_fork(child_keeps, NULL);
	for (size_t i = 0; i < v.len; i += 2 * HT_PAGE)
		ht_fill(v.p + i, HT_PAGE, 6, i);
	for (size_t i = 0; i < v.len; i += HT_PAGE)
		iv_read(&v, i, HT_PAGE, i % (2 * HT_PAGE) ? 2 : 6, "READ after copy on write");
	say(fd[0]);
	hear(fd[0]);
	ht_join(pid);
}

/* Shared memory stays shared. */
static void shared_child(void *arg)
{
	hear(fd[1]);
	iv_check(&v, 0, v.len, 7, "the parent's WRITE in the child");
	iv_fill(&v, 0, v.len, 8);
	say(fd[1]);
}

static void shared(const void *arg)
{
	pid_t pid;

	setup(arg);
	pid = ht_fork(shared_child, NULL);
	iv_write(&v, 0, v.len, 7);
	say(fd[0]);
	hear(fd[0]);
	iv_read(&v, 0, v.len, 8, "the child's bytes");
	ht_join(pid);
}

/* Children are forked and exit while the parent transfers. */
static void brief_child(void *arg)
{
	for (size_t i = 0; i < v.len; i += 16 * HT_PAGE)
		v.p[i] = 0xcc;
}

static void storm(const void *arg)
{
	setup(arg);
	for (long i = 0; i < ht_count(30); i++) {
		pid_t pid = ht_fork(brief_child, NULL);
		uint64_t seed = 100 + i;

		iv_store(&v, 5, v.len / 8, seed, "WRITE beside a fork");
		iv_fill(&v, 5, v.len / 8, seed + 1000);
		iv_read(&v, 5, v.len / 8, seed + 1000, "READ beside a fork");
		ht_join(pid);
	}
	iv_check(&v, 5 + v.len / 8, v.len - 5 - v.len / 8, 2, "what was not written");
}

/* The child rings the doorbell that it inherited; the parent's memory is what moves. */
static void ringing_child(void *arg)
{
	uint32_t qpn = v.r.a->qp->qp_num;

	iv_fill(&v, 0, v.len, 9);
	say(fd[1]);
	while (!ht_poll_fd(fd[1], 0)) {
		for (int i = 0; i < 64; i++)
			for (int s = 3; s < 32; s++)
				ioctl(s, HODP_IOCTL_RING_SEND, qpn);
		ht_yield();
	}
	iv_check(&v, 0, v.len, 9, "the child's memory");
}

static void child_rings(const void *arg)
{
	pid_t pid;

	setup(arg);
	pid = ht_fork(ringing_child, NULL);
	hear(fd[0]);
	for (long i = 0; i < ht_count(100); i++) {
		iv_store(&v, i, 20000, 200 + i, "WRITE while a child rings");
		iv_read(&v, i, 20000, 200 + i, "READ while a child rings");
	}
	say(fd[0]);
	ht_join(pid);
}

static const enum ht_mem_kind anon = HT_ANON;

const struct ht_case inval_fork[] = {
	{ "fork-parent-writes", "WRITEs into the parent spare the child", parent_writes,
	  .kinds = IV_ANON | HT_BIT(HT_HUGETLB) },
	{ "fork-child-writes", "the region reads the parent's pages, not the child's", child_writes,
	  .kinds = IV_ANON },
	{ "fork-cpu-writes", "the region follows the parent's copies", cpu_writes,
	  .kinds = IV_ANON },
	{ "fork-shared", "shared memory stays shared over a fork", shared,
	  .kinds = HT_BIT(HT_TMPFS) },
	{ "fork-storm", "transfers beside forks are right", storm, .kinds = IV_ANON },
	{ "fork-child-rings", "a child that rings the parent's QP moves the parent's bytes",
	  child_rings, &anon },
	{},
};
