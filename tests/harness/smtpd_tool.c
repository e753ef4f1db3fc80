/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An SMTP server that misbehaves on demand, for the health checks and for clients behind a sick mail
 * server. One row of the table below is one way to be ill; `--script list` prints them. Single thread, any
 * number of connections, both families on one port. Every connection is a line on stdout:
 *   open 3 from 192.0.2.101 (2 open)
 *   close 3 by client after 17 bytes (1 open)
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)  (sizeof(a) / sizeof((a)[0]))
#define LONG_LINE      (1 << 20)
#define BYTE_EVERY_MS  1000

enum quirk {
	QUIRK_BYTEWISE = 1,	/* one byte per second, in everything it says */
	QUIRK_CLOSE = 2,	/* hangs up after its greeting */
	QUIRK_LONG_LINE = 4,	/* the greeting is followed by a line of 1 MiB */
	QUIRK_ENDLESS = 8,	/* the answer to EHLO never reaches its last line */
	QUIRK_RESET = 16,	/* RST in answer to EHLO or HELO */
	QUIRK_NO_DOT = 32,	/* takes the message and never says that it did */
	QUIRK_SCANS = 64,	/* refuses a message with a test string in it */
	QUIRK_DEFERS = 128,	/* its scanner is out of order: 451 instead */
};

struct behaviour {
	const char *name;
	const char *greeting;	/* NULL: says nothing */
	unsigned int quirks;
	const char *what;
};

static const struct behaviour behaviours[] = {
	{ "ok", "220 mailx ESMTP\r\n", 0, "a healthy server" },
	{ "two-line", "220-mailx ESMTP\r\n220 welcome\r\n", 0, "healthy, with a greeting of two lines" },
	{ "bytewise", "220 mailx ESMTP\r\n", QUIRK_BYTEWISE, "one byte per second" },
	{ "421", "421 4.3.2 mailx too busy\r\n", QUIRK_CLOSE, "too busy: 421 and close" },
	{ "554", "554 5.3.2 mailx no SMTP service here\r\n", QUIRK_CLOSE, "refuses: 554 and close" },
	{ "junk", "SSH-2.0-OpenSSH_9.2\r\n", 0, "speaks another protocol" },
	{ "long-line", "220-", QUIRK_LONG_LINE, "a greeting line of 1 MiB" },
	{ "endless", "220 mailx ESMTP\r\n", QUIRK_ENDLESS, "250- lines without end after EHLO" },
	{ "reset", "220 mailx ESMTP\r\n", QUIRK_RESET, "RST in answer to EHLO" },
	{ "silent", NULL, 0, "accepts and says nothing" },
	{ "scans", "220 mailx ESMTP\r\n", QUIRK_SCANS, "refuses the test virus and the test spam" },
	{ "defers", "220 mailx ESMTP\r\n", QUIRK_DEFERS, "says 451 to them" },
	{ "no-dot", "220 mailx ESMTP\r\n", QUIRK_NO_DOT, "never answers the end of a message" },
};

struct conn {
	struct conn *next;
	int fd;
	unsigned int id;
	char peer[INET6_ADDRSTRLEN];
	bool in_data, infected, endless, closing, dead;
	int64_t speak_ms;		/* not a word before this */
	char in[2048];
	size_t in_n, heard;
	char *out;
	size_t out_n, out_at;
};

static struct {
	const struct behaviour *how;
	const char *greeting;
	int64_t delay_ms;
	uint16_t port;
	struct in6_addr listen;		/* IPv4 mapped; all zero: everywhere */
} opt = { .how = &behaviours[0], .port = 25 };

static struct conn *conns;
static unsigned int conns_n, ids;
static int epfd = -1;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void *must_alloc(void *p)
{
	if (!p) {
		fprintf(stderr, "smtpd_tool: out of memory\n");
		exit(1);
	}
	return p;
}

static void conn_end(struct conn *c, const char *by)
{
	if (c->dead)
		return;
	c->dead = true;
	conns_n--;
	printf("close %u by %s after %zu bytes (%u open)\n", c->id, by, c->heard, conns_n);
	close(c->fd);
}

static void conn_reset(struct conn *c)
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	conn_end(c, "reset");
}

static void conn_say_n(struct conn *c, const char *words, size_t len)
{
	c->out = must_alloc(realloc(c->out, c->out_n + len + 1));
	memcpy(c->out + c->out_n, words, len);
	c->out_n += len;
}

static void conn_say(struct conn *c, const char *words)
{
	conn_say_n(c, words, strlen(words));
}

static void conn_greet(struct conn *c)
{
	char *line;

	if (opt.greeting) {
		conn_say(c, opt.greeting);
		conn_say(c, "\r\n");
	} else if (opt.how->greeting) {
		conn_say(c, opt.how->greeting);
	}
	if (opt.how->quirks & QUIRK_LONG_LINE) {
		line = must_alloc(malloc(LONG_LINE));
		memset(line, 'x', LONG_LINE);
		conn_say_n(c, line, LONG_LINE);
		free(line);
		conn_say(c, "\r\n220 mailx\r\n");
	}
	c->closing = opt.how->quirks & QUIRK_CLOSE;
}

static void conn_message_line(struct conn *c, const char *line)
{
	/* The part of each that is not what other scanners look for. */
	c->infected |= strstr(line, "$EICAR-STANDARD-ANTIVIRUS") || strstr(line, "GTUBE-STANDARD-ANTI-UBE");
	if (strcmp(line, ".") != 0)
		return;
	if (c->infected && opt.how->quirks & QUIRK_SCANS)
		conn_say(c, "554 5.7.1 mailx found a virus\r\n");
	else if (c->infected && opt.how->quirks & QUIRK_DEFERS)
		conn_say(c, "451 4.7.1 mailx cannot reach its scanner\r\n");
	else if (!(opt.how->quirks & QUIRK_NO_DOT))
		conn_say(c, "250 2.0.0 Ok: queued\r\n");
	c->in_data = c->infected = false;
}

static void conn_line(struct conn *c, const char *line)
{
	static const struct { const char *verb, *reply; } replies[] = {
		{ "MAIL", "250 2.1.0 Ok\r\n" }, { "RCPT", "250 2.1.5 Ok\r\n" }, { "NOOP", "250 2.0.0 Ok\r\n" },
		{ "RSET", "250 2.0.0 Ok\r\n" }, { "HELO", "250 mailx\r\n" },	{ "DATA", "354 Go ahead\r\n" },
		{ "QUIT", "221 2.0.0 Bye\r\n" }, { "EHLO", "250-mailx\r\n250 8BITMIME\r\n" },
	};
	bool hello = strncasecmp(line, "EHLO", 4) == 0 || strncasecmp(line, "HELO", 4) == 0;

	if (c->in_data) {
		conn_message_line(c, line);
		return;
	}
	if (c->endless || (!opt.how->greeting && !opt.greeting))
		return;
	if (hello && opt.how->quirks & QUIRK_RESET) {
		conn_reset(c);
		return;
	}
	if (hello && opt.how->quirks & QUIRK_ENDLESS) {
		c->endless = true;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		if (strncasecmp(line, replies[i].verb, 4) != 0)
			continue;
		conn_say(c, replies[i].reply);
		c->in_data = strcmp(replies[i].verb, "DATA") == 0;
		c->closing = strcmp(replies[i].verb, "QUIT") == 0;
		return;
	}
	conn_say(c, "500 5.5.2 Error: command not recognized\r\n");
}

static void conn_read(struct conn *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_n, sizeof(c->in) - 1 - c->in_n, 0);
	char *end;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_end(c, n == 0 ? "client" : "client's reset");
		return;
	}
	c->in_n += (size_t)n;
	c->heard += (size_t)n;
	c->in[c->in_n] = '\0';
	while (!c->dead && (end = memchr(c->in, '\n', c->in_n)) != NULL) {
		size_t len = (size_t)(end - c->in) + 1;

		*end = '\0';
		if (len > 1 && end[-1] == '\r')
			end[-1] = '\0';
		conn_line(c, c->in);
		memmove(c->in, c->in + len, c->in_n - len + 1);
		c->in_n -= len;
	}
	/* Only messages have long lines, and nobody reads those. */
	if (c->in_n == sizeof(c->in) - 1)
		c->in_n = 0;
}

/* Says what may be said by now. */
static void conn_write(struct conn *c, int64_t now)
{
	static const char more[] = "250-X-MORE-TO-COME\r\n";
	size_t len;
	ssize_t n;

	if (now < c->speak_ms)
		return;
	if (c->endless && c->out_at == c->out_n) {
		c->out_at = c->out_n = 0;
		for (int i = 0; i < 200; i++)
			conn_say(c, more);
	}
	len = c->out_n - c->out_at;
	if (len > 0) {
		if (opt.how->quirks & QUIRK_BYTEWISE)
			len = 1;
		n = send(c->fd, c->out + c->out_at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno != EAGAIN && errno != EINTR) {
			conn_end(c, "client's reset");
			return;
		}
		if (n > 0)
			c->out_at += (size_t)n;
		if (opt.how->quirks & QUIRK_BYTEWISE)
			c->speak_ms = now + BYTE_EVERY_MS;
	}
	if (c->closing && c->out_at == c->out_n)
		conn_end(c, "us");
}

static void conn_accept(int listen_fd)
{
	struct sockaddr_in6 in6 = { 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	socklen_t len = sizeof(in6);
	struct conn *c;
	int one = 1;
	int fd = accept4(listen_fd, (struct sockaddr *)&in6, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd == -1)
		return;
	c = must_alloc(calloc(1, sizeof(*c)));
	c->fd = fd;
	c->id = ++ids;
	if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
		inet_ntop(AF_INET, &in6.sin6_addr.s6_addr[12], c->peer, sizeof(c->peer));
	else
		inet_ntop(AF_INET6, &in6.sin6_addr, c->peer, sizeof(c->peer));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->next = conns;
	conns = c;
	conns_n++;
	printf("open %u from %s (%u open)\n", c->id, c->peer, conns_n);
	c->speak_ms = now_ms() + opt.delay_ms;
	conn_greet(c);
	ev.data.ptr = c;
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) == -1)
		conn_end(c, strerror(errno));
}

static void conns_tick(void)
{
	int64_t now = now_ms();
	struct conn **at = &conns;

	while (*at) {
		struct conn *c = *at;

		if (!c->dead)
			conn_write(c, now);
		if (c->dead) {
			*at = c->next;
			free(c->out);
			free(c);
		} else {
			at = &c->next;
		}
	}
}

/* How long may we sleep? Long while nobody has anything left to say. */
static int patience_ms(void)
{
	for (const struct conn *c = conns; c; c = c->next)
		if (c->endless || c->out_at < c->out_n)
			return 10;
	return 1000;
}

static int listen_open(void)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(opt.port), .sin6_addr = opt.listen };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, zero = 0;

	if (fd == -1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) == -1 ||
	    bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == -1 || listen(fd, 4096) == -1) {
		fprintf(stderr, "smtpd_tool: port %u: %s\n", opt.port, strerror(errno));
		exit(1);
	}
	return fd;
}

static void usage(void)
{
	fprintf(stderr, "usage: smtpd_tool [--port 25] [--listen ADDRESS] [--script NAME] [--greeting TEXT] [--delay-banner SECONDS]\n"
			"`--script list` names the scripts\n");
	exit(2);
}

static void script_choose(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(behaviours); i++) {
		if (strcmp(name, "list") == 0)
			printf("%-10s %s\n", behaviours[i].name, behaviours[i].what);
		if (strcmp(name, behaviours[i].name) == 0) {
			opt.how = &behaviours[i];
			return;
		}
	}
	if (strcmp(name, "list") == 0)
		exit(0);
	fprintf(stderr, "smtpd_tool: no script \"%s\": see --script list\n", name);
	exit(2);
}

static void listen_at(const char *address)
{
	char mapped[INET6_ADDRSTRLEN + 8];

	snprintf(mapped, sizeof(mapped), "%s%s", strchr(address, ':') ? "" : "::ffff:", address);
	if (inet_pton(AF_INET6, mapped, &opt.listen) != 1) {
		fprintf(stderr, "smtpd_tool: \"%s\" is not an address\n", address);
		exit(2);
	}
}

static void options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "port", required_argument, NULL, 'p' },     { "script", required_argument, NULL, 's' },
		{ "greeting", required_argument, NULL, 'g' }, { "delay-banner", required_argument, NULL, 'd' },
		{ "listen", required_argument, NULL, 'l' },   { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 'p': opt.port = (uint16_t)strtoul(optarg, NULL, 10); break;
		case 's': script_choose(optarg); break;
		case 'l': listen_at(optarg); break;
		case 'g': opt.greeting = optarg; break;
		case 'd': opt.delay_ms = (int64_t)(strtod(optarg, NULL) * 1000); break;
		default: usage();
		}
	}
	if (optind != argc || !opt.port)
		usage();
}

int main(int argc, char **argv)
{
	struct epoll_event ev = { .events = EPOLLIN }, evs[64];
	int listen_fd, n;

	options(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	listen_fd = listen_open();
	if (epfd == -1 || epoll_ctl(epfd, EPOLL_CTL_ADD, listen_fd, &ev) == -1) {
		perror("smtpd_tool: epoll");
		return 1;
	}
	for (;;) {
		n = epoll_wait(epfd, evs, ARRAY_SIZE(evs), patience_ms());
		for (int i = 0; i < n; i++) {
			struct conn *c = evs[i].data.ptr;

			if (!c)
				conn_accept(listen_fd);
			else if (!c->dead)
				conn_read(c);
		}
		conns_tick();
	}
}
