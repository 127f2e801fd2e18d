// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A hostile host at the other end of the wire.
 *
 * Packets from a seeded generator (make.c) go to QPs that are connected to the peer,
 * while two honest QPs, the neighbours, move bytes and compare them. What a packet
 * may do depends on the address that it comes from:
 *
 *   another host   nothing at all
 *   the peer       to its own QP whatever the peer may do: it can fail the QP. To
 *                  anything else, nothing.
 *
 * Each packet's fate is foretold, and the counters must agree: what is dropped has a
 * counter that says why.
 */
#include "hostile.h"

#define ROUND 16
#define VICTIMS 2
#define AREA 8192
/* Of the local area: where receives and the QP's own requests are. */
#define RECV_AT 100
#define POST_AT 4000
#define MOST 3000 /* bytes of each */
#define RECVS 8
#define NEIGHBOUR (16 * HT_KIB)
#define SECRET 0x5ec4e7
#define KEPT 256

enum mode {
	STRANGER, /* from other hosts */
	PEER, /* from the peer's address */
	REPLAY, /* what the neighbours have sent, once more, and from other hosts */
};

/* Between the case and the process with the neighbours. */
struct board {
	_Atomic uint32_t qpn; /* of the neighbour on the device under attack */
	_Atomic uint64_t turn, done;
	_Atomic bool stop;
};

/* A packet that was seen, for a replay. */
struct kept {
	uint8_t k[PKT_MAX];
	size_t len;
};

static struct board *board;
static struct victim victims[VICTIMS];
static uint32_t qpns[VICTIMS + 1];
static struct ht_rng rng;
static uint64_t fates[FATES], sent;
static struct kept *kept;
static size_t num_kept;

/* --- neighbours -------------------------------------------------------------------- */

/* One round of honest work: WRITE, READ, SEND, an atomic, and every byte. */
static void work(struct ht_rig *r, struct ht_rng *g, uint8_t *shadow, uint64_t n)
{
	uint32_t len = 1 + ht_below(g, 6000), off = ht_below(g, NEIGHBOUR - 6000 - 16);
	struct ht_wr w;
	struct ibv_wc wc;

	ht_fill(r->p[0] + off, len, n, off);
	ht_fill(shadow + off, len, n, off);
	ht_rig_do(r, IBV_WR_RDMA_WRITE, off, len, off);
	ht_check_bytes(r->p[1], shadow, NEIGHBOUR, "what a neighbour has written");
	memset(r->p[0], 0, NEIGHBOUR);
	ht_rig_do(r, IBV_WR_RDMA_READ, 0, NEIGHBOUR, 0);
	ht_check_bytes(r->p[0], shadow, NEIGHBOUR, "what a neighbour has read");
	ht_recv(r->b, n, &r->mr[1], r->p[1] + off, len);
	ht_fill(r->p[0] + off, len, n + 1, off);
	ht_fill(shadow + off, len, n + 1, off);
	w = ht_send_wr(n, &r->mr[0], r->p[0] + off, len);
	ht_do(r->a, &w);
	ht_want_wc(r->b->rcq, &wc, n, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, len);
	ht_check_bytes(r->p[1], shadow, NEIGHBOUR, "what a neighbour has sent");
}

static void neighbours(void *arg)
{
	struct ht_rng g = { ht_seed("neighbours") };
	uint8_t *shadow = calloc(1, NEIGHBOUR);
	struct ht_conf conf = { .mtu = IBV_MTU_1024 };
	static struct ht_rig r;
	uint64_t n = 0;

	ht_rig_get(&r, &conf, NEIGHBOUR);
	memset(r.p[1], 0, NEIGHBOUR);
	board->qpn = r.b->qp->qp_num;
	while (!board->stop) {
		if (board->turn == board->done) {
			ht_yield();
			continue;
		}
		work(&r, &g, shadow, n);
		n += 2;
		board->done++;
	}
	ht_eq(ht_state(r.a), IBV_QPS_RTS);
	ht_eq(ht_state(r.b), IBV_QPS_RTS);
}

/* --- victims ----------------------------------------------------------------------- */

static void post_recvs(struct victim *v)
{
	while (v->posted[1] - v->done[1] < RECVS) {
		ht_recv(&v->p.s, v->posted[1], &v->local.mr, v->local.p + RECV_AT, MOST);
		v->posted[1]++;
	}
}

static void connect_victim(struct victim *v)
{
	uint32_t psn = ht_below(&rng, 4) ? ht_rand(&rng) : 0xffffff - ht_below(&rng, 16);

	v->asked = ht_rand(&rng) & 0xffffff;
	peer_connect(&v->p, psn & 0xffffff, v->asked);
	post_recvs(v);
}

static void victims_open(void)
{
	struct ht_conf conf = { .timeout = 16, .retry = 7, .rnr_retry = 7 };

	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &victims[i];

		if (i)
			peer_more(&v->p, &victims[0].p, &conf);
		else
			peer_open(&v->p, &conf);
		area_get(&v->open, &v->p, AREA, HT_ACCESS_ALL);
		area_get(&v->closed, &v->p, AREA, IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_READ);
		area_get(&v->local, &v->p, AREA, IBV_ACCESS_LOCAL_WRITE);
		connect_victim(v);
		qpns[i] = v->p.s.qp->qp_num;
	}
}

static void secret_open(void)
{
	static struct peer p;

	p.s.pd = ibv_alloc_pd(rc_dev.ctx);
	ht_true(p.s.pd);
	area_get(&hostile_secret, &p, AREA, HT_ACCESS_ALL);
	ht_fill(hostile_secret.p, AREA, SECRET, 0);
}

/* Completions: each request has one. */
static void reap(struct victim *v)
{
	struct ibv_cq *cq[] = { v->p.s.scq, v->p.s.rcq };
	struct ibv_wc wc;

	for (int i = 0; i < 2; i++) {
		while (ibv_poll_cq(cq[i], 1, &wc) > 0) {
			ht_check(wc.wr_id == v->done[i] && v->done[i] < v->posted[i],
				 "completion of request %lu, not %lu of %lu",
				 (unsigned long)wc.wr_id, (unsigned long)v->done[i],
				 (unsigned long)v->posted[i]);
			v->done[i]++;
		}
	}
}

static bool all_reaped(struct victim *v)
{
	reap(v);
	return v->done[0] == v->posted[0] && v->done[1] == v->posted[1];
}

static void drop_events(void)
{
	struct ibv_async_event e;

	while (ht_poll_fd(rc_dev.ctx->async_fd, 0) && !ibv_get_async_event(rc_dev.ctx, &e))
		ibv_ack_async_event(&e);
}

/* The QP may have failed: then everything is flushed, and it begins anew. */
static void revive(struct victim *v)
{
	enum ibv_qp_state state = ht_state(&v->p.s);

	ht_check(state == IBV_QPS_RTS || state == IBV_QPS_ERR, "a QP is in state %d", state);
	if (state == IBV_QPS_RTS)
		return;
	ht_wait_until(all_reaped(v), "a failed QP to flush what was posted");
	ht_ok(ht_to(&v->p.s, IBV_QPS_RESET));
	connect_victim(v);
}

static void post_request(struct victim *v)
{
	static const enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_SEND,
						  IBV_WR_ATOMIC_FETCH_AND_ADD };
	enum ibv_wr_opcode op = ops[ht_below(&rng, HT_LEN(ops))];
	uint32_t len = op == IBV_WR_ATOMIC_FETCH_AND_ADD ? 8 : ht_below(&rng, MOST);
	struct ht_wr w = ht_rdma_wr(v->posted[0], op, &v->local.mr, v->local.p + POST_AT, len,
				    &v->open.mr, v->open.p);

	if (v->posted[0] - v->done[0] >= 8)
		return;
	w.no_sge = !len;
	w.raddr = 64;
	/* It may have failed since it was looked at; then it is flushed. */
	ht_post(v->p.s.qp, &w);
	v->posted[0]++;
}

/* --- what comes back ----------------------------------------------------------------- */

static void keep(const uint8_t *k, size_t len)
{
	struct kept *to = &kept[num_kept < KEPT ? num_kept : ht_below(&rng, KEPT)];

	num_kept += num_kept < KEPT;
	memcpy(to->k, k, len);
	to->len = len;
}

/* Learn the PSNs that a victim wants; its packets must be well-formed. */
static void learn(const uint8_t *k, size_t len)
{
	struct rc_msg m;

	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &victims[i];

		if (pkt_get24(k + PKT_HEAD + 4) != v->p.qpn || k[PKT_HEAD] >= 0x20)
			continue;
		rc_parse(k, len, &m);
		if (m.op < RC_RESPONSE_FIRST || m.op > RC_ATOMIC_ACK)
			v->asked = m.psn;
		else if (m.op == RC_ACK && rc_is_good(&m))
			v->p.psn = (m.psn + 1) & 0xffffff;
		else if (m.op == RC_ACK)
			v->p.psn = m.psn;
	}
}

static void listen_to_all(void)
{
	static uint8_t k[PKT_MAX];
	size_t len;
	bool out;

	while ((len = pkt_next(rc_cap, k, &out, 0))) {
		if (!out)
			learn(k, len);
		else if (pkt_get24(k + PKT_HEAD + 4) == board->qpn && k[15] == 1)
			keep(k, len);
	}
}

/* --- attacks ----------------------------------------------------------------------- */

static void attack(const uint8_t *k, size_t len)
{
	fates[hostile_fate(k, len, qpns, VICTIMS + 1)]++;
	pkt_send(rc_raw, k, len);
	sent++;
}

static void one(enum mode mode)
{
	static uint8_t k[PKT_MAX];
	struct victim *v = &victims[ht_below(&rng, VICTIMS)];
	uint32_t psn = v->p.psn;
	size_t len;

	if (mode == REPLAY && num_kept) {
		const struct kept *from = &kept[ht_below(&rng, num_kept)];

		len = from->len;
		memcpy(k, from->k, len);
		if (ht_below(&rng, 2))
			hostile_disguise(k, len, &rng);
	} else {
		len = hostile_make(k, v, &rng);
		if (!ht_below(&rng, 8))
			pkt_put32(k + 32, (uint32_t)k[32] << 24 | qpns[VICTIMS]);
		/* The neighbours' peer has the same address: that is another case. */
		if (mode != PEER || pkt_get24(k + 32) == qpns[VICTIMS])
			hostile_disguise(k, len, &rng);
	}
	if (mode != PEER)
		v->p.psn = psn;
	attack(k, len);
}

/* What the other hosts and the neighbours' peer cannot do: anything. */
static void check_untouched(const char *what)
{
	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &victims[i];

		ht_eq(ht_state(&v->p.s), IBV_QPS_RTS);
		area_check(&v->open, 0, 0, 0, 0, what);
		area_check(&v->local, 0, 0, 0, 0, what);
		reap(v);
		ht_eq(v->done[0] + v->done[1], 0);
	}
}

/* Bytes @from to @to - 1 are as they were. */
static void check_fill_kept(const struct area *a, size_t from, size_t to, const char *what)
{
	ht_check_fill(a->p + from, to - from, RC_FILL, a->p - a->buf + from, what);
}

static void check_guarded(const char *what)
{
	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &victims[i];

		area_check_guards(&v->open, what);
		area_check(&v->closed, 0, 0, 0, 0, what);
		area_check_guards(&v->local, what);
		/* Between what was posted, too. */
		check_fill_kept(&v->local, 0, RECV_AT, what);
		check_fill_kept(&v->local, RECV_AT + MOST, POST_AT, what);
		check_fill_kept(&v->local, POST_AT + MOST, AREA, what);
	}
	area_check(&hostile_secret, 0, AREA, SECRET, 0, what);
}

static void round_of(enum mode mode)
{
	board->turn++;
	for (int i = 0; i < ROUND; i++)
		one(mode);
	listen_to_all();
	if (mode != PEER)
		return;
	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &victims[i];

		reap(v);
		revive(v);
		post_recvs(v);
		if (ht_below(&rng, 2))
			post_request(v);
	}
	drop_events();
}

/* --- the account ------------------------------------------------------------------- */

/* Bytes of kernel memory that cannot be reclaimed. */
static long kernel_memory(void)
{
	FILE *f = popen("awk '/^SUnreclaim:/ { print $2 }' /proc/meminfo", "r");
	long n = -1;

	ht_check(f && fscanf(f, "%ld", &n) == 1 && !pclose(f), "no /proc/meminfo");
	return n * 1024;
}

struct account {
	uint64_t before[FATES], full, packets, peers;
};

static uint64_t their_packets(void)
{
	static struct ht_dev d;

	if (!d.ctx)
		ht_open(&d, ht_opt.dev);
	return ht_counter(&d, "tx_packets");
}

static void account_open(struct account *a)
{
	for (int f = 0; f < FATE_QUEUED; f++)
		a->before[f] = ht_counter(&rc_dev, fate_counters[f]);
	a->full = ht_counter(&rc_dev, "rx_queue_full");
	a->packets = ht_counter(&rc_dev, "rx_packets");
	a->peers = their_packets();
}

/* Every packet was received, and what was dropped was counted for its reason. */
static void account_check(const struct account *a)
{
	uint64_t may = fates[FATE_QUEUED], all = 0, full;

	/* The neighbours are at rest. */
	ht_wait_until(ht_counter(&rc_dev, "rx_packets") - a->packets ==
			      sent + their_packets() - a->peers,
		      "all packets to be received");
	/* The last one was received, but what became of it may be counted later; the core
	 * reads counters at most every 10 ms.
	 */
	ht_sleep_ms(30);
	for (int f = 0; f < FATE_QUEUED; f++) {
		uint64_t n = ht_counter(&rc_dev, fate_counters[f]) - a->before[f];
		bool more = f == FATE_STRANGER || f == FATE_UD;

		ht_note("%-16s %8lu, foretold %8lu", fate_counters[f], (unsigned long)n,
			(unsigned long)fates[f]);
		/* A QP that has failed drops what it would have taken. */
		ht_check(n >= fates[f] && n - fates[f] <= (more ? may : 0),
			 "%s: %lu packets, foretold were %lu", fate_counters[f], (unsigned long)n,
			 (unsigned long)fates[f]);
		all += n;
	}
	full = ht_counter(&rc_dev, "rx_queue_full") - a->full;
	ht_note("%-16s %8lu", "rx_queue_full", (unsigned long)full);
	all += full;
	ht_note("of %lu packets, %lu were dropped, and QPs took %lu of %lu", (unsigned long)sent,
		(unsigned long)all, (unsigned long)(sent - all), (unsigned long)may);
	ht_check(all <= sent && sent - all <= may, "%lu packets were dropped without a counter",
		 (unsigned long)(sent - all - may));
}

/* --- cases ------------------------------------------------------------------------- */

static void rest(void)
{
	ht_wait_until(board->done == board->turn, "the neighbours");
}

static void run(enum mode mode, uint64_t packets)
{
	uint64_t rounds = (packets + ROUND - 1) / ROUND, n;
	struct account a;
	long memory = 0;

	account_open(&a);
	sent = 0;
	memset(fates, 0, sizeof(fates));
	for (n = 0; n < rounds; n++) {
		if (n == rounds / 8) {
			rest();
			memory = kernel_memory();
		}
		round_of(mode);
		/* The neighbours are never far behind. */
		if (board->turn - board->done > 4)
			rest();
		if (n % 256 == 255)
			check_guarded("in between");
	}
	rest();
	listen_to_all();
	account_check(&a);
	check_guarded("at the end");
	if (mode != PEER)
		check_untouched("what a stranger has sent");
	/* A few packets tell nothing: the slabs breathe by megabytes. */
	if (rounds < 200)
		return;
	memory = kernel_memory() - memory;
	ht_note("the kernel holds %ld KiB more", memory / 1024);
	ht_check(memory < (long)(4 * HT_MIB), "the kernel holds %ld bytes more", memory);
}

static void begin(pid_t *pid, uint64_t seed)
{
	ht_note("seed 0x%lx", (unsigned long)seed);
	rng.s = seed;
	memset(victims, 0, sizeof(victims));
	num_kept = 0;
	kept = calloc(KEPT, sizeof(*kept));
	board = ht_map_shared(sizeof(*board));
	*pid = ht_fork(neighbours, NULL);
	ht_wait_until(board->qpn, "the neighbours");
	victims_open();
	secret_open();
	qpns[VICTIMS] = board->qpn;
}

static void end(pid_t pid)
{
	board->stop = true;
	ht_join(pid);
	ht_true(board->done > 0);
	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &victims[i];

		ht_ok(ht_to(&v->p.s, IBV_QPS_ERR));
		ht_wait_until(all_reaped(v), "the end of what was posted");
		ht_ok(ht_to(&v->p.s, IBV_QPS_RESET));
		connect_victim(v);
		peer_alive(&v->p, &v->open.mr, v->open.p + 11, 0x77 + i);
		area_check_guards(&v->open, "at last");
	}
}

static void hostile(const void *arg)
{
	const enum mode *mode = arg;
	pid_t pid;

	begin(&pid, ht_seed("hostile") + *mode);
	run(*mode, ht_count(20000) * (*mode == PEER ? 3 : 1) / 5);
	end(pid);
}

/* Seeds that have found a fault; the first ones are only the first ones. */
static const struct {
	enum mode mode;
	uint64_t seed;
} corpus[] = {
	{ STRANGER, 1 },
	{ PEER, 1 },
	{ REPLAY, 1 },
};

static void hostile_corpus(const void *arg)
{
	for (size_t i = 0; i < HT_LEN(corpus); i++) {
		pid_t pid;

		begin(&pid, corpus[i].seed);
		run(corpus[i].mode, 500);
		end(pid);
	}
}

static const enum mode stranger = STRANGER, peer = PEER, replay = REPLAY;

/* A million packets take long. */
#define LONG (4 * 3600)

const struct ht_case rc_hostile[] = {
	{ "hostile-corpus", "seeds that have found a fault", hostile_corpus, NULL, 120 },
	{ "hostile-stranger", "packets of other hosts have no effect", hostile, &stranger, LONG },
	{ "hostile-replay", "packets that are sent again have no effect", hostile, &replay, LONG },
	{ "hostile-peer", "packets of a mad peer harm at most its own QP", hostile, &peer, LONG },
	{},
};
