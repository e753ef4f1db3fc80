/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cases of packet_bench, kinds of packets of which the path through the program is known, and measuring one of
 * them at one site. Which cases at which sites, and what to make of the figures, is not decided here.
 */
#ifndef BENCH_PACKET_SAMPLE_H
#define BENCH_PACKET_SAMPLE_H

#include "packet_site.h"
#include "spread.h"

struct bench_case {
	const char *name, *about;
	enum bench_program program;
	struct packet pkt;
	struct flow_feed feed;	/* .flows is the site's, or 0 */
	bool fresh;		/* a new flow every time */
	__u32 verdict;		/* of the balancer */
	__u32 action;
};

extern const struct bench_case case_request, case_request_ack, case_request_turn, case_reply, case_syn, case_syn_full,
	case_other_port, case_other_host, case_swap, case_lookup, case_small, case_lru;

struct sample {
	const struct bench_case *what;
	struct site *site;
	double net[SPREAD_MAX], gross[SPREAD_MAX];	/* ns a packet, without and with the wrapper, each round */
};

void sample_measure(struct sample *s, int round, __u32 repeat);
/* Without the wrapper, ns a packet. */
double sample_direct(const struct site *site, enum bench_program program, __u32 repeat);

#endif
