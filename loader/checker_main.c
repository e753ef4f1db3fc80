/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The checker process: one loop over the socket to lbd and the checks under way. It has no file, no
 * capability and no memory of the daemon's; a request is all that it knows. It ends when lbd does.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "checker_conn.h"
#include "clock.h"
#include "log.h"

#define EVENTS_A_TURN	64
#define REQUESTS_A_TURN	64
#define MAX_TIMEOUT_MS	3600000

/* --- requests --- */

/* Terminated, and nothing in it that could end a command, or its argument. */
static bool is_argument(const char *text, size_t size, bool spaces)
{
	size_t len = strnlen(text, size);

	if (len == size)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char ch = text[i];

		if (ch < (spaces ? 0x20 : 0x21) || ch > 0x7e || ch == '<' || ch == '>')
			return false;
	}
	return true;
}

static bool request_is_good(const struct checker_request *req)
{
	const struct check_conf *conf = &req->conf;

	return req->port && conf->timeout_ms && conf->timeout_ms <= MAX_TIMEOUT_MS &&
	       (unsigned int)conf->kind < CHECK_KIND_MAX && (unsigned int)conf->verify < VERIFY_MAX &&
	       (unsigned int)conf->proxy < PROXY_MAX && (unsigned int)conf->must_refuse < POISON_MAX &&
	       is_argument(conf->ehlo, sizeof(conf->ehlo), false) &&
	       is_argument(conf->keywords, sizeof(conf->keywords), true) &&
	       is_argument(conf->from, sizeof(conf->from), false) && is_argument(conf->to, sizeof(conf->to), false) &&
	       is_argument(conf->name, sizeof(conf->name), false) && is_argument(req->send, sizeof(req->send), true);
}

static struct conn *find(struct server *server, __u64 serial)
{
	struct conn *c;

	TAILQ_FOREACH(c, &server->conns, link)
		if (c->req.head.serial == serial)
			return c;
	return NULL;
}

/* An answer without a connection; when even that does not go out, lbd's patience ends. */
static void refuse(struct server *server, __u64 serial, const char *text)
{
	struct checker_answer a = { .head = { CHECKER_MAGIC, CHECKER_ANSWER, sizeof(a), serial },
				    .result = CHECK_INTERNAL, .tls_days = -1 };

	snprintf(a.text, sizeof(a.text), "%s", text);
	(void)!send(server->fd, &a, sizeof(a), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void take_message(struct server *server, const union checker_message *msg, size_t n)
{
	struct conn *c;

	if (n < sizeof(msg->head) || msg->head.magic != CHECKER_MAGIC || msg->head.size != n)
		return;
	if (msg->head.type == CHECKER_CANCEL && n == sizeof(msg->cancel)) {
		c = find(server, msg->head.serial);
		if (c)
			conn_cancel(c);
	} else if (msg->head.type == CHECKER_REQUEST && n == sizeof(msg->request)) {
		if (!request_is_good(&msg->request))
			refuse(server, msg->head.serial, "the checker does not understand the request");
		else if (conn_open(server, &msg->request))
			refuse(server, msg->head.serial, "the checker is out of memory");
	}
}

/* False: lbd is gone. */
static bool read_requests(struct server *server)
{
	union checker_message msg;

	/* Those that still say goodbye count too: a descriptor each. */
	for (int i = 0; i < REQUESTS_A_TURN && server->conns_n < CHECKER_MAX_RUNS; i++) {
		ssize_t n = recv(server->fd, &msg, sizeof(msg), MSG_DONTWAIT);

		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		take_message(server, &msg, n);
	}
	return true;
}

/* --- answers --- */

static bool send_transcript(struct conn *c)
{
	struct checker_transcript t = { .head = { CHECKER_MAGIC, CHECKER_TRANSCRIPT, sizeof(t), c->req.head.serial } };

	while (c->transcript_sent < c->transcript_len) {
		t.len = c->transcript_len - c->transcript_sent;
		if (t.len > sizeof(t.text))
			t.len = sizeof(t.text);
		memcpy(t.text, c->transcript + c->transcript_sent, t.len);
		if (send(c->server->fd, &t, sizeof(t), MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
			return false;
		c->transcript_sent += t.len;
	}
	return true;
}

/* False: the socket is full. */
static bool send_answer(struct conn *c)
{
	if (!c->cancelled) {
		if (c->transcript && !send_transcript(c))
			return false;
		if (send(c->server->fd, &c->answer, sizeof(c->answer), MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
			return false;
	}
	c->sent = true;
	c->server->unsent--;
	return true;
}

static void send_answers(struct server *server)
{
	struct conn *c, *next;

	server->wants_out = false;
	for (c = TAILQ_FIRST(&server->conns); c; c = next) {
		next = TAILQ_NEXT(c, link);
		/* With a transcript the goodbye belongs to the answer. */
		if (c->decided && !c->sent && (!c->transcript || c->fd == -1) && !server->wants_out)
			server->wants_out = !send_answer(c);
		if (c->fd == -1 && c->sent)
			conn_free(c);
	}
}

/* --- time --- */

static void run_deadlines(struct server *server, __u64 now)
{
	struct conn *c;

	TAILQ_FOREACH(c, &server->conns, link)
		if (c->fd != -1 && c->deadline_us <= now)
			conn_on_deadline(c);
}

static int time_left_ms(const struct server *server, __u64 now)
{
	__u64 first = UINT64_MAX;
	const struct conn *c;

	TAILQ_FOREACH(c, &server->conns, link)
		if (c->fd != -1 && c->deadline_us < first)
			first = c->deadline_us;
	if (first == UINT64_MAX)
		return -1;
	return first <= now ? 0 : (first - now) / 1000 + 1;
}

/* --- the loop --- */

static void watch_lbd(struct server *server)
{
	struct epoll_event ev = { .events = 0 };

	if (server->conns_n < CHECKER_MAX_RUNS)
		ev.events |= EPOLLIN;
	if (server->wants_out)
		ev.events |= EPOLLOUT;
	epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->fd, &ev);
}

static int turn(struct server *server, bool *alive)
{
	struct epoll_event events[EVENTS_A_TURN];
	int n;

	watch_lbd(server);
	n = epoll_wait(server->epoll, events, EVENTS_A_TURN, time_left_ms(server, clock_us()));
	if (n == -1 && errno != EINTR)
		return -errno;
	for (int i = 0; i < n; i++)
		if (events[i].data.ptr)
			conn_on_event(events[i].data.ptr);
		else if (events[i].events & ~EPOLLOUT)
			*alive = read_requests(server);
	run_deadlines(server, clock_us());
	send_answers(server);
	return 0;
}

static int server_open(struct server *server, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	*server = (struct server){ .fd = fd, .epoll = -1 };
	TAILQ_INIT(&server->conns);
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll == -1)
		return -errno;
	if (epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &ev) == -1)
		return -errno;
	return tls_open(server);
}

static int serve(struct server *server)
{
	bool alive = true;
	int err = 0;

	while (alive && !err)
		err = turn(server, &alive);
	return err;
}

static void server_close(struct server *server)
{
	struct conn *c;

	while ((c = TAILQ_FIRST(&server->conns)))
		conn_free(c);
	tls_close(server);
	if (server->epoll != -1)
		close(server->epoll);
}

int checker_serve(int fd)
{
	struct server server;
	int err;

	signal(SIGPIPE, SIG_IGN);	/* OpenSSL writes without MSG_NOSIGNAL */
	err = server_open(&server, fd);
	err = err ? err : serve(&server);
	server_close(&server);
	return err ? 1 : 0;
}

static void __attribute__((noreturn)) give_up(int err, const char *what, enum checker_exit code)
{
	log_ret(err, "checker: %s", what);
	_exit(code);
}

int checker_main(int fd)
{
	struct server server;
	int err;

	signal(SIGPIPE, SIG_IGN);
	/* What needs files comes first: OpenSSL reads its settings, and the issuers where they are one file. */
	err = server_open(&server, fd);
	if (err)
		give_up(err, "cannot start", CHECKER_EXIT_START);
	err = sandbox_enter();
	if (err)
		give_up(err, "its sandbox cannot be closed, so no SMTP check runs", CHECKER_EXIT_SANDBOX);
	err = serve(&server);
	/* No exit handlers: they belong to a process with files and threads. */
	_exit(err ? CHECKER_EXIT_LOOP : 0);
}
