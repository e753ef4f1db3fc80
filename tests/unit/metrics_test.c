// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The Prometheus text: every family has one head, values and labels are those of the fake
 * control, and labels are escaped. No privileges, no clock.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "../../loader/api_names.h"
#include "../../loader/metrics.h"
#include "../../loader/verdict.h"
#include "control_fake.h"

static char *text;

static int setup(void **state)
{
	size_t len;

	(void)state;
	fake_reset();
	assert_int_equal(metrics_write(NULL, &text, &len), 0);
	assert_int_equal(len, strlen(text));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(text);
	text = NULL;
	return 0;
}

static void expect_line(const char *line)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (!strstr(text, whole))
		fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void every_metric_has_its_value(void **state)
{
	static const char *const lines[] = {
		"mailxdp_build_info{version=\"" MAILXDP_VERSION "\"} 1",
		"mailxdp_flow_entries 21",
		"mailxdp_flow_limit 131072",
		"mailxdp_xdp_attached{interface=\"eth0\",mode=\"native\"} 1",
		"mailxdp_xdp_attached{interface=\"eth1\",mode=\"none\"} 0",
		"mailxdp_backend_up{service=\"mx\",backend=\"mx1\"} 1",
		"mailxdp_backend_weight{service=\"mx\",backend=\"mx1\"} 50",
		"mailxdp_backend_current_sessions{service=\"mx\",backend=\"mx1\"} 11",
		"mailxdp_backend_inflight{service=\"mx\",backend=\"mx1\"} 21",
		"mailxdp_backend_sessions_total{service=\"mx\",backend=\"mx1\"} 1099511627776",
		"mailxdp_backend_replies_total{service=\"mx\",backend=\"mx1\"} 30",
		"mailxdp_backend_bytes_in_total{service=\"mx\",backend=\"mx1\"} 80",
		"mailxdp_backend_bytes_out_total{service=\"mx\",backend=\"mx1\"} 100",
		"mailxdp_backend_refused_total{service=\"mx\",backend=\"mx1\"} 40",
		"mailxdp_backend_resets_total{service=\"mx\",backend=\"mx1\"} 50",
		"mailxdp_backend_at_risk_total{service=\"mx\",backend=\"mx1\"} 60",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_line(lines[i]);
	for (int v = LB_NEXT + 1; v < LB_VERDICT_MAX; v++) {
		char line[128];

		snprintf(line, sizeof(line), "mailxdp_verdicts_total{verdict=\"%s\"} %d", verdict_to_str(v), 1000 + v);
		expect_line(line);
	}
}

static void agents_are_counted_where_there_are_any(void **state)
{
	size_t len;

	(void)state;
	assert_null(strstr(text, "mailxdp_backend_agent_"));
	free(text);
	fake.has_agent = true;
	assert_int_equal(metrics_write(NULL, &text, &len), 0);
	expect_line("mailxdp_backend_agent_up{service=\"mx\",backend=\"mx1\"} 0");
	expect_line("mailxdp_backend_agent_weight_percent{service=\"mx\",backend=\"mx1\"} 100");
	expect_line("mailxdp_backend_agent_answers_total{service=\"mx\",backend=\"mx1\"} 70");
	expect_line("mailxdp_backend_agent_failures_total{service=\"mx\",backend=\"mx1\"} 3");
	assert_null(strstr(text, "agent_up{service=\"mx\",backend=\"mx\\\"2"));
}

static void the_checker_is_told_where_it_is_wanted(void **state)
{
	size_t len;

	(void)state;
	assert_null(strstr(text, "mailxdp_checker_up"));
	for (int fails = 0; fails < 2; fails++) {
		free(text);
		fake.checker = (struct checker_status){ .wanted = true, .fails = fails };
		assert_int_equal(metrics_write(NULL, &text, &len), 0);
		expect_line(fails ? "mailxdp_checker_up 0" : "mailxdp_checker_up 1");
	}
}

static void labels_are_escaped_and_drained_is_not_up(void **state)
{
	(void)state;
	expect_line("mailxdp_backend_up{service=\"mx\",backend=\"mx\\\"2\"} 0");
}

/* HELP, TYPE, then only samples of that name; no name comes twice. */
static void every_family_has_one_head_and_stays_together(void **state)
{
	char names[64][80];
	size_t names_n = 0, samples = 0;
	char *rest = text, *line;

	(void)state;
	while ((line = strsep(&rest, "\n")) && *line) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			size_t len = strcspn(line + 7, " ");

			snprintf(names[names_n], sizeof(names[0]), "%.*s", (int)len, line + 7);
			for (size_t i = 0; i < names_n; i++)
				assert_string_not_equal(names[i], names[names_n]);
			assert_true(strlen(line) > 7 + len + 5);
			line = strsep(&rest, "\n");
			assert_true(strncmp(line, "# TYPE ", 7) == 0);
			assert_true(strncmp(line + 7, names[names_n], len) == 0);
			/* Counters, and only they, end in _total. */
			assert_int_equal(strcmp(line + 7 + len, " counter") == 0,
					 strcmp(names[names_n] + len - 6, "_total") == 0);
			names_n++;
			assert_true(names_n < 64);
			continue;
		}
		assert_true(names_n > 0);
		assert_int_equal(strcspn(line, "{ "), strlen(names[names_n - 1]));
		assert_true(strncmp(line, names[names_n - 1], strlen(names[names_n - 1])) == 0);
		samples++;
	}
	assert_null(rest && *rest ? rest : NULL);
	assert_true(samples > 30);
}

static void nothing_configured_is_still_a_valid_document(void **state)
{
	char *empty;
	size_t len;

	(void)state;
	fake.pool.backends[FAKE_MX1].used = fake.pool.backends[FAKE_MX2].used = false;
	assert_int_equal(metrics_write(NULL, &empty, &len), 0);
	assert_null(strstr(empty, "mailxdp_backend_"));
	assert_non_null(strstr(empty, "mailxdp_flow_limit 131072\n"));
	free(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_metric_has_its_value, setup, teardown),
		cmocka_unit_test_setup_teardown(agents_are_counted_where_there_are_any, setup, teardown),
		cmocka_unit_test_setup_teardown(the_checker_is_told_where_it_is_wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(labels_are_escaped_and_drained_is_not_up, setup, teardown),
		cmocka_unit_test_setup_teardown(every_family_has_one_head_and_stays_together, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_configured_is_still_a_valid_document, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
