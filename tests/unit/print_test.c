// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What lbctl shows to people: columns, numbers, colours, hints, and that no text from the network
 * reaches the terminal raw. The sources are included: they belong to another program.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "../../cli/print.c"
#include "../../cli/print_doc.c"

/* Prints the document; the text is the caller's. */
static char *printed(void (*print)(FILE *out, const json_t *doc), json_t *doc)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_non_null(doc);
	print(out, doc);
	fclose(out);
	json_decref(doc);
	return text;
}

/* Words with one blank between them: how far apart columns stand is tested once, elsewhere. */
static char *squeezed(char *text)
{
	char *to = text;

	for (char *c = text; *c; c++)
		if (*c != ' ' || c[1] != ' ')
			*to++ = *c;
	*to = '\0';
	return text;
}

static void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in:\n%s", part, text);
}

static json_t *backend(const char *state, const char *reason, json_t *check)
{
	return json_pack("{s:i, s:[{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:i, s:i, s:n,"
			 " s:s, s:i, s:b, s:o}]}",
			 "schema", 1, "backends",
			 "name", "mx1", "service", "mx", "address", "198.51.100.1", "state", state,
			 "weight", 100, "weight_now", 100, "max_conns", 0, "conns", 41, "inflight", 3,
			 "sessions_total", (json_int_t)18234, "bytes_in", (json_int_t)1234567,
			 "bytes_out", (json_int_t)99, "reply_p50_ms", 16, "reply_p99_ms", 2048, "banner_p99_ms",
			 "reason", reason, "since_s", 90, "next_hop", 1, "check", check);
}

static void columns_line_up(void **state)
{
	static const char *const heads[] = { "NAME", ">N", "REST" };
	struct print_table table = { .heads = heads, .cols = 3 };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	print_cell(&table, PRINT_PLAIN, "a-long-name");
	print_cell(&table, PRINT_PLAIN, "%d", 7);
	print_cell(&table, PRINT_PLAIN, "x");
	print_cell(&table, PRINT_PLAIN, "b");
	print_cell(&table, PRINT_PLAIN, "%d", 12345);
	print_cell(&table, PRINT_PLAIN, "%s", "");
	print_table_end(&table, out);
	fclose(out);
	assert_string_equal(text, "NAME             N  REST\n"
				  "a-long-name      7  x\n"
				  "b            12345  \n");
	free(text);
}

static void times_are_short(void **state)
{
	char buf[32];

	(void)state;
	assert_string_equal(print_seconds(0, buf, sizeof(buf)), "0s");
	assert_string_equal(print_seconds(59, buf, sizeof(buf)), "59s");
	assert_string_equal(print_seconds(90, buf, sizeof(buf)), "1m30s");
	assert_string_equal(print_seconds(7205, buf, sizeof(buf)), "2h00m");
	assert_string_equal(print_seconds(200000, buf, sizeof(buf)), "2d07h");
	assert_string_equal(print_ms(-1, buf, sizeof(buf)), "-");
	assert_string_equal(print_ms(1, buf, sizeof(buf)), "1ms");
	assert_string_equal(print_ms(999, buf, sizeof(buf)), "999ms");
	assert_string_equal(print_ms(16384, buf, sizeof(buf)), "16.4s");
	assert_string_equal(print_ms(131072, buf, sizeof(buf)), "2m11s");
}

static void a_backend_is_one_line(void **state)
{
	char *text = squeezed(printed(print_backends, backend("up", "-", json_pack("{s:s, s:s, s:i}", "kind", "tcp",
							       "result", "ok", "duration_us", 312))));
	char in[32], sessions[32], line[256];

	(void)state;
	snprintf(line, sizeof(line), "\nmx1 mx 198.51.100.1 up 100 41 3 %s %s 99 16ms/2.0s - 1m30s tcp ok, 0.3 ms\n",
		 num_to_human(18234, sessions, sizeof(sessions)), num_to_human(1234567, in, sizeof(in)));
	expect_in(text, "NAME SERVICE ADDRESS STATE WEIGHT CONNS INFLIGHT SESSIONS IN OUT REPLY p50/p99 BANNER p99 "
		  "SINCE CHECK/REASON\n");
	expect_in(text, line);
	free(text);
}

static void a_backend_in_trouble_shows_why(void **state)
{
	json_t *doc = backend("down", "tcp: connection refused", json_null());
	json_t *be = json_array_get(json_object_get(doc, "backends"), 0);
	char *text;

	(void)state;
	json_object_set_new(be, "next_hop", json_false());
	json_object_set_new(be, "max_conns", json_integer(200));
	json_object_set_new(be, "reply_p50_ms", json_null());
	text = squeezed(printed(print_backends, doc));
	expect_in(text, " down 100 41/200 3 ");
	expect_in(text, " - - 1m30s no next hop; tcp: connection refused\n");
	free(text);
}

static void an_agents_words_stand_behind_the_check(void **state)
{
	json_t *doc = backend("up", "-", json_null());
	json_t *be = json_array_get(json_object_get(doc, "backends"), 0);
	char *text;

	(void)state;
	json_object_set_new(be, "weight", json_integer(1));
	json_object_set_new(be, "weight_now", json_integer(1));
	json_object_set_new(be, "max_conns_now", json_integer(20));
	json_object_set_new(be, "agent", json_pack("{s:s, s:b, s:s, s:f, s:i}", "text", "50%, maxconn 20", "answered", 1,
						    "last", "50%", "weight", 0.5, "age_ms", 1));
	json_incref(doc);
	text = squeezed(printed(print_backends, doc));
	expect_in(text, " up 0.5/1 41/20 3 ");
	expect_in(text, " not checked; agent: 50%, maxconn 20\n");
	free(text);
	json_object_set_new(json_object_get(be, "agent"), "answered", json_false());
	json_object_set_new(json_object_get(be, "agent"), "last", json_string("no answer in 2s"));
	text = squeezed(printed(print_backends, doc));
	expect_in(text, "; agent silent: no answer in 2s, last word: 50%, maxconn 20\n");
	free(text);
}

static void what_the_agent_decided_is_said_once(void **state)
{
	json_t *doc = backend("down", "agent: down (disk full)", json_null());
	json_t *be = json_array_get(json_object_get(doc, "backends"), 0);
	char *text;

	(void)state;
	json_object_set_new(be, "agent", json_pack("{s:s, s:b, s:f, s:i}", "text", "down (disk full)", "answered", 1,
						    "weight", 100.0, "age_ms", 1));
	text = squeezed(printed(print_backends, doc));
	expect_in(text, " 1m30s agent: down (disk full)\n");
	free(text);
}

static void a_check_that_was_not_good_shows_what_it_said(void **state)
{
	char *text = squeezed(printed(print_backends, backend("up", "-", json_pack("{s:s, s:s, s:s, s:i, s:i}",
			      "kind", "ehlo", "result", "rejected", "text", "smtp: 554 go away", "code", 554,
			      "duration_us", 312))));

	(void)state;
	expect_in(text, " 1m30s smtp: 554 go away\n");
	free(text);
}

static void slow_start_shows_both_weights(void **state)
{
	json_t *doc = backend("up", "-", json_null());
	char *text;

	(void)state;
	json_object_set_new(json_array_get(json_object_get(doc, "backends"), 0), "weight_now", json_integer(40));
	text = squeezed(printed(print_backends, doc));
	expect_in(text, " up 40/100 41 ");
	expect_in(text, " not checked\n");
	free(text);
}

static void states_have_colors_when_asked(void **state)
{
	char *text;

	(void)state;
	print_set_color(PRINT_COLOR_ALWAYS);
	text = printed(print_backends, backend("up", "-", json_null()));
	expect_in(text, "\033[32mup\033[0m");
	free(text);
	text = printed(print_backends, backend("draining", "by lbctl", json_null()));
	expect_in(text, "\033[33mdraining\033[0m");
	free(text);
	text = printed(print_backends, backend("down", "x", json_null()));
	expect_in(text, "\033[31mdown\033[0m");
	free(text);
	print_set_color(PRINT_COLOR_NEVER);
	text = printed(print_backends, backend("down", "x", json_null()));
	assert_null(strchr(text, '\033'));
	free(text);
}

static void no_color_and_dumb_terminals_are_heeded(void **state)
{
	(void)state;
	/* Where stdout is no terminal auto is never; where it is one, NO_COLOR decides. */
	setenv("NO_COLOR", "1", 1);
	print_set_color(PRINT_COLOR_AUTO);
	assert_false(colored);
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	print_set_color(PRINT_COLOR_AUTO);
	assert_false(colored);
	setenv("NO_COLOR", "1", 1);
	print_set_color(PRINT_COLOR_ALWAYS);
	assert_true(colored);
	unsetenv("NO_COLOR");
	print_set_color(PRINT_COLOR_NEVER);
}

static void strangers_do_not_drive_the_terminal(void **state)
{
	char *text = printed(print_backends, backend("down", "banner \033]0;owned\007 \n \xc2\x9b" "2J", json_null()));

	(void)state;
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\007'));
	assert_null(strstr(text, "\xc2\x9b"));
	expect_in(text, "banner ?]0;owned? ? ??2J\n");
	free(text);
}

static void flows_show_the_turn(void **state)
{
	json_t *doc = json_pack("{s:b, s:[{s:s, s:i, s:s, s:i, s:s, s:s, s:s, s:i, s:i, s:i},"
				" {s:s, s:i, s:n, s:i, s:n, s:s, s:s, s:i, s:i, s:i}]}",
				"truncated", 0, "flows",
				"client", "2001:db8::c", "client_port", 40000, "vip", "2001:db8::25", "port", 25,
				"backend", "mx1", "state", "server", "turn", "server", "turn_for_s", 12, "idle_s", 3,
				"age_s", 61,
				"client", "192.0.2.9", "client_port", 1, "vip", "port", 587,
				"backend", "state", "closing", "turn", "-", "turn_for_s", 99, "idle_s", 2, "age_s", 5);
	char *text = squeezed(printed(print_flows, doc));

	(void)state;
	assert_string_equal(text, "CLIENT VIP BACKEND STATE TURN FOR IDLE AGE\n"
				  "[2001:db8::c]:40000 [2001:db8::25]:25 mx1 open server 12s 3s 1m01s\n"
				  "192.0.2.9:1 -:587 - closing - - 2s 5s\n");
	free(text);
}

static void services_show_their_addresses(void **state)
{
	json_t *doc = json_pack("{s:[{s:s, s:[s, s], s:[i, i], s:s, s:s, s:s, s:{s:s}, s:i, s:i}]}", "services",
				"name", "mx", "vip", "192.0.2.25", "2001:db8::25", "ports", 25, 587, "mode", "nat",
				"scheduler", "maglev", "refuse", "reset", "check", "kind", "tcp", "backends", 3,
				"eligible", 2);
	char *text = squeezed(printed(print_services, doc));

	(void)state;
	expect_in(text, "\nmx 192.0.2.25,2001:db8::25 25,587 nat maglev reset tcp - 3 2\n");
	free(text);
}

static void stats_explain_what_was_counted(void **state)
{
	json_t *doc = json_pack("{s:{s:i, s:i, s:i}, s:[]}", "verdicts", "tx_syn", 5, "drop_ttl", 0, "tx_new_thing", 9,
				"backends");
	char *text = squeezed(printed(print_stats, doc));
	char line[512];

	(void)state;
	snprintf(line, sizeof(line), "tx_syn 5 %s\n", verdict_meaning(LB_TX_SYN));
	expect_in(text, line);
	expect_in(text, "tx_new_thing 9 not known to this lbctl\n");
	assert_null(strstr(text, "drop_ttl"));
	free(text);
}

static void status_fits_one_screen(void **state)
{
	json_t *doc = json_pack("{s:s, s:i, s:[{s:s, s:b, s:s, s:i, s:i}, {s:s, s:b}], s:{s:i, s:i}, s:i,"
				" s:{s:i, s:i, s:i, s:i}, s:{s:i, s:i, s:i, s:i, s:i}}",
				"version", "1.2", "uptime_s", 90, "interfaces",
				"name", "eth0", "attached", 1, "mode", "native", "prog_id", 41, "link_id", 7,
				"name", "eth1", "attached", 0,
				"flows", "entries", 10, "limit", 500, "services", 1,
				"backends", "total", 3, "up", 2, "draining", 1, "down", 0,
				"verdicts", "tx_syn", 1, "tx_reply", 2, "reset_ended", 4, "drop_ttl", 5,
				"pass_not_ip", 6);
	char *text = printed(print_status, doc);

	(void)state;
	assert_string_equal(text, "lbd 1.2, up 1m30s\n"
				  "interface  eth0, xdp native, program 41, link 7\n"
				  "interface  eth1, NOT ATTACHED: lbctl attach eth1\n"
				  "services   1\n"
				  "backends   3: 2 up, 1 draining, 0 down\n"
				  "flows      10 of 500 (2%)\n"
				  "packets    3 forwarded, 4 reset, 5 dropped, 6 passed to this host\n");
	free(text);
}

static void status_tells_whether_checks_run(void **state)
{
	char *text = printed(print_status, json_pack("{s:{s:s}}", "checker", "state", "running"));

	(void)state;
	expect_in(text, "\nchecks     running\n");
	free(text);
	text = printed(print_status, json_pack("{s:{s:s, s:i, s:s}}", "checker", "state", "failing", "failing_s", 12,
					       "reason", "ended (exit 3: its sandbox cannot be closed)"));
	expect_in(text, "\nchecks     NOT RUNNING for 12s, states may be old: "
			"ended (exit 3: its sandbox cannot be closed)\n");
	free(text);
	text = printed(print_status, json_pack("{s:{s:s}}", "checker", "state", "unused"));
	assert_null(strstr(text, "checks"));
	free(text);
}

static void an_empty_or_foreign_document_does_no_harm(void **state)
{
	char *text = printed(print_status, json_object());

	(void)state;
	expect_in(text, "interface  none: lbctl attach IFACE\n");
	expect_in(text, "services   none: lbctl service add NAME");
	expect_in(text, "backends   none: lbctl add NAME ADDRESS\n");
	free(text);
	text = printed(print_backends, json_pack("{s:[{}, i]}", "backends", 7));
	expect_in(text, "CHECK/REASON\n");
	free(text);
	text = printed(print_flows, json_pack("{s:[{}]}", "flows"));
	free(text);
	text = printed(print_services, json_pack("{s:[{}]}", "services"));
	free(text);
}

static void json_is_passed_on_with_indent(void **state)
{
	json_t *doc = json_pack("{s:i, s:[]}", "schema", 1, "backends");
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	print_json(out, doc);
	fclose(out);
	assert_string_equal(text, "{\n  \"schema\": 1,\n  \"backends\": []\n}\n");
	json_decref(doc);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_line_up),
		cmocka_unit_test(times_are_short),
		cmocka_unit_test(a_backend_is_one_line),
		cmocka_unit_test(a_backend_in_trouble_shows_why),
		cmocka_unit_test(an_agents_words_stand_behind_the_check),
		cmocka_unit_test(what_the_agent_decided_is_said_once),
		cmocka_unit_test(a_check_that_was_not_good_shows_what_it_said),
		cmocka_unit_test(slow_start_shows_both_weights),
		cmocka_unit_test(states_have_colors_when_asked),
		cmocka_unit_test(no_color_and_dumb_terminals_are_heeded),
		cmocka_unit_test(strangers_do_not_drive_the_terminal),
		cmocka_unit_test(flows_show_the_turn),
		cmocka_unit_test(services_show_their_addresses),
		cmocka_unit_test(stats_explain_what_was_counted),
		cmocka_unit_test(status_fits_one_screen),
		cmocka_unit_test(status_tells_whether_checks_run),
		cmocka_unit_test(an_empty_or_foreign_document_does_no_harm),
		cmocka_unit_test(json_is_passed_on_with_indent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
