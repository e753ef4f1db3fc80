/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading: what the model and the maps say now, put together for people and programs. Changes nothing.
 */
#include <string.h>

#include "control_inner.h"

/* Upper edge of the bucket in which the share-th value lies; -1 when there is none. */
static __s64 quantile_ms(const __u64 hist[static LB_HIST_BUCKETS], double share)
{
	__u64 n = 0, seen = 0;

	for (int i = 0; i < LB_HIST_BUCKETS; i++)
		n += hist[i];
	if (!n)
		return -1;
	for (int i = 0; i < LB_HIST_BUCKETS; i++) {
		seen += hist[i];
		if (seen >= n * share)
			return 1LL << i;
	}
	return 1LL << (LB_HIST_BUCKETS - 1);
}

bool control_backend_report(struct control *ctl, int id, struct backend_report *out)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	struct sync_figures f = {};

	if (!be->used || (be->admin == ADMIN_REMOVED && !sync_load(ctl->sync, id)->flows))
		return false;
	sync_read_backend(ctl->sync, id, &f);
	*out = (struct backend_report) {
		.be = be,
		.svc = &ctl->config->pool->services[be->service],
		.state = backend_state(be),
		.conns = f.load.flows,
		.inflight = f.load.inflight,
		.sessions_total = f.load.sessions_total,
		.replies_total = f.load.replies_total,
		.reply_us_total = f.load.reply_ns_total / 1000,
		.refused_total = f.load.refused_total,
		.resets_total = f.load.resets_total,
		.at_risk_total = f.load.at_risk_total,
		.packets_in = f.traffic.packets_in,
		.bytes_in = f.traffic.bytes_in,
		.packets_out = f.traffic.packets_out,
		.bytes_out = f.traffic.bytes_out,
		.weight_now = (ctl->extra[id].weight + 15) / 16,
		.weight_now_16 = ctl->extra[id].weight,
		.max_conns_now = backend_max_flows(be),
		.reply_p50_ms = quantile_ms(f.replies.reply, 0.5),
		.reply_p99_ms = quantile_ms(f.replies.reply, 0.99),
		.banner_p99_ms = quantile_ms(f.replies.banner, 0.99),
		.longest_p99_ms = quantile_ms(f.replies.longest, 0.99),
		.reply_recent_us = ctl->extra[id].reply_ns / 1000,
		.next_hop = ctl->extra[id].hop.resolved,
		.since_s = (clock_ns() - be->changed_ns) / 1000000000,
	};
	if (be->admin == ADMIN_DRAIN) {
		out->drain_longest_ms = ctl->be[id].longest_ns / 1000000;
		out->drain_owing = ctl->be[id].owing;
	}
	out->checked = checks_status(ctl->checks, id, &out->check);
	out->asked = agents_status(ctl->agents, id, &out->agent);
	return true;
}

void control_status(struct control *ctl, struct status_report *out)
{
	const struct pool *pool = ctl->config->pool;

	*out = (struct status_report) {
		.uptime_s = (clock_ns() - ctl->started_ns) / 1000000000,
		.interfaces_n = ctl->config->interfaces_n,
	};
	for (size_t i = 0; i < ctl->config->interfaces_n; i++) {
		struct interface_report *ir = &out->interfaces[i];
		struct datapath_link link;

		datapath_link(ctl->dp, ctl->config->interfaces[i].name, &link);
		memcpy(ir->name, ctl->config->interfaces[i].name, sizeof(ir->name));
		ir->ifindex = link.ifindex;
		ir->attached = link.attached;
		ir->native = link.native;
		ir->prog_id = link.prog_id;
		ir->link_id = link.link_id;
	}
	sync_flow_counts(ctl->sync, &out->flow_entries, &out->flow_limit);
	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		out->services += pool->services[i].used;
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];
		struct agent_status agent;

		if (!be->used || be->admin == ADMIN_REMOVED)
			continue;
		if (agents_status(ctl->agents, id, &agent)) {
			out->agents++;
			out->agents_silent += agent.at_ns && !agent.answered;
		}
		out->backends++;
		out->up += backend_state(be) == STATE_UP || backend_state(be) == STATE_BUSY;
		out->down += backend_state(be) == STATE_DOWN;
		out->draining += backend_state(be) == STATE_DRAINING;
	}
	control_checker_status(ctl, &out->checker);
	sync_read_verdicts(ctl->sync, out->verdicts);
}

void control_checker_status(struct control *ctl, struct checker_status *out)
{
	struct agent_status agent;

	checks_checker_status(ctl->checks, out);
	for (int id = 1; id < LB_MAX_BACKENDS && !out->wanted; id++)
		out->wanted = agents_status(ctl->agents, id, &agent);
}

struct visit {
	int backend;
	bool (*visit)(void *arg, const struct lb_flow_key *key, const struct lb_flow *flow);
	void *arg;
};

static bool visit_one(void *arg, const struct lb_flow_key *key, const struct lb_flow *flow)
{
	struct visit *v = arg;

	return (v->backend && flow->backend != v->backend) || v->visit(v->arg, key, flow);
}

void control_flows(struct control *ctl, int backend,
		   bool (*visit)(void *arg, const struct lb_flow_key *key, const struct lb_flow *flow), void *arg)
{
	struct visit v = { .backend = backend, .visit = visit, .arg = arg };

	sync_flows(ctl->sync, visit_one, &v);
}
