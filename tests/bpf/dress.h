/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The dresses that Ethernet and IP have for a packet: tags, options, extension headers, sizes. Which of them a test
 * tries is in its table; what becomes of the packet is the test's business.
 */
#ifndef TESTS_DRESS_H
#define TESTS_DRESS_H

#include "pkt.h"

struct dress {
	const char *sentence;
	int vlans;
	__u8 ip_options, tcp_options;
	const char *extensions;
	__u16 payload;
	bool v4, v6;	/* whom it fits */
};

/* false: not for packets of this family. */
static inline bool dress_put_on(const struct dress *dress, int family, struct pkt *pkt)
{
	pkt->vlans = dress->vlans;
	pkt->ip_options = dress->ip_options;
	pkt->tcp_options = dress->tcp_options;
	pkt->extensions = dress->extensions;
	pkt->payload = dress->payload;
	return family == V4 ? dress->v4 : dress->v6;
}

#endif
