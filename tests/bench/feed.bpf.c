// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Feeds packets to a program under test, for packet_feed.c. BPF_PROG_TEST_RUN hands the same buffer to every
 * repetition, and a program that rewrites packets would meet its own work; so this wrapper puts the frame
 * back, makes it the next flow's, and tail-calls the program. What the wrapper costs with a program that does
 * nothing is what packet_sample.c subtracts.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "feed.h"

struct bench_feed feed;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, BENCH_SITES *BENCH_PROGRAM_MAX);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} programs SEC(".maps");

/* A permutation of 0..mask. Flows are made in one order and meet their packets in another: a fresh table hands out its
 * memory in order, and whoever walked it so would find every next line fetched already. */
static __always_inline __u32 mix(__u32 n)
{
	n = n * feed.odd[0] & feed.mask;
	n ^= n >> feed.half;
	return n * feed.odd[1] & feed.mask;
}

static __always_inline int wrap(struct xdp_md *ctx, bool v6, bool reply)
{
	const int l4 = v6 ? 54 : 34, size = l4 + 20;
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 *words = data;
	__u32 n, flow, round;

	if (end - data != feed.len) {
		if (bpf_xdp_adjust_tail(ctx, (int)feed.len - (int)(end - data)))
			return XDP_ABORTED;
		data = (void *)(long)ctx->data;
		end = (void *)(long)ctx->data_end;
		words = data;
	}
	if (data + size > end)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < size / 8; i++)
		words[i] = feed.frame[i];
	if (size % 8 > 4) {
		*(__u32 *)(data + size / 8 * 8) = feed.frame[size / 8];
		*(__u16 *)(data + size / 8 * 8 + 4) = feed.frame[size / 8] >> 32;
	} else {
		*(__u16 *)(data + size / 8 * 8) = feed.frame[size / 8];
	}
	n = feed.counter++;
	flow = mix(n);
	round = (n >> feed.shift) * BENCH_STEP;
	/* eight ports of each client address */
	*(__be32 *)(data + (v6 ? (reply ? 50 : 34) : (reply ? 30 : 26))) = bpf_htonl(feed.client + (flow >> 3));
	*(__be16 *)(data + l4 + (reply ? 2 : 0)) = bpf_htons(2048 + (flow * 40503 & 0x7fff));
	*(__be32 *)(data + l4 + 4) = bpf_htonl(feed.seq + (feed.seq_moves ? round : 0));
	*(__be32 *)(data + l4 + 8) = bpf_htonl(feed.ack + (feed.ack_moves ? round : 0));
	bpf_tail_call(ctx, &programs, feed.program);
	return XDP_ABORTED;
}

SEC("xdp.frags")
int wrap_v4_request(struct xdp_md *ctx)
{
	return wrap(ctx, false, false);
}

SEC("xdp.frags")
int wrap_v4_reply(struct xdp_md *ctx)
{
	return wrap(ctx, false, true);
}

SEC("xdp.frags")
int wrap_v6_request(struct xdp_md *ctx)
{
	return wrap(ctx, true, false);
}

SEC("xdp.frags")
int wrap_v6_reply(struct xdp_md *ctx)
{
	return wrap(ctx, true, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
