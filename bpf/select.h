/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A new flow's backend. Only SYNs come here (and strays of a Maglev service). The table that lbd filled
 * holds ids by weight; what differs between schedulers is which slots are looked at. O(1)
 * but for the case that the picks are all at their cap: then every member is asked once.
 */
#ifndef LB_SELECT_H
#define LB_SELECT_H

/* A backend that has just refused a connection looks the least loaded of all. Others are asked first for so long; lbd
 * takes it out after three refusals. */
#define SELECT_SHY_NS 50000000LL

struct select_scan {
	const struct lb_table *table;
	__u64 now;
	__u32 start;
	__u16 found;
	bool capped;	/* out: somebody was at its cap */
	bool shy;	/* out: somebody had just refused */
	bool desperate; /* ask those too */
};

static __always_inline bool select_eligible(const struct lb_backend *be)
{
	__u8 both = LB_BACKEND_ELIGIBLE | LB_BACKEND_RESOLVED;

	return (be->flags & both) == both && be->weight;
}

/* Eligible and below its cap? Counts a refusal at the cap. */
static __always_inline bool select_usable(__u32 id, struct select_scan *scan)
{
	struct lb_backend *be = bpf_map_lookup_elem(&backends, &id);
	struct lb_load *load = bpf_map_lookup_elem(&loads, &id);

	if (!be || !load || !select_eligible(be))
		return false;
	if (!scan->desperate && (__s64)(scan->now - load->refused_ns) < SELECT_SHY_NS) {
		scan->shy = true;
		return false;
	}
	if (!be->max_flows || load->flows < be->max_flows)
		return true;
	scan->capped = true;
	__sync_fetch_and_add(&load->refused_total, 1);
	return false;
}

/* Lower is better. Weights count here once more than in the table: the table draws by weight, this compares
 * load per weight, so that at equal load per weight the shares follow the weights. */
static __always_inline __u64 select_score(__u32 id, __u8 scheduler, __u64 *weight)
{
	struct lb_backend *be = bpf_map_lookup_elem(&backends, &id);
	struct lb_load *load = bpf_map_lookup_elem(&loads, &id);

	if (!be || !load)
		return 0;
	*weight = be->weight;
	if (scheduler == LB_SCHED_LEAST_CONN)
		return load->flows + 1;
	/* microseconds: (in flight + 1) x time x weight stays below 2^64 for 2^20 flows of 2^28 us */
	return (load->inflight + 1) * ((be->reply_ns >> 10) + 1);
}

static long select_scan_one(__u32 i, struct select_scan *scan)
{
	__u32 at = scan->start + i;

	if (at >= scan->table->members_n)
		at -= scan->table->members_n;
	if (at >= LB_MAX_MEMBERS)
		return 1;
	if (!select_usable(scan->table->members[at], scan))
		return 0;
	scan->found = scan->table->members[at];
	return 1;
}

static __always_inline __u16 select_slot(const struct lb_table *table, __u64 at)
{
	return at < LB_TABLE_SLOTS ? table->slots[at] : LB_NO_BACKEND;
}

/* 0..n-1 from the upper bits of dice, without a division (Lemire, 2019); a bias of n / 2^16 is none of ours. */
static __always_inline __u32 select_random(__u32 dice, __u32 n)
{
	return (__u64)dice * n >> 32;
}

static __always_inline __u16 select_pick(const struct lb_table *table, __u32 vip, __u8 scheduler, __u64 hash, __u64 now)
{
	__u32 n = table->slots_n, at;
	__u64 weight_a = 1, weight_b = 1, score_a, score_b;
	__u64 *rotor;
	__u32 dice;
	__u16 a, b;

	if (scheduler == LB_SCHED_MAGLEV)
		return select_slot(table, hash % n);
	if (scheduler == LB_SCHED_ROUND_ROBIN) {
		rotor = bpf_map_lookup_elem(&rotors, &vip);
		return rotor ? select_slot(table, __sync_fetch_and_add(rotor, 1) % n) : LB_NO_BACKEND;
	}
	/* who comes again does not meet the same two */
	dice = (hash ^ now) * 0x9e3779b97f4a7c15ULL >> 32;
	a = select_slot(table, select_random(dice << 16, n));
	if (scheduler == LB_SCHED_RANDOM)
		return a;
	/* Two choices instead of one take the worst queue from log n to log log n (Mitzenmacher, 2001). A
	 * second pick that repeats the first moves on: with three backends every third would. */
	at = select_random(dice, n);
#pragma unroll
	for (int i = 0; i < 4; i++) {
		b = select_slot(table, at);
		if (b != a)
			break;
		at = at + 1 == n ? 0 : at + 1;
	}
	score_a = select_score(a, scheduler, &weight_a);
	score_b = select_score(b, scheduler, &weight_b);
	return score_b * weight_a < score_a * weight_b ? b : a;
}

/* hash: pending_hash() of the flow. LB_NEXT with *id set, or why not: LB_RESET_NO_BACKEND, LB_RESET_AT_CAP. */
static __noinline enum lb_verdict select_backend(__u32 vip, __u8 scheduler, __u64 hash, __u64 now, __u16 *id)
{
	__u32 zero = 0;
	void *inner = bpf_map_lookup_elem(&tables, &vip);
	struct lb_table *table = inner ? bpf_map_lookup_elem(inner, &zero) : NULL;
	struct select_scan scan = { .table = table, .now = now };

	if (!table || !table->slots_n || !table->members_n)
		return LB_RESET_NO_BACKEND;
	scan.found = select_pick(table, vip, scheduler, hash, now);
	if (!select_usable(scan.found, &scan)) {
		scan.found = LB_NO_BACKEND;
		scan.start = select_random(bpf_get_prandom_u32(), table->members_n);
		bpf_loop(table->members_n, select_scan_one, &scan, 0);
	}
	if (!scan.found && scan.shy) {
		scan.desperate = true;
		bpf_loop(table->members_n, select_scan_one, &scan, 0);
	}
	*id = scan.found;
	if (scan.found)
		return LB_NEXT;
	return scan.capped ? LB_RESET_AT_CAP : LB_RESET_NO_BACKEND;
}

#endif
