// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * UC on a network that loses packets: handmade packets (lib/packet.h) to a UC QP, and
 * a receiver that waits for a page fault.
 */
#include <endian.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "packet.h"
#include "wire.h"

#define LEN (64 * HT_KIB)
#define MTU 1024

/* Opcodes (IBTA table 38). */
enum {
	SEND_FIRST = 0x20,
	SEND_MIDDLE,
	SEND_LAST,
	SEND_LAST_IMM,
	SEND_ONLY,
	SEND_ONLY_IMM,
	WRITE_FIRST,
	WRITE_MIDDLE,
	WRITE_LAST,
	WRITE_LAST_IMM,
	WRITE_ONLY,
	WRITE_ONLY_IMM,
};

static struct ht_rig r;
static int raw;
static uint32_t psn;

static void setup(void)
{
	struct ht_conf conf = { .type = IBV_QPT_UC, .mtu = IBV_MTU_1024 };

	ht_rig_get(&r, &conf, LEN);
	ht_rig_fill(&r, 600, NULL);
	raw = pkt_socket("ns1");
	psn = r.a->psn;
}

/* A packet's parts behind the BTH; the payload is [at, at + len) of a's buffer. */
struct part {
	uint8_t opcode;
	size_t at;
	uint32_t len;
	size_t to; /* WRITE_FIRST, _ONLY: offset in b's buffer, */
	uint32_t length; /* and bytes of the message */
	uint32_t imm;
};

static bool has_reth(uint8_t op)
{
	return op == WRITE_FIRST || op == WRITE_ONLY || op == WRITE_ONLY_IMM;
}

static bool has_imm(uint8_t op)
{
	return op == SEND_LAST_IMM || op == SEND_ONLY_IMM || op == WRITE_LAST_IMM ||
	       op == WRITE_ONLY_IMM;
}

static size_t build(uint8_t *k, const struct part *p)
{
	uint32_t pad = -p->len & 3;
	size_t n = PKT_HEAD + PKT_BTH;

	pkt_begin(k, &r.a->dev->gid, &r.b->dev->gid);
	pkt_put32(k + PKT_HEAD, (uint32_t)p->opcode << 24 | 0x40ffff | pad << 20);
	pkt_put32(k + PKT_HEAD + 4, r.b->qp->qp_num);
	pkt_put32(k + PKT_HEAD + 8, psn++ & 0xffffff);
	if (has_reth(p->opcode)) {
		uint64_t va = ht_iova(&r.mr[1], r.p[1] + p->to);

		pkt_put32(k + n, va >> 32);
		pkt_put32(k + n + 4, va);
		pkt_put32(k + n + 8, r.mr[1].mr->rkey);
		pkt_put32(k + n + 12, p->length);
		n += 16;
	}
	if (has_imm(p->opcode)) {
		pkt_put32(k + n, p->imm);
		n += 4;
	}
	memcpy(k + n, r.p[0] + p->at, p->len);
	memset(k + n + p->len, 0, pad);
	n += p->len + pad + PKT_ICRC;
	pkt_set_length(k, n);
	pkt_set_icrc(k, n);
	return n;
}

static void packet(struct part p)
{
	uint8_t k[PKT_MAX];

	pkt_send(raw, k, build(k, &p));
}

/* The network loses a packet. */
static void lose(void)
{
	psn++;
}

static void wait_counter(const char *name, uint64_t value)
{
	ht_wait_until(ht_counter(r.b->dev, name) == value, name);
}

/* The next completion: @len bytes, which were at @at, are at @to; no other byte is new. */
static void arrived(uint64_t id, size_t at, uint32_t len, size_t to)
{
	struct ibv_wc wc;

	ht_want_wc(r.b->rcq, &wc, id, IBV_WC_SUCCESS);
	ht_eq(wc.byte_len, len);
	ht_check_fill(r.p[1] + to, len, 600, at, "message");
	ht_check_fill(r.p[1], to, 601, 0, "bytes before it");
	ht_check_fill(r.p[1] + to + len, LEN - to - len, 601, to + len, "bytes behind it");
	ht_fill(r.p[1], LEN, 601, 0);
}

static void receive(uint64_t id)
{
	ht_recv(r.b, id, &r.mr[1], r.p[1] + 99, 8 * MTU);
}

static void wire_uc_exact(const void *arg)
{
	setup();
	for (uint32_t n = 0; n <= MTU; n += n < 9 || n >= MTU - 3 ? 1 : (MTU - 12) / 4) {
		receive(n);
		packet((struct part){ SEND_ONLY, 5, n });
		arrived(n, 5, n, 99);
		receive(n);
		packet((struct part){ SEND_FIRST, 5, MTU });
		packet((struct part){ SEND_MIDDLE, 5 + MTU, MTU });
		packet((struct part){ SEND_LAST, 5 + 2 * MTU, n ?: 1 });
		arrived(n, 5, 2 * MTU + (n ?: 1), 99);
		receive(n);
		packet((struct part){ WRITE_FIRST, 7, MTU, 333, MTU + (n ?: 1) });
		packet((struct part){ WRITE_LAST_IMM, 7 + MTU, n ?: 1 });
		arrived(n, 7, MTU + (n ?: 1), 333);
		receive(n);
		packet((struct part){ WRITE_ONLY_IMM, 7, n, 333, n });
		arrived(n, 7, n, 333);
	}
}

/* What is left of a message with a gap completes nothing; the receive is used again. */
static void wire_uc_gap(const void *arg)
{
	uint64_t drops, gaps;

	setup();
	drops = ht_counter(r.b->dev, "uc_drops");
	gaps = ht_counter(r.b->dev, "out_of_sequence");
	receive(1);
	packet((struct part){ SEND_FIRST, 5, MTU });
	lose();
	packet((struct part){ SEND_MIDDLE, 5 + 2 * MTU, MTU });
	packet((struct part){ SEND_LAST, 5 + 3 * MTU, 10 });
	wait_counter("out_of_sequence", gaps + 2);
	wait_counter("uc_drops", drops + 1);
	ht_no_wc(r.b->rcq, 5);
	/* What comes after the loss would fit. */
	packet((struct part){ SEND_FIRST, 5, MTU });
	lose();
	packet((struct part){ SEND_LAST, 5 + MTU, 10 });
	psn -= 2;
	packet((struct part){ SEND_LAST, 5 + MTU, 10 });
	wait_counter("out_of_sequence", gaps + 4);
	wait_counter("uc_drops", drops + 2);
	ht_no_wc(r.b->rcq, 5);
	ht_fill(r.p[1], LEN, 601, 0);
	psn += 77;
	packet((struct part){ SEND_FIRST, 11, MTU });
	packet((struct part){ SEND_LAST, 11 + MTU, 3 });
	arrived(1, 11, MTU + 3, 99);
	ht_eq(ht_counter(r.b->dev, "uc_drops"), drops + 2);
}

/* A message begins while another one is not finished. */
static void wire_uc_restart(const void *arg)
{
	uint64_t drops;

	setup();
	drops = ht_counter(r.b->dev, "uc_drops");
	receive(1);
	packet((struct part){ SEND_FIRST, 5, MTU });
	packet((struct part){ SEND_MIDDLE, 5, MTU });
	packet((struct part){ SEND_FIRST, 11, MTU });
	packet((struct part){ SEND_MIDDLE, 11 + MTU, MTU });
	packet((struct part){ SEND_LAST, 11 + 2 * MTU, 1 });
	arrived(1, 11, 2 * MTU + 1, 99);
	wait_counter("uc_drops", drops + 1);
	/* It is another receive's turn now. */
	receive(2);
	packet((struct part){ WRITE_FIRST, 5, MTU, 99, 2 * MTU });
	lose();
	packet((struct part){ SEND_ONLY_IMM, 13, MTU });
	arrived(2, 13, MTU, 99);
	wait_counter("uc_drops", drops + 2);
}

/* Packets that cannot be next, whatever their PSN. */
static void wire_uc_order(const void *arg)
{
	static const struct part bad[] = {
		{ SEND_MIDDLE, 5, MTU },
		{ SEND_LAST, 5, 10 },
		{ SEND_LAST_IMM, 5, 10 },
		{ WRITE_MIDDLE, 5, MTU },
		{ WRITE_LAST, 5, 10 },
		{ WRITE_LAST_IMM, 5, 10 },
		{ SEND_FIRST, 5, MTU - 1 },
		{ SEND_ONLY, 5, MTU + 1 },
		{ WRITE_ONLY, 5, 100, 99, 101 },
		{ WRITE_ONLY_IMM, 5, 100, 99, 99 },
		{ WRITE_FIRST, 5, MTU, 99, MTU },
	};
	/* These end a message that has begun. */
	static const struct part end[] = {
		{ WRITE_LAST, 5, 10 },	   { WRITE_MIDDLE, 5, MTU },	{ SEND_LAST, 5, 0 },
		{ SEND_LAST, 5, MTU + 1 }, { SEND_MIDDLE, 5, MTU - 1 },
	};
	uint64_t gaps, drops;

	setup();
	gaps = ht_counter(r.b->dev, "out_of_sequence");
	drops = ht_counter(r.b->dev, "uc_drops");
	receive(1);
	for (size_t i = 0; i < HT_LEN(bad); i++)
		packet(bad[i]);
	wait_counter("out_of_sequence", gaps + HT_LEN(bad));
	ht_eq(ht_counter(r.b->dev, "uc_drops"), drops);
	ht_no_wc(r.b->rcq, 5);
	ht_check_fill(r.p[1], LEN, 601, 0, "memory that is not written");
	for (size_t i = 0; i < HT_LEN(end); i++) {
		packet((struct part){ SEND_FIRST, 5, MTU });
		packet(end[i]);
		packet((struct part){ SEND_LAST, 5, 10 });
	}
	wait_counter("out_of_sequence", gaps + HT_LEN(bad) + 2 * HT_LEN(end));
	wait_counter("uc_drops", drops + HT_LEN(end));
	ht_no_wc(r.b->rcq, 5);
	ht_fill(r.p[1], LEN, 601, 0);
	packet((struct part){ SEND_ONLY, 17, 1000 });
	arrived(1, 17, 1000, 99);
}

/* From another address, or of another service. */
static void wire_uc_stranger(const void *arg)
{
	uint64_t strangers;
	uint8_t k[PKT_MAX];
	size_t n;

	setup();
	strangers = ht_counter(r.b->dev, "rx_stranger");
	receive(1);
	n = build(k, &(struct part){ SEND_ONLY, 5, 100 });
	k[15] ^= 0x40; /* the last byte of the source address */
	pkt_set_icrc(k, n);
	pkt_send(raw, k, n);
	n = build(k, &(struct part){ SEND_ONLY, 5, 100 });
	k[PKT_HEAD] &= 0x1f; /* RC */
	pkt_set_icrc(k, n);
	pkt_send(raw, k, n);
	n = build(k, &(struct part){ SEND_ONLY, 5, 16 });
	k[PKT_HEAD] = 0x81; /* a CNP */
	pkt_set_icrc(k, n);
	pkt_send(raw, k, n);
	wait_counter("rx_stranger", strangers + 3);
	ht_no_wc(r.b->rcq, 5);
	packet((struct part){ SEND_ONLY, 17, 1000 });
	arrived(1, 17, 1000, 99);
}

/* --- a receiver that waits for a page --------------------------------------------- */

/* Packets that wait at a QP: HODP_RC_QUEUE_MAX of the module. */
#define WAITING 512
#define SENT 800
#define DEPTH 1024

static int hold_pages(void *p, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)p, len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = ht_sys(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));

	ht_sys(ioctl(fd, UFFDIO_API, &api));
	ht_sys(ioctl(fd, UFFDIO_REGISTER, &reg));
	return fd;
}

/*
 * One packet waits for a page, others behind it, the rest is lost. The sender goes on.
 */
static void wire_uc_fault(const void *arg)
{
	struct ht_conf conf = { .type = IBV_QPT_UC, .depth = DEPTH };
	struct uffdio_zeropage zero = { 0 };
	uint64_t full, lost, got = 0;
	struct ht_mr held;
	struct ibv_wc wc;
	struct ht_wr w;
	void *page;
	int fd;

	ht_rig_get(&r, &conf, SENT * 64);
	ht_fill(r.p[0], SENT * 64, 600, 0);
	page = ht_map(HT_PAGE, PROT_READ | PROT_WRITE);
	ht_mr_get(&held, r.b->pd, page, HT_PAGE, HT_ODP, HT_ACCESS_ALL);
	fd = hold_pages(page, HT_PAGE);
	full = ht_counter(r.b->dev, "rx_queue_full");
	ht_recv(r.b, 0, &held, (uint8_t *)page + 1, 64);
	for (int i = 1; i < SENT; i++)
		ht_recv(r.b, i, &r.mr[1], r.p[1] + i * 64, 64);
	for (int i = 0; i < SENT; i++) {
		w = ht_rig_wr(&r, IBV_WR_SEND_WITH_IMM, i * 64, 64, 0);
		w.id = i;
		w.imm = htobe32(i);
		ht_post(r.a->qp, &w);
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
	}
	ht_no_wc(r.b->rcq, 5);
	ht_wait_until((lost = ht_counter(r.b->dev, "rx_queue_full") - full) >= SENT - WAITING - 1,
		      "packets to be lost");
	ht_check(lost <= SENT - WAITING, "%" PRIu64 " packets of %d are lost", lost, SENT);
	zero.range = (struct uffdio_range){ (uintptr_t)page, HT_PAGE };
	ht_sys(ioctl(fd, UFFDIO_ZEROPAGE, &zero));
	/* The first ones have arrived, in order. */
	for (; got < SENT - lost; got++) {
		ht_want_wc(r.b->rcq, &wc, got, IBV_WC_SUCCESS);
		ht_eq(be32toh(wc.imm_data), got);
		ht_check_fill(got ? r.p[1] + got * 64 : (uint8_t *)page + 1, 64, 600, got * 64,
			      "message");
	}
	ht_no_wc(r.b->rcq, 5);
	w = ht_rig_wr(&r, IBV_WR_SEND_WITH_IMM, 0, 64, 0);
	w.imm = htobe32(77);
	ht_do(r.a, &w);
	ht_want_wc(r.b->rcq, &wc, got, IBV_WC_SUCCESS);
	ht_eq(be32toh(wc.imm_data), 77);
}

/* --- a bad network (tests/verbs/wire/netem) ---------------------------------------- */

/*
 * Every completed receive has one whole message. The network may repeat or overtake
 * those of one packet.
 */
static void wire_uc_lossy(const void *arg)
{
	enum { DEPTHS = 16, MOST = 8 * HT_KIB };
	struct ht_conf conf = { .type = IBV_QPT_UC, .mtu = IBV_MTU_1024, .depth = 64 };
	long total = ht_count(1000), got = 0;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, DEPTHS * MOST);
	for (int i = 0; i < DEPTHS; i++)
		ht_recv(r.b, i, &r.mr[1], r.p[1] + i * MOST, MOST);
	for (long i = 0; i < total; i++) {
		uint32_t n = (i * 7919) % MOST;

		ht_fill(r.p[0], n, i, 0);
		w = ht_rig_wr(&r, IBV_WR_SEND_WITH_IMM, 0, n, 0);
		w.imm = htobe32(i);
		ht_do(r.a, &w);
		while (ibv_poll_cq(r.b->rcq, 1, &wc) == 1) {
			long k = be32toh(wc.imm_data);

			ht_eq(wc.status, IBV_WC_SUCCESS);
			ht_check(k >= 0 && k <= i, "message %ld before %ld was sent", k, i);
			ht_eq(wc.byte_len, (k * 7919) % MOST);
			ht_check_fill(r.p[1] + wc.wr_id * MOST, wc.byte_len, k, 0, "message");
			ht_recv(r.b, wc.wr_id, &r.mr[1], r.p[1] + wc.wr_id * MOST, MOST);
			got++;
		}
	}
	ht_note("%ld of %ld messages have arrived", got, total);
	ht_check(got > total / 4, "only %ld of %ld messages have arrived", got, total);
	ht_eq(ht_state(r.a), IBV_QPS_RTS);
	ht_eq(ht_state(r.b), IBV_QPS_RTS);
}

const struct ht_case wire_uc[] = {
	{ "wire-uc-exact", "packets made to the specification are delivered", wire_uc_exact },
	{ "wire-uc-gap", "a message that lost a packet completes nothing", wire_uc_gap },
	{ "wire-uc-restart", "an unfinished message gives its receive to the next one",
	  wire_uc_restart },
	{ "wire-uc-order", "a packet that cannot be next is dropped", wire_uc_order },
	{ "wire-uc-stranger", "packets of others are dropped", wire_uc_stranger },
	{ "wire-uc-fault", "a page fault of the receiver costs messages, not the sender",
	  wire_uc_fault, NULL, 120 },
	{ "wire-uc-lossy", "what arrives over a bad network is whole", wire_uc_lossy, NULL, 120 },
	{},
};
