/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Asks each backend's agent, again and again, through the checker process: no byte of an agent is read here. Apart
 * from the check engine, since there is no rise and fall to an agent: what it says counts at once, and when it says
 * nothing, nothing changes. Nothing here knows pools or maps.
 */
#ifndef LB_AGENT_POLL_H
#define LB_AGENT_POLL_H

#include <systemd/sd-event.h>
#include "agent.h"
#include "check.h"

struct agents;

struct agent_target {
	struct lb_addr address;
	struct lb_addr source;		/* to ask from; all zero: the kernel's choice */
	struct agent_conf conf;
};

struct agent_status {
	__u64 at_ns;			/* CLOCK_MONOTONIC of the last answer or failure; 0: none yet */
	bool answered;			/* the last time */
	__u32 missed;			/* failures in a row */
	__u64 answers_total, failures_total;
	char text[POOL_TEXT_LEN];	/* the last line, or why there was none */
};

/* heard(arg, id, report, missed): an answer, even when it is the same as before; so many failures in a row came before
 * it. report NULL: no answer, or one without a word that is known; missed counts this one too. Always from the event loop,
 * and may call anything here, agents_close() too. checks must live longer. 0 or -ENOMEM. */
int agents_open(sd_event *event, struct checks *checks,
		void (*heard)(void *arg, int id, const struct agent_report *report, __u32 missed), void *arg,
		struct agents **out);
void agents_close(struct agents *agents);	/* NULL is fine */
/* Starts asking, at once or, when many come together, one a millisecond. The same target again changes nothing;
 * another one forgets the status. 0, -EINVAL or -ENOMEM: then all is as it was. */
int agents_set(struct agents *agents, int id, const struct agent_target *target);
void agents_remove(struct agents *agents, int id);
bool agents_status(const struct agents *agents, int id, struct agent_status *out);	/* false: not asked */

#endif
