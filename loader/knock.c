// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See knock.h. The answer's destination is this host, but its source is, too: the kernel drops it as a martian (IPv4) or resets
 * a connection with itself (IPv6), and a packet socket sees it before that. The SYN lives for one hop, as a client's does
 * behind a balancer that only changes the MAC: a server without the VIP that forwards packets would else send it
 * back here, to be spread to another one, which answers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "addr.h"
#include "clock.h"
#include "knock.h"
#include "segment.h"

#define FIRST_PAUSE_US	50000ULL	/* on a link; doubles with each SYN */
#define ACCURACY_US	1000
#define FIRST_PORT	32768		/* as Linux does it: nobody's service */
#define SNAP		128		/* both headers with options */
#define DROP		255		/* a jump to the end, until the end is known */

struct knock {
	TAILQ_ENTRY(knock) link;
	struct knocks *knocks;
	struct knock_conf conf;
	struct nexthop hop;		/* of the latest SYN */
	__u16 port;			/* ours */
	__u32 seq[LB_MAX_PORTS];
	__u32 open;			/* a bit for each port */
	bool sent;
	__u64 deadline_us, pause_us;
	sd_event_source *timer;
};

struct knocks {
	sd_event *event;
	struct knocks_io io;
	int out;			/* -1: io sends */
	sd_event_source *sources[2];
	TAILQ_HEAD(knock_list, knock) list;
};

/* --- the filter --- */

size_t knock_filter(int family, __u16 secret, struct sock_filter out[static KNOCK_FILTER_MAX])
{
	const struct sock_filter ip4[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, DROP),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, DROP, 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
	};
	const struct sock_filter ip6[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, DROP),
		BPF_STMT(BPF_LDX | BPF_IMM, 40),
	};
	const struct sock_filter tcp[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_IND, 13),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SEGMENT_ACK, 0, DROP),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SEGMENT_SYN | SEGMENT_RST, 0, DROP),
		BPF_STMT(BPF_LD | BPF_W | BPF_IND, 8),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, secret, 0, DROP),
		BPF_STMT(BPF_RET | BPF_K, SNAP),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	size_t head = family == AF_INET ? sizeof(ip4) : sizeof(ip6);
	size_t n = (head + sizeof(tcp)) / sizeof(*out);

	memcpy(out, family == AF_INET ? ip4 : ip6, head);
	memcpy((char *)out + head, tcp, sizeof(tcp));
	for (size_t i = 0; i < n; i++) {
		if (out[i].jt == DROP)
			out[i].jt = n - 1 - i - 1;
		if (out[i].jf == DROP)
			out[i].jf = n - 1 - i - 1;
	}
	return n;
}

/* --- one knock --- */

static void knock_free(struct knock *knock)
{
	TAILQ_REMOVE(&knock->knocks->list, knock, link);
	sd_event_source_disable_unref(knock->timer);
	free(knock);
}

static void finish(struct knock *knock, enum knock_result result, __u16 port)
{
	const struct knock_conf conf = knock->conf;

	knock_free(knock);
	conf.done(conf.arg, result, port);
}

static int send_segment(struct knock *knock, size_t which, __u8 flags, __u32 seq, __u32 ack)
{
	struct knocks *knocks = knock->knocks;
	struct segment segment = {
		.src = knock->conf.from, .dst = knock->conf.to, .src_port = htons(knock->port),
		.dst_port = htons(knock->conf.ports[which]), .seq = seq, .ack = ack, .flags = flags, .ttl = 1,
	};
	__u8 frame[SEGMENT_FRAME_LEN];
	size_t len;

	memcpy(segment.dst_mac, knock->hop.dst_mac, 6);
	memcpy(segment.src_mac, knock->hop.src_mac, 6);
	len = segment_build(&segment, frame);
	if (knocks->io.send)
		return knocks->io.send(knocks->io.arg, knock->hop.ifindex, frame, len);
	return segment_send(knocks->out, knock->hop.ifindex, frame, len);
}

static void send_syns(struct knock *knock)
{
	struct nexthop hop;

	if (knock->conf.hop(knock->conf.arg, &hop) || !hop.resolved)
		return;
	knock->hop = hop;
	for (__u32 i = 0; i < knock->conf.ports_n; i++)
		if (!(knock->open & 1U << i) && send_segment(knock, i, SEGMENT_SYN, knock->seq[i], 0) == 0)
			knock->sent = true;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *arg)
{
	struct knock *knock = arg;
	__u64 now = clock_us(), next;
	__u32 first = 0;

	(void)usec;
	if (now >= knock->deadline_us) {
		while (knock->open & 1U << first)
			first++;
		finish(knock, knock->sent ? KNOCK_SILENT : KNOCK_UNSENT, knock->conf.ports[first]);
		return 0;
	}
	send_syns(knock);
	next = now + knock->pause_us;
	knock->pause_us *= 2;
	sd_event_source_set_time(s, next < knock->deadline_us ? next : knock->deadline_us);
	sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
	return 0;
}

int knock_start(struct knocks *knocks, const struct knock_conf *conf, struct knock **out)
{
	struct { __u16 port, seq[LB_MAX_PORTS]; } random;
	struct knock *knock;
	int err;

	if (!conf->ports_n || conf->ports_n > LB_MAX_PORTS || addr_is_v4(&conf->from) != addr_is_v4(&conf->to))
		return -EINVAL;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		return -EAGAIN;
	knock = calloc(1, sizeof(*knock));
	if (!knock)
		return -ENOMEM;
	knock->knocks = knocks;
	knock->conf = *conf;
	/* A new port each time: where a RST of ours got lost the server still waits on the old one. */
	knock->port = FIRST_PORT + random.port % (65536 - FIRST_PORT);
	for (__u32 i = 0; i < conf->ports_n; i++)	/* below the top, so that adding one leaves the secret alone */
		knock->seq[i] = (__u32)knocks->io.secret << 16 | random.seq[i] % 0xffff;
	knock->deadline_us = clock_us() + conf->patience_ms * 1000ULL;
	knock->pause_us = FIRST_PAUSE_US;
	TAILQ_INSERT_TAIL(&knocks->list, knock, link);
	err = sd_event_add_time(knocks->event, &knock->timer, CLOCK_MONOTONIC, 0, ACCURACY_US, on_timer, knock);
	if (err < 0) {
		knock_free(knock);
		return err;
	}
	*out = knock;
	return 0;
}

void knock_cancel(struct knock *knock)
{
	if (knock)
		knock_free(knock);
}

/* --- answers --- */

static void hear(struct knock *knock, __u32 which, const struct segment *answer)
{
	if (answer->flags & SEGMENT_RST) {
		finish(knock, KNOCK_REFUSED, knock->conf.ports[which]);
		return;
	}
	/* Lost: then the server repeats its SYN-ACK for a while, into the void. */
	(void)!send_segment(knock, which, SEGMENT_RST | SEGMENT_ACK, answer->ack, answer->seq + 1);
	knock->open |= 1U << which;
	if (knock->open == (1U << knock->conf.ports_n) - 1)
		finish(knock, KNOCK_OPEN, knock->conf.ports[0]);
}

static bool is_to(const struct knock *knock, const struct segment *answer, __u32 *which)
{
	if (answer->dst_port != htons(knock->port) || !addr_equal(&answer->src, &knock->conf.to) ||
	    !addr_equal(&answer->dst, &knock->conf.from))
		return false;
	for (*which = 0; *which < knock->conf.ports_n; ++*which)
		if (answer->src_port == htons(knock->conf.ports[*which]))
			return answer->ack == knock->seq[*which] + 1 && !(knock->open & 1U << *which);
	return false;
}

/* One packet a turn: done() may have closed everything. */
static int on_packet(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct knocks *knocks = arg;
	struct segment answer;
	struct knock *knock;
	__u8 packet[SNAP];
	ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
	__u32 which;

	(void)s;
	(void)revents;
	if (n <= 0 || segment_read(fd == knocks->io.in[0] ? AF_INET : AF_INET6, packet, n, &answer) ||
	    !(answer.flags & SEGMENT_ACK) || !(answer.flags & (SEGMENT_SYN | SEGMENT_RST)))
		return 0;
	TAILQ_FOREACH(knock, &knocks->list, link)
		if (is_to(knock, &answer, &which)) {
			hear(knock, which, &answer);
			break;
		}
	return 0;
}

/* --- opening and closing --- */

/* Bound when the filter is in place, so that nothing comes before it. */
static int open_in(int family, __u16 secret)
{
	struct sock_filter code[KNOCK_FILTER_MAX];
	struct sock_fprog program = { .len = knock_filter(family, secret, code), .filter = code };
	struct sockaddr_ll any = {
		.sll_family = AF_PACKET, .sll_protocol = htons(family == AF_INET ? ETH_P_IP : ETH_P_IPV6),
	};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err;

	if (fd == -1)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == -1 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) == -1) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int open_sockets(struct knocks *knocks)
{
	struct knocks_io *io = &knocks->io;

	if (getrandom(&io->secret, sizeof(io->secret), GRND_NONBLOCK) != sizeof(io->secret))
		return -EAGAIN;
	knocks->out = segment_socket();
	if (knocks->out < 0)
		return knocks->out;
	for (int i = 0; i < 2; i++) {
		io->in[i] = open_in(i ? AF_INET6 : AF_INET, io->secret);
		if (io->in[i] < 0)
			return io->in[i];
	}
	return 0;
}

int knocks_open(sd_event *event, const struct knocks_io *io, struct knocks **out)
{
	struct knocks *knocks = calloc(1, sizeof(*knocks));
	int err = 0;

	if (!knocks)
		return -ENOMEM;
	knocks->io = io ? *io : (struct knocks_io){ .in = { -1, -1 } };
	knocks->out = -1;
	knocks->event = sd_event_ref(event);
	TAILQ_INIT(&knocks->list);
	if (!io)
		err = open_sockets(knocks);
	for (int i = 0; i < 2 && err >= 0; i++)
		err = sd_event_add_io(event, &knocks->sources[i], knocks->io.in[i], EPOLLIN, on_packet, knocks);
	if (err < 0) {
		knocks_close(knocks);
		return err;
	}
	*out = knocks;
	return 0;
}

void knocks_close(struct knocks *knocks)
{
	struct knock *knock;

	if (!knocks)
		return;
	while ((knock = TAILQ_FIRST(&knocks->list)))
		knock_free(knock);
	for (int i = 0; i < 2; i++) {
		sd_event_source_disable_unref(knocks->sources[i]);
		if (knocks->io.in[i] >= 0)
			close(knocks->io.in[i]);
	}
	if (knocks->out >= 0)
		close(knocks->out);
	sd_event_unref(knocks->event);
	free(knocks);
}
