/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A server of http.c in a thread of the test, on a socket in a fresh folder. The test's own thread is the
 * client.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "../../loader/http.h"

struct http_server {
	char folder[64], path[96];
	sd_event *event;
	struct http *http;
	pthread_t thread;
	int stop_fd;
	sd_event_source *stop;
};

static int http_server_on_stop(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	(void)fd, (void)events, (void)arg;
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static void *http_server_run(void *arg)
{
	sd_event_loop(arg);
	return NULL;
}

static void http_server_folder(struct http_server *server)
{
	snprintf(server->folder, sizeof(server->folder), "/tmp/mailxdp-test-XXXXXX");
	assert_non_null(mkdtemp(server->folder));
	snprintf(server->path, sizeof(server->path), "%s/lbd.sock", server->folder);
}

/* conf->path is set here. */
static void http_server_start(struct http_server *server, struct http_conf *conf)
{
	conf->path = server->path;
	assert_true(sd_event_new(&server->event) >= 0);
	assert_int_equal(http_open(server->event, conf, &server->http), 0);
	server->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(server->stop_fd >= 0);
	assert_true(sd_event_add_io(server->event, &server->stop, server->stop_fd, EPOLLIN, http_server_on_stop,
				    NULL) >= 0);
	assert_int_equal(pthread_create(&server->thread, NULL, http_server_run, server->event), 0);
}

static void http_server_stop(struct http_server *server)
{
	assert_int_equal(eventfd_write(server->stop_fd, 1), 0);
	assert_int_equal(pthread_join(server->thread, NULL), 0);
	http_close(server->http);
	sd_event_source_unref(server->stop);
	sd_event_unref(server->event);
	close(server->stop_fd);
}

static void http_server_clean(struct http_server *server)
{
	unlink(server->path);
	rmdir(server->folder);
}

#endif
