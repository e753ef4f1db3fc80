/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One table of routes, and the functions in it: each turns a request into one call of control.h
 * and its outcome into a document. What the values mean is decided below. It knows no sockets.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api.h"
#include "api_body.h"
#include "api_names.h"
#include "metrics.h"
#include "num.h"

#define TYPE_JSON	"application/json"
#define TYPE_METRICS	"text/plain; version=0.0.4; charset=utf-8"
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
	int err = api_body_string(call->body, "check", &kind, &call->err);
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
	char buf[API_NUMBER_LEN];
	const char *text = NULL;
	uint64_t port = 0;
	int err = api_body_text(call->body, "agent", buf, &text, &call->err);

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
	char vip_bufs[2][API_NUMBER_LEN], port_bufs[LB_MAX_PORTS][API_NUMBER_LEN];
	struct service_spec spec = {};
	struct check_conf check;
	struct agent_conf agent;
	int err;

	err = api_body_need(call->body, "name", &spec.name, &call->err);
	if (!err)
		err = api_body_list(call->body, "vip", 2, vip_bufs, spec.vips, &spec.vips_n, &call->err);
	if (!err)
		err = api_body_list(call->body, "ports", LB_MAX_PORTS, port_bufs, spec.ports, &spec.ports_n, &call->err);
	if (!err)
		err = api_body_string(call->body, "mode", &spec.mode, &call->err);
	if (!err)
		err = api_body_string(call->body, "scheduler", &spec.scheduler, &call->err);
	if (!err)
		err = api_body_string(call->body, "refuse", &spec.refuse, &call->err);
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
	char weight_buf[API_NUMBER_LEN], conns_buf[API_NUMBER_LEN];
	struct backend_spec spec = {};
	int err;

	err = api_body_need(call->body, "name", &spec.name, &call->err);
	if (!err)
		err = api_body_need(call->body, "address", &spec.address, &call->err);
	if (!err)
		err = api_body_string(call->body, "service", &spec.service, &call->err);
	if (!err)
		err = api_body_text(call->body, "weight", weight_buf, &spec.weight, &call->err);
	if (!err)
		err = api_body_text(call->body, "max_conns", conns_buf, &spec.max_conns, &call->err);
	return err ? err : control_backend_add(call->ctl, &spec, &call->say, &call->err);
}

static int patch_backend(struct call *call)
{
	char weight_buf[API_NUMBER_LEN], conns_buf[API_NUMBER_LEN];
	const char *weight = NULL, *max_conns = NULL;
	int err;

	err = api_body_text(call->body, "weight", weight_buf, &weight, &call->err);
	if (!err)
		err = api_body_text(call->body, "max_conns", conns_buf, &max_conns, &call->err);
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
	char buf[API_NUMBER_LEN];
	const char *text = NULL;
	uint64_t deadline_ms = 0;
	int err = api_body_text(call->body, "deadline_ms", buf, &text, &call->err);

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

	err = api_body_need(call->body, "name", &name, &call->err);
	if (!err)
		err = api_body_string(call->body, "mode", &mode, &call->err);
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
	err = api_body_read(call->req, route->fields, &call->body, &call->err);
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
