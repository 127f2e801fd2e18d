// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * A process that lies in its own rings.
 *
 * The rings are shared memory: a process may write anything into them at any
 * time. It may hurt itself that way (its QPs may go to ERR), and nobody else.
 * The layout of the rings is that of the ABI header.
 *
 * The attacker's region is a piece of a larger buffer: what lies around it must
 * never change. A victim in a process of its own transfers and compares all
 * the time. The runner of this program checks the kernel log for warnings.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "errors.h"
#include "rings.h"

#define LEN (16 * HT_PAGE)
#define OPEN (6 * HT_PAGE) /* [OPEN, 2 * OPEN) is registered */

static struct ht_pair p;
static struct ht_mem mem[2];
static struct ht_mr mr[2];
static volatile bool stop;

static void setup(struct ht_pair *pair)
{
	struct ht_conf conf = { .depth = 16, .timeout = 8, .retry = 1, .rnr_retry = 1 };

	ht_pair_open(pair, &conf);
	if (!pair->s[0].dev->is_hodp)
		ht_skip("the layout of this device's rings is another");
	for (int i = 0; i < 2; i++) {
		struct ht_side *s = &pair->s[i];

		s->scq = ibv_create_cq(s->dev->ctx, 64, NULL, NULL, 0);
		s->rcq = ibv_create_cq(s->dev->ctx, 64, NULL, NULL, 0);
		ht_true(s->scq && s->rcq);
	}
	find_rings(true);
	ht_check(num_rings == 4, "%d rings of 4 CQs in /proc/self/maps", num_rings);
	ht_pair_create(pair);
	find_rings(false);
	ht_check(num_rings == 8, "%d rings of 4 CQs and 2 QPs", num_rings);
	ht_pair_connect(pair);
	for (int i = 0; i < 2; i++) {
		ht_mem_get(&mem[i], HT_ANON, LEN, 0);
		ht_fill(mem[i].p, LEN, 270 + i, 0);
		ht_mr_get(&mr[i], pair->s[i].pd, mem[i].p + OPEN, OPEN, HT_ODP, HT_ACCESS_ALL);
	}
}

static void outside_is_untouched(void)
{
	for (int i = 0; i < 2; i++) {
		ht_check_fill(mem[i].p, OPEN, 270 + i, 0, "memory before the region");
		ht_check_fill(mem[i].p + 2 * OPEN, LEN - 2 * OPEN, 270 + i, 2 * OPEN,
			      "memory behind the region");
	}
}

/* --- the victim -------------------------------------------------------------------- */

static void victim(void *arg)
{
	int fd = *(int *)arg;
	struct ht_rig r;
	char c;

	ht_rig_get(&r, NULL, 16 * HT_PAGE);
	ht_eq(write(fd, "r", 1), 1);
	for (uint64_t i = 0; !ht_poll_fd(fd, 1); i++) {
		uint32_t n = 1 + i * 131 % 20000;

		ht_fill(r.p[0], n, i, 0);
		ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, n, 7);
		ht_check_fill(r.p[1] + 7, n, i, 0, "the victim's transfer");
	}
	ht_eq(read(fd, &c, 1), 1);
}

static pid_t start_victim(int fd[2])
{
	pid_t pid;
	char c;

	ht_sys(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	pid = ht_fork(victim, &fd[1]);
	ht_check(ht_poll_fd(fd[0], HT_PATIENCE_MS), "the victim does not start");
	ht_eq(read(fd[0], &c, 1), 1);
	return pid;
}

static void end_victim(pid_t pid, int fd)
{
	ht_eq(write(fd, "q", 1), 1);
	ht_join(pid);
}

/* --- scribbling -------------------------------------------------------------------- */

static uint32_t nasty(struct ht_rng *g)
{
	static const uint32_t values[] = {
		0,  1,	 2,   4,	  15,	      16,	  17,	      31,	 32,
		33, 255, 256, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0, 0x40000000
	};

	return ht_below(g, 4) ? values[ht_below(g, HT_LEN(values))] : ht_rand(g);
}

static void nasty_entry(struct ht_rng *g, uint8_t *at)
{
	struct hodp_send_wqe *w = (void *)at;
	struct hodp_sge *sge = (void *)(w + 1);

	switch (ht_below(g, 10)) {
	case 0: w->opcode = nasty(g); break;
	case 1: w->send_flags = nasty(g); break;
	case 2: w->num_sge = nasty(g); break;
	case 3: w->inline_len = nasty(g); break;
	case 4: w->rdma.remote_addr = ht_rand(g); break;
	case 5: w->rdma.rkey = nasty(g); break;
	case 6: sge->addr = ht_rand(g); break;
	case 7: sge->length = nasty(g); break;
	case 8: sge->lkey = nasty(g); break;
	default: w->raw[ht_below(g, 4)] = ht_rand(g);
	}
}

/*
 * Not the producer index of a CQ: it is the kernel's to write, and lying there only
 * makes the process's own library walk through 2^32 entries.
 */
static void lie(struct ht_ring *r, int what, uint32_t value)
{
	switch (what) {
	case 0:
		if (!r->is_cq)
			r->hdr->prod = value;
		break;
	case 1: r->hdr->cons = value; break;
	default: r->hdr->flags = value; break;
	}
}

static void scribble(struct ht_rng *g)
{
	struct ht_ring *r = &rings[ht_below(g, num_rings)];
	size_t room = r->size - HODP_RING_ENTRIES_OFFSET;

	switch (ht_below(g, 6)) {
	case 0: lie(r, 0, r->hdr->prod + nasty(g)); break;
	case 1: lie(r, 0, nasty(g)); break;
	case 2: lie(r, 1, nasty(g)); break;
	case 3: lie(r, 2, nasty(g)); break;
	case 4: nasty_entry(g, r->entries + ht_below(g, room / 8 - 24) * 8); break;
	default:
		for (size_t i = 0; i < room; i += 8)
			*(uint64_t *)(r->entries + i) = ht_rand(g);
	}
}

/* RESET makes the rings new; then everything works as before. */
static void revive(void)
{
	for (int k = 0; k < 2; k++) {
		ht_ok(ht_to(&p.s[k], IBV_QPS_ERR));
		ht_ok(ht_to(&p.s[k], IBV_QPS_RESET));
	}
	ht_pair_connect(&p);
}

static void post_something(struct ht_rng *g)
{
	static const enum ibv_wr_opcode ops[] = { IBV_WR_RDMA_WRITE, IBV_WR_RDMA_READ, IBV_WR_SEND,
						  IBV_WR_ATOMIC_FETCH_AND_ADD };
	struct ht_wr w = {
		.id = ht_rand(g),
		.op = ops[ht_below(g, HT_LEN(ops))],
		.len = 64,
		.addr = ht_iova(&mr[0], mem[0].p + OPEN),
		.lkey = mr[0].mr->lkey,
		.raddr = ht_iova(&mr[1], mem[1].p + OPEN),
		.rkey = mr[1].mr->rkey,
	};
	struct ibv_sge sge = ht_sge(&mr[1], mem[1].p + OPEN, 64);
	struct ibv_recv_wr rwr = { .sg_list = &sge, .num_sge = 1 }, *bad;

	ibv_post_recv(p.s[1].qp, &rwr, &bad);
	if (w.op == IBV_WR_ATOMIC_FETCH_AND_ADD)
		w.len = 8;
	ht_post_try(p.s[0].qp, &w);
	doorbell(p.s[0].qp);
	doorbell(p.s[1].qp);
}

static void drain(void)
{
	struct ibv_wc wc[16];

	for (int i = 0; i < 2; i++) {
		/* Bounded: a lying index may promise 2^32 entries. */
		ibv_poll_cq(p.s[i].scq, 16, wc);
		ibv_poll_cq(p.s[i].rcq, 16, wc);
	}
}

/* Rounds of lies; from time to time the QPs are reset and connected again. */
static void hostile_scribble(const void *arg)
{
	struct ht_rng g = { ht_seed("scribble") };
	long n = ht_count(4000);
	int fd[2];
	pid_t pid = start_victim(fd);

	setup(&p);
	for (long i = 0; i < n; i++) {
		int lies = 1 + ht_below(&g, 4);

		while (lies--)
			scribble(&g);
		post_something(&g);
		drain();
		if (i % 8 == 7)
			revive();
		if (i % 64 == 0)
			outside_is_untouched();
	}
	outside_is_untouched();
	end_victim(pid, fd[0]);
}

/* An entry that changes while the kernel reads it. */
static void *flipper(void *arg)
{
	struct ht_rng g = { ht_seed("flip") + 1 };

	while (!stop) {
		for (int k = 0; k < num_rings; k++) {
			size_t step = 8, room = rings[k].size - HODP_RING_ENTRIES_OFFSET;

			for (int i = 0; i < 40; i++) {
				size_t at = ht_below(&g, room / step - 24) * step;

				nasty_entry(&g, rings[k].entries + at);
			}
		}
		ht_yield();
	}
	return NULL;
}

static void hostile_flip(const void *arg)
{
	struct ht_rng g = { ht_seed("flip") };
	pthread_t t;
	int fd[2];
	pid_t pid = start_victim(fd);

	setup(&p);
	ht_ok(pthread_create(&t, NULL, flipper, NULL));
	for (long i = 0; i < ht_count(8000); i++) {
		post_something(&g);
		drain();
		if (i % 16 == 15)
			revive();
	}
	stop = true;
	pthread_join(t, NULL);
	outside_is_untouched();
	end_victim(pid, fd[0]);
}

/* One lie at a time: producer and consumer indexes. */
static void hostile_indexes(const void *arg)
{
	static const uint32_t values[] = { 1,	 15,	     16,	 17,	     32,
					   1000, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff0 };

	setup(&p);
	for (int k = 0; k < num_rings; k++) {
		for (size_t i = 0; i < 3 * HT_LEN(values); i++) {
			struct ht_rng g = { i };

			lie(&rings[k], i % 3, values[i / 3]);
			for (int m = 0; m < 3; m++) {
				post_something(&g);
				drain();
			}
			revive();
			outside_is_untouched();
		}
	}
}

/* Unmap rings behind the library's back, then use and destroy their objects. */
static void hostile_unmap(const void *arg)
{
	struct ht_rig r;

	setup(&p);
	for (int i = 0; i < num_rings; i++)
		ht_sys(munmap(rings[i].hdr, rings[i].size));
	doorbell(p.s[0].qp);
	doorbell(p.s[1].qp);
	ht_ok(ht_to(&p.s[0], IBV_QPS_ERR));
	/* Not through the library, which would read its rings. */
	ht_rig_get(&r, NULL, LEN);
	ht_rig_do(&r, IBV_WR_RDMA_WRITE, 0, 100, 0);
	ht_check_bytes(r.p[1], r.p[0], 100, "a new pair");
	outside_is_untouched();
}

/* Foreign offsets and sizes do not map anything. */
static void hostile_mmap(const void *arg)
{
	struct ht_rng g = { ht_seed("mmap") };
	int fd;

	setup(&p);
	fd = p.s[0].dev->ctx->cmd_fd;
	for (int i = 0; i < 400; i++) {
		off_t off = i < 200 ? i * 4096 : (off_t)(ht_rand(&g) >> 12 << 12);
		size_t len = HT_PAGE << ht_below(&g, 12);
		void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);

		ht_checked();
		if (at != MAP_FAILED) {
			/* The offset may be that of one of our own rings, of the same size. */
			bool known = false;

			for (int k = 0; k < num_rings; k++)
				known |= rings[k].size == len;
			ht_check(known, "offset 0x%lx maps %zu bytes of unknown content", (long)off,
				 len);
			munmap(at, len);
		}
	}
}

/* A doorbell file rings only the QPs of its own context. */
static void hostile_doorbell(const void *arg)
{
	struct ht_rng g = { ht_seed("bell") };
	struct ht_pair other;
	int bell;

	setup(&p);
	bell = ht_doorbell_file();
	if (bell < 0)
		ht_skip("this device has no doorbell file");
	/* A second context: the first one may not ring its QPs. */
	ht_pair_get(&other, NULL);
	for (int k = 0; k < 2; k++)
		ht_check(ioctl(bell, HODP_IOCTL_RING_SEND, other.s[k].qp->qp_num) == -1,
			 "one context's doorbell rings another one's QP");
	for (int i = 0; i < 3000; i++) {
		unsigned long qpn = i % 3 ? ht_rand(&g) : ht_below(&g, 256);
		unsigned int cmd = i % 2 ? HODP_IOCTL_RING_SEND : HODP_IOCTL_RING_RECV;

		if (i % 5 == 0)
			cmd = ht_rand(&g);
		if (qpn != p.s[0].qp->qp_num && qpn != p.s[1].qp->qp_num)
			ht_check(ioctl(bell, cmd, qpn) == -1, "ioctl 0x%x, QPN 0x%lx succeeds", cmd,
				 qpn);
	}
	ht_check(ioctl(bell, HODP_IOCTL_RING_SEND, 1UL << 32 | p.s[0].qp->qp_num) == -1,
		 "a QPN of 33 bits");
	ht_ok(ioctl(bell, HODP_IOCTL_RING_SEND, p.s[0].qp->qp_num));
	ht_check(ioctl(bell, HODP_IOCTL_RING_SEND ^ 0x80, p.s[0].qp->qp_num) == -1 &&
			 errno == ENOTTY,
		 "a command that there is not: %s", strerror(errno));
	/* None of that holds a reference to the QP. */
	ht_side_put(&p.s[0]);
	ht_check(ioctl(bell, HODP_IOCTL_RING_SEND, p.s[1].qp->qp_num - 1) == -1,
		 "a QP that was destroyed");
}

const struct ht_case errors_hostile[] = {
	{ "hostile-doorbell", "a doorbell rings QPs of its own context only", hostile_doorbell },
	{ "hostile-indexes", "lying ring indexes hurt only the liar", hostile_indexes, NULL, 120 },
	{ "hostile-scribble", "random rings hurt only the liar", hostile_scribble, NULL, 240 },
	{ "hostile-flip", "entries that change while they are read hurt only the liar",
	  hostile_flip, NULL, 240 },
	{ "hostile-unmap", "unmapped rings hurt only the liar", hostile_unmap },
	{ "hostile-mmap", "only one's own rings can be mapped", hostile_mmap },
	{},
};
