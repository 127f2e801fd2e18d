// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Fields of an entry that its opcode does not use must be zero, so that a later
 * version can give them a meaning. The case takes a good entry that the library
 * wrote, changes one such field, and expects a refusal.
 */
#include "errors.h"
#include "rings.h"

#define LEN (2 * HT_PAGE)
#define MAGIC 0x5ca1ab1e0ddba11ULL

enum kind { WRITE, READ, ATOMIC, SEND, SEND_IMM, LOCAL_INV, DATAGRAM };

struct row {
	const char *what;
	enum kind kind;
	size_t off;
	uint32_t set; /* bits */
};

#define FIELD(kind, field) { #kind " " #field, kind, offsetof(struct hodp_send_wqe, field), 1 }
#define RAW(kind, n)                                                                     \
	{ #kind " raw[" #n "]", kind, offsetof(struct hodp_send_wqe, raw[n]), 1 << 31 }, \
		{ #kind " raw[" #n "]", kind, offsetof(struct hodp_send_wqe, raw[n]) + 4, 1 }
#define BITS(kind, bits) { #kind " " #bits, kind, offsetof(struct hodp_send_wqe, send_flags), bits }

static const struct row rows[] = {
	FIELD(WRITE, reserved),
	FIELD(WRITE, imm_inv),
	FIELD(WRITE, inline_len),
	FIELD(WRITE, rdma.reserved),
	RAW(WRITE, 2),
	RAW(WRITE, 3),
	BITS(WRITE, 1 << 4),
	BITS(WRITE, 1 << 5),
	BITS(WRITE, 1U << 31),
	BITS(WRITE, IBV_SEND_INLINE),
	FIELD(READ, reserved),
	FIELD(READ, imm_inv),
	FIELD(READ, rdma.reserved),
	RAW(READ, 2),
	RAW(READ, 3),
	BITS(READ, IBV_SEND_INLINE),
	FIELD(ATOMIC, reserved),
	FIELD(ATOMIC, imm_inv),
	FIELD(ATOMIC, atomic.reserved),
	FIELD(SEND, reserved),
	FIELD(SEND, imm_inv),
	RAW(SEND, 0),
	RAW(SEND, 1),
	RAW(SEND, 2),
	RAW(SEND, 3),
	RAW(SEND_IMM, 0),
	FIELD(SEND_IMM, inline_len),
	FIELD(LOCAL_INV, reserved),
	FIELD(LOCAL_INV, num_sge),
	FIELD(LOCAL_INV, inline_len),
	RAW(LOCAL_INV, 0),
	RAW(LOCAL_INV, 3),
	BITS(LOCAL_INV, IBV_SEND_INLINE),
	FIELD(DATAGRAM, reserved),
	FIELD(DATAGRAM, imm_inv),
	FIELD(DATAGRAM, ud.reserved),
	RAW(DATAGRAM, 2),
	RAW(DATAGRAM, 3),
	BITS(DATAGRAM, 1 << 4),
};

static struct ht_pair p;
static struct ht_mem mem[2];
static struct ht_mr mr[2];
static struct ibv_ah *ah;

static void setup(enum ibv_qp_type type)
{
	struct ht_conf conf = { .depth = 16, .type = type };

	ht_pair_open(&p, &conf);
	if (!p.s[0].dev->is_hodp)
		ht_skip("the layout of this device's rings is another");
	for (int i = 0; i < 2; i++) {
		p.s[i].scq = ibv_create_cq(p.s[i].dev->ctx, 64, NULL, NULL, 0);
		p.s[i].rcq = ibv_create_cq(p.s[i].dev->ctx, 64, NULL, NULL, 0);
		ht_true(p.s[i].scq && p.s[i].rcq);
	}
	find_rings(true);
	ht_pair_create(&p);
	find_rings(false);
	ht_pair_connect(&p);
	for (int i = 0; i < 2; i++) {
		ht_mem_get(&mem[i], HT_ANON, LEN, 0);
		ht_mr_get(&mr[i], p.s[i].pd, mem[i].p, LEN, HT_ODP, HT_ACCESS_ALL);
	}
	ah = ht_ah(&p.s[0], &p.s[1].dev->gid);
}

static void anew(void)
{
	ht_pair_reconnect(&p);
	for (int i = 0; i < 2; i++)
		ht_fill(mem[i].p, LEN, 420 + i, 0);
	ht_recv(&p.s[1], 1, &mr[1], mem[1].p + HT_PAGE, HT_PAGE);
}

/* The queue that has MAGIC in its first entry. */
static struct ht_ring *queue_with_magic(void)
{
	for (int i = 0; i < num_rings; i++) {
		if (!rings[i].is_cq && *(uint64_t *)rings[i].entries == MAGIC)
			return &rings[i];
	}
	ht_fail("no queue holds the entry that was posted");
}

static void post_good(enum kind kind)
{
	static const enum ibv_wr_opcode ops[] = { [WRITE] = IBV_WR_RDMA_WRITE,
						  [READ] = IBV_WR_RDMA_READ,
						  [ATOMIC] = IBV_WR_ATOMIC_FETCH_AND_ADD,
						  [SEND] = IBV_WR_SEND,
						  [SEND_IMM] = IBV_WR_SEND_WITH_IMM,
						  [LOCAL_INV] = IBV_WR_LOCAL_INV,
						  [DATAGRAM] = IBV_WR_SEND };
	struct ht_wr w = {
		.id = MAGIC,
		.op = ops[kind],
		.len = 8,
		.lkey = mr[0].mr->lkey,
		.addr = ht_iova(&mr[0], mem[0].p),
		.raddr = ht_iova(&mr[1], mem[1].p),
		.rkey = mr[1].mr->rkey,
		.add = 5,
		.qkey = HT_QKEY,
		.qpn = p.s[1].qp->qp_num,
		.ah = kind == DATAGRAM ? ah : NULL,
		.no_sge = kind == LOCAL_INV,
	};

	ht_post(p.s[0].qp, &w);
}

/* No user region allows LOCAL_INV, so this error is the furthest it gets. */
static enum ibv_wc_status status_of_good(enum kind kind)
{
	return kind == LOCAL_INV ? IBV_WC_MW_BIND_ERR : IBV_WC_SUCCESS;
}

static void try_row(const struct row *row)
{
	uint8_t entry[128];
	struct ht_ring *sq;
	struct ibv_wc wc;
	uint32_t value;

	anew();
	post_good(row->kind);
	ht_want_wc(p.s[0].scq, &wc, MAGIC, status_of_good(row->kind));
	sq = queue_with_magic();
	memcpy(entry, sq->entries, sizeof(entry));

	/* The same entry again, written by hand: only the field makes the difference. */
	for (int bad = 0; bad < 2; bad++) {
		anew();
		memcpy(&value, entry + row->off, 4);
		if (bad)
			value |= row->set;
		memcpy(sq->entries, entry, sizeof(entry));
		memcpy(sq->entries + row->off, &value, 4);
		__atomic_store_n(&sq->hdr->prod, 1, __ATOMIC_RELEASE);
		doorbell(p.s[0].qp);
		ht_next_wc(p.s[0].scq, &wc, row->what);
		ht_check(wc.wr_id == MAGIC && wc.status == (bad ? IBV_WC_LOC_QP_OP_ERR :
								  status_of_good(row->kind)),
			 "%s%s: %s", row->what, bad ? "" : ", as it should be",
			 ibv_wc_status_str(wc.status));
		if (!bad)
			continue;
		ht_check_fill(mem[0].p, LEN, 420, 0, "the requester's memory");
		ht_check_fill(mem[1].p, LEN, 421, 0, "the responder's memory");
	}
	*(uint64_t *)sq->entries = 0;
}

static void reserved_send(const void *arg)
{
	const bool *datagrams = arg;

	setup(*datagrams ? IBV_QPT_UD : IBV_QPT_RC);
	for (size_t i = 0; i < HT_LEN(rows); i++) {
		if ((rows[i].kind == DATAGRAM) == *datagrams)
			try_row(&rows[i]);
	}
}

static void reserved_recv(const void *arg)
{
	struct hodp_recv_wqe *wqe;
	struct ibv_wc wc;
	struct ht_wr w;

	setup(IBV_QPT_RC);
	ht_recv(&p.s[1], MAGIC, &mr[1], mem[1].p, HT_PAGE);
	for (int i = 0; i < 2; i++)
		ht_fill(mem[i].p, LEN, 420 + i, 0);
	wqe = (void *)queue_with_magic()->entries;
	wqe->reserved = 1;
	w = ht_send_wr(4, &mr[0], mem[0].p, 100);
	ht_do_status(&p.s[0], &w, IBV_WC_REM_OP_ERR);
	ht_want_wc(p.s[1].rcq, &wc, MAGIC, IBV_WC_LOC_QP_OP_ERR);
	ht_check_fill(mem[1].p, LEN, 421, 0, "the receiver's memory");
}

static const bool yes = true, no;

const struct ht_case errors_reserved[] = {
	{ "reserved-send", "a send entry with a reserved bit is refused", reserved_send, &no },
	{ "reserved-datagram", "a datagram entry with a reserved bit is refused", reserved_send,
	  &yes },
	{ "reserved-receive", "a receive entry with a reserved bit is refused", reserved_recv },
	{},
};
