// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * The address space changes in the middle of a fault or of a copy.
 *
 * A real-time thread makes the change. It sleeps a little longer in each round
 * and takes the CPU from whatever runs when it wakes. With one CPU
 * (guest/run --smp 1) the change therefore hits every point of the device's
 * work that can be preempted, and an mmap that waits for a page fault's
 * mmap_lock runs as soon as the fault releases it. With more CPUs the cases
 * still hold, but find less.
 *
 * The range of the sleep comes from measuring the work undisturbed. No case
 * checks how long anything takes.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "mirror.h"

static struct mirror_rig m;

static void sleep_ns(uint64_t ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static void real_time(void)
{
	struct sched_param sp = { .sched_priority = 10 };

	if (sched_setscheduler(0, SCHED_FIFO, &sp))
		ht_note("no real-time priority (%s): the races are rare", strerror(errno));
}

/* A real-time thread must sleep while it waits. */
static void wait_wc(uint64_t id)
{
	uint64_t deadline = ht_deadline(HT_PATIENCE_MS);
	struct ibv_wc wc;
	int n;

	while ((n = ibv_poll_cq(m.rig.a->scq, 1, &wc)) == 0) {
		ht_check(!ht_over(deadline), "no completion of request %" PRIu64, id);
		sleep_ns(20000);
	}
	ht_eq(n, 1);
	ht_check(wc.status == IBV_WC_SUCCESS && wc.wr_id == id, "request %" PRIu64 ": %s", wc.wr_id,
		 ibv_wc_status_str(wc.status));
}

static void post(enum ibv_wr_opcode op, uint64_t id)
{
	struct ht_wr w = ht_rdma_wr(id, op, &m.rig.mr[0], m.rig.p[0], MIRROR_LEN, &m.mr, m.stage);

	ht_post(m.rig.a->qp, &w);
}

/* --- a fault ------------------------------------------------------------------- */

/*
 * The stage changes while the first READ faults; that READ fetches a mixture. The
 * second READ was posted after the change and must fetch the new pages, whatever
 * the fault had found.
 */
static void race_fault(const void *arg)
{
	long rounds = ht_count(100);
	uint64_t most = 0;

	mirror_get(&m);
	for (int i = 0; i < 2; i++)
		ht_fill(m.pool[i], MIRROR_LEN, 600 + i, 0);
	real_time();
	for (long round = 0; round < rounds + 8; round++) {
		int from = round % 2, to = !from;
		uint64_t start;

		mirror_show(&m, from);
		start = ht_now();
		post(IBV_WR_RDMA_READ, 2 * round);
		if (round < 8) {
			wait_wc(2 * round);
			most = HT_MAX(most, ht_now() - start);
			continue;
		}
		sleep_ns(most * (round - 8) / rounds);
		mirror_show(&m, to);
		wait_wc(2 * round);
		post(IBV_WR_RDMA_READ, 2 * round + 1);
		wait_wc(2 * round + 1);
		if (memcmp(m.rig.p[0], m.pool[to], MIRROR_LEN))
			ht_note("round %ld", round);
		ht_check_bytes(m.rig.p[0], m.pool[to], MIRROR_LEN,
			       "READ after an mmap during a page fault");
	}
}

/* --- a copy -------------------------------------------------------------------- */

#define WRITES 8

static sem_t go, done;
static atomic_long turn;

/* Post WRITEs that need no page fault, as an ordinary thread. */
static void *writer(void *arg)
{
	for (;;) {
		uint64_t id;

		sem_wait(&go);
		id = atomic_load(&turn) * WRITES;
		ht_prefetch(&m.mr, m.stage, MIRROR_LEN);
		for (int i = 0; i < WRITES; i++) {
			post(IBV_WR_RDMA_WRITE, id + i);
			wait_wc(id + i);
		}
		sem_post(&done);
	}
	return NULL;
}

/*
 * The stage changes to the other pool while WRITEs run into it. After mmap has
 * returned, no byte of the first pool may change.
 */
static void race_copy(const void *arg)
{
	uint8_t *seen = malloc(MIRROR_LEN);
	long rounds = ht_count(100);
	uint64_t most = 0;
	pthread_t t;

	mirror_get(&m);
	sem_init(&go, 0, 0);
	sem_init(&done, 0, 0);
	ht_ok(pthread_create(&t, NULL, writer, NULL));
	real_time();
	for (long round = 0; round < rounds + 8; round++) {
		int from = round % 2;
		uint64_t start;

		mirror_show(&m, from);
		/* Each round's bytes differ from those before in every place. */
		memset(m.rig.p[0], round & 0xff, MIRROR_LEN);
		atomic_store(&turn, round);
		start = ht_now();
		sem_post(&go);
		if (round < 8) {
			ht_sys(sem_wait(&done));
			most = HT_MAX(most, ht_now() - start);
			continue;
		}
		sleep_ns(most * (round - 8) / rounds);
		mirror_show(&m, !from);
		memcpy(seen, m.pool[from], MIRROR_LEN);
		ht_sys(sem_wait(&done));
		if (memcmp(m.pool[from], seen, MIRROR_LEN))
			ht_note("round %ld", round);
		ht_check_bytes(m.pool[from], seen, MIRROR_LEN,
			       "pages that were unmapped during a WRITE");
		post(IBV_WR_RDMA_WRITE, ~(uint64_t)round);
		wait_wc(~(uint64_t)round);
		ht_check_value(m.pool[!from], MIRROR_LEN, round & 0xff, "a WRITE after the change");
	}
	free(seen);
}

const struct ht_case mirror_races[] = {
	{ "mirror-race-fault", "an mmap during a page fault is seen by what is posted later",
	  race_fault, NULL, 300 },
	{ "mirror-race-copy", "when an mmap returns, no WRITE is left on the old pages", race_copy,
	  NULL, 300 },
	{},
};
