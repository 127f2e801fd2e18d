// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A QEMU plugin that counts the guest's instructions by address, between two
 * marks that a program of the guest sets by calling its own empty functions.
 *
 *   -plugin plugin.so,out=FILE,on=ADDRESS,off=ADDRESS,next=ADDRESS
 *
 * Counting is on from a call of "on" to the next of "off"; "next" begins the
 * next phase.  At QEMU's end FILE has a line per phase and block of code:
 *
 *   PHASE ADDRESS INSTRUCTIONS TIMES
 *
 * A block is what QEMU translates at once: code up to a branch, so it belongs
 * to one function.  One that an exception leaves early counts in full.
 *
 * Counting does not disturb what is counted: it happens outside the guest.
 *
 * The few functions of QEMU that are needed are declared here, since no Debian
 * package has the header.  They are the same from QEMU 7 on; the version that
 * QEMU wants to see is not, see VERSION in the Makefile.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_info;
enum cb_flags { CB_NO_REGS };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*cb)(plugin_id,
						      struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*cb)(unsigned int, void *),
					  enum cb_flags flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id, void *),
				    void *data);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED int qemu_plugin_version = VERSION;
EXPORTED int qemu_plugin_install(plugin_id id, const struct qemu_info *info,
				 int argc, char **argv);

#define PHASES 32

/* Code that was translated; kept for ever, since callbacks point to it. */
struct block {
	struct block *next;
	uint64_t address;
	uint64_t instructions;
	uint64_t times[PHASES];
};

static struct block *blocks;
static uint64_t mark_on, mark_off, mark_next;
static bool counting;
static int phase;
static char out[512];

static void executed(unsigned int cpu, void *data)
{
	struct block *b = data;

	if (counting)
		b->times[phase]++;
}

static void marked(unsigned int cpu, void *data)
{
	struct block *b = data;

	if (b->address == mark_next && phase + 1 < PHASES)
		phase++;
	counting = b->address == mark_on;
}

static bool is_mark(uint64_t address)
{
	return address == mark_on || address == mark_off ||
	       address == mark_next;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		return;
	b->address = qemu_plugin_tb_vaddr(tb);
	b->instructions = qemu_plugin_tb_n_insns(tb);
	b->next = blocks;
	blocks = b;
	qemu_plugin_register_vcpu_tb_exec_cb(
		tb, is_mark(b->address) ? marked : executed, CB_NO_REGS, b);
}

static void at_exit(plugin_id id, void *data)
{
	FILE *f = fopen(out, "w");

	if (!f) {
		perror(out);
		return;
	}
	for (struct block *b = blocks; b; b = b->next)
		for (int p = 0; p <= phase; p++)
			if (b->times[p])
				fprintf(f, "%d %llx %llu %llu\n", p,
					(unsigned long long)b->address,
					(unsigned long long)b->instructions,
					(unsigned long long)b->times[p]);
	fclose(f);
}

/* strtoull() of a new libc is not one that an older QEMU's libc has. */
static uint64_t hexadecimal(const char *s)
{
	uint64_t n = 0;

	for (s += strncmp(s, "0x", 2) ? 0 : 2; *s; s++)
		n = n * 16 + (*s <= '9' ? *s - '0' : (*s | 32) - 'a' + 10);
	return n;
}

static void argument(const char *a)
{
	const char *value = strchr(a, '=');

	if (!value)
		return;
	value++;
	if (!strncmp(a, "out=", 4))
		snprintf(out, sizeof(out), "%s", value);
	else if (!strncmp(a, "on=", 3))
		mark_on = hexadecimal(value);
	else if (!strncmp(a, "off=", 4))
		mark_off = hexadecimal(value);
	else if (!strncmp(a, "next=", 5))
		mark_next = hexadecimal(value);
}

int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc,
			char **argv)
{
	for (int i = 0; i < argc; i++)
		argument(argv[i]);
	if (!*out || !mark_on || !mark_off || !mark_next) {
		fprintf(stderr, "plugin: want out, on, off and next\n");
		return 1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, at_exit, NULL);
	return 0;
}
