/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The clock that timers run by, and that the kernel half reads too: CLOCK_MONOTONIC.
 */
#ifndef LB_CLOCK_H
#define LB_CLOCK_H

#include <linux/types.h>
#include <time.h>

static inline __u64 clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static inline __u64 clock_us(void)
{
	return clock_ns() / 1000;
}

#endif
