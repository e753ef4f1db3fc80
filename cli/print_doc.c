/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's documents as people want to read them. A field that is missing or of another type
 * shows as "-" or 0: an older or newer daemon is no reason to fail.
 */
#include <string.h>

#include "../loader/api_names.h"
#include "../loader/num.h"
#include "../loader/verdict.h"
#include "print.h"

#define CELL 64

static const char *get_str(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "-";
}

static json_int_t get_int(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

/* -1 when there is no number. */
static json_int_t get_ms(const json_t *obj, const char *key)
{
	const json_t *value = json_object_get(obj, key);

	return json_is_integer(value) ? json_integer_value(value) : -1;
}

static void cell_human(struct print_table *table, json_int_t n)
{
	char buf[CELL];

	print_cell(table, PRINT_PLAIN, "%s", num_to_human(n < 0 ? 0 : n, buf, sizeof(buf)));
}

static void cell_seconds(struct print_table *table, json_int_t s)
{
	char buf[CELL];

	print_cell(table, PRINT_PLAIN, "%s", print_seconds(s, buf, sizeof(buf)));
}

static enum print_tint tint_of_state(const char *state)
{
	if (strcmp(state, "up") == 0)
		return PRINT_GREEN;
	if (strcmp(state, "down") == 0)
		return PRINT_RED;
	return PRINT_YELLOW;
}

/* "12", or "12/200" where only part of the whole counts. */
static void cell_of(struct print_table *table, json_int_t part, json_int_t whole, bool show_whole)
{
	if (show_whole)
		print_cell(table, PRINT_PLAIN, "%lld/%lld", (long long)part, (long long)whole);
	else
		print_cell(table, PRINT_PLAIN, "%lld", (long long)part);
}

/* Slow start gives less than what was asked for; an agent may want half of 1. */
static void cell_weight(struct print_table *table, const json_t *be)
{
	json_int_t now = get_int(be, "weight_now"), full = get_int(be, "weight");
	double exact = json_real_value(json_object_get(json_object_get(be, "agent"), "weight"));
	bool up = strcmp(get_str(be, "state"), "up") == 0;

	if (up && exact > 0 && exact != (double)full)
		print_cell(table, PRINT_PLAIN, "%.4g/%lld", exact, (long long)full);
	else
		cell_of(table, up ? now : full, full, up && now != full);
}

static void cell_replies(struct print_table *table, const json_t *be)
{
	char p50[CELL], p99[CELL];

	if (get_ms(be, "reply_p50_ms") < 0)
		print_cell(table, PRINT_PLAIN, "-");
	else
		print_cell(table, PRINT_PLAIN, "%s/%s",
			   print_ms(get_ms(be, "reply_p50_ms"), p50, sizeof(p50)),
			   print_ms(get_ms(be, "reply_p99_ms"), p99, sizeof(p99)));
}

/* What the agent says, or that it says nothing; "" without one. */
static const char *about_agent(const json_t *be, char *buf, size_t len)
{
	const json_t *agent = json_object_get(be, "agent");

	*buf = '\0';
	if (!json_is_object(agent) || !json_is_integer(json_object_get(agent, "age_ms")))
		return buf;
	if (json_is_true(json_object_get(agent, "answered")))
		snprintf(buf, len, "; agent: %s", get_str(agent, "text"));
	else
		snprintf(buf, len, "; agent silent: %s, last word: %s", get_str(agent, "last"), get_str(agent, "text"));
	return buf;
}

/* While all is well the last check, with what it said when it was not good; else the reason of the state. */
static void cell_check(struct print_table *table, const json_t *be)
{
	char agent[512];
	const json_t *check = json_object_get(be, "check");
	bool lost = json_is_false(json_object_get(be, "next_hop"));
	const char *before = lost ? "no next hop; " : "";

	about_agent(be, agent, sizeof(agent));
	if (strcmp(get_str(be, "state"), "up") != 0)
		print_cell(table, PRINT_PLAIN, "%s%s%s", before, get_str(be, "reason"),
			   strncmp(get_str(be, "reason"), "agent: ", 7) == 0 ? "" : agent);
	else if (json_is_object(check) && strcmp(get_str(check, "result"), "ok") != 0)
		print_cell(table, PRINT_PLAIN, "%s%s%s", before, get_str(check, "text"), agent);
	else if (json_is_object(check))
		print_cell(table, PRINT_PLAIN, "%s%s %s, %.1f ms%s", before, get_str(check, "kind"),
			   get_str(check, "result"), get_int(check, "duration_us") / 1000.0, agent);
	else
		print_cell(table, PRINT_PLAIN, "%snot checked%s", before, agent);
}

/* A state that nobody checks any more must not pass for news. */
static void note_checker(const json_t *checker)
{
	char buf[CELL];

	if (strcmp(get_str(checker, "state"), "failing") == 0)
		print_note("checks have not been running for %s, states may be old: %s",
			   print_seconds(get_int(checker, "failing_s"), buf, sizeof(buf)), get_str(checker, "reason"));
}

void print_backends(FILE *out, const json_t *doc)
{
	static const char *const heads[] = {
		"NAME", "SERVICE", "ADDRESS", "STATE", ">WEIGHT", ">CONNS", ">INFLIGHT", ">SESSIONS", ">IN",
		">OUT", ">REPLY p50/p99", ">BANNER p99", ">SINCE", "CHECK/REASON",
	};
	struct print_table table = { .heads = heads, .cols = sizeof(heads) / sizeof(heads[0]) };
	const json_t *backends = json_object_get(doc, "backends");
	const json_t *be;
	json_int_t cap;
	char buf[CELL];
	size_t i;

	if (json_array_size(backends) == 0) {
		print_note("no backends yet: lbctl add NAME ADDRESS");
		return;
	}
	json_array_foreach(backends, i, be) {
		const char *state = get_str(be, "state");

		print_cell(&table, PRINT_PLAIN, "%s", get_str(be, "name"));
		print_cell(&table, PRINT_PLAIN, "%s", get_str(be, "service"));
		print_cell(&table, PRINT_PLAIN, "%s", get_str(be, "address"));
		print_cell(&table, tint_of_state(state), "%s", state);
		cell_weight(&table, be);
		cap = get_ms(be, json_object_get(be, "max_conns_now") ? "max_conns_now" : "max_conns");
		cell_of(&table, get_int(be, "conns"), cap, cap > 0);
		cell_human(&table, get_int(be, "inflight"));
		cell_human(&table, get_int(be, "sessions_total"));
		cell_human(&table, get_int(be, "bytes_in"));
		cell_human(&table, get_int(be, "bytes_out"));
		cell_replies(&table, be);
		print_cell(&table, PRINT_PLAIN, "%s", print_ms(get_ms(be, "banner_p99_ms"), buf, sizeof(buf)));
		cell_seconds(&table, get_int(be, "since_s"));
		cell_check(&table, be);
	}
	print_table_end(&table, out);
	note_checker(json_object_get(doc, "checker"));
}

/* "a, b, c" of an array of strings and numbers. */
static const char *join(const json_t *list, char *buf, size_t len)
{
	const json_t *value;
	size_t i, at = 0;

	*buf = '\0';
	json_array_foreach(list, i, value) {
		const char *comma = i ? "," : "";

		if (at >= len)
			break;
		if (json_is_string(value))
			at += snprintf(buf + at, len - at, "%s%s", comma, json_string_value(value));
		else
			at += snprintf(buf + at, len - at, "%s%lld", comma,
				       (long long)json_integer_value(value));
	}
	return *buf ? buf : "-";
}

static void cell_port(struct print_table *table, const json_t *agent)
{
	if (json_is_object(agent))
		print_cell(table, PRINT_PLAIN, "port %lld", (long long)get_int(agent, "port"));
	else
		print_cell(table, PRINT_PLAIN, "-");
}

void print_services(FILE *out, const json_t *doc)
{
	static const char *const heads[] = {
		"NAME", "VIP", "PORTS", "MODE", "SCHEDULER", "REFUSE", "CHECK", "AGENT", ">BACKENDS", ">ELIGIBLE",
	};
	struct print_table table = { .heads = heads, .cols = sizeof(heads) / sizeof(heads[0]) };
	const json_t *services = json_object_get(doc, "services");
	const json_t *svc;
	char buf[256];
	size_t i;

	if (json_array_size(services) == 0) {
		print_note("no services yet: lbctl service add NAME --vip ADDRESS --port 25,465,587");
		return;
	}
	json_array_foreach(services, i, svc) {
		json_int_t total = get_int(svc, "backends"), eligible = get_int(svc, "eligible");

		print_cell(&table, PRINT_PLAIN, "%s", get_str(svc, "name"));
		print_cell(&table, PRINT_PLAIN, "%s", join(json_object_get(svc, "vip"), buf, sizeof(buf)));
		print_cell(&table, PRINT_PLAIN, "%s", join(json_object_get(svc, "ports"), buf, sizeof(buf)));
		print_cell(&table, PRINT_PLAIN, "%s", get_str(svc, "mode"));
		print_cell(&table, PRINT_PLAIN, "%s", get_str(svc, "scheduler"));
		print_cell(&table, PRINT_PLAIN, "%s", get_str(svc, "refuse"));
		print_cell(&table, PRINT_PLAIN, "%s", get_str(json_object_get(svc, "check"), "kind"));
		cell_port(&table, json_object_get(svc, "agent"));
		print_cell(&table, PRINT_PLAIN, "%lld", (long long)total);
		print_cell(&table, eligible == 0 ? PRINT_RED : PRINT_PLAIN, "%lld", (long long)eligible);
	}
	print_table_end(&table, out);
}

static void cell_endpoint(struct print_table *table, const char *addr, json_int_t port)
{
	print_cell(table, PRINT_PLAIN, strchr(addr, ':') ? "[%s]:%lld" : "%s:%lld", addr, (long long)port);
}

void print_flows(FILE *out, const json_t *doc)
{
	static const char *const heads[] = {
		"CLIENT", "VIP", "BACKEND", "STATE", "TURN", ">FOR", ">IDLE", ">AGE",
	};
	struct print_table table = { .heads = heads, .cols = sizeof(heads) / sizeof(heads[0]) };
	const json_t *flows = json_object_get(doc, "flows");
	const json_t *flow;
	size_t i;

	if (json_array_size(flows) == 0) {
		print_note("no flows: nobody is connected");
		return;
	}
	json_array_foreach(flows, i, flow) {
		const char *turn = get_str(flow, "turn");

		cell_endpoint(&table, get_str(flow, "client"), get_int(flow, "client_port"));
		cell_endpoint(&table, get_str(flow, "vip"), get_int(flow, "port"));
		print_cell(&table, PRINT_PLAIN, "%s", get_str(flow, "backend"));
		print_cell(&table, PRINT_PLAIN, "%s", strcmp(turn, "-") == 0 ? get_str(flow, "state") : "open");
		print_cell(&table, PRINT_PLAIN, "%s", turn);
		if (strcmp(turn, "-") == 0)
			print_cell(&table, PRINT_PLAIN, "-");
		else
			cell_seconds(&table, get_int(flow, "turn_for_s"));
		cell_seconds(&table, get_int(flow, "idle_s"));
		cell_seconds(&table, get_int(flow, "age_s"));
	}
	print_table_end(&table, out);
	if (json_is_true(json_object_get(doc, "truncated")))
		print_note("there are more: these are the first %zu, --limit N shows others",
			   json_array_size(flows));
}

static void print_verdicts(FILE *out, json_t *verdicts)
{
	static const char *const heads[] = { "VERDICT", ">PACKETS", "MEANING" };
	struct print_table table = { .heads = heads, .cols = sizeof(heads) / sizeof(heads[0]) };
	const json_t *count;
	const char *name;

	json_object_foreach(verdicts, name, count) {
		int v = verdict_from_str(name);

		if (json_integer_value(count) == 0)
			continue;
		print_cell(&table, PRINT_PLAIN, "%s", name);
		print_cell(&table, PRINT_PLAIN, "%lld", (long long)json_integer_value(count));
		print_cell(&table, PRINT_PLAIN, "%s", v < 0 ? "not known to this lbctl" : verdict_meaning(v));
	}
	if (table.n == 0)
		print_note("no packets yet: lbctl status tells whether the program is attached");
	else
		print_table_end(&table, out);
}

void print_stats(FILE *out, const json_t *doc)
{
	static const char *const heads[] = {
		"BACKEND", ">SESSIONS", ">REPLIES", ">PACKETS IN", ">PACKETS OUT", ">BYTES IN", ">BYTES OUT",
		">REFUSED", ">RESETS", ">AT RISK", ">LONGEST p99",
	};
	struct print_table table = { .heads = heads, .cols = sizeof(heads) / sizeof(heads[0]) };
	const json_t *backends = json_object_get(doc, "backends");
	char buf[CELL];
	const json_t *be;
	size_t i;

	print_verdicts(out, json_object_get(doc, "verdicts"));
	if (json_array_size(backends) == 0)
		return;
	fputc('\n', out);
	json_array_foreach(backends, i, be) {
		print_cell(&table, PRINT_PLAIN, "%s", get_str(be, "name"));
		cell_human(&table, get_int(be, "sessions_total"));
		cell_human(&table, get_int(be, "replies_total"));
		cell_human(&table, get_int(be, "packets_in"));
		cell_human(&table, get_int(be, "packets_out"));
		cell_human(&table, get_int(be, "bytes_in"));
		cell_human(&table, get_int(be, "bytes_out"));
		cell_human(&table, get_int(be, "refused_total"));
		cell_human(&table, get_int(be, "resets_total"));
		cell_human(&table, get_int(be, "at_risk_total"));
		print_cell(&table, PRINT_PLAIN, "%s", print_ms(get_ms(be, "longest_p99_ms"), buf, sizeof(buf)));
	}
	print_table_end(&table, out);
}

/* The prefix of a verdict is the outcome. */
static const char *sum_verdicts(json_t *verdicts, const char *prefix, char *buf, size_t len)
{
	json_int_t sum = 0;
	const json_t *count;
	const char *name;

	json_object_foreach(verdicts, name, count)
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			sum += json_integer_value(count);
	return num_to_human(sum, buf, len);
}

static void print_interfaces(FILE *out, const json_t *interfaces)
{
	const json_t *itf;
	size_t i;

	if (json_array_size(interfaces) == 0)
		fprintf(out, "interface  none: lbctl attach IFACE\n");
	json_array_foreach(interfaces, i, itf) {
		const char *name = get_str(itf, "name");

		if (json_is_true(json_object_get(itf, "attached")))
			fprintf(out, "interface  %s, xdp %s, program %lld, link %lld\n", name, get_str(itf, "mode"),
				(long long)get_int(itf, "prog_id"), (long long)get_int(itf, "link_id"));
		else
			fprintf(out, "interface  %s, NOT ATTACHED: lbctl attach %s\n", name, name);
	}
}

static void print_checker(FILE *out, const json_t *checker)
{
	const char *state = get_str(checker, "state");
	char buf[CELL];

	if (strcmp(state, "running") == 0)
		fprintf(out, "checks     running\n");
	else if (strcmp(state, "failing") == 0)
		fprintf(out, "checks     NOT RUNNING for %s, states may be old: %s\n",
			print_seconds(get_int(checker, "failing_s"), buf, sizeof(buf)), get_str(checker, "reason"));
}

void print_status(FILE *out, const json_t *doc)
{
	const json_t *backends = json_object_get(doc, "backends"), *flows = json_object_get(doc, "flows");
	const json_t *agents = json_object_get(doc, "agents");
	json_t *verdicts = json_object_get(doc, "verdicts");
	char a[CELL], b[CELL], c[CELL], d[CELL];
	json_int_t limit = get_int(flows, "limit"), entries = get_int(flows, "entries");
	json_int_t total = get_int(backends, "total");

	fprintf(out, "lbd %s, up %s\n", get_str(doc, "version"),
		print_seconds(get_int(doc, "uptime_s"), a, sizeof(a)));
	print_interfaces(out, json_object_get(doc, "interfaces"));
	if (get_int(doc, "services") == 0)
		fprintf(out, "services   none: lbctl service add NAME --vip ADDRESS --port 25,465,587\n");
	else
		fprintf(out, "services   %lld\n", (long long)get_int(doc, "services"));
	if (total == 0)
		fprintf(out, "backends   none: lbctl add NAME ADDRESS\n");
	else
		fprintf(out, "backends   %lld: %lld up, %lld draining, %lld down\n", (long long)total,
			(long long)get_int(backends, "up"), (long long)get_int(backends, "draining"),
			(long long)get_int(backends, "down"));
	print_checker(out, json_object_get(doc, "checker"));
	if (get_int(agents, "total") > 0)
		fprintf(out, "agents     %lld: %lld silent\n", (long long)get_int(agents, "total"),
			(long long)get_int(agents, "silent"));
	fprintf(out, "flows      %s of %s (%lld%%)\n", num_to_human(entries, a, sizeof(a)),
		num_to_human(limit, b, sizeof(b)), limit > 0 ? (long long)(entries * 100 / limit) : 0);
	fprintf(out, "packets    %s forwarded, %s reset, %s dropped, %s passed to this host\n",
		sum_verdicts(verdicts, "tx_", a, sizeof(a)), sum_verdicts(verdicts, "reset_", b, sizeof(b)),
		sum_verdicts(verdicts, "drop_", c, sizeof(c)), sum_verdicts(verdicts, "pass_", d, sizeof(d)));
}

void print_events(const json_t *doc)
{
	const json_t *event;
	size_t i;

	json_array_foreach(json_object_get(doc, "events"), i, event) {
		if (json_is_string(json_object_get(event, "backend")))
			print_done("%s  %s: %s -> %s (%s)", get_str(event, "time"), get_str(event, "backend"),
				   get_str(event, "from"), get_str(event, "to"), get_str(event, "text"));
		else
			print_done("%s  %s", get_str(event, "time"), get_str(event, "text"));
	}
}

void print_versions(FILE *out, const json_t *doc)
{
	fprintf(out, "lbctl %s\nlbd   %s\n", MAILXDP_VERSION, get_str(doc, "version"));
}
