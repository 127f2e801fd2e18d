// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * mpi_bytes [-2d] [-m BYTES] [CASE]: MPI, and every byte compared. TAP, by rank 0.
 *
 * All ranks do the same: each sends to, writes to and reads from its right
 * neighbour. A byte's value follows from the round, its writer and its place,
 * so a byte that is late, lost or elsewhere is seen. Windows are compared
 * whole, beside what was written too.
 *
 *   -2        two-sided only: no window is made
 *   -d        take the windows' pages away (MADV_DONTNEED) before each round;
 *             only what is not pinned may be treated so
 *   -m BYTES  the largest message, 1 MiB and 1 by default
 *   CASE      cases with this in the name only
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pattern.h"

enum { GUARD = 4096 + 3 }; /* untouched bytes before what is written; odd */

static int rank, ranks, left, right, count, failures, discard, two_sided;
static unsigned int round_number;
static const char *only = "";
static size_t largest = (1 << 20) + 1, window_size;

static uint64_t seed(int writer)
{
	return (uint64_t)round_number << 32 | writer;
}

static void fill(unsigned char *p, size_t n)
{
	ht_fill(p, n, seed(rank), 0);
}

/* Bytes of p[0..n) that are not what the writer wrote in this round. */
static uint64_t wrong(const unsigned char *p, size_t n, int writer)
{
	return ht_wrong_fill(p, n, seed(writer), 0);
}

static uint64_t not_zero(const unsigned char *p, size_t n)
{
	uint64_t bad = 0;

	for (size_t i = 0; i < n; i++)
		bad += p[i] != 0;
	return bad;
}

/* One line for all ranks: how many bytes are wrong on any of them. */
static void report(const char *name, size_t size, uint64_t bad)
{
	uint64_t sum = 0;

	MPI_Reduce(&bad, &sum, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
	if (rank)
		return;
	count++;
	failures += !!sum;
	printf("%s %d - %s-%zu", sum ? "not ok" : "ok", count, name, size);
	if (sum)
		printf(" # %llu wrong bytes", (unsigned long long)sum);
	putchar('\n');
	fflush(stdout);
}

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		MPI_Abort(MPI_COMM_WORLD, 1);
	}
	return p;
}

static void clear(unsigned char *p)
{
	if (discard)
		madvise(p, window_size, MADV_DONTNEED);
	else
		memset(p, 0, window_size);
}

/* A window holds what was written at GUARD, and nothing else. */
static uint64_t window_wrong(const unsigned char *p, size_t n, int writer)
{
	return not_zero(p, GUARD) + wrong(p + GUARD, n, writer) +
	       not_zero(p + GUARD + n, window_size - GUARD - n);
}

static void send_case(size_t n, unsigned char *from, unsigned char *to)
{
	fill(from, n);
	memset(to, 0, n);
	MPI_Sendrecv(from, n, MPI_BYTE, right, 1, to, n, MPI_BYTE, left, 1,
		     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	report("send", n, wrong(to, n, left));
}

static void put_case(size_t n, unsigned char *from, unsigned char *base,
		     MPI_Win win)
{
	clear(base);
	fill(from, n);
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_fence(0, win);
	MPI_Put(from, n, MPI_BYTE, right, GUARD, n, MPI_BYTE, win);
	MPI_Win_fence(0, win);
	report("put", n, window_wrong(base, n, left));
}

static void lock_case(size_t n, unsigned char *from, unsigned char *base,
		      MPI_Win win)
{
	clear(base);
	fill(from, n);
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_lock(MPI_LOCK_EXCLUSIVE, right, 0, win);
	MPI_Put(from, n, MPI_BYTE, right, GUARD, n, MPI_BYTE, win);
	MPI_Win_unlock(right, win);
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_lock(MPI_LOCK_SHARED, rank, 0, win);
	uint64_t bad = window_wrong(base, n, left);
	MPI_Win_unlock(rank, win);
	report("put-lock", n, bad);
}

static void get_case(size_t n, unsigned char *to, unsigned char *base,
		     MPI_Win win)
{
	clear(base);
	fill(base + GUARD, n);
	memset(to, 0, n);
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_fence(0, win);
	MPI_Get(to, n, MPI_BYTE, right, GUARD, n, MPI_BYTE, win);
	MPI_Win_fence(0, win);
	report("get", n, wrong(to, n, right) + window_wrong(base, n, rank));
}

static void allreduce_case(size_t n, unsigned char *from, unsigned char *to)
{
	size_t words = n / sizeof(uint64_t);
	uint64_t *in = (uint64_t *)from, *out = (uint64_t *)to, bad = 0;

	for (size_t i = 0; i < words; i++)
		in[i] = (rank + 1) * (i * 0x9e3779b97f4a7c15ULL + round_number);
	MPI_Allreduce(in, out, words, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
	for (size_t i = 0; i < words; i++) {
		uint64_t due = ranks * (ranks + 1) / 2 *
			       (i * 0x9e3779b97f4a7c15ULL + round_number);

		for (unsigned int b = 0; b < sizeof(due); b++)
			bad += (due >> 8 * b & 0xff) !=
			       (out[i] >> 8 * b & 0xff);
	}
	report("allreduce", n, bad);
}

/* Every rank draws from one counter: each number comes once. */
static void counter_case(MPI_Win win)
{
	enum { DRAWS = 50 };
	uint64_t one = 1, got, sum = 0, due = (uint64_t)DRAWS * ranks, all;

	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_lock_all(0, win);
	for (int i = 0; i < DRAWS; i++) {
		MPI_Fetch_and_op(&one, &got, MPI_UINT64_T, 0, 0, MPI_SUM, win);
		MPI_Win_flush(0, win);
		sum += got;
	}
	MPI_Win_unlock_all(win);
	MPI_Allreduce(&sum, &all, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
	report("fetch-and-add", sizeof(one),
	       rank ? 0 : all != due * (due - 1) / 2);
}

static int wanted(const char *name)
{
	round_number++;
	return !!strstr(name, only);
}

int main(int argc, char **argv)
{
	const size_t sizes[] = { 1, 8, 1000, 4096, 65537, 262144, 0 };
	int c;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &rank);
	MPI_Comm_size(MPI_COMM_WORLD, &ranks);
	while ((c = getopt(argc, argv, "2dm:")) != -1) {
		if (c == '2')
			two_sided = 1;
		else if (c == 'd')
			discard = 1;
		else if (c == 'm')
			largest = strtoull(optarg, NULL, 0);
		else
			MPI_Abort(MPI_COMM_WORLD, 2);
	}
	if (optind < argc)
		only = argv[optind];
	right = (rank + 1) % ranks;
	left = (rank + ranks - 1) % ranks;
	window_size = GUARD + largest + 2 * 4096;

	/* The transfers' memory is never touched before it is registered. */
	unsigned char *base = map(window_size), *from = map(largest),
		      *to = map(largest);
	uint64_t *cell = map(4096);
	MPI_Win win, cells;

	if (!two_sided) {
		MPI_Win_create(base, window_size, 1, MPI_INFO_NULL,
			       MPI_COMM_WORLD, &win);
		MPI_Win_create(cell, 4096, sizeof(*cell), MPI_INFO_NULL,
			       MPI_COMM_WORLD, &cells);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		size_t n = sizes[i] ? sizes[i] : largest;

		if (n > largest)
			continue;
		if (wanted("send"))
			send_case(n, from, to);
		if (wanted("put") && !two_sided)
			put_case(n, from, base, win);
		if (wanted("put-lock") && !two_sided)
			lock_case(n, from, base, win);
		if (wanted("get") && !two_sided)
			get_case(n, to, base, win);
		if (n >= 8 && wanted("allreduce"))
			allreduce_case(n, from, to);
	}
	if (wanted("fetch-and-add") && !two_sided)
		counter_case(cells);
	if (!two_sided) {
		MPI_Win_free(&cells);
		MPI_Win_free(&win);
	}
	MPI_Bcast(&failures, 1, MPI_INT, 0, MPI_COMM_WORLD);
	if (!rank) {
		printf("1..%d\n", count);
		fflush(stdout);
	}
	MPI_Finalize();
	return !!failures;
}
