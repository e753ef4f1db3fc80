/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The VIPs on this host's interfaces. What lbd has added it writes down, so that a later lbd takes away only that, and
 * never an address that the administrator, keepalived or a routing daemon put there.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "control_inner.h"
#include "log.h"
#include "vip.h"

#define ANNOUNCEMENTS 3

void control_addresses_load(struct control *ctl)
{
	FILE *file = fopen(ctl->addresses_path, "re");
	char ifname[IF_NAMESIZE], text[ADDR_STRLEN];
	struct control_address *a;

	if (!file)
		return;
	while (ctl->addresses_n < CONTROL_MAX_ADDRESSES && fscanf(file, "%15s %45s", ifname, text) == 2) {
		a = &ctl->addresses[ctl->addresses_n];
		if (addr_parse(text, &a->addr))
			continue;
		snprintf(a->ifname, sizeof(a->ifname), "%s", ifname);
		ctl->addresses_n++;
	}
	fclose(file);
}

static void save(const struct control *ctl)
{
	char text[ADDR_STRLEN], next[PATH_MAX + 8];
	FILE *file;

	snprintf(next, sizeof(next), "%s.new", ctl->addresses_path);
	file = fopen(next, "we");
	if (!file) {
		log_warn("%s: cannot write: %s: an address may stay behind", next, strerror(errno));
		return;
	}
	for (size_t i = 0; i < ctl->addresses_n; i++)
		fprintf(file, "%s %s\n", ctl->addresses[i].ifname, addr_to_str(&ctl->addresses[i].addr, text));
	if (fclose(file) == 0 && rename(next, ctl->addresses_path) == -1)
		log_warn("%s: %s", ctl->addresses_path, strerror(errno));
}

static bool is_attached(const struct control *ctl, const char *ifname)
{
	for (size_t i = 0; i < ctl->config->interfaces_n; i++)
		if (strcmp(ctl->config->interfaces[i].name, ifname) == 0)
			return true;
	return false;
}

static bool is_vip(const struct pool *pool, const struct lb_addr *addr)
{
	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		for (int f = 0; pool->services[i].used && f < 2; f++)
			if (pool->services[i].has_vip[f] && addr_equal(&pool->services[i].vip[f], addr))
				return true;
	return false;
}

static bool take_away_stale(struct control *ctl)
{
	char text[ADDR_STRLEN];
	bool changed = false;

	for (size_t i = 0; i < ctl->addresses_n;) {
		struct control_address *a = &ctl->addresses[i];
		int ifindex = if_nametoindex(a->ifname), ret = 0;

		if (ctl->manage_vips && is_vip(ctl->config->pool, &a->addr) && is_attached(ctl, a->ifname) && ifindex) {
			i++;
			continue;
		}
		if (ifindex)
			ret = vip_remove(ifindex, &a->addr);
		if (ret)
			log_warn("%s: cannot take %s away: %s", a->ifname, addr_to_str(&a->addr, text), strerror(-ret));
		else
			log_info("%s: VIP %s taken away", a->ifname, addr_to_str(&a->addr, text));
		*a = ctl->addresses[--ctl->addresses_n];
		changed = true;
	}
	return changed;
}

/* The attached interface on whose link the VIP's network is; else the first one. */
static const char *choose_interface(const struct control *ctl, const struct lb_addr *vip)
{
	const char *first = NULL;

	for (size_t i = 0; i < ctl->config->interfaces_n; i++) {
		const char *name = ctl->config->interfaces[i].name;
		int ifindex = if_nametoindex(name);

		if (!ifindex)
			continue;
		if (vip_is_onlink(ifindex, vip) == 1)
			return name;
		if (!first)
			first = name;
	}
	return first;
}

static bool put_where_missing(struct control *ctl, const struct lb_addr *vip)
{
	const char *ifname = choose_interface(ctl, vip);
	struct control_address *a;
	char text[ADDR_STRLEN];
	bool ours = false;
	int ret;

	if (!ifname)
		return false;
	for (size_t i = 0; i < ctl->addresses_n; i++)
		ours = ours || addr_equal(&ctl->addresses[i].addr, vip);
	if (ctl->addresses_n == CONTROL_MAX_ADDRESSES && !ours)
		return false;
	ret = vip_add(if_nametoindex(ifname), vip);
	if (ret < 0)
		log_err("%s: cannot add VIP %s: %s: add it by hand, or run with --no-vip-address", ifname,
			addr_to_str(vip, text), strerror(-ret));
	if (ret <= 0 || ours)
		return false; /* there already, or ours and put back after a flap */
	a = &ctl->addresses[ctl->addresses_n++];
	*a = (struct control_address) { .addr = *vip, .announce = ANNOUNCEMENTS };
	snprintf(a->ifname, sizeof(a->ifname), "%s", ifname);
	log_info("%s: VIP %s added", ifname, addr_to_str(vip, text));
	return true;
}

void control_addresses_apply(struct control *ctl)
{
	const struct pool *pool = ctl->config->pool;
	bool changed = take_away_stale(ctl);

	for (int i = 0; ctl->manage_vips && i < POOL_MAX_SERVICES; i++)
		for (int f = 0; pool->services[i].used && f < 2; f++)
			if (pool->services[i].has_vip[f])
				changed = put_where_missing(ctl, &pool->services[i].vip[f]) || changed;
	if (changed)
		save(ctl);
	control_addresses_announce(ctl);
}

void control_addresses_announce(struct control *ctl)
{
	for (size_t i = 0; i < ctl->addresses_n; i++) {
		struct control_address *a = &ctl->addresses[i];
		char text[ADDR_STRLEN];
		int ret;

		if (!a->announce)
			continue;
		a->announce--;
		ret = vip_announce(if_nametoindex(a->ifname), &a->addr);
		if (ret)
			log_warn("%s: cannot announce %s: %s", a->ifname, addr_to_str(&a->addr, text), strerror(-ret));
	}
}
