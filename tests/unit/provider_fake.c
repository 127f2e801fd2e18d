// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The fake kernel and libibverbs; see provider_fake.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <infiniband/cmd_ioctl.h>

#include "provider_fake.h"

/* A fake ignores most of what it is given. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* What later versions of libibverbs also need; see core.h. */
#if IBVERBS_PABI_VERSION >= 57
#define FD_ARR struct ibv_fd_arr *fds,
#else
#define FD_ARR
#endif
#if IBVERBS_PABI_VERSION >= 59
#define CQ_PROV struct verbs_create_cq_prov_attr *prov,
#else
#define CQ_PROV
#endif
#if IBVERBS_PABI_VERSION >= 64
#define QP_LINK , struct ibv_command_buffer *link
#else
#define QP_LINK
#endif

struct fake fake;

static int cmd_fd = -1;
static off_t file_end;
static uint32_t next_handle = 1;

static void need(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		exit(2);
	}
}

ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
int __wrap_ioctl(int fd, unsigned long request, unsigned long arg);
void *__real_mmap(void *addr, size_t size, int prot, int flags, int fd,
		  off_t offset);
void *__wrap_mmap(void *addr, size_t size, int prot, int flags, int fd,
		  off_t offset);
int __real_munmap(void *addr, size_t size);
int __wrap_munmap(void *addr, size_t size);

void *__wrap_mmap(void *addr, size_t size, int prot, int flags, int fd,
		  off_t offset)
{
	void *map = __real_mmap(addr, size, prot, flags, fd, offset);

	if (map != MAP_FAILED)
		fake.mappings++;
	return map;
}

int __wrap_munmap(void *addr, size_t size)
{
	fake.mappings--;
	return __real_munmap(addr, size);
}

/* The errno that the next command was asked to fail with. */
static int injected(void)
{
	int err = fake.fail;

	fake.fail = 0;
	return err;
}

/* The same for a command that makes an object. */
static int created(void)
{
	int err = injected();

	if (!err)
		fake.objects++;
	return err;
}

/* Each ring keeps its place in the file: an old one stays mapped. */
static struct hodp_ring_info make_ring(struct fake_ring *ring, uint32_t stride)
{
	struct hodp_ring_info told;
	off_t at = file_end;

	ring->info = (struct hodp_ring_info){
		.mmap_offset = at,
		.mmap_size = HODP_RING_ENTRIES_OFFSET +
			     (uint64_t)fake.entries * stride,
		.entries = fake.entries,
		.stride = stride,
	};
	ring->info.mmap_size = (ring->info.mmap_size + 4095) & ~4095ULL;
	file_end += ring->info.mmap_size;
	need(!ftruncate(cmd_fd, file_end), "ftruncate");
	ring->hdr = __real_mmap(NULL, ring->info.mmap_size,
				PROT_READ | PROT_WRITE, MAP_SHARED, cmd_fd, at);
	need(ring->hdr != MAP_FAILED, "mmap");

	told = ring->info;
	if (fake.spoil)
		fake.spoil(&told);
	fake.spoil = NULL;
	return told;
}

void *fake_at(const struct fake_ring *ring, uint32_t index)
{
	return (uint8_t *)ring->hdr + HODP_RING_ENTRIES_OFFSET +
	       (size_t)(index & (ring->info.entries - 1)) * ring->info.stride;
}

void fake_consume(struct fake_ring *ring, uint32_t n)
{
	__atomic_store_n(&ring->hdr->cons, ring->hdr->cons + n,
			 __ATOMIC_RELEASE);
}

void fake_complete(const struct hodp_cqe *cqe)
{
	struct hodp_ring_hdr *hdr = fake.cq.hdr;

	need(hdr->prod - __atomic_load_n(&hdr->cons, __ATOMIC_ACQUIRE) <
		     fake.cq.info.entries,
	     "the test overruns its CQ");
	memcpy(fake_at(&fake.cq, hdr->prod), cqe, sizeof(*cqe));
	__atomic_store_n(&hdr->prod, hdr->prod + 1, __ATOMIC_RELEASE);
}

void fake_seek(struct fake_ring *kernel, struct hodp_ring *user, uint32_t index)
{
	kernel->hdr->prod = index;
	kernel->hdr->cons = index;
	user->own = index;
	user->seen = index;
}

/* --- doorbells ------------------------------------------------------------- */

/* The errno that this doorbell was asked to fail with. */
static int bell_fails(void)
{
	int err = fake.bell_error;

	if (fake.interrupt) {
		fake.interrupt--;
		return EINTR;
	}
	fake.bell_error = 0;
	return err;
}

static void bell_rung(enum fake_bell bell, uint32_t object)
{
	__atomic_fetch_add(&fake.bells[bell], 1, __ATOMIC_RELAXED);
	fake.rung = object;
	if (fake.on_bell)
		fake.on_bell();
}

ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
	const struct ibv_post_srq_recv *cmd = buf;

	if (fd != cmd_fd)
		return __real_write(fd, buf, size);
	errno = bell_fails();
	if (errno)
		return -1;
	if (cmd->hdr.command != IB_USER_VERBS_CMD_POST_SRQ_RECV ||
	    cmd->hdr.in_words * 4U != size || cmd->hdr.out_words != 1 ||
	    !cmd->response || cmd->wr_count || cmd->sge_count ||
	    cmd->wqe_size < sizeof(struct ib_uverbs_recv_wr)) {
		errno = EINVAL;
		return -1;
	}
	bell_rung(FAKE_BELL_SRQ, cmd->srq_handle);
	return size;
}

int __wrap_ioctl(int fd, unsigned long request, unsigned long arg)
{
	errno = fd == fake.doorbell_fd ? bell_fails() : EBADF;
	if (errno)
		return -1;
	if (request != HODP_IOCTL_RING_SEND &&
	    request != HODP_IOCTL_RING_RECV) {
		errno = ENOTTY;
		return -1;
	}
	bell_rung(request == HODP_IOCTL_RING_SEND ? FAKE_BELL_SEND :
						    FAKE_BELL_RECV,
		  arg);
	return 0;
}

/* --- libibverbs ------------------------------------------------------------ */

void verbs_register_driver(const struct verbs_device_ops *ops)
{
	fake.dev_ops = ops;
}

void *_verbs_init_and_alloc_context(struct ibv_device *device, int fd,
				    size_t alloc_size,
				    struct verbs_context *context_offset,
				    uint32_t driver_id)
{
	struct verbs_context *vctx;
	void *ctx = calloc(1, alloc_size);

	need(ctx, "calloc");
	vctx = (void *)((char *)ctx + (uintptr_t)context_offset);
	vctx->context.device = device;
	vctx->context.cmd_fd = fd;
	return ctx;
}

void verbs_uninit_context(struct verbs_context *context)
{
}

void verbs_set_ops(struct verbs_context *vctx,
		   const struct verbs_context_ops *ops)
{
	fake.ops = ops;
}

int ibv_read_ibdev_sysfs_file(char *buf, size_t size,
			      struct verbs_sysfs_dev *dev, const char *name,
			      ...)
{
	if (strcmp(name, "hca_type") || !fake.hca_type ||
	    strlen(fake.hca_type) >= size)
		return -1;
	strcpy(buf, fake.hca_type);
	return strlen(buf);
}

struct ibv_context *fake_open(void)
{
	static struct ibv_device device;
	struct verbs_context *vctx;

	if (cmd_fd < 0)
		cmd_fd = memfd_create("command fd", MFD_CLOEXEC);
	need(cmd_fd >= 0, "memfd_create");
	vctx = fake.dev_ops->alloc_context(&device, cmd_fd, NULL);
	return vctx ? &vctx->context : NULL;
}

struct ibv_context *fake_import(struct ibv_context *ctx)
{
	struct verbs_context *vctx;

	vctx = fake.dev_ops->import_context(ctx->device, ctx->cmd_fd);
	return vctx ? &vctx->context : NULL;
}

void fake_close(struct ibv_context *ctx)
{
	fake.ops->free_context(ctx);
}

/* Also the answer to an import. */
static int context_opened(struct hodp_alloc_ucontext_resp *resp)
{
	int err = injected();

	if (err)
		return err;
	fake.doorbell_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	resp->doorbell_fd = fake.doorbell_fd;
	resp->max_inline = FAKE_MAX_INLINE;
	return 0;
}

int ibv_cmd_get_context(struct verbs_context *ctx, struct ibv_get_context *cmd,
			size_t cmd_size,
			FD_ARR struct ib_uverbs_get_context_resp *resp,
			size_t resp_size)
{
	struct hodp_cmd_get_context_resp *r =
		container_of(resp, typeof(*r), ibv_resp);

	return context_opened(&r->drv_payload);
}

int ibv_cmd_query_context(struct ibv_context *ctx,
			  struct ibv_command_buffer *driver)
{
	struct ib_uverbs_attr *attr = driver->hdr.attrs;
	struct hodp_alloc_ucontext_resp *r = (void *)(uintptr_t)attr->data;

	need(attr->attr_id == HODP_ATTR_QUERY_CONTEXT_RESP &&
		     attr->len == sizeof(*r),
	     "the attribute of an import");
	return context_opened(r);
}

int ibv_cmd_alloc_pd(struct ibv_context *ctx, struct ibv_pd *pd,
		     struct ibv_alloc_pd *cmd, size_t cmd_size,
		     struct ib_uverbs_alloc_pd_resp *resp, size_t size)
{
	pd->context = ctx;
	pd->handle = next_handle++;
	return created();
}

int ibv_cmd_dealloc_pd(struct ibv_pd *pd)
{
	fake.objects--;
	return 0;
}

int ibv_cmd_create_cq_ex(struct ibv_context *ctx,
			 const struct ibv_cq_init_attr_ex *attr,
			 CQ_PROV struct verbs_cq *cq,
			 struct ibv_create_cq_ex *cmd, size_t cmd_size,
			 struct ib_uverbs_ex_create_cq_resp *resp,
			 size_t resp_size, uint32_t flags)
{
	struct hodp_cmd_create_cq_resp *r =
		container_of(resp, typeof(*r), ibv_resp);
	int err = created();

	if (err)
		return err;
	cq->cq.context = ctx;
	cq->cq.handle = next_handle++;
	cq->cq.cqe = attr->cqe;
	r->ring = make_ring(&fake.cq, sizeof(struct hodp_cqe));
	return 0;
}

/* Outstanding entries move to a new ring, which begins at an index of its own. */
int ibv_cmd_resize_cq(struct ibv_cq *cq, int cqe, struct ibv_resize_cq *cmd,
		      size_t cmd_size, struct ib_uverbs_resize_cq_resp *resp,
		      size_t resp_size)
{
	struct hodp_cmd_resize_cq_resp *r =
		container_of(resp, typeof(*r), ibv_resp);
	struct fake_ring old = fake.cq;
	uint32_t i;
	int err = injected();

	if (err)
		return err;
	r->ring = make_ring(&fake.cq, sizeof(struct hodp_cqe));
	fake.cq.hdr->cons = 1000;
	fake.cq.hdr->prod = 1000;
	for (i = old.hdr->cons; i != old.hdr->prod; i++)
		fake_complete(fake_at(&old, i));
	cq->cqe = cqe;
	return 0;
}

int ibv_cmd_destroy_cq(struct ibv_cq *cq)
{
	fake.objects--;
	return 0;
}

int ibv_cmd_create_srq(struct ibv_pd *pd, struct ibv_srq *srq,
		       struct ibv_srq_init_attr *attr,
		       struct ibv_create_srq *cmd, size_t cmd_size,
		       struct ib_uverbs_create_srq_resp *resp, size_t resp_size)
{
	struct hodp_cmd_create_srq_resp *r =
		container_of(resp, typeof(*r), ibv_resp);
	int err = created();

	if (err)
		return err;
	srq->context = pd->context;
	srq->handle = next_handle++;
	attr->attr.max_sge = FAKE_MAX_SGE;
	r->ring = make_ring(&fake.srq, hodp_recv_stride(FAKE_MAX_SGE));
	r->drv_payload.srqn = 4711;
	return 0;
}

int ibv_cmd_modify_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr, int mask,
		       struct ibv_modify_srq *cmd, size_t cmd_size)
{
	return injected();
}

int ibv_cmd_query_srq(struct ibv_srq *srq, struct ibv_srq_attr *attr,
		      struct ibv_query_srq *cmd, size_t cmd_size)
{
	return injected();
}

int ibv_cmd_destroy_srq(struct ibv_srq *srq)
{
	fake.objects--;
	return 0;
}

int ibv_cmd_create_qp_ex2(struct ibv_context *ctx, struct verbs_qp *vqp,
			  struct ibv_qp_init_attr_ex *attr,
			  struct ibv_create_qp_ex *cmd, size_t cmd_size,
			  struct ib_uverbs_ex_create_qp_resp *resp,
			  size_t resp_size QP_LINK)
{
	struct hodp_cmd_create_qp_resp *r =
		container_of(resp, typeof(*r), ibv_resp);
	int err = created();

	if (err)
		return err;
	attr->cap.max_send_sge = FAKE_MAX_SGE;
	attr->cap.max_recv_sge = FAKE_MAX_SGE;
	if (!attr->srq)
		r->drv_payload.rq =
			make_ring(&fake.rq, hodp_recv_stride(FAKE_MAX_SGE));
	r->drv_payload.sq = make_ring(&fake.sq, sizeof(struct hodp_send_wqe) +
							FAKE_MAX_INLINE);
	r->drv_payload.max_inline = FAKE_MAX_INLINE;

	vqp->qp.context = ctx;
	vqp->qp.pd = attr->pd;
	vqp->qp.send_cq = attr->send_cq;
	vqp->qp.recv_cq = attr->recv_cq;
	vqp->qp.srq = attr->srq;
	vqp->qp.qp_type = attr->qp_type;
	vqp->qp.handle = next_handle++;
	vqp->qp.qp_num = FAKE_QPN;
	vqp->qp.state = IBV_QPS_RESET;
	return 0;
}

int ibv_cmd_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		      struct ibv_modify_qp *cmd, size_t cmd_size)
{
	int err = injected();

	if (!err && mask & IBV_QP_STATE && attr->qp_state == IBV_QPS_RESET) {
		fake.sq.hdr->prod = 0;
		fake.sq.hdr->cons = 0;
		fake.rq.hdr->prod = 0;
		fake.rq.hdr->cons = 0;
	}
	return err;
}

int ibv_cmd_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attr, int mask,
		     struct ibv_qp_init_attr *init, struct ibv_query_qp *cmd,
		     size_t cmd_size)
{
	return injected();
}

int ibv_cmd_destroy_qp(struct ibv_qp *qp)
{
	fake.objects--;
	return 0;
}

int ibv_cmd_create_ah(struct ibv_pd *pd, struct ibv_ah *ah,
		      struct ibv_ah_attr *attr,
		      struct ib_uverbs_create_ah_resp *resp, size_t resp_size)
{
	struct hodp_cmd_create_ah_resp *r =
		container_of(resp, typeof(*r), ibv_resp);

	ah->context = pd->context;
	r->ahn = 5;
	return created();
}

int ibv_cmd_destroy_ah(struct ibv_ah *ah)
{
	fake.objects--;
	return 0;
}

int ibv_cmd_reg_mr(struct ibv_pd *pd, void *addr, size_t length,
		   uint64_t hca_va, int access, struct verbs_mr *vmr,
		   struct ibv_reg_mr *cmd, size_t cmd_size,
		   struct ib_uverbs_reg_mr_resp *resp, size_t resp_size)
{
	vmr->ibv_mr.context = pd->context;
	return created();
}

int ibv_cmd_query_mr(struct ibv_pd *pd, struct verbs_mr *vmr,
		     uint32_t mr_handle)
{
	vmr->ibv_mr.context = pd->context;
	vmr->ibv_mr.pd = pd;
	vmr->ibv_mr.handle = mr_handle;
	return injected();
}

int ibv_cmd_dereg_mr(struct verbs_mr *vmr)
{
	fake.objects--;
	return 0;
}

/* --- commands that the provider only passes on ----------------------------- */

int ibv_cmd_rereg_mr(struct verbs_mr *vmr, uint32_t flags, void *addr,
		     size_t length, uint64_t hca_va, int access,
		     struct ibv_pd *pd, struct ibv_rereg_mr *cmd, size_t cmd_sz,
		     struct ib_uverbs_rereg_mr_resp *resp, size_t resp_sz)
{
	return injected();
}

int ibv_cmd_advise_mr(struct ibv_pd *pd, enum ibv_advise_mr_advice advice,
		      uint32_t flags, struct ibv_sge *sg, uint32_t num_sge)
{
	return injected();
}

int ibv_cmd_attach_mcast(struct ibv_qp *qp, const union ibv_gid *gid,
			 uint16_t lid)
{
	return injected();
}

int ibv_cmd_detach_mcast(struct ibv_qp *qp, const union ibv_gid *gid,
			 uint16_t lid)
{
	return injected();
}

int ibv_cmd_req_notify_cq(struct ibv_cq *cq, int solicited)
{
	return injected();
}

int ibv_cmd_query_device_any(struct ibv_context *ctx,
			     const struct ibv_query_device_ex_input *input,
			     struct ibv_device_attr_ex *attr, size_t attr_size,
			     struct ib_uverbs_ex_query_device_resp *resp,
			     size_t *resp_size)
{
	resp->base.fw_ver = 1ULL << 32 | 2 << 16 | 3;
	return injected();
}

int ibv_cmd_query_port(struct ibv_context *ctx, uint8_t port,
		       struct ibv_port_attr *attr, struct ibv_query_port *cmd,
		       size_t cmd_size)
{
	return injected();
}
