// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast: members of a group get every datagram sent to it, others get none; and
 * one user cannot take all groups, or all places in a group.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>

#include "errors.h"

#define LEN (4 * HT_PAGE)
#define OTHER 4711 /* a user who owns nothing yet */

static struct ht_pair p;
static struct ht_mr mr[2];
static uint8_t *buf[2];

static union ibv_gid group(int n)
{
	return (union ibv_gid){
		.raw = { 0xff, 0x0e, [10] = 0xff, 0xff, 239, 7, n >> 8, n },
	};
}

static int attach(const struct ht_side *s, int n)
{
	union ibv_gid g = group(n);

	return ibv_attach_mcast(s->qp, &g, 0);
}

static int detach(const struct ht_side *s, int n)
{
	union ibv_gid g = group(n);

	return ibv_detach_mcast(s->qp, &g, 0);
}

static void setup(void)
{
	struct ht_conf conf = { .type = IBV_QPT_UD };

	ht_pair_get(&p, &conf);
	ht_buffers(&p, buf, mr, LEN, 430, IBV_ACCESS_LOCAL_WRITE);
}

static void send_to(int n, size_t off, uint32_t len)
{
	union ibv_gid g = group(n);
	struct ibv_ah *ah;
	struct ht_wr w;

	ah = ht_ah(&p.s[0], &g);
	w = ht_ud_wr(n, &mr[0], buf[0] + off, len, ah, 0xffffff);
	ht_do(&p.s[0], &w);
	ht_ok(ibv_destroy_ah(ah));
}

/* Three QPs of one receive CQ; the first two are members. */
static void mcast_members(const void *arg)
{
	struct ht_conf conf = { .type = IBV_QPT_UD };
	struct ht_side s[3];
	struct ibv_wc wc;
	int seen = 0;

	setup();
	for (int i = 0; i < 3; i++) {
		ht_side_clone(&s[i], &p.s[1], &conf);
		ht_connect(&s[i], &conf, NULL);
		ht_recv(&s[i], i, &mr[1], buf[1] + i * 1024, 1024);
	}
	ht_ok(attach(&s[0], 1));
	ht_ok(attach(&s[1], 1));
	ht_ok(attach(&s[1], 1)); /* twice is once */
	ht_ok(attach(&s[2], 2)); /* another group */
	ht_ok(attach(&p.s[0], 1)); /* the sender itself does not get it */
	ht_recv(&p.s[0], 9, &mr[0], buf[0] + 3 * HT_PAGE, 1024);
	send_to(1, 3, 500);
	for (int i = 0; i < 2; i++) {
		ht_next_wc(p.s[1].rcq, &wc, "of a member");
		ht_eq(wc.status, IBV_WC_SUCCESS);
		ht_true(wc.wr_id < 2);
		seen |= 1 << wc.wr_id;
		ht_eq(wc.byte_len, HT_GRH + 500);
		ht_check_fill(buf[1] + wc.wr_id * 1024 + HT_GRH, 500, 430, 3, "datagram");
	}
	ht_eq(seen, 3);
	ht_no_wc(p.s[1].rcq, 20);
	ht_no_wc(p.s[0].rcq, 1);
	ht_check_fill(buf[1] + 2048, LEN - 2048, 431, 2048, "who is not in the group");
	/* Who left gets none. */
	ht_ok(detach(&s[1], 1));
	ht_check(detach(&s[1], 1) != 0, "a QP leaves a group that it is not in");
	for (int i = 0; i < 2; i++)
		ht_recv(&s[i], 10 + i, &mr[1], buf[1] + i * 1024, 1024);
	send_to(1, 5, 400);
	ht_want_wc(p.s[1].rcq, &wc, 10, IBV_WC_SUCCESS);
	ht_check_fill(buf[1] + HT_GRH, 400, 430, 5, "datagram to who stayed");
	ht_no_wc(p.s[1].rcq, 20);
	ht_ok(detach(&s[0], 1));
	ht_ok(detach(&s[2], 2));
	ht_ok(detach(&p.s[0], 1));
	for (int i = 0; i < 3; i++)
		ht_side_put(&s[i]);
}

static void other_user(void *arg)
{
	struct ibv_wc wc;

	setup();
	ht_sys(setresuid(OTHER, OTHER, OTHER));
	ht_ok(attach(&p.s[1], 5000)); /* a new group */
	ht_ok(attach(&p.s[1], 0)); /* the first user's share of it is used up */
	ht_recv(&p.s[1], 1, &mr[1], buf[1], 1024);
	send_to(0, 7, 100);
	ht_want_wc(p.s[1].rcq, &wc, 1, IBV_WC_SUCCESS);
	ht_check_fill(buf[1] + HT_GRH, 100, 430, 7, "a datagram to a crowded group");
}

/* Become OTHER. The forked child stays root and maps the namespace when asked to. */
static void become_other(int *ask, int *answer)
{
	static const char map[] = "0 100000 10\n";
	int a[2], b[2];
	char path[40], c;

	ht_true(!pipe(a) && !pipe(b));
	snprintf(path, sizeof(path), "/proc/%d/uid_map", getpid());
	if (!fork()) {
		int fd = read(a[0], &c, 1) == 1 ? open(path, O_WRONLY) : -1;

		_exit(write(fd, map, strlen(map)) < 0 || write(b[1], &c, 1) != 1);
	}
	close(b[1]);
	*ask = a[1];
	*answer = b[0];
	ht_sys(setresuid(OTHER, OTHER, OTHER));
	ht_sys(prctl(PR_SET_DUMPABLE, 1));
}

/* A user namespace, and a new user inside it, do not give a user a second allowance. */
static void mcast_namespace(const void *arg)
{
	int groups, ask, answer;
	char c = 0;

	setup();
	if (!p.s[0].dev->is_hodp)
		ht_skip("this device's limits are not per user");
	groups = p.s[0].dev->attr.orig_attr.max_mcast_grp;
	become_other(&ask, &answer);
	for (int i = 1; i < groups; i++)
		ht_ok(attach(&p.s[0], i));
	ht_sys(unshare(CLONE_NEWUSER));
	ht_true(write(ask, &c, 1) == 1);
	ht_check(read(answer, &c, 1) == 1, "the namespace has no users");
	ht_sys(setresuid(5, 5, 5));
	ht_ok(attach(&p.s[0], groups));
	ht_errno(attach(&p.s[0], groups + 1), ENOMEM);
}

/* All on the device of p.s[1], because each device has its own groups. */
static void mcast_limits(const void *arg)
{
	struct ht_conf conf = { .type = IBV_QPT_UD };
	struct ht_side s[64];
	struct ibv_device_attr *attr;
	int groups, members;

	setup();
	if (!p.s[0].dev->is_hodp)
		ht_skip("this device's limits are not per user");
	attr = &p.s[0].dev->attr.orig_attr;
	groups = attr->max_mcast_grp;
	members = attr->max_mcast_qp_attach;
	ht_true(members > 1 && members <= 64 && groups > 1);
	ht_side_clone(&s[0], &p.s[1], &conf);
	for (int i = 0; i < groups; i++)
		ht_ok(attach(&s[0], i));
	ht_errno(attach(&s[0], groups), ENOMEM);
	ht_errno(attach(&p.s[1], groups), ENOMEM);
	ht_ok(attach(&s[0], 0)); /* is a member already */
	for (int i = 1; i < members; i++) {
		ht_side_clone(&s[i], &p.s[1], &conf);
		ht_ok(attach(&s[i], 0));
	}
	ht_errno(attach(&p.s[1], 0), ENOMEM);
	ht_join(ht_fork(other_user, NULL));
	/* What was given back can be taken again. */
	ht_ok(detach(&s[0], 1));
	ht_ok(attach(&p.s[1], groups));
	ht_errno(attach(&s[0], 1), ENOMEM);
	ht_ok(detach(&s[1], 0));
	ht_ok(attach(&p.s[1], 0));
}

const struct ht_case errors_mcast[] = {
	{ "mcast-groups", "a datagram to a group reaches its members and nobody else",
	  mcast_members },
	{ "mcast-namespace", "a user namespace gives a user no more groups", mcast_namespace },
	{ "mcast-limits", "one user cannot take all groups, nor all places in one", mcast_limits },
	{},
};
