/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a mail server's agent says of itself: one line in the syntax of HAProxy's agent-check, so that its
 * agents can be used as they are; and what all its lines together mean. Pure. It must not know pools, clocks, sockets.
 *
 *   75%           this share of the configured weight
 *   maxconn:200   at most so many sessions
 *   ready         neither draining nor in maintenance any more
 *   drain         keeps its sessions, gets none
 *   maint         as drain
 *   up            healthy; down, failed, stopped: not, "#" starts the reason
 *
 * Words may be combined, in any order, with spaces, tabs or commas between; the last of a kind counts.
 */
#ifndef LB_AGENT_H
#define LB_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define AGENT_LINE_MAX	1024
#define AGENT_TEXT_LEN	200
#define AGENT_MAX_PERCENT 25600	/* HAProxy's own limit */

enum agent_admin { AGENT_ADMIN_SAME = 0, AGENT_READY, AGENT_DRAIN, AGENT_MAINT, AGENT_ADMIN_MAX };
enum agent_health { AGENT_HEALTH_SAME = 0, AGENT_UP, AGENT_DOWN, AGENT_FAILED, AGENT_STOPPED, AGENT_HEALTH_MAX };

struct agent_report {
	bool has_weight, has_max_conns;
	__u32 weight_percent;
	__u32 max_conns;	/* 0: no cap */
	enum agent_admin admin;
	enum agent_health health;
	char text[AGENT_TEXT_LEN];	/* the reason, cleaned; "" without one */
};

/* What a backend's agent has said so far and still means: an answer changes only what it speaks of. All zero: it has
 * not said anything yet. */
struct agent_word {
	enum agent_admin admin;		/* AGENT_DRAIN or AGENT_MAINT until "ready"; else 0 */
	enum agent_health health;	/* AGENT_DOWN, ... until "up"; else 0 */
	bool has_weight;
	__u32 weight_percent;
	__u32 max_conns;		/* 0: no cap */
	char text[AGENT_TEXT_LEN];	/* all that, and the last answer's reason: "drain, 50% (queue of 9000)" */
};

/* One line, without or with its end, up to the first CR or LF. 0; -EBADMSG without a single known word: then nothing is
 * believed; -E2BIG when it is longer than AGENT_LINE_MAX. Unknown words are skipped, as HAProxy does. */
int agent_parse(const char *line, size_t len, struct agent_report *out);
/* True when it means anything new; another reason alone is none. */
bool agent_hear(struct agent_word *word, const struct agent_report *report);
/* The full weight as the agent wants it, at most most: at least 1, so that 0% drains by agent_is_draining() and not
 * by a weight that nobody can have. */
__u64 agent_weight(const struct agent_word *word, __u64 full, __u64 most);
bool agent_is_draining(const struct agent_word *word);
bool agent_is_down(const struct agent_word *word);

#endif
