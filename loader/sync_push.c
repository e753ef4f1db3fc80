/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See sync.h. This half writes: model -> maps. The order of a push: backends first (what a table may name must be
 * complete), then the tables, then the addresses; what goes away goes in reverse.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../bpf/csum.h"
#include "../bpf/hint.h"
#include "log.h"
#include "maglev.h"
#include "siphash.h"
#include "sync_inner.h"

/* --- reconciling a hash map with what it should hold ---------------------------- */

struct wanted {
	__u8 *keys, *values;
	size_t key_size, value_size, n, room;
};

static int wanted_add(struct wanted *w, const void *key, const void *value)
{
	if (w->n == w->room) {
		size_t room = w->room ? w->room * 2 : 64;
		__u8 *keys = realloc(w->keys, room * w->key_size);
		__u8 *values;

		if (!keys)
			return -ENOMEM;
		w->keys = keys;
		values = realloc(w->values, room * w->value_size);
		if (!values)
			return -ENOMEM;
		w->values = values;
		w->room = room;
	}
	memcpy(w->keys + w->n * w->key_size, key, w->key_size);
	memcpy(w->values + w->n * w->value_size, value, w->value_size);
	w->n++;
	return 0;
}

static void wanted_free(struct wanted *w)
{
	free(w->keys);
	free(w->values);
}

static size_t sort_key_size;

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, sort_key_size);
}

static int put_wanted(int fd, const struct wanted *w)
{
	__u8 now[sizeof(struct lb_backend_ref)];
	int ret = 0;

	for (size_t i = 0; i < w->n; i++) {
		const __u8 *key = w->keys + i * w->key_size, *value = w->values + i * w->value_size;

		if (bpf_map_lookup_elem(fd, key, now) == 0 && memcmp(now, value, w->value_size) == 0)
			continue;
		if (bpf_map_update_elem(fd, key, value, BPF_ANY) && !ret)
			ret = -errno;
	}
	return ret;
}

/* Deletes the keys that are not wanted. Collected first: deleting while iterating skips keys. */
static int drop_unwanted(int fd, const struct wanted *w)
{
	struct wanted stale = { .key_size = w->key_size, .value_size = 1 };
	__u8 key[sizeof(struct lb_backend_key)], *sorted = NULL, nothing = 0;
	void *at = NULL;
	int ret = 0;

	if (w->n) {
		sorted = malloc(w->n * w->key_size);
		if (!sorted)
			return -ENOMEM;
		memcpy(sorted, w->keys, w->n * w->key_size);
		sort_key_size = w->key_size;
		qsort(sorted, w->n, w->key_size, compare_keys);
	}
	while (!ret && bpf_map_get_next_key(fd, at, key) == 0) {
		at = key;
		sort_key_size = w->key_size;
		if (!w->n || !bsearch(key, sorted, w->n, w->key_size, compare_keys))
			ret = wanted_add(&stale, key, &nothing);
	}
	for (size_t i = 0; i < stale.n; i++)
		bpf_map_delete_elem(fd, stale.keys + i * stale.key_size);
	wanted_free(&stale);
	free(sorted);
	return ret;
}

/* --- services, backends, addresses ------------------------------------------------ */

static int want_services(const struct pool *pool, struct wanted *w)
{
	for (size_t i = 0; i < POOL_MAX_SERVICES; i++) {
		const struct service *svc = &pool->services[i];

		for (int f = 0; svc->used && f < 2; f++) {
			for (__u32 p = 0; svc->has_vip[f] && p < svc->ports_n; p++) {
				struct lb_service_key key = { .vip = svc->vip[f], .port = svc->ports[p] };
				struct lb_service value = {
					.vip_id = svc->vip_id[f],
					.mode = svc->mode,
					.scheduler = svc->scheduler,
					.refuse = svc->refuse == LB_REFUSE_REPLY && !svc->can_reply ? LB_REFUSE_RESET :
												       svc->refuse,
				};

				if (wanted_add(w, &key, &value))
					return -ENOMEM;
			}
		}
	}
	return 0;
}

static int want_backend_addrs(const struct pool *pool, struct wanted *w)
{
	for (int id = 1; id < LB_MAX_BACKENDS; id++) {
		const struct backend *be = &pool->backends[id];
		const struct service *svc = &pool->services[be->service];
		int f;

		if (!be->used || svc->mode != LB_MODE_NAT)
			continue;
		f = backend_family(be);
		for (__u32 p = 0; p < svc->ports_n; p++) {
			struct lb_backend_key key = { .address = be->address, .port = svc->ports[p] };
			struct lb_backend_ref value = {
				.vip = svc->vip[f],
				.backend = id,
				.vip_id = svc->vip_id[f],
				.csum_delta = csum_diff(&be->address, &svc->vip[f], sizeof(be->address)),
			};

			if (wanted_add(w, &key, &value))
				return -ENOMEM;
		}
	}
	return 0;
}

static __u64 digest_hints(const struct wanted *services, const struct wanted *addrs)
{
	const uint64_t key[2] = { 0x68696e7473, 0x6d786470 };

	return siphash(key, services->keys, services->n * services->key_size) ^
	       siphash(key, services->values, services->n * services->value_size) * 3 ^
	       siphash(key, addrs->keys, addrs->n * addrs->key_size) * 5 ^
	       siphash(key, addrs->values, addrs->n * addrs->value_size) * 7 ^ 1;
}

/* Word by word, each in one store: a packet sees every field old or new, never half of one. */
static void write_line(struct lb_backend *to, const struct lb_backend *from)
{
	__u64 words[sizeof(*from) / 8];
	__u64 *out = (__u64 *)to;

	memcpy(words, from, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (__atomic_load_n(&out[i], __ATOMIC_RELAXED) != words[i])
			__atomic_store_n(&out[i], words[i], __ATOMIC_RELEASE);
}

void sync_touch(struct sync *sync, const struct pool *pool, int id, const struct sync_backend *extra)
{
	const struct backend *be = &pool->backends[id];
	const struct service *svc = &pool->services[be->service];
	const struct lb_addr *vip = &svc->vip[backend_family(be)];
	struct lb_backend line = {};

	if (be->used) {
		line = (struct lb_backend) {
			.address = be->address,
			.csum_delta = csum_diff(vip, &be->address, sizeof(*vip)),
			.vip_id = svc->vip_id[backend_family(be)],
			.ifindex = extra[id].hop.ifindex,
			.max_flows = backend_max_flows(be),
			.weight = extra[id].weight,
			.mode = svc->mode,
			.reply_ns = extra[id].reply_ns,
		};
		memcpy(line.dst_mac, extra[id].hop.dst_mac, sizeof(line.dst_mac));
		memcpy(line.src_mac, extra[id].hop.src_mac, sizeof(line.src_mac));
		line.flags = (extra[id].hop.resolved ? LB_BACKEND_RESOLVED : 0) |
			     (backend_is_eligible(be) ? LB_BACKEND_ELIGIBLE : 0);
	}
	write_line(&sync->maps->backends[id], &line);
}

/* The rule of hint.h. False: both slots are taken. */
static bool put_hint(void *slots, size_t size, __u32 at, const void *key, const void *value, size_t value_size)
{
	static const struct lb_backend_key none;

	for (int i = 0; i < 2; i++) {
		__u8 *slot = (__u8 *)slots + (at ^ i) * size;

		if (memcmp(slot, &none, sizeof(none)) != 0)
			continue;
		memcpy(slot, key, sizeof(none));
		memcpy(slot + sizeof(none), value, value_size);
		return true;
	}
	return false;
}

static void push_hints(struct sync *sync, const struct wanted *services, const struct wanted *addrs)
{
	__u64 digest = digest_hints(services, addrs);
	struct hint_table *next = &sync->maps->hints[!*sync->maps->hints_live];
	bool all = true;

	if (sync->hints_digest == digest)
		return;
	memset(next, 0, sizeof(*next));
	for (size_t i = 0; i < services->n; i++) {
		const __u8 *key = services->keys + i * services->key_size;

		all = put_hint(next->services, sizeof(next->services[0]), hint_slot(key, HINT_SERVICE_BITS), key,
			       services->values + i * services->value_size, services->value_size) && all;
	}
	for (size_t i = 0; i < addrs->n; i++) {
		const __u8 *key = addrs->keys + i * addrs->key_size;

		all = put_hint(next->backends, sizeof(next->backends[0]), hint_slot(key, HINT_BACKEND_BITS), key,
			       addrs->values + i * addrs->value_size, addrs->value_size) && all;
	}
	next->complete = all;
	__atomic_store_n(sync->maps->hints_live, !*sync->maps->hints_live, __ATOMIC_RELEASE);
	sync->hints_digest = digest;
}

static void push_ports(struct sync *sync, const struct pool *pool)
{
	__u64 bits[65536 / 64] = {};

	for (size_t i = 0; i < POOL_MAX_SERVICES; i++)
		for (__u32 p = 0; pool->services[i].used && p < pool->services[i].ports_n; p++)
			bits[pool->services[i].ports[p] >> 6] |= 1ULL << (pool->services[i].ports[p] & 63);
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		__atomic_store_n(&sync->maps->port_bits[i], bits[i], __ATOMIC_RELEASE);
}

/* --- selection tables ---------------------------------------------------------------- */

static size_t table_members(const struct pool *pool, const struct sync_backend *extra, int service, int family,
			    struct maglev_member *out)
{
	size_t n = 0;

	for (int id = 1; id < LB_MAX_BACKENDS && n < LB_MAX_MEMBERS; id++) {
		const struct backend *be = &pool->backends[id];

		if (!be->used || be->service != service || backend_family(be) != family)
			continue;
		if (!backend_is_eligible(be) || !extra[id].weight || !extra[id].hop.resolved)
			continue;
		out[n++] = (struct maglev_member) {
			.id = id, .weight = extra[id].weight, .key = maglev_key(&be->address),
		};
	}
	return n;
}

static int fill_table(struct lb_table *table, const struct maglev_member *members, size_t n, enum lb_scheduler scheduler)
{
	int ret;

	for (size_t i = 0; i < n; i++)
		table->members[i] = members[i].id;
	table->members_n = n;
	if (!n)
		return 0;
	/* One round is all that random picks need too, and it stays in the cache. */
	if (scheduler != LB_SCHED_MAGLEV)
		return maglev_fill_round(members, n, table->slots, &table->slots_n);
	ret = maglev_fill(members, n, table->slots);
	table->slots_n = ret ? 0 : LB_TABLE_SLOTS;
	return ret;
}

/* A complete new inner map, then one pointer: a packet sees the old table or the new one. */
static int push_table(struct sync *sync, __u32 vip_id, const struct maglev_member *members, size_t n,
		      enum lb_scheduler scheduler)
{
	struct lb_table *table = calloc(1, sizeof(*table));
	__u32 zero = 0;
	int fd = -1, ret = -ENOMEM;

	if (!table)
		return ret;
	ret = fill_table(table, members, n, scheduler);
	if (ret)
		goto out;
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "table", sizeof(__u32), sizeof(*table), 1, NULL);
	if (fd < 0) {
		ret = fd;
		goto out;
	}
	ret = bpf_map_update_elem(fd, &zero, table, BPF_ANY);
	ret = ret ? ret : bpf_map_update_elem(sync->maps->tables, &vip_id, &fd, BPF_ANY);
out:
	if (fd >= 0)
		close(fd);
	free(table);
	return ret;
}

static __u64 digest_members(const struct maglev_member *members, size_t n, enum lb_scheduler scheduler)
{
	const uint64_t key[2] = { 0x6d61696c78647031 ^ scheduler, 0x7461626c65646967 };

	return siphash(key, members, n * sizeof(*members)) | 1; /* never 0, which is "no table yet" */
}

static int push_tables(struct sync *sync, const struct pool *pool, const struct sync_backend *extra)
{
	struct maglev_member *members = calloc(LB_MAX_MEMBERS, sizeof(*members));
	int ret = 0, one;

	if (!members)
		return -ENOMEM;
	for (int i = 0; i < POOL_MAX_SERVICES; i++) {
		const struct service *svc = &pool->services[i];

		for (int f = 0; svc->used && f < 2; f++) {
			size_t n;
			__u64 digest;

			if (!svc->has_vip[f])
				continue;
			n = table_members(pool, extra, i, f, members);
			digest = digest_members(members, n, svc->scheduler);
			if (digest == sync->digest[svc->vip_id[f]])
				continue;
			one = push_table(sync, svc->vip_id[f], members, n, svc->scheduler);
			if (!one)
				sync->digest[svc->vip_id[f]] = digest;
			else if (!ret)
				ret = one;
		}
	}
	free(members);
	return ret;
}

int sync_push(struct sync *sync, const struct pool *pool, const struct sync_backend *extra)
{
	struct wanted services = { .key_size = sizeof(struct lb_service_key), .value_size = sizeof(struct lb_service) };
	struct wanted addrs = { .key_size = sizeof(struct lb_backend_key), .value_size = sizeof(struct lb_backend_ref) };
	int ret, one;

	ret = want_services(pool, &services);
	ret = ret ? ret : want_backend_addrs(pool, &addrs);
	if (ret)
		goto out;
	ret = drop_unwanted(sync->maps->services, &services);
	for (int id = 1; id < LB_MAX_BACKENDS; id++)
		sync_touch(sync, pool, id, extra);
	one = put_wanted(sync->maps->backend_addrs, &addrs);
	ret = ret ? ret : one;
	one = push_tables(sync, pool, extra);
	ret = ret ? ret : one;
	one = put_wanted(sync->maps->services, &services);
	ret = ret ? ret : one;
	push_hints(sync, &services, &addrs);
	push_ports(sync, pool);
	one = drop_unwanted(sync->maps->backend_addrs, &addrs);
	ret = ret ? ret : one;
	if (ret)
		log_err("maps: not everything could be written: %s", strerror(-ret));
out:
	wanted_free(&services);
	wanted_free(&addrs);
	return ret;
}

/* --- figures ---------------------------------------------------------------------------- */
