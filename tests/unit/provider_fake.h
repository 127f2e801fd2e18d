/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * A fake kernel and a fake libibverbs, under the real provider.
 *
 * The command fd is a memory file; a ring lies in it where the "kernel" put it,
 * and is mapped twice: by the provider, and by the fake as the kernel's side.
 * write() to that fd is a doorbell: counted, and failed on request.  The linker
 * sends the provider's write(), mmap() and munmap() here (--wrap).
 */
#ifndef PROVIDER_FAKE_H
#define PROVIDER_FAKE_H

#include "hmm_odp.h"

/**
 * struct fake_ring - the kernel's side of a ring
 * @info: what the provider was told
 * @hdr: the kernel's mapping
 */
struct fake_ring {
	struct hodp_ring_info info;
	struct hodp_ring_hdr *hdr;
};

enum fake_bell { FAKE_BELL_SEND, FAKE_BELL_RECV, FAKE_BELL_SRQ, FAKE_BELLS };

/**
 * struct fake - what the fake kernel knows and is asked to do
 * @ops: the provider's operations, as it gave them to libibverbs
 * @dev_ops: its device operations
 * @entries: size of the rings that are made next
 * @spoil: changes the answer to the next creation, to see it refused
 * @fail: errno of the next command
 * @interrupt: so many doorbells return EINTR
 * @bell_error: errno of the next doorbell
 * @bells: doorbells that were rung
 * @rung: QP number or SRQ handle of the last one
 * @doorbell_fd: the file of the context that was made last
 * @hca_type: what sysfs says; NULL: no such attribute
 * @objects: kernel objects alive
 * @mappings: rings that the provider maps
 * @sq, @rq, @cq, @srq: rings made last
 * @on_bell: called for each doorbell, if set
 */
struct fake {
	const struct verbs_context_ops *ops;
	const struct verbs_device_ops *dev_ops;
	uint32_t entries;
	void (*spoil)(struct hodp_ring_info *info);
	int fail;
	int interrupt;
	int bell_error;
	int bells[FAKE_BELLS];
	uint32_t rung;
	int doorbell_fd;
	const char *hca_type;
	int objects;
	int mappings;
	struct fake_ring sq, rq, cq, srq;
	void (*on_bell)(void);
};

extern struct fake fake;

/* Limits that the fake kernel grants. */
#define FAKE_MAX_SGE 4
#define FAKE_MAX_INLINE 128
#define FAKE_QPN 77

/* Open the device through the provider. */
struct ibv_context *fake_open(void);
void fake_close(struct ibv_context *ctx);

/* Import @ctx, as another process would that was given its command fd. */
struct ibv_context *fake_import(struct ibv_context *ctx);

/* Entry @index of @ring, as the kernel sees it. */
void *fake_at(const struct fake_ring *ring, uint32_t index);

/* The kernel consumes @n entries, or produces one completion. */
void fake_consume(struct fake_ring *ring, uint32_t n);
void fake_complete(const struct hodp_cqe *cqe);

/* Let both sides of a ring go on at @index, as after so many entries. */
void fake_seek(struct fake_ring *kernel, struct hodp_ring *user,
	       uint32_t index);

#endif /* PROVIDER_FAKE_H */
