// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See segment.h. What a segment says is the caller's affair: nothing here knows flows, backends or why a connection
 * had to end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include "addr.h"
#include "segment.h"

/* One's complement sum (RFC 1071) of 16-bit words in wire order; len is even everywhere here. */
static __u32 sum_words(const void *data, size_t len, __u32 sum)
{
	const __u8 *p = data;
	__u16 word;

	for (; len >= 2; len -= 2, p += 2) {
		memcpy(&word, p, 2);
		sum += word;
	}
	return sum;
}

static __u16 sum_fold(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static size_t put_ip4(const struct segment *segment, __u8 *at)
{
	struct iphdr ip = {
		.version = 4, .ihl = 5, .ttl = segment->ttl, .protocol = IPPROTO_TCP,
		.tot_len = htons(sizeof(struct iphdr) + sizeof(struct tcphdr)),
		.frag_off = htons(0x4000),	/* DF: so that ID 0 is fine (RFC 6864, 4.1) */
	};
	unsigned int len;

	memcpy(&ip.saddr, addr_wire(&segment->src, &len), 4);
	memcpy(&ip.daddr, addr_wire(&segment->dst, &len), 4);
	ip.check = sum_fold(sum_words(&ip, sizeof(ip), 0));
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t put_ip6(const struct segment *segment, __u8 *at)
{
	struct ipv6hdr ip = {
		.version = 6, .hop_limit = segment->ttl, .nexthdr = IPPROTO_TCP,
		.payload_len = htons(sizeof(struct tcphdr)),
	};

	memcpy(&ip.saddr, segment->src.bytes, 16);
	memcpy(&ip.daddr, segment->dst.bytes, 16);
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static void put_tcp(const struct segment *segment, __u8 *at)
{
	struct tcphdr tcp = {
		.source = segment->src_port, .dest = segment->dst_port,
		.seq = htonl(segment->seq), .ack_seq = htonl(segment->ack),
		.doff = sizeof(struct tcphdr) / 4, .syn = !!(segment->flags & SEGMENT_SYN),
		.rst = !!(segment->flags & SEGMENT_RST), .ack = !!(segment->flags & SEGMENT_ACK),
	};
	unsigned int src_len, dst_len;
	const __u8 *src = addr_wire(&segment->src, &src_len);
	const __u8 *dst = addr_wire(&segment->dst, &dst_len);
	/* Pseudo header (RFC 9293, 3.1; RFC 8200, 8.1): both families sum the same four things. */
	__u32 sum = htons(IPPROTO_TCP) + htons(sizeof(tcp));

	sum = sum_words(src, src_len, sum);
	sum = sum_words(dst, dst_len, sum);
	tcp.check = sum_fold(sum_words(&tcp, sizeof(tcp), sum));
	memcpy(at, &tcp, sizeof(tcp));
}

size_t segment_build(const struct segment *segment, __u8 frame[static SEGMENT_FRAME_LEN])
{
	bool v4 = addr_is_v4(&segment->src);
	struct ethhdr eth = { .h_proto = htons(v4 ? ETH_P_IP : ETH_P_IPV6) };
	size_t at = sizeof(eth);

	memcpy(eth.h_dest, segment->dst_mac, ETH_ALEN);
	memcpy(eth.h_source, segment->src_mac, ETH_ALEN);
	memcpy(frame, &eth, sizeof(eth));
	at += v4 ? put_ip4(segment, frame + at) : put_ip6(segment, frame + at);
	put_tcp(segment, frame + at);
	return at + sizeof(struct tcphdr);
}

/* Where TCP begins, or 0. */
static size_t read_ip4(const __u8 *packet, size_t len, struct segment *out)
{
	struct iphdr ip;

	if (len < sizeof(ip))
		return 0;
	memcpy(&ip, packet, sizeof(ip));
	/* A fragment may not even be of the connection that it seems to be of. */
	if (ip.version != 4 || ip.ihl < 5 || ip.protocol != IPPROTO_TCP || ip.frag_off & htons(0x3fff))
		return 0;
	addr_from_wire(AF_INET, &ip.saddr, &out->src);
	addr_from_wire(AF_INET, &ip.daddr, &out->dst);
	out->ttl = ip.ttl;
	return ip.ihl * 4;
}

static size_t read_ip6(const __u8 *packet, size_t len, struct segment *out)
{
	struct ipv6hdr ip;

	if (len < sizeof(ip))
		return 0;
	memcpy(&ip, packet, sizeof(ip));
	if (ip.version != 6 || ip.nexthdr != IPPROTO_TCP)
		return 0;
	addr_from_wire(AF_INET6, &ip.saddr, &out->src);
	addr_from_wire(AF_INET6, &ip.daddr, &out->dst);
	out->ttl = ip.hop_limit;
	return sizeof(ip);
}

int segment_read(int family, const __u8 *packet, size_t len, struct segment *out)
{
	struct segment got = {};
	size_t at = family == AF_INET ? read_ip4(packet, len, &got) : read_ip6(packet, len, &got);
	struct tcphdr tcp;

	if (!at || len < at + sizeof(tcp))
		return -EINVAL;
	memcpy(&tcp, packet + at, sizeof(tcp));
	got.src_port = tcp.source;
	got.dst_port = tcp.dest;
	got.seq = ntohl(tcp.seq);
	got.ack = ntohl(tcp.ack_seq);
	got.flags = (tcp.syn ? SEGMENT_SYN : 0) | (tcp.rst ? SEGMENT_RST : 0) | (tcp.ack ? SEGMENT_ACK : 0);
	*out = got;
	return 0;
}

int segment_socket(void)
{
	/* Protocol 0: this socket only sends, so no packet is ever copied to it. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd == -1 ? -errno : fd;
}

int segment_send(int fd, int ifindex, const __u8 *frame, size_t len)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = ifindex, .sll_halen = ETH_ALEN };

	if (len < ETH_HLEN)
		return -EINVAL;
	memcpy(to.sll_addr, frame, ETH_ALEN);
	memcpy(&to.sll_protocol, frame + 2 * ETH_ALEN, sizeof(to.sll_protocol));
	if (sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) == -1)
		return -errno;
	return 0;
}
