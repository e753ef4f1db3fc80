/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services: the new one is built aside, checked against all others, and only then put in. It must not
 * know maps, clocks, files or sockets.
 */
#include <errno.h>
#include <string.h>
#include "addr.h"
#include "num.h"
#include "pool_inner.h"
#include "verdict.h"

static bool name_is_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len = strlen(name);

	return len && len < POOL_NAME_LEN && strspn(name, allowed) == len && name[0] != '-' && strcmp(name, ".") &&
	       strcmp(name, "..");
}

int pool_check_name(const char *what, const char *name, struct lb_error *err)
{
	if (!name || !*name)
		return blame(err, "name", 0, LB_EXIT_USAGE, "%s has no name: give one", what);
	if (!name_is_valid(name))
		return blame(err, "name", 0, LB_EXIT_USAGE,
			     "%s \"" SHOW "\": the name is not 1-63 of A-Z a-z 0-9 . _ - (no \"-\" first): choose another",
			     what, name);
	return 0;
}

int pool_service_find(const struct pool *pool, const char *name)
{
	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		if (pool->services[i].used && !strcmp(pool->services[i].name, name))
			return i;
	return -ENOENT;
}

static bool serves_port(const struct service *svc, __u16 port)
{
	for (__u32 i = 0; i < svc->ports_n; i++)
		if (svc->ports[i] == port)
			return true;
	return false;
}

__u16 pool_common_port(const struct service *a, const struct service *b)
{
	for (__u32 i = 0; i < a->ports_n; i++)
		if (serves_port(b, a->ports[i]))
			return a->ports[i];
	return 0;
}

static int parse_vips(const struct service_spec *spec, struct service *svc, struct lb_error *err)
{
	struct lb_addr addr;

	if (!spec->vips_n)
		return blame(err, "vip", 0, LB_EXIT_USAGE, "service \"%s\" has no VIP: give it an address", svc->name);
	if (spec->vips_n > 2)
		return blame(err, "vip", 2, LB_EXIT_USAGE,
			     "service \"%s\" has more than two VIPs: give one IPv4 and one IPv6 address at most",
			     svc->name);
	for (size_t i = 0; i < spec->vips_n; i++) {
		int family;

		if (addr_parse(spec->vips[i], &addr))
			return blame(err, "vip", i, LB_EXIT_USAGE,
				     "service \"%s\": VIP \"" SHOW "\" is not an IPv4 or IPv6 address", svc->name,
				     spec->vips[i]);
		if (!addr_is_usable(&addr))
			return blame(err, "vip", i, LB_EXIT_USAGE,
				     "service \"%s\": VIP " SHOW " cannot be served: give a unicast address that is "
				     "neither loopback nor link-local", svc->name, spec->vips[i]);
		family = addr_is_v4(&addr) ? 0 : 1;
		if (svc->has_vip[family])
			return blame(err, "vip", i, LB_EXIT_USAGE,
				     "service \"%s\" has two %s VIPs: make a service of each", svc->name,
				     family ? "IPv6" : "IPv4");
		svc->vip[family] = addr;
		svc->has_vip[family] = true;
	}
	return 0;
}

static int parse_ports(const struct service_spec *spec, struct service *svc, struct lb_error *err)
{
	uint64_t port = 0;

	if (!spec->ports_n)
		return blame(err, "ports", 0, LB_EXIT_USAGE, "service \"%s\" has no port: give at least one, such as 25",
			     svc->name);
	if (spec->ports_n > LB_MAX_PORTS)
		return blame(err, "ports", LB_MAX_PORTS, LB_EXIT_USAGE,
			     "service \"%s\" has more than %d ports: make two services of it", svc->name, LB_MAX_PORTS);
	for (size_t i = 0; i < spec->ports_n; i++) {
		__u32 at;

		if (num_parse(spec->ports[i], 1, 65535, &port))
			return blame(err, "ports", i, LB_EXIT_USAGE,
				     "service \"%s\": port \"" SHOW "\" is not 1-65535", svc->name, spec->ports[i]);
		if (serves_port(svc, port))
			return blame(err, "ports", i, LB_EXIT_USAGE,
				     "service \"%s\": port %u is given twice: leave one out", svc->name, (unsigned int)port);
		for (at = svc->ports_n++; at && svc->ports[at - 1] > port; at--)
			svc->ports[at] = svc->ports[at - 1];
		svc->ports[at] = port;
	}
	return 0;
}

static int parse_choice(const struct service *svc, const char *what, const char *text, int (*from_str)(const char *),
			const char *choices, int standard, int *out, struct lb_error *err)
{
	int value = text ? from_str(text) : standard;

	if (value < 0)
		return blame(err, what, 0, LB_EXIT_USAGE, "service \"%s\": %s \"" SHOW "\" is not one of %s", svc->name,
			     what, text, choices);
	*out = value;
	return 0;
}

static int parse_choices(const struct service_spec *spec, struct service *svc, struct lb_error *err)
{
	int mode = 0, scheduler = 0, refuse = 0, ret;

	ret = parse_choice(svc, "mode", spec->mode, mode_from_str, "nat, dsr", POOL_DEFAULT_MODE, &mode, err);
	if (!ret)
		ret = parse_choice(svc, "scheduler", spec->scheduler, scheduler_from_str,
				   "least-inflight, least-conn, maglev, round-robin, random", POOL_DEFAULT_SCHEDULER,
				   &scheduler, err);
	if (!ret)
		ret = parse_choice(svc, "refuse", spec->refuse, refuse_from_str, "reset, drop, reply",
				   POOL_DEFAULT_REFUSE, &refuse, err);
	for (const char *c = spec->refuse_text; !ret && c && *c; c++)
		if (*c < ' ' || *c > '~' || c - spec->refuse_text >= (int)sizeof(svc->refuse_text) - 1)
			ret = blame(err, "refuse-text", 0, LB_EXIT_USAGE,
				    "service \"%s\": refuse-text is not one line of up to %zu printable ASCII characters",
				    svc->name, sizeof(svc->refuse_text) - 1);
	if (ret)
		return ret;
	if (spec->refuse_text)
		strcpy(svc->refuse_text, spec->refuse_text);
	svc->mode = mode;
	svc->scheduler = scheduler;
	svc->refuse = refuse;
	svc->check = spec->check ? *spec->check : check_conf_default;
	if (!svc->check.interval_ms)
		svc->check.interval_ms = check_conf_default.interval_ms;
	if (!svc->check.timeout_ms)
		svc->check.timeout_ms = check_conf_default.timeout_ms;
	if (!svc->check.rise)
		svc->check.rise = check_conf_default.rise;
	if (!svc->check.fall)
		svc->check.fall = check_conf_default.fall;
	svc->agent = spec->agent ? *spec->agent : agent_conf_default;
	return 0;
}

/* Which of the user's VIPs is the one of this family. */
static size_t vip_position(const struct service_spec *spec, int family)
{
	struct lb_addr addr;

	for (size_t i = 0; i < spec->vips_n; i++)
		if (!addr_parse(spec->vips[i], &addr) && addr_is_v4(&addr) == !family)
			return i;
	return 0;
}

/* One VIP and port leads to one service ("services" is keyed by them), and no address is both ends:
 * a backend's reply could not be told from a request. */
static int check_vip(const struct pool *pool, const struct service *svc, int family, size_t nth, struct lb_error *err)
{
	char text[ADDR_STRLEN];

	addr_to_str(&svc->vip[family], text);
	for (int i = 0; i < POOL_MAX_SERVICES; i++) {
		const struct service *other = &pool->services[i];
		__u16 port;

		if (!other->used || !other->has_vip[family] || !addr_equal(&other->vip[family], &svc->vip[family]))
			continue;
		port = pool_common_port(svc, other);
		if (port)
			return blame(err, "vip", nth, LB_EXIT_CONFLICT,
				     "service \"%s\": %s port %u is served by service \"%s\" already: choose another "
				     "VIP or port", svc->name, text, port, other->name);
	}
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];

		if (be->used && addr_equal(&be->address, &svc->vip[family]))
			return blame(err, "vip", nth, LB_EXIT_CONFLICT,
				     "service \"%s\": VIP %s is the address of backend \"%s\": choose another VIP",
				     svc->name, text, be->name);
	}
	return 0;
}

static int give_vip_ids(const struct pool *pool, struct service *svc, struct lb_error *err)
{
	bool taken[LB_MAX_VIPS] = { [0] = true };
	int id = 1;

	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		for (int family = 0; family < 2; family++)
			if (pool->services[i].used && pool->services[i].has_vip[family])
				taken[pool->services[i].vip_id[family]] = true;
	for (int family = 0; family < 2; family++) {
		if (!svc->has_vip[family])
			continue;
		while (id < LB_MAX_VIPS && taken[id])
			id++;
		if (id == LB_MAX_VIPS)
			return lb_error(err, LB_EXIT_CONFLICT,
					"service \"%s\": there are %d VIPs already, the most there can be: remove a service",
					svc->name, LB_MAX_VIPS - 1);
		svc->vip_id[family] = id++;
	}
	return 0;
}

int pool_service_add(struct pool *pool, const struct service_spec *spec, struct lb_error *err)
{
	struct service svc = { .used = true };
	int index, ret;

	ret = pool_check_name("service", spec->name, err);
	if (ret)
		return ret;
	strcpy(svc.name, spec->name);
	if (pool_service_find(pool, svc.name) >= 0)
		return blame(err, "name", 0, LB_EXIT_CONFLICT, "service \"%s\" exists already: choose another name",
			     svc.name);
	ret = parse_vips(spec, &svc, err);
	if (!ret)
		ret = parse_ports(spec, &svc, err);
	if (!ret)
		ret = parse_choices(spec, &svc, err);
	for (int family = 0; !ret && family < 2; family++)
		if (svc.has_vip[family])
			ret = check_vip(pool, &svc, family, vip_position(spec, family), err);
	if (!ret)
		ret = give_vip_ids(pool, &svc, err);
	if (ret)
		return ret;
	for (index = 0; index < POOL_MAX_SERVICES && pool->services[index].used; index++)
		;
	if (index == POOL_MAX_SERVICES)
		return lb_error(err, LB_EXIT_CONFLICT,
				"service \"%s\": there are %d services already, the most there can be: remove one",
				svc.name, POOL_MAX_SERVICES);
	pool->services[index] = svc;
	return index;
}

int pool_service_get(const struct pool *pool, const char *name, struct lb_error *err)
{
	int index = pool_service_find(pool, name);

	if (index < 0)
		return blame(err, "service", 0, LB_EXIT_NOT_FOUND, "no service \"" SHOW "\": see \"lbctl list\"", name);
	return index;
}

int pool_service_remove(struct pool *pool, const char *name, struct lb_error *err)
{
	int index = pool_service_get(pool, name, err), n = 0;
	const struct backend *ending = NULL;

	if (index < 0)
		return index;
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];

		if (!be->used || be->service != index)
			continue;
		if (be->admin == ADMIN_REMOVED)
			ending = be;
		else
			n++;
	}
	if (n)
		return lb_error(err, LB_EXIT_CONFLICT, "service \"%s\" has %d backend%s: remove %s first", name, n,
				n == 1 ? "" : "s", n == 1 ? "it" : "them");
	if (ending)
		return lb_error(err, LB_EXIT_CONFLICT,
				"service \"%s\" still has flows of the removed backend \"%s\": try again when they have ended",
				name, ending->name);
	memset(&pool->services[index], 0, sizeof(pool->services[index]));
	return 0;
}
