/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMTP replies (RFC 5321, 4.2.1) as mail servers send them: bytes go in, in pieces of any size, one complete
 * reply comes out, or the finding that this is not SMTP. Pure: no system calls, no clock, bounded
 * memory whatever is fed. It must not know what a code means for anybody's health.
 */
#ifndef LB_SMTP_REPLY_H
#define LB_SMTP_REPLY_H

#include <stddef.h>
#include "pool.h"

#define REPLY_MAX_LINE	2000	/* the standard allows 512 with the line's end (4.5.3.1.5): be patient, not endless */
#define REPLY_MAX_LINES	200
#define REPLY_MAX_BYTES	65536
#define REPLY_LINE_KEPT	512

enum reply_state { REPLY_MORE = 0, REPLY_DONE, REPLY_JUNK, REPLY_STATE_MAX };

struct reply {
	enum reply_state state;
	int code;			/* 200..599; 0: not known yet */
	char text[POOL_TEXT_LEN];	/* the first line with its code, cleaned; of junk: what came, and "" when nothing did */
	const char *why;		/* of junk */
	/* Lines after the code, cleaned, each when it is complete; NULL: nobody asks. */
	void (*on_line)(void *arg, const char *text);
	void *arg;
	/* inner */
	char line[REPLY_LINE_KEPT];
	size_t line_len;		/* bytes of the line so far, kept or not */
	size_t lines, bytes;
};

void reply_init(struct reply *r, void (*on_line)(void *arg, const char *text), void *arg);
/* Takes bytes up to the end of the reply and returns how many; the rest belongs to the next one. Nothing is
 * taken once the state is DONE or JUNK. */
size_t reply_feed(struct reply *r, const char *bytes, size_t n);

/* Copies n bytes so that terminals, logs and JSON can take them: printable UTF-8, all else is '?'. Always
 * terminates, never cuts a character in two; returns the length. */
size_t reply_clean(char *out, size_t size, const char *bytes, size_t n);

#endif
