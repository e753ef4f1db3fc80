// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The checker process and lbd's side of it: what it may still do, what lbd takes from it, what it takes from lbd, and what
 * happens when either misbehaves. The process is this program again; CHECKER_ROGUE in the environment makes it a bad one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "../../loader/addr.h"
#include "../../loader/agent.h"
#include "../../loader/checker.h"
#include "../../loader/checker_conn.h"
#include "event_loop.h"
#include "smtp_server.h"

#define MANY		1500

static struct checker *checker;
static struct { int n, results[CHECK_RESULT_MAX]; struct checker_answer last; char transcript[8193]; bool close; __s64 cancel; } got;

static void on_answer(void *arg, const struct checker_answer *answer, const char *transcript)
{
	(void)arg;
	got.n++;
	got.results[answer->result]++;
	got.last = *answer;
	snprintf(got.transcript, sizeof(got.transcript), "%s", transcript);
	if (got.cancel)
		checker_cancel(checker, got.cancel);
	if (got.close) {
		checker_close(checker);
		checker = NULL;
	}
}

static struct checker_request request_to(__u16 port, __u32 timeout_ms)
{
	struct checker_request req = { .port = port, .conf = check_conf_default };

	req.conf.kind = CHECK_EHLO;
	req.conf.timeout_ms = timeout_ms;
	strcpy(req.conf.ehlo, "probe");
	assert_int_equal(addr_parse("127.0.0.1", &req.address), 0);
	return req;
}

static int setup(void **state)
{
	(void)state;
	memset(&got, 0, sizeof(got));
	return sd_event_new(&event) < 0 || checker_open(event, &checker) ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("CHECKER_ROGUE");
	checker_close(checker);
	event = sd_event_unref(event);
	return 0;
}

/* --- the process --- */

static void the_process_has_nothing_left(void **state)
{
	struct checker_request req;
	char path[64], line[256];
	int fds = 0, seen = 0;
	struct dirent *entry;
	__u16 port;
	int fd = loopback_listener(&port, 4);
	DIR *dir;
	FILE *f;

	(void)state;
	/* a descriptor that it must not inherit, though nobody marked it */
	assert_int_not_equal(dup2(fd, 77), -1);
	req = request_to(port, 300);
	assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	RUN_UNTIL(got.n);
	assert_int_equal(got.last.result, CHECK_TIMEOUT);
	snprintf(path, sizeof(path), "/proc/%d/status", checker_pid(checker));
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "CapPrm:", 7) || !strncmp(line, "CapEff:", 7) || !strncmp(line, "CapInh:", 7) || !strncmp(line, "CapAmb:", 7)) {
			assert_string_equal(line + 7, "\t0000000000000000\n");
			seen++;
		}
		if (!strcmp(line, "NoNewPrivs:\t1\n") || !strcmp(line, "Seccomp:\t2\n"))
			seen++;
	}
	fclose(f);
	assert_int_equal(seen, 6);
	snprintf(path, sizeof(path), "/proc/%d/fd", checker_pid(checker));
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		fds += *entry->d_name != '.';
	if (dir) {
		assert_int_equal(fds, 5);	/* null, null, stderr, the pair, epoll */
		closedir(dir);
	}
	close(77);
	close(fd);
}

/* In a child of its own: 0 is what we hope for. */
static int forbidden_things(void)
{
	if (sandbox_enter())
		return 1;
	if (open("/etc/hosts", O_RDONLY) == -1)		/* as issuers' certificates */
		return 2;
	if (open("/tmp/checker_test.written", O_WRONLY | O_CREAT, 0600) != -1 || errno != EPERM)
		return 3;
	if (open("/etc/hosts", O_RDWR) != -1 || errno != EPERM)
		return 4;
	if (socket(AF_UNIX, SOCK_STREAM, 0) != -1 || errno != EPERM)
		return 5;
	if (socket(AF_INET, SOCK_DGRAM, 0) != -1 || errno != EPERM)
		return 6;
	if (socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) == -1)
		return 7;
	if (mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		return 8;
	if (kill(getppid(), 0) != -1)
		return 9;
	if (listen(3, 1) != -1 || errno != EPERM)
		return 10;
	return 0;
}

static void the_sandbox_holds(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(forbidden_things());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	pid = fork();
	if (pid == 0) {
		if (!sandbox_enter())
			execl("/bin/true", "true", NULL);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* --- lbd's side --- */

static void more_than_fit_wait_their_turn(void **state)
{
	struct checker_request req;
	__u16 port;
	int fd = loopback_listener(&port, -1);

	(void)state;
	req = request_to(port, 5000);
	for (int i = 0; i < MANY; i++)
		assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	assert_int_equal(got.n, 0);
	RUN_UNTIL(got.n == MANY);
	assert_int_equal(got.results[CHECK_REFUSED], MANY);
	close(fd);
}

static void many_that_hang_hold_up_nobody(void **state)
{
	struct checker_request req;
	__u64 start;
	__u16 port;
	int fd = loopback_listener(&port, 4096);

	(void)state;
	req = request_to(port, 2000);
	for (int i = 0; i < 500; i++)
		assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	close(loopback_listener(&port, -1));
	req = request_to(port, 2000);	/* refused at once, behind 500 that hang */
	assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	start = now_ms();
	RUN_UNTIL(got.n);
	assert_int_equal(got.last.result, CHECK_REFUSED);
	assert_true(now_ms() - start < 1500);
	RUN_UNTIL(got.n == 501);
	assert_int_equal(got.results[CHECK_TIMEOUT], 500);
	close(fd);
}

static void cancelled_is_forgotten(void **state)
{
	struct checker_request req;
	__s64 first, second;
	__u16 port;
	int fd = loopback_listener(&port, 4);

	(void)state;
	req = request_to(port, 200);
	first = checker_ask(checker, &req, on_answer, NULL);
	second = checker_ask(checker, &req, on_answer, NULL);
	assert_true(first > 0 && second > first);
	checker_cancel(checker, first);
	checker_cancel(checker, first);
	checker_cancel(checker, 12345);
	RUN_UNTIL(got.n);
	for (int i = 0; i < 10; i++)
		sd_event_run(event, 30000);
	assert_int_equal(got.n, 1);
	close(fd);
}

static void death_ends_what_is_under_way(void **state)
{
	struct checker_request req;
	__u16 port;
	int fd = loopback_listener(&port, 16);
	pid_t pid;

	(void)state;
	req = request_to(port, 5000);
	for (int i = 0; i < 5; i++)
		got.cancel = checker_ask(checker, &req, on_answer, NULL);	/* the first to end takes the last along */
	pid = checker_pid(checker);
	assert_int_equal(kill(pid, SIGKILL), 0);
	RUN_UNTIL(got.n);
	assert_int_equal(got.n, 4);
	assert_int_equal(got.results[CHECK_INTERNAL], 4);
	assert_int_equal(checker_pid(checker), 0);
	assert_int_equal(waitpid(pid, NULL, 0), -1);	/* no zombie is left */
	got.cancel = 0;
	assert_int_equal(checker_ask(checker, &req, on_answer, NULL), -EAGAIN);
	usleep(120000);
	assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	assert_true(checker_pid(checker) > 0);
	close(fd);
}

static void expect_failing(const char *why)
{
	struct checker_status status;

	checker_status(checker, &status);
	assert_true(status.fails);
	assert_string_equal(status.why, why);
}

/* A process that was only started proves nothing: an answer does. */
static void an_answer_ends_the_failure(void **state)
{
	struct checker_request req;
	struct checker_status status;
	__u16 port;
	int fd = loopback_listener(&port, 16);

	(void)state;
	req = request_to(port, 300);
	checker_status(checker, &status);
	assert_false(status.fails);
	assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	assert_int_equal(kill(checker_pid(checker), SIGKILL), 0);
	RUN_UNTIL(got.n == 1);
	expect_failing("ended (signal 9)");
	RUN_UNTIL(checker_ask(checker, &req, on_answer, NULL) > 0);
	expect_failing("ended (signal 9)");
	RUN_UNTIL(got.n == 2);
	assert_int_equal(got.last.result, CHECK_TIMEOUT);
	checker_status(checker, &status);
	assert_false(status.fails);
	assert_string_equal(status.why, "");
	close(fd);
}

static void how_it_ended_is_told_in_words(void **state)
{
	static const struct { const char *rogue, *why; } ends[] = {
		{ "exits", "ended (exit 5)" },
		{ "sandbox", "ended (exit 3: its sandbox cannot be closed, the log says why)" },
		{ "magic", "talks nonsense (signal 9)" },
	};
	struct checker_request req = request_to(25, 5000);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		setenv("CHECKER_ROGUE", ends[i].rogue, 1);
		assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
		RUN_UNTIL(got.n);
		expect_failing(ends[i].why);
		teardown(state);
		setup(state);
	}
}

static void everything_may_be_closed_from_within(void **state)
{
	struct checker_request req;
	__u16 port;
	int fd = loopback_listener(&port, -1);

	(void)state;
	req = request_to(port, 5000);
	for (int i = 0; i < 5; i++)
		assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	got.close = true;
	RUN_UNTIL(got.n);
	assert_null(checker);
	assert_int_equal(got.n, 1);
	close(fd);
}

static void everything_may_be_closed_at_its_death(void **state)
{
	struct checker_request req;
	__u16 port;
	int fd = loopback_listener(&port, 16);

	(void)state;
	req = request_to(port, 5000);
	for (int i = 0; i < 5; i++)
		assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	got.close = true;
	kill(checker_pid(checker), SIGKILL);
	RUN_UNTIL(got.n);
	assert_int_equal(got.n, 1);
	close(fd);
}

/* --- a process that is not to be trusted --- */

static const char *const rogues[] = { "exits", "short", "long", "magic", "type", "result", "transcript", "empty", "size" };

static int be_rogue(const char *how)
{
	union checker_message in, out = {};
	ssize_t n = recv(CHECKER_FD, &in, sizeof(in), 0), size = sizeof(out.answer);

	if (n != sizeof(in.request) || !strcmp(how, "exits"))
		return 5;
	if (!strcmp(how, "sandbox"))
		return CHECKER_EXIT_SANDBOX;
	out.head = (struct checker_head){ CHECKER_MAGIC, CHECKER_ANSWER, size, in.head.serial };
	memset(out.answer.text, '\x9b', sizeof(out.answer.text));
	if (!strcmp(how, "short"))
		out.head.size = size = 20;
	else if (!strcmp(how, "long"))
		out.head.size = size = sizeof(out);
	else if (!strcmp(how, "magic"))
		out.head.magic++;
	else if (!strcmp(how, "type"))
		out.head.type = CHECKER_REQUEST;
	else if (!strcmp(how, "result"))
		out.answer.result = CHECK_RESULT_MAX;
	else if (!strcmp(how, "size"))
		out.head.size++;
	else if (!strcmp(how, "empty"))
		size = 0;
	if (!strcmp(how, "transcript")) {
		out.head.type = CHECKER_TRANSCRIPT;
		out.head.size = size = sizeof(out.transcript);
		out.transcript.len = sizeof(out.transcript.text) + 1;
	}
	send(CHECKER_FD, &out, size, 0);
	if (!strcmp(how, "floods")) {
		out.head = (struct checker_head){ CHECKER_MAGIC, CHECKER_TRANSCRIPT, sizeof(out.transcript), in.head.serial + 1 };
		memset(out.transcript.text, '\n', sizeof(out.transcript.text));
		memset(out.transcript.text, '\xff', 100);
		out.transcript.len = sizeof(out.transcript.text);
		for (int i = 0; i < 20; i++)
			send(CHECKER_FD, &out, sizeof(out.transcript), 0);
		out.head = (struct checker_head){ CHECKER_MAGIC, CHECKER_ANSWER, sizeof(out.answer), in.head.serial + 1 };
		memset(out.answer.text, 'x', sizeof(out.answer.text));
		out.answer.result = CHECK_OK;
		out.answer.stage = 0;
		out.answer.code = 250;
		send(CHECKER_FD, &out, sizeof(out.answer), 0);
	}
	pause();
	return 0;
}

static void nonsense_from_the_process_ends_it(void **state)
{
	struct checker_request req = request_to(25, 5000);

	for (size_t i = 0; i < sizeof(rogues) / sizeof(rogues[0]); i++) {
		setenv("CHECKER_ROGUE", rogues[i], 1);
		got.n = 0;
		assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
		RUN_UNTIL(got.n);
		if (got.n != 1 || got.last.result != CHECK_INTERNAL || checker_pid(checker))
			fail_msg("%s: result %u, pid %d", rogues[i], got.last.result, checker_pid(checker));
		teardown(state);
		setup(state);
	}
}

static void what_it_says_is_cleaned(void **state)
{
	struct checker_request req = request_to(25, 5000);

	(void)state;
	setenv("CHECKER_ROGUE", "floods", 1);
	assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	RUN_UNTIL(got.n == 1);
	assert_memory_equal(got.last.text, "??????????", 10);
	RUN_UNTIL(got.n == 2);
	assert_int_equal(strlen(got.last.text), POOL_TEXT_LEN - 1);
	assert_true(strlen(got.transcript) <= CHECKER_TRANSCRIPT_MAX);
	assert_memory_equal(got.transcript, "????", 4);
}

/* --- the process's side, here in a thread: what lbd, or somebody in its place, sends --- */

static void *serve(void *arg)
{
	return (void *)(intptr_t)checker_serve(*(int *)arg);
}

static void the_process_takes_only_what_it_knows(void **state)
{
	int pair[2];
	union checker_message msg;
	struct checker_request good = request_to(9, 200), bad;
	struct timeval patience = { .tv_sec = 10 };
	pthread_t thread;
	void *ret;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(pthread_create(&thread, NULL, serve, &pair[1]), 0);
	good.head = (struct checker_head){ CHECKER_MAGIC, CHECKER_REQUEST, sizeof(good), 1 };
	srand(1);
	for (int i = 0; i < 2000; i++) {
		size_t n = 1 + rand() % sizeof(bad);

		bad = good;
		bad.head.magic += rand() % 2;
		bad.head.type = 2 + rand() % 4;
		bad.head.size = rand() % 2 ? n : bad.head.size;
		send(pair[0], &bad, n, 0);
	}
	/* well-formed, but not to be said */
	for (int i = 0; i < 6; i++) {
		bad = good;
		bad.head.serial = 100 + i;
		if (i == 0)
			strcpy(bad.conf.ehlo, "x\r\nMAIL FROM:<evil>");
		else if (i == 1)
			memset(bad.conf.to, 'x', sizeof(bad.conf.to));
		else if (i == 2)
			strcpy(bad.conf.to, "a> b");
		else if (i == 3)
			bad.port = 0;
		else if (i == 4)
			bad.conf.kind = CHECK_KIND_MAX;
		else
			bad.conf.timeout_ms = UINT32_MAX;
		send(pair[0], &bad, sizeof(bad), 0);
		assert_int_equal(recv(pair[0], &msg, sizeof(msg), 0), sizeof(msg.answer));
		assert_int_equal(msg.head.serial, 100 + i);
		assert_int_equal(msg.answer.result, CHECK_INTERNAL);
	}
	/* one under way when lbd goes */
	good.transcript = true;
	send(pair[0], &good, sizeof(good), 0);
	close(pair[0]);
	pthread_join(thread, &ret);
	assert_null(ret);
	close(pair[1]);
}

static void dialogue(struct smtp_server *s)
{
	greet(s, "220 mx\r\n");
	hear(s);
	say(s, "250-mx\r\n250 \xff\r\n");
	hear_quit(s);
}

static void a_dialogue_under_one_roof(void **state)
{
	struct smtp_server s = { .script = dialogue };
	int pair[2];
	union checker_message msg;
	struct checker_request req;
	pthread_t thread;

	(void)state;
	assert_int_equal(smtp_server_start(&s), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, &pair[1]), 0);
	req = request_to(s.port, 5000);
	req.head = (struct checker_head){ CHECKER_MAGIC, CHECKER_REQUEST, sizeof(req), 1 };
	req.transcript = true;
	send(pair[0], &req, sizeof(req), 0);
	assert_int_equal(recv(pair[0], &msg, sizeof(msg), 0), sizeof(msg.transcript));
	msg.transcript.text[sizeof(msg.transcript.text) - 1] = '\0';
	assert_non_null(strstr(msg.transcript.text, "> EHLO probe\n< 250-mx\n< 250 ?\n* ok: 250-mx (ehlo)\n> QUIT\n< 221 2.0.0 bye\n"));
	assert_int_equal(recv(pair[0], &msg, sizeof(msg), 0), sizeof(msg.answer));
	assert_int_equal(msg.answer.result, CHECK_OK);
	assert_int_equal(msg.answer.code, 250);
	assert_int_equal(msg.answer.stage, STAGE_EHLO);
	close(pair[0]);
	pthread_join(thread, NULL);
	close(pair[1]);
	smtp_server_join(&s);
	assert_true(s.quit);
}

static void agent_says(struct smtp_server *s)
{
	say(s, "75% ");
	usleep(20000);
	say(s, "up maxconn:30\r\n");
}

static void an_agent_is_asked(void **state)
{
	struct smtp_server s = { .script = agent_says };
	struct checker_request req;
	struct agent_report report;

	(void)state;
	assert_int_equal(smtp_server_start(&s), 0);
	req = request_to(s.port, 5000);
	req.agent = true;
	assert_true(checker_ask(checker, &req, on_answer, NULL) > 0);
	RUN_UNTIL(got.n);
	smtp_server_join(&s);
	assert_int_equal(got.last.result, CHECK_OK);
	assert_string_equal(got.last.text, "75% up maxconn:30");
	assert_int_equal(agent_parse(got.last.text, strlen(got.last.text), &report), 0);
	assert_int_equal(report.weight_percent, 75);
	assert_int_equal(report.max_conns, 30);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(the_process_has_nothing_left),
		cmocka_unit_test(the_sandbox_holds),
		TEST(more_than_fit_wait_their_turn),
		TEST(many_that_hang_hold_up_nobody),
		TEST(cancelled_is_forgotten),
		TEST(death_ends_what_is_under_way),
		TEST(an_answer_ends_the_failure),
		TEST(how_it_ended_is_told_in_words),
		TEST(everything_may_be_closed_from_within),
		TEST(everything_may_be_closed_at_its_death),
		TEST(nonsense_from_the_process_ends_it),
		TEST(what_it_says_is_cleaned),
		cmocka_unit_test(the_process_takes_only_what_it_knows),
		cmocka_unit_test(a_dialogue_under_one_roof),
		TEST(an_agent_is_asked),
	};

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], CHECKER_OPTION))
		return getenv("CHECKER_ROGUE") ? be_rogue(getenv("CHECKER_ROGUE")) : checker_main(CHECKER_FD);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
