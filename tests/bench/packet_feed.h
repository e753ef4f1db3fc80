/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packets for packet_bench, and running a program on many of them: frames of one client-to-VIP or server-to-client
 * connection, the wrapper of feed.bpf.c that gives each its flow and numbers, and the time that they took. Knows the
 * addresses of the site, none of its maps.
 */
#ifndef BENCH_PACKET_FEED_H
#define BENCH_PACKET_FEED_H

#include <stdbool.h>

#include "../../bpf/lb_abi.h"
#include "feed.h"
#include "headers.h"

#define PORT	   25
#define FRAME_MAX  1514

#define CLIENT_SEQ 1000
#define SERVER_SEQ 5000

struct frame {
	bool v6, reply;
	__u8 bytes[FRAME_MAX];
	__u32 len;
};

struct packet {
	bool reply;		/* from a mail server to a client */
	__u16 port;		/* the service's */
	bool elsewhere;		/* to an address that is nobody's */
	__u8 flags;
	__u32 options;		/* bytes of TCP options */
	__u32 payload;
};

/* Which flow and which numbers the wrapper gives to the packets. */
struct flow_feed {
	__u32 flows;		/* rotate over so many; 0: a new one every time */
	__u32 seq, ack;
	bool seq_moves, ack_moves;
	bool making;		/* the flows are made now: another order */
};

void vip_of(bool v6, struct lb_addr *out);
void backend_of(bool v6, int id, struct lb_addr *out);
void frame_build(bool v6, const struct packet *pkt, struct frame *out);

void feeder_open(void);
/* place: site x BENCH_PROGRAM_MAX + enum bench_program */
void feeder_set_program(__u32 place, int prog_fd);
void feed_set(const struct frame *frame, const struct flow_feed *ff);
/* n packets from number `from`, ns for each; the verdict is the last one's. After feed_set() with the same frame. */
double feed_run(const struct frame *frame, __u32 place, __u32 from, __u32 n, __u32 *verdict);
/* One program without the wrapper, ns a packet: for those to which it is the same to meet their own work. */
double feed_direct(const struct frame *frame, int prog_fd, __u32 n);

#endif
