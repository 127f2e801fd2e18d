// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * What hmm_odp's counters say about a case. The network between the namespaces
 * loses nothing, so no packet is bad, and only a page fault is a reason to send
 * one again.
 */
#include "interop.h"

enum { NEVER, REPEATS, REASONS };

static const struct {
	const char *name;
	int kind;
} counters[] = {
	{ "rx_icrc_encapsulated", NEVER }, { "rx_bad_udp", NEVER },
	{ "rx_bad_short", NEVER },	   { "rx_bad_version", NEVER },
	{ "rx_bad_opcode", NEVER },	   { "rx_bad_pad", NEVER },
	{ "rx_bad_pkey", NEVER },	   { "rx_bad_long", NEVER },
	{ "rx_queue_full", NEVER },	   { "tx_no_route", NEVER },
	{ "tx_too_long", NEVER },	   { "ud_drops", NEVER },
	{ "packets_resent", REPEATS },	   { "duplicate_request", REPEATS },
	{ "out_of_sequence", REPEATS },	   { "seq_naks_sent", REPEATS },
	{ "packet_seq_err", REPEATS },	   { "rnr_naks_sent", REPEATS },
	{ "rnr_nak_retry_err", REPEATS },  { "local_ack_timeout_err", REPEATS },
	{ "page_faults", REASONS },
};

static void read_counters(struct interop *t, int i, uint64_t *to)
{
	const char *names[HT_LEN(counters)];

	for (size_t k = 0; k < HT_LEN(counters); k++)
		names[k] = counters[k].name;
	ht_counters(&t->pair.dev[i], names, to, HT_LEN(counters));
}

void interop_count(struct interop *t)
{
	static uint64_t before[2][HT_LEN(counters)];

	for (int i = 0; i < 2; i++) {
		if (t->c->pair->rxe[i])
			continue;
		t->before[i] = before[i];
		read_counters(t, i, before[i]);
	}
}

void interop_check_counters(struct interop *t)
{
	uint64_t now[2][HT_LEN(counters)] = {}, faults = 0, n;

	for (int i = 0; i < 2; i++) {
		if (!t->before[i])
			continue;
		read_counters(t, i, now[i]);
		for (size_t k = 0; k < HT_LEN(counters); k++) {
			now[i][k] -= t->before[i][k];
			if (counters[k].kind == REASONS)
				faults += now[i][k];
		}
	}
	for (int i = 0; i < 2; i++) {
		for (size_t k = 0; k < HT_LEN(counters); k++) {
			n = now[i][k];
			if (!n || counters[k].kind == REASONS)
				continue;
			ht_note("%s: %s %" PRIu64 ", with %" PRIu64 " page faults",
				ibv_get_device_name(t->pair.dev[i].ctx->device), counters[k].name,
				n, faults);
			ht_check(counters[k].kind == REPEATS && faults, "%s has grown by %" PRIu64,
				 counters[k].name, n);
		}
	}
	/* Cold memory must have been faulted in, and hot memory by no transfer. */
	if (t->c->memory->cold)
		ht_true(faults > 0);
}
