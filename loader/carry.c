/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See carry.h. First the VIPs, then the backends that hang on them, then those that only their flows keep alive.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "carry.h"

static bool ports_meet(const struct service *a, const struct service *b)
{
	for (__u32 i = 0; i < a->ports_n; i++)
		for (__u32 j = 0; j < b->ports_n; j++)
			if (a->ports[i] == b->ports[j])
				return true;
	return false;
}

/* The old id of svc's VIP of that family, or 0. */
static __u16 old_vip_id(const struct pool *old, const struct service *svc, int family)
{
	for (int i = 0; i < POOL_MAX_SERVICES; i++) {
		const struct service *was = &old->services[i];

		if (was->used && was->has_vip[family] && addr_equal(&was->vip[family], &svc->vip[family]) &&
		    ports_meet(was, svc))
			return was->vip_id[family];
	}
	return 0;
}

static void carry_vips(const struct pool *old, struct pool *next)
{
	bool taken[LB_MAX_VIPS] = { true }; /* 0 is nobody's */
	bool given[LB_MAX_VIPS] = {};	    /* a service split by port must not share one */
	__u16 id;

	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		for (int f = 0; f < 2; f++)
			if (old->services[i].used && old->services[i].has_vip[f])
				taken[old->services[i].vip_id[f]] = true;
	for (int i = 0; i < POOL_MAX_SERVICES; i++) {
		struct service *svc = &next->services[i];

		for (int f = 0; svc->used && f < 2; f++) {
			if (!svc->has_vip[f])
				continue;
			id = old_vip_id(old, svc, f);
			if (given[id])
				id = 0;
			/* a new VIP gets an id that no old flow can have */
			for (__u16 n = 1; !id && n < LB_MAX_VIPS; n++)
				if (!taken[n])
					id = n;
			svc->vip_id[f] = id;
			taken[id] = true;
			given[id] = true;
		}
	}
}

static __u16 backend_vip_id(const struct pool *pool, const struct backend *be)
{
	return pool->services[be->service].vip_id[backend_family(be)];
}

static int find_same(const struct pool *old, const struct pool *next, const struct backend *be)
{
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *was = &old->backends[id];

		if (was->used && addr_equal(&was->address, &be->address) &&
		    backend_vip_id(old, was) == backend_vip_id(next, be))
			return id;
	}
	return 0;
}

/* The service of next that serves vip_id, or -1. */
static int service_of_vip(const struct pool *next, __u16 vip_id)
{
	for (int i = 0; i < POOL_MAX_SERVICES; i++)
		for (int f = 0; next->services[i].used && f < 2; f++)
			if (next->services[i].has_vip[f] && next->services[i].vip_id[f] == vip_id)
				return i;
	return -1;
}

static void keep_history(const struct service *svc, struct backend *be, const struct backend *was)
{
	be->changed_ns = was->changed_ns;
	if (svc->agent.port)
		be->agent = was->agent;
	if (svc->check.kind == CHECK_NONE)
		return;	/* up already; and who would find out that it is up again? */
	be->health = was->health;
	if (be->admin == was->admin) {
		be->deadline_ns = was->deadline_ns;
		memcpy(be->reason, was->reason, sizeof(be->reason));
	}
}

static void keep_removed(const struct pool *old, struct pool *next, int id, const struct carry *carry)
{
	const struct backend *was = &old->backends[id];
	int service = service_of_vip(next, backend_vip_id(old, was));

	if (!carry->has_flows(carry->arg, id))
		return;
	if (service < 0) {
		carry->lost(carry->arg, id);
		return;
	}
	next->backends[id] = *was;
	next->backends[id].service = service;
	next->backends[id].admin = ADMIN_REMOVED;
}

int carry_ids(const struct pool *old, struct pool *next, const struct carry *carry)
{
	struct backend *fresh = calloc(LB_MAX_BACKENDS, sizeof(*fresh));
	bool placed[LB_MAX_BACKENDS] = {};
	int id, at = 1;

	if (!fresh)
		return -ENOMEM;
	carry_vips(old, next);
	memcpy(fresh, next->backends, sizeof(next->backends));
	memset(next->backends, 0, sizeof(next->backends));
	for (int i = 1; i < LB_MAX_BACKENDS; i++) {
		id = fresh[i].used ? find_same(old, next, &fresh[i]) : 0;
		if (!id || next->backends[id].used)
			continue;
		next->backends[id] = fresh[i];
		keep_history(&next->services[fresh[i].service], &next->backends[id], &old->backends[id]);
		placed[i] = true;
	}
	for (id = 1; id < LB_MAX_BACKENDS; id++)
		if (old->backends[id].used && !next->backends[id].used)
			keep_removed(old, next, id, carry);
	for (int i = 1; i < LB_MAX_BACKENDS; i++) {
		if (!fresh[i].used || placed[i])
			continue;
		while (at < LB_MAX_BACKENDS && (next->backends[at].used || old->backends[at].used))
			at++;
		if (at < LB_MAX_BACKENDS)
			next->backends[at] = fresh[i];
	}
	free(fresh);
	return 0;
}
