/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the mail client and the mail server of the benchmark share: seeded random numbers, a clock, and a heap
 * of appointments. One thread, one epoll loop each.
 */
#ifndef BENCH_CLOCKWORK_H
#define BENCH_CLOCKWORK_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* splitmix64: any seed is a good one. */
static inline uint64_t random_bits(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/* In (0, 1]. */
static inline double random_unit(uint64_t *state)
{
	return ((random_bits(state) >> 11) + 1) * 0x1p-53;
}

static inline double random_exponential(uint64_t *state, double mean)
{
	return -log(random_unit(state)) * mean;
}

static inline double random_normal(uint64_t *state)
{
	double r = sqrt(-2 * log(random_unit(state)));

	return r * cos(2 * M_PI * random_unit(state));
}

struct appointment {
	uint64_t at_us;
	void *who;
	uint32_t ticket;	/* the owner's; one that has moved on ignores the call */
};

struct calendar {
	struct appointment *heap;
	size_t n, room;
};

static inline void calendar_add(struct calendar *cal, uint64_t at_us, void *who, uint32_t ticket)
{
	size_t i;

	if (cal->n == cal->room) {
		cal->room = cal->room ? cal->room * 2 : 1024;
		cal->heap = realloc(cal->heap, cal->room * sizeof(*cal->heap));
		if (!cal->heap) {
			fputs("out of memory\n", stderr);
			exit(1);
		}
	}
	for (i = cal->n++; i && cal->heap[(i - 1) / 2].at_us > at_us; i = (i - 1) / 2)
		cal->heap[i] = cal->heap[(i - 1) / 2];
	cal->heap[i] = (struct appointment) { at_us, who, ticket };
}

/* The next one, when it is due. */
static inline int calendar_due(struct calendar *cal, uint64_t now, struct appointment *out)
{
	struct appointment last;
	size_t i = 0, child;

	if (!cal->n || cal->heap[0].at_us > now)
		return 0;
	*out = cal->heap[0];
	last = cal->heap[--cal->n];
	while ((child = 2 * i + 1) < cal->n) {
		if (child + 1 < cal->n && cal->heap[child + 1].at_us < cal->heap[child].at_us)
			child++;
		if (cal->heap[child].at_us >= last.at_us)
			break;
		cal->heap[i] = cal->heap[child];
		i = child;
	}
	cal->heap[i] = last;
	return 1;
}

/* Milliseconds for epoll_wait(). */
static inline int calendar_wait_ms(const struct calendar *cal, uint64_t now)
{
	uint64_t left;

	if (!cal->n)
		return 1000;
	if (cal->heap[0].at_us <= now)
		return 0;
	left = (cal->heap[0].at_us - now + 999) / 1000;
	return left > 1000 ? 1000 : (int)left;
}

#endif
