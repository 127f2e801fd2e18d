// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the module's rules of order together, in user space: a requester
 * and a responder that are little more than wire.c, message.c and sent.c talk over
 * a network that loses, repeats and reorders packets.  Every operation must end,
 * in order, and be executed exactly once.
 */
#include "kernel_shim.h"
#include "aeth.h"
#include "message.h"
#include "sent.h"
#include "unit.h"

#define MTU 256U
#define OPS 24
#define WINDOW 12 /* operations */
#define SLOTS 8192 /* packets */
#define FIRST_PSN 0xfffff0U

/* An operation of the requester, and what the responder has done of it. */
struct op {
	u8 kind;
	u32 length;
	u32 psn;
	u32 psns;
	struct hodp_response r;
	u32 bytes; /* taken by the responder */
	u32 ends; /* last packets taken by the responder */
};

/* Bodies on their way in one direction. */
struct line {
	u8 body[SLOTS][HODP_WIRE_HEADERS_MAX + MTU + HODP_WIRE_ICRC];
	u32 len[SLOTS];
	u32 head, tail;
};

static struct line request_line, response_line;
static struct op op[OPS];
static struct hodp_message m;
static u32 done, at_op, at_packet, next_psn;
static bool asked_again, nak_sent;
static u32 loss; /* percent, and as much repeated and reordered */
static u64 seed;

static u32 below(u32 n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 32) % n;
}

static bool chance(void)
{
	return below(100) < loss;
}

static void push(struct line *l, const struct hodp_wire_packet *k)
{
	u32 i = l->tail++ % SLOTS;

	CHECK(l->tail - l->head <= SLOTS);
	l->len[i] = hodp_wire_len(k->row, k->payload);
	hodp_wire_put(l->body[i], k);
}

static void transmit(struct line *l, const struct hodp_wire_packet *k)
{
	if (chance())
		return;
	push(l, k);
	if (chance())
		push(l, k);
}

/* The next body, or the one after it. */
static bool receive(struct line *l, struct hodp_wire_packet *k)
{
	u32 a = l->head % SLOTS, b = (l->head + 1) % SLOTS, i = a;

	if (l->head == l->tail)
		return false;
	if (l->tail - l->head > 1 && chance())
		i = b;
	CHECK(hodp_wire_parse(l->body[i], l->len[i], k) == HODP_WIRE_OK);
	if (i == b) {
		memcpy(l->body[b], l->body[a], sizeof(l->body[a]));
		l->len[b] = l->len[a];
	}
	l->head++;
	return true;
}

/* ---- the responder ---- */

static void respond(u8 kind, u8 place, u32 psn, u32 payload, u8 syndrome)
{
	struct hodp_wire_packet k = {
		.row = hodp_wire_find(HODP_WIRE_RC, kind, place, 0),
		.psn = psn,
		.payload = payload,
		.syndrome = syndrome,
	};

	transmit(&response_line, &k);
}

static void respond_read(u32 psn, u32 length)
{
	u32 num = hodp_message_packets(length, MTU);

	for (u32 i = 0; i < num; i++) {
		u8 place = (i == 0 ? HODP_WIRE_FIRST : 0) |
			   (i == num - 1 ? HODP_WIRE_LAST : 0);

		respond(HODP_WIRE_READ_RESPONSE, place, hodp_psn_add(psn, i),
			i == num - 1 ? length - i * MTU : MTU, 0x1f);
	}
}

/* Answer a request that has been executed, now or before. */
static void respond_request(const struct hodp_wire_packet *k, u32 ack_psn)
{
	if (k->row->kind == HODP_WIRE_READ)
		respond_read(k->psn, k->length);
	else if (k->row->kind == HODP_WIRE_FETCH_ADD)
		respond(HODP_WIRE_ATOMIC_ACK, HODP_WIRE_ONLY, k->psn, 0, 0x1f);
	else if (k->row->place & HODP_WIRE_LAST)
		respond(HODP_WIRE_ACK, HODP_WIRE_ONLY, ack_psn, 0, 0x1f);
}

static struct op *find(u32 psn)
{
	for (u32 i = 0; i < OPS; i++)
		if (hodp_psn_within(psn, op[i].psn,
				    hodp_psn_add(op[i].psn, op[i].psns)))
			return &op[i];
	return NULL;
}

static void responder(const struct hodp_wire_packet *k)
{
	struct op *o = find(k->psn);

	switch (hodp_message_check_rc(&m, k, MTU)) {
	case HODP_RC_NEXT:
		CHECK(o && o->kind == k->row->kind);
		o->bytes += k->payload;
		o->ends += !!(k->row->place & HODP_WIRE_LAST);
		hodp_message_take(&m, k, MTU);
		nak_sent = false;
		respond_request(k, k->psn);
		break;
	case HODP_RC_DUPLICATE:
		respond_request(k, hodp_psn_add(m.expected, -1));
		break;
	case HODP_RC_GAP:
		if (!nak_sent)
			respond(HODP_WIRE_ACK, HODP_WIRE_ONLY, m.expected, 0,
				hodp_aeth_syndrome(HODP_AETH_NAK,
						   HODP_NAK_SEQUENCE));
		nak_sent = true;
		break;
	default:
		CHECK(!"an invalid request");
	}
}

/* ---- the requester ---- */

/* Send the packet at at_op and at_packet, and step on. */
static void request(void)
{
	struct op *o = &op[at_op];
	bool read = o->kind == HODP_WIRE_READ;
	u32 packets = read ? 1 : o->psns, i = at_packet;
	bool last = i == packets - 1;
	struct hodp_wire_packet k = {
		.row = hodp_wire_find(HODP_WIRE_RC, o->kind,
				      (i == 0 ? HODP_WIRE_FIRST : 0) |
					      (last ? HODP_WIRE_LAST : 0),
				      0),
		.psn = read ? o->r.next : hodp_psn_add(o->psn, i),
		.length = read ? o->r.left : o->length,
	};
	u32 end = hodp_psn_add(o->psn, read ? o->psns : i + 1);

	if (k.row->data)
		k.payload = last ? o->length - i * MTU : MTU;
	transmit(&request_line, &k);
	if (hodp_psn_after(end, next_psn))
		next_psn = end;
	at_packet++;
	if (last) {
		at_op++;
		at_packet = 0;
	}
}

/* Send again from packet @i of an operation. */
static void rewind_to(u32 o, u32 i)
{
	at_op = o;
	at_packet = op[o].kind == HODP_WIRE_READ ? 0 : i;
	if (op[o].kind == HODP_WIRE_READ)
		hodp_response_again(&op[o].r);
}

/* Once, until there is progress: the network is full of later packets. */
static void lost(void)
{
	if (!asked_again)
		rewind_to(done, 0);
	asked_again = true;
}

static void advance(u32 num)
{
	done += num;
	asked_again &= !num;
	if (at_op < done) {
		at_op = done;
		at_packet = 0;
	}
}

static void response_data(const struct hodp_wire_packet *k)
{
	struct op *o = &op[done];

	if (o->kind != HODP_WIRE_READ) {
		advance(1);
		return;
	}
	switch (hodp_response_check(&o->r, k, MTU)) {
	case HODP_RESPONSE_NEXT:
		hodp_response_take(&o->r, k);
		if (k->row->place & HODP_WIRE_LAST)
			advance(1);
		break;
	case HODP_RESPONSE_LOST:
		lost();
		break;
	case HODP_RESPONSE_BAD:
		CHECK(!"a bad READ response");
		break;
	default:
		break;
	}
}

static void requester(const struct hodp_wire_packet *k)
{
	struct hodp_sent sent[OPS];
	u32 completed;
	enum hodp_sent_answer answer;

	for (u32 i = done; i < OPS; i++) {
		struct hodp_sent *s = &sent[i - done];
		bool read = op[i].kind == HODP_WIRE_READ;

		s->first_psn = read ? op[i].r.next : op[i].psn;
		s->last_psn = hodp_psn_add(op[i].psn, op[i].psns - 1);
		s->answer = read ? HODP_WIRE_READ_RESPONSE :
			    op[i].kind == HODP_WIRE_FETCH_ADD ?
				   HODP_WIRE_ATOMIC_ACK :
				   HODP_WIRE_ACK;
	}
	answer = hodp_sent_answered(sent, OPS - done, next_psn, k, &completed);
	advance(completed);
	if (answer == HODP_SENT_DATA)
		response_data(k);
	else if (answer == HODP_SENT_LOST)
		lost();
	else if (answer == HODP_SENT_NAK)
		rewind_to(done, hodp_psn_diff(k->psn, op[done].psn));
	else
		CHECK(answer != HODP_SENT_BAD);
}

/* ---- conversations ---- */

static void prepare(void)
{
	static const u8 kinds[] = { HODP_WIRE_SEND, HODP_WIRE_WRITE,
				    HODP_WIRE_READ, HODP_WIRE_FETCH_ADD };
	u32 psn = FIRST_PSN;

	memset(op, 0, sizeof(op));
	memset(&m, 0, sizeof(m));
	m.expected = psn;
	next_psn = psn;
	done = 0;
	at_op = 0;
	at_packet = 0;
	asked_again = false;
	nak_sent = false;
	for (u32 i = 0; i < OPS; i++) {
		struct op *o = &op[i];

		o->kind = kinds[below(4)];
		if (o->kind != HODP_WIRE_FETCH_ADD)
			o->length = below(3) ? below(5 * MTU) : MTU * below(5);
		o->psn = psn;
		o->psns = hodp_message_packets(o->length, MTU);
		o->r.start = psn;
		o->r.next = psn;
		o->r.left = o->length;
		psn = hodp_psn_add(psn, o->psns);
	}
}

static void converse(void)
{
	struct hodp_wire_packet k;
	u32 step;

	prepare();
	for (step = 0; step < 100000 && done < OPS; step++) {
		bool quiet = true;

		if (at_op < OPS && at_op < done + WINDOW) {
			request();
			quiet = false;
		}
		if (below(2) && receive(&request_line, &k)) {
			responder(&k);
			quiet = false;
		}
		if (done < OPS && below(2) && receive(&response_line, &k)) {
			requester(&k);
			quiet = false;
		}
		/* A timeout: nothing is on its way. */
		if (quiet && done < OPS &&
		    request_line.head == request_line.tail &&
		    response_line.head == response_line.tail) {
			asked_again = false;
			rewind_to(done, 0);
		}
	}
	CHECK(done == OPS);
	request_line.head = request_line.tail;
	response_line.head = response_line.tail;
	for (u32 i = 0; i < OPS; i++) {
		bool moves = op[i].kind == HODP_WIRE_SEND ||
			     op[i].kind == HODP_WIRE_WRITE;

		CHECK(op[i].ends == 1);
		CHECK(op[i].bytes == (moves ? op[i].length : 0));
		if (op[i].kind == HODP_WIRE_READ)
			CHECK(op[i].r.left == 0);
	}
}

static void network(u32 percent)
{
	loss = percent;
	for (u32 run = 1; run <= 300 && !unit_failed; run++) {
		seed = 0x9e3779b97f4a7c15 * run + percent;
		converse();
		if (unit_failed)
			printf("# run %u, %u %%\n", run, percent);
	}
}

static void test_good(void)
{
	network(0);
}

static void test_bad(void)
{
	network(2);
	network(10);
	network(30);
}

static const struct unit_case cases[] = {
	{ "operations are executed once on a good network", test_good },
	{ "operations are executed once on a bad network", test_bad },
};

int main(void)
{
	unit_cases(cases, ARRAY_LEN(cases));
	return unit_end();
}
