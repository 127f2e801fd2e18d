// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The counters of the port: one thing is done to the QP, and then exactly those
 * counters have moved that a row names, by as much as it says, and no others.
 */
#include <dirent.h>

#include "rc.h"

#define LEN (16 * HT_KIB)
#define NUM 100
#define ANY (-1) /* a counter moves, by whatever */
#define MAY (-2) /* a counter may move */

static struct peer p;
static struct area a;

/* --- snapshots --------------------------------------------------------------------- */

struct counter {
	char name[256];
	uint64_t v;
};

static struct counter before[NUM];
static int num;

struct moves {
	const char *name;
	int by;
};

static const char *path_of(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
		 ibv_get_device_name(rc_dev.ctx->device), name);
	return path;
}

/* As the core has read it at most 10 ms ago. */
static uint64_t value(const char *name)
{
	long v = ht_number(path_of(name));

	ht_check(v >= 0, "there is no counter %s", name);
	return v;
}

static void snapshot(void)
{
	struct dirent *e;
	DIR *d = opendir(path_of(""));

	ht_check(d, "%s: %s", path_of(""), strerror(errno));
	ht_sleep_ms(50);
	for (num = 0; (e = readdir(d));) {
		if (e->d_name[0] == '.' || !strcmp(e->d_name, "lifespan"))
			continue;
		ht_true(num < NUM);
		snprintf(before[num].name, sizeof(before[num].name), "%s", e->d_name);
		before[num].v = value(e->d_name);
		num++;
	}
	closedir(d);
	ht_true(num > 30);
}

static const struct moves *find(const struct moves *m, const char *name)
{
	for (; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

/* NULL, or a counter that is not as @m says. */
static const struct counter *differs(const struct moves *m)
{
	for (int i = 0; i < num; i++) {
		const struct moves *want = find(m, before[i].name);
		uint64_t by = value(before[i].name) - before[i].v;

		if (want && want->by == MAY)
			continue;
		if (want && want->by == ANY ? !by : by != (want ? (uint64_t)want->by : 0))
			return &before[i];
	}
	return NULL;
}

static void want_moves(const struct moves *m)
{
	uint64_t deadline = ht_deadline(5000);
	const struct counter *bad;

	for (const struct moves *i = m; i->name; i++)
		value(i->name);
	while ((bad = differs(m)) && !ht_over(deadline))
		ht_sleep_ms(20);
	/* What comes late counts too. */
	ht_sleep_ms(50);
	bad = differs(m);
	ht_check(!bad, "%s was %" PRIu64 " and is %" PRIu64, bad->name, bad->v, value(bad->name));
}

static void wait_moved(const char *name)
{
	const struct counter *c = before;

	while (strcmp(c->name, name))
		c++;
	ht_wait_until(value(name) != c->v, name);
}

/* --- packets ----------------------------------------------------------------------- */

static uint8_t k[PKT_MAX];

/* A good WRITE of @len bytes in k.  Returns its length. */
static size_t good(uint32_t len)
{
	struct rc_msg m = peer_write(&p, &a.mr, a.p + 3, len, 5, 0);

	return rc_build(k, &p, &m);
}

static void send_k(size_t len)
{
	pkt_set_icrc(k, len);
	pkt_send(rc_raw, k, len);
}

static void bad_udp(void)
{
	size_t len = good(100);

	k[26] = 0x12;
	pkt_send(rc_raw, k, len);
}

static void bad_short(void)
{
	size_t len = PKT_HEAD + PKT_BTH + PKT_ICRC;

	good(100);
	pkt_set_length(k, len);
	send_k(len);
}

static void bad_version(void)
{
	size_t len = good(100);

	k[PKT_HEAD + 1] |= 1;
	send_k(len);
}

static void bad_opcode(void)
{
	size_t len = good(100);

	k[PKT_HEAD] = 0x15;
	send_k(len);
}

static void bad_pad(void)
{
	size_t len = good(0);

	k[PKT_HEAD + 1] |= 3 << 4;
	send_k(len);
}

static void bad_pkey(void)
{
	size_t len = good(100);

	k[PKT_HEAD + 2] = 0x12;
	send_k(len);
}

static void bad_long(void)
{
	static uint8_t data[4100];
	struct rc_msg m = peer_write(&p, &a.mr, a.p + 3, 100, 5, 0);

	m.data = data;
	m.len = m.length = sizeof(data);
	peer_send(&p, &m);
}

static void bad_icrc(void)
{
	size_t len = good(100);

	k[len - 1] ^= 1;
	pkt_send(rc_raw, k, len);
}

static void no_qp(void)
{
	size_t len = good(100);

	pkt_put32(k + PKT_HEAD + 4, 0xfffffe);
	send_k(len);
}

static void stranger(void)
{
	size_t len = good(100);

	k[15] = 99;
	send_k(len);
}

/* A datagram to a connected QP. */
static void datagram(void)
{
	size_t len = good(100);

	k[PKT_HEAD] = 0x64;
	send_k(len);
}

/* A good one, which counts as nothing else. */
static void write_one(void)
{
	struct rc_msg m = peer_write(&p, &a.mr, a.p + 3, 100, 5, 0);

	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_GOOD, "a WRITE");
}

static void write_again(void)
{
	struct rc_msg m;

	p.psn--;
	m = peer_write(&p, &a.mr, a.p + 3, 100, 5, 0);
	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_GOOD, "a duplicate");
}

static void gap(void)
{
	uint32_t lost = p.psn++;

	send_k(good(100));
	send_k(good(100));
	peer_want(&p, lost, RC_NAK_SEQUENCE, "a gap");
}

/* A congestion notification: 16 bytes behind the BTH, as long as a RETH. */
static void cnp(void)
{
	size_t len = good(0);

	k[PKT_HEAD] = RC_CNP;
	send_k(len);
}

/* A WRITE that has met congestion. */
static void marked(void)
{
	size_t len = good(100);

	k[1] |= 3;
	send_k(len);
}

static void not_ready(void)
{
	struct rc_msg m = { .op = RC_SEND_ONLY, .psn = p.psn, .ask = true };

	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_RNR, "a SEND without a receive request");
}

static void refuse_order(void)
{
	struct rc_msg m = { .op = RC_SEND_LAST, .psn = p.psn, .ask = true };

	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_NAK_INVALID, "a LAST without a FIRST");
}

static void refuse_key(void)
{
	struct rc_msg m = peer_write(&p, &a.mr, a.p + 3, 100, 5, 0);

	m.rkey ^= 0x5a;
	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_NAK_ACCESS, "a wrong key");
}

static void refuse_receive(void)
{
	struct ibv_sge sge = { ht_iova(&a.mr, a.p), 100, a.mr.mr->lkey ^ 0x5a };
	struct rc_msg m = { .op = RC_SEND_ONLY, .psn = p.psn, .ask = true, .data = k, .len = 8 };

	ht_ok(ht_recv_try(p.s.qp, NULL, 1, &sge, 1));
	peer_send(&p, &m);
	peer_want(&p, m.psn, RC_NAK_OPERATION, "a receive request with a wrong key");
}

static void stale(void)
{
	struct rc_msg m = { .op = RC_ACK, .psn = QP_PSN, .syndrome = RC_GOOD };

	peer_send(&p, &m);
}

/* --- the QP's own requests --------------------------------------------------------- */

static void post(uint64_t id, enum ibv_wr_opcode op, uint32_t len)
{
	struct ht_wr w = ht_rdma_wr(id, op, &a.mr, a.p, len, &a.mr, a.p + 8000);

	ht_post(p.s.qp, &w);
}

static void answer(uint8_t op, uint32_t psn, uint8_t syndrome, uint32_t len)
{
	static uint8_t data[1024];
	struct rc_msg m = { .op = op, .psn = psn, .syndrome = syndrome, .data = data, .len = len };

	peer_send(&p, &m);
}

static void ends(uint64_t id, enum ibv_wc_status status)
{
	struct ibv_wc wc;

	ht_want_wc(p.s.scq, &wc, id, status);
}

/* A WRITE of 100 bytes gets this answer, and is sent again; then it is acknowledged. */
static void write_retried(uint8_t syndrome)
{
	struct rc_msg m;

	post(1, IBV_WR_RDMA_WRITE, 100);
	peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN);
	if (syndrome)
		answer(RC_ACK, QP_PSN, syndrome, 0);
	peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN);
	answer(RC_ACK, QP_PSN, RC_GOOD, 0);
	ends(1, IBV_WC_SUCCESS);
}

static void naked(void)
{
	write_retried(RC_NAK_SEQUENCE);
}

static void rnr(void)
{
	write_retried(RC_RNR | 1);
}

static void unanswered(void)
{
	write_retried(0);
}

/* The answer behind the lost one is kept: only the READ is sent again. */
static void implied(void)
{
	struct rc_msg m;

	post(1, IBV_WR_RDMA_READ, 100);
	post(2, IBV_WR_RDMA_WRITE, 100);
	peer_want_op(&p, &m, RC_READ, QP_PSN);
	peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN + 1);
	answer(RC_ACK, QP_PSN + 1, RC_GOOD, 0);
	peer_want_op(&p, &m, RC_READ, QP_PSN);
	answer(RC_RESPONSE_ONLY, QP_PSN, RC_GOOD, 100);
	ends(1, IBV_WC_SUCCESS);
	ends(2, IBV_WC_SUCCESS);
}

static void wrong_answer(void)
{
	struct rc_msg m;

	post(1, IBV_WR_RDMA_READ, 100);
	peer_want_op(&p, &m, RC_READ, QP_PSN);
	answer(RC_ATOMIC_ACK, QP_PSN, RC_GOOD, 0);
	ends(1, IBV_WC_BAD_RESP_ERR);
}

/* A WRITE fails by this answer; 0: by none. */
static void write_fails(uint8_t syndrome, enum ibv_wc_status status)
{
	struct rc_msg m;

	post(1, IBV_WR_RDMA_WRITE, 100);
	peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN);
	if (syndrome)
		answer(RC_ACK, QP_PSN, syndrome, 0);
	ends(1, status);
}

static void rnr_fails(void)
{
	write_fails(RC_RNR | 1, IBV_WC_RNR_RETRY_EXC_ERR);
}

static void timeout_fails(void)
{
	write_fails(0, IBV_WC_RETRY_EXC_ERR);
}

static void invalid_fails(void)
{
	write_fails(RC_NAK_INVALID, IBV_WC_REM_INV_REQ_ERR);
}

static void access_fails(void)
{
	write_fails(RC_NAK_ACCESS, IBV_WC_REM_ACCESS_ERR);
}

static void operation_fails(void)
{
	write_fails(RC_NAK_OPERATION, IBV_WC_REM_OP_ERR);
}

/* The stack's own queue takes nothing. */
static void queue_drops(void)
{
	ht_shell("ip netns exec ns2 tc qdisc add dev hodp-ns2 root pfifo limit 0");
	post(1, IBV_WR_RDMA_WRITE, 100);
	wait_moved("tx_dropped");
	ht_shell("ip netns exec ns2 tc qdisc delete dev hodp-ns2 root");
}

static void too_long(void)
{
	ht_shell("ip -n ns2 route replace 10.79.0.1/32 dev hodp-ns2 mtu 800");
	post(1, IBV_WR_RDMA_WRITE, 1024);
	wait_moved("tx_too_long");
	ht_shell("ip -n ns2 route delete 10.79.0.1/32 dev hodp-ns2");
}

/* --- rows -------------------------------------------------------------------------- */

struct row {
	const char *name;
	const char *intent;
	void (*first)(void); /* before the snapshot */
	void (*fn)(void);
	struct ht_conf conf;
	struct moves moves[16];
};

/* clang-format off */
/* Packets received and sent, and requests of the QP. */
#define RX(n) { "rx_packets", n }, { "rx_bytes", ANY }
#define TX(n) { "tx_packets", n }, { "tx_bytes", ANY }
#define OPS(n) { "operations", n }
#define MOVED(n) { "payload_bytes", n }
/* Pages may have to be mapped. */
#define PAGES { "page_faults", MAY }, { "page_faults_pages", MAY }

static const struct row rows[] = {
	{ "count-good", "a WRITE is counted, and no trouble", NULL, write_one, {},
	  { RX(1), TX(1), PAGES } },
	{ "count-bad-udp", "a wrong UDP checksum", NULL, bad_udp, {},
	  { RX(1), { "rx_bad_udp", 1 } } },
	{ "count-bad-short", "a packet shorter than its headers", NULL, bad_short, {},
	  { RX(1), { "rx_bad_short", 1 } } },
	{ "count-bad-version", "another transport version", NULL, bad_version, {},
	  { RX(1), { "rx_bad_version", 1 } } },
	{ "count-bad-opcode", "an opcode that is not there", NULL, bad_opcode, {},
	  { RX(1), { "rx_bad_opcode", 1 } } },
	{ "count-bad-pad", "padding that is not there", NULL, bad_pad, {},
	  { RX(1), { "rx_bad_pad", 1 } } },
	{ "count-bad-pkey", "another partition", NULL, bad_pkey, {},
	  { RX(1), { "rx_bad_pkey", 1 } } },
	{ "count-bad-long", "more payload than any MTU allows", NULL, bad_long, {},
	  { RX(1), { "rx_bad_long", 1 } } },
	{ "count-icrc", "a wrong ICRC", NULL, bad_icrc, {},
	  { RX(1), { "rx_icrc_encapsulated", 1 } } },
	{ "count-no-qp", "a QP that is not there", NULL, no_qp, {},
	  { RX(1), { "rx_no_qp", 1 } } },
	{ "count-stranger", "a packet from another address", NULL, stranger, {},
	  { RX(1), { "rx_stranger", 1 } } },
	{ "count-datagram", "a datagram to a connected QP", NULL, datagram, {},
	  { RX(1), { "ud_drops", 1 } } },
	{ "count-duplicate", "a WRITE that comes again", write_one, write_again, {},
	  { RX(1), TX(1), { "duplicate_request", 1 } } },
	{ "count-gap", "two WRITEs behind a lost one", NULL, gap, {},
	  { RX(2), TX(1), { "out_of_sequence", 2 }, { "seq_naks_sent", 1 } } },
	{ "count-cnp", "a congestion notification", NULL, cnp, {},
	  { RX(1), { "rp_cnp_handled", 1 } } },
	{ "count-marked", "a WRITE with a mark: an ACK and a CNP", NULL, marked, {},
	  { RX(1), TX(2), PAGES, { "np_ecn_marked_roce_packets", 1 }, { "np_cnp_sent", 1 } } },
	{ "count-not-ready", "a SEND without a receive request", NULL, not_ready, {},
	  { RX(1), TX(1), { "rnr_naks_sent", 1 } } },
	{ "count-refuse-order", "packets in a wrong order", NULL, refuse_order, {},
	  { RX(1), TX(1), { "resp_remote_invalid_request", 1 } } },
	{ "count-refuse-key", "a WRITE with a wrong key", NULL, refuse_key, {},
	  { RX(1), TX(1), { "resp_remote_access_errors", 1 } } },
	{ "count-refuse-receive", "a SEND to a bad receive request", NULL, refuse_receive, {},
	  { RX(1), TX(1), { "resp_remote_op_errors", 1 } } },
	{ "count-stale", "an answer to nothing", NULL, stale, {},
	  { RX(1), { "rx_stale_response", 1 } } },
	{ "count-naked", "a sequence NAK", NULL, naked, {},
	  { RX(2), TX(2), OPS(1), MOVED(100), PAGES, { "packet_seq_err", 1 },
	    { "packets_resent", 1 } } },
	{ "count-rnr", "an RNR NAK", NULL, rnr, {},
	  { RX(2), TX(2), OPS(1), MOVED(100), PAGES, { "rnr_nak_retry_err", 1 },
	    { "packets_resent", 1 } } },
	{ "count-timeout", "no answer for a while", NULL, unanswered, { .timeout = 20 },
	  { RX(1), TX(2), OPS(1), MOVED(100), PAGES, { "local_ack_timeout_err", 1 },
	    { "packets_resent", 1 } } },
	{ "count-implied", "an answer after one that was lost", NULL, implied, {},
	  { RX(2), TX(3), OPS(2), MOVED(200), PAGES, { "implied_nak_seq_err", 1 },
	    { "packets_resent", 1 } } },
	{ "count-wrong-answer", "an answer that contradicts the request", NULL, wrong_answer, {},
	  { RX(1), TX(1), OPS(1), { "rx_bad_response", 1 } } },
	{ "count-rnr-fails", "no more RNR retries", NULL, rnr_fails, { .rnr_retry = HT_NONE },
	  { RX(1), TX(1), OPS(1), PAGES, { "rnr_nak_retry_err", 1 },
	    { "req_rnr_retries_exceeded", 1 } } },
	{ "count-timeout-fails", "no more retries", NULL, timeout_fails,
	  { .retry = HT_NONE, .timeout = 14 },
	  { TX(1), OPS(1), PAGES, { "local_ack_timeout_err", 1 },
	    { "req_transport_retries_exceeded", 1 } } },
	{ "count-invalid-fails", "a request that the peer calls invalid", NULL, invalid_fails, {},
	  { RX(1), TX(1), OPS(1), PAGES, { "req_remote_invalid_request", 1 } } },
	{ "count-access-fails", "a request for which the peer sees no right", NULL, access_fails,
	  {}, { RX(1), TX(1), OPS(1), PAGES, { "req_remote_access_errors", 1 } } },
	{ "count-operation-fails", "a request that the peer cannot do", NULL, operation_fails, {},
	  { RX(1), TX(1), OPS(1), PAGES, { "req_remote_op_errors", 1 } } },
	{ "count-queue-drops", "a packet that the stack drops", NULL, queue_drops, {},
	  { TX(1), OPS(1), PAGES, { "tx_dropped", 1 } } },
	{ "count-too-long", "a packet longer than the route's MTU", NULL, too_long, {},
	  { OPS(1), PAGES, { "tx_too_long", 1 } } },
	{},
};
/* clang-format on */

static void count(const void *arg)
{
	const struct row *r = arg;

	peer_get(&p, &r->conf);
	area_get(&a, &p, LEN, HT_ACCESS_ALL);
	ht_prefetch(&a.mr, a.p, LEN);
	if (r->first)
		r->first();
	snapshot();
	r->fn();
	want_moves(r->moves);
}

void rc_add_counters(void)
{
	for (const struct row *r = rows; r->name; r++)
		ht_addf(count, r, 0, r->intent, "%s", r->name);
}
