/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow table: one array of slots, a flow's key and all that is known of it side by side, so that a packet meets its
 * flow with one cache miss, where the kernel's hash has a bucket and an element to fetch. A flow has two homes, by the halves
 * of one hash, and lives in a free slot close behind either; a home has one bit for each of the slots that its flows may be
 * in (hopscotch hashing, Herlihy, Shavit and Tzafrir 2008, without its hops), and counts those that live at the other,
 * so that a new connection costs one miss too. Five slots in eight may be used: then none was ever refused
 * (flow_table_test, which also prints how far from home they are).
 *
 * Nobody waits for anybody. A slot is filled before its bit appears, and after its bit is gone it stays as it was until
 * every packet that may have seen the bit is through (lbd waits for that grace period, the sweep then frees): who has found
 * a flow holds that flow and no other, which the kernel's own preallocated hash does not promise. Two CPUs never make the
 * same flow twice, because who makes one holds its first home; whoever comes second finds it held and gives up: its packet
 * is dropped, and repeated.
 *
 * Behind the slots there is one bit for each home, set while some flow may have it as its first. A SYN asks this bit before
 * anything else: in a table with air a flood mostly meets these bits, 39 KB for the default size, and not the table.
 *
 * Knows slots and keys, not what a flow is. The host's tests compile it too: what a table is (table_homes(), table_slot(),
 * table_bits()) is its includer's.
 */
#ifndef LB_FLOW_TABLE_H
#define LB_FLOW_TABLE_H

#define TABLE_NONE 0xffffffffU /* no slot has this number */
#define TABLE_NEAR 4	       /* a flow goes to its second home only when so many slots of the first are taken */

static __always_inline __u32 table_home(void *table, __u32 hash)
{
	return (__u64)hash * table_homes(table) >> 32;
}

static __always_inline bool table_has(const struct lb_flow_slot *slot, const struct lb_flow_key *key)
{
	const __u64 *a = (const __u64 *)&slot->key, *b = (const __u64 *)key;

	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

static __always_inline __u32 table_search_from(void *table, const struct lb_flow_key *key, __u32 at, __u32 homed)
{
	struct lb_flow_slot *slot;

	for (homed &= LB_HOME_BITS; homed; homed >>= 1, at++) {
		slot = homed & 1 ? table_slot(table, at) : NULL;
		if (slot && table_has(slot, key))
			return at;
	}
	return TABLE_NONE;
}

static __always_inline __u32 table_homed(void *table, __u32 home)
{
	struct lb_flow_slot *slot = table_slot(table, home);

	return slot ? slot->homed : 0;
}

/* Everywhere that the flow may be. Its slot, or TABLE_NONE. hash: hash_place(key). */
static __noinline __u32 table_search(void *table, const struct lb_flow_key *key, __u64 hash)
{
	__u32 home = table_home(table, hash), homed = table_homed(table, home);
	__u32 at = table_search_from(table, key, home, homed);

	if (at != TABLE_NONE || !(homed & LB_HOME_AWAY))
		return at;
	home = table_home(table, hash >> 32);
	return table_search_from(table, key, home, table_homed(table, home));
}

/* The same, but at home only: most flows of a table with air, four of ten of a full one. */
static __always_inline struct lb_flow *table_look(void *table, const struct lb_flow_key *key, __u64 hash)
{
	struct lb_flow_slot *slot = table_slot(table, table_home(table, hash));

	return slot && slot->homed & 1 && table_has(slot, key) ? &slot->flow : NULL;
}

/* Whether there may be such a flow. */
static __always_inline bool table_is_home(void *table, __u64 hash)
{
	__u32 home = table_home(table, hash);
	__u64 *bits = table_bits(table, home);

	return !bits || *bits >> home % 64 & 1;
}

/* The caller holds the home. */
static __always_inline void table_mark_home(void *table, __u32 home)
{
	__u64 *bits = table_bits(table, home), bit = 1ULL << home % 64;

	if (bits && !(*bits & bit))
		__sync_fetch_and_or(bits, bit);
}

/* Puts the flow into a slot, d from its home, if that is free. */
static __always_inline bool table_take(void *table, __u32 home, __u32 d, const struct lb_flow_key *key,
				       const struct lb_flow *flow)
{
	struct lb_flow_slot *slot = table_slot(table, home + d);

	if (!slot || slot->claim != LB_SLOT_FREE ||
	    __sync_val_compare_and_swap(&slot->claim, LB_SLOT_FREE, LB_SLOT_FILLING) != LB_SLOT_FREE)
		return false;
	slot->key = *key;
	slot->flow = *flow;
	__sync_lock_test_and_set(&slot->claim, LB_SLOT_USED);
	slot = table_slot(table, home);
	if (slot)
		__sync_fetch_and_or(&slot->homed, 1u << d);
	return true;
}

/* One more flow of this home lives at its second; the caller holds the home. */
static __always_inline void table_away_more(__u32 *homed)
{
	if ((*homed & LB_HOME_AWAY) != LB_HOME_AWAY)
		__sync_fetch_and_add(homed, LB_HOME_AWAY_ONE);
}

/* One less. Who meets another CPU here again and again leaves the number too high: that costs looks, not flows. */
static __always_inline void table_away_less(__u32 *homed)
{
	__u32 was;

	for (int i = 0; i < 4; i++) {
		was = *(volatile __u32 *)homed;
		if ((was & LB_HOME_AWAY) == LB_HOME_AWAY ||
		    __sync_val_compare_and_swap(homed, was, was - LB_HOME_AWAY_ONE) == was)
			return;
	}
}

/* Makes a flow; its slot. TABLE_NONE: it is there already, or has no room near its homes, or somebody is making one. */
static __noinline __u32 table_insert(void *table, const struct lb_flow_key *key, __u64 hash, const struct lb_flow *flow)
{
	__u32 home = table_home(table, hash), other = table_home(table, hash >> 32), at = TABLE_NONE;
	struct lb_flow_slot *held = table_slot(table, home);
	bool far = false, away = false;

	if (!held || __sync_fetch_and_or(&held->homed, LB_HOME_HELD) & LB_HOME_HELD)
		return TABLE_NONE;
	table_mark_home(table, home);
	if (table_search(table, key, hash) != TABLE_NONE)
		goto out;
	for (__u32 d = 0; d < LB_FLOW_WINDOW && at == TABLE_NONE; d++) {
		if (table_take(table, home, d, key, flow))
			at = home + d;
		if (d < TABLE_NEAR || at != TABLE_NONE)
			continue;
		if (d == TABLE_NEAR)
			table_away_more(&held->homed);
		away = other != home && table_take(table, other, d - TABLE_NEAR, key, flow);
		if (away)
			at = other + d - TABLE_NEAR;
		far = true;
	}
	if (far && !away)
		table_away_less(&held->homed);
out:
	__sync_fetch_and_and(&held->homed, ~LB_HOME_HELD);
	return at;
}

/* The home has one flow less. Whoever takes its bit away holds it, so that nobody makes a flow there meanwhile. */
static __always_inline void table_leave(void *table, __u32 home, struct lb_flow_slot *slot)
{
	__u64 *bits = table_bits(table, home);

	if (!bits || slot->homed || __sync_val_compare_and_swap(&slot->homed, 0, LB_HOME_HELD))
		return;
	__sync_fetch_and_and(bits, ~(1ULL << home % 64));
	__sync_fetch_and_and(&slot->homed, ~LB_HOME_HELD);
}

/* at: of a flow. From now on nobody finds it; the sweep makes its slot free. False: it is gone already. */
static __noinline bool table_remove(void *table, __u32 at, __u64 hash)
{
	__u32 home = table_home(table, hash), first = home, d, bit;
	struct lb_flow_slot *slot = table_slot(table, at), *held;

	for (int choice = 0; slot && choice < 2; choice++, home = table_home(table, hash >> 32)) {
		d = at - home;
		held = table_slot(table, home);
		bit = 1u << (d & 31);
		if (d >= LB_FLOW_WINDOW || !held || !(__sync_fetch_and_and(&held->homed, ~bit) & bit))
			continue;
		__sync_lock_test_and_set(&slot->claim, LB_SLOT_LEAVING);
		table_leave(table, home, held);
		held = choice ? table_slot(table, first) : NULL;
		if (held) {
			table_away_less(&held->homed);
			table_leave(table, first, held);
		}
		return true;
	}
	return false;
}

#endif
