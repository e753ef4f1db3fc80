/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Knocks at the ports of an address that a connect() from this host cannot reach, because the host has it too: the VIP
 * of a dsr service, on one of its mail servers. A SYN goes to the server's MAC as clients' SYNs do; a SYN-ACK is answered
 * with RST, so no mail server ever sees a connection, nor logs one. It knows nothing of services, checks or verdicts.
 */
#ifndef LB_KNOCK_H
#define LB_KNOCK_H

#include <linux/filter.h>
#include "nexthop.h"

enum knock_result {
	KNOCK_OPEN = 0,		/* every port */
	KNOCK_REFUSED,		/* RST */
	KNOCK_SILENT,
	KNOCK_UNSENT,		/* no next hop, or not one frame got out: our own trouble */
	KNOCK_RESULT_MAX,
};

struct knock_conf {
	struct lb_addr from, to;	/* of one family; from: ours, so that the answer comes here */
	__u16 ports[LB_MAX_PORTS];
	__u32 ports_n;
	__u32 patience_ms;
	int (*hop)(void *arg, struct nexthop *out);	/* asked for each SYN; 0, or -errno while there is none */
	/* Once, from the event loop, unless cancelled. port: that the result is about, the first for KNOCK_OPEN. May call
	 * anything here, knocks_close() too. */
	void (*done)(void *arg, enum knock_result result, __u16 port);
	void *arg;
};

struct knocks;		/* all that are under way */
struct knock;

/* For tests: where answers are read ([0] IPv4, [1] IPv6; packets from the IP header on; closed by knocks_close()), how
 * frames leave, and what the upper half of every acknowledgement must be. */
struct knocks_io {
	int in[2];
	int (*send)(void *arg, int ifindex, const __u8 *frame, size_t len);
	void *arg;
	__u16 secret;
};

/* io NULL: packet sockets, which need CAP_NET_RAW. 0 or -errno. */
int knocks_open(sd_event *event, const struct knocks_io *io, struct knocks **out);
void knocks_close(struct knocks *knocks);	/* those under way end without a call; NULL is fine */
/* 0, or -EINVAL, -ENOMEM, or another -errno: then nothing was started. */
int knock_start(struct knocks *knocks, const struct knock_conf *conf, struct knock **out);
void knock_cancel(struct knock *knock);

/* Lets nothing through but what acknowledges one of our SYNs, SYN-ACK or RST: strangers cannot guess the upper half of
 * our sequence numbers, so they cannot make the daemon busy. Returns the number of instructions. */
#define KNOCK_FILTER_MAX 16
size_t knock_filter(int family, __u16 secret, struct sock_filter out[static KNOCK_FILTER_MAX]);

#endif
