// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * How many undelivered pages one user can make the device wait for: more than it
 * has places. Others go on, the user's other processes too. What nobody wants any
 * more ends, even if the handler never answers.
 */
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "kill.h"

enum {
	USER = 1000, /* who asks for too much */
	OTHER = 1001,
	PLACES = 256, /* a user's, see job.c */
	SHARE = 128, /* a process's */
	PREFETCHES = 1024, /* a user's */
};

/* Queue pairs that are connected to themselves, and memory of two kinds. */
struct herd {
	struct ht_dev dev;
	struct ht_side s; /* PD and CQs of all */
	uint8_t *p; /* memory that is present, or comes at once */
	uint8_t *q; /* memory that does not come */
	size_t len; /* bytes of each */
	struct ht_mr good, bad;
	struct ht_side *each;
	size_t num;
};

static const struct ht_conf conf = { .depth = 1, .cq_depth = 1024, .timeout = 14 };

static void become(uid_t uid)
{
	ht_sys(setgroups(0, NULL));
	ht_sys(setresgid(uid, uid, uid));
	ht_sys(setresuid(uid, uid, uid));
	/* Changing the user resets the first and denies access to /proc/self. */
	ht_sys(prctl(PR_SET_PDEATHSIG, SIGKILL));
	ht_sys(prctl(PR_SET_DUMPABLE, 1));
}

static uint8_t *map(size_t len)
{
	uint8_t *p = ht_map(len, PROT_READ | PROT_WRITE);

	ht_sys(madvise(p, len, MADV_NOHUGEPAGE));
	return p;
}

/* The caller is @uid afterwards. */
static void herd_open(struct herd *h, size_t pages, uid_t uid)
{
	memset(h, 0, sizeof(*h));
	h->len = pages * HT_PAGE;
	h->p = map(h->len);
	h->q = map(h->len);
	ht_uffd_missing(h->q, h->len);
	become(uid);
	ht_open(&h->dev, ht_opt.dev);
	h->s.dev = &h->dev;
	h->s.pd = ibv_alloc_pd(h->dev.ctx);
	ht_true(h->s.pd);
	ht_side_create(&h->s, &conf, 0);
	ht_mr_get(&h->good, h->s.pd, h->p, h->len, HT_ODP, HT_ACCESS_ALL);
	ht_mr_get(&h->bad, h->s.pd, h->q, h->len, HT_ODP, HT_ACCESS_ALL);
	h->each = calloc(pages, sizeof(*h->each));
	ht_true(h->each);
}

static void one(struct herd *h, struct ht_side *s)
{
	struct ht_addr a;

	ht_side_clone(s, &h->s, &conf);
	ht_addr_of(&a, s);
	ht_connect(s, &conf, &a);
}

/* WRITE from a page that is never delivered. */
static void ask(struct herd *h, struct ht_side *s, size_t page)
{
	struct ht_wr w = ht_rdma_wr(page, IBV_WR_RDMA_WRITE, &h->bad, h->q + page * HT_PAGE, 100,
				    &h->good, h->p);

	ht_post(s->qp, &w);
}

/* Add @num queue pairs that wait for a page each. */
static void herd_stick(struct herd *h, size_t num)
{
	ht_true((h->num + num) * HT_PAGE <= h->len);
	while (num--) {
		one(h, &h->each[h->num]);
		ask(h, &h->each[h->num], h->num);
		h->num++;
	}
}

/* A fault that is served: bytes from page @page to the next one, which is cold. */
static void go_begin(struct herd *h, struct ht_side *s, size_t page)
{
	uint8_t *from = h->p + page * HT_PAGE, *to = from + HT_PAGE;
	struct ht_wr w = ht_rdma_wr(0x60, IBV_WR_RDMA_WRITE, &h->good, from, 1000, &h->good, to);

	ht_fill(from, HT_PAGE, 970, page);
	ht_sys(madvise(to, HT_PAGE, MADV_DONTNEED));
	one(h, s);
	ht_post(s->qp, &w);
}

static void go_end(struct herd *h, struct ht_side *s, size_t page)
{
	uint8_t *to = h->p + (page + 1) * HT_PAGE;
	struct ibv_wc wc;

	ht_want_wc(s->scq, &wc, 0x60, IBV_WC_SUCCESS);
	ht_check_fill(to, 1000, 970, page, "bytes through a fault");
	ht_check_value(to + 1000, HT_PAGE - 1000, 0, "the bytes behind");
	ht_side_put(s);
}

static void herd_go(struct herd *h, size_t page)
{
	struct ht_side s;

	go_begin(h, &s, page);
	go_end(h, &s, page);
}

/* No other fault gets a place until the newest stuck one goes. */
static void herd_full(struct herd *h, size_t page)
{
	struct ht_side s;

	go_begin(h, &s, page);
	ht_no_wc(s.scq, 500);
	ht_side_put(&h->each[--h->num]);
	go_end(h, &s, page);
}

static void stay(void)
{
	atomic_fetch_add(&board->ready, 1);
	for (;;)
		pause();
}

/* --- cases ---------------------------------------------------------------------- */

static void greedy(void *arg)
{
	static struct herd h;

	herd_open(&h, PLACES, USER);
	herd_stick(&h, PLACES);
	stay();
}

/* Two faults at a time get through with one stuck: more than the guaranteed place. */
static void modest(void *arg)
{
	static struct herd h;

	herd_open(&h, 8, *(uid_t *)arg);
	herd_stick(&h, 1);
	herd_go(&h, 0);
	herd_go(&h, 2);
}

/* The one guaranteed place is enough. */
static void starved(void *arg)
{
	static struct herd h;

	herd_open(&h, 8, *(uid_t *)arg);
	herd_go(&h, 0);
	herd_go(&h, 2);
}

static void end(pid_t *pid, int num)
{
	for (int i = 0; i < num; i++)
		ht_sys(kill(pid[i], SIGKILL));
	for (int i = 0; i < num; i++)
		gone(pid[i], SIGKILL, "a process with pages that do not come");
	ledger_close("after the last one");
}

/* More processes than all workers could serve if the user were not bounded. */
static void bounds_user(const void *arg)
{
	enum { PROCESSES = 9 };
	uid_t user = USER, other = OTHER, root = 0;
	pid_t pid[PROCESSES];

	ledger_open();
	for (int i = 0; i < PROCESSES; i++) {
		pid[i] = ht_fork(greedy, NULL);
		ht_wait_until(atomic_load(&board->ready) == i + 1, "a process to be stuck");
	}
	ht_join(ht_fork(modest, &other));
	ht_join(ht_fork(modest, &root));
	ht_join(ht_fork(starved, &user));
	end(pid, PROCESSES);
	ht_join(ht_fork(modest, &user));
	ledger_close("at the end");
}

/* A process cannot take all places of its user. */
static void bounds_share(const void *arg)
{
	uid_t user = USER;
	pid_t pid;

	ledger_open();
	pid = ht_fork(greedy, NULL);
	ht_wait_until(atomic_load(&board->ready) == 1, "a process to be stuck");
	ht_join(ht_fork(modest, &user));
	end(&pid, 1);
}

/* @board->flag is how many are to be stuck. */
static void some(void *arg)
{
	static struct herd h;

	herd_open(&h, PLACES, USER);
	herd_stick(&h, atomic_load(&board->flag));
	stay();
}

static void last_of_share(void *arg)
{
	static struct herd h;

	herd_open(&h, PLACES, USER);
	herd_stick(&h, SHARE - 1);
	herd_go(&h, 0);
	herd_stick(&h, 1);
	herd_full(&h, 2);
}

static void last_of_user(void *arg)
{
	static struct herd h;

	herd_open(&h, 8, USER);
	herd_stick(&h, 1);
	herd_go(&h, 0);
	herd_stick(&h, 1);
	herd_full(&h, 2);
}

/* A process and a user can use their last place, and get no other. */
static void bounds_edges(const void *arg)
{
	int stuck[] = { SHARE, PLACES - SHARE - 2 };
	pid_t pid[HT_LEN(stuck)];

	ledger_open();
	ht_join(ht_fork(last_of_share, NULL));
	for (size_t i = 0; i < HT_LEN(stuck); i++) {
		atomic_store(&board->flag, stuck[i]);
		pid[i] = ht_fork(some, NULL);
		ht_wait_until(atomic_load(&board->ready) == (int)i + 1, "a process to be stuck");
	}
	ht_join(ht_fork(last_of_user, NULL));
	end(pid, HT_LEN(pid));
}

static int references(void)
{
	int n = ht_number("/sys/module/hmm_odp/refcnt");

	ht_true(n >= 0);
	return n;
}

/* Queue pairs that are created, wait for a place, and are destroyed. */
static void passing(void *arg)
{
	static struct herd h;
	struct ht_side s;
	int held;

	herd_open(&h, PLACES, USER);
	herd_stick(&h, SHARE + 10);
	held = references();
	for (long i = 0; i < ht_count(200); i++) {
		one(&h, &s);
		ask(&h, &s, i % PLACES);
		ht_side_put(&s);
	}
	/* At once, though no place has become free. */
	ht_wait_until(references() <= held, "faults that had no place to go");
	/* Others get the places of those that go. */
	for (size_t i = 0; i < h.num; i++)
		ht_side_put(&h.each[i]);
	herd_go(&h, 0);
	ht_mr_put(&h.bad);
	ht_mr_put(&h.good);
	ht_side_put(&h.s);
	ht_ok(ibv_destroy_cq(h.s.scq));
	if (h.s.rcq != h.s.scq)
		ht_ok(ibv_destroy_cq(h.s.rcq));
	ht_ok(ibv_dealloc_pd(h.s.pd));
	atomic_fetch_add(&board->ready, 1);
	ht_wait_until(atomic_load(&board->flag), "the word to go");
}

/* A waiting fault is cancelled with its queue pair; nothing is held for it. */
static void bounds_cancel(const void *arg)
{
	int before = references();
	pid_t pid;

	ledger_open();
	pid = ht_fork(passing, NULL);
	ht_wait_until(atomic_load(&board->ready) == 1, "the queue pairs to go");
	/* Its context and its doorbell file are all that is left. */
	ht_wait_until(references() <= before + 2, "the faults of queue pairs that are gone");
	atomic_store(&board->flag, 1);
	ht_join(pid);
	ledger_close("at the end");
}

static int advise(const struct ht_mr *mr, const uint8_t *p, int flags)
{
	return ht_advise(mr, p, HT_PAGE, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, flags);
}

static void adviser(void *arg)
{
	static struct herd h;

	herd_open(&h, 8, USER);
	for (int i = 0; i < PREFETCHES; i++)
		ht_ok(advise(&h.bad, h.q + i % 8 * HT_PAGE, 0));
	ht_errno(advise(&h.bad, h.q, 0), ENOMEM);
	/* Faults have places of their own. */
	herd_go(&h, 0);
	ht_ok(advise(&h.good, h.p + 3 * HT_PAGE, IBV_ADVISE_MR_FLAG_FLUSH));
	ht_true(ht_present(h.p + 3 * HT_PAGE));
	atomic_fetch_add(&board->ready, 1);
	ht_wait_until(atomic_load(&board->flag), "the other user");
	/* Deregistration cancels them, and then their places are free. */
	ht_mr_put(&h.bad);
	ht_wait_until(advise(&h.good, h.p + 4 * HT_PAGE, 0) == 0, "room for a prefetch");
	ht_wait_until(ht_present(h.p + 4 * HT_PAGE), "a prefetch after dereg");
	atomic_fetch_add(&board->ready, 1);
	pause();
}

static void advised(void *arg)
{
	static struct herd h;

	herd_open(&h, 8, *(uid_t *)arg);
	ht_ok(advise(&h.good, h.p, 0));
	ht_wait_until(ht_present(h.p), "a prefetch beside another's");
}

/* Prefetches that never end are bounded, block nobody, and end with the region. */
static void bounds_prefetch(const void *arg)
{
	uid_t user = USER, other = OTHER;
	pid_t pid;

	ledger_open();
	pid = ht_fork(adviser, NULL);
	ht_wait_until(atomic_load(&board->ready) == 1, "a thousand prefetches");
	ht_join(ht_fork(advised, &other));
	atomic_store(&board->flag, 1);
	ht_wait_until(atomic_load(&board->ready) == 2, "dereg to cancel them");
	ht_join(ht_fork(advised, &user));
	end(&pid, 1);
}

/* --- datagrams -------------------------------------------------------------------- */

enum { RECEIVERS = 16, EACH = 128, LOAD = 4000 };

/* The receiver tells it through shared memory. */
static struct letter {
	union ibv_gid gid;
	uint32_t qpn[RECEIVERS];
} *letter;

/* Datagrams wait behind one whose buffer page is not delivered. */
static void receiver(void *arg)
{
	static const struct ht_conf ud = { .type = IBV_QPT_UD, .depth = EACH };
	static struct herd h;
	struct ht_side s;

	ht_cgroup_enter("receiver");
	herd_open(&h, RECEIVERS * 2, USER);
	letter->gid = h.dev.gid;
	for (int i = 0; i < RECEIVERS; i++) {
		ht_side_clone(&s, &h.s, &ud);
		ht_connect(&s, &ud, NULL);
		ht_recv(&s, i, &h.bad, h.q + i * 2 * HT_PAGE, LOAD + HT_GRH);
		letter->qpn[i] = s.qp->qp_num;
	}
	stay();
}

/* One list of requests: most of it is done by a work item. */
static void sender(void *arg)
{
	static const struct ht_conf ud = { .type = IBV_QPT_UD, .depth = EACH };
	static struct ibv_send_wr wr[EACH];
	struct ibv_send_wr *bad;
	static struct herd h;
	struct ibv_sge sge;
	struct ibv_wc wc;
	struct ht_side s;
	struct ibv_ah *ah;

	ht_cgroup_enter("sender");
	herd_open(&h, 8, OTHER);
	ht_side_clone(&s, &h.s, &ud);
	ht_connect(&s, &ud, NULL);
	ah = ht_ah(&s, &letter->gid);
	memset(h.p, 1, h.len);
	sge = ht_sge(&h.good, h.p, LOAD);
	atomic_fetch_add(&board->ready, 1);
	ht_wait_until(atomic_load(&board->flag), "the word to send");
	for (int i = 0; i < RECEIVERS; i++) {
		for (int n = 0; n < EACH; n++)
			wr[n] = (struct ibv_send_wr){
				.wr_id = n,
				.opcode = IBV_WR_SEND,
				.sg_list = &sge,
				.num_sge = 1,
				.send_flags = n == EACH - 1 ? IBV_SEND_SIGNALED : 0,
				.next = n == EACH - 1 ? NULL : &wr[n + 1],
				.wr.ud = { .ah = ah,
					   .remote_qpn = letter->qpn[i],
					   .remote_qkey = HT_QKEY },
			};
		ht_ok(ibv_post_send(s.qp, wr, &bad));
		ht_want_wc(s.scq, &wc, EACH - 1, IBV_WC_SUCCESS);
	}
	stay();
}

/* Datagrams that wait are charged to the receiver, who leaves them waiting. */
static void bounds_datagrams(const void *arg)
{
	long had[2], got[2], load = (long)RECEIVERS * EACH * LOAD;
	pid_t pid[2];

	ledger_open();
	letter = ht_map_shared(sizeof(*letter));
	pid[0] = ht_fork(receiver, NULL);
	ht_wait_until(atomic_load(&board->ready) == 1, "the receiver");
	pid[1] = ht_fork(sender, NULL);
	ht_wait_until(atomic_load(&board->ready) == 2, "the sender");
	had[0] = ht_cgroup_stat("receiver", "kernel");
	had[1] = ht_cgroup_stat("sender", "kernel");
	atomic_store(&board->flag, 1);
	ht_wait_until(atomic_load(&board->ready) == 3, "the datagrams to be sent");
	got[0] = ht_cgroup_stat("receiver", "kernel") - had[0];
	got[1] = ht_cgroup_stat("sender", "kernel") - had[1];
	ht_note("%ld bytes wait; the receiver pays %ld more, the sender %ld", load, got[0], got[1]);
	/* Charges are kept in batches of a few hundred KiB a CPU. */
	ht_check(got[0] > load * 9 / 10, "the receiver pays only %ld bytes", got[0]);
	ht_check(got[1] < load / 10, "the sender pays %ld bytes", got[1]);
	end(pid, 2);
}

const struct ht_case kill_bounds[] = {
	{ "bounds-user",
	  "2304 stuck faults block no other user, nor the same user's other processes", bounds_user,
	  NULL, 180 },
	{ "bounds-share", "a process leaves places for its user's other processes", bounds_share,
	  NULL, 90 },
	{ "bounds-edges", "the last place can be used, and there are no more", bounds_edges, NULL,
	  90 },
	{ "bounds-cancel", "a fault that waits for a place ends with its queue pair", bounds_cancel,
	  NULL, 90 },
	{ "bounds-prefetch", "prefetches that never end are bounded and go with their region",
	  bounds_prefetch, NULL, 90 },
	{ "bounds-datagrams", "datagrams that wait are charged to their receiver", bounds_datagrams,
	  NULL, 90 },
	{},
};
