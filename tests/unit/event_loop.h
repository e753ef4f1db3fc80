/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop of a test, and patience: wait until something has happened, never for a time that ought to be enough. A
 * test opens the loop itself. Knows sd-event and nothing of what runs in it.
 */
#ifndef EVENT_LOOP_H
#define EVENT_LOOP_H

#include <stdint.h>
#include <systemd/sd-event.h>
#include <time.h>

#define DEADLINE_MS 20000

static sd_event *event;

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

/* For what must not happen. */
static inline void run_for(uint64_t ms)
{
	uint64_t end = now_ms() + ms, now;

	while ((now = now_ms()) < end)
		assert_true(sd_event_run(event, (end - now) * 1000) >= 0);
}

#define RUN_UNTIL(condition) do { \
	uint64_t end_ = now_ms() + DEADLINE_MS; \
	while (!(condition)) { \
		assert_true(now_ms() < end_); \
		assert_true(sd_event_run(event, 50000) >= 0); \
	} \
} while (0)

#endif
