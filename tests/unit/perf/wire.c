// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* What ends tell each other before they are connected. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iwarp.h"
#include "shared.h"
#include "unit.h"

static void sockets(int s[2])
{
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
}

static void unsocket(int s[2])
{
	close(s[0]);
	close(s[1]);
}

static void call_arrives(void)
{
	struct message m = { .call = CALL_CHECK, .err = 5, .why = "because" };
	struct message got;
	int s[2];

	for (int i = 0; i < WORDS; i++)
		m.w[i] = 0x0123456789abcdefULL << i;
	memset(&got, 0xee, sizeof(got));
	sockets(s);
	CHECK(wire_send(s[0], &m) && wire_receive(s[1], &got));
	CHECK(got.call == m.call && got.err == m.err);
	CHECK(!memcmp(got.w, m.w, sizeof(m.w)));
	CHECK(!strcmp(got.why, m.why));
	unsocket(s);
}

/* Every field has a value of its own, with all of its bits used. */
static void address_arrives(void)
{
	const struct perf_qp_address a = {
		.qpn = 0xfedcba98,
		.psn = 0x89abcdef,
		.gid.raw = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
			     0xf0 },
		.lid = 0xfffe,
		.rd_atomic = 0xf00f,
		.port = 0xc0de,
		.mtu = 0x8005,
	};
	struct message m = { .call = CALL_QP }, got;
	struct perf_qp_address b;
	int s[2];

	sockets(s);
	wire_put_address(&m, &a);
	CHECK(wire_send(s[0], &m) && wire_receive(s[1], &got));
	memset(&b, 0xee, sizeof(b));
	wire_get_address(&got, &b);
	CHECK(a.qpn == b.qpn && a.psn == b.psn);
	CHECK(!memcmp(&a.gid, &b.gid, sizeof(a.gid)));
	CHECK(a.lid == b.lid && a.rd_atomic == b.rd_atomic);
	CHECK(a.port == b.port && a.mtu == b.mtu);
	unsocket(s);
}

/* The GID's bytes are the same on machines of either byte order. */
static void address_bytes(void)
{
	struct perf_qp_address a = { .port = 0x1234 };
	struct message m = {};
	uint8_t frame[200], *words = frame + 4 + 16;
	int s[2];

	for (int i = 0; i < 16; i++)
		a.gid.raw[i] = 0x10 + i;
	sockets(s);
	wire_put_address(&m, &a);
	CHECK(wire_send(s[0], &m));
	CHECK(recv(s[1], frame, sizeof(frame), 0) == sizeof(frame));
	CHECK(!memcmp(words + 2 * 8, a.gid.raw, 16));
	CHECK(words[6 * 8 + 6] == 0x12 && words[6 * 8 + 7] == 0x34);
	unsocket(s);
}

/* As an older version would send, or another program. */
static void other_length(void)
{
	uint8_t frame[300] = { 0, 0, 1, 0 };
	struct message got;
	int s[2];

	sockets(s);
	CHECK(send(s[0], frame, sizeof(frame), 0) == sizeof(frame));
	errno = 0;
	CHECK(!wire_receive(s[1], &got) && errno == EPROTO);
	unsocket(s);
}

static void greeting(void)
{
	struct perf_greeting g, other;
	uint8_t longer[sizeof(g) + 20] = {};
	uint32_t qpn = 0;

	perf_greet(&g, 0x00c0ffee);
	CHECK(!memcmp((uint8_t *)&g + 8, "\0\xc0\xff\xee", 4));
	CHECK(perf_greeted(&g, sizeof(g), &qpn) && qpn == 0x00c0ffee);
	/* Some devices pad what they deliver. */
	memcpy(longer, &g, sizeof(g));
	CHECK(perf_greeted(longer, sizeof(longer), &qpn));
	CHECK(!perf_greeted(&g, sizeof(g) - 1, &qpn));
	CHECK(!perf_greeted(NULL, 0, &qpn));
	for (size_t i = 0; i < sizeof(g.word); i++) {
		other = g;
		other.word[i] ^= 1;
		CHECK(!perf_greeted(&other, sizeof(other), &qpn));
	}
}

const struct unit_case wire_cases[] = {
	{ "a call arrives as it was sent", call_arrives },
	{ "a queue pair's address arrives as it was sent", address_arrives },
	{ "an address has the same bytes on every machine", address_bytes },
	{ "a message of another length is another protocol", other_length },
	{ "a greeting names a queue pair; nothing else is one", greeting },
};
const size_t num_wire_cases = ARRAY_LEN(wire_cases);
