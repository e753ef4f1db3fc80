// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lbctl as scripts see it: the built program against a server of http.c and api.c with a fake
 * control behind them. What counts is the exit code, what is on stdout and what is on stderr.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "../../loader/api.h"
#include "../../loader/api_names.h"
#include "control_fake.h"
#include "http_server.h"

#define NOBODY 65534

static struct http_server server;
static int lbctl_fd;			/* the program: open, so that a child without rights can run it */
static struct http_peer peer;

struct outcome {
	int code;
	char out[16384], err[4096];
};

static int fake_peer(int fd, struct http_peer *out)
{
	(void)fd;
	*out = peer;
	return 0;
}

static int talk_nonsense(void *arg, const struct http_request *req, struct http_answer *out)
{
	(void)arg, (void)req;
	*out = (struct http_answer){ .status = 200, .type = "text/html", .body = strdup("<html>") };
	out->len = strlen(out->body);
	return 0;
}

static void drop_rights(void)
{
	if (geteuid() != 0)
		return;
	if (setgid(NOBODY) == -1 || setuid(NOBODY) == -1)
		_exit(99);
}

static void read_file(FILE *file, char *buf, size_t len)
{
	size_t n;

	rewind(file);
	n = fread(buf, 1, len - 1, file);
	buf[n] = '\0';
	fclose(file);
}

/* args: split at blanks; "" is written as ''. */
static struct outcome run_as(bool nobody, const char *args)
{
	char copy[512], *argv[32] = { "lbctl" }, *rest = copy, *word;
	FILE *out = tmpfile(), *err = tmpfile();
	struct outcome outcome = {};
	int argc = 1, status;
	pid_t pid;

	assert_true(out && err);
	snprintf(copy, sizeof(copy), "%s", args);
	while ((word = strsep(&rest, " ")))
		if (*word)
			argv[argc++] = strcmp(word, "''") == 0 ? word + 2 : word;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv(API_SOCKET_ENV, server.path, 1);
		setenv("http_proxy", "http://127.0.0.1:1", 1);
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(err), STDERR_FILENO);
		if (nobody)
			drop_rights();
		fexecve(lbctl_fd, argv, environ);
		_exit(98);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	outcome.code = WEXITSTATUS(status);
	read_file(out, outcome.out, sizeof(outcome.out));
	read_file(err, outcome.err, sizeof(outcome.err));
	return outcome;
}

static struct outcome run(const char *args)
{
	return run_as(false, args);
}

/* A failure: the code, one line on stderr that starts with "lbctl: " and holds text, no data. */
static void expect_failure(const char *args, enum lb_exit code, const char *text)
{
	struct outcome o = run(args);

	if (o.code != (int)code)
		fail_msg("lbctl %s: exit code %d, not %d: %s", args, o.code, code, o.err);
	assert_string_equal(o.out, "");
	assert_true(strncmp(o.err, "lbctl: ", 7) == 0);
	assert_ptr_equal(strchr(o.err, '\n'), o.err + strlen(o.err) - 1);
	if (!strstr(o.err, text))
		fail_msg("lbctl %s: no \"%s\" in: %s", args, text, o.err);
}

static void expect_done(const char *args, const char *out)
{
	struct outcome o = run(args);

	if (o.code != LB_EXIT_OK)
		fail_msg("lbctl %s: exit code %d: %s", args, o.code, o.err);
	assert_string_equal(o.out, out);
	assert_string_equal(o.err, "");
}

static void start(struct http_conf conf)
{
	fake_reset();
	if (!conf.handler)
		conf.handler = api_handle;
	http_server_folder(&server);
	http_server_start(&server, &conf);
}

static void stop(void)
{
	http_server_stop(&server);
	http_server_clean(&server);
}

static int setup(void **state)
{
	(void)state;
	start((struct http_conf){});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop();
	return 0;
}

static void changes_go_through_and_say_what_happened(void **state)
{
	(void)state;
	expect_done("attach eth0", "did attach eth0 0\n");
	expect_done("attach --mode generic eth0", "did attach eth0 2\n");
	expect_done("detach eth0", "did detach eth0\n");
	expect_done("service add mx --vip 192.0.2.1,2001:db8::1 --port 25,587 --mode dsr --scheduler maglev "
		    "--refuse drop --check none --agent 9707",
		    "did service_add mx vips 2 192.0.2.1 2001:db8::1 ports 2 25 587 mode dsr scheduler maglev "
		    "refuse drop check none agent 9707\n");
	expect_done("service --vip=192.0.2.1 add --port=25 mx",
		    "did service_add mx vips 1 192.0.2.1 - ports 1 25 - mode - scheduler - refuse - check - agent 0\n");
	expect_done("service remove mx", "did service_remove mx\n");
	expect_done("add b 192.0.2.9", "did backend_add b 192.0.2.9 service - weight - max_conns -\n");
	expect_done("--weight 5 add b --service s 192.0.2.9 --max-conns=7",
		    "did backend_add b 192.0.2.9 service s weight 5 max_conns 7\n");
	expect_done("set b --weight 12x", "did backend_set b weight 12x max_conns -\n");
	expect_done("drain b", "did backend_drain b 0\n");
	expect_done("drain b --deadline 10m", "did backend_drain b 600000\n");
	expect_done("enable b", "did backend_enable b\n");
	expect_done("remove b", "did backend_remove b now 0\n");
	expect_done("remove --now b", "did backend_remove b now 1\n");
	expect_done("remove -- --now", "did backend_remove --now now 0\n");
}

static void reload_and_save(void **state)
{
	(void)state;
	expect_done("reload", "did reload\n");
	expect_done("save", "did save\n");
	expect_done("--json save", "{\n  \"message\": \"did save\"\n}\n");
}

/* Scripts count on these. */
static void each_class_of_error_has_its_exit_code(void **state)
{
	static const enum lb_exit codes[] = {
		LB_EXIT_FAILED, LB_EXIT_USAGE, LB_EXIT_NOT_PERMITTED, LB_EXIT_NOT_FOUND, LB_EXIT_CONFLICT,
		LB_EXIT_TIMEOUT,
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		fake.fail = codes[i];
		snprintf(text, sizeof(text), "lbctl: refused for test %d\n", codes[i]);
		expect_failure("enable mx1", codes[i], text);
		expect_failure("--json enable mx1", codes[i], text);
	}
}

static void a_wrong_command_line_is_explained(void **state)
{
	static const char *const lines[][2] = {
		{ "lst", "unknown command \"lst\": did you mean \"list\"?" },
		{ "servce add x", "did you mean \"service add\"?" },
		{ "service", "service: add, remove or list?" },
		{ "service lst", "did you mean \"service list\"?" },
		{ "frobnicate", "unknown command \"frobnicate\": see \"lbctl --help\"" },
		{ "''", "unknown command \"\"" },
		{ "list x", "\"lbctl list\" takes no arguments" },
		{ "drain", "\"lbctl drain\" takes NAME" },
		{ "drain a b", "\"lbctl drain\" takes NAME and no more" },
		{ "drain ''", "NAME is empty" },
		{ "add a", "takes NAME ADDRESS" },
		{ "list --weight 3", "\"lbctl list\" takes no --weight" },
		{ "--sokcet /x list", "unknown option \"--sokcet\": did you mean --socket?" },
		{ "drain a --wait=1", "--wait takes no value" },
		{ "drain a --deadline", "--deadline needs a value" },
		{ "drain a --deadline 5x", "--deadline \"5x\" is not a duration" },
		{ "drain a --deadline 0", "--deadline \"0\" is not a duration" },
		{ "set a", "nothing to set" },
		{ "set a --weight 1 --weight 2", "--weight is there twice" },
		{ "service add a --vip 192.0.2.1", "needs --port" },
		{ "--color=blue list", "--color \"blue\"" },
		{ "a b c d e f g h i j", "too many arguments" },
		{ "flows --limit 1x", "limit \"1x\"" },
		{ "attach eth0 --mode fast", "mode \"fast\"" },
		{ "remove a/b?now=1#x", "no such path" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_failure(lines[i][0], LB_EXIT_USAGE, lines[i][1]);
	assert_string_equal(fake.asked, "");
}

static void help_is_there_for_all_and_for_each(void **state)
{
	struct outcome o = run("--help");

	(void)state;
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_string_equal(o.err, "");
	assert_non_null(strstr(o.out, "service add NAME"));
	o = run("service add --help");
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_non_null(strstr(o.out, "usage: lbctl service add NAME --vip ADDR[,ADDR6] --port"));
	assert_non_null(strstr(o.out, "--mode nat|dsr"));
	assert_non_null(strstr(o.out, "[--agent PORT]"));
	o = run("attach -h");
	assert_non_null(strstr(o.out, "--mode auto|native|generic"));
	expect_done("--version", "lbctl " MAILXDP_VERSION "\n");
	expect_done("version", "lbctl " MAILXDP_VERSION "\nlbd   " MAILXDP_VERSION "\n");
}

static void without_a_command_it_is_status(void **state)
{
	struct outcome bare = run(""), status = run("status");

	(void)state;
	assert_int_equal(bare.code, LB_EXIT_OK);
	assert_string_equal(bare.out, status.out);
	assert_true(strncmp(bare.out, "lbd " MAILXDP_VERSION ", up 1h00m\n", 10) == 0);
}

/* Beside the table, not in it: whoever reads the table by program is not disturbed. */
static void a_list_without_checks_is_said_to_be_old(void **state)
{
	struct outcome o = run("list");

	(void)state;
	assert_string_equal(o.err, "");
	fake.checker = (struct checker_status){ .wanted = true, .fails = true, .failing_s = 12, .why = "ended (signal 9)" };
	o = run("list");
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_string_equal(o.err, "checks have not been running for 12s, states may be old: ended (signal 9)\n");
	o = run("list --json");
	assert_string_equal(o.err, "");
}

static void json_is_the_daemons_document(void **state)
{
	static const char *const commands[][2] = {
		{ "--json", "uptime_s" }, { "list --json", "backends" }, { "--json flows", "flows" },
		{ "stats --json", "verdicts" }, { "service list --json", "services" }, { "version --json", "version" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct outcome o = run(commands[i][0]);
		json_t *doc = json_loads(o.out, 0, NULL);

		assert_int_equal(o.code, LB_EXIT_OK);
		assert_string_equal(o.err, "");
		assert_true(strncmp(o.out, "{\n  \"schema\": 1,\n", 17) == 0);
		assert_non_null(json_object_get(doc, commands[i][1]));
		json_decref(doc);
	}
}

static void people_get_tables(void **state)
{
	struct outcome o = run("list --color=always");

	(void)state;
	assert_true(strncmp(o.out, "NAME", 4) == 0);
	assert_non_null(strstr(o.out, "\033[32mup\033[0m"));
	o = run("list");
	assert_null(strchr(o.out, '\033'));
	o = run("flows --limit 2");
	assert_non_null(strstr(o.out, "[2001:db8::c]:40001"));
	assert_null(strstr(o.out, "[2001:db8::c]:40002"));
	assert_non_null(strstr(o.err, "there are more"));
	expect_failure("flows --backend mx9", LB_EXIT_NOT_FOUND, "no backend \"mx9\"");
	o = run("stats");
	assert_non_null(strstr(o.out, "tx_syn"));
	o = run("service list");
	assert_non_null(strstr(o.out, "192.0.2.25,2001:db8::25"));
	assert_null(strstr(o.out, "port 9707"));
	fake.pool.services[0].agent.port = 9707;
	o = run("service list");
	assert_non_null(strstr(o.out, "port 9707"));
}

static void empty_tables_say_what_to_do_next(void **state)
{
	struct outcome o;

	(void)state;
	fake.pool.backends[FAKE_MX1].used = fake.pool.backends[FAKE_MX2].used = false;
	fake.pool.services[0].used = false;
	fake.flows_n = 0;
	o = run("list");
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_string_equal(o.out, "");
	assert_string_equal(o.err, "no backends yet: lbctl add NAME ADDRESS\n");
	o = run("service list");
	assert_non_null(strstr(o.err, "lbctl service add NAME"));
	o = run("flows");
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_string_equal(o.out, "");
}

static void output_that_cannot_be_written_is_a_failure(void **state)
{
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), status;
	pid_t pid;

	(void)state;
	assert_true(full >= 0);
	pid = fork();
	if (pid == 0) {
		char *argv[] = { "lbctl", "--socket", server.path, "list", NULL };

		dup2(full, STDOUT_FILENO);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		fexecve(lbctl_fd, argv, environ);
		_exit(98);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), LB_EXIT_FAILED);
	close(full);
}

static void drain_waits_until_empty_and_tells_the_progress(void **state)
{
	struct outcome o;

	(void)state;
	fake.count_down = true;
	fake.conns = 2;
	fake.pool.backends[FAKE_MX2].used = false;
	o = run("drain mx1 --wait");
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_string_equal(o.out, "did backend_drain mx1 0\nmx1: empty\n");
	assert_string_equal(o.err, "mx1: 2 sessions, 21 in transaction\nmx1: 1 session, 21 in transaction\n");
	fake.pool.backends[FAKE_MX1].admin = ADMIN_ENABLED;
	o = run("drain mx1 --wait --json");
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_string_equal(o.out, "{\n  \"message\": \"did backend_drain mx1 0\"\n}\n");
}

static void drain_tells_the_longest_wait(void **state)
{
	struct outcome o;

	(void)state;
	fake.count_down = true;
	fake.conns = 1;
	fake.longest_ms = 12999;
	fake.pool.backends[FAKE_MX2].used = false;
	o = run("drain mx1 --wait");
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_string_equal(o.err, "mx1: 1 session, 21 in transaction, longest 12 s\n");
}

static void drain_gives_up_after_the_deadline(void **state)
{
	struct outcome o = run("drain mx1 --wait --deadline 1ms");
	const char *progress;

	(void)state;
	assert_int_equal(o.code, LB_EXIT_TIMEOUT);
	assert_non_null(strstr(o.err, "lbctl: backend \"mx1\" still has 11 sessions after the deadline"));
	/* Nothing changed in between: one line of progress, not ten. */
	progress = strstr(o.err, "in transaction");
	assert_non_null(progress);
	assert_null(strstr(progress + 1, "in transaction"));
}

static void drain_of_a_backend_that_is_gone_is_over(void **state)
{
	struct outcome o = run("drain mx9 --wait");	/* the fake drains anything */

	(void)state;
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_string_equal(o.out, "did backend_drain mx9 0\nmx9: empty\n");
}

static void a_check_shows_the_dialogue_and_the_result(void **state)
{
	struct outcome o;
	json_t *doc;

	(void)state;
	fake.check_polls = 2;
	expect_done("check mx1", "* connected\n< 220 mx ?\n\n> QUIT\nmx1: ok (250 mx), 1.2 ms\n");
	fake.check.result = CHECK_REJECTED;
	fake.check.text = "554 go away";
	o = run("check mx1");
	assert_int_equal(o.code, LB_EXIT_FAILED);
	assert_non_null(strstr(o.out, "\nmx1: rejected (554 go away), 1.2 ms\n"));
	o = run("check mx1 --json");
	assert_int_equal(o.code, LB_EXIT_FAILED);
	doc = json_loads(o.out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(doc, "dialogue")), 4);
	json_decref(doc);
}

static void a_check_that_cannot_be_says_so(void **state)
{
	(void)state;
	fake.fail = LB_EXIT_CONFLICT;
	expect_failure("check mx1", LB_EXIT_CONFLICT, "refused for test 6");
	fake.fail = LB_EXIT_OK;
	expect_failure("check mx9", LB_EXIT_NOT_FOUND, "no backend \"mx9\"");
	fake.check_polls = -1;
	fake.check.timeout_ms = 1;
	expect_failure("check mx1", LB_EXIT_TIMEOUT, "backend \"mx1\": no result after 2.0s");
}

#define TIME "2026-11-24T17:34:06.007Z"

static void happens(const char *text)
{
	history_add_line(&fake.history, 1795541646007ULL, text);
}

static void events_are_a_line_each(void **state)
{
	struct outcome o = run("events");

	(void)state;
	assert_int_equal(o.code, LB_EXIT_OK);
	assert_string_equal(o.out, "");
	assert_non_null(strstr(o.err, "nothing has happened"));
	history_add_change(&fake.history, 1795541646007ULL, "mx1", "up", "down", "smtp: \033[2J");
	happens("attached to eth0");
	expect_done("events", TIME "  mx1: up -> down (smtp: ?[2J)\n" TIME "  attached to eth0\n");
	o = run("events --json");
	assert_true(strncmp(o.out, "{\n  \"schema\": 1,\n  \"events\": [\n", 30) == 0);
}

/* Starts "lbctl events --follow", with its standard output and error in a pipe. */
static pid_t start_following(FILE **out)
{
	char *argv[] = { "lbctl", "--socket", server.path, "events", "--follow", NULL };
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		fexecve(lbctl_fd, argv, environ);
		_exit(98);
	}
	close(ends[1]);
	*out = fdopen(ends[0], "r");
	assert_non_null(*out);
	return pid;
}

static void expect_line(FILE *in, const char *expected)
{
	char line[256] = "";

	assert_ptr_equal(fgets(line, sizeof(line), in), line);
	assert_string_equal(line, expected);
}

static void following_shows_what_comes_until_interrupted(void **state)
{
	int status;
	pid_t pid;
	FILE *out;

	(void)state;
	happens("one");
	happens("two");
	pid = start_following(&out);
	expect_line(out, TIME "  one\n");
	expect_line(out, TIME "  two\n");
	happens("three");
	expect_line(out, TIME "  three\n");
	memset(&fake.history, 0, sizeof(fake.history));
	happens("four");
	expect_line(out, "the daemon was started again\n");
	expect_line(out, TIME "  four\n");
	assert_int_equal(kill(pid, SIGINT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), LB_EXIT_OK);
	assert_int_equal(fgetc(out), EOF);
	fclose(out);
}

static void no_daemon_is_exit_3(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char long_path[256];
	int fd;

	(void)state;
	http_server_folder(&server);
	expect_failure("list", LB_EXIT_NO_DAEMON, "start it with \"systemctl start mailxdp\" or \"lbd\"");
	expect_failure("list", LB_EXIT_NO_DAEMON, server.path);
	expect_failure("events --follow", LB_EXIT_NO_DAEMON, server.path);
	expect_failure("--socket /nonexistent/x drain a", LB_EXIT_NO_DAEMON,
		       "lbctl: no daemon answers on /nonexistent/x: start it");
	strcpy(addr.sun_path, server.path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	expect_failure("list", LB_EXIT_NO_DAEMON, "no daemon answers");	/* a dead one's socket */
	http_server_clean(&server);
	snprintf(long_path, sizeof(long_path), "--socket /%0200d list", 1);
	expect_failure(long_path, LB_EXIT_USAGE, "cannot be this long");
}

static void a_closed_door_is_exit_4(void **state)
{
	struct outcome o;

	(void)state;
	start((struct http_conf){});
	assert_int_equal(chmod(server.path, 0), 0);
	assert_int_equal(chmod(server.folder, 0711), 0);
	o = run_as(true, "list");
	assert_int_equal(o.code, LB_EXIT_NOT_PERMITTED);
	assert_non_null(strstr(o.err, "lbctl: not permitted to open "));
	stop();
}

static void readers_may_read_and_not_change(void **state)
{
	(void)state;
	peer = (struct http_peer){ .uid = geteuid() + 1, .gid = getegid() + 1 };
	start((struct http_conf){ .peer = fake_peer });
	assert_int_equal(run("list").code, LB_EXIT_OK);
	expect_failure("drain mx1", LB_EXIT_NOT_PERMITTED, "lbctl: not permitted: changes are for root");
	assert_string_equal(fake.asked, "");
	stop();
}

/* The real credentials of a real stranger: needs root to make one. */
static void the_kernel_tells_who_asks(void **state)
{
	struct outcome o;

	(void)state;
	if (geteuid() != 0)
		skip();
	start((struct http_conf){});
	assert_int_equal(chmod(server.folder, 0711), 0);
	assert_int_equal(chmod(server.path, 0666), 0);
	assert_int_equal(run_as(true, "list").code, LB_EXIT_OK);
	o = run_as(true, "drain mx1");
	assert_int_equal(o.code, LB_EXIT_NOT_PERMITTED);
	/* chgrp is heard at once. */
	assert_int_equal(chown(server.path, -1, NOBODY), 0);
	assert_int_equal(run_as(true, "drain mx1").code, LB_EXIT_OK);
	stop();
}

static void a_foreign_server_is_exit_1(void **state)
{
	(void)state;
	start((struct http_conf){ .handler = talk_nonsense });
	expect_failure("list", LB_EXIT_FAILED, "makes no sense");
	expect_failure("save", LB_EXIT_FAILED, "makes no sense");
	stop();
}

/* build/tests/lbctl_test -> build/lbctl */
static int open_lbctl(void **state)
{
	char self[PATH_MAX], path[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)state;
	assert_true(n > 0);
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/lbctl", dirname(dirname(self)));
	lbctl_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (lbctl_fd == -1)
		print_error("%s: %s: build it first, with \"make\"\n", path, strerror(errno));
	return lbctl_fd == -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(changes_go_through_and_say_what_happened, setup, teardown),
		cmocka_unit_test_setup_teardown(reload_and_save, setup, teardown),
		cmocka_unit_test_setup_teardown(each_class_of_error_has_its_exit_code, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wrong_command_line_is_explained, setup, teardown),
		cmocka_unit_test_setup_teardown(help_is_there_for_all_and_for_each, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_command_it_is_status, setup, teardown),
		cmocka_unit_test_setup_teardown(a_list_without_checks_is_said_to_be_old, setup, teardown),
		cmocka_unit_test_setup_teardown(json_is_the_daemons_document, setup, teardown),
		cmocka_unit_test_setup_teardown(people_get_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(empty_tables_say_what_to_do_next, setup, teardown),
		cmocka_unit_test_setup_teardown(output_that_cannot_be_written_is_a_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(drain_waits_until_empty_and_tells_the_progress, setup, teardown),
		cmocka_unit_test_setup_teardown(drain_tells_the_longest_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(drain_gives_up_after_the_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(drain_of_a_backend_that_is_gone_is_over, setup, teardown),
		cmocka_unit_test_setup_teardown(a_check_shows_the_dialogue_and_the_result, setup, teardown),
		cmocka_unit_test_setup_teardown(a_check_that_cannot_be_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(events_are_a_line_each, setup, teardown),
		cmocka_unit_test_setup_teardown(following_shows_what_comes_until_interrupted, setup, teardown),
		cmocka_unit_test(no_daemon_is_exit_3),
		cmocka_unit_test(a_closed_door_is_exit_4),
		cmocka_unit_test(readers_may_read_and_not_change),
		cmocka_unit_test(the_kernel_tells_who_asks),
		cmocka_unit_test(a_foreign_server_is_exit_1),
	};

	return cmocka_run_group_tests(tests, open_lbctl, NULL);
}
