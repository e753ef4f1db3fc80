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
#include "talk_server.h"

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
	t->since_us = now_us();
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
	int64_t begun_us;
	int code;

	t->step = STEP_HELLO;
	if (opt.tls == TLS_IMPLICIT && talk_tls(t))
		return -1;
	begun_us = t->since_us;
	code = talk_reply(t, first, sizeof(first));
	talk_waited(t, begun_us, true);
	talk_waited(t, begun_us, false);
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

/* All up to DATA, in one go or one after the other. 354, or what came instead. */
static int client_envelope(struct talk *t)
{
	const char *rcpt = "RCPT TO:<reader@example.net>\r\n";
	char words[512];
	int code;

	t->step = STEP_MAIL;
	snprintf(words, sizeof(words), "MAIL FROM:<%s@client.example>\r\n%s%s", opt.from, opt.pipeline ? rcpt : "",
		 opt.pipeline ? "DATA\r\n" : "");
	if (opt.pipeline) {
		t->step = STEP_TRANSACTION;
		return talk_say(t, words) ? -1 : talk_hear(t, 3);
	}
	code = talk_ask(t, words);
	if (code != 250)
		return code;
	t->step = STEP_TRANSACTION;
	code = talk_ask(t, rcpt);
	return code == 250 ? talk_ask(t, "DATA\r\n") : code;
}

/* 0: it was taken. */
static int client_message(struct talk *t, long id)
{
	char words[512];
	int code = client_envelope(t);

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

/* Which connection it was, and its longest wait. */
static void client_tell(const struct talk *t)
{
	struct sockaddr_in6 self;
	socklen_t len = sizeof(self);

	/* the port is in the same place in both families */
	if (opt.tell && getsockname(t->fd, (struct sockaddr *)&self, &len) == 0)
		fprintf(stderr, "session %u %lld\n", ntohs(self.sin6_port), (long long)t->longest_us);
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
	else
		client_tell(&t);
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
	       "\"turns\":%ld,\"first_us\":%lld,\"all_us\":%lld,\"broken\":{",
	       sum.sessions, message_ids, sum.taken, sum.replies, sum.handshakes, sum.refused, sum.reopened, sum.slow,
	       (long long)sum.slow_ms, (long long)sum.banner_max_ms, (long long)sum.broken_ms, sum.turns,
	       (long long)sum.first_us, (long long)sum.all_us);
	for (int s = 0; s < STEP_MAX; s++) {
		printf("%s\"%s\":%ld", s ? "," : "", step_names[s], sum.broken[s]);
		wrong += sum.broken[s];
	}
	printf("}}\n");
	return wrong || sum.taken != message_ids;
}

/* --- the command line --------------------------------------------------------------------------- */

static void usage(void)
{
	fprintf(stderr, "usage: talk_tool --addr ADDR [--port 25] [--tls none|starttls|implicit] [--sessions 1] [--parallel 1]\n"
			"                 [--messages 1] [--pause SECONDS] [--duration SECONDS] [--timeout SECONDS]\n"
			"                 [--from NAME] [--again] [--pipeline] [--tell]\n"
			"       talk_tool --serve [--port 25] [--tls none|starttls|implicit] [--scan SECONDS]\n"
			"--pause: mean silence before a session, and between two messages of one\n"
			"--duration: session after session for so long, instead of --sessions\n"
			"--again: a message that was not taken is sent again, over a new connection\n"
			"--pipeline: MAIL, RCPT and DATA at once (RFC 2920)\n"
			"--tell: \"session PORT MICROSECONDS\" on stderr, its longest wait\n"
			"--scan: the answer to the end of a message takes up to twice as long\n");
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
		{ "pipeline", no_argument, NULL, 'L' },	      { "tell", no_argument, NULL, 'l' },
		{ "scan", required_argument, NULL, 'S' },
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
		case 'L': opt.pipeline = true; break;
		case 'l': opt.tell = true; break;
		case 'S': opt.scan_ms = (int64_t)(strtod(optarg, NULL) * 1000); break;
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
