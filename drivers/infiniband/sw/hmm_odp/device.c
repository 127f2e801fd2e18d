// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Devices and their netdevs (layer 6).
 *
 * Model: one device per netdev.  All devices are in one list, which holds a
 * reference to each device's memory.  A device holds a reference to its netdev
 * until it is gone, so a netdev pointer in the list never refers to another
 * netdev that was allocated at the same address.
 *
 * States of a device: *claimed* (in the list, @ndev set), registered with the
 * core, unregistered (by `rdma link delete`, removal of the netdev, or module
 * exit), *gone* (hodp_device_dealloc() has run, @ndev is NULL), *reaped* (off
 * the list, memory released).
 *
 * Why reaping is needed: the driver id is shared with other drivers, so module
 * exit cannot use ib_unregister_driver() to wait for removals.
 * hodp_device_dealloc() is the last of our code that a removal runs, and it
 * runs under the core's unregistration_lock.  The reaper takes and drops that
 * lock (a second ib_unregister_device() does nothing else).  So once a device
 * is off the list, its removal no longer runs module code.
 *
 * Lock order: RTNL or the core's unregistration_lock, then hodp_devices_lock.
 * Nothing that takes the first two is called under hodp_devices_lock.  A device's
 * mcast_lock is taken under it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/if_arp.h>
#include <linux/if_vlan.h>
#include <linux/list.h>
#include <net/addrconf.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_mad.h>
#include <rdma/ib_user_verbs.h>
#include "device.h"
#include "mcast.h"
#include "mirror.h"
#include "mr.h"
#include "udp.h"

static DEFINE_MUTEX(hodp_devices_lock);
static LIST_HEAD(hodp_devices);

static void hodp_device_reap(struct work_struct *work)
{
	struct hodp_device *dev, *next;
	LIST_HEAD(gone);

	mutex_lock(&hodp_devices_lock);
	list_for_each_entry_safe(dev, next, &hodp_devices, link)
		if (!dev->ndev)
			list_move(&dev->link, &gone);
	mutex_unlock(&hodp_devices_lock);

	list_for_each_entry_safe(dev, next, &gone, link) {
		ib_unregister_device(&dev->ibdev);
		put_device(&dev->ibdev.dev);
	}
}

static DECLARE_WORK(hodp_reaper, hodp_device_reap);

/* Check that a netdev can carry a device; log the reason if it cannot. */
static int hodp_device_check_netdev(const struct net_device *ndev)
{
	const char *why = NULL;

	if (is_vlan_dev(ndev))
		why = "a VLAN has no GIDs of its own, use the device below it";
	else if (ndev->type != ARPHRD_ETHER && ndev->type != ARPHRD_LOOPBACK)
		why = "not an Ethernet device";
	else if (!iboe_get_mtu(ndev->mtu))
		why = "the MTU is too small";
	if (!why)
		return 0;
	pr_warn("%s: %s\n", netdev_name(ndev), why);
	return -EINVAL;
}

/* Add the device to the list as @ndev's device. */
static int hodp_device_claim(struct hodp_device *dev, struct net_device *ndev)
{
	struct hodp_device *other;
	int ret = 0;

	mutex_lock(&hodp_devices_lock);
	list_for_each_entry(other, &hodp_devices, link)
		if (other->ndev == ndev)
			ret = -EEXIST;
	if (!ret) {
		netdev_hold(ndev, &dev->ndev_tracker, GFP_KERNEL);
		dev->ndev = ndev;
		get_device(&dev->ibdev.dev);
		list_add_tail(&dev->link, &hodp_devices);
	}
	mutex_unlock(&hodp_devices_lock);
	return ret;
}

static void hodp_device_init_guid(struct ib_device *ibdev,
				  const struct net_device *ndev)
{
	u8 addr[ETH_ALEN];

	/* A GUID must be unique, but loopback has no address. */
	if (ndev->addr_len == ETH_ALEN && is_valid_ether_addr(ndev->dev_addr))
		ether_addr_copy(addr, ndev->dev_addr);
	else
		eth_random_addr(addr);
	addrconf_addr_eui48((u8 *)&ibdev->node_guid, addr);
}

/* The initialisation that cannot fail; ib_dealloc_device() undoes it. */
static void hodp_device_init(struct hodp_device *dev,
			     const struct net_device *ndev)
{
	struct ib_device *ibdev = &dev->ibdev;

	xa_init_flags(&dev->qps, XA_FLAGS_ALLOC | XA_FLAGS_LOCK_IRQ);
	xa_init_flags(&dev->mrs, XA_FLAGS_ALLOC | XA_FLAGS_LOCK_IRQ);
	xa_init_flags(&dev->ahs, XA_FLAGS_ALLOC | XA_FLAGS_LOCK_IRQ);
	hodp_mr_init_keys(dev);
	ida_init(&dev->cqns);
	ida_init(&dev->srqns);
	mutex_init(&dev->mcast_lock);
	spin_lock_init(&dev->mcast_rx_lock);
	hash_init(dev->mcasts);
	INIT_LIST_HEAD(&dev->link);
	INIT_LIST_HEAD(&dev->routes);
	spin_lock_init(&dev->routes_lock);

	ibdev->node_type = RDMA_NODE_IB_CA;
	ibdev->phys_port_cnt = 1;
	ibdev->num_comp_vectors = num_possible_cpus();
	strscpy(ibdev->node_desc, "hmm_odp", sizeof(ibdev->node_desc));
	hodp_device_init_guid(ibdev, ndev);
	ibdev->uverbs_cmd_mask |= BIT_ULL(IB_USER_VERBS_CMD_POST_SEND) |
				  BIT_ULL(IB_USER_VERBS_CMD_POST_RECV) |
				  BIT_ULL(IB_USER_VERBS_CMD_POST_SRQ_RECV) |
				  BIT_ULL(IB_USER_VERBS_CMD_REQ_NOTIFY_CQ);
	ib_mark_name_assigned_by_user(ibdev);
}

int hodp_device_add(const char *name, struct net_device *ndev,
		    const struct ib_device_ops *ops,
		    const struct uapi_definition *uapi)
{
	struct hodp_device *dev;
	int ret;

	ret = hodp_device_check_netdev(ndev);
	if (ret)
		return ret;
	dev = ib_alloc_device_with_net(hodp_device, ibdev, dev_net(ndev));
	if (!dev)
		return -ENOMEM;
	hodp_device_init(dev, ndev);
	ib_set_device_ops(&dev->ibdev, ops);
	dev->ibdev.driver_def = uapi;

	dev->mirrors = hodp_mirrors_alloc();
	if (!dev->mirrors) {
		ret = -ENOMEM;
		goto err_dealloc;
	}
	dev->counters = dev->mirrors->counters;
	ret = hodp_device_claim(dev, ndev);
	if (ret)
		goto err_dealloc;
	ret = ib_device_set_netdev(&dev->ibdev, ndev, HODP_PORT);
	if (ret)
		goto err_dealloc;
	/* No DMA device, so kernel consumers pass kernel addresses.  On success
	 * the device may already be gone.
	 */
	ret = ib_register_device(&dev->ibdev, name, NULL);
	if (ret)
		goto err_dealloc;
	return 0;

err_dealloc:
	ib_dealloc_device(&dev->ibdev);
	return ret;
}

int hodp_device_enable(struct ib_device *ibdev)
{
	return hodp_udp_attach(to_hodp_device(ibdev));
}

void hodp_device_dealloc(struct ib_device *ibdev)
{
	struct hodp_device *dev = to_hodp_device(ibdev);

	hodp_udp_detach(dev);
	WARN_ON(!xa_empty(&dev->qps));
	WARN_ON(!xa_empty(&dev->mrs));
	WARN_ON(!xa_empty(&dev->ahs));
	WARN_ON(!ida_is_empty(&dev->cqns));
	WARN_ON(!ida_is_empty(&dev->srqns));
	WARN_ON(!hash_empty(dev->mcasts));
	mutex_destroy(&dev->mcast_lock);
	/* A sleeping page fault holds its mirror, which holds this, too. */
	if (dev->mirrors)
		hodp_mirrors_put(dev->mirrors);

	mutex_lock(&hodp_devices_lock);
	if (dev->ndev) {
		netdev_put(dev->ndev, &dev->ndev_tracker);
		dev->ndev = NULL;
		schedule_work(&hodp_reaper);
	}
	mutex_unlock(&hodp_devices_lock);
}

/* The first device in the list, with a reference to its memory, or NULL. */
static struct hodp_device *hodp_device_first(void)
{
	struct hodp_device *dev;

	mutex_lock(&hodp_devices_lock);
	dev = list_first_entry_or_null(&hodp_devices, struct hodp_device, link);
	if (dev)
		get_device(&dev->ibdev.dev);
	mutex_unlock(&hodp_devices_lock);
	return dev;
}

void hodp_device_remove_all(void)
{
	struct hodp_device *dev;

	while ((dev = hodp_device_first())) {
		ib_unregister_device(&dev->ibdev);
		put_device(&dev->ibdev.dev);
		flush_work(&hodp_reaper);
	}
	flush_work(&hodp_reaper);
}

/* The registered device of @ndev, or NULL; release with ib_device_put(). */
static struct hodp_device *hodp_device_find(const struct net_device *ndev)
{
	struct hodp_device *dev, *found = NULL;

	mutex_lock(&hodp_devices_lock);
	list_for_each_entry(dev, &hodp_devices, link)
		if (dev->ndev == ndev && ib_device_try_get(&dev->ibdev))
			found = dev;
	mutex_unlock(&hodp_devices_lock);
	return found;
}

/* Before its namespace goes, which may be before the device does. */
static void hodp_device_netdev_leaves(struct net_device *ndev)
{
	struct hodp_device *dev;

	hodp_udp_netdev_leaves(ndev);
	mutex_lock(&hodp_devices_lock);
	list_for_each_entry(dev, &hodp_devices, link)
		if (dev->ndev == ndev)
			hodp_mcast_netdev_leaves(dev);
	mutex_unlock(&hodp_devices_lock);
}

void hodp_device_netdev_event(struct net_device *ndev, unsigned long event)
{
	struct hodp_device *dev;

	switch (event) {
	case NETDEV_UNREGISTER:
		hodp_device_netdev_leaves(ndev);
		break;
	case NETDEV_UP:
	case NETDEV_DOWN:
	case NETDEV_CHANGE:
		break;
	default:
		/* The core handles GIDs; the MTU is read when it is needed. */
		return;
	}
	dev = hodp_device_find(ndev);
	if (!dev)
		return;
	/* The core reports the port state itself, but only for the first
	 * device of a netdev.  It skips a state that it has already reported.
	 */
	if (event == NETDEV_UNREGISTER)
		ib_unregister_device_queued(&dev->ibdev);
	else
		ib_dispatch_port_state_event(&dev->ibdev, ndev);
	ib_device_put(&dev->ibdev);
}

void hodp_device_fw_str(struct ib_device *ibdev, char *str)
{
	strscpy(str, HODP_VERSION, IB_FW_VERSION_NAME_MAX);
}

static void hodp_device_query_odp(struct ib_odp_caps *caps)
{
	caps->general_caps = IB_ODP_SUPPORT | IB_ODP_SUPPORT_IMPLICIT;
	caps->per_transport_caps.rc_odp_caps =
		IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		IB_ODP_SUPPORT_WRITE | IB_ODP_SUPPORT_READ |
		IB_ODP_SUPPORT_ATOMIC | IB_ODP_SUPPORT_SRQ_RECV;
	caps->per_transport_caps.uc_odp_caps =
		IB_ODP_SUPPORT_SEND | IB_ODP_SUPPORT_RECV |
		IB_ODP_SUPPORT_WRITE | IB_ODP_SUPPORT_SRQ_RECV;
	caps->per_transport_caps.ud_odp_caps = IB_ODP_SUPPORT_SEND |
					       IB_ODP_SUPPORT_RECV |
					       IB_ODP_SUPPORT_SRQ_RECV;
}

void hodp_device_query(const struct hodp_device *dev,
		       struct ib_device_attr *attr)
{
	*attr = (struct ib_device_attr){
		.fw_ver = HODP_FW_VER,
		.sys_image_guid = dev->ibdev.node_guid,
		.max_mr_size = U64_MAX,
		.page_size_cap = PAGE_MASK,
		.vendor_id = HODP_VENDOR_ID,
		.max_qp = HODP_MAX_QP,
		.max_qp_wr = HODP_MAX_QP_WR,
		.device_cap_flags =
			IB_DEVICE_CURR_QP_STATE_MOD |
			IB_DEVICE_PORT_ACTIVE_EVENT | IB_DEVICE_SYS_IMAGE_GUID |
			IB_DEVICE_RC_RNR_NAK_GEN | IB_DEVICE_MEM_MGT_EXTENSIONS,
		.kernel_cap_flags = IBK_ON_DEMAND_PAGING | IBK_ALLOW_USER_UNREG,
		.max_send_sge = HODP_MAX_SGE,
		.max_recv_sge = HODP_MAX_SGE,
		.max_sge_rd = HODP_MAX_SGE,
		.max_cq = HODP_MAX_CQ,
		.max_cqe = HODP_MAX_CQE,
		.max_mr = HODP_MAX_MR,
		.max_pd = HODP_MAX_PD,
		.max_qp_rd_atom = HODP_MAX_RD_ATOM,
		.max_res_rd_atom = HODP_MAX_RD_ATOM * HODP_MAX_QP,
		.max_qp_init_rd_atom = HODP_MAX_RD_ATOM,
		.atomic_cap = IB_ATOMIC_GLOB,
		.max_ah = HODP_MAX_AH,
		.max_mcast_grp = HODP_USER_MCAST,
		.max_mcast_qp_attach = HODP_USER_MCAST_QP,
		.max_total_mcast_qp_attach =
			HODP_USER_MCAST * HODP_USER_MCAST_QP,
		.max_srq = HODP_MAX_SRQ,
		.max_srq_wr = HODP_MAX_SRQ_WR,
		.max_srq_sge = HODP_MAX_SGE,
		.max_fast_reg_page_list_len = HODP_MAX_FRMR_PAGES,
		.max_pkeys = 1,
		/* 4.096 us << 15 = 134 ms covers scheduling, not faults. */
		.local_ca_ack_delay = 15,
		/* Timestamps are CLOCK_MONOTONIC in ns. */
		.timestamp_mask = U64_MAX,
		.hca_core_clock = USEC_PER_SEC,
	};
	hodp_device_query_odp(&attr->odp_caps);
}

/* Speed and width; ask only netdevs that know, else the core warns. */
static void hodp_device_query_speed(struct ib_device *ibdev,
				    const struct net_device *ndev,
				    struct ib_port_attr *attr)
{
	attr->active_width = IB_WIDTH_1X;
	attr->active_speed = IB_SPEED_SDR;
	if (ndev->ethtool_ops && ndev->ethtool_ops->get_link_ksettings)
		ib_get_eth_speed(ibdev, HODP_PORT, &attr->active_speed,
				 &attr->active_width);
}

int hodp_device_query_port(struct ib_device *ibdev, u32 port,
			   struct ib_port_attr *attr)
{
	struct net_device *ndev;

	if (port != HODP_PORT)
		return -EINVAL;
	attr->state = IB_PORT_DOWN;
	attr->phys_state = IB_PORT_PHYS_STATE_DISABLED;
	attr->max_mtu = IB_MTU_4096;
	attr->active_mtu = IB_MTU_256;
	attr->gid_tbl_len = HODP_GID_TABLE_LEN;
	attr->ip_gids = true;
	attr->port_cap_flags = IB_PORT_CM_SUP;
	attr->max_msg_sz = HODP_MAX_MSG;
	attr->pkey_tbl_len = 1;
	attr->max_vl_num = 1;

	/* A port whose netdev is going away is down; that is no error. */
	ndev = ib_device_get_netdev(ibdev, port);
	if (!ndev)
		return 0;
	attr->state = ib_get_curr_port_state(ndev);
	if (attr->state == IB_PORT_ACTIVE)
		attr->phys_state = IB_PORT_PHYS_STATE_LINK_UP;
	else if (netif_get_flags(ndev) & IFF_UP)
		attr->phys_state = IB_PORT_PHYS_STATE_POLLING;
	attr->active_mtu = hodp_active_mtu(ndev);
	hodp_device_query_speed(ibdev, ndev, attr);
	dev_put(ndev);
	return 0;
}
