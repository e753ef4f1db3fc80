/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has happened lately: the last events, each with a number that is never used again, so that whoever reads
 * can go on where it stopped, and see that it missed some. Pure: no clock, no log.
 */
#ifndef LB_HISTORY_H
#define LB_HISTORY_H

#include "pool.h"

#define HISTORY_MAX	512
#define HISTORY_TEXT_LEN 256

struct history_entry {
	__u64 seq;			/* from 1 on, without gaps */
	__u64 at_ms;			/* since 1970, UTC */
	char backend[POOL_NAME_LEN];	/* "": of no single one; then from and to are NULL */
	const char *from, *to;		/* constants: names of states */
	char text[HISTORY_TEXT_LEN];
};

/* All zero is an empty one. */
struct history {
	struct history_entry entries[HISTORY_MAX];
	__u64 count;			/* of all that there ever were */
};

/* A backend went from one state to another; from and to must stay where they are. */
void history_add_change(struct history *history, __u64 at_ms, const char *backend, const char *from, const char *to,
			const char *reason);
void history_add_line(struct history *history, __u64 at_ms, const char *text);

/* The oldest that is still there and has this number or a later one; NULL: none. */
const struct history_entry *history_from(const struct history *history, __u64 seq);
__u64 history_next(const struct history *history);	/* the number that the next one will have */

#endif
