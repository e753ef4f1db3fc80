/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Between redirect.bpf.c and redirect_tool.c, pps_tool.c. */
#ifndef BENCH_REDIRECT_H
#define BENCH_REDIRECT_H

#include <linux/types.h>

struct redirect_way {
	__u32 ifindex;
	__u16 macs[6];		/* destination, source: as on the wire */
};

#define INJECT_LEN 60	/* Ethernet, IPv4, TCP, and what fills the shortest frame */

struct inject_feed {
	__u16 frame[INJECT_LEN / 2];
	__u16 reply;		/* the client's port is the destination */
	__u16 zero;
	__u32 sum;		/* of the TCP checksum, the client's port left out */
	__u32 ifindex;
	__u32 flows_mask;
	__u32 counter;
};

#endif
