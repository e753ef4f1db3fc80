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

#define FLOW_NOWHERE ~0ULL
#define RESIZE_MOVES 32768 /* per call */

static __always_inline __u64 flow_hash(const struct lb_flow_key *key)
{
	return hash_place(key, knob_place_secret);
}

static __always_inline void *flow_table(enum lb_flow_table which)
{
	__u32 slot = which;

	return bpf_map_lookup_elem(&flow_tables, &slot);
}

/* table_search() in one of the tables, for the verifier to prove by itself: a number, because such functions return no
 * pointers. */
__noinline __u32 flow_search(__u32 which, const struct lb_flow_key *key, __u64 hash)
{
	void *table = flow_table(which);

	return table && key ? table_search(table, key, hash) : TABLE_NONE;
}

__noinline __u32 flow_search_fast(const struct lb_flow_key *key, __u64 hash)
{
	return key ? table_search(&flows, key, hash) : TABLE_NONE;
}

/* From the table before into the new one. When that is full the flow stays, and serves, where it is. */
__noinline int resize_move(const struct lb_flow_key *key)
{
	void *before = flow_table(LB_FLOWS_MOVING), *now = flow_table(LB_FLOWS_NOW);
	struct lb_flow_slot *old, *moved;
	__u32 state, at;
	__u64 hash;

	if (!key || !before || !now)
		return 0;
	hash = flow_hash(key);
	at = flow_search(LB_FLOWS_MOVING, key, hash);
	old = table_slot(before, at);
	if (!old)
		return 0;
	state = __sync_lock_test_and_set((__u32 *)&old->flow.state, LB_FLOW_STATE_MAX);
	if (state == LB_FLOW_STATE_MAX) /* another CPU is at it */
		return 0;
	/* the stack has no room for a copy (6.1 counts 32 bytes for the smallest frame), so for a moment the new one has
	 * that state too */
	moved = table_slot(now, table_insert(now, key, hash, &old->flow));
	if (moved)
		table_remove(before, at, hash);
	__sync_lock_test_and_set((__u32 *)&(moved ? moved : old)->flow.state, state);
	return moved ? 0 : -1;
}

/* In which table a flow is, and where there. */
static __always_inline __u64 flow_place_in(enum lb_flow_table which, const struct lb_flow_key *key, __u64 hash)
{
	__u32 at = flow_search(which, key, hash);

	return at == TABLE_NONE ? FLOW_NOWHERE : (__u64)which << 32 | at;
}

__noinline __u64 flow_place(const struct lb_flow_key *key, __u64 hash)
{
	__u64 place = flow_place_in(LB_FLOWS_NOW, key, hash);
	enum lb_flow_table before;

	if (place != FLOW_NOWHERE)
		return place;
	before = flow_table(LB_FLOWS_SHARED) ? LB_FLOWS_SHARED : LB_FLOWS_MOVING;
	if (!flow_table(before))
		return place;
	place = flow_place_in(before, key, hash);
	return place != FLOW_NOWHERE ? place : flow_place_in(LB_FLOWS_NOW, key, hash); /* it moved between the two looks */
}

static __noinline struct lb_flow *flow_find_anywhere(const struct lb_flow_key *key)
{
	struct lb_flow_slot *slot;
	__u64 place = flow_place(key, flow_hash(key));
	void *table;

	if (place == FLOW_NOWHERE)
		return NULL;
	if (place >> 32 == LB_FLOWS_MOVING) {
		resize_move(key);
		place = flow_place(key, flow_hash(key)); /* the same again, if there was no room */
	}
	table = flow_table(place >> 32);
	slot = table ? table_slot(table, place) : NULL;
	/* the tables may have changed hands since */
	return slot && table_has(slot, key) ? &slot->flow : NULL;
}

/* Whether one bit is enough to say that there is no such flow: so for most SYNs. In this order, because a table before is
 * first shared, then moving. */
static __always_inline bool flow_is_nowhere(const struct lb_flow_key *key)
{
	if (flow_table(LB_FLOWS_SHARED) || flow_table(LB_FLOWS_MOVING))
		return false;
	return !table_is_home(&flows, flow_hash(key));
}

static __always_inline struct lb_flow *flow_find(const struct lb_flow_key *key)
{
	return flow_is_nowhere(key) ? NULL : flow_find_anywhere(key);
}

/* The fast path's: only in "flows". What is not there goes the slow path. */
static __always_inline struct lb_flow *flow_find_fast(const struct lb_flow_key *key)
{
	__u64 hash = flow_hash(key);
	struct lb_flow *flow = table_look(&flows, key, hash);
	struct lb_flow_slot *slot;

	if (flow)
		return flow;
	slot = table_slot(&flows, flow_search_fast(key, hash));
	return slot ? &slot->flow : NULL;
}

/* Makes a flow. False: as TABLE_NONE of table_insert(). */
__noinline bool flow_insert(const struct lb_flow_key *key, const struct lb_flow *flow)
{
	void *before = flow_table(LB_FLOWS_SHARED), *table = before ? before : flow_table(LB_FLOWS_NOW);

	return table && key && flow && table_insert(table, key, flow_hash(key), flow) != TABLE_NONE;
}

struct resize_walk {
	__u32 n, end, left;
};

static long resize_walk_one(struct bpf_map *map, const __u32 *at, struct lb_flow_slot *slot, struct resize_walk *walk)
{
	if (slot->claim != LB_SLOT_USED)
		return 0;
	if (walk->n == walk->end || resize_move(&slot->key)) {
		walk->left++;
		return 1;
	}
	if (slot->claim == LB_SLOT_USED) /* another CPU is at it, and may yet find no room */
		walk->left++;
	else
		walk->n++;
	return 0;
}

#endif
