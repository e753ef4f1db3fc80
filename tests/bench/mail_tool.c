// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An organisation's mail, for mail.sh: sessions begin at random and whatever happens to those before them (open loop);
 * most bring one message, some a burst whose length is log-normal, and some stay: they send, think, send
 * again. All from one seed: equal seeds make equal sessions, messages and work, so that balancers can be compared.
 *
 * A message's time runs from the start of its transaction (the first one's from the SYN) to the reply to its end.
 * One line per message: "START_MS LATENCY_US STATUS SERVER KIND"; STATUS is ok, refused (4xx or 5xx),
 * cut (lost in its transaction), failed (no connection), late (no answer yet when the run ended).
 * One line per session that somebody else ended between messages: "START_MS 0 closed SERVER KIND".
 *
 * SIGINT ends the run early, as if its time were over.
 *
 * Usage: mail_tool --connect ADDR --seed N --rate SESSIONS_PER_SECOND --seconds N --out FILE
 */
#include <netinet/tcp.h>
#include <signal.h>
#include <unistd.h>

#include "clockwork.h"
#include "sockets.h"

#define BURST_MAX 500
#define BODY_MAX  (64 * 1024)

static const char *opt_connect, *opt_out = "/dev/stdout";
static int opt_port = 25;
static uint64_t opt_seed = 1;
static double opt_rate = 10, opt_seconds = 30, opt_grace = 5;
static double opt_work_ms = 25, opt_think_ms = 1430, opt_size = 8000;
static double opt_bursts = 0.10, opt_pools = 0.05;
static int opt_pool_messages = 30;

enum kind { KIND_SINGLE, KIND_BURST, KIND_POOL };
static const char *const kind_names[] = { "single", "burst", "pool" };

enum step { STEP_CONNECT, STEP_GREETING, STEP_HELLO, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_BODY, STEP_END, STEP_THINK, STEP_QUIT };

struct session {
	int fd;
	uint32_t ticket;
	uint64_t random;
	enum kind kind;
	enum step step;
	int messages;		/* still to send, this one included */
	uint64_t begun_us, message_us;
	char server[32];
	char in[512];
	size_t in_len;
	char *out;
	size_t out_len, out_at;
	struct session *prev, *next;
};

static struct calendar calendar;
static struct session *sessions;
static int sessions_n;
static int epoll_fd;
static FILE *out;
static uint64_t start_us;
static volatile uint64_t stop_us;
static struct sockaddr_in target;

static void note(const struct session *s, uint64_t from, const char *status)
{
	fprintf(out, "%llu %llu %s %s %s\n", (unsigned long long)(from - start_us) / 1000,
		(unsigned long long)(strcmp(status, "closed") ? now_us() - from : 0), status, s->server[0] ? s->server : "-",
		kind_names[s->kind]);
}

static void session_end(struct session *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->prev)
		s->prev->next = s->next;
	else
		sessions = s->next;
	if (s->next)
		s->next->prev = s->prev;
	sessions_n--;
	/* an appointment may still name it: kept, but deaf */
	s->ticket++;
	free(s->out);
	s->out = NULL;
	s->fd = -1;
}

/* Between messages nothing is lost but the connection. */
static void session_lost(struct session *s)
{
	if (s->step == STEP_CONNECT)
		note(s, s->message_us, "failed");
	else if (s->step == STEP_THINK)
		note(s, now_us(), "closed");
	else if (s->step != STEP_QUIT)
		note(s, s->message_us, "cut");
	session_end(s);
}

static void flush_out(struct session *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };

	while (s->out_at < s->out_len) {
		ssize_t n = send(s->fd, s->out + s->out_at, s->out_len - s->out_at, MSG_NOSIGNAL);

		if (n == -1 && errno == EAGAIN) {
			ev.events |= EPOLLOUT;
			break;
		}
		if (n == -1)
			break; /* the reading side will hear of it */
		s->out_at += n;
	}
	epoll_ctl(epoll_fd, EPOLL_CTL_MOD, s->fd, &ev);
}

static void speak(struct session *s, const char *text, size_t len)
{
	free(s->out);
	s->out = malloc(len);
	if (!s->out)
		die("message: %m");
	memcpy(s->out, text, len);
	s->out_len = len;
	s->out_at = 0;
	flush_out(s);
}

static void speak_line(struct session *s, enum step step, const char *text)
{
	s->step = step;
	speak(s, text, strlen(text));
}

static void speak_body(struct session *s)
{
	static char body[BODY_MAX + 256];
	size_t size = random_exponential(&s->random, opt_size), n;

	n = snprintf(body, sizeof(body), "From: news@org.example\r\nX-Work: %.0f\r\n\r\n",
		     random_exponential(&s->random, opt_work_ms * 1000));
	if (size > BODY_MAX)
		size = BODY_MAX;
	for (size_t at = 0; at + 64 < size; at += 64) {
		memset(body + n, 'x', 62);
		memcpy(body + n + 62, "\r\n", 2);
		n += 64;
	}
	memcpy(body + n, ".\r\n", 3);
	s->step = STEP_END;
	speak(s, body, n + 3);
}

static void message_done(struct session *s, const char *status)
{
	uint64_t now = now_us();

	note(s, s->message_us, status);
	s->messages--;
	if (!s->messages || now >= stop_us) {
		speak_line(s, STEP_QUIT, "QUIT\r\n");
	} else if (s->kind == KIND_POOL) {
		s->step = STEP_THINK;
		calendar_add(&calendar, now + random_exponential(&s->random, opt_think_ms * 1000), s, ++s->ticket);
	} else {
		s->message_us = now;
		speak_line(s, STEP_MAIL, "MAIL FROM:<news@org.example>\r\n");
	}
}

/* One reply line of the server. false: the session is over. */
static bool hear(struct session *s, const char *line)
{
	bool good = line[0] == '2' || line[0] == '3';

	if (line[3] == '-')
		return true;
	if (!good && s->step != STEP_QUIT) {
		if (s->step >= STEP_MAIL && s->step <= STEP_END) {
			message_done(s, "refused");
			return true;
		}
		note(s, s->message_us, "refused");
		session_end(s);
		return false;
	}
	switch (s->step) {
	case STEP_GREETING:
		sscanf(line, "220 %31s", s->server);
		speak_line(s, STEP_HELLO, "HELO org.example\r\n");
		break;
	case STEP_HELLO:
		speak_line(s, STEP_MAIL, "MAIL FROM:<news@org.example>\r\n");
		break;
	case STEP_MAIL:
		speak_line(s, STEP_RCPT, "RCPT TO:<reader@example.net>\r\n");
		break;
	case STEP_RCPT:
		speak_line(s, STEP_DATA, "DATA\r\n");
		break;
	case STEP_DATA:
		speak_body(s);
		break;
	case STEP_END:
		message_done(s, "ok");
		break;
	case STEP_QUIT:
		session_end(s);
		return false;
	default:
		break;
	}
	return true;
}

static void readable(struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->in_len, sizeof(s->in) - 1 - s->in_len, 0);
	char *line, *end;

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		session_lost(s);
		return;
	}
	s->in_len += n;
	s->in[s->in_len] = '\0';
	line = s->in;
	while ((end = strchr(line, '\n'))) {
		*end = '\0';
		if (end - line > 3 && !hear(s, line))
			return;
		line = end + 1;
	}
	s->in_len -= line - s->in;
	memmove(s->in, line, s->in_len + 1);
}

static void session_open(struct session *s)
{
	int on = 1;

	s->begun_us = s->message_us = now_us();
	s->next = sessions;
	if (sessions)
		sessions->prev = s;
	sessions = s;
	sessions_n++;
	s->fd = tcp_socket();
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->step = STEP_CONNECT;
	loop_connect(epoll_fd, s->fd, &target, EPOLLIN | EPOLLOUT, (epoll_data_t){ .ptr = s });
}

static void writable(struct session *s)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (s->step != STEP_CONNECT) {
		flush_out(s);
		return;
	}
	getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		session_lost(s);
		return;
	}
	s->step = STEP_GREETING;
	flush_out(s);
}

static int burst_length(uint64_t *random)
{
	double n = exp(3 + random_normal(random));

	return n < 2 ? 2 : n > BURST_MAX ? BURST_MAX : (int)n;
}

/* Told to end: no new sessions, and those that are there end after their message. */
static void stop_early(int signo)
{
	(void)signo;
	stop_us = 0;
}

/* All sessions of the run, before it begins. */
static void plan(void)
{
	uint64_t arrivals = opt_seed, number = 0;
	double at = 0;

	while ((at += random_exponential(&arrivals, 1 / opt_rate)) < opt_seconds) {
		struct session *s = calloc(1, sizeof(*s));
		double which;

		if (!s)
			die("plan: %m");
		s->fd = -1;
		s->random = opt_seed * 0x100000001b3ULL ^ ++number << 20;
		which = random_unit(&s->random);
		s->kind = which <= opt_pools ? KIND_POOL : which <= opt_pools + opt_bursts ? KIND_BURST : KIND_SINGLE;
		s->messages = s->kind == KIND_POOL  ? opt_pool_messages :
			      s->kind == KIND_BURST ? burst_length(&s->random) :
						      1;
		calendar_add(&calendar, start_us + at * 1e6, s, 0);
	}
}

static void appointment(struct session *s, uint32_t ticket)
{
	if (ticket != s->ticket)
		return;
	if (s->fd < 0) {
		if (now_us() < stop_us)
			session_open(s);
	} else if (s->step == STEP_THINK) {
		s->message_us = now_us();
		if (s->message_us >= stop_us)
			speak_line(s, STEP_QUIT, "QUIT\r\n");
		else
			speak_line(s, STEP_MAIL, "MAIL FROM:<news@org.example>\r\n");
	}
}

static void run(void)
{
	struct epoll_event events[256];
	struct appointment due;
	uint64_t now, deadline_us = stop_us + opt_grace * 1e6;
	int n;

	while ((now = now_us()) < deadline_us && (now < stop_us || sessions_n)) {
		if (!stop_us) {
			stop_us = now;
			deadline_us = now + opt_grace * 1e6;
		}
		n = epoll_wait(epoll_fd, events, 256, calendar_wait_ms(&calendar, now));
		for (int i = 0; i < n; i++) {
			struct session *s = events[i].data.ptr;

			if (events[i].events & EPOLLOUT)
				writable(s);
			if (s->fd >= 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				readable(s);
		}
		while (calendar_due(&calendar, now_us(), &due))
			appointment(due.who, due.ticket);
	}
	for (struct session *s = sessions; s; s = s->next)
		if (s->step != STEP_THINK && s->step != STEP_QUIT)
			note(s, s->message_us, "late");
}

int main(int argc, char **argv)
{
	const struct setting settings[] = {
		SETTING("connect", &opt_connect), SETTING("port", &opt_port),         SETTING("seed", &opt_seed),
		SETTING("rate", &opt_rate),       SETTING("seconds", &opt_seconds),   SETTING("out", &opt_out),
		SETTING("work-ms", &opt_work_ms), SETTING("think-ms", &opt_think_ms), SETTING("grace", &opt_grace), {},
	};

	settings_read(argc, argv, settings);
	target = ipv4_address(opt_connect, opt_port);
	if (opt_rate <= 0)
		die("--rate: more than 0 sessions a second");
	out = fopen(opt_out, "w");
	if (!out)
		die("%s: %m", opt_out);
	epoll_fd = loop_open();
	start_us = now_us();
	stop_us = start_us + opt_seconds * 1e6;
	signal(SIGINT, stop_early);
	plan();
	run();
	if (fclose(out))
		die("%s: %m", opt_out);
	return 0;
}
