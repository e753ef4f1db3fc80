// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Agents asked again and again, the whole way: through the socket pair and the sandboxed process, which is this program
 * again, to a listening socket on 127.0.0.1 that answers from the same event loop.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../loader/addr.h"
#include "../../loader/agent_poll.h"
#include "../../loader/checker_wire.h"
#include "event_loop.h"

#define INTERVAL_MS	100
#define MX1		3
#define MX2		4

static struct checks *checks;
static struct agents *agents;
static struct {
	int n, missing;			/* answers, and times without one */
	__u32 missed;			/* as told the last time */
	struct agent_report last;
	bool remove, close;
} heard;
static struct {
	int fd;
	__u16 port;
	sd_event_source *io;
	const char *says;		/* NULL: nothing, and the connection stays open */
	int asked, open[256];
	__u64 at_ms[256];
	char line[64];
} server;

static void on_heard(void *arg, int id, const struct agent_report *report, __u32 missed)
{
	(void)arg;
	heard.n += report != NULL;
	heard.missing += report == NULL;
	heard.missed = missed;
	if (report)
		heard.last = *report;
	if (heard.remove)
		agents_remove(agents, id);
	if (heard.close) {
		agents_close(agents);
		agents = NULL;
	}
}

static void no_verdict(void *arg, int id, enum backend_health health, const char *reason)
{
	(void)arg, (void)id, (void)health, (void)reason;
}

static int on_connection(sd_event_source *s, int fd, uint32_t revents, void *arg)
{
	int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	struct timeval patience = { .tv_sec = 5 };
	ssize_t n;

	(void)s, (void)revents, (void)arg;
	assert_true(c >= 0);
	assert_true(server.asked < 256);
	server.at_ms[server.asked] = now_ms();
	server.open[server.asked++] = c;
	if (*server.line) {	/* wants to be asked first */
		setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		n = recv(c, server.line, sizeof(server.line) - 1, 0);
		server.line[n > 0 ? n : 0] = '\0';
	}
	if (server.says) {
		assert_true(send(c, server.says, strlen(server.says), MSG_NOSIGNAL) >= 0);
		close(c);
		server.open[server.asked - 1] = -1;
	}
	return 0;
}

static void server_open(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(server.fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(server.fd, 16), 0);
	assert_int_equal(getsockname(server.fd, (struct sockaddr *)&sa, &len), 0);
	server.port = ntohs(sa.sin_port);
	assert_true(sd_event_add_io(event, &server.io, server.fd, EPOLLIN, on_connection, NULL) >= 0);
}

static void server_close(void)
{
	server.io = sd_event_source_disable_unref(server.io);
	if (server.fd >= 0)
		close(server.fd);
	server.fd = -1;
	for (int i = 0; i < server.asked; i++)
		if (server.open[i] >= 0)
			close(server.open[i]);
	server.asked = 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&heard, 0, sizeof(heard));
	memset(&server, 0, sizeof(server));
	server.says = "75%\n";
	assert_true(sd_event_new(&event) >= 0);
	assert_int_equal(checks_open(event, no_verdict, NULL, &checks), 0);
	assert_int_equal(agents_open(event, checks, on_heard, NULL, &agents), 0);
	server_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	agents_close(agents);
	agents = NULL;
	checks_close(checks);
	server_close();
	event = sd_event_unref(event);
	return 0;
}

static struct agent_target target(__u32 interval_ms)
{
	struct agent_target t = {
		.conf = { .port = server.port, .interval_ms = interval_ms, .timeout_ms = 5000 },
	};

	assert_int_equal(addr_parse("127.0.0.1", &t.address), 0);
	return t;
}

static void start(__u32 interval_ms)
{
	struct agent_target t = target(interval_ms);

	assert_int_equal(agents_set(agents, MX1, &t), 0);
}

static struct agent_status status_of(int id)
{
	struct agent_status s;

	assert_true(agents_status(agents, id, &s));
	return s;
}

static void an_agent_is_asked_at_once_and_then_at_its_pace(void **state)
{
	__u64 begun = now_ms();

	(void)state;
	start(INTERVAL_MS);
	RUN_UNTIL(heard.n >= 5);
	assert_int_equal(heard.last.weight_percent, 75);
	/* never sooner than a tenth before its time; that it may be later is the machine's affair */
	for (int i = 1; i < server.asked; i++)
		assert_true(server.at_ms[i] - begun >= (__u64)i * INTERVAL_MS * 9 / 10 - 1);
	assert_true(status_of(MX1).answered);
	assert_int_equal(status_of(MX1).answers_total, heard.n);
	assert_string_equal(status_of(MX1).text, "75%");
}

/* Sooner than the interval, which a busy machine alone does not make it. */
static bool came_early(int ms)
{
	for (int i = 2; i < server.asked; i++)
		if (server.at_ms[i] - server.at_ms[i - 1] <= (__u64)ms)
			return true;
	return false;
}

static void the_pace_has_jitter(void **state)
{
	(void)state;
	start(2 * INTERVAL_MS);
	RUN_UNTIL(came_early(2 * INTERVAL_MS - 12));
}

static void a_long_interval_does_not_delay_the_first(void **state)
{
	(void)state;
	start(3600000);
	RUN_UNTIL(heard.n);
}

static void the_same_target_goes_on_and_another_starts_anew(void **state)
{
	struct agent_target t = target(3600000);

	(void)state;
	start(3600000);
	RUN_UNTIL(heard.n == 1);
	start(3600000);
	assert_int_equal(status_of(MX1).answers_total, 1);
	t.conf.timeout_ms = 1000;
	assert_int_equal(agents_set(agents, MX1, &t), 0);
	assert_int_equal(status_of(MX1).answers_total, 0);
	RUN_UNTIL(heard.n == 2);
}

static void what_cannot_be_asked_is_refused(void **state)
{
	struct agent_target t = target(0);
	struct agent_status s;

	(void)state;
	assert_int_equal(agents_set(agents, MX1, &t), -EINVAL);
	t = target(100);
	assert_int_equal(agents_set(agents, 0, &t), -EINVAL);
	assert_int_equal(agents_set(agents, LB_MAX_BACKENDS, &t), -EINVAL);
	t.conf.port = 0;
	assert_int_equal(agents_set(agents, MX1, &t), -EINVAL);
	assert_false(agents_status(agents, MX1, &s));
	agents_remove(agents, MX1);
}

static void rubbish_and_silence_are_counted_and_nothing_else(void **state)
{
	(void)state;
	server.says = "220 mx.example.com ESMTP\r\n";
	start(INTERVAL_MS);
	RUN_UNTIL(heard.missing == 2);
	assert_int_equal(heard.n, 0);
	assert_int_equal(heard.missed, 2);
	assert_false(status_of(MX1).answered);
	assert_string_equal(status_of(MX1).text, "not understood: 220 mx.example.com ESMTP");
	server.says = "";
	RUN_UNTIL(strstr(status_of(MX1).text, "closed"));
	server_close();
	RUN_UNTIL(strstr(status_of(MX1).text, "refused"));
	assert_int_equal(status_of(MX1).failures_total, heard.missing);
	assert_int_equal(status_of(MX1).missed, heard.missing);
	assert_int_equal(status_of(MX1).answers_total, 0);
}

static void after_silence_the_first_answer_tells_how_long_it_was(void **state)
{
	(void)state;
	server.says = "";
	start(INTERVAL_MS);
	RUN_UNTIL(heard.missing == 3);
	server.says = "up\n";
	RUN_UNTIL(heard.n == 1);
	assert_int_equal(heard.missed, heard.missing);
	RUN_UNTIL(heard.n == 2);
	assert_int_equal(heard.missed, 0);
}

static void one_that_hangs_is_not_asked_twice_at_a_time(void **state)
{
	struct agent_target t = target(INTERVAL_MS);

	(void)state;
	server.says = NULL;
	t.conf.timeout_ms = 450;
	assert_int_equal(agents_set(agents, MX1, &t), 0);
	RUN_UNTIL(heard.missing == 1);
	assert_int_equal(server.asked, 1);
	assert_non_null(strstr(status_of(MX1).text, "no answer in 450ms"));
}

static void it_is_told_what_the_config_wants_it_told(void **state)
{
	struct agent_target t = target(3600000);

	(void)state;
	strcpy(t.conf.send, "mx1 how are you");
	strcpy(server.line, "?");
	assert_int_equal(agents_set(agents, MX1, &t), 0);
	RUN_UNTIL(heard.n);
	assert_string_equal(server.line, "mx1 how are you\n");
}

static void who_is_removed_is_not_heard(void **state)
{
	struct agent_target t = target(INTERVAL_MS);

	(void)state;
	server.says = NULL;
	start(INTERVAL_MS);
	RUN_UNTIL(server.asked == 1);
	agents_remove(agents, MX1);	/* in the middle of a question */
	server.says = "up\n";
	assert_int_equal(agents_set(agents, MX2, &t), 0);
	RUN_UNTIL(heard.n == 3);
	assert_int_equal(heard.missing, 0);
}

static void all_may_go_from_within(void **state)
{
	struct agent_target t = target(INTERVAL_MS);
	struct agent_status s;

	(void)state;
	heard.remove = true;
	start(INTERVAL_MS);
	RUN_UNTIL(heard.n == 1);
	assert_false(agents_status(agents, MX1, &s));
	heard.remove = false;
	heard.close = true;
	assert_int_equal(agents_set(agents, MX2, &t), 0);
	RUN_UNTIL(heard.n == 2);
	assert_null(agents);
}

/* Our own trouble says nothing about an agent. */
static void a_dead_checker_is_nobodys_silence(void **state)
{
	(void)state;
	server.says = NULL;
	start(INTERVAL_MS);
	RUN_UNTIL(server.asked == 1);
	assert_int_equal(kill(checks_checker_pid(checks), SIGKILL), 0);
	server.says = "up\n";
	RUN_UNTIL(heard.n == 2);
	assert_int_equal(heard.missing, 0);
	assert_int_equal(status_of(MX1).failures_total, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(an_agent_is_asked_at_once_and_then_at_its_pace),
		TEST(the_pace_has_jitter),
		TEST(a_long_interval_does_not_delay_the_first),
		TEST(the_same_target_goes_on_and_another_starts_anew),
		TEST(what_cannot_be_asked_is_refused),
		TEST(rubbish_and_silence_are_counted_and_nothing_else),
		TEST(after_silence_the_first_answer_tells_how_long_it_was),
		TEST(one_that_hangs_is_not_asked_twice_at_a_time),
		TEST(it_is_told_what_the_config_wants_it_told),
		TEST(who_is_removed_is_not_heard),
		TEST(all_may_go_from_within),
		TEST(a_dead_checker_is_nobodys_silence),
	};

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], CHECKER_OPTION))
		return checker_main(CHECKER_FD);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
