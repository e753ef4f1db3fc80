/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Finding a flow while the flow table changes its size. A program is bound to its table, so another size means another
 * program; and since not all interfaces change programs in the same instant, the table before is first shared
 * (all flows are found and made in it), and then, when no old program runs any more, emptied into the new one:
 * flow by flow as their packets come, and by lbd's walk. lbd says which it is by the slot of "flow_tables". In it is
 * the present table too, so that all flows that the slow path sees are of one kind to the verifier.
 *
 * Whoever exchanges a flow's state for LB_FLOW_STATE_MAX moves it, nobody else can. Counts follow the state by atomic
 * exchange (flow.h), so a packet that still holds the old entry changes none: at worst it loses a turn.
 */
#ifndef LB_RESIZE_H
#define LB_RESIZE_H

#define RESIZE_MOVES 32768 /* per call: some 20 ms */

static __always_inline void *flow_table(enum lb_flow_table which)
{
	__u32 slot = which;

	return bpf_map_lookup_elem(&flow_tables, &slot);
}

/* From the table before into the new one. When that is full the flow stays, and serves, where it is. */
__noinline int resize_move(const struct lb_flow_key *key)
{
	void *before = flow_table(LB_FLOWS_MOVING);
	struct lb_flow_key own; /* what a global function is handed is no key of a map to kernels before 6.2 */
	struct lb_flow *old, copy;
	__u32 state;
	int ret;

	if (!key || !before)
		return 0;
	own = *key;
	old = bpf_map_lookup_elem(before, &own);
	if (!old)
		return 0;
	state = __sync_lock_test_and_set((__u32 *)&old->state, LB_FLOW_STATE_MAX);
	if (state == LB_FLOW_STATE_MAX) /* another CPU is at it */
		return 0;
	copy = *old;
	copy.state = state;
	ret = bpf_map_update_elem(&flows, &own, &copy, BPF_NOEXIST);
	if (ret)
		__sync_lock_test_and_set((__u32 *)&old->state, state);
	else
		bpf_map_delete_elem(before, &own);
	return ret;
}

static __noinline struct lb_flow *flow_find(const struct lb_flow_key *key)
{
	void *now = flow_table(LB_FLOWS_NOW), *before;
	struct lb_flow *flow = now ? bpf_map_lookup_elem(now, key) : NULL;

	if (flow)
		return flow;
	before = flow_table(LB_FLOWS_SHARED);
	if (!before && flow_table(LB_FLOWS_MOVING)) {
		resize_move(key);
		flow = now ? bpf_map_lookup_elem(now, key) : NULL;
		if (flow)
			return flow;
		before = flow_table(LB_FLOWS_MOVING); /* there was no room */
	}
	flow = before ? bpf_map_lookup_elem(before, key) : NULL;
	if (flow || !before || !now)
		return flow;
	return bpf_map_lookup_elem(now, key); /* it moved between the two looks */
}

/* Makes a flow. 0 or -errno, as bpf_map_update_elem() with BPF_NOEXIST. */
static __always_inline long flow_insert(const struct lb_flow_key *key, const struct lb_flow *flow)
{
	void *before = flow_table(LB_FLOWS_SHARED);

	return bpf_map_update_elem(before ? before : &flows, key, flow, BPF_NOEXIST);
}

struct bpf_map;

struct resize_walk {
	__u32 n, end;
};

static long resize_walk_one(struct bpf_map *map, const struct lb_flow_key *key, struct lb_flow *flow,
			    struct resize_walk *walk)
{
	struct lb_flow_key own = *key; /* the map's memory goes with the entry */

	return resize_move(&own) || ++walk->n == walk->end;
}

#endif
