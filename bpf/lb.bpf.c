// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The XDP program. Read this first: a packet's way, stage by stage.
 *
 * parse -> classify -> flow -> turn -> forward -> finish. A stage returns LB_NEXT to go on, or the verdict that
 * ends it. Everything is decided before the first byte changes; a changed packet never goes up
 * the stack. Verdicts, keys and values are the treaty, lb_abi.h; maps are in maps.h.
 *
 * lb() itself (fast()) carries the packets of established flows, and nothing else: whatever needs more goes by tail call
 * to a program that starts again from the frame. That costs a rare packet a second parse, and spares the
 * frequent one the registers and the verifier the product of both.
 */
#include <linux/bpf.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "lb_abi.h"
#include "hash.h"
#include "knobs.h"
#include "hint.h"
#include "maps.h"
#include "csum.h"
#include "parse.h"
#include "turn.h"
#include "service.h"
#include "select.h"
#include "pending.h"
#include "doubt.h"
#include "flow_table.h"
#include "resize.h"
#include "flow.h"
#include "forward.h"
#include "request.h"
#include "reply.h"
#include "fragment.h"
#include "icmp.h"
#include "finish.h"
#include "slow.h"
#include "reset.h"
#include "sweep.h"

/* The IP packet is longer than the frame, or its TCP header makes no sense. Asked only once it is ours. */
static __always_inline enum lb_verdict check_tcp(struct xdp_md *ctx, const struct lb_pkt *pkt)
{
	__u8 flags = pkt->tcp_flags;

	/* the bound is asked again because the verifier (6.1 to 6.18) forgets a byte-sized flag on the stack */
	if (pkt->broken || pkt->l4 + sizeof(struct tcphdr) > pkt->end)
		return LB_DROP_TRUNCATED;
	if (pkt->partial && bpf_xdp_get_buff_len(ctx) < pkt->l3_off + pkt->bytes)
		return LB_DROP_TRUNCATED;
	if (!(flags & (TCP_FLAG_SYN | TCP_FLAG_ACK | TCP_FLAG_RST)))
		return LB_DROP_BAD_TCP;
	if (flags & TCP_FLAG_SYN && flags & (TCP_FLAG_FIN | TCP_FLAG_RST))
		return LB_DROP_BAD_TCP;
	return LB_NEXT;
}

/* The slow paths are programs of their own: each has its own stack, and the fast one stays small. They belong to one
 * loaded program and are replaced with it; lbd pins the array, which the kernel would empty when lbd ends. */
int slow_tcp(struct xdp_md *ctx);
int slow_icmp(struct xdp_md *ctx);
int slow_odd(struct xdp_md *ctx);
enum slow { SLOW_TCP, SLOW_ICMP, SLOW_ODD, SLOW_MAX };
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SLOW_MAX);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} slow_paths SEC(".maps") = {
	.values = { [SLOW_TCP] = &slow_tcp, [SLOW_ICMP] = &slow_icmp, [SLOW_ODD] = &slow_odd },
};

static __always_inline int go_slow(struct xdp_md *ctx, enum slow path)
{
	bpf_tail_call(ctx, &slow_paths, path);
	/* libbpf fills the array before the program can be attached, and lbd pins it: this is a fault to be seen */
	return finish(ctx->ingress_ifindex, LB_DROP_NO_SLOW_PATH, 0);
}

/* ICMP: errors about our flows, and the rest. */
SEC("xdp.frags")
int slow_icmp(struct xdp_md *ctx)
{
	struct lb_pkt pkt = {};
	__u32 out_ifindex = 0;
	int v;

	v = slow_parse(ctx, &pkt);
	if (!v)
		v = slow_point(ctx, &pkt, 0) ? icmp(&pkt, &out_ifindex) : LB_PASS_MALFORMED;
	return finish(ctx->ingress_ifindex, v, out_ifindex);
}

/* Fragments, options, extension headers: later fragments end here, the others once it is known what they are. */
SEC("xdp.frags")
int slow_odd(struct xdp_md *ctx)
{
	struct lb_pkt pkt = {};
	__u32 out_ifindex = 0;
	int v;

	v = slow_parse(ctx, &pkt);
	if (!v && pkt.proto != IPPROTO_TCP)
		return go_slow(ctx, SLOW_ICMP);
	if (!v && pkt.frag != LB_FRAG_LATER)
		return go_slow(ctx, SLOW_TCP);
	if (!v)
		v = slow_point(ctx, &pkt, 0) ? fragment_later(&pkt, &out_ifindex) : LB_PASS_MALFORMED;
	return finish(ctx->ingress_ifindex, v, out_ifindex);
}

static __always_inline void slow_count_syn(__u32 id)
{
	struct lb_load *load = bpf_map_lookup_elem(&loads, &id);

	if (load)
		__sync_fetch_and_add(&load->syns_total, 1);
}

static __always_inline enum lb_verdict slow_request(struct xdp_md *ctx, struct lb_pkt *pkt,
						    const struct lb_service *svc, __u32 *out_ifindex)
{
	struct request rq = {
		.pkt = pkt, .svc = svc, .in_ifindex = ctx->ingress_ifindex,
		/* nothing is measured from a SYN on */
		.now = pkt->tcp_flags & TCP_FLAG_SYN ? bpf_ktime_get_coarse_ns() : bpf_ktime_get_ns(),
	};
	enum lb_verdict v, failed;

	request_key(pkt, svc, &rq.key);
	rq.hash = pending_hash(&rq.key);
	v = request(&rq);
	if (v != LB_TX_SYN && v != LB_TX_REQUEST)
		return v;
	failed = forward_request(pkt, rq.backend, true, out_ifindex);
	if (v == LB_TX_SYN && !failed)
		slow_count_syn(rq.backend);
	return failed ? failed : v;
}

static __always_inline enum lb_verdict slow_reply(struct lb_pkt *pkt, const struct lb_backend_ref *ref,
						  __u32 *out_ifindex)
{
	struct reply rp = { .pkt = pkt, .ref = ref, .now = bpf_ktime_get_ns() };
	enum lb_verdict v, failed;

	reply_key(pkt, ref, &rp.key);
	rp.hash = pending_hash(&rp.key);
	v = reply(&rp);
	if (v != LB_TX_REPLY)
		return v;
	failed = forward_reply(pkt, ref, rp.to, true, out_ifindex);
	if (rp.forget)
		pending_forget(&rp.key, rp.hash);
	return failed ? failed : v;
}

/* The beginnings and ends of flows: everything about TCP that the fast path leaves. */
SEC("xdp.frags")
int slow_tcp(struct xdp_md *ctx)
{
	struct lb_pkt pkt = {};
	const struct lb_backend_ref *ref;
	const struct lb_service *svc;
	__u32 out_ifindex = 0;
	int v;

	v = slow_parse(ctx, &pkt);
	if (!v)
		v = slow_point(ctx, &pkt, sizeof(struct tcphdr)) ? check_tcp(ctx, &pkt) : LB_DROP_TRUNCATED;
	if (v)
		return finish(ctx->ingress_ifindex, v, 0);
	svc = service_find(&pkt.dst, pkt.dst_port);
	if (svc) {
		v = slow_request(ctx, &pkt, svc, &out_ifindex);
	} else {
		ref = service_find_backend(&pkt.src, pkt.src_port);
		v = ref ? slow_reply(&pkt, ref, &out_ifindex) : LB_PASS_NOT_OURS;
	}
	if (v >= LB_RESET_NO_BACKEND && v <= LB_RESET_ENDED)
		return reset_answer(ctx, &pkt, v);
	if (pkt.frag == LB_FRAG_FIRST && v >= LB_TX_SYN)
		fragment_remember(&pkt);
	return finish(ctx->ingress_ifindex, v, out_ifindex);
}

/* A packet that goes on with an established flow, and does nothing else. */
static __always_inline bool is_fast(const struct lb_pkt *pkt, const struct lb_flow *flow)
{
	return flow && !(pkt->tcp_flags & TCP_FLAG_SYN) && !(flow->marks & LB_MARK_SUPERSEDED) &&
	       flow->state != LB_FLOW_RESET;
}

/* Inlined once for each family. */
static __always_inline int fast(struct xdp_md *ctx, struct lb_pkt *pkt, enum lb_l3 kind)
{
	struct lb_flow_key key;
	const struct lb_backend_ref *ref;
	const struct lb_service *svc;
	struct lb_flow *flow;
	__u32 out_ifindex = 0, in_ifindex = ctx->ingress_ifindex;
	int v;

	v = parse_ip(pkt, kind, PARSE_PLAIN);
	if (v == PARSE_NOT_PLAIN)
		return go_slow(ctx, SLOW_ODD);
	if (v)
		return finish(in_ifindex, v, 0);
	svc = service_find(&pkt->dst, pkt->dst_port);
	if (svc) {
		v = check_tcp(ctx, pkt);
		if (v)
			return finish(in_ifindex, v, 0);
		if (pkt->tcp_flags & TCP_FLAG_SYN)
			return go_slow(ctx, SLOW_TCP);
		request_key(pkt, svc, &key);
		flow = flow_find_fast(&key);
		if (!is_fast(pkt, flow))
			return go_slow(ctx, SLOW_TCP);
		request_established(pkt, flow, svc->mode, in_ifindex, bpf_ktime_get_coarse_ns());
		v = forward_request(pkt, flow->backend, true, &out_ifindex);
		return finish(in_ifindex, v ? v : LB_TX_REQUEST, out_ifindex);
	}
	ref = service_find_backend(&pkt->src, pkt->src_port);
	if (!ref)
		return finish(in_ifindex, LB_PASS_NOT_OURS, 0);
	v = check_tcp(ctx, pkt);
	if (v)
		return finish(in_ifindex, v, 0);
	reply_key(pkt, ref, &key);
	flow = flow_find_fast(&key);
	if (!is_fast(pkt, flow) || flow->backend != ref->backend)
		return go_slow(ctx, SLOW_TCP);
	reply_established(pkt, flow, bpf_ktime_get_coarse_ns());
	v = forward_reply(pkt, ref, flow, true, &out_ifindex);
	return finish(in_ifindex, v ? v : LB_TX_REPLY, out_ifindex);
}

SEC("xdp.frags")
int lb(struct xdp_md *ctx)
{
	struct lb_pkt pkt = { .end = (void *)(long)ctx->data_end };
	__be16 proto = parse_eth(&pkt, (void *)(long)ctx->data);

	if (proto == bpf_htons(ETH_P_IP))
		return fast(ctx, &pkt, LB_IPV4);
	if (proto == bpf_htons(ETH_P_IPV6))
		return fast(ctx, &pkt, LB_IPV6);
	return finish(ctx->ingress_ifindex, LB_PASS_NOT_IP, 0);
}

/* Moves a part of the flows, and adds up how many. */
SEC("syscall")
int move(struct lb_move *arg)
{
	void *before = flow_table(LB_FLOWS_MOVING);
	__u32 n = arg->moved, end = n + RESIZE_MOVES; /* from without: counting from 0 the verifier would go all the way */
	struct resize_walk walk = { .n = n, .end = end };

	if (before)
		bpf_for_each_map_elem(before, resize_walk_one, &walk, 0);
	arg->moved = walk.n;
	arg->left = walk.left;
	return 0;
}

SEC("syscall")
int sweep(struct lb_sweep *arg)
{
	struct lb_sweep local = *arg;
	struct sweep_walk walk = { .arg = &local, .now = bpf_ktime_get_ns() };

	bpf_for_each_map_elem(&flows, sweep_slot, &walk, 0);
	*arg = local;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
