/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What both halves of talk_tool share: a connection, in clear or inside TLS, and lines and replies on it.
 */
#ifndef TALK_WORDS_H
#define TALK_WORDS_H

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NAME_LEN    64
#define STACK_SIZE  (256 * 1024)
#define SLOW_MS	    500		/* a connect that took longer lost its first SYN */
#define AGAIN_US    20000	/* before another connection is tried */

enum tls { TLS_NONE = 0, TLS_STARTTLS, TLS_IMPLICIT };

/* Where a session is. Broken in IDLE nothing was lost, in MAIL nothing had begun. */
enum step { STEP_CONNECT = 0, STEP_HELLO, STEP_IDLE, STEP_MAIL, STEP_TRANSACTION, STEP_QUIT, STEP_MAX };

static const char *const step_names[] = {
	[STEP_CONNECT] = "connect", [STEP_HELLO] = "hello",		[STEP_IDLE] = "idle",
	[STEP_MAIL] = "mail",	    [STEP_TRANSACTION] = "transaction", [STEP_QUIT] = "quit",
};
_Static_assert(sizeof(step_names) / sizeof(step_names[0]) == STEP_MAX, "a name for every step");

static struct {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	const char *from;
	enum tls tls;
	long sessions, parallel, messages;
	int64_t duration_ms, pause_ms, timeout_ms, scan_ms;
	uint16_t port;
	bool again, serve, pipeline, tell;
} opt = { .sessions = 1, .parallel = 1, .messages = 1, .timeout_ms = 30000, .port = 25, .from = "talk" };

struct talk {
	int fd;
	SSL *ssl;
	enum step step;
	char name[NAME_LEN]; /* the server's, from its greeting */
	char buf[4096];
	size_t n;
	int64_t since_ms; /* of the wait */
	int64_t since_us; /* the same; 0: the turn's first reply has come */
	int64_t longest_us;
};

static struct {
	long sessions, taken, replies, handshakes, refused, reopened, broken[STEP_MAX], slow;
	long turns; /* words of ours that were answered, greeting included; with --pipeline fewer than replies */
	int64_t first_us, all_us; /* waited for the first reply of each turn, and for all of them */
	int64_t banner_max_ms, broken_ms, slow_ms;
} sum = { 0 };
static pthread_mutex_t sum_lock = PTHREAD_MUTEX_INITIALIZER;
static long begun, message_ids;
static int64_t end_ms;
static volatile sig_atomic_t stop_asked;
static SSL_CTX *tls_ctx;

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void on_stop(int sig)
{
	(void)sig;
	stop_asked = 1;
}

static bool is_over(void)
{
	return stop_asked || (end_ms && now_ms() >= end_ms);
}

/* --- words ------------------------------------------------------------------------------ */

static ssize_t talk_read(struct talk *t, void *buf, size_t len)
{
	int n;

	if (!t->ssl)
		return recv(t->fd, buf, len, 0);
	n = SSL_read(t->ssl, buf, (int)len);
	return n > 0 ? n : -1;
}

static int talk_say_n(struct talk *t, const char *words, size_t len)
{
	t->since_ms = now_ms();
	t->since_us = now_us();
	if (t->ssl)
		return SSL_write(t->ssl, words, (int)len) == (int)len ? 0 : -1;
	return send(t->fd, words, len, MSG_NOSIGNAL) == (ssize_t)len ? 0 : -1;
}

static int talk_say(struct talk *t, const char *words)
{
	return talk_say_n(t, words, strlen(words));
}

/* One line without its end; its length, or -1. */
static int talk_line(struct talk *t, char *line, size_t size)
{
	char *end;

	while (!(end = memchr(t->buf, '\n', t->n))) {
		ssize_t got;

		if (t->n == sizeof(t->buf))
			return -1;
		errno = 0;
		got = talk_read(t, t->buf + t->n, sizeof(t->buf) - t->n);
		if (got <= 0) {
			if (got == 0)
				errno = 0;
			return -1;
		}
		t->n += (size_t)got;
	}
	snprintf(line, size, "%.*s", (int)(end - t->buf), t->buf);
	line[strcspn(line, "\r")] = '\0';
	t->n -= (size_t)(end - t->buf) + 1;
	memmove(t->buf, end + 1, t->n);
	return (int)strlen(line);
}

/* A turn's first reply has come (or its last, when there are more in it). */
static void talk_waited(struct talk *t, int64_t begun_us, bool first)
{
	int64_t took = now_us() - begun_us;

	if (first)
		__atomic_add_fetch(&sum.turns, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(first ? &sum.first_us : &sum.all_us, took, __ATOMIC_RELAXED);
	if (took > t->longest_us)
		t->longest_us = took;
}

/* A whole reply (RFC 5321, 4.2.1): its code, or -1. first: its first line. */
static int talk_reply(struct talk *t, char *first, size_t size)
{
	char line[1024];

	for (bool more = false;; more = true) {
		if (talk_line(t, line, sizeof(line)) < 3)
			return -1;
		if (!more && first)
			snprintf(first, size, "%s", line);
		if (line[3] != '-')
			break;
	}
	__atomic_add_fetch(&sum.replies, 1, __ATOMIC_RELAXED);
	return atoi(line);
}

/* The replies to n commands that were said at once: the last one's code, or that of the first that is no 2xx or 3xx. */
static int talk_hear(struct talk *t, int n)
{
	int64_t begun_us = t->since_us;
	int code = -1, worst = 0;

	for (int i = 0; i < n; i++) {
		code = talk_reply(t, NULL, 0);
		if (code < 0)
			return -1;
		if (i == 0)
			talk_waited(t, begun_us, true);
		if (code >= 400 && !worst)
			worst = code;
	}
	talk_waited(t, begun_us, false);
	return worst ? worst : code;
}

static int talk_ask(struct talk *t, const char *words)
{
	return talk_say(t, words) ? -1 : talk_hear(t, 1);
}

static void talk_close(struct talk *t)
{
	if (t->ssl)
		SSL_free(t->ssl);
	if (t->fd != -1)
		close(t->fd);
	t->ssl = NULL;
	t->fd = -1;
	t->n = 0;
}

static int talk_tls(struct talk *t)
{
	int ret;

	int64_t begun_us = now_us();

	t->ssl = SSL_new(tls_ctx);
	if (!t->ssl || !SSL_set_fd(t->ssl, t->fd))
		return -1;
	ret = opt.serve ? SSL_accept(t->ssl) : SSL_connect(t->ssl);
	if (ret != 1)
		return -1;
	/* a turn as well, to whoever sees no words: the client's hello is answered by the server's */
	talk_waited(t, begun_us, true);
	talk_waited(t, begun_us, false);
	t->since_us = now_us();
	__atomic_add_fetch(&sum.handshakes, 1, __ATOMIC_RELAXED);
	return 0;
}

static pthread_t thread(void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t id;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	ret = pthread_create(&id, &attr, run, arg);
	if (ret) {
		fprintf(stderr, "talk_tool: a thread: %s\n", strerror(ret));
		exit(2);
	}
	pthread_attr_destroy(&attr);
	return id;
}

#endif
