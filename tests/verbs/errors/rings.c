// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The rings of a case's objects, and their doorbells. */
#include <rdma/ib_user_verbs.h>
#include <sys/ioctl.h>

#include "rings.h"

struct ht_ring rings[RINGS];
int num_rings;

void find_rings(bool is_cq)
{
	int n = ht_new_rings(&rings[num_rings], RINGS - num_rings);

	while (n--)
		rings[num_rings++].is_cq = is_cq;
}

void doorbell(const struct ibv_qp *qp)
{
	static int bell = -2;
	struct {
		struct ib_uverbs_cmd_hdr hdr;
		struct ib_uverbs_post_send cmd;
	} c = {
		.hdr = {
			.command = IB_USER_VERBS_CMD_POST_SEND,
			.in_words = sizeof(c) / 4,
			.out_words = sizeof(struct ib_uverbs_post_send_resp) / 4,
		},
	};
	struct ib_uverbs_post_send_resp resp;

	c.cmd.response = (uintptr_t)&resp;
	c.cmd.qp_handle = qp->handle;
	c.cmd.wqe_size = sizeof(struct ib_uverbs_send_wr);
	if (bell == -2)
		bell = ht_doorbell_file();
	if (bell >= 0) {
		ioctl(bell, HODP_IOCTL_RING_SEND, qp->qp_num);
		ioctl(bell, HODP_IOCTL_RING_RECV, qp->qp_num);
	}
	/* It may fail: what counts is that nothing else happens. */
	if (write(qp->context->cmd_fd, &c, sizeof(c)) < 0)
		return;
}
