/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libmicrohttpd on a unix socket, run by the event loop: the library's epoll descriptor is one event
 * source, its next time-out another. Everything that protects the daemon from its clients is
 * here: limits of size, number and silence, the file's mode, and who may change anything. What
 * a request means is the handler's affair.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api_names.h"
#include "http.h"
#include "log.h"

#define CONNECTION_MEMORY	16384	/* request line and headers; bodies are kept by us */
#define DISCARD_MAX		(16 * API_MAX_BODY)	/* read and thrown away to deliver an error */
#define BACKLOG			16

struct http {
	struct MHD_Daemon *daemon;
	sd_event_source *io, *timer;
	http_handler handler;
	void *arg;
	int (*peer)(int fd, struct http_peer *out);
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	dev_t dev;		/* of the socket file, to know it again */
	ino_t ino;
	bool was_full;
	unsigned int max_clients;
};

/* A request that is still coming in. */
struct incoming {
	char *body;
	size_t len;		/* seen, stored or not */
	bool too_big;
};

bool http_peer_may_change(const struct http_peer *peer, uid_t own, gid_t socket_group)
{
	if (peer->uid == 0 || peer->uid == own || peer->gid == socket_group)
		return true;
	for (size_t i = 0; i < peer->groups_n; i++)
		if (peer->groups[i] == socket_group)
			return true;
	return false;
}

/* SO_PEERGROUPS and not getgrouplist(): the groups the process had, from the kernel, without
 * waiting in the event loop for a directory server. */
static int peer_of_socket(int fd, struct http_peer *out)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return -errno;
	out->uid = cred.uid;
	out->gid = cred.gid;
	len = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
		return 0;
	out->groups = malloc(len);
	if (!out->groups)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, out->groups, &len) == 0)
		out->groups_n = len / sizeof(gid_t);
	return 0;
}

static bool is_ours(const struct http *http, struct stat *st)
{
	return http->ino && lstat(http->path, st) == 0 && st->st_dev == http->dev &&
	       st->st_ino == http->ino;
}

static bool may_change(const struct http *http, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;
	struct http_peer peer = {};
	bool may = false;
	struct stat st;
	gid_t group;

	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (!info || http->peer(info->connect_fd, &peer) < 0)
		goto out;
	/* A file that is no longer ours says nothing about our clients: no group then. */
	group = is_ours(http, &st) ? st.st_gid : (gid_t)-1;
	may = http_peer_may_change(&peer, geteuid(), group);
out:
	free(peer.groups);
	return may;
}

static const char *query_of_connection(const struct http_request *req, const char *key)
{
	const char *value = NULL;
	size_t len;

	if (MHD_lookup_connection_value_n(req->query_arg, MHD_GET_ARGUMENT_KIND, key, strlen(key),
					  &value, &len) != MHD_YES)
		return NULL;
	return value ? value : "";
}

static enum MHD_Result send_answer(struct MHD_Connection *connection, struct http_answer *answer)
{
	enum MHD_Result result = MHD_NO;
	struct MHD_Response *response;

	response = MHD_create_response_from_buffer(answer->len, answer->body, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(answer->body);
		return MHD_NO;
	}
	if (!answer->type ||
	    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type) == MHD_YES)
		result = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_request(struct http *http, struct MHD_Connection *connection,
				      const char *path, const char *method, const struct incoming *in)
{
	bool stored = in->body && !in->too_big;
	struct http_request req = {
		.method = method, .path = path,
		.body = stored ? in->body : "", .body_len = stored ? in->len : 0,
		.body_too_big = in->too_big,
		.may_change = may_change(http, connection),
		.query = query_of_connection, .query_arg = connection,
	};
	struct http_answer answer = {};

	if (http->handler(http->arg, &req, &answer) < 0) {
		free(answer.body);
		answer = (struct http_answer){ .status = MHD_HTTP_INTERNAL_SERVER_ERROR };
	}
	return send_answer(connection, &answer);
}

static enum MHD_Result store_body(struct incoming *in, const char *data, size_t len)
{
	if (len > DISCARD_MAX - in->len)
		return MHD_NO;		/* endless: not worth an answer any more */
	if (in->len + len > API_MAX_BODY)
		in->too_big = true;
	if (!in->too_big) {
		char *body = realloc(in->body, in->len + len + 1);

		if (!body)
			return MHD_NO;
		memcpy(body + in->len, data, len);
		body[in->len + len] = '\0';
		in->body = body;
	}
	in->len += len;
	return MHD_YES;
}

/* Called once with the headers, then for each piece of the body, then with an empty piece. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *data_len, void **con_cls)
{
	struct incoming *in = *con_cls;
	enum MHD_Result result;

	(void)version;
	if (!in) {
		*con_cls = calloc(1, sizeof(*in));
		return *con_cls ? MHD_YES : MHD_NO;
	}
	if (*data_len == 0)
		return answer_request(arg, connection, path, method, in);
	result = store_body(in, data, *data_len);
	*data_len = 0;
	return result;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **con_cls,
			 enum MHD_RequestTerminationCode code)
{
	struct incoming *in = *con_cls;

	(void)arg, (void)connection, (void)code;
	if (in)
		free(in->body);
	free(in);
	*con_cls = NULL;
}

static void on_log(void *arg, const char *fmt, va_list args)
{
	char text[256];

	(void)arg;
	vsnprintf(text, sizeof(text), fmt, args);
	text[strcspn(text, "\n")] = '\0';
	log_debug("http: %s", text);
}

static bool is_full(const struct http *http)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info && info->num_connections >= http->max_clients;
}

static void run(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG wait_ms;

	MHD_run(http->daemon);
	/* A full house takes the listening socket out of the library's epoll set, and only the run
	 * after a client has left puts it back. */
	if (http->was_full && !is_full(http))
		MHD_run(http->daemon);
	http->was_full = is_full(http);

	if (MHD_get_timeout(http->daemon, &wait_ms) == MHD_YES &&
	    sd_event_source_set_time_relative(http->timer, wait_ms * 1000) >= 0)
		sd_event_source_set_enabled(http->timer, SD_EVENT_ONESHOT);
	else
		sd_event_source_set_enabled(http->timer, SD_EVENT_OFF);
}

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)source, (void)fd, (void)events;
	run(arg);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t now, void *arg)
{
	(void)source, (void)now;
	run(arg);
	return 0;
}

/* 0: the path is free, or was taken by a dead daemon's socket and is free now. */
static int clear_path(const struct sockaddr_un *addr)
{
	struct stat st;
	int err = 0;
	int fd;

	if (lstat(addr->sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	/* EAGAIN is a live daemon with a full backlog. */
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno == EAGAIN)
		err = -EADDRINUSE;
	else if (errno != ECONNREFUSED && errno != ENOENT)
		err = -errno;
	else if (unlink(addr->sun_path) == -1 && errno != ENOENT)
		err = -errno;
	close(fd);
	return err;
}

/* Two daemons that start at once must not each take the other's fresh socket for a dead one: test,
 * removal, bind and listen happen under a lock on the folder. */
static int lock_folder(const char *path)
{
	char copy[PATH_MAX];
	const char *folder;
	int fd, err;

	if (strlen(path) >= sizeof(copy))
		return -ENAMETOOLONG;
	strcpy(copy, path);
	folder = dirname(copy);
	if (mkdir(folder, 0755) == -1 && errno != EEXIST)
		return -errno;
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -errno;
	if (flock(fd, LOCK_EX) == -1) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int bind_and_listen(int fd, const struct sockaddr_un *addr)
{
	mode_t old = umask(0117);	/* never open to all, not even between bind and chmod */
	int err = 0;

	if (bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) == -1)
		err = -errno;
	umask(old);
	if (!err && listen(fd, BACKLOG) == -1)
		err = -errno;
	return err;
}

/* The listening descriptor, or -errno. */
static int listen_on(struct http *http)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = -1, folder = -1;
	struct stat st;
	int err;

	strcpy(addr.sun_path, http->path);
	folder = lock_folder(http->path);
	if (folder < 0)
		return folder;
	err = clear_path(&addr);
	if (err < 0)
		goto out;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		err = -errno;
		goto out;
	}
	err = bind_and_listen(fd, &addr);
	if (err < 0)
		goto out;
	if (lstat(http->path, &st) == -1) {
		err = -errno;
		goto out;
	}
	http->dev = st.st_dev;
	http->ino = st.st_ino;
out:
	close(folder);
	if (err < 0 && fd != -1)
		close(fd);
	return err < 0 ? err : fd;
}

static int start(struct http *http, sd_event *event, unsigned int timeout_s)
{
	const union MHD_DaemonInfo *info;
	int fd, err;

	fd = listen_on(http);
	if (fd < 0)
		return fd;
	http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG, 0, NULL, NULL,
					on_request, http,
					MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
					MHD_OPTION_LISTEN_SOCKET, fd,
					MHD_OPTION_CONNECTION_LIMIT, http->max_clients,
					MHD_OPTION_CONNECTION_TIMEOUT, timeout_s,
					MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
					MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
					MHD_OPTION_END);
	if (!http->daemon) {
		close(fd);
		return -EIO;
	}
	info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EIO;
	err = sd_event_add_io(event, &http->io, info->epoll_fd, EPOLLIN, on_ready, http);
	if (err < 0)
		return err;
	err = sd_event_add_time_relative(event, &http->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, http);
	return err < 0 ? err : 0;
}

int http_open(sd_event *event, const struct http_conf *conf, struct http **out)
{
	struct http *http;
	int err;

	if (strlen(conf->path) >= sizeof(http->path))
		return log_ret(-ENAMETOOLONG, "control socket \"%s\"", conf->path);
	http = calloc(1, sizeof(*http));
	if (!http)
		return log_ret(-ENOMEM, "control socket \"%s\"", conf->path);
	strcpy(http->path, conf->path);
	http->handler = conf->handler;
	http->arg = conf->arg;
	http->peer = conf->peer ? conf->peer : peer_of_socket;
	http->max_clients = conf->max_clients ? conf->max_clients : API_MAX_CLIENTS;

	err = start(http, event, conf->timeout_s ? conf->timeout_s : API_TIMEOUT_S);
	if (err < 0) {
		http_close(http);
		if (err == -EADDRINUSE)
			return log_ret(err, "control socket \"%s\": another daemon answers there, stop it "
				       "first or give --socket", conf->path);
		if (err == -EEXIST)
			return log_ret(err, "control socket \"%s\": there is something that is no socket, "
				       "move it away", conf->path);
		return log_ret(err, "control socket \"%s\"", conf->path);
	}
	*out = http;
	return 0;
}

void http_close(struct http *http)
{
	struct stat st;

	if (!http)
		return;
	sd_event_source_disable_unref(http->timer);
	sd_event_source_disable_unref(http->io);
	/* Gone from the folder before it stops answering: nobody finds a dead socket. */
	if (is_ours(http, &st))
		unlink(http->path);
	if (http->daemon)
		MHD_stop_daemon(http->daemon);	/* closes the listening socket too */
	free(http);
}
