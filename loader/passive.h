/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passive detection: what the mail's own packets say of a mail server, long before a check comes round. The kernel
 * counts SYNs, SYN-ACKs, refusals and clients that repeat themselves; this judges the counts, ten
 * times a second. Pure: counts and times in, an opinion out.
 *
 * Any sign of life clears the suspicion, so neither lost packets nor a flood that one server answers
 * can take a living server out.
 */
#ifndef LB_PASSIVE_H
#define LB_PASSIVE_H

#include <stdbool.h>
#include "../bpf/lb_abi.h"

#define PASSIVE_SIGNS		3		/* so many unanswered packets at least ... */
#define PASSIVE_DOWN_NS		300000000ULL	/* ... over this long: no new sessions */
#define PASSIVE_DEAD_NS		1000000000ULL	/* ... over this long: its clients are told */

enum passive_opinion {
	PASSIVE_FINE = 0,
	PASSIVE_REFUSES,	/* RST to every SYN: the program is gone, the host is there */
	PASSIVE_SILENT,		/* nothing comes back: no new sessions */
	PASSIVE_DEAD,		/* and has not for a while: nobody need wait for it */
};

struct passive {
	struct lb_load last;
	__u64 packets_out;	/* as of when it fell silent */
	__u64 silent_since_ns;	/* 0: it does not */
	__u32 lost;		/* signs of silence since */
	__u32 refused;		/* refusals since the last SYN-ACK */
	bool begun;
};

/* now: the backend's counters; packets_out: what it has sent us so far (nat; 0 in dsr, where we cannot
 * know). A state that was just begun has no opinion. */
enum passive_opinion passive_step(struct passive *p, const struct lb_load *now, __u64 packets_out, __u64 now_ns);

#endif
