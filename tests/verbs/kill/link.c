// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * kill role ROLE DEVICE [READY_FILE]: one process, for the script `links`.
 *
 *   fresh     a transfer in each direction, bytes compared; exit 0
 *   steady    traffic until SIGTERM; every operation must succeed
 *   doomed    traffic until the device goes: IBV_EVENT_DEVICE_FATAL must come;
 *             then everything is cleaned up and closed
 *   stuck     as doomed, with an operation that waits for a page for ever
 *   datagrams to the host 9 of the device's network until SIGTERM
 *
 * READY_FILE is made when the traffic flows. The last line of the output says
 * how it ended.
 */
#include <fcntl.h>
#include <signal.h>

#include "kill.h"

#define LEN (16 * HT_PAGE)

static volatile sig_atomic_t stop;
static struct ht_rig r, stuck;

static void on_term(int sig)
{
	stop = 1;
}

static void ready(const char *path)
{
	int fd;

	if (!path)
		return;
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

static void sit_and_wait(void)
{
	struct ht_wr w;

	ht_rig_get(&stuck, NULL, LEN);
	ht_uffd_missing(stuck.p[1], LEN);
	for (int i = 0; i < 4; i++) {
		w = ht_rig_wr(&stuck, IBV_WR_RDMA_WRITE, 0, 5000, i * HT_PAGE);
		ht_post(stuck.a->qp, &w);
	}
	ht_no_wc(stuck.a->scq, 20);
}

static bool fatal(void)
{
	struct ibv_async_event ev;
	bool yes;

	while (ht_poll_fd(r.pair.dev[0].ctx->async_fd, 0)) {
		ht_ok(ibv_get_async_event(r.pair.dev[0].ctx, &ev));
		yes = ev.event_type == IBV_EVENT_DEVICE_FATAL;
		printf("event: %s\n", ibv_event_type_str(ev.event_type));
		ibv_ack_async_event(&ev);
		if (yes)
			return true;
	}
	return false;
}

/* False when the device has gone. */
static bool transfer(uint64_t turn, bool doomed)
{
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);
	uint32_t n = 1 + turn * 7919 % (LEN - 8);
	struct ht_wr w = ht_rig_wr(&r, turn % 2 ? IBV_WR_RDMA_WRITE : IBV_WR_RDMA_READ, 1, n, 3);
	struct ibv_wc wc;
	int from = turn % 2 ? 0 : 1, err, got;

	ht_fill(r.p[from], LEN, turn * 2, 0);
	err = ht_post_try(r.a->qp, &w);
	if (err) {
		ht_check(doomed, "post_send: %s", strerror(err));
		printf("post_send: %s\n", strerror(err));
		return false;
	}
	while (!(got = ibv_poll_cq(r.a->scq, 1, &wc))) {
		if (doomed && fatal())
			return false;
		ht_check(!ht_over(deadline), "neither a completion nor an event");
		ht_yield();
	}
	ht_check(got == 1, "ibv_poll_cq returned %d", got);
	if (wc.status != IBV_WC_SUCCESS) {
		ht_check(doomed, "completion: %s", ibv_wc_status_str(wc.status));
		printf("completion: %s\n", ibv_wc_status_str(wc.status));
		return false;
	}
	ht_check_fill(r.p[!from] + (from ? 1 : 3), n, turn * 2, from ? 3 : 1, "a transfer");
	return true;
}

static void run(const char *role, const char *file)
{
	bool doomed = strcmp(role, "steady"), more = true, told = false;
	uint64_t turn;

	ht_rig_get(&r, NULL, LEN);
	if (!strcmp(role, "stuck"))
		sit_and_wait();
	for (turn = 1; more && !stop; turn++) {
		more = transfer(turn, doomed);
		if (doomed && fatal()) {
			told = true;
			more = false;
		}
		if (turn == 10)
			ready(file);
		ht_yield();
	}
	if (doomed && !stop && !told)
		ht_wait_until(fatal(), "IBV_EVENT_DEVICE_FATAL");
	if (stuck.a)
		ht_rig_put(&stuck);
	ht_rig_put(&r);
	printf("%s: %llu transfers, clean end\n", role, (unsigned long long)turn - 1);
}

/* Nobody answers; the sender waits when the network stack holds its packets. */
static void datagrams(const char *file)
{
	struct ht_conf conf = { .type = IBV_QPT_UD };
	struct ht_pair p;
	struct ibv_ah *ah;
	union ibv_gid to;
	struct ibv_wc wc;
	uint64_t turn;

	ht_pair_get(&p, &conf);
	to = p.dev[0].gid;
	to.raw[15] = 9;
	ah = ht_ah(&p.s[0], &to);
	for (turn = 1; !stop; turn++) {
		struct ht_wr w = { .id = turn,
				   .op = IBV_WR_SEND,
				   .no_sge = true,
				   .ah = ah,
				   .qpn = 2,
				   .qkey = HT_QKEY };

		ht_post(p.s[0].qp, &w);
		while (!stop && !ibv_poll_cq(p.s[0].scq, 1, &wc))
			ht_yield();
		if (turn == 10)
			ready(file);
	}
	ht_ok(ibv_destroy_ah(ah));
	ht_pair_put(&p);
	printf("datagrams: clean end\n");
}

int link_role(int argc, char **argv)
{
	char *opts[] = { argv[0], "-d", argv[3], NULL };
	struct sigaction sa = { .sa_handler = on_term };

	optind = 1;
	ht_init(3, opts);
	sigaction(SIGTERM, &sa, NULL);
	if (!strcmp(argv[2], "fresh"))
		fresh_here("a fresh transfer");
	else if (!strcmp(argv[2], "datagrams"))
		datagrams(argc > 4 ? argv[4] : NULL);
	else
		run(argv[2], argc > 4 ? argv[4] : NULL);
	return 0;
}
