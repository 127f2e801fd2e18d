/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* The ib_device_ops table (layer 6). */
#ifndef HODP_VERBS_H
#define HODP_VERBS_H

#include <rdma/ib_verbs.h>
#include <rdma/uverbs_ioctl.h>

extern const struct ib_device_ops hodp_ops;

/* The driver's attributes of uverbs methods. */
extern const struct uapi_definition hodp_uapi[];

#endif /* HODP_VERBS_H */
