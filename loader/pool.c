/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pool and its backends: a change is made on a copy, checked against all others, and only then
 * put in. It must not know maps, clocks, files or sockets.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "addr.h"
#include "num.h"
#include "pool_inner.h"

struct pool *pool_new(void)
{
	return calloc(1, sizeof(struct pool));
}

void pool_free(struct pool *pool)
{
	free(pool);
}

int pool_backend_find(const struct pool *pool, const char *name)
{
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];

		if (be->used && be->admin != ADMIN_REMOVED && !strcmp(be->name, name))
			return id;
	}
	return -ENOENT;
}

/* All names of services, for "which one" messages. */
static size_t service_names(const struct pool *pool, char *buf, size_t len)
{
	size_t n = 0, at = 0;

	buf[0] = '\0';
	for (int i = 0; i < POOL_MAX_SERVICES; i++) {
		if (!pool->services[i].used)
			continue;
		if (at < len)
			at += snprintf(buf + at, len - at, "%s%s", n ? ", " : "", pool->services[i].name);
		n++;
	}
	return n;
}

static int choose_service(const struct pool *pool, const char *name, struct lb_error *err)
{
	char names[300];
	size_t n;

	if (name)
		return pool_service_get(pool, name, err);
	n = service_names(pool, names, sizeof(names));
	if (!n)
		return blame(err, "service", 0, LB_EXIT_NOT_FOUND, "there is no service yet: add one first");
	if (n > 1)
		return blame(err, "service", 0, LB_EXIT_USAGE, "there are %zu services: say which with --service (%s)", n,
			     names);
	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		if (pool->services[i].used)
			return i;
	return -ENOENT;
}

static int parse_weight(const char *name, const char *text, __u32 *out, struct lb_error *err)
{
	uint64_t n = 0;

	if (num_parse(text, 1, LB_MAX_WEIGHT, &n))
		return blame(err, "weight", 0, LB_EXIT_USAGE, "backend \"%s\": weight \"" SHOW "\" is not 1-%d", name, text,
			     LB_MAX_WEIGHT);
	*out = n;
	return 0;
}

static int parse_max_conns(const char *name, const char *text, __u32 *out, struct lb_error *err)
{
	uint64_t n = 0;

	if (num_parse(text, 0, UINT32_MAX, &n))
		return blame(err, "max-conns", 0, LB_EXIT_USAGE,
			     "backend \"%s\": max-conns \"" SHOW "\" is not 0-%u (0: no cap)", name, text, UINT32_MAX);
	*out = n;
	return 0;
}

static int parse_backend(const struct pool *pool, const struct backend_spec *spec, struct backend *be,
			 struct lb_error *err)
{
	const struct service *svc = &pool->services[be->service];
	int ret = 0;

	strcpy(be->name, spec->name);
	if (!spec->address || addr_parse(spec->address, &be->address))
		return blame(err, "address", 0, LB_EXIT_USAGE,
			     "backend \"%s\": address \"" SHOW "\" is not an IPv4 or IPv6 address", be->name,
			     spec->address ? spec->address : "");
	if (!addr_is_usable(&be->address))
		return blame(err, "address", 0, LB_EXIT_USAGE,
			     "backend \"%s\": " SHOW " cannot be a backend: give a unicast address that is neither "
			     "loopback nor link-local", be->name, spec->address);
	if (!svc->has_vip[backend_family(be)])
		return blame(err, "address", 0, LB_EXIT_USAGE,
			     "service \"%s\" has no %s VIP for %s: add a backend with an %s address, or a service with an "
			     "%s VIP", svc->name, backend_family(be) ? "IPv6" : "IPv4", spec->address,
			     backend_family(be) ? "IPv4" : "IPv6", backend_family(be) ? "IPv6" : "IPv4");
	be->weight = POOL_DEFAULT_WEIGHT;
	if (spec->weight)
		ret = parse_weight(be->name, spec->weight, &be->weight, err);
	if (!ret && spec->max_conns)
		ret = parse_max_conns(be->name, spec->max_conns, &be->max_flows, err);
	return ret;
}

/* In nat the reply's source tells the backend ("backend_addrs" is keyed by address and port), so it may belong
 * to one of them only. In dsr replies pass us by. */
static bool shares_replies(const struct service *a, const struct service *b)
{
	return a->mode == LB_MODE_NAT && b->mode == LB_MODE_NAT && pool_common_port(a, b);
}

/* The address against everybody else's. *revived: the id of a removed backend that is meant again. */
static int check_address(const struct pool *pool, const struct backend *be, int *revived, struct lb_error *err)
{
	const struct service *svc = &pool->services[be->service];
	char text[ADDR_STRLEN];

	addr_to_str(&be->address, text);
	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		for (int family = 0; family < 2; family++)
			if (pool->services[i].used && pool->services[i].has_vip[family] &&
			    addr_equal(&pool->services[i].vip[family], &be->address))
				return blame(err, "address", 0, LB_EXIT_CONFLICT,
					     "backend \"%s\": %s is the VIP of service \"%s\": give the mail server's own "
					     "address", be->name, text, pool->services[i].name);
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *other = &pool->backends[id];
		const struct service *theirs = &pool->services[other->service];

		if (!other->used || !addr_equal(&other->address, &be->address))
			continue;
		if (other->service != be->service && !shares_replies(svc, theirs))
			continue;
		if (other->service == be->service && other->admin == ADMIN_REMOVED) {
			*revived = id;
			continue;
		}
		if (other->admin == ADMIN_REMOVED)
			return blame(err, "address", 0, LB_EXIT_CONFLICT,
				     "backend \"%s\": %s still has flows as the removed backend \"%s\" of service \"%s\": "
				     "try again when they have ended", be->name, text, other->name, theirs->name);
		return blame(err, "address", 0, LB_EXIT_CONFLICT,
			     "backend \"%s\": %s is backend \"%s\" of service \"%s\" already%s", be->name, text,
			     other->name, theirs->name,
			     other->service == be->service ? ": leave one out" :
							     " and they share a port: use mode dsr or other ports");
	}
	return 0;
}

/* The id for a new member of the service: the lowest free one. */
static int free_id(const struct pool *pool, const struct backend *be, struct lb_error *err)
{
	int members = 0, free_at = 0;

	for (int id = LB_MAX_BACKENDS - 1; id; id--) {
		if (!pool->backends[id].used)
			free_at = id;
		else if (pool->backends[id].service == be->service)
			members++;
	}
	if (!free_at)
		return lb_error(err, LB_EXIT_CONFLICT,
				"backend \"%s\": there are %d backends already, the most there can be: remove one",
				be->name, LB_MAX_BACKENDS - 1);
	if (members >= LB_MAX_MEMBERS)
		return lb_error(err, LB_EXIT_CONFLICT,
				"backend \"%s\": service \"%s\" has %d backends already, the most it can have: remove one",
				be->name, pool->services[be->service].name, LB_MAX_MEMBERS);
	return free_at;
}

int pool_backend_add(struct pool *pool, const struct backend_spec *spec, __u64 now_ns, struct lb_error *err)
{
	struct backend be = { .used = true, .admin = spec->admin, .changed_ns = now_ns };
	int id = 0, index, same, ret;
	char text[ADDR_STRLEN];

	ret = pool_check_name("backend", spec->name, err);
	if (ret)
		return ret;
	same = pool_backend_find(pool, spec->name);
	if (same >= 0)
		return blame(err, "name", 0, LB_EXIT_CONFLICT,
			     "backend \"%s\" exists already at %s: choose another name, or \"lbctl set %s\"", spec->name,
			     addr_to_str(&pool->backends[same].address, text), spec->name);
	index = choose_service(pool, spec->service, err);
	if (index < 0)
		return index;
	be.service = index;
	ret = parse_backend(pool, spec, &be, err);
	if (!ret)
		ret = check_address(pool, &be, &id, err);
	if (!ret && !id)
		ret = id = free_id(pool, &be, err);
	if (ret < 0)
		return ret;
	if (pool->services[index].check.kind == CHECK_NONE) {
		be.health = HEALTH_UP;
		pool_set_reason(&be, "not checked");
	} else {
		be.health = HEALTH_DOWN;
		pool_set_reason(&be, "not checked yet");
	}
	if (be.admin != ADMIN_ENABLED)
		pool_set_reason(&be, "added so");
	pool->backends[id] = be;
	return id;
}

/* --- changes to a backend --- */

static int backend_get(const struct pool *pool, const char *name, struct lb_error *err)
{
	int id = pool_backend_find(pool, name);

	if (id < 0)
		return lb_error(err, LB_EXIT_NOT_FOUND, "no backend \"" SHOW "\": see \"lbctl list\"", name);
	return id;
}

int pool_backend_set(struct pool *pool, const char *name, const char *weight, const char *max_conns,
		     struct lb_error *err)
{
	int id = backend_get(pool, name, err), ret = 0;
	struct backend be;

	if (id < 0)
		return id;
	if (!weight && !max_conns)
		return lb_error(err, LB_EXIT_USAGE, "backend \"%s\": nothing to set: give weight or max-conns", name);
	be = pool->backends[id];
	if (weight)
		ret = parse_weight(name, weight, &be.weight, err);
	if (!ret && max_conns)
		ret = parse_max_conns(name, max_conns, &be.max_flows, err);
	if (ret)
		return ret;
	pool->backends[id] = be;
	return id;
}

int pool_backend_admin(struct pool *pool, const char *name, enum backend_admin admin, __u64 now_ns,
		       const char *reason, struct lb_error *err)
{
	int id = backend_get(pool, name, err);
	enum backend_state before;
	struct backend *be;

	if (id < 0)
		return id;
	be = &pool->backends[id];
	before = backend_state(be);
	be->admin = admin;
	if (admin == ADMIN_ENABLED)
		be->deadline_ns = 0;
	if (backend_state(be) != before)
		be->changed_ns = now_ns;
	pool_set_reason(be, reason);
	return id;
}

void pool_backend_forget(struct pool *pool, int id)
{
	memset(&pool->backends[id], 0, sizeof(pool->backends[id]));
}

bool pool_backend_health(struct pool *pool, int id, enum backend_health health, __u64 now_ns, const char *reason)
{
	struct backend *be = &pool->backends[id];
	enum backend_state before = backend_state(be);
	bool changed = be->health != health;

	be->health = health;
	if (backend_state(be) != before)
		be->changed_ns = now_ns;
	if (be->admin == ADMIN_ENABLED)
		pool_set_reason(be, reason);
	return changed;
}

bool pool_backend_agent(struct pool *pool, int id, const struct agent_report *report, __u64 now_ns)
{
	struct backend *be = &pool->backends[id];
	enum backend_state before = backend_state(be);
	bool changed = agent_hear(&be->agent, report);

	if (backend_state(be) != before)
		be->changed_ns = now_ns;
	return changed;
}

const char *pool_eligible_names(const struct pool *pool, int service, int except_id, char *buf, size_t len)
{
	static const char more[] = ", ...";
	size_t at = 0, cut = 0;

	snprintf(buf, len, "none");
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];
		size_t need = strlen(be->name) + (at ? 2 : 0);

		if (!be->used || be->service != service || id == except_id || !backend_is_eligible(be))
			continue;
		if (except_id && backend_family(be) != backend_family(&pool->backends[except_id]))
			continue;
		if (at + need >= len) {
			snprintf(buf + cut, len - cut, "%s", cut ? more : "...");
			break;
		}
		at += snprintf(buf + at, len - at, "%s%s", at ? ", " : "", be->name);
		if (at + sizeof(more) <= len)
			cut = at;	/* the ellipsis would still fit here */
	}
	return buf;
}
