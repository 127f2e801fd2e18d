// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * hodp_ktest: loading it runs the tests, on the device that the parameter
 * names, and prints KTAP to the kernel log; tests/kernel/verbs takes it from
 * there.  It stays loaded, idle, so that unloading is tested, too.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>
#include "ktest.h"

MODULE_DESCRIPTION("Tests of the verbs that kernel consumers use");
MODULE_AUTHOR("The hmm_odp authors");
MODULE_LICENSE("Dual BSD/GPL");

static char *device = "hodp0";
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "the device to test");

static char *only = "";
module_param(only, charp, 0444);
MODULE_PARM_DESC(only, "run the cases whose names have this in them");

static const struct kt_case *const kt_files[] = {
	kt_data_cases,	kt_post_cases,	kt_reg_cases,
	kt_inval_cases, kt_drain_cases, kt_race_cases,
};

bool kt_fail(struct kt *t, const char *where, int line, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	pr_info("# %s:%d: %pV\n", where, line, &vaf);
	va_end(args);
	t->failed = true;
	return false;
}

/* ---- the device ---- */

static struct ib_device *kt_device;

static int kt_client_add(struct ib_device *dev)
{
	/* Removing the device waits until the reference is dropped. */
	if (strcmp(dev_name(&dev->dev), device) || !ib_device_try_get(dev))
		return -EOPNOTSUPP;
	kt_device = dev;
	return 0;
}

static struct ib_client kt_client = {
	.name = KBUILD_MODNAME,
	.add = kt_client_add,
};

static int kt_find_device(void)
{
	int ret = ib_register_client(&kt_client);

	if (ret)
		return ret;
	ib_unregister_client(&kt_client);
	return kt_device ? 0 : -ENODEV;
}

/* ---- what all cases share ---- */

static void kt_teardown(struct kt *t)
{
	int i;

	for (i = 0; i < KT_MEMS; i++)
		kt_mem_free(t, &t->mem[i]);
	if (t->pd2)
		ib_dealloc_pd(t->pd2);
	if (t->pd)
		ib_dealloc_pd(t->pd);
	kfree(t);
}

static struct ib_pd *kt_setup_pd(struct ib_device *dev, int flags)
{
	struct ib_pd *pd = ib_alloc_pd(dev, flags);

	return IS_ERR(pd) ? NULL : pd;
}

static struct kt *kt_setup(struct ib_device *dev)
{
	struct kt *t = kzalloc_obj(*t, GFP_KERNEL);
	int i, ret = 0;

	if (!t)
		return ERR_PTR(-ENOMEM);
	t->dev = dev;
	t->pd = kt_setup_pd(dev, IB_PD_UNSAFE_GLOBAL_RKEY);
	t->pd2 = kt_setup_pd(dev, 0);
	if (!t->pd || !t->pd2)
		ret = -ENOMEM;
	for (i = 0; i < KT_MEMS && !ret; i++)
		ret = kt_mem_alloc(t, &t->mem[i], KT_MEM_BYTES);
	if (ret) {
		kt_teardown(t);
		return ERR_PTR(ret);
	}
	return t;
}

/* ---- running ---- */

static void kt_run_case(struct kt *t, const struct kt_case *c)
{
	int i;

	t->failed = false;
	t->arg = c->arg;
	t->wrs = 0;
	atomic_set(&t->clock, 0);
	for (i = 0; i < KT_MEMS; i++)
		kt_mem_fill(t, &t->mem[i]);
	kt_pair_open(t, &t->main, t->pd, c->opts);
	kt_region_alloc(t, &t->region, t->pd, KT_PIECES);
	if (!t->failed)
		c->run(t);
	kt_region_free(t, &t->region);
	kt_region_free(t, &t->foreign);
	kt_pair_close(t, &t->main);
	kt_pair_close(t, &t->other);
	for (i = 0; i < KT_MEMS; i++)
		kt_mem_check(t, &t->mem[i]);
	for (i = 0; i < t->wrs; i++)
		KT_CHECK(t, atomic_read(&t->wr[i].calls) <= 1,
			 "request %d completed %d times", i,
			 atomic_read(&t->wr[i].calls));
}

static void kt_run(struct kt *t)
{
	const struct kt_case *c;
	int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(kt_files); i++) {
		for (c = kt_files[i]; c->name; c++) {
			unsigned long start = jiffies;

			if (!strstr(c->name, only))
				continue;
			/* If the case never returns, this names it. */
			pr_info("# begin %s\n", c->name);
			kt_run_case(t, c);
			pr_info("%sok %d - %s # %u ms\n",
				t->failed ? "not " : "", ++n, c->name,
				jiffies_to_msecs(jiffies - start));
		}
	}
	pr_info("1..%d\n", n);
}

static int __init kt_init(void)
{
	struct kt *t;
	int ret;

	ret = kt_find_device();
	if (ret) {
		pr_info("Bail out! no device \"%s\"\n", device);
		return ret;
	}
	t = kt_setup(kt_device);
	if (IS_ERR(t)) {
		pr_info("Bail out! what every case needs: %pe\n", t);
		ret = PTR_ERR(t);
	} else {
		kt_run(t);
		kt_teardown(t);
	}
	ib_device_put(kt_device);
	return ret;
}

static void __exit kt_exit(void)
{
}

module_init(kt_init);
module_exit(kt_exit);
