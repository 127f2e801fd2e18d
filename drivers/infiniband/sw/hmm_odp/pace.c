// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* The pace of a requester: model in pace.h. */
#include "pace.h"

void hodp_pace_init(struct hodp_pace *p)
{
	*p = (struct hodp_pace){
		.window = HODP_PACE_MAX,
		.alpha = HODP_PACE_ALPHA_ONE,
	};
}

/* ---- the window ---- */

static void hodp_pace_shrink(struct hodp_pace *p, u32 by, u32 least)
{
	p->shrunk = true;
	if (p->window <= least)
		return;
	by = by ? by : 1;
	p->window = p->window - least > by ? p->window - by : least;
}

void hodp_pace_mark(struct hodp_pace *p)
{
	if (p->marked)
		return;
	p->marked = true;
	if (!p->shrunk)
		hodp_pace_shrink(
			p, p->window * p->alpha / (2 * HODP_PACE_ALPHA_ONE), 1);
}

void hodp_pace_loss(struct hodp_pace *p)
{
	if (!p->shrunk)
		hodp_pace_shrink(p, p->window / 8, HODP_PACE_LOSSY);
}

void hodp_pace_silence(struct hodp_pace *p)
{
	hodp_pace_shrink(p, p->window / 2, 1);
}

void hodp_pace_round(struct hodp_pace *p)
{
	u32 one = HODP_PACE_ALPHA_ONE;

	if (p->marked)
		p->alpha += (one - p->alpha) >> HODP_PACE_ALPHA_SHIFT;
	else
		p->alpha -= p->alpha >> HODP_PACE_ALPHA_SHIFT;
	if (!p->shrunk && p->limited && p->window < HODP_PACE_MAX)
		p->window++;
	p->marked = false;
	p->shrunk = false;
	p->limited = false;
}

/* ---- time ---- */

void hodp_pace_sample(struct hodp_pace *p, u64 ns)
{
	if (!p->rtt)
		p->rtt = ns;
	else
		p->rtt = p->rtt - p->rtt / 8 + ns / 8;
}

void hodp_pace_begin(struct hodp_pace *p, u64 timeout, bool early)
{
	u64 wait = hodp_pace_early(p, timeout);

	if (!timeout && wait > HODP_PACE_PATIENCE)
		wait = HODP_PACE_PATIENCE;
	p->waited = 0;
	p->wait = early && (!timeout || wait < timeout / 2) ? wait : timeout;
}

bool hodp_pace_passed(struct hodp_pace *p, u64 timeout)
{
	u64 most = HODP_PACE_PATIENCE;

	p->waited += p->wait;
	if (timeout) {
		if (p->waited >= timeout)
			return true;
		most = timeout - p->waited;
	}
	/* None is shorter than the one before, not even the last. */
	if (most <= 2 * p->wait)
		p->wait = most;
	else if (most < 4 * p->wait)
		p->wait = most / 2;
	else
		p->wait *= 2;
	return false;
}

void hodp_pace_sign(struct hodp_pace *p, u64 timeout)
{
	p->waited = 0;
	if (p->wait)
		p->wait = timeout ? timeout : HODP_PACE_PATIENCE;
}
