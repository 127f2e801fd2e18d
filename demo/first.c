// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* first DEVICE FILE: RDMA WRITE a line straight into a file; no page is pinned. */
#include <err.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <string.h>
#include <sys/mman.h>

#define MUST(x) do { if (!(x)) err(1, "%s", #x); } while (0)
#define ODP (IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_ON_DEMAND)

int main(int argc, char **argv)
{
	char text[] = "written by RDMA\n";
	struct ibv_device **dev = ibv_get_device_list(NULL);
	char *file = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			  open(argv[argc - 1], O_RDWR), 0);

	MUST(argc == 3 && dev && file != MAP_FAILED);
	while (*dev && strcmp(ibv_get_device_name(*dev), argv[1]))
		dev++;
	struct ibv_context *ctx = *dev ? ibv_open_device(*dev) : NULL;
	MUST(ctx);
	struct ibv_pd *pd = ibv_alloc_pd(ctx);
	struct ibv_cq *cq = ibv_create_cq(ctx, 1, NULL, NULL, 0);
	struct ibv_mr *from = ibv_reg_mr(pd, text, sizeof(text), ODP);
	struct ibv_mr *to = ibv_reg_mr(pd, file, 4096, ODP);
	MUST(pd && cq && from && to);

	/* One reliable queue pair, connected to itself. */
	struct ibv_qp *qp = ibv_create_qp(pd, &(struct ibv_qp_init_attr){
		.send_cq = cq, .recv_cq = cq, .qp_type = IBV_QPT_RC,
		.cap = { .max_send_wr = 1, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1 } });
	MUST(qp);
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_INIT, .port_num = 1,
		.qp_access_flags = IBV_ACCESS_REMOTE_WRITE, .path_mtu = IBV_MTU_1024,
		.dest_qp_num = qp->qp_num, .timeout = 14, .retry_cnt = 7, .rnr_retry = 7,
		.ah_attr = { .is_global = 1, .port_num = 1, .grh = { .sgid_index = 1, .hop_limit = 1 } } };
	MUST(!ibv_query_gid(ctx, 1, 1, &attr.ah_attr.grh.dgid));
	MUST(!ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
			    IBV_QP_ACCESS_FLAGS));
	attr.qp_state = IBV_QPS_RTR;
	MUST(!ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			    IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER));
	attr.qp_state = IBV_QPS_RTS;
	MUST(!ibv_modify_qp(qp, &attr, IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_TIMEOUT |
			    IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_MAX_QP_RD_ATOMIC));

	struct ibv_sge sge = { (uintptr_t)text, strlen(text), from->lkey };
	struct ibv_send_wr *bad, wr = { .sg_list = &sge, .num_sge = 1,
		.opcode = IBV_WR_RDMA_WRITE, .send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = (uintptr_t)file, .rkey = to->rkey } };
	struct ibv_wc wc;
	MUST(!ibv_post_send(qp, &wr, &bad));
	while (!ibv_poll_cq(cq, 1, &wc))
		;
	if (wc.status)
		errx(1, "the write failed: %s", ibv_wc_status_str(wc.status));
	return 0;
}
