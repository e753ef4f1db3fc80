/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acts on what passive detection says. A server that refuses or is silent gets no new sessions; one that is dead is
 * also ended for those who wait on it: both sides are told by RST, and what may now be sent twice is counted. One that
 * merely fails its checks keeps its sessions: it may well be busy with the very mail they carry.
 */
#include <string.h>

#include "addr.h"
#include "control_inner.h"
#include "log.h"

static void take_out(struct control *ctl, int id, enum backend_health health, const char *reason)
{
	struct backend *be = &ctl->config->pool->backends[id];

	if (be->health == HEALTH_DEAD || be->health == health)
		return;
	control_verdict_certain(ctl, id, health, reason);
	control_apply_checks(ctl); /* the engine must learn of it, to see the recovery */
}

void control_bury(struct control *ctl, int id, const char *reason)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	struct lb_sweep sweep;

	if (be->health == HEALTH_DEAD)
		return;
	take_out(ctl, id, HEALTH_DEAD, reason);
	memset(&ctl->be[id].passive, 0, sizeof(ctl->be[id].passive));
	if (control_close_flows(ctl, id, true, 0, &sweep) == 0 && sweep.closed)
		log_warn("backend %s: dead: %llu sessions reset, %llu of them while a reply was owed (those mails may come twice)",
			 be->name, (unsigned long long)sweep.closed, (unsigned long long)sweep.at_risk);
}

/* Its checks fail and nobody answers for its address: there may be no traffic to tell, only clients that wait for the
 * end of a scan. A gateway's silence says nothing about the server behind it. */
static void ask_neighbour(struct control *ctl, int id, __u64 now)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	const struct control_backend *cb = &ctl->be[id];
	const struct nexthop *hop = &ctl->extra[id].hop;

	if (be->health == HEALTH_DOWN && cb->unanswered_ns && now - cb->unanswered_ns > PASSIVE_DEAD_NS &&
	    addr_equal(&hop->gateway, &be->address) && sync_load(ctl->sync, id)->flows)
		control_bury(ctl, id, "its address answers no neighbour request");
}

static __u64 packets_out(const struct control *ctl, int id)
{
	struct sync_figures f;

	return sync_read_backend(ctl->sync, id, &f) ? 0 : f.traffic.packets_out;
}

static void listen_to(struct control *ctl, int id, __u64 now)
{
	struct passive *p = &ctl->be[id].passive;
	const struct lb_load *load = sync_load(ctl->sync, id);
	bool replies = p->begun && load->replies_total != p->last.replies_total;
	bool suspect = p->silent_since_ns || load->syns_total != p->last.syns_total ||
		       load->retries_total != p->last.retries_total;

	/* the packet counter is a system call away: asked for only where there is a suspicion */
	switch (passive_step(p, load, suspect ? packets_out(ctl, id) : 0, now)) {
	case PASSIVE_REFUSES:
		take_out(ctl, id, HEALTH_DOWN, "traffic: connections refused");
		checks_evidence(ctl->checks, id, false);
		break;
	case PASSIVE_SILENT:
		take_out(ctl, id, HEALTH_DOWN, "traffic: connections unanswered");
		checks_evidence(ctl->checks, id, false);
		break;
	case PASSIVE_DEAD:
		control_bury(ctl, id, "traffic: nothing comes back");
		break;
	case PASSIVE_FINE:
		if (replies)
			checks_evidence(ctl->checks, id, true); /* the mail itself is proof: fewer checks will do */
		break;
	}
}

void control_listen(struct control *ctl, __u64 now)
{
	const struct pool *pool = ctl->config->pool;

	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		if (!pool->backends[id].used || pool->services[pool->backends[id].service].check.kind == CHECK_NONE)
			continue;
		listen_to(ctl, id, now);
		ask_neighbour(ctl, id, now);
	}
}
