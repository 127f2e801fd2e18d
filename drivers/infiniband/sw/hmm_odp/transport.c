// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The table of transports (layer 2): transport.h has the contract. */
#include "transport.h"

#define HODP_MAX_TRANSPORTS 2

/* Written at module init only. */
static const struct hodp_transport *hodp_transports[HODP_MAX_TRANSPORTS];

void hodp_transport_add(const struct hodp_transport *t)
{
	u32 i;

	for (i = 0; i < HODP_MAX_TRANSPORTS; i++)
		if (!hodp_transports[i]) {
			hodp_transports[i] = t;
			return;
		}
	WARN_ON_ONCE(1);
}

const struct hodp_transport *hodp_transport_for(struct hodp_device *dev,
						const union ib_gid *gid)
{
	u32 i;

	for (i = 0; i < HODP_MAX_TRANSPORTS && hodp_transports[i]; i++)
		if (hodp_transports[i]->reaches(dev, gid))
			return hodp_transports[i];
	return NULL;
}
