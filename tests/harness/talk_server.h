/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * talk_tool's mail server: takes everything, after as long as --scan says.
 */
#ifndef TALK_SERVER_H
#define TALK_SERVER_H

#include "talk_words.h"

static int server_hello(struct talk *t)
{
	if (opt.tls == TLS_IMPLICIT && talk_tls(t))
		return -1;
	return talk_say(t, "220 mailx ESMTP\r\n");
}

static void *server_session(void *arg)
{
	struct talk t = { .fd = (int)(intptr_t)arg };
	unsigned int seed = (unsigned int)t.fd * 2654435761u;
	bool data = false;
	char line[1024];
	int ret = server_hello(&t);

	while (!ret && talk_line(&t, line, sizeof(line)) >= 0) {
		if (data && strcmp(line, ".") != 0)
			continue;
		if (data && opt.scan_ms)
			usleep((useconds_t)(rand_r(&seed) % (2 * opt.scan_ms)) * 1000);
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

#endif
