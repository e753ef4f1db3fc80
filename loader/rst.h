/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RSTs that the daemon itself sends, for flows that lbd has ended: to the client as the VIP, to the
 * mail server as the client. Frames are built here and leave through one packet socket;
 * building is pure and tested apart.
 */
#ifndef LB_RST_H
#define LB_RST_H

#include <stddef.h>
#include "../bpf/lb_abi.h"

#define RST_FRAME_LEN 74	/* Ethernet 14 + IPv6 40 + TCP 20 */

struct rst_end {
	__u8 dst_mac[6], src_mac[6];
	struct lb_addr src, dst;
	__be16 src_port, dst_port;
	__u32 seq;		/* must be the receiver's next expected byte (RFC 5961, 3.2) */
	__u32 ack;
};

/* Fills frame, returns its length (54 or 74). RST|ACK, checksums complete, TTL 64. */
size_t rst_build(const struct rst_end *end, __u8 frame[static RST_FRAME_LEN]);
/* Packet socket; needs CAP_NET_RAW. fd or -errno. */
int rst_socket(void);
int rst_send(int fd, int ifindex, const __u8 *frame, size_t len);

#endif
