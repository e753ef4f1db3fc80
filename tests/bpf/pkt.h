/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The packets of the tests, and their cast. A packet is described by a struct pkt and built from it with every
 * checksum summed up from scratch, byte by byte: expected packets are built the same way from the
 * description of what should come out, never from what did. Shares no code with bpf/ but the treaty.
 */
#ifndef TESTS_PKT_H
#define TESTS_PKT_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "../../bpf/lb_abi.h"

#define FRAME_MAX 9600
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, URG = 32, ECE = 64, CWR = 128 };
enum { V4, V6 }; /* index of a family, as in struct service */

struct frame {
	__u32 len;
	__u8 bytes[FRAME_MAX];
};

struct pkt {
	int family;
	int vlans;		/* 0..3 */
	const __u8 *from_mac, *to_mac;
	struct lb_addr src, dst;
	__u16 sport, dport;
	__u32 seq, ack;
	__u8 flags;
	__u8 ttl;
	__u8 ip_options;	/* v4: bytes of options, a multiple of 4 */
	const char *extensions;	/* v6: h hop-by-hop, d destination options, r routing, a atomic fragment */
	__u8 tcp_options;	/* bytes, a multiple of 4 */
	__u16 payload;		/* bytes */
	__u8 seed;		/* what the payload is made of */
	__u8 protocol;		/* 0: TCP */
	bool may_fragment;	/* v4: without DF */
	bool has_tail;		/* the last two bytes of an even payload are ... */
	__u16 tail;		/* ... these: to aim at a checksum */
	__u16 id;
};

/* --- the cast ------------------------------------------------------------------- */
static const __u8 mac_lb[6] = { 0x02, 0, 0, 0, 0, 0x01 };	/* ours towards the clients */
static const __u8 mac_gw[6] = { 0x02, 0, 0, 0, 0xc0, 0x01 };	/* the clients' gateway ... */
static const __u8 mac_gw2[6] = { 0x02, 0, 0, 0, 0xc0, 0x02 };	/* ... and the one that takes over */
static const __u8 mac_lb_in[6] = { 0x02, 0, 0, 0, 0, 0x02 };	/* ours towards the mail servers */
static const __u8 mac_be_one[6] = { 0x02, 0, 0, 0, 0xbe, 0x01 };
static const __u8 mac_be_two[6] = { 0x02, 0, 0, 0, 0xbe, 0x02 };

static inline struct lb_addr addr_of(const char *text)
{
	struct lb_addr a = { .bytes = { [10] = 0xff, [11] = 0xff } };

	if (strchr(text, ':'))
		inet_pton(AF_INET6, text, a.bytes);
	else
		inet_pton(AF_INET, text, a.bytes + 12);
	return a;
}

static inline struct lb_addr pick_addr(int family, const char *v4, const char *v6)
{
	return addr_of(family == V4 ? v4 : v6);
}

static inline struct lb_addr client_a(int family)
{
	return pick_addr(family, "198.51.100.10", "2001:db8:a::10");
}

static inline struct lb_addr client_b(int family)
{
	return pick_addr(family, "203.0.113.77", "2001:db8:b::77");
}

static inline struct lb_addr router(int family)
{
	return pick_addr(family, "100.64.0.1", "2001:db8:99::1");
}

static inline struct lb_addr svc_mx(int family, int mode)
{
	return mode == LB_MODE_NAT ? pick_addr(family, "192.0.2.25", "2001:db8:25::25") :
				     pick_addr(family, "192.0.2.26", "2001:db8:26::26");
}

static inline struct lb_addr be_one(int family, int mode)
{
	return mode == LB_MODE_NAT ? pick_addr(family, "10.0.0.11", "fd00:10::11") :
				     pick_addr(family, "10.1.0.11", "fd00:11::11");
}

static inline struct lb_addr be_two(int family, int mode)
{
	return mode == LB_MODE_NAT ? pick_addr(family, "10.0.0.12", "fd00:10::12") :
				     pick_addr(family, "10.1.0.12", "fd00:11::12");
}

/* --- sums, the slow way ------------------------------------------------------------ */
static inline __u32 sum_bytes(const __u8 *p, size_t n, __u32 sum)
{
	for (size_t i = 0; i < n; i++) {
		sum += i & 1 ? p[i] : p[i] << 8;
		if (sum > 0xffff)
			sum -= 0xffff;
	}
	return sum;
}

static inline void put16(__u8 *p, __u16 v)
{
	p[0] = v >> 8;
	p[1] = v;
}

static inline void put32(__u8 *p, __u32 v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static inline __u16 get16(const __u8 *p)
{
	return p[0] << 8 | p[1];
}

static inline __u32 get32(const __u8 *p)
{
	return (__u32)get16(p) << 16 | get16(p + 2);
}

static inline const __u8 *wire(int family, const struct lb_addr *a)
{
	return family == V4 ? a->bytes + 12 : a->bytes;
}

static inline __u32 sum_pseudo(int family, const struct lb_addr *src, const struct lb_addr *dst, __u8 protocol, __u32 len)
{
	size_t n = family == V4 ? 4 : 16;
	__u32 sum = sum_bytes(wire(family, src), n, 0);

	sum = sum_bytes(wire(family, dst), n, sum);
	return sum + protocol + (len >> 16) + (len & 0xffff);
}

/* What belongs into a checksum field that is zero while the rest is summed. */
static inline __u16 sum_close(__u32 sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* --- building ------------------------------------------------------------------------ */
static inline size_t build_eth(__u8 *p, const struct pkt *d)
{
	size_t at = 12;

	memcpy(p, d->to_mac, 6);
	memcpy(p + 6, d->from_mac, 6);
	for (int i = 0; i < d->vlans; i++, at += 4) {
		put16(p + at, i + 1 < d->vlans ? 0x88a8 : 0x8100);
		put16(p + at + 2, 0x6000 + 100 + i);
	}
	put16(p + at, d->family == V4 ? 0x0800 : 0x86dd);
	return at + 2;
}

static inline size_t tcp_len(const struct pkt *d)
{
	return 20 + d->tcp_options + d->payload;
}

/* Whatever follows the IP header: TCP, or for other protocols bytes with ports in front. */
static inline size_t build_l4(__u8 *p, const struct pkt *d)
{
	size_t len = tcp_len(d);
	__u8 protocol = d->protocol ? d->protocol : 6;

	memset(p, 0, 20);
	put16(p, d->sport);
	put16(p + 2, d->dport);
	put32(p + 4, d->seq);
	put32(p + 8, d->ack);
	p[12] = (20 + d->tcp_options) / 4 << 4;
	p[13] = d->flags;
	put16(p + 14, 64240);
	memset(p + 20, 1, d->tcp_options);
	for (int i = 0; i < d->payload; i++)
		p[20 + d->tcp_options + i] = d->seed * 31 + i * 7 + (i >> 8);
	if (d->has_tail)
		put16(p + len - 2, d->tail);
	put16(p + 16, sum_close(sum_bytes(p, len, sum_pseudo(d->family, &d->src, &d->dst, protocol, len))));
	return len;
}

static inline size_t build_ipv4(__u8 *p, const struct pkt *d, size_t l4_len)
{
	size_t hlen = 20 + d->ip_options;

	memset(p, 0, 20);
	p[0] = 0x40 | hlen / 4;
	p[1] = 0x10;
	put16(p + 2, hlen + l4_len);
	put16(p + 4, d->id);
	put16(p + 6, d->may_fragment ? 0 : 0x4000);
	p[8] = d->ttl;
	p[9] = d->protocol ? d->protocol : 6;
	memcpy(p + 12, wire(V4, &d->src), 4);
	memcpy(p + 16, wire(V4, &d->dst), 4);
	memset(p + 20, 1, d->ip_options);
	put16(p + 10, sum_close(sum_bytes(p, hlen, 0)));
	return hlen;
}

static inline size_t build_ipv6(__u8 *p, const struct pkt *d, size_t l4_len)
{
	static const struct { char name; __u8 protocol, len; } kinds[] = {
		{ 'h', 0, 8 }, { 'd', 60, 16 }, { 'r', 43, 24 }, { 'a', 44, 8 },
	};
	size_t at = 40, next_at = 6;
	__u8 last = d->protocol ? d->protocol : 6;

	memset(p, 0, 40);
	put32(p, 0x60012345);
	p[7] = d->ttl;
	memcpy(p + 8, d->src.bytes, 16);
	memcpy(p + 24, d->dst.bytes, 16);
	for (const char *e = d->extensions; e && *e; e++) {
		for (size_t k = 0; k < COUNT(kinds); k++) {
			if (kinds[k].name != *e)
				continue;
			p[next_at] = kinds[k].protocol;
			next_at = at;
			memset(p + at, 0, kinds[k].len);
			p[at + 1] = *e == 'a' ? 0 : kinds[k].len / 8 - 1;
			if (*e == 'a')
				put32(p + at + 4, 0x1234567);
			else if (*e != 'r') {
				p[at + 2] = 1; /* PadN over the rest */
				p[at + 3] = kinds[k].len - 4;
			}
			at += kinds[k].len;
		}
	}
	p[next_at] = last;
	put16(p + 4, at - 40 + l4_len);
	return at;
}

static inline size_t build_ip(__u8 *p, const struct pkt *d, size_t l4_len)
{
	return d->family == V4 ? build_ipv4(p, d, l4_len) : build_ipv6(p, d, l4_len);
}

static inline void pkt_build(struct frame *f, const struct pkt *d)
{
	f->len = build_eth(f->bytes, d);
	f->len += build_ip(f->bytes + f->len, d, tcp_len(d));
	f->len += build_l4(f->bytes + f->len, d);
}

/* Bytes that no length knows of, as a switch or a NIC adds to short frames. */
static inline void frame_pad(struct frame *f, __u8 byte, size_t n)
{
	memset(f->bytes + f->len, byte, n);
	f->len += n;
}

/* --- fragments --------------------------------------------------------------------------- */

/* len bytes from offset of d's TCP segment, as one fragment of that datagram. */
static inline void pkt_build_fragment(struct frame *f, const struct pkt *d, size_t offset, size_t len)
{
	static __u8 whole[FRAME_MAX];
	size_t total = build_l4(whole, d), at;
	bool more = offset + len < total;
	__u8 *ip;

	at = build_eth(f->bytes, d);
	ip = f->bytes + at;
	if (d->family == V4) {
		at += build_ipv4(ip, d, len);
		put16(ip + 6, offset / 8 | (more ? 0x2000 : 0));
		put16(ip + 10, 0);
		put16(ip + 10, sum_close(sum_bytes(ip, 20 + d->ip_options, 0)));
	} else {
		struct pkt atomic = *d;

		atomic.extensions = "a";
		at += build_ipv6(ip, &atomic, len);
		put16(ip + 42, offset | more);
		put32(ip + 44, 0xabcd0000 | d->id);
	}
	memcpy(f->bytes + at, whole + offset, len);
	f->len = at + len;
}

/* --- ICMP errors ---------------------------------------------------------------------------- */
struct error {
	struct pkt outer;	/* its TCP half is not used */
	__u8 type, code;
	__u32 info;		/* MTU or pointer */
	struct pkt about;	/* the packet inside ... */
	size_t keep;		/* ... and how much of its TCP */
};

static inline void error_build(struct frame *f, const struct error *e)
{
	int family = e->outer.family;
	__u8 protocol = family == V4 ? 1 : 58;
	struct pkt outer = e->outer;
	__u8 body[2048] = {};
	size_t len, total;
	__u32 sum = 0;

	body[0] = e->type;
	body[1] = e->code;
	put32(body + 4, e->info);
	total = build_ip(body + 8, &e->about, tcp_len(&e->about));
	len = 8 + total;
	build_l4(body + len, &e->about);
	len += e->keep;
	if (family == V6)
		sum = sum_pseudo(V6, &outer.src, &outer.dst, protocol, len);
	put16(body + 2, sum_close(sum_bytes(body, len, sum)));
	outer.protocol = protocol;
	f->len = build_eth(f->bytes, &outer);
	f->len += build_ip(f->bytes + f->len, &outer, len);
	memcpy(f->bytes + f->len, body, len);
	f->len += len;
}

/* --- checking --------------------------------------------------------------------------------- */

/* Are the IPv4 header's and the TCP or ICMP checksum of a whole, unfragmented packet right? */
static inline bool frame_sums_ok(const struct frame *f)
{
	const __u8 *p = f->bytes, *ip;
	size_t at = 12, hlen, len;
	struct lb_addr src = {}, dst = {};
	__u8 protocol;

	while (at + 6 < f->len && (get16(p + at) == 0x8100 || get16(p + at) == 0x88a8))
		at += 4;
	if (at + 22 > f->len)
		return false;
	ip = p + at + 2;
	if (get16(p + at) == 0x0800) {
		hlen = (ip[0] & 15) * 4;
		len = get16(ip + 2);
		if (len < hlen || len > f->len - at - 2 || sum_close(sum_bytes(ip, hlen, 0)) || get16(ip + 6) & 0x3fff)
			return false;
		protocol = ip[9];
		memcpy(src.bytes + 12, ip + 12, 4);
		memcpy(dst.bytes + 12, ip + 16, 4);
		if (protocol == 1)
			return sum_close(sum_bytes(ip + hlen, len - hlen, 0)) == 0;
		return protocol == 6 &&
		       sum_close(sum_bytes(ip + hlen, len - hlen, sum_pseudo(V4, &src, &dst, 6, len - hlen))) == 0;
	}
	if (get16(p + at) != 0x86dd || at + 42 > f->len)
		return false;
	protocol = ip[6];
	hlen = 40;
	len = 40 + get16(ip + 4);
	if (len > f->len - at - 2)
		return false;
	while (protocol == 0 || protocol == 60 || protocol == 43 || protocol == 44) {
		if (hlen + 8 > len || (protocol == 44 && get16(ip + hlen + 2) & ~6))
			return false;
		at = protocol == 44 ? 8 : (ip[hlen + 1] + 1) * 8;
		protocol = ip[hlen];
		hlen += at;
	}
	if (hlen > len || (protocol != 6 && protocol != 58))
		return false;
	memcpy(src.bytes, ip + 8, 16);
	memcpy(dst.bytes, ip + 24, 16);
	return sum_close(sum_bytes(ip + hlen, len - hlen, sum_pseudo(V6, &src, &dst, protocol, len - hlen))) == 0;
}

#endif
