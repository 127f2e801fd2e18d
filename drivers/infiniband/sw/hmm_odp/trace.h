/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Tracepoints: faults, invalidations, stalls, state changes.  For any file. */
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

#endif /* HODP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
