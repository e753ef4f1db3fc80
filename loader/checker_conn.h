/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of the checker process share: one check under way, and the layers it is made of. The loop
 * (checker_main.c) owns connections and time; checker_conn.c moves bytes; checker_tls.c wraps them;
 * checker_smtp.c knows what is said. Included by checker_*.c only.
 */
#ifndef LB_CHECKER_CONN_H
#define LB_CHECKER_CONN_H

#include <openssl/ssl.h>
#include <sys/queue.h>
#include "canary.h"
#include "checker_wire.h"
#include "smtp_reply.h"

#define CONN_OUT_MAX	CANARY_MAX	/* our longest command is a message */

struct server {
	int fd, epoll;
	bool wants_out;		/* the socket to lbd is full */
	size_t unsent;		/* answers */
	TAILQ_HEAD(conn_list, conn) conns;
	size_t conns_n;
	SSL_CTX *tls;
};

struct conn {
	TAILQ_ENTRY(conn) link;
	struct server *server;
	struct checker_request req;
	enum checker_stage stage;
	int fd;			/* -1: closed, only the answer is left to send */
	__u32 events;		/* that epoll waits for */
	bool connected, closing;
	bool cancelled;		/* nobody wants the answer */
	bool greeted;		/* the server has introduced itself: it is owed a QUIT */
	bool deaf;		/* what comes is no SMTP any more: drop it */
	bool eof;
	bool decided, sent;	/* the answer: known, sent */
	SSL *ssl;
	bool tls_done;
	__u64 start_us, deadline_us;
	struct reply reply;
	size_t ehlo_lines, dropped;
	bool offers_tls;
	__u32 offers;		/* which of the wanted keywords */
	bool taken;		/* the canary: now comes what must be refused */
	char said[POOL_TEXT_LEN];	/* the reply that counts, when another one comes after it */
	char out[CONN_OUT_MAX];
	size_t out_len, out_at;
	struct checker_answer answer;
	char *transcript;
	size_t transcript_len, transcript_sent;
};

/* checker_conn.c */
int conn_open(struct server *server, const struct checker_request *req);	/* 0 or -ENOMEM */
void conn_free(struct conn *c);
void conn_on_event(struct conn *c);
void conn_on_deadline(struct conn *c);
void conn_cancel(struct conn *c);
/* Queues bytes; they go out when the socket is ready. shown: for the transcript, NULL: the bytes themselves. */
void conn_put(struct conn *c, const char *bytes, size_t n, const char *shown);
void conn_say(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The verdict: the first one counts. " (stage)" goes behind the text. Then the goodbye: QUIT where it is due. */
void conn_decide(struct conn *c, enum check_result result, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void conn_close(struct conn *c);

/* checker_smtp.c: all of them may end in conn_decide(). */
void smtp_connected(struct conn *c);
void smtp_tls_up(struct conn *c);
void smtp_reply(struct conn *c);	/* c->reply is complete, or junk */
void smtp_agent(struct conn *c, const char *bytes, size_t n, bool end);
void smtp_await(struct conn *c, enum checker_stage stage);

/* checker_tls.c */
int tls_open(struct server *server);
void tls_close(struct server *server);
void tls_start(struct conn *c);
void tls_step(struct conn *c);		/* the handshake goes on */
ssize_t tls_read(struct conn *c, char *buf, size_t size);	/* as read(), errno too */
ssize_t tls_write(struct conn *c, const char *buf, size_t n);

/* checker_sandbox.c: gives up what a check does not need. 0 or -errno. */
int sandbox_enter(void);

const char *checker_stage_to_str(enum checker_stage stage);

#endif
