/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The kernel functions that layer 0 of the module uses, for user space. */
#ifndef KERNEL_SHIM_H
#define KERNEL_SHIM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;

#define U32_MAX UINT32_MAX

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define xchg(p, v) __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define BIT(n) (1UL << (n))
#define set_bit(n, p) __atomic_or_fetch(p, BIT(n), __ATOMIC_SEQ_CST)
#define clear_bit(n, p) __atomic_and_fetch(p, ~BIT(n), __ATOMIC_SEQ_CST)
#define test_and_clear_bit(n, p) \
	(__atomic_fetch_and(p, ~BIT(n), __ATOMIC_SEQ_CST) >> (n) & 1)

/* Bit by bit, independent of the kernel's tables. */
static inline u32 crc32_le(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;

	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

typedef struct {
	int counter;
} atomic_t;

static inline void atomic_set(atomic_t *v, int i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline int atomic_xchg(atomic_t *v, int i)
{
	return __atomic_exchange_n(&v->counter, i, __ATOMIC_SEQ_CST);
}

/* Like the kernel's, ordered only if it succeeds. */
static inline int atomic_cmpxchg(atomic_t *v, int old, int i)
{
	__atomic_compare_exchange_n(&v->counter, &old, i, false,
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
	return old;
}

#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

/* The kernel's own names for the numbers of the user interface. */
#define IB_WR_RDMA_WRITE IB_UVERBS_WR_RDMA_WRITE
#define IB_WR_RDMA_WRITE_WITH_IMM IB_UVERBS_WR_RDMA_WRITE_WITH_IMM
#define IB_WR_SEND IB_UVERBS_WR_SEND
#define IB_WR_SEND_WITH_IMM IB_UVERBS_WR_SEND_WITH_IMM
#define IB_WR_SEND_WITH_INV IB_UVERBS_WR_SEND_WITH_INV
#define IB_WR_RDMA_READ IB_UVERBS_WR_RDMA_READ
#define IB_WR_ATOMIC_CMP_AND_SWP IB_UVERBS_WR_ATOMIC_CMP_AND_SWP
#define IB_WR_ATOMIC_FETCH_AND_ADD IB_UVERBS_WR_ATOMIC_FETCH_AND_ADD
#define IB_WR_LOCAL_INV IB_UVERBS_WR_LOCAL_INV
#define IB_WR_REG_MR 0x20

#define IB_QPT_GSI 1
#define IB_QPT_RC 2
#define IB_QPT_UC 3
#define IB_QPT_UD 4
#define IB_QPS_SQE 5
#define IB_QPS_ERR 6

#define IB_WC_SEND IB_UVERBS_WC_SEND
#define IB_WC_RDMA_WRITE IB_UVERBS_WC_RDMA_WRITE
#define IB_WC_RDMA_READ IB_UVERBS_WC_RDMA_READ
#define IB_WC_COMP_SWAP IB_UVERBS_WC_COMP_SWAP
#define IB_WC_FETCH_ADD IB_UVERBS_WC_FETCH_ADD
#define IB_WC_LOCAL_INV IB_UVERBS_WC_LOCAL_INV
#define IB_WC_REG_MR (IB_UVERBS_WC_ATOMIC_WRITE + 1)
#define IB_WC_RECV 128
#define IB_WC_RECV_RDMA_WITH_IMM 129

#define IB_ACCESS_REMOTE_WRITE IB_UVERBS_ACCESS_REMOTE_WRITE
#define IB_ACCESS_REMOTE_READ IB_UVERBS_ACCESS_REMOTE_READ
#define IB_ACCESS_REMOTE_ATOMIC IB_UVERBS_ACCESS_REMOTE_ATOMIC

#endif /* KERNEL_SHIM_H */
