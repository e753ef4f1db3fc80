/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Every map of the program: who writes it, who reads it, and what happens when it is
 * full. Layouts are in lb_abi.h. lbd pins them all by these names.
 */
#ifndef LB_MAPS_H
#define LB_MAPS_H

/* VIP and port -> service. Writer lbd. Full: lbd refuses the service. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAX_VIPS *LB_MAX_PORTS);
	__type(key, struct lb_service_key);
	__type(value, struct lb_service);
} services SEC(".maps");

/* Address and port of a nat backend -> which one it is. Writer lbd. Full: lbd refuses the backend. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_MAX_BACKENDS *LB_MAX_PORTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct lb_backend_key);
	__type(value, struct lb_backend_ref);
} backend_addrs SEC(".maps");

/* Backend id -> next hop and state. Writer lbd, through mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_MAX_BACKENDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lb_backend);
} backends SEC(".maps");

/* Backend id -> what it carries now. Writer: the program, atomically. Read by lbd through mmap. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_MAX_BACKENDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lb_load);
} loads SEC(".maps");

/* Backend id -> packets and bytes. Writer: the program, each CPU its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct lb_traffic);
} traffic SEC(".maps");

/* Backend id -> histograms of waiting times. Writer: the program, each CPU its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct lb_replies);
} replies SEC(".maps");

/* VIP id -> the selection table. Writer lbd: a complete new inner map, then this one pointer. */
struct lb_table_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct lb_table)); /* __type would reach the BTF as a forward declaration only */
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, __u32);
	__array(values, struct lb_table_map);
} tables SEC(".maps");

/* VIP id -> position of the round-robin. Writer: the program, atomically. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_MAX_VIPS);
	__type(key, __u32);
	__type(value, __u64);
} rotors SEC(".maps");

/* Half-open connections, in sets (pending.h). Writer: the program. Full: those of a set go in turn. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_PENDING_SETS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lb_pending_set);
} pending SEC(".maps");

/* Established connections, in slots (flow_table.h). Never evicts. Full: new connections get a RST, old ones stay.
 * lbd sets the size and sweeps what has expired. */
#define FLOW_TABLE_FLAGS (BPF_F_MMAPABLE | BPF_F_INNER_MAP)
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LB_SLOTS_FOR_FLOWS(LB_DEFAULT_FLOWS));
	__uint(map_flags, FLOW_TABLE_FLAGS);
	__type(key, __u32);
	__type(value, struct lb_flow_slot);
} flows SEC(".maps");

/* The flow table once more, and for a while the one of another size that it replaces (resize.h). Only the fast path looks
 * into "flows" itself. Writer: lbd. */
struct lb_flows_map {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* any: FLOW_TABLE_FLAGS says so */
	__uint(map_flags, FLOW_TABLE_FLAGS);
	__type(key, __u32); /* as "flows" has them: kernels before 6.2 tell maps with types from those without */
	__type(value, struct lb_flow_slot);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, LB_FLOWS_MAX);
	__type(key, __u32);
	__array(values, struct lb_flows_map);
} flow_tables SEC(".maps") = {
	.values = { [LB_FLOWS_NOW] = (void *)&flows },
};

/* Ports of fragmented datagrams. LRU: a lost entry costs one retransmission. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LB_FRAGMENT_ENTRIES);
	__type(key, struct lb_fragment_key);
	__type(value, struct lb_fragment);
} fragments SEC(".maps");

/* Verdict -> packets. Writer: the program, each CPU its own. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LB_VERDICT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

/* Size of the flow table and entries in it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct lb_totals);
} totals SEC(".maps");

/* What these maps are: checked before they are reused. Writer lbd; the program never looks. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct lb_meta);
} meta SEC(".maps");

/* Program -> lbd. Full: the sweep says so and is called again. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, LB_EVENT_BYTES);
} events SEC(".maps");

/* One bit for every port that some service has. Spares packets that are not ours both hash look-ups.
 * Not pinned: belongs to the loaded program, which lbd fills before it attaches. */
__u64 port_bits[65536 / 64];

/* Also the loaded program's own. */
struct hint_table hints[2];
__u32 hints_live;

/* What flow_table.h asks of a table. A table knows its size itself, because its program and the slot of "flow_tables" change
 * at different moments. */
struct bpf_map {
	__u32 max_entries;
} __attribute__((preserve_access_index));

static __always_inline __u32 table_slots(void *table)
{
	return LB_SLOTS_BEFORE_BITS(((struct bpf_map *)table)->max_entries);
}

static __always_inline __u32 table_homes(void *table)
{
	return table_slots(table) - (LB_FLOW_WINDOW - 1);
}

static __always_inline struct lb_flow_slot *table_slot(void *table, __u32 at)
{
	return bpf_map_lookup_elem(table, &at);
}

/* The word of a home's bit. */
static __always_inline __u64 *table_bits(void *table, __u32 home)
{
	struct lb_flow_slot *slot = table_slot(table, table_slots(table) + home / LB_HOMES_IN_SLOT);

	return slot ? (__u64 *)&slot->flow + home % LB_HOMES_IN_SLOT / 64 : NULL;
}

static __always_inline bool port_is_served(__u16 port)
{
	return port_bits[port >> 6] >> (port & 63) & 1;
}

#endif
