// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The routes of the control socket, without a socket: requests go in as structs, and a fake
 * control says what it was asked. No privileges, no clock.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include "../../loader/api.h"
#include "../../loader/api_names.h"
#include "../../loader/verdict.h"
#include "control_fake.h"

static const char *query_key, *query_value;	/* the one query argument there is */

static const char *fake_query(const struct http_request *req, const char *key)
{
	(void)req;
	return query_key && strcmp(key, query_key) == 0 ? query_value : NULL;
}

/* Returns the status; *out is the document. */
static unsigned int call_as(bool may_change, const char *method, const char *path, const char *body, json_t **out)
{
	struct http_request req = {
		.method = method, .path = path, .body = body, .body_len = strlen(body),
		.may_change = may_change, .query = fake_query,
	};
	struct http_answer answer = {};

	assert_int_equal(api_handle(NULL, &req, &answer), 0);
	assert_string_equal(answer.type, "application/json");
	*out = json_loadb(answer.body, answer.len, 0, NULL);
	assert_non_null(*out);
	free(answer.body);
	return answer.status;
}

static unsigned int call(const char *method, const char *path, const char *body, json_t **out)
{
	return call_as(true, method, path, body, out);
}

static void expect_asked(const char *method, const char *path, const char *body, const char *asked)
{
	json_t *doc;
	char said[600];

	fake.asked[0] = '\0';
	assert_int_equal(call(method, path, body, &doc), 200);
	assert_string_equal(fake.asked, asked);
	snprintf(said, sizeof(said), "did %s", asked);
	assert_string_equal(json_string_value(json_object_get(doc, "message")), said);
	json_decref(doc);
}

/* Refused before control hears of it. text: a part of the error. */
static void expect_refused(const char *method, const char *path, const char *body, unsigned int status,
			   enum lb_exit code, const char *text)
{
	json_t *doc;

	fake.asked[0] = '\0';
	assert_int_equal(call(method, path, body, &doc), status);
	assert_string_equal(fake.asked, "");
	assert_int_equal(json_integer_value(json_object_get(doc, "exit")), code);
	if (!strstr(json_string_value(json_object_get(doc, "error")), text))
		fail_msg("\"%s\" is not in \"%s\"", text, json_string_value(json_object_get(doc, "error")));
	json_decref(doc);
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	query_key = query_value = NULL;
	return 0;
}

static void every_change_reaches_its_function(void **state)
{
	(void)state;
	expect_asked("POST", "/v1/services",
		     "{\"name\":\"s\",\"vip\":[\"192.0.2.1\",\"2001:db8::1\"],\"ports\":[25,\"587\"],\"mode\":\"dsr\","
		     "\"scheduler\":\"maglev\",\"refuse\":\"drop\",\"check\":\"none\",\"agent\":9707}",
		     "service_add s vips 2 192.0.2.1 2001:db8::1 ports 2 25 587 mode dsr scheduler maglev "
		     "refuse drop check none agent 9707");
	expect_asked("POST", "/v1/services", "{\"name\":\"s\",\"vip\":\"192.0.2.1\",\"ports\":25}",
		     "service_add s vips 1 192.0.2.1 - ports 1 25 - mode - scheduler - refuse - check - agent 0");
	expect_asked("POST", "/v1/services", "{\"name\":\"s\",\"vip\":\"192.0.2.1\",\"ports\":25,\"agent\":\"9707\"}",
		     "service_add s vips 1 192.0.2.1 - ports 1 25 - mode - scheduler - refuse - check - agent 9707");
	expect_asked("DELETE", "/v1/services/s", "", "service_remove s");
	expect_asked("POST", "/v1/backends", "{\"name\":\"b\",\"address\":\"192.0.2.9\"}",
		     "backend_add b 192.0.2.9 service - weight - max_conns -");
	expect_asked("POST", "/v1/backends", "{\"name\":\"b\",\"address\":\"192.0.2.9\",\"service\":\"s\","
		     "\"weight\":12,\"max_conns\":\"0\"}",
		     "backend_add b 192.0.2.9 service s weight 12 max_conns 0");
	expect_asked("PATCH", "/v1/backends/mx1", "{\"weight\":\"12x\"}", "backend_set mx1 weight 12x max_conns -");
	expect_asked("PATCH", "/v1/backends/mx1", "{\"max_conns\":9,\"weight\":null}",
		     "backend_set mx1 weight - max_conns 9");
	expect_asked("POST", "/v1/backends/mx1/drain", "", "backend_drain mx1 0");
	expect_asked("POST", "/v1/backends/mx1/drain", "{\"deadline_ms\":600000}", "backend_drain mx1 600000");
	expect_asked("POST", "/v1/backends/mx1/enable", "{}", "backend_enable mx1");
	expect_asked("POST", "/v1/backends/mx1/check", "", "check_start mx1");
	expect_asked("DELETE", "/v1/backends/mx1", "", "backend_remove mx1 now 0");
	query_key = "now";
	query_value = "1";
	expect_asked("DELETE", "/v1/backends/mx1", "", "backend_remove mx1 now 1");
	expect_asked("POST", "/v1/interfaces", "{\"name\":\"eth0\"}", "attach eth0 0");
	expect_asked("POST", "/v1/interfaces", "{\"name\":\"eth0\",\"mode\":\"generic\"}", "attach eth0 2");
	expect_asked("DELETE", "/v1/interfaces/eth0.7", "", "detach eth0.7");
	expect_asked("POST", "/v1/reload", "", "reload");
	expect_asked("POST", "/v1/save", "", "save");
}

static void only_the_permitted_may_change(void **state)
{
	static const char *const changes[][2] = {
		{ "POST", API_SERVICES }, { "DELETE", API_SERVICES "/s" }, { "POST", API_BACKENDS },
		{ "PATCH", API_BACKENDS "/b" }, { "DELETE", API_BACKENDS "/b" }, { "POST", API_BACKENDS "/b/drain" },
		{ "POST", API_BACKENDS "/b/enable" },
		{ "POST", API_BACKENDS "/b/check" }, { "POST", API_INTERFACES }, { "DELETE", API_INTERFACES "/e" },
		{ "POST", API_RELOAD }, { "POST", API_SAVE },
	};
	static const char *const reads[] = {
		API_STATUS, API_SERVICES, API_BACKENDS, API_BACKENDS "/mx1/check", API_FLOWS, API_EVENTS,
		API_STATS, API_VERSION_PATH,
	};
	json_t *doc;

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		assert_int_equal(call_as(false, changes[i][0], changes[i][1], "", &doc), 403);
		assert_int_equal(json_integer_value(json_object_get(doc, "exit")), LB_EXIT_NOT_PERMITTED);
		assert_string_equal(fake.asked, "");
		json_decref(doc);
	}
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		assert_int_equal(call_as(false, "GET", reads[i], "", &doc), 200);
		json_decref(doc);
	}
}

static void bad_requests_say_what_is_wrong(void **state)
{
	char deep[64];

	(void)state;
	expect_refused("POST", "/v1/backends", "{\"name\":\"b\",\"adress\":\"192.0.2.9\"}", 400, LB_EXIT_USAGE,
		       "unknown field \"adress\": this request takes name, address, service");
	expect_refused("POST", "/v1/backends", "{\"name\":\"b\",\"max\":1,\"address\":\"192.0.2.9\"}", 400,
		       LB_EXIT_USAGE, "unknown field \"max\"");
	expect_refused("POST", "/v1/save", "{\"x\":1}", 400, LB_EXIT_USAGE, "takes none");
	expect_refused("POST", "/v1/backends", "{\"name\":\"b\"}", 400, LB_EXIT_USAGE, "\"address\" is missing");
	expect_refused("POST", "/v1/backends", "{\"name\":7,\"address\":\"192.0.2.9\"}", 400, LB_EXIT_USAGE,
		       "name: not a string");
	expect_refused("PATCH", "/v1/backends/b", "{\"weight\":1.5}", 400, LB_EXIT_USAGE, "weight: neither");
	expect_refused("PATCH", "/v1/backends/b", "{\"weight\":1,\"weight\":2}", 400, LB_EXIT_USAGE, "duplicate");
	expect_refused("PATCH", "/v1/backends/b", "{\"weight\":", 400, LB_EXIT_USAGE, "not JSON: line 1");
	expect_refused("PATCH", "/v1/backends/b", "{\"weight\":1} x", 400, LB_EXIT_USAGE, "not JSON");
	expect_refused("PATCH", "/v1/backends/b", "[1]", 400, LB_EXIT_USAGE, "not a JSON object");
	expect_refused("PATCH", "/v1/backends/b", "{\"weight\":\"\\u0000\"}", 400, LB_EXIT_USAGE, "not JSON");
	expect_refused("POST", "/v1/services", "{\"name\":\"s\",\"vip\":[],\"ports\":[25]}", 400, LB_EXIT_USAGE,
		       "\"vip\" is missing");
	expect_refused("POST", "/v1/services", "{\"name\":\"s\",\"vip\":[\"a\",\"b\",\"c\"],\"ports\":[25]}", 400,
		       LB_EXIT_USAGE, "vip: 3 values, at most 2");
	expect_refused("POST", "/v1/services", "{\"name\":\"s\",\"vip\":\"a\",\"ports\":[[25]]}", 400, LB_EXIT_USAGE,
		       "ports: neither");
	expect_refused("POST", "/v1/services", "{\"name\":\"s\",\"vip\":\"a\",\"ports\":[25],\"check\":\"ping\"}", 400,
		       LB_EXIT_USAGE, "\"ping\" is not a kind");
	expect_refused("POST", "/v1/services", "{\"name\":\"s\",\"vip\":\"a\",\"ports\":[25],\"agent\":0}", 400,
		       LB_EXIT_USAGE, "agent \"0\" is not 1-65535");
	expect_refused("POST", "/v1/services", "{\"name\":\"s\",\"vip\":\"a\",\"ports\":[25],\"agent\":{}}", 400,
		       LB_EXIT_USAGE, "agent: neither");
	expect_refused("POST", "/v1/interfaces", "{\"name\":\"e\",\"mode\":\"fast\"}", 400, LB_EXIT_USAGE, "\"fast\"");
	expect_refused("POST", "/v1/backends/b/drain", "{\"deadline_ms\":-1}", 400, LB_EXIT_USAGE,
		       "deadline_ms \"-1\"");
	expect_refused("POST", "/v1/backends/b/drain", "{\"deadline_ms\":\"10m\"}", 400, LB_EXIT_USAGE, "\"10m\"");
	memset(deep, '[', sizeof(deep));
	deep[sizeof(deep) - 1] = '\0';
	expect_refused("POST", "/v1/save", deep, 400, LB_EXIT_USAGE, "deeper than 8");
	query_key = "now";
	query_value = "yes";
	expect_refused("DELETE", "/v1/backends/b", "", 400, LB_EXIT_USAGE, "\"yes\"");
}

static void a_body_over_the_limit_is_refused(void **state)
{
	struct http_request req = {
		.method = "POST", .path = API_SAVE, .body = "", .body_too_big = true, .may_change = true,
		.query = fake_query,
	};
	struct http_answer answer = {};

	(void)state;
	assert_int_equal(api_handle(NULL, &req, &answer), 0);
	assert_int_equal(answer.status, 400);
	assert_non_null(strstr(answer.body, "longer than 65536"));
	assert_string_equal(fake.asked, "");
	free(answer.body);
}

static void unknown_paths_and_methods_are_told_apart(void **state)
{
	(void)state;
	expect_refused("GET", "/", "", 404, LB_EXIT_USAGE, "no such path");
	expect_refused("GET", "/v1/backend", "", 404, LB_EXIT_USAGE, "no such path");
	expect_refused("GET", "/v1/backends/", "", 404, LB_EXIT_USAGE, "no such path");
	expect_refused("POST", "/v1/backends//drain", "", 404, LB_EXIT_USAGE, "no such path");
	expect_refused("POST", "/v1/backends/a/b/drain", "", 404, LB_EXIT_USAGE, "no such path");
	expect_refused("GET", "/v1/\xff\"", "", 404, LB_EXIT_USAGE, "no such path");
	expect_refused("PUT", "/v1/backends", "", 405, LB_EXIT_USAGE, "no such method");
	expect_refused("GET", "/v1/backends/mx1", "", 405, LB_EXIT_USAGE, "no such method");
	expect_refused("POST", "/metrics", "", 405, LB_EXIT_USAGE, "no such method");
}

static void every_class_of_error_has_its_status(void **state)
{
	static const struct { enum lb_exit code; unsigned int status; } classes[] = {
		{ LB_EXIT_FAILED, 500 }, { LB_EXIT_USAGE, 400 }, { LB_EXIT_NO_DAEMON, 500 },
		{ LB_EXIT_NOT_PERMITTED, 403 }, { LB_EXIT_NOT_FOUND, 404 }, { LB_EXIT_CONFLICT, 409 },
		{ LB_EXIT_TIMEOUT, 504 },
	};
	json_t *doc;

	(void)state;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		fake.fail = classes[i].code;
		assert_int_equal(call("POST", API_RELOAD, "", &doc), classes[i].status);
		assert_int_equal(json_integer_value(json_object_get(doc, "exit")), classes[i].code);
		json_decref(doc);
	}
}

static void backends_show_every_field(void **state)
{
	static const char *const numbers[] = {
		"weight", "weight_now", "max_conns", "conns", "inflight", "sessions_total", "replies_total", "reply_us_total",
		"bytes_in", "bytes_out", "packets_in", "packets_out", "refused_total", "resets_total",
		"at_risk_total", "reply_p50_ms", "reply_p99_ms", "longest_p99_ms", "since_s", "longest_wait_ms",
		"drain_owing",
	};
	static const json_int_t values[] = {
		100, 50, 200, 11, 21, 1LL << 40, 30, 45000, 80, 100, 70, 90, 40, 50, 60, 16, 1024, 4096, 77, 12345, 1,
	};
	const json_t *list, *be, *check;
	json_t *doc;

	(void)state;
	fake.longest_ms = 12345;
	assert_int_equal(call("GET", API_BACKENDS, "", &doc), 200);
	assert_int_equal(json_integer_value(json_object_get(doc, "schema")), 1);
	list = json_object_get(doc, "backends");
	assert_int_equal(json_array_size(list), 2);
	be = json_array_get(list, 0);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (json_integer_value(json_object_get(be, numbers[i])) != values[i])
			fail_msg("%s is not %lld", numbers[i], (long long)values[i]);
	}
	assert_string_equal(json_string_value(json_object_get(be, "name")), "mx1");
	assert_string_equal(json_string_value(json_object_get(be, "service")), "mx");
	assert_string_equal(json_string_value(json_object_get(be, "address")), "198.51.100.1");
	assert_string_equal(json_string_value(json_object_get(be, "state")), "up");
	assert_true(json_is_null(json_object_get(be, "banner_p99_ms")));
	assert_true(json_is_true(json_object_get(be, "next_hop")));
	check = json_object_get(be, "check");
	assert_string_equal(json_string_value(json_object_get(check, "kind")), "tcp");
	assert_string_equal(json_string_value(json_object_get(check, "result")), check_result_to_str(CHECK_OK));
	assert_string_equal(json_string_value(json_object_get(check, "text")), "connected");
	assert_int_equal(json_integer_value(json_object_get(check, "duration_us")), 312);
	assert_true(json_is_integer(json_object_get(check, "age_ms")));
	assert_true(json_is_null(json_object_get(check, "code")));
	assert_true(json_is_null(json_object_get(check, "tls_days")));

	be = json_array_get(list, 1);
	assert_true(json_is_null(json_object_get(be, "check")));
	assert_string_equal(json_string_value(json_object_get(be, "state")), "draining");
	/* What a stranger sent is not always UTF-8. */
	assert_string_equal(json_string_value(json_object_get(be, "reason")), "by lbctl ??");
	json_decref(doc);
}

static void checks_show_what_smtp_and_tls_told(void **state)
{
	const json_t *check;
	json_t *doc;

	(void)state;
	fake.check_code = 250;
	fake.tls_days = 0;
	assert_int_equal(call("GET", API_BACKENDS, "", &doc), 200);
	check = json_object_get(json_array_get(json_object_get(doc, "backends"), 0), "check");
	assert_int_equal(json_integer_value(json_object_get(check, "code")), 250);
	assert_true(json_is_integer(json_object_get(check, "tls_days")));
	assert_int_equal(json_integer_value(json_object_get(check, "tls_days")), 0);
	json_decref(doc);
}

static void an_agent_is_shown_with_what_it_makes_of_the_weight(void **state)
{
	const struct agent_report report = { .has_weight = true, .weight_percent = 50, .has_max_conns = true, .max_conns = 20 };
	const json_t *be, *agent;
	json_t *doc;

	(void)state;
	assert_int_equal(call("GET", API_BACKENDS, "", &doc), 200);
	assert_true(json_is_null(json_object_get(json_array_get(json_object_get(doc, "backends"), 0), "agent")));
	json_decref(doc);
	fake.has_agent = true;
	pool_backend_agent(&fake.pool, FAKE_MX1, &report, 0);
	assert_int_equal(call("GET", API_BACKENDS, "", &doc), 200);
	be = json_array_get(json_object_get(doc, "backends"), 0);
	agent = json_object_get(be, "agent");
	assert_string_equal(json_string_value(json_object_get(agent, "text")), "50%, maxconn 20");
	assert_string_equal(json_string_value(json_object_get(agent, "last")), "connection refused");
	assert_true(json_is_false(json_object_get(agent, "answered")));
	assert_int_equal(json_integer_value(json_object_get(agent, "weight_percent")), 50);
	assert_int_equal(json_integer_value(json_object_get(agent, "max_conns")), 20);
	assert_true(json_real_value(json_object_get(agent, "weight")) == 50.0);
	assert_int_equal(json_integer_value(json_object_get(agent, "answers_total")), 70);
	assert_int_equal(json_integer_value(json_object_get(agent, "failures_total")), 3);
	assert_true(json_is_integer(json_object_get(agent, "age_ms")));
	assert_int_equal(json_integer_value(json_object_get(be, "max_conns")), 200);
	assert_int_equal(json_integer_value(json_object_get(be, "max_conns_now")), 20);
	json_decref(doc);
	assert_int_equal(call("GET", API_STATUS, "", &doc), 200);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(doc, "agents"), "total")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(doc, "agents"), "silent")), 1);
	json_decref(doc);
}

static void a_check_is_none_then_runs_then_is_done(void **state)
{
	static const char *const lines[] = { "* connected", "< 220 mx ?", "", "> QUIT" };
	const json_t *list;
	json_t *doc;

	(void)state;
	assert_int_equal(call("GET", "/v1/backends/mx1/check", "", &doc), 200);
	assert_string_equal(json_string_value(json_object_get(doc, "state")), "none");
	assert_true(json_is_null(json_object_get(doc, "result")));
	assert_int_equal(json_array_size(json_object_get(doc, "dialogue")), 0);
	json_decref(doc);
	fake.check_polls = 1;
	expect_asked("POST", "/v1/backends/mx1/check", "", "check_start mx1");
	assert_int_equal(call("GET", "/v1/backends/mx1/check", "", &doc), 200);
	assert_string_equal(json_string_value(json_object_get(doc, "state")), "running");
	assert_int_equal(json_integer_value(json_object_get(doc, "timeout_ms")), 500);
	json_decref(doc);
	assert_int_equal(call("GET", "/v1/backends/mx1/check", "", &doc), 200);
	assert_int_equal(json_integer_value(json_object_get(doc, "schema")), 1);
	assert_string_equal(json_string_value(json_object_get(doc, "state")), "done");
	assert_string_equal(json_string_value(json_object_get(doc, "result")), check_result_to_str(CHECK_OK));
	assert_string_equal(json_string_value(json_object_get(doc, "text")), "250 mx");
	assert_int_equal(json_integer_value(json_object_get(doc, "duration_us")), 1234);
	list = json_object_get(doc, "dialogue");
	assert_int_equal(json_array_size(list), 4);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(json_string_value(json_array_get(list, i)), lines[i]);
	json_decref(doc);
	fake.asked[0] = '\0';
	expect_refused("GET", "/v1/backends/mx9/check", "", 404, LB_EXIT_NOT_FOUND, "no backend \"mx9\"");
}

static void events_are_shown_from_a_number_on(void **state)
{
	const json_t *event;
	json_t *doc;

	(void)state;
	history_add_change(&fake.history, 1795541646007ULL, "mx1", "up", "down", "smtp: \xff");
	history_add_line(&fake.history, 1795541647000ULL, "attached to eth0");
	assert_int_equal(call("GET", API_EVENTS, "", &doc), 200);
	assert_int_equal(json_integer_value(json_object_get(doc, "schema")), 1);
	assert_int_equal(json_integer_value(json_object_get(doc, "next")), 3);
	assert_int_equal(json_array_size(json_object_get(doc, "events")), 2);
	event = json_array_get(json_object_get(doc, "events"), 0);
	assert_int_equal(json_integer_value(json_object_get(event, "seq")), 1);
	assert_string_equal(json_string_value(json_object_get(event, "time")), "2026-11-24T17:34:06.007Z");
	assert_string_equal(json_string_value(json_object_get(event, "backend")), "mx1");
	assert_string_equal(json_string_value(json_object_get(event, "from")), "up");
	assert_string_equal(json_string_value(json_object_get(event, "to")), "down");
	assert_string_equal(json_string_value(json_object_get(event, "text")), "smtp: ?");
	json_decref(doc);
	query_key = "since";
	query_value = "2";
	assert_int_equal(call("GET", API_EVENTS, "", &doc), 200);
	assert_int_equal(json_array_size(json_object_get(doc, "events")), 1);
	event = json_array_get(json_object_get(doc, "events"), 0);
	assert_true(json_is_null(json_object_get(event, "backend")));
	assert_true(json_is_null(json_object_get(event, "from")));
	assert_string_equal(json_string_value(json_object_get(event, "text")), "attached to eth0");
	json_decref(doc);
	query_value = "3";
	assert_int_equal(call("GET", API_EVENTS, "", &doc), 200);
	assert_int_equal(json_array_size(json_object_get(doc, "events")), 0);
	assert_int_equal(json_integer_value(json_object_get(doc, "next")), 3);
	json_decref(doc);
	query_value = "-1";
	expect_refused("GET", API_EVENTS, "", 400, LB_EXIT_USAGE, "since \"-1\"");
}

static void status_and_stats_show_every_verdict(void **state)
{
	json_t *status, *stats;
	const json_t *itf, *of_status, *of_stats;

	(void)state;
	assert_int_equal(call("GET", API_STATUS, "", &status), 200);
	assert_int_equal(call("GET", API_STATS, "", &stats), 200);
	for (int v = LB_NEXT + 1; v < LB_VERDICT_MAX; v++) {
		const char *name = verdict_to_str(v);

		of_status = json_object_get(json_object_get(status, "verdicts"), name);
		of_stats = json_object_get(json_object_get(stats, "verdicts"), name);
		assert_int_equal(json_integer_value(of_status), 1000 + v);
		assert_int_equal(json_integer_value(of_stats), 1000 + v);
	}
	assert_int_equal(json_array_size(json_object_get(stats, "backends")), 2);
	assert_int_equal(json_integer_value(json_object_get(status, "uptime_s")), 3600);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "flows"), "limit")), 131072);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(status, "backends"), "draining")), 1);
	itf = json_array_get(json_object_get(status, "interfaces"), 0);
	assert_string_equal(json_string_value(json_object_get(itf, "mode")), "native");
	itf = json_array_get(json_object_get(status, "interfaces"), 1);
	assert_true(json_is_false(json_object_get(itf, "attached")));
	assert_true(json_is_null(json_object_get(itf, "mode")));
	json_decref(status);
	json_decref(stats);
}

static void expect_checker(const char *path, const char *state, bool failing, const char *reason)
{
	const json_t *checker, *value;
	json_t *doc;

	assert_int_equal(call("GET", path, "", &doc), 200);
	checker = json_object_get(doc, "checker");
	assert_string_equal(json_string_value(json_object_get(checker, "state")), state);
	value = json_object_get(checker, "failing_s");
	assert_true(failing ? json_integer_value(value) == 12 : json_is_null(value));
	value = json_object_get(checker, "reason");
	if (failing)
		assert_string_equal(json_string_value(value), reason);
	else
		assert_true(json_is_null(value));
	json_decref(doc);
}

/* In the list, too: states of before must not pass for news there. */
static void whether_checks_run_is_shown(void **state)
{
	static const char *const paths[] = { API_STATUS, API_BACKENDS };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		fake.checker = (struct checker_status){ .wanted = true };
		expect_checker(paths[i], "running", false, NULL);
		fake.checker = (struct checker_status){ .wanted = true, .fails = true, .failing_s = 12, .why = "ended (exit 3)" };
		expect_checker(paths[i], "failing", true, "ended (exit 3)");
		/* nobody waits for it: no reason to worry anybody */
		fake.checker.wanted = false;
		expect_checker(paths[i], "unused", false, NULL);
	}
}

static void services_and_version_are_shown(void **state)
{
	const json_t *svc;
	json_t *doc;

	(void)state;
	assert_int_equal(call("GET", API_SERVICES, "", &doc), 200);
	svc = json_array_get(json_object_get(doc, "services"), 0);
	assert_string_equal(json_string_value(json_object_get(svc, "name")), "mx");
	assert_int_equal(json_array_size(json_object_get(svc, "vip")), 2);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(svc, "ports"), 1)), 587);
	assert_int_equal(json_integer_value(json_object_get(svc, "backends")), 2);
	assert_int_equal(json_integer_value(json_object_get(svc, "eligible")), 1);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(svc, "check"), "port")), 25);
	assert_true(json_is_null(json_object_get(svc, "agent")));
	json_decref(doc);
	fake.pool.services[0].agent = (struct agent_conf){ .port = 9707 };
	assert_int_equal(call("GET", API_SERVICES, "", &doc), 200);
	svc = json_array_get(json_object_get(doc, "services"), 0);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(svc, "agent"), "port")), 9707);
	json_decref(doc);
	assert_int_equal(call("GET", API_VERSION_PATH, "", &doc), 200);
	assert_string_equal(json_string_value(json_object_get(doc, "version")), MAILXDP_VERSION);
	json_decref(doc);
}

static void flows_say_whose_turn_it_is(void **state)
{
	static const char *const turns[] = { "server", "client", "-" };
	const json_t *flow;
	json_t *doc;

	(void)state;
	assert_int_equal(call("GET", API_FLOWS, "", &doc), 200);
	assert_true(json_is_false(json_object_get(doc, "truncated")));
	assert_int_equal(json_array_size(json_object_get(doc, "flows")), 3);
	for (int i = 0; i < 3; i++) {
		flow = json_array_get(json_object_get(doc, "flows"), i);
		assert_string_equal(json_string_value(json_object_get(flow, "turn")), turns[i]);
		assert_string_equal(json_string_value(json_object_get(flow, "client")), "2001:db8::c");
		assert_int_equal(json_integer_value(json_object_get(flow, "client_port")), 40000 + i);
		assert_string_equal(json_string_value(json_object_get(flow, "vip")), "2001:db8::25");
		assert_string_equal(json_string_value(json_object_get(flow, "service")), "mx");
		assert_string_equal(json_string_value(json_object_get(flow, "backend")), "mx1");
	}
	json_decref(doc);
}

static void flow_times_count_from_now_and_never_wrap(void **state)
{
	const json_t *flow;
	json_t *doc;

	(void)state;
	doc = api_show_flows(NULL, 0, 10, 61000000001ULL);
	flow = json_array_get(json_object_get(doc, "flows"), 0);
	assert_int_equal(json_integer_value(json_object_get(flow, "turn_for_s")), 61);
	assert_int_equal(json_integer_value(json_object_get(flow, "idle_s")), 61);
	assert_int_equal(json_integer_value(json_object_get(flow, "age_s")), 60);
	json_decref(doc);
	/* A packet may be newer than our look at the clock. */
	doc = api_show_flows(NULL, 0, 10, 0);
	flow = json_array_get(json_object_get(doc, "flows"), 0);
	assert_int_equal(json_integer_value(json_object_get(flow, "idle_s")), 0);
	assert_int_equal(json_integer_value(json_object_get(flow, "age_s")), 0);
	json_decref(doc);
}

static void flows_obey_their_limit_and_say_so(void **state)
{
	json_t *doc;

	(void)state;
	query_key = "limit";
	query_value = "2";
	assert_int_equal(call("GET", API_FLOWS, "", &doc), 200);
	assert_int_equal(json_array_size(json_object_get(doc, "flows")), 2);
	assert_true(json_is_true(json_object_get(doc, "truncated")));
	json_decref(doc);
	query_value = "3";
	assert_int_equal(call("GET", API_FLOWS, "", &doc), 200);
	assert_true(json_is_false(json_object_get(doc, "truncated")));
	json_decref(doc);
	query_value = "0";
	expect_refused("GET", API_FLOWS, "", 400, LB_EXIT_USAGE, "limit \"0\"");
	query_value = "1x";
	expect_refused("GET", API_FLOWS, "", 400, LB_EXIT_USAGE, "limit \"1x\"");
}

static void flows_of_one_backend(void **state)
{
	json_t *doc;

	(void)state;
	query_key = "backend";
	query_value = "mx\"2";
	assert_int_equal(call("GET", API_FLOWS, "", &doc), 200);
	assert_int_equal(json_array_size(json_object_get(doc, "flows")), 0);
	json_decref(doc);
	query_value = "mx9";
	expect_refused("GET", API_FLOWS, "", 404, LB_EXIT_NOT_FOUND, "no backend \"mx9\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(every_change_reaches_its_function, setup),
		cmocka_unit_test_setup(only_the_permitted_may_change, setup),
		cmocka_unit_test_setup(bad_requests_say_what_is_wrong, setup),
		cmocka_unit_test_setup(a_body_over_the_limit_is_refused, setup),
		cmocka_unit_test_setup(unknown_paths_and_methods_are_told_apart, setup),
		cmocka_unit_test_setup(every_class_of_error_has_its_status, setup),
		cmocka_unit_test_setup(backends_show_every_field, setup),
		cmocka_unit_test_setup(checks_show_what_smtp_and_tls_told, setup),
		cmocka_unit_test_setup(an_agent_is_shown_with_what_it_makes_of_the_weight, setup),
		cmocka_unit_test_setup(a_check_is_none_then_runs_then_is_done, setup),
		cmocka_unit_test_setup(events_are_shown_from_a_number_on, setup),
		cmocka_unit_test_setup(status_and_stats_show_every_verdict, setup),
		cmocka_unit_test_setup(whether_checks_run_is_shown, setup),
		cmocka_unit_test_setup(services_and_version_are_shown, setup),
		cmocka_unit_test_setup(flows_say_whose_turn_it_is, setup),
		cmocka_unit_test_setup(flow_times_count_from_now_and_never_wrap, setup),
		cmocka_unit_test_setup(flows_obey_their_limit_and_say_so, setup),
		cmocka_unit_test_setup(flows_of_one_backend, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
