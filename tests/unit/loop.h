/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting, for tests with an event loop of their own: for a condition, with a deadline. Expects "event" to be the loop.
 */
#ifndef LOOP_H
#define LOOP_H

#include <systemd/sd-event.h>
#include <time.h>
#include "../../bpf/lb_abi.h"

#define DEADLINE_MS 20000

static inline __u64 now_ms(void)
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
