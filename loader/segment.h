/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP segments without data, as the daemon itself sends and reads them: RSTs for flows that it has ended, SYNs that knock at a
 * mail server. Building and reading are pure and tested apart; frames leave through a packet socket.
 */
#ifndef LB_SEGMENT_H
#define LB_SEGMENT_H

#include <stddef.h>
#include "../bpf/lb_abi.h"

#define SEGMENT_FRAME_LEN 74	/* Ethernet 14 + IPv6 40 + TCP 20 */

enum segment_flag { SEGMENT_SYN = 0x02, SEGMENT_RST = 0x04, SEGMENT_ACK = 0x10 };	/* as on the wire */

struct segment {
	__u8 dst_mac[6], src_mac[6];
	struct lb_addr src, dst;
	__be16 src_port, dst_port;
	__u32 seq;		/* of a RST: must be the receiver's next expected byte (RFC 5961, 3.2) */
	__u32 ack;
	__u8 flags, ttl;
};

/* Fills frame, returns its length (54 or 74). Checksums complete. */
size_t segment_build(const struct segment *segment, __u8 frame[static SEGMENT_FRAME_LEN]);
/* From the IP header on; options are skipped, data is left alone, the MACs stay zero. The checksum is not looked at: between
 * virtual machines it is often unfinished. 0, or -EINVAL: no whole TCP header of that family (AF_INET, AF_INET6). */
int segment_read(int family, const __u8 *packet, size_t len, struct segment *out);
/* Packet socket that only sends; needs CAP_NET_RAW. fd or -errno. */
int segment_socket(void);
int segment_send(int fd, int ifindex, const __u8 *frame, size_t len);

#endif
