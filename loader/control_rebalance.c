/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where mail servers have very unlike numbers of sessions, some of the fullest are closed, so that their clients
 * come back and are spread anew. Only sessions that are old, and whose client has been silent in its own turn: nothing
 * is lost then. Off unless the config says so.
 */
#include "control_inner.h"
#include "log.h"

#define PAUSE_NS 10000000000ULL	/* after a walk that found nothing to close: a walk is not for free */

/* A busy one keeps its sessions, and so does one whose agent wants less: the weight is down for the sake of new ones. */
static bool takes_part(const struct backend *be)
{
	return be->used && backend_state(be) == STATE_UP && !(be->agent.has_weight && be->agent.weight_percent < 100);
}

/* Backends of one service and family: a client cannot go to the other family's. */
static void group_all(const struct control *ctl, struct rebalance_group groups[static POOL_MAX_SERVICES][2])
{
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &ctl->config->pool->backends[id];

		if (takes_part(be))
			rebalance_add(&groups[be->service][backend_family(be)], sync_load(ctl->sync, id)->flows,
				      ctl->extra[id].weight);
	}
}

static void relieve(struct control *ctl, int id, __u64 most, __u64 now)
{
	const struct config *c = ctl->config;
	unsigned long long had = sync_load(ctl->sync, id)->flows;
	struct lb_sweep sweep;

	if (control_close_some(ctl, id, most, c->rebalance_ms * 1000000, &sweep))
		return;
	ctl->be[id].rebalance_ns = sweep.closed ? 0 : now + PAUSE_NS;
	rebalance_closed(&ctl->be[id].rebalance, sweep.closed);
	if (sweep.closed)
		log_info("%s: %llu of its %llu sessions closed, idle ones, to even out the service",
			 c->pool->backends[id].name, (unsigned long long)sweep.closed, had);
}

void control_rebalance(struct control *ctl, __u64 now)
{
	struct rebalance_group groups[POOL_MAX_SERVICES][2] = {};

	if (!ctl->config->rebalance_ms)
		return;
	group_all(ctl, groups);
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &ctl->config->pool->backends[id];
		__u64 most;

		if (!takes_part(be) || now < ctl->be[id].rebalance_ns)
			continue;
		most = rebalance_excess(&groups[be->service][backend_family(be)], sync_load(ctl->sync, id)->flows,
					ctl->extra[id].weight);
		most = rebalance_allow(&ctl->be[id].rebalance, most, ctl->config->rebalance_ms * 1000000, now);
		if (most)
			relieve(ctl, id, most, now);
	}
}
