// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Devices, GIDs and memory regions.
 *
 * A region of a kind "iova" is registered at another address than that of the
 * memory, by ibv_reg_mr_iova(). The core wants equal offsets in the page, so
 * the two differ by whole pages: by an odd number of them, so that neither
 * 2 MiB nor 1 GiB boundaries of the one are boundaries of the other.
 */
#include <stdarg.h>

#include "ht.h"

static bool sysfs_says_hodp(const char *name)
{
	char path[200], text[40] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/hca_type", name);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	return !strncmp(text, "hmm_odp", 7);
}

bool ht_gid_is_ipv4(const union ibv_gid *gid)
{
	static const uint8_t head[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(gid->raw, head, sizeof(head));
}

/* Is it an address of the family that the options ask for, and not link-local? */
static bool is_wanted(const union ibv_gid *gid)
{
	if (ht_opt.gid == HT_GID_IPV6)
		return !ht_gid_is_ipv4(gid) && gid->raw[0] != 0xfe;
	return ht_gid_is_ipv4(gid);
}

static void find_gid(struct ht_dev *d)
{
	struct ibv_gid_entry e;

	if (ht_opt.gid >= 0) {
		d->gid_index = ht_opt.gid;
		ht_ok(ibv_query_gid(d->ctx, 1, d->gid_index, &d->gid));
		return;
	}
	for (int i = 0; i < d->port.gid_tbl_len; i++) {
		if (ibv_query_gid_ex(d->ctx, 1, i, &e, 0) || e.gid_type != IBV_GID_TYPE_ROCE_V2 ||
		    !is_wanted(&e.gid))
			continue;
		d->gid_index = i;
		d->gid = e.gid;
		return;
	}
	ht_fail("the device has no RoCE v2 GID of an IPv%d address",
		ht_opt.gid == HT_GID_IPV6 ? 6 : 4);
}

void ht_open(struct ht_dev *d, const char *name)
{
	struct ibv_device **list, **i;
	int n;

	memset(d, 0, sizeof(*d));
	list = ibv_get_device_list(&n);
	ht_check(list, "ibv_get_device_list: %s", strerror(errno));
	for (i = list; *i && strcmp(ibv_get_device_name(*i), name);)
		i++;
	ht_check(*i, "there is no RDMA device %s (%d devices)", name, n);
	d->ctx = ibv_open_device(*i);
	ht_check(d->ctx, "ibv_open_device(%s): %s", name, strerror(errno));
	ibv_free_device_list(list);
	ht_ok(ibv_query_device_ex(d->ctx, NULL, &d->attr));
	ht_ok(ibv_query_port(d->ctx, 1, &d->port));
	ht_eq(d->port.state, IBV_PORT_ACTIVE);
	d->is_hodp = sysfs_says_hodp(name);
	find_gid(d);
}

void ht_close(struct ht_dev *d)
{
	ht_ok(ibv_close_device(d->ctx));
	d->ctx = NULL;
}

void ht_require(const struct ht_dev *d, bool cond, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	if (cond)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (d->is_hodp)
		ht_fail("an hmm_odp device must have this: %s", text);
	ht_skip("%s", text);
}

/* --- memory regions ----------------------------------------------------------- */

static const char *const names[HT_MR_KINDS] = {
	[HT_PINNED] = "pinned",
	[HT_PINNED_IOVA] = "pinned-iova",
	[HT_PINNED_IOVA0] = "pinned-iova0",
	[HT_ODP] = "odp",
	[HT_ODP_IOVA] = "odp-iova",
	[HT_ODP_IOVA0] = "odp-iova0",
	[HT_ODP_IMPLICIT] = "odp-implicit",
};

const char *ht_mr_name(enum ht_mr_kind kind)
{
	return names[kind];
}

bool ht_mr_is_odp(enum ht_mr_kind kind)
{
	return kind >= HT_ODP;
}

const char *ht_mr_missing(const struct ht_dev *d, enum ht_mr_kind kind)
{
	uint64_t general = d->attr.odp_caps.general_caps;

	if (ht_mr_is_odp(kind) && !(general & IBV_ODP_SUPPORT))
		return "the device has no ODP";
	if (kind == HT_ODP_IMPLICIT && !(general & IBV_ODP_SUPPORT_IMPLICIT))
		return "the device has no implicit ODP";
	return NULL;
}

void ht_need_mr(const struct ht_dev *d, enum ht_mr_kind kind)
{
	const char *why = ht_mr_missing(d, kind);

	ht_require(d, !why, "%s", why);
}

static uint64_t iova_of(enum ht_mr_kind kind, const void *p)
{
	uintptr_t va = (uintptr_t)p;

	switch (kind) {
	case HT_PINNED_IOVA:
	case HT_ODP_IOVA: return va + 0x123457 * HT_PAGE;
	case HT_PINNED_IOVA0:
	case HT_ODP_IOVA0: return va % HT_PAGE;
	default: return va;
	}
}

int ht_mr_try(struct ht_mr *m, struct ibv_pd *pd, void *p, size_t len, enum ht_mr_kind kind,
	      int access)
{
	uint64_t iova = iova_of(kind, p);

	if (ht_mr_is_odp(kind))
		access |= IBV_ACCESS_ON_DEMAND;
	m->delta = 0;
	errno = 0;
	if (kind == HT_ODP_IMPLICIT) {
		m->mr = ibv_reg_mr(pd, NULL, SIZE_MAX, access);
	} else {
		m->delta = iova - (uintptr_t)p;
		m->mr = ibv_reg_mr_iova(pd, p, len, iova, access);
	}
	return m->mr ? 0 : errno;
}

void ht_mr_get(struct ht_mr *m, struct ibv_pd *pd, void *p, size_t len, enum ht_mr_kind kind,
	       int access)
{
	int err = ht_mr_try(m, pd, p, len, kind, access);

	ht_check(!err, "registering %zu bytes at %p (%s, access 0x%x): %d %s", len, p, names[kind],
		 access, err, strerror(err));
}

void ht_mr_put(struct ht_mr *m)
{
	ht_ok(ibv_dereg_mr(m->mr));
	m->mr = NULL;
}

int ht_advise(const struct ht_mr *m, const void *p, uint32_t len, enum ibv_advise_mr_advice advice,
	      uint32_t flags)
{
	struct ibv_sge sge = ht_sge(m, p, len);

	return ibv_advise_mr(m->mr->pd, advice, flags, &sge, 1);
}

void ht_prefetch(const struct ht_mr *m, const void *p, uint32_t len)
{
	ht_ok(ht_advise(m, p, len, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE, IBV_ADVISE_MR_FLAG_FLUSH));
}

static uint64_t counter(const struct ht_dev *d, const char *name)
{
	char path[200];
	long v;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
		 ibv_get_device_name(d->ctx->device), name);
	v = ht_number(path);
	ht_check(v >= 0, "%s: %s", path, strerror(errno));
	return v;
}

void ht_counters(const struct ht_dev *d, const char *const *name, uint64_t *value, size_t n)
{
	/* The core caches the counters for ten milliseconds. */
	ht_sleep_ms(20);
	for (size_t i = 0; i < n; i++)
		value[i] = counter(d, name[i]);
}

uint64_t ht_counter(const struct ht_dev *d, const char *name)
{
	uint64_t v;

	ht_counters(d, &name, &v, 1);
	return v;
}
