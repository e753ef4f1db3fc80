/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A control.h made of fixed figures, for the tests of those who call it. It defines every function of
 * the real one, so that the linker has no use for that. Each change writes what it was asked
 * into fake.asked, in words, and fails when fake.fail says so.
 */
#ifndef CONTROL_FAKE_H
#define CONTROL_FAKE_H

#include <stdio.h>
#include <string.h>
#include "../../loader/addr.h"
#include "../../loader/control.h"

#define FAKE_MX1 1
#define FAKE_MX2 7	/* ids have gaps */

static struct control_fake {
	struct pool pool;
	struct config config;
	enum lb_exit fail;
	char asked[512];
	int flows_n;
	bool count_down;	/* each report has one session less than the one before */
	int conns;
	__u64 longest_ms;	/* of a drain */
	int check_polls;	/* a check that was asked for runs for so many looks; below 0: for ever */
	bool check_asked;
	struct check_report check;
	struct history history;
	__u16 check_code;
	__s32 tls_days;
	struct checker_status checker;
	bool has_agent;		/* mx1 has an agent that said 50%, and is silent now */
} fake;

static void fake_backend(int id, const char *name, const char *address, enum backend_admin admin,
			 const char *reason)
{
	struct backend *be = &fake.pool.backends[id];

	*be = (struct backend){ .used = true, .weight = 100, .max_flows = 200, .admin = admin };
	snprintf(be->name, sizeof(be->name), "%s", name);
	snprintf(be->reason, sizeof(be->reason), "%s", reason);
	addr_parse(address, &be->address);
}

static void fake_reset(void)
{
	struct service *svc = &fake.pool.services[0];

	memset(&fake, 0, sizeof(fake));
	fake.config.pool = &fake.pool;
	svc->used = true;
	strcpy(svc->name, "mx");
	addr_parse("192.0.2.25", &svc->vip[0]);
	addr_parse("2001:db8::25", &svc->vip[1]);
	svc->has_vip[0] = svc->has_vip[1] = true;
	svc->vip_id[0] = 3;
	svc->vip_id[1] = 4;
	svc->ports[0] = 25;
	svc->ports[1] = 587;
	svc->ports_n = 2;
	svc->check = check_conf_default;
	fake_backend(FAKE_MX1, "mx1", "198.51.100.1", ADMIN_ENABLED, "tcp: connected");
	fake_backend(FAKE_MX2, "mx\"2", "198.51.100.2", ADMIN_DRAIN, "by lbctl \xff\xfe");
	fake.flows_n = 3;
	fake.tls_days = -1;
	fake.check = (struct check_report){
		.state = CHECK_REPORT_DONE, .result = CHECK_OK, .duration_us = 1234, .timeout_ms = 500, .text = "250 mx",
		.dialogue = "* connected\n< 220 mx \xff\n\n> QUIT\n",
	};
}

static int fake_change(struct control_say *say, struct lb_error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int fake_change(struct control_say *say, struct lb_error *err, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(fake.asked, sizeof(fake.asked), fmt, args);
	va_end(args);
	if (fake.fail)
		return lb_error(err, fake.fail, "refused for test %d", fake.fail);
	snprintf(say->text, sizeof(say->text), "did %.200s", fake.asked);
	return 0;
}

static const char *fake_text(const char *text)
{
	return text ? text : "-";
}

static void fake_admin(const char *name, enum backend_admin admin)
{
	for (int id = 1; id < LB_MAX_BACKENDS; id++)
		if (fake.pool.backends[id].used && strcmp(fake.pool.backends[id].name, name) == 0)
			fake.pool.backends[id].admin = admin;
}

int control_open(sd_event *event, const struct control_paths *paths, struct control **out, struct lb_error *err)
{
	(void)event, (void)paths, (void)out;
	return lb_error(err, LB_EXIT_FAILED, "a fake");
}

void control_close(struct control *ctl)
{
	(void)ctl;
}

int control_attach(struct control *ctl, const char *ifname, enum xdp_mode mode, struct control_say *say,
		   struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "attach %s %d", ifname, mode);
}

int control_detach(struct control *ctl, const char *ifname, struct control_say *say, struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "detach %s", ifname);
}

int control_service_add(struct control *ctl, const struct service_spec *spec, struct control_say *say,
			struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "service_add %s vips %zu %s %s ports %zu %s %s mode %s scheduler %s "
			   "refuse %s check %s agent %u",
			   spec->name, spec->vips_n, spec->vips[0], spec->vips_n > 1 ? spec->vips[1] : "-",
			   spec->ports_n, spec->ports[0], spec->ports_n > 1 ? spec->ports[1] : "-",
			   fake_text(spec->mode), fake_text(spec->scheduler), fake_text(spec->refuse),
			   spec->check ? check_kind_to_str(spec->check->kind) : "-",
			   spec->agent ? spec->agent->port : 0);
}

int control_service_remove(struct control *ctl, const char *name, struct control_say *say, struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "service_remove %s", name);
}

int control_backend_add(struct control *ctl, const struct backend_spec *spec, struct control_say *say,
			struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "backend_add %s %s service %s weight %s max_conns %s", spec->name,
			   spec->address, fake_text(spec->service), fake_text(spec->weight),
			   fake_text(spec->max_conns));
}

int control_backend_set(struct control *ctl, const char *name, const char *weight, const char *max_conns,
			struct control_say *say, struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "backend_set %s weight %s max_conns %s", name, fake_text(weight),
			   fake_text(max_conns));
}

int control_backend_drain(struct control *ctl, const char *name, __u64 deadline_ms, struct control_say *say,
			  struct lb_error *err)
{
	(void)ctl;
	if (!fake.fail)
		fake_admin(name, ADMIN_DRAIN);
	return fake_change(say, err, "backend_drain %s %llu", name, (unsigned long long)deadline_ms);
}

int control_backend_enable(struct control *ctl, const char *name, struct control_say *say, struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "backend_enable %s", name);
}

int control_backend_remove(struct control *ctl, const char *name, bool now, struct control_say *say,
			   struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "backend_remove %s now %d", name, now);
}

int control_check_start(struct control *ctl, const char *name, struct control_say *say, struct lb_error *err)
{
	(void)ctl;
	fake.check_asked = !fake.fail;
	return fake_change(say, err, "check_start %s", name);
}

int control_check_report(struct control *ctl, const char *name, struct check_report *out, struct lb_error *err)
{
	(void)ctl;
	if (pool_backend_find(&fake.pool, name) < 0)
		return lb_error(err, LB_EXIT_NOT_FOUND, "there is no backend \"%s\"", name);
	*out = fake.check;
	if (fake.check_asked && !fake.check_polls)
		return 0;
	fake.check_polls -= fake.check_polls > 0;
	*out = (struct check_report){
		.state = fake.check_asked ? CHECK_REPORT_RUNNING : CHECK_REPORT_NONE, .timeout_ms = fake.check.timeout_ms,
		.text = "", .dialogue = "",
	};
	return 0;
}

int control_reload(struct control *ctl, struct control_say *say, struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "reload");
}

int control_save(struct control *ctl, struct control_say *say, struct lb_error *err)
{
	(void)ctl;
	return fake_change(say, err, "save");
}

const struct config *control_config(const struct control *ctl)
{
	(void)ctl;
	return &fake.config;
}

const struct history *control_history(const struct control *ctl)
{
	(void)ctl;
	return &fake.history;
}

bool control_backend_report(struct control *ctl, int id, struct backend_report *out)
{
	const struct backend *be = &fake.pool.backends[id];

	(void)ctl;
	if (!be->used)
		return false;
	*out = (struct backend_report){
		.be = be, .svc = &fake.pool.services[0], .state = backend_state(be),
		.conns = !fake.count_down ? 10 + id : fake.conns > 0 ? fake.conns-- : 0,
		.inflight = 20 + id, .sessions_total = 1ULL << 40, .replies_total = 30, .reply_us_total = 45000,
		.refused_total = 40, .resets_total = 50, .at_risk_total = 60,
		.packets_in = 70, .bytes_in = 80, .packets_out = 90, .bytes_out = 100,
		.weight_now = be->weight / 2,
		.reply_p50_ms = 16, .reply_p99_ms = 1024, .banner_p99_ms = -1, .longest_p99_ms = 4096,
		.next_hop = true, .since_s = 77, .drain_longest_ms = fake.longest_ms, .drain_owing = fake.longest_ms > 0,
		.checked = id == FAKE_MX1,
		.check = { .last = CHECK_OK, .duration_us = 312, .at_ns = 1, .code = fake.check_code, .tls_days = fake.tls_days,
			   .text = "connected" },
		.weight_now_16 = be->weight * 8, .max_conns_now = backend_max_flows(be), .asked = fake.has_agent && id == FAKE_MX1,
		.agent = { .at_ns = 1, .missed = 2, .answers_total = 70, .failures_total = 3, .text = "connection refused" },
	};
	return true;
}

void control_status(struct control *ctl, struct status_report *out)
{
	(void)ctl;
	*out = (struct status_report){
		.uptime_s = 3600, .interfaces_n = 2,
		.interfaces = {
			{ .name = "eth0", .ifindex = 2, .attached = true, .native = true, .prog_id = 41, .link_id = 7 },
			{ .name = "eth1", .ifindex = 3 },
		},
		.flow_entries = 21, .flow_limit = 131072, .services = 1, .backends = 2, .up = 1, .draining = 1,
		.agents = fake.has_agent, .agents_silent = fake.has_agent, .checker = fake.checker,
	};
	for (int v = 0; v < LB_VERDICT_MAX; v++)
		out->verdicts[v] = 1000 + v;
}

void control_checker_status(struct control *ctl, struct checker_status *out)
{
	(void)ctl;
	*out = fake.checker;
}

void control_flows(struct control *ctl, int backend,
		   bool (*visit)(void *arg, const struct lb_flow_key *key, const struct lb_flow *flow), void *arg)
{
	(void)ctl;
	for (int i = 0; i < fake.flows_n; i++) {
		struct lb_flow_key key = { .client_port = 40000 + i, .port = 25, .vip_id = 4 };
		struct lb_flow flow = {
			.seen_ns = 1, .turn_ns = 1, .opened_s = 1, .longest_ms = 17, .backend = FAKE_MX1,
			.state = LB_FLOW_SERVER + i % 3,
		};

		addr_parse("2001:db8::c", &key.client);
		if (backend && backend != flow.backend)
			continue;
		if (!visit(arg, &key, &flow))
			break;
	}
}

#endif
