// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * Unit test of the provider: the rings between two threads, one of which is
 * the kernel.  Both yield, so that it ends soon on one CPU, too.
 */
#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include "provider_test.h"

#define ROUNDS 200000

static struct rig rig;
static sem_t rung;
static bool in_order;
static bool timed_out;

/* Every entry holds its number three times. */
static void *kernel_consumes(void *arg HODP_UNUSED)
{
	struct hodp_ring_hdr *hdr = fake.sq.hdr;
	uint32_t at = hdr->cons, n;

	for (n = 0; n < ROUNDS;) {
		uint32_t prod = __atomic_load_n(&hdr->prod, __ATOMIC_ACQUIRE);

		if (at == prod)
			sched_yield();
		for (; at != prod; at++, n++) {
			const struct hodp_send_wqe *wqe = sent(at);
			const struct hodp_sge *sge = (const void *)(wqe + 1);

			if (wqe->wr_id != n || wqe->rdma.remote_addr != n ||
			    sge->addr != n)
				in_order = false;
			__atomic_store_n(&hdr->cons, at + 1, __ATOMIC_RELEASE);
		}
	}
	return NULL;
}

static void race_send(void)
{
	struct ibv_send_wr wr = { .opcode = IBV_WR_RDMA_WRITE, .num_sge = 1 },
			   *bad;
	struct ibv_sge sge = { .length = 1 };
	pthread_t kernel;
	uint32_t n;
	int err;

	rig = rig_up(IBV_QPT_RC);
	in_order = true;
	/* The wrap is in the middle. */
	fake_seek(&fake.sq, &to_hodp_qp(rig.qp)->sq.ring, 0U - ROUNDS / 2);
	CHECK(!pthread_create(&kernel, NULL, kernel_consumes, NULL));
	wr.sg_list = &sge;
	for (n = 0; n < ROUNDS; n++) {
		wr.wr_id = n;
		wr.wr.rdma.remote_addr = n;
		sge.addr = n;
		while ((err = fake.ops->post_send(rig.qp, &wr, &bad)) == ENOMEM)
			sched_yield();
		CHECK(!err);
	}
	pthread_join(kernel, NULL);
	CHECK(in_order);
	CHECK(bells() == ROUNDS);
	rig_down(&rig);
}

static void *kernel_completes(void *arg HODP_UNUSED)
{
	struct hodp_ring_hdr *hdr = fake.cq.hdr;
	struct hodp_cqe cqe = {};
	uint32_t n;

	for (n = 0; n < ROUNDS; n++) {
		while (hdr->prod -
			       __atomic_load_n(&hdr->cons, __ATOMIC_ACQUIRE) ==
		       RIG_ENTRIES)
			sched_yield();
		cqe.wr_id = n;
		cqe.byte_len = n;
		fake_complete(&cqe);
	}
	return NULL;
}

static void race_poll(void)
{
	struct ibv_poll_cq_attr attr = {};
	struct ibv_wc wc[3];
	pthread_t kernel;
	uint32_t n = 0;
	int got, i;

	rig = rig_up(IBV_QPT_RC);
	in_order = true;
	fake_seek(&fake.cq, &to_hodp_cq(rig.cq)->ring, 0U - ROUNDS / 2);
	CHECK(!pthread_create(&kernel, NULL, kernel_completes, NULL));
	while (n < ROUNDS) {
		/* Both interfaces in turn. */
		got = fake.ops->poll_cq(rig.cq, 3, wc);
		for (i = 0; i < got; i++, n++) {
			if (wc[i].wr_id != n || wc[i].byte_len != n)
				in_order = false;
		}
		if (ibv_start_poll(rig.cqx, &attr)) {
			sched_yield();
			continue;
		}
		do {
			if (rig.cqx->wr_id != n ||
			    ibv_wc_read_byte_len(rig.cqx) != n)
				in_order = false;
			n++;
		} while (!ibv_next_poll(rig.cqx));
		ibv_end_poll(rig.cqx);
	}
	pthread_join(kernel, NULL);
	CHECK(in_order);
	rig_down(&rig);
}

static void ring_the_kernel(void)
{
	sem_post(&rung);
}

/*
 * The kernel's half of the handshake as the ABI header tells it: ask for the
 * doorbell, full barrier, look once more, and only then sleep.
 */
static void *kernel_sleeps(void *arg HODP_UNUSED)
{
	struct hodp_ring_hdr *hdr = fake.rq.hdr;
	struct timespec until;
	uint32_t n, i;

	for (n = 0; n < ROUNDS / 4; n++) {
		/* In time this meets the poster at each of its steps. */
		for (i = 0; i < n % 512; i++)
			__asm__ volatile("" ::: "memory");
		while (__atomic_load_n(&hdr->prod, __ATOMIC_ACQUIRE) == n) {
			__atomic_store_n(&hdr->flags, HODP_RING_NEED_DOORBELL,
					 __ATOMIC_RELAXED);
			__atomic_thread_fence(__ATOMIC_SEQ_CST);
			if (__atomic_load_n(&hdr->prod, __ATOMIC_ACQUIRE) != n)
				break;
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_sec += 3;
			if (sem_timedwait(&rung, &until) &&
			    errno == ETIMEDOUT) {
				timed_out = true;
				return NULL;
			}
		}
		__atomic_store_n(&hdr->flags, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&hdr->cons, n + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void race_doorbell(void)
{
	struct ibv_recv_wr wr = {}, *bad;
	pthread_t kernel;
	uint32_t n;

	rig = rig_up(IBV_QPT_RC);
	timed_out = false;
	sem_init(&rung, 0, 0);
	fake.on_bell = ring_the_kernel;
	CHECK(!pthread_create(&kernel, NULL, kernel_sleeps, NULL));
	for (n = 0; n < ROUNDS / 4; n++) {
		CHECK(!fake.ops->post_recv(rig.qp, &wr, &bad));
		/* One at a time: the kernel is about to sleep at each post. */
		while (__atomic_load_n(&fake.rq.hdr->cons, __ATOMIC_ACQUIRE) ==
			       n &&
		       !__atomic_load_n(&timed_out, __ATOMIC_RELAXED))
			sched_yield();
		if (__atomic_load_n(&timed_out, __ATOMIC_RELAXED))
			break;
	}
	pthread_join(kernel, NULL);
	CHECK(!timed_out);
	fake.on_bell = NULL;
	rig_down(&rig);
}

static int posters_done;

static void *half_of_the_posts(void *arg)
{
	struct ibv_send_wr wr = { .opcode = IBV_WR_RDMA_WRITE, .num_sge = 1 },
			   *bad;
	struct ibv_sge sge = {};
	uint64_t id = (uintptr_t)arg;
	int n;

	wr.sg_list = &sge;
	for (n = 0; n < ROUNDS / 2; n++) {
		wr.wr_id = id;
		wr.wr.rdma.remote_addr = id;
		sge.addr = id;
		while (fake.ops->post_send(rig.qp, &wr, &bad) == ENOMEM)
			sched_yield();
	}
	__atomic_fetch_add(&posters_done, 1, __ATOMIC_RELEASE);
	return NULL;
}

/* The ring is large and emptied in one go: the posters fill it in parallel. */
static void race_two_posters(void)
{
	uint32_t at = 0, prod, n[2] = {};
	pthread_t poster[2];
	uintptr_t i;
	int done;

	rig = rig_up_sized(IBV_QPT_RC, 4096);
	posters_done = 0;
	for (i = 0; i < 2; i++)
		CHECK(!pthread_create(&poster[i], NULL, half_of_the_posts,
				      (void *)i));
	do {
		done = __atomic_load_n(&posters_done, __ATOMIC_ACQUIRE);
		prod = __atomic_load_n(&fake.sq.hdr->prod, __ATOMIC_ACQUIRE);
		if (prod - at < 4096 && done < 2) {
			sched_yield();
			continue;
		}
		for (; at != prod; at++) {
			const struct hodp_send_wqe *wqe = sent(at);

			CHECK(wqe->wr_id < 2 &&
			      wqe->rdma.remote_addr == wqe->wr_id);
			CHECK(((const struct hodp_sge *)(wqe + 1))->addr ==
			      wqe->wr_id);
			n[wqe->wr_id & 1]++;
		}
		__atomic_store_n(&fake.sq.hdr->cons, at, __ATOMIC_RELEASE);
	} while (done < 2 ||
		 at != __atomic_load_n(&fake.sq.hdr->prod, __ATOMIC_ACQUIRE));
	for (i = 0; i < 2; i++)
		pthread_join(poster[i], NULL);
	CHECK(n[0] == ROUNDS / 2 && n[1] == ROUNDS / 2);
	rig_down(&rig);
}

const struct unit_case race_cases[] = {
	{ "a consumer on another CPU sees whole entries in order", race_send },
	{ "so does a poller, by either interface", race_poll },
	{ "a kernel that goes to sleep never misses a receive", race_doorbell },
	{ "two threads can post to one queue", race_two_posters },
};
const size_t num_race_cases = ARRAY_LEN(race_cases);
