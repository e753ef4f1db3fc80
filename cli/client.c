/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libcurl on the daemon's unix socket. Every way in which the daemon cannot be reached becomes an
 * exit code and a sentence here; what the daemon itself refuses, it has put in words.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "client.h"

#define TIMEOUT_S	30
#define ANSWER_MAX	(256 << 20)	/* a full table of flows is far below */
#define HOST		"http://mailxdp"	/* goes into the Host header, nowhere else */

struct answer {
	char *text;
	size_t len;
};

static enum lb_exit fail(struct client *client, enum lb_exit code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static enum lb_exit fail(struct client *client, enum lb_exit code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(client->error, sizeof(client->error), fmt, args);
	va_end(args);
	return code;
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct answer *answer = arg;
	size_t len = size * n;
	char *grown;

	if (len > ANSWER_MAX - answer->len)
		return 0;
	grown = realloc(answer->text, answer->len + len + 1);
	if (!grown)
		return 0;
	memcpy(grown + answer->len, data, len);
	answer->text = grown;
	answer->len += len;
	answer->text[answer->len] = '\0';
	return len;
}

static enum lb_exit fail_transfer(struct client *client, CURL *curl, CURLcode rc)
{
	const char *path = client->socket;
	long os_error = 0;

	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
	if (rc == CURLE_COULDNT_CONNECT && (os_error == EACCES || os_error == EPERM))
		return fail(client, LB_EXIT_NOT_PERMITTED, "not permitted to open %s: use sudo, or become a "
			    "member of the group that owns it", path);
	if (rc == CURLE_COULDNT_CONNECT)
		return fail(client, LB_EXIT_NO_DAEMON, "no daemon answers on %s: start it with "
			    "\"systemctl start mailxdp\" or \"lbd\"", path);
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return fail(client, LB_EXIT_TIMEOUT, "the daemon on %s did not answer within %d s: see "
			    "\"journalctl -u mailxdp\"", path, TIMEOUT_S);
	return fail(client, LB_EXIT_FAILED, "the daemon on %s broke off: %s; see \"journalctl -u mailxdp\"",
		    path, curl_easy_strerror(rc));
}

/* What the daemon refuses comes as {"error": text, "exit": N}. */
static enum lb_exit read_answer(struct client *client, long status, const struct answer *answer, json_t **out)
{
	json_error_t why;
	json_t *doc = json_loadb(answer->text ? answer->text : "", answer->len, 0, &why);
	const char *text = json_string_value(json_object_get(doc, "error"));
	json_int_t code = json_integer_value(json_object_get(doc, "exit"));
	enum lb_exit rc;

	if (doc && status == 200) {
		*out = doc;
		return LB_EXIT_OK;
	}
	if (text)
		rc = fail(client, code >= LB_EXIT_FAILED && code <= LB_EXIT_TIMEOUT ? code : LB_EXIT_FAILED,
			  "%s", text);
	else
		rc = fail(client, LB_EXIT_FAILED, "the answer of %s makes no sense (HTTP status %ld): is that "
			  "the socket of lbd?", client->socket, status);
	json_decref(doc);
	return rc;
}

/* --path-as-is and no proxy: the path and the way are ours, whatever the environment says. */
static CURLcode perform(CURL *curl, const struct client *client, const char *method, const char *url,
			const char *body, struct curl_slist *headers, struct answer *answer)
{
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->socket);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	if (strcmp(method, "GET") != 0) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body ? body : "");
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	}
	return curl_easy_perform(curl);
}

enum lb_exit client_request(struct client *client, const char *method, const char *path,
			    const json_t *body, json_t **out)
{
	struct curl_slist *headers = NULL;
	struct answer answer = {};
	char *url = NULL, *text = NULL;
	enum lb_exit rc;
	CURL *curl = NULL;
	long status = 0;
	CURLcode curl_rc;

	if (strlen(client->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return fail(client, LB_EXIT_USAGE, "the path of a socket cannot be this long: \"%s\"",
			    client->socket);
	curl = curl_easy_init();
	headers = curl_slist_append(NULL, "Content-Type: application/json");
	if (body)
		text = json_dumps(body, JSON_COMPACT);
	if (!curl || !headers || (body && !text) || asprintf(&url, HOST "%s", path) == -1) {
		url = NULL;
		rc = fail(client, LB_EXIT_FAILED, "out of memory");
		goto out;
	}
	curl_rc = perform(curl, client, method, url, text, headers, &answer);
	if (curl_rc != CURLE_OK) {
		rc = fail_transfer(client, curl, curl_rc);
		goto out;
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	rc = read_answer(client, status, &answer, out);
out:
	free(answer.text);
	free(text);
	free(url);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return rc;
}

char *client_path(const char *head, const char *name, const char *tail)
{
	char *escaped = curl_easy_escape(NULL, name, 0);
	char *path = NULL;

	if (escaped && asprintf(&path, "%s%s%s", head, escaped, tail) == -1)
		path = NULL;
	curl_free(escaped);
	return path;
}
