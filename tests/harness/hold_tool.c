/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holds SMTP sessions open and says which of them it lost: the witness of every test in which
 * something happens to the balancer while mail flows. Each session reads its banner, says EHLO, then NOOP
 * and EHLO in turn at an interval. The answers to EHLO carry the mail server's name, so a session that
 * was moved to another server shows. Ends at --duration or SIGTERM with one JSON line on stdout:
 *   {"wanted":200,"held":200,"lost":0,"changed":0,"turns":900,"lost_by":{"eof":0,...},"banners":{"mailx1":67,...}}
 * Exit code 0 when every session was held, 1 when not, 2 for a bad command line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_NAMES 256
#define NAME_LEN  64

enum step { STEP_CONNECT = 0, STEP_BANNER, STEP_EHLO, STEP_IDLE, STEP_NOOP, STEP_QUIT, STEP_OVER, STEP_MAX };
enum loss { LOSS_NONE = 0, LOSS_EOF, LOSS_RESET, LOSS_TIMEOUT, LOSS_REFUSED, LOSS_REPLY, LOSS_OTHER, LOSS_MAX };

static const char *const loss_names[] = {
	[LOSS_NONE] = "none",	    [LOSS_EOF] = "eof",	    [LOSS_RESET] = "reset", [LOSS_TIMEOUT] = "timeout",
	[LOSS_REFUSED] = "refused", [LOSS_REPLY] = "reply", [LOSS_OTHER] = "other",
};
_Static_assert(sizeof(loss_names) / sizeof(loss_names[0]) == LOSS_MAX, "a name for every loss");

struct session {
	int fd;
	enum step step;
	enum loss loss;
	bool established;	/* its first EHLO was answered */
	bool changed;		/* another server's name in a later answer */
	bool in_reply;		/* lines of this reply were seen before */
	unsigned int turns;
	int64_t due_ms;		/* idle: the next word; else the deadline of the reply */
	char name[NAME_LEN];	/* the mail server's, from the banner */
	char line[1024];
	size_t line_n;
};

static struct {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	long n, parallel;
	int64_t interval_ms, duration_ms, timeout_ms;
	const char *ready_file;
	bool quit;
} opt = { .n = 1, .parallel = 50, .interval_ms = 1000, .timeout_ms = 30000 };

static struct session *sessions;
static long opened_n, established_n, over_n;
static int epfd = -1;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void session_end(struct session *s, enum loss loss)
{
	if (s->step == STEP_OVER)
		return;
	s->step = STEP_OVER;
	s->loss = loss;
	over_n++;
	close(s->fd);
	s->fd = -1;
}

static enum loss loss_from_errno(int err)
{
	switch (err) {
	case ECONNRESET:
	case EPIPE:
		return LOSS_RESET;
	case ECONNREFUSED:
		return LOSS_REFUSED;
	case ETIMEDOUT:
		return LOSS_TIMEOUT;
	default:
		return LOSS_OTHER;
	}
}

/* Commands are a few bytes on an idle connection: a short write means that it is dead. */
static void session_say(struct session *s, enum step step, const char *words)
{
	size_t len = strlen(words);
	ssize_t n = send(s->fd, words, len, MSG_NOSIGNAL);

	if (n != (ssize_t)len) {
		session_end(s, n == -1 ? loss_from_errno(errno) : LOSS_OTHER);
		return;
	}
	s->step = step;
	s->in_reply = false;
	s->due_ms = now_ms() + opt.timeout_ms;
}

static void session_open(struct session *s)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
	int one = 1;

	s->fd = socket(opt.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd == -1) {
		perror("hold_tool: socket");
		exit(1);
	}
	setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	s->step = STEP_CONNECT;
	s->due_ms = now_ms() + opt.timeout_ms;
	opened_n++;
	if (connect(s->fd, (struct sockaddr *)&opt.addr, opt.addr_len) == -1 && errno != EINPROGRESS) {
		session_end(s, loss_from_errno(errno));
		return;
	}
	/* The server speaks first: readable is all we wait for. A failed connect reports itself. */
	s->step = STEP_BANNER;
	if (epoll_ctl(epfd, EPOLL_CTL_ADD, s->fd, &ev) == -1) {
		perror("hold_tool: epoll_ctl");
		exit(1);
	}
}

/* "220 mailx1 ESMTP" and "250-mailx1" -> "mailx1" */
static void name_from_reply(const char *line, char out[static NAME_LEN])
{
	size_t len = strcspn(line + 4, " \t");

	if (len >= NAME_LEN)
		len = NAME_LEN - 1;
	memcpy(out, line + 4, len);
	out[len] = '\0';
}

static void session_turn_ends(struct session *s)
{
	s->turns++;
	switch (s->step) {
	case STEP_BANNER:
		session_say(s, STEP_EHLO, "EHLO hold.example\r\n");
		return;
	case STEP_QUIT:
		session_end(s, LOSS_NONE);
		return;
	default:
		break;
	}
	if (!s->established) {
		s->established = true;
		established_n++;
	}
	s->step = STEP_IDLE;
	s->due_ms = now_ms() + opt.interval_ms;
}

/* One line of a reply: three digits, then '-' when more follow (RFC 5321, 4.2.1). */
static void session_line(struct session *s, const char *line)
{
	char name[NAME_LEN];

	if (strlen(line) < 3 || line[0] != '2' || s->step == STEP_IDLE) {
		session_end(s, LOSS_REPLY);
		return;
	}
	if (!s->in_reply && strlen(line) > 4 && (s->step == STEP_BANNER || s->step == STEP_EHLO)) {
		name_from_reply(line, name);
		if (s->step == STEP_BANNER)
			memcpy(s->name, name, sizeof(name));
		else if (strcmp(name, s->name) != 0)
			s->changed = true;
	}
	s->in_reply = true;
	if (line[3] != '-')
		session_turn_ends(s);
}

static void session_read(struct session *s)
{
	ssize_t n = recv(s->fd, s->line + s->line_n, sizeof(s->line) - 1 - s->line_n, 0);
	char *end;

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		session_end(s, n == 0 ? (s->step == STEP_QUIT ? LOSS_NONE : LOSS_EOF) : loss_from_errno(errno));
		return;
	}
	s->line_n += (size_t)n;
	s->line[s->line_n] = '\0';
	while (s->step != STEP_OVER && (end = strchr(s->line, '\n')) != NULL) {
		size_t len = (size_t)(end - s->line) + 1;

		*end = '\0';
		if (len > 1 && end[-1] == '\r')
			end[-1] = '\0';
		session_line(s, s->line);
		memmove(s->line, s->line + len, s->line_n - len + 1);
		s->line_n -= len;
	}
	if (s->step != STEP_OVER && s->line_n == sizeof(s->line) - 1)
		session_end(s, LOSS_REPLY);
}

static void sessions_tick(int64_t now)
{
	for (long i = 0; i < opened_n; i++) {
		struct session *s = &sessions[i];

		if (s->step == STEP_OVER || now < s->due_ms)
			continue;
		if (s->step != STEP_IDLE)
			session_end(s, LOSS_TIMEOUT);
		else if (s->turns % 2)
			session_say(s, STEP_EHLO, "EHLO hold.example\r\n");
		else
			session_say(s, STEP_NOOP, "NOOP\r\n");
	}
}

static void poll_once(int timeout_ms)
{
	struct epoll_event ev[256];
	int n = epoll_wait(epfd, ev, 256, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct session *s = ev[i].data.ptr;

		if (s && s->step != STEP_OVER)
			session_read(s);
	}
}

/* A last word with each server, so that a session lost since its last turn counts as lost. */
static void sessions_close(void)
{
	int64_t deadline = now_ms() + opt.timeout_ms;
	bool owing = true;

	for (long i = 0; i < opened_n; i++)
		if (sessions[i].step == STEP_IDLE)
			session_say(&sessions[i], STEP_EHLO, "EHLO hold.example\r\n");
	while (owing && now_ms() < deadline) {
		poll_once(20);
		owing = false;
		for (long i = 0; i < opened_n; i++)
			owing |= sessions[i].step == STEP_EHLO || sessions[i].step == STEP_NOOP;
	}
	for (long i = 0; i < opened_n; i++)
		if (sessions[i].step != STEP_IDLE)
			session_end(&sessions[i], LOSS_TIMEOUT);
	if (!opt.quit)
		return;
	for (long i = 0; i < opened_n; i++)
		if (sessions[i].step == STEP_IDLE)
			session_say(&sessions[i], STEP_QUIT, "QUIT\r\n");
	while (over_n < opened_n && now_ms() < deadline)
		poll_once(20);
}

static bool report(void)
{
	struct { char name[NAME_LEN]; long n; } names[MAX_NAMES];
	long lost_by[LOSS_MAX] = { 0 }, lost = opt.n - opened_n, changed = 0, turns = 0;
	int names_n = 0, k;

	for (long i = 0; i < opened_n; i++) {
		struct session *s = &sessions[i];

		lost += s->loss != LOSS_NONE;
		lost_by[s->loss]++;
		changed += s->changed;
		turns += s->turns;
		if (!s->name[0])
			continue;
		for (k = 0; k < names_n && strcmp(names[k].name, s->name) != 0; k++)
			;
		if (k == MAX_NAMES)
			continue;
		if (k == names_n) {
			memcpy(names[k].name, s->name, NAME_LEN);
			names[k].n = 0;
			names_n++;
		}
		names[k].n++;
	}
	printf("{\"wanted\":%ld,\"held\":%ld,\"lost\":%ld,\"changed\":%ld,\"turns\":%ld,\"lost_by\":{", opt.n,
	       opt.n - lost, lost, changed, turns);
	for (k = LOSS_NONE + 1; k < LOSS_MAX; k++)
		printf("%s\"%s\":%ld", k > LOSS_NONE + 1 ? "," : "", loss_names[k], lost_by[k]);
	printf("},\"banners\":{");
	for (k = 0; k < names_n; k++)
		printf("%s\"%s\":%ld", k ? "," : "", names[k].name, names[k].n);
	printf("}}\n");
	return lost == 0 && changed == 0;
}

static int addr_parse(const char *host, const char *port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&opt.addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&opt.addr;
	long p = strtol(port, NULL, 10);

	if (p < 1 || p > 65535)
		return -EINVAL;
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)p);
		opt.addr_len = sizeof(*in);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)p);
		opt.addr_len = sizeof(*in6);
		return 0;
	}
	return -EINVAL;
}

static void usage(void)
{
	fprintf(stderr, "usage: hold_tool --addr ADDR [--port 25] [--n 1] [--parallel 50] [--noop-interval SECONDS]\n"
			"                 [--timeout SECONDS] [--duration SECONDS] [--ready-file PATH] [--quit]\n"
			"without --duration it holds until SIGTERM\n");
	exit(2);
}

static void options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "addr", required_argument, NULL, 'a' },     { "port", required_argument, NULL, 'p' },
		{ "n", required_argument, NULL, 'n' },	      { "parallel", required_argument, NULL, 'P' },
		{ "noop-interval", required_argument, NULL, 'i' }, { "duration", required_argument, NULL, 'd' },
		{ "timeout", required_argument, NULL, 't' },  { "ready-file", required_argument, NULL, 'r' },
		{ "quit", no_argument, NULL, 'q' },	      { NULL, 0, NULL, 0 },
	};
	const char *host = NULL, *port = "25";
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 'a': host = optarg; break;
		case 'p': port = optarg; break;
		case 'n': opt.n = strtol(optarg, NULL, 10); break;
		case 'P': opt.parallel = strtol(optarg, NULL, 10); break;
		case 'i': opt.interval_ms = (int64_t)(strtod(optarg, NULL) * 1000); break;
		case 'd': opt.duration_ms = (int64_t)(strtod(optarg, NULL) * 1000); break;
		case 't': opt.timeout_ms = (int64_t)(strtod(optarg, NULL) * 1000); break;
		case 'r': opt.ready_file = optarg; break;
		case 'q': opt.quit = true; break;
		default: usage();
		}
	}
	if (!host || optind != argc || opt.n < 1 || opt.parallel < 1 || opt.interval_ms < 1 || opt.timeout_ms < 1)
		usage();
	if (addr_parse(host, port) != 0) {
		fprintf(stderr, "hold_tool: \"%s\" port \"%s\" is no address and port\n", host, port);
		exit(2);
	}
}

static bool stop_asked(int sigfd)
{
	struct signalfd_siginfo si;

	return read(sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si);
}

int main(int argc, char **argv)
{
	bool ready = false;
	int64_t end_ms = 0;
	sigset_t mask;
	int sigfd;

	options(argc, argv);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sigfd = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	epfd = epoll_create1(EPOLL_CLOEXEC);
	sessions = calloc((size_t)opt.n, sizeof(*sessions));
	if (sigfd == -1 || epfd == -1 || !sessions) {
		perror("hold_tool");
		return 1;
	}
	while (!stop_asked(sigfd) && (!end_ms || now_ms() < end_ms) && over_n < opt.n) {
		while (opened_n < opt.n && opened_n - established_n - over_n < opt.parallel)
			session_open(&sessions[opened_n]);
		poll_once(20);
		sessions_tick(now_ms());
		if (!ready && opened_n == opt.n && established_n + over_n >= opt.n) {
			ready = true;
			if (opt.duration_ms)
				end_ms = now_ms() + opt.duration_ms;
			if (opt.ready_file && over_n == 0)
				close(open(opt.ready_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
		}
	}
	sessions_close();
	return report() ? 0 : 1;
}
