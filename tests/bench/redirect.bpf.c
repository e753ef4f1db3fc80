// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * What any XDP program pays between two interfaces: it writes two MAC addresses and redirects, and looks at nothing.
 * The difference to mailxdp is mailxdp's own work; the rest is the driver's. ARP goes up the stack. Also the programs
 * that inject frames and count them for pps_tool.c.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "redirect.h"

struct redirect_way ways[2];	/* by "is it the second interface" */
__u32 second_ifindex;

SEC("xdp")
int redirect(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	const struct redirect_way *way = &ways[ctx->ingress_ifindex == second_ifindex];
	struct ethhdr *eth = data;
	__u16 *to = data;

	if ((void *)(eth + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
#pragma unroll
	for (int i = 0; i < 6; i++)
		to[i] = way->macs[i];
	return bpf_redirect(way->ifindex, 0);
}

/* --- pps_tool ------------------------------------------------------------------------ */

struct inject_feed feed;

/* Run by TEST_RUN with live frames. Pages come back as the last one left them, so all of the headers are written;
 * the checksum is right, or conntrack would not touch the packet. */
SEC("xdp")
int inject(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__be16 port = bpf_htons(2048 + (feed.counter++ & feed.flows_mask));
	__u32 sum = feed.sum + port;
	__u16 *words = data;

	if (data + INJECT_LEN > end)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < INJECT_LEN / 2; i++)
		words[i] = feed.frame[i];
	words[feed.reply ? 18 : 17] = port;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	words[25] = ~sum;
	return bpf_redirect(feed.ifindex, 0);
}

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counted SEC(".maps");

/* Behind the balancer: counts TCP and ends it here; the rest goes on. */
SEC("xdp")
int count(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 zero = 0;
	__u64 *n = bpf_map_lookup_elem(&counted, &zero);

	if (data + 54 > end || *(__be16 *)(data + 12) != bpf_htons(ETH_P_IP) || *(__u8 *)(data + 23) != 6 || !n)
		return XDP_PASS;
	++*n;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
