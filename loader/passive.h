/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Passive detection: what the mail's own packets say of a mail server, long before a check comes round. The kernel
 * counts SYNs, SYN-ACKs, refusals and clients that repeat themselves; this judges the counts, ten
 * times a second and whenever the kernel hints. Pure: counts and times in, an opinion out.
 *
 * Suspicion is cheap, so it only asks for a probe; silence becomes a verdict when the probes fail too. Any sign of life
 * clears it: neither lost packets nor a flood that nobody answers can take a living server out.
 */
#ifndef LB_PASSIVE_H
#define LB_PASSIVE_H

#include <stdbool.h>
#include "../bpf/lb_abi.h"

#define PASSIVE_SIGNS		3		/* so many refusals, or unanswered packets and probes, at least */
#define PASSIVE_DOUBT_NS	100000000ULL	/* silent for so long: worth a probe */
#define PASSIVE_DEAD_NS		1000000000ULL	/* silent for so long: its clients are told */

enum passive_opinion {
	PASSIVE_FINE = 0,
	PASSIVE_DOUBT,		/* somebody was refused, or nothing has come back for a moment: probe it */
	PASSIVE_REFUSES,	/* RST to every SYN: the program is gone, the host is there */
	PASSIVE_DEAD,		/* nothing comes back, not even to probes: nobody need wait for it */
};

struct passive {
	struct lb_load last;
	__u64 packets_out;	/* as of when it fell silent */
	__u64 silent_since_ns;	/* 0: it is not */
	__u32 lost;		/* signs of silence since */
	__u32 probes_lost;	/* of these */
	__u32 refused;		/* refusals since the last SYN-ACK */
	bool begun;
};

/* now: the backend's counters; packets_out: what it has sent us so far (nat; 0 in dsr, where we cannot
 * know). A state that was just begun has no opinion. */
enum passive_opinion passive_step(struct passive *p, const struct lb_load *now, __u64 packets_out, __u64 now_ns);

enum passive_probe { PASSIVE_PROBE_LOST = 0, PASSIVE_PROBE_REFUSED, PASSIVE_PROBE_TAKEN };
void passive_probed(struct passive *p, enum passive_probe probe);

#endif
