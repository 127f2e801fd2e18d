// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* How a process reports its outcome. */
#include <stdarg.h>
#include <stdio.h>

#include "scale.h"

void fail(struct outcome *out, const char *format, ...)
{
	va_list ap;

	if (*out->why)
		return;
	va_start(ap, format);
	vsnprintf(out->why, sizeof(out->why), format, ap);
	va_end(ap);
}
