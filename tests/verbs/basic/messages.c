// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Message lengths, and many messages in a row. */
#include <endian.h>

#include "basic.h"

#define LEN (4 * HT_MIB)

/* Lengths around each point where something changes: packet, page, chunk. */
static void message_sizes(const void *arg)
{
	static const uint32_t sizes[] = { 1,	   2,	    3,	     7,	      8,       9,
					  255,	   256,	    257,     1023,    1024,    1025,
					  2047,	   2048,    2049,    4095,    4096,    4097,
					  8191,	   8192,    8193,    65535,   65536,   65537,
					  1048575, 1048577, 2097151, 2097152, 2097153, 3145731 };
	static const enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ,
						  IBV_WR_SEND };
	static struct ht_rig r;
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, NULL, LEN);
	for (size_t i = 0; i < HT_LEN(sizes); i++) {
		uint32_t n = sizes[i];

		for (size_t k = 0; k < HT_LEN(ops); k++) {
			int to = ops[k] == IBV_WR_RDMA_READ ? 0 : 1;

			ht_fill(r.p[!to] + 5, n, n * 8 + k, 0);
			memset(r.p[to], 0x3c, HT_MIN(n + HT_PAGE, LEN));
			w = ht_rig_wr(&r, ops[k], to ? 5 : 9, n, to ? 9 : 5);
			if (ops[k] == IBV_WR_SEND)
				ht_recv(r.b, n, &r.mr[1], r.p[1] + 9, n);
			ht_do(r.a, &w);
			if (ops[k] == IBV_WR_SEND) {
				ht_want_wc(r.b->rcq, &wc, n, IBV_WC_SUCCESS);
				ht_eq(wc.byte_len, n);
			}
			ht_check_fill(r.p[to] + 9, n, n * 8 + k, 0, "message");
			ht_check_value(r.p[to], 9, 0x3c, "bytes before it");
			ht_check_value(r.p[to] + 9 + n, 100, 0x3c, "bytes behind it");
		}
	}
	ht_rig_put(&r);
}

/*
 * The largest message. The source could be one small tmpfs file mapped many times,
 * but then a byte would not tell its place, so it is real memory.
 */
static void message_largest(const void *arg)
{
	uint32_t n = ht_opt.full ? HT_GIB : 64 * HT_MIB;
	static struct ht_rig r;
	enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ };

	/* A GiB of cold pages takes an emulated machine a while. */
	ht_opt.patience *= 10;
	ht_rig_get(&r, NULL, n + HT_PAGE);
	for (int k = 0; k < 2; k++) {
		int to = k ? 0 : 1;
		struct ht_wr w = ht_rig_wr(&r, ops[k], 1, n, 1);

		ht_fill(r.p[!to] + 1, n, 70 + k, 0);
		r.p[to][0] = r.p[to][n + 1] = 0x99;
		ht_do(r.a, &w);
		ht_check_fill(r.p[to] + 1, n, 70 + k, 0, "message");
		ht_check_value(r.p[to], 1, 0x99, "byte before it");
		ht_check_value(r.p[to] + n + 1, 1, 0x99, "byte behind it");
	}
	ht_rig_put(&r);
}

/* Many small messages in flight arrive whole and in order. */
static void message_stream(const void *arg)
{
	enum { DEPTH = 32 };
	struct ht_conf conf = { .depth = DEPTH };
	long total = ht_count(600), sent = 0, done = 0, got = 0;
	static struct ht_rig r;
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);
	struct ibv_wc wc;
	struct ht_wr w;

	ht_rig_get(&r, &conf, 2 * DEPTH * 1024);
	for (int i = 0; i < DEPTH; i++)
		ht_recv(r.b, i, &r.mr[1], r.p[1] + i * 1024, 1000);
	while (got < total || done < total) {
		uint32_t slot = sent % DEPTH, n = (sent * 37) % 997;

		if (sent < total && sent - done < DEPTH) {
			ht_fill(r.p[0] + slot * 1024, n, sent, 0);
			w = ht_rig_wr(&r, IBV_WR_SEND_WITH_IMM, slot * 1024, n, 0);
			w.id = sent;
			w.imm = htobe32(sent);
			ht_post(r.a->qp, &w);
			sent++;
		}
		if (ibv_poll_cq(r.a->scq, 1, &wc) == 1) {
			ht_eq(wc.status, IBV_WC_SUCCESS);
			ht_eq(wc.wr_id, done);
			done++;
		}
		if (ibv_poll_cq(r.b->rcq, 1, &wc) == 1) {
			ht_eq(wc.status, IBV_WC_SUCCESS);
			ht_eq(wc.wr_id, got % DEPTH);
			ht_eq(be32toh(wc.imm_data), got);
			ht_eq(wc.byte_len, (got * 37) % 997);
			ht_check_fill(r.p[1] + wc.wr_id * 1024, wc.byte_len, got, 0, "message");
			ht_recv(r.b, wc.wr_id, &r.mr[1], r.p[1] + wc.wr_id * 1024, 1000);
			got++;
		} else {
			ht_check(!ht_over(deadline), "sent %ld, completed %ld, received %ld of %ld",
				 sent, done, got, total);
			ht_yield();
		}
	}
	ht_rig_put(&r);
}

/* A list of work requests in one call, of mixed operations. */
static void message_list(const void *arg)
{
	static const enum ibv_wr_opcode ops[6] = { IBV_WR_RDMA_WRITE, IBV_WR_SEND,
						   IBV_WR_RDMA_READ,  IBV_WR_RDMA_WRITE_WITH_IMM,
						   IBV_WR_RDMA_WRITE, IBV_WR_SEND_WITH_IMM };
	static const enum ibv_wc_opcode wants[6] = { IBV_WC_RDMA_WRITE, IBV_WC_SEND,
						     IBV_WC_RDMA_READ,	IBV_WC_RDMA_WRITE,
						     IBV_WC_RDMA_WRITE, IBV_WC_SEND };
	struct ibv_send_wr wr[6] = { 0 }, *bad;
	struct ibv_sge sge[6];
	static struct ht_rig r;
	struct ibv_wc wc;

	ht_rig_get(&r, NULL, 64 * HT_KIB);
	ht_rig_fill(&r, 80, NULL);
	for (int i = 0; i < 3; i++)
		ht_recv(r.b, i, &r.mr[1], r.p[1] + (8 + i) * 4096, 3001);
	for (int i = 0; i < 6; i++) {
		sge[i] = ht_sge(&r.mr[0], r.p[0] + i * 4096, 3001);
		wr[i] = (struct ibv_send_wr){
			.wr_id = i,
			.next = i < 5 ? &wr[i + 1] : NULL,
			.sg_list = &sge[i],
			.num_sge = 1,
			.opcode = ops[i],
			.send_flags = IBV_SEND_SIGNALED,
			.wr.rdma = { ht_iova(&r.mr[1], r.p[1] + i * 4096), r.mr[1].mr->rkey },
		};
	}
	ht_ok(ibv_post_send(r.a->qp, wr, &bad));
	for (int i = 0; i < 6; i++) {
		ht_want_wc(r.a->scq, &wc, i, IBV_WC_SUCCESS);
		ht_eq(wc.opcode, wants[i]);
	}
	for (int i = 0; i < 3; i++)
		ht_want_wc(r.b->rcq, &wc, i, IBV_WC_SUCCESS);
	ht_check_fill(r.p[1], 3001, 80, 0, "first WRITE");
	ht_check_fill(r.p[1] + 8 * 4096, 3001, 80, 4096, "SEND");
	ht_check_fill(r.p[0] + 2 * 4096, 3001, 81, 2 * 4096, "READ");
	ht_check_fill(r.p[1] + 3 * 4096, 3001, 80, 3 * 4096, "WRITE_WITH_IMM");
	ht_check_fill(r.p[1] + 4 * 4096, 3001, 80, 4 * 4096, "last WRITE");
	ht_check_fill(r.p[1] + 9 * 4096, 3001, 81, 9 * 4096, "the buffer of the WRITE's receive");
	ht_check_fill(r.p[1] + 10 * 4096, 3001, 80, 5 * 4096, "SEND_WITH_IMM");
	ht_rig_put(&r);
}

const struct ht_case basic_messages[] = {
	{ "message-sizes", "lengths around packets, pages and chunks are exact", message_sizes },
	{ "message-largest", "a very long message is right to its last byte", message_largest, NULL,
	  600 },
	{ "message-stream", "many messages in flight arrive whole and in order", message_stream },
	{ "message-list", "one post of a list executes all of it", message_list },
	{},
};
