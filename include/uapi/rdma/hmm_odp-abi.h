/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR Linux-OpenIB) */
/*
 * hmm_odp: the interface between the kernel module and its rdma-core provider.
 *
 * Every work queue and completion queue is a *ring*: a header and an array of
 * fixed-size entries in memory that the kernel allocates and the process maps.
 * A ring has one producer and one consumer.  Indexes are free-running 32-bit
 * counters.  The number of entries is a power of two, the entry of an index is
 * at (index & (entries - 1)), and a ring is full when prod - cons == entries.
 *
 *   ring                producer     consumer    doorbell
 *   send queue          process      kernel      post_send, for a whole list
 *   receive queue       process      kernel      post_recv, only if asked for
 *   shared receive q.   process      kernel      post_srq_recv, only if asked
 *   completion queue    kernel       process     none
 *
 * A doorbell is an ioctl on the context's doorbell file, with the QP number as
 * its argument.  The uverbs command without work requests does the same at
 * three times the cost; an SRQ has only this one.  The kernel asks for receive
 * doorbells by setting HODP_RING_NEED_DOORBELL in the header: the producer
 * stores prod, executes a full barrier, and then tests the flag.
 *
 * The kernel trusts nothing in a ring that a process can write: it keeps its
 * own index, copies an entry once, and validates the copy.
 *
 * Extensions: all bits of an entry that its opcode does not use must be 0, or
 * the entry fails with IB_WC_LOC_QP_OP_ERR, so that a later kernel can define
 * them.  The comp_mask of a response says which fields follow it; a process
 * ignores unknown bits.
 */
#ifndef HMM_ODP_ABI_H
#define HMM_ODP_ABI_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <rdma/ib_user_ioctl_cmds.h>

/*
 * Must differ from all other providers': rxe's provider matches any device
 * named rxe*, and only this number keeps it from one of ours with such a name.
 */
#define HODP_UVERBS_ABI_VERSION 4801

/* On the doorbell file; the argument is the QP number. */
#define HODP_IOCTL_RING_SEND _IO(0xd0, 0x00)
#define HODP_IOCTL_RING_RECV _IO(0xd0, 0x01)

/* Bits of hodp_ring_hdr.flags, written by the kernel. */
#define HODP_RING_NEED_DOORBELL (1U << 0)

struct hodp_ring_hdr {
	__u32 prod; /* written by the producer only */
	__u32 reserved0[15];
	__u32 cons; /* written by the consumer only */
	__u32 flags; /* written by the kernel only */
	__u32 reserved1[14];
};

/* Entries follow the header. */
#define HODP_RING_ENTRIES_OFFSET 128

struct hodp_sge {
	__aligned_u64 addr;
	__u32 length; /* bytes; 0 means 0, not 2 GiB */
	__u32 lkey;
};

/*
 * A send queue entry: this header, then num_sge scatter/gather entries, or
 * inline_len bytes of data if IB_UVERBS_SEND_INLINE is set.
 */
struct hodp_send_wqe {
	__aligned_u64 wr_id;
	__u32 opcode; /* enum ib_uverbs_wr_opcode */
	__u32 send_flags; /* enum ib_uverbs_send_flags */
	__u32 imm_inv; /* immediate (big endian) or rkey to invalidate */
	__u32 num_sge; /* 0 with inline data */
	__u32 inline_len; /* bytes; 0 without inline data */
	__u32 reserved;
	union {
		/* First, so that an initialiser clears the whole union. */
		__aligned_u64 raw[4];
		struct {
			__aligned_u64 remote_addr;
			__u32 rkey;
			__u32 reserved;
		} rdma;
		struct {
			__aligned_u64 remote_addr;
			__aligned_u64 compare_add;
			__aligned_u64 swap;
			__u32 rkey;
			__u32 reserved;
		} atomic;
		struct {
			__u32 ahn; /* from hodp_create_ah_resp */
			__u32 dest_qpn;
			__u32 qkey;
			__u32 reserved;
		} ud;
		/* Kernel consumers only: IB_WR_REG_MR. */
		struct {
			__u32 lkey; /* from alloc_mr; only its index matters */
			__u32 key; /* the new key */
			__u32 access;
			__u32 reserved;
		} reg;
	};
};

/* A receive queue entry: this header, then num_sge scatter/gather entries. */
struct hodp_recv_wqe {
	__aligned_u64 wr_id;
	__u32 num_sge;
	__u32 reserved;
};

/* Bits of hodp_cqe.wc_flags. */
#define HODP_WC_GRH (1U << 0)
#define HODP_WC_WITH_IMM (1U << 1)
#define HODP_WC_WITH_INV (1U << 2)

/* hodp_cqe.network_hdr_type, with HODP_WC_GRH: enum rdma_network_type. */
#define HODP_NET_IPV4 2
#define HODP_NET_IPV6 3

struct hodp_cqe {
	__aligned_u64 wr_id;
	__aligned_u64 timestamp; /* ns; 0: the CQ has no timestamps */
	__u32 status; /* enum ib_wc_status = enum ibv_wc_status */
	__u32 opcode; /* enum ib_uverbs_wc_opcode */
	__u32 byte_len;
	__u32 imm_inv; /* immediate (big endian) or invalidated rkey */
	__u32 qp_num;
	__u32 src_qp;
	__u32 wc_flags;
	__u32 vendor_err;
	__u16 pkey_index;
	__u8 network_hdr_type; /* HODP_NET_* */
	__u8 reserved[5];
	__aligned_u64 kernel; /* 0 in a ring that a process maps */
};

/* How to map a ring: mmap(size, offset) on the command fd, read and write. */
struct hodp_ring_info {
	__aligned_u64 mmap_offset;
	__aligned_u64 mmap_size; /* bytes */
	__u32 entries; /* a power of two */
	__u32 stride; /* bytes from one entry to the next */
};

struct hodp_alloc_ucontext_resp {
	__u32 max_inline; /* bytes, the maximum for a QP */
	__s32 doorbell_fd; /* close-on-exec; the process closes it */
	__u32 comp_mask; /* 0 */
	__u32 reserved;
};

/*
 * Attribute of UVERBS_METHOD_QUERY_CONTEXT, with which a process imports a
 * context: struct hodp_alloc_ucontext_resp with a new doorbell file descriptor.
 */
enum hodp_query_context_attrs {
	HODP_ATTR_QUERY_CONTEXT_RESP = (1U << UVERBS_ID_NS_SHIFT),
};

struct hodp_create_cq_resp {
	struct hodp_ring_info ring;
	__u32 cqn;
	__u32 comp_mask; /* 0 */
};

struct hodp_resize_cq_resp {
	struct hodp_ring_info ring;
	__u32 comp_mask; /* 0 */
	__u32 reserved;
};

struct hodp_create_srq_resp {
	struct hodp_ring_info ring;
	__u32 srqn;
	__u32 comp_mask; /* 0 */
};

struct hodp_create_qp_resp {
	struct hodp_ring_info sq;
	struct hodp_ring_info rq; /* all zero with an SRQ */
	__u32 max_inline; /* bytes, granted */
	__u32 comp_mask; /* 0 */
};

struct hodp_create_ah_resp {
	__u32 ahn;
	__u32 comp_mask; /* 0 */
};

#endif /* HMM_ODP_ABI_H */
