/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets of the mail benchmarks' clients and server: addresses, an epoll loop, a connection on its way. What is said
 * on them, and when, is for each tool to know. Who cannot have them ends.
 */
#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "tool.h"

static inline struct sockaddr_in ipv4_address(const char *text, int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (!text)
		die("an address is needed: --connect ADDR");
	if (inet_pton(AF_INET, text, &sin.sin_addr) != 1)
		die("\"%s\" is no IPv4 address", text);
	return sin;
}

static inline int tcp_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0)
		die("socket: %m");
	return fd;
}

static inline int loop_open(void)
{
	int fd = epoll_create1(0);

	if (fd < 0)
		die("epoll: %m");
	return fd;
}

static inline void loop_add(int loop, int fd, uint32_t events, epoll_data_t data)
{
	struct epoll_event ev = { .events = events, .data = data };

	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &ev))
		die("epoll_ctl: %m");
}

/* Whether it arrives, the loop will tell. */
static inline void loop_connect(int loop, int fd, const struct sockaddr_in *to, uint32_t events, epoll_data_t data)
{
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == -1 && errno != EINPROGRESS)
		die("connect: %m");
	loop_add(loop, fd, events, data);
}

#endif
