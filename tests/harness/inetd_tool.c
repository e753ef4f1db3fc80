/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers each connection to a TCP port with a program whose stdin and stdout are that connection, one at a time: what
 * systemd does for a socket with Accept=yes. Usage: inetd_tool PORT PROGRAM [ARG...]; ends by a signal only.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_port(const char *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd == -1 || bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1 || listen(fd, 64) == -1)
		return -1;
	return fd;
}

static void answer(int conn, char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (dup2(conn, STDIN_FILENO) == -1 || dup2(conn, STDOUT_FILENO) == -1)
			_exit(126);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(conn);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: inetd_tool PORT PROGRAM [ARG...]\n");
		return 2;
	}
	fd = open_port(argv[1]);
	if (fd == -1) {
		perror("inetd_tool");
		return 1;
	}
	for (;;) {
		int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		if (conn >= 0)
			answer(conn, &argv[2]);
	}
}
