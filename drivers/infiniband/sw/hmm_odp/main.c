// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * hmm_odp: a soft RoCEv2 device whose memory regions are never pinned.
 *
 * This file has module init and exit, `rdma link add`, and the netdev notifier.
 * docs/design.md describes the other files.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/netdevice.h>
#include <rdma/rdma_netlink.h>
#include "device.h"
#include "engine.h"
#include "verbs.h"

MODULE_DESCRIPTION("Soft RoCEv2 device with on-demand paging through HMM");
MODULE_AUTHOR("The hmm_odp authors");
MODULE_LICENSE("Dual BSD/GPL");
MODULE_VERSION(HODP_VERSION);
MODULE_ALIAS_RDMA_LINK("hmm_odp");

static int hodp_newlink(const char *name, struct net_device *ndev)
{
	return hodp_device_add(name, ndev, &hodp_ops, hodp_uapi);
}

/* No callback for `rdma link delete`: the core unregisters the device. */
static struct rdma_link_ops hodp_link_ops = {
	.type = "hmm_odp",
	.newlink = hodp_newlink,
};

static int hodp_netdev_event(struct notifier_block *nb, unsigned long event,
			     void *info)
{
	hodp_device_netdev_event(netdev_notifier_info_to_dev(info), event);
	return NOTIFY_DONE;
}

static struct notifier_block hodp_netdev_nb = {
	.notifier_call = hodp_netdev_event,
};

static int __init hodp_init(void)
{
	int ret;

	ret = hodp_engine_start();
	if (ret)
		return ret;
	ret = register_netdevice_notifier(&hodp_netdev_nb);
	if (ret)
		goto err_engine;
	rdma_link_register(&hodp_link_ops);
	return 0;

err_engine:
	hodp_engine_stop();
	return ret;
}

static void __exit hodp_exit(void)
{
	rdma_link_unregister(&hodp_link_ops);
	hodp_device_remove_all();
	unregister_netdevice_notifier(&hodp_netdev_nb);
	hodp_engine_stop();
}

module_init(hodp_init);
module_exit(hodp_exit);
