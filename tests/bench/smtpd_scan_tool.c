// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A mail server with a scanner, for mail.sh: it answers SMTP, and scans each message in one of a few slots; who finds
 * none free waits in line, as behind a content filter of fixed size. How long a scan takes is in
 * the message ("X-Work: MICROSECONDS"), so that in every run the same message is the same work, times
 * --slow. smtp-sink -W cannot do this: its delay is a timer of each session alone, so nobody ever waits in line.
 *
 * At SIGTERM it writes one line of JSON to --log: what it really did.
 *
 * Usage: smtpd_scan_tool --listen ADDR --name NAME --slots N --slow F --log FILE
 */
#include <netinet/tcp.h>
#include <signal.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "clockwork.h"
#include "sockets.h"

#define LINE_MAX_LEN 1100

static const char *opt_listen = "0.0.0.0", *opt_name = "mailx", *opt_log = "/dev/stdout";
static int opt_slots = 24, opt_port = 25;
static double opt_slow = 1;

struct session {
	int fd;
	uint32_t ticket;	/* another one for every message in scanning */
	bool in_data, scanning, waiting, gone;
	char line[LINE_MAX_LEN];
	size_t line_len;
	uint64_t work_us;
	uint64_t words_us;	/* when the client's last words came */
	struct session *next;	/* in line */
};

static struct calendar calendar;
static struct session *line_first, *line_last;
static int busy;
static int epoll_fd;

static struct {
	uint64_t sessions, messages, replies, reply_us, cut, work_us, line_us_max;
	int line_max, open, open_max;
} total;
static int in_line;

static void say(struct session *s, const char *text)
{
	/* replies are short, and who does not take them is heard of when reading */
	send(s->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (!s->words_us)
		return; /* a greeting counts once somebody listens: checks of a balancer do not */
	total.replies++;
	total.reply_us += now_us() - s->words_us;
}

static void scan_start(struct session *s)
{
	busy++;
	s->scanning = true;
	total.work_us += s->work_us * opt_slow;
	calendar_add(&calendar, now_us() + s->work_us * opt_slow, s, s->ticket);
}

static void scan_request(struct session *s)
{
	s->ticket++;
	if (busy < opt_slots) {
		scan_start(s);
		return;
	}
	s->waiting = true;
	s->next = NULL;
	if (line_last)
		line_last->next = s;
	else
		line_first = s;
	line_last = s;
	if (++in_line > total.line_max)
		total.line_max = in_line;
}

static void scan_done(struct session *s)
{
	struct session *next = line_first;

	busy--;
	s->scanning = false;
	if (s->gone) {
		free(s);
	} else {
		total.messages++;
		say(s, "250 2.0.0 Ok\r\n");
	}
	if (!next)
		return;
	line_first = next->next;
	if (!line_first)
		line_last = NULL;
	in_line--;
	next->waiting = false;
	scan_start(next);
}

static void hang_up(struct session *s)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
	close(s->fd);
	total.open--;
	if (s->in_data || s->scanning || s->waiting)
		total.cut++;
	s->gone = true;
	/* a scan goes on without its client, as it does in life */
	if (!s->scanning && !s->waiting)
		free(s);
}

/* false: the session is over. */
static bool hear(struct session *s, const char *line)
{
	if (s->in_data) {
		if (strcmp(line, ".") == 0) {
			s->in_data = false;
			scan_request(s);
		} else if (strncasecmp(line, "X-Work: ", 8) == 0) {
			s->work_us = strtoull(line + 8, NULL, 10);
		}
	} else if (strncasecmp(line, "EHLO", 4) == 0 || strncasecmp(line, "HELO", 4) == 0) {
		say(s, "250 hello\r\n");
	} else if (strncasecmp(line, "DATA", 4) == 0) {
		s->in_data = true;
		s->work_us = 0;
		say(s, "354 go ahead\r\n");
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		say(s, "221 2.0.0 bye\r\n");
		return false;
	} else {
		say(s, "250 2.1.0 Ok\r\n");
	}
	return true;
}

static void readable(struct session *s)
{
	char buf[65536];
	ssize_t n = recv(s->fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0) {
		hang_up(s);
		return;
	}
	if (!s->words_us)
		total.replies++;
	s->words_us = now_us();
	for (ssize_t i = 0; i < n; i++) {
		if (buf[i] != '\n') {
			if (s->line_len < LINE_MAX_LEN - 1)
				s->line[s->line_len++] = buf[i];
			continue;
		}
		if (s->line_len && s->line[s->line_len - 1] == '\r')
			s->line_len--;
		s->line[s->line_len] = '\0';
		s->line_len = 0;
		if (!hear(s, s->line)) {
			hang_up(s);
			return;
		}
	}
}

static void welcome(int listener)
{
	char greeting[128];
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct session *s = calloc(1, sizeof(*s));
		int on = 1;

		if (!s)
			die("session: %m");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		s->fd = fd;
		loop_add(epoll_fd, fd, EPOLLIN, (epoll_data_t){ .ptr = s });
		total.sessions++;
		if (++total.open > total.open_max)
			total.open_max = total.open;
		snprintf(greeting, sizeof(greeting), "220 %s ESMTP\r\n", opt_name);
		say(s, greeting);
	}
}

static void write_log(void)
{
	FILE *f = fopen(opt_log, "w");

	if (!f)
		die("%s: %m", opt_log);
	fprintf(f,
		"{\"name\": \"%s\", \"sessions\": %llu, \"messages\": %llu, \"replies\": %llu, \"reply_us\": %llu, \"cut\": %llu, "
		"\"work_us\": %llu, \"line_max\": %d, \"open_max\": %d, \"slots\": %d, \"slow\": %g}\n",
		opt_name, (unsigned long long)total.sessions, (unsigned long long)total.messages,
		(unsigned long long)total.replies, (unsigned long long)total.reply_us, (unsigned long long)total.cut,
		(unsigned long long)total.work_us, total.line_max, total.open_max, opt_slots, opt_slow);
	if (fclose(f))
		die("%s: %m", opt_log);
}

static int listen_on(void)
{
	struct sockaddr_in sin = ipv4_address(opt_listen, opt_port);
	int fd = tcp_socket(), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) || listen(fd, 4096))
		die("%s: %m", opt_listen);
	return fd;
}

int main(int argc, char **argv)
{
	const struct setting settings[] = {
		SETTING("listen", &opt_listen), SETTING("port", &opt_port), SETTING("name", &opt_name),
		SETTING("slots", &opt_slots),   SETTING("slow", &opt_slow), SETTING("log", &opt_log), {},
	};
	struct epoll_event events[256];
	int listener, signals, n;
	struct appointment due;
	sigset_t set;

	settings_read(argc, argv, settings);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_NONBLOCK);
	if (signals < 0)
		die("signalfd: %m");
	epoll_fd = loop_open();
	listener = listen_on();
	loop_add(epoll_fd, listener, EPOLLIN, (epoll_data_t){ .ptr = &listener });
	loop_add(epoll_fd, signals, EPOLLIN, (epoll_data_t){ .ptr = &signals });
	for (;;) {
		n = epoll_wait(epoll_fd, events, 256, calendar_wait_ms(&calendar, now_us()));
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &signals) {
				write_log();
				return 0;
			}
			if (events[i].data.ptr == &listener)
				welcome(listener);
			else
				readable(events[i].data.ptr);
		}
		while (calendar_due(&calendar, now_us(), &due))
			scan_done(due.who);
	}
}
