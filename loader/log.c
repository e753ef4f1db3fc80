/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts one event on one line, for the journal or for a person at a terminal. It
 * must not know what is reported, and must not hold up the event loop: a reader that
 * is stuck costs lines, which are counted, and never a health check.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "log.h"

#define LINE_LEN	1024	/* below PIPE_BUF: a line goes out whole or not at all */
#define PATIENCE_MS	20

static enum log_level max_level = LOG_LEVEL_INFO;
static unsigned long lost;

/* Under systemd stderr is the journal's own stream: JOURNAL_STREAM names its device and
 * inode (systemd.exec(5)). A child whose stderr was redirected inherits the variable too, so compare. */
static bool to_journal(void)
{
	static int known = -1;
	unsigned long long dev, ino;
	const char *stream;
	struct stat st;

	if (known >= 0)
		return known;
	stream = getenv("JOURNAL_STREAM");
	known = stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
		st.st_dev == dev && st.st_ino == ino;
	return known;
}

static const char *prefix(enum log_level level)
{
	/* syslog priorities, sd-daemon(3) */
	static const char *const journal[] = {
		[LOG_LEVEL_ERR] = "<3>", [LOG_LEVEL_WARN] = "<4>", [LOG_LEVEL_INFO] = "<6>", [LOG_LEVEL_DEBUG] = "<7>",
	};
	static const char *const plain[] = {
		[LOG_LEVEL_ERR] = "error: ", [LOG_LEVEL_WARN] = "warning: ", [LOG_LEVEL_INFO] = "",
		[LOG_LEVEL_DEBUG] = "debug: ",
	};

	return to_journal() ? journal[level] : plain[level];
}

/* Patience once per jam: a flood of lines must not wait for each. */
static bool put(const char *line, size_t len)
{
	static bool stuck;
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };

	stuck = poll(&pfd, 1, stuck ? 0 : PATIENCE_MS) != 1 || !(pfd.revents & POLLOUT) ||
		write(STDERR_FILENO, line, len) == -1;
	return !stuck;
}

static void emit(enum log_level level, const char *text)
{
	char line[LINE_LEN];
	int len;

	if (lost) {
		len = snprintf(line, sizeof(line), "%s%lu earlier lines are lost: nobody read them in time\n",
			       prefix(LOG_LEVEL_WARN), lost);
		if (!put(line, len)) {
			lost++;		/* still jammed: this line too */
			return;
		}
		lost = 0;
	}
	len = snprintf(line, sizeof(line) - 1, "%s%s", prefix(level), text);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	/* Text from mail servers ends up in here: one event stays one line, and colours no terminal. */
	for (int i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	line[len++] = '\n';
	if (!put(line, len))
		lost++;
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	char text[LINE_LEN];
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	emit(level, text);
	errno = saved;
}

int log_ret(int err, const char *fmt, ...)
{
	char text[LINE_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line(LOG_LEVEL_ERR, "%s: %s", text, strerror(-err));
	return err;
}
