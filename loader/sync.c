/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See sync.h. This half reads: maps -> figures, and what an earlier daemon left in them.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "sync_inner.h"

int sync_open(struct datapath *dp, struct sync **out)
{
	struct sync *sync = calloc(1, sizeof(*sync));

	if (!sync)
		return -ENOMEM;
	sync->dp = dp;
	sync->maps = datapath_maps(dp);
	sync->cpus = libbpf_num_possible_cpus();
	if (sync->cpus < 1) {
		free(sync);
		return -EINVAL;
	}
	sync->percpu = calloc(sync->cpus, sizeof(struct lb_replies) + 8);
	if (!sync->percpu) {
		free(sync);
		return -ENOMEM;
	}
	*out = sync;
	return 0;
}

void sync_close(struct sync *sync)
{
	if (!sync)
		return;
	free(sync->percpu);
	free(sync);
}

/* One service a VIP: enough to find ids again. */
void sync_read_pool(const struct sync *sync, struct pool *out)
{
	struct lb_service_key key, *at = NULL;
	struct lb_service value;

	while (bpf_map_get_next_key(sync->maps->services, at, &key) == 0) {
		struct service *svc;
		int f = addr_is_v4(&key.vip) ? 0 : 1;

		at = &key;
		if (bpf_map_lookup_elem(sync->maps->services, &key, &value) || value.vip_id >= POOL_MAX_SERVICES)
			continue;
		svc = &out->services[value.vip_id];
		svc->used = true;
		svc->mode = value.mode;
		svc->has_vip[f] = true;
		svc->vip[f] = key.vip;
		svc->vip_id[f] = value.vip_id;
		if (svc->ports_n < LB_MAX_PORTS)
			svc->ports[svc->ports_n++] = key.port;
	}
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct lb_backend *line = &sync->maps->backends[id];
		struct backend *be = &out->backends[id];

		if (!line->vip_id || line->vip_id >= POOL_MAX_SERVICES)
			continue;
		be->used = true;
		be->service = line->vip_id;
		be->address = line->address;
		be->weight = 1;
		be->health = line->flags & LB_BACKEND_ELIGIBLE ? HEALTH_UP : HEALTH_DOWN;
		snprintf(be->name, sizeof(be->name), "removed-%d", id);
	}
}

void sync_read_hop(const struct sync *sync, int id, struct nexthop *out)
{
	const struct lb_backend *line = &sync->maps->backends[id];

	*out = (struct nexthop) { .resolved = line->flags & LB_BACKEND_RESOLVED, .ifindex = line->ifindex };
	memcpy(out->dst_mac, line->dst_mac, sizeof(out->dst_mac));
	memcpy(out->src_mac, line->src_mac, sizeof(out->src_mac));
}

/* Adds up the 64-bit counters of one per-CPU value. */
static int sum_percpu(const struct sync *sync, int fd, __u32 key, __u64 *out, size_t words)
{
	const __u64 *in = sync->percpu;

	if (bpf_map_lookup_elem(fd, &key, sync->percpu))
		return -errno;
	memset(out, 0, words * sizeof(*out));
	for (int cpu = 0; cpu < sync->cpus; cpu++)
		for (size_t i = 0; i < words; i++)
			out[i] += in[cpu * words + i];
	return 0;
}

const struct lb_load *sync_load(const struct sync *sync, int id)
{
	return &sync->maps->loads[id];
}

int sync_read_backend(const struct sync *sync, int id, struct sync_figures *out)
{
	int ret;

	out->load = sync->maps->loads[id];
	ret = sum_percpu(sync, sync->maps->traffic, id, (__u64 *)&out->traffic, sizeof(out->traffic) / 8);
	if (ret)
		return ret;
	return sum_percpu(sync, sync->maps->replies, id, (__u64 *)&out->replies, sizeof(out->replies) / 8);
}

int sync_read_verdicts(const struct sync *sync, __u64 out[static LB_VERDICT_MAX])
{
	int ret = 0;

	for (__u32 v = 0; !ret && v < LB_VERDICT_MAX; v++)
		ret = sum_percpu(sync, sync->maps->verdicts, v, &out[v], 1);
	return ret;
}

void sync_flow_counts(const struct sync *sync, __u64 *entries, __u64 *limit)
{
	*entries = __atomic_load_n(&sync->maps->totals->flow_entries, __ATOMIC_RELAXED);
	*limit = sync->maps->totals->flow_limit;
}

void sync_clear_backend(struct sync *sync, int id)
{
	struct lb_load none = {};
	__u32 key = id;

	/* the map is mmapped read-only here; its flows are gone, so nobody else writes the line */
	bpf_map_update_elem(sync->maps->loads_fd, &key, &none, BPF_ANY);
	memset(sync->percpu, 0, sync->cpus * (sizeof(struct lb_replies) + 8));
	bpf_map_update_elem(sync->maps->traffic, &key, sync->percpu, BPF_ANY);
	bpf_map_update_elem(sync->maps->replies, &key, sync->percpu, BPF_ANY);
}

void sync_flows(const struct sync *sync, bool (*visit)(void *arg, const struct lb_flow_key *key, const struct lb_flow *flow),
		void *arg)
{
	const struct lb_flow_slot *slot = sync->maps->slots;

	for (__u32 i = 0; i < sync->maps->slots_n; i++, slot++)
		if (__atomic_load_n(&slot->claim, __ATOMIC_ACQUIRE) == LB_SLOT_USED && !visit(arg, &slot->key, &slot->flow))
			return;
}
