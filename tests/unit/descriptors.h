/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * File descriptors as tests need them: a port of our own on 127.0.0.1, and how many are open, to see whether one leaks.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <arpa/inet.h>
#include <dirent.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel chooses the port. backlog -1: nobody else gets it, and it refuses. */
static inline int loopback_listener(unsigned short *port, int backlog)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	if (backlog >= 0)
		assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	*port = ntohs(sa.sin_port);
	return fd;
}

/* Those whose /proc link begins with kind, as "socket:"; all with "". */
static inline int open_descriptors(const char *kind)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	char to[64];
	int n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		memset(to, 0, sizeof(to));
		if (readlinkat(dirfd(dir), entry->d_name, to, sizeof(to) - 1) > 0 && !strncmp(to, kind, strlen(kind)))
			n++;
	}
	closedir(dir);
	return n;
}

#endif
