/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mail server for tests: one thread, one connection, one script; what it hears is kept. Certificates are made
 * on the spot. Waiting is bounded by the socket's time-outs.
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "descriptors.h"

enum cert { CERT_NONE = 0, CERT_GOOD, CERT_EXPIRED, CERT_WRONG_NAME, CERT_SELF_SIGNED, CERT_MAX };
#define CERT_NAME "mx.example.com"

struct smtp_server {
	void (*script)(struct smtp_server *s);
	enum cert cert;
	int listener, fd;
	unsigned short port;
	pthread_t thread;
	SSL *ssl;
	bool greeted;			/* a complete greeting went out */
	bool quit;			/* and was answered with QUIT in the end */
	char heard[4096];		/* all lines, with "|" between */
	size_t heard_len;
};

static struct { X509 *cert; EVP_PKEY *key; } __attribute__((unused)) smtp_certs[CERT_MAX], smtp_ca;

/* --- certificates --- */

static inline X509 *make_cert(EVP_PKEY *key, const char *name, long from, long to, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);
	char alt[128];
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), rand());
	X509_gmtime_adj(X509_getm_notBefore(cert), from);
	X509_gmtime_adj(X509_getm_notAfter(cert), to);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : subject);
	X509_set_pubkey(cert, key);
	X509V3_set_ctx(&ctx, issuer ? issuer : cert, cert, NULL, NULL, 0);
	snprintf(alt, sizeof(alt), "DNS:%s", name);
	ext = issuer ? X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, alt) :
	      X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, "critical,CA:TRUE");
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	X509_sign(cert, issuer_key ? issuer_key : key, EVP_sha256());
	return cert;
}

/* The issuer's certificate goes to ca_path. */
static inline int smtp_certs_make(const char *ca_path)
{
	const long day = 86400;
	FILE *f = fopen(ca_path, "w");

	if (!f)
		return -1;
	smtp_ca.key = EVP_EC_gen("P-256");
	smtp_ca.cert = make_cert(smtp_ca.key, "test issuer", -day, 3650 * day, NULL, NULL);
	for (int i = CERT_GOOD; i < CERT_MAX; i++) {
		bool self = i == CERT_SELF_SIGNED;

		smtp_certs[i].key = EVP_EC_gen("P-256");
		smtp_certs[i].cert = make_cert(smtp_certs[i].key, i == CERT_WRONG_NAME ? "other.example.com" : CERT_NAME,
					       -10 * day, i == CERT_EXPIRED ? -3 * day : 63 * day + 3600,
					       self ? NULL : smtp_ca.cert, self ? NULL : smtp_ca.key);
	}
	PEM_write_X509(f, smtp_ca.cert);
	return fclose(f);
}

static inline void smtp_certs_free(void)
{
	for (int i = 0; i < CERT_MAX; i++) {
		X509_free(smtp_certs[i].cert);
		EVP_PKEY_free(smtp_certs[i].key);
	}
	X509_free(smtp_ca.cert);
	EVP_PKEY_free(smtp_ca.key);
}

/* --- what scripts are made of --- */

static inline bool put(struct smtp_server *s, const char *bytes, size_t n)
{
	if (s->ssl)
		return SSL_write(s->ssl, bytes, n) == (int)n;
	return send(s->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n;
}

static inline bool say(struct smtp_server *s, const char *text)
{
	return put(s, text, strlen(text));
}

static inline void greet(struct smtp_server *s, const char *text)
{
	s->greeted = say(s, text);
}

/* A line; NULL at the end of the connection. */
static inline const char *hear(struct smtp_server *s)
{
	static _Thread_local char line[1024];
	size_t n = 0;
	char c = 0;

	while (n < sizeof(line) - 1 && (s->ssl ? SSL_read(s->ssl, &c, 1) : recv(s->fd, &c, 1, 0)) == 1 && c != '\n')
		if (c != '\r')
			line[n++] = c;
	line[n] = '\0';
	if (!n && c != '\n')
		return NULL;
	if (n && s->heard_len + n + 2 < sizeof(s->heard))
		s->heard_len += sprintf(s->heard + s->heard_len, "%s|", line);
	if (!strcmp(line, "QUIT"))
		s->quit = true;
	return line;
}

static inline void hear_quit(struct smtp_server *s)
{
	while (hear(s))
		if (s->quit) {
			say(s, "221 2.0.0 bye\r\n");
			break;
		}
}

static inline bool start_tls(struct smtp_server *s)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	bool good;

	SSL_CTX_use_certificate(ctx, smtp_certs[s->cert].cert);
	SSL_CTX_use_PrivateKey(ctx, smtp_certs[s->cert].key);
	s->ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_fd(s->ssl, s->fd);
	good = SSL_accept(s->ssl) == 1;
	return good;
}

static inline void cut(struct smtp_server *s)
{
	struct linger hard = { 1, 0 };

	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

/* --- the server --- */

static inline void *smtp_server_run(void *arg)
{
	struct smtp_server *s = arg;
	struct timeval patience = { .tv_sec = 10 };

	s->fd = accept(s->listener, NULL, NULL);
	if (s->fd == -1)
		return NULL;
	setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	s->script(s);
	if (s->ssl)
		SSL_shutdown(s->ssl);
	SSL_free(s->ssl);
	s->ssl = NULL;
	close(s->fd);
	return NULL;
}

static inline int smtp_server_start(struct smtp_server *s)
{
	s->listener = loopback_listener(&s->port, 8);
	return pthread_create(&s->thread, NULL, smtp_server_run, s);
}

static inline void smtp_server_join(struct smtp_server *s)
{
	pthread_join(s->thread, NULL);
	close(s->listener);
}

#endif
