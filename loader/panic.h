/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When most of a service's backends are found down at once, it is more likely that the checks are wrong
 * than that all mail servers are: the last good set stays in rotation. Pure: arrays and a clock's reading
 * in, decisions out; who is in the service, and what becomes of a decision, is the caller's affair.
 */
#ifndef LB_PANIC_H
#define LB_PANIC_H

#include <stdbool.h>
#include <stddef.h>
#include "pool.h"

/* One backend of the service that is checked and enabled. */
struct panic_member {
	bool down;		/* its checks say so */
	bool held;		/* it is kept in rotation all the same */
	bool certain;		/* the backend itself says so (RST, 5xx), or the packets do: never held */
	__u64 fell_ns;		/* when its checks took it down */
};

/* How long after each other falls still count as at once: all checks have come round by then. */
__u64 panic_window_ns(const struct check_conf *conf);
/* The checks of which say down: its down, certain and fell_ns are set, it is not held yet. When more than percent
 * of those that were up a window ago have fallen since, and there were at least two of them: every one that fell in
 * that window, and is not certain, becomes held. True: something is held now that was not; the caller puts those
 * back. */
bool panic_fall(struct panic_member *members, size_t n, size_t which, __u8 percent, __u64 window_ns, __u64 now_ns);
/* Some checks are good again (their down is cleared), or some are certain now: is the panic over? True: the held are
 * no more than percent of those held or up, and nothing is held any more. What the checks said of those that were
 * was not believed, so they count as up: the caller has them judged anew. */
bool panic_relax(struct panic_member *members, size_t n, __u8 percent);

#endif
