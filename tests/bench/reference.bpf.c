// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What the balancer is compared with, for packet_bench: a MAC swap; parse and one look-up in a table of the flow
 * table's size; parse and one small look-up; parse and one LRU insert; and nothing at all.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../../bpf/lb_abi.h"

/* The sizes follow the treaty, so that a smaller key there makes a faster reference here. */
struct ref_key {
	__u32 words[sizeof(struct lb_flow_key) / 4];
};

struct ref_value {
	__u64 words[sizeof(struct lb_flow) / 8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, LB_DEFAULT_FLOWS);
	__type(key, struct ref_key);
	__type(value, struct ref_value);
} ref_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct ref_key);
	__type(value, __u64);
} ref_small SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, (LB_PENDING_SETS * LB_PENDING_WAYS));
	__type(key, struct ref_key);
	__type(value, struct ref_value);
} ref_lru SEC(".maps");

static __always_inline void swap_macs(void *data)
{
	__u16 *eth = data, keep[3] = { eth[0], eth[1], eth[2] };

	eth[0] = eth[3];
	eth[1] = eth[4];
	eth[2] = eth[5];
	eth[3] = keep[0];
	eth[4] = keep[1];
	eth[5] = keep[2];
}

/* Client address and both ports, as a program would that knows nothing but plain TCP. */
static __always_inline bool parse_key(struct xdp_md *ctx, struct ref_key *key)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct tcphdr *tcp;

	if ((void *)(eth + 1) > end)
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end || ip->ihl < 5 || ip->protocol != IPPROTO_TCP)
			return false;
		tcp = (void *)ip + ip->ihl * 4;
		key->words[0] = ip->saddr;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end || ip->nexthdr != IPPROTO_TCP)
			return false;
		tcp = (void *)(ip + 1);
		key->words[0] = ip->saddr.s6_addr32[3];
		key->words[1] = ip->saddr.s6_addr32[2];
		key->words[2] = ip->saddr.s6_addr32[1];
		if (sizeof(*key) > 16)
			key->words[3] = ip->saddr.s6_addr32[0];
	} else {
		return false;
	}
	if ((void *)(tcp + 1) > end)
		return false;
	key->words[sizeof(*key) / 4 - 1] = *(__u32 *)tcp;
	return true;
}

SEC("xdp.frags")
int ref_empty(struct xdp_md *ctx)
{
	return XDP_TX;
}

SEC("xdp.frags")
int ref_swap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + sizeof(struct ethhdr) > end)
		return XDP_DROP;
	swap_macs(data);
	return XDP_TX;
}

SEC("xdp.frags")
int ref_lookup(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ref_key key = {};
	struct ref_value *value;

	if (!parse_key(ctx, &key))
		return XDP_PASS;
	value = bpf_map_lookup_elem(&ref_flows, &key);
	/* the value is read: without that a look-up is of no use to anybody */
	if (!value || !value->words[0] || data + sizeof(struct ethhdr) > end)
		return XDP_PASS;
	swap_macs(data);
	return XDP_TX;
}

SEC("xdp.frags")
int ref_small_lookup(struct xdp_md *ctx)
{
	struct ref_key key = {};

	if (!parse_key(ctx, &key))
		return XDP_PASS;
	return bpf_map_lookup_elem(&ref_small, &key) ? XDP_TX : XDP_PASS;
}

SEC("xdp.frags")
int ref_lru_insert(struct xdp_md *ctx)
{
	struct ref_value value = { .words = { 1 } };
	struct ref_key key = {};

	if (!parse_key(ctx, &key))
		return XDP_PASS;
	return bpf_map_update_elem(&ref_lru, &key, &value, BPF_ANY) ? XDP_DROP : XDP_TX;
}

/* Not measured: puts the packet's flow into the table of ref_lookup. */
SEC("xdp.frags")
int ref_fill(struct xdp_md *ctx)
{
	struct ref_value value = { .words = { 1 } };
	struct ref_key key = {};

	if (!parse_key(ctx, &key))
		return XDP_PASS;
	return bpf_map_update_elem(&ref_flows, &key, &value, BPF_ANY) ? XDP_DROP : XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
