/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/* Devices and their netdevs (layer 6): model in device.c. */
#ifndef HODP_DEVICE_H
#define HODP_DEVICE_H

#include "dev.h"

/* The version, as text and as ib_device_attr.fw_ver has it. */
#define HODP_VERSION "0.1.0"
#define HODP_FW_VER (0ULL << 32 | 1 << 16 | 0)

/* An OUI that no vendor can have, because the locally administered bit is set.
 * Not 0, which consumers take for "unknown".
 */
#define HODP_VENDOR_ID 0x02484d

struct ib_device_ops;
struct uapi_definition;

/**
 * hodp_device_add - create a device on a netdev and register it
 * @name: name of the new device
 * @ndev: an Ethernet or loopback netdev; the caller holds a reference
 * @ops, @uapi: its verbs
 *
 * Context: process, without RTNL.
 * Return: 0, -EINVAL (unsuitable netdev), -EEXIST (the netdev has a device
 * already), -ENOMEM, or the core's error for @name.
 */
int hodp_device_add(const char *name, struct net_device *ndev,
		    const struct ib_device_ops *ops,
		    const struct uapi_definition *uapi);

/**
 * hodp_device_remove_all - unregister all devices and wait until they are gone
 *
 * On return no code of any device runs, including devices whose removal was
 * started elsewhere.  No device may be added at the same time.
 * Context: process.
 */
void hodp_device_remove_all(void);

/**
 * hodp_device_netdev_event - handle a netdev event for the netdev's device
 * @event: NETDEV_*
 *
 * Context: process, under RTNL.
 */
void hodp_device_netdev_event(struct net_device *ndev, unsigned long event);

/* ib_device_ops */
int hodp_device_enable(struct ib_device *ibdev);
void hodp_device_dealloc(struct ib_device *ibdev);
void hodp_device_fw_str(struct ib_device *ibdev, char *str);
void hodp_device_query(const struct hodp_device *dev,
		       struct ib_device_attr *attr);
int hodp_device_query_port(struct ib_device *ibdev, u32 port,
			   struct ib_port_attr *attr);

#endif /* HODP_DEVICE_H */
