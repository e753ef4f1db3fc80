/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * ICMP errors about our flows: without them path MTU discovery fails and long mails hang. An error carries the
 * head of the packet it is about, which may be as little as 8 bytes of TCP (RFC 792), and must be
 * translated inside as well as outside (RFC 5508, 4.2). Anything else of ICMP passes.
 *
 *   about a reply     R -> VIP [VIP:25 -> C:p]   becomes   R -> B [B:25 -> C:p]      to the mail server
 *   about a request   R -> C   [C:p -> B:25]     becomes   R -> C [C:p -> VIP:25]    to the client (nat only)
 *
 * Where R is the mail server itself it becomes the VIP too: the client knows no other.
 */
#ifndef LB_ICMP_H
#define LB_ICMP_H

struct icmp_inner {
	void *l3;
	void *l4;
	struct lb_addr src, dst;
	__u32 l4_off; /* from the start of the ICMP header */
	__u16 src_port, dst_port;
};

static __always_inline bool icmp_is_error(const struct lb_pkt *pkt, __u8 type)
{
	if (pkt->proto == IPPROTO_ICMP)
		return pkt->l3_kind == LB_IPV4 && (type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
						   type == ICMP_PARAMETERPROB);
	return pkt->l3_kind == LB_IPV6 && type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB;
}

/* The packet inside. IPv6 extension headers inside are not walked: our own packets have none. */
static __always_inline enum lb_verdict icmp_parse_inner(const struct lb_pkt *pkt, struct icmp_inner *in)
{
	struct iphdr *ip4 = pkt->l4 + sizeof(struct icmphdr);
	struct ipv6hdr *ip6 = pkt->l4 + sizeof(struct icmphdr);
	struct tcphdr *tcp;

	in->l3 = ip4;
	if (pkt->l3_kind == LB_IPV4) {
		if ((void *)(ip4 + 1) > pkt->end)
			return LB_PASS_ICMP;
		if (ip4->ihl < 5 || ip4->protocol != IPPROTO_TCP || ip4->frag_off & bpf_htons(0x1fff))
			return LB_PASS_ICMP;
		parse_addr_v4(&in->src, ip4->saddr);
		parse_addr_v4(&in->dst, ip4->daddr);
		in->l4 = in->l3 + ip4->ihl * 4;
		in->l4_off = sizeof(struct icmphdr) + ip4->ihl * 4;
	} else {
		if ((void *)(ip6 + 1) > pkt->end || ip6->nexthdr != IPPROTO_TCP)
			return LB_PASS_ICMP;
		parse_addr_v6(&in->src, &ip6->saddr);
		parse_addr_v6(&in->dst, &ip6->daddr);
		in->l4 = ip6 + 1;
		in->l4_off = sizeof(struct icmphdr) + sizeof(*ip6);
	}
	tcp = in->l4;
	if (in->l4 + 8 > pkt->end || in->l4_off + 8 > pkt->payload)
		return LB_PASS_ICMP;
	in->src_port = bpf_ntohs(tcp->source);
	in->dst_port = bpf_ntohs(tcp->dest);
	return LB_NEXT;
}

/*
 * Rewrites the inner address on one side, and what depends on it. delta is what the new address adds to a sum.
 * IPv4: the inner header's checksum falls by what its address rose, so the ICMP checksum sees neither;
 * IPv6 has no header checksum, so it sees the address. The inner TCP checksum, where it is there at all,
 * falls by delta as well. Returns what the ICMP checksum has to gain.
 */
static __always_inline __u32 icmp_set_inner(struct lb_pkt *pkt, struct icmp_inner *in, bool source,
					    const struct lb_addr *addr, __u16 delta)
{
	struct lb_pkt inner = { .l3 = in->l3, .l3_kind = pkt->l3_kind, .end = pkt->end };
	struct tcphdr *tcp = in->l4;
	__u32 gain = pkt->l3_kind == LB_IPV4 ? 0 : delta;

	forward_set_addr(&inner, source, addr);
	if (pkt->l3_kind == LB_IPV4) {
		struct iphdr *ip = in->l3;

		ip->check = csum_apply(ip->check, delta);
	}
	/* what lies behind the datagram in the frame is padding, not TCP */
	if (in->l4 + 18 <= pkt->end && in->l4_off + 18 <= pkt->payload) {
		tcp->check = csum_apply(tcp->check, delta);
		gain += (__u16)~delta;
	}
	return gain;
}

static __always_inline void icmp_fix_checksum(struct lb_pkt *pkt, __u32 gain)
{
	struct icmphdr *icmp = pkt->l4;

	icmp->checksum = csum_apply(icmp->checksum, gain);
}

/* About a reply: the mail server that sent it must hear. */
static __always_inline enum lb_verdict icmp_to_backend(struct lb_pkt *pkt, struct icmp_inner *in,
						       const struct lb_service *svc, __u32 *out_ifindex)
{
	struct lb_flow_key key;
	struct lb_flow *flow;
	struct lb_backend *be;
	enum lb_verdict v;
	__u32 id, gain;

	flow_key(&key, &in->dst, in->dst_port, in->src_port, svc->vip_id);
	flow = flow_find(&key);
	if (!flow)
		return LB_PASS_ICMP;
	id = flow->backend;
	be = bpf_map_lookup_elem(&backends, &id);
	if (!be)
		return LB_PASS_ICMP;
	v = forward_request(pkt, id, false, out_ifindex);
	if (v)
		return v;
	if (be->mode == LB_MODE_NAT) {
		gain = icmp_set_inner(pkt, in, true, &be->address, be->csum_delta);
		if (pkt->l3_kind == LB_IPV6)
			gain += be->csum_delta; /* the outer destination is in its pseudo-header */
		icmp_fix_checksum(pkt, gain);
	}
	return LB_TX_ICMP;
}

/* About a request: the client that sent it must hear, and in terms of the VIP. */
static __always_inline enum lb_verdict icmp_to_client(struct lb_pkt *pkt, struct icmp_inner *in,
						      const struct lb_backend_ref *ref, __u32 *out_ifindex)
{
	struct lb_flow_key key;
	struct lb_flow *flow;
	struct lb_backend_ref as = *ref;
	enum lb_verdict v;
	__u32 gain;

	flow_key(&key, &in->src, in->src_port, in->dst_port, ref->vip_id);
	flow = flow_find(&key);
	if (!flow || flow->backend != ref->backend)
		return LB_PASS_ICMP;
	if (!parse_addr_equal(&pkt->src, &in->dst)) { /* a router on the way: stays itself */
		as.vip = pkt->src;
		as.csum_delta = 0;
	}
	v = forward_reply(pkt, &as, flow, false, out_ifindex);
	if (v)
		return v;
	gain = icmp_set_inner(pkt, in, false, &ref->vip, ref->csum_delta);
	if (pkt->l3_kind == LB_IPV6)
		gain += as.csum_delta;
	icmp_fix_checksum(pkt, gain);
	return LB_TX_ICMP;
}

static __always_inline enum lb_verdict icmp(struct lb_pkt *pkt, __u32 *out_ifindex)
{
	struct icmphdr *hdr = pkt->l4;
	struct icmp_inner in;
	const struct lb_backend_ref *ref;
	const struct lb_service *svc;

	if ((void *)(hdr + 1) > pkt->end || !icmp_is_error(pkt, hdr->type))
		return LB_PASS_ICMP;
	if (icmp_parse_inner(pkt, &in))
		return LB_PASS_ICMP;
	/* an error goes to whoever sent the packet that it is about */
	if (!parse_addr_equal(&pkt->dst, &in.src))
		return LB_PASS_ICMP;
	svc = service_find(&in.src, in.src_port);
	if (svc)
		return icmp_to_backend(pkt, &in, svc, out_ifindex);
	ref = service_find_backend(&in.dst, in.dst_port);
	if (ref)
		return icmp_to_client(pkt, &in, ref, out_ifindex);
	return LB_PASS_ICMP;
}

#endif
