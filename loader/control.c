/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See control.h. A transaction: change a copy of the model by the pool's rules, put it in place, apply it;
 * when that fails, put the old one back and apply that. The user gets one sentence either way.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"
#include "control_inner.h"
#include "log.h"
#include "segment.h"
#include "verdict.h"

__u64 control_utc_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

void control_say_line(struct control *ctl, struct control_say *say, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(say->text, sizeof(say->text), fmt, args);
	va_end(args);
	log_info("%s", say->text);
	history_add_line(&ctl->history, control_utc_ms(), say->text);
}

/* --- opening ------------------------------------------------------------------------ */

static int adopt(struct control *ctl)
{
	struct pool *old = pool_new();
	int ret;

	if (!old)
		return -ENOMEM;
	sync_read_pool(ctl->sync, old);
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		old->backends[id].changed_ns = ctl->started_ns;
		strcpy(old->backends[id].reason, "as before the restart");
	}
	ret = control_carry_ids(ctl, old, ctl->config->pool);
	for (int id = 1; id < LB_MAX_BACKENDS; id++)
		ctl->be[id].fresh = !old->backends[id].used;
	control_presume_agents(ctl, old);
	/* packets go on over these next hops while the kernel is asked about them anew */
	for (int id = 1; id < LB_MAX_BACKENDS; id++)
		if (ctl->config->pool->backends[id].used && old->backends[id].used)
			sync_read_hop(ctl->sync, id, &ctl->extra[id].hop);
	pool_free(old);
	return ret;
}

static int set_paths(struct control *ctl, const struct control_paths *paths)
{
	int a = snprintf(ctl->config_path, PATH_MAX, "%s", paths->config);
	int b = snprintf(ctl->state_path, PATH_MAX, "%s/state.yaml", paths->state_dir);
	int c = snprintf(ctl->addresses_path, PATH_MAX, "%s/addresses", paths->state_dir);

	return a >= PATH_MAX || b >= PATH_MAX || c >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int control_open(sd_event *event, const struct control_paths *paths, struct control **out, struct lb_error *err)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	struct datapath_options opt = { .bpffs = paths->bpffs, .discard_state = paths->discard_state };
	int ret;

	if (!ctl)
		return lb_error(err, LB_EXIT_FAILED, "out of memory");
	ctl->event = event;
	ctl->rst_fd = -1;
	ctl->started_ns = clock_ns();
	if (set_paths(ctl, paths)) {
		ret = lb_error(err, LB_EXIT_USAGE, "a path is longer than %d bytes", PATH_MAX);
		goto out;
	}
	ret = control_config_read(ctl, err);
	if (ret)
		goto out;
	ctl->manage_vips = paths->manage_vips && ctl->config->manage_vips;
	ctl->fixed = config_fixed_of(ctl->config);
	opt.flows = ctl->config->flows;
	opt.hash_seed = ctl->config->hash_seed;
	opt.half_open_ns = ctl->config->half_open_ms * 1000000;
	ret = datapath_open(&opt, &ctl->dp, err);
	if (ret)
		goto out;
	ctl->adopted = datapath_adopted(ctl->dp);
	ctl->rst_fd = segment_socket();
	if (ctl->rst_fd < 0)
		log_warn("no packet socket (%s): sessions that are ended are told only when they speak next",
			 strerror(-ctl->rst_fd));
	ret = sync_open(ctl->dp, &ctl->sync);
	ret = ret ? ret : nexthops_open(event, control_refresh_hops, ctl, &ctl->nexthops);
	ret = ret ? ret : responder_open(event, &ctl->responder);
	ret = ret ? ret : checks_open(event, control_verdict, ctl, &ctl->checks);
	ret = ret ? ret : agents_open(event, ctl->checks, control_agent_heard, ctl, &ctl->agents);
	if (!ret)
		checks_set_hop(ctl->checks, control_hop);
	ret = ret ? ret : control_upkeep_open(ctl);
	ret = ret ? ret : adopt(ctl);
	if (ret) {
		ret = lb_error(err, LB_EXIT_FAILED, "cannot start: %s", strerror(-ret));
		goto out;
	}
	control_addresses_load(ctl);
	ret = control_apply(ctl, err);
	if (ret)
		goto out;
	control_attach_all(ctl);
	control_addresses_apply(ctl);
	*out = ctl;
	return 0;
out:
	control_close(ctl);
	return ret;
}

void control_close(struct control *ctl)
{
	if (!ctl)
		return;
	control_upkeep_close(ctl);
	for (int id = 1; id < LB_MAX_BACKENDS; id++)
		control_check_forget(ctl, id);
	agents_close(ctl->agents);
	checks_close(ctl->checks);
	responder_close(ctl->responder);
	nexthops_close(ctl->nexthops);
	sync_close(ctl->sync);
	datapath_close(ctl->dp);
	config_free(ctl->config);
	if (ctl->rst_fd >= 0)
		close(ctl->rst_fd);
	free(ctl);
}

const struct config *control_config(const struct control *ctl)
{
	return ctl->config;
}

const struct history *control_history(const struct control *ctl)
{
	return &ctl->history;
}

/* --- the frame of every change of the model -------------------------------------------- */

static int begin(struct control *ctl, struct pool **before, struct lb_error *err)
{
	*before = pool_new();
	if (!*before)
		return lb_error(err, LB_EXIT_FAILED, "out of memory");
	memcpy(*before, ctl->config->pool, sizeof(**before));
	return 0;
}

/* ret: what the change said. Applies it, or puts the old model back. */
static int finish_change(struct control *ctl, struct pool *before, int ret, struct lb_error *err)
{
	struct lb_error again;

	if (ret >= 0)
		ret = control_apply(ctl, err);
	if (ret < 0) {
		memcpy(ctl->config->pool, before, sizeof(*before));
		control_apply(ctl, &again);
	}
	pool_free(before);
	return ret < 0 ? ret : 0;
}

/* --- services ---------------------------------------------------------------------------- */

int control_service_add(struct control *ctl, const struct service_spec *spec, struct control_say *say,
			struct lb_error *err)
{
	struct pool *before;
	char text[ADDR_STRLEN], ports[80] = "", vips[100] = "", agents[32] = "";
	const struct service *svc;
	int ret, index;

	if (begin(ctl, &before, err))
		return -ENOMEM;
	index = pool_service_add(ctl->config->pool, spec, err);
	ret = finish_change(ctl, before, index, err);
	if (ret)
		return ret;
	svc = &ctl->config->pool->services[index];
	for (int f = 0; f < 2; f++)
		if (svc->has_vip[f])
			snprintf(vips + strlen(vips), sizeof(vips) - strlen(vips), "%s%s", vips[0] ? ", " : "",
				 addr_to_str(&svc->vip[f], text));
	for (__u32 p = 0; p < svc->ports_n; p++)
		snprintf(ports + strlen(ports), sizeof(ports) - strlen(ports), "%s%u", p ? "," : "", svc->ports[p]);
	if (svc->agent.port)
		snprintf(agents, sizeof(agents), ", agents at port %u", svc->agent.port);
	control_say_line(ctl, say, "service %s added: %s port %s, %s, %s%s; now add backends", svc->name, vips, ports,
			 mode_to_str(svc->mode), scheduler_to_str(svc->scheduler), agents);
	control_save_state(ctl, say);
	return 0;
}

int control_service_remove(struct control *ctl, const char *name, struct control_say *say, struct lb_error *err)
{
	struct pool *before;
	int ret;

	if (begin(ctl, &before, err))
		return -ENOMEM;
	ret = pool_service_remove(ctl->config->pool, name, err);
	ret = finish_change(ctl, before, ret, err);
	if (ret)
		return ret;
	control_say_line(ctl, say, "service %s removed", name);
	control_save_state(ctl, say);
	return 0;
}

/* --- backends ------------------------------------------------------------------------------ */

int control_backend_add(struct control *ctl, const struct backend_spec *spec, struct control_say *say,
			struct lb_error *err)
{
	char text[ADDR_STRLEN];
	const struct backend *be;
	struct pool *before;
	int ret, id;

	if (begin(ctl, &before, err))
		return -ENOMEM;
	id = pool_backend_add(ctl->config->pool, spec, clock_ns(), err);
	if (id > 0) {
		if (!before->backends[id].used)
			sync_clear_backend(ctl->sync, id);
		control_check_forget(ctl, id);
		memset(&ctl->be[id], 0, sizeof(ctl->be[id]));
		ctl->be[id].fresh = true;
	}
	ret = finish_change(ctl, before, id, err);
	if (ret)
		return ret;
	be = &ctl->config->pool->backends[id];
	control_say_line(ctl, say, "%s added to %s at %s, weight %u%s", be->name,
			 ctl->config->pool->services[be->service].name, addr_to_str(&be->address, text), be->weight,
			 be->health == HEALTH_UP ? "" : "; takes sessions once its first check succeeds");
	control_save_state(ctl, say);
	return 0;
}

int control_backend_set(struct control *ctl, const char *name, const char *weight, const char *max_conns,
			struct control_say *say, struct lb_error *err)
{
	const struct backend *be;
	struct pool *before;
	int ret, id;

	if (begin(ctl, &before, err))
		return -ENOMEM;
	id = pool_backend_set(ctl->config->pool, name, weight, max_conns, err);
	ret = finish_change(ctl, before, id, err);
	if (ret)
		return ret;
	be = &ctl->config->pool->backends[id];
	if (be->max_flows)
		control_say_line(ctl, say, "%s: weight %u, at most %u sessions", name, be->weight, be->max_flows);
	else
		control_say_line(ctl, say, "%s: weight %u, no cap on sessions", name, be->weight);
	control_save_state(ctl, say);
	return 0;
}

static int change_admin(struct control *ctl, const char *name, enum backend_admin admin, __u64 deadline_ms,
			struct lb_error *err)
{
	__u64 now = clock_ns();
	struct pool *before;
	int ret, id;

	if (begin(ctl, &before, err))
		return -ENOMEM;
	id = pool_backend_admin(ctl->config->pool, name, admin, now, "by lbctl", err);
	if (id > 0) {
		ctl->config->pool->backends[id].deadline_ns = deadline_ms ? now + deadline_ms * 1000000 : 0;
		ctl->be[id].owing = ctl->be[id].longest_ns = 0; /* of a drain before this one */
	}
	ret = finish_change(ctl, before, id, err);
	return ret ? ret : id;
}

static void say_leaving(struct control *ctl, int id, const char *verb, struct control_say *say)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	unsigned long long flows = sync_load(ctl->sync, id)->flows;
	char names[200];

	pool_eligible_names(ctl->config->pool, be->service, id, names, sizeof(names));
	if (strcmp(names, "none") == 0)
		control_say_line(ctl, say, "%s %s: %llu flows stay; no other backend of %s takes new ones", be->name, verb,
				 flows, ctl->config->pool->services[be->service].name);
	else
		control_say_line(ctl, say, "%s %s: %llu flows stay, new ones go to %s", be->name, verb, flows, names);
}

int control_backend_drain(struct control *ctl, const char *name, __u64 deadline_ms, struct control_say *say,
			  struct lb_error *err)
{
	int id = change_admin(ctl, name, ADMIN_DRAIN, deadline_ms, err);

	if (id < 0)
		return id;
	say_leaving(ctl, id, "drains", say);
	control_save_state(ctl, say);
	return 0;
}

int control_backend_enable(struct control *ctl, const char *name, struct control_say *say, struct lb_error *err)
{
	int id = change_admin(ctl, name, ADMIN_ENABLED, 0, err);
	char reason[POOL_TEXT_LEN + 16];
	const struct backend *be;

	if (id < 0)
		return id;
	be = &ctl->config->pool->backends[id];
	if (backend_is_eligible(be))
		control_say_line(ctl, say, "%s takes new flows again", name);
	else
		control_say_line(ctl, say, "%s is enabled; takes new flows once its %s (%s)", name,
				 be->health < HEALTH_DOWN ? "agent lets it" : "checks succeed",
				 backend_reason(be, reason, sizeof(reason)));
	control_save_state(ctl, say);
	return 0;
}

int control_backend_remove(struct control *ctl, const char *name, bool now, struct control_say *say,
			   struct lb_error *err)
{
	struct lb_sweep sweep = {};
	int id = change_admin(ctl, name, ADMIN_REMOVED, 0, err);

	if (id < 0)
		return id;
	if (now) {
		control_close_flows(ctl, id, true, 0, &sweep);
		control_say_line(ctl, say, "%s removed: %llu flows reset, %llu of them while a reply was owed", name,
				 (unsigned long long)sweep.closed, (unsigned long long)sweep.at_risk);
	} else {
		say_leaving(ctl, id, "removed", say);
	}
	control_save_state(ctl, say);
	return 0;
}
