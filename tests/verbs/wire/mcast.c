// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Multicast between two devices whose netdevs are in two network namespaces: who gets
 * a datagram, its GRH, and what the netdev joins.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "packet.h"
#include "wire.h"

#define LEN (64 * HT_KIB)
#define ROOM 2048 /* of a receive */
#define MEMBERS 3
#define BYTES 1001
#define HOPS 5

static const struct ht_conf conf = { .type = IBV_QPT_UD };
static struct ht_pair p;
static struct ht_side s[MEMBERS + 1]; /* on the receiving device; one CQ */
static struct ht_mr mr[2];
static uint8_t *buf[2];

static const union ibv_gid ipv4 = { .raw = { [10] = 0xff, 0xff, 239, 79, 1, 2 } };
static const union ibv_gid alias = { .raw = { 0xff, 0x0e, [10] = 0xff, 0xff, 239, 79, 1, 2 } };
static const union ibv_gid other = { .raw = { [10] = 0xff, 0xff, 239, 79, 1, 3 } };
static const union ibv_gid ipv6 = { .raw = { 0xff, 0x0e, [11] = 0x79, [15] = 0x12 } };

static void setup(void)
{
	ht_pair_get(&p, &conf);
	ht_buffers(&p, buf, mr, LEN, 700, IBV_ACCESS_LOCAL_WRITE);
	for (int i = 0; i <= MEMBERS; i++) {
		ht_side_clone(&s[i], &p.s[1], &conf);
		ht_connect(&s[i], &conf, NULL);
		ht_recv(&s[i], i, &mr[1], buf[1] + i * ROOM, ROOM);
	}
}

/* Is the netdev of the receiving device in the group? */
static void joined(const char *group, bool want)
{
	wire_run(2, "sh -c '%s ip maddr show dev hodp-ns2 | grep -qw %s'", want ? "" : "!", group);
}

/* A datagram from the first device, by the GID with index @sgid. */
static void send_to(const union ibv_gid *group, int sgid)
{
	struct ibv_ah_attr attr;
	struct ibv_ah *ah;
	struct ht_wr w;

	ht_ah_attr(&attr, &p.s[0], group);
	attr.grh.sgid_index = sgid;
	attr.grh.hop_limit = HOPS;
	attr.grh.traffic_class = 0x20;
	ah = ibv_create_ah(p.s[0].pd, &attr);
	ht_check(ah, "ibv_create_ah: %s", strerror(errno));
	w = ht_ud_wr(1, &mr[0], buf[0] + 3, BYTES, ah, 0xffffff);
	w.op = IBV_WR_SEND_WITH_IMM;
	w.imm = htobe32(0x01020304);
	ht_do(&p.s[0], &w);
	ht_ok(ibv_destroy_ah(ah));
}

/* Member @i has the datagram, and no byte behind it has changed. */
static void got(int i, const struct ibv_wc *wc)
{
	uint8_t *at = buf[1] + i * ROOM;

	ht_eq(wc->status, IBV_WC_SUCCESS);
	ht_eq(wc->byte_len, HT_GRH + BYTES);
	ht_eq(wc->src_qp, p.s[0].qp->qp_num);
	ht_eq(wc->wc_flags, IBV_WC_GRH | IBV_WC_WITH_IMM);
	ht_eq(be32toh(wc->imm_data), 0x01020304);
	ht_check_fill(at + HT_GRH, BYTES, 700, 3, "datagram");
	ht_check_fill(at + HT_GRH + BYTES, ROOM - HT_GRH - BYTES, 701, i * ROOM + HT_GRH + BYTES,
		      "bytes behind it");
}

/* The next completions are of the members in @who, in any order; then there is none. */
static void who_got(unsigned int who)
{
	struct ibv_wc wc;

	for (unsigned int left = who; left;) {
		ht_next_wc(p.s[1].rcq, &wc, "of a member");
		ht_check(wc.wr_id <= MEMBERS && left & 1U << wc.wr_id, "receive %d completes",
			 (int)wc.wr_id);
		left &= ~(1U << wc.wr_id);
		got(wc.wr_id, &wc);
	}
	ht_no_wc(p.s[1].rcq, 20);
	for (int i = 0; i <= MEMBERS; i++) {
		if (who & 1U << i)
			ht_recv(&s[i], i, &mr[1], buf[1] + i * ROOM, ROOM);
		else
			ht_check_fill(buf[1] + i * ROOM, ROOM, 701, i * ROOM,
				      "memory of who gets nothing");
	}
	ht_fill(buf[1], LEN, 701, 0);
}

static void attach(int i, const union ibv_gid *group)
{
	ht_ok(ibv_attach_mcast(s[i].qp, group, 0));
}

static void detach(int i, const union ibv_gid *group)
{
	ht_ok(ibv_detach_mcast(s[i].qp, group, 0));
}

static void wire_mcast_ipv4(const void *arg)
{
	static const uint8_t zero[20];
	struct ibv_wc wc;
	uint8_t ip[20];

	setup();
	joined("239.79.1.2", false);
	attach(0, &ipv4);
	joined("239.79.1.2", true);
	send_to(&ipv4, p.dev[0].gid_index);
	ht_want_wc(p.s[1].rcq, &wc, 0, IBV_WC_SUCCESS);
	memcpy(ip, buf[1] + 20, 20);
	ht_check_bytes(buf[1], zero, 20, "the first half of the GRH");
	ht_eq(ip[0], 0x45);
	ht_eq(ip[1], 0x20);
	/* IP 20, UDP 8, BTH 12, DETH 8, immediate 4, padding 3, ICRC 4. */
	ht_eq(ip[2] << 8 | ip[3], 20 + 8 + 12 + 8 + 4 + BYTES + 3 + 4);
	ht_eq(ip[8], HOPS);
	ht_eq(ip[9], IPPROTO_UDP);
	ht_check_bytes(ip + 12, p.dev[0].gid.raw + 12, 4, "the source address");
	ht_check_bytes(ip + 16, ipv4.raw + 12, 4, "the group's address");
	got(0, &wc);
	ht_no_wc(p.s[1].rcq, 20);
	detach(0, &ipv4);
	joined("239.79.1.2", false);
}

static void wire_mcast_ipv6(const void *arg)
{
	static const union ibv_gid from = { .raw = { 0xfd, 0x79, [15] = 1 } };
	struct ibv_wc wc;
	uint8_t ip[40];

	setup();
	joined("ff0e::79:0:12", false);
	attach(0, &ipv6);
	joined("ff0e::79:0:12", true);
	send_to(&ipv6, wire_gid(&p.dev[0], &from));
	ht_want_wc(p.s[1].rcq, &wc, 0, IBV_WC_SUCCESS);
	memcpy(ip, buf[1], 40);
	ht_eq(ip[0] << 8 | ip[1], 0x6200);
	ht_eq(ip[4] << 8 | ip[5], 8 + 12 + 8 + 4 + BYTES + 3 + 4);
	ht_eq(ip[6], IPPROTO_UDP);
	ht_eq(ip[7], HOPS);
	ht_check_bytes(ip + 8, from.raw, 16, "the source address");
	ht_check_bytes(ip + 24, ipv6.raw, 16, "the group's address");
	got(0, &wc);
	ht_no_wc(p.s[1].rcq, 20);
	detach(0, &ipv6);
	joined("ff0e::79:0:12", false);
}

static void join_and_wait(void *arg)
{
	setup();
	attach(0, &ipv4);
	attach(1, &ipv6);
	ht_eq(write(*(int *)arg, "j", 1), 1);
	for (;;)
		pause();
}

/* A member that is killed leaves its groups. */
static void wire_mcast_killed(const void *arg)
{
	int fd[2];
	pid_t pid;
	char c;

	ht_sys(pipe(fd));
	pid = ht_fork(join_and_wait, &fd[1]);
	ht_eq(read(fd[0], &c, 1), 1);
	joined("239.79.1.2", true);
	joined("ff0e::79:0:12", true);
	ht_sys(kill(pid, SIGKILL));
	ht_eq(waitpid(pid, NULL, 0), pid);
	joined("239.79.1.2", false);
	joined("ff0e::79:0:12", false);
}

/* On both devices: each member once, the sender never, others never. */
static void wire_mcast_members(const void *arg)
{
	struct ht_side near;
	struct ibv_wc wc;

	setup();
	attach(0, &ipv4);
	attach(1, &ipv4);
	attach(2, &other);
	ht_side_clone(&near, &p.s[0], &conf);
	near.rcq = p.s[0].rcq;
	ht_connect(&near, &conf, NULL);
	ht_ok(ibv_attach_mcast(near.qp, &ipv4, 0));
	/* Now the stack loops packets back to this host. */
	ht_ok(ibv_attach_mcast(p.s[0].qp, &ipv4, 0));
	ht_recv(&p.s[0], 8, &mr[0], buf[0] + LEN / 2, ROOM);
	ht_recv(&near, 9, &mr[0], buf[0] + LEN / 2 + ROOM, ROOM);
	ht_recv(&near, 10, &mr[0], buf[0] + LEN / 2 + 2 * ROOM, ROOM);
	send_to(&ipv4, p.dev[0].gid_index);
	ht_want_wc(p.s[0].rcq, &wc, 9, IBV_WC_SUCCESS);
	ht_check_fill(buf[0] + LEN / 2 + ROOM + HT_GRH, BYTES, 700, 3, "the member near by");
	ht_no_wc(p.s[0].rcq, 20);
	who_got(0x3);
	send_to(&other, p.dev[0].gid_index);
	who_got(0x4);
	detach(1, &ipv4);
	send_to(&ipv4, p.dev[0].gid_index);
	who_got(0x1);
	detach(0, &ipv4);
	send_to(&ipv4, p.dev[0].gid_index);
	who_got(0);
}

/* An IPv4 group has two GIDs; who is in it by both gets one copy. */
static void wire_mcast_alias(const void *arg)
{
	setup();
	attach(0, &alias);
	joined("239.79.1.2", true);
	attach(1, &ipv4);
	attach(2, &alias);
	attach(2, &ipv4);
	send_to(&ipv4, p.dev[0].gid_index);
	who_got(0x7);
	send_to(&alias, p.dev[0].gid_index);
	who_got(0x7);
	detach(1, &ipv4);
	detach(2, &ipv4);
	joined("239.79.1.2", true);
	send_to(&ipv4, p.dev[0].gid_index);
	who_got(0x5);
	detach(0, &alias);
	detach(2, &alias);
	joined("239.79.1.2", false);
}

/* A datagram of the two members' Q_Key to @group, wrong in some way. */
static void handmade(int raw, uint32_t opcode, uint32_t qpn, uint32_t qkey,
		     const union ibv_gid *group)
{
	uint8_t k[PKT_MAX];
	size_t len = PKT_HEAD + PKT_BTH + 8 + 40 + PKT_ICRC;

	memset(k, 0, len);
	pkt_begin(k, &p.dev[0].gid, group);
	pkt_set_length(k, len);
	pkt_put32(k + 28, opcode << 24 | 0x40ffff);
	pkt_put32(k + 32, qpn);
	pkt_put32(k + 40, qkey);
	pkt_put32(k + 44, p.s[0].qp->qp_num);
	pkt_set_icrc(k, len);
	pkt_send(raw, k, len);
}

static void wire_mcast_wrong(const void *arg)
{
	uint64_t no_qp, drops, seen;
	struct ht_dev *d;
	int raw;

	setup();
	d = &p.dev[1];
	raw = pkt_socket("ns1");
	wire_run(1, "ip route replace 239.79.0.0/16 dev hodp-ns1");
	attach(0, &ipv4);
	attach(1, &ipv4);
	no_qp = ht_counter(d, "rx_no_qp");
	drops = ht_counter(d, "ud_drops");
	seen = ht_counter(d, "rx_packets");
	/* A group that the netdev is not in does not get through the IP layer. */
	handmade(raw, 0x64, 0xffffff, HT_QKEY, &other);
	handmade(raw, 0x64, s[0].qp->qp_num, HT_QKEY, &ipv4);
	handmade(raw, 0x04, 0xffffff, HT_QKEY, &ipv4); /* an RC SEND */
	handmade(raw, 0x64, 0xffffff, HT_QKEY + 1, &ipv4);
	ht_wait_until(ht_counter(d, "ud_drops") == drops + 2, "two members to drop it");
	ht_eq(ht_counter(d, "rx_no_qp"), no_qp + 2);
	ht_eq(ht_counter(d, "rx_packets"), seen + 3);
	ht_no_wc(p.s[1].rcq, 20);
	wire_run(1, "ip route delete 239.79.0.0/16 dev hodp-ns1");
	send_to(&ipv4, p.dev[0].gid_index);
	who_got(0x3);
}

/* Another program is in a group, and gets what is for it. */
static void wire_mcast_others(const void *arg)
{
	struct pollfd other_program = { .events = POLLIN };
	uint8_t k[PKT_MAX];
	uint64_t seen;
	int raw;

	setup();
	raw = pkt_socket("ns1");
	wire_run(1, "ip route replace 239.79.0.0/16 dev hodp-ns1");
	attach(0, &ipv4);
	other_program.fd = pkt_member("ns2", "hodp-ns2", &other);
	seen = ht_counter(&p.dev[1], "rx_packets");
	handmade(raw, 0x64, 0xffffff, HT_QKEY, &other);
	ht_eq(poll(&other_program, 1, HT_PATIENCE_MS), 1);
	ht_eq(recv(other_program.fd, k, sizeof(k), 0), PKT_HEAD + PKT_BTH + 8 + 40 + PKT_ICRC);
	ht_check_bytes(k + 16, other.raw + 12, 4, "the group's address");
	ht_no_wc(p.s[1].rcq, 30);
	ht_eq(ht_counter(&p.dev[1], "rx_packets"), seen);
	wire_run(1, "ip route delete 239.79.0.0/16 dev hodp-ns1");
	ht_sys(close(other_program.fd));
}

/* The netdev of a member goes, and comes back as another one. */
static void wire_mcast_gone(const void *arg)
{
	struct ht_side q = { 0 };
	struct ht_dev d;

	for (int i = 0; i < 3; i++) {
		ht_device_make("hodpm", 93);
		ht_open(&d, "hodpm");
		q = (struct ht_side){ .dev = &d, .pd = ibv_alloc_pd(d.ctx) };
		ht_true(q.pd != NULL);
		ht_side_create(&q, &conf, 0);
		ht_ok(ibv_attach_mcast(q.qp, &ipv4, 0));
		ht_ok(ibv_attach_mcast(q.qp, &ipv6, 0));
		ht_ok(ibv_attach_mcast(q.qp, &alias, 0));
		ht_shell("ip maddr show dev hodpm-net | grep -qw 239.79.1.2");
		ht_shell("ip link delete hodpm-net");
		ht_wait_until(access("/sys/class/infiniband/hodpm", F_OK) != 0, "the device to go");
	}
}

const struct ht_case wire_mcast[] = {
	{ "wire-mcast-ipv4", "a datagram to an IPv4 group arrives with its IP header",
	  wire_mcast_ipv4 },
	{ "wire-mcast-ipv6", "a datagram to an IPv6 group arrives with its IP header",
	  wire_mcast_ipv6 },
	{ "wire-mcast-killed", "a member that is killed leaves its groups", wire_mcast_killed },
	{ "wire-mcast-members", "each member gets one copy, the sender and others get none",
	  wire_mcast_members },
	{ "wire-mcast-alias", "an IPv4 group has two GIDs", wire_mcast_alias },
	{ "wire-mcast-wrong", "only a datagram to the group with the right Q_Key is taken",
	  wire_mcast_wrong },
	{ "wire-mcast-others", "another program gets what is for its group", wire_mcast_others },
	{ "wire-mcast-gone", "a netdev can go while it is in a group", wire_mcast_gone },
	{},
};
