// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The process's own rings, found in /proc/self/maps, and their doorbells. */
#include <rdma/ib_user_verbs.h>
#include <sys/ioctl.h>

#include "rings.h"

struct ring rings[RINGS];
int num_rings;

static bool is_known(const void *at)
{
	for (int i = 0; i < num_rings; i++) {
		if (rings[i].hdr == at)
			return true;
	}
	return false;
}

void find_rings(bool is_cq)
{
	unsigned long from, to;
	char line[400];
	FILE *f = fopen("/proc/self/maps", "r");

	ht_true(f != NULL);
	while (fgets(line, sizeof(line), f) && num_rings < RINGS) {
		if (!strstr(line, "uverbs") || sscanf(line, "%lx-%lx", &from, &to) != 2 ||
		    is_known((void *)from))
			continue;
		rings[num_rings++] = (struct ring){
			.hdr = (void *)from,
			.size = to - from,
			.is_cq = is_cq,
			.entries = (uint8_t *)from + HODP_RING_ENTRIES_OFFSET,
		};
	}
	fclose(f);
}

int doorbell_file(void)
{
	char path[64], text[200];

	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, text, sizeof(text) - 1);
		if (n < 0)
			continue;
		text[n] = 0;
		if (strstr(text, "hmm_odp-doorbell"))
			return fd;
	}
	return -1;
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
		bell = doorbell_file();
	if (bell >= 0) {
		ioctl(bell, HODP_IOCTL_RING_SEND, qp->qp_num);
		ioctl(bell, HODP_IOCTL_RING_RECV, qp->qp_num);
	}
	/* It may fail: what counts is that nothing else happens. */
	if (write(qp->context->cmd_fd, &c, sizeof(c)) < 0)
		return;
}
