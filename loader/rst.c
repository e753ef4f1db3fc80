// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One RST as a frame, and the packet socket that sends it. What the frame says is the caller's
 * affair: nothing here knows flows, backends or why a connection had to end.
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
#include "rst.h"

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

static size_t put_ip4(const struct rst_end *end, __u8 *at)
{
	struct iphdr ip = {
		.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP,
		.tot_len = htons(sizeof(struct iphdr) + sizeof(struct tcphdr)),
		.frag_off = htons(0x4000),	/* DF: so that ID 0 is fine (RFC 6864, 4.1) */
	};
	unsigned int len;

	memcpy(&ip.saddr, addr_wire(&end->src, &len), 4);
	memcpy(&ip.daddr, addr_wire(&end->dst, &len), 4);
	ip.check = sum_fold(sum_words(&ip, sizeof(ip), 0));
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t put_ip6(const struct rst_end *end, __u8 *at)
{
	struct ipv6hdr ip = {
		.version = 6, .hop_limit = 64, .nexthdr = IPPROTO_TCP,
		.payload_len = htons(sizeof(struct tcphdr)),
	};

	memcpy(&ip.saddr, end->src.bytes, 16);
	memcpy(&ip.daddr, end->dst.bytes, 16);
	memcpy(at, &ip, sizeof(ip));
	return sizeof(ip);
}

static void put_tcp(const struct rst_end *end, __u8 *at)
{
	struct tcphdr tcp = {
		.source = end->src_port, .dest = end->dst_port,
		.seq = htonl(end->seq), .ack_seq = htonl(end->ack),
		.doff = sizeof(struct tcphdr) / 4, .rst = 1, .ack = 1,
	};
	unsigned int src_len, dst_len;
	const __u8 *src = addr_wire(&end->src, &src_len);
	const __u8 *dst = addr_wire(&end->dst, &dst_len);
	/* Pseudo header (RFC 9293, 3.1; RFC 8200, 8.1): both families sum the same four things. */
	__u32 sum = htons(IPPROTO_TCP) + htons(sizeof(tcp));

	sum = sum_words(src, src_len, sum);
	sum = sum_words(dst, dst_len, sum);
	tcp.check = sum_fold(sum_words(&tcp, sizeof(tcp), sum));
	memcpy(at, &tcp, sizeof(tcp));
}

size_t rst_build(const struct rst_end *end, __u8 frame[static RST_FRAME_LEN])
{
	bool v4 = addr_is_v4(&end->src);
	struct ethhdr eth = { .h_proto = htons(v4 ? ETH_P_IP : ETH_P_IPV6) };
	size_t at = sizeof(eth);

	memcpy(eth.h_dest, end->dst_mac, ETH_ALEN);
	memcpy(eth.h_source, end->src_mac, ETH_ALEN);
	memcpy(frame, &eth, sizeof(eth));
	at += v4 ? put_ip4(end, frame + at) : put_ip6(end, frame + at);
	put_tcp(end, frame + at);
	return at + sizeof(struct tcphdr);
}

int rst_socket(void)
{
	/* Protocol 0: this socket only sends, so no packet is ever copied to it. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd == -1 ? -errno : fd;
}

int rst_send(int fd, int ifindex, const __u8 *frame, size_t len)
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
