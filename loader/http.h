/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An HTTP/1.1 server on one unix socket, run by the event loop. It hands each complete request to
 * one handler and sends back what that answers; it knows limits and credentials, and neither
 * routes nor JSON.
 */
#ifndef LB_HTTP_H
#define LB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

struct http_request {
	const char *method, *path;	/* path: decoded, without the query */
	const char *body;		/* ends in a NUL that body_len does not count */
	size_t body_len;
	bool body_too_big;		/* over API_MAX_BODY: body is empty */
	bool may_change;		/* the peer may do more than read */
	/* Decoded value of a query argument, "" when it has none, NULL when it is absent. */
	const char *(*query)(const struct http_request *req, const char *key);
	void *query_arg;
};

struct http_answer {
	unsigned int status;
	const char *type;		/* a constant */
	char *body;			/* malloc()ed: the server frees it */
	size_t len;
};

/* Fills out. -errno when it cannot: the client then gets an empty 500. */
typedef int (*http_handler)(void *arg, const struct http_request *req, struct http_answer *out);

/* Who is on the other end, as of its connect(). */
struct http_peer {
	uid_t uid;
	gid_t gid;
	gid_t *groups;			/* supplementary; malloc()ed, the server frees it */
	size_t groups_n;
};

/* The rule: root, the daemon's own user, members of the socket's group. */
bool http_peer_may_change(const struct http_peer *peer, uid_t own, gid_t socket_group);

struct http_conf {
	const char *path;
	http_handler handler;
	void *arg;
	/* Zero means: ask the socket, API_TIMEOUT_S, API_MAX_CLIENTS. Only tests want others. */
	int (*peer)(int fd, struct http_peer *out);
	unsigned int timeout_s, max_clients;
};

struct http;

/*
 * Creates the socket, mode 0660, and its folder (0755) when that is missing. A socket file that nobody
 * listens on is replaced. -EADDRINUSE: a daemon answers there; -EEXIST: the path is no
 * socket (a symlink, too); or another -errno. Logs the cause. The group of the socket is that of the
 * file: chgrp takes effect at once.
 */
int http_open(sd_event *event, const struct http_conf *conf, struct http **out);
/* Removes the socket file if it is still ours. NULL is fine. */
void http_close(struct http *http);

#endif
