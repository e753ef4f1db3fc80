/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See passive.h.
 */
#include "passive.h"

static bool shows_life(const struct passive *p, const struct lb_load *now, __u64 packets_out)
{
	return now->synacks_total != p->last.synacks_total || now->replies_total != p->last.replies_total ||
	       now->sessions_total != p->last.sessions_total || now->refusals_total != p->last.refusals_total ||
	       (p->silent_since_ns && packets_out != p->packets_out);
}

static void break_silence(struct passive *p)
{
	p->silent_since_ns = 0;
	p->lost = p->probes_lost = 0;
}

static void count_refusals(struct passive *p, const struct lb_load *now)
{
	if (now->synacks_total != p->last.synacks_total)
		p->refused = 0;
	else
		p->refused += now->refusals_total - p->last.refusals_total;
}

static void count_silence(struct passive *p, const struct lb_load *now, __u64 packets_out, __u64 now_ns)
{
	__u64 signs = now->syns_total - p->last.syns_total + now->retries_total - p->last.retries_total;

	if (shows_life(p, now, packets_out)) {
		break_silence(p);
	} else if (signs) {
		if (!p->silent_since_ns) {
			p->silent_since_ns = now_ns;
			p->packets_out = packets_out;
		}
		p->lost += signs;
	}
}

enum passive_opinion passive_step(struct passive *p, const struct lb_load *now, __u64 packets_out, __u64 now_ns)
{
	__u64 silent_ns;

	if (!p->begun) {
		*p = (struct passive) { .begun = true, .last = *now };
		return PASSIVE_FINE;
	}
	count_refusals(p, now);
	count_silence(p, now, packets_out, now_ns);
	p->last = *now;
	if (p->refused >= PASSIVE_SIGNS) {
		p->refused = 0; /* said once: the checks say when it is over */
		return PASSIVE_REFUSES;
	}
	silent_ns = p->silent_since_ns ? now_ns - p->silent_since_ns : 0;
	if (silent_ns >= PASSIVE_DEAD_NS && p->probes_lost && p->lost >= PASSIVE_SIGNS)
		return PASSIVE_DEAD;
	return p->refused || silent_ns >= PASSIVE_DOUBT_NS ? PASSIVE_DOUBT : PASSIVE_FINE;
}

void passive_probed(struct passive *p, enum passive_probe probe)
{
	if (probe == PASSIVE_PROBE_TAKEN)
		p->refused = 0;
	if (probe != PASSIVE_PROBE_LOST) {
		break_silence(p);
	} else if (p->silent_since_ns) {
		p->probes_lost++;
		p->lost++;
	}
}
