/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a mail server's agent says of itself: one line in the syntax of HAProxy's agent-check, so that its
 * agents can be used as they are. Pure. It must not know what follows from the words.
 *
 *   75%           this share of the configured weight
 *   maxconn:200   at most so many sessions
 *   ready         neither draining nor in maintenance any more
 *   drain         keeps its sessions, gets none
 *   maint         as drain, and not checked
 *   up            healthy; down, failed, stopped: not, "#" starts the reason
 *
 * Words may be combined, in any order, with spaces, tabs or commas between; the last of a kind counts.
 */
#ifndef LB_AGENT_H
#define LB_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include "pool.h"

#define AGENT_LINE_MAX	1024
#define AGENT_MAX_PERCENT 25600	/* HAProxy's own limit */

enum agent_admin { AGENT_ADMIN_SAME = 0, AGENT_READY, AGENT_DRAIN, AGENT_MAINT, AGENT_ADMIN_MAX };
enum agent_health { AGENT_HEALTH_SAME = 0, AGENT_UP, AGENT_DOWN, AGENT_FAILED, AGENT_STOPPED, AGENT_HEALTH_MAX };

struct agent_report {
	bool has_weight, has_max_conns;
	__u32 weight_percent;
	__u32 max_conns;	/* 0: no cap */
	enum agent_admin admin;
	enum agent_health health;
	char text[POOL_TEXT_LEN];	/* the reason, cleaned; "" without one */
};

/* One line, without or with its end, up to the first CR or LF. 0; -EBADMSG without a single known word: then nothing is
 * believed; -E2BIG when it is longer than AGENT_LINE_MAX. Unknown words are skipped, as HAProxy does. */
int agent_parse(const char *line, size_t len, struct agent_report *out);
/* The configured weight as the agent wants it: at least 1, so that 0% drains by agent_is_draining() and not by a
 * weight that nobody can have. */
__u32 agent_weight(const struct agent_report *report, __u32 configured);
bool agent_is_draining(const struct agent_report *report);

#endif
