/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A network for knocks, made of two socket pairs: frames that leave are kept, answers are written by the test. Behind the
 * filter that the packet sockets have, so what it drops is not heard here either. No privileges.
 */
#ifndef KNOCK_NET_H
#define KNOCK_NET_H

#include <arpa/inet.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../loader/addr.h"
#include "../../loader/knock.h"
#include "../../loader/segment.h"

#define NET_SECRET 0xbeef

struct knock_net {
	int far[2], near[2];		/* the test's ends, and the others */
	struct segment sent[64];	/* without MACs */
	int sent_n, ifindex, error;
	__u8 dst_mac[6];
	/* What the server does with each SYN; 0: nothing. */
	__u8 answer;
	__u16 refused_port;		/* this one is answered with RST|ACK, whatever the others get */
};

static inline void knock_net_answer(struct knock_net *net, const struct segment *to, __u8 flags, __u32 ack)
{
	struct segment answer = {
		.src = to->dst, .dst = to->src, .src_port = to->dst_port, .dst_port = to->src_port,
		.seq = 1000, .ack = ack, .flags = flags, .ttl = 64,
	};
	__u8 frame[SEGMENT_FRAME_LEN];
	size_t len = segment_build(&answer, frame);

	(void)!write(net->far[!addr_is_v4(&answer.src)], frame + 14, len - 14);
}

static inline int knock_net_send(void *arg, int ifindex, const __u8 *frame, size_t len)
{
	struct knock_net *net = arg;
	struct segment *s = &net->sent[net->sent_n % 64];

	if (net->error)
		return net->error;
	if (segment_read(frame[12] == 8 ? AF_INET : AF_INET6, frame + 14, len - 14, s))
		return -EINVAL;
	net->ifindex = ifindex;
	memcpy(net->dst_mac, frame, 6);
	net->sent_n++;
	if (s->flags != SEGMENT_SYN)
		return 0;
	if (ntohs(s->dst_port) == net->refused_port)
		knock_net_answer(net, s, SEGMENT_RST | SEGMENT_ACK, s->seq + 1);
	else if (net->answer)
		knock_net_answer(net, s, net->answer, s->seq + 1);
	return 0;
}

static inline int knock_net_open(struct knock_net *net, sd_event *event, struct knocks **out)
{
	struct knocks_io io = { .send = knock_net_send, .arg = net, .secret = NET_SECRET };

	memset(net, 0, sizeof(*net));
	for (int i = 0; i < 2; i++) {
		struct sock_filter code[KNOCK_FILTER_MAX];
		struct sock_fprog program = { .len = knock_filter(i ? AF_INET6 : AF_INET, NET_SECRET, code), .filter = code };
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) ||
		    setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
			return -1;
		io.in[i] = net->near[i] = pair[0];
		net->far[i] = pair[1];
	}
	return knocks_open(event, &io, out);
}

/* Something has passed the filter, and nobody has read it yet. */
static inline bool knock_net_waits(const struct knock_net *net)
{
	struct pollfd fds[2] = { { net->near[0], POLLIN, 0 }, { net->near[1], POLLIN, 0 } };

	return poll(fds, 2, 0) > 0;
}

static inline void knock_net_close(struct knock_net *net)
{
	close(net->far[0]);
	close(net->far[1]);
}

#endif
