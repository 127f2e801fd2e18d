// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What the tracepoints say about packets: the events of one connection are
 * recorded in a trace instance of the case's own, and looked for by their text.
 */
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "wire.h"

#define INSTANCE "/sys/kernel/tracing/instances/hodp-wire"
#define LEN (16 * HT_KIB)
#define MTU 1024

static struct ht_rig r;
/* QPNs of both ends, and the requester's next PSN. */
static uint32_t a, b, psn;

static void enable(const char *event, const char *on)
{
	char path[160];

	snprintf(path, sizeof(path), INSTANCE "/events/hmm_odp/%s/enable", event);
	ht_check(ht_put(path, on), "%s: %s", path, strerror(errno));
}

static void enable_packets(const char *on)
{
	static const char *const events[] = { "hodp_send", "hodp_receive", "hodp_nak_send",
					      "hodp_nak_receive", "hodp_retransmit" };

	for (size_t i = 0; i < HT_LEN(events); i++)
		enable(events[i], on);
}

static void instance_get(void)
{
	rmdir(INSTANCE);
	ht_sys(mkdir(INSTANCE, 0700));
}

/* The lines of the trace whose event is @text, or begins with it if @part. */
static int count_lines(const char *text, bool part)
{
	size_t len = strlen(text);
	char *line = NULL;
	size_t size = 0;
	int n = 0;
	FILE *f = fopen(INSTANCE "/trace", "r");

	ht_true(f != NULL);
	while (getline(&line, &size, f) > 0) {
		char *at = strstr(line, ": hodp_");

		line[strcspn(line, "\n")] = 0;
		n += at && (part ? !strncmp(at + 2, text, len) : !strcmp(at + 2, text));
	}
	free(line);
	fclose(f);
	return n;
}

static void show(void)
{
	char line[300];
	FILE *f = fopen(INSTANCE "/trace", "r");

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		if (strstr(line, ": hodp_"))
			ht_note("%s", line);
	}
	if (f)
		fclose(f);
}

/* There are @n events like this; -1: one or more. */
static void want(int n, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void want(int n, const char *fmt, ...)
{
	char text[200];
	va_list ap;
	int got;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	got = count_lines(text, false);
	if (n < 0 ? got < 1 : got != n)
		show();
	if (n < 0)
		ht_check(got > 0, "there is no event \"%s\"", text);
	else
		ht_check(got == n, "%d events \"%s\", not %d", got, text, n);
}

/* A packet of @len bytes, from the BTH to the ICRC, from one QP to the other. */
static void want_packet(uint32_t from, uint32_t to, const char *op, uint32_t at, uint32_t len,
			const char *more)
{
	at &= 0xffffff;
	want(1, "hodp_send: qpn=%u dest=%u %s psn=%u len=%u%s", from, to, op, at, len, more);
	want(1, "hodp_receive: qpn=%u dest=%u %s psn=%u len=%u%s", to, to, op, at, len, more);
}

/* BTH 12, RETH 16, AETH 4, AtomicETH 28, AtomicAckETH 8, ICRC 4. */
static void trace_data(void)
{
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, 2 * MTU + 1, 0);
	ht_rig_do(&r, IBV_WR_RDMA_READ, 0, MTU + 2, 0);
	ht_rig_do(&r, IBV_WR_ATOMIC_FETCH_AND_ADD, 0, 8, 0);
	want_packet(a, b, "RC_WRITE_FIRST", psn, 32 + MTU, "");
	want_packet(a, b, "RC_WRITE_MIDDLE", psn + 1, 16 + MTU, "");
	want_packet(a, b, "RC_WRITE_LAST", psn + 2, 16 + 4, " ack_req");
	want_packet(b, a, "RC_ACK", psn + 2, 20, "");
	want_packet(a, b, "RC_READ", psn + 3, 32, " ack_req");
	want_packet(b, a, "RC_READ_RESPONSE_FIRST", psn + 3, 20 + MTU, "");
	want_packet(b, a, "RC_READ_RESPONSE_LAST", psn + 4, 20 + 4, "");
	want_packet(a, b, "RC_FETCH_ADD", psn + 5, 44, " ack_req");
	want_packet(b, a, "RC_ATOMIC_ACK", psn + 5, 28, "");
	psn += 6;
}

/* A SEND waits for a receive request. */
static void trace_rnr(void)
{
	struct ht_wr w = ht_rig_wr(&r, IBV_WR_SEND, 0, 5, 0);
	uint64_t before = ht_counter(&r.pair.dev[0], "rnr_nak_retry_err");
	struct ibv_wc wc;

	w.id = 1;
	ht_post(r.a->qp, &w);
	ht_wait_until(ht_counter(&r.pair.dev[0], "rnr_nak_retry_err") > before, "an RNR NAK");
	ht_recv(r.b, 2, &r.mr[1], r.p[1], LEN);
	ht_want_wc(r.a->scq, &wc, 1, IBV_WC_SUCCESS);
	ht_want_wc(r.b->rcq, &wc, 2, IBV_WC_SUCCESS);
	psn &= 0xffffff;
	want(-1, "hodp_nak_send: qpn=%u psn=%u RNR timer=20", b, psn);
	want(-1, "hodp_nak_receive: qpn=%u psn=%u RNR timer=20", a, psn);
	want(-1, "hodp_retransmit: qpn=%u psn=%u end=%u RNR", a, psn, (psn + 1) & 0xffffff);
	psn++;
}

static void trace_refused(void)
{
	struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_WRITE, 0, 5, 0);

	w.rkey ^= 0x5a;
	ht_do_status(r.a, &w, IBV_WC_REM_ACCESS_ERR);
	psn &= 0xffffff;
	want(1, "hodp_nak_send: qpn=%u psn=%u REMOTE_ACCESS_ERROR timer=0", b, psn);
	want(1, "hodp_nak_receive: qpn=%u psn=%u REMOTE_ACCESS_ERROR timer=0", a, psn);
}

static void wire_trace(const void *arg)
{
	struct ht_conf conf = { .mtu = IBV_MTU_1024, .rnr_timer = 20 };

	ht_rig_get(&r, &conf, LEN);
	a = r.a->qp->qp_num;
	b = r.b->qp->qp_num;
	psn = r.a->psn;
	/* Only the case's own packets are slow, or missing pages. */
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, LEN, 0);
	ht_rig_do(&r, IBV_WR_RDMA_READ, 0, LEN, 0);
	psn += 2 * LEN / MTU;
	/* The module asks for an acknowledgment of every 32nd PSN, too. */
	for (; psn % 32 != 1; psn++)
		ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, 1, 0);
	instance_get();
	enable_packets("1");
	trace_data();
	trace_rnr();
	trace_refused();
	enable_packets("0");
	ht_sys(rmdir(INSTANCE));
	ht_rig_put(&r);
}

/*
 * A READ waits for a page, and the next one for it, because one is all that may be
 * outstanding.  Meanwhile the requester has nothing to do.
 */
static void wire_idle(const void *arg)
{
	struct ht_conf conf = { .mtu = IBV_MTU_1024, .rd_atomic = 1 };
	struct ibv_wc wc;
	char text[60];
	int ufd, stalls;

	ht_rig_get(&r, &conf, LEN);
	ufd = ht_uffd_missing(r.p[1], LEN);
	ht_sys(madvise(r.p[1], LEN, MADV_DONTNEED));
	instance_get();
	for (int i = 0; i < 2; i++) {
		struct ht_wr w = ht_rig_wr(&r, IBV_WR_RDMA_READ, i * HT_PAGE, HT_PAGE, 0);

		w.id = 1 + i;
		ht_post(r.a->qp, &w);
	}
	/* The READs are on their way. */
	ht_no_wc(r.a->scq, 50);
	enable("hodp_stall", "1");
	ht_no_wc(r.a->scq, 200);
	enable("hodp_stall", "0");
	snprintf(text, sizeof(text), "hodp_stall: qpn=%u ", r.a->qp->qp_num);
	stalls = count_lines(text, true);
	ht_note("the requester looked %d times", stalls);
	/* The responder's signs of life: 250 ms apart, or 16 for a shorter timeout. */
	ht_check(stalls < 40, "the requester looked %d times for what was not there", stalls);
	ht_uffd_deliver(ufd, r.p[1], 762, 0);
	for (int i = 0; i < 2; i++)
		ht_want_wc(r.a->scq, &wc, 1 + i, IBV_WC_SUCCESS);
	for (int i = 0; i < 2; i++)
		ht_check_fill(r.p[0] + i * HT_PAGE, HT_PAGE, 762, 0, "what was READ");
	ht_sys(close(ufd));
	ht_sys(rmdir(INSTANCE));
	ht_rig_put(&r);
}

const struct ht_case wire_trace_cases[] = {
	{ "wire-idle", "a requester that waits for a response uses no CPU time", wire_idle },
	{ "wire-trace", "the tracepoints tell each packet, NAK and retransmission by name",
	  wire_trace },
	{},
};
