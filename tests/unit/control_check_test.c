// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks that a person asks for, with the real engine behind them and a listening socket in front. Only what
 * they touch of the daemon's state is there.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "../../loader/addr.h"
#include "../../loader/control_inner.h"

#define MX1	3

static struct control *ctl;
static struct control_say say;
static struct lb_error err;
static int listener;

static void no_verdict(void *arg, int id, enum backend_health health, const char *reason)
{
	(void)arg, (void)id, (void)health, (void)reason;
}

static __u16 listen_somewhere(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	return ntohs(at.sin_port);
}

static void set_check(enum check_kind kind)
{
	struct service *svc = &ctl->config->pool->services[0];
	struct check_target target = { .address = ctl->config->pool->backends[MX1].address, .port = svc->check.port };

	svc->check.kind = kind;
	target.conf = svc->check;
	assert_int_equal(checks_set(ctl->checks, MX1, &target, HEALTH_UP, false), 0);
}

static int setup(void **state)
{
	struct service *svc;
	struct backend *be;

	(void)state;
	ctl = calloc(1, sizeof(*ctl));
	assert_non_null(ctl);
	assert_true(sd_event_new(&ctl->event) >= 0);
	assert_int_equal(config_new(&ctl->config), 0);
	assert_int_equal(checks_open(ctl->event, no_verdict, ctl, &ctl->checks), 0);
	svc = &ctl->config->pool->services[0];
	svc->used = true;
	strcpy(svc->name, "mx");
	svc->check = check_conf_default;
	svc->check.interval_ms = 3600000;
	svc->check.port = listen_somewhere();
	be = &ctl->config->pool->backends[MX1];
	be->used = true;
	strcpy(be->name, "mx1");
	assert_int_equal(addr_parse("127.0.0.1", &be->address), 0);
	set_check(CHECK_TCP);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int id = 1; id < LB_MAX_BACKENDS; id++)
		control_check_forget(ctl, id);
	checks_close(ctl->checks);
	config_free(ctl->config);
	sd_event_unref(ctl->event);
	close(listener);
	free(ctl);
	return 0;
}

static struct check_report look(void)
{
	struct check_report report;

	assert_int_equal(control_check_report(ctl, "mx1", &report, &err), 0);
	return report;
}

static struct check_report run_to_end(void)
{
	for (int i = 0; i < 100 && look().state == CHECK_REPORT_RUNNING; i++)
		assert_true(sd_event_run(ctl->event, 100000) >= 0);
	return look();
}

static void the_last_check_is_kept(void **state)
{
	struct check_report report;

	(void)state;
	assert_int_equal(look().state, CHECK_REPORT_NONE);
	assert_int_equal(control_check_start(ctl, "mx1", &say, &err), 0);
	assert_string_equal(say.text, "mx1: a check runs");
	assert_int_equal(look().state, CHECK_REPORT_RUNNING);
	assert_int_equal(look().timeout_ms, 5000);
	assert_string_equal(look().dialogue, "");
	report = run_to_end();
	assert_int_equal(report.state, CHECK_REPORT_DONE);
	assert_int_equal(report.result, CHECK_OK);
	assert_string_equal(report.text, "connected");
	assert_string_equal(report.dialogue, "* connected\n");
	close(listener);
	assert_int_equal(control_check_start(ctl, "mx1", &say, &err), 0);
	report = run_to_end();
	assert_int_equal(report.result, CHECK_REFUSED);
	assert_string_equal(report.dialogue, "* connection refused\n");
}

static void who_asks_while_one_runs_gets_that_one(void **state)
{
	(void)state;
	assert_int_equal(control_check_start(ctl, "mx1", &say, &err), 0);
	assert_int_equal(control_check_start(ctl, "mx1", &say, &err), 0);
	assert_string_equal(say.text, "mx1: a check runs already");
	assert_int_equal(run_to_end().result, CHECK_OK);
}

static void what_is_not_checked_says_why(void **state)
{
	struct check_report report;

	(void)state;
	set_check(CHECK_NONE);
	assert_int_equal(control_check_start(ctl, "mx1", &say, &err), -EEXIST);
	assert_string_equal(err.text, "backend \"mx1\" is not checked: its service \"mx\" has \"check: none\"");
	ctl->config->pool->backends[MX1].admin = ADMIN_DISABLED;
	assert_int_equal(control_check_start(ctl, "mx1", &say, &err), -EEXIST);
	assert_string_equal(err.text, "backend \"mx1\" is disabled, so it is not checked");
	assert_int_equal(control_check_start(ctl, "mx9", &say, &err), -ENOENT);
	assert_int_equal(err.code, LB_EXIT_NOT_FOUND);
	assert_int_equal(control_check_report(ctl, "mx9", &report, &err), -ENOENT);
	assert_int_equal(look().state, CHECK_REPORT_NONE);
}

static void a_backend_that_is_no_longer_checked_ends_its_check(void **state)
{
	(void)state;
	assert_int_equal(control_check_start(ctl, "mx1", &say, &err), 0);
	checks_remove(ctl->checks, MX1);
	assert_int_equal(look().state, CHECK_REPORT_DONE);
	assert_int_equal(look().result, CHECK_INTERNAL);
}

/* The sanitizers see a call into what is gone, and what is not given back. */
static void a_backend_that_goes_takes_its_check_along(void **state)
{
	(void)state;
	assert_int_equal(control_check_start(ctl, "mx1", &say, &err), 0);
	control_check_forget(ctl, MX1);
	assert_int_equal(look().state, CHECK_REPORT_NONE);
	checks_remove(ctl->checks, MX1);
	set_check(CHECK_TCP);
	assert_int_equal(control_check_start(ctl, "mx1", &say, &err), 0);	/* and the end comes while it runs */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_last_check_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(who_asks_while_one_runs_gets_that_one, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_checked_says_why, setup, teardown),
		cmocka_unit_test_setup_teardown(a_backend_that_is_no_longer_checked_ends_its_check, setup, teardown),
		cmocka_unit_test_setup_teardown(a_backend_that_goes_takes_its_check_along, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
