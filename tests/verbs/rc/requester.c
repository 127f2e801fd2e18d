// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The QP as a requester: what it sends, how often, and what it believes (9.7.5). */
#include "rc.h"

#define LEN (64 * HT_KIB)
#define MTU 1024
/* HODP_PACE_MAX of the module: PSNs that may be unanswered. */
#define WINDOW 128

static struct peer p;
static struct area a;
static struct ht_mr remote; /* what a request names; the peer does not look */

static void setup_with(struct ht_conf conf, uint32_t psn)
{
	peer_open(&p, &conf);
	peer_connect(&p, PEER_PSN, psn);
	area_get(&a, &p, LEN, IBV_ACCESS_LOCAL_WRITE);
	remote = a.mr;
}

static void setup(void)
{
	setup_with((struct ht_conf){ 0 }, QP_PSN);
}

static void post(enum ibv_wr_opcode op, uint64_t id, size_t off, uint32_t len)
{
	struct ht_wr w = ht_rdma_wr(id, op, &a.mr, a.p + off, len, &remote, a.p);

	ht_post(p.s.qp, &w);
}

static void answer(uint32_t psn, uint8_t syndrome)
{
	struct rc_msg m = { .op = RC_ACK, .psn = psn, .syndrome = syndrome };

	peer_send(&p, &m);
}

static void want_status(uint64_t id, enum ibv_wc_status status)
{
	struct ibv_wc wc;

	ht_want_wc(p.s.scq, &wc, id, status);
}

/* A WRITE is sent, acknowledged and complete. */
static void well(uint32_t psn)
{
	struct rc_msg m;

	peer_flush();
	post(IBV_WR_RDMA_WRITE, 99, 0, 100);
	peer_want_op(&p, &m, RC_WRITE_ONLY, psn);
	ht_check_bytes(m.data, a.p, 100, "a WRITE to see that it is well");
	answer(psn, RC_GOOD);
	want_status(99, IBV_WC_SUCCESS);
	ht_eq(ht_state(&p.s), IBV_QPS_RTS);
}

/* --- retries ----------------------------------------------------------------------- */

static const struct {
	int conf, n;
} counts[] = { { HT_NONE, 0 }, { 1, 1 }, { 3, 3 }, { 6, 6 } };

/* A peer that never answers gets each packet 1 + retry_cnt times. */
static void retries(const void *arg)
{
	struct rc_msg m;

	for (size_t i = 0; i < HT_LEN(counts); i++) {
		setup_with((struct ht_conf){ .retry = counts[i].conf, .timeout = 12 }, QP_PSN);
		post(IBV_WR_RDMA_WRITE, i, 0, 100);
		for (int k = 0; k <= counts[i].n; k++) {
			peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN);
			ht_check_bytes(m.data, a.p, 100, "a WRITE that is sent again");
		}
		want_status(i, IBV_WC_RETRY_EXC_ERR);
		peer_quiet(&p, 20, "it is sent once more");
		ht_eq(ht_state(&p.s), IBV_QPS_ERR);
	}
}

static void rnr_retries(const void *arg)
{
	struct rc_msg m;

	for (size_t i = 0; i < HT_LEN(counts); i++) {
		setup_with((struct ht_conf){ .rnr_retry = counts[i].conf }, QP_PSN);
		post(IBV_WR_RDMA_WRITE, i, 0, 100);
		for (int k = 0; k <= counts[i].n; k++) {
			peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN);
			answer(QP_PSN, RC_RNR | 1);
		}
		want_status(i, IBV_WC_RNR_RETRY_EXC_ERR);
		peer_quiet(&p, 20, "it is sent once more");
		ht_eq(ht_state(&p.s), IBV_QPS_ERR);
	}
}

/* rnr_retry 7 is no limit; RNR NAKs use up no other retries. */
static void rnr_forever(const void *arg)
{
	struct rc_msg m;

	setup_with((struct ht_conf){ .rnr_retry = 7, .retry = HT_NONE }, QP_PSN);
	post(IBV_WR_RDMA_WRITE, 1, 0, 100);
	for (int k = 0; k < 30; k++) {
		peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN);
		answer(QP_PSN, RC_RNR | 1);
	}
	peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN);
	answer(QP_PSN, RC_GOOD);
	want_status(1, IBV_WC_SUCCESS);
	well(QP_PSN + 1);
}

/* A sequence NAK is a retry, too, until there is progress. */
static void nak_retries(const void *arg)
{
	struct rc_msg m;

	setup_with((struct ht_conf){ .retry = 2 }, QP_PSN);
	for (int op = 0; op < 2; op++) {
		post(IBV_WR_RDMA_WRITE, op, 0, 100);
		for (int k = 0; k < 2; k++) {
			peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN + op);
			answer(QP_PSN + op, RC_NAK_SEQUENCE);
		}
		peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN + op);
		if (op == 0) {
			answer(QP_PSN + op, RC_GOOD);
			want_status(op, IBV_WC_SUCCESS);
		}
	}
	answer(QP_PSN + 1, RC_NAK_SEQUENCE);
	want_status(1, IBV_WC_RETRY_EXC_ERR);
	peer_quiet(&p, 20, "it is sent once more");
}

static void nak_errors(const void *arg)
{
	static const struct {
		uint8_t syndrome;
		enum ibv_wc_status status;
	} naks[] = {
		{ RC_NAK_INVALID, IBV_WC_REM_INV_REQ_ERR },
		{ RC_NAK_ACCESS, IBV_WC_REM_ACCESS_ERR },
		{ RC_NAK_OPERATION, IBV_WC_REM_OP_ERR },
	};
	struct rc_msg m;

	for (size_t i = 0; i < HT_LEN(naks); i++) {
		setup();
		post(IBV_WR_RDMA_WRITE, 1, 0, 100);
		post(IBV_WR_RDMA_WRITE, 2, 0, 100);
		post(IBV_WR_RDMA_WRITE, 3, 0, 100);
		for (int k = 0; k < 3; k++)
			peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN + k);
		/* It acknowledges the first one. */
		answer(QP_PSN + 1, naks[i].syndrome);
		want_status(1, IBV_WC_SUCCESS);
		want_status(2, naks[i].status);
		want_status(3, IBV_WC_WR_FLUSH_ERR);
		ht_eq(ht_state(&p.s), IBV_QPS_ERR);
	}
}

/* --- probes ------------------------------------------------------------------------ */

enum { PARTS = 5 };

/* Packets from @first on of a WRITE of PARTS packets whose first one is @psn. */
static void want_parts(uint32_t psn, int first)
{
	struct rc_msg m;

	for (int i = first; i < PARTS; i++) {
		peer_want_op(&p, &m,
			     i == 0	    ? RC_WRITE_FIRST :
			     i == PARTS - 1 ? RC_WRITE_LAST :
					      RC_WRITE_MIDDLE,
			     psn + i);
		ht_eq(m.ask, i == PARTS - 1);
		ht_eq(m.len, MTU);
		ht_check_bytes(m.data, a.p + 11 + i * MTU, MTU, "a packet of a WRITE");
	}
}

/* After an RNR wait the first packet goes alone; what follows depends on the answer. */
static void probe(const void *arg)
{
	struct rc_msg m;

	setup();
	for (int round = 0; round < 2; round++) {
		uint32_t psn = QP_PSN + round * PARTS;

		post(IBV_WR_RDMA_WRITE, round, 11, PARTS * MTU);
		want_parts(psn, 0);
		answer(psn, RC_RNR | 1);
		peer_want_op(&p, &m, RC_WRITE_FIRST, psn);
		ht_true(m.ask);
		peer_quiet(&p, 100, "something behind the probe");
		if (round == 0) {
			/* The peer has nothing behind it. */
			answer(psn, RC_GOOD);
			want_parts(psn, 1);
		}
		/* The second time, it has them all. */
		answer(psn + PARTS - 1, RC_GOOD);
		want_status(round, IBV_WC_SUCCESS);
		peer_quiet(&p, 50, "something that was answered");
	}
	well(QP_PSN + 2 * PARTS);
}

/* --- what waits for READs ------------------------------------------------------------ */

static void answer_read(uint32_t psn, uint32_t len)
{
	static uint8_t data[MTU];
	struct rc_msg m = {
		.op = RC_RESPONSE_ONLY, .psn = psn, .syndrome = RC_GOOD, .data = data, .len = len
	};

	peer_send(&p, &m);
}

/* At most max_rd_atomic READs are unanswered. */
static void reads(const void *arg)
{
	enum { MOST = 2, NUM = 5 };
	struct rc_msg m;

	setup_with((struct ht_conf){ .rd_atomic = MOST }, QP_PSN);
	for (int i = 0; i < NUM; i++)
		post(IBV_WR_RDMA_READ, i, i * 100, 50);
	for (int i = 0; i < NUM; i++) {
		if (i >= MOST) {
			peer_quiet(&p, 50, "a READ too many");
			answer_read(QP_PSN + i - MOST, 50);
			want_status(i - MOST, IBV_WC_SUCCESS);
		}
		peer_want_op(&p, &m, RC_READ, QP_PSN + i);
	}
	for (int i = NUM - MOST; i < NUM; i++) {
		answer_read(QP_PSN + i, 50);
		want_status(i, IBV_WC_SUCCESS);
	}
	well(QP_PSN + NUM);
}

/* A request with a fence waits for the READs before it, others do not. */
static void fence(const void *arg)
{
	struct ht_wr w;
	struct rc_msg m;

	setup();
	post(IBV_WR_RDMA_READ, 1, 0, 50);
	post(IBV_WR_RDMA_WRITE, 2, 100, 50);
	w = ht_rdma_wr(3, IBV_WR_RDMA_WRITE, &a.mr, a.p + 200, 50, &remote, a.p);
	w.flags = IBV_SEND_FENCE;
	ht_post(p.s.qp, &w);
	peer_want_op(&p, &m, RC_READ, QP_PSN);
	peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN + 1);
	peer_quiet(&p, 50, "a WRITE with a fence");
	answer_read(QP_PSN, 50);
	want_status(1, IBV_WC_SUCCESS);
	peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN + 2);
	answer(QP_PSN + 2, RC_GOOD);
	want_status(2, IBV_WC_SUCCESS);
	want_status(3, IBV_WC_SUCCESS);
	well(QP_PSN + 3);
}

/* --- the window -------------------------------------------------------------------- */

/* Packets of a long WRITE until there are none for a while. */
static uint32_t count_psns(uint32_t *next, size_t off)
{
	struct rc_msg m;
	uint32_t n = 0;

	while (peer_poll(&p, &m, n ? 200 : HT_PATIENCE_MS)) {
		ht_eq(m.psn, *next & 0xffffff);
		ht_check_bytes(m.data, a.p + off + (*next - QP_PSN) * m.len, m.len,
			       "a packet of a long WRITE");
		++*next;
		n++;
	}
	return n;
}

static void window(const void *arg)
{
	enum { PACKETS = LEN / 256 - 1 };
	uint32_t next = QP_PSN, acked, n;

	setup_with((struct ht_conf){ .mtu = IBV_MTU_256 }, QP_PSN);
	ht_fill(a.p, LEN, 5, 0);
	post(IBV_WR_RDMA_WRITE, 1, 11, PACKETS * 256);
	n = count_psns(&next, 11);
	ht_check(n <= WINDOW, "%u packets are unanswered", n);
	/* As many as are acknowledged may follow. */
	acked = HT_MIN(n, 10);
	while (next != QP_PSN + PACKETS) {
		answer(QP_PSN + acked - 1, RC_GOOD);
		ht_true(count_psns(&next, 11) > 0);
		n = next - (QP_PSN + acked);
		ht_check(n <= WINDOW, "%u packets are unanswered", n);
		acked = next - QP_PSN;
	}
	ht_no_wc(p.s.scq, 5);
	answer(next - 1, RC_GOOD);
	want_status(1, IBV_WC_SUCCESS);
	well(next);
}

/* --- what is not believed ------------------------------------------------------------ */

/* Nothing of this is about what was sent: it changes nothing. */
static void unasked(const void *arg)
{
	static const uint8_t syndromes[] = { RC_GOOD,	     RC_RNR | 1,    RC_NAK_SEQUENCE,
					     RC_NAK_INVALID, RC_NAK_ACCESS, RC_NAK_OPERATION };
	static const uint32_t psns[] = { QP_PSN - 1,	   QP_PSN - 100, QP_PSN + 2,
					 QP_PSN + 3,	   QP_PSN + 127, QP_PSN + 0x7fffff,
					 QP_PSN + 0x800000 };
	static uint8_t data[8];
	struct rc_msg m;

	setup();
	post(IBV_WR_RDMA_WRITE, 1, 0, 100);
	post(IBV_WR_RDMA_WRITE, 2, 0, 100);
	peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN);
	peer_want_op(&p, &m, RC_WRITE_ONLY, QP_PSN + 1);
	for (size_t i = 0; i < HT_LEN(psns); i++) {
		for (size_t k = 0; k < HT_LEN(syndromes); k++)
			answer(psns[i], syndromes[k]);
		m = (struct rc_msg){ .op = RC_RESPONSE_ONLY,
				     .psn = psns[i],
				     .syndrome = RC_GOOD,
				     .data = data,
				     .len = sizeof(data) };
		peer_send(&p, &m);
		m.op = RC_ATOMIC_ACK;
		m.len = 0;
		peer_send(&p, &m);
	}
	peer_quiet(&p, 50, "an answer that was not asked for");
	ht_no_wc(p.s.scq, 5);
	area_check(&a, 0, 0, 0, 0, "answers that were not asked for");
	answer(QP_PSN + 1, RC_GOOD);
	want_status(1, IBV_WC_SUCCESS);
	want_status(2, IBV_WC_SUCCESS);
	well(QP_PSN + 2);
}

/* A READ that is answered by @op with @len bytes, @total being right. */
static void bad_answer(uint32_t total, uint8_t op, uint32_t len)
{
	static uint8_t data[4096];
	struct rc_msg m;

	setup();
	post(IBV_WR_RDMA_READ, 1, 7, total);
	peer_want_op(&p, &m, RC_READ, QP_PSN);
	ht_eq(m.length, total);
	m = (struct rc_msg){
		.op = op, .psn = QP_PSN, .syndrome = RC_GOOD, .data = data, .len = len
	};
	peer_send(&p, &m);
	want_status(1, IBV_WC_BAD_RESP_ERR);
	ht_eq(ht_state(&p.s), IBV_QPS_ERR);
	area_check(&a, 0, 0, 0, 0, "an answer of a wrong length or kind");
}

static void response_length(const void *arg)
{
	bad_answer(1000, RC_RESPONSE_ONLY, 999);
	bad_answer(1000, RC_RESPONSE_ONLY, 996);
	bad_answer(1000, RC_RESPONSE_ONLY, 1001);
	bad_answer(1000, RC_RESPONSE_ONLY, 1004);
	bad_answer(1000, RC_RESPONSE_ONLY, MTU);
	bad_answer(1000, RC_RESPONSE_ONLY, 0);
	bad_answer(1000, RC_RESPONSE_ONLY, 4096);
	bad_answer(3 * MTU, RC_RESPONSE_FIRST, MTU - 4);
	bad_answer(3 * MTU, RC_RESPONSE_FIRST, MTU + 4);
	bad_answer(100, RC_ATOMIC_ACK, 0);
}

/* Packet @i of the answer to a READ of @total bytes. */
static struct rc_msg response(const uint8_t *data, uint32_t total, uint32_t i)
{
	uint32_t last = (total - 1) / MTU;

	return (struct rc_msg){
		.op = i == 0	? RC_RESPONSE_FIRST :
		      i == last ? RC_RESPONSE_LAST :
				  RC_RESPONSE_MIDDLE,
		.psn = QP_PSN + i,
		.syndrome = RC_GOOD,
		.data = data + i * MTU,
		.len = HT_MIN(total - i * MTU, MTU),
	};
}

/* The QP asks for packet @i again, and for no other. */
static void want_missing(uint32_t i)
{
	struct rc_msg m;

	peer_want_op(&p, &m, RC_READ, QP_PSN + i);
	ht_eq(m.length, MTU);
	ht_eq(m.va, ht_iova(&remote, a.p) + i * MTU);
}

/* The answer to a READ, packet by packet; two of them are lost. */
static void read_lost(const void *arg)
{
	enum { TOTAL = 6 * MTU + 77, OFF = 13 };
	static uint8_t data[TOTAL], other[TOTAL];
	struct rc_msg m;

	setup();
	ht_fill(data, TOTAL, 4, 0);
	ht_fill(other, TOTAL, 5, 0);
	post(IBV_WR_RDMA_READ, 1, OFF, TOTAL);
	peer_want_op(&p, &m, RC_READ, QP_PSN);
	for (uint32_t i = 0; i < 7; i++) {
		m = response(data, TOTAL, i);
		if (i != 2 && i != 5)
			peer_send(&p, &m);
	}
	/* It asks for what is missing at once, and not for what is behind. */
	want_missing(2);
	/* Once: that others behind the lost one come is no news. */
	m = response(other, TOTAL, 6);
	peer_send(&p, &m);
	peer_quiet(&p, 50, "a second request for what is missing");
	ht_no_wc(p.s.scq, 5);
	area_check(&a, OFF, 2 * MTU, 4, 0, "what is before the loss");
	m = response(data, TOTAL, 2);
	m.op = RC_RESPONSE_ONLY;
	peer_send(&p, &m);
	/* Now the other one is next. */
	want_missing(5);
	peer_quiet(&p, 20, "a request for what has come");
	ht_no_wc(p.s.scq, 5);
	area_check(&a, OFF, 5 * MTU, 4, 0, "what is before the second loss");
	m = response(data, TOTAL, 5);
	m.op = RC_RESPONSE_ONLY;
	peer_send(&p, &m);
	want_status(1, IBV_WC_SUCCESS);
	area_check(&a, OFF, TOTAL, 4, 0, "all of it, each packet as it came first");
	well(QP_PSN + 7);
}

/* An acknowledgment of the READ does not complete it; an atomic's result is its own. */
static void acked_early(const void *arg)
{
	static uint8_t data[100];
	struct rc_msg m;

	setup();
	ht_fill(data, sizeof(data), 6, 0);
	post(IBV_WR_RDMA_READ, 1, 7, sizeof(data));
	peer_want_op(&p, &m, RC_READ, QP_PSN);
	answer(QP_PSN, RC_GOOD);
	ht_no_wc(p.s.scq, 20);
	m = (struct rc_msg){ .op = RC_RESPONSE_ONLY,
			     .psn = QP_PSN,
			     .syndrome = RC_GOOD,
			     .data = data,
			     .len = sizeof(data) };
	peer_send(&p, &m);
	want_status(1, IBV_WC_SUCCESS);
	area_check(&a, 7, sizeof(data), 6, 0, "a READ");
	/* Twice is as good as once. */
	memset(data, 0, sizeof(data));
	peer_send(&p, &m);
	well(QP_PSN + 1);
	area_check(&a, 7, sizeof(data), 6, 0, "a READ that was answered twice");
}

/* --- PSNs around 0 ----------------------------------------------------------------- */

#define BEFORE 5

/* It is the packet of PSN @i behind 0 of a long WRITE. */
static void check_behind(const struct rc_msg *m, uint32_t i)
{
	ht_eq(m->psn, i);
	ht_check_bytes(m->data, a.p + 11 + (BEFORE + i) * 256, m->len, "a packet behind PSN 0");
}

static void wrap(const void *arg)
{
	enum { PACKETS = LEN / 256 - 1 };
	uint32_t psn = 0x1000000 - BEFORE, n = 0, i = 0;
	struct rc_msg m;
	bool more;

	setup_with((struct ht_conf){ .mtu = IBV_MTU_256 }, psn);
	ht_fill(a.p, LEN, 5, 0);
	post(IBV_WR_RDMA_WRITE, 1, 11, PACKETS * 256);
	while (peer_poll(&p, &m, n > BEFORE ? 200 : HT_PATIENCE_MS)) {
		ht_eq(m.psn, (psn + n) & 0xffffff);
		n++;
	}
	ht_check(n > BEFORE && n <= WINDOW, "%u packets are unanswered", n);
	/* The first one behind 0 was lost. */
	answer(0, RC_NAK_SEQUENCE);
	/* A slow QP may have sent more before it. */
	do {
		ht_true(peer_poll(&p, &m, HT_PATIENCE_MS));
		more = m.psn == n - BEFORE;
		n += more;
	} while (more);
	/* It comes alone: the peer may have kept the others. */
	check_behind(&m, 0);
	ht_true(m.ask);
	peer_quiet(&p, 100, "something behind the probe");
	/* It has not. */
	answer(0, RC_GOOD);
	while (peer_poll(&p, &m, i ? 200 : HT_PATIENCE_MS))
		check_behind(&m, ++i);
	ht_check(i > 0 && i <= WINDOW, "%u packets are unanswered", i);
	n = HT_MAX(n, i + BEFORE + 1);
	while (n < PACKETS) {
		answer(psn + n - 1, RC_GOOD);
		while (peer_poll(&p, &m, 200))
			n = HT_MAX(n, m.psn + BEFORE + 1);
	}
	ht_no_wc(p.s.scq, 5);
	answer(psn + n - 1, RC_GOOD);
	want_status(1, IBV_WC_SUCCESS);
	well(psn + n);
}

const struct ht_case rc_requester[] = {
	{ "retry-count", "a packet is sent 1 + retry_cnt times", retries },
	{ "retry-count-rnr", "a packet is sent 1 + rnr_retry times", rnr_retries },
	{ "retry-rnr-forever", "rnr_retry 7 is no limit", rnr_forever },
	{ "retry-count-nak", "sequence NAKs use up retry_cnt", nak_retries },
	{ "probe", "after an RNR wait one packet goes first", probe },
	{ "nak-errors", "each NAK has its status, and acknowledges what is before it", nak_errors },
	{ "rd-atomic", "at most max_rd_atomic READs are unanswered", reads },
	{ "fence", "a fence waits for READs", fence },
	{ "window", "the number of unanswered packets is bounded", window },
	{ "unasked", "answers to what was not sent change nothing", unasked },
	{ "response-length", "an answer of a wrong length is an error and not stored",
	  response_length },
	{ "read-lost", "only what is missing of a READ is asked for again, once", read_lost },
	{ "acked-early", "only its data complete a READ", acked_early },
	{ "wrap-requester", "PSNs wrap around at a requester", wrap },
	{},
};
