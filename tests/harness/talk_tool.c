/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends mail, in clear, after STARTTLS or inside TLS, and knows exactly what it was told: every reply is
 * counted and timed, and every session that broke is told by where in SMTP it broke. The witness for turns,
 * drains, refusals and dead servers. One thread per session in parallel.
 *
 *   talk_tool --addr ADDR [--sessions N] [--parallel N] [--messages N] ...
 *   talk_tool --serve --port 465 --tls implicit		the mail server for it, which takes everything
 *
 * The client ends with one JSON line on stdout, and says on stderr what went wrong, when (ms, UTC), and with which
 * server:	1700000000000 transaction reset mailx2 1012
 * the last number being how long it had waited, in ms. Exit code 0 when every message was taken.
 */
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
	int64_t duration_ms, pause_ms, timeout_ms;
	uint16_t port;
	bool again, serve;
} opt = { .sessions = 1, .parallel = 1, .messages = 1, .timeout_ms = 30000, .port = 25, .from = "talk" };

struct talk {
	int fd;
	SSL *ssl;
	enum step step;
	char name[NAME_LEN]; /* the server's, from its greeting */
	char buf[4096];
	size_t n;
	int64_t since_ms; /* of the wait */
};

static struct {
	long sessions, taken, replies, handshakes, refused, reopened, broken[STEP_MAX], slow;
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

static int talk_ask(struct talk *t, const char *words)
{
	return talk_say(t, words) ? -1 : talk_reply(t, NULL, 0);
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

	t->ssl = SSL_new(tls_ctx);
	if (!t->ssl || !SSL_set_fd(t->ssl, t->fd))
		return -1;
	ret = opt.serve ? SSL_accept(t->ssl) : SSL_connect(t->ssl);
	if (ret != 1)
		return -1;
	__atomic_add_fetch(&sum.handshakes, 1, __ATOMIC_RELAXED);
	return 0;
}

/* --- the client ---------------------------------------------------------------------------- */

static void broken(struct talk *t, int code)
{
	int err = errno;
	const char *why = code > 0 ? "reply" : err == ECONNRESET || err == EPIPE ? "reset" : err == ECONNREFUSED ? "refused" :
			  err == EAGAIN || err == EINPROGRESS || err == ETIMEDOUT ? "timeout" : err == 0 ? "closed" : strerror(err);
	int64_t now = now_ms();

	fprintf(stderr, "%lld %s %s %s %lld\n", (long long)now, step_names[t->step], why, t->name[0] ? t->name : "-",
		(long long)(now - t->since_ms));
	pthread_mutex_lock(&sum_lock);
	sum.broken[t->step]++;
	sum.broken_ms = now;
	pthread_mutex_unlock(&sum_lock);
	talk_close(t);
}

static int client_connect(struct talk *t)
{
	const struct timeval patience = { .tv_sec = opt.timeout_ms / 1000, .tv_usec = opt.timeout_ms % 1000 * 1000 };
	int64_t took;
	int one = 1;

	*t = (struct talk) { .step = STEP_CONNECT, .since_ms = now_ms() };
	t->fd = socket(opt.addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t->fd == -1)
		return -1;
	setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(t->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(t->fd, (struct sockaddr *)&opt.addr, opt.addr_len) == -1)
		return -1;
	took = now_ms() - t->since_ms;
	if (took < SLOW_MS)
		return 0;
	fprintf(stderr, "%lld slow connect - %lld\n", (long long)t->since_ms, (long long)took);
	pthread_mutex_lock(&sum_lock);
	sum.slow++;
	if (t->since_ms > sum.slow_ms)
		sum.slow_ms = t->since_ms;
	pthread_mutex_unlock(&sum_lock);
	return 0;
}

static int client_hello(struct talk *t)
{
	char first[1024] = "";
	int64_t begun_ms = t->since_ms, took;
	int code;

	t->step = STEP_HELLO;
	if (opt.tls == TLS_IMPLICIT && talk_tls(t))
		return -1;
	code = talk_reply(t, first, sizeof(first));
	took = now_ms() - begun_ms;
	pthread_mutex_lock(&sum_lock);
	if (took > sum.banner_max_ms)
		sum.banner_max_ms = took;
	sum.refused += code == 421;
	pthread_mutex_unlock(&sum_lock);
	if (code != 220)
		return code;
	sscanf(first + 4, "%63s", t->name);
	code = talk_ask(t, "EHLO talk.example\r\n");
	if (code != 250 || opt.tls != TLS_STARTTLS)
		return code == 250 ? 0 : code;
	code = talk_ask(t, "STARTTLS\r\n");
	if (code != 220)
		return code;
	if (talk_tls(t))
		return -1;
	code = talk_ask(t, "EHLO talk.example\r\n");
	return code == 250 ? 0 : code;
}

/* 0: it was taken. */
static int client_message(struct talk *t, long id)
{
	char words[512];
	int code;

	t->step = STEP_MAIL;
	snprintf(words, sizeof(words), "MAIL FROM:<%s@client.example>\r\n", opt.from);
	code = talk_ask(t, words);
	if (code != 250)
		return code;
	t->step = STEP_TRANSACTION;
	code = talk_ask(t, "RCPT TO:<reader@example.net>\r\n");
	if (code != 250)
		return code;
	code = talk_ask(t, "DATA\r\n");
	if (code != 354)
		return code;
	snprintf(words, sizeof(words), "Message-ID: <%s.%ld@client.example>\r\nSubject: talk\r\n\r\nGood day.\r\n.\r\n",
		 opt.from, id);
	code = talk_ask(t, words);
	if (code != 250)
		return code;
	t->step = STEP_IDLE;
	__atomic_add_fetch(&sum.taken, 1, __ATOMIC_RELAXED);
	return 0;
}

/* Silence in our own turn, up to twice the mean. -1: the connection has ended meanwhile. */
static int client_pause(struct talk *t, unsigned int *seed)
{
	int64_t until = now_ms() + (opt.pause_ms ? rand_r(seed) % (2 * opt.pause_ms) : 0), left;
	struct pollfd p = { .fd = t->fd, .events = POLLIN };

	do {
		left = until - now_ms();
		if (poll(&p, 1, left > 0 ? (int)left : 0) == 1) {
			char c;
			ssize_t n = recv(t->fd, &c, 1, MSG_PEEK);

			if (n <= 0)
				return -1;
			if (!t->ssl) {
				errno = 0;
				return -1; /* words in our turn: a 421 before it hangs up */
			}
			p.events = 0; /* a late TLS ticket */
		}
	} while (left > 0);
	return 0;
}

/* One session, with --again as many connections as it takes. False: a message was given up. */
static bool client_session(unsigned int *seed)
{
	struct talk t = { .fd = -1 };
	long id = 0;
	int code;

	for (long m = 0; m < opt.messages && (m == 0 || !is_over()); m++) {
		if (t.fd != -1 && opt.pause_ms && client_pause(&t, seed)) {
			broken(&t, 0);
			__atomic_add_fetch(&sum.reopened, 1, __ATOMIC_RELAXED);
			if (!opt.again)
				return false;
		}
		id = __atomic_add_fetch(&message_ids, 1, __ATOMIC_RELAXED);
		do {
			if (t.fd == -1) {
				code = client_connect(&t);
				if (!code)
					code = client_hello(&t);
				if (code == 421) {
					t.step = STEP_QUIT;
					if (talk_ask(&t, "QUIT\r\n") != 221)
						broken(&t, 0);
					talk_close(&t);
					return false;
				}
				if (code) {
					broken(&t, code);
					usleep(AGAIN_US);
					continue;
				}
			}
			code = client_message(&t, id);
			if (code)
				broken(&t, code);
		} while (code && opt.again && !is_over());
		if (code)
			return false;
	}
	t.step = STEP_QUIT;
	if (talk_ask(&t, "QUIT\r\n") != 221)
		broken(&t, 0);
	talk_close(&t);
	return true;
}

static void *client_worker(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg * 2654435761u;

	/* they do not all come and go together */
	while (!is_over() && (opt.duration_ms || __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED) <= opt.sessions)) {
		if (opt.pause_ms)
			usleep((useconds_t)(rand_r(&seed) % (2 * opt.pause_ms)) * 1000);
		if (is_over())
			break;
		__atomic_add_fetch(&sum.sessions, 1, __ATOMIC_RELAXED);
		if (!client_session(&seed) && opt.duration_ms)
			usleep(AGAIN_US);
	}
	return NULL;
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

static int client(void)
{
	pthread_t *ids = calloc((size_t)opt.parallel, sizeof(*ids));
	long wrong = 0;

	if (!ids)
		return 2;
	if (opt.duration_ms)
		end_ms = now_ms() + opt.duration_ms;
	for (long i = 0; i < opt.parallel; i++)
		ids[i] = thread(client_worker, (void *)(uintptr_t)(i + 1));
	for (long i = 0; i < opt.parallel; i++)
		pthread_join(ids[i], NULL);
	free(ids);
	printf("{\"sessions\":%ld,\"messages\":%ld,\"taken\":%ld,\"replies\":%ld,\"handshakes\":%ld,\"refused\":%ld,"
	       "\"reopened\":%ld,\"slow_connects\":%ld,\"slow_ms\":%lld,\"banner_max_ms\":%lld,\"broken_ms\":%lld,"
	       "\"broken\":{",
	       sum.sessions, message_ids, sum.taken, sum.replies, sum.handshakes, sum.refused, sum.reopened, sum.slow,
	       (long long)sum.slow_ms, (long long)sum.banner_max_ms, (long long)sum.broken_ms);
	for (int s = 0; s < STEP_MAX; s++) {
		printf("%s\"%s\":%ld", s ? "," : "", step_names[s], sum.broken[s]);
		wrong += sum.broken[s];
	}
	printf("}}\n");
	return wrong || sum.taken != message_ids;
}

/* --- the server ------------------------------------------------------------------------------ */

static int server_hello(struct talk *t)
{
	if (opt.tls == TLS_IMPLICIT && talk_tls(t))
		return -1;
	return talk_say(t, "220 mailx ESMTP\r\n");
}

static void *server_session(void *arg)
{
	struct talk t = { .fd = (int)(intptr_t)arg };
	bool data = false;
	char line[1024];
	int ret = server_hello(&t);

	while (!ret && talk_line(&t, line, sizeof(line)) >= 0) {
		if (data && strcmp(line, ".") != 0)
			continue;
		if (data)
			ret = talk_say(&t, "250 2.0.0 Ok: queued\r\n");
		else if (strncasecmp(line, "EHLO", 4) == 0)
			ret = talk_say(&t, opt.tls == TLS_STARTTLS && !t.ssl ? "250-mailx\r\n250 STARTTLS\r\n" : "250 mailx\r\n");
		else if (strncasecmp(line, "STARTTLS", 8) == 0)
			ret = talk_say(&t, "220 2.0.0 Ready\r\n") || talk_tls(&t);
		else if (strncasecmp(line, "DATA", 4) == 0)
			ret = talk_say(&t, "354 Go ahead\r\n");
		else if (strncasecmp(line, "QUIT", 4) == 0)
			ret = talk_say(&t, "221 2.0.0 Bye\r\n") || 1;
		else
			ret = talk_say(&t, "250 2.0.0 Ok\r\n");
		data = !data && strncasecmp(line, "DATA", 4) == 0;
	}
	talk_close(&t);
	return NULL;
}

/* A key and a certificate that nobody need trust. */
static void server_identity(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	if (!key || !cert || !X509_set_pubkey(cert, key) || !X509_gmtime_adj(X509_getm_notBefore(cert), 0) ||
	    !X509_gmtime_adj(X509_getm_notAfter(cert), 86400) ||
	    !X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const unsigned char *)"mailx", -1,
					-1, 0) ||
	    !X509_set_issuer_name(cert, X509_get_subject_name(cert)) || !X509_sign(cert, key, EVP_sha256()) ||
	    SSL_CTX_use_certificate(tls_ctx, cert) != 1 || SSL_CTX_use_PrivateKey(tls_ctx, key) != 1) {
		ERR_print_errors_fp(stderr);
		exit(2);
	}
	X509_free(cert);
	EVP_PKEY_free(key);
}

static int server(void)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(opt.port) };
	int listen_fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, fd;

	server_identity();
	if (listen_fd == -1 || setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == -1 ||
	    bind(listen_fd, (struct sockaddr *)&in6, sizeof(in6)) == -1 || listen(listen_fd, 1024) == -1) {
		perror("talk_tool: listen");
		return 2;
	}
	while ((fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC)) != -1 || errno == EINTR || errno == ECONNABORTED) {
		if (fd == -1)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		pthread_detach(thread(server_session, (void *)(intptr_t)fd));
	}
	perror("talk_tool: accept");
	return 2;
}

/* --- the command line --------------------------------------------------------------------------- */

static void usage(void)
{
	fprintf(stderr, "usage: talk_tool --addr ADDR [--port 25] [--tls none|starttls|implicit] [--sessions 1] [--parallel 1]\n"
			"                 [--messages 1] [--pause SECONDS] [--duration SECONDS] [--timeout SECONDS]\n"
			"                 [--from NAME] [--again]\n"
			"       talk_tool --serve [--port 25] [--tls none|starttls|implicit]\n"
			"--pause: mean silence before a session, and between two messages of one\n"
			"--duration: session after session for so long, instead of --sessions\n"
			"--again: a message that was not taken is sent again, over a new connection\n");
	exit(2);
}

static void addr_parse(const char *host)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&opt.addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&opt.addr;

	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(opt.port);
		opt.addr_len = sizeof(*in);
	} else if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(opt.port);
		opt.addr_len = sizeof(*in6);
	} else {
		fprintf(stderr, "talk_tool: \"%s\" is no address\n", host);
		exit(2);
	}
}

static enum tls tls_parse(const char *word)
{
	if (strcmp(word, "none") == 0)
		return TLS_NONE;
	if (strcmp(word, "starttls") == 0)
		return TLS_STARTTLS;
	if (strcmp(word, "implicit") != 0)
		usage();
	return TLS_IMPLICIT;
}

static void options(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "addr", required_argument, NULL, 'a' },     { "port", required_argument, NULL, 'p' },
		{ "tls", required_argument, NULL, 't' },      { "sessions", required_argument, NULL, 'n' },
		{ "parallel", required_argument, NULL, 'P' }, { "messages", required_argument, NULL, 'm' },
		{ "pause", required_argument, NULL, 'w' },    { "duration", required_argument, NULL, 'd' },
		{ "timeout", required_argument, NULL, 'T' },  { "from", required_argument, NULL, 'f' },
		{ "again", no_argument, NULL, 'A' },	      { "serve", no_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	const char *host = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", longopts, NULL)) != -1) {
		switch (c) {
		case 'a': host = optarg; break;
		case 'p': opt.port = (uint16_t)strtoul(optarg, NULL, 10); break;
		case 't': opt.tls = tls_parse(optarg); break;
		case 'n': opt.sessions = strtol(optarg, NULL, 10); break;
		case 'P': opt.parallel = strtol(optarg, NULL, 10); break;
		case 'm': opt.messages = strtol(optarg, NULL, 10); break;
		case 'w': opt.pause_ms = (int64_t)(strtod(optarg, NULL) * 1000); break;
		case 'd': opt.duration_ms = (int64_t)(strtod(optarg, NULL) * 1000); break;
		case 'T': opt.timeout_ms = (int64_t)(strtod(optarg, NULL) * 1000); break;
		case 'f': opt.from = optarg; break;
		case 'A': opt.again = true; break;
		case 's': opt.serve = true; break;
		default: usage();
		}
	}
	if (!host == !opt.serve || optind != argc || !opt.port || opt.sessions < 1 || opt.parallel < 1 || opt.messages < 1 ||
	    opt.timeout_ms < 1)
		usage();
	if (host)
		addr_parse(host);
}

int main(int argc, char **argv)
{
	struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };
	struct rlimit files;

	options(argc, argv);
	setvbuf(stderr, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	tls_ctx = SSL_CTX_new(opt.serve ? TLS_server_method() : TLS_client_method());
	if (!tls_ctx)
		return 2;
	SSL_CTX_set_mode(tls_ctx, SSL_MODE_AUTO_RETRY);
	if (opt.serve)
		return server();
	sigaction(SIGTERM, &stop, NULL);
	return client();
}
