/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Turns a packet into its RST answer, in place: a client that would have waited ten minutes tries
 * again now. Works from the packet alone, so the numbers are exactly those that its
 * sender must accept (RFC 9293, 3.5.2; RFC 5961, 3.2). Never answers a RST.
 */
#ifndef LB_RESET_H
#define LB_RESET_H

#define RESET_TTL 64

static __always_inline __u32 reset_sum(const void *from, __u32 len, __u32 sum)
{
	const __u16 *w = from;

#pragma unroll
	for (__u32 i = 0; i < len / 2; i++)
		sum += w[i];
	return sum;
}

static __always_inline void reset_tcp(struct tcphdr *tcp, const struct lb_pkt *pkt)
{
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = bpf_htons(pkt->dst_port);
	tcp->dest = bpf_htons(pkt->src_port);
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
	if (pkt->tcp_flags & TCP_FLAG_ACK) {
		tcp->seq = bpf_htonl(pkt->ack);
	} else {
		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(flow_packet_end(pkt));
	}
}

static __always_inline void reset_ipv4(struct iphdr *ip, const struct lb_pkt *pkt)
{
	const __u32 *src = (const __u32 *)pkt->src.bytes, *dst = (const __u32 *)pkt->dst.bytes;

	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(struct tcphdr));
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = RESET_TTL;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = dst[3];
	ip->daddr = src[3];
	ip->check = ~csum_fold(reset_sum(ip, sizeof(*ip), 0));
}

static __always_inline void reset_ipv6(struct ipv6hdr *ip, const struct lb_pkt *pkt)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(sizeof(struct tcphdr));
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = RESET_TTL;
	__builtin_memcpy(&ip->saddr, pkt->dst.bytes, 16);
	__builtin_memcpy(&ip->daddr, pkt->src.bytes, 16);
}

/* Both addresses of the answer, for the pseudo-header: their order does not matter to a sum. */
static __always_inline __u32 reset_pseudo(const struct lb_pkt *pkt)
{
	__u32 sum = bpf_htons(sizeof(struct tcphdr)) + bpf_htons(IPPROTO_TCP);

	if (pkt->l3_kind == LB_IPV4) {
		sum = reset_sum(pkt->src.bytes + 12, 4, sum);
		return reset_sum(pkt->dst.bytes + 12, 4, sum);
	}
	sum = reset_sum(pkt->src.bytes, 16, sum);
	return reset_sum(pkt->dst.bytes, 16, sum);
}

/* pkt: what slow_parse() found; its pointers are not used, since the frame changes. The action: the answer on its way back, counted as verdict; or a counted drop when there is none to give. */
__noinline int reset_answer(struct xdp_md *ctx, const struct lb_pkt *pkt, __u32 verdict)
{
	struct ethhdr *eth;
	struct tcphdr *tcp;
	__u8 mac[ETH_ALEN];
	void *l3, *end;
	__u32 l3_off, len;

	if (!pkt || pkt->tcp_flags & TCP_FLAG_RST)
		return finish(0, LB_DROP_NO_FLOW, 0);
	l3_off = pkt->l3_off;
	len = l3_off + (pkt->l3_kind == LB_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) + sizeof(*tcp);
	if (l3_off > SLOW_MAX_L3 || bpf_xdp_adjust_tail(ctx, len - bpf_xdp_get_buff_len(ctx)))
		return finish(0, LB_DROP_NO_FLOW, 0);
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	l3 = (void *)eth + l3_off;
	tcp = l3 + (pkt->l3_kind == LB_IPV4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	if ((void *)(eth + 1) > end || (void *)(tcp + 1) > end)
		return finish(0, LB_DROP_NO_FLOW, 0);
	__builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
	__builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, mac, ETH_ALEN);
	if (pkt->l3_kind == LB_IPV4 && l3 + sizeof(struct iphdr) <= end)
		reset_ipv4(l3, pkt);
	else if (l3 + sizeof(struct ipv6hdr) <= end)
		reset_ipv6(l3, pkt);
	reset_tcp(tcp, pkt);
	tcp->check = ~csum_fold(reset_sum(tcp, sizeof(*tcp), reset_pseudo(pkt)));
	return finish(0, verdict, 0);
}

#endif
