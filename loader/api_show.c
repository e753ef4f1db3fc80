/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The documents of the control socket: what the daemon knows, as JSON. It only reads, and it
 * formats nothing for people: numbers stay raw, the unit is in the field's name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "addr.h"
#include "api.h"
#include "api_names.h"
#include "verdict.h"

/* Banners and error texts hold whatever a stranger sent. */
json_t *api_text(const char *text)
{
	json_t *value = json_string(text);
	char *copy;

	if (value)
		return value;
	copy = strdup(text);
	if (!copy)
		return NULL;
	for (char *c = copy; *c; c++)
		if (*c & 0x80)
			*c = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

/* -1 means that nothing was seen. */
static json_t *ms_or_null(__s64 ms)
{
	return ms < 0 ? json_null() : json_integer(ms);
}

static json_t *addr_text(const struct lb_addr *addr)
{
	char buf[ADDR_STRLEN];

	return json_string(addr_to_str(addr, buf));
}

static __u64 now_minus(__u64 now, __u64 then)
{
	return now > then ? now - then : 0;
}

static json_t *show_check(const struct backend_report *r, __u64 now_ns)
{
	if (!r->checked || r->check.at_ns == 0)
		return json_null();
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:I}",
			 "kind", check_kind_to_str(r->svc->check.kind),
			 "result", check_result_to_str(r->check.last),
			 "text", api_text(r->check.text),
			 "code", r->check.code ? json_integer(r->check.code) : json_null(),
			 "tls_days", r->check.tls_days >= 0 ? json_integer(r->check.tls_days) : json_null(),
			 "duration_us", (json_int_t)r->check.duration_us,
			 "age_ms", (json_int_t)(now_minus(now_ns, r->check.at_ns) / 1000000));
}

static json_t *show_agent(const struct backend_report *r, __u64 now_ns)
{
	const struct agent_word *word = &r->be->agent;

	if (!r->asked)
		return json_null();
	return json_pack("{s:o, s:b, s:o, s:o, s:o, s:f, s:I, s:I, s:o}",
			 "text", *word->text ? api_text(word->text) : json_null(),
			 "answered", (int)r->agent.answered,
			 "last", r->agent.at_ns ? api_text(r->agent.text) : json_null(),
			 "weight_percent", word->has_weight ? json_integer(word->weight_percent) : json_null(),
			 "max_conns", word->max_conns ? json_integer(word->max_conns) : json_null(),
			 "weight", r->weight_now_16 / 16.0,
			 "answers_total", (json_int_t)r->agent.answers_total,
			 "failures_total", (json_int_t)r->agent.failures_total,
			 "age_ms", r->agent.at_ns ? json_integer(now_minus(now_ns, r->agent.at_ns) / 1000000) : json_null());
}

static json_t *show_backend(const struct backend_report *r, __u64 now_ns)
{
	char reason[POOL_TEXT_LEN + 16];

	return json_pack(
		"{s:s, s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I,"
		" s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:b, s:o, s:o}",
		"name", r->be->name,
		"service", r->svc->name,
		"address", addr_text(&r->be->address),
		"state", backend_state_to_str(r->state),
		"weight", (json_int_t)r->be->weight,
		"weight_now", (json_int_t)r->weight_now,
		"max_conns", (json_int_t)r->be->max_flows,
		"max_conns_now", (json_int_t)r->max_conns_now,
		"conns", (json_int_t)r->conns,
		"inflight", (json_int_t)r->inflight,
		"sessions_total", (json_int_t)r->sessions_total,
		"replies_total", (json_int_t)r->replies_total,
		"reply_us_total", (json_int_t)r->reply_us_total,
		"bytes_in", (json_int_t)r->bytes_in,
		"bytes_out", (json_int_t)r->bytes_out,
		"packets_in", (json_int_t)r->packets_in,
		"packets_out", (json_int_t)r->packets_out,
		"refused_total", (json_int_t)r->refused_total,
		"resets_total", (json_int_t)r->resets_total,
		"at_risk_total", (json_int_t)r->at_risk_total,
		"reply_p50_ms", ms_or_null(r->reply_p50_ms),
		"reply_p99_ms", ms_or_null(r->reply_p99_ms),
		"banner_p99_ms", ms_or_null(r->banner_p99_ms),
		"longest_p99_ms", ms_or_null(r->longest_p99_ms),
		"reason", api_text(backend_reason(r->be, reason, sizeof(reason))),
		"since_s", (json_int_t)r->since_s,
		"longest_wait_ms", (json_int_t)r->drain_longest_ms,
		"drain_owing", (json_int_t)r->drain_owing,
		"next_hop", (int)r->next_hop,
		"check", show_check(r, now_ns),
		"agent", show_agent(r, now_ns));
}

static __u64 monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (__u64)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static json_t *list_backends(struct control *ctl)
{
	json_t *list = json_array();
	__u64 now_ns = monotonic_ns();
	struct backend_report r;

	for (int id = 1; list && id < LB_MAX_BACKENDS; id++) {
		if (!control_backend_report(ctl, id, &r))
			continue;
		if (json_array_append_new(list, show_backend(&r, now_ns)) == -1) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/* Without it the states in the list may be old: whoever reads one has to know the other. */
static json_t *show_checker(const struct checker_status *st)
{
	const char *state = !st->wanted ? "unused" : st->fails ? "failing" : "running";
	bool fails = st->wanted && st->fails;

	return json_pack("{s:s, s:o, s:o}",
			 "state", state,
			 "failing_s", fails ? json_integer(st->failing_s) : json_null(),
			 "reason", fails ? api_text(st->why) : json_null());
}

json_t *api_show_backends(struct control *ctl)
{
	struct checker_status checker = {};

	control_checker_status(ctl, &checker);
	return json_pack("{s:i, s:o, s:o}", "schema", API_VERSION, "checker", show_checker(&checker),
			 "backends", list_backends(ctl));
}

static json_t *show_verdicts(const struct status_report *st)
{
	json_t *verdicts = json_object();

	/* LB_NEXT is no outcome, and never counted. */
	for (int v = LB_NEXT + 1; verdicts && v < LB_VERDICT_MAX; v++) {
		if (json_object_set_new(verdicts, verdict_to_str(v), json_integer(st->verdicts[v])) == -1) {
			json_decref(verdicts);
			return NULL;
		}
	}
	return verdicts;
}

json_t *api_show_stats(struct control *ctl)
{
	struct status_report st = {};

	control_status(ctl, &st);
	return json_pack("{s:i, s:o, s:o}", "schema", API_VERSION, "verdicts", show_verdicts(&st),
			 "backends", list_backends(ctl));
}

static json_t *show_interfaces(const struct status_report *st)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < st->interfaces_n; i++) {
		const struct interface_report *itf = &st->interfaces[i];
		const char *mode = !itf->attached ? NULL : itf->native ? "native" : "generic";

		json_t *row = json_pack("{s:s, s:I, s:b, s:s?, s:I, s:I}",
					"name", itf->name,
					"ifindex", (json_int_t)itf->ifindex,
					"attached", (int)itf->attached,
					"mode", mode,
					"prog_id", (json_int_t)itf->prog_id,
					"link_id", (json_int_t)itf->link_id);
		if (json_array_append_new(list, row) == -1) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *api_show_status(struct control *ctl)
{
	struct status_report st = {};

	control_status(ctl, &st);
	return json_pack("{s:i, s:s, s:I, s:o, s:{s:I, s:I}, s:I, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I}, s:o, s:o}",
			 "schema", API_VERSION,
			 "version", MAILXDP_VERSION,
			 "uptime_s", (json_int_t)st.uptime_s,
			 "interfaces", show_interfaces(&st),
			 "flows",
				 "entries", (json_int_t)st.flow_entries,
				 "limit", (json_int_t)st.flow_limit,
			 "services", (json_int_t)st.services,
			 "backends",
				 "total", (json_int_t)st.backends,
				 "up", (json_int_t)st.up,
				 "draining", (json_int_t)st.draining,
				 "down", (json_int_t)st.down,
			 "agents",
				 "total", (json_int_t)st.agents,
				 "silent", (json_int_t)st.agents_silent,
			 "checker", show_checker(&st.checker),
			 "verdicts", show_verdicts(&st));
}

static json_t *show_vips(const struct service *svc)
{
	json_t *list = json_array();

	for (int i = 0; list && i < 2; i++)
		if (svc->has_vip[i])
			json_array_append_new(list, addr_text(&svc->vip[i]));
	return list;
}

static json_t *show_ports(const struct service *svc)
{
	json_t *list = json_array();

	for (__u32 i = 0; list && i < svc->ports_n; i++)
		json_array_append_new(list, json_integer(svc->ports[i]));
	return list;
}

static void count_backends(const struct pool *pool, int service, int *total, int *up)
{
	*total = *up = 0;
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];

		if (!be->used || be->service != service || be->admin == ADMIN_REMOVED)
			continue;
		++*total;
		if (backend_is_eligible(be))
			++*up;
	}
}

static json_t *show_agent_conf(const struct agent_conf *agent)
{
	if (!agent->port)
		return json_null();
	return json_pack("{s:i, s:I, s:I}", "port", (int)agent->port, "interval_ms", (json_int_t)agent->interval_ms,
			 "timeout_ms", (json_int_t)agent->timeout_ms);
}

static json_t *show_service(const struct pool *pool, int i)
{
	const struct service *svc = &pool->services[i];
	int total, up;

	count_backends(pool, i, &total, &up);
	return json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:{s:s, s:I, s:I, s:i, s:i, s:i}, s:o, s:i, s:i}",
			 "name", svc->name,
			 "vip", show_vips(svc),
			 "ports", show_ports(svc),
			 "mode", mode_to_str(svc->mode),
			 "scheduler", scheduler_to_str(svc->scheduler),
			 "refuse", refuse_to_str(svc->refuse),
			 "check",
				 "kind", check_kind_to_str(svc->check.kind),
				 "interval_ms", (json_int_t)svc->check.interval_ms,
				 "timeout_ms", (json_int_t)svc->check.timeout_ms,
				 "rise", (int)svc->check.rise,
				 "fall", (int)svc->check.fall,
				 "port", svc->check.port || !svc->ports_n ? svc->check.port : svc->ports[0],
			 "agent", show_agent_conf(&svc->agent),
			 "backends", total,
			 "eligible", up);
}

json_t *api_show_services(struct control *ctl)
{
	const struct pool *pool = control_config(ctl)->pool;
	json_t *list = json_array();

	for (int i = 0; list && i < POOL_MAX_SERVICES; i++) {
		if (!pool->services[i].used)
			continue;
		if (json_array_append_new(list, show_service(pool, i)) == -1) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:i, s:o}", "schema", API_VERSION, "services", list);
}

struct flow_list {
	const struct pool *pool;
	json_t *list;
	size_t limit;
	__u64 now_ns;
	bool truncated, failed;
};

/* The service and the VIP that a flow's vip_id stands for; NULL while a service is being removed. */
static const struct service *service_of_vip(const struct pool *pool, __u16 vip_id,
					    const struct lb_addr **vip)
{
	for (int i = 0; i < POOL_MAX_SERVICES; i++) {
		const struct service *svc = &pool->services[i];

		for (int f = 0; svc->used && f < 2; f++) {
			if (svc->has_vip[f] && svc->vip_id[f] == vip_id) {
				*vip = &svc->vip[f];
				return svc;
			}
		}
	}
	*vip = NULL;
	return NULL;
}

static json_t *show_flow(const struct flow_list *fl, const struct lb_flow_key *key,
			 const struct lb_flow *flow)
{
	const struct backend *be = flow->backend < LB_MAX_BACKENDS ?
		&fl->pool->backends[flow->backend] : NULL;
	bool server = flow->state == LB_FLOW_SERVER, client = flow->state == LB_FLOW_CLIENT;
	const struct lb_addr *vip;
	const struct service *svc = service_of_vip(fl->pool, key->vip_id, &vip);

	return json_pack("{s:o, s:i, s:o, s:i, s:s?, s:s?, s:s, s:s, s:I, s:I, s:I, s:I, s:I}",
			 "client", addr_text(&key->client),
			 "client_port", (int)key->client_port,
			 "vip", vip ? addr_text(vip) : json_null(),
			 "port", (int)key->port,
			 "service", svc ? svc->name : NULL,
			 "backend", be && be->used ? be->name : NULL,
			 "state", flow_state_to_str(flow->state),
			 "turn", server ? "server" : client ? "client" : "-",
			 "turn_for_s", (json_int_t)(now_minus(fl->now_ns, flow->turn_ns) / 1000000000),
			 "idle_s", (json_int_t)(now_minus(fl->now_ns, flow->seen_ns) / 1000000000),
			 "age_s", (json_int_t)now_minus(fl->now_ns / 1000000000, flow->opened_s),
			 "longest_ms", (json_int_t)flow->longest_ms,
			 "rtt_us", (json_int_t)flow->rtt_us);
}

static bool add_flow(void *arg, const struct lb_flow_key *key, const struct lb_flow *flow)
{
	struct flow_list *fl = arg;

	if (json_array_size(fl->list) >= fl->limit) {
		fl->truncated = true;
		return false;
	}
	fl->failed = json_array_append_new(fl->list, show_flow(fl, key, flow)) == -1;
	return !fl->failed;
}

json_t *api_show_flows(struct control *ctl, int backend, size_t limit, __u64 now_ns)
{
	struct flow_list fl = {
		.pool = control_config(ctl)->pool, .list = json_array(), .limit = limit, .now_ns = now_ns,
	};

	if (!fl.list)
		return NULL;
	control_flows(ctl, backend, add_flow, &fl);
	if (fl.failed) {
		json_decref(fl.list);
		return NULL;
	}
	return json_pack("{s:i, s:b, s:o}", "schema", API_VERSION, "truncated", (int)fl.truncated,
			 "flows", fl.list);
}

/* 2026-11-24T17:34:06.123Z */
static json_t *show_time(__u64 at_ms)
{
	time_t seconds = at_ms / 1000;
	char date[32], text[48];
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03uZ", date, (unsigned int)(at_ms % 1000));
	return json_string(text);
}

static json_t *show_event(const struct history_entry *event)
{
	return json_pack("{s:I, s:o, s:s?, s:s?, s:s?, s:o}",
			 "seq", (json_int_t)event->seq,
			 "time", show_time(event->at_ms),
			 "backend", *event->backend ? event->backend : NULL,
			 "from", event->from,
			 "to", event->to,
			 "text", api_text(event->text));
}

json_t *api_show_events(struct control *ctl, __u64 since)
{
	const struct history *history = control_history(ctl);
	const struct history_entry *event;
	json_t *list = json_array();

	for (event = history_from(history, since); list && event; event = history_from(history, event->seq + 1)) {
		if (json_array_append_new(list, show_event(event)) == -1) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:i, s:o, s:I}", "schema", API_VERSION, "events", list,
			 "next", (json_int_t)history_next(history));
}

static json_t *show_lines(const char *text)
{
	json_t *list = json_array();

	for (size_t len; list && *text; text += len + (text[len] == '\n')) {
		char *line;

		len = strcspn(text, "\n");
		line = strndup(text, len);
		if (!line || json_array_append_new(list, api_text(line)) == -1) {
			free(line);
			json_decref(list);
			return NULL;
		}
		free(line);
	}
	return list;
}

json_t *api_show_check(const struct check_report *report)
{
	static const char *const states[] = {
		[CHECK_REPORT_NONE] = "none", [CHECK_REPORT_RUNNING] = "running", [CHECK_REPORT_DONE] = "done",
	};
	bool done = report->state == CHECK_REPORT_DONE;

	_Static_assert(sizeof(states) / sizeof(states[0]) == CHECK_REPORT_MAX, "a name for each");
	return json_pack("{s:i, s:s, s:s?, s:o, s:I, s:I, s:o}",
			 "schema", API_VERSION,
			 "state", states[report->state],
			 "result", done ? check_result_to_str(report->result) : NULL,
			 "text", api_text(report->text),
			 "duration_us", (json_int_t)report->duration_us,
			 "timeout_ms", (json_int_t)report->timeout_ms,
			 "dialogue", show_lines(report->dialogue));
}

json_t *api_show_version(void)
{
	return json_pack("{s:i, s:s, s:i}", "schema", API_VERSION, "version", MAILXDP_VERSION,
			 "api", API_VERSION);
}
