// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
#include "pair.h"

#include <stdarg.h>

#define TIMEOUT_MS 10000

void need(bool ok, const char *what)
{
	if (!ok)
		ht_fail("%s: %s", what, strerror(errno));
}

static void say(const char *fmt, va_list args)
{
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

void ht_note(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	va_end(args);
}

void ht_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	exit(2);
}

void ht_fail_at(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(fmt, args);
	exit(2);
}

void ht_checked(void)
{
}

void demo_open(struct ht_pair *p, const char *device)
{
	char *near = strdup(device), *far = near;
	struct ht_conf conf = {
		.depth = 16,
		.sge = 1,
		.timeout = 14,
		.rnr_timer = 12,
		.rd_atomic = 1,
		.access = HT_ACCESS_ALL,
	};

	need(near, "strdup");
	strsep(&far, ",");
	/* The names stay for as long as the program runs. */
	ht_opt.dev = near;
	ht_opt.peer = far ? far : near;
	conf.one_pd = !far;
	ht_pair_get(p, &conf);
}

void demo_reconnect(struct ht_pair *p)
{
	for (int i = 0; i < 2; i++) {
		ht_side_put(&p->s[i]);
		ht_side_drain(&p->s[i]);
	}
	ht_pair_create(p);
	ht_pair_connect(p);
}

int demo_wait(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	return ht_poll_wc(cq, &wc, TIMEOUT_MS) ? (int)wc.status : -ETIMEDOUT;
}

int demo_do_at(struct ht_side *side, const struct ht_wr *w)
{
	int err = ht_post_try(side->qp, w);

	return err ? -err : demo_wait(side->scq);
}

const char *demo_status(int status)
{
	return status < 0 ? strerror(-status) : ibv_wc_status_str(status);
}
