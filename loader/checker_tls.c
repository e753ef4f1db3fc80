/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS under a check, by OpenSSL on the check's own socket. Not by libcurl: that hides the replies, cannot go on to a
 * polite QUIT behind a certificate that it does not like, and tells an expired one from a foreign one only
 * in words. So the handshake always completes, and the certificate is judged afterwards.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include "checker_conn.h"

int tls_open(struct server *server)
{
	server->tls = SSL_CTX_new(TLS_client_method());
	if (!server->tls)
		return -ENOMEM;
	/* Issuers: the system's, or those that SSL_CERT_FILE and SSL_CERT_DIR name. None at all shows when one is asked for. */
	SSL_CTX_set_default_verify_paths(server->tls);
	SSL_CTX_set_verify(server->tls, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_session_cache_mode(server->tls, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(server->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			 SSL_MODE_RELEASE_BUFFERS);
	ERR_clear_error();
	return 0;
}

void tls_close(struct server *server)
{
	SSL_CTX_free(server->tls);
	server->tls = NULL;
}

static bool is_address(const char *name)
{
	struct in6_addr out;

	return inet_pton(AF_INET, name, &out) == 1 || inet_pton(AF_INET6, name, &out) == 1;
}

static bool set_name(SSL *ssl, const struct check_conf *conf)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (!*conf->name)
		return true;
	if (is_address(conf->name))	/* no server name for those: RFC 6066, 3 */
		return conf->verify != VERIFY_NAME || X509_VERIFY_PARAM_set1_ip_asc(param, conf->name) == 1;
	if (SSL_set_tlsext_host_name(ssl, conf->name) != 1)
		return false;
	return conf->verify != VERIFY_NAME || SSL_set1_host(ssl, conf->name) == 1;
}

void tls_start(struct conn *c)
{
	c->stage = STAGE_TLS;
	c->ssl = SSL_new(c->server->tls);
	if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || !set_name(c->ssl, &c->req.conf)) {
		ERR_clear_error();
		conn_decide(c, CHECK_INTERNAL, 0, "TLS cannot start");
		return;
	}
	SSL_set_connect_state(c->ssl);
	tls_step(c);
}

static void judge_certificate(struct conn *c)
{
	X509 *cert = SSL_get1_peer_certificate(c->ssl);
	long verified = SSL_get_verify_result(c->ssl);
	int days = 0, seconds = 0;

	if (cert && ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)) == 1)
		c->answer.tls_days = days < 0 || seconds < 0 ? 0 : days;
	conn_say(c, "* %s, %s, certificate: %s, %d days left", SSL_get_version(c->ssl), SSL_get_cipher_name(c->ssl),
		 cert ? X509_verify_cert_error_string(verified) : "none", (int)c->answer.tls_days);
	X509_free(cert);
	if (c->req.conf.verify == VERIFY_NONE)
		return;
	if (!cert)
		conn_decide(c, CHECK_TLS_FAILED, 0, "no certificate");
	else if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH)
		conn_decide(c, CHECK_TLS_FAILED, 0, "certificate is not for %.100s", c->req.conf.name);
	else if (verified != X509_V_OK)
		conn_decide(c, CHECK_TLS_FAILED, 0, "certificate: %.100s", X509_verify_cert_error_string(verified));
}

static void handshake_failed(struct conn *c, int error, int cause)
{
	unsigned long why = ERR_peek_last_error();
	const char *text = why ? ERR_reason_error_string(why) : NULL;

	if (error == SSL_ERROR_SYSCALL && cause)
		conn_decide(c, check_from_errno(cause), 0, "%s", check_errno_text(cause));
	else if (ERR_GET_REASON(why) == SSL_R_UNEXPECTED_EOF_WHILE_READING || error == SSL_ERROR_SYSCALL)
		conn_decide(c, CHECK_RESET, 0, "connection closed");
	else
		conn_decide(c, CHECK_TLS_FAILED, 0, "handshake: %.100s", text ? text : "failed");
	ERR_clear_error();
}

void tls_step(struct conn *c)
{
	int ret, error, cause;

	ERR_clear_error();
	errno = 0;
	ret = SSL_do_handshake(c->ssl);
	cause = errno;
	if (ret == 1) {
		c->tls_done = true;
		judge_certificate(c);
		/* Also with a verdict: the server is asked for its greeting, so that it can be told goodbye. */
		smtp_tls_up(c);
		return;
	}
	error = SSL_get_error(c->ssl, ret);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		handshake_failed(c, error, cause);
}

/* The end of the peer's data, however it came about, is an end; the rest is an errno. */
static ssize_t result_of(struct conn *c, int ret, int cause)
{
	int error = SSL_get_error(c->ssl, ret);

	ERR_clear_error();
	switch (error) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		errno = cause;
		return cause ? -1 : 0;
	default:
		return 0;
	}
}

ssize_t tls_read(struct conn *c, char *buf, size_t size)
{
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_read(c->ssl, buf, size);
	return ret > 0 ? ret : result_of(c, ret, errno);
}

ssize_t tls_write(struct conn *c, const char *buf, size_t n)
{
	int ret;

	ERR_clear_error();
	errno = 0;
	ret = SSL_write(c->ssl, buf, n);
	if (ret > 0)
		return ret;
	ret = result_of(c, ret, errno);
	if (!ret)
		errno = EPIPE;
	return -1;
}
