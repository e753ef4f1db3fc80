/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The sweep: one walk over "flows" inside the kernel, run by lbd. Takes out what has expired, frees the slots of what it took
 * out the last time, and ends what lbd wants ended. Here and not in lbd, because only here a flow's state and the counts
 * that follow it change together. Ended flows go to lbd through "events": it tells both sides.
 */
#ifndef LB_SWEEP_H
#define LB_SWEEP_H

struct sweep_walk {
	struct lb_sweep *arg;
	__u64 now;
};

/* Ends an open flow and tells lbd. False: no room to tell, so not ended either. */
static __always_inline bool sweep_end(struct sweep_walk *walk, const struct lb_flow_key *key, struct lb_flow *flow)
{
	struct lb_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	struct lb_load *load = flow_load(flow);
	__u32 old;

	if (!event) {
		walk->arg->more = 1;
		return false;
	}
	old = flow_end(flow, LB_FLOW_RESET);
	if (old != LB_FLOW_SERVER && old != LB_FLOW_CLIENT) {
		bpf_ringbuf_discard(event, 0);
		return true;
	}
	flow->seen_ns = walk->now; /* stays for rst_ns more, to answer whoever still speaks */
	event->kind = LB_EVENT_RESET;
	event->zero = 0;
	event->key = *key;
	event->flow = *flow;
	event->flow.state = old;
	bpf_ringbuf_submit(event, 0);
	walk->arg->closed++;
	if (load)
		__sync_fetch_and_add(&load->resets_total, 1);
	if (flow_is_at_risk(flow, old)) {
		walk->arg->at_risk++;
		if (load)
			__sync_fetch_and_add(&load->at_risk_total, 1);
	}
	return true;
}

static __always_inline __u64 sweep_limit(const struct lb_sweep *arg, const struct lb_flow *flow)
{
	switch (flow->state) {
	case LB_FLOW_SERVER:
	case LB_FLOW_CLIENT:
		return flow->marks & LB_MARK_CLIENT_FIN || flow->server_fin ? arg->fin_ns : arg->idle_ns;
	case LB_FLOW_CLOSING:
		return arg->fin_ns;
	default:
		return arg->rst_ns;
	}
}

static __always_inline bool sweep_should_close(struct sweep_walk *walk, const struct lb_flow *flow)
{
	struct lb_sweep *arg = walk->arg;
	__u64 age_ns = walk->now - flow->opened_s * 1000000000ULL, quiet_ns = walk->now - flow->turn_ns;

	if (flow->backend != arg->close_backend)
		return false;
	arg->open++;
	if (flow->state == LB_FLOW_SERVER) {
		arg->owing++;
		if (quiet_ns > arg->longest_ns)
			arg->longest_ns = quiet_ns;
		return arg->close_force;
	}
	return arg->close_force || (quiet_ns >= arg->close_idle_ns && age_ns >= arg->close_older_ns);
}

static __always_inline bool sweep_is_full(const struct lb_sweep *arg)
{
	return arg->close_max && arg->closed >= arg->close_max;
}

/* Whatever is known of the flow stays in its slot until no packet looks at it any more. */
static __always_inline void sweep_remove(struct sweep_walk *walk, __u32 at, struct lb_flow_slot *slot)
{
	__u32 zero = 0;
	struct lb_totals *total = bpf_map_lookup_elem(&totals, &zero);

	if (!table_remove(&flows, at, flow_hash(&slot->key)))
		return;
	walk->arg->expired++;
	walk->arg->leaving++;
	if (total)
		__sync_fetch_and_sub(&total->flow_entries, 1);
	/* its ports were used again in this very moment (flow_promote): that counts no longer */
	flow_end(&slot->flow, LB_FLOW_ABORTED);
}

static long sweep_slot(struct bpf_map *map, const __u32 *at, struct lb_flow_slot *slot, struct sweep_walk *walk)
{
	struct lb_flow *flow = &slot->flow;
	bool open = flow->state == LB_FLOW_SERVER || flow->state == LB_FLOW_CLIENT;
	__u64 quiet_ns = walk->now - flow->seen_ns;

	if (slot->claim == LB_SLOT_LEAVING) {
		if (walk->arg->settled)
			slot->claim = LB_SLOT_FREE;
		else
			walk->arg->leaving++;
	}
	if (slot->claim != LB_SLOT_USED || flow->state == LB_FLOW_STATE_MAX) /* or on its way here (resize.h) */
		return 0;
	walk->arg->entries++;
	if ((__s64)quiet_ns < 0) /* a packet came while we walked */
		quiet_ns = 0;
	if (quiet_ns > sweep_limit(walk->arg, flow)) {
		if (open)
			sweep_end(walk, &slot->key, flow); /* never silently: RST now, out with a later sweep */
		else
			sweep_remove(walk, *at, slot);
		return 0;
	}
	if (open && walk->arg->close_backend != LB_NO_BACKEND && sweep_should_close(walk, flow) &&
	    !sweep_is_full(walk->arg))
		sweep_end(walk, &slot->key, flow);
	return 0;
}

#endif
