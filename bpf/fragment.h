/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Fragmented datagrams. The first fragment has the ports and goes the usual way; the later ones find them here by the
 * datagram's id. One that overtakes its first fragment goes up the stack, which drops it; TCP repeats it.
 */
#ifndef LB_FRAGMENT_H
#define LB_FRAGMENT_H

static __always_inline void fragment_remember(const struct lb_pkt *pkt)
{
	struct lb_fragment_key key = { .src = pkt->src, .dst = pkt->dst, .id = pkt->frag_id };
	struct lb_fragment ports = { .src_port = pkt->src_port, .dst_port = pkt->dst_port };

	bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
}

static __always_inline enum lb_verdict fragment_later(struct lb_pkt *pkt, __u32 *out_ifindex)
{
	struct lb_fragment_key fkey = { .src = pkt->src, .dst = pkt->dst, .id = pkt->frag_id };
	struct lb_fragment *ports = bpf_map_lookup_elem(&fragments, &fkey);
	struct lb_flow_key key = {};
	const struct lb_backend_ref *ref;
	const struct lb_service *svc;
	struct lb_flow *flow;
	enum lb_verdict v;

	if (!ports)
		return LB_PASS_FRAGMENT;
	pkt->src_port = ports->src_port;
	pkt->dst_port = ports->dst_port;
	svc = service_find(&pkt->dst, pkt->dst_port);
	if (svc) {
		request_key(pkt, svc, &key);
		flow = flow_find(&key);
		if (!flow)
			return LB_PASS_FRAGMENT;
		v = forward_request(pkt, flow->backend, false, out_ifindex);
		return v ? v : LB_TX_FRAGMENT;
	}
	ref = service_find_backend(&pkt->src, pkt->src_port);
	if (!ref)
		return LB_PASS_FRAGMENT;
	reply_key(pkt, ref, &key);
	flow = flow_find(&key);
	if (!flow || flow->backend != ref->backend)
		return LB_PASS_FRAGMENT;
	v = forward_reply(pkt, ref, flow, false, out_ifindex);
	return v ? v : LB_TX_FRAGMENT;
}

#endif
