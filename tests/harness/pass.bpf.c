/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the other ends of the balancer's links run in the lab: a veth takes XDP_TX and redirected frames
 * only while its peer has an XDP program too. Every packet goes on as it is. Two entries,
 * because a link with a large MTU takes only programs that know about frames in pieces.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp.frags")
int pass_frags(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
