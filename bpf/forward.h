/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Puts a packet on its way once everything is decided: addresses, checksums, TTL, MACs, counters.
 * The last stage; a packet that came here is never passed up the stack. Knows next hops from the
 * backend (request) or the flow (reply), and asks nobody else.
 *
 *   nat request   C:p -> VIP:25   becomes   C:p -> B:25     TTL-1, MAC of the backend's next hop
 *   nat reply     B:25 -> C:p     becomes   VIP:25 -> C:p   TTL-1, MAC that the client's packets came from
 *   dsr request   C:p -> VIP:25   stays     C:p -> VIP:25   only the MAC
 *
 * VLAN tags stay as they are: both sides of a tagged interface are one VLAN.
 */
#ifndef LB_FORWARD_H
#define LB_FORWARD_H

static __always_inline void forward_mac(struct ethhdr *eth, const __u8 *dst, const __u8 *src)
{
	__u16 *to = (__u16 *)eth;
	const __u16 *d = (const __u16 *)dst, *s = (const __u16 *)src;

	to[0] = d[0];
	to[1] = d[1];
	to[2] = d[2];
	to[3] = s[0];
	to[4] = s[1];
	to[5] = s[2];
}

static __always_inline void forward_set_addr(struct lb_pkt *pkt, bool source, const struct lb_addr *addr)
{
	const __u32 *a = (const __u32 *)addr->bytes;

	if (pkt->l3_kind == LB_IPV4) {
		struct iphdr *ip = pkt->l3;

		*(source ? &ip->saddr : &ip->daddr) = a[3];
	} else {
		struct ipv6hdr *ip = pkt->l3;
		__be32 *to = (source ? &ip->saddr : &ip->daddr)->s6_addr32;

		/* parse_ipv6() has seen this; asked again for the verifier (6.18), which forgets the family */
		if ((void *)(ip + 1) > pkt->end)
			return;
		to[0] = a[0];
		to[1] = a[1];
		to[2] = a[2];
		to[3] = a[3];
	}
}

/* The IP header: one address, one hop less. delta is what the new address adds to a checksum. */
static __always_inline void forward_l3(struct lb_pkt *pkt, bool source, const struct lb_addr *addr, __u16 delta)
{
	forward_set_addr(pkt, source, addr);
	if (pkt->l3_kind == LB_IPV4) {
		struct iphdr *ip = pkt->l3;

		ip->ttl--;
		ip->check = csum_apply(ip->check, (__u32)delta + CSUM_TTL_DELTA);
	} else {
		((struct ipv6hdr *)pkt->l3)->hop_limit--;
	}
}

/* The pseudo-header is part of TCP's checksum. */
static __always_inline void forward_l4(struct lb_pkt *pkt, __u16 delta)
{
	struct tcphdr *tcp = pkt->l4;

	tcp->check = csum_apply(tcp->check, delta);
}

/* has_tcp: false for a later fragment, whose first one carried the change of checksum for the whole
 * datagram. LB_NEXT when the packet is ready to go. */
static __always_inline enum lb_verdict forward_request(struct lb_pkt *pkt, __u32 id, bool has_tcp, __u32 *out_ifindex)
{
	struct lb_backend *be = bpf_map_lookup_elem(&backends, &id);
	struct lb_traffic *t = bpf_map_lookup_elem(&traffic, &id);

	if (!be || !t || !(be->flags & LB_BACKEND_RESOLVED))
		return LB_DROP_NO_NEXTHOP;
	if (be->mode == LB_MODE_NAT) {
		if (pkt->ttl <= 1)
			return LB_DROP_TTL;
		forward_l3(pkt, false, &be->address, be->csum_delta);
		if (has_tcp)
			forward_l4(pkt, be->csum_delta);
	}
	forward_mac(pkt->eth, be->dst_mac, be->src_mac);
	t->packets_in++;
	t->bytes_in += pkt->bytes;
	*out_ifindex = be->ifindex;
	return LB_NEXT;
}

static __always_inline enum lb_verdict forward_reply(struct lb_pkt *pkt, const struct lb_backend_ref *ref,
						     const struct lb_flow *flow, bool has_tcp, __u32 *out_ifindex)
{
	__u32 id = ref->backend;
	struct lb_traffic *t = bpf_map_lookup_elem(&traffic, &id);

	if (!t)
		return LB_DROP_NO_NEXTHOP;
	if (pkt->ttl <= 1)
		return LB_DROP_TTL;
	forward_l3(pkt, true, &ref->vip, ref->csum_delta);
	if (has_tcp)
		forward_l4(pkt, ref->csum_delta);
	forward_mac(pkt->eth, flow->client_mac, flow->local_mac);
	t->packets_out++;
	t->bytes_out += pkt->bytes;
	*out_ifindex = flow->ifindex;
	return LB_NEXT;
}

#endif
