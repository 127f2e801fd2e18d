/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Tracepoints: faults, invalidations, stalls, state changes, packets.  For any file. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hmm_odp

#if !defined(HODP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HODP_TRACE_H

#include <linux/tracepoint.h>
#include <rdma/ib_verbs.h>

/* trace-cmd and perf need the values of the names. */
TRACE_DEFINE_ENUM(IB_QPS_RESET);
TRACE_DEFINE_ENUM(IB_QPS_INIT);
TRACE_DEFINE_ENUM(IB_QPS_RTR);
TRACE_DEFINE_ENUM(IB_QPS_RTS);
TRACE_DEFINE_ENUM(IB_QPS_SQD);
TRACE_DEFINE_ENUM(IB_QPS_SQE);
TRACE_DEFINE_ENUM(IB_QPS_ERR);

#define hodp_show_state(state) \
	__print_symbolic(state, { IB_QPS_RESET, "RESET" }, \
			 { IB_QPS_INIT, "INIT" }, { IB_QPS_RTR, "RTR" }, \
			 { IB_QPS_RTS, "RTS" }, { IB_QPS_SQD, "SQD" }, \
			 { IB_QPS_SQE, "SQE" }, { IB_QPS_ERR, "ERR" })

/* The names of wire.c's rows; numbers, because tools must be able to read them. */
/* clang-format off */
#define hodp_show_opcode(opcode)                  \
	__print_symbolic(opcode,                  \
		{ 0x00, "RC_SEND_FIRST" }, \
		{ 0x01, "RC_SEND_MIDDLE" }, \
		{ 0x02, "RC_SEND_LAST" }, \
		{ 0x03, "RC_SEND_LAST_IMM" }, \
		{ 0x04, "RC_SEND_ONLY" }, \
		{ 0x05, "RC_SEND_ONLY_IMM" }, \
		{ 0x06, "RC_WRITE_FIRST" }, \
		{ 0x07, "RC_WRITE_MIDDLE" }, \
		{ 0x08, "RC_WRITE_LAST" }, \
		{ 0x09, "RC_WRITE_LAST_IMM" }, \
		{ 0x0a, "RC_WRITE_ONLY" }, \
		{ 0x0b, "RC_WRITE_ONLY_IMM" }, \
		{ 0x0c, "RC_READ" }, \
		{ 0x0d, "RC_READ_RESPONSE_FIRST" }, \
		{ 0x0e, "RC_READ_RESPONSE_MIDDLE" }, \
		{ 0x0f, "RC_READ_RESPONSE_LAST" }, \
		{ 0x10, "RC_READ_RESPONSE_ONLY" }, \
		{ 0x11, "RC_ACK" }, \
		{ 0x12, "RC_ATOMIC_ACK" }, \
		{ 0x13, "RC_CMP_SWAP" }, \
		{ 0x14, "RC_FETCH_ADD" }, \
		{ 0x16, "RC_SEND_LAST_INV" }, \
		{ 0x17, "RC_SEND_ONLY_INV" }, \
		{ 0x1c, "RC_FLUSH" }, \
		{ 0x1d, "RC_ATOMIC_WRITE" }, \
		{ 0x20, "UC_SEND_FIRST" }, \
		{ 0x21, "UC_SEND_MIDDLE" }, \
		{ 0x22, "UC_SEND_LAST" }, \
		{ 0x23, "UC_SEND_LAST_IMM" }, \
		{ 0x24, "UC_SEND_ONLY" }, \
		{ 0x25, "UC_SEND_ONLY_IMM" }, \
		{ 0x26, "UC_WRITE_FIRST" }, \
		{ 0x27, "UC_WRITE_MIDDLE" }, \
		{ 0x28, "UC_WRITE_LAST" }, \
		{ 0x29, "UC_WRITE_LAST_IMM" }, \
		{ 0x2a, "UC_WRITE_ONLY" }, \
		{ 0x2b, "UC_WRITE_ONLY_IMM" }, \
		{ 0x64, "UD_SEND" }, \
		{ 0x65, "UD_SEND_IMM" }, \
		{ 0x81, "CNP" })

/* Syndromes of NAKs (IBTA 9.7.5.2); an RNR NAK without its timer. */
#define hodp_show_nak(syndrome) \
	__print_symbolic(syndrome, \
		{ 0x20, "RNR" }, \
		{ 0x60, "PSN_SEQUENCE_ERROR" }, \
		{ 0x61, "INVALID_REQUEST" }, \
		{ 0x62, "REMOTE_ACCESS_ERROR" }, \
		{ 0x63, "REMOTE_OPERATIONAL_ERROR" })

/* Why a requester sends again: enum hodp_rc_again. */
#define hodp_show_again(why) \
	__print_symbolic(why, \
		{ 0, "NAK" }, \
		{ 1, "RNR" }, \
		{ 2, "TIMEOUT" }, \
		{ 3, "LOST_RESPONSE" }, \
		{ 4, "EARLY" })
/* clang-format on */

TRACE_EVENT(hodp_fault,
	TP_PROTO(u64 va, u64 len, bool write, int ret),
	TP_ARGS(va, len, write, ret),
	TP_STRUCT__entry(
		__field(u64, va)
		__field(u64, len)
		__field(bool, write)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->va = va;
		__entry->len = len;
		__entry->write = write;
		__entry->ret = ret;
	),
	TP_printk("va=%#llx len=%llu %s ret=%d", __entry->va, __entry->len,
		  __entry->write ? "write" : "read", __entry->ret)
);

TRACE_EVENT(hodp_invalidate,
	TP_PROTO(unsigned long start, unsigned long end, const char *event,
		 unsigned long pages),
	TP_ARGS(start, end, event, pages),
	TP_STRUCT__entry(
		__field(unsigned long, start)
		__field(unsigned long, end)
		__string(event, event)
		__field(unsigned long, pages)
	),
	TP_fast_assign(
		__entry->start = start;
		__entry->end = end;
		__assign_str(event);
		__entry->pages = pages;
	),
	TP_printk("[%#lx, %#lx) %s pages=%lu", __entry->start, __entry->end,
		  __get_str(event), __entry->pages)
);

TRACE_EVENT(hodp_stall,
	TP_PROTO(u32 qpn, const char *why, u64 done, u64 total),
	TP_ARGS(qpn, why, done, total),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__string(why, why)
		__field(u64, done)
		__field(u64, total)
	),
	TP_fast_assign(
		__entry->qpn = qpn;
		__assign_str(why);
		__entry->done = done;
		__entry->total = total;
	),
	TP_printk("qpn=%u %s at %llu of %llu", __entry->qpn, __get_str(why),
		  __entry->done, __entry->total)
);

TRACE_EVENT(hodp_qp_state,
	TP_PROTO(u32 qpn, int from, int to),
	TP_ARGS(qpn, from, to),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__field(int, from)
		__field(int, to)
	),
	TP_fast_assign(
		__entry->qpn = qpn;
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("qpn=%u %s -> %s", __entry->qpn,
		  hodp_show_state(__entry->from), hodp_show_state(__entry->to))
);

/* A packet with a good ICRC; @qpn: local, @body: from the BTH on, @len: with the
 * ICRC.
 */
DECLARE_EVENT_CLASS(hodp_packet,
	TP_PROTO(u32 qpn, const u8 *body, u32 len),
	TP_ARGS(qpn, body, len),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__field(u32, dest)
		__field(u32, psn)
		__field(u32, len)
		__field(u8, opcode)
		__field(bool, ack_req)
	),
	TP_fast_assign(
		__entry->qpn = qpn;
		__entry->dest = body[5] << 16 | body[6] << 8 | body[7];
		__entry->psn = body[9] << 16 | body[10] << 8 | body[11];
		__entry->len = len;
		__entry->opcode = body[0];
		__entry->ack_req = body[8] >> 7;
	),
	TP_printk("qpn=%u dest=%u %s psn=%u len=%u%s", __entry->qpn,
		  __entry->dest, hodp_show_opcode(__entry->opcode),
		  __entry->psn, __entry->len,
		  __entry->ack_req ? " ack_req" : "")
);

DEFINE_EVENT(hodp_packet, hodp_send,
	TP_PROTO(u32 qpn, const u8 *body, u32 len),
	TP_ARGS(qpn, body, len)
);

DEFINE_EVENT(hodp_packet, hodp_receive,
	TP_PROTO(u32 qpn, const u8 *body, u32 len),
	TP_ARGS(qpn, body, len)
);

/* A requester sends the packet of @psn again, and after that, if need be, the others
 * up to, but without, @end.
 */
TRACE_EVENT(hodp_retransmit,
	TP_PROTO(u32 qpn, u32 psn, u32 end, u8 why),
	TP_ARGS(qpn, psn, end, why),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__field(u32, psn)
		__field(u32, end)
		__field(u8, why)
	),
	TP_fast_assign(
		__entry->qpn = qpn;
		__entry->psn = psn;
		__entry->end = end;
		__entry->why = why;
	),
	TP_printk("qpn=%u psn=%u end=%u %s", __entry->qpn, __entry->psn,
		  __entry->end, hodp_show_again(__entry->why))
);

/* An RNR NAK's syndrome holds the timer: print that apart. */
DECLARE_EVENT_CLASS(hodp_nak,
	TP_PROTO(u32 qpn, u32 psn, u8 syndrome),
	TP_ARGS(qpn, psn, syndrome),
	TP_STRUCT__entry(
		__field(u32, qpn)
		__field(u32, psn)
		__field(u8, syndrome)
		__field(u8, timer)
	),
	TP_fast_assign(
		__entry->qpn = qpn;
		__entry->psn = psn;
		__entry->syndrome = syndrome >> 5 == 1 ? 0x20 : syndrome;
		__entry->timer = syndrome >> 5 == 1 ? syndrome & 0x1f : 0;
	),
	TP_printk("qpn=%u psn=%u %s timer=%u", __entry->qpn, __entry->psn,
		  hodp_show_nak(__entry->syndrome), __entry->timer)
);

DEFINE_EVENT(hodp_nak, hodp_nak_send,
	TP_PROTO(u32 qpn, u32 psn, u8 syndrome),
	TP_ARGS(qpn, psn, syndrome)
);

DEFINE_EVENT(hodp_nak, hodp_nak_receive,
	TP_PROTO(u32 qpn, u32 psn, u8 syndrome),
	TP_ARGS(qpn, psn, syndrome)
);

#endif /* HODP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
