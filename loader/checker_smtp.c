/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a check says to a mail server, and what it makes of the replies: 2xx goes on, 4xx is busy, 5xx is a refusal,
 * anything else is not SMTP. One command at a time, so that a server without PIPELINING has nothing to complain
 * of. It knows neither sockets nor clocks, but for the date in a canary's messages (canary.c writes them).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include "addr.h"
#include "checker_conn.h"

static void on_line(void *arg, const char *text);

void smtp_await(struct conn *c, enum checker_stage stage)
{
	c->stage = stage;
	c->ehlo_lines = 0;
	reply_init(&c->reply, on_line, c);
}

static void __attribute__((format(printf, 3, 4))) command(struct conn *c, enum checker_stage stage, const char *fmt, ...)
{
	char line[CHECK_NAME_LEN + 64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 2, fmt, ap);
	va_end(ap);
	memcpy(line + n, "\r\n", 3);
	smtp_await(c, stage);
	conn_put(c, line, n + 2, NULL);
}

/* --- EHLO --- */

static bool is_keyword(const char *line, const char *word, size_t len)
{
	return !strncasecmp(line, word, len) && (line[len] == '\0' || line[len] == ' ' || line[len] == '=');
}

/* The next of the words that are separated by spaces; NULL at the end. */
static const char *next_word(const char *words, size_t *len)
{
	words += strspn(words, " ");
	*len = strcspn(words, " ");
	return *len ? words : NULL;
}

static void on_line(void *arg, const char *text)
{
	struct conn *c = arg;
	const char *word = c->req.conf.keywords;
	size_t len = 0;

	conn_say(c, "< %d%c%s", c->reply.code, c->reply.line[3] == '-' ? '-' : ' ', text);
	if (c->stage != STAGE_EHLO || !c->ehlo_lines++)	/* the first line is its name */
		return;
	c->offers_tls |= is_keyword(text, "STARTTLS", 8);
	for (int i = 0; i < 32 && (word = next_word(word + len, &len)); i++)
		if (is_keyword(text, word, len))
			c->offers |= 1U << i;
}

static const char *missing_keyword(const struct conn *c, size_t *len)
{
	const char *word = c->req.conf.keywords;

	*len = 0;
	for (int i = 0; i < 32 && (word = next_word(word + *len, len)); i++)
		if (!(c->offers & 1U << i))
			return word;
	return NULL;
}

static void say_ehlo(struct conn *c)
{
	c->offers = 0;
	c->offers_tls = false;
	command(c, STAGE_EHLO, "EHLO %s", c->req.conf.ehlo);
}

static void say_mail(struct conn *c)
{
	command(c, STAGE_MAIL, "MAIL FROM:<%s>", c->req.conf.from);
}

static void after_ehlo(struct conn *c)
{
	const struct check_conf *conf = &c->req.conf;
	size_t len;
	const char *missing;

	if (conf->kind == CHECK_STARTTLS && !c->tls_done) {
		if (!c->offers_tls)
			conn_decide(c, CHECK_TLS_FAILED, c->reply.code, "STARTTLS is not offered");
		else
			command(c, STAGE_STARTTLS, "STARTTLS");
		return;
	}
	missing = missing_keyword(c, &len);
	if (missing)
		conn_decide(c, CHECK_REJECTED, c->reply.code, "%.*s is not offered", (int)len, missing);
	else if (conf->kind == CHECK_RCPT || conf->kind == CHECK_CANARY)
		say_mail(c);
	else
		conn_decide(c, CHECK_OK, c->reply.code, "%s", c->reply.text);
}

/* --- the canary --- */

static void send_message(struct conn *c)
{
	enum check_poison carried = c->taken ? c->req.conf.must_refuse : POISON_NONE;
	char text[CANARY_MAX], shown[64] = "(a message)";
	size_t n = canary_write(&c->req.conf, carried, time(NULL), c->req.head.serial, text);

	if (carried)
		snprintf(shown, sizeof(shown), "(a message with %s)", canary_poison_name(carried));
	smtp_await(c, carried ? STAGE_SCAN : STAGE_MESSAGE);
	conn_put(c, text, n, shown);
	conn_say(c, "> .");
}

/* --- judgement --- */

/* The class of reply that means: as hoped. A scanner must refuse for good; one that cannot be reached is busy. */
static int hope(enum checker_stage stage)
{
	switch (stage) {
	case STAGE_DATA:
		return 3;
	case STAGE_SCAN:
		return 5;
	default:
		return 2;
	}
}

/* True: go on. */
static bool judge(struct conn *c)
{
	int code = c->reply.code, class = code / 100;

	if (class == hope(c->stage))
		return true;
	/* RFC 5321, 3.8: 421 may come at any time, and says that the connection will be closed. */
	if (code == 421)
		conn_decide(c, CHECK_BUSY, code, "%s", c->reply.text);
	else if (c->stage == STAGE_STARTTLS && class > 3)
		conn_decide(c, CHECK_TLS_FAILED, code, "%s", c->reply.text);
	else if (class == 4)
		conn_decide(c, CHECK_BUSY, code, "%s", c->reply.text);
	else if (class == 5)
		conn_decide(c, CHECK_REJECTED, code, "%s", c->reply.text);
	else if (c->stage == STAGE_SCAN && class == 2)
		conn_decide(c, CHECK_UNSCANNED, code, "scanner took %s: %s", canary_poison_name(c->req.conf.must_refuse),
			    c->reply.text);
	else
		conn_decide(c, CHECK_JUNK, code, "unexpected: %s", c->reply.text);
	return false;
}

void smtp_agent(struct conn *c, const char *bytes, size_t n, bool end)
{
	struct reply *r = &c->reply;	/* its line is as good as any */
	char text[POOL_TEXT_LEN];

	for (size_t i = 0; i < n && !end; i++) {
		if (bytes[i] == '\r' || bytes[i] == '\n')
			end = r->line_len > 0;
		else if (r->line_len < sizeof(r->line))
			r->line[r->line_len++] = bytes[i];
		else
			end = true;
	}
	if (!end)
		return;
	reply_clean(text, sizeof(text), r->line, r->line_len);
	conn_say(c, "< %s", text);
	if (!r->line_len)
		conn_decide(c, CHECK_RESET, 0, "connection closed without a word");
	else if (r->line_len == sizeof(r->line))
		conn_decide(c, CHECK_JUNK, 0, "a line without end: %.100s", text);
	else
		conn_decide(c, CHECK_OK, 0, "%s", text);
}

static void go_on(struct conn *c)
{
	switch (c->stage) {
	case STAGE_GREETING:
		if (c->req.conf.kind == CHECK_GREETING)
			conn_decide(c, CHECK_OK, c->reply.code, "%s", c->reply.text);
		else
			say_ehlo(c);
		break;
	case STAGE_EHLO:
		after_ehlo(c);
		break;
	case STAGE_STARTTLS:
		tls_start(c);
		break;
	case STAGE_MAIL:
		command(c, STAGE_RCPT, "RCPT TO:<%s>", c->req.conf.to);
		break;
	case STAGE_RCPT:
		memcpy(c->said, c->reply.text, sizeof(c->said));
		if (c->req.conf.kind == CHECK_CANARY)
			command(c, STAGE_DATA, "DATA");
		else
			command(c, STAGE_RSET, "RSET");
		break;
	case STAGE_RSET:
		c->stage = STAGE_RCPT;	/* that is what was asked for */
		conn_decide(c, CHECK_OK, c->reply.code, "%s", c->said);
		break;
	case STAGE_DATA:
		send_message(c);
		break;
	case STAGE_MESSAGE:
		if (c->req.conf.must_refuse) {
			c->taken = true;
			say_mail(c);
			break;
		}
		/* fall through */
	default:
		conn_decide(c, CHECK_OK, c->reply.code, "%s", c->reply.text);
	}
}

/* The verdict is known: nothing counts but the end. */
static void while_leaving(struct conn *c)
{
	if (c->reply.state == REPLY_JUNK) {
		c->deaf = true;
	} else if (c->stage == STAGE_GREETING) {
		c->greeted = true;
		c->stage = STAGE_QUIT;
		reply_init(&c->reply, on_line, c);
		conn_put(c, "QUIT\r\n", 6, NULL);
	} else if (c->reply.code == 221) {
		conn_close(c);
	} else {
		smtp_await(c, STAGE_QUIT);	/* late replies to what was asked before */
	}
}

void smtp_reply(struct conn *c)
{
	if (c->decided) {
		while_leaving(c);
		return;
	}
	if (c->reply.state == REPLY_JUNK) {
		c->deaf = true;
		conn_say(c, "< %s", c->reply.text);
		conn_decide(c, CHECK_JUNK, 0, "%s: %.120s", c->reply.why, c->reply.text);
		return;
	}
	if (c->stage == STAGE_GREETING)
		c->greeted = true;
	if (judge(c))
		go_on(c);
}

/* --- the beginning --- */

/* In the clear, ahead of any TLS; a fresh socket has room. */
static int send_now(struct conn *c, const char *bytes, size_t n)
{
	ssize_t sent = send(c->fd, bytes, n, MSG_NOSIGNAL);

	return sent == (ssize_t)n ? 0 : sent == -1 ? -errno : -ENOBUFS;
}

/* The PROXY protocol, 2.1 and 2.2. v1 has no word for "myself" that all mail servers take, so it tells the truth. */
static int put_proxy(struct conn *c)
{
	static const char v2_local[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00";	/* and the final NUL: length 0 */
	char line[128], from[ADDR_STRLEN], to[ADDR_STRLEN];
	struct sockaddr_storage ss = {};
	socklen_t len = sizeof(ss);
	struct lb_addr addr;
	__u16 port;
	int n;

	if (c->req.conf.proxy == PROXY_V2) {
		conn_say(c, "> PROXY v2 LOCAL");
		return send_now(c, v2_local, sizeof(v2_local));
	}
	if (getsockname(c->fd, (struct sockaddr *)&ss, &len) == -1)
		return -errno;
	addr_from_sockaddr(&ss, &addr, &port);
	n = snprintf(line, sizeof(line), "PROXY TCP%c %s %s %u %u\r\n", addr_is_v4(&addr) ? '4' : '6',
		     addr_to_str(&addr, from), addr_to_str(&c->req.address, to), port, c->req.port);
	conn_say(c, "> %.*s", n - 2, line);
	return send_now(c, line, n);
}

static void ask_agent(struct conn *c)
{
	char line[CHECK_WORDS_LEN + 1];

	smtp_await(c, STAGE_AGENT);
	if (*c->req.send)
		conn_put(c, line, snprintf(line, sizeof(line), "%s\n", c->req.send), NULL);
}

void smtp_connected(struct conn *c)
{
	int err = c->req.conf.proxy != PROXY_NONE && !c->req.agent ? put_proxy(c) : 0;

	if (err)
		conn_decide(c, CHECK_INTERNAL, 0, "proxy header: %s", strerror(-err));
	else if (c->req.agent)
		ask_agent(c);
	else if (c->req.conf.kind == CHECK_TLS)
		tls_start(c);
	else
		smtp_await(c, STAGE_GREETING);
}

void smtp_tls_up(struct conn *c)
{
	if (c->decided)
		return;
	if (c->req.conf.kind == CHECK_STARTTLS)
		say_ehlo(c);
	else
		smtp_await(c, STAGE_GREETING);
}
