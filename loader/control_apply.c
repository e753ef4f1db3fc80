/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The model has changed: next hops, maps, checks, agents and the state file follow. Each step compares and writes differences, so
 * all of it runs after every change, and the daemon has one way to bring the world in line.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "control_inner.h"
#include "log.h"

/* Does anybody else need this next hop? */
static bool address_is_used(const struct pool *pool, const struct lb_addr *addr)
{
	for (int id = 1; id < LB_MAX_BACKENDS; id++)
		if (pool->backends[id].used && addr_equal(&pool->backends[id].address, addr))
			return true;
	return false;
}

static void look_up_hop(struct control *ctl, int id)
{
	const struct backend *be = &ctl->config->pool->backends[id];
	struct nexthop *hop = &ctl->extra[id].hop, now = {};
	char text[ADDR_STRLEN];
	int ret = nexthop_lookup(ctl->nexthops, &be->address, &now);

	ctl->be[id].hop_of = be->address;
	ctl->be[id].has_hop = true;
	if (ret || now.resolved)
		ctl->be[id].unanswered_ns = 0;
	else if (!ctl->be[id].unanswered_ns)
		ctl->be[id].unanswered_ns = clock_ns();
	/* While the kernel asks for the neighbour again the old answer is the best there is. */
	if (!ret && !now.resolved && hop->resolved && hop->ifindex == now.ifindex &&
	    (addr_equal(&hop->gateway, &now.gateway) || addr_equal(&hop->gateway, &(struct lb_addr) {})))
		return;
	if (ret && hop->resolved)
		log_warn("backend %s: no way to %s: %s", be->name, addr_to_str(&be->address, text), strerror(-ret));
	if (ret)
		now = (struct nexthop) {};
	if (!ret && now.resolved && !hop->resolved)
		log_debug("backend %s: next hop of %s found", be->name, addr_to_str(&be->address, text));
	*hop = now;
}

static void forget_hop(struct control *ctl, int id)
{
	struct control_backend *be = &ctl->be[id];

	memset(&ctl->extra[id], 0, sizeof(ctl->extra[id]));
	if (be->has_hop && !address_is_used(ctl->config->pool, &be->hop_of))
		nexthop_release(ctl->nexthops, &be->hop_of);
	be->has_hop = false;
}

static void look_up_hops(struct control *ctl)
{
	const struct pool *pool = ctl->config->pool;
	__u64 now = clock_ns();

	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		if (pool->backends[id].used) {
			look_up_hop(ctl, id);
			ctl->extra[id].weight = control_weight(ctl, id, now);
		} else {
			forget_hop(ctl, id);
		}
	}
}

void control_refresh_maps(struct control *ctl)
{
	look_up_hops(ctl);
	sync_push(ctl->sync, ctl->config->pool, ctl->extra);
}

void control_refresh_hops(void *arg)
{
	struct control *ctl = arg;

	control_refresh_maps(ctl);
	/* an interface that came back under its name has lost the program */
	for (size_t i = 0; i < ctl->config->interfaces_n; i++) {
		const struct config_interface *ci = &ctl->config->interfaces[i];
		struct datapath_link link;
		struct lb_error err;
		bool native;

		datapath_link(ctl->dp, ci->name, &link);
		if (!link.attached && if_nametoindex(ci->name) && !datapath_attach(ctl->dp, ci->name, ci->mode, &native, &err))
			log_warn("attached to %s again", ci->name);
	}
	control_addresses_apply(ctl);
}

int control_hop(void *arg, int id, struct nexthop *out)
{
	const struct control *ctl = arg;

	*out = ctl->extra[id].hop;
	return out->resolved ? 0 : -EAGAIN;
}

void control_apply_checks(struct control *ctl)
{
	const struct pool *pool = ctl->config->pool;

	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];
		const struct service *svc = &pool->services[be->service];
		struct check_target target = { .address = be->address, .conf = svc->check };
		int ret;

		if (!be->used)
			control_check_forget(ctl, id);
		if (!be->used || be->admin == ADMIN_REMOVED || be->admin == ADMIN_DISABLED) {
			checks_remove(ctl->checks, id);
			continue;
		}
		target.port = svc->check.port ? svc->check.port : svc->ports[0];
		if (svc->mode == LB_MODE_DSR && svc->has_vip[backend_family(be)] && !svc->check.no_vip) {
			target.vip = svc->vip[backend_family(be)];
			memcpy(target.vip_ports, svc->ports, sizeof(target.vip_ports));
			target.vip_ports_n = svc->ports_n;
		}
		/* the checks believe what they found, also where a panic holds the backend up */
		ret = checks_set(ctl->checks, id, &target, ctl->be[id].panic.held ? HEALTH_DOWN : be->health,
				 ctl->be[id].fresh);
		if (ret)
			log_err("backend %s: its checks cannot start: %s", be->name, strerror(-ret));
		ctl->be[id].fresh = false;
	}
}

int control_apply(struct control *ctl, struct lb_error *err)
{
	int ret;

	look_up_hops(ctl);
	responder_set(ctl->responder, ctl->config->pool);
	ret = sync_push(ctl->sync, ctl->config->pool, ctl->extra);
	if (ret)
		return lb_error(err, LB_EXIT_FAILED, "the maps cannot be written: %s; nothing was changed", strerror(-ret));
	control_apply_checks(ctl);
	control_apply_agents(ctl);
	control_addresses_apply(ctl);
	return 0;
}

void control_save_state(struct control *ctl, struct control_say *say)
{
	struct lb_error err;
	size_t n;

	config_fingerprint(ctl->config_path, ctl->config->based_on);
	if (config_write(ctl->state_path, ctl->config, "lbd's own: changes made at run time. Edit the config instead.", &err) ==
	    0)
		return;
	log_err("state: %s", err.text);
	n = strlen(say->text);
	snprintf(say->text + n, sizeof(say->text) - n, " (but a restart will forget it: %s)", err.text);
}
