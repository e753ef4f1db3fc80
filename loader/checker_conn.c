/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One check's connection: opening, bytes in and out, with or without TLS under them, the verdict, the goodbye, the
 * end. A connection that is closed stays in the list until its answer is on its way. It must not know SMTP beyond
 * that a greeted server is told QUIT.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "addr.h"
#include "checker_conn.h"
#include "clock.h"
#include "num.h"

#define READ_SIZE	16384	/* a TLS record: nothing stays behind in OpenSSL, where epoll does not see it */
#define READS_A_TURN	4
#define MAX_DROPPED	(4 << 20)
#define TEXT_PART	150	/* leaves room for the stage and the check's name */

static const char *const stages[] = {
	[STAGE_CONNECT] = "connect", [STAGE_TLS] = "tls", [STAGE_GREETING] = "greeting", [STAGE_EHLO] = "ehlo",
	[STAGE_STARTTLS] = "starttls", [STAGE_MAIL] = "mail", [STAGE_RCPT] = "rcpt", [STAGE_RSET] = "rset",
	[STAGE_DATA] = "data", [STAGE_MESSAGE] = "message", [STAGE_SCAN] = "scan", [STAGE_AGENT] = "agent",
	[STAGE_QUIT] = "quit",
};
static_assert(sizeof(stages) / sizeof(stages[0]) == STAGE_MAX, "a name for every stage");

const char *checker_stage_to_str(enum checker_stage stage)
{
	return (unsigned int)stage < STAGE_MAX ? stages[stage] : "?";
}

/* --- what is said and found --- */

void conn_say(struct conn *c, const char *fmt, ...)
{
	size_t room = CHECKER_TRANSCRIPT_MAX - c->transcript_len;
	va_list ap;
	int n;

	if (!c->transcript || room < 2)
		return;
	va_start(ap, fmt);
	n = vsnprintf(c->transcript + c->transcript_len, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	c->transcript_len += (size_t)n < room - 1 ? (size_t)n : room - 2;
	c->transcript[c->transcript_len++] = '\n';
}

void conn_put(struct conn *c, const char *bytes, size_t n, const char *shown)
{
	size_t end = n;

	if (c->fd == -1)
		return;
	assert(n <= sizeof(c->out));
	if (c->out_at) {
		memmove(c->out, c->out + c->out_at, c->out_len - c->out_at);
		c->out_len -= c->out_at;
		c->out_at = 0;
	}
	if (n > sizeof(c->out) - c->out_len)
		return;		/* a server that does not read: the deadline tells */
	memcpy(c->out + c->out_len, bytes, n);
	c->out_len += n;
	while (end && (bytes[end - 1] == '\r' || bytes[end - 1] == '\n'))
		end--;
	if (shown)
		conn_say(c, "> %s", shown);
	else
		conn_say(c, "> %.*s", (int)end, bytes);
}

void conn_close(struct conn *c)
{
	if (c->fd == -1)
		return;
	if (c->ssl && c->tls_done && !c->eof)
		SSL_shutdown(c->ssl);
	SSL_free(c->ssl);
	c->ssl = NULL;
	close(c->fd);
	c->fd = -1;
	conn_say(c, "* closed");
}

/* Where the server's log would else say that we got lost. */
static void say_goodbye(struct conn *c)
{
	__u64 linger = c->req.connect_ms ? c->req.conf.timeout_ms : CHECKER_LINGER_MS;
	bool silent = !c->connected || c->eof || (c->ssl && !c->tls_done);

	c->deadline_us = clock_us() + linger * 1000;
	if (!silent && c->greeted) {
		smtp_await(c, STAGE_QUIT);
		conn_put(c, "QUIT\r\n", 6, NULL);
	} else if (!silent && (c->tls_done || c->req.connect_ms)) {
		smtp_await(c, STAGE_GREETING);	/* its greeting is on the way: then QUIT */
	} else {
		conn_close(c);
	}
}

void conn_decide(struct conn *c, enum check_result result, int code, const char *fmt, ...)
{
	struct checker_answer *a = &c->answer;
	char text[512];
	va_list ap;

	if (c->decided)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text[reply_clean(a->text, TEXT_PART, text, strlen(text))] = '\0';
	snprintf(text, sizeof(text), "%s (%s)", a->text, checker_stage_to_str(c->stage));
	if (c->stage == STAGE_AGENT && result == CHECK_OK)	/* to be parsed */
		snprintf(text, sizeof(text), "%s", a->text);
	else if (result == CHECK_OK && a->tls_days >= 0)
		snprintf(text, sizeof(text), "%s (%s, certificate: %d days)", a->text, checker_stage_to_str(c->stage),
			 (int)a->tls_days);
	snprintf(a->text, sizeof(a->text), "%.*s", (int)sizeof(a->text) - 1, text);
	a->result = result;
	a->stage = c->stage;
	a->code = code;
	a->duration_us = clock_us() - c->start_us;
	c->decided = true;
	c->server->unsent++;
	conn_say(c, "* %s: %s", check_result_to_str(result), a->text);
	say_goodbye(c);
}

/* --- bytes --- */

static void wait_for(struct conn *c, __u32 events)
{
	struct epoll_event ev = { .events = events, .data.ptr = c };

	if (c->fd == -1 || c->events == events)
		return;
	epoll_ctl(c->server->epoll, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev);
	c->events = events;
}

/* Cut off, or closed by the server. */
static void ended(struct conn *c, int cause)
{
	c->eof = true;
	if (!c->decided && !cause && c->stage == STAGE_AGENT)
		smtp_agent(c, NULL, 0, true);
	else if (!c->decided && cause)
		conn_decide(c, check_from_errno(cause), 0, "%s", check_errno_text(cause));
	else if (!c->decided)
		conn_decide(c, CHECK_RESET, 0, "%s", c->greeted ? "connection closed" : "connection closed without a greeting");
	else
		conn_close(c);
}

static void push(struct conn *c)
{
	while (c->fd != -1 && c->out_at < c->out_len) {
		ssize_t n = c->ssl ? tls_write(c, c->out + c->out_at, c->out_len - c->out_at) :
			    send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);

		if (n > 0) {
			c->out_at += n;
			continue;
		}
		if (errno == EAGAIN || errno == EINTR)
			return;
		c->out_at = c->out_len = 0;
		/* What it said before it went is worth more: let the reading find the end. */
		return;
	}
	c->out_at = c->out_len = 0;
}

static void take(struct conn *c, const char *bytes, size_t n)
{
	size_t at = 0;

	while (at < n && c->fd != -1) {
		if (c->deaf) {
			c->dropped += n - at;
			if (c->dropped > MAX_DROPPED)
				conn_close(c);
			return;
		}
		if (c->stage == STAGE_AGENT) {
			smtp_agent(c, bytes + at, n - at, false);
			return;
		}
		at += reply_feed(&c->reply, bytes + at, n - at);
		if (c->reply.state == REPLY_MORE)
			continue;
		/* RFC 3207, 4: nothing that came in the clear may count behind the handshake. */
		if (c->stage == STAGE_STARTTLS && c->reply.code / 100 == 2 && at < n) {
			c->greeted = false;
			conn_decide(c, CHECK_TLS_FAILED, c->reply.code, "clear text behind the reply to STARTTLS");
			return;
		}
		smtp_reply(c);
	}
}

static void pull(struct conn *c)
{
	char buf[READ_SIZE];

	for (int i = 0; i < READS_A_TURN && c->fd != -1 && !(c->ssl && !c->tls_done); i++) {
		ssize_t n = c->ssl ? tls_read(c, buf, sizeof(buf)) : recv(c->fd, buf, sizeof(buf), 0);

		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0)
			ended(c, n ? errno : 0);
		else
			take(c, buf, n);
	}
}

static void finish_connect(struct conn *c)
{
	int cause = 0, one = 1;
	socklen_t len = sizeof(cause);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &cause, &len) == -1)
		cause = errno;
	if (cause) {
		conn_decide(c, check_from_errno(cause), 0, "%s", check_errno_text(cause));
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->connected = true;
	c->deadline_us = c->start_us + c->req.conf.timeout_ms * 1000ULL;
	conn_say(c, "* connected");
	smtp_connected(c);
	if (c->req.connect_ms && !c->ssl)
		conn_decide(c, CHECK_OK, 0, "connected");
}

void conn_on_event(struct conn *c)
{
	if (c->fd == -1)
		return;
	if (!c->connected)
		finish_connect(c);
	/* The header of a proxy goes out before the handshake, in the clear. */
	if (c->fd != -1 && c->ssl && !c->tls_done)
		tls_step(c);
	push(c);
	pull(c);
	push(c);
	if (c->fd == -1)
		return;
	wait_for(c, c->out_at < c->out_len || (c->ssl && SSL_want_write(c->ssl)) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void conn_on_deadline(struct conn *c)
{
	char text[24];

	if (c->decided || c->cancelled)
		conn_close(c);
	else if (!c->connected && c->req.connect_ms)
		conn_decide(c, CHECK_UNREACHABLE, 0, "no connection in %s",
			    num_duration_to_str(c->req.connect_ms, text, sizeof(text)));
	else
		conn_decide(c, CHECK_TIMEOUT, 0, "no answer in %s",
			    num_duration_to_str(c->req.conf.timeout_ms, text, sizeof(text)));
	push(c);	/* QUIT */
}

void conn_cancel(struct conn *c)
{
	c->cancelled = true;
	if (!c->decided)
		conn_decide(c, CHECK_INTERNAL, 0, "cancelled");
	push(c);
}

/* --- beginning and end --- */

static int bind_source(int fd, const struct checker_request *req)
{
	const struct check_conf *conf = &req->conf;
	static const struct lb_addr any;
	struct sockaddr_storage from;
	socklen_t len;
	int one = 1;

	if (addr_equal(&conf->source, &any) || addr_is_v4(&conf->source) != addr_is_v4(&req->address))
		return 0;
	len = addr_to_sockaddr(&conf->source, 0, &from);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	return bind(fd, (struct sockaddr *)&from, len) == -1 ? -errno : 0;
}

static void start(struct conn *c)
{
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(&c->req.address, c->req.port, &to);
	char text[ADDR_STRLEN];
	int err;

	conn_say(c, "* %s port %u", addr_to_str(&c->req.address, text), c->req.port);
	c->fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->fd == -1) {
		conn_decide(c, CHECK_INTERNAL, 0, "socket: %s", strerror(errno));
		return;
	}
	err = bind_source(c->fd, &c->req);
	if (err) {
		conn_decide(c, CHECK_INTERNAL, 0, "source %s: %s", addr_to_str(&c->req.conf.source, text), strerror(-err));
		return;
	}
	if (connect(c->fd, (struct sockaddr *)&to, len) == -1 && errno != EINPROGRESS)
		conn_decide(c, check_from_errno(errno), 0, "%s", check_errno_text(errno));
	else
		wait_for(c, EPOLLOUT);
}

int conn_open(struct server *server, const struct checker_request *req)
{
	struct conn *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->server = server;
	c->req = *req;
	c->fd = -1;
	c->start_us = clock_us();
	c->deadline_us = c->start_us + (req->connect_ms ? req->connect_ms : req->conf.timeout_ms) * 1000ULL;
	c->answer.head = (struct checker_head){ CHECKER_MAGIC, CHECKER_ANSWER, sizeof(c->answer), req->head.serial };
	c->answer.tls_days = -1;
	if (req->transcript)
		c->transcript = malloc(CHECKER_TRANSCRIPT_MAX);
	TAILQ_INSERT_TAIL(&server->conns, c, link);
	server->conns_n++;
	start(c);
	return 0;
}

void conn_free(struct conn *c)
{
	conn_close(c);
	if (c->decided && !c->sent)
		c->server->unsent--;
	TAILQ_REMOVE(&c->server->conns, c, link);
	c->server->conns_n--;
	free(c->transcript);
	free(c);
}
