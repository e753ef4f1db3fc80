/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See passive.h.
 */
#include "passive.h"

static bool shows_life(const struct passive *p, const struct lb_load *now, __u64 packets_out)
{
	return now->synacks_total != p->last.synacks_total || now->replies_total != p->last.replies_total ||
	       now->refusals_total != p->last.refusals_total ||
	       (p->silent_since_ns && packets_out != p->packets_out);
}

static void count_refusals(struct passive *p, const struct lb_load *now)
{
	if (now->synacks_total != p->last.synacks_total)
		p->refused = 0;
	else
		p->refused += now->refusals_total - p->last.refusals_total;
}

enum passive_opinion passive_step(struct passive *p, const struct lb_load *now, __u64 packets_out, __u64 now_ns)
{
	__u64 signs = now->syns_total - p->last.syns_total + now->retries_total - p->last.retries_total;
	enum passive_opinion opinion = PASSIVE_FINE;

	if (!p->begun) {
		*p = (struct passive) { .begun = true, .last = *now };
		return PASSIVE_FINE;
	}
	count_refusals(p, now);
	if (shows_life(p, now, packets_out)) {
		p->silent_since_ns = 0;
		p->lost = 0;
	} else if (signs) {
		if (!p->silent_since_ns) {
			p->silent_since_ns = now_ns;
			p->packets_out = packets_out;
		}
		p->lost += signs;
	}
	p->last = *now;
	if (p->refused >= PASSIVE_SIGNS) {
		p->refused = 0; /* said once: the checks say when it is over */
		opinion = PASSIVE_REFUSES;
	}
	if (p->silent_since_ns && p->lost >= PASSIVE_SIGNS && now_ns - p->silent_since_ns >= PASSIVE_DOWN_NS)
		opinion = now_ns - p->silent_since_ns >= PASSIVE_DEAD_NS ? PASSIVE_DEAD : PASSIVE_SILENT;
	return opinion;
}
