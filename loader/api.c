/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One table of routes, and the functions in it: each turns a request into one call of control.h
 * and its outcome into a document. Requests are read with suspicion here (size, depth, duplicate
 * and unknown fields, types); what the values mean is decided below. It knows no sockets.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api.h"
#include "api_names.h"
#include "metrics.h"
#include "num.h"

#define TYPE_JSON	"application/json"
#define TYPE_METRICS	"text/plain; version=0.0.4; charset=utf-8"
#define MAX_DEPTH	8	/* no request nests deeper than 2 */
#define NUMBER_LEN	24
#define MAX_PATH	256

/* One request on its way through a route. */
struct call {
	struct control *ctl;
	const struct http_request *req;
	const char *name;	/* what stood for the * of the route */
	json_t *body;		/* an object; its fields are known ones */
	struct control_say say;
	struct lb_error err;
	json_t *doc;		/* of a successful GET */
};

struct route {
	const char *method, *path;	/* one segment may be "*" */
	const char *fields;		/* of the body: "a, b, c" */
	int (*run)(struct call *call);	/* 0, or -errno with call->err set */
};

/* jansson's own limit of nesting is a compile-time 2048: recursion that deep is a gift to nobody. */
static bool is_too_deep(const char *text)
{
	bool quoted = false;
	int depth = 0;

	for (; *text; text++) {
		if (quoted && *text == '\\' && text[1])
			text++;
		else if (*text == '"')
			quoted = !quoted;
		else if (!quoted && (*text == '{' || *text == '['))
			depth++;
		else if (!quoted && (*text == '}' || *text == ']'))
			depth--;
		if (depth > MAX_DEPTH)
			return true;
	}
	return false;
}

static bool is_field_of(const struct route *route, const char *field)
{
	size_t len = strlen(field), word;

	for (const char *at = route->fields; *at; at += word + strspn(at + word, ", ")) {
		word = strcspn(at, ",");
		if (word == len && memcmp(at, field, len) == 0)
			return true;
	}
	return false;
}

static int read_body(struct call *call, const struct route *route)
{
	const struct http_request *req = call->req;
	json_error_t why;
	const char *field;
	json_t *value;

	if (req->body_too_big)
		return lb_error(&call->err, LB_EXIT_USAGE, "the request is longer than %d bytes", API_MAX_BODY);
	if (req->body_len == 0) {
		call->body = json_object();
		return call->body ? 0 : lb_error(&call->err, LB_EXIT_FAILED, "out of memory");
	}
	if (is_too_deep(req->body))
		return lb_error(&call->err, LB_EXIT_USAGE, "the request nests deeper than %d levels", MAX_DEPTH);
	call->body = json_loadb(req->body, req->body_len, JSON_REJECT_DUPLICATES, &why);
	if (!call->body)
		return lb_error(&call->err, LB_EXIT_USAGE, "the request is not JSON: line %d, column %d: %s",
				why.line, why.column, why.text);
	if (!json_is_object(call->body))
		return lb_error(&call->err, LB_EXIT_USAGE, "the request is not a JSON object");
	json_object_foreach(call->body, field, value)
		if (!is_field_of(route, field))
			return lb_error(&call->err, LB_EXIT_USAGE, "unknown field \"%.64s\": this request "
					"takes %s", field, *route->fields ? route->fields : "none");
	return 0;
}

/* A string, or a whole number as text in buf; NULL with err set for anything else. */
static const char *text_of(const json_t *value, const char *field, char buf[static NUMBER_LEN],
			   struct lb_error *err)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_integer(value)) {
		snprintf(buf, NUMBER_LEN, "%lld", (long long)json_integer_value(value));
		return buf;
	}
	lb_error(err, LB_EXIT_USAGE, "%s: neither a string nor a whole number", field);
	return NULL;
}

/* Of an optional field: *out stays NULL when it is absent or null. */
static int get_text(struct call *call, const char *field, char buf[static NUMBER_LEN], const char **out)
{
	const json_t *value = json_object_get(call->body, field);

	if (!value || json_is_null(value))
		return 0;
	*out = text_of(value, field, buf, &call->err);
	return *out ? 0 : -EINVAL;
}

/* The same for fields that are never numbers. */
static int get_string(struct call *call, const char *field, const char **out)
{
	const json_t *value = json_object_get(call->body, field);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return lb_error(&call->err, LB_EXIT_USAGE, "%s: not a string", field);
	*out = json_string_value(value);
	return 0;
}

static int need_string(struct call *call, const char *field, const char **out)
{
	int err = get_string(call, field, out);

	if (!err && !*out)
		return lb_error(&call->err, LB_EXIT_USAGE, "field \"%s\" is missing", field);
	return err;
}

/* One value or an array of them. bufs: room for numbers. */
static int get_list(struct call *call, const char *field, size_t max, char (*bufs)[NUMBER_LEN],
		    const char **out, size_t *out_n)
{
	const json_t *value = json_object_get(call->body, field);
	size_t n = json_is_array(value) ? json_array_size(value) : 1;

	if (!value || n == 0)
		return lb_error(&call->err, LB_EXIT_USAGE, "field \"%s\" is missing", field);
	if (n > max)
		return lb_error(&call->err, LB_EXIT_USAGE, "%s: %zu values, at most %zu are allowed",
				field, n, max);
	for (size_t i = 0; i < n; i++) {
		out[i] = text_of(json_is_array(value) ? json_array_get(value, i) : value, field, bufs[i],
				 &call->err);
		if (!out[i])
			return -EINVAL;
	}
	*out_n = n;
	return 0;
}

static int show(struct call *call, json_t *doc)
{
	call->doc = doc;
	return doc ? 0 : lb_error(&call->err, LB_EXIT_FAILED, "cannot put the answer together: out of memory, "
				  "or the maps cannot be read (see the daemon's log)");
}

static int get_status(struct call *call)
{
	return show(call, api_show_status(call->ctl));
}

static int get_services(struct call *call)
{
	return show(call, api_show_services(call->ctl));
}

static int get_backends(struct call *call)
{
	return show(call, api_show_backends(call->ctl));
}

static int get_stats(struct call *call)
{
	return show(call, api_show_stats(call->ctl));
}

static int get_version(struct call *call)
{
	return show(call, api_show_version());
}

static int get_flows(struct call *call)
{
	const char *backend = call->req->query(call->req, "backend");
	const char *limit_text = call->req->query(call->req, "limit");
	uint64_t limit = API_FLOWS_LIMIT;
	struct timespec now;
	int id = LB_NO_BACKEND;

	if (limit_text && num_parse(limit_text, 1, UINT32_MAX, &limit) < 0)
		return lb_error(&call->err, LB_EXIT_USAGE, "limit \"%.64s\" is not a number from 1 on",
				limit_text);
	if (backend) {
		id = pool_backend_find(control_config(call->ctl)->pool, backend);
		if (id < 0)
			return lb_error(&call->err, LB_EXIT_NOT_FOUND,
					"there is no backend \"%.64s\": see lbctl list", backend);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	return show(call, api_show_flows(call->ctl, id, limit,
					 (__u64)now.tv_sec * 1000000000 + now.tv_nsec));
}

static int get_events(struct call *call)
{
	const char *text = call->req->query(call->req, "since");
	uint64_t since = 0;

	if (text && num_parse(text, 0, INT64_MAX, &since) < 0)
		return lb_error(&call->err, LB_EXIT_USAGE, "since \"%.64s\" is not the number of an event", text);
	return show(call, api_show_events(call->ctl, since));
}

static int get_check(struct call *call, struct check_conf *conf, const struct check_conf **out)
{
	const char *kind = NULL;
	int err = get_string(call, "check", &kind);
	int found;

	if (err || !kind)
		return err;
	found = check_kind_from_str(kind);
	if (found < 0)
		return lb_error(&call->err, LB_EXIT_USAGE, "check \"%.64s\" is not a kind of check: none, tcp, "
				"greeting, ehlo, starttls, tls, rcpt or canary", kind);
	*conf = check_conf_default;
	conf->kind = found;
	*out = conf;
	return 0;
}

static int get_agent(struct call *call, struct agent_conf *conf, const struct agent_conf **out)
{
	char buf[NUMBER_LEN];
	const char *text = NULL;
	uint64_t port = 0;
	int err = get_text(call, "agent", buf, &text);

	if (err || !text)
		return err;
	if (num_parse(text, 1, 65535, &port) < 0)
		return lb_error(&call->err, LB_EXIT_USAGE, "agent \"%.64s\" is not 1-65535: give the port that the agents "
				"listen on, such as 9707", text);
	*conf = agent_conf_default;
	conf->port = port;
	*out = conf;
	return 0;
}

static int post_service(struct call *call)
{
	char vip_bufs[2][NUMBER_LEN], port_bufs[LB_MAX_PORTS][NUMBER_LEN];
	struct service_spec spec = {};
	struct check_conf check;
	struct agent_conf agent;
	int err;

	err = need_string(call, "name", &spec.name);
	if (!err)
		err = get_list(call, "vip", 2, vip_bufs, spec.vips, &spec.vips_n);
	if (!err)
		err = get_list(call, "ports", LB_MAX_PORTS, port_bufs, spec.ports, &spec.ports_n);
	if (!err)
		err = get_string(call, "mode", &spec.mode);
	if (!err)
		err = get_string(call, "scheduler", &spec.scheduler);
	if (!err)
		err = get_string(call, "refuse", &spec.refuse);
	if (!err)
		err = get_check(call, &check, &spec.check);
	if (!err)
		err = get_agent(call, &agent, &spec.agent);
	return err ? err : control_service_add(call->ctl, &spec, &call->say, &call->err);
}

static int delete_service(struct call *call)
{
	return control_service_remove(call->ctl, call->name, &call->say, &call->err);
}

static int post_backend(struct call *call)
{
	char weight_buf[NUMBER_LEN], conns_buf[NUMBER_LEN];
	struct backend_spec spec = {};
	int err;

	err = need_string(call, "name", &spec.name);
	if (!err)
		err = need_string(call, "address", &spec.address);
	if (!err)
		err = get_string(call, "service", &spec.service);
	if (!err)
		err = get_text(call, "weight", weight_buf, &spec.weight);
	if (!err)
		err = get_text(call, "max_conns", conns_buf, &spec.max_conns);
	return err ? err : control_backend_add(call->ctl, &spec, &call->say, &call->err);
}

static int patch_backend(struct call *call)
{
	char weight_buf[NUMBER_LEN], conns_buf[NUMBER_LEN];
	const char *weight = NULL, *max_conns = NULL;
	int err;

	err = get_text(call, "weight", weight_buf, &weight);
	if (!err)
		err = get_text(call, "max_conns", conns_buf, &max_conns);
	return err ? err : control_backend_set(call->ctl, call->name, weight, max_conns, &call->say,
					       &call->err);
}

static int delete_backend(struct call *call)
{
	const char *now = call->req->query(call->req, "now");

	if (now && strcmp(now, "0") != 0 && strcmp(now, "1") != 0)
		return lb_error(&call->err, LB_EXIT_USAGE, "now \"%.64s\" is neither 0 nor 1", now);
	return control_backend_remove(call->ctl, call->name, now && *now == '1', &call->say, &call->err);
}

static int post_drain(struct call *call)
{
	char buf[NUMBER_LEN];
	const char *text = NULL;
	uint64_t deadline_ms = 0;
	int err = get_text(call, "deadline_ms", buf, &text);

	if (err)
		return err;
	/* The upper end keeps the sum with a clock in nanoseconds inside 64 bits. */
	if (text && num_parse(text, 0, UINT32_MAX, &deadline_ms) < 0)
		return lb_error(&call->err, LB_EXIT_USAGE, "deadline_ms \"%.64s\" is not a number of "
				"milliseconds up to %u", text, UINT32_MAX);
	return control_backend_drain(call->ctl, call->name, deadline_ms, &call->say, &call->err);
}

static int post_enable(struct call *call)
{
	return control_backend_enable(call->ctl, call->name, &call->say, &call->err);
}

static int post_check(struct call *call)
{
	return control_check_start(call->ctl, call->name, &call->say, &call->err);
}

static int get_asked_check(struct call *call)
{
	struct check_report report;
	int err = control_check_report(call->ctl, call->name, &report, &call->err);

	return err ? err : show(call, api_show_check(&report));
}

static int post_interface(struct call *call)
{
	const char *name = NULL, *mode = "auto";
	int found, err;

	err = need_string(call, "name", &name);
	if (!err)
		err = get_string(call, "mode", &mode);
	if (err)
		return err;
	found = xdp_mode_from_str(mode);
	if (found < 0)
		return lb_error(&call->err, LB_EXIT_USAGE, "mode \"%.64s\" is none of auto, native, generic",
				mode);
	return control_attach(call->ctl, name, found, &call->say, &call->err);
}

static int delete_interface(struct call *call)
{
	return control_detach(call->ctl, call->name, &call->say, &call->err);
}

static int post_reload(struct call *call)
{
	return control_reload(call->ctl, &call->say, &call->err);
}

static int post_save(struct call *call)
{
	return control_save(call->ctl, &call->say, &call->err);
}

static const struct route routes[] = {
	{ "GET",    API_STATUS,			"", get_status },
	{ "GET",    API_SERVICES,		"", get_services },
	{ "POST",   API_SERVICES,		"name, vip, ports, mode, scheduler, refuse, check, agent", post_service },
	{ "DELETE", API_SERVICES "/*",		"", delete_service },
	{ "GET",    API_BACKENDS,		"", get_backends },
	{ "POST",   API_BACKENDS,		"name, address, service, weight, max_conns", post_backend },
	{ "PATCH",  API_BACKENDS "/*",		"weight, max_conns", patch_backend },
	{ "DELETE", API_BACKENDS "/*",		"", delete_backend },
	{ "POST",   API_BACKENDS "/*/drain",	"deadline_ms", post_drain },
	{ "POST",   API_BACKENDS "/*/enable",	"", post_enable },
	{ "POST",   API_BACKENDS "/*/check",	"", post_check },
	{ "GET",    API_BACKENDS "/*/check",	"", get_asked_check },
	{ "GET",    API_FLOWS,			"", get_flows },
	{ "GET",    API_EVENTS,		"", get_events },
	{ "GET",    API_STATS,			"", get_stats },
	{ "POST",   API_INTERFACES,		"name, mode", post_interface },
	{ "DELETE", API_INTERFACES "/*",	"", delete_interface },
	{ "POST",   API_RELOAD,			"", post_reload },
	{ "POST",   API_SAVE,			"", post_save },
	{ "GET",    API_VERSION_PATH,		"", get_version },
};

/* Does path fit the pattern? The segment under the * goes to name. */
static bool path_matches(const char *pattern, const char *path, char name[static MAX_PATH])
{
	const char *star = strchr(pattern, '*');
	size_t head, len;

	if (!star)
		return strcmp(pattern, path) == 0;
	head = star - pattern;
	if (strncmp(pattern, path, head) != 0)
		return false;
	len = strcspn(path + head, "/");
	if (len == 0 || len >= MAX_PATH || strcmp(star + 1, path + head + len) != 0)
		return false;
	memcpy(name, path + head, len);
	name[len] = '\0';
	return true;
}

static unsigned int status_of(enum lb_exit code)
{
	switch (code) {
	case LB_EXIT_OK:		return 200;
	case LB_EXIT_USAGE:		return 400;
	case LB_EXIT_NOT_PERMITTED:	return 403;
	case LB_EXIT_NOT_FOUND:		return 404;
	case LB_EXIT_CONFLICT:		return 409;
	case LB_EXIT_TIMEOUT:		return 504;
	default:			return 500;
	}
}

/* Consumes doc. */
static int answer_json(struct http_answer *out, unsigned int status, json_t *doc)
{
	char *text = doc ? json_dumps(doc, JSON_COMPACT) : NULL;

	json_decref(doc);
	if (!text)
		return -ENOMEM;
	*out = (struct http_answer){ .status = status, .type = TYPE_JSON, .body = text, .len = strlen(text) };
	return 0;
}

static int answer_error(struct http_answer *out, unsigned int status, enum lb_exit code, const char *text)
{
	return answer_json(out, status, json_pack("{s:o, s:i}", "error", api_text(text), "exit", (int)code));
}

static int answer_metrics(struct control *ctl, struct http_answer *out)
{
	int err = metrics_write(ctl, &out->body, &out->len);

	if (err < 0)
		return err;
	out->status = 200;
	out->type = TYPE_METRICS;
	return 0;
}

static int run_route(const struct route *route, struct call *call, struct http_answer *out)
{
	int err;

	if (strcmp(route->method, "GET") != 0 && !call->req->may_change)
		return answer_error(out, 403, LB_EXIT_NOT_PERMITTED, "not permitted: changes are for root, "
				    "the daemon's user and members of the socket's group (try sudo)");
	err = read_body(call, route);
	if (!err)
		err = route->run(call);
	if (err < 0 && call->err.code == LB_EXIT_OK)
		lb_error(&call->err, LB_EXIT_FAILED, "%s", strerror(-err));
	if (err < 0)
		err = answer_error(out, status_of(call->err.code), call->err.code, call->err.text);
	else if (call->doc)
		err = answer_json(out, 200, json_incref(call->doc));
	else
		err = answer_json(out, 200, json_pack("{s:o}", "message", api_text(call->say.text)));
	json_decref(call->body);
	json_decref(call->doc);
	return err;
}

int api_handle(void *ctl, const struct http_request *req, struct http_answer *out)
{
	struct call call = { .ctl = ctl, .req = req };
	bool path_known = strcmp(req->path, API_METRICS) == 0;
	char name[MAX_PATH];
	char text[384];

	if (path_known && strcmp(req->method, "GET") == 0)
		return answer_metrics(ctl, out);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!path_matches(routes[i].path, req->path, name))
			continue;
		path_known = true;
		if (strcmp(routes[i].method, req->method) != 0)
			continue;
		call.name = name;
		return run_route(&routes[i], &call, out);
	}
	snprintf(text, sizeof(text), "%.16s \"%.256s\": there is no such %s", req->method, req->path,
		 path_known ? "method here" : "path");
	return answer_error(out, path_known ? 405 : 404, LB_EXIT_USAGE, text);
}
