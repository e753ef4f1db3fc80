/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * From bytes to struct lb_pkt: Ethernet, up to two VLAN tags, IPv4 with options or IPv6 with
 * extension headers, TCP or ICMP. Later stages take every fact from here and never look at a
 * raw header to learn one. Knows no maps. Pure: takes (data, data_end), so the host's tests and
 * fuzzers compile it too.
 *
 * What is not IP, not TCP or ICMP, or too broken to say whose it is gets a LB_PASS_... verdict: it is not for
 * us to judge. A packet with readable ports and an unreadable TCP header is marked broken, and
 * dropped once it is known to be ours.
 */
#ifndef LB_PARSE_H
#define LB_PARSE_H

#include "word.h"

#define PARSE_MAX_VLANS	     2
#define PARSE_MAX_EXTENSIONS 6
#define PARSE_NOT_PLAIN	     -1 /* begin again with PARSE_ALL */

enum lb_l3 { LB_IPV4, LB_IPV6 };
enum lb_frag { LB_FRAG_NONE, LB_FRAG_FIRST, LB_FRAG_LATER };

struct lb_pkt {
	struct ethhdr *eth;
	void *l3;
	void *l4;
	void *end;
	struct lb_addr src, dst;
	__u16 src_port, dst_port; /* host order, as all below */
	__u32 seq, ack;
	__u32 payload;	/* bytes after the TCP header */
	__u32 bytes;	/* of the IP packet */
	__u32 frag_id;
	__u32 l3_off;	/* Ethernet header and tags */
	__u32 l4_off;	/* from the start of the frame, too */
	__u32 l3_kind;	/* enum lb_l3 */
	__u8 frag;	/* enum lb_frag */
	__u8 broken;	/* ports are good, the rest of the TCP header is not */
	__u8 partial;	/* the linear part of the frame ends before the IP packet does */
	__u8 tcp_flags;
	__u8 proto;	/* of l4 */
	__u8 ttl;
};

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_ACK 0x10

struct parse_vlan {
	__be16 tci;
	__be16 proto;
};

static __always_inline bool parse_addr_equal(const struct lb_addr *a, const struct lb_addr *b)
{
	const __u64 *x = (const __u64 *)a->bytes, *y = (const __u64 *)b->bytes;

	return x[0] == y[0] && x[1] == y[1];
}

/* Read in halves of words, because a packet is only 2-byte aligned and byte copies cost an instruction each. */
static __always_inline void parse_addr_v6(struct lb_addr *to, const struct in6_addr *from)
{
	__u64 *t = (__u64 *)to->bytes;

	t[0] = word_of_2(from->s6_addr32[0], from->s6_addr32[1]);
	t[1] = word_of_2(from->s6_addr32[2], from->s6_addr32[3]);
}

static __always_inline void parse_addr_v4(struct lb_addr *to, __be32 from)
{
	__u64 *t = (__u64 *)to->bytes;

	t[0] = 0;
	t[1] = word_of_2(bpf_htonl(0xffff), from);
}

/* The last tag's inner type; both ends of the frame are checked. */
static __always_inline __be16 parse_eth(struct lb_pkt *pkt, void *data)
{
	struct ethhdr *eth = data;
	void *next = eth + 1;
	__be16 proto;

	if (next > pkt->end)
		return 0;
	proto = eth->h_proto;
	pkt->l3_off = sizeof(*eth);
#pragma unroll
	for (int i = 0; i < PARSE_MAX_VLANS; i++) {
		struct parse_vlan *vlan = next;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(vlan + 1) > pkt->end)
			return 0;
		proto = vlan->proto;
		next = vlan + 1;
		pkt->l3_off += sizeof(*vlan);
	}
	pkt->eth = eth;
	pkt->l3 = next;
	return proto;
}

/* depth: how far the caller wants to go. The fast path leaves to the slow one whatever moves TCP from its
 * usual place: most packets have neither options nor extension headers, and every variable offset
 * costs instructions and, many times over, the verifier's patience. */
enum parse_depth { PARSE_PLAIN, PARSE_ALL };

static __always_inline int parse_ipv4(struct lb_pkt *pkt, enum parse_depth depth)
{
	struct iphdr *ip = pkt->l3;
	__u32 hlen;
	__u16 off;

	if ((void *)(ip + 1) > pkt->end)
		return LB_PASS_MALFORMED;
	hlen = depth == PARSE_PLAIN ? sizeof(*ip) : ip->ihl * 4;
	pkt->bytes = bpf_ntohs(ip->tot_len);
	if (depth == PARSE_PLAIN && *(__u8 *)ip != 0x45)
		return PARSE_NOT_PLAIN;
	if (ip->version != 4 || hlen < sizeof(*ip) || pkt->bytes < hlen)
		return LB_PASS_MALFORMED;
	off = bpf_ntohs(ip->frag_off);
	if (off & 0x3fff) { /* more fragments, or an offset */
		if (depth == PARSE_PLAIN)
			return PARSE_NOT_PLAIN;
		pkt->frag = off & 0x1fff ? LB_FRAG_LATER : LB_FRAG_FIRST;
		pkt->frag_id = ip->id;
	}
	parse_addr_v4(&pkt->src, ip->saddr);
	parse_addr_v4(&pkt->dst, ip->daddr);
	pkt->l3_kind = LB_IPV4;
	pkt->ttl = ip->ttl;
	pkt->proto = ip->protocol;
	pkt->payload = pkt->bytes - hlen;
	pkt->l4 = pkt->l3 + hlen;
	pkt->l4_off = pkt->l3_off + hlen;
	return LB_NEXT;
}

static __always_inline bool parse_is_extension(__u8 proto)
{
	const __u64 known = 1ULL << IPPROTO_HOPOPTS | 1ULL << IPPROTO_ROUTING | 1ULL << IPPROTO_FRAGMENT |
			    1ULL << IPPROTO_DSTOPTS;

	return proto < 64 && known >> proto & 1;
}

/* RFC 8200, 4: walks what may stand between the IPv6 header and TCP, a bounded number of them. */
static __always_inline int parse_extensions(struct lb_pkt *pkt)
{
	struct { __u8 next, len; __be16 frag_off; __be32 id; } *ext;

	for (int i = 0; i <= PARSE_MAX_EXTENSIONS; i++) {
		__u32 len;

		if (!parse_is_extension(pkt->proto))
			return LB_NEXT;
		ext = pkt->l4;
		if ((void *)(ext + 1) > pkt->end)
			return LB_PASS_MALFORMED;
		len = (ext->len + 1) * 8;
		if (pkt->proto == IPPROTO_FRAGMENT) {
			if (ext->len) /* reserved, and zero (RFC 8200, 4.5) */
				return LB_PASS_MALFORMED;
			pkt->frag_id = ext->id;
			pkt->frag = bpf_ntohs(ext->frag_off) & 1; /* LB_FRAG_FIRST; RFC 6946: none more is a whole packet */
			if (ext->frag_off & bpf_htons(0xfff8))
				pkt->frag = LB_FRAG_LATER;
		}
		pkt->proto = ext->next;
		if (pkt->payload < len)
			return LB_PASS_MALFORMED;
		pkt->payload -= len;
		pkt->l4 += len;
		pkt->l4_off += len;
		if (pkt->frag == LB_FRAG_LATER)
			return LB_NEXT;
	}
	return LB_PASS_MALFORMED;
}

static __always_inline int parse_ipv6(struct lb_pkt *pkt, enum parse_depth depth)
{
	struct ipv6hdr *ip = pkt->l3;

	if ((void *)(ip + 1) > pkt->end || ip->version != 6)
		return LB_PASS_MALFORMED;
	parse_addr_v6(&pkt->src, &ip->saddr);
	parse_addr_v6(&pkt->dst, &ip->daddr);
	pkt->l3_kind = LB_IPV6;
	pkt->ttl = ip->hop_limit;
	pkt->proto = ip->nexthdr;
	pkt->payload = bpf_ntohs(ip->payload_len);
	pkt->bytes = pkt->payload + sizeof(*ip);
	pkt->l4 = ip + 1;
	pkt->l4_off = pkt->l3_off + sizeof(*ip);
	if (!parse_is_extension(pkt->proto))
		return LB_NEXT;
	return depth == PARSE_PLAIN ? PARSE_NOT_PLAIN : parse_extensions(pkt);
}

static __always_inline int parse_tcp(struct lb_pkt *pkt)
{
	struct tcphdr *tcp = pkt->l4;
	__u32 hlen;

	if (pkt->l4 + 4 > pkt->end)
		return LB_PASS_MALFORMED;
	pkt->src_port = bpf_ntohs(tcp->source);
	pkt->dst_port = bpf_ntohs(tcp->dest);
	if ((void *)(tcp + 1) > pkt->end) {
		pkt->broken = 1;
		return LB_NEXT;
	}
	hlen = tcp->doff * 4;
	if (hlen < sizeof(*tcp) || pkt->payload < hlen) {
		pkt->broken = 1;
		return LB_NEXT;
	}
	pkt->payload -= hlen;
	pkt->seq = bpf_ntohl(tcp->seq);
	pkt->ack = bpf_ntohl(tcp->ack_seq);
	pkt->tcp_flags = ((__u8 *)tcp)[13];
	return LB_NEXT;
}

/* What comes after parse_eth(), for one family: kind is a constant where speed matters, so that the code
 * behind it is made for that family. LB_NEXT, a verdict, or PARSE_NOT_PLAIN when depth is PARSE_PLAIN. */
static __always_inline int parse_ip(struct lb_pkt *pkt, enum lb_l3 kind, enum parse_depth depth)
{
	int v = kind == LB_IPV4 ? parse_ipv4(pkt, depth) : parse_ipv6(pkt, depth);

	if (v)
		return v;
	pkt->partial = pkt->end - pkt->l3 < (long)pkt->bytes;
	if (pkt->proto == IPPROTO_TCP)
		return pkt->frag == LB_FRAG_LATER ? LB_NEXT : parse_tcp(pkt);
	if (pkt->proto == IPPROTO_ICMP || pkt->proto == IPPROTO_ICMPV6) {
		if (depth == PARSE_PLAIN)
			return PARSE_NOT_PLAIN;
		return pkt->frag ? LB_PASS_NOT_TCP : LB_NEXT;
	}
	return LB_PASS_NOT_TCP;
}

static __always_inline int parse_packet(void *data, void *data_end, struct lb_pkt *pkt, enum parse_depth depth)
{
	__be16 proto;

	pkt->end = data_end;
	proto = parse_eth(pkt, data);
	if (proto == bpf_htons(ETH_P_IP))
		return parse_ip(pkt, LB_IPV4, depth);
	if (proto == bpf_htons(ETH_P_IPV6))
		return parse_ip(pkt, LB_IPV6, depth);
	return LB_PASS_NOT_IP;
}

#endif
