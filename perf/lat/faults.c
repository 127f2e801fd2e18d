// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Page faults of an operation.  They are counted in a few operations apart from
 * the measured ones, which need not suffer from the counting.
 *
 * The device's counters are the truth, where it has them.  Where not, rusage
 * of both processes says what they faulted themselves; what a driver's threads
 * did for them is only in the system's sum (/proc/vmstat), which is therefore
 * told, too, with whatever else the machine did.
 *
 * Where the ends are on two devices, each end's own are told as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared.h"

#define COUNTED 4

struct count {
	uint64_t end[2]; /* by side; of one device, both ends' are the near one's */
	uint64_t system;
};

/* Into static memory: counting must not cause faults. */
static uint64_t system_faults(void)
{
	static char text[32768];
	static int fd = -1;
	const char *p;
	ssize_t n;

	if (fd < 0)
		fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : pread(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = 0;
	p = strstr(text, "\npgfault ");
	return p ? strtoull(p + 9, NULL, 10) : 0;
}

/* False: there is no such counter at one of the ends. */
static bool count(struct rig *g, bool of_device, struct count *c)
{
	struct message m = { .call = CALL_COUNT, .w = { of_device } };

	if (rig_call(g, SIDE_LOCAL, &m))
		return false;
	c->end[SIDE_LOCAL] = m.w[0];
	c->end[SIDE_REMOTE] = 0;
	if (!of_device || !g->one_device) {
		m.w[0] = of_device;
		if (rig_call(g, SIDE_REMOTE, &m))
			return false;
		c->end[SIDE_REMOTE] = m.w[0];
	}
	c->system = of_device ? 0 : system_faults();
	return true;
}

/* @sum += @sign * @c */
static void add(struct count *sum, const struct count *c, int sign)
{
	for (int i = 0; i < 2; i++)
		sum->end[i] += sign * c->end[i];
	sum->system += sign * c->system;
}

static bool operate_once(struct rig *g, struct a_case *c, operate_fn operate,
			 bool before, bool after, bool of_device,
			 struct count *sum)
{
	struct count now = {};
	bool lost[2];
	int status;

	if (is_fleeting(c->reg) &&
	    !case_prepare(g, c, c->reg, case_span(c), lost))
		return false;
	if (!case_receive(g, c, 1))
		return false;
	if (before) {
		count(g, of_device, &now);
		add(sum, &now, -1);
	}
	status = operate(g, c);
	if (status) {
		case_failed(g, c, status);
		return false;
	}
	if (after) {
		count(g, of_device, &now);
		add(sum, &now, 1);
	}
	return true;
}

bool count_faults(struct rig *g, struct a_case *c, operate_fn operate)
{
	double ops = (double)COUNTED * c->shape.count;
	struct count sum = {};
	/* This also brings in what counting touches. */
	bool of_device = count(g, true, &sum);
	/*
	 * A device's counters count operations, but prefetches as well: then
	 * read them around each operation.
	 */
	bool each = !of_device || c->reg == REG_PREFETCHED;

	if (!of_device)
		count(g, false, &sum);
	memset(&sum, 0, sizeof(sum));
	for (int i = 0; i < COUNTED; i++) {
		if (!operate_once(g, c, operate, each || !i,
				  each || i == COUNTED - 1, of_device, &sum))
			return false;
	}
	perf_row_extra(&c->row, "faults_per_op",
		       (sum.end[SIDE_LOCAL] + sum.end[SIDE_REMOTE]) / ops);
	if (of_device && !g->one_device) {
		perf_row_extra(&c->row, "local_faults_per_op",
			       sum.end[SIDE_LOCAL] / ops);
		perf_row_extra(&c->row, "remote_faults_per_op",
			       sum.end[SIDE_REMOTE] / ops);
	}
	if (!of_device)
		perf_row_extra(&c->row, "system_faults_per_op",
			       sum.system / ops);
	c->row.note = of_device ? "faults: counters of the device" :
				  "faults: rusage of the two processes";
	return true;
}
