// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tcp check: does the port accept a connection? It does not wait for a single byte, so it also
 * serves ports that speak TLS at once. It knows nothing of SMTP, and a mail server notices: Postfix logs
 * "lost connection after CONNECT" for every one of these checks. The SMTP kinds, which end with
 * QUIT, are the quiet ones.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "addr.h"
#include "check.h"

enum check_result check_from_errno(int cause)
{
	switch (cause) {
	case 0:
		return CHECK_OK;
	case ECONNREFUSED:
		return CHECK_REFUSED;
	case ECONNRESET:
	case EPIPE:
		return CHECK_RESET;
	case ETIMEDOUT:		/* the kernel gave up before the engine: tcp_syn_retries is small */
		return CHECK_TIMEOUT;
	case EPERM:		/* a firewall rule of this host */
	case EADDRNOTAVAIL:	/* no address of the family, or no free port */
	case ENOBUFS:
	case ENOMEM:
		return CHECK_INTERNAL;
	case ENETUNREACH:
	case EHOSTUNREACH:	/* no neighbour, or ICMP (RFC 1122, 4.2.3.9) */
	default:
		return CHECK_UNREACHABLE;
	}
}

const char *check_errno_text(int cause)
{
	switch (cause) {
	case 0:
		return "connected";
	case ECONNREFUSED:
		return "connection refused";
	case ECONNRESET:
	case EPIPE:
		return "connection reset";
	case ETIMEDOUT:
		return "no answer";
	case ENETUNREACH:
		return "network unreachable";
	case EHOSTUNREACH:
		return "no route to host";
	default:
		return strerror(cause);
	}
}

/* Why connect() failed, at once or later. */
static void report(struct check_run *run, int cause)
{
	check_done(run, check_from_errno(cause), check_errno_text(cause));
}

static void release(struct check_run *run)
{
	sd_event_source *io = check_run_data(run);
	int fd = sd_event_source_get_io_fd(io);

	sd_event_source_disable_unref(io);
	close(fd);
}

static int on_writable(sd_event_source *io, int fd, uint32_t revents, void *arg)
{
	struct check_run *run = arg;
	int cause = 0;
	socklen_t len = sizeof(cause);
	char banner[1024];

	(void)io;
	(void)revents;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &cause, &len) == -1)
		cause = errno;
	if (!cause) {
		/* FIN first; and an early greeting must be read, or close() sends a RST (RFC 2525, 2.17). */
		shutdown(fd, SHUT_WR);
		for (int i = 0; i < 4 && recv(fd, banner, sizeof(banner), MSG_DONTWAIT) > 0; i++)
			;	/* a few: whatever speaks without end is no mail server */
	}
	release(run);
	report(run, cause);
	return 0;
}

static int check_start(struct check_run *run)
{
	const struct check_target *target = check_run_target(run);
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(&target->address, target->port, &to);
	sd_event_source *io = NULL;
	int fd, err = 0;

	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, len) == -1 && errno != EINPROGRESS) {
		report(run, errno);
		goto out;
	}
	/* Connected at once or not: the event says so either way. */
	err = sd_event_add_io(check_run_event(run), &io, fd, EPOLLOUT, on_writable, run);
	if (err < 0)
		goto out;
	check_run_set_data(run, io);
	return 0;
out:
	close(fd);
	return err;
}

const struct check_kind_ops check_tcp_ops = {
	.name = "tcp",
	.start = check_start,
	.cancel = release,
};
