// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What the kernel holds for processes, before and after. */
#include <sys/wait.h>

#include "kill.h"

static char before[400];

void ledger_open(void)
{
	ht_ledger(before, sizeof(before), false);
	board = ht_map_shared(sizeof(*board));
}

void ledger_close(const char *when)
{
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS / 2);
	char now[400];

	for (;;) {
		ht_ledger(now, sizeof(now), false);
		if (!strcmp(now, before))
			break;
		if (ht_over(deadline)) {
			ht_note("before: %s", before);
			ht_note("after: %s", now);
			ht_fail("%s: something is left", when);
		}
		ht_sleep_ms(50);
	}
	ht_checked();
}

void ledger_note(const char *when)
{
	char now[400];

	ht_ledger(now, sizeof(now), false);
	for (char *p = now; *p; p++)
		if (*p == '\n')
			*p = ' ';
	ht_note("%s: %s", when, now);
}

static void state_of(pid_t pid, char *line, size_t size)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (f && fgets(line, size, f) && strncmp(line, "State:", 6))
		;
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = 0;
}

void gone(pid_t pid, int status, const char *what)
{
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS / 2);
	char line[200] = "State: ?";
	int got;

	while (waitpid(pid, &got, WNOHANG) == 0) {
		if (ht_over(deadline)) {
			state_of(pid, line, sizeof(line));
			ht_fail("%s does not go (%s)", what, line);
		}
		ht_sleep_ms(1);
	}
	ht_check(got == status, "%s: wait status 0x%x, not 0x%x", what, got, status);
}
