/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests with an event loop, their static `event`: runs it until something is so, and fails when that takes too long.
 */
#ifndef UNTIL_H
#define UNTIL_H

#include <linux/types.h>
#include <time.h>

#define DEADLINE_MS	20000

static __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

#define RUN_UNTIL(condition) do { \
	__u64 end_ = now_ms() + DEADLINE_MS; \
	while (!(condition)) { \
		assert_true(now_ms() < end_); \
		assert_true(sd_event_run(event, 50000) >= 0); \
	} \
} while (0)

#endif
