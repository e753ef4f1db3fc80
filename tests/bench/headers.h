/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is the same in every TCP frame that the benchmarks make by hand. Who sends it to whom, its numbers and its
 * checksums are the caller's.
 */
#ifndef BENCH_HEADERS_H
#define BENCH_HEADERS_H

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#define FLAG_SYN 0x02
#define FLAG_PSH 0x08
#define FLAG_ACK 0x10

static inline struct iphdr *ipv4_header(struct ethhdr *eth, __u32 tcp_len)
{
	struct iphdr *ip = (void *)(eth + 1);

	eth->h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons(sizeof(*ip) + tcp_len);
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	return ip;
}

#endif
