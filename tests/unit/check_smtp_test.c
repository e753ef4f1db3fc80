// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What mail servers do, and what the checks make of it: the whole way, through the engine, the socket pair and the sandboxed
 * process, which is this program again. Scripted servers on 127.0.0.1; prints the table of behaviours and verdicts.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include "../../loader/addr.h"
#include "../../loader/check.h"
#include "../../loader/checker_wire.h"
#include "event_loop.h"
#include "smtp_server.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define EHLO_OK		"250-mx.example.com\r\n250-8BITMIME\r\n250-SIZE 1000\r\n250 STARTTLS\r\n"

/* Up to the client's EHLO. */
static void greet_and_hear(struct smtp_server *s)
{
	greet(s, "220 mx.example.com ESMTP\r\n");
	hear(s);
}

/* Up to the first command after it. */
static void say_hello(struct smtp_server *s)
{
	greet_and_hear(s);
	say(s, EHLO_OK);
	hear(s);
}

static struct checks *checks;
static struct { int n; enum backend_health health; char reason[POOL_TEXT_LEN]; } verdict;

static void on_verdict(void *arg, int id, enum backend_health health, const char *reason)
{
	(void)arg;
	(void)id;
	verdict.n++;
	verdict.health = health;
	snprintf(verdict.reason, sizeof(verdict.reason), "%s", reason);
}

static struct check_target target_at(__u16 port, enum check_kind kind)
{
	struct check_target t = { .port = port, .conf = check_conf_default };

	t.conf.kind = kind;
	t.conf.interval_ms = 3600000;
	strcpy(t.conf.ehlo, "probe.example.net");
	assert_int_equal(addr_parse("127.0.0.1", &t.address), 0);
	return t;
}

/* --- scripts --- */

static void transaction(struct smtp_server *s)
{
	const char *line;

	while ((line = hear(s))) {
		if (s->quit) {
			say(s, "221 2.0.0 bye\r\n");
			return;
		}
		if (!strncmp(line, "EHLO ", 5))
			say(s, EHLO_OK);
		else if (!strcmp(line, "STARTTLS"))
			say(s, "220 2.0.0 go ahead\r\n");
		else if (!strcmp(line, "DATA"))
			say(s, "354 end with a dot\r\n");
		else if (!strcmp(line, "."))
			say(s, "250 2.0.0 queued as 4711\r\n");
		else if (!strncmp(line, "MAIL", 4) || !strncmp(line, "RCPT", 4) || !strncmp(line, "RSET", 4))
			say(s, "250 2.1.0 Ok\r\n");
		if (!strcmp(line, "STARTTLS") && !start_tls(s))
			return;
	}
}

static void polite(struct smtp_server *s)
{
	greet(s, "220 mx.example.com ESMTP\r\n");
	transaction(s);
}

static void implicit_tls(struct smtp_server *s)
{
	if (start_tls(s))
		polite(s);
}

static void two_lines(struct smtp_server *s)
{
	say(s, "220-mx.example.com ESMTP\r\n");
	usleep(50000);
	greet(s, "220 no spam\r\n");
	transaction(s);
}

static void dribble(struct smtp_server *s)
{
	const char *text = "220 mx.example.com ESMTP\r\n";

	for (; *text; text++) {
		put(s, text, 1);
		usleep(20000);
	}
	s->greeted = true;
	transaction(s);
}

static void late(struct smtp_server *s)
{
	usleep(400000);
	polite(s);
}

static void too_late(struct smtp_server *s)
{
	usleep(900000);
	say(s, "220 mx.example.com ESMTP\r\n");
	hear(s);
}

static void says_421(struct smtp_server *s)
{
	greet(s, "421 4.3.2 try later\r\n");
	hear_quit(s);
}

static void says_421_and_goes(struct smtp_server *s)
{
	say(s, "421 4.3.2 too many connections\r\n");
}

static void says_450(struct smtp_server *s)
{
	greet(s, "450 4.7.0 not yet\r\n");
	hear_quit(s);
}

static void says_554(struct smtp_server *s)
{
	greet(s, "554 5.7.1 no SMTP service here\r\n");
	hear_quit(s);
}

static void speaks_ssh(struct smtp_server *s)
{
	say(s, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
	hear(s);
}

static void binary(struct smtp_server *s)
{
	put(s, "\x15\x03\x01\0\x02\x02\x46\xff\xfe", 9);
	hear(s);
}

static void one_megabyte_line(struct smtp_server *s)
{
	static char block[65536];

	memset(block, 'x', sizeof(block));
	say(s, "220 ");
	for (int i = 0; i < 16 && put(s, block, sizeof(block)); i++)
		;
	say(s, "\r\n");
}

static void one_megabyte_keyword(struct smtp_server *s)
{
	static char block[65536];

	greet_and_hear(s);
	memset(block, 'y', sizeof(block));
	say(s, "250-");
	for (int i = 0; i < 16 && put(s, block, sizeof(block)); i++)
		;
	hear_quit(s);
}

static void endless_ehlo(struct smtp_server *s)
{
	greet_and_hear(s);
	for (int i = 0; i < 250; i++)
		say(s, "250-AND-ANOTHER-ONE\r\n");
	hear_quit(s);
}

static void slow_endless_ehlo(struct smtp_server *s)
{
	greet_and_hear(s);
	for (int i = 0; i < 45; i++) {
		say(s, "250-AND-ANOTHER-ONE\r\n");
		usleep(20000);
	}
	hear_quit(s);
}

static void resets_after_ehlo(struct smtp_server *s)
{
	greet_and_hear(s);
	cut(s);
}

static void closes_at_once(struct smtp_server *s)
{
	(void)s;
}

static void silent(struct smtp_server *s)
{
	hear(s);
}

static void deaf(struct smtp_server *s)
{
	(void)s;
	usleep(600000);
}

static void mute_after_greeting(struct smtp_server *s)
{
	greet_and_hear(s);
	hear_quit(s);
}

static void no_starttls(struct smtp_server *s)
{
	greet_and_hear(s);
	say(s, "250-mx.example.com\r\n250 PIPELINING\r\n");
	hear_quit(s);
}

static void refuses_starttls(struct smtp_server *s)
{
	say_hello(s);
	say(s, "454 4.7.0 TLS not available\r\n");
	hear_quit(s);
}

static void injects_behind_starttls(struct smtp_server *s)
{
	say(s, "220 mx.example.com ESMTP\r\n");
	hear(s);
	say(s, EHLO_OK);
	hear(s);
	say(s, "220 go ahead\r\n250 evil\r\n");
	hear(s);
}

static void starttls_then_clear_text(struct smtp_server *s)
{
	say(s, "220 mx.example.com ESMTP\r\n");
	hear(s);
	say(s, EHLO_OK);
	hear(s);
	say(s, "220 go ahead\r\n");
	hear(s);
	say(s, "500 5.5.1 what?\r\n");
}

static void rejects_rcpt(struct smtp_server *s)
{
	say_hello(s);
	say(s, "250 Ok\r\n");
	hear(s);
	say(s, "550 5.1.1 no such user\r\n");
	hear_quit(s);
}

static void greylists_rcpt(struct smtp_server *s)
{
	say_hello(s);
	say(s, "250 Ok\r\n");
	hear(s);
	say(s, "451 4.7.1 Greylisted\r\n");
	hear_quit(s);
}

static void hear_message(struct smtp_server *s)
{
	const char *line;

	do {
		line = hear(s);
	} while (line && strcmp(line, "."));
}

static void never_answers_the_dot(struct smtp_server *s)
{
	say_hello(s);
	say(s, "250 Ok\r\n");
	hear(s);
	say(s, "250 Ok\r\n");
	hear(s);
	say(s, "354 go ahead\r\n");
	hear_message(s);
	hear_quit(s);
}

static void refuses_the_message(struct smtp_server *s)
{
	say_hello(s);
	say(s, "250 Ok\r\n");
	hear(s);
	say(s, "250 Ok\r\n");
	hear(s);
	say(s, "354 go ahead\r\n");
	hear_message(s);
	say(s, "554 5.7.1 looks like spam\r\n");
	hear_quit(s);
}

/* A mail server with a scanner, or without: what it says to the first message, and to the second; NULL: no more. */
static void scanning(struct smtp_server *s, const char *first, const char *second)
{
	const char *line;
	int messages = 0;

	greet(s, "220 mx.example.com ESMTP\r\n");
	while ((line = hear(s)) && !s->quit) {
		if (!strncmp(line, "EHLO ", 5))
			say(s, EHLO_OK);
		else if (strcmp(line, "DATA"))
			say(s, "250 2.1.0 Ok\r\n");
		else if (!say(s, "354 end with a dot\r\n"))
			return;
		if (strcmp(line, "DATA"))
			continue;
		hear_message(s);
		if (messages++ && !second)
			return;
		say(s, messages == 1 ? first : second);
	}
	say(s, "221 2.0.0 bye\r\n");
}

#define TAKEN		"250 2.0.0 queued as 4711\r\n"
#define VIRUS		"554 5.7.1 virus found\r\n"

static void takes_both(struct smtp_server *s)
{
	scanning(s, TAKEN, TAKEN);
}

static void refuses_both(struct smtp_server *s)
{
	scanning(s, VIRUS, VIRUS);
}

static void refuses_the_virus(struct smtp_server *s)
{
	scanning(s, TAKEN, VIRUS);
}

static void defers_the_virus(struct smtp_server *s)
{
	scanning(s, TAKEN, "451 4.7.1 scanner not available\r\n");
}

static void goes_at_the_virus(struct smtp_server *s)
{
	scanning(s, TAKEN, "421 4.3.2 shutting down\r\n");
}

static void says_354_to_the_virus(struct smtp_server *s)
{
	scanning(s, TAKEN, "354 more\r\n");
}

static void hangs_at_the_virus(struct smtp_server *s)
{
	scanning(s, TAKEN, "");
}

static void drops_at_the_virus(struct smtp_server *s)
{
	scanning(s, TAKEN, NULL);
}

static void one_message_a_session(struct smtp_server *s)
{
	const char *line;
	int senders = 0;

	greet(s, "220 mx.example.com ESMTP\r\n");
	while ((line = hear(s)) && !s->quit) {
		if (!strcmp(line, "DATA")) {
			say(s, "354 go ahead\r\n");
			hear_message(s);
		}
		senders += !strncmp(line, "MAIL", 4);
		say(s, !strncmp(line, "EHLO", 4) ? EHLO_OK : senders < 2 ? TAKEN : "550 5.5.1 one message is enough\r\n");
	}
	say(s, "221 2.0.0 bye\r\n");
}

/* HAProxy, reg-tests/checks/smtpchk.vtc: the five behaviours, in our own words. */
static void haproxy_multi(struct smtp_server *s)
{
	greet(s, "220 smtp-check.vtest SMTP Server\r\n");
	hear(s);
	say(s, "250-smtp-check.vtest\r\n250-KEYWORD\r\n250 LAST KEYWORD\r\n");
	hear_quit(s);
}

static void haproxy_single(struct smtp_server *s)
{
	greet(s, "220 smtp-check.vtest SMTP Server\r\n");
	hear(s);
	say(s, "250 smtp-check.vtest\r\n");
	hear_quit(s);
}

static void haproxy_no_banner(struct smtp_server *s)
{
	say(s, "SMTP Server\r\n");
}

static void haproxy_421(struct smtp_server *s)
{
	greet(s, "421 try again later\r\n");
	hear_quit(s);
}

static void haproxy_512(struct smtp_server *s)
{
	greet(s, "220 smtp-check.vtest SMTP Server\r\n");
	hear(s);
	say(s, "512 DNS error\r\n");
	hear_quit(s);
}

/* --- the table --- */

enum goodbye { NO_QUIT = 0, QUIT };

static const struct behaviour {
	const char *name;
	enum check_kind kind;
	void (*script)(struct smtp_server *s);
	enum check_result result;
	const char *text;	/* how it begins */
	enum goodbye goodbye;
	__u32 timeout_ms;	/* 0: plenty */
	enum cert cert;
	enum check_verify verify;
	const char *keywords;
	enum check_proxy proxy;
	enum check_poison must_refuse;
} behaviours[] = {
	{ "greets", CHECK_GREETING, polite, CHECK_OK, "smtp: 220 mx.example.com ESMTP (greeting)", .goodbye = QUIT },
	{ "greets in two lines", CHECK_GREETING, two_lines, CHECK_OK, "smtp: 220-mx.example.com ESMTP (greeting)", .goodbye = QUIT },
	{ "greets in one byte per 20 ms", CHECK_GREETING, dribble, CHECK_OK, "smtp: 220 mx.example.com ESMTP (g", .goodbye = QUIT },
	{ "greets after a delay", CHECK_GREETING, late, CHECK_OK, "smtp: 220 mx.example.com ESMTP (greeting)", .goodbye = QUIT },
	{ "greets after the time-out", CHECK_GREETING, too_late, CHECK_TIMEOUT, "smtp: no answer in 300ms (greeting)",
	  .goodbye = NO_QUIT, .timeout_ms = 300 },
	{ "greets with 421", CHECK_GREETING, says_421, CHECK_BUSY, "smtp: 421 4.3.2 try later (greeting)", .goodbye = QUIT },
	{ "greets with 421 and closes", CHECK_EHLO, says_421_and_goes, CHECK_BUSY,
	  "smtp: 421 4.3.2 too many connections (greeting)", .goodbye = NO_QUIT },
	{ "greets with 450", CHECK_GREETING, says_450, CHECK_BUSY, "smtp: 450 4.7.0 not yet (greeting)", .goodbye = QUIT },
	{ "greets with 554", CHECK_GREETING, says_554, CHECK_REJECTED, "smtp: 554 5.7.1 no SMTP service here (greeting)",
	  .goodbye = QUIT },
	{ "speaks SSH", CHECK_GREETING, speaks_ssh, CHECK_JUNK,
	  "smtp: not a reply: SSH-2.0-OpenSSH_9.2p1 Debian-2 (greeting)", .goodbye = NO_QUIT },
	{ "speaks TLS where none is asked for", CHECK_GREETING, binary, CHECK_JUNK, "smtp: not a reply: ??????F?? (greeting)",
	  .goodbye = NO_QUIT },
	{ "greets with a line of 1 MB", CHECK_GREETING, one_megabyte_line, CHECK_JUNK, "smtp: a line without end: 220 xxxx",
	  .goodbye = NO_QUIT },
	{ "answers EHLO with a line of 1 MB", CHECK_EHLO, one_megabyte_keyword, CHECK_JUNK,
	  "smtp: a line without end: 250-yyyy", .goodbye = QUIT },
	{ "says 250- without end", CHECK_EHLO, endless_ehlo, CHECK_JUNK, "smtp: a reply without end: 250-AND-ANOTHER-ONE (ehlo)",
	  .goodbye = QUIT },
	{ "says 250- slowly without end", CHECK_EHLO, slow_endless_ehlo, CHECK_TIMEOUT, "smtp: no answer in 300ms (ehlo)", .goodbye = QUIT,
	  .timeout_ms = 300 },
	{ "resets after EHLO", CHECK_EHLO, resets_after_ehlo, CHECK_RESET, "smtp: connection reset (ehlo)", .goodbye = NO_QUIT },
	{ "accepts and closes", CHECK_EHLO, closes_at_once, CHECK_RESET,
	  "smtp: connection closed without a greeting (greeting)", .goodbye = NO_QUIT },
	{ "accepts and says nothing", CHECK_GREETING, silent, CHECK_TIMEOUT, "smtp: no answer in 300ms (greeting)", .goodbye = NO_QUIT,
	  .timeout_ms = 300 },
	{ "does not answer EHLO", CHECK_EHLO, mute_after_greeting, CHECK_TIMEOUT, "smtp: no answer in 300ms (ehlo)", .goodbye = QUIT, .timeout_ms = 300 },
	{ "answers EHLO", CHECK_EHLO, polite, CHECK_OK, "smtp: 250-mx.example.com (ehlo)", .goodbye = QUIT },
	{ "offers what is required", CHECK_EHLO, polite, CHECK_OK, "smtp: 250-mx", .goodbye = QUIT, .keywords = "SIZE 8bitmime" },
	{ "does not offer what is required", CHECK_EHLO, polite, CHECK_REJECTED, "smtp: CHUNKING is not offered (ehlo)", .goodbye = QUIT,
	  .keywords = "SIZE CHUNKING" },
	{ "HAProxy: 250 in many lines", CHECK_EHLO, haproxy_multi, CHECK_OK, "smtp: 250-smtp-check.vtest (ehlo)", .goodbye = QUIT },
	{ "HAProxy: 250 in one line", CHECK_EHLO, haproxy_single, CHECK_OK, "smtp: 250 smtp-check.vtest (ehlo)", .goodbye = QUIT },
	{ "HAProxy: no code in the greeting", CHECK_EHLO, haproxy_no_banner, CHECK_JUNK,
	  "smtp: not a reply: SMTP Server (greeting)", .goodbye = NO_QUIT },
	{ "HAProxy: 421", CHECK_EHLO, haproxy_421, CHECK_BUSY, "smtp: 421 try again later (greeting)", .goodbye = QUIT },
	{ "HAProxy: 512 after EHLO", CHECK_EHLO, haproxy_512, CHECK_REJECTED, "smtp: 512 DNS error (ehlo)", .goodbye = QUIT },
	{ "220- and EHLO", CHECK_EHLO, two_lines, CHECK_OK, "smtp: 250-mx.example.com (ehlo)", .goodbye = QUIT },
	{ "STARTTLS", CHECK_STARTTLS, polite, CHECK_OK, "smtp: 250-mx.example.com (ehlo, certificate: 63 days)", .goodbye = QUIT,
	  .cert = CERT_GOOD, .verify = VERIFY_NAME },
	{ "does not offer STARTTLS", CHECK_STARTTLS, no_starttls, CHECK_TLS_FAILED, "smtp: STARTTLS is not offered (ehlo)", .goodbye = QUIT },
	{ "offers STARTTLS and refuses it", CHECK_STARTTLS, refuses_starttls, CHECK_TLS_FAILED,
	  "smtp: 454 4.7.0 TLS not available (starttls)", .goodbye = QUIT },
	{ "adds clear text to STARTTLS", CHECK_STARTTLS, injects_behind_starttls, CHECK_TLS_FAILED,
	  "smtp: clear text behind the reply to STARTTLS (starttls)", .goodbye = NO_QUIT },
	{ "goes on in the clear after STARTTLS", CHECK_STARTTLS, starttls_then_clear_text, CHECK_TLS_FAILED,
	  "smtp: handshake: wrong version number (tls)", .goodbye = NO_QUIT },
	{ "STARTTLS, expired certificate", CHECK_STARTTLS, polite, CHECK_TLS_FAILED,
	  "smtp: certificate: certificate has expired (tls)", .goodbye = QUIT, .cert = CERT_EXPIRED, .verify = VERIFY_CHAIN },
	{ "STARTTLS, another's certificate", CHECK_STARTTLS, polite, CHECK_TLS_FAILED,
	  "smtp: certificate is not for mx.example.com (tls)", .goodbye = QUIT, .cert = CERT_WRONG_NAME, .verify = VERIFY_NAME },
	{ "STARTTLS, self-signed certificate", CHECK_STARTTLS, polite, CHECK_TLS_FAILED,
	  "smtp: certificate: self-signed certificate (tls)", .goodbye = QUIT, .cert = CERT_SELF_SIGNED, .verify = VERIFY_CHAIN },
	{ "TLS from the start", CHECK_TLS, implicit_tls, CHECK_OK, "smtp: 250-mx.example.com (ehlo, certificate: 63 days)",
	  .goodbye = QUIT, .cert = CERT_GOOD, .verify = VERIFY_NAME },
	{ "TLS, any certificate will do", CHECK_TLS, implicit_tls, CHECK_OK, "smtp: 250-mx.example.com (ehlo, certificate: 0 d",
	  .goodbye = QUIT, .cert = CERT_EXPIRED, .verify = VERIFY_NONE },
	{ "TLS, another's will do for the chain", CHECK_TLS, implicit_tls, CHECK_OK, "smtp: 250-mx.example.com (ehlo", .goodbye = QUIT,
	  .cert = CERT_WRONG_NAME, .verify = VERIFY_CHAIN },
	{ "TLS, expired certificate", CHECK_TLS, implicit_tls, CHECK_TLS_FAILED,
	  "smtp: certificate: certificate has expired (tls)", .goodbye = QUIT, .cert = CERT_EXPIRED, .verify = VERIFY_NAME },
	{ "TLS, another's certificate", CHECK_TLS, implicit_tls, CHECK_TLS_FAILED,
	  "smtp: certificate is not for mx.example.com (tls)", .goodbye = QUIT, .cert = CERT_WRONG_NAME, .verify = VERIFY_NAME },
	{ "TLS, self-signed certificate", CHECK_TLS, implicit_tls, CHECK_TLS_FAILED,
	  "smtp: certificate: self-signed certificate (tls)", .goodbye = QUIT, .cert = CERT_SELF_SIGNED, .verify = VERIFY_CHAIN },
	{ "TLS hangs", CHECK_TLS, deaf, CHECK_TIMEOUT, "smtp: no answer in 300ms (tls)", .goodbye = NO_QUIT, .timeout_ms = 300 },
	{ "speaks SMTP in the clear, not TLS", CHECK_TLS, says_554, CHECK_TLS_FAILED, "smtp: handshake: wrong version number (tls)",
	  .goodbye = NO_QUIT },
	{ "takes the probe's recipient", CHECK_RCPT, polite, CHECK_OK, "smtp: 250 2.1.0 Ok (rcpt)", .goodbye = QUIT },
	{ "refuses the probe's recipient", CHECK_RCPT, rejects_rcpt, CHECK_REJECTED, "smtp: 550 5.1.1 no such user (rcpt)", .goodbye = QUIT },
	{ "greylists the probe's recipient", CHECK_RCPT, greylists_rcpt, CHECK_BUSY, "smtp: 451 4.7.1 Greylisted (rcpt)", .goodbye = QUIT },
	{ "takes the canary", CHECK_CANARY, polite, CHECK_OK, "smtp: 250 2.0.0 queued as 4711 (message)", .goodbye = QUIT },
	{ "refuses the canary", CHECK_CANARY, refuses_the_message, CHECK_REJECTED, "smtp: 554 5.7.1 looks like spam (message)",
	  .goodbye = QUIT },
	{ "takes RCPT and never answers the dot", CHECK_CANARY, never_answers_the_dot, CHECK_TIMEOUT,
	  "smtp: no answer in 300ms (message)", .goodbye = QUIT, .timeout_ms = 300 },
	{ "refuses the test virus", CHECK_CANARY, refuses_the_virus, CHECK_OK, "smtp: 554 5.7.1 virus found (scan)",
	  .goodbye = QUIT, .must_refuse = POISON_EICAR },
	{ "refuses the test spam", CHECK_CANARY, refuses_the_virus, CHECK_OK, "smtp: 554 5.7.1 virus found (scan)",
	  .goodbye = QUIT, .must_refuse = POISON_GTUBE },
	{ "takes the test virus", CHECK_CANARY, takes_both, CHECK_UNSCANNED,
	  "smtp: scanner took the EICAR test virus: 250 2.0.0 queued as 4711 (scan)", .goodbye = QUIT, .must_refuse = POISON_EICAR },
	{ "takes the test spam", CHECK_CANARY, takes_both, CHECK_UNSCANNED,
	  "smtp: scanner took the GTUBE test spam: 250 2.0.0 queued as 4711 (scan)", .goodbye = QUIT, .must_refuse = POISON_GTUBE },
	{ "refuses every message", CHECK_CANARY, refuses_both, CHECK_REJECTED, "smtp: 554 5.7.1 virus found (message)",
	  .goodbye = QUIT, .must_refuse = POISON_EICAR },
	{ "says 451 to the test virus", CHECK_CANARY, defers_the_virus, CHECK_BUSY,
	  "smtp: 451 4.7.1 scanner not available (scan)", .goodbye = QUIT, .must_refuse = POISON_EICAR },
	{ "says 421 to the test virus", CHECK_CANARY, goes_at_the_virus, CHECK_BUSY, "smtp: 421 4.3.2 shutting down (scan)",
	  .goodbye = QUIT, .must_refuse = POISON_EICAR },
	{ "says 354 to the test virus", CHECK_CANARY, says_354_to_the_virus, CHECK_JUNK, "smtp: unexpected: 354 more (scan)",
	  .goodbye = QUIT, .must_refuse = POISON_EICAR },
	{ "hangs at the test virus", CHECK_CANARY, hangs_at_the_virus, CHECK_TIMEOUT, "smtp: no answer in 300ms (scan)",
	  .goodbye = QUIT, .timeout_ms = 300, .must_refuse = POISON_EICAR },
	{ "drops the connection at the test virus", CHECK_CANARY, drops_at_the_virus, CHECK_RESET,
	  "smtp: connection closed (scan)", .goodbye = NO_QUIT, .must_refuse = POISON_EICAR },
	{ "refuses the second sender", CHECK_CANARY, one_message_a_session, CHECK_REJECTED,
	  "smtp: 550 5.5.1 one message is enough (mail)", .goodbye = QUIT, .must_refuse = POISON_EICAR },
};

static const char *const health_names[] = { "up", "busy", "down", "dead" };

static void begin(const struct behaviour *b, struct smtp_server *s, struct check_target *t)
{
	*s = (struct smtp_server){ .script = b->script, .cert = b->cert ? b->cert : CERT_GOOD };
	assert_int_equal(smtp_server_start(s), 0);
	*t = target_at(s->port, b->kind);
	if (b->timeout_ms)
		t->conf.timeout_ms = b->timeout_ms;
	t->conf.verify = b->verify;
	t->conf.proxy = b->proxy;
	t->conf.must_refuse = b->must_refuse;
	strcpy(t->conf.name, CERT_NAME);
	strcpy(t->conf.to, b->kind == CHECK_CANARY ? "sink@example.com" : "");
	if (b->keywords)
		strcpy(t->conf.keywords, b->keywords);
	memset(&verdict, 0, sizeof(verdict));
}

static void every_misbehaviour_has_its_verdict(void **state)
{
	struct check_target t;
	struct check_status status;
	struct smtp_server s;
	int bad = 0;

	(void)state;
	printf("%-40s %-9s %-5s %s\n", "a mail server that", "check", "is", "because");
	for (size_t i = 0; i < ARRAY_SIZE(behaviours); i++) {
		const struct behaviour *b = &behaviours[i];

		begin(b, &s, &t);
		assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, true), 0);
		RUN_UNTIL(verdict.n || (checks_status(checks, 1, &status) && status.at_ns));
		assert_true(checks_status(checks, 1, &status));
		/* It may still be saying goodbye: that does not depend on the target. */
		smtp_server_join(&s);
		printf("%-40s %-9s %-5s %s\n", b->name, check_kind_to_str(b->kind), health_names[verdict.health], verdict.reason);
		if (status.last != b->result || strncmp(status.text, b->text, strlen(b->text)) ||
		    (b->goodbye == QUIT) != s.quit || (s.greeted && !s.quit && b->goodbye == QUIT)) {
			printf("  ^ wrong: result %s, expected %s, \"%s\", QUIT %d; it heard \"%s\"\n",
			       check_result_to_str(status.last), check_result_to_str(b->result), b->text, s.quit, s.heard);
			bad++;
		}
		checks_remove(checks, 1);
	}
	assert_int_equal(bad, 0);
}

static void what_is_said_is_fixed(void **state)
{
	static const struct { struct behaviour b; const char *heard; } dialogues[] = {
		{ { .kind = CHECK_GREETING, .script = polite }, "QUIT|" },
		{ { .kind = CHECK_EHLO, .script = polite }, "EHLO probe.example.net|QUIT|" },
		{ { .kind = CHECK_RCPT, .script = polite },
		  "EHLO probe.example.net|MAIL FROM:<>|RCPT TO:<postmaster>|RSET|QUIT|" },
		{ { .kind = CHECK_STARTTLS, .script = polite },
		  "EHLO probe.example.net|STARTTLS|EHLO probe.example.net|QUIT|" },
		{ { .kind = CHECK_CANARY, .script = polite },
		  "EHLO probe.example.net|MAIL FROM:<>|RCPT TO:<sink@example.com>|DATA|Date: " },
	};
	struct check_status status;
	struct check_target t;
	struct smtp_server s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(dialogues); i++) {
		begin(&dialogues[i].b, &s, &t);
		assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, true), 0);
		RUN_UNTIL(checks_status(checks, 1, &status) && status.at_ns);
		smtp_server_join(&s);
		assert_memory_equal(s.heard, dialogues[i].heard, strlen(dialogues[i].heard));
		assert_true(s.quit);
		checks_remove(checks, 1);
	}
}

static char proxy_seen[1024];

static void wants_proxy(struct smtp_server *s)
{
	char sign[16];

	if (recv(s->fd, sign, 1, MSG_PEEK) == 1 && sign[0] == '\r') {
		assert_int_equal(recv(s->fd, sign, sizeof(sign), MSG_WAITALL), 16);
		assert_memory_equal(sign, "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);
		strcpy(proxy_seen, "v2 LOCAL");
	} else {
		snprintf(proxy_seen, sizeof(proxy_seen), "%s", hear(s) ?: "");
	}
	if (s->cert == CERT_SELF_SIGNED && !start_tls(s))
		return;
	polite(s);
}

static void the_header_of_a_proxy_comes_first(void **state)
{
	static const struct behaviour cases[] = {
		{ .kind = CHECK_EHLO, .script = wants_proxy, .proxy = PROXY_V1 },
		{ .kind = CHECK_EHLO, .script = wants_proxy, .proxy = PROXY_V2 },
		{ .kind = CHECK_TLS, .script = wants_proxy, .proxy = PROXY_V2, .cert = CERT_SELF_SIGNED },
	};
	struct check_status status;
	struct check_target t;
	struct smtp_server s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(&cases[i], &s, &t);
		assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, true), 0);
		RUN_UNTIL(checks_status(checks, 1, &status) && status.at_ns);
		smtp_server_join(&s);
		assert_int_equal(status.last, CHECK_OK);
		assert_true(s.quit);
		if (cases[i].proxy == PROXY_V1)
			assert_memory_equal(proxy_seen, "PROXY TCP4 127.0.0.1 127.0.0.1 ", 31);
		else
			assert_string_equal(proxy_seen, "v2 LOCAL");
		checks_remove(checks, 1);
	}
}

static void a_source_address_can_be_chosen(void **state)
{
	const struct behaviour b = { .kind = CHECK_GREETING, .script = polite };
	struct check_status status;
	struct check_target t;
	struct smtp_server s;

	(void)state;
	begin(&b, &s, &t);
	assert_int_equal(addr_parse("192.0.2.77", &t.conf.source), 0);
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(checks_status(checks, 1, &status) && status.at_ns);
	assert_int_equal(status.last, CHECK_INTERNAL);
	assert_non_null(strstr(status.text, "source 192.0.2.77"));
	assert_int_equal(verdict.n, 0);
	assert_int_equal(addr_parse("127.0.0.9", &t.conf.source), 0);
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(verdict.n);
	assert_int_equal(verdict.health, HEALTH_UP);
	smtp_server_join(&s);
	checks_remove(checks, 1);
}

static void two_messages_go_in_one_session(void **state)
{
	const struct behaviour b = { .kind = CHECK_CANARY, .script = refuses_the_virus, .must_refuse = POISON_EICAR };
	static const char *const order[] = {
		"EHLO probe.example.net|MAIL FROM:<>|RCPT TO:<sink@example.com>|DATA|", "Subject: mailxdp canary|", "discarded.|.|",
		"MAIL FROM:<>|RCPT TO:<sink@example.com>|DATA|", "Subject: mailxdp canary: the EICAR test virus|",
		"filename=\"eicar.com\"|X5O!P", "--=_mailxdp_canary--|.|QUIT|",
	};
	struct check_status status;
	struct check_target t;
	struct smtp_server s;
	const char *at;

	(void)state;
	begin(&b, &s, &t);
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(checks_status(checks, 1, &status) && status.at_ns);
	smtp_server_join(&s);
	at = s.heard;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		at = strstr(at, order[i]);
		if (!at)
			fail_msg("it did not hear \"%s\" in its place: %s", order[i], s.heard);
		at += strlen(order[i]);
	}
	assert_string_equal(at, "");
	checks_remove(checks, 1);
}

/* Without a fall's worth of failures, and though mail flows. */
static void one_message_that_is_not_scanned_is_enough(void **state)
{
	const struct behaviour b = { .kind = CHECK_CANARY, .script = takes_both, .must_refuse = POISON_EICAR };
	struct check_target t;
	struct smtp_server s;

	(void)state;
	begin(&b, &s, &t);
	assert_int_equal(t.conf.fall, 3);
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_UP, false), 0);
	RUN_UNTIL(verdict.n);
	smtp_server_join(&s);
	assert_int_equal(verdict.health, HEALTH_DOWN);
	assert_string_equal(verdict.reason, "smtp: scanner took the EICAR test virus: 250 2.0.0 queued as 4711 (scan)");
	checks_remove(checks, 1);
}

static struct { int n; enum check_result result; char text[POOL_TEXT_LEN], transcript[8193]; } told;

static void on_told(void *arg, enum check_result result, const char *text, const char *transcript)
{
	assert_ptr_equal(arg, &told);
	told.n++;
	told.result = result;
	snprintf(told.text, sizeof(told.text), "%s", text);
	snprintf(told.transcript, sizeof(told.transcript), "%s", transcript);
}

static void a_check_now_shows_the_dialogue(void **state)
{
	const struct behaviour b = { .kind = CHECK_RCPT, .script = polite };
	struct check_target t;
	struct smtp_server s;
	struct check_status status;

	(void)state;
	memset(&told, 0, sizeof(told));
	begin(&b, &s, &t);
	s.script = polite;
	assert_int_equal(checks_run_now(checks, 1, on_told, &told), -ENOENT);
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, true), 0);
	RUN_UNTIL(checks_status(checks, 1, &status) && status.at_ns);
	smtp_server_join(&s);
	/* nobody listens there any more */
	assert_int_equal(checks_run_now(checks, 1, on_told, &told), 0);
	assert_int_equal(told.n, 0);
	RUN_UNTIL(told.n);
	assert_int_equal(told.result, CHECK_REFUSED);
	assert_string_equal(told.text, "smtp: connection refused (connect)");
	begin(&b, &s, &t);
	assert_int_equal(checks_set(checks, 2, &t, HEALTH_UP, false), 0);
	memset(&told, 0, sizeof(told));
	assert_int_equal(checks_run_now(checks, 2, on_told, &told), 0);
	RUN_UNTIL(told.n);
	smtp_server_join(&s);
	assert_non_null(strstr(told.transcript, "* connected\n< 220 mx.example.com ESMTP\n> EHLO probe.example.net\n"
			       "< 250-mx.example.com\n< 250-8BITMIME\n< 250-SIZE 1000\n< 250 STARTTLS\n> MAIL FROM:<>\n"));
	assert_non_null(strstr(told.transcript, "> QUIT\n< 221 2.0.0 bye\n* closed\n"));
	assert_int_equal(verdict.n, 0);
	/* a backend that goes away ends it, whoever asked and left is not called */
	memset(&told, 0, sizeof(told));
	assert_int_equal(checks_run_now(checks, 2, on_told, &told), 0);
	assert_int_equal(checks_run_now(checks, 2, on_told, &told), 0);
	checks_remove(checks, 2);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.result, CHECK_INTERNAL);
	assert_int_equal(checks_run_now(checks, 1, on_told, &told), 0);
	checks_run_forget(checks, &told);
	checks_remove(checks, 1);
	assert_int_equal(told.n, 2);
}

static void a_probe_asks_only_whether_anybody_is_there(void **state)
{
	const struct behaviour b = { .kind = CHECK_RCPT, .script = polite };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	struct check_target t;
	struct smtp_server s;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), waiting[2];

	(void)state;
	memset(&told, 0, sizeof(told));
	begin(&b, &s, &t);
	assert_int_equal(checks_probe(checks, 1, 5000, on_told, &told), -ENOENT);
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, false), 0);
	assert_int_equal(checks_probe(checks, 1, 5000, on_told, &told), 0);
	RUN_UNTIL(told.n == 1);
	assert_int_equal(told.result, CHECK_OK);
	assert_string_equal(told.text, "smtp: connected (greeting)");
	smtp_server_join(&s);
	assert_true(s.quit); /* it takes leave all the same */
	assert_null(strstr(s.heard, "MAIL"));
	assert_int_equal(checks_probe(checks, 1, 5000, on_told, &told), 0);
	RUN_UNTIL(told.n == 2);
	assert_int_equal(told.result, CHECK_REFUSED);
	/* a queue without room: a SYN is not answered */
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	for (int i = 0; i < 2; i++) {
		waiting[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		connect(waiting[i], (struct sockaddr *)&at, sizeof(at));
	}
	t.port = ntohs(at.sin_port);
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, false), 0);
	assert_int_equal(checks_probe(checks, 1, 50, on_told, &told), 0);
	RUN_UNTIL(told.n == 3);
	assert_int_equal(told.result, CHECK_UNREACHABLE);
	assert_string_equal(told.text, "smtp: no connection in 50ms (connect)");
	checks_remove(checks, 1);
	close(waiting[0]);
	close(waiting[1]);
	close(listener);
	assert_int_equal(verdict.n, 0);
}

static void the_dialogue_names_the_test_string_and_does_not_show_it(void **state)
{
	const struct behaviour b = { .kind = CHECK_CANARY, .script = takes_both, .must_refuse = POISON_GTUBE };
	struct check_target t;
	struct smtp_server s;

	(void)state;
	memset(&told, 0, sizeof(told));
	begin(&b, &s, &t);
	assert_int_equal(checks_set(checks, 2, &t, HEALTH_UP, false), 0);
	assert_int_equal(checks_run_now(checks, 2, on_told, &told), 0);
	RUN_UNTIL(told.n);
	smtp_server_join(&s);
	assert_int_equal(told.result, CHECK_UNSCANNED);
	assert_non_null(strstr(told.transcript, "> DATA\n< 354 end with a dot\n> (a message)\n> .\n< 250 2.0.0 queued as 4711\n"
			       "> MAIL FROM:<>\n"));
	assert_non_null(strstr(told.transcript, "> (a message with the GTUBE test spam)\n> .\n< 250 2.0.0 queued as 4711\n"
			       "* mail is not scanned: scanner took the GTUBE test spam: 250 2.0.0 queued as 4711 (scan)\n"));
	assert_null(strstr(told.transcript, "XJS"));
	checks_remove(checks, 2);
}

static void killing_the_process_changes_no_state(void **state)
{
	const struct behaviour b = { .kind = CHECK_GREETING, .script = silent };
	struct check_status status;
	struct check_target t;
	struct smtp_server s, next = { .script = polite };
	pid_t pid;

	(void)state;
	begin(&b, &s, &t);
	t.conf.interval_ms = 300;
	t.conf.fall = t.conf.rise = 1;
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_UP, false), 0);
	for (int i = 0; i < 5; i++)
		sd_event_run(event, 20000);
	pid = checks_checker_pid(checks);
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	RUN_UNTIL(checks_status(checks, 1, &status) && status.at_ns);
	assert_int_equal(status.last, CHECK_INTERNAL);
	assert_string_equal(status.text, "smtp: the checker process ended");
	assert_int_equal(verdict.n, 0);
	smtp_server_join(&s);
	/* and they go on */
	assert_int_equal(smtp_server_start(&next), 0);
	t.port = next.port;
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_DOWN, false), 0);
	RUN_UNTIL(verdict.n);
	assert_int_equal(verdict.health, HEALTH_UP);
	assert_true(checks_checker_pid(checks) > 0 && checks_checker_pid(checks) != pid);
	smtp_server_join(&next);
	checks_remove(checks, 1);
}

static void a_process_that_hangs_is_replaced(void **state)
{
	const struct behaviour b = { .kind = CHECK_GREETING, .script = silent, .timeout_ms = 100 };
	struct check_status status;
	struct check_target t;
	struct smtp_server s;
	pid_t pid = checks_checker_pid(checks);

	(void)state;
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	begin(&b, &s, &t);
	t.conf.fall = 1;
	assert_int_equal(checks_set(checks, 1, &t, HEALTH_UP, false), 0);
	RUN_UNTIL(checks_status(checks, 1, &status) && status.at_ns);
	assert_int_equal(status.last, CHECK_INTERNAL);
	assert_int_equal(verdict.n, 0);
	shutdown(s.listener, SHUT_RDWR);
	smtp_server_join(&s);
	checks_remove(checks, 1);
}

static char ca_path[] = "/tmp/check_smtp_test.XXXXXX";

static int setup(void **state)
{
	int fd = mkstemp(ca_path);

	(void)state;
	if (fd == -1 || smtp_certs_make(ca_path))
		return -1;
	close(fd);
	setenv("SSL_CERT_FILE", ca_path, 1);
	signal(SIGPIPE, SIG_IGN);
	return sd_event_new(&event) < 0 || checks_open(event, on_verdict, NULL, &checks) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	checks_close(checks);
	event = sd_event_unref(event);
	smtp_certs_free();
	unlink(ca_path);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_misbehaviour_has_its_verdict),
		cmocka_unit_test(what_is_said_is_fixed),
		cmocka_unit_test(the_header_of_a_proxy_comes_first),
		cmocka_unit_test(a_source_address_can_be_chosen),
		cmocka_unit_test(two_messages_go_in_one_session),
		cmocka_unit_test(one_message_that_is_not_scanned_is_enough),
		cmocka_unit_test(the_dialogue_names_the_test_string_and_does_not_show_it),
		cmocka_unit_test(a_check_now_shows_the_dialogue),
		cmocka_unit_test(a_probe_asks_only_whether_anybody_is_there),
		cmocka_unit_test(killing_the_process_changes_no_state),
		cmocka_unit_test(a_process_that_hangs_is_replaced),
	};

	if (argc == 3 && !strcmp(argv[1], CHECKER_OPTION))
		return checker_main(CHECKER_FD);
	return cmocka_run_group_tests(tests, setup, teardown);
}
