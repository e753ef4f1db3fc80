/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See checker.h. The process is this program, executed anew with one descriptor, so that neither maps nor
 * sockets of the daemon are in its memory. Requests wait here, not in the socket, when there are many.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "checker.h"
#include "clock.h"
#include "log.h"
#include "smtp_reply.h"

#define FIRST_PAUSE_US	100000ULL
#define LAST_PAUSE_US	10000000ULL
#define GOOD_LIFE_US	60000000ULL	/* after which a death starts with a short pause again */
#define PATIENCE_US	3000000ULL	/* beyond a check's own time-out: then the process hangs */
#define WATCH_US	1000000ULL
#define BUFFER_BYTES	(1 << 20)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* As a shell has it. */
enum { EXIT_NOT_PREPARED = 126, EXIT_NOT_EXECUTED = 127 };

struct ask {
	TAILQ_ENTRY(ask) link;
	struct checker_request req;
	void (*done)(void *arg, const struct checker_answer *answer, const char *transcript);
	void *arg;
	__u64 due_us;			/* 0: not sent yet */
	char *transcript;
	size_t transcript_len;
};
TAILQ_HEAD(ask_list, ask);

struct checker {
	sd_event *event;
	sd_event_source *io, *watch;
	int fd;
	pid_t pid;
	struct ask_list waiting, sent, ending;
	size_t sent_n;
	bool closed;			/* from within done(): whoever called that frees the rest */
	int inside;
	__u64 serial, born_us, pause_us, again_us;
	__u64 failing_us;		/* since when; 0: all is well, as far as is known */
	char why[POOL_TEXT_LEN];
};

static void ask_free(struct ask *ask)
{
	free(ask->transcript);
	free(ask);
}

/* --- the process --- */

/* The first failure in a row says since when, the last one why. */
static void __attribute__((format(printf, 2, 3))) note_failure(struct checker *c, const char *fmt, ...)
{
	va_list args;

	if (!c->failing_us)
		c->failing_us = clock_us();
	va_start(args, fmt);
	vsnprintf(c->why, sizeof(c->why), fmt, args);
	va_end(args);
}

static void note_success(struct checker *c)
{
	if (c->failing_us)
		log_info("checker: works again after %llu ms", (unsigned long long)(clock_us() - c->failing_us) / 1000);
	c->failing_us = 0;
}

/* In the child: nothing of the daemon's but one end of the pair and stderr. */
static void __attribute__((noreturn)) become_checker(int fd)
{
	char number[16];
	char *argv[] = { (char[]){ "lbd" }, (char[]){ CHECKER_OPTION }, number, NULL };
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	snprintf(number, sizeof(number), "%d", CHECKER_FD);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (null == -1 || dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1)
		_exit(EXIT_NOT_PREPARED);
	if (fd == CHECKER_FD ? fcntl(fd, F_SETFD, 0) == -1 : dup2(fd, CHECKER_FD) == -1)
		_exit(EXIT_NOT_PREPARED);
	if (close_range(CHECKER_FD + 1, UINT_MAX, 0) == -1)
		_exit(EXIT_NOT_PREPARED);
	execv("/proc/self/exe", argv);
	_exit(EXIT_NOT_EXECUTED);
}

static int on_message(sd_event_source *s, int fd, uint32_t revents, void *arg);

static int spawn(struct checker *c)
{
	int size = BUFFER_BYTES, pair[2] = { -1, -1 }, err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1)
		return -errno;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));	/* as much as we may */
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	err = sd_event_add_io(c->event, &c->io, pair[0], EPOLLIN, on_message, c);
	if (err < 0)
		goto out;
	pid = fork();
	if (pid == 0)
		become_checker(pair[1]);
	if (pid == -1) {
		err = -errno;
		goto out;
	}
	close(pair[1]);
	c->fd = pair[0];
	c->pid = pid;
	c->born_us = clock_us();
	log_debug("checker: runs (pid %d)", pid);
	return 0;
out:
	c->io = sd_event_source_disable_unref(c->io);
	close(pair[0]);
	close(pair[1]);
	return err;
}

/* Kills it, if it still lives, and returns how it ended. */
static int reap(struct checker *c)
{
	int status = 0;

	c->io = sd_event_source_disable_unref(c->io);
	if (c->fd != -1)
		close(c->fd);
	c->fd = -1;
	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		while (waitpid(c->pid, &status, 0) == -1 && errno == EINTR)
			;
	}
	c->pid = 0;
	return status;
}

/* done() may ask anew, cancel others, and close everything. */
static void end_all(struct checker *c, const char *text)
{
	struct ask *ask;

	c->sent_n = 0;
	TAILQ_CONCAT(&c->ending, &c->sent, link);
	TAILQ_CONCAT(&c->ending, &c->waiting, link);
	while ((ask = TAILQ_FIRST(&c->ending))) {
		struct checker_answer answer = { .result = CHECK_INTERNAL, .tls_days = -1 };

		TAILQ_REMOVE(&c->ending, ask, link);
		snprintf(answer.text, sizeof(answer.text), "%s", text);
		ask->done(ask->arg, &answer, ask->transcript ? ask->transcript : "");
		ask_free(ask);
	}
}

/* "exit 3: its sandbox cannot be closed" */
static const char *end_to_str(int status, char *buf, size_t len)
{
	static const char *const known[] = {
		[CHECKER_EXIT_LOOP] = "its loop failed",
		[CHECKER_EXIT_START] = "cannot start, the log says why",
		[CHECKER_EXIT_SANDBOX] = "its sandbox cannot be closed, the log says why",
		[EXIT_NOT_PREPARED] = "its descriptors cannot be prepared",
		[EXIT_NOT_EXECUTED] = "lbd's own file cannot be executed",
	};
	unsigned int code = WEXITSTATUS(status);

	if (WIFSIGNALED(status))
		snprintf(buf, len, "signal %d", WTERMSIG(status));
	else if (code < ARRAY_SIZE(known) && known[code])
		snprintf(buf, len, "exit %u: %s", code, known[code]);
	else
		snprintf(buf, len, "exit %u", code);
	return buf;
}

static void bury(struct checker *c, const char *why)
{
	__u64 now = clock_us();
	char end[96];

	end_to_str(reap(c), end, sizeof(end));
	note_failure(c, "%s (%s)", why, end);
	if (now - c->born_us > GOOD_LIFE_US || !c->pause_us)
		c->pause_us = FIRST_PAUSE_US;
	c->again_us = now + c->pause_us;
	log_warn("checker: %s, starts again in %llu ms; no state changes by that", c->why,
		 (unsigned long long)c->pause_us / 1000);
	c->pause_us = c->pause_us * 2 < LAST_PAUSE_US ? c->pause_us * 2 : LAST_PAUSE_US;
	end_all(c, "the checker process ended");
}

/* --- requests out, answers in --- */

static void flush(struct checker *c)
{
	struct ask *ask;
	ssize_t n;

	while (c->fd != -1 && c->sent_n < CHECKER_MAX_RUNS && (ask = TAILQ_FIRST(&c->waiting))) {
		n = send(c->fd, &ask->req, sizeof(ask->req), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n != sizeof(ask->req))
			break;	/* full, or dead, which the next read shows */
		ask->due_us = clock_us() + ask->req.conf.timeout_ms * 1000ULL + PATIENCE_US;
		TAILQ_REMOVE(&c->waiting, ask, link);
		TAILQ_INSERT_TAIL(&c->sent, ask, link);
		c->sent_n++;
	}
	if (c->io)
		sd_event_source_set_io_events(c->io, c->sent_n < CHECKER_MAX_RUNS && !TAILQ_EMPTY(&c->waiting) ?
					      EPOLLIN | EPOLLOUT : EPOLLIN);
}

static struct ask *find(struct ask_list *list, __u64 serial)
{
	struct ask *ask;

	TAILQ_FOREACH(ask, list, link)
		if (ask->req.head.serial == serial)
			return ask;
	return NULL;
}

/* The dialogue may have line ends; everything else is cleaned like a reply. */
static void take_transcript(struct ask *ask, const struct checker_transcript *msg)
{
	size_t room = CHECKER_TRANSCRIPT_MAX, at = 0;

	if (!ask->transcript)
		ask->transcript = calloc(1, room + 1);
	if (!ask->transcript)
		return;
	while (at < msg->len && ask->transcript_len < room) {
		const char *end = memchr(msg->text + at, '\n', msg->len - at);
		size_t n = end ? (size_t)(end - msg->text) - at : msg->len - at;

		ask->transcript_len += reply_clean(ask->transcript + ask->transcript_len,
						   room + 1 - ask->transcript_len, msg->text + at, n);
		at += n;
		if (end && ask->transcript_len < room)
			ask->transcript[ask->transcript_len++] = '\n';
		at += end ? 1 : 0;
	}
	ask->transcript[ask->transcript_len] = '\0';
}

static void take_answer(struct checker *c, struct ask *ask, const struct checker_answer *msg)
{
	struct checker_answer answer = *msg;

	answer.text[sizeof(answer.text) - 1] = '\0';
	reply_clean(answer.text, sizeof(answer.text), msg->text, strnlen(msg->text, sizeof(msg->text) - 1));
	if (answer.tls_days < -1)
		answer.tls_days = -1;
	TAILQ_REMOVE(&c->sent, ask, link);
	c->sent_n--;
	ask->done(ask->arg, &answer, ask->transcript ? ask->transcript : "");
	ask_free(ask);
}

static bool message_is_good(const union checker_message *msg, ssize_t n)
{
	if (n < (ssize_t)sizeof(msg->head) || msg->head.magic != CHECKER_MAGIC || msg->head.size != n)
		return false;
	switch (msg->head.type) {
	case CHECKER_ANSWER:
		return n == sizeof(msg->answer) && msg->answer.result < CHECK_RESULT_MAX &&
		       msg->answer.stage < STAGE_MAX && msg->answer.code < 1000;
	case CHECKER_TRANSCRIPT:
		return n == sizeof(msg->transcript) && msg->transcript.len <= sizeof(msg->transcript.text);
	default:
		return false;
	}
}

static void read_one(struct checker *c)
{
	union checker_message msg;
	struct ask *ask;
	ssize_t n = recv(c->fd, &msg, sizeof(msg), MSG_DONTWAIT | MSG_TRUNC);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		bury(c, "ended");
		return;
	}
	if (!message_is_good(&msg, n)) {
		bury(c, "talks nonsense");
		return;
	}
	note_success(c);
	ask = find(&c->sent, msg.head.serial);	/* NULL: cancelled in the meantime */
	if (ask && msg.head.type == CHECKER_TRANSCRIPT)
		take_transcript(ask, &msg.transcript);
	else if (ask)
		take_answer(c, ask, &msg.answer);
}

static void leave(struct checker *c)
{
	if (!--c->inside && c->closed)
		free(c);
}

static int on_message(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	struct checker *c = arg;

	(void)s;
	(void)fd;
	(void)revents;
	/* One message a turn: a crowd of checks does not hold up the loop. */
	c->inside++;
	read_one(c);
	if (!c->closed)
		flush(c);
	leave(c);
	return 0;
}

static int on_watch(sd_event_source *s, uint64_t usec, void *arg)
{
	struct checker *c = arg;
	struct ask *ask;

	(void)usec;
	c->inside++;
	sd_event_source_set_time(s, clock_us() + WATCH_US);
	if (c->pid && clock_us() - c->born_us > GOOD_LIFE_US)
		c->pause_us = 0;
	for (ask = TAILQ_FIRST(&c->sent); ask && ask->due_us > clock_us(); ask = TAILQ_NEXT(ask, link))
		;
	if (ask)
		bury(c, "does not answer");
	leave(c);
	return 0;
}

/* --- the interface --- */

int checker_open(sd_event *event, struct checker **out)
{
	struct checker *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->fd = -1;
	TAILQ_INIT(&c->waiting);
	TAILQ_INIT(&c->sent);
	TAILQ_INIT(&c->ending);
	err = sd_event_add_time(event, &c->watch, CLOCK_MONOTONIC, clock_us() + WATCH_US, WATCH_US / 10, on_watch, c);
	if (err >= 0)
		err = sd_event_source_set_enabled(c->watch, SD_EVENT_ON);
	if (err < 0) {
		sd_event_source_disable_unref(c->watch);
		free(c);
		return err;
	}
	c->event = sd_event_ref(event);
	*out = c;
	return 0;
}

void checker_close(struct checker *checker)
{
	struct ask *ask;

	if (!checker)
		return;
	reap(checker);
	TAILQ_CONCAT(&checker->ending, &checker->sent, link);
	TAILQ_CONCAT(&checker->ending, &checker->waiting, link);
	while ((ask = TAILQ_FIRST(&checker->ending))) {
		TAILQ_REMOVE(&checker->ending, ask, link);
		ask_free(ask);
	}
	checker->watch = sd_event_source_disable_unref(checker->watch);
	checker->event = sd_event_unref(checker->event);
	checker->closed = true;
	if (!checker->inside)
		free(checker);
}

__s64 checker_ask(struct checker *checker, const struct checker_request *req,
		  void (*done)(void *arg, const struct checker_answer *answer, const char *transcript), void *arg)
{
	struct ask *ask;
	int err;

	if (checker->fd == -1) {
		if (clock_us() < checker->again_us)
			return -EAGAIN;
		err = spawn(checker);
		if (err < 0) {
			note_failure(checker, "cannot start: %s", strerror(-err));
			return err;
		}
	}
	ask = calloc(1, sizeof(*ask));
	if (!ask)
		return -ENOMEM;
	ask->req = *req;
	ask->req.head = (struct checker_head){
		.magic = CHECKER_MAGIC, .type = CHECKER_REQUEST, .size = sizeof(*req), .serial = ++checker->serial,
	};
	ask->done = done;
	ask->arg = arg;
	TAILQ_INSERT_TAIL(&checker->waiting, ask, link);
	flush(checker);
	return ask->req.head.serial;
}

void checker_cancel(struct checker *checker, __u64 serial)
{
	struct checker_cancel msg = { .head = { CHECKER_MAGIC, CHECKER_CANCEL, sizeof(msg), serial } };
	struct ask_list *unsent[] = { &checker->waiting, &checker->ending };
	struct ask *ask;

	for (size_t i = 0; i < 2; i++) {
		ask = find(unsent[i], serial);
		if (!ask)
			continue;
		TAILQ_REMOVE(unsent[i], ask, link);
		ask_free(ask);
		return;
	}
	ask = find(&checker->sent, serial);
	if (!ask)
		return;
	TAILQ_REMOVE(&checker->sent, ask, link);
	checker->sent_n--;
	ask_free(ask);
	/* Lost when the socket is full: then the answer comes one day, and nobody waits for it. */
	if (checker->fd != -1)
		(void)!send(checker->fd, &msg, sizeof(msg), MSG_NOSIGNAL | MSG_DONTWAIT);
	flush(checker);
}

pid_t checker_pid(const struct checker *checker)
{
	return checker->pid;
}

void checker_status(const struct checker *checker, struct checker_status *out)
{
	*out = (struct checker_status){ .fails = checker->failing_us };
	if (!out->fails)
		return;
	out->failing_s = (clock_us() - checker->failing_us) / 1000000;
	memcpy(out->why, checker->why, sizeof(out->why));
}
