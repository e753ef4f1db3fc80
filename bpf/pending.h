/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Half-open connections: a set-associative cache in one array. A key has one set of eight entries, found by a few marks in one
 * cache line; a new one takes its own old place, an empty one, or that of the next in turn, in a flood the oldest. So a SYN
 * flood turns this table over and touches nothing else, and a SYN costs a hash and a few stores where the kernel's LRU hash
 * takes a lock, a free list and, when that is empty, an eviction scan (half of what a SYN cost in all).
 *
 * Only who exchanged an entry's mark for PENDING_BUSY writes it, so it is never a mixture of two. As with the kernel's
 * LRU, an entry that was found may be taken over while its finder still holds it; then a handshake fails,
 * and the client repeats its SYN. Entries need no sweeping: whoever finds one looks at its age.
 */
#ifndef LB_PENDING_H
#define LB_PENDING_H

#define PENDING_BUSY 2 /* marks are odd */

/* Of a key, for all of the calls below. */
static __always_inline __u64 pending_hash(const struct lb_flow_key *key)
{
	return hash_flow(key, knob_hash_seed);
}

static __always_inline struct lb_pending_set *pending_set(__u64 hash, __u32 *mark)
{
	__u32 at = hash % LB_PENDING_SETS;

	*mark = hash >> 32 | 1;
	return bpf_map_lookup_elem(&pending, &at);
}

static __always_inline bool pending_is(const struct lb_pending *entry, const struct lb_flow_key *key)
{
	const __u64 *a = (const __u64 *)&entry->key, *b = (const __u64 *)key;

	return a[2] == b[2] && a[1] == b[1] && a[0] == b[0];
}

static __noinline struct lb_flow *pending_search(const struct lb_flow_key *key, __u64 hash, __u64 now)
{
	__u32 mark;
	struct lb_pending_set *set = pending_set(hash, &mark);

	if (!set)
		return NULL;
#pragma unroll
	for (int i = 0; i < LB_PENDING_WAYS; i++)
		if (set->marks[i] == mark && pending_is(&set->entries[i], key) &&
		    (__s64)(now - set->entries[i].flow.seen_ns) <= (__s64)knob_half_open_ns)
			return &set->entries[i].flow;
	return NULL;
}

/* The entry of key, when it is not older than a half-open connection may be. The marks alone say that there is none of most
 * SYNs. */
static __always_inline struct lb_flow *pending_find(const struct lb_flow_key *key, __u64 hash, __u64 now)
{
	__u32 mark;
	const struct lb_pending_set *set = pending_set(hash, &mark);

#pragma unroll
	for (int i = 0; set && i < LB_PENDING_WAYS; i++)
		if (set->marks[i] == mark)
			return pending_search(key, hash, now);
	return NULL;
}

static __noinline int pending_forget(const struct lb_flow_key *key, __u64 hash)
{
	__u32 mark;
	struct lb_pending_set *set = pending_set(hash, &mark);

#pragma unroll
	for (int i = 0; set && i < LB_PENDING_WAYS; i++)
		if (set->marks[i] == mark && pending_is(&set->entries[i], key))
			__sync_val_compare_and_swap(&set->marks[i], mark, 0);
	return 0;
}

/* False: another CPU is writing the very entry, which a repeated SYN will find settled. */
static __noinline bool pending_put(const struct lb_flow_key *key, __u64 hash, const struct lb_flow *flow)
{
	__u32 mark, was, own = LB_PENDING_WAYS, empty = LB_PENDING_WAYS, choice;
	struct lb_pending_set *set = pending_set(hash, &mark);
	struct lb_pending *entry;

	if (!set)
		return false;
#pragma unroll
	for (int i = 0; i < LB_PENDING_WAYS; i++) {
		if (set->marks[i] == mark)
			own = i;
		if (!set->marks[i])
			empty = i;
	}
	choice = own < LB_PENDING_WAYS ? own : empty < LB_PENDING_WAYS ? empty : set->next++ % LB_PENDING_WAYS;
	was = set->marks[choice];
	if (was == PENDING_BUSY || __sync_val_compare_and_swap(&set->marks[choice], was, PENDING_BUSY) != was)
		return false;
	entry = &set->entries[choice];
	entry->key = *key;
	entry->flow = *flow;
	__sync_lock_test_and_set(&set->marks[choice], mark);
	return true;
}

#endif
