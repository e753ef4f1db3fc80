/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See responder.h. One struct per listener, one per conversation; whoever is beyond the bound waits in the
 * kernel's accept queue, which is as short as that.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "log.h"
#include "responder.h"

#define MAX_LISTENERS	(LB_MAX_VIPS)
#define SMTPS_PORT	465
#define DEFAULT_TEXT	"4.3.2 no mail server can take this connection now, please try again later"

struct listener {
	bool used, wanted;
	struct lb_addr vip;
	__u16 port;
	int fd;
	char greeting[POOL_TEXT_LEN + 16];
	sd_event_source *source;
	struct responder *owner;
};

struct conversation {
	bool used;
	int fd;
	sd_event_source *source, *timer;
	struct responder *owner;
};

struct responder {
	sd_event *event;
	struct listener listeners[MAX_LISTENERS];
	struct conversation conversations[RESPONDER_MAX_CONNS];
};

static void end(struct conversation *c)
{
	sd_event_source_disable_unref(c->source);
	sd_event_source_disable_unref(c->timer);
	close(c->fd);
	memset(c, 0, sizeof(*c));
}

static int on_time(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	end(arg);
	return 0;
}

/* Whatever it says first ends it; QUIT gets its answer (RFC 5321, 4.1.1.10), all else the refusal again. */
static int on_words(sd_event_source *source, int fd, uint32_t revents, void *arg)
{
	static const char bye[] = "221 2.0.0 bye\r\n", no[] = "421 4.3.2 try again later\r\n";
	struct conversation *c = arg;
	char buf[512];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	(void)source;
	(void)revents;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n >= 4 && strncasecmp(buf, "QUIT", 4) == 0)
		(void)!send(fd, bye, sizeof(bye) - 1, MSG_NOSIGNAL);
	else if (n > 0)
		(void)!send(fd, no, sizeof(no) - 1, MSG_NOSIGNAL);
	end(c);
	return 0;
}

static int on_connection(sd_event_source *source, int listen_fd, uint32_t revents, void *arg)
{
	struct listener *l = arg;
	struct responder *r = l->owner;
	struct conversation *c = NULL;
	int fd;

	(void)source;
	(void)revents;
	fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1)
		return 0;
	for (size_t i = 0; !c && i < RESPONDER_MAX_CONNS; i++)
		if (!r->conversations[i].used)
			c = &r->conversations[i];
	(void)!send(fd, l->greeting, strlen(l->greeting), MSG_NOSIGNAL);
	if (!c) { /* no room to wait for its QUIT */
		close(fd);
		return 0;
	}
	*c = (struct conversation) { .used = true, .fd = fd, .owner = r };
	if (sd_event_add_io(r->event, &c->source, fd, EPOLLIN, on_words, c) < 0 ||
	    sd_event_add_time_relative(r->event, &c->timer, CLOCK_MONOTONIC, RESPONDER_TIME_S * 1000000ULL, 100000, on_time,
				       c) < 0)
		end(c);
	return 0;
}

static void listener_close(struct listener *l)
{
	sd_event_source_disable_unref(l->source);
	close(l->fd);
	memset(l, 0, sizeof(*l));
}

static int listener_open(struct responder *r, struct listener *l, const struct lb_addr *vip, __u16 port)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(vip, port, &sa);
	int one = 1, ret, fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* the VIP may be somebody else's to put here, and may come later */
	if (sa.ss_family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &one, sizeof(one));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&sa, len) == -1 || listen(fd, RESPONDER_MAX_CONNS) == -1) {
		ret = -errno;
		close(fd);
		return ret;
	}
	*l = (struct listener) { .used = true, .vip = *vip, .port = port, .fd = fd, .owner = r };
	ret = sd_event_add_io(r->event, &l->source, fd, EPOLLIN, on_connection, l);
	if (ret < 0)
		listener_close(l);
	return ret < 0 ? ret : 0;
}

static struct listener *find(struct responder *r, const struct lb_addr *vip, __u16 port)
{
	for (size_t i = 0; i < MAX_LISTENERS; i++)
		if (r->listeners[i].used && r->listeners[i].port == port && addr_equal(&r->listeners[i].vip, vip))
			return &r->listeners[i];
	return NULL;
}

static bool listen_on(struct responder *r, const struct service *svc, const struct lb_addr *vip, __u16 port)
{
	struct listener *l = find(r, vip, port);
	char text[ADDR_STRLEN];
	int ret = -ENOSPC;

	for (size_t i = 0; !l && i < MAX_LISTENERS; i++) {
		if (r->listeners[i].used)
			continue;
		ret = listener_open(r, &r->listeners[i], vip, port);
		if (ret)
			break;
		l = &r->listeners[i];
	}
	if (!l) {
		log_err("service %s: no refusals by 421 on %s port %u: %s; they are reset instead", svc->name,
			addr_to_str(vip, text), port, strerror(-ret));
		return false;
	}
	l->wanted = true;
	snprintf(l->greeting, sizeof(l->greeting), "421 %s\r\n", svc->refuse_text[0] ? svc->refuse_text : DEFAULT_TEXT);
	return true;
}

void responder_set(struct responder *r, struct pool *pool)
{
	for (size_t i = 0; i < MAX_LISTENERS; i++)
		r->listeners[i].wanted = false;
	for (int i = 0; i < POOL_MAX_SERVICES; i++) {
		struct service *svc = &pool->services[i];

		svc->can_reply = svc->used && svc->refuse == LB_REFUSE_REPLY;
		for (int f = 0; svc->can_reply && f < 2; f++)
			for (__u32 p = 0; svc->can_reply && svc->has_vip[f] && p < svc->ports_n; p++)
				if (svc->ports[p] != SMTPS_PORT)
					svc->can_reply = listen_on(r, svc, &svc->vip[f], svc->ports[p]);
	}
	for (size_t i = 0; i < MAX_LISTENERS; i++)
		if (r->listeners[i].used && !r->listeners[i].wanted)
			listener_close(&r->listeners[i]);
}

int responder_open(sd_event *event, struct responder **out)
{
	struct responder *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->event = event;
	*out = r;
	return 0;
}

void responder_close(struct responder *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < MAX_LISTENERS; i++)
		if (r->listeners[i].used)
			listener_close(&r->listeners[i]);
	for (size_t i = 0; i < RESPONDER_MAX_CONNS; i++)
		if (r->conversations[i].used)
			end(&r->conversations[i]);
	free(r);
}
